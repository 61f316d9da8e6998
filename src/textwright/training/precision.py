"""Whether matrix products run in bfloat16, and the context in which they do."""

import contextlib

import torch

from textwright.core.device import Precision, PrecisionRates, measure_products, measure_rates
from textwright.data.batch import Batch
from textwright.models.catalog import build
from textwright.models.language_model import LanguageModel
from textwright.training.compute_weights import ComputeWeights, compute_weights
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import ModelWithLoss

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
        self._probe, self._kinds = probe, dict[Precision, ComputeWeights]()

    def run(self, precision: Precision) -> None:
        """Do it once."""
        if precision not in self._kinds:
            self._kinds[precision] = compute_weights(self._probe, precision)
        weights = self._kinds[precision]
        weights.loss(self._batch).total.backward()  # type: ignore[no-untyped-call]
        weights.zero_grad()
        weights.copy_from_master()

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
