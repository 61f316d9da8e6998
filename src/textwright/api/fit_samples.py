"""What a model writes while it is taught: the same beginnings before the first step, on the way and at the end."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

from textwright.data.dataset import DataSplits, TokenDataset
from textwright.data.documents import rows_of
from textwright.generation.generate import generate
from textwright.generation.request import Request, SamplingConfig
from textwright.models.language_model import LanguageModel
from textwright.models.network import Network
from textwright.tokens import Tokenizer

NUM_PROMPTS = 3
NUM_OF_TEXT = 8
"""Tokens of the beginning of a text that is learned whole: at most half of it."""
SAMPLE = SamplingConfig(max_new_tokens=60, temperature=0.8, top_p=0.95)


@dataclass(frozen=True)
class FitSamples:
    """Beginnings, and how they are continued.

    Attributes:
        tokenizer: the model's.
        prompts: texts that were asked for, or token ids as they stand in the data.
    """

    tokenizer: Tokenizer
    prompts: Sequence[str | Sequence[int]]

    @classmethod
    def of(cls, splits: DataSplits, tokenizer: Tokenizer, given: Sequence[str], context_length: int) -> Self:
        """The samples of a fine-tuning.

        Args:
            splits: what is learned, and held out.
            tokenizer: the model's.
            given: beginnings that were asked for; none: those of examples that are held out, or learned.
            context_length: of the model; of longer beginnings the end is taken.
        """
        if given:
            return cls(tokenizer, given)
        tokens = splits.train if splits.val is None else splits.val
        found = dict.fromkeys(_beginnings(tokens, tokenizer, context_length))
        return cls(tokenizer, list(found)[:NUM_PROMPTS] or ("",))

    def take(self, model: Network) -> dict[str, Any]:
        """What a model makes of them, as the fields of a ``sample`` row."""
        assert isinstance(model, LanguageModel)
        shown = [prompt if isinstance(prompt, str) else self.tokenizer.decode(prompt) for prompt in self.prompts]
        asked = [Request(prompt, SAMPLE, shown=text) for prompt, text in zip(self.prompts, shown, strict=True)]
        completions = generate(model, self.tokenizer, asked, SAMPLE)
        texts = [text + completion.text for text, completion in zip(shown, completions, strict=True)]
        return {"text": texts[0], "texts": texts, "prompts": shown}


def _beginnings(tokens: TokenDataset, tokenizer: Tokenizer, most: int) -> Iterator[tuple[int, ...]]:
    """Of the first documents: what is read before anything is learned or, where all is learned, a few tokens."""
    starts = [0, *tokens.document_ends[: 10 * NUM_PROMPTS].tolist()]
    known = None if tokens.documents is None else rows_of(tokens.documents)
    num_begin, special = len(tokenizer.begin_ids), set(tokenizer.special_ids.values())
    for start, stop in pairwise(starts):
        spans = None if known is None else next(known).spans
        ids = tuple(tokens.read(start, stop).tolist())
        text, given = ids[num_begin:], ids[: spans[0][0]] if spans else ()
        if given:
            yield given[-most:]
        elif len(text) > 1 and text[0] not in special:  # sentinel tokens begin no text
            yield ids[: num_begin + min(NUM_OF_TEXT, len(text) // 2, most)]
