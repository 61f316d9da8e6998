"""Examples in the shape in which they are to be learned: one speaker's turns, control codes, filling in the middle.

::

    examples ──speak_as──> learned in part ──control──> a line before ──fim──> middle last ──> examples

What must lie in one row whole, a text with its control code, a dialogue, or a text whose middle comes last, is cut into
pieces that do, before its middle is: "context-level" filling in the middle, see Bavarian et al. 2022, section 4.4.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.data.control import ControlCodes, ValuesSeen
from textwright.data.examples import Example
from textwright.data.fill_in_middle import FillInMiddle, Middle, draw_middle, is_chosen, rearranged_ids
from textwright.data.pieces import cut_example
from textwright.text.speakers import OneSpeaker
from textwright.tokens.tokenizer import Tokenizer

NUM_SENTINELS = 3
MOST_ATTEMPTS = 4
"""To find places at which a text can be cut so that it still fits a row: words that are cut may have more tokens."""
SPARE_TOKENS = 8
"""Left free in pieces for that: most have no more of them."""
FEWEST_TOKENS = 8
"""Of a text in a row beside its control code and the sentinels."""


class Shaper:
    """Shapes examples, and knows afterwards what was in them.

    Args:
        tokenizer: the model's, the sentinel tokens among its added tokens where they are needed.
        max_tokens: of a row.
        fim: how many texts and pieces are rearranged, 0 to 1: chosen by their hash, whatever else there is.
        sentinels: those of the model; needed where ``fim`` is above 0.
        control: the field whose value stands before each text, or ``folder``.
        known: what was found where the model learns, for what it is validated on: other values are refused.
        speak_as: whose turns are learned; texts in which they say nothing are left out.
        seed: decides which texts are rearranged, and where they are cut.

    Raises:
        InputError: a number outside its range, or settings that do not go together.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        *,
        max_tokens: int,
        fim: float = 0.0,
        sentinels: FillInMiddle | None = None,
        control: str | None = None,
        known: ControlCodes | None = None,
        speak_as: str | None = None,
        seed: int = 0,
    ) -> None:
        if not 0 <= fim <= 1:
            raise InputError(f"fim = {fim}", expected="0 to 1, the share of texts whose middle comes last")
        if fim and speak_as is not None:
            raise InputError("fim with speak_as", expected="one of them", fix="a dialogue is learned in its order")
        assert not fim or sentinels is not None, "no sentinel tokens to fill in the middle"
        self._tokenizer, self._max_tokens, self._fim, self._seed = tokenizer, max_tokens, fim, seed
        self._sentinels = sentinels.ids(tokenizer) if fim and sentinels is not None else None
        self._sentinel_texts = sentinels.texts if sentinels is not None else ()
        self._values = ValuesSeen(control, known) if control is not None else None
        self._speaker = OneSpeaker(speak_as) if speak_as is not None else None
        self.num_rearranged = self.num_in_order = self.num_unfit = 0
        """Texts and pieces whose middle comes last; those that stay as they are; and those of them that would not have
        fitted a row once they were cut."""
        self.num_in_part = 0
        """Pairs, and texts of which spans are learned: their middle never comes last."""

    @property
    def control_codes(self) -> ControlCodes | None:
        """What to record of the control codes, once all examples have been gone through."""
        return self._values.codes() if self._values is not None else None

    @property
    def notes(self) -> list[str]:
        """What a person should know, once all examples have been gone through."""
        found = list[str]()
        if self._fim:
            total = self.num_rearranged + self.num_in_order
            unfit = f"; {self.num_unfit:,} too long for it" if self.num_unfit else ""
            found.append(f"{self.num_rearranged:,} of {total:,} texts and pieces have their middle last{unfit}")
        if self._fim and self.num_in_part:
            found.append(f"{self.num_in_part:,} of which a part is learned stay in their order")
        if self._values is not None:
            values = self._values.codes().values
            found.append(f"control codes: {len(values):,} values" if values else "control codes: any text")
        if self._speaker is not None:
            num_without = self._speaker.num_without
            left_out = f"; {num_without:,} texts without any left out" if num_without else ""
            found.append(f"{self._speaker.num_turns:,} turns are learned{left_out}")
        return found

    def apply(self, examples: Iterable[Example]) -> Iterator[Example]:
        """The examples in their shape, in their order; one may become several.

        Args:
            examples: texts and pairs; gone through once.

        Raises:
            InputError: an example without its control code, a speaker who never speaks, pairs where turns are to be
                learned, nothing whose middle could come last, or a row that is too short.
        """
        for example in examples:
            if self._speaker is not None:
                spans = self._spoken(self._speaker, example)
                if not spans:
                    continue
                example = replace(example, document=replace(example.document, spans=spans))
            if self._values is not None and (example.text.strip() or example.prompt is not None):
                example = self._values.with_control(example)
            is_whole = example.prompt is None and example.document.spans is None
            self.num_in_part += not is_whole
            if example.prompt is not None or not example.text.strip():
                yield example
            elif self._fim and is_whole:
                yield from self._rearranged(example)
            elif self._speaker is not None or (example.header and is_whole):
                yield from cut_example(example, self._tokenizer, self._room(example))
            else:
                yield example
        self._check_all_was_done()

    def _spoken(self, speaker: OneSpeaker, example: Example) -> tuple[tuple[int, int], ...]:
        if example.prompt is not None:
            raise InputError(
                "pairs with speak_as",
                where=example.document.source,
                expected="dialogues: of a pair the completion is learned, whoever speaks",
                fix="leave one of them out",
            )
        return speaker.spans(example.text)

    def _room(self, example: Example) -> int:
        """Tokens of a text in a row beside what begins it, its control code, the sentinels and its end."""
        beside = len(self._tokenizer.begin_ids) + len(self._tokenizer.encode(example.header)) + 1
        room = self._max_tokens - beside - (NUM_SENTINELS if self._fim else 0)
        if room < FEWEST_TOKENS:
            least = self._max_tokens - room + FEWEST_TOKENS
            where = example.document.source
            raise InputError(f"rows of {self._max_tokens:,} tokens", where=where, expected=f"at least {least:,}")
        return room

    def _rearranged(self, example: Example) -> Iterator[Example]:
        """The pieces of a text that are chosen, their middle last; those between them as they are, as few as can be.

        A text that fits no row is cut into pieces of any length that does, all equally likely: of pieces that fill a
        row a model learns that texts end where rows do, and not that a middle ends where it meets the suffix.
        """
        room, held = self._room(example), ""
        most = max(FEWEST_TOKENS, room - SPARE_TOKENS)

        def drawn_tokens(start: int) -> int:
            chance = hash_u64("fim piece", self._seed, start, example.text[start : start + most])
            return FEWEST_TOKENS + chance % (most - FEWEST_TOKENS + 1)

        pieces = list(cut_example(example, self._tokenizer, most, drawn_tokens))
        for piece in pieces:
            middle = self._middle(piece.text, room)
            self.num_rearranged += middle is not None
            self.num_in_order += middle is None
            if middle is None:
                held += piece.text
            if held and (middle is not None or piece is pieces[-1] or example.header):
                yield replace(example, text=held, is_last=middle is None and piece.is_last)
                held = ""
            if middle is not None:
                yield replace(example, text=piece.text, middle=middle)

    def _middle(self, text: str, room: int) -> Middle | None:
        """The middle of a text; None where it stays in its order."""
        is_text = bool(text.strip()) and not any(token in text for token in self._sentinel_texts)
        if not is_text or not is_chosen(text, self._fim, self._seed):
            return None
        assert self._sentinels is not None
        is_short = len(text.encode()) <= room
        for attempt in range(MOST_ATTEMPTS):
            middle = draw_middle(text, self._sentinels, self._seed, attempt)
            if is_short or len(rearranged_ids(text, middle, self._tokenizer)) <= room + NUM_SENTINELS:
                return middle
        self.num_unfit += 1
        return None

    def _check_all_was_done(self) -> None:
        if self._speaker is not None:
            self._speaker.check_was_heard()
        if self._fim and self.num_in_part and not self.num_rearranged + self.num_in_order:
            raise InputError(
                "fim with pairs or dialogues alone", expected="texts, which are learned whole", fix="leave fim out"
            )
