"""The suite ``gpt2``: what GPT-2's paper measured without training, by its protocols and by the common ones."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import Self

from textwright.core.progress import bar
from textwright.evaluation.language_modelling import checked_windows
from textwright.evaluation.suite.base import SuiteFigure, SuiteReport
from textwright.evaluation.suite.cloze import cloze_figures, cloze_notes
from textwright.evaluation.suite.cloze_file import read_cloze
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


class Gpt2Suite:
    """The suite's data, read before any model is.

    Args:
        files: the data; what no file is given for is left out.

    Raises:
        InputError: no file, or one that cannot be read or is none of its kind.
    """

    def __init__(self, files: SuiteFiles) -> None:
        files.check()
        self._left_out = files.left_out
        self._passages = read_passages(files.lambada) if files.lambada is not None else []
        self._wikitext = read_wikitext(files.wikitext) if files.wikitext is not None else None
        self._raw = read_raw_text(files.bytes) if files.bytes is not None else ""
        self._cloze = read_cloze(files.cloze) if files.cloze is not None else []

    def measure(
        self, model: Decoder, tokenizer: Tokenizer, *, window: int | None = None, stride: int | None = None
    ) -> SuiteReport:
        """Measure a model on what is given.

        Args:
            model: what predicts.
            tokenizer: the model's.
            window: tokens seen at most, by the protocols whose windows overlap; the model's context when not given.
            stride: tokens newly predicted in such a window; half of it when not given.

        Raises:
            InputError: a window the model cannot have.
        """
        window, stride = checked_windows(model, window, stride)
        figures = list[SuiteFigure]()
        with _Bars() as bars:
            if self._passages:
                progress = bars.begin("lambada", 2 * len(self._passages))
                figures += lambada_figures(model, tokenizer, self._passages, progress)
            if self._wikitext is not None:
                figures += wikitext_figures(model, tokenizer, self._wikitext, window, stride, bars.begin)
            if self._raw:
                figures += bits_per_byte_figures(model, tokenizer, self._raw, window, stride, bars.begin)
            if self._cloze:
                figures += cloze_figures(model, tokenizer, self._cloze, bars.begin)
        notes = [*(self._wikitext.notes() if self._wikitext is not None else ()), *cloze_notes(self._cloze)]
        return SuiteReport("gpt2", tuple(figures), self._left_out, tuple(notes))
