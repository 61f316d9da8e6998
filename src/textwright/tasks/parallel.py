"""Pairs of texts that say the same: lines of files side by side, or rows of a table."""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from pathlib import Path

from textwright.core.errors import InputError
from textwright.tasks.rows import LINE, Columns, Row, open_rows
from textwright.tasks.wording import one_line
from textwright.text.files import find_files

COLUMNS: Columns = (("source", "target"), ("source", "target", "note"))
"""A third column says whose it is, or of which style; it is passed over."""


def read_parallel(paths: Sequence[Path]) -> Iterator[tuple[str, str, str]]:
    """(source, target, name) of each pair; pairs of which one side is empty are left out.

    Args:
        paths: files of lines, the sources first, then the targets, and further ones that are targets too; or tables
            and JSON with the fields ``source`` and ``target``.

    Raises:
        InputError: files of different lengths, one file of lines, or a mixture of lines and tables.
    """
    files = find_files(paths)
    opened = [open_rows(path, COLUMNS) for path in files]
    num_lines = sum(form == "lines" for form, _ in opened)
    if not num_lines:
        yield from (found for _, rows in opened for row in rows for found in _of_row(row))
        return
    if num_lines < len(files) or num_lines < 2:
        shown = ", ".join(str(path) for path, (form, _) in zip(files, opened, strict=True) if form == "lines")
        raise InputError(
            f"{shown} alone has lines without a tab" if num_lines == 1 else f"tables beside {shown}",
            expected="two files of lines, the sources' and the targets', or tables of sources and targets",
            fix="name the files in this order after --data",
        )
    if len(files) > len(paths):
        raise InputError(
            f"a folder of {len(files)} files of lines",
            where=", ".join(map(str, paths[:3])),
            expected="the sources' file and the targets' file, in this order",
        )
    yield from _aligned(files, [rows for _, rows in opened])


def _of_row(row: Row) -> Iterator[tuple[str, str, str]]:
    source, targets = one_line(row.text("source")), row.texts("target")
    for target in map(one_line, targets):
        if source and target:
            yield source, target, row.id


def _aligned(files: Sequence[Path], rows: Sequence[Iterator[Row]]) -> Iterator[tuple[str, str, str]]:
    for number, some in enumerate(zip_longest(*rows), 1):
        if None in some:
            short, long = (files[[one is None for one in some].index(is_over)] for is_over in (True, False))
            raise InputError(
                f"{short} has {number - 1:,} lines and {long} has more",
                expected="files of equally many lines, each beside its translation",
                fix="name the sources' file and the targets' file after --data",
            )
        source, *targets = (one_line(row.fields[LINE]) for row in some)
        for target in targets:
            if source and target:
                yield source, target, some[0].id
