"""Tokenizers from folders: ours, Hugging Face's ``tokenizer.json``, and the older files of GPT-2 and BERT."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from textwright.core.errors import InputError
from textwright.core.user_paths import given_path
from textwright.tokens.edges import GUESSES, Named, token_text
from textwright.tokens.read_json import BYTE_LEVEL, from_json
from textwright.tokens.tokenizer import Tokenizer

# vocabulary, merges; in the order they are looked for
PAIRS = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))
WORDS = "vocab.txt"
COMPANIONS = (
    "tokenizer_config.json",
    "special_tokens_map.json",
    "generation_config.json",
    "chat_template.jinja",
    "chat_template.json",
)
"""Files that are kept with a tokenizer as they are: they say how texts begin and end, and what others do with it."""


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer in a folder: ``tokenizer.json``, GPT-2's vocabulary and merges under either of their names, or
    BERT's list of words.

    Raises:
        InputError: none there, broken, or of a kind whose ids could not be reproduced exactly.
    """
    with given_path(folder):
        companions = {name: _read_text(folder / name) for name in COMPANIONS if (folder / name).is_file()}
        settings = {name: _as_object(text, folder / name) for name, text in companions.items() if name[-4:] == "json"}
        beside = dict(settings)
        if (folder / "config.json").is_file():
            beside["config.json"] = _read_json(folder / "config.json")
        content, path = _content(folder, settings)
        tokenizer = from_json(content, str(path), Named.of(beside))
        tokenizer.companions = companions | _ends_of_model(beside)
        if "chat_template" in (*(Path(name).stem for name in companions), *settings.get("tokenizer_config.json", {})):
            tokenizer.notes = (*tokenizer.notes, "its chat template is a program: it is kept, and not executed")
        return tokenizer


def _ends_of_model(beside: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Where only the model's config says which tokens end a text, the file that says it to a tokenizer without one."""
    names = ("bos_token_id", "eos_token_id", "pad_token_id")
    found = {name: beside.get("config.json", {}).get(name) for name in names}
    if "generation_config.json" in beside or found["eos_token_id"] is None:
        return {}
    known = {name: value for name, value in found.items() if value is not None}
    return {"generation_config.json": json.dumps(known, indent=2) + "\n"}


def _content(folder: Path, settings: Mapping[str, Mapping[str, Any]]) -> tuple[dict[str, Any], Path]:
    """What its ``tokenizer.json`` says or would say, and the file that says it."""
    path = folder / "tokenizer.json"
    if path.is_file():
        return _read_json(path), path
    for vocabulary, merges in PAIRS:
        if (folder / vocabulary).is_file() and (folder / merges).is_file():
            return _from_pair(folder / vocabulary, folder / merges, settings), folder / vocabulary
    if (folder / WORDS).is_file():
        return _from_words(folder / WORDS, settings), folder / WORDS
    if not folder.is_dir():
        raise InputError(f"there is no tokenizer folder {folder}", fix="check the path")
    wanted = ", ".join(["tokenizer.json", *(" + ".join(pair) for pair in PAIRS), WORDS])
    fix = ""
    if (folder / "tokenizer.model").is_file():
        fix = "have transformers' AutoTokenizer save it: that makes a tokenizer.json of tokenizer.model"
    raise InputError(f"no tokenizer in {folder}", expected=f"one of {wanted}", fix=fix)


def _from_pair(vocabulary_path: Path, merges_path: Path, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """GPT-2's two files, as one ``tokenizer.json``."""
    vocabulary = _read_json(vocabulary_path)
    lines = _read_text(merges_path).split("\n")
    first = 1 if lines[0].startswith("#version") else 0
    merges = [line.removesuffix("\r").split(" ") for line in lines[first:] if line.strip()]
    for number, merge in enumerate(merges, first + 1):
        if len(merge) != 2:
            raise InputError("a merge is not two tokens", where=f"{merges_path}:{number}")
        if merge[0] + merge[1] not in vocabulary:
            raise InputError("a merge makes no token of the vocabulary", where=f"{merges_path}:{number}")
    config = settings.get("tokenizer_config.json", {})
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": vocabulary,
        "merges": merges,
    }
    level = BYTE_LEVEL | {"add_prefix_space": bool(config.get("add_prefix_space"))}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(vocabulary, vocabulary_path.parent, settings),
        "normalizer": None,
        "pre_tokenizer": level,
        "post_processor": None,
        "decoder": level,
        "model": model,
    }


def _from_words(path: Path, settings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """BERT's list of words, as one ``tokenizer.json``."""
    words = _read_text(path).removesuffix("\n").split("\n")
    vocabulary = {word.removesuffix("\r"): index for index, word in enumerate(words)}
    config = settings.get("tokenizer_config.json", {})
    special = {name: token_text(config.get(f"{name}_token")) or f"[{name.upper()}]" for name in ("unk", "cls", "sep")}
    for token in special.values():
        if token not in vocabulary:
            raise InputError(f"no {token} among the words", where=str(path), expected="BERT's list of words")
    template = [{"SpecialToken": {"id": special["cls"], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    template.append({"SpecialToken": {"id": special["sep"], "type_id": 0}})
    ids = {token: {"id": token, "ids": [vocabulary[token]], "tokens": [token]} for token in special.values()}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": _added_tokens(vocabulary, path.parent, settings, *BERT_TOKENS, *special.values()),
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": config.get("tokenize_chinese_chars", True),
            "strip_accents": config.get("strip_accents"),
            "lowercase": config.get("do_lower_case", True),
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": template,
            "pair": [*template, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": ids,
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": special["unk"],
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }


BERT_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def _added_tokens(
    vocabulary: Mapping[str, int], folder: Path, settings: Mapping[str, Mapping[str, Any]], *special: str
) -> list[dict[str, Any]]:
    """What these folders add to their vocabulary, in three places; ``special`` and the end tokens are of it."""
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    found: dict[str, dict[str, Any]] = {}
    named = {*special, *GUESSES}
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        for key, value in settings.get(name, {}).items():
            if key.endswith("_token") or key == "additional_special_tokens":
                named |= {token_text(one) or "" for one in (value if isinstance(value, list) else [value])}
    for token in sorted(named & vocabulary.keys()):
        found[token] = {"id": vocabulary[token], "content": token} | flags
    path = folder / "added_tokens.json"
    for token, index in _read_json(path).items() if path.is_file() else ():
        found[token] = {"id": index, "content": token} | flags | {"special": token in named, "normalized": False}
    for index, row in settings.get("tokenizer_config.json", {}).get("added_tokens_decoder", {}).items():
        given = {key: row[key] for key in (*flags, "content") if key in row}
        found[row["content"]] = {"id": int(index)} | flags | given
    return sorted(found.values(), key=lambda row: row["id"])


def _read_json(path: Path) -> dict[str, Any]:
    return _as_object(_read_text(path), path)


def _as_object(text: str, path: Path) -> dict[str, Any]:
    try:
        content = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where=str(path), fix="the file may be cut short") from None
    if not isinstance(content, dict):
        raise InputError(f"{type(content).__name__} instead of an object", where=str(path))
    return content


def _read_text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8 at byte {error.start:,}", where=str(path)) from None
    if text.startswith("version https://git-lfs"):
        raise InputError("a Git LFS pointer instead of the file", where=str(path), fix="run git lfs pull")
    return text
