"""``Model.fit``, and the run that it leaves: texts and model were given in Python, so it holds them itself.

::

    texts --ids--> RUN/data/        network --> RUN/base/        config --> RUN/config.toml
"""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from textwright.api.config import FitConfig, Resolved
from textwright.checkpoint.model_folder import damage_of_model, load_model, read_dialogue, save_model
from textwright.core.errors import InputError
from textwright.data.dataset import DataSplits, TokenDataset, find_data_corruption, open_data
from textwright.data.prepare import write_tokens
from textwright.models.language_model import LanguageModel
from textwright.runs.display import TrainingDisplay
from textwright.runs.run_folder import Run
from textwright.text.dialogue import DialogueFormat
from textwright.tokens import Tokenizer
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss, make_batches
from textwright.training.loop import train as run_loop
from textwright.training.report import TrainReport

FIT_STEPS = 100
FIT_TOKENS_PER_ROW = 256


def prepare_fit(
    network: LanguageModel,
    tokenizer: Tokenizer,
    documents: Sequence[str],
    how_long: Mapping[str, float | None],
    *,
    batch_size: int,
    **values: Any,
) -> tuple[TokenDataset, TrainConfig]:
    """What is learned from, and how.

    Args:
        network: the model.
        tokenizer: its tokenizer.
        documents: the texts.
        how_long: ``steps``, ``epochs`` or ``minutes``; all None means 100 steps.
        batch_size: rows of a step.
        **values: further fields of the training config.

    Raises:
        InputError: no text at all, more than one of steps, epochs and minutes, or a value outside its range.
    """
    steps, epochs, minutes = (how_long[name] for name in ("steps", "epochs", "minutes"))
    if sum(given is not None for given in (steps, epochs, minutes)) > 1:
        raise InputError("more than one of steps, epochs and minutes", expected="one of them")
    if not any(documents):
        raise InputError("no text to learn from", expected="a list with at least one text that is not empty")
    tokens = TokenDataset.from_texts(documents, tokenizer)
    time = min(network.context_length, FIT_TOKENS_PER_ROW, tokens.num_tokens)
    if epochs is not None:
        steps = max(1, round(epochs * tokens.num_tokens / max(1, batch_size * time)))
    if steps is None and minutes is None:
        steps = FIT_STEPS
    values |= {"steps": steps, "minutes": minutes, "batch_size": batch_size, "sequence_length": time}
    return tokens, TrainConfig.for_fit(**values)


def fit(
    network: LanguageModel,
    tokenizer: Tokenizer,
    dialogue: DialogueFormat | None,
    tokens: TokenDataset,
    training: TrainConfig,
    *,
    out: Path | None,
    quiet: bool,
) -> TrainReport:
    """Train a network on texts, in place; it is left in training mode.

    Args:
        network: the model.
        tokenizer: its tokenizer.
        dialogue: its format.
        tokens: the texts.
        training: how to train.
        out: the folder for a run; without it nothing is written.
        quiet: show no progress.
    """
    run, data, callbacks = None, DataSplits(train=tokens, val=None), Callbacks()
    if out is not None:
        run, data = begin_fit_run(out, network, tokenizer, dialogue, tokens, training)
        callbacks = fit_callbacks(run, network, tokenizer, dialogue)
    display = None if quiet else TrainingDisplay("fit" if run is None else str(run.folder))
    if display is not None:
        callbacks = replace(callbacks, on_row=display.show, on_note=display.note)
    with run.locked_and_new() if run is not None else nullcontext(), display or nullcontext():
        return run_loop(
            add_loss(network, training),
            make_batches(data.train, training, network.context_length),
            training,
            run=run,
            callbacks=callbacks,
            fingerprint=data.manifest.fingerprint if data.manifest else None,
        )


def begin_fit_run(
    folder: Path,
    network: LanguageModel,
    tokenizer: Tokenizer,
    dialogue: DialogueFormat | None,
    tokens: TokenDataset,
    training: TrainConfig,
) -> tuple[Run, DataSplits]:
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
    found = find_data_corruption(run.data) or damage_of_model(run.base)
    if found is not None:
        raise InputError(found, fix="put the folder back, or call fit again")


def restore_base(run: Run, network: LanguageModel) -> None:
    """Give a network the weights that the run began with, and what was kept of the folder they are from."""
    base = load_model(run.base)
    network.load_state_dict(base.state_dict())
    network.foreign_config = base.foreign_config


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
