"""A dialogue as a prompt: exactly as its format says, and never longer than the context."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textwright.core.errors import InputError
from textwright.text.dialogue import DialogueFormat, Turn, render, render_within

PLAIN = DialogueFormat()
TURNS = [Turn("user", "Hi"), Turn("assistant", "Hello"), Turn("user", "Who are you?")]


def test_plain_turns_read_like_a_play_and_end_where_the_model_goes_on() -> None:
    assert render(TURNS, PLAIN) == "User: Hi\nAssistant: Hello\nUser: Who are you?\nAssistant:"
    assert render(TURNS[:1], PLAIN, "A talk.") == "A talk.\nUser: Hi\nAssistant:"
    assert PLAIN.stops == ("\nUser:", "\nAssistant:")


def test_a_format_of_its_own_is_followed_and_its_end_mark_stops() -> None:
    style = DialogueFormat(user="<u>", assistant="<a>\n", system="<s>", turn_end="<end>")
    assert render(TURNS[:1], style, "Be kind.") == "<s>Be kind.<end><u>Hi<end><a>\n"
    assert style.stops == ("<end>",)


def test_the_oldest_turns_are_cut_and_the_system_text_stays() -> None:
    fit = {"count_tokens": len, "context_length": 60, "room": 10}
    assert render_within(TURNS, PLAIN, **fit) == (render(TURNS[2:], PLAIN), 2)  # type: ignore[arg-type]
    whole = fit | {"context_length": 80}
    assert render_within(TURNS, PLAIN, **whole) == (render(TURNS, PLAIN), 0)  # type: ignore[arg-type]
    assert render_within(TURNS, PLAIN, "A talk.", **fit) == (render(TURNS[2:], PLAIN, "A talk."), 2)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="the system text and the turn make 62 tokens; expected fewer than 60"):
        render_within(TURNS, PLAIN, "A talk that is not short at all.", **fit)  # type: ignore[arg-type]


@given(st.lists(st.text(max_size=20), min_size=1, max_size=9), st.text(max_size=20), st.integers(1, 200))
def test_a_prompt_is_the_most_that_leaves_room(texts: list[str], system: str, context: int) -> None:
    said = [[Turn("user", text), Turn("assistant", text)] for text in texts]
    turns = [turn for pair in said for turn in pair][:-1]
    room = context // 2
    try:
        prompt, cut = render_within(turns, PLAIN, system, count_tokens=len, context_length=context, room=room)
    except InputError:
        assert len(render(turns[-1:], PLAIN, system)) >= context
        return
    assert prompt == render(turns[cut:], PLAIN, system)
    assert len(prompt) < context
    assert len(prompt) <= context - room or cut == len(turns) - 1
    assert cut == 0 or len(render(turns[cut - 2 :], PLAIN, system)) > context - room
