"""A control code says what a text is, as its field has it; what was never said is refused with what is near."""

from pathlib import Path

import pytest

from textwright.core.errors import InputError
from textwright.data.control import MOST_VALUES, ControlCodes, ValuesSeen, form_for
from textwright.data.examples import Example
from textwright.text.document import Document


def example(label: str | int | tuple[str, ...] | None, source: str = "rows.jsonl") -> Example:
    return Example("a text", Document(source, "3", label))


def test_the_value_is_a_line_before_the_text() -> None:
    seen = ValuesSeen("data.genre")
    found = [seen.with_control(example(label)) for label in ("horror", "two\n words ", 7, "horror")]
    assert [one.header for one in found] == [
        *("[genre: horror]\n", "[genre: two words]\n", "[genre: 7]\n", "[genre: horror]\n")
    ]
    assert {one.text for one in found} == {"a text"}
    codes = seen.codes()
    assert codes == ControlCodes(field="data.genre", form="[genre: {value}]\n", values=("7", "horror", "two words"))
    assert [codes.header(value) for value in codes.values] == sorted({one.header for one in found})


def test_keywords_are_free() -> None:
    seen = ValuesSeen("keywords")
    assert seen.with_control(example(("cat", "black mat"))).header == "[keywords: cat, black mat]\n"
    codes = seen.codes()
    assert codes.values == ()
    codes.check("dog, moon")
    with pytest.raises(InputError, match="no value for 'keywords'"):
        codes.check(" \n")


def test_very_many_values_are_free_too() -> None:
    seen = ValuesSeen("author")
    for number in range(MOST_VALUES):
        seen.with_control(example(f"author {number}"))
    assert len(seen.codes().values) == MOST_VALUES
    seen.with_control(example("one more"))
    assert seen.codes().values == ()


def test_a_value_that_was_never_seen_is_refused_with_the_nearest() -> None:
    codes = ControlCodes(field="genre", form=form_for("genre"), values=("Horror", "comedy", "romance"))
    codes.check(" comedy\n")
    with pytest.raises(
        InputError, match=r"'genre' was never 'horor'; expected one of Horror, comedy, romance; did you mean 'Horror'\?"
    ):
        codes.check("horor")
    with pytest.raises(InputError, match="one of Horror, comedy, romance$"):
        codes.check("xyz")
    many = ControlCodes(field="n", form=form_for("n"), values=tuple(map(str, range(100, 200))))
    with pytest.raises(InputError, match=r"one of 100, 101, .*, 111, \.\.\.$"):
        many.check("x")
    with pytest.raises(InputError, match="'genre' was never 'western'"):
        ValuesSeen("genre", codes).with_control(example("western"))
    assert ValuesSeen("genre", codes).with_control(example("comedy")).header == "[genre: comedy]\n"
    assert ValuesSeen("genre", codes).codes() == codes


def test_the_folder_of_a_file_is_a_value(tmp_path: Path) -> None:
    (tmp_path / "sad songs").mkdir()
    path = tmp_path / "sad songs" / "one.txt"
    path.write_text("a song")
    seen = ValuesSeen("folder")
    assert seen.with_control(example(None, str(path))).header == "[folder: sad songs]\n"
    assert seen.codes().values == ("sad songs",)
    with pytest.raises(InputError, match="texts is no file in a folder; expected such, for --control folder"):
        seen.with_control(example(None, "texts"))


def test_a_text_without_the_field_is_refused() -> None:
    with pytest.raises(InputError, match=r"text 3 has no field 'genre'; in novel\.txt; .*--control folder"):
        ValuesSeen("genre").with_control(example(None, "novel.txt"))


@pytest.mark.parametrize("form", ["[genre]\n", "{value} {value}\n", "{value}"])
def test_a_form_that_is_no_line_with_a_value_is_refused(form: str) -> None:
    with pytest.raises(InputError, match=r"a line with \{value\} in it once"):
        ControlCodes(field="genre", form=form)


def test_what_looks_like_a_form_in_a_value_is_a_value() -> None:
    seen = ValuesSeen("genre")
    assert seen.with_control(example("{value} {0} %s")).header == "[genre: {value} {0} %s]\n"
