"""Where a text ends: stop strings, found in text that comes in pieces."""

from collections.abc import Sequence


class StopStrings:
    """Lets text through until a stop string is complete, and nothing of the stop string.

    What could still become a stop string is held back::

        stop "END"      push "the E"  -> "the "      held "E"
                        push "N"      -> ""          held "EN"
                        push "ough"   -> "ENough"
                        push "END."   -> ""          found

    Of several stop strings the one that is complete first counts, and of those complete at the same character the
    longest: so the result does not depend on how the text was cut into pieces.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.found: str | None = None
        """The stop string that ended the text."""

    def push(self, text: str) -> str:
        """More text; returns what is certain to stand before any stop string."""
        assert self.found is None, "the text has ended"
        text = self._held + text
        matches = [(start + len(stop), start) for stop in self._stops if (start := text.find(stop)) >= 0]
        if matches:
            end, start = min(matches)
            self.found, self._held = text[start:end], ""
            return text[:start]
        cut = len(text) - self._length_of_beginning(text)
        self._held = text[cut:]
        return text[:cut]

    def flush(self) -> str:
        """What was held back: no more text will complete it."""
        text, self._held = self._held, ""
        return text

    def _length_of_beginning(self, text: str) -> int:
        """Length of the longest end of ``text`` with which a stop string begins."""
        longest = 0
        for stop in self._stops:
            for length in range(min(len(stop) - 1, len(text)), longest, -1):
                if text.endswith(stop[:length]):
                    longest = length
                    break
        return longest
