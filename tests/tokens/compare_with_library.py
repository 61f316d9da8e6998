"""A foreign tokenizer beside the library; very many of them by ``python -m tests.tokens.compare_with_library``."""

import argparse
import json
import random
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer as Library

from tests.tokens.random_tokenizers import random_folder, random_text
from textwright.core.errors import InputError
from textwright.tokens import Tokenizer, load_tokenizer
from textwright.tokens.library import encode_by
from textwright.tokens.library_tokenizer import LibraryTokenizer

NUM_TEXTS = 20


def library_of(content: dict[str, Any], *, reads_special_tokens: bool) -> Library:
    library = Library.from_str(json.dumps(content))
    library.no_truncation()
    library.no_padding()
    library.encode_special_tokens = not reads_special_tokens
    return library


def ids_or_none(library: Library, text: str) -> list[int] | None:
    """The library's ids; None for a text that it does not encode."""
    try:
        ids: list[int] = encode_by(library, text).ids
    except InputError:
        return None
    return ids


def is_byte_level(content: dict[str, Any]) -> bool:
    return "ByteLevel" in json.dumps(content["pre_tokenizer"])


def compare(tokenizer: Tokenizer, content: dict[str, Any], draw: random.Random) -> None:
    """See that ids and texts are the library's."""
    if content["decoder"] is None and is_byte_level(content):
        content = content | {"decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}}
    library = library_of(content, reads_special_tokens=False)
    with_special = library_of(content, reads_special_tokens=True)
    tokens = tuple(row["content"] for row in content["added_tokens"])
    special = {row["id"] for row in content["added_tokens"] if row["special"]}
    unknown = content["model"].get("unk_id", library.token_to_id(content["model"].get("unk_token") or ""))
    for _ in range(NUM_TEXTS):
        text = random_text(draw, tokens)
        expected, expected_special = ids_or_none(library, text), ids_or_none(with_special, text)
        if expected is None or expected_special is None:
            continue
        ids = tokenizer.encode(text)
        if special - {unknown} & set(expected):
            assert not special - {unknown} & set(ids)
        else:
            assert ids == expected
        assert tokenizer.encode(text, special_tokens=True) == expected_special
        some = [*ids, *(draw.randrange(library.get_vocab_size()) for _ in range(5))]
        some = [index for index in some if library.id_to_token(index) is not None]
        for row in (ids, some):
            assert tokenizer.decode(row) == library.decode(row, skip_special_tokens=True)
            if row is some and "ByteFallback" in json.dumps(content["decoder"]):
                continue  # a byte that fits nothing takes back whole characters before it, which were shown
            stream = tokenizer.stream()
            assert "".join(map(stream.push, row)) + stream.flush() == tokenizer.decode(row)


def main() -> None:
    """Compare many, and print what came of them."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=1000)
    arguments = parser.parse_args()
    found = Counter[str]()
    for seed in range(arguments.first, arguments.first + arguments.count):
        with tempfile.TemporaryDirectory() as folder:
            content = random_folder(seed, Path(folder))
            kind = "byte-level" if is_byte_level(content) else content["model"]["type"]
            try:
                tokenizer = load_tokenizer(Path(folder))
            except InputError as error:
                found[f"{kind}: refused"] += 1
                print(f"{seed}: {error}")
                continue
            how = "library" if isinstance(tokenizer, LibraryTokenizer) else "fast"
            try:
                compare(tokenizer, content, random.Random(seed))
            except AssertionError as error:
                how = "DIFFERENT"
                print(f"{seed}: {kind} {str(error)[:400]}")
            found[f"{kind}: {how}"] += 1
    for name, count in sorted(found.items()):
        print(f"{count:6,}  {name}")


if __name__ == "__main__":
    main()
