"""The slots of a cache that nobody uses, and what they still hold: a text that begins alike need not be read again."""

from collections.abc import Hashable
from collections.abc import Sequence as Several
from dataclasses import dataclass

from textwright.generation.text_index import length_in_common


@dataclass(frozen=True)
class Held:
    """What a slot holds.

    Attributes:
        ids: of a text.
        source_key: what it is about; see ``Prepared``.
        base: tokens that stand before the text: a prefix.
    """

    ids: Several[int] = ()
    source_key: Hashable = None
    base: int = 0


@dataclass(frozen=True)
class Kept:
    """What a text need not have read: its first ``num_tokens``, which a slot holds after ``base`` others."""

    slot: int
    num_tokens: int
    base: int


class FreeSlots:
    """Slots by their number, with what they hold."""

    def __init__(self, num_slots: int, can_crop: bool) -> None:
        """
        Args:
            num_slots: of the cache.
            can_crop: whether a part of what a slot holds can be kept.
        """
        self._held = dict.fromkeys(range(num_slots), Held())
        self._can_crop = can_crop

    def __len__(self) -> int:
        return len(self._held)

    def take(self, count: int, wanted: Held | None) -> tuple[list[int], Kept]:
        """Slots for a client, the first of them that which holds most of what it begins with.

        Args:
            count: how many; there are so many.
            wanted: what the first is to hold at the end; None where nothing can be kept.
        """
        kept = {slot: self._num_kept(held, wanted) for slot, held in self._held.items()}
        # Of those that help nobody the one that holds least, then the lowest: slots in use lie close together.
        order = sorted(kept, key=lambda slot: (-kept[slot], len(self._held[slot].ids), slot))
        first = Kept(order[0], kept[order[0]], self._held[order[0]].base)
        chosen = [order[0], *sorted(order[1:])[: count - 1]]
        for slot in chosen:
            del self._held[slot]
        return chosen, first

    def best(self, wanted: Held) -> Kept | None:
        """The slot that holds most of what a text begins with, to be copied; None where none holds any."""
        found = [Kept(slot, self._num_kept(held, wanted), held.base) for slot, held in self._held.items()]
        best = max(found, key=lambda kept: kept.num_tokens, default=None)
        return best if best is not None and best.num_tokens else None

    def give_back(self, slots: Several[int], first: Held) -> None:
        """Slots that a client leaves, with what the first of them holds."""
        self._held |= dict.fromkeys(slots, Held()) | {slots[0]: first}

    def _num_kept(self, held: Held, wanted: Held | None) -> int:
        """How many tokens of a text need not be read; the last one always is, for what comes after it."""
        if wanted is None or not held.ids or held.source_key != wanted.source_key:
            return 0
        same = min(length_in_common(held.ids, wanted.ids), len(wanted.ids) - 1)
        return same if self._can_crop or same == len(held.ids) else 0
