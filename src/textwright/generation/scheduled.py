"""What the scheduler knows of a text that is written."""

from dataclasses import dataclass, field

from textwright.generation.decoding import Decoding
from textwright.generation.prepare import Prepared


@dataclass(eq=False)
class Scheduled:
    """A client of the scheduler."""

    prepared: Prepared
    decoding: Decoding
    window: list[int] = field(default_factory=list)
    """What has to be read before it runs."""
    num_read: int = 0
    """Of the window."""
    leader: "tuple[Scheduled, int] | None" = None
    """Who reads the same beginning, and how long that is."""

    @property
    def slot(self) -> int:
        return self.decoding.slots[0]

    @property
    def held(self) -> list[int]:
        """What the slot holds of the text, once it runs; nothing where that cannot be said."""
        kept, start = self.decoding.num_kept, self.decoding.start
        return [] if kept is None else self.decoding.sequences[0].ids[start : start + kept]

    def may_share(self, beginning: list[int]) -> bool:
        """Whether what it holds, or will hold, may begin with these tokens: a short window says nothing of that."""
        return len(self.window) < len(beginning) or self.window[: len(beginning)] == beginning

    def waits_for(self, other: "Scheduled") -> bool:
        """Whether it reads on only after another has, itself or through those that it waits for."""
        task: Scheduled | None = self
        while task is not None and task is not other:
            task = task.leader[0] if task.leader is not None else None
        return task is not None
