"""Foreign tokenizers at random: the library's ids and text, or a refusal by name."""

import json
import random
from pathlib import Path

import pytest

from tests.tokens.compare_with_library import compare
from tests.tokens.random_tokenizers import random_folder
from textwright.core.errors import InputError
from textwright.tokens import load_tokenizer


@pytest.mark.parametrize("seed", range(100))
def test_a_foreign_tokenizer_has_the_librarys_ids_and_texts(seed: int, tmp_path: Path) -> None:
    content = random_folder(seed, tmp_path)
    try:
        tokenizer = load_tokenizer(tmp_path)
    except InputError as error:
        pytest.skip(f"refused by name: {error.given}")
    compare(tokenizer, content, random.Random(seed))
    edges = tokenizer.begin_ids, tokenizer.end_ids
    tokenizer.save(tmp_path / "again")
    again = load_tokenizer(tmp_path / "again")
    assert (again.begin_ids, again.end_ids) == edges
    assert again.fingerprint == tokenizer.fingerprint
    assert json.loads((tmp_path / "again" / "tokenizer.json").read_text()) == content
