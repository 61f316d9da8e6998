"""What a run will take, before its first step: memory, disk, time, and whether it makes sense."""

import math
from dataclasses import dataclass
from typing import Any

from textwright.data.sources.base import BatchSource
from textwright.training.config import ResolvedTrainConfig
from textwright.training.memory import Activations, free_bytes, optimizer_bytes, training_bytes
from textwright.training.model_with_loss import ModelWithLoss

MAX_EPOCHS = 4
"""Reading a text up to four times is nearly as good as new text; after that it is learned by heart.

Source: Muennighoff et al. 2023 (arXiv:2305.16264)."""
MIN_TOKENS_A_PARAMETER = 0.1
"""Below this a model hardly leaves its start. What is best for a given effort is about 20.

Source of the 20: Hoffmann et al. 2022 (arXiv:2203.15556)."""


@dataclass(frozen=True)
class Plan:
    """A run in figures."""

    parameters: int
    """Of the model."""
    steps: int
    """Optimizer steps."""
    tokens: int
    """Tokens learned from, each as often as it is read."""
    epochs: float
    """How often the text is read."""
    micro_batch_size: int
    """Rows computed at once."""
    memory_bytes: int
    """The most memory the process will hold."""
    disk_bytes: int
    """The most the run folder will hold, its token shards included."""
    warnings: tuple[str, ...]
    """What should be thought over first."""
    seconds: float | None = None
    """From the first step to the end, evaluations, samples and checkpoints included; None where it was not measured."""

    def as_json(self) -> dict[str, Any]:
        """The figures by the names that others rely on."""
        return vars(self) | {"warnings": list(self.warnings)}


def make_plan(
    model_with_loss: ModelWithLoss,
    batches: BatchSource,
    config: ResolvedTrainConfig,
    activations: Activations,
    *,
    saves: bool,
) -> Plan:
    """Foresee a run with a resolved config.

    Args:
        model_with_loss: on the device it will be trained on; nothing else has been made for the training yet.
        batches: what is learned from.
        config: with nothing left open.
        activations: of this training step.
        saves: whether the run has a folder.
    """
    device = next(model_with_loss.parameters()).device
    weights = sum(parameter.nbytes for parameter in model_with_loss.parameters())
    parameters = sum(parameter.numel() for parameter in model_with_loss.parameters())
    seen = config.steps * batches.tokens_per_step
    epochs = seen / max(1, batches.num_tokens)
    memory = training_bytes(model_with_loss, config, activations, saves=saves)
    checkpoint = weights + optimizer_bytes(model_with_loss, config)
    # Checkpoints and the one being written; the best model and its successor; the finished one.
    disk = batches.stored_bytes + (config.keep_checkpoints + 1) * checkpoint + 3 * weights if saves else 0
    if model_with_loss.frozen_states is not None:
        disk += model_with_loss.frozen_states.stored_bytes
    warnings = []
    if epochs > MAX_EPOCHS:
        enough = max(1, MAX_EPOCHS * batches.num_tokens // batches.tokens_per_step)
        warnings.append(
            f"the text is read {epochs:,.0f} times, and after about {MAX_EPOCHS} a model learns it by heart: train on "
            f"more text, with at most --steps {enough:,}, or a smaller model"
        )
    if seen < MIN_TOKENS_A_PARAMETER * parameters:
        warnings.append(
            f"{seen:,} tokens are few for {parameters:,} parameters: a smaller --model.preset learns more in this time"
        )
    if memory > free_bytes(device) + activations.used_bytes:
        warnings.append(
            f"{memory / 1e9:.1f} GB of memory are needed and {free_bytes(device) / 1e9:.1f} GB are free: use "
            "--activation-checkpointing, a smaller --sequence-length or a smaller --model.preset"
        )
    return Plan(parameters, config.steps, seen, epochs, config.micro_batch_size, memory, disk, tuple(warnings))


def describe_plan(plan: Plan) -> str:
    """The plan in a few lines for people."""
    lines = [
        f"plan: {plan.steps:,} steps, {plan.tokens:,} tokens, the text {plan.epochs:.2g} times; "
        f"micro-batches of {plan.micro_batch_size}; at most {plan.memory_bytes / 1e9:.2f} GB of memory and "
        f"{math.ceil(plan.disk_bytes / 1e6):,} MB of disk"
    ]
    return "\n".join([*lines, *(f"warning: {warning}" for warning in plan.warnings)])
