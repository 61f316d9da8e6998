"""One optimizer step: micro-batches, one loss, a clipped gradient, and no update from a loss that cannot be trusted."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textwright.core.seeds import hash_u64
from textwright.core.world import World
from textwright.data.batch import Batch
from textwright.data.sources.base import SINGLE_PROCESS
from textwright.training.config import ResolvedTrainConfig
from textwright.training.model_with_loss import add_by_kind, kind_losses, mean_loss, task_losses
from textwright.training.ranks import reduce_gradients
from textwright.training.schedules import learning_rate_fraction
from textwright.training.spikes import NUM_RECENT, deviations_above
from textwright.training.train_state import TrainState

NOTHING_TO_LEARN = "there is nothing to learn from: all weights of its rows are zero"


@dataclass(frozen=True)
class StepResult:
    """What one optimizer step did."""

    loss_nats: float
    """The step's loss, over all its micro-batches."""
    grad_norm: float
    """The gradient's norm before clipping."""
    fraction: float
    """The learning rate as a fraction of its highest."""
    tokens: int
    """Tokens learned from."""
    task_losses: dict[str, float]
    """The loss of each task in nats, where the batch has several."""
    kind_losses: dict[str, float]
    """The mean of each kind of term, where there are several: ``loss_nats`` is their sum."""
    skip_reason: str | None
    """Why no weight moved: the loss or the gradient was not finite, or the loss was a spike. None when they did."""


def train_step(
    state: TrainState, batch: Batch, config: ResolvedTrainConfig, world: World = SINGLE_PROCESS
) -> StepResult:
    """Do one optimizer step with a resolved config, and count it.

    Args:
        state: of the same values on every rank.
        batch: this rank's rows.
        config: resolved.
        world: the ranks whose rows make up the step.
    """
    step = state.progress.step
    whole = _gather_step(state.model_with_loss.objective.weights(batch), batch, world)
    if not any(weight > 0 for weight in whole.weights.values()):
        _count(state, math.nan, whole.tokens, applied=False)
        return StepResult(math.nan, math.nan, 0.0, whole.tokens, {}, {}, NOTHING_TO_LEARN)
    loss_nats, sums = forward_backward(state, batch, config, whole)
    gradients = reduce_gradients(state.compute.gradients(), state.optimizer.parameters, world)
    norms = torch._foreach_norm(list(gradients.values()), 2, dtype=torch.float32)
    norm = torch.linalg.vector_norm(torch.stack(norms))
    zero = torch.zeros_like(loss_nats)
    figures = torch.stack([loss_nats, *(sums.get(name, zero) for name in whole.weights)])
    world.add([figures])
    grad_norm, loss, *totals = torch.cat([norm[None], figures]).tolist()  # one wait for a GPU, not several

    skip_reason = _skip_reason(loss, grad_norm, state, config)
    fraction = learning_rate_fraction(
        step,
        steps=config.steps,
        schedule=config.schedule,
        warmup_steps=config.warmup_steps,
        decay_fraction=config.decay_fraction,
        min_lr_ratio=config.min_lr_ratio,
        lengths=[(length["from_step"], length["steps"]) for length in state.progress.lengths],
    )
    if skip_reason is None:
        # Clipping is a factor that the optimizer applies as it reads the gradients, not a pass of its own.
        scale = min(1.0, config.max_grad_norm / (grad_norm + 1e-6))
        state.optimizer.step(fraction, gradients, scale=scale, copies=state.compute.compute_copies)
    state.compute.zero_grad()

    _count(state, loss, whole.tokens, applied=skip_reason is None)
    if skip_reason is None and config.loss_spike_threshold is not None:
        state.progress.recent_losses = [*state.progress.recent_losses[1 - NUM_RECENT :], loss]
    weights = {name: float(weight) for name, weight in whole.weights.items()}
    sums_by_name = dict(zip(weights, totals, strict=True))
    tasks, kinds = task_losses(sums_by_name, weights), kind_losses(sums_by_name, weights)
    return StepResult(loss, grad_norm, fraction, whole.tokens, tasks, kinds, skip_reason)


@dataclass(frozen=True)
class WholeStep:
    """What the rows of all ranks come to, known before the first backward pass."""

    weights: Mapping[str, Tensor]
    """The weights of all terms, by name."""
    tokens: int
    """Tokens learned from."""
    first_row: int
    """This rank's first row among those of all."""


def forward_backward(
    state: TrainState, batch: Batch, config: ResolvedTrainConfig, whole: WholeStep | None = None
) -> tuple[Float[Tensor, ""], dict[str, Float[Tensor, ""]]]:
    """Fill the gradients of this rank's part of a step's loss, however it is split into micro-batches.

    Args:
        state: its weights get the gradients.
        batch: this rank's rows.
        config: resolved.
        whole: the step of all ranks; the batch's own when not given.

    Returns:
        This rank's part of the loss: of each kind of term the sum of weight x loss over the sum of weight of the whole
        step, in nats, together; and the sums of the terms.
    """
    model_with_loss = state.model_with_loss
    device = next(model_with_loss.parameters()).device
    step = state.progress.step
    whole = whole or _gather_step(model_with_loss.objective.weights(batch), batch, SINGLE_PROCESS)
    # A kind without any weight in this step adds nothing to its sum, whatever that is divided by.
    weights = {kind: weight if weight > 0 else torch.ones(()) for kind, weight in add_by_kind(whole.weights).items()}
    denominators = {kind: weight.to(device) for kind, weight in weights.items()}
    loss, sums = torch.zeros((), device=device), dict[str, Tensor]()
    micro_batch_size = config.micro_batch_size
    for first_row in range(0, batch.num_rows, micro_batch_size):
        torch.manual_seed(hash_u64("dropout", config.seed, step, whole.first_row + first_row))
        micro = batch.rows(first_row, min(first_row + micro_batch_size, batch.num_rows)).to(device)
        terms = state.compute.loss(micro).terms
        part = mean_loss(terms, denominators)
        part.backward()  # type: ignore[no-untyped-call]
        loss += part.detach()
        for name, term in terms.items():
            sums[name] = sums[name] + term.total.detach() if name in sums else term.total.detach()
    return loss, sums


def _gather_step(weights: Mapping[str, Tensor], batch: Batch, world: World) -> WholeStep:
    """Add up what the ranks' rows weigh, so that each can divide by the denominators of all."""
    tokens, first_row = int(batch.loss_weight.count_nonzero()), 0
    if world.size > 1:
        own = {name: float(weight) for name, weight in weights.items()}
        ranks = world.gather({"weights": own, "tokens": tokens, "rows": batch.num_rows})
        names = dict.fromkeys(name for rank in ranks for name in rank["weights"])
        weights = {name: torch.tensor(sum(rank["weights"].get(name, 0.0) for rank in ranks)) for name in names}
        tokens, first_row = sum(rank["tokens"] for rank in ranks), sum(rank["rows"] for rank in ranks[: world.rank])
    return WholeStep(weights, tokens, first_row)


def _skip_reason(loss: float, grad_norm: float, state: TrainState, config: ResolvedTrainConfig) -> str | None:
    """Why an update must not be applied, if so."""
    if not (math.isfinite(loss) and math.isfinite(grad_norm)):
        return f"loss {loss}, gradient norm {grad_norm}"
    if config.loss_spike_threshold is not None:
        deviations = deviations_above(loss, state.progress.recent_losses)
        if deviations > config.loss_spike_threshold:
            return f"loss {loss:.4f}, {deviations:.1f} deviations above the last {len(state.progress.recent_losses)}"
    return None


def _count(state: TrainState, loss: float, tokens: int, *, applied: bool) -> None:
    progress = state.progress
    progress.step += 1
    progress.bad_steps = 0 if applied else progress.bad_steps + 1
    progress.skipped_steps += not applied
    progress.tokens += tokens
    if progress.first_loss_nats is None:
        progress.first_loss_nats = loss if math.isfinite(loss) else None
