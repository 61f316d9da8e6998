"""Whether matrix products run in bfloat16, and the context in which they do."""

import contextlib
from typing import cast

import torch
from torch import Tensor
from torch.func import functional_call

from textwright.core.device import Precision, PrecisionRates, measure_products, measure_rates
from textwright.data.batch import Batch
from textwright.models.catalog import build
from textwright.models.language_model import LanguageModel
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import Loss, ModelWithLoss
from textwright.training.optimizers import hidden_matrices

PROBE_FLOPS = 6e9
"""Of one pass of what is timed: some hundredths of a second on two cores."""
PROBE_VOCABULARY = 1024
HOPELESS = 3.0
"""Where products alone are so many times slower in bfloat16, as where it is emulated, nothing more is timed."""


class StepProbe:
    """A step in small: forward and backward of one of a model's blocks, and of a small head.

    Attributes:
        flops: floating-point operations of one, about.

    Args:
        model: it is left alone.
        batch_size: rows of text that are computed at once; fewer are taken where the model is large.
        sequence_length: tokens in a row; the same.
    """

    def __init__(self, model: LanguageModel, *, batch_size: int, sequence_length: int) -> None:
        config, device = model.config, model.device
        self.hidden_size = model.hidden_size
        small = build(config.reduced(num_layers=1, vocab_size=PROBE_VOCABULARY)).to(device)
        probe = ModelWithLoss(small, CausalLMLoss()).train()
        flops_per_token = 6.0 * sum(parameter.numel() for parameter in probe.parameters() if parameter.ndim == 2)
        num_tokens = max(16, int(PROBE_FLOPS / flops_per_token))
        length = min(sequence_length, num_tokens)
        rows = max(1, min(batch_size, num_tokens // length))
        self.flops = flops_per_token * rows * length
        self._batch = Batch.from_ids(torch.zeros(rows, length + 1, dtype=torch.int64, device=device))
        self._probe, self._kinds = probe, dict[Precision, Float32Weights]()

    def run(self, precision: Precision) -> None:
        """Do it once."""
        if precision not in self._kinds:
            self._kinds[precision] = computing_weights(self._probe, precision)
        weights = self._kinds[precision]
        weights.loss(self._batch).total.backward()  # type: ignore[no-untyped-call]
        weights.free_gradients()
        weights.refresh()

    def measure_rates(self) -> PrecisionRates:
        """How fast it goes in either precision.

        Products alone would say too little: casting costs time too, and narrow models do not get it back. Takes about
        half a second on a CPU.
        """
        products = measure_products(32, self.hidden_size)
        if products.float32 > HOPELESS * products.bfloat16:
            return products
        return measure_rates(self.run, self.flops)


def autocast(device: torch.device, precision: Precision) -> contextlib.AbstractContextManager[object]:
    """The context for a forward pass: products in ``precision``; weights stay float32."""
    if precision == "float32":
        return contextlib.nullcontext()
    return torch.autocast(device.type, dtype=torch.bfloat16)


class Float32Weights:
    """A training step computed with its own weights.

    Attributes:
        copies: what the step is computed with instead of its weights, by weight; the optimizer moves them too.
    """

    def __init__(self, model_with_loss: ModelWithLoss) -> None:
        self._train_step = model_with_loss
        self._trained = [parameter for parameter in model_with_loss.parameters() if parameter.requires_grad]
        self.copies: dict[Tensor, Tensor] = {}

    def loss(self, batch: Batch) -> Loss:
        """The loss of a micro-batch."""
        return cast(Loss, self._train_step(batch))

    def add_up(self) -> None:
        """Between the backward passes of two micro-batches: see that their gradients add up in float32."""

    def gradients(self) -> dict[Tensor, Tensor]:
        """What the backward passes left, by weight; float32, or bfloat16 where there was only one of them."""
        return {parameter: parameter.grad for parameter in self._trained if parameter.grad is not None}

    def free_gradients(self) -> None:
        """Forget the gradients and their memory."""
        for parameter in self._trained:
            parameter.grad = None

    def refresh(self) -> None:
        """After the weights were set: see that the next loss is computed with the new ones."""


class BFloat16Weights(Float32Weights):
    """A training step computed with bfloat16 copies of its matrices.

    They are made once per optimizer step, not once per micro-batch. The float32 originals are what the optimizer moves
    and what is saved; embeddings, norms and biases are used as they are.
    """

    def __init__(self, model_with_loss: ModelWithLoss) -> None:
        super().__init__(model_with_loss)
        trained = dict(model_with_loss.named_parameters())
        self._named = {name: trained[name].detach().bfloat16() for name in hidden_matrices(model_with_loss)}
        for name, copy in self._named.items():
            copy.requires_grad_()
            self.copies[trained[name]] = copy

    def loss(self, batch: Batch) -> Loss:
        with torch.autocast(batch.input_ids.device.type, dtype=torch.bfloat16):
            return cast(Loss, functional_call(self._train_step, self._named, (batch,)))

    @torch.no_grad()
    def add_up(self) -> None:
        for original, copy in self.copies.items():
            if copy.grad is None:
                continue
            if original.grad is None:
                original.grad = copy.grad.float()
            else:
                original.grad += copy.grad
            copy.grad = None

    def gradients(self) -> dict[Tensor, Tensor]:
        if any(original.grad is not None for original in self.copies):
            self.add_up()
        of_copies = {original: copy.grad for original, copy in self.copies.items() if copy.grad is not None}
        return super().gradients() | of_copies

    def free_gradients(self) -> None:
        super().free_gradients()
        for copy in self._named.values():
            copy.grad = None

    @torch.no_grad()
    def refresh(self) -> None:
        torch._foreach_copy_(list(self.copies.values()), list(self.copies))


def computing_weights(model_with_loss: ModelWithLoss, precision: str | None) -> Float32Weights:
    """How a training step computes at a decided precision."""
    return BFloat16Weights(model_with_loss) if precision == "bfloat16" else Float32Weights(model_with_loss)
