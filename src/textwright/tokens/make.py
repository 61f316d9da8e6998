"""New tokenizers: characters, bytes, or BPE trained on a bounded sample of the text."""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.core.user_paths import given_path
from textwright.tokens.byte_alphabet import to_text
from textwright.tokens.fast import GPT2_PATTERN, BPETokenizer, ByteTokenizer, CharTokenizer
from textwright.tokens.folder import load_tokenizer
from textwright.tokens.tokenizer import END, UNKNOWN, Tokenizer

SAMPLE_CHARACTERS = 64 << 20
SAMPLE_BLOCK_CHARACTERS = 1 << 16
"""What is sampled is of this length, wherever a text is cut for it: other lengths would make other tokenizers."""
LARGEST_VOCABULARY = 1 << 20

Texts = Callable[[], Iterable[str]]


class Spec(NamedTuple):
    """What ``byte``, ``char``, ``bpe:N`` or a folder's name asks for."""

    kind: str
    vocab_size: int = 0
    folder: Path | None = None


def parse_spec(spec: str) -> Spec:
    """A tokenizer's name on the command line.

    Raises:
        InputError: none of the four forms.
    """
    expected = "byte, char, bpe:N or a folder that holds a tokenizer"
    if spec in ("byte", "char"):
        return Spec(spec)
    if spec.startswith("bpe"):
        size = spec.removeprefix("bpe").removeprefix(":")
        if spec[3:4] == ":" and size.isdecimal() and 257 <= int(size) <= LARGEST_VOCABULARY:
            return Spec("bpe", int(size))
        if not _is_folder(spec):
            raise InputError(f"tokenizer {spec!r}", expected=f"bpe:N with N from 257 to {LARGEST_VOCABULARY:,}")
    if spec and _is_folder(spec):
        return Spec("folder", folder=Path(spec))
    raise InputError(f"tokenizer {spec!r}", expected=expected, fix="for example --tokenizer bpe:8192")


def _is_folder(spec: str) -> bool:
    with given_path(spec):
        return Path(spec).is_dir()


def make_tokenizer(spec: str, texts: Texts, *, seed: int = 0) -> Tokenizer:
    """The tokenizer that ``spec`` asks for.

    Args:
        spec: ``byte``, ``char``, ``bpe:N`` (at most N ids in all) or a folder.
        texts: gives the text anew each time it is called; chunks of documents will do.
        seed: fixes which text BPE is trained on, where there is more than a sample's worth.

    Raises:
        InputError: the spec is none, or ``char`` and no text at all.
    """
    kind, vocab_size, folder = parse_spec(spec)
    if kind == "byte":
        return byte_tokenizer()
    if kind == "char":
        return char_tokenizer(texts())
    if kind == "bpe":
        return train_bpe(texts(), vocab_size, seed=seed)
    assert folder is not None
    tokenizer = load_tokenizer(folder)
    if "generation_config.json" in tokenizer.companions:
        # Of a model that lends its tokenizer only what ends a text is kept.
        ends = json.dumps({"eos_token_id": list(tokenizer.end_ids)}) + "\n"
        tokenizer.companions = {**tokenizer.companions, "generation_config.json": ends}
    return tokenizer


def byte_tokenizer() -> ByteTokenizer:
    """The byte tokenizer; there is only one."""
    return ByteTokenizer([*(bytes([byte]) for byte in range(256)), b""], 256, _bpe_json([], use_regex=False))


def char_tokenizer(texts: Iterable[str]) -> CharTokenizer:
    """A token for each character that occurs, in the order of Unicode, then U+FFFD and the end token."""
    found: set[str] = set()
    for text in texts:
        found.update(text)
    if not found:
        raise InputError("no text to make a tokenizer of", expected="at least one character")
    characters = [*sorted(found - {UNKNOWN}), UNKNOWN]
    end_id = len(characters)
    json = _json(
        {"type": "WordLevel", "vocab": _vocabulary(characters), "unk_token": UNKNOWN},
        pre_tokenizer={"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False},
        decoder={"type": "Fuse"},
        end_id=end_id,
    )
    return CharTokenizer([*(character.encode() for character in characters), b""], end_id, json)


def train_bpe(texts: Iterable[str], vocab_size: int, *, seed: int = 0) -> BPETokenizer:
    """Byte-level BPE with GPT-2's pattern.

    Args:
        texts: chunks of text; of more than 64 M characters a sample is taken, so that memory stays bounded.
        vocab_size: most ids: 256 bytes, the merges, the end token. A text that is small or repeats itself has
            fewer pairs to merge, and gives fewer.
        seed: fixes the sample.
    """
    import rustbpe

    trainer = rustbpe.Tokenizer()
    trainer.train_from_iterator(iter(sample(texts, seed)), vocab_size - 1, pattern=GPT2_PATTERN)
    ranks = {bytes(raw): rank for raw, rank in trainer.get_mergeable_ranks()}
    ordered = sorted(ranks, key=ranks.__getitem__)
    merges = [_halves(raw, ranks) for raw in ordered[256:]]
    json = _bpe_json(merges, use_regex=True)
    return BPETokenizer([*ordered, b""], len(ordered), json, pattern=GPT2_PATTERN, ranks=ranks)


def sample(texts: Iterable[str], seed: int) -> list[str]:
    """The text in blocks, or of a long text a random part of them, chosen by hash; memory stays bounded."""
    kept: list[tuple[int, str]] = []
    size, limit = 0, 1 << 64
    for index, block in enumerate(_blocks(texts)):
        draw = hash_u64("sample", seed, index)
        if draw >= limit:
            continue
        kept.append((draw, block))
        size += len(block)
        while size > SAMPLE_CHARACTERS:
            limit //= 2
            kept = [(draw, block) for draw, block in kept if draw < limit]
            size = sum(len(block) for _, block in kept)
    return [block for _, block in kept]


def _blocks(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for start in range(0, len(text), SAMPLE_BLOCK_CHARACTERS):
            yield text[start : start + SAMPLE_BLOCK_CHARACTERS]


def _halves(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes]:
    """The two tokens that were merged into this one: what its bytes become with the earlier merges alone."""
    parts = [bytes([byte]) for byte in token]
    while len(parts) > 2:
        best = min(pairwise(parts), key=lambda pair: ranks.get(pair[0] + pair[1], len(ranks)))
        assert ranks.get(best[0] + best[1], len(ranks)) < ranks[token]
        parts = _merged(parts, best)
    return parts[0], parts[1]


def _merged(parts: list[bytes], pair: tuple[bytes, bytes]) -> list[bytes]:
    """Every occurrence of the pair made one: a token of very many equal bytes takes few rounds."""
    merged, place = [], 0
    while place < len(parts):
        is_pair = tuple(parts[place : place + 2]) == pair
        merged.append(pair[0] + pair[1] if is_pair else parts[place])
        place += 2 if is_pair else 1
    return merged


def _bpe_json(merges: list[tuple[bytes, bytes]], *, use_regex: bool) -> dict[str, Any]:
    """``tokenizer.json`` of a byte-level BPE whose ids are the bytes, the merges, the end token, in this order."""
    tokens = [bytes([byte]) for byte in range(256)] + [left + right for left, right in merges]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}
    model = {
        "type": "BPE",
        "dropout": None,
        "unk_token": None,
        "continuing_subword_prefix": None,
        "end_of_word_suffix": None,
        "fuse_unk": False,
        "byte_fallback": False,
        "ignore_merges": False,
        "vocab": _vocabulary([to_text(token) for token in tokens]),
        "merges": [[to_text(left), to_text(right)] for left, right in merges],
    }
    return _json(model, pre_tokenizer=level, decoder=level | {"use_regex": True}, end_id=len(tokens))


def _vocabulary(tokens: list[str]) -> dict[str, int]:
    return {token: index for index, token in enumerate([*tokens, END])}


def _json(model: dict[str, Any], *, pre_tokenizer: Any, decoder: Any, end_id: int) -> dict[str, Any]:
    added = {
        "id": end_id,
        "content": END,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added],
        "normalizer": None,
        "pre_tokenizer": pre_tokenizer,
        "post_processor": None,
        "decoder": decoder,
        "model": model,
    }
