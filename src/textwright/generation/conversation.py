"""A dialogue with a model: what was said, what the model is shown of it, and its answers. Torch-free."""

import time
from collections.abc import Callable

from textwright.core.errors import InputError
from textwright.generation.request import Completion, SamplingConfig
from textwright.text.dialogue import DialogueFormat, Rendered, Turn, render_within

Show = Callable[[str], None]
Complete = Callable[[Rendered, SamplingConfig, Show], Completion]
"""Continues one prompt, and shows the text as it grows."""


class Conversation:
    """What was said, and answers to it.

    Attributes:
        turns: the user's and the assistant's, one after the other.
        system: what stands above them all; may be changed at any time.
        has_forgotten: whether the dialogue outgrew the model's context, so that the model no longer saw all of it.
        num_tokens: written in all answers that came to their end.
        elapsed_s: how long those took.

    Args:
        complete: continues a prompt.
        count_tokens: how many tokens a text has.
        context_length: the most tokens that the model sees.
        style: how the dialogue is written down for the model.
        sampling: of all answers. The first has its seed, every further one the next seed.
        system: see above.
    """

    def __init__(
        self,
        complete: Complete,
        count_tokens: Callable[[Rendered], int],
        context_length: int,
        style: DialogueFormat,
        sampling: SamplingConfig,
        system: str = "",
    ) -> None:
        self.turns: list[Turn] = []
        self.system = system
        self.has_forgotten = False
        self.num_tokens, self.elapsed_s = 0, 0.0
        self._complete, self._count_tokens, self._context_length = complete, count_tokens, context_length
        self._style, self._sampling = style, sampling
        self._seed = sampling.seed

    def say(self, text: str, on_text: Show) -> None:
        """The user's turn, and the model's answer to it.

        An answer that a KeyboardInterrupt stops is kept as far as it came, and the interrupt goes on. After any other
        error nothing was said.

        Raises:
            InputError: the turn does not fit the context, or is no text.
        """
        self._answer([*self.turns, Turn("user", text)], on_text)

    def retry(self, on_text: Show) -> None:
        """Another answer in the place of the last. Raises InputError when there is none."""
        self._check_something_was_said()
        self._answer(self.turns[:-1], on_text)

    def undo(self) -> None:
        """Take back the user's last turn with its answer. Raises InputError when there is none."""
        self._check_something_was_said()
        self.turns = self.turns[:-2]

    def reset(self) -> None:
        """Forget every turn. The system text stays."""
        self.turns, self.has_forgotten = [], False

    def as_json(self) -> list[dict[str, str]]:
        """Role and text of each turn; the system text, if any, comes first."""
        above = [{"role": "system", "text": self.system}] if self.system else []
        return above + [{"role": turn.role, "text": turn.text} for turn in self.turns]

    def _check_something_was_said(self) -> None:
        if not self.turns:
            raise InputError("nothing was said yet", fix="say something first")

    def _answer(self, turns: list[Turn], on_text: Show) -> None:
        context = self._context_length
        prompt, num_cut = render_within(
            turns,
            self._style,
            self.system,
            count_tokens=self._count_tokens,
            context_length=context,
            room=min(self._sampling.max_new_tokens, context // 2),
        )
        stops = (*self._sampling.stop, *self._style.stops)
        sampling = self._sampling.model_copy(update={"seed": self._seed, "stop": stops})
        pieces: list[str] = []

        def hear(text: str) -> None:
            # The space after the assistant's prefix is the model's to write, and no part of the answer.
            text = text if pieces else text.lstrip()
            if text:
                pieces.append(text)
                on_text(text)

        slid, begun_s = False, time.perf_counter()
        try:
            completion = self._complete(prompt, sampling, hear)
            self.num_tokens += completion.num_tokens
            self.elapsed_s += time.perf_counter() - begun_s
            slid = completion.context_shifted
        except KeyboardInterrupt:
            self._keep(turns, pieces)
            raise
        self._keep(turns, pieces)
        self.has_forgotten = self.has_forgotten or slid or num_cut > 0

    def _keep(self, turns: list[Turn], pieces: list[str]) -> None:
        self.turns = [*turns, Turn("assistant", "".join(pieces).rstrip())]
        self._seed += 1
