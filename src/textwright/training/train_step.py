"""One optimizer step: micro-batches, one loss, a clipped gradient, and no update from a loss that cannot be trusted."""

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.data.batch import Batch
from textwright.training.config import TrainConfig
from textwright.training.model_with_loss import Term, add_by_kind, mean_loss, task_losses
from textwright.training.schedules import learning_rate_fraction
from textwright.training.spikes import NUM_RECENT, deviations_above
from textwright.training.train_state import TrainState


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
    skip_reason: str | None
    """Why no weight moved: the loss or the gradient was not finite, or the loss was a spike. None when they did."""


def train_step(state: TrainState, batch: Batch, config: TrainConfig) -> StepResult:
    """Do one optimizer step on a batch with a decided config, and count it."""
    assert config.steps is not None
    assert config.warmup_steps is not None
    step = state.progress.step
    loss_nats, sums = forward_backward(state, batch, config)
    gradients = state.computing.gradients()
    norms = torch._foreach_norm(list(gradients.values()), 2, dtype=torch.float32)
    norm = torch.linalg.vector_norm(torch.stack(norms))
    totals = [term.total for term in sums.values()]
    loss, grad_norm, *of_terms = torch.stack([loss_nats, norm, *totals]).tolist()  # one wait for a GPU, not several

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
        state.optimizer.step(fraction, gradients, scale=scale, copies=state.computing.copies)
    state.computing.free_gradients()

    tokens = int(batch.loss_weight.count_nonzero())
    _count(state, loss, tokens, skip_reason is None)
    if skip_reason is None and config.loss_spike_threshold is not None:
        state.progress.recent_losses = [*state.progress.recent_losses[1 - NUM_RECENT :], loss]
    weights = {name: float(term.weight) for name, term in sums.items()}
    tasks = task_losses(dict(zip(sums, of_terms, strict=True)), weights)
    return StepResult(loss, grad_norm, fraction, tokens, tasks, skip_reason)


def forward_backward(state: TrainState, batch: Batch, config: TrainConfig) -> tuple[Float[Tensor, ""], dict[str, Term]]:
    """Fill the gradients of one step's loss, however the step is split into micro-batches.

    Returns:
        The loss: of each kind of term the sum of weight x loss over the sum of weight of the whole batch, in nats,
        together; and the sums and weights of all terms.
    """
    model_with_loss = state.model_with_loss
    device = next(model_with_loss.parameters()).device
    weights = model_with_loss.objective.weights(batch)  # known before the first backward pass
    denominators = add_by_kind(weights)
    if not all(weight > 0 for weight in denominators.values()):
        raise InputError(f"step {state.progress.step} has no token to learn from: all its weights are zero")
    denominators = {kind: weight.to(device) for kind, weight in denominators.items()}
    loss, sums = torch.zeros((), device=device), dict[str, Tensor]()
    micro_batch_size = config.micro_batch_size or batch.num_rows
    for first_row in range(0, batch.num_rows, micro_batch_size):
        torch.manual_seed(hash_u64("dropout", config.seed, state.progress.step, first_row))
        micro = batch.rows(first_row, min(first_row + micro_batch_size, batch.num_rows)).to(device)
        if first_row:
            state.computing.add_up()
        terms = state.computing.loss(micro).terms
        part = mean_loss(terms, denominators)
        part.backward()  # type: ignore[no-untyped-call]
        loss += part.detach()
        for name, term in terms.items():
            sums[name] = sums[name] + term.total.detach() if name in sums else term.total.detach()
    return loss, {name: Term(total, weights[name]) for name, total in sums.items()}


def _skip_reason(loss: float, grad_norm: float, state: TrainState, config: TrainConfig) -> str | None:
    """Why an update must not be applied, if so."""
    if not (math.isfinite(loss) and math.isfinite(grad_norm)):
        return f"loss {loss}, gradient norm {grad_norm}"
    if config.loss_spike_threshold is not None:
        deviations = deviations_above(loss, state.progress.recent_losses)
        if deviations > config.loss_spike_threshold:
            return f"loss {loss:.4f}, {deviations:.1f} deviations above the last {len(state.progress.recent_losses)}"
    return None


def _count(state: TrainState, loss: float, tokens: int, applied: bool) -> None:
    progress = state.progress
    progress.step += 1
    progress.bad_steps = 0 if applied else progress.bad_steps + 1
    progress.skipped_steps += not applied
    progress.tokens += tokens
    if progress.first_loss_nats is None:
        progress.first_loss_nats = loss if math.isfinite(loss) else None
