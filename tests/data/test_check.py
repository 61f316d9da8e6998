"""Figures of examples before they are learned from, against slow and plain ones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from textwright.data.check import CountRepetitions, SeenExamples, epoch_of, halves_of, lengths_of
from textwright.data.dataset import TokenDataset
from textwright.data.examples import Example
from textwright.data.sources.packed_documents import PackedDocuments
from textwright.text.document import Document


def pair(prompt: str, completion: str, name: str) -> Example:
    return Example(completion, Document("pairs.csv", name), prompt)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=50))
def test_lengths_are_those_of_a_sorted_list(lengths: list[int]) -> None:
    found = lengths_of(lengths)
    assert found is not None
    assert (found.smallest, found.largest) == (min(lengths), max(lengths))
    assert found.median == np.median(lengths)
    assert sum(count for count in found.counts) == len(lengths)
    for number, count in enumerate(found.counts):
        low, high = (found.smallest + found.bin_tokens * edge for edge in (number, number + 1))
        assert count == sum(low - 1e-9 <= length < high - 1e-9 for length in lengths)
        assert (found.line[number] == " ") is (count == 0)


def test_no_lengths_have_no_figures() -> None:
    assert lengths_of([]) is None


def test_what_comes_again_is_told_from_what_is_asked_again() -> None:
    seen = SeenExamples()
    repeated = CountRepetitions(seen)
    examples = [
        pair("q", "a", "2"),
        pair("q", "b", "3"),  # the prompt again
        pair("q", "a", "4"),  # all of it again
        pair("qa", "", "5"),  # the same text, cut otherwise
        pair("", "x", "6"),
        pair(" ", "y", "7"),  # nothing is asked
        Example("x", Document("text.txt")),
        Example("y", Document("text.txt")),
        Example("y", Document("more.txt")),
    ]
    for example in examples:
        repeated.see(example)
        seen.add(example)
    found = repeated.result()
    assert (found.num_whole, found.first_whole) == (3, ("pairs.csv:4", "pairs.csv:2"))
    assert (found.num_prompts, found.first_prompt) == (1, ("pairs.csv:3", "pairs.csv:2"))


def test_a_chat_is_asked_what_stands_before_the_first_answer() -> None:
    document = Document("chats.jsonl", "1", spans=((3, 5), (7, 9)))
    assert halves_of(Example("q1:a1q2:a2", document, header="[x]")) == ("[x]q1:", "a1q2:a2")


@pytest.mark.parametrize(("row", "batch_size", "seed"), [(8, 2, 0), (16, 3, 1), (7, 100, 2)])
def test_an_epoch_is_that_of_training(row: int, batch_size: int, seed: int) -> None:
    lengths = [3, 8, 1, 5, 20, 2, 2, 7, 4]
    tokens = TokenDataset.from_documents([[1] * length for length in lengths])
    source = PackedDocuments(tokens, batch_size=batch_size, sequence_length=row, seed=seed)
    found = epoch_of(lengths, row_length=row, batch_size=batch_size, seed=seed)
    assert (found.num_rows, found.row_length) == (source.num_rows, row)
    assert (found.num_steps - 1) * batch_size < source.num_rows <= found.num_steps * batch_size
    is_empty = sum(int((source.rows(np.array([place])).document_ids == -1).sum()) for place in range(found.num_rows))
    assert found.num_padding == is_empty
