"""The build of the kernels that checks bounds: a forward pass in it is whole, and what is out of bounds is caught.

A process has one build, so the kernels run in one of their own.
"""

import itertools
import subprocess
import sys

import pytest

from textwright.engines.cpu.workspace import Workspace

BEGIN = """
from textwright.core.kernel_build import check_bounds
check_bounds()

import torch
from tests.generation.conftest import make_model
from textwright.data.batch import Batch
from textwright.engines.cpu.decoder import CPUDecoder
from textwright.engines.cpu.kernels.layout import FORWARD
"""
FORWARD_PASSES = """
SHAPES = {
    "gpt2": {"hidden_size": 36, "intermediate_size": 50, "num_heads": 3, "vocab_size": 259},
    "qwen3": {"head_dim": 10, "intermediate_size": 44},
}
ids = torch.randint(0, 257, (3, 32), generator=torch.Generator().manual_seed(3))
for family, changes in SHAPES.items():
    model, batch = make_model(family, **changes), Batch.for_inputs(ids)
    with torch.no_grad():
        expected = model.logits(model.hidden_states(model.embed(batch), batch))
    for precision, most in (("float32", 1e-4), ("bfloat16", 0.1), ("int8", 0.2)):
        for num_threads in (1, 2):
            decoder = CPUDecoder(model, precision, num_threads=num_threads)
            cache, start, found = decoder.empty_cache(3), 0, []
            for size in (20, 5, 1, 6):
                hidden = decoder.extend(ids[:, start : start + size], [size] * 3, cache, range(3))
                found.append(decoder.logits(hidden))
                start += size
            difference = (torch.cat(found, dim=1) - expected).std() / expected.std()
            assert difference < most, (family, precision, difference)
print("whole")
"""
OUT_OF_BOUNDS = """
decoder = CPUDecoder(make_model("gpt2"), num_threads=1)
args, cache = decoder._kernel_args[0], decoder.empty_cache(2)
ids = torch.zeros(1, 1, dtype=torch.int64)
decoder.extend(ids, [1], cache, [0])

def run(token=0, slot=0, position=1, **changes):
    cache.reserve(0, 2)
    args["keys"], args["values"], args["capacities"] = (line.ctypes.data for line in cache.table)
    hidden = torch.empty(1, decoder.hidden_size)
    args["num_slots"], args["count"], args["hidden"] = 2, 1, hidden.data_ptr()
    decoder._tokens[:, 0] = token, slot, position
    before = {name: int(args[name]) for name in changes}
    for name, value in changes.items():
        args[name] = value
    try:
        decoder._run_kernel(FORWARD)
        return "nothing"
    except IndexError as error:
        return str(error)
    finally:
        for name, value in before.items():
            args[name] = value

index, address = "an index that is out of bounds", "an address where nothing is"
assert run() == "nothing"
for changes, message in (
    ({"token": 257}, index),
    ({"token": -1}, index),
    ({"position": 32}, index),
    ({"position": int(cache.table[2, 0])}, index),
    ({"slot": 2}, "out of bounds"),
    ({"slot": -1}, index),
    ({"slot": 1}, index),  # it has no room yet
    ({"normed": 0}, address),
    ({"weight_table": 0}, address),
):
    assert message in run(**changes), (changes, run(**changes))
assert run() == "nothing"
# A row that begins too near the end of its piece of memory is written over the guard there.
too_far = decoder._workspace.addresses["attention_out"] + 4 * (256 * 32 - 16)
assert run(attention_out=too_far) == "a kernel wrote beyond the end of 'attention_out'"
print("caught")
"""


@pytest.mark.parametrize(("program", "expected"), [(FORWARD_PASSES, "whole\n"), (OUT_OF_BOUNDS, "caught\n")])
def test_the_build_that_checks_bounds(program: str, expected: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", BEGIN + program], capture_output=True, text=True, timeout=500, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, expected), ended.stderr


def test_pieces_begin_with_a_line_and_guards_are_only_in_the_build_that_checks() -> None:
    sizes = {"one": 5, "two": 16, "none": 0, "three": 17}
    for guarded in (False, True):
        workspace = Workspace(sizes, guarded=guarded)
        starts = list(workspace.addresses.values())
        assert all(start % 64 == 0 for start in starts)
        between = [after - before for before, after in itertools.pairwise(starts)]
        assert between == ([128, 128, 64] if guarded else [64, 64, 0])
        workspace.check_guards()
