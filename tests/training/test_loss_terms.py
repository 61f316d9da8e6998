"""A loss is named sums: kinds have their denominators, tasks their values, and teachers stay out of what is saved."""

from collections.abc import Callable, Iterable, Mapping

import pytest
import torch
from torch import Tensor, nn

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.language_model import LanguageModel
from textwright.models.network import Network
from textwright.training.config import TrainConfig
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import Loss, ModelWithLoss, Objective, Term, mean_loss, task_losses
from textwright.training.train_state import TrainState
from textwright.training.train_step import forward_backward, train_step

MakeModel = Callable[..., LanguageModel]


def mixed() -> Batch:
    """Rows of two tasks, taking turns, of different lengths."""
    rows = [[1, 2, 3, 4, 5], [6, 7, 8], [9, 10, 11, 12], [13, 14]]
    return Batch.from_rows(rows).with_fields(task_ids=torch.tensor([0, 1, 0, 1]), tasks=("code", "prose"))


def decided(config: TrainConfig, micro_batch_size: int = 4) -> TrainConfig:
    return config.resolved(steps=6, sequence_length=16, micro_batch_size=micro_batch_size, precision="float32")


def test_each_kind_has_one_denominator_and_each_task_its_own_value() -> None:
    terms = {
        "code/next_token": Term(torch.tensor(6.0), torch.tensor(2.0)),
        "prose/next_token": Term(torch.tensor(4.0), torch.tensor(6.0)),
        "code/length": Term(torch.tensor(1.0), torch.tensor(4.0)),
    }
    denominators = {"next_token": torch.tensor(8.0), "length": torch.tensor(4.0)}
    assert mean_loss(terms, denominators).item() == pytest.approx(10 / 8 + 1 / 4)
    totals = {name: term.total.item() for name, term in terms.items()}
    weights = {name: term.weight.item() for name, term in terms.items()}
    assert task_losses(totals, weights) == pytest.approx({"code": 6 / 2 + 1 / 4, "prose": 4 / 6})
    assert task_losses({"next_token": 1.0}, {"next_token": 2.0}) == {}


@pytest.mark.parametrize("micro_batch_size", [1, 2, 3, 4])
def test_tasks_are_told_apart_however_a_step_is_split(
    make_model: MakeModel, quick: Callable[..., TrainConfig], micro_batch_size: int
) -> None:
    config = decided(quick(batch_size=4), micro_batch_size)
    state = TrainState.begin(ModelWithLoss(make_model(), CausalLMLoss()).train(), config)
    alone = {}
    for task, name in enumerate(("code", "prose")):
        rows = mixed().select([task, task + 2]).with_fields(task_ids=None, tasks=())
        alone[name] = forward_backward(state, rows, config)[0].item()
        state.compute.zero_grad()
    unnamed, _ = forward_backward(state, mixed().with_fields(task_ids=None, tasks=()), config)
    state.compute.zero_grad()
    done = train_step(state, mixed(), config)
    assert done.task_losses == pytest.approx(alone, rel=1e-5)
    assert done.loss_nats == pytest.approx(unnamed.item(), rel=1e-5)


class WithTeacher(Objective):
    """Be near a frozen teacher's residual stream, through a matrix that is learned with the model."""

    def __init__(self, teacher: LanguageModel) -> None:
        super().__init__()
        self.teacher = teacher.requires_grad_(False)
        self.bridge = nn.Linear(32, 32)

    def teachers(self) -> Iterable[nn.Module]:
        return (self.teacher,)

    def weights(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"distance": batch.loss_weight.sum()}

    def forward(self, model: Network, batch: Batch) -> Loss:
        assert isinstance(model, LanguageModel)
        states = [network.hidden_states(network.embed(batch), batch) for network in (model, self.teacher)]
        distance = (self.bridge(states[0]) - states[1]).square().mean(-1)
        return Loss({"distance": Term((distance * batch.loss_weight).sum(), batch.loss_weight.sum())})


def test_a_teacher_teaches_and_is_neither_saved_nor_moved(
    make_model: MakeModel, quick: Callable[..., TrainConfig]
) -> None:
    config = decided(quick(batch_size=2))
    model_with_loss = ModelWithLoss(make_model(), WithTeacher(make_model(seed=5))).train()
    before = {name: value.clone() for name, value in model_with_loss.state_dict().items()}
    state = TrainState.begin(model_with_loss, config)
    batch = Batch.from_ids(torch.arange(1, 16).view(3, 5))
    losses = [train_step(state, batch, config).loss_nats for _ in range(5)]
    assert losses[-1] < losses[0]
    tensors, facts = state.state_dict()
    assert not [name for name in tensors if "teacher" in name]
    assert "weights/objective.bridge.weight" in tensors
    for name, value in model_with_loss.state_dict().items():
        assert torch.equal(value, before[name]) == ("teacher" in name), name

    tensors = {name: value.clone() for name, value in tensors.items()}
    other = TrainState.begin(ModelWithLoss(make_model(seed=8), WithTeacher(make_model(seed=5))).train(), config)
    other.load_state_dict(tensors, facts)
    assert train_step(other, batch, config).loss_nats == train_step(state, batch, config).loss_nats


def test_a_model_that_does_not_predict_tokens_is_refused(make_model: MakeModel) -> None:
    class Silent(Network):
        def __init__(self, like: LanguageModel) -> None:
            super().__init__()
            self.config = like.config

        def init_weights(self, generator: torch.Generator) -> None:
            """There is nothing."""

    with pytest.raises(InputError, match="a gpt2 model cannot learn the next token"):
        ModelWithLoss(Silent(make_model()), CausalLMLoss())(mixed())
