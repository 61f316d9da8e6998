"""A stream cut into as many lanes as a batch has rows, each read from its beginning to its end: for models that carry
a state from step to step."""

import numpy as np
import torch

from textwright.core.errors import InputError
from textwright.core.world import World
from textwright.data.batch import Batch
from textwright.data.dataset import TokenDataset
from textwright.data.sources.base import SINGLE_PROCESS, OverTokens, weigh_learned


class Lanes(OverTokens):
    """Rows that go on where the same row of the step before ended: truncated back-propagation through time.

    ::

        the stream    t h e | a t o m | o f | ...         step 0     step 1
        lane 0        t h e | a t o m                     t h e |    a t o m     a document begins with
        lane 1        | o f | ...                         | o f |    ...         the end token before it

    ``document_ids`` tell documents apart; ``continues`` says of each row whether its first token goes on with the
    document that the step before ended in. At the end of the lanes they begin anew, at the start of the stream.

    Args:
        tokens: the stream.
        batch_size: lanes, over all ranks.
        sequence_length: tokens of a lane in a step.

    Raises:
        InputError: the stream is too short for so many lanes.
    """

    kind = "lanes"

    def __init__(self, tokens: TokenDataset, *, batch_size: int, sequence_length: int) -> None:
        self.tokens, self.batch_size, self.sequence_length = tokens, batch_size, sequence_length
        self.steps_per_epoch = (tokens.num_tokens - 1) // batch_size // sequence_length
        if not self.steps_per_epoch:
            raise InputError(
                f"the text has {tokens.num_tokens:,} tokens",
                expected=f"at least {batch_size * sequence_length + 1:,}, a row for each lane and what follows",
                fix="give more text, fewer lanes (--batch-size), or a smaller --sequence-length",
            )
        # The end token before a document is what it is read from: there a state begins anew.
        self._begins = tokens.document_ends - 1

    def batch(self, step: int, world: World = SINGLE_PROCESS) -> Batch:
        """The next tokens of this rank's lanes."""
        start, stop = (self.batch_size * rank // world.size for rank in (world.rank, world.rank + 1))
        length, offset = self.sequence_length, step % self.steps_per_epoch * self.sequence_length
        lanes = np.arange(start, stop)
        firsts = lanes * self.steps_per_epoch * length + offset
        ids = np.stack([self.tokens.read(first, first + length + 1) for first in firsts.tolist()])
        places = firsts[:, None] + np.arange(length)
        documents = np.searchsorted(self._begins, places, side="right")
        # A document that begins in the very first place of a row does not go on.
        begins = np.isin(firsts, self._begins)
        return weigh_learned(Batch.from_ids(torch.from_numpy(ids)), self.tokens, firsts).with_fields(
            document_ids=torch.from_numpy(documents - documents[:, :1]),
            continues=torch.from_numpy(~begins & (offset > 0)),
            row_ids=torch.from_numpy(lanes),
        )
