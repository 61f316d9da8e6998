"""Tokens that are added: found in a text wherever they stand, given back, and the same to every program."""

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer as Library

from tests.tokens.test_foreign_tokenizers import TEMPLATE, content, write
from textwright.core.errors import InputError
from textwright.data.encode import Unit, encode
from textwright.text.document import Chunk, Document
from textwright.tokens import Tokenizer, load_tokenizer, make_tokenizer
from textwright.tokens.extended import extend_tokenizer
from textwright.tokens.fast import BPETokenizer, CharTokenizer
from textwright.tokens.library_tokenizer import LibraryTokenizer

TEXT = "The cat sat on the mat, and the naïve dog ate 12 mats. 床前明月光\n"
NEW = ["catheter", "a mat", "dog", " 床前", "<|user|>"]
TEXTS = [
    TEXT,
    "catheters in cats: cat catheter",
    "  a mat  a matter dogdog<|user|><|user",
    "床前 床前 dog",
    "",
    " ",
    "cathete",
    "dog " * 2000,
]


@pytest.fixture(params=["bpe:300", "byte", "char"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return make_tokenizer(request.param, lambda: iter([TEXT * 20, *sorted(set("".join(TEXTS)))]))


def test_added_tokens_are_found_as_the_library_finds_them_and_come_back(tokenizer: Tokenizer, tmp_path: Path) -> None:
    before = tokenizer.vocab_size
    extended = extend_tokenizer(tokenizer, NEW)
    assert extended.vocab_size == before + len(NEW)
    extended.save(tmp_path)
    again, library = load_tokenizer(tmp_path), Library.from_file(str(tmp_path / "tokenizer.json"))
    assert again.fingerprint == extended.fingerprint
    assert (again.end_id, again.begin_ids, again.eos_text) == (tokenizer.end_id, (), tokenizer.eos_text)
    for text in TEXTS:
        ids = extended.encode(text)
        assert ids == again.encode(text) == library.encode(text).ids
        assert extended.decode(ids) == library.decode(ids) == text
    assert not isinstance(extended, LibraryTokenizer)
    assert extended.encode("adogcatheter") == [*tokenizer.encode("a"), before + 2, before]
    assert tokenizer.vocab_size == before
    assert tokenizer.encode("dog") != extended.encode("dog") == [before + 2]


def test_text_without_them_has_the_ids_it_had(tokenizer: Tokenizer) -> None:
    extended = extend_tokenizer(tokenizer, ["catheter", "<|user|>"])
    assert extended.encode(TEXT) == tokenizer.encode(TEXT)


def test_marks_arise_from_no_text_unless_asked_for_and_stand_for_none(tokenizer: Tokenizer, tmp_path: Path) -> None:
    mark = tokenizer.vocab_size
    extended = extend_tokenizer(tokenizer, ["<|user|>"], special=True)
    assert type(extended) is type(tokenizer)
    assert extended.encode("<|user|>") == tokenizer.encode("<|user|>")
    assert extended.encode("a<|user|>", special_tokens=True) == [*tokenizer.encode("a"), mark]
    assert extended.decode([mark]) == ""
    extended.save(tmp_path)
    assert load_tokenizer(tmp_path).special_ids == {tokenizer.eos_text: tokenizer.end_id, "<|user|>": mark}


def test_a_second_time_goes_on_where_the_first_ended(tokenizer: Tokenizer) -> None:
    twice = extend_tokenizer(extend_tokenizer(tokenizer, NEW[:2]), NEW[2:])
    assert twice.fingerprint == extend_tokenizer(tokenizer, NEW).fingerprint


def test_a_char_tokenizer_learns_a_character(tmp_path: Path) -> None:
    char = make_tokenizer("char", lambda: iter(["abc"]))
    extended = extend_tokenizer(char, ["é", "ca"])
    assert isinstance(extended, CharTokenizer)
    assert extended.encode("éxca") == [char.vocab_size, *char.encode("x"), char.vocab_size + 1]
    starts, stops = extended.characters_of("éxca", extended.encode_array("éxca"))
    assert list(zip(starts.tolist(), stops.tolist(), strict=True)) == [(0, 1), (1, 2), (2, 4)]
    stream = extended.stream()
    assert "".join(map(stream.push, extended.encode("éca"))) == "éca"


def test_a_text_that_comes_in_pieces_is_cut_at_no_added_token(tokenizer: Tokenizer, tmp_path: Path) -> None:
    extended = extend_tokenizer(tokenizer, NEW)
    document = Document("a file")
    pieces = [Chunk("a cathe", document, is_last=False), Chunk("ter", document)]
    info = encode(Unit("train-00000", pieces), extended, tmp_path)
    assert info.num_tokens == len(extended.encode("a catheter")) + 1 == len(tokenizer.encode("a ")) + 2


def test_a_tokenizer_of_others_keeps_how_its_texts_begin_and_end(tmp_path: Path) -> None:
    config = {
        "eos_token": "<|im_end|>",
        "added_tokens_decoder": {"256": {"content": "<|endoftext|>", "special": True}},
    }
    folder = write(tmp_path / "a", content(post_processor=TEMPLATE), tokenizer_config=config)
    theirs = load_tokenizer(folder)
    extended = extend_tokenizer(theirs, ["dosage"])
    assert (extended.begin_ids, extended.end_ids) == (theirs.begin_ids, theirs.end_ids)
    extended.save(tmp_path / "b")
    again = load_tokenizer(tmp_path / "b")
    assert (again.begin_ids, again.end_ids, again.encode("dosage")) == (theirs.begin_ids, theirs.end_ids, [260])
    listed = json.loads((tmp_path / "b" / "tokenizer_config.json").read_text())["added_tokens_decoder"]
    assert (list(listed), listed["260"]["content"], listed["260"]["special"]) == (["256", "260"], "dosage", False)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")
def test_transformers_reads_them_too(tokenizer: Tokenizer, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    extended = extend_tokenizer(extend_tokenizer(tokenizer, NEW[:3]), ["<|user|>"], special=True)
    extended.save(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path)
    assert len(theirs) == extended.vocab_size
    for text in TEXTS:
        assert theirs(text)["input_ids"] == extended.encode(text, special_tokens=True)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "no token to add; expected at least one"),
        (["ok", ""], "an empty token to add; in token 2; expected text"),
        (["ok", "no", "ok"], "the token 'ok' is given twice"),
        (["<|endoftext|>"], "the token '<|endoftext|>' is there already, with the id"),
        (["a"], "the token 'a' is there already, with the id"),
        (["\udcff"], "is not UTF-8"),
    ],
)
def test_tokens_that_cannot_be_added_are_refused_in_one_line(
    tokenizer: Tokenizer, tokens: list[str], message: str
) -> None:
    with pytest.raises(InputError) as raised:
        extend_tokenizer(tokenizer, tokens)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_token_that_is_one_of_the_vocabulary_already_is_refused_however_it_is_spelled() -> None:
    bpe = make_tokenizer("bpe:300", lambda: iter([" the the the the" * 50]))
    assert isinstance(bpe, BPETokenizer)
    for token in (" the", "\u0120the"):  # as text, and as byte-level vocabularies spell it
        with pytest.raises(InputError, match="is there already"):
            extend_tokenizer(bpe, [token])


def test_a_token_that_byte_level_decoders_would_garble_is_refused_and_fits_with_a_space() -> None:
    byte = make_tokenizer("byte", lambda: iter(()))
    with pytest.raises(InputError, match="'naïve' would be written as .*give it with the space before it"):
        extend_tokenizer(byte, ["naïve"])
    extended = extend_tokenizer(byte, [" naïve"])
    assert extended.decode(extended.encode("a naïve dog")) == "a naïve dog"


def test_one_text_is_no_list_of_tokens() -> None:
    with pytest.raises(InputError, match="tokens is 'dog'"):
        extend_tokenizer(make_tokenizer("byte", lambda: iter(())), "dog")
