"""Sentence vectors: the mean of a text's last hidden states."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer

POOLING = "mean of the last hidden states"


@dataclass(frozen=True)
class Embedded:
    """Vectors of texts."""

    vectors: Float[Tensor, "texts width"]
    num_long: int
    """Texts that are longer than the context, and were read in pieces."""


@torch.inference_mode()
def embed_texts(
    model: LanguageModel,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    rows: int = 16,
    progress: Callable[[int], None] = lambda _done: None,
) -> Embedded:
    """One vector a text: the mean over its tokens of the last hidden states, float32, on the CPU.

    A text longer than the context is read in pieces of the context's length, and all its tokens count alike. A
    text's vector does not depend on the others.

    Args:
        model: put into evaluation mode.
        tokenizer: the model's.
        texts: what to embed.
        rows: pieces computed at once. Does not change the result beyond rounding.
        progress: called with how many texts' worth of pieces is done so far.

    Raises:
        InputError: no text, or an empty one.
    """
    if not texts:
        raise InputError("no text to embed", expected="at least one")
    model.eval()
    pieces: list[tuple[int, list[int]]] = []
    num_long = 0
    for index, text in enumerate(texts):
        ids = tokenizer.encode(text)
        if not ids:
            raise InputError(f"text {index} is empty", expected="texts that are not empty")
        pieces += [(index, ids[at : at + model.context_length]) for at in range(0, len(ids), model.context_length)]
        num_long += len(ids) > model.context_length
    # Those of like length together: less is computed in vain. The longest first: they need the most memory.
    pieces.sort(key=lambda piece: -len(piece[1]))
    sums = torch.zeros(len(texts), model.hidden_size, dtype=torch.float64)
    counts = torch.zeros(len(texts), 1, dtype=torch.float64)
    for first in range(0, len(pieces), rows):
        chosen = pieces[first : first + rows]
        # A last id of no meaning: from_rows reads all but the last token of each row.
        batch = Batch.from_rows([[*ids, 0] for _, ids in chosen]).to(model.head_weight.device)
        hidden = model.hidden_states(model.embed(batch), batch).double()
        for row, (index, ids) in enumerate(chosen):
            sums[index] += hidden[row, : len(ids)].sum(dim=0).cpu()
            counts[index] += len(ids)
        progress(len(texts) * (first + len(chosen)) // len(pieces))
    return Embedded((sums / counts).float(), num_long)
