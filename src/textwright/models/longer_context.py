"""More tokens at once than a model was trained with: its positions are stretched, and training makes them its own."""

from typing import Protocol, runtime_checkable

from textwright.core.errors import InputError
from textwright.models.language_model import LanguageModel

CONTEXT_KEY = "n_ctx"
"""Where a GPT-2's ``config.json`` may say its context length once more: transformers ignores it, others read it."""


@runtime_checkable
class StretchablePositions(Protocol):
    """A network that can be given positions for more tokens."""

    def stretch_positions(self, context_length: int) -> None:
        """Take so many tokens at once from here on, at least as many as before, and say so in ``config``."""


def stretch_context(network: LanguageModel, context_length: int) -> None:
    """Let a model take more tokens at once, in place, before it is trained on longer rows.

    Right after it the model may predict worse than before: learned positions lie closer together than it is used to,
    and none of it has seen so much at once. Training on rows of the new length is to follow.

    It may replace parameters, so it comes before whatever holds them, such as an optimizer. A ``Model`` that has
    written text with the network is told by ``Model.changed``.

    Args:
        network: the model.
        context_length: tokens it is to take at once; its own changes nothing.

    Raises:
        InputError: fewer tokens than now, or a family whose context is not stretched.
    """
    now, given = network.context_length, f"a context of {context_length:,} tokens"
    if context_length < now:
        fix = "to train on shorter rows give --sequence-length, and leave the context as it is"
        raise InputError(given, expected=f"at least {now:,}, as the model has now", fix=fix)
    if not isinstance(network, StretchablePositions):
        raise InputError(f"{given} for a {network.config.family} model", expected="a family with positions to stretch")
    if context_length == now:
        return
    network.stretch_positions(context_length)
    foreign = network.foreign_config
    if foreign is not None and CONTEXT_KEY in foreign:
        network.foreign_config = {**foreign, CONTEXT_KEY: context_length}
