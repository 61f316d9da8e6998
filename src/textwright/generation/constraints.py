"""What a completion must be: one of a list, a regular expression, a JSON schema, a grammar. Torch-free.

    sampling ──compile──> Constraint ──copy──> one for each row ──push(token)──> which tokens may follow

llguidance does the parsing, over the bytes that each token stands for.
"""

import json
import math
import re
import textwrap
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from llguidance import LLMatcher, LLParserLimits, LLTokenizer
from llguidance.numpy import allocate_token_bitmask, fill_next_token_bitmask

from textwright.core.errors import InputError
from textwright.generation.request import SamplingConfig
from textwright.tokens.tokenizer import Tokenizer

MOST_CHARACTERS = 100_000
"""The longest constraint: reading one takes time and memory in proportion."""
MOST_MULTIPLE = 10_000
"""The greatest ``multipleOf``: it becomes an automaton with a state for each remainder, which no limit bounds."""
# Counted in llguidance's own steps, not in seconds, so that a text does not depend on how busy the machine is.
LIMITS = {
    "initial_lexer_fuel": 1_000_000,
    "step_lexer_fuel": 200_000,
    "max_lexer_states": 50_000,
    "max_items_in_row": 1_000,
    "step_max_items": 5_000,
    "max_grammar_size": 500_000,
    "verbose_errors": False,
}
# As Python's json.dumps writes it. White space at will would let a model fill its budget with blanks.
JSON_STYLE = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}


class Constraint:
    """How far a text has come, and which tokens may follow it.

    Attributes:
        is_accepting: whether the text is whole as it stands. The end token may follow exactly then.
        has_next: whether any other token may follow.
        failure: why none may, where the parser gave up; else empty.
        bits: a bit for each token that may follow, the lowest of a byte first.
    """

    def __init__(self, matcher: LLMatcher, vocab_size: int, end_id: int) -> None:
        self._matcher, self._vocab_size, self._end_id = matcher, vocab_size, end_id
        self._words = allocate_token_bitmask(1, vocab_size)
        self.bits: npt.NDArray[np.uint8] = self._words.view(np.uint8)[0]
        self._look()

    def copy(self) -> "Constraint":
        """The same text so far; from here each goes its own way."""
        return Constraint(self._matcher.deep_copy(), self._vocab_size, self._end_id)

    def allows(self, token_id: int) -> bool:
        """Whether a token may follow."""
        return bool(self.bits[token_id // 8] >> (token_id % 8) & 1)

    def push(self, token_id: int) -> None:
        """The next token of the text: one that may follow, and not the end token."""
        assert token_id != self._end_id, "the end token is no part of the text"
        assert self.allows(token_id), "the constraint does not allow this token"
        self._matcher.consume_token(token_id)
        self._look()

    def _look(self) -> None:
        fill_next_token_bitmask(self._matcher, self._words)
        self.is_accepting = self._matcher.is_accepting()
        self.failure = self._matcher.get_error()
        if self.failure:
            self.bits.fill(0)
            self.is_accepting = False
        byte, bit = self._end_id // 8, 1 << (self._end_id % 8)
        self.bits[byte] &= 255 - bit
        self.has_next = bool(self.bits.any())
        if self.is_accepting:
            self.bits[byte] |= bit


def compile_constraint(sampling: SamplingConfig, tokenizer: Tokenizer) -> Constraint | None:
    """The constraint that ``sampling`` asks for, at the beginning of a text; None where it asks for none.

    Raises:
        InputError: it is broken, too large, or too complex to follow.
    """
    if sampling.constrained_by is None:
        return None
    kind = sampling.constrained_by
    text = "|".join(map(_literally, sampling.choices)) if kind == "choices" else getattr(sampling, kind)
    if len(text) > MOST_CHARACTERS:
        raise InputError(f"{kind} of {len(text):,} characters", expected=f"at most {MOST_CHARACTERS:,}")
    matcher = LLMatcher(_trie(tokenizer), _grammar(kind, text), log_level=0, limits=LLParserLimits(**LIMITS))
    if matcher.is_error():
        raise _refusal(kind, matcher.get_error())
    start = Constraint(matcher, tokenizer.vocab_size, tokenizer.end_id)
    # That no token fits is no mistake in the constraint: this vocabulary cannot say it. The rows end and say so.
    if start.failure and "NoExtension" not in start.failure:
        raise _refusal(kind, start.failure)
    return start


def _literally(choice: str) -> str:
    """A regular expression that matches this text alone."""
    return "".join(one if one.isascii() and one.isalnum() else f"\\x{{{ord(one):x}}}" for one in choice)


def _grammar(kind: str, text: str) -> str:
    """The constraint in the JSON that llguidance reads."""
    if kind == "json_schema":
        try:
            return str(LLMatcher.grammar_from_json_schema(json.dumps(_read_schema(text)), defaults=JSON_STYLE))
        except ValueError as error:
            raise _refusal(kind, str(error)) from None
    if kind == "grammar":
        if "%json" in text:
            raise _refusal(kind, "%json in it, which has limits of its own: give json_schema instead")
        # Wrapped, since llguidance would take a bare text that begins with { for more than Lark.
        return json.dumps({"grammars": [{"lark_grammar": text}]})
    return str(LLMatcher.grammar_from_regex(text))


def _read_schema(text: str) -> Any:
    try:
        schema = json.loads(text, parse_constant=_refuse_constant)
    except ValueError as error:
        raise _refusal("json_schema", f"not valid JSON: {error}") from None
    except RecursionError:
        raise _refusal("json_schema", "nested too deeply") from None
    if _common_multiple(list(_values_of("multipleOf", schema))) > MOST_MULTIPLE:
        raise InputError(
            "json_schema has a multipleOf too large or too fine, or several that do not go together",
            expected=f"a least common multiple of at most {MOST_MULTIPLE:,}, counted in their last decimal place",
        )
    return schema


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number")


def _common_multiple(values: list[Any]) -> int:
    """The least common multiple of numbers, counted in the last decimal place of any: 0.5, 3 -> 5, 30 -> 30."""
    numbers = [Decimal(str(value)) for value in values if type(value) in (int, float)]
    places = max([0, *(-int(number.as_tuple().exponent) for number in numbers)])
    return math.lcm(*(int(number.scaleb(places)) for number in numbers))


def _values_of(key: str, node: Any) -> Iterator[Any]:
    """What stands under ``key`` anywhere in a JSON value."""
    rest = [node]
    while rest:
        node = rest.pop()
        if isinstance(node, dict):
            if key in node:
                yield node[key]
            rest.extend(node.values())
        elif isinstance(node, list):
            rest.extend(node)


def _refusal(kind: str, message: str) -> InputError:
    """llguidance's message without the place in its own grammar and without the listing."""
    lines = message.strip().splitlines()
    found = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    first = found[0] if found else re.sub(r"^(at )?\d+\(\d+\): ", "", lines[0] if lines else "")
    return InputError(f"{kind} cannot be used: {textwrap.shorten(first, 160, placeholder=' ...')}")


@lru_cache(maxsize=2)
def _trie(tokenizer: Tokenizer) -> LLTokenizer:
    """The tokens as llguidance wants them. Kept for the last tokenizers: the trie of a large one takes a while."""
    return LLTokenizer(_Tokens(tokenizer))


class _Tokens:
    """What llguidance asks of a tokenizer; the names are its own."""

    is_tokenizer_wrapper = True
    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = tokenizer.end_id
        self.special_token_ids = [tokenizer.end_id]
        self.tokens = list(tokenizer.token_bytes)
        self.tokens[tokenizer.end_id] = tokenizer.eos_text.encode()
        self._id_of = {raw: index for index, raw in enumerate(tokenizer.token_bytes) if raw}

    def __call__(self, text: str) -> list[int]:
        """The ids of text that must come next, as the model was trained to see it."""
        ids = self._tokenizer.encode(text)
        # Others come back where it holds characters that are outside the vocabulary or not in NFC, or gets a space.
        return ids if b"".join(self.tokens[index] for index in ids) == text.encode() else self._spell(text)

    def _spell(self, text: str) -> list[int]:
        """A token for each character, or for each of its bytes, as far as there are such tokens."""
        ids: list[int] = []
        for character in text:
            raw = character.encode()
            parts = [raw] if raw in self._id_of else [bytes([byte]) for byte in raw]
            if not all(part in self._id_of for part in parts):
                break
            ids.extend(self._id_of[part] for part in parts)
        return ids
