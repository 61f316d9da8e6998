"""Batches are a pure function of (seed, step), give every token its turn, and are the same on any number of ranks."""

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.core.world import World
from textwright.data import dataset as dataset_module
from textwright.data.batch import PADDING, Batch
from textwright.data.dataset import TokenDataset
from textwright.data.packing import Packing, lay_out
from textwright.data.shuffle import shuffled
from textwright.data.sources.base import SINGLE_PROCESS, BatchSource, ShuffledRows, check_first_batch
from textwright.data.sources.catalog import SOURCES, find_source
from textwright.data.sources.lanes import Lanes
from textwright.data.sources.mixture import Mixture
from textwright.data.sources.packed_documents import PackedDocuments
from textwright.data.sources.pairs import Pair, Pairs
from textwright.data.sources.windows import Windows, evaluation_batches

END = 0
EVERY = [pytest.param(find_source(name), id=name) for name in SOURCES]
"""The rows of the table."""


def stream(lengths: list[int]) -> TokenDataset:
    """Documents of these lengths, whose tokens are all different; each ends in END."""
    documents, next_id = [], 1
    for length in lengths:
        documents.append([*range(next_id, next_id + length - 1), END])
        next_id += length - 1
    return TokenDataset.from_documents(documents)


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


@pytest.mark.parametrize("source", EVERY)
def test_a_batch_depends_on_seed_and_step_alone(source: Any) -> None:
    tokens = stream([20] * 30)
    one, other = (source(tokens, batch_size=4, sequence_length=8, seed=3) for _ in range(2))
    for step in (5, 0, 99, 5):
        assert same(one.batch(step), other.batch(step))
    assert not same(one.batch(0), one.batch(1))
    other = source(tokens, batch_size=4, sequence_length=8, seed=4)
    assert not same(one.batch(0), other.batch(0))
    assert one.fingerprint != other.fingerprint
    assert isinstance(one, BatchSource)
    check_first_batch(one, num_rows=4, sequence_length=8, vocab_size=1000)


class Odd(Windows):
    """Its batches are not what a model can be trained on."""

    changes: ClassVar[dict[str, Any]] = {}

    def batch(self, step: int, world: World = SINGLE_PROCESS) -> Batch:
        return super().batch(step, world).with_fields(**self.changes)


@pytest.mark.parametrize(
    ("changes", "expected", "message"),
    [
        ({}, {"num_rows": 3}, r"input_ids is torch.int64, 4 x 8; .*expected torch.int64, 3 x at most 8"),
        ({}, {"sequence_length": 7}, "input_ids is torch.int64, 4 x 8; .*4 x at most 7"),
        ({"target_ids": torch.ones(4, 8, dtype=torch.int32)}, {}, "target_ids is torch.int32, 4 x 8"),
        ({"loss_weight": torch.ones(4, 8, dtype=torch.float64)}, {}, "loss_weight is torch.float64"),
        ({"input_ids": torch.full((4, 8), 1000)}, {}, "input_ids has ids from 1000 to 1000; .*0 to 999"),
        ({"target_ids": torch.full((4, 8), -1)}, {}, "target_ids has ids from -1 to -1"),
    ],
)
def test_a_first_batch_that_no_model_can_learn_from_is_refused_by_its_field(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], expected: dict[str, int], message: str
) -> None:
    monkeypatch.setattr(Odd, "changes", changes)
    source = Odd(stream([20] * 30), batch_size=4, sequence_length=8)
    with pytest.raises(InputError, match=message):
        check_first_batch(source, **({"num_rows": 4, "sequence_length": 8, "vocab_size": 1000} | expected))


@pytest.mark.parametrize("source", EVERY)
@pytest.mark.parametrize("size", [1, 2, 3, 6])
def test_the_ranks_batches_joined_are_the_whole(source: Any, size: int) -> None:
    made = source(stream([7, 19, 3] * 20), batch_size=6, sequence_length=8)
    for step in (0, 17):
        parts = [made.batch(step, World(rank, size)) for rank in range(size)]
        whole = made.batch(step)
        assert torch.equal(torch.cat([part.input_ids for part in parts]), whole.input_ids)
        assert torch.equal(torch.cat([part.loss_weight for part in parts]), whole.loss_weight)
        assert len({part.num_rows for part in parts}) == 1


@settings(max_examples=60, deadline=None)
@given(lengths=LENGTHS, time=st.integers(1, 16), rows=st.integers(1, 5), seed=st.integers(0, 9))
def test_windows_give_every_token_one_turn_an_epoch(lengths: list[int], time: int, rows: int, seed: int) -> None:
    tokens = stream(lengths)
    if tokens.num_tokens < time + 1:
        with pytest.raises(InputError, match="the text has"):
            Windows(tokens, batch_size=rows, sequence_length=time, seed=seed)
        return
    source = Windows(tokens, batch_size=rows, sequence_length=time, seed=seed)
    num_rows = source.num_rows
    batches = [source.batch(step) for step in range(-(-2 * num_rows // rows))]
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
    source = PackedDocuments(tokens, batch_size=rows, sequence_length=time, seed=seed)
    num_rows = source.num_rows
    steps = -(-num_rows // rows)
    batches = [source.batch(step) for step in range(steps)]
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
    targets = [
        batch.target_ids[batch.loss_weight > 0]
        for batch in evaluation_batches(tokens, batch_size=rows, sequence_length=time)
    ]
    assert (
        torch.cat([torch.empty(0, dtype=torch.int64), *targets]).tolist() == tokens.read(1, tokens.num_tokens).tolist()
    )


def packed_slowly(tokens: TokenDataset, time: int, seed: int) -> list[list[tuple[int, int, int, int, int]]]:
    """The rows of packed documents, one document and one token at a time.

    Each token is (input, target, document, position, weight); a row has no padding yet.
    """
    pieces, start = [], 0
    for end in tokens.document_ends.tolist():
        pieces += [(at, min(end, at + time), at == start) for at in range(start, end, time)]
        start = end
    order = shuffled(np.arange(len(pieces)), len(pieces), hash_u64("packing", seed)).tolist()
    ids = tokens.read(0, tokens.num_tokens).tolist()
    rows: list[list[tuple[int, int, int, int, int]]] = []
    newest: list[int] = []  # rows, the one that took a piece last at the end
    for first, stop, begins in (pieces[place] for place in order):
        fitting = [number for number in reversed(newest) if len(rows[number]) + stop - first <= time]
        if not fitting:
            fitting = [len(rows)]
            rows.append([])
        fullest = max(fitting, key=lambda number: len(rows[number]))
        newest = [number for number in newest if number != fullest] + [fullest]
        row = rows[fullest]
        document = row[-1][2] + 1 if row else 0
        for at in range(first, stop):
            before = ids[-1] if begins and at == first else ids[at - 1]
            row.append((before, ids[at], document, at - first, 1))
    return rows


def test_rows_of_short_documents_are_hardly_padded() -> None:
    lengths = np.random.default_rng(0).integers(10, 167, 2000)
    packing = lay_out(np.cumsum(lengths), 256, seed=0)
    assert lengths.sum() > 0.97 * 256 * packing.num_rows


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
    tokens = TokenDataset(parts, whole.document_ends, num_bytes=0, num_characters=0)
    slow = packed_slowly(tokens, time, seed)
    source = PackedDocuments(tokens, batch_size=rows, sequence_length=time, seed=seed)
    assert source.num_rows == len(slow)
    for step in range(-(-2 * len(slow) // rows)):
        batch = source.batch(step)
        assert batch.document_ids is not None
        assert batch.position_ids is not None
        for index in range(rows):
            epoch, place = divmod(step * rows + index, len(slow))
            row = slow[int(shuffled(np.array([place]), len(slow), hash_u64("order", seed, epoch))[0])]
            padded = row + [(0, 0, PADDING, 0, 0)] * (time - len(row))
            fields = (batch.input_ids, batch.target_ids, batch.document_ids, batch.position_ids, batch.loss_weight)
            assert [tuple(field[index, at].item() for field in fields) for at in range(time)] == padded


def test_a_second_source_of_the_same_tokens_does_not_lay_them_out_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A run asks for one to be timed and for one to learn from."""
    made: list[int] = []

    def counted(document_ends: npt.NDArray[np.int64], time: int, *more: Any) -> Packing:
        made.append(time)
        return lay_out(document_ends, time, *more)

    monkeypatch.setattr(dataset_module, "lay_out", counted)
    tokens = stream([20] * 30)
    one = PackedDocuments(tokens, batch_size=4, sequence_length=8, seed=3)
    other = PackedDocuments(tokens, batch_size=2, sequence_length=8, seed=3)
    assert same(one.batch(0).rows(0, 2), other.batch(0))
    assert len(made) == 1
    PackedDocuments(tokens, batch_size=4, sequence_length=9, seed=3)
    PackedDocuments(tokens, batch_size=4, sequence_length=9, seed=4)
    assert len(made) == 3


def test_a_text_shorter_than_a_window_says_how_to_go_on() -> None:
    with pytest.raises(InputError, match=r"has 9 tokens; expected at least 65.*smaller --model.context-length"):
        Windows(stream([9]), batch_size=1, sequence_length=64)


def test_a_prompt_is_read_and_its_completion_is_learned() -> None:
    pairs = [Pair((5, 6), (7, 8, END)), Pair((), (9, END)), Pair(tuple(range(10, 30)), (40, END))]
    batch = Pairs(pairs, batch_size=3, sequence_length=6, end_id=END, seed=1).batch(0)
    learned = {
        tuple(row[weight > 0].tolist()): ids[: int(weight.nonzero().max()) + 1].tolist()
        for row, weight, ids in zip(batch.target_ids, batch.loss_weight, batch.input_ids, strict=True)
    }
    assert learned == {(7, 8, END): [5, 6, 7, 8], (9, END): [END, 9], (40, END): [25, 26, 27, 28, 29, 40]}
    assert batch.document_ids is not None
    assert torch.equal(batch.document_ids == PADDING, batch.target_ids.eq(0) & batch.loss_weight.eq(0) & _after(batch))


def _after(batch: Batch) -> torch.Tensor:
    """Places after the last that is learned."""
    last = (batch.loss_weight > 0).int().cumsum(1).max(1).values[:, None]
    return (batch.loss_weight > 0).int().cumsum(1) == last


def test_a_prompt_can_be_the_source_of_an_encoder() -> None:
    pairs = [Pair((5, 6), (7, END)), Pair((8,), (9, 10, END))]
    batch = Pairs(pairs, batch_size=2, sequence_length=6, end_id=END, as_source=True).batch(0)
    assert batch.source_ids is not None
    assert batch.source_mask is not None
    rows = {}
    for index in range(2):
        source = batch.source_ids[index][batch.source_mask[index] > 0]
        here = batch.loss_weight[index] > 0
        rows[tuple(source.tolist())] = (batch.input_ids[index][here].tolist(), batch.target_ids[index][here].tolist())
    assert rows == {(5, 6): ([END, 7], [7, END]), (8,): ([END, 9, 10], [9, 10, END])}


@pytest.mark.parametrize("completion", [(), tuple(range(7))])
def test_a_completion_that_is_no_row_is_refused(completion: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="example 1 has a completion of .* tokens; expected 1 to 6"):
        Pairs([Pair((1,), (2,)), Pair((1,), completion)], batch_size=1, sequence_length=6, end_id=END)


@settings(max_examples=50, deadline=None)
@given(lengths=LENGTHS, lanes=st.integers(1, 4), time=st.integers(1, 6))
def test_each_lane_goes_on_where_it_ended_and_documents_are_told_apart(
    lengths: list[int], lanes: int, time: int
) -> None:
    tokens = stream(lengths)
    if tokens.num_tokens - 1 < lanes * time:
        with pytest.raises(InputError, match="a row for each lane"):
            Lanes(tokens, batch_size=lanes, sequence_length=time)
        return
    source = Lanes(tokens, batch_size=lanes, sequence_length=time)
    whole = tokens.read(0, tokens.num_tokens).tolist()
    batches = [source.batch(step) for step in range(source.steps_per_epoch)]
    for lane in range(lanes):
        ids = torch.cat([batch.input_ids[lane] for batch in batches]).tolist()
        start = lane * len(ids)
        assert ids == whole[start : start + len(ids)]
        assert (
            torch.cat([batch.target_ids[lane] for batch in batches]).tolist() == whole[start + 1 : start + 1 + len(ids)]
        )
        for step, batch in enumerate(batches):
            assert batch.document_ids is not None
            assert batch.continues is not None
            documents = batch.document_ids[lane].tolist()
            for place in range(time):
                is_end = whole[start + step * time + place] == END
                begins = documents[place] != documents[place - 1] if place else not batch.continues[lane]
                assert begins == is_end or (step == 0 and place == 0)
    assert same(source.batch(source.steps_per_epoch), source.batch(0))


def _sources() -> dict[str, ShuffledRows]:
    return {
        "windows": Windows(stream([50] * 20), batch_size=1, sequence_length=8, seed=1),
        "documents": PackedDocuments(stream([7, 3, 5] * 9), batch_size=1, sequence_length=6, seed=2),
        "pairs": Pairs([Pair((n,), (n, END)) for n in range(1, 40)], batch_size=1, sequence_length=5, end_id=END),
    }


WEIGHTS = [(0, {"windows": 3.0, "documents": 1.0}), (10, {"documents": 1.0, "pairs": 1.0}), (25, {"pairs": 2.0})]


def test_a_mixture_keeps_its_shares_and_gives_each_sources_rows_in_their_order() -> None:
    sources = _sources()
    mixture = Mixture(sources, WEIGHTS, batch_size=5)
    taken = dict.fromkeys(sources, 0)
    for step in range(40):
        batch = mixture.batch(step)
        assert batch.task_ids is not None
        assert batch.tasks == tuple(sources)
        for row, task in enumerate(batch.task_ids.tolist()):
            name = batch.tasks[task]
            alone = sources[name].rows(np.array([taken[name]]))
            taken[name] += 1
            assert torch.equal(batch.input_ids[row, : alone.time], alone.input_ids[0])
            assert torch.equal(batch.loss_weight[row, : alone.time], alone.loss_weight[0])
            assert not batch.loss_weight[row, alone.time :].any()
        if step == 9:
            assert [taken[name] for name in sources] == pytest.approx([37.5, 12.5, 0], abs=1)
        if step == 24:
            assert [taken[name] for name in sources] == pytest.approx([37.5, 50, 37.5], abs=2)
    assert sum(taken.values()) == 200
    assert taken["pairs"] == pytest.approx(112.5, abs=2)


def test_rows_that_come_again_have_a_number_of_their_own() -> None:
    documents = {name: PackedDocuments(stream(n), batch_size=1, sequence_length=6) for name, n in DOCUMENTS.items()}
    alone = PackedDocuments(stream([7, 3, 5] * 9), batch_size=4, sequence_length=6)
    for source in (alone, Mixture(documents, [(0, {"a": 3.0, "b": 1.0})], batch_size=4)):
        rows: dict[int, Any] = {}
        for step in range(40):
            batch = source.batch(step)
            assert batch.sample_ids is not None
            for row, number in enumerate(batch.sample_ids.tolist()):
                content = [batch.select([row]).target_ids, batch.select([row]).document_ids]
                assert all(map(torch.equal, rows.setdefault(number, content), content))
        assert sorted(rows) == list(range(source.num_fixed_rows or 0))
    assert Windows(stream([50] * 20), batch_size=1, sequence_length=8).num_fixed_rows is None
    mixture = Mixture(_sources(), WEIGHTS, batch_size=6)
    assert mixture.num_fixed_rows is None
    assert mixture.batch(0).sample_ids is None


DOCUMENTS = {"a": [7, 3, 5] * 9, "b": [4, 2] * 6}


@pytest.mark.parametrize("size", [2, 3, 6])
def test_the_ranks_rows_of_a_mixture_joined_are_the_whole(size: int) -> None:
    mixture = Mixture(_sources(), WEIGHTS, batch_size=6)
    for step in (0, 11, 30):
        parts = [mixture.batch(step, World(rank, size)) for rank in range(size)]
        assert same(Batch.concat(parts), mixture.batch(step))
        tasks = [part.task_ids for part in parts if part.task_ids is not None]
        whole = mixture.batch(step).task_ids
        assert whole is not None
        assert torch.equal(torch.cat(tasks), whole)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([(1, {"pairs": 1.0})], "from steps .1.; expected sources, and weights from step 0 on"),
        ([(0, {"pears": 1.0})], "no source 'pears'"),
        ([(0, {"pairs": 0.0})], "expected numbers from 0 on, one of them more"),
        ([(0, {"pairs": 1.0}), (9, {"pairs": -1.0})], "weights .* in the weights from step 9 on"),
    ],
)
def test_weights_that_are_no_shares_are_refused(weights: list[tuple[int, dict[str, float]]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Mixture(_sources(), weights, batch_size=4)


def test_every_source_has_a_fingerprint_of_what_it_gives() -> None:
    def made(seed: int, batch_size: int = 2) -> list[str]:
        tokens = stream([20, 31] * (3 + seed))
        shape = {"batch_size": batch_size, "sequence_length": 8}
        windows = Windows(tokens, **shape, seed=seed)
        pairs = Pairs([Pair((1,), (2 + seed,))], **shape, end_id=END)
        sources = (windows, PackedDocuments(tokens, **shape, seed=seed), pairs, Lanes(tokens, **shape))
        mixture = Mixture({"a": windows, "b": pairs}, [(0, {"a": 1.0})], batch_size=batch_size)
        return [source.fingerprint for source in (*sources, mixture)]

    assert made(0) == made(0)
    assert len({*made(0), *made(1), *made(0, batch_size=3)}) == 15
