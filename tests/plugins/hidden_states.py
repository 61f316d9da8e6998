"""An objective as a stranger would add it: the next token, and hidden states like those of a frozen teacher."""

from collections.abc import Iterable, Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from textwright.data.batch import Batch
from textwright.models.catalog import build
from textwright.models.hooks import ModelHooks
from textwright.models.language_model import LanguageModel, as_language_model
from textwright.models.network import Network
from textwright.training.model_with_loss import Loss, Objective, ObjectiveConfig, Term


class HiddenStatesConfig(ObjectiveConfig):
    """What the student is to be like."""

    name: Literal["toy_hidden_states"] = "toy_hidden_states"
    points: tuple[str, ...] = ("blocks.0.hook_resid_post",)
    """The hook points that are compared."""
    factor: float = Field(default=1.0, ge=0)
    """How much it counts beside the next token."""
    teacher_seed: int = 5
    """What makes the teacher."""

    def build(self, model: Network) -> "HiddenStatesLoss":
        student = as_language_model(model)
        ModelHooks(self.points).check(student.hook_points())
        teacher = as_language_model(build(student.config, seed=self.teacher_seed))
        return HiddenStatesLoss(teacher, student.hidden_size, self.points, self.factor)


class HiddenStatesLoss(Objective):
    """Squared distance of the student's hidden states, seen through a matrix that learns, from the teacher's."""

    def __init__(self, teacher: LanguageModel, hidden_size: int, points: tuple[str, ...], factor: float) -> None:
        super().__init__()
        self.teacher, self.points, self.factor = teacher, points, factor
        self.bridge = nn.Linear(hidden_size, hidden_size)
        nn.init.eye_(self.bridge.weight)

    def teachers(self) -> Iterable[nn.Module]:
        return (self.teacher,)

    def weights(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"next_token": batch.loss_weight.sum(), "hidden_states": batch.loss_weight.sum()}

    def forward(self, model: Network, batch: Batch) -> Loss:
        student, weight = as_language_model(model), batch.loss_weight
        seen, shown = ModelHooks(self.points), ModelHooks(self.points)
        hidden = student.hidden_states(student.embed(batch), batch, seen)
        with torch.no_grad():
            self.teacher.hidden_states(self.teacher.embed(batch), batch, shown)
        distance = torch.zeros((), device=weight.device)
        for point in self.points:
            apart = self.bridge(seen.recorded[point]) - shown.recorded[point]
            distance = distance + (apart.float().square().mean(-1) * weight).sum()
        return Loss(
            {
                "next_token": Term(student.loss(hidden, batch.target_ids, weight), weight.sum()),
                "hidden_states": Term(self.factor * distance, weight.sum()),
            }
        )
