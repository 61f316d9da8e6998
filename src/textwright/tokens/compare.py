"""Is the fast way the library's? Each file is asked once: the answer is kept by its content."""

import hashlib
import itertools
import marshal
import random
from importlib.metadata import version
from pathlib import Path

from textwright.core.caches import cache_folder
from textwright.core.files import write_atomically
from textwright.tokens.fast import BPETokenizer
from textwright.tokens.library import encode_by, open_library
from textwright.tokens.tokenizer import Tokenizer

VERSION = 1
"""Of the questions below."""
TEXTS = (
    "The quick brown fox doesn't jump; it's 12,345.67 miles.  Two  spaces,\ttabs,\r\nnew lines\n\n   and more.",
    "WE'LL I'm they've he'd 'tis can\u2019t _snake_case__ camelCase HTTPServer x=1 !=== ... --- https://a.b/c?d=e&f",
    "床前明月光，疑是地上霜。Größe, naïve, Ελλάδα, русский текст, हिन्दी, عربي, ไทย, 한국어, 日本語のテキスト。",
    "e\u0301 and é, ﬁ ligature, ½ ² Ⅷ ٣ ㊿ \u00a0nbsp\u3000wide\u2028line\x85next \x1c\x1d\x00\x7f \ufeff\u200b\u200d",
    "😀👩\u200d👩\u200d👧🇩🇪 \u0300\u0301alone \U0001f9d1\U0001f3ff\u200d🚀 1st 2nd A1b2 007 3.14e-10 ０１２",
    "  leading and trailing  ",
    "\n\n\t\n",
)
NUM_DRAWN_TEXTS, TOKENS_OF_A_TEXT = 40, 30


def find_difference(tokenizer: Tokenizer) -> str | None:
    """In what a fast tokenizer differs from the library; None where nothing was found.

    That merges by the order of tokens are merges by the order of pairs is proven, not sampled: it is so exactly if each
    token's own bytes are merged into that token. The rest is looked for in texts.

    Raises:
        InputError: the library does not read the file.
    """
    library = tokenizer.library
    for token in tokenizer.added_tokens:
        if library.token_to_id(token.content) != token.id:
            return f"the id of {token.content!r}"
    if isinstance(tokenizer, BPETokenizer):
        plain = open_library(
            tokenizer.json | {"model": tokenizer.json["model"] | {"ignore_merges": False}}, reads_special_tokens=False
        )
        for word in tokenizer.merged_tokens():
            if [found.value for found in plain.model.tokenize(word)] != [word]:
                return f"merges that do not make the token {word!r} of its own bytes"
    for text in _texts(tokenizer):
        ids = encode_by(library, text).ids
        if tokenizer.encode_array(text).tolist() != ids:
            return f"other ids for {text[:40]!r}"
        if tokenizer.json.get("decoder") is not None and library.decode(ids) != tokenizer.decode(ids):
            return f"another text for the ids of {text[:40]!r}"
    return None


def _texts(tokenizer: Tokenizer) -> list[str]:
    """Those above, some of the tokenizer's own tokens, and its added tokens between words."""
    draw = random.Random(0)  # noqa: S311
    size = tokenizer.vocab_size
    drawn = (tokenizer.decode(draw.randrange(size) for _ in range(TOKENS_OF_A_TEXT)) for _ in range(NUM_DRAWN_TEXTS))
    added = [token.content for token in tokenizer.added_tokens][:200]
    about = (
        before + token + after for token, (before, after) in zip(added, itertools.cycle([("a", "b"), (" ", " x")]))
    )
    return [*TEXTS, *drawn, *about, "".join(added), " ".join(added)]


def is_known_equal(tokenizer: Tokenizer) -> bool:
    """Whether the answer was "no difference" before."""
    try:
        return _path(tokenizer).is_file()
    except OSError:
        return False


def note_equal(tokenizer: Tokenizer) -> None:
    """Keep the answer "no difference", where there is a place for it."""
    path = _path(tokenizer)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, "")
    except (OSError, RuntimeError):
        return


def _path(tokenizer: Tokenizer) -> Path:
    asked = [VERSION, version("tokenizers"), version("tiktoken"), tokenizer.json]
    # JSON would take a tenth of a second. In the first version of this format equal things always look alike.
    return cache_folder() / "tokenizers" / hashlib.sha256(marshal.dumps(asked, 0)).hexdigest()[:32]
