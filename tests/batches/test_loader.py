"""Batches are a pure function of (seed, step), give every token its turn, and are the same on any number of ranks."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textwright.batches import shards as shards_module
from textwright.batches.batch import PADDING, Batch
from textwright.batches.loader import Loader, evaluation_batches
from textwright.batches.packing import Packing, lay_out
from textwright.batches.shards import Tokens
from textwright.batches.shuffle import shuffled
from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.core.world import World

END = 0


def stream(lengths: list[int]) -> Tokens:
    """Documents of these lengths, whose tokens are all different; each ends in END."""
    documents, next_id = [], 1
    for length in lengths:
        documents.append([*range(next_id, next_id + length - 1), END])
        next_id += length - 1
    return Tokens.from_documents(documents)


LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=30)


def same(one: Batch, other: Batch) -> bool:
    names = ("input_ids", "target_ids", "loss_weight", "document_ids", "position_ids")
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    return all((a is None and b is None) or torch.equal(a, b) for a, b in pairs)


@settings(max_examples=50, deadline=None)
@given(count=st.integers(1, 3000), key=st.integers(0, 2**63))
def test_a_shuffle_is_a_permutation(count: int, key: int) -> None:
    assert sorted(shuffled(np.arange(count), count, key).tolist()) == list(range(count))


def test_shuffles_of_different_keys_differ() -> None:
    orders = {tuple(shuffled(np.arange(50), 50, key).tolist()) for key in range(20)}
    assert len(orders) == 20


@pytest.mark.parametrize("packing", ["none", "documents"])
def test_a_batch_depends_on_seed_and_step_alone(packing: str) -> None:
    tokens = stream([20] * 30)
    one, other = (Loader(tokens, rows=4, time=8, seed=3, packing=packing) for _ in range(2))  # type: ignore[arg-type]
    for step in (5, 0, 99, 5):
        assert same(one.batch(step), other.batch(step))
    assert not same(one.batch(0), one.batch(1))
    assert not same(one.batch(0), Loader(tokens, rows=4, time=8, seed=4, packing=packing).batch(0))  # type: ignore[arg-type]


@pytest.mark.parametrize("packing", ["none", "documents"])
@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_the_ranks_batches_joined_are_the_whole(packing: str, size: int) -> None:
    loader = Loader(stream([7, 19, 3] * 20), rows=6, time=8, packing=packing)  # type: ignore[arg-type]
    for step in (0, 17):
        parts = [loader.batch(step, World(rank, size)) for rank in range(size)]
        whole = loader.batch(step)
        assert torch.equal(torch.cat([part.input_ids for part in parts]), whole.input_ids)
        assert torch.equal(torch.cat([part.loss_weight for part in parts]), whole.loss_weight)
        assert len({part.num_rows for part in parts}) == 1


@settings(max_examples=60, deadline=None)
@given(lengths=LENGTHS, time=st.integers(1, 16), rows=st.integers(1, 5), seed=st.integers(0, 9))
def test_windows_give_every_token_one_turn_an_epoch(lengths: list[int], time: int, rows: int, seed: int) -> None:
    tokens = stream(lengths)
    if tokens.num_tokens < time + 1:
        with pytest.raises(InputError, match="the text has"):
            Loader(tokens, rows=rows, time=time, seed=seed)
        return
    loader = Loader(tokens, rows=rows, time=time, seed=seed)
    num_rows = loader._source.num_rows
    batches = [loader.batch(step) for step in range(-(-2 * num_rows // rows))]
    inputs = torch.cat([batch.input_ids for batch in batches])
    for epoch in range(2):
        here = inputs[epoch * num_rows : (epoch + 1) * num_rows].flatten()
        words = here[here != END]
        assert len(words.unique()) == len(words)
        assert len(here) > tokens.num_tokens - 1 - 2 * time
    whole = tokens.read(0, tokens.num_tokens).tolist()
    follows = {whole[i]: whole[i + 1] for i in range(len(whole) - 1) if whole[i] != END}
    for batch in batches:
        for token, target in zip(batch.input_ids.flatten().tolist(), batch.target_ids.flatten().tolist(), strict=True):
            assert token == END or follows[token] == target


@settings(max_examples=60, deadline=None)
@given(lengths=LENGTHS, time=st.integers(1, 16), rows=st.integers(1, 5), seed=st.integers(0, 9))
def test_packed_documents_are_learned_whole_end_token_too_and_padding_is_not(
    lengths: list[int], time: int, rows: int, seed: int
) -> None:
    tokens = stream(lengths)
    loader = Loader(tokens, rows=rows, time=time, seed=seed, packing="documents")
    num_rows = loader._source.num_rows
    steps = -(-num_rows // rows)
    batches = [loader.batch(step) for step in range(steps)]
    fields = {
        name: torch.cat([getattr(batch, name) for batch in batches])[:num_rows]
        for name in ("input_ids", "target_ids", "loss_weight", "document_ids", "position_ids")
    }
    learned = fields["target_ids"][fields["loss_weight"] > 0]
    assert sorted(learned.tolist()) == sorted(tokens.read(0, tokens.num_tokens).tolist())
    assert torch.equal(fields["document_ids"] == PADDING, fields["loss_weight"] == 0)
    for row in range(num_rows):
        documents, positions = fields["document_ids"][row].tolist(), fields["position_ids"][row].tolist()
        for place in range(time):
            if documents[place] == PADDING:
                continue
            begins = place == 0 or documents[place - 1] != documents[place]
            assert positions[place] == (0 if begins else positions[place - 1] + 1)
            if not begins:  # within a document the target before is the input here
                assert fields["input_ids"][row, place] == fields["target_ids"][row, place - 1]


@settings(max_examples=60, deadline=None)
@given(lengths=LENGTHS, time=st.integers(1, 16), rows=st.integers(1, 5))
def test_evaluation_predicts_every_token_but_the_first_once(lengths: list[int], time: int, rows: int) -> None:
    tokens = stream(lengths)
    targets = [batch.target_ids[batch.loss_weight > 0] for batch in evaluation_batches(tokens, rows=rows, time=time)]
    assert (
        torch.cat([torch.empty(0, dtype=torch.int64), *targets]).tolist() == tokens.read(1, tokens.num_tokens).tolist()
    )


def packed_slowly(tokens: Tokens, time: int, seed: int) -> list[list[tuple[int, int, int, int, int]]]:
    """The rows of packed documents, one document and one token at a time.

    Each token is (input, target, document, position, weight); a row has no padding yet.
    """
    pieces, start = [], 0
    for end in tokens.document_ends.tolist():
        pieces += [(at, min(end, at + time), at == start) for at in range(start, end, time)]
        start = end
    order = shuffled(np.arange(len(pieces)), len(pieces), hash_u64("packing", seed)).tolist()
    ids = tokens.read(0, tokens.num_tokens).tolist()
    rows: list[list[tuple[int, int, int, int, int]]] = [[]]
    document = 0
    for first, stop, begins in (pieces[place] for place in order):
        if len(rows[-1]) + stop - first > time:
            rows.append([])
            document = 0
        for at in range(first, stop):
            before = ids[-1] if begins and at == first else ids[at - 1]
            rows[-1].append((before, ids[at], document, at - first, 1))
        document += 1
    return rows


@settings(max_examples=100, deadline=None)
@given(
    lengths=LENGTHS,
    time=st.integers(1, 16),
    rows=st.integers(1, 5),
    seed=st.integers(0, 9),
    cuts=st.lists(st.integers(0, 1000), max_size=3),
)
def test_packed_rows_are_those_of_the_slow_reference(
    lengths: list[int], time: int, rows: int, seed: int, cuts: list[int]
) -> None:
    whole = stream(lengths)
    ids = whole.read(0, whole.num_tokens).astype(np.uint32)
    parts = np.split(ids, sorted(cut % (len(ids) + 1) for cut in cuts))  # as in several shards, some of them empty
    tokens = Tokens(parts, whole.document_ends, num_bytes=0, num_characters=0)
    slow = packed_slowly(tokens, time, seed)
    loader = Loader(tokens, rows=rows, time=time, seed=seed, packing="documents")
    assert loader._source.num_rows == len(slow)
    for step in range(-(-2 * len(slow) // rows)):
        batch = loader.batch(step)
        assert batch.document_ids is not None
        assert batch.position_ids is not None
        for index in range(rows):
            epoch, place = divmod(step * rows + index, len(slow))
            row = slow[int(shuffled(np.array([place]), len(slow), hash_u64("order", seed, epoch))[0])]
            padded = row + [(0, 0, PADDING, 0, 0)] * (time - len(row))
            fields = (batch.input_ids, batch.target_ids, batch.document_ids, batch.position_ids, batch.loss_weight)
            assert [tuple(field[index, at].item() for field in fields) for at in range(time)] == padded


def test_a_second_loader_of_the_same_tokens_does_not_lay_them_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run asks for one to be timed and for one to learn from."""
    made: list[int] = []

    def counted(document_ends: npt.NDArray[np.int64], time: int, seed: int) -> Packing:
        made.append(time)
        return lay_out(document_ends, time, seed)

    monkeypatch.setattr(shards_module, "lay_out", counted)
    tokens = stream([20] * 30)
    one = Loader(tokens, rows=4, time=8, seed=3, packing="documents")
    other = Loader(tokens, rows=2, time=8, seed=3, packing="documents")
    assert same(one.batch(0).rows(0, 2), other.batch(0))
    assert len(made) == 1
    Loader(tokens, rows=4, time=9, seed=3, packing="documents")
    Loader(tokens, rows=4, time=9, seed=4, packing="documents")
    assert len(made) == 3


def test_a_text_shorter_than_a_window_says_how_to_go_on() -> None:
    with pytest.raises(InputError, match=r"has 9 tokens; expected at least 65.*smaller --model.context-length"):
        Loader(stream([9]), rows=1, time=64)
