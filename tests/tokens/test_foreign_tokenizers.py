"""Tokenizer folders of others: what begins and ends a text, special tokens, and what is saved again."""

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer as Library

from tests.generation.conftest import make_model
from textwright.commands.tokenizer import check_tokenizer
from textwright.core.errors import InputError
from textwright.data.dataset import TokenDataset
from textwright.generation.generate import generate
from textwright.generation.request import Request, SamplingConfig
from textwright.text.dialogue import DialogueFormat, Turn, render
from textwright.tokens import Tokenizer, load_tokenizer, make_tokenizer
from textwright.tokens.byte_alphabet import CHARACTER_OF_BYTE
from textwright.tokens.compare import find_difference
from textwright.tokens.fast import BPETokenizer
from textwright.tokens.library_tokenizer import LibraryTokenizer

END, BEGIN, MARK, THINK = 256, 257, 258, 259
ADDED = {END: "<|endoftext|>", BEGIN: "<s>", MARK: "<|im_end|>", THINK: "<think>"}


def content(**changes: Any) -> dict[str, Any]:
    """A byte tokenizer's file with three special tokens and one that is none."""
    json_ = make_tokenizer("byte", lambda: iter(())).json
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    added = [{"id": index, "content": token, "special": index != THINK} | flags for index, token in ADDED.items()]
    vocab = {CHARACTER_OF_BYTE[byte]: byte for byte in range(256)}
    return json_ | {"added_tokens": added, "model": json_["model"] | {"vocab": vocab}} | changes


def write(folder: Path, json_: dict[str, Any], **beside: Any) -> Path:
    """The folder of a tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(json_), encoding="utf-8")
    for name, value in beside.items():
        (folder / f"{name}.json").write_text(json.dumps(value), encoding="utf-8")
    return folder


TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [BEGIN], "tokens": ["<s>"]}},
}


def test_plain_added_tokens_are_part_of_how_text_is_read_and_come_back(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(write(tmp_path, content()))
    assert isinstance(tokenizer, BPETokenizer)
    assert tokenizer.encode("a<think>b") == [97, THINK, 98]
    assert tokenizer.decode([97, THINK, 98, MARK]) == "a<think>b"
    assert any("'<think>'" in note for note in tokenizer.notes)
    long = "\n" * 4000 + "<think>"
    assert tokenizer.encode(long) == [10] * 4000 + [THINK]


def test_special_tokens_arise_only_where_they_are_asked_for(tmp_path: Path) -> None:
    tokenizer = load_tokenizer(write(tmp_path, content()))
    assert tokenizer.encode("<s>") == [*b"<s>"]
    assert tokenizer.encode("<s>x", special_tokens=True) == [BEGIN, *b"x"]
    style = DialogueFormat(user="<s>", assistant="<s>A", turn_end="<|im_end|>")
    prompt = render([Turn("user", "say <s>!")], style)
    assert tokenizer.encode_marked(prompt, prompt.marks) == [BEGIN, *b"say <s>!", MARK, BEGIN, *b"A"]
    assert tokenizer.special_ids_in(style.turn_end) == [MARK]


def test_a_prompt_begins_as_the_tokenizer_says_and_each_end_token_ends_a_text(tmp_path: Path) -> None:
    folder = write(tmp_path, content(post_processor=TEMPLATE), generation_config={"eos_token_id": [MARK, 65]})
    tokenizer = load_tokenizer(folder)
    assert (tokenizer.begin_ids, tokenizer.end_ids) == ((BEGIN,), (MARK, 65))
    model = make_model("gpt2", vocab_size=260)
    sampling = SamplingConfig(max_new_tokens=8, temperature=0)
    given = [Request("ab", sampling), Request([BEGIN, *b"ab"], sampling), Request([*b"ab"], sampling)]
    whole, same, other = generate(model, tokenizer, given, sampling)
    assert whole.token_ids == same.token_ids
    assert whole.logprob == same.logprob != other.logprob
    forced = generate(model, tokenizer, ["ab"], SamplingConfig(temperature=0, logit_bias={65: 100}))[0]
    assert (forced.token_ids, forced.text, forced.stop_reason) == ((65,), "", "eos")
    data = TokenDataset.from_texts(["ab"], tokenizer)
    assert data.read(0, data.num_tokens).tolist() == [BEGIN, *b"ab", MARK]


@pytest.mark.parametrize(
    ("beside", "expected"),
    [
        ({}, (END,)),
        ({"tokenizer_config": {"eos_token": "<|im_end|>"}}, (MARK,)),
        ({"tokenizer_config": {"eos_token": {"content": "<|im_end|>", "lstrip": False}}}, (MARK,)),
        ({"special_tokens_map": {"eos_token": "<|im_end|>"}}, (MARK,)),
        ({"config": {"eos_token_id": MARK}}, (MARK,)),
        ({"config": {"eos_token_id": [MARK, BEGIN]}}, (MARK, BEGIN)),
        ({"config": {"eos_token_id": 50256}}, (END,)),
        (
            {"tokenizer_config": {"eos_token": "<s>"}, "generation_config": {"eos_token_id": [MARK, BEGIN]}},
            (BEGIN, MARK),
        ),
    ],
)
def test_end_tokens_are_found_wherever_they_are_named(
    tmp_path: Path, beside: dict[str, Any], expected: tuple[int, ...]
) -> None:
    tokenizer = load_tokenizer(write(tmp_path / "a", content(), **beside))
    assert tokenizer.end_ids == expected
    tokenizer.save(tmp_path / "b")
    again = load_tokenizer(tmp_path / "b")
    assert again.end_ids == expected
    assert again.fingerprint == tokenizer.fingerprint
    assert any("50,256" in note for note in tokenizer.notes) == ("50256" in str(beside))


def test_what_lies_beside_a_tokenizer_is_saved_as_it_was(tmp_path: Path) -> None:
    beside = {
        "tokenizer_config": {
            "eos_token": "<s>",
            "pad_token": "<think>",
            "model_max_length": 77,
            "chat_template": "x",
        },
        "special_tokens_map": {"unk_token": "<s>", "additional_special_tokens": ["<|im_end|>"]},
        "generation_config": {"temperature": 0.6, "eos_token_id": BEGIN},
    }
    folder = write(tmp_path / "a", content(truncation=None, padding=None), **beside)
    (folder / "chat_template.jinja").write_text("{{ messages }}", encoding="utf-8")
    load_tokenizer(folder).save(tmp_path / "b")
    for name in ("tokenizer", *beside):
        path = f"{name}.json"
        assert json.loads((tmp_path / "b" / path).read_text()) == json.loads((folder / path).read_text())
    assert (tmp_path / "b" / "chat_template.jinja").read_text() == "{{ messages }}"


def test_a_tokenizer_that_is_lent_to_another_model_brings_no_settings_of_its_owner(tmp_path: Path) -> None:
    folder = write(tmp_path, content(), generation_config={"temperature": 0.6, "eos_token_id": [END, MARK]})
    tokenizer = make_tokenizer(str(folder), lambda: iter(()))
    assert json.loads(tokenizer.companions["generation_config.json"]) == {"eos_token_id": [END, MARK]}


def bert(folder: Path) -> Tokenizer:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "##s", "sat", ",", "床", "前"]
    folder.mkdir(exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(words) + "\n", encoding="utf-8")
    return load_tokenizer(folder)


def test_berts_list_of_words_is_read_as_transformers_reads_it(tmp_path: Path) -> None:
    from transformers import BertTokenizer

    tokenizer, foreign = bert(tmp_path), BertTokenizer.from_pretrained(tmp_path)
    for text in ("The cats sat, the cat", "床前dog", "[SEP] a [MASK]"):
        if "[" not in text:
            assert tokenizer.encode(text) == foreign.encode(text, add_special_tokens=False)
    assert not {2, 3, 4} & set(tokenizer.encode("[SEP] a [MASK] [CLS]"))
    assert (tokenizer.begin_ids, tokenizer.end_ids) == ((2,), (3,))
    assert tokenizer.decode(tokenizer.encode("The cats sat")) == "the cats sat"
    stream = tokenizer.stream(tokenizer.encode("the"))
    assert [stream.push(index) for index in (6, 7, 8)] == [" cat", "s", " sat"]
    tokenizer.save(tmp_path / "again")
    assert load_tokenizer(tmp_path / "again").encode("cats") == tokenizer.encode("cats")


def test_a_text_follows_its_prompt_with_the_space_that_belongs_there(tmp_path: Path) -> None:
    tokenizer = bert(tmp_path)
    model = make_model("gpt2", vocab_size=260)
    completion = generate(model, tokenizer, ["the"], SamplingConfig(max_new_tokens=1, logit_bias={6: 100}))[0]
    assert completion.text == " cat"


def test_special_tokens_among_a_models_own_pieces_do_not_arise_from_text(tmp_path: Path) -> None:
    pieces = [["<unk>", 0.0], ["</s>", 0.0], ["▁", -2.0], *([one, -3.0] for one in "</s>abc")]
    pieces = [pieces[0], *{piece: [piece, score] for piece, score in pieces[1:]}.values()]
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    json_ = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [{"id": index, "content": token} | flags for index, token in enumerate(("<unk>", "</s>"))],
        "normalizer": None,
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True},
        "post_processor": None,
        "decoder": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "never", "split": True},
        "model": {"type": "Unigram", "unk_id": 0, "vocab": pieces, "byte_fallback": False},
    }
    tokenizer = load_tokenizer(write(tmp_path, json_))
    assert isinstance(tokenizer, LibraryTokenizer)
    assert tokenizer.end_id == 1
    assert 1 not in tokenizer.encode("a </s>b")
    assert tokenizer.decode(tokenizer.encode("a </s>b")) == "a </s>b"
    assert 1 in tokenizer.encode("a </s>b", special_tokens=True)


def test_merges_that_make_a_special_token_are_refused_by_name(tmp_path: Path) -> None:
    json_ = content()
    json_["model"] = json_["model"] | {"vocab": json_["model"]["vocab"] | {"<s": 260, "<s>": BEGIN}}
    json_["model"]["merges"] = [["<", "s"], ["<s", ">"]]
    with pytest.raises(InputError, match="makes the special token '<s>' of text"):
        load_tokenizer(write(tmp_path, json_))


def test_merges_that_never_reach_a_token_are_left_to_the_library(tmp_path: Path) -> None:
    json_ = content()
    others = {token: index for index, token in ADDED.items()} | {"ab": 260, "bc": 261, "abc": 262}
    vocab = json_["model"]["vocab"] | others
    json_["model"] = json_["model"] | {"vocab": vocab, "merges": [["a", "b"], ["b", "c"], ["a", "bc"]]}
    json_["pre_tokenizer"] = json_["pre_tokenizer"] | {"use_regex": True}
    tokenizer = load_tokenizer(write(tmp_path, json_))
    assert tokenizer.encode("abc") == [260, 99]  # "abc" is a token, and no merges lead to it
    assert any("'abc'" in note for note in tokenizer.notes)


def test_a_file_is_compared_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    asked = []

    def find(tokenizer: Tokenizer) -> str | None:
        asked.append(tokenizer)
        return find_difference(tokenizer)

    monkeypatch.setattr("textwright.tokens.read_json.find_difference", find)
    folder = write(tmp_path / "a", content())
    for _ in range(3):
        assert load_tokenizer(folder).encode("x<think>") == [120, THINK]
    assert len(asked) == 1
    write(folder, content(normalizer={"type": "NFC"}))
    load_tokenizer(folder)
    assert len(asked) == 2


def test_check_shows_what_was_found_beside_the_librarys_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write(tmp_path, content(post_processor=TEMPLATE, padding=None), config={"eos_token_id": MARK})
    checked = check_tokenizer(folder, ("a<think>", "<s>"))
    found = checked.as_json()
    assert checked.exit_code == 0
    assert found["is_fast"]
    assert (found["begins_with"], found["ends_with"]) == ([BEGIN], [MARK])
    assert found["special_tokens"] == {token: index for index, token in ADDED.items() if index != THINK}
    assert [text["ids"] for text in found["texts"]] == [[97, THINK], [*b"<s>"]]
    library = Library.from_file(str(folder / "tokenizer.json"))
    assert library.encode("a<think>", add_special_tokens=False).ids == found["texts"][0]["library_ids"]
    checked.show()
    shown = capsys.readouterr().out
    assert "begins with <s> (257) and ends with <|im_end|> (258)" in shown
    assert shown.count("the same") == 2
