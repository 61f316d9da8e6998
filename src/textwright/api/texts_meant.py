"""Which texts a command line means. Torch-free."""

from collections.abc import Sequence
from pathlib import Path

from textwright.core.errors import InputError, check_is_text
from textwright.core.user_paths import read_text
from textwright.tasks.labelled_texts import LabelledText, LabelledTexts, check_have_text, read_texts


def texts_meant(texts: Sequence[str], texts_file: Path | None, data: Sequence[Path]) -> LabelledTexts:
    """The texts of a command line: given as they are, a line each in a file, or in files of data.

    Raises:
        InputError: none, in more than one of these ways, or an empty one.
    """
    ways = [name for name, given in (("texts", texts), ("--texts-file", texts_file), ("--data", data)) if given]
    if len(ways) != 1:
        what = " and ".join(ways) if ways else "no text"
        raise InputError(what, expected="texts, --texts-file FILE or --data FILES: one of them")
    if data:
        found = read_texts(data)
        check_have_text(found.texts)
        return found
    lines = texts if texts_file is None else read_text(texts_file).splitlines()
    where = "text" if texts_file is None else texts_file.name
    given = [LabelledText(one, None, f"{where}:{number}") for number, one in enumerate(lines, start=1)]
    if texts_file is not None:
        given = [one for one in given if one.text.strip()]
        if not given:
            raise InputError(f"{texts_file} holds no text", expected="a text on each line")
    check_is_text(*(one.text for one in given))
    check_have_text(given)
    return LabelledTexts(given, {})
