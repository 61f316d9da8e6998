"""What a run will take, before its first step: memory, disk, time, and whether it makes sense."""

import math
from dataclasses import dataclass
from typing import Any

from textwright.data.sources.base import BatchSource
from textwright.training.config import ResolvedTrainConfig
from textwright.training.memory import Activations, free_bytes, optimizer_bytes, training_bytes
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.parameter_plan import Stage

MAX_EPOCHS = 4
"""Reading a text up to four times is nearly as good as new text; after that it is learned by heart.

Source: Muennighoff et al. 2023 (arXiv:2305.16264)."""
MIN_TOKENS_A_PARAMETER = 0.1
"""Below this a model hardly leaves its start. What is best for a given effort is about 20.

Source of the 20: Hoffmann et al. 2022 (arXiv:2203.15556)."""


@dataclass(frozen=True)
class PlannedStage:
    """What is trained from a step on."""

    from_step: int
    """The first step of the stage, from 0."""
    trained_parameters: int
    """How many numbers are trained."""
    step_seconds: float | None = None
    """Of a step; None where it was not measured."""


@dataclass(frozen=True)
class Plan:
    """A run in figures."""

    parameters: int
    """Of the model."""
    steps: int
    """Optimizer steps."""
    tokens: int
    """Tokens learned from, each as often as it is read; of a fine-tuning about so many."""
    epochs: float
    """How often the text is read; where old text is replayed, the new."""
    steps_per_epoch: float
    """Steps in which it is read once."""
    micro_batch_size: int
    """Rows computed at once."""
    memory_bytes: int
    """The most memory the process will hold."""
    disk_bytes: int
    """The most the run folder will hold, its token shards included."""
    stages: tuple[PlannedStage, ...]
    """What is trained when, the first from step 0 on."""
    warnings: tuple[str, ...]
    """What should be thought over first."""
    seconds: float | None = None
    """From the first step to the end, evaluations, samples and checkpoints included; None where it was not measured."""

    def as_json(self) -> dict[str, Any]:
        """The figures by the names that others rely on."""
        return vars(self) | {"warnings": list(self.warnings), "stages": [vars(stage) for stage in self.stages]}


def _run_bytes(model_with_loss: ModelWithLoss, config: ResolvedTrainConfig, *, is_taught: bool) -> int:
    """What a run writes: checkpoints and the one being written, the best model and its successor, the finished one; the
    model that it began with too, where it teaches one."""
    weights = sum(parameter.nbytes for parameter in model_with_loss.parameters())
    checkpoint = weights + optimizer_bytes(model_with_loss, config)
    return (config.keep_checkpoints + 1) * checkpoint + (3 + is_taught) * weights


def make_plan(
    model_with_loss: ModelWithLoss,
    batches: BatchSource,
    config: ResolvedTrainConfig,
    activations: Activations,
    *,
    saves: bool,
    steps_per_epoch: float | None = None,
) -> Plan:
    """Foresee a run with a resolved config.

    Args:
        model_with_loss: on the device it will be trained on; nothing else has been made for the training yet.
        batches: what is learned from.
        config: with nothing left open.
        activations: of this training step.
        saves: whether the run has a folder.
        steps_per_epoch: where a trained model is taught, the steps in which what is new is read once.
    """
    device = next(model_with_loss.parameters()).device
    parameters = sum(parameter.numel() for parameter in model_with_loss.parameters())
    is_taught = steps_per_epoch is not None
    # Of pairs a part is read only, and their rows are not full: the first step tells about how much is learned in one.
    learned = int(batches.batch(0).loss_weight.count_nonzero()) if is_taught else batches.tokens_per_step
    seen = config.steps * learned
    per_epoch = max(1, batches.num_tokens) / batches.tokens_per_step if steps_per_epoch is None else steps_per_epoch
    epochs = config.steps / per_epoch
    memory = training_bytes(model_with_loss, config, activations, saves=saves)
    kept = 0 if model_with_loss.frozen_states is None else model_with_loss.frozen_states.stored_bytes
    disk = kept + (batches.stored_bytes + _run_bytes(model_with_loss, config, is_taught=is_taught) if saves else 0)
    warnings = []
    if epochs > MAX_EPOCHS:
        enough = max(1, int(MAX_EPOCHS * per_epoch))
        warnings.append(
            f"the text is read {epochs:,.0f} times, and after about {MAX_EPOCHS} a model learns it by heart: train on "
            f"more text, {'or ' if is_taught else ''}with at most --steps {enough:,}"
            f"{'' if is_taught else ', or a smaller model'}"
        )
    if seen < MIN_TOKENS_A_PARAMETER * parameters and not is_taught:
        warnings.append(
            f"{seen:,} tokens are few for {parameters:,} parameters: a smaller --model.preset learns more in this time"
        )
    if memory > free_bytes(device) + activations.used_bytes:
        smaller = "a strategy that trains less, such as --strategy last" if is_taught else "a smaller --model.preset"
        warnings.append(
            f"{memory / 1e9:.1f} GB of memory are needed and {free_bytes(device) / 1e9:.1f} GB are free: use "
            f"--activation-checkpointing, a smaller --sequence-length or {smaller}"
        )
    return Plan(
        parameters=parameters,
        steps=config.steps,
        tokens=seen,
        epochs=epochs,
        steps_per_epoch=per_epoch,
        micro_batch_size=config.micro_batch_size,
        memory_bytes=memory,
        disk_bytes=disk,
        stages=planned_stages(model_with_loss, config),
        warnings=tuple(warnings),
    )


def planned_stages(model_with_loss: ModelWithLoss, config: ResolvedTrainConfig) -> tuple[PlannedStage, ...]:
    """The stages that a run comes to, with what each trains; not timed.

    Args:
        model_with_loss: marked by some stage.
        config: with the parameter plan and the steps.
    """
    return tuple(
        PlannedStage(
            stage.from_step,
            sum(parameter.numel() for parameter in model_with_loss.ever_trained((stage,)).values()),
        )
        for stage in config.parameter_plan or (Stage(),)
        if stage.from_step < config.steps
    )


def describe_plan(plan: Plan) -> str:
    """The plan in a few lines for people."""
    lines = [
        f"plan: {plan.steps:,} steps, {plan.tokens:,} tokens, the text {plan.epochs:.2g} times "
        f"({plan.steps_per_epoch:,.1f} steps each); micro-batches of {plan.micro_batch_size}; at most "
        f"{plan.memory_bytes / 1e9:.2f} GB of memory and {math.ceil(plan.disk_bytes / 1e6):,} MB of disk"
    ]
    for stage in plan.stages if plan.stages[0].trained_parameters < plan.parameters or len(plan.stages) > 1 else ():
        seconds = "" if stage.step_seconds is None else f", {stage.step_seconds:.2g} s a step"
        lines.append(
            f"from step {stage.from_step:,}: {stage.trained_parameters:,} of {plan.parameters:,} parameters{seconds}"
        )
    return "\n".join([*lines, *(f"warning: {warning}" for warning in plan.warnings)])
