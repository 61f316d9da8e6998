"""What is known of documents lies beside their ids, is checked like them, and says what is learned."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.data.dataset import TokenDataset, find_data_corruption, open_data
from textwright.data.documents import SpansInTokens, rows_of
from textwright.data.prepare import prepare_data, write_tokens
from textwright.data.sources.lanes import Lanes
from textwright.data.sources.packed_documents import PackedDocuments
from textwright.data.sources.windows import Windows, evaluation_batches
from textwright.text.chunks import split_chunks
from textwright.text.document import Chunk, Document
from textwright.tokens import Tokenizer, make_tokenizer

TEXTS = [f"question {number}? answer 月光 {number}." for number in range(40)]
VAL = [Chunk("val", Document("val.txt"))]


@pytest.fixture(scope="module", params=["bpe:300", "byte", "char"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return make_tokenizer(request.param, lambda: iter(TEXTS))


def answers() -> list[Chunk]:
    """Every third is learned whole, every third not at all, of the others the answer."""
    spans = {0: None, 1: ()}
    found = []
    for number, text in enumerate(TEXTS):
        span = ((text.index("answer"), len(text)),)
        document = Document(f"part-{number // 10}.jsonl", str(number), number % 2, "qa", spans.get(number % 3, span))
        found.append(Chunk(text, document))
    return found


def test_a_row_a_document_over_all_shards(tokenizer: Tokenizer, tmp_path: Path) -> None:
    data = prepare_data(answers(), tokenizer, tmp_path / "data", val_documents=VAL, unit_characters=100)
    table = data.train.documents
    assert table.column_names == ["source", "id", "label", "task", "spans"]
    assert str(table.schema.field("source").type).startswith("dictionary")
    rows = list(rows_of(table))
    assert [row.source for row in rows] == [chunk.document.source for chunk in answers()]
    assert [row.id for row in rows] == [str(number) for number in range(len(TEXTS))]
    assert {(row.label, row.task) for row in rows} == {("0", "qa"), ("1", "qa")}
    begins = [0, *data.train.document_ends.tolist()]
    for number, (row, chunk) in enumerate(zip(rows, answers(), strict=True)):
        if not chunk.document.spans:
            assert row.spans == chunk.document.spans
            continue
        ((start, stop),) = row.spans or ()
        ids = data.train.read(begins[number] + start, begins[number] + stop).tolist()
        assert ids[-1] == tokenizer.end_id  # the answer reaches the text's end
        assert tokenizer.decode(ids).lstrip() == TEXTS[number][TEXTS[number].index("answer") :]


def test_a_folder_that_is_open_has_not_loaded_pyarrow(tokenizer: Tokenizer, tmp_path: Path) -> None:
    prepare_data(answers(), tokenizer, tmp_path / "data", val_documents=VAL)
    program = (
        "import sys\nfrom pathlib import Path\nfrom textwright.data.dataset import open_data\n"
        "data = open_data(Path(sys.argv[1]))\nassert 'pyarrow' not in sys.modules\n"
        "assert data.train.documents.num_rows == 40\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path / "data"], check=True)


def test_a_table_that_was_changed_or_is_gone_is_found(tokenizer: Tokenizer, tmp_path: Path) -> None:
    prepare_data(answers(), tokenizer, tmp_path / "data", val_documents=VAL)
    assert find_data_corruption(tmp_path / "data") is None
    path = tmp_path / "data" / "train-00000.arrow"
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"part-1", b"part-9"))
    assert find_data_corruption(tmp_path / "data") == f"{path} has other content than was written"
    path.write_bytes(raw[:100])
    with pytest.raises(InputError, match=r"not a table of documents.*train-00000\.arrow"):
        _ = open_data(tmp_path / "data").train.documents
    path.unlink()
    with pytest.raises(InputError, match=r"train-00000\.arrow is missing"):
        open_data(tmp_path / "data")


def test_only_spans_make_another_fingerprint(tokenizer: Tokenizer, tmp_path: Path) -> None:
    plain, named = ([Chunk(text, Document(source)) for text in TEXTS] for source in ("a", "b"))
    found = [
        prepare_data(documents, tokenizer, tmp_path / str(number), val_documents=VAL)
        for number, documents in enumerate((plain, named, answers()))
    ]
    fingerprints = [data.train.fingerprint for data in found]
    assert fingerprints[0] == fingerprints[1] != fingerprints[2]
    assert [data.train.learned is None for data in found] == [True, True, False]


def learned_of(data: TokenDataset) -> list[bool]:
    """Whether each token is learned, document by document."""
    found = []
    begins = [0, *data.document_ends.tolist()]
    for row, begin, end in zip(rows_of(data.documents), begins, data.document_ends.tolist(), strict=False):
        spans = ((0, end - begin),) if row.spans is None else row.spans
        found += [any(start <= place < stop for start, stop in spans) for place in range(end - begin)]
    return found


@pytest.mark.parametrize("unit_characters", [100, 1 << 20])
def test_what_is_not_learned_has_no_weight(tokenizer: Tokenizer, tmp_path: Path, unit_characters: int) -> None:
    data = prepare_data(answers(), tokenizer, tmp_path / "d", val_documents=VAL, unit_characters=unit_characters).train
    is_learned = torch.tensor(learned_of(data))
    # The stream as it is, and with each id replaced by its place.
    ids = data.read(0, data.num_tokens).astype(np.uint32)
    plain, places = (
        TokenDataset([stream], data.document_ends, num_bytes=0, num_characters=0)
        for stream in (ids, np.arange(data.num_tokens, dtype=np.uint32))
    )
    assert 0.2 < is_learned.float().mean() < 0.8

    def same_but_weights(one: Batch, other: Batch) -> None:
        for name in ("input_ids", "target_ids", "document_ids", "position_ids"):
            first, second = getattr(one, name), getattr(other, name)
            assert (first is None and second is None) or torch.equal(first, second)

    options = {"batch_size": 3, "sequence_length": 11}
    for make in (Windows, Lanes):
        sources = [make(tokens, **options) for tokens in (data, plain, places)]
        for step in range(6):
            batch, full, at = (source.batch(step) for source in sources)
            same_but_weights(batch, full)
            assert torch.equal(batch.loss_weight, full.loss_weight * is_learned[at.target_ids])
    evaluated = [list(evaluation_batches(tokens, **options)) for tokens in (data, plain, places)]
    for batch, full, at in zip(*evaluated, strict=True):
        same_but_weights(batch, full)
        assert torch.equal(batch.loss_weight, full.loss_weight * is_learned[at.target_ids])


def test_packed_documents_are_read_as_they_are_asked_for(tokenizer: Tokenizer, tmp_path: Path) -> None:
    """From the end token on where the first token is learned, else with nothing before it."""
    data = prepare_data(answers(), tokenizer, tmp_path / "d", val_documents=VAL).train
    is_learned, begins = learned_of(data), [0, *data.document_ends.tolist()]
    expected = set[tuple[tuple[int, int, bool, int], ...]]()
    for begin, end in pairwise(begins):
        ids = [tokenizer.end_id, *data.read(begin, end).tolist()]
        places = list(zip(ids, ids[1:], is_learned[begin:end], strict=False))
        expected.add(tuple((*place, at) for at, place in enumerate(places[not is_learned[begin] :])))
    source = PackedDocuments(data, batch_size=1, sequence_length=64, seed=1)
    found = set[tuple[tuple[int, int, bool, int], ...]]()
    for step in range(source.num_rows):
        batch = source.batch(step)
        assert batch.document_ids is not None
        assert batch.position_ids is not None
        columns = (batch.input_ids, batch.target_ids, batch.loss_weight > 0, batch.position_ids)
        for document in range(int(batch.document_ids.max()) + 1):
            here = batch.document_ids == document
            found.add(tuple(zip(*(column[here].tolist() for column in columns), strict=True)))
    assert found == expected
    ids = data.read(0, data.num_tokens).astype(np.uint32)
    of_texts = TokenDataset([ids], data.document_ends, num_bytes=0, num_characters=0)
    assert PackedDocuments(of_texts, batch_size=1, sequence_length=64, seed=1).fingerprint != source.fingerprint


@settings(max_examples=100, deadline=None)
@given(
    text=st.text(alphabet="ab 月é😀.", min_size=1, max_size=60),
    cuts=st.lists(st.integers(0, 60), max_size=6),
    parts=st.lists(st.integers(1, 60), max_size=3),
)
@pytest.mark.parametrize("spec", ["bpe:270", "byte", "char"])
def test_a_token_is_learned_if_any_of_its_characters_is(
    spec: str, text: str, cuts: list[int], parts: list[int]
) -> None:
    made = make_tokenizer(spec, lambda: iter(["ab 月é😀. ab ab 月月"]))
    edges = sorted({min(cut, len(text)) for cut in cuts})
    spans = tuple(zip(edges[::2], edges[1::2], strict=False))
    found = SpansInTokens(Document("here", spans=spans))
    borders = sorted({0, len(text), *(part for part in parts if part < len(text))})
    expected, place = [], 0
    for start, stop in pairwise(borders):
        chunk = text[start:stop]
        ids = made.encode_array(chunk)
        found.add(chunk, ids, made)
        at = 0  # in bytes, or for a tokenizer of characters in these
        owner = [number for number, letter in enumerate(chunk) for _ in letter.encode()]
        for index in ids.tolist():
            size = 1 if spec == "char" else len(made.token_bytes[index])
            letters = [at] if spec == "char" else owner[at : at + size]
            at += size
            if any(first <= start + letter < last for letter in letters for first, last in spans):
                expected.append(place)
            place += 1
    if spans and spans[-1][1] == len(text):
        expected.append(place)
    assert [token for start, stop in found.end() for token in range(start, stop)] == expected


def test_the_spans_of_a_document_that_is_cut_for_validation_go_with_its_parts(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    text = "".join(TEXTS)
    spans = tuple((text.index(line) + line.index("answer"), text.index(line) + len(line) - 1) for line in TEXTS)
    chunks = list(split_chunks([text], Document("one.txt", spans=spans)))
    whole = prepare_data(chunks, tokenizer, tmp_path / "whole", val_documents=VAL).train
    data = prepare_data(chunks, tokenizer, tmp_path / "data")
    assert data.val is not None
    assert [row.source for row in [*rows_of(data.train.documents), *rows_of(data.val.documents)]] == ["one.txt"] * 2
    train, val = learned_of(data.train), learned_of(data.val)
    assert train[-1] is False  # the end token that the cut made
    assert train[:-1] + val == learned_of(whole)
    assert any(train)
    assert any(val)


@pytest.mark.parametrize("spans", [((3, 3),), ((5, 2),), ((4, 6), (2, 3)), ((1, 4), (3, 5)), ((-1, 2),), ((1, 9),)])
def test_spans_that_are_none_are_refused_in_one_line(tmp_path: Path, spans: tuple[tuple[int, int], ...]) -> None:
    tokenizer = make_tokenizer("byte", lambda: iter(()))
    with pytest.raises(InputError, match=r"learned spans .* in here:7; expected") as caught:
        prepare_data([Chunk("12345678", Document("here", "7", spans=spans))], tokenizer, tmp_path / "data")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_ids_that_are_written_keep_what_is_known_of_their_documents(tokenizer: Tokenizer, tmp_path: Path) -> None:
    data = prepare_data(answers(), tokenizer, tmp_path / "data", val_documents=VAL)
    again = write_tokens(data.train, tokenizer, tmp_path / "again")
    assert again.train.fingerprint == data.train.fingerprint
    assert list(rows_of(again.train.documents)) == list(rows_of(data.train.documents))
    memory = write_tokens(TokenDataset.from_texts(TEXTS, tokenizer), tokenizer, tmp_path / "memory").train
    assert set(rows_of(memory.documents)) == {Document("memory")}
    assert memory.learned is None


def test_a_path_that_is_not_utf8_stands_in_the_table_as_well_as_it_can(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("byte", lambda: iter(()))
    chunks = [Chunk("text", Document("caf\udce9.txt"))]
    data = prepare_data(chunks, tokenizer, tmp_path / "data", val_documents=VAL)
    assert [row.source for row in rows_of(data.train.documents)] == ["caf\ufffd.txt"]
