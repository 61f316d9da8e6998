"""Tokenizer folders as they are found in the wild, at random: merges, added tokens, patterns, and what lies beside."""

import json
import random
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Library

from textwright.tokens.byte_alphabet import CHARACTER_OF_BYTE
from textwright.tokens.fast import GPT2_PATTERN, PATTERNS

Json = dict[str, Any]
PROSE = """the of and to in was it he she that with his her they said had were out all about don't it's we'll I'm can't
Hello World textwright tokenizer 123 2024 3.14 007 def return import self x=1 foo_bar camelCase --- ... !? (a) <b> [x]
Größe naïve façade Ελλάδα και русский текст привет 床前明月光 疑是地上霜 低頭思故鄉 日本語の テキスト 한국어 हिन्दी عربي
ไทย 😀 👩‍👩‍👧 é é ﬁ ½ ² ﻿ {y} a/b.c https://a.b ▁ Ġ"""
WORDS = (*PROSE.split(), "\u00a0", "\u3000", "\t", "\n", "\n\n", "\r\n", "    ")
PLAIN = (
    "<think>",
    "</think>",
    "[TOOL]",
    "foo",
    "the",
    " of",
    "\n\n",
    "é",
    "ab",
    "<",
    "def ",
    "月光",
    "x y",
    "  ",
    "THE",
)
SPECIAL = ("<|endoftext|>", "<s>", "</s>", "<pad>", "<unk>", "<|im_start|>", "<|im_end|>", "[CLS]", "[SEP]", "[MASK]")
SPLITS = (
    *sorted(PATTERNS),
    r"\d{1,2}",
    r"\p{L}+|\p{N}+",
    r"\s+",
    r"[^\s]+",
    r"\p{N}{1,3}(?=(\p{N}{3})*\b)| ?\p{L}+| ?[^\s\p{L}\p{N}]+|\s+",
    GPT2_PATTERN + "|x",
    "(?:)a?b",
)


def random_text(draw: random.Random, tokens: tuple[str, ...] = ()) -> str:
    """Words, white space and tokens in a row."""
    parts = []
    for _ in range(draw.randint(0, 40)):
        parts.append(draw.choice(WORDS) if not tokens or draw.random() < 0.8 else draw.choice(tokens))
        parts.append(draw.choice(["", " ", " ", " ", "  ", "\n"]))
    return "".join(parts)


def random_folder(seed: int, folder: Path) -> Json:
    """Write a tokenizer's folder; returns its ``tokenizer.json``."""
    draw = random.Random(seed)
    kind = draw.choices(["bpe", "wordpiece", "unigram", "llama"], [0.76, 0.08, 0.08, 0.08])[0]
    content = {"bpe": _byte_level, "wordpiece": _wordpiece, "unigram": _unigram, "llama": _llama}[kind](draw)
    vocab = content["model"]["vocab"]
    ids = dict(vocab) if isinstance(vocab, dict) else {piece: index for index, (piece, _) in enumerate(vocab)}
    content["added_tokens"] = _added(draw, ids, draw.random() < 0.4)
    content["version"] = "1.0"
    content["truncation"] = draw.choice([None, None, None, TRUNCATION])
    content["padding"] = draw.choice([None, None, None, PADDING])
    content.setdefault("post_processor", _post_processor(draw, content["added_tokens"]))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(content, ensure_ascii=draw.random() < 0.5), encoding="utf-8")
    for name, beside in _beside(draw, content["added_tokens"]).items():
        (folder / name).write_text(json.dumps(beside), encoding="utf-8")
    return content


TRUNCATION = {"direction": "Right", "max_length": 8, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 64},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 0,
    "pad_type_id": 0,
    "pad_token": "<pad>",
}


def _byte_level(draw: random.Random) -> Json:
    bytes_ = [CHARACTER_OF_BYTE[byte] for byte in range(256)]
    if draw.random() < 0.3:
        draw.shuffle(bytes_)
    if draw.random() < 0.05:
        bytes_.remove(CHARACTER_OF_BYTE[draw.choice(b"xz\xe6\xff")])
    merges = _trained_merges(draw) if draw.random() < 0.75 else _random_merges(draw, bytes_)
    known = set(bytes_)
    merges = [pair for pair in merges if pair[0] in known and pair[1] in known and not known.add(pair[0] + pair[1])]
    tokens = [*bytes_, *dict.fromkeys(left + right for left, right in merges)]
    if draw.random() < 0.1:
        tokens += ["Ġwords", "Größe".encode().decode("latin-1")]
    first = draw.choice([[], [], [], ["<s>", "<pad>", "</s>"]])
    order = list(range(len(first), len(first) + len(tokens)))
    if draw.random() < 0.15:
        draw.shuffle(order)
    level = {
        "type": "ByteLevel",
        "add_prefix_space": draw.random() < 0.1,
        "trim_offsets": True,
        "use_regex": draw.random() < 0.9,
    }
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": draw.choice([None, ""]),
        "end_of_word_suffix": draw.choice([None, ""]),
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": draw.random() < 0.2,
        "vocab": dict(zip([*first, *tokens], [*range(len(first)), *order], strict=True)),
        "merges": [list(pair) for pair in merges] if draw.random() < 0.5 else [" ".join(pair) for pair in merges],
    }
    if draw.random() < 0.1:
        del model["ignore_merges"], model["byte_fallback"], model["type"]
    decoder = draw.choices(
        [level, {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}, None],
        [0.8, 0.15, 0.05],
    )[0]
    if decoder and draw.random() < 0.1:
        decoder = {"type": "Sequence", "decoders": [decoder]}
    normalizer = draw.choices(
        [None, {"type": "NFC"}, {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "Sequence", "normalizers": []}],
        [0.6, 0.2, 0.08, 0.07, 0.05],
    )[0]
    return {"model": model, "pre_tokenizer": _pre_tokenizer(draw, level), "decoder": decoder, "normalizer": normalizer}


def _pre_tokenizer(draw: random.Random, level: Json) -> Json:
    how = draw.choices(["level", "split", "digits", "nested", "two"], [0.5, 0.3, 0.1, 0.05, 0.05])[0]
    split = {
        "type": "Split",
        "pattern": {"Regex": draw.choice(SPLITS)} if draw.random() < 0.9 else {"String": draw.choice([" ", "the"])},
        "behavior": draw.choices(["Isolated", "Removed", "MergedWithNext", "Contiguous"], [0.8, 0.06, 0.07, 0.07])[0],
        "invert": draw.random() < 0.1,
    }
    cut = level | {"use_regex": False}
    if how == "level":
        return level
    if how == "digits":
        return _sequence({"type": "Digits", "individual_digits": draw.random() < 0.7}, level)
    if how == "nested":
        return _sequence(_sequence(split), _sequence(cut))
    if how == "two":
        return _sequence(split, split | {"pattern": {"Regex": r"\p{N}"}}, cut)
    return _sequence(split, cut if draw.random() < 0.9 else level)


def _sequence(*parts: Json) -> Json:
    return {"type": "Sequence", "pretokenizers": list(parts)}


def _trained_merges(draw: random.Random) -> list[tuple[str, str]]:
    from tokenizers import models, pre_tokenizers, trainers

    library = Library(models.BPE())
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    trainer = trainers.BpeTrainer(
        vocab_size=256 + draw.randint(0, 300), show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    library.train_from_iterator([random_text(draw) for _ in range(20)], trainer)
    return [tuple(pair) for pair in json.loads(library.to_str())["model"]["merges"]]


def _random_merges(draw: random.Random, bytes_: list[str]) -> list[tuple[str, str]]:
    """Pairs of what there is: some tokens are never reached, some are reached in two ways."""
    common = [character for character in "theoandisĠreĠaĠ0123" if character in bytes_] + bytes_[:20]
    tokens, merges = list(common), list[tuple[str, str]]()
    for _ in range(draw.randint(1, 80)):
        pair = draw.choice(tokens), draw.choice(tokens)
        if len(pair[0] + pair[1]) < 12:
            merges.append(pair)
            tokens.append(pair[0] + pair[1])
    return merges


def _added(draw: random.Random, ids: dict[str, int], has_plain: bool) -> list[Json]:
    rows: list[Json] = []
    special = [*draw.sample(SPECIAL, draw.randint(0, 5)), "<|endoftext|>", *(one for one in SPECIAL if one in ids)]
    plain = draw.sample(PLAIN, draw.randint(1, 5)) if has_plain else []
    following = max(ids.values()) + 1
    for token in dict.fromkeys([*special, *plain]):
        flags = {name: draw.random() < 0.07 for name in ("single_word", "lstrip", "rstrip")}
        is_special = token in special
        normalized = draw.random() < (0.1 if is_special else 0.7)
        if token in ids:
            index = ids[token]
        else:
            index, following = following, following + 1
        rows.append({"id": index, "content": token, **flags, "normalized": normalized, "special": is_special})
    rows.sort(key=lambda row: row["id"])
    return rows


def _post_processor(draw: random.Random, added: list[Json]) -> Json | None:
    special = [row for row in added if row["special"]]
    first, last = draw.choice(special), draw.choice(special)
    one, other = first["content"], last["content"]
    pieces: list[Json] = [{"Sequence": {"id": "A", "type_id": 0}}]
    if draw.random() < 0.7:
        pieces.insert(0, {"SpecialToken": {"id": one, "type_id": 0}})
    if draw.random() < 0.5:
        pieces.append({"SpecialToken": {"id": other, "type_id": 0}})
    template = {
        "type": "TemplateProcessing",
        "single": pieces,
        "pair": [*pieces, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {
            row["content"]: {"id": row["content"], "ids": [row["id"]], "tokens": [row["content"]]} for row in special
        },
    }
    level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": False, "use_regex": True}
    edges = {"sep": [other, last["id"]], "cls": [one, first["id"]]}
    return draw.choices(
        [
            None,
            level,
            template,
            {"type": "BertProcessing", **edges},
            {"type": "RobertaProcessing", **edges, "trim_offsets": True, "add_prefix_space": False},
            {"type": "Sequence", "processors": [level, template]},
        ],
        [0.4, 0.3, 0.15, 0.05, 0.05, 0.05],
    )[0]


def _beside(draw: random.Random, added: list[Json]) -> dict[str, Json]:
    special = [row for row in added if row["special"]]
    row = draw.choice(special)
    token = row["content"] if draw.random() < 0.5 else {"content": row["content"], "lstrip": False}
    found: dict[str, Json] = {}
    if draw.random() < 0.5:
        found["tokenizer_config.json"] = {"eos_token": token, "model_max_length": 1024, "tokenizer_class": "X"}
    if draw.random() < 0.3:
        found["special_tokens_map.json"] = {"eos_token": token, "pad_token": "<pad>"}
    if draw.random() < 0.3:
        found["config.json"] = {"model_type": "gpt2", "eos_token_id": draw.choice([row["id"], [row["id"], 0], 50256])}
    if draw.random() < 0.3:
        found["generation_config.json"] = {"eos_token_id": draw.choice([row["id"], [row["id"]], None])}
    return found


def _train(draw: random.Random, library: Library, trainer: Any) -> Json:
    library.train_from_iterator([random_text(draw) for _ in range(30)], trainer)
    content: Json = json.loads(library.to_str())
    return {key: content[key] for key in ("model", "pre_tokenizer", "decoder", "normalizer")}


def _wordpiece(draw: random.Random) -> Json:
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    library = Library(models.WordPiece(unk_token="[UNK]"))
    library.normalizer = normalizers.BertNormalizer(lowercase=draw.random() < 0.5)
    library.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    library.decoder = decoders.WordPiece(cleanup=draw.random() < 0.5)
    special = ["[UNK]", "[CLS]", "[SEP]"]
    return _train(draw, library, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special, show_progress=False))


def _unigram(draw: random.Random) -> Json:
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers

    library = Library(models.Unigram())
    library.normalizer = normalizers.NFKC() if draw.random() < 0.5 else None
    scheme = draw.choice(["always", "first", "never"])
    library.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
    library.decoder = decoders.Metaspace(prepend_scheme=scheme)
    trainer = trainers.UnigramTrainer(
        vocab_size=300, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False
    )
    return _train(draw, library, trainer)


def _llama(draw: random.Random) -> Json:
    """As SentencePiece's BPE is converted: spaces as a letter, and bytes for what has no piece."""
    from tokenizers import decoders, models, normalizers, trainers

    library = Library(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    library.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    library.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    trainer = trainers.BpeTrainer(
        vocab_size=700, special_tokens=special, show_progress=False, limit_alphabet=60, max_token_length=12
    )
    content = _train(draw, library, trainer)
    content["model"] |= {"unk_token": "<unk>", "byte_fallback": True, "fuse_unk": True}
    return content
