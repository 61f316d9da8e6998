"""A model that judges what others wrote, by how likely it finds it."""

from collections.abc import Callable, Sequence
from pathlib import Path

from textwright.evaluation.language_modelling import windows_of

Scorer = Callable[[Sequence[str]], Sequence[Sequence[float]]]
"""The log-probability of each token of texts, in nats: ``generation.scoring.score`` with a model and its tokenizer."""


def scorer_of(folder: Path) -> Scorer:
    """What scores texts by the model of a folder.

    A text that is longer than its context is read in windows that overlap by half.

    Raises:
        InputError: the folder holds none.
    """
    from textwright.checkpoint.model_folder import load_folder
    from textwright.generation.scoring import score

    network, tokenizer = load_folder(folder)
    network.eval()
    window = network.context_length

    def scores(texts: Sequence[str]) -> list[list[float]]:
        ids = [[*tokenizer.before_text, *tokenizer.encode(text)] for text in texts]
        parts = [list(windows_of(one, window, max(1, window // 2))) for one in ids]
        found = score(network, (part for some in parts for part in some))
        return [[value for _ in some for value in next(found).logprobs.tolist()] for some in parts]

    return scores
