"""The document's tables of metrics are what the command finds."""

from pathlib import Path

from benchmarks.metrics_table import in_markdown, number, tables, with_tables

DOCUMENT = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_document_has_what_the_command_finds() -> None:
    document = DOCUMENT.read_text(encoding="utf-8")
    for name, table in tables().items():
        assert in_markdown(table) in document, f"python benchmarks/metrics_table.py --write docs/metrics.md ({name})"


def test_writing_the_tables_changes_nothing_else() -> None:
    found = tables()
    document = "before\n<!-- pairs -->\nold\n<!-- end of pairs -->\nafter\n"
    assert with_tables(document, found) == document.replace("old", in_markdown(found["pairs"]))


def test_numbers_have_as_few_digits_as_they_need() -> None:
    values = [100.00000000000004, 59.46035575, 0.0, float("nan"), float("inf")]
    assert list(map(number, values)) == ["100", "59.4604", "0", "–", "∞"]
