"""Every kind of tokenizer: the same ids as Hugging Face's, the way back, and nothing special in a user's text."""

import itertools
import json
import random
import time
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Reference

from textwright.core.errors import InputError
from textwright.tokens import Tokenizer, load_tokenizer, make_tokenizer, parse_spec
from textwright.tokens import library as library_module
from textwright.tokens import make as make_module
from textwright.tokens.byte_alphabet import CHARACTER_OF_BYTE
from textwright.tokens.fast import GPT2_PATTERN, LONG_RUN, has_long_run
from textwright.tokens.make import sample, train_bpe
from textwright.tokens.tokenizer import END

PROSE = """The quick brown fox doesn't jump; it's 12,345.67 miles.  Two  spaces,\ttabs,
new lines

and more. 床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。 Größe, naïve, Ελλάδα, русский текст. 😀👩‍👩‍👧 def f(x):
    return x + 1
"""
TRICKY = [
    "",
    " ",
    "\n",
    "  leading and trailing  ",
    f"a {END} in a user's text, and {END}{END}",
    "can't won't I'LL we've 'tis",
    "a\u00a0b\u3000c\u2028d\x85e",
    "e\u0301 and é, ﬁ ligature, ½ ² Ⅷ",
    "nul-free \x01\x02 controls \x7f",
    "\ufeffmark",
    "price: $3.50 (50%)...!?  \n \n\t x",
]
KINDS = ("byte", "char", "bpe")


@pytest.fixture(scope="module")
def tokenizers() -> dict[str, Tokenizer]:
    texts = [PROSE * 3, *TRICKY]
    return {kind: make_tokenizer("bpe:400" if kind == "bpe" else kind, lambda: iter(texts)) for kind in KINDS}


@pytest.fixture(params=KINDS)
def tokenizer(request: pytest.FixtureRequest, tokenizers: dict[str, Tokenizer]) -> Tokenizer:
    return tokenizers[request.param]


@pytest.fixture(scope="module")
def gpt2(data_folder: Callable[[str], Path]) -> Tokenizer:
    return load_tokenizer(data_folder("gpt2-bpe"))


def reference(tokenizer: Tokenizer) -> Reference:
    """Hugging Face's tokenizer of the same file, which is told not to see special tokens in text."""
    return Reference.from_str(json.dumps(tokenizer.json | {"added_tokens": []}))


def test_texts_come_back_unchanged(tokenizer: Tokenizer) -> None:
    for text in [PROSE, *TRICKY]:
        assert tokenizer.decode(tokenizer.encode(text)) == text


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_comes_back_unchanged_from_bytes_and_bpe(tokenizers: dict[str, Tokenizer], text: str) -> None:
    for kind in ("byte", "bpe"):
        ids = tokenizers[kind].encode(text)
        assert tokenizers[kind].decode(ids) == text
        assert reference(tokenizers[kind]).encode(text, add_special_tokens=False).ids == ids


def test_a_character_that_is_unknown_becomes_the_replacement_character(tokenizers: dict[str, Tokenizer]) -> None:
    char = tokenizers["char"]
    assert char.decode(char.encode("aÿb")) == "a\ufffdb"


def test_ids_are_those_of_hugging_faces_tokenizers(tokenizer: Tokenizer) -> None:
    for text in [PROSE, *TRICKY]:
        assert tokenizer.encode(text) == reference(tokenizer).encode(text, add_special_tokens=False).ids


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_auto_tokenizer_reads_what_is_written_with_the_same_ids(tokenizer: Tokenizer, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer.save(tmp_path)
    foreign = AutoTokenizer.from_pretrained(tmp_path)
    for text in [PROSE, *(text for text in TRICKY if END not in text)]:
        assert foreign.encode(text, add_special_tokens=False) == tokenizer.encode(text)
        assert foreign.decode(tokenizer.encode(text)) == text
    assert foreign.eos_token_id == tokenizer.end_id
    assert len(foreign) == tokenizer.vocab_size


def test_a_saved_tokenizer_is_read_back_as_it_was(tokenizer: Tokenizer, tmp_path: Path) -> None:
    tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert (again.kind, again.token_bytes, again.end_id) == (tokenizer.kind, tokenizer.token_bytes, tokenizer.end_id)
    assert again.fingerprint == tokenizer.fingerprint
    assert again.encode(PROSE) == tokenizer.encode(PROSE)


def test_the_end_token_never_comes_out_of_text(tokenizer: Tokenizer) -> None:
    ids = tokenizer.encode(f"before{END}after")
    assert tokenizer.end_id not in ids
    assert tokenizer.decode(ids) == f"before{END}after"
    assert tokenizer.decode([tokenizer.end_id]) == ""


@pytest.mark.parametrize("run", [" ", "\n", "a", "é", "1", "-", "床", "ab", " \n"])
@pytest.mark.parametrize("length", [LONG_RUN - 1, LONG_RUN, 3 * LONG_RUN + 1])
def test_ids_stay_the_same_on_both_sides_of_the_guard_for_long_runs(gpt2: Tokenizer, run: str, length: int) -> None:
    text = f"start{run * (length // len(run))}x and more"
    assert gpt2.encode(text) == reference(gpt2).encode(text, add_special_tokens=False).ids


def test_the_guard_sees_every_long_run_and_nothing_else() -> None:
    for seed in range(300):
        draw = random.Random(seed)
        lengths = [draw.choice([1, 7, LONG_RUN // 2, LONG_RUN - 1, LONG_RUN]) for _ in range(5)]
        text = "".join(draw.choice("a月1 \n，_-") * length for length in lengths)
        kinds = ((char.isspace(), char.isalnum()) for char in text)
        runs = (len(list(run)) for _, run in itertools.groupby(kinds))
        assert has_long_run(text) == (max(runs) >= LONG_RUN)


@pytest.mark.parametrize("run", [" ", "\n", "a"])
def test_a_million_equal_characters_take_seconds_not_hours(gpt2: Tokenizer, run: str) -> None:
    begun_s = time.perf_counter()
    text = run * 1_000_000 + "b"
    assert gpt2.decode(gpt2.encode(text)) == text
    assert time.perf_counter() - begun_s < 15


@pytest.mark.parametrize("kind", KINDS)
def test_streaming_gives_whole_characters_and_in_the_end_the_same_text(
    tokenizers: dict[str, Tokenizer], kind: str
) -> None:
    tokenizer = tokenizers[kind]
    text = PROSE if kind == "char" else f"{PROSE}🦊"
    stream, pieces = tokenizer.stream(), []
    for token_id in tokenizer.encode(text):
        pieces.append(stream.push(token_id))
        assert "\ufffd" not in pieces[-1]
    assert "".join(pieces) + stream.flush() == text
    assert any(piece == "" for piece in pieces) == (kind != "char")  # something was held back


def test_streaming_says_in_the_end_that_a_character_stayed_half(tokenizers: dict[str, Tokenizer]) -> None:
    stream = tokenizers["byte"].stream()
    assert [stream.push(byte) for byte in "月".encode()[:2]] == ["", ""]
    assert stream.flush() == "\ufffd"


def test_gpt2s_files_give_tiktokens_and_tokenizers_ids_on_every_corpus(
    gpt2: Tokenizer, data_folder: Callable[[str], Path]
) -> None:
    """A slice of each corpus; benchmarks/token_parity.py takes them whole."""
    assert (gpt2.vocab_size, gpt2.end_id) == (50257, 50256)
    ranks = {raw: rank for rank, raw in enumerate(gpt2.token_bytes[:50256])}
    peer = tiktoken.Encoding("gpt2", pat_str=GPT2_PATTERN, mergeable_ranks=ranks, special_tokens={})
    hugging_face = reference(gpt2)
    num_texts = 0
    for text in slices(data_folder("gpt2-bpe").parent):
        ids = gpt2.encode(text)
        assert ids == peer.encode_ordinary(text)
        assert ids == hugging_face.encode(text, add_special_tokens=False).ids
        num_texts += 1
    assert num_texts > 30


def slices(root: Path) -> Iterator[str]:
    """The beginning of one text file of every data set."""
    import gzip

    for folder in sorted(path for path in root.iterdir() if path.is_dir() and path.name != "gpt2-bpe"):
        for file in sorted(path for path in folder.rglob("*") if path.is_file())[:2]:
            with gzip.open(file) if file.suffix == ".gz" else open(file, "rb") as stream:
                yield stream.read(60_000).decode("utf-8", errors="replace")


def test_both_pairs_of_gpt2s_file_names_are_read(data_folder: Callable[[str], Path], tmp_path: Path) -> None:
    folder = data_folder("gpt2-bpe")
    (tmp_path / "vocab.json").write_bytes((folder / "encoder.json").read_bytes())
    (tmp_path / "merges.txt").write_bytes((folder / "vocab.bpe").read_bytes())
    assert load_tokenizer(tmp_path).encode(PROSE) == load_tokenizer(folder).encode(PROSE)


def test_training_takes_a_bounded_sample_that_the_seed_fixes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_module, "SAMPLE_CHARACTERS", 10_000)
    monkeypatch.setattr(make_module, "SAMPLE_BLOCK_CHARACTERS", 102)
    texts = [f"{number:05d} " * 17 for number in range(1000)]
    kept = sample(iter(texts), seed=0)
    assert 2_000 <= sum(map(len, kept)) <= 10_000
    assert kept == sample(iter(texts), seed=0) != sample(iter(texts), seed=1)
    assert sum(int(text[:5]) >= 500 for text in kept) > 5  # of the end as of the beginning


def test_training_on_the_same_text_gives_the_same_tokenizer() -> None:
    assert train_bpe([PROSE * 3], 350).fingerprint == train_bpe([PROSE * 3], 350).fingerprint


def test_a_text_with_too_little_to_merge_gives_fewer_tokens_that_work_as_well() -> None:
    tokenizer = train_bpe(["abc abc abd"], 5000)
    assert 257 <= tokenizer.vocab_size < 270
    assert tokenizer.decode(tokenizer.encode("abc 月")) == "abc 月"
    assert train_bpe([], 5000).vocab_size == 257


@pytest.mark.parametrize("spec", ["bpe", "bpe:", "bpe:x", "bpe:12", "bpe:99999999", "words", "", "BYTE"])
def test_a_spec_that_is_none_is_refused_in_one_line(spec: str) -> None:
    with pytest.raises(InputError, match="expected") as caught:
        parse_spec(spec)
    assert "\n" not in str(caught.value)


def broken(name: str) -> Callable[[dict[str, object]], object]:
    changes: dict[str, Callable[[dict[str, object]], object]] = {
        "no model": lambda json: json.pop("model"),
        "another model": lambda json: json["model"].update(type="Unigram"),  # type: ignore[attr-defined]
        "merges of three": lambda json: json["model"].update(merges=[["a", "b", "c"]]),  # type: ignore[attr-defined]
        "a merge of nothing known": lambda json: json["model"].update(merges=[["ab", "cd"]]),  # type: ignore[attr-defined]
        "no end token": lambda json: (json.update(added_tokens=[]), json["model"]["vocab"].pop(END)),  # type: ignore[index]
        "a vocabulary of words": lambda json: json["model"].update(vocab=["a", "b"]),  # type: ignore[attr-defined]
    }
    return changes[name]


@pytest.mark.parametrize(
    "name",
    [
        "no model",
        "another model",
        "merges of three",
        "a merge of nothing known",
        "no end token",
        "a vocabulary of words",
    ],
)
def test_a_tokenizer_whose_ids_could_differ_is_refused_and_named(
    tokenizers: dict[str, Tokenizer], tmp_path: Path, name: str
) -> None:
    tokenizers["bpe"].save(tmp_path)
    content = json.loads((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    broken(name)(content)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    (tmp_path / "tokenizer_config.json").unlink()
    with pytest.raises(InputError, match=r"tokenizer\.json"):
        load_tokenizer(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not valid JSON"),
        (b"[" * 100_000, "not valid JSON"),
        (b"[1, 2]", "list instead of an object"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
    ],
)
def test_a_damaged_tokenizer_file_is_named_in_one_line(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        load_tokenizer(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_a_folder_without_a_tokenizer_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tokenizer\.json, vocab\.json \+ merges\.txt, encoder\.json \+ vocab\.bpe"):
        load_tokenizer(tmp_path)
    with pytest.raises(InputError, match="there is no tokenizer folder"):
        load_tokenizer(tmp_path / "missing")


POEM = "床前明月光，疑是地上霜。舉頭望明月，低頭思故鄉。"


def test_a_long_text_without_white_space_does_not_parse_the_tokenizer_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer = make_tokenizer("bpe:400", lambda: iter([PROSE * 3]))
    parsed: list[str] = []

    class Counted:
        @staticmethod
        def from_str(json_text: str) -> Reference:
            parsed.append(json_text)
            return Reference.from_str(json_text)

    monkeypatch.setattr(library_module, "Library", Counted)
    for text in (POEM * 200, POEM * 300):
        assert tokenizer.encode(text) == reference(tokenizer).encode(text, add_special_tokens=False).ids
    assert parsed == [], "punctuation ends a run: the fast way is safe"
    for text in ("月" * LONG_RUN, "光" * LONG_RUN, "\n" * LONG_RUN):
        assert tokenizer.encode(text) == reference(tokenizer).encode(text, add_special_tokens=False).ids
    assert len(parsed) == 1


def without_merges(order: list[int], changes: dict[str, object]) -> dict[str, object]:
    """A byte tokenizer's file, whose ids are the bytes in an order of their own."""
    json = make_module.byte_tokenizer().json
    vocab = {CHARACTER_OF_BYTE[byte]: index for index, byte in enumerate(order)} | {END: 256}
    return json | {"model": json["model"] | {"vocab": vocab}} | changes


GPT2_ORDER = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
GPT2_ORDER += [byte for byte in range(256) if byte not in GPT2_ORDER]


@pytest.mark.parametrize("order", [list(range(256)), GPT2_ORDER, list(range(255, -1, -1))], ids=["0", "gpt2", "255"])
@pytest.mark.parametrize("normalizer", [None, {"type": "NFC"}], ids=["as it is", "NFC"])
@pytest.mark.parametrize("use_regex", [True, False])
def test_bytes_in_any_order_have_the_ids_of_hugging_faces_tokenizers(
    tmp_path: Path, order: list[int], normalizer: object, use_regex: bool
) -> None:
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}
    content = without_merges(order, {"normalizer": normalizer, "pre_tokenizer": level})
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    tokenizer = load_tokenizer(tmp_path)
    for text in [PROSE, *TRICKY]:
        ids = tokenizer.encode(text)
        assert ids == reference(tokenizer).encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids) == (unicodedata.normalize("NFC", text) if normalizer else text)


UNUSUAL: dict[str, Callable[[dict[str, Any]], object]] = {
    "text that is not cut at all": lambda json: json.update(
        pre_tokenizer=json["pre_tokenizer"] | {"use_regex": False}, decoder=json["decoder"] | {"use_regex": False}
    ),
    "a token that merges in two ways": lambda json: (
        json["model"]["vocab"].update({"zj": 400, "qz": 401, "qzj": 402}),
        json["model"]["merges"].extend([["z", "j"], ["q", "z"], ["qz", "j"], ["q", "zj"]]),
    ),
    "a merge that is there twice": lambda json: json["model"]["merges"].append(json["model"]["merges"][0]),
    "merges in reverse order": lambda json: json["model"]["merges"].reverse(),
    "whole words before merges": lambda json: (
        json["model"].update(ignore_merges=True),
        json["model"]["vocab"].update({"doesn": 400, "Ġ12": 401}),
    ),
    "gaps between ids": lambda json: json["model"]["vocab"].update({"unused": 450}),
    "a suffix": lambda json: json["model"].update(end_of_word_suffix="</w>"),
    "a normalizer": lambda json: json.update(normalizer={"type": "Lowercase"}),
    "a prefix space": lambda json: json["pre_tokenizer"].update(add_prefix_space=True),
    "a token out of the alphabet": lambda json: json["model"]["vocab"].update({"月": 400}),
    "a pattern that does not cover the text": lambda json: json.update(
        pre_tokenizer={
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": r"\d{1,2}"}, "behavior": "Isolated", "invert": False},
                json["pre_tokenizer"] | {"use_regex": False},
            ],
        }
    ),
    "text that is cut short and filled up": lambda json: json.update(
        truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0}
    ),
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_an_unusual_tokenizer_has_hugging_faces_ids_as_well(
    tokenizers: dict[str, Tokenizer], tmp_path: Path, name: str
) -> None:
    content = json.loads(tokenizers["bpe"].json_text)
    UNUSUAL[name](content)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    tokenizer = load_tokenizer(tmp_path)
    library = reference(tokenizer)
    library.no_truncation()
    for text in [PROSE, *TRICKY, "doesn", "a 12", "thethe the ", "aqzj zjqzj", "x123 y", "\n" * 2 * LONG_RUN]:
        ids = tokenizer.encode(text)
        assert ids == library.encode(text, add_special_tokens=False).ids
        assert tokenizer.decode(ids) == library.decode(ids)


def with_id(value: object) -> Callable[[dict[str, Any]], object]:
    return lambda json: json["model"]["vocab"].update({"Ġa": value})


IDS_OF_NO_USE: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "huge": (with_id(3_000_000_000), "the id 3,000,000,000 of 'Ġa'.*expected ids below"),
    "negative": (with_id(-1), "the id -1 of 'Ġa'.*expected"),
    "a fraction": (with_id(5.5), r"the id 5\.5 of 'Ġa'.*expected"),
    "a whole float": (with_id(300.0), r"the id 300\.0 of 'Ġa'.*expected"),
    "a text": (with_id("300"), "the id '300' of 'Ġa'.*expected"),
    "true": (with_id(True), "the id True of 'Ġa'.*expected"),
    "null": (with_id(None), "the id None of 'Ġa'.*expected"),
    "another token's": (with_id(5), "the id 5 of 'Ġa'.*is also"),
    "huge, of an added token": (
        lambda json: json["added_tokens"].append({"id": 3_000_000_000, "content": "<x>"}),
        "the id 3,000,000,000 of '<x>'",
    ),
    "a text, of an added token": (
        lambda json: json["added_tokens"].append({"id": "400", "content": "<x>"}),
        "the id '400' of '<x>'",
    ),
    "an added token's and a word's": (
        lambda json: json["added_tokens"].append({"id": 7, "content": "<x>"}),
        "the id 7 of '<x>' is also",
    ),
    "two ids of one token": (
        lambda json: json["added_tokens"].append({"id": 500, "content": "in"}),
        "'in' has the ids",
    ),
    "merges of an unknown token": (
        lambda json: json["model"]["merges"].append(["a", "zzz"]),
        "the merge 'a' 'zzz'.*'zzz' is no token",
    ),
    "merges into an unknown token": (
        lambda json: json["model"]["merges"].append(["Ö", "Ĥ"]),
        "the merge 'Ö' 'Ĥ'.*'ÖĤ' is no token",
    ),
    "two added tokens of one text": (
        lambda json: (
            json.update(normalizer={"type": "Lowercase"}),
            json["added_tokens"].extend(
                {"id": index, "content": token, "normalized": True, "special": False}
                | {"single_word": False, "lstrip": False, "rstrip": False}
                for index, token in ((400, "the"), (401, "THE"))
            ),
        ),
        "the added tokens 'the' and 'THE', which its normalizer makes the same",
    ),
    "merges of three": (lambda json: json["model"]["merges"].append("a b c"), "the merge 'a' 'b' 'c'.*expected two"),
}


@pytest.mark.parametrize("name", IDS_OF_NO_USE)
def test_ids_and_merges_of_no_use_are_named_in_one_line(
    tokenizers: dict[str, Tokenizer], tmp_path: Path, name: str
) -> None:
    content = json.loads(tokenizers["bpe"].json_text)
    change, message = IDS_OF_NO_USE[name]
    change(content)
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(InputError, match=message) as caught:
        load_tokenizer(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_a_token_of_very_many_equal_bytes_finds_its_halves_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at = 0

    class Ranks(dict[bytes, int]):
        def get(self, *key: Any) -> Any:
            nonlocal looked_at
            looked_at += 1
            return super().get(*key)

    ranks = Ranks({bytes([byte]): byte for byte in range(256)})
    for power in range(1, 10):
        ranks[b"-" * 2**power] = len(ranks)
    assert make_module._halves(b"-" * 512, ranks) == (b"-" * 256, b"-" * 256)
    assert looked_at < 5_000


def places_of_no_use(folder: Path) -> dict[str, Path]:
    """What a message says, and the path of which it says it."""
    (folder / "file").write_text("x")
    (folder / "circle").symlink_to(folder / "circle")
    return {
        "leads through a file": folder / "file" / "x",
        "is too long": folder / ("x" * 300),
        "lead in a circle": folder / "circle",
        "null byte": folder / "a\0b",
    }


def test_a_tokenizer_is_neither_read_nor_saved_where_no_folder_can_be_in_one_line(
    tokenizers: dict[str, Tokenizer], tmp_path: Path
) -> None:
    for message, path in places_of_no_use(tmp_path).items():
        with pytest.raises(InputError, match=f"{message}|expected byte, char, bpe:N or a folder") as caught:
            parse_spec(str(path))
        assert "\n" not in str(caught.value)
        with pytest.raises(InputError):
            load_tokenizer(path)
        with pytest.raises(InputError, match=f"{message}|there already"):
            tokenizers["byte"].save(path)
    with pytest.raises(InputError, match="there already"):
        tokenizers["byte"].save(tmp_path / "file")


def test_a_tokenizer_that_may_not_be_read_or_written_is_one_line(
    tokenizers: dict[str, Tokenizer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizers["byte"].save(tmp_path)

    def refused(path: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_text", refused)  # the tests may run as root, whom nothing refuses
    monkeypatch.setattr(Path, "mkdir", refused)
    for work in (load_tokenizer, tokenizers["byte"].save):
        with pytest.raises(InputError, match="permission denied"):
            work(tmp_path)


def test_an_end_token_that_is_no_text_is_passed_over(tokenizers: dict[str, Tokenizer], tmp_path: Path) -> None:
    tokenizers["bpe"].save(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text('{"eos_token": ["a"]}')
    assert load_tokenizer(tmp_path).end_id == tokenizers["bpe"].end_id
