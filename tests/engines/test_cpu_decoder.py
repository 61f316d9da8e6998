"""The kernels say what torch says: by the model, in every precision, however tokens are fed to them."""

import gc
import math
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from tests.generation.conftest import CONTEXT, make_model
from textwright.api.model import Model
from textwright.core.device import Precision, PrecisionRates
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.engines.catalog import choose_engine, make_decoder
from textwright.engines.config import DecodingPrecision, EngineConfig
from textwright.engines.cpu.decoder import CPUDecoder
from textwright.generation.ensemble import EnsembleDecoder
from textwright.generation.generate import generate
from textwright.generation.request import SamplingConfig
from textwright.models.language_model import LanguageModel
from textwright.models.protocols import PackedDecoder
from textwright.tokens import Tokenizer

# Widths that are no multiple of a tile among them.
SHAPES: dict[str, dict[str, object]] = {
    "gpt2": {"family": "gpt2"},
    "odd": {"family": "gpt2", "hidden_size": 36, "intermediate_size": 50, "num_heads": 3, "vocab_size": 259},
    "shared heads": {"family": "gpt2", "num_key_value_heads": 2},
    "gelu": {"family": "gpt2", "activation": "gelu", "scales_attention_by_layer": True},
    "relu": {"family": "gpt2", "activation": "relu", "tie_embeddings": False, "scales_attention": False},
    "sinusoidal": {"family": "gpt2", "position_encoding": "sinusoidal"},
    "qwen3": {"family": "qwen3", "tie_embeddings": False},
    "qwen3 heads": {"family": "qwen3", "head_dim": 10, "intermediate_size": 44},
    "qwen3 gelu": {"family": "qwen3", "activation": "gelu_tanh"},
}
ROWS = 3
RANDOM = SamplingConfig(max_new_tokens=30, temperature=1, seed=4)


@pytest.fixture(params=SHAPES)
def shaped(request: pytest.FixtureRequest) -> LanguageModel:
    changes = dict(SHAPES[request.param])
    return make_model(str(changes.pop("family")), **changes)


def plain_logits(model: LanguageModel, ids: torch.Tensor) -> torch.Tensor:
    batch = Batch.for_inputs(ids)
    with torch.no_grad():
        return model.logits(model.hidden_states(model.embed(batch), batch))


def fed(decoder: CPUDecoder, ids: torch.Tensor, pieces: tuple[int, ...]) -> torch.Tensor:
    """Logits of every place, the ids read in pieces."""
    cache, start, found = decoder.empty_cache(len(ids)), 0, []
    for size in pieces:
        piece = ids[:, start : start + size]
        hidden = decoder.extend(piece, [size] * len(ids), cache, range(len(ids)))
        found.append(decoder.logits(hidden))
        start += size
    assert [cache.length(slot) for slot in range(len(ids))] == [start] * len(ids)
    return torch.cat(found, dim=1)


def some_ids() -> torch.Tensor:
    return torch.randint(0, 257, (ROWS, CONTEXT), generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("num_threads", [1, 2])
def test_log_sums_are_torchs_of_however_many_columns(num_threads: int) -> None:
    model = make_model("gpt2")
    decoder = CPUDecoder(model, num_threads=num_threads)
    before = decoder.logits(torch.ones(2, decoder.hidden_size))
    for rows, columns in ((1, 5), (7, 259), (40, 1000)):
        logits = torch.randn(rows, 1000) * 30 + 500
        logits[0, 1] = -torch.inf
        found = decoder.log_sums(logits[:, :columns])
        torch.testing.assert_close(found, logits[:, :columns].double().logsumexp(1).float(), rtol=3e-7, atol=1e-6)
    halves = torch.randn(3, 8).bfloat16()
    torch.testing.assert_close(decoder.log_sums(halves), halves.logsumexp(1))
    assert torch.equal(decoder.logits(torch.ones(2, decoder.hidden_size)), before)


@pytest.mark.parametrize("pieces", [(1,) * CONTEXT, (20, 5, 1, 6), (CONTEXT,)])
def test_float32_logits_are_those_of_torch(shaped: LanguageModel, pieces: tuple[int, ...]) -> None:
    expected = plain_logits(shaped, some_ids())
    assert expected.std() > 1  # not all the same, or the comparison would be worth nothing
    torch.testing.assert_close(fed(CPUDecoder(shaped), some_ids(), pieces), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_a_text_says_the_same_in_whatever_pieces_it_is_read(gpt2: LanguageModel, precision: DecodingPrecision) -> None:
    decoder, expected = CPUDecoder(gpt2, precision), fed(CPUDecoder(gpt2, precision), some_ids(), (CONTEXT,))
    for pieces in ((1,) * CONTEXT, (CONTEXT - 5, 3, 2), (17, 4, *(1,) * (CONTEXT - 21))):
        assert torch.equal(fed(decoder, some_ids(), pieces), expected)


@pytest.mark.parametrize(("precision", "most"), [("bfloat16", 0.03), ("int8", 0.06)])
def test_narrow_weights_are_near(shaped: LanguageModel, precision: str, most: float) -> None:
    expected = plain_logits(shaped, some_ids())
    found = fed(CPUDecoder(shaped, precision), some_ids(), (10, *(1,) * (CONTEXT - 10)))
    assert (found - expected).std() < most * expected.std()


@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("family", ["gpt2", "qwen3"])
def test_a_rows_numbers_are_its_own_to_the_last_bit(family: str, precision: str) -> None:
    """Whatever rows are beside it; and what the kernels do, on however many threads."""
    model, ids = make_model(family), some_ids()
    found = []
    for threads in (1, 2, 3):
        decoder = CPUDecoder(model, precision, num_threads=threads)
        for pieces in ((20, 3, 1, 1, 1), (8, 8, 3, 1)):
            found.append(fed(decoder, ids, pieces))
            for row in range(ROWS):
                assert torch.equal(fed(decoder, ids[row : row + 1], pieces)[0], found[-1][row]), (threads, pieces, row)
    assert all(torch.equal(again, found[0]) for again in (found[2], found[4]))
    assert all(torch.equal(again, found[1]) for again in (found[3], found[5]))


def test_ragged_rows_that_come_and_go(shaped: LanguageModel, tokenizer: Tokenizer) -> None:
    prompts = ["a", "The quick brown", "", "x" * 20, "one two three four five six seven eight nine ten"]
    for sampling in (SamplingConfig(max_new_tokens=40, temperature=0), SamplingConfig(max_new_tokens=40, seed=5)):
        expected = generate(shaped, tokenizer, prompts, sampling)
        assert generate(CPUDecoder(shaped), tokenizer, prompts, sampling) == expected


def test_slots_are_forked_cropped_and_go_on_in_any_order(gpt2: LanguageModel) -> None:
    decoder, ids = CPUDecoder(gpt2), some_ids()
    expected, cache = plain_logits(gpt2, ids), decoder.empty_cache(5)
    decoder.extend(ids[:, :10], [10, 10, 10], cache, [3, 0, 1])
    cache.fork(1, 4, length=7)
    cache.fork(3, 2)
    cache.crop(1, 8)
    tail = torch.stack([ids[2, 7:9], ids[0, 10:12], ids[2, 8:10]])
    logits = decoder.logits(decoder.extend(tail, [2, 1, 2], cache, [4, 2, 1]))
    for row, (of, place, count) in enumerate(((2, 7, 2), (0, 10, 1), (2, 8, 2))):
        torch.testing.assert_close(logits[row, :count], expected[of, place : place + count], atol=1e-4, rtol=0)
    cache.fork(2, 3, start=10)  # what both begin with is not copied again
    hidden = decoder.extend(ids[:1, 11:12], [1], cache, [3])
    torch.testing.assert_close(decoder.logits(hidden)[0], expected[0, 11:12], atol=1e-4, rtol=0)


def test_texts_of_any_lengths_are_read_side_by_side(gpt2: LanguageModel) -> None:
    decoder, ids = CPUDecoder(gpt2), some_ids()
    assert isinstance(decoder, PackedDecoder)
    assert not isinstance(gpt2, PackedDecoder)
    expected, cache = fed(decoder, ids, (CONTEXT,)), decoder.empty_cache(4)
    decoder.extend(ids[:2, :6], [6, 4], cache, [3, 0])
    packed = torch.cat([ids[0, 6:7], ids[2, :20], ids[1, 4:9]]).numpy()
    hidden = decoder.extend_packed(packed, [1, 20, 5], cache, [3, 1, 0])
    assert [cache.length(slot) for slot in range(4)] == [9, 20, 0, 7]
    wanted = torch.cat([expected[0, 6:7], expected[2, :20], expected[1, 4:9]])
    assert torch.equal(decoder.logits(hidden), wanted)


@pytest.mark.parametrize("name", ["gpt2", "qwen3"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
def test_hidden_states_that_are_wanted_are_those_of_all_and_so_is_what_is_left_in_the_cache(
    name: str, precision: DecodingPrecision
) -> None:
    """However long the texts are: some are read in several parts, of which a part may have none that is wanted."""
    model = make_model(name, context_length=400)
    decoder, lengths, places = CPUDecoder(model, precision, num_threads=2), [300, 1, 9, 270], [1, 1, 3, 2]
    generator = torch.Generator().manual_seed(1)
    ids = torch.randint(0, 257, (sum(lengths),), generator=generator).numpy()
    after = torch.randint(0, 257, (4, 1), generator=generator)
    found = []
    for wanted in (None, places):
        cache = decoder.empty_cache(4)
        hidden = decoder.extend_packed(ids, lengths, cache, [2, 0, 3, 1], wanted)
        found.append((hidden, decoder.extend(after, [1] * 4, cache, range(4))))
    (all_of_them, then), (some, then_too) = found
    parts = [part[-count:] for part, count in zip(all_of_them.split(lengths), places, strict=True)]
    assert torch.equal(some, torch.cat(parts))
    assert torch.equal(then, then_too)


def test_a_decoder_used_by_several_threads_at_once_is_whole(gpt2: LanguageModel) -> None:
    decoder, ids = CPUDecoder(gpt2), some_ids()
    expected, wrong = fed(decoder, ids, (1,) * 20), []

    def work() -> None:
        wrong.extend([None] * (not torch.equal(fed(decoder, ids, (1,) * 20), expected)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.fixture
def three_threads() -> Iterator[None]:
    """torch on three threads, here and in threads to come, however many cores there are."""
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def in_a_new_thread(work: Callable[[], object]) -> object:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(work).result(timeout=60)


@pytest.mark.usefixtures("three_threads")
def test_calls_that_overlap_have_one_thread_of_torch_and_leave_no_trace(gpt2: LanguageModel) -> None:
    """Here, in the threads that called, and in threads to come: torch keeps a number for each."""
    decoders = [CPUDecoder(gpt2), EnsembleDecoder([CPUDecoder(make_model("qwen3")), gpt2], [1, 1])]

    def call(index: int) -> tuple[int, int]:
        torch.get_num_threads()  # until a thread has asked, torch forgets what it was told
        torch.set_num_threads(2 + index)
        return decoders[index].run(torch.get_num_threads), torch.get_num_threads()

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(call, (0, 1))) == [(1, 2), (1, 3)]
    torch.set_num_threads(3)
    assert decoders[0].run(lambda: decoders[1].run(torch.get_num_threads)) == 1
    assert torch.get_num_threads() == in_a_new_thread(torch.get_num_threads) == 3


@pytest.mark.usefixtures("three_threads")
def test_calls_that_fail_leave_the_engine_at_work(gpt2: LanguageModel) -> None:
    decoder = CPUDecoder(gpt2)

    def fail() -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            decoder.run(fail)
    assert decoder.run(lambda: 5) == 5
    assert torch.get_num_threads() == in_a_new_thread(torch.get_num_threads) == 3


def test_texts_that_are_written_from_several_threads_at_once_are_each_its_own(
    gpt2: LanguageModel, tokenizer: Tokenizer
) -> None:
    decoder, prompts = CPUDecoder(gpt2), ["a", "bc", "def", "the cat"]
    alone = [generate(decoder, tokenizer, [prompt], RANDOM) for prompt in prompts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda prompt: generate(decoder, tokenizer, [prompt], RANDOM), prompts)) == alone


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_decodes_too(gpt2: LanguageModel) -> None:
    """It has none of its parent's workers: waiting for them would be for ever."""
    decoder, ids = CPUDecoder(gpt2, num_threads=2), some_ids()
    expected = fed(decoder, ids, (1,) * 5)
    child = os.fork()
    if child == 0:
        signal.alarm(60)
        os._exit(0 if torch.equal(fed(decoder, ids, (1,) * 5), expected) else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert torch.equal(fed(decoder, ids, (1,) * 5), expected)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_process_forked_while_another_thread_decodes_does_so_too(gpt2: LanguageModel) -> None:
    """The lock that the other thread held is not held for ever, nor is its job at a barrier."""
    decoder, ids = CPUDecoder(gpt2, num_threads=2), some_ids()
    expected = fed(decoder, ids, (1,) * 5)
    with ThreadPoolExecutor(1) as other, decoder._pool.lock:
        writing = other.submit(fed, decoder, ids, (1,) * 5)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            os._exit(0 if torch.equal(fed(decoder, ids, (1,) * 5), expected) else 1)
        assert os.waitpid(child, 0)[1] == 0
    assert torch.equal(writing.result(timeout=60), expected)


def kernel_threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "textwright-kernel"}


def test_a_small_model_has_no_workers_to_wait_for(gpt2: LanguageModel) -> None:
    large = make_model("gpt2", hidden_size=512, intermediate_size=2048)
    for model, threads in ((gpt2, 1), (large, min(2, torch.get_num_threads()))):
        assert CPUDecoder(model)._pool.num_threads == threads, model.hidden_size


def test_a_model_and_its_draft_have_the_workers_of_one_of_them(gpt2: LanguageModel) -> None:
    gc.collect()
    before = kernel_threads()
    decoder = CPUDecoder(gpt2, num_threads=3)
    workers = kernel_threads() - before
    assert len(workers) == 2
    draft = CPUDecoder(make_model("qwen3"), num_threads=3)
    fed(draft, some_ids(), (4,)), fed(decoder, some_ids(), (4,))
    assert kernel_threads() - before == workers


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_decoders_that_share_threads_have_their_own_numbers_from_several_threads_at_once(
    gpt2: LanguageModel, precision: DecodingPrecision
) -> None:
    """Two models of different families and sizes take turns, a job each, and none sees anything of the other."""
    other = make_model("qwen3", num_layers=3, num_heads=2, num_key_value_heads=1, hidden_size=48)
    decoders = [CPUDecoder(gpt2, precision, num_threads=3), CPUDecoder(other, num_threads=3)]
    pieces, ids = (3, *(1,) * 20), some_ids()
    expected = [fed(CPUDecoder(gpt2, precision, num_threads=1), ids, pieces), fed(decoders[1], ids, pieces)]
    start = threading.Barrier(4)

    def work(which: int) -> bool:
        start.wait(60)
        return all(torch.equal(fed(decoders[which], ids, pieces), expected[which]) for _ in range(3))

    with ThreadPoolExecutor(4) as threads:
        assert all(threads.map(work, (0, 1, 0, 1)))


def test_workers_leave_with_the_last_decoder(gpt2: LanguageModel) -> None:
    gc.collect()
    before = kernel_threads()
    decoders = [CPUDecoder(gpt2, num_threads=4), CPUDecoder(gpt2, num_threads=4)]
    workers = kernel_threads() - before
    assert len(workers) == 3
    del decoders[0]
    gc.collect()
    fed(decoders[0], some_ids(), (4,))
    assert all(worker.is_alive() for worker in workers)
    del decoders[0]
    gc.collect()
    for worker in workers:
        worker.join(timeout=5)
        assert not worker.is_alive()


def test_a_start_that_is_interrupted_leaves_no_worker(gpt2: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the pool goes on once it is asked again."""
    gc.collect()
    before, start, started = kernel_threads(), threading.Thread.start, []

    def interrupted(thread: threading.Thread) -> None:
        start(thread)
        started.append(thread)
        if len(started) == 2:
            raise KeyboardInterrupt

    expected = fed(CPUDecoder(gpt2, num_threads=1), some_ids(), (4,))
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(threading.Thread, "start", interrupted)
        CPUDecoder(gpt2, num_threads=5)
    for thread in started:
        thread.join(timeout=5)
    assert kernel_threads() <= before
    assert torch.equal(fed(CPUDecoder(gpt2, num_threads=5), some_ids(), (4,)), expected)


def test_a_program_ends_while_workers_spin() -> None:
    program = (
        "import torch; from tests.engines.test_cpu_decoder import *;"
        "decoder = CPUDecoder(make_model('gpt2'), num_threads=3); print('done')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "done\n", "")


def test_weights_that_are_no_numbers_are_named(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    with torch.no_grad():
        gpt2.head_weight[0, 0] = math.nan
    for precision in ("float32", "bfloat16"):
        with pytest.raises(InputError, match="logits are not finite"):
            generate(CPUDecoder(gpt2, precision), tokenizer, ["a"], SamplingConfig(temperature=0))


@pytest.mark.parametrize(
    ("family", "values", "engine"),
    [
        ("gpt2", {}, "cpu"),
        ("qwen3", {}, "cpu"),
        ("gpt2", {"batch_invariant": True}, "cpu"),
        ("gpt2", {"precision": "int8"}, "cpu"),
        ("gpt1", {}, "torch"),
        ("gpt1", {"precision": "bfloat16"}, "torch"),
        ("gpt2", {"engine": "torch"}, "torch"),
    ],
)
def test_the_engine_is_chosen_by_model(
    family: str, values: dict[str, object], engine: str, tokenizer: Tokenizer
) -> None:
    model, config = make_model(family), EngineConfig.model_validate(values)
    assert choose_engine(model, config) == engine
    decoder = make_decoder(model, engine, "float32")
    assert generate(decoder, tokenizer, ["a"], SamplingConfig(max_new_tokens=3))[0].num_tokens == 3


@pytest.mark.parametrize("family", ["gpt2", "gpt1"])
def test_auto_takes_the_precision_that_was_faster_and_measures_it_once(
    family: str, tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def measured(work: Callable[[Precision], object], flops: float) -> PrecisionRates:
        asked.append(flops)
        work("float32"), work("bfloat16")
        return PrecisionRates(100.0, 200.0)

    monkeypatch.setattr("textwright.engines.catalog.measure_rates", measured)
    model = Model(make_model(family), tokenizer)
    auto = model.decoder(EngineConfig(precision="auto"))
    assert auto is model.decoder(EngineConfig(precision="auto")) is model.decoder(EngineConfig(precision="bfloat16"))
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("family", "values", "message"),
    [
        ("gpt1", {"engine": "cpu"}, "--engine cpu for a gpt1 model"),
        ("gpt1", {"precision": "int8"}, "--precision int8 for a gpt1 model"),
        ("gpt1", {"batch_invariant": True}, "--batch-invariant for a gpt1 model"),
        ("gpt2", {"engine": "torch", "precision": "int8"}, "int8 with --engine torch"),
        ("gpt2", {"engine": "torch", "batch_invariant": True}, "--batch-invariant with --engine torch"),
    ],
)
def test_what_an_engine_cannot_do_is_refused(family: str, values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        choose_engine(make_model(family), EngineConfig.model_validate(values))


def test_mixed_models_say_the_weighted_mean_of_their_probabilities(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    other, ids = make_model("qwen3"), some_ids()
    mixed = EnsembleDecoder([CPUDecoder(gpt2), other], [7, 3])
    cache = mixed.empty_cache(3)
    mixed.extend(ids[:, :9], [9, 9, 9], cache, [0, 1, 2])
    hidden = mixed.extend(ids[:2, 9:10], [1, 1], cache, [0, 1])
    expected = 0.7 * plain_logits(gpt2, ids[:2, :10])[:, -1].softmax(-1)
    expected += 0.3 * plain_logits(other, ids[:2, :10])[:, -1].softmax(-1)
    torch.testing.assert_close(mixed.logits(hidden)[:, 0].exp(), expected, atol=1e-5, rtol=1e-3)
    assert generate(mixed, tokenizer, ["a", "bc"], SamplingConfig(max_new_tokens=40))[0].num_tokens == 40


def test_models_that_cannot_be_mixed_are_refused(gpt2: LanguageModel) -> None:
    with pytest.raises(InputError, match="weights 1 -1"):
        EnsembleDecoder([gpt2, gpt2], [1, -1])
    with pytest.raises(InputError, match="models of 257, 300 tokens"):
        EnsembleDecoder([gpt2, make_model("gpt2", vocab_size=300)], [1, 1])
