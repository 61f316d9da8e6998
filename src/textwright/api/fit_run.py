"""The run that ``Model.fit`` leaves: texts and model were given in Python, so it holds them itself.

::

    texts --ids--> RUN/data/        network --> RUN/base/        config --> RUN/config.toml
"""

from pathlib import Path
from typing import Any

from textwright.api.config import FitConfig, Resolved
from textwright.checkpoint.model_folder import damage_of_model, load_model, read_dialogue, save_model
from textwright.core.errors import InputError
from textwright.data.shards import Data, Tokens, damage_of_data, open_data, write_tokens
from textwright.models.language_model import LanguageModel
from textwright.runs.run_folder import Run
from textwright.text.dialogue import DialogueFormat
from textwright.tokens import Tokenizer
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig


def begin_fit_run(
    folder: Path,
    network: LanguageModel,
    tokenizer: Tokenizer,
    dialogue: DialogueFormat | None,
    tokens: Tokens,
    training: TrainConfig,
) -> tuple[Run, Data]:
    """A run with all that it needs to be gone on with, there at once or not at all; and its data.

    Raises:
        InputError: something is there already.
    """

    def fill(run: Run) -> None:
        write_tokens(tokens, tokenizer, run.data)
        save_model(network, tokenizer, run.base, dialogue=dialogue)

    run = Run.create(folder, FitConfig(training=training), resolved=_resolved(network), fill=fill)
    return run, open_data(run.data)


def check_fit_run(run: Run) -> None:
    """See that what the run holds of its beginning is whole.

    Raises:
        InputError: it is not.
    """
    found = damage_of_data(run.data) or damage_of_model(run.base)
    if found is not None:
        raise InputError(found, fix="put the folder back, or call fit again")


def restore_base(run: Run, network: LanguageModel) -> None:
    """Give a network the weights that the run began with."""
    network.load_state_dict(load_model(run.base).state_dict())


def fit_callbacks(run: Run, network: LanguageModel, tokenizer: Tokenizer, dialogue: DialogueFormat | None) -> Callbacks:
    """What the loop asks for while it fits."""
    return Callbacks(
        on_resolved=lambda resolved: run.write_config(FitConfig(training=resolved), _resolved(network)),
        save_model=lambda network, folder: save_model(network, tokenizer, folder, dialogue=dialogue),
    )


def dialogue_of(run: Run) -> DialogueFormat | None:
    """How dialogues are written down for the model that the run began with."""
    return read_dialogue(run.base)


def _resolved(network: LanguageModel) -> dict[str, Any]:
    return Resolved(model=network.config).model_dump(mode="json", exclude={"choice"})
