"""Text as numbers and back: byte-level BPE, bytes, characters, in one folder format."""

from textwright.tokens.folder import load_tokenizer
from textwright.tokens.make import make_tokenizer, parse_spec
from textwright.tokens.tokenizer import StreamDecoder, Tokenizer

__all__ = ["StreamDecoder", "Tokenizer", "load_tokenizer", "make_tokenizer", "parse_spec"]
