"""Text as it comes: whole characters, and nothing that may still turn out to be a stop text."""

from collections.abc import Sequence

from textwright.tokens import StreamDecoder, Tokenizer


class TextStream:
    """The text of one completion, token by token.

    ``push`` gives out what is certain: half a character, or an end that a stop text could begin with, waits.

    Attributes:
        text: everything that is certain so far.
        is_stopped: whether a stop text has come; it and what follows are not part of the text.
    """

    def __init__(self, tokenizer: Tokenizer, stops: Sequence[str]) -> None:
        self._decoder: StreamDecoder = tokenizer.stream()
        self._stops = tuple(stops)
        self._held = ""
        self.text = ""
        self.is_stopped = False

    def push(self, token_id: int) -> str:
        """Take one more token; returns the new text that is certain."""
        return self._take(self._decoder.push(token_id), is_last=False)

    def finish(self) -> str:
        """No more tokens will come; returns what was still held back."""
        return self._take(self._decoder.flush(), is_last=True)

    def _take(self, more: str, *, is_last: bool) -> str:
        if self.is_stopped:
            return ""
        waiting = self._held + more
        found = [place for stop in self._stops if (place := waiting.find(stop)) >= 0]
        if found:
            self.is_stopped = True
            certain, self._held = waiting[: min(found)], ""
        else:
            keep = 0 if is_last else self._could_begin_a_stop(waiting)
            cut = len(waiting) - keep
            certain, self._held = waiting[:cut], waiting[cut:]
        self.text += certain
        return certain

    def _could_begin_a_stop(self, text: str) -> int:
        """Length of the longest end of ``text`` with which a stop text begins."""
        longest = 0
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:length]):
                    longest = length
                    break
        return longest
