"""What a model learned of how its prompts are laid out: sentinel tokens to fill in the middle, and control codes.

::

    end token   [genre: horror]   prompt                                          --control horror
    end token   <|fim_prefix|> prompt <|fim_suffix|> suffix <|fim_middle|>        --suffix SUFFIX
    end token   [genre: horror]   <|fim_prefix|> prompt ...                       both
"""

from collections.abc import Mapping
from typing import Any, Self

from textwright.core.config import C, Config, read_config
from textwright.core.errors import InputError, check_is_text
from textwright.data.control import ControlCodes
from textwright.data.fill_in_middle import FillInMiddle, asked_ids, find_sentinels
from textwright.tokens.tokenizer import Tokenizer


class PromptFormat(Config):
    """As it is recorded in a model's folder."""

    fim: FillInMiddle | None = None
    """The sentinel tokens; None where the folder names none."""
    control: ControlCodes | None = None
    """The line before a text; None where the model was not told anything."""

    @classmethod
    def read(cls, content: Mapping[str, Any], where: str) -> Self:
        """What the content of a ``textwright.json`` says of it, among other things.

        Args:
            content: of the file.
            where: the file, for messages.

        Raises:
            InputError: it says so in a way that cannot be read exactly.
        """

        def part(name: str, config: type[C]) -> C | None:
            if name not in content:
                return None
            if not isinstance(content[name], Mapping):
                raise InputError(f"{name} = {content[name]!r}", where=where, expected="an object")
            return read_config(config, content[name], f"{name} in {where}")

        return cls(fim=part("fim", FillInMiddle), control=part("control", ControlCodes))

    def sentinels(self, tokenizer: Tokenizer) -> FillInMiddle | None:
        """The sentinel tokens to fill in the middle: those of the folder, or known ones among the added tokens; None
        for a model that only goes on."""
        return self.fim or find_sentinels(tokenizer)

    def ids(
        self,
        prompt: str,
        tokenizer: Tokenizer,
        *,
        suffix: str | None = None,
        control: str | None = None,
        special_tokens: bool = False,
    ) -> list[int]:
        """A prompt's ids as they were learned: the beginning of a document, each part made into tokens by itself. A
        control code was only read, and nothing before it.

        Args:
            prompt: what is gone on with, or stands before what is to be filled in.
            tokenizer: the model's.
            suffix: what stands after it; None where the prompt is gone on with.
            control: what the text is to be; None where that is left open.
            special_tokens: read special tokens that are written in prompt and suffix as what they are.

        Raises:
            InputError: the model does not know of the one or the other, or has never seen the value.
        """
        check_is_text(prompt, suffix or "", control or "")
        before = tokenizer.before_text if control is None else tokenizer.begin_ids
        ids = [*before, *self._header(control, tokenizer)]
        if suffix is None:
            return [*ids, *tokenizer.encode(prompt, special_tokens=special_tokens)]
        sentinels = self.sentinels(tokenizer)
        if sentinels is None:
            raise InputError(
                "a suffix for a model that has no tokens to fill in the middle",
                expected="a model that was trained with them",
                fix="leave the suffix out, or fine-tune the model with --fim 0.5",
            )
        found = sentinels.ids(tokenizer)
        return [*ids, *asked_ids(prompt, suffix, found, tokenizer, special_tokens=special_tokens)]

    def _header(self, control: str | None, tokenizer: Tokenizer) -> list[int]:
        if control is None:
            return []
        if self.control is None:
            raise InputError(
                f"the control code {control!r} for a model that knows none",
                fix="leave it out, or fine-tune the model with --control FIELD",
            )
        self.control.check(control)
        return tokenizer.encode(self.control.header(control))
