"""Prompts are laid out as texts were learned, or refused where a model knows of nothing."""

import pytest

from tests.data.sentinels import with_sentinels
from textwright.core.errors import InputError
from textwright.data.control import ControlCodes
from textwright.data.fill_in_middle import FillInMiddle
from textwright.data.prompt_format import PromptFormat
from textwright.tokens import make_tokenizer

PLAIN = make_tokenizer("byte", lambda: iter(()))
TOKENIZER = with_sentinels(PLAIN)
MOODS = ControlCodes(field="mood", form="[mood: {value}]\n", values=("glad", "sad"))
END, PREFIX, SUFFIX, MIDDLE = 256, 257, 258, 259


def test_prompts_are_laid_out() -> None:
    known = PromptFormat(fim=FillInMiddle(), control=MOODS)
    header = list(b"[mood: sad]\n")
    assert known.ids("ab", TOKENIZER) == [END, *b"ab"]
    assert known.ids("ab", TOKENIZER, suffix="c") == [END, PREFIX, *b"ab", SUFFIX, *b"c", MIDDLE]
    assert known.ids("", TOKENIZER, suffix="") == [END, PREFIX, SUFFIX, MIDDLE]
    assert known.ids("ab", TOKENIZER, control="sad") == [*header, *b"ab"]  # nothing was before it as it was learned
    assert known.ids("ab", TOKENIZER, suffix="c", control=" sad ") == [
        *(*header, PREFIX, *b"ab", SUFFIX, *b"c", MIDDLE)
    ]
    first = PromptFormat(fim=FillInMiddle(order="spm"), control=MOODS)
    assert first.ids("ab", TOKENIZER, suffix="c") == [END, PREFIX, SUFFIX, *b"c", MIDDLE, *b"ab"]
    assert first.ids("ab", TOKENIZER) == [END, *b"ab"]
    assert known.ids("<|endoftext|>", TOKENIZER, control="sad", special_tokens=True) == [*header, END]


def test_sentinels_that_nobody_recorded_are_recognised() -> None:
    assert PromptFormat().ids("a", TOKENIZER, suffix="") == PromptFormat(fim=FillInMiddle()).ids(
        "a", TOKENIZER, suffix=""
    )
    own = FillInMiddle(prefix="<p>", suffix="<s>", middle="<m>")
    both = with_sentinels(TOKENIZER, own)
    assert PromptFormat(fim=own).ids("", both, suffix="") == [END, 260, 261, 262]


@pytest.mark.parametrize(
    ("known", "asked", "message"),
    [
        (PromptFormat(), {"suffix": "b"}, "a suffix for a model that has no tokens to fill in the middle"),
        (PromptFormat(), {"control": "sad"}, "the control code 'sad' for a model that knows none"),
        (PromptFormat(control=MOODS), {"control": "sed"}, r"'mood' was never 'sed'; .* did you mean 'sad'\?"),
        (PromptFormat(control=MOODS), {"control": ""}, "no value for 'mood'; expected one of glad, sad"),
        (PromptFormat(fim=FillInMiddle()), {"suffix": "b"}, r"the tokenizer has no token '<\|fim_prefix\|>'"),
        (PromptFormat(), {"suffix": "\udcff"}, "is not UTF-8"),
    ],
)
def test_what_a_model_has_not_learned_is_one_line(known: PromptFormat, asked: dict[str, str], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        known.ids("a", PLAIN, **asked)
    assert "\n" not in str(raised.value)
