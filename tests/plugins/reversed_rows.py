"""A source of batches as a stranger would add it: windows that are read from their end, for a model that reads so."""

from textwright.core.world import World
from textwright.data.batch import Batch
from textwright.data.sources.base import SINGLE_PROCESS
from textwright.data.sources.windows import Windows


class ReversedRows(Windows):
    """The rows of ``Windows``, each token predicting the one before it."""

    kind = "toy-reversed"

    def batch(self, step: int, world: World = SINGLE_PROCESS) -> Batch:
        plain = super().batch(step, world)
        return plain.with_fields(input_ids=plain.target_ids.flip(1), target_ids=plain.input_ids.flip(1))
