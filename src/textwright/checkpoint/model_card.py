"""The file of a model card, README.md: written where there is none, renewed where it is as we wrote it, else left.

``textwright.json`` remembers the hash of what was written. A card that somebody wrote or changed has another one.
"""

import hashlib
from pathlib import Path

from textwright.checkpoint.model_folder import CARD_HASHES, README, add_facts, has_card_of_ours, read_facts
from textwright.core.files import sha256_file, write_atomically
from textwright.core.user_paths import given_path

MARK = "<!-- Made by Textwright, which renews it as long as nobody changes it. -->"
"""A line of every card of ours."""


def write_card(folder: Path, text: str) -> bool:
    """Write the card of a model of ours. Returns whether that was done: a card that somebody else wrote, or changed,
    is left as it is.

    Raises:
        InputError: the folder holds no model of ours, or cannot be written.
    """
    card = folder / README
    with given_path(card):
        if card.is_symlink() or (card.exists() and not has_card_of_ours(folder)):
            return False
        # Killed between the two, the old card is still known for ours.
        old = [sha256_file(card)] if card.exists() else []
        before = read_facts(folder).get(CARD_HASHES)
        hashes = [hashlib.sha256(text.encode()).hexdigest(), *old]
        if before != hashes or not old or old[0] != hashes[0]:
            add_facts(folder, {CARD_HASHES: hashes})
            write_atomically(card, text)
    return True
