"""A unit becomes the same shard whenever it is encoded, whole or not at all; a corpus is cut into units in a stream."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.text.test_read_once import pipe_of
from textwright.data.dataset import find_data_corruption, open_data
from textwright.data.encode import Unit, encode
from textwright.data.manifest import read_manifest
from textwright.data.prepare import prepare_data
from textwright.text.document import Chunk, Document
from textwright.text.files import fingerprint
from textwright.text.read import TextFiles
from textwright.tokens import Tokenizer, make_tokenizer

HERE = Document("test")
TEXTS = [f"document {number}: " + "some words and 月光 " * (number % 7) for number in range(60)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return make_tokenizer("bpe:300", lambda: iter(TEXTS))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}


def test_the_same_unit_gives_the_same_bytes_again_and_in_another_folder(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    chunks = [Chunk("one ", HERE, is_last=False), Chunk("two", HERE), Chunk("three", HERE)]
    first = encode(Unit("train-00003", chunks), tokenizer, tmp_path)
    before = content(tmp_path)
    assert encode(Unit("train-00003", iter(chunks)), tokenizer, tmp_path) == first
    assert content(tmp_path) == before
    assert encode(Unit("train-00003", chunks), tokenizer, tmp_path / "other") == first
    assert content(tmp_path / "other") == before
    assert (first.name, first.num_documents, first.num_bytes, first.num_characters) == ("train-00003", 2, 12, 12)


def test_a_unit_that_fails_leaves_what_was_there(tokenizer: Tokenizer, tmp_path: Path) -> None:
    encode(Unit("train-00000", [Chunk("one", HERE)]), tokenizer, tmp_path)
    before = content(tmp_path)

    def breaking() -> Iterator[Chunk]:
        yield Chunk("other", HERE)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        encode(Unit("train-00000", breaking()), tokenizer, tmp_path)
    assert content(tmp_path) == before


def test_a_long_document_is_not_held(tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its chunks are asked for one by one while its shard is written; the shard holds it whole."""
    asked, ahead, plain = [], [], tokenizer.encode_array

    def chunks() -> Iterator[Chunk]:
        for number in range(100):
            asked.append(number)
            yield Chunk(f"chunk {number} ", HERE, is_last=number == 99)
        yield Chunk("and another", HERE)

    def watched(text: str) -> object:
        ahead.append(len(asked) - len(ahead))
        return plain(text)

    monkeypatch.setattr(tokenizer, "encode_array", watched)
    val = [Chunk("val", HERE)]
    data = prepare_data(chunks(), tokenizer, tmp_path / "data", val_documents=val, unit_characters=50)
    assert data.train.num_documents == 2
    assert data.manifest is not None
    assert len(data.manifest.splits["train"].shards) == 2
    assert max(ahead) <= 7


def test_units_do_not_change_the_stream(tokenizer: Tokenizer, tmp_path: Path) -> None:
    documents = [Chunk(text, HERE) for text in TEXTS]
    one = prepare_data(documents, tokenizer, tmp_path / "one")
    many = prepare_data(documents, tokenizer, tmp_path / "many", unit_characters=100)
    for split in ("train", "val"):
        whole, cut = getattr(one, split), getattr(many, split)
        assert whole.read(0, whole.num_tokens).tolist() == cut.read(0, cut.num_tokens).tolist()
        assert whole.document_ends.tolist() == cut.document_ends.tolist()
        assert (whole.num_bytes, whole.num_characters) == (cut.num_bytes, cut.num_characters)
    assert many.manifest is not None
    assert len(many.manifest.splits["train"].shards) > 5


def test_text_from_a_pipe_becomes_the_same_shards_as_from_a_file(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("\n".join(TEXTS))
    expected = prepare_data([tmp_path / "text.txt"], tokenizer, tmp_path / "data")
    with pipe_of("\n".join(TEXTS).encode()) as path, TextFiles([path], scratch=tmp_path) as files:
        made = make_tokenizer("bpe:300", files.texts)
        found = prepare_data(files, made, tmp_path / "piped")
    assert made.fingerprint == make_tokenizer("bpe:300", lambda: iter(["\n".join(TEXTS)])).fingerprint
    assert found.manifest is not None
    assert expected.manifest is not None
    assert found.manifest.sources_sha256 == expected.manifest.sources_sha256 == fingerprint([tmp_path / "text.txt"])
    assert found.train.num_bytes == expected.train.num_bytes


def test_a_folder_of_version_1_is_read_and_verified() -> None:
    """It has neither the bytes of each shard nor a table of documents."""
    folder = Path(__file__).parents[1] / "fixtures" / "v0.1" / "runs" / "finished" / "data"
    manifest = read_manifest(folder)
    assert manifest.version == 1
    assert find_data_corruption(folder) is None
    data = open_data(folder)
    assert data.val is not None
    assert data.train.num_tokens == manifest.splits["train"].num_tokens > 0
    assert data.train.num_bytes == manifest.splits["train"].num_bytes > 0
