"""Text goes to shards and comes back; damage is found; validation never holds what training has."""

import gzip
import io
import json
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from textwright.core.errors import InputError
from textwright.data.dataset import TokenDataset, find_data_corruption, open_data
from textwright.data.prepare import prepare_data
from textwright.text.document import Chunk, Document
from textwright.tokens import Tokenizer, make_tokenizer

TEXTS = [f"document {number}: " + "some words and 月光 " * (number % 7) for number in range(100)]


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return make_tokenizer("bpe:300", lambda: iter(TEXTS))


def documents(texts: list[str]) -> list[Chunk]:
    return [Chunk(text, Document("test")) for text in texts]


def texts_of(tokens: TokenDataset, tokenizer: Tokenizer) -> list[str]:
    starts = [0, *tokens.document_ends[:-1].tolist()]
    pairs = zip(starts, tokens.document_ends.tolist(), strict=True)
    found = []
    for start, end in pairs:
        ids = tokens.read(start, end).tolist()
        assert ids[-1] == tokenizer.end_id
        assert tokenizer.end_id not in ids[:-1]
        found.append(tokenizer.decode(ids))
    return found


@pytest.mark.parametrize("unit_characters", [1, 200, 1 << 30])
def test_every_document_is_on_one_side_whole_and_once(
    tokenizer: Tokenizer, tmp_path: Path, unit_characters: int
) -> None:
    data = prepare_data(documents(TEXTS), tokenizer, tmp_path / "data", unit_characters=unit_characters)
    assert data.val is not None
    train, val = texts_of(data.train, tokenizer), texts_of(data.val, tokenizer)
    assert sorted(train + val) == sorted(TEXTS)
    assert 2 <= len(val) <= 25
    assert data.train.num_bytes + data.val.num_bytes == sum(len(text.encode()) for text in TEXTS)
    assert data.train.num_characters + data.val.num_characters == sum(map(len, TEXTS))
    assert find_data_corruption(tmp_path / "data") is None


def test_the_same_text_gives_the_same_split_in_any_order(tokenizer: Tokenizer, tmp_path: Path) -> None:
    one = prepare_data(documents(TEXTS), tokenizer, tmp_path / "one")
    other = prepare_data(documents(TEXTS[::-1] + TEXTS[:20]), tokenizer, tmp_path / "other")
    assert one.val is not None
    assert other.val is not None
    assert set(texts_of(one.val, tokenizer)) == set(texts_of(other.val, tokenizer))


@pytest.mark.parametrize("spec", ["bpe", "byte", "char"])
def test_of_a_single_document_the_last_tenth_validates(tmp_path: Path, spec: str) -> None:
    text = "月光 and words 😀 " * 400
    tokenizer = make_tokenizer("bpe:270" if spec == "bpe" else spec, lambda: iter([text]))
    data = prepare_data(documents([text]), tokenizer, tmp_path / "data")
    assert data.val is not None
    (train,), (val,) = texts_of(data.train, tokenizer), texts_of(data.val, tokenizer)
    assert train + val == text
    assert "\ufffd" not in train + val  # the cut is not inside a character
    assert data.val.num_tokens == pytest.approx(0.1 * data.train.num_tokens / 0.9, rel=0.02)
    assert data.val.num_bytes == len(val.encode())
    assert data.manifest is not None
    assert data.manifest.split == "the last tenth of the text"
    assert find_data_corruption(tmp_path / "data") is None


def test_given_validation_documents_are_taken_and_nothing_is_cut_off(tokenizer: Tokenizer, tmp_path: Path) -> None:
    data = prepare_data(documents(TEXTS[:3]), tokenizer, tmp_path / "data", val_documents=documents(TEXTS[3:5]))
    assert data.val is not None
    assert texts_of(data.train, tokenizer) == TEXTS[:3]
    assert texts_of(data.val, tokenizer) == TEXTS[3:5]


def test_a_document_in_chunks_is_one_document(tokenizer: Tokenizer, tmp_path: Path) -> None:
    items = [Chunk("one", Document("a"), is_last=False), Chunk(" two", Document("a")), Chunk("three", Document("b"))]
    data = prepare_data(items, tokenizer, tmp_path / "data", val_documents=documents(["val"]))
    assert texts_of(data.train, tokenizer) == ["one two", "three"]


def test_small_vocabularies_are_uint16_little_endian_and_ends_uint64(tokenizer: Tokenizer, tmp_path: Path) -> None:
    data = prepare_data(documents(TEXTS), tokenizer, tmp_path / "data", val_documents=documents(["val"]))
    ids = np.fromfile(tmp_path / "data" / "train-00000.bin", dtype="<u2")
    ends = np.fromfile(tmp_path / "data" / "train-00000.idx", dtype="<u8")
    assert ids.tolist() == data.train.read(0, data.train.num_tokens).tolist()
    assert ends.tolist() == data.train.document_ends.tolist()
    manifest = json.loads((tmp_path / "data" / "manifest.json").read_text())
    assert manifest["dtype"] == "uint16"
    assert manifest["tokenizer_sha256"] == tokenizer.fingerprint


def test_large_vocabularies_are_uint32(tmp_path: Path) -> None:
    text = "".join(map(chr, [*range(0x20, 0xD800), *range(0xE000, 0x1C000)]))
    tokenizer = make_tokenizer("char", lambda: iter([text]))
    data = prepare_data(documents([text]), tokenizer, tmp_path / "data", val_documents=documents(["x"]))
    assert data.manifest is not None
    assert data.manifest.dtype == "uint32"
    assert texts_of(data.train, tokenizer) == [text]


def test_a_flipped_bit_a_cut_and_a_missing_file_are_found(tokenizer: Tokenizer, tmp_path: Path) -> None:
    prepare_data(documents(TEXTS), tokenizer, tmp_path / "data")
    path = tmp_path / "data" / "val-00000.bin"
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(bytes(raw))
    assert find_data_corruption(tmp_path / "data") == f"{path} has other content than was written"
    path.write_bytes(bytes(raw)[:-2])
    with pytest.raises(InputError, match=r"the shard .*val-00000\.bin has .* bytes; expected"):
        open_data(tmp_path / "data")
    path.unlink()
    with pytest.raises(InputError, match=r"val-00000\.bin has no bytes"):
        open_data(tmp_path / "data")


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"version": 9}', '{"splits": {"train": {}}}'])
def test_a_manifest_that_is_none_is_refused_by_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(InputError, match=r"manifest\.json"):
        open_data(tmp_path)


def test_text_that_fails_half_way_leaves_nothing_behind(tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("good " * 100)
    (tmp_path / "later.txt").write_bytes(b"bad \xff")
    with pytest.raises(InputError, match="not UTF-8"):
        prepare_data([tmp_path / "good.txt", tmp_path / "later.txt"], tokenizer, tmp_path / "data")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["good.txt", "later.txt"]


def test_no_text_at_all_is_refused(tokenizer: Tokenizer, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no text to train on"):
        prepare_data(documents(["", "  \n"]), tokenizer, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_progress_of_a_mixed_folder_ends_at_the_size_of_its_files(tokenizer: Tokenizer, tmp_path: Path) -> None:
    folder = tmp_path / "text"
    folder.mkdir()
    lines = "".join(json.dumps({"text": text}) + "\n" for text in TEXTS * 20).encode()
    table = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"text": TEXTS * 20}), table)
    compress = zstandard.ZstdCompressor().compress
    for name, raw in {
        "a.txt": "\n".join(TEXTS).encode(),
        "b.txt.gz": gzip.compress("\n".join(TEXTS * 20).encode()),
        "c.jsonl.gz": gzip.compress(lines),
        "d.csv.zst": compress(("text\n" + "\n".join(TEXTS * 20)).encode()),
        "e.jsonl.zst": compress(lines),
        "f.parquet": table.getvalue(),
        "g.parquet.gz": gzip.compress(table.getvalue()),
    }.items():
        (folder / name).write_bytes(raw)
    total = sum(path.stat().st_size for path in folder.iterdir())
    seen: list[int] = []
    prepare_data([folder], tokenizer, tmp_path / "data", progress=seen.append)
    assert seen == sorted(seen)
    assert seen[-1] == total
    seen.clear()
    prepare_data([folder], tokenizer, tmp_path / "two", val_documents=[folder / "a.txt"], progress=seen.append)
    assert seen[-1] == total


def test_progress_of_documents_in_memory_counts_their_text(tokenizer: Tokenizer, tmp_path: Path) -> None:
    seen: list[int] = []
    prepare_data(documents(TEXTS), tokenizer, tmp_path / "data", progress=seen.append)
    assert seen[-1] == sum(len(text.encode()) for text in TEXTS)


def test_shards_are_neither_read_nor_written_where_no_folder_can_be_in_one_line(
    tokenizer: Tokenizer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("x")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    (tmp_path / "shards" / "manifest.json").mkdir(parents=True)
    for path in (
        tmp_path / "file" / "x",
        tmp_path / ("x" * 300),
        tmp_path / "circle" / "x",
        tmp_path / "a\0b",
    ):
        with pytest.raises(InputError) as caught:
            prepare_data(documents(TEXTS), tokenizer, path)
        assert "\n" not in str(caught.value)
        with pytest.raises(InputError):
            open_data(path)
        assert find_data_corruption(path) is not None
    with pytest.raises(InputError, match=r"manifest\.json is a folder"):
        open_data(tmp_path / "shards")


def test_a_shard_that_may_not_be_read_is_one_line(
    tokenizer: Tokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepare_data(documents(TEXTS), tokenizer, tmp_path / "data")

    def refused(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(np, "memmap", refused)  # the tests may run as root, whom nothing refuses
    with pytest.raises(InputError, match="data: permission denied"):
        open_data(tmp_path / "data")
    assert "permission denied" in str(find_data_corruption(tmp_path / "data"))
