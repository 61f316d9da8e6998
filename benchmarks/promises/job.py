"""What every program is asked, as plain data: no package is needed to read it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

Ids = list[list[int]]
"""Token ids, text by text."""

SEED = 7
TEMPERATURE, TOP_K = 0.5, 5
"""Of the texts whose log-probabilities are looked at."""
PENALTY = 5.0
NUM_BEAMS = 4
FEW = 8
"""Of the prompts, where texts are searched for or written twice."""
NOT_OFFERED = "not offered"


@dataclass(frozen=True)
class Job:
    """Folders and prompts."""

    model: str
    """A Hugging Face folder: GPT-2's layout, with its tokenizer."""
    draft: str
    """The same with noise on its weights."""
    context: int
    eos_id: int
    new_tokens: int
    """Of every text, unless something else is said."""
    prompts: Ids
    """Of several lengths."""
    stops: list[tuple[list[int], str, str]]
    """Prompt, stop text, and what a greedy text holds before it. The stop text begins and ends within a token."""
    repeating: list[tuple[list[int], int]]
    """Prompts, and the likeliest next token of each: one that the prompt holds, and another one under the penalty."""
    beam_new_tokens: int
    end_ids: list[int]
    """Tokens that end a text, where beams are to meet an end."""
    long_text: list[int]
    """More tokens than the context holds."""

    @classmethod
    def read(cls, path: Path) -> "Job":
        """From a file that ``write`` made."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    def write(self, path: Path) -> None:
        """As JSON."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    def before_end(self, ids: Iterable[int], *ends: int) -> list[int]:
        """A text without its end token, and what a batch was filled up with."""
        found = list(ids)
        places = [found.index(end) for end in {self.eos_id, *ends} if end in found]
        return found[: min(places)] if places else found


def same(texts: Sequence[Any], others: Sequence[Any]) -> str:
    """How many are equal: ``31 of 32``."""
    assert len(texts) == len(others)
    return f"{sum(one == other for one, other in zip(texts, others, strict=True))} of {len(texts)}"


def outcome(error: Exception) -> str:
    """What came instead of a text: by kind, the message's first line beside it."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:90]}"


def what_is_counted(job: Job, first: Sequence[int], free: Ids, penalised: Ids) -> str:
    """What a repetition penalty counts.

    Args:
        first: of each of ``job.repeating``, the next token under the penalty.
        free, penalised: texts without and with the penalty, the prompt left out.
    """
    changed = sum(token_id != usual for token_id, (_, usual) in zip(first, job.repeating, strict=True))
    prompt = {len(first): "prompt", 0: ""}.get(changed, f"prompt in {changed} of {len(first)}")
    repeats = [sum(len(ids) - len(set(ids)) for ids in texts) for texts in (free, penalised)]
    return " and ".join(filter(None, (prompt, "text" if repeats[1] < repeats[0] / 2 else ""))) or "nothing"
