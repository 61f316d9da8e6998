"""Everything the next step depends on, by name; what is not in here is not resumed."""

from dataclasses import dataclass, field
from typing import Any, Self

from torch import Tensor

from textwright.core.errors import InputError
from textwright.training.compute_weights import ComputeWeights, compute_weights
from textwright.training.config import ResolvedTrainConfig
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.optimizers import Optimizer
from textwright.training.parameter_plan import Stage

WEIGHTS, OPTIMIZER = "weights/", "optimizer/"


@dataclass
class Progress:
    """How far a run has come."""

    step: int = 0
    """Optimizer steps done; also the position in the data."""
    tokens: int = 0
    """Tokens learned from."""
    elapsed_s: float = 0.0
    """Seconds of training, over all sessions."""
    bad_steps: int = 0
    """Steps in a row whose update was not applied."""
    skipped_steps: int = 0
    """All such steps."""
    recent_losses: list[float] = field(default_factory=list)
    """The last hundred losses that were learned from, where the run looks out for spikes."""
    first_loss_nats: float | None = None
    """Loss of the first step."""
    best_step: int | None = None
    """The step of the best evaluation."""
    best: dict[str, float] = field(default_factory=dict)
    """The best evaluation's numbers."""
    evaluations_without_gain: int = 0
    """Evaluations since the best one."""
    lengths: list[dict[str, int]] = field(default_factory=list)
    """Of a run with minutes, how long it was to be from which step on: see ``clock.Length``."""


@dataclass
class TrainState:
    """Weights, objective parameters, optimizer and progress. Data and dropout need none: they follow from the step."""

    model_with_loss: ModelWithLoss
    optimizer: Optimizer
    progress: Progress
    compute: ComputeWeights
    """Computes losses with the weights, or with copies of them; it follows from them, and is not saved."""
    precision: str
    """Of what it computes with."""

    @classmethod
    def begin(cls, model_with_loss: ModelWithLoss, config: ResolvedTrainConfig) -> Self:
        """The state before the first step; which weights are trained is marked already."""
        compute = compute_weights(model_with_loss, config.precision)
        return cls(model_with_loss, Optimizer(model_with_loss, config), Progress(), compute, config.precision)

    def begin_stage(self, stage: Stage) -> None:
        """From here on train what a stage of the parameter plan has it; what trained before keeps its state."""
        self.model_with_loss.mark(stage)
        self.optimizer.apply_stage()
        self.compute = compute_weights(self.model_with_loss, self.precision)

    def state_dict(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All tensors by name, and all plain facts."""
        tensors = {WEIGHTS + name: value for name, value in self.model_with_loss.saved_state().items()}
        tensors |= {OPTIMIZER + name: value for name, value in self.optimizer.state_dict().items()}
        return tensors, vars(self.progress).copy()

    def load_state_dict(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Take over what ``state_dict`` gave.

        Raises:
            InputError: it belongs to another model or another optimizer.
        """
        self.load_weights(tensors)
        self.optimizer.load_state_dict(_below(OPTIMIZER, tensors))
        self.progress = Progress(**facts)

    def weights(self) -> dict[str, Tensor]:
        """The weights among ``state_dict``'s tensors."""
        return {name: value for name, value in self.state_dict()[0].items() if name.startswith(WEIGHTS)}

    def load_weights(self, tensors: dict[str, Tensor]) -> None:
        """Take over the weights alone.

        Raises:
            InputError: they belong to another model.
        """
        try:
            self.model_with_loss.load_saved_state(_below(WEIGHTS, tensors))
        except RuntimeError as error:
            raise InputError(
                f"the checkpoint is of another model: {error}", fix="resume with the config the run was begun with"
            ) from None
        self.compute.copy_from_master()


def _below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
