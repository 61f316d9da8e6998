"""``textwright tokenizer train``, ``textwright tokenizer inspect`` and ``textwright tokenizer check``."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter
from rich.table import Table
from rich.text import Text

from textwright.api.config import ReadingOptions
from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError, check_is_text
from textwright.core.result import Result
from textwright.core.user_paths import check_can_be_written, folder_beside, given_path
from textwright.text.files import find_files
from textwright.text.read import TextFiles

if TYPE_CHECKING:
    from textwright.tokens import Tokenizer

COLOURS = ("black on bright_cyan", "black on bright_yellow", "black on bright_green", "black on bright_magenta")
MEASURED_CHARACTERS = 4 << 20
EXAMPLE_TEXT = (
    "Hello, world! The quick brown fox doesn't jump in 2024.\n    def f(x): return x\n床前明月光，疑是地上霜。 😀"
)


@dataclass(frozen=True)
class Trained(Result):
    """A tokenizer that was written, with how it cut the text it was made from."""

    out: Path
    vocab_size: int
    bytes_per_token: float
    round_trip: bool

    def as_json(self) -> dict[str, Any]:
        names = ("vocab_size", "bytes_per_token", "round_trip")
        return {name: getattr(self, name) for name in names}

    def show(self) -> None:
        notes = stderr_console()
        notes.print(f"{self.vocab_size:,} tokens, {self.bytes_per_token:.2f} bytes a token, in {self.out}")
        notes.show_command("next:  ", "tokenizer", "inspect", self.out)


def train_tokenizer(
    inputs: Annotated[tuple[Path, ...], Parameter(show_default=False)] = (),
    /,
    *,
    out: Path,
    vocab_size: int | None = None,
    kind: Literal["bpe", "char", "byte"] = "bpe",
    seed: int = 0,
    reading: Annotated[ReadingOptions | None, Parameter(name="*")] = None,
) -> Trained:
    """Train a tokenizer and write it as a folder that Hugging Face's tokenizers reads too.

    Parameters
    ----------
    inputs
        Files and folders of text.
    out
        The folder to write.
    vocab_size
        Most tokens of a bpe tokenizer, the end token among them; a small text makes fewer.
    kind
        bpe: byte-pair encoding over bytes. char: a token for each character. byte: a token for each byte.
    seed
        Fixes which text is learned from, where there is more than a sample's worth.
    reading
        How files are read.
    """
    if (vocab_size is None) == (kind == "bpe"):
        raise InputError(
            "no --vocab-size" if kind == "bpe" else f"--vocab-size with --kind {kind}",
            expected="a number of tokens, such as 8192" if kind == "bpe" else "it with --kind bpe only",
        )
    check_can_be_written(out)
    if out.exists() and any(out.iterdir() if out.is_dir() else [out]):
        raise InputError(f"{out} is there already", fix="choose another --out")
    find_files(inputs)
    stderr_console().print("reading the text and training the tokenizer ...")

    from textwright.tokens import make_tokenizer

    how = reading or ReadingOptions()
    with TextFiles(inputs, scratch=folder_beside(out), **how.reading) as files:
        tokenizer = make_tokenizer(f"bpe:{vocab_size}" if kind == "bpe" else kind, files.texts, seed=seed)
        stderr_console().print(files.summary)
        with given_path(out):
            tokenizer.save(out)
        bytes_per_token, round_trip = _measure(tokenizer, (chunk.text for chunk in files.chunks()))
    return Trained(out, tokenizer.vocab_size, bytes_per_token, round_trip)


def _measure(tokenizer: "Tokenizer", texts: Iterable[str]) -> tuple[float, bool]:
    """Bytes a token, and whether texts come back as they were, over the first megabytes."""
    num_bytes, num_tokens, is_same = 0, 0, True
    for text in texts:
        ids = tokenizer.encode(text)
        num_bytes, num_tokens = num_bytes + len(text.encode()), num_tokens + len(ids)
        is_same &= tokenizer.decode(ids) == text
        if num_bytes > MEASURED_CHARACTERS:
            break
    return num_bytes / max(1, num_tokens), is_same


@dataclass(frozen=True)
class Inspected(Result):
    """How a tokenizer cut a text."""

    tokenizer: "Tokenizer"
    text: str
    ids: list[int]

    @property
    def bytes_per_token(self) -> float:
        return len(self.text.encode()) / max(1, len(self.ids))

    @property
    def round_trip(self) -> bool:
        """Whether the text comes back as it was."""
        return self.tokenizer.decode(self.ids) == self.text

    def as_json(self) -> dict[str, Any]:
        return {
            "vocab_size": self.tokenizer.vocab_size,
            "bytes_per_token": self.bytes_per_token,
            "round_trip": self.round_trip,
            "ids": self.ids,
            "tokens": [self.tokenizer.decode([index]) for index in self.ids],
        }

    def show(self) -> None:
        out = stdout_console()
        exact = "exact" if self.round_trip else "NOT exact: some characters are unknown to it"
        out.print(
            f"{self.tokenizer.kind}, {self.tokenizer.vocab_size:,} tokens; this text: {len(self.ids):,} tokens, "
            f"{self.bytes_per_token:.2f} bytes a token, round trip {exact}",
            soft_wrap=True,
        )
        out.print(coloured(self.tokenizer.token_bytes, self.ids), soft_wrap=True)


def inspect_tokenizer(folder: Path, text: str = EXAMPLE_TEXT, /) -> Inspected:
    """Show how a tokenizer cuts a text: bytes per token, the way back, and the tokens in colour.

    Parameters
    ----------
    folder
        A tokenizer's or a model's folder.
    text
        The text to cut.
    """
    check_is_text(text)
    from textwright.tokens import load_tokenizer

    tokenizer = load_tokenizer(folder)
    return Inspected(tokenizer, text, tokenizer.encode(text))


@dataclass(frozen=True)
class Compared:
    """What a text came to."""

    text: str
    ids: list[int]
    library_ids: list[int]
    decodes_equal: bool

    @property
    def is_equal(self) -> bool:
        return self.ids == self.library_ids and self.decodes_equal


@dataclass(frozen=True)
class Checked(Result):
    """How a tokenizer is obeyed, and what it makes of texts beside Hugging Face's library."""

    folder: Path
    tokenizer: "Tokenizer"
    is_fast: bool
    texts: list[Compared]

    @property
    def exit_code(self) -> int:
        return 0 if all(text.is_equal for text in self.texts) else 3

    def as_json(self) -> dict[str, Any]:
        tokenizer = self.tokenizer
        return {
            "kind": tokenizer.kind,
            "vocab_size": tokenizer.vocab_size,
            "is_fast": self.is_fast,
            "begins_with": list(tokenizer.begin_ids),
            "ends_with": list(tokenizer.end_ids),
            "special_tokens": tokenizer.special_ids,
            "added_tokens": {one.content: one.id for one in tokenizer.added_tokens if not one.special},
            "notes": list(tokenizer.notes),
            "texts": [asdict(text) | {"is_equal": text.is_equal} for text in self.texts],
        }

    def show(self) -> None:
        out, tokenizer = stdout_console(), self.tokenizer
        how = "cut by Textwright" if self.is_fast else "cut by the tokenizers library"
        out.print(f"{self.folder}: {tokenizer.kind}, {tokenizer.vocab_size:,} tokens, {how}")
        ends = ", ".join(f"{_shown(tokenizer, index)} ({index})" for index in tokenizer.end_ids)
        begins = ", ".join(f"{_shown(tokenizer, index)} ({index})" for index in tokenizer.begin_ids) or "nothing"
        out.print(f"a text begins with {begins} and ends with {ends}", markup=False)
        for note in tokenizer.notes:
            out.print(f"- {note}", markup=False)
        table = Table(box=None)
        for name, width in (("text", 40), ("ids", 50), ("the library's", None)):
            table.add_column(name, max_width=width, no_wrap=True, overflow="ellipsis")
        for text in self.texts:
            verdict = "the same" if text.is_equal else "OTHERS" if text.ids != text.library_ids else "DECODED OTHERWISE"
            table.add_row(Text(repr(text.text)), str(text.ids), verdict)
        out.print(table)


def check_tokenizer(folder: Path, texts: Annotated[tuple[str, ...], Parameter(show_default=False)] = (), /) -> Checked:
    """Show what was found in a tokenizer's folder, how it is obeyed, and texts as Hugging Face's library reads them.

    Ends with exit code 3 where the two differ.

    Parameters
    ----------
    folder
        A tokenizer's or a model's folder.
    texts
        What to compare; some texts of many scripts when not given.
    """
    check_is_text(*texts)
    from textwright.tokens import load_tokenizer
    from textwright.tokens.compare import TEXTS
    from textwright.tokens.library import encode_by
    from textwright.tokens.library_tokenizer import LibraryTokenizer

    tokenizer = load_tokenizer(folder)
    found = []
    for text in texts or TEXTS:
        ids, theirs = tokenizer.encode(text), encode_by(tokenizer.library, text).ids
        decodes_equal = tokenizer.decode(ids) == tokenizer.library.decode(ids)
        found.append(Compared(text, ids, theirs, decodes_equal))
    return Checked(folder, tokenizer, not isinstance(tokenizer, LibraryTokenizer), found)


def _shown(tokenizer: "Tokenizer", index: int) -> str:
    return tokenizer.library.id_to_token(index) or str(index)


def coloured(token_bytes: list[bytes], ids: list[int]) -> Text:
    """The tokens side by side in changing colours.

    Tokens that hold only part of a character are shown together with their neighbours, as the character they make,
    with the number of tokens it took.
    """
    shown = Text()
    held, count, place = b"", 0, 0
    for index in ids:
        held, count = held + token_bytes[index], count + 1
        try:
            piece = held.decode("utf-8")
        except UnicodeDecodeError:
            continue
        label = piece.replace("\n", "↵\n").replace("\t", "→   ")
        shown.append(label + (f"⟨{count}⟩" if count > 1 else ""), style=COLOURS[place % len(COLOURS)])
        held, count, place = b"", 0, place + 1
    if held:
        shown.append(held.decode("utf-8", errors="replace"), style="white on red")
    return shown
