"""``textwright tokenizer train`` and ``textwright tokenizer inspect``."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.text import Text

from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError, check_is_text
from textwright.core.user_paths import check_can_be_written, given_path
from textwright.text.sources import find_files, read_documents

COLOURS = ("black on bright_cyan", "black on bright_yellow", "black on bright_green", "black on bright_magenta")
MEASURED_CHARACTERS = 4 << 20
SPECIMEN = (
    "Hello, world! The quick brown fox doesn't jump in 2024.\n    def f(x): return x\n床前明月光，疑是地上霜。 😀"
)


def train_tokenizer(
    inputs: Annotated[tuple[Path, ...], Parameter(show_default=False)] = (),
    /,
    *,
    out: Path,
    vocab_size: int | None = None,
    kind: Literal["bpe", "char", "byte"] = "bpe",
    seed: int = 0,
    text_field: str = "text",
    invalid_utf8: Literal["error", "replace"] = "error",
    json: bool = False,
) -> None:
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
    text_field
        The field that holds the text in jsonl, json, csv and parquet files.
    invalid_utf8
        error: refuse a file with bytes that are not UTF-8. replace: put U+FFFD for them.
    json
        Print one JSON object on standard output.
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

    def texts() -> Iterator[str]:
        return (document.text for document in read_documents(inputs, invalid_utf8=invalid_utf8, text_field=text_field))

    tokenizer = make_tokenizer(f"bpe:{vocab_size}" if kind == "bpe" else kind, texts, seed=seed)
    with given_path(out):
        tokenizer.save(out)
    num_bytes, num_tokens, is_same = 0, 0, True
    for text in texts():
        ids = tokenizer.encode(text)
        num_bytes, num_tokens = num_bytes + len(text.encode()), num_tokens + len(ids)
        is_same &= tokenizer.decode(ids) == text
        if num_bytes > MEASURED_CHARACTERS:
            break
    figures = {
        "vocab_size": tokenizer.vocab_size,
        "bytes_per_token": num_bytes / max(1, num_tokens),
        "round_trip": is_same,
    }
    if json:
        stdout_console().write_json(figures)
        return
    screen = stderr_console()
    screen.print(f"{tokenizer.vocab_size:,} tokens, {figures['bytes_per_token']:.2f} bytes a token, in {out}")
    screen.show_command("next:  ", "tokenizer", "inspect", out)


def inspect_tokenizer(folder: Path, text: str = SPECIMEN, /, *, json: bool = False) -> None:
    """Show how a tokenizer cuts a text: bytes per token, the way back, and the tokens in colour.

    Parameters
    ----------
    folder
        A tokenizer's or a model's folder.
    text
        The text to cut.
    json
        Print one JSON object on standard output.
    """
    check_is_text(text)
    from textwright.tokens import load_tokenizer

    tokenizer = load_tokenizer(folder)
    ids = tokenizer.encode(text)
    back = tokenizer.decode(ids)
    figures = {
        "vocab_size": tokenizer.vocab_size,
        "bytes_per_token": len(text.encode()) / max(1, len(ids)),
        "round_trip": back == text,
    }
    if json:
        tokens = [tokenizer.decode([index]) for index in ids]
        stdout_console().write_json(figures | {"ids": ids, "tokens": tokens})
        return
    screen = stdout_console()
    screen.print(
        f"{tokenizer.kind}, {tokenizer.vocab_size:,} tokens; this text: {len(ids):,} tokens, "
        f"{figures['bytes_per_token']:.2f} bytes a token, "
        + ("round trip exact" if back == text else "round trip NOT exact: some characters are unknown to it"),
        soft_wrap=True,
    )
    screen.print(coloured(tokenizer.token_bytes, ids), soft_wrap=True)


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
