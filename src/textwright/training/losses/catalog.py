"""The table of objectives: name -> where its config is, which builds it. A new one is a file and a row here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from textwright.core.catalog import Catalog
from textwright.core.config import read_config
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
    found: type[ObjectiveConfig] = OBJECTIVES.load(values["name"])
    return read_config(found, values, "objective")
