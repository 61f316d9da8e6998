"""Turns are found where somebody begins to speak, and nowhere else; of one speaker all turns are, and no other's."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textwright.core.errors import InputError
from textwright.text.speakers import OneSpeaker, dialogue_text, turns_of

NAMES = ("Ann", "Bob", "DUKE VINCENTIO", "张三", "user_1")
SAYINGS = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.sampled_from(("Hello.", "Well, well.\nSo it is.", "a: b", "10:30 it was", "嗯"))
    ),
    min_size=1,
    max_size=6,
)


def said(text: str) -> list[tuple[str, str]]:
    return [(turn.name, text[turn.start : turn.stop]) for turn in turns_of(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ann: Hi.\nBob: Ho.\nHm.\n", [("Ann", " Hi.\n"), ("Bob", " Ho.\nHm.\n")]),
        ("Ann: Hi.\n\n\nBob: Ho.\n\n", [("Ann", " Hi.\n"), ("Bob", " Ho.\n\n")]),
        ("DUKE OF YORK:\nSo be it.\n\nAll:\nAye.", [("DUKE OF YORK", "\nSo be it.\n"), ("All", "\nAye.")]),
        ("A:\nThus it is:\nso.\nNote: b\n\nB:\nAye.", [("A", "\nThus it is:\nso.\nNote: b\n"), ("B", "\nAye.")]),
        ("A:\nOne.\nB:\nTwo.\nC:\nNote: so", [("A", "\nOne.\n"), ("B", "\nTwo.\n"), ("C", "\nNote: so")]),
        ("A scene.\nAnn: Hi.", [("Ann", " Hi.")]),
        ("张三：你好\n李四: 好", [("张三", "你好\n"), ("李四", " 好")]),
        ("[12.01.26, 10:11:12] Ann: Hi.\n[x] Bob: Ho.", [("Ann", " Hi.\n"), ("Bob", " Ho.")]),
        ("12/01/2026, 10:12 - Ann Lee: Hi.\n1/2/26, 9:05 PM - Bob: Ho.", [("Ann Lee", " Hi.\n"), ("Bob", " Ho.")]),
        ("Ann: \nBob: Ho.  \nAnn:", [("Bob", " Ho.  \n")]),
        ("Ann: see http://a.b\nat 10:30\nhe said to me once: go\n  Bob: no", None),
        ("nobody speaks here\nat all", []),
        ("", []),
    ],
)
def test_turns(text: str, expected: list[tuple[str, str]] | None) -> None:
    assert said(text) == ([("Ann", text[4:])] if expected is None else expected)


@given(turns=SAYINGS, name=st.sampled_from(NAMES))
def test_one_speaker_says_all_of_it_and_nothing_else(turns: list[tuple[str, str]], name: str) -> None:
    row = {"messages": [{"name": speaker, "content": content} for speaker, content in turns]}
    text = dialogue_text(row, "here")
    assert text is not None
    assert [(speaker, content.replace("\n a:", "\na:").strip()) for speaker, content in said(text)] == turns
    speaker = OneSpeaker(name)
    found = speaker.spans(text)
    assert [text[start:stop].strip() for start, stop in found] == [content for who, content in turns if who == name]
    edges = [edge for span in found for edge in span]
    assert edges == sorted(set(edges)), "in order, apart, none of them empty"
    assert (speaker.num_turns, speaker.num_without) == (len(found), int(not found))


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"messages": [{"role": "user", "content": "Hi "}, {"role": "assistant", "content": "Ho"}]},
            "user: Hi\nassistant: Ho\n",
        ),
        ({"conversations": [{"from": "human", "value": "Hi"}]}, "human: Hi\n"),
        ({"turns": [{"speaker": "USER", "utterance": "Hi"}]}, "USER: Hi\n"),
        ({"messages": [{"name": "Ann", "role": "user", "content": "Hi\nBob: no\nwell"}]}, "Ann: Hi\n Bob: no\nwell\n"),
        ({"messages": []}, None),
        ({"messages": "text"}, None),
        ({"text": "a"}, None),
        ("a text", None),
        (None, None),
    ],
)
def test_messages_are_a_dialogue(row: Any, expected: str | None) -> None:
    assert dialogue_text(row, "here") == expected


def test_messages_without_speaker_or_text_are_refused() -> None:
    with pytest.raises(
        InputError, match="message 0 has no speaker; in here; expected one of name, speaker, from, role"
    ):
        dialogue_text({"messages": [{"content": "Hi"}]}, "here")
    with pytest.raises(InputError, match="message 0 has no text; in here"):
        dialogue_text({"messages": [{"role": "user", "content": None}]}, "here")


def test_who_never_speaks_is_answered_with_the_nearest_and_the_most_frequent() -> None:
    speaker = OneSpeaker("romeo")
    assert speaker.spans("ROMEO: Ay me.\nJULIET: O.\nNURSE: Madam.\nJULIET: Anon.\n") == ()
    with pytest.raises(
        InputError, match=r"nobody called 'romeo' speaks; expected one of JULIET, ROMEO, NURSE; did you mean 'ROMEO'\?"
    ):
        speaker.check_was_heard()
    silent = OneSpeaker("Ann")
    assert silent.spans("a text") == ()
    with pytest.raises(InputError, match="nobody speaks in the texts, 'Ann' neither; expected lines that begin"):
        silent.check_was_heard()
    heard = OneSpeaker(" Ann  Lee ")
    assert heard.spans("Ann Lee: Hi.")
    heard.check_was_heard()
