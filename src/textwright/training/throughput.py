"""How fast a run goes."""

from collections import deque


class Throughput:
    """Tokens per second of optimizer steps, over the session and lately."""

    def __init__(self) -> None:
        self._recent: deque[tuple[int, float]] = deque(maxlen=20)
        self._tokens, self._seconds = 0, 0.0

    def add(self, tokens: int, seconds: float) -> None:
        """Count a step."""
        self._recent.append((tokens, seconds))
        self._tokens += tokens
        self._seconds += seconds

    @property
    def tokens_per_s(self) -> float:
        """Of the session's steps."""
        return self._tokens / self._seconds if self._seconds else 0.0

    @property
    def recent_tokens_per_s(self) -> float:
        """Of the latest steps."""
        seconds = sum(seconds for _, seconds in self._recent)
        return sum(tokens for tokens, _ in self._recent) / seconds if seconds else 0.0
