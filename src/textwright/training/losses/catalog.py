"""The table of objectives: name -> where its config is, which builds it. A new one is a file and a row here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textwright.core.catalog import Catalog
from textwright.core.config import as_stored, read_config
from textwright.core.errors import InputError

if TYPE_CHECKING:
    from textwright.training.model_with_loss import ObjectiveConfig

OBJECTIVES = Catalog(
    "objective",
    "textwright.objectives",
    {
        "next_token": "textwright.training.losses.causal_lm:CausalLMConfig",
    },
)


def read_objective(choice: str | Mapping[str, Any]) -> "ObjectiveConfig":
    """The config that a run's ``objective`` stands for, of the class that its name leads to.

    Args:
        choice: a name, or a name and what else the objective has settings for.

    Raises:
        InputError: no objective has that name, or a setting does not fit.
    """
    values = {"name": choice} if isinstance(choice, str) else dict(choice)
    if not isinstance(values.get("name"), str):
        known = ", ".join(sorted(OBJECTIVES))
        raise InputError("the key 'name' is missing", where="objective", expected=f"one of {known}")
    return read_config(_config_of(values["name"]), values, "objective")


def with_all_settings(choice: str | Mapping[str, Any]) -> str | dict[str, Any]:
    """The choice with every setting it has, given or not: what a run stores. One without settings is its name.

    Raises:
        InputError: as ``read_objective``.
    """
    values = read_objective(choice).model_dump(mode="json")
    return values if len(values) > 1 else str(values["name"])


def as_it_was_stored(choice: str | Mapping[str, Any]) -> str | dict[str, Any]:
    """A stored choice, with what it lacks as it was before there was a setting for it."""
    if isinstance(choice, str):
        return choice
    return as_stored(_config_of(choice["name"]), choice)


def _config_of(name: str) -> "type[ObjectiveConfig]":
    found: type[ObjectiveConfig] = OBJECTIVES.load(name)
    return found
