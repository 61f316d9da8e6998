"""The table of strategies: functions that have a decoder write open rows to their end."""

from collections.abc import Sequence
from typing import Protocol

from textwright.generation import beam, contrastive, loop
from textwright.generation.filters import Filter
from textwright.generation.request import SamplingConfig, Strategy
from textwright.generation.row import Row
from textwright.models.protocols import Decoder


class Write(Protocol):
    """A strategy; see ``loop.write`` for what goes in."""

    def __call__(
        self,
        decoder: Decoder,
        rows: Sequence[Row],
        sampling: SamplingConfig,
        filters: Sequence[Filter],
        *,
        vocab_size: int,
    ) -> None:
        """Write all rows to their end."""


# ``SamplingConfig.strategy`` names one.
STRATEGIES: dict[Strategy, Write] = {
    "sample": loop.write,
    "beams": beam.write,
    "contrastive": contrastive.write,
}
