"""The suite ``gpt2``: what GPT-2's paper measured without training, by its protocols and by the common ones."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from textwright.core.errors import InputError
from textwright.core.progress import bar
from textwright.evaluation.language_modelling import checked_windows
from textwright.evaluation.suite.base import SuiteFigure, SuiteReport
from textwright.evaluation.suite.cloze import cloze_figures, read_cloze
from textwright.evaluation.suite.files import SuiteFiles
from textwright.evaluation.suite.last_words import lambada_figures, read_passages
from textwright.evaluation.suite.raw_text import bits_per_byte_figures, read_raw_text
from textwright.evaluation.suite.wikitext import read_wikitext, wikitext_figures
from textwright.models.protocols import Decoder
from textwright.tokens import Tokenizer


class _Bars:
    """One bar after the other."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin(self, label: str, total: int) -> Callable[[int], None]:
        self._stack.close()
        return self._stack.enter_context(bar(label, total))


def gpt2_suite(
    model: Decoder, tokenizer: Tokenizer, files: SuiteFiles, *, window: int | None = None, stride: int | None = None
) -> SuiteReport:
    """Measure a model on what is given.

    Args:
        model: what predicts.
        tokenizer: the model's.
        files: the data; all of it is read before anything is measured.
        window: tokens seen at most, by the protocols whose windows overlap; the model's context when not given.
        stride: tokens newly predicted in such a window; half of it when not given.

    Raises:
        InputError: no file, one that cannot be read or is none of its kind, or a window the model cannot have.
    """
    if len(files.left_out) == len(SuiteFiles.model_fields):
        options = ", ".join(f"--{name}" for name in files.left_out)
        raise InputError("a suite without data", expected=f"a file after one of {options} at least")
    window, stride = checked_windows(model, window, stride)
    passages = read_passages(files.lambada) if files.lambada is not None else []
    wikitext = read_wikitext(files.wikitext) if files.wikitext is not None else None
    raw = read_raw_text(files.bytes) if files.bytes is not None else ""
    examples = read_cloze(files.cloze) if files.cloze is not None else []
    figures = list[SuiteFigure]()
    with _Bars() as bars:
        if passages:
            progress = bars.begin("lambada", 2 * len(passages))
            figures += lambada_figures(model, tokenizer, passages, progress)
        if wikitext is not None:
            figures += wikitext_figures(model, tokenizer, wikitext, window, stride, bars.begin)
        if raw:
            figures += bits_per_byte_figures(model, tokenizer, raw, window, stride, bars.begin)
        if examples:
            figures += cloze_figures(model, tokenizer, examples, bars.begin)
    notes = tuple(wikitext.notes()) if wikitext is not None else ()
    return SuiteReport("gpt2", tuple(figures), files.left_out, notes)
