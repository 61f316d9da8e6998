"""Examples as tokens: what is learned of them, what is cut off, and that nothing else is lost."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textwright.core.errors import InputError
from textwright.data.dataset import TokenDataset
from textwright.data.documents import rows_of
from textwright.data.examples import Example, ExampleTokens, TooLong, encode_each
from textwright.data.prepare import prepare_data, write_tokens
from textwright.data.sources.packed_documents import PackedDocuments
from textwright.text.dialogue import DialogueFormat, Turn, write_dialogue
from textwright.text.document import Chunk, Document
from textwright.text.read import read_texts
from textwright.tokens import Tokenizer, make_tokenizer

BYTES = make_tokenizer("byte", lambda: iter(()))
END = BYTES.end_id
FAR = 10_000


def text(content: str, **more: Any) -> Example:
    return Example(content, Document("memory", "1"), **more)


def pair(prompt: str, completion: str, **more: Any) -> Example:
    return Example(completion, Document("memory", "1"), prompt, **more)


def chat(*said: str, style: DialogueFormat = DialogueFormat(), system: str = "") -> Example:  # noqa: B008
    """The user and the assistant take turns."""
    turns = [Turn("assistant" if number % 2 else "user", one) for number, one in enumerate(said)]
    written, spans = write_dialogue(turns, style, system)
    return Example(written, Document("memory", "1", spans=spans, format="messages"))


def tokens_of(
    *examples: Example, tokenizer: Tokenizer = BYTES, most: int = FAR, how: TooLong = "error"
) -> ExampleTokens:
    return ExampleTokens(examples, tokenizer, max_pair_tokens=most, too_long=how)


def shown(tokens: TokenDataset) -> list[str]:
    """Each document: what is learned is in capital letters, and ``|`` is its end, ``!`` where it is learned."""
    is_learned = np.ones(tokens.num_tokens, dtype=bool)
    if tokens.learned is not None:
        is_learned = tokens.learned.contain(np.arange(tokens.num_tokens))
    found, start = [], 0
    for end in tokens.document_ends.tolist():
        ids = tokens.read(start, end).tolist()
        letters = ["|" if one == END else chr(one) for one in ids]
        upper = [one.upper().replace("|", "!") for one in letters]
        cases = zip(letters, upper, is_learned[start:end], strict=True)
        found.append("".join(high if learned else low for low, high, learned in cases))
        start = end
    return found


@pytest.mark.parametrize(
    ("example", "expected"),
    [
        (text("abc"), "ABC!"),
        (pair("abc", "de"), "abcDE!"),
        (pair("", "de"), "DE!"),
        (text("abc", header="[x]\n"), "[x]\nABC!"),
        (pair("abc", "de", header="[x]\n"), "[x]\nabcDE!"),
        (text("abc", is_last=False), "ABC"),
        (text("abc", header="x", is_last=False), "xABC"),
        (Example("abcdef", Document("m", spans=((1, 3), (4, 5)))), "aBCdEf|"),
        (Example("abcdef", Document("m", spans=((1, 3), (3, 6)))), "aBCDEF!"),
        (Example("abcdef", Document("m", spans=())), "abcdef|"),
        (chat("q", "a", system="s"), "s\nUser: q\nAssistant: A\n!"),
        (chat("q", "a", "p", "b"), "User: q\nAssistant: A\nUser: p\nAssistant: B\n!"),
        (chat("q", "a", "p"), "User: q\nAssistant: A\nUser: p\n|"),
    ],
)
def test_what_is_learned_of_an_example(example: Example, expected: str) -> None:
    found = tokens_of(example, text("."))
    assert shown(found) == [expected, ".!"]
    places = np.arange(found.num_tokens)
    assert found.num_learned == (len(places) if found.learned is None else found.learned.contain(places).sum())


def test_an_answer_has_the_tokens_that_the_model_writes_when_it_is_asked() -> None:
    tokenizer = make_tokenizer("bpe:300", lambda: iter(["User: hello\nAssistant: hello there\n" * 50]))
    found = tokens_of(chat("hello", "hello there", "hello", "hello"), tokenizer=tokenizer)
    asked = tokenizer.encode("User: hello\nAssistant:")
    answered = tokenizer.encode(" hello there\n")
    again = tokenizer.encode("User: hello\nAssistant:")
    wanted = [*asked, *answered, *again, *tokenizer.encode(" hello\n"), tokenizer.end_id]
    assert found.read(0, found.num_tokens).tolist() == wanted
    ((first, second),) = [row.spans for row in rows_of(found.documents)]
    assert first == (len(asked), len(asked) + len(answered))
    assert second == (first[1] + len(again), len(wanted))


def test_marks_that_are_special_tokens_are_those_and_what_is_said_is_not() -> None:
    end = BYTES.eos_text
    style = DialogueFormat(turn_end=f"{end}\n")
    found = tokens_of(chat("q", f"no {end}", style=style))
    ids = found.read(0, found.num_tokens).tolist()
    assert ids == [*b"User: q", END, *b"\nAssistant: no ", *end.encode(), END, *b"\n", END]
    ((spans,),) = [row.spans for row in rows_of(found.documents)]
    assert spans == (ids.index(END) + len(b"\nAssistant:") + 1, len(ids))


PROMPT = "0123456789"


@pytest.mark.parametrize(
    ("example", "most", "expected"),
    [
        (pair(PROMPT, "abc"), 14, "0123456789ABC!"),
        (pair(PROMPT, "abc"), 13, "123456789ABC!"),
        (pair(PROMPT, "abc"), 5, "9ABC!"),
        (pair(PROMPT, "abc"), 4, "ABC!"),
        (pair(PROMPT, "abc", header="[x]"), 8, "[x]9ABC!"),
        # "User: " and what is asked goes first; half an answer is not learned, and goes with its turn
        (chat("qqqq", "a", "p", "b"), 45, "ser: qqqq\nAssistant: A\nUser: p\nAssistant: B\n!"),
        (chat("qqqq", "a", "p", "b"), 24, "User: p\nAssistant: B\n!"),
        (chat("q", "aaaa", "p", "b"), 26, "User: p\nAssistant: B\n!"),
        (chat("q", "aaaa", "p", "b"), 5, ": B\n!"),
    ],
)
def test_what_is_too_long_is_cut_at_its_beginning_and_never_in_what_is_learned(
    example: Example, most: int, expected: str
) -> None:
    whole = tokens_of(example)
    found = tokens_of(example, most=most, how="cut")
    assert [one.lower() for one in shown(found)] == [expected.lower()]
    assert [one.count("!") for one in shown(found)] == [1]
    assert shown(whole)[0].replace("[x]", "").endswith(shown(found)[0].replace("[x]", ""))
    assert found.num_tokens_cut == whole.num_tokens - found.num_tokens
    assert found.num_learned_cut == whole.num_learned - found.num_learned
    assert found.num_too_long == found.num_cut == int(whole.num_tokens > most)
    assert bool(found.notes) is bool(found.num_too_long)


@pytest.mark.parametrize("how", ["error", "cut"])
def test_what_cannot_be_cut_to_fit_is_refused_by_its_number(how: TooLong) -> None:
    with pytest.raises(InputError, match=r"^pair 1 has .* in memory; expected at most 6, the length .*too_long"):
        tokens_of(pair(PROMPT, "abcdef"), most=6, how=how)
    with pytest.raises(InputError, match="^chat 1 has"):
        tokens_of(chat("q", "aaaa"), most=6, how=how)


def test_what_is_left_out_is_counted() -> None:
    long, fits = pair(PROMPT, "abcdef"), pair("p", "c")
    found = tokens_of(long, fits, text(PROMPT * 3), chat(PROMPT, "a"), most=6, how="skip")
    assert shown(found) == ["pC!", f"{PROMPT * 3}!"]  # a text is cut into rows, and nothing of it is lost
    assert (found.num_too_long, found.num_cut) == (2, 0)
    left_out = tokens_of(long, chat(PROMPT, "a"))
    assert (found.num_tokens_cut, found.num_learned_cut) == (left_out.num_tokens, left_out.num_learned)
    (note,) = found.notes
    assert note.startswith(
        f"2 left out, longer than the context: {left_out.num_tokens} tokens, {left_out.num_learned} "
    )
    with pytest.raises(InputError, match="all 1 examples are longer than 6 tokens, the length of a row"):
        tokens_of(long, most=6, how="skip")


def test_where_nothing_is_learned_there_is_nothing_to_train() -> None:
    with pytest.raises(InputError, match="nothing to learn in 2 examples"):
        tokens_of(Example("abc", Document("m", spans=())), Example("d", Document("m", spans=())))
    assert tokens_of().num_documents == 0
    assert tokens_of(text(" \n")).num_left_out == 1


def test_examples_are_encoded_as_they_come() -> None:
    asked = []

    def coming() -> Any:
        for number in range(3):
            asked.append(number)
            yield pair("p", "c")

    stream = encode_each(coming(), BYTES, max_pair_tokens=FAR)
    assert asked == []
    next(iter(stream))
    assert asked == [0]


LETTERS = st.text(st.sampled_from("ab \n"), min_size=1, max_size=12)
SAID = st.lists(st.lists(LETTERS, min_size=1, max_size=4), min_size=1, max_size=12)
"""One text is a text, two are a pair, more a chat."""


def example_of(said: list[str]) -> Example:
    if len(said) == 1:
        return text(said[0])
    return pair(*said) if len(said) == 2 else chat(*said)


@settings(max_examples=40, deadline=None)
@given(SAID, st.integers(24, 90), st.integers(1, 5), st.integers(0, 3))
def test_every_token_of_every_example_is_in_one_row_of_an_epoch(
    said: list[list[str]], row: int, batch_size: int, seed: int
) -> None:
    """Against what is written down by hand: prompt, completion and end, one character a token."""
    examples = [one for one in map(example_of, said) if one.has_text] or [text("a")]
    wanted = Counter[tuple[int, int, bool]]()
    for example in examples:
        ids = [*(example.prompt or "").encode(), *example.text.encode(), END]
        if example.prompt is not None:
            learned = [False] * len(example.prompt) + [True] * (len(example.text) + 1)
        elif example.document.spans is None:
            learned = [True] * len(ids)
        else:
            last = example.document.spans[-1][1] == len(example.text)
            learned = [any(a <= place < b for a, b in example.document.spans) for place in range(len(example.text))]
            learned.append(last)
        begins = len(ids) > 1 and not learned[0]  # what is asked with nothing before it is learned so
        wanted.update(list(zip([END, *ids[:-1]], ids, learned, strict=True))[begins:])
    longest = max(len(example.prompt or "") + len(example.text) + 1 for example in examples)
    tokens = tokens_of(*examples, most=longest)
    source = PackedDocuments(tokens, batch_size=batch_size, sequence_length=max(row, tokens.longest_pair), seed=seed)
    found = Counter[tuple[int, int, bool]]()
    for place in range(source.num_rows):
        batch = source.rows(np.array([place]))
        assert batch.document_ids is not None
        is_there = batch.document_ids >= 0
        columns = (batch.input_ids, batch.target_ids, batch.loss_weight > 0)
        found.update(zip(*(column[is_there].tolist() for column in columns), strict=True))
        assert not batch.loss_weight[~is_there].any()
    assert found == wanted
    assert sum(count for (_, _, learned), count in found.items() if learned) == tokens.num_learned


def test_spans_of_several_parts_are_the_same_once_they_are_shards(tmp_path: Path) -> None:
    tokens = tokens_of(chat("q", "a", "p", "b"), text("abc"), pair("p", "c"), Example("x", Document("m", spans=())))
    data = write_tokens(tokens, BYTES, tmp_path / "data").train
    assert shown(data) == shown(tokens)
    assert list(rows_of(data.documents)) == list(rows_of(tokens.documents))


@pytest.mark.parametrize("spec", ["byte", "bpe:300", "char"])
def test_chats_in_files_are_learned_as_chats_in_memory_are(spec: str, tmp_path: Path) -> None:
    """What ``train`` reads into shards, and what ``fit`` holds."""
    said = [[f"q{number}?", "a b.", "p", "b"] for number in range(30)]
    roles = ["user", "assistant"] * 2
    path = tmp_path / "chats.jsonl"
    with path.open("w") as file:
        for one in said:
            turns = [{"role": role, "content": content} for role, content in zip(roles, one, strict=True)]
            file.write(f"{json.dumps({'messages': turns})}\n")
    tokenizer = make_tokenizer(spec, lambda: read_texts([path]), seed=0)
    val = [Chunk("a b.", Document("val.txt"))]
    data = prepare_data([path], tokenizer, tmp_path / "data", val_documents=val).train
    held = tokens_of(*(chat(*one) for one in said), tokenizer=tokenizer)
    assert data.read(0, data.num_tokens).tolist() == held.read(0, held.num_tokens).tolist()
    assert [row.spans for row in rows_of(data.documents)] == [row.spans for row in rows_of(held.documents)]


@pytest.mark.parametrize("kind", ["byte", "bpe:270"])
def test_the_short_way_of_a_plain_pair_ends_where_the_long_one_does(kind: str) -> None:
    tokenizer = make_tokenizer(kind, lambda: iter(["One and one are two, and two and two are four."] * 9))
    for prompt, completion in (("One and one are", " two."), ("One", " "), ("\n", "two and two")):
        learned = ((len(prompt), len(prompt + completion)),)
        whole = Example(prompt + completion, Document("memory", "1", spans=learned))  # the same, by its spans
        short, long = encode_each([pair(prompt, completion), whole], tokenizer, max_pair_tokens=FAR)
        assert short.ids.tolist() == long.ids.tolist()
        assert (short.spans, short.num_kept) == (long.spans, long.num_kept)
