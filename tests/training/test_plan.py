"""What is foreseen is what comes."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from textwright.data.batch import Batch
from textwright.data.dataset import DataSplits, TokenDataset
from textwright.models.language_model import LanguageModel
from textwright.training.callbacks import Callbacks
from textwright.training.clock import StepTimings
from textwright.training.config import TrainConfig
from textwright.training.estimate_run import estimate_run
from textwright.training.from_config import add_loss, make_batches
from textwright.training.memory import measure_activations
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.plan import Plan, describe_plan
from textwright.training.resolve_config import prepare_step, resolve_config
from textwright.training.threads import Threads

MakeModel = Callable[..., LanguageModel]
MakeConfig = Callable[..., TrainConfig]

PROGRAM = """
import sys
import numpy, torch
from textwright.data.dataset import DataSplits, TokenDataset
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.training.config import TrainConfig
from textwright.training.callbacks import Callbacks
from textwright.training import loop
from textwright.training.from_config import add_loss, make_batches
from textwright.training.memory import peak_bytes

recompute, optimizer, micro_batch_size = sys.argv[1:]
ids = numpy.random.default_rng(0).integers(0, 2000, 20_000)
data = DataSplits(train=TokenDataset.from_documents([ids]), val=None)
model = build(preset("tiny", vocab_size=2048), seed=0)
plans = []
config = TrainConfig(
    steps=2, batch_size=6, micro_batch_size=int(micro_batch_size), optimizer=optimizer,
    activation_checkpointing=recompute == "yes", precision="float32"
)
batches = make_batches(data.train, config, model.context_length)
loop.train(add_loss(model, config), batches, config, callbacks=Callbacks(on_plan=plans.append))
print(plans[0].memory_bytes / peak_bytes(torch.device("cpu")))
"""


@pytest.mark.parametrize("arguments", [("no", "muon", "6"), ("yes", "adamw", "3")])
def test_the_memory_foreseen_is_the_memory_used(arguments: tuple[str, ...]) -> None:
    """In a process of its own: its most memory is then this training's."""
    done = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert 0.8 < float(done.stdout) < 1.25


def blank() -> Batch:
    """Rows to be measured."""
    return Batch.from_ids(torch.zeros(4, 17, dtype=torch.int64))


def prepared(model: LanguageModel, config: TrainConfig) -> ModelWithLoss:
    """A model with its loss, ready for training."""
    model_with_loss = add_loss(model, config)
    prepare_step(model_with_loss, config, Callbacks())
    return model_with_loss


@pytest.mark.parametrize("name", ["nano", "qwen3-nano", "gpt1-nano"])
def test_recomputed_gradients_are_the_same_with_dropout_too(make_model: MakeModel, name: str) -> None:
    ids = torch.randint(0, 17, (2, 17), generator=torch.Generator().manual_seed(0))
    found = []
    for recompute in (False, True):
        model = make_model(name=name, dropout=0.2)
        config = TrainConfig(activation_checkpointing=recompute)
        model_with_loss = prepared(model, config)
        torch.manual_seed(1)
        model_with_loss(Batch.from_ids(ids)).total.backward()
        found.append([parameter.grad for parameter in model_with_loss.parameters()])
    for kept, recomputed in zip(*found, strict=True):
        torch.testing.assert_close(kept, recomputed, rtol=0, atol=0)


def test_recomputing_keeps_less(make_model: MakeModel, quick: MakeConfig) -> None:
    row_bytes = []
    for recompute in (False, True):
        config = quick(activation_checkpointing=recompute).resolved(
            steps=6, sequence_length=16, micro_batch_size=4, precision="float32"
        )
        row_bytes.append(measure_activations(prepared(make_model(num_layers=6), config), config, blank()).row_bytes)
    assert row_bytes[1] < row_bytes[0] / 3


def test_activations_grow_with_the_rows_and_what_is_fixed_does_not(make_model: MakeModel, quick: MakeConfig) -> None:
    config = quick().resolved(steps=6, sequence_length=16, micro_batch_size=4, precision="float32")
    model = make_model()
    found = measure_activations(prepared(model, config), config, blank())
    assert found.of(5) - found.of(4) == found.row_bytes + found.block_bytes > found.block_bytes > 0
    assert abs(found.fixed_bytes - model.head_weight.nbytes) < 1000
    assert all(parameter.grad is None for parameter in model.parameters())


def test_a_run_costs_its_steps_and_its_pauses() -> None:
    costs = StepTimings(step_s=2.0, evaluate_s=10.0, sample_s=100.0, save_s=1000.0)
    config = TrainConfig(evaluate_every=4, sample_every=9, checkpoint_every=10)
    decided = config.resolved(steps=10, sequence_length=16, micro_batch_size=1, precision="float32")
    assert costs.total_s(decided) == 20 + 3 * 10 + 2 * 100 + 1000


def test_foreseeing_moves_no_weight_and_decides_what_training_decides(
    make_model: MakeModel, data: DataSplits, quick: MakeConfig, tmp_path: Path
) -> None:
    model = make_model()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.get_rng_state()
    decided: list[TrainConfig] = []
    batches = make_batches(data.train, quick(), 16)
    callbacks = Callbacks(on_resolved=decided.append)
    plan = estimate_run(add_loss(model, quick()), batches, quick(), callbacks, scratch=tmp_path)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert torch.equal(generator, torch.get_rng_state())
    model_with_loss, threads = prepared(make_model(), quick()), Threads(1, torch.device("cpu"))
    config = resolve_config(model_with_loss, batches, quick(), Callbacks(), threads=threads, saves=True).config
    assert decided == [config]
    assert (plan.steps, plan.tokens, plan.micro_batch_size) == (6, 6 * 4 * 16, config.micro_batch_size)
    assert plan.seconds is not None
    assert plan.seconds > 0


def _plan(make_model: MakeModel, data: DataSplits, config: TrainConfig, scratch: Path) -> Plan:
    model = make_model()
    batches = make_batches(data.train, config, model.context_length)
    return estimate_run(add_loss(model, config), batches, config, Callbacks(), scratch=scratch)


def test_it_warns_of_a_text_read_too_often_and_of_a_model_too_large(
    make_model: MakeModel, data: DataSplits, quick: MakeConfig, tmp_path: Path
) -> None:
    often = _plan(make_model, data, quick(steps=100), tmp_path)
    assert often.epochs == pytest.approx(100 * 4 * 16 / data.train.num_tokens)
    (warning,) = often.warnings
    assert "learns it by heart" in warning
    assert f"--steps {4 * data.train.num_tokens // 64}" in warning
    assert warning in describe_plan(often)

    long = DataSplits(train=TokenDataset.from_documents([[1, 2, 3] * 2000]), val=None)
    (warning,) = _plan(make_model, long, quick(steps=1), tmp_path).warnings
    assert "smaller --model.preset" in warning
    assert _plan(make_model, long, quick(steps=60), tmp_path).warnings == ()
