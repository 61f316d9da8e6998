"""What is kept for validation: a tenth of many documents by hash, of few the end of each, and the line is true."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from textwright.core.errors import InputError
from textwright.data.dataset import DataSplits, TokenDataset, find_data_corruption
from textwright.data.documents import rows_of
from textwright.data.prepare import prepare_data
from textwright.text import split as split_module
from textwright.text.document import Chunk, Document
from textwright.text.read import TextFiles
from textwright.text.split import FEWEST_DOCUMENTS, choose_split, is_validation
from textwright.tokens import Tokenizer, make_tokenizer

Prepare = Callable[..., DataSplits]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return make_tokenizer("byte", lambda: iter(()))


@pytest.fixture
def prepare(tokenizer: Tokenizer, tmp_path: Path) -> Prepare:
    def run(*texts: str) -> DataSplits:
        chunks = (Chunk(text, Document(f"{number}.txt")) for number, text in enumerate(texts))
        data = prepare_data(chunks, tokenizer, tmp_path / "data")
        assert find_data_corruption(tmp_path / "data") is None
        return data

    return run


def texts_of(tokens: TokenDataset | None, tokenizer: Tokenizer) -> list[str]:
    if tokens is None:
        return []
    ends = tokens.document_ends.tolist()
    return [tokenizer.decode(tokens.read(start, end).tolist()) for start, end in zip([0, *ends], ends, strict=False)]


def described(data: DataSplits) -> str:
    assert data.manifest is not None
    return data.manifest.split


def novels(*sizes: int) -> list[str]:
    return [("".join(f"{number} word{place} 月光 " for place in range(size))) for number, size in enumerate(sizes)]


def test_of_three_novels_each_gives_its_last_tenth(prepare: Prepare, tokenizer: Tokenizer) -> None:
    texts = novels(3000, 4000, 2900)
    data = prepare(*texts)
    train, val = texts_of(data.train, tokenizer), texts_of(data.val, tokenizer)
    assert [before + after for before, after in zip(train, val, strict=True)] == texts
    for text, end in zip(texts, val, strict=True):
        assert len(end) == pytest.approx(len(text) / 10, abs=1)
    assert described(data) == "the last tenth of each of 3 documents"


def test_bytes_and_characters_are_counted_from_the_text(prepare: Prepare, tokenizer: Tokenizer) -> None:
    data = prepare(*novels(300, 400, 10))
    for tokens in (data.train, data.val):
        assert tokens is not None
        texts = texts_of(tokens, tokenizer)
        assert tokens.num_bytes == sum(len(text.encode()) for text in texts)
        assert tokens.num_characters == sum(map(len, texts))


def test_they_are_where_the_tokenizer_does_not_know_all_characters(tmp_path: Path) -> None:
    """Counted from its tokens, unknown characters would be missing."""
    text = "月光 and 日光 " * 100
    data = prepare_data([Chunk(text, Document("a"))], make_tokenizer("char", lambda: iter(["and "])), tmp_path / "data")
    assert data.val is not None
    assert data.train.num_bytes + data.val.num_bytes == len(text.encode())
    assert data.train.num_characters + data.val.num_characters == len(text)
    assert data.val.num_characters == pytest.approx(len(text) / 10, rel=0.05)


def test_a_book_and_a_note_leave_the_book_to_train_on(prepare: Prepare, tokenizer: Tokenizer) -> None:
    for book in (text for number in range(40) if is_validation(text := f"book {number}. " + "and so on. " * 500)):
        data = prepare(book, "a note.")
        assert data.train.num_bytes > 0.85 * len(book)
        assert texts_of(data.train, tokenizer)[1] == "a note."
        assert described(data) == "the last tenth of each of 2 documents, but for 1 of which a tenth is nothing"


def test_many_documents_are_split_by_hash_and_the_share_is_said(prepare: Prepare, tokenizer: Tokenizer) -> None:
    texts = [f"document {number}" for number in range(400)]
    data = prepare(*texts)
    val = [text for text in texts if is_validation(text)]
    assert texts_of(data.val, tokenizer) == val
    assert texts_of(data.train, tokenizer) == [text for text in texts if not is_validation(text)]
    share = 100 * sum(map(len, val)) / sum(map(len, texts))
    assert described(data) == f"{len(val)} of 400 documents, by hash: {share:.2g} % of the text"


def test_where_the_hash_would_take_more_than_a_fifth_each_gives_its_end(prepare: Prepare, tokenizer: Tokenizer) -> None:
    texts = [f"document {number}" for number in range(100)]
    large = next(number for number, text in enumerate(texts) if is_validation(text))
    assert "by hash" in described(prepare(*texts))
    while is_validation(texts[large]):
        share = sum(len(text) for text in texts if is_validation(text)) / sum(map(len, texts))
        if share > 0.2:
            break
        texts[large] = next(
            text for more in range(1000) if is_validation(text := texts[large] + " and more" * 40 + f" {more}")
        )
    data = prepare(*texts)
    assert described(data).startswith("the last tenth of each of 100 documents")
    train, val = texts_of(data.train, tokenizer), texts_of(data.val, tokenizer)
    assert sum(map(len, val)) <= 0.2 * sum(map(len, texts))
    assert len(train) == 100
    assert sum(map(len, train)) + sum(map(len, val)) == sum(map(len, texts))


def test_where_the_hash_would_take_nothing_each_gives_its_end(prepare: Prepare) -> None:
    texts = [text for number in range(60) if not is_validation(text := f"a document with the number {number}")][:30]
    assert described(prepare(*texts)) == "the last tenth of each of 30 documents"


def test_the_fewest_documents_that_are_split_by_hash(prepare: Prepare) -> None:
    trained = [text for number in range(60) if not is_validation(text := f"one {number}")]
    held = next(text for number in range(60) if is_validation(text := f"one {number}"))
    assert "by hash" in described(prepare(*trained[: FEWEST_DOCUMENTS - 1], held))
    assert "by hash" not in described(prepare(*trained[: FEWEST_DOCUMENTS - 2], held))


def test_small_documents_stay_whole_in_training(prepare: Prepare, tokenizer: Tokenizer) -> None:
    data = prepare("tiny", "12345678", " \n ", "123456789")
    assert data.val is None
    assert texts_of(data.train, tokenizer) == ["tiny", "12345678", "123456789"]
    assert described(data) == "none: a tenth of each document is nothing"


def test_the_end_is_not_white_space_alone(prepare: Prepare, tokenizer: Tokenizer) -> None:
    data = prepare("some words and others. " + "\n" * 500)
    (end,) = texts_of(data.val, tokenizer)
    assert end.strip()


def test_files_are_read_once_and_nothing_is_left_of_what_is_kept(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    for number, text in enumerate(novels(2000, 3000)):
        (tmp_path / "texts" / f"{number}.txt").write_text(text)
    with TextFiles([tmp_path / "texts"]) as files:
        read = iter(files._read())
        files._read = lambda: read  # type: ignore[method-assign]
        data = prepare_data(files, tokenizer, tmp_path / "data")
        assert data.manifest is not None
        assert data.manifest.sources_sha256 == files.fingerprint
    names = {path.name for path in (tmp_path / "data").iterdir()}
    assert {name.rsplit(".", 1)[0] for name in names if name.endswith((".bin", ".idx", ".arrow"))} == {
        "train-00000",
        "val-00000",
    }


@settings(deadline=None, max_examples=200)
@given(
    texts=st.lists(st.text(alphabet="ab 月é\u0301\n", max_size=80), min_size=1, max_size=4),
    cuts=st.lists(st.integers(0, 80), max_size=3),
    spans=st.lists(st.integers(0, 80), max_size=6),
)
def test_however_documents_come_in_chunks_their_parts_join_to_them(
    texts: list[str], cuts: list[int], spans: list[int]
) -> None:
    def chunks() -> Iterator[Chunk]:
        for number, text in enumerate(texts):
            edges = sorted({min(edge, len(text)) for edge in spans})
            document = Document(str(number), spans=tuple(zip(edges[::2], edges[1::2], strict=False)))
            places = sorted({0, len(text), *(cut for cut in cuts if 0 < cut < len(text))})
            parts = [text[start:stop] for start, stop in pairwise(places)] or [""]
            for index, part in enumerate(parts):
                yield Chunk(part, document, is_last=index == len(parts) - 1)

    split = choose_split(chunks)
    found: dict[str, dict[str, str]] = {"train": {}, "val": {}}
    ended: list[tuple[str, str]] = []
    for side, chunk in split.sides(chunks()):
        of = chunk.document.source
        found[side][of] = found[side].get(of, "") + chunk.text
        ended += [(side, of)] if chunk.is_last else []
    assert len(ended) == len(set(ended)) == sum(map(len, found.values()))
    for number, text in enumerate(texts):
        train, val = (found[side].get(str(number), "") for side in ("train", "val"))
        assert train + val == text or not text.strip()
        if len(text.rstrip()) >= split_module.VALIDATION_OF and text.strip():
            assert val.strip()
            assert len(val) <= len(text) - 0.4 * len(text.rstrip())
        else:
            assert val == ""


def test_an_answer_is_not_torn_apart(tokenizer: Tokenizer, tmp_path: Path) -> None:
    text = "question? " * 85 + "an answer of some length here. " * 5
    span = (850, len(text))
    data = prepare_data([Chunk(text, Document("a", spans=(span,)))], tokenizer, tmp_path / "data")
    assert data.val is not None
    assert texts_of(data.val, tokenizer) == [" " + text[850:]]
    assert [row.spans for row in rows_of(data.train.documents)] == [()]
    assert [row.spans for row in rows_of(data.val.documents)] == [((1, len(text) - 850 + 2),)]


def test_spans_of_a_document_that_would_be_cut_are_refused_as_of_any(tokenizer: Tokenizer, tmp_path: Path) -> None:
    for spans in (((5, 999),), ((30, 20),), ((-1, 5),), ((10, 30), (20, 40))):
        with pytest.raises(InputError, match="learned spans"):
            prepare_data([Chunk("word " * 20, Document("a", spans=spans))], tokenizer, tmp_path / "data")


@pytest.mark.parametrize(("num_prompts", "num_references"), [(200, 3), (6, 4), (8, 2)])
def test_all_references_of_a_prompt_are_on_one_side(
    tokenizer: Tokenizer, tmp_path: Path, num_prompts: int, num_references: int
) -> None:
    """Of many pairs and of few: otherwise what is validated on was half learned."""
    pairs = [(f"prompt {n}:", f" answer {k}", str(n)) for n in range(num_prompts) for k in range(num_references)]
    chunks = [
        Chunk(prompt + answer, Document("x", spans=((len(prompt), len(prompt + answer)),), group=group))
        for prompt, answer, group in pairs
    ]
    data = prepare_data(chunks, tokenizer, tmp_path / "data")
    sides = [{text.split(":")[0] for text in texts_of(tokens, tokenizer)} for tokens in (data.train, data.val)]
    assert sides[0] | sides[1] == {f"prompt {n}" for n in range(num_prompts)}
    assert not sides[0] & sides[1]
    assert data.val is not None
    assert data.val.num_documents % num_references == 0
    assert data.val.num_documents <= 0.2 * num_prompts * num_references
    assert f"{data.val.num_documents:,} of {len(pairs):,} documents" in described(data)
