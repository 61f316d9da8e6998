"""Whatever the loop changes must be in TrainState."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from textwright.data.dataset import DataSplits
from textwright.models.language_model import LanguageModel
from textwright.training.config import TrainConfig
from textwright.training.from_config import make_batches
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.train_state import TrainState
from textwright.training.train_step import train_step


def _leaves(value: object, path: str, seen: set[int]) -> Iterator[tuple[str, object]]:
    """Every number, text and tensor that can be reached from a value, with the way to it."""
    if isinstance(value, int | float | str | bytes | bool | None):
        yield path, value
        return
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Tensor):
        yield path, value.detach()
        if value.grad is not None:
            yield f"{path}.grad", value.grad
    elif isinstance(value, dict):
        for index, (key, inner) in enumerate(value.items()):
            name = key if isinstance(key, str | int) else index
            yield from _leaves(inner, f"{path}[{name!r}]", seen)
    elif isinstance(value, list | tuple | set):
        for index, inner in enumerate(value):
            yield from _leaves(inner, f"{path}[{index}]", seen)
    elif isinstance(value, nn.Module) or (hasattr(value, "__dict__") and not callable(value)):
        yield from _leaves(vars(value), path, seen)


def _reachable(state: TrainState, *others: object) -> dict[str, object]:
    found = dict(_leaves([state, *others], "loop", set()))
    return {path: value.clone() if isinstance(value, Tensor) else value for path, value in found.items()}


def _differences(one: dict[str, object], other: dict[str, object]) -> set[str]:
    def same(a: object, b: object) -> bool:
        return torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b

    return {path for path in one.keys() | other.keys() if not same(one.get(path), other.get(path))}


def test_everything_the_loop_changes_is_restored(
    make_model: Callable[..., LanguageModel], data: DataSplits, quick: Callable[..., TrainConfig]
) -> None:
    config = quick(micro_batch_size=3).resolved(steps=6, sequence_length=16, micro_batch_size=3, precision="float32")
    loader = make_batches(data.train, config, 16)
    state = TrainState.begin(ModelWithLoss(make_model(dropout=0.1), CausalLMLoss()), config)
    untouched = _reachable(state, loader)
    for step in range(3):
        train_step(state, loader.batch(step), config)
    changed = _reachable(state, loader)
    assert len(_differences(untouched, changed)) > 50

    fresh_loader = make_batches(data.train, config, 16)
    fresh = TrainState.begin(ModelWithLoss(make_model(seed=9, dropout=0.1), CausalLMLoss()), config)
    fresh.load_state_dict(*state.state_dict())
    # The learning rate in a group is set anew before it is used.
    left = {path for path in _differences(changed, _reachable(fresh, fresh_loader)) if not path.endswith("['lr']")}
    assert left == set()


def test_a_change_that_is_not_gathered_is_noticed(
    make_model: Callable[..., LanguageModel], quick: Callable[..., TrainConfig]
) -> None:
    config = quick().resolved(steps=6, sequence_length=16, micro_batch_size=4, precision="float32")
    state = TrainState.begin(ModelWithLoss(make_model(), CausalLMLoss()), config)
    before = _reachable(state)
    state.model_with_loss.model.carry = torch.ones(3)  # type: ignore[assignment]
    assert any("carry" in path for path in _differences(before, _reachable(state)))
