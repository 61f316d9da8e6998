"""Configs refuse what they do not know, and say what was meant."""

from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import Field

from textwright.core.config import AS_BEFORE, Config, changed, read_config, read_stored, read_toml, to_toml
from textwright.core.errors import InputError


class Inner(Config):
    width: int = 4


class Outer(Config):
    learning_rate: float = 1e-3
    title: str = ""
    inner: Inner = Inner()
    names: tuple[str, ...] = ()
    limit: int | None = None


def test_an_unknown_key_names_the_nearest_valid_one() -> None:
    with pytest.raises(InputError, match=r"unknown key 'learning_rte'; in a\.toml; .* did you mean 'learning_rate'\?"):
        read_config(Outer, {"learning_rte": 1}, "a.toml")


def test_an_unknown_key_of_a_table_names_the_tables_own_keys() -> None:
    with pytest.raises(InputError, match=r"unknown key 'inner\.widht'.*did you mean 'width'\?"):
        read_config(Outer, {"inner": {"widht": 1}}, "a.toml")


class Required(Config):
    width: int


def test_a_mistyped_key_is_not_said_to_be_missing() -> None:
    with pytest.raises(InputError, match=r"unknown key 'widht'.*did you mean 'width'\?"):
        read_config(Required, {"widht": 1}, "a.toml")
    with pytest.raises(InputError, match="the key 'width' is missing"):
        read_config(Required, {}, "a.toml")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "fast"])
def test_a_number_that_is_none_is_refused_with_key_and_value(value: object) -> None:
    with pytest.raises(InputError, match="learning_rate = "):
        read_config(Outer, {"learning_rate": value}, "the command line")


def test_a_config_survives_the_way_to_toml_and_back(tmp_path: Path) -> None:
    config = Outer(learning_rate=0.5, title='a "quoted"\nline\x7f 中文', inner=Inner(width=7), names=("a", "b"))
    path = tmp_path / "config.toml"
    path.write_text(to_toml(config), encoding="utf-8")
    assert read_toml(Outer, path) == config


def test_a_missing_or_broken_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_toml(Outer, tmp_path / "none.toml")
    (tmp_path / "broken.toml").write_text("a = = 1")
    with pytest.raises(InputError, match="not valid TOML") as caught:
        read_toml(Outer, tmp_path / "broken.toml")
    assert "\n" not in str(caught.value)


class Stored(Config):
    """A later release's: ``kept`` has another default today, the others are new."""

    kept: int = 5
    off_by_default: float | None = 0.5
    new_with_a_default: str = "as it always was"
    new_and_on: Annotated[bool, Field(json_schema_extra={AS_BEFORE: False})] = True
    inner: Inner = Inner()


def test_what_was_stored_is_read_as_it_was_whatever_the_defaults_are_today() -> None:
    found = read_stored(Stored, {"kept": 3}, "config.toml")
    assert found == Stored(kept=3, off_by_default=None, new_and_on=False)
    assert Stored().off_by_default == 0.5
    assert Stored().new_and_on is True
    with pytest.raises(InputError, match="kpt"):
        read_stored(Stored, {"kpt": 3}, "config.toml")


def test_changed_values_are_checked() -> None:
    assert changed(Stored(), {"kept": 4}, "changes").kept == 4
    with pytest.raises(InputError, match="kept = 'many'"):
        changed(Stored(), {"kept": "many"}, "changes")


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"learning_rate": True}, "learning_rate = True"),
        ({"limit": False}, "limit = False"),
        ({"inner": {"width": True}}, "inner.width = True"),
        ({"sizes": [1, True]}, r"sizes = \[1, True\]"),
        ({"weights": {"a": True}}, "weights = {'a': True}"),
    ],
)
def test_true_and_false_are_no_numbers(values: dict[str, object], key: str) -> None:
    with pytest.raises(InputError, match=f"^{key}; in here; expected a number, not true or false$"):
        read_config(Numbers, values, "here")


def test_true_and_false_are_what_they_are_where_they_are_meant() -> None:
    values = {"is_on": True, "anything": [True], "either": False}
    assert read_config(Numbers, values, "here").model_dump(include=set(values)) == values


class Numbers(Outer):
    sizes: tuple[int, ...] = ()
    weights: Annotated[dict[str, Annotated[float, Field(ge=0)]], Field(max_length=9)] = Field(default_factory=dict)
    is_on: bool = False
    anything: Any = None
    either: int | bool = 3


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"learning_rate": "fast"}, "learning_rate = 'fast'; in the arguments of Outer; expected a number"),
        ({"learning_rte": 1}, "unknown key 'learning_rte'; in the arguments of Outer"),
        ({"inner": {"width": "wide"}}, "inner.width = 'wide'; in the arguments of Outer"),
        ({"names": 10**5000}, "names = a very large int; in the arguments of Outer"),
        ({"names": "x" * 1000}, f"names = '{'x' * 199}...; in the arguments of Outer"),
    ],
)
def test_a_config_that_is_made_in_python_says_in_one_line_what_does_not_fit(
    values: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as caught:
        Outer(**values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
