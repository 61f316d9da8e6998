"""The table of objectives: name -> where its class is. Torch-free until one is loaded."""

from importlib import import_module
from typing import TYPE_CHECKING

from textwright.core.errors import unknown_name

if TYPE_CHECKING:
    from textwright.training.model_with_loss import Objective

OBJECTIVES: dict[str, str] = {
    "next_token": "textwright.training.losses.causal_lm:CausalLMLoss",
}


def make_objective(name: str) -> "Objective":
    """The objective called ``name``.

    Raises:
        InputError: no objective has that name.
    """
    if name not in OBJECTIVES:
        raise unknown_name("objective", name, OBJECTIVES)
    module, _, attribute = OBJECTIVES[name].partition(":")
    objective: Objective = getattr(import_module(module), attribute)()
    return objective
