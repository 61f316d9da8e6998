"""That only adapters of low rank are trained. Torch-free."""

from textwright.training.parameter_plan import ParameterPlan, Rule, Stage


def lora_plan(*, learning_rate_factor: float = 1.0, weight_decay: float | None = None) -> ParameterPlan:
    """The plan of a run that trains what ``models.lora.add_lora`` added: all else of the model keeps every bit.

    Parameters of the objective are trained as the objective has them.

    Args:
        learning_rate_factor: their learning rate is the run's times this.
        weight_decay: theirs; the run's when not given.
    """
    added = Rule(pattern="model.*.lora_[ab]", learning_rate_factor=learning_rate_factor, weight_decay=weight_decay)
    return (Stage(rules=(added, Rule(pattern="model.*", trained=False))),)
