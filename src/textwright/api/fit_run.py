"""``Model.fit``, and the run that it leaves: texts and model were given in Python, so it holds them itself.

::

    examples --ids--> RUN/data/        network --> RUN/base/        config --> RUN/config.toml
"""

import math
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from textwright.api.config import FitConfig, Resolved
from textwright.api.evaluator import Evaluator, read_tasks
from textwright.api.given_examples import EXAMPLES, given_examples, paths_in
from textwright.api.run_result import write_report
from textwright.checkpoint.model_folder import damage_of_model, load_model, read_dialogue, save_model
from textwright.core.config import read_config
from textwright.core.errors import InputError
from textwright.data.dataset import DataSplits, find_data_corruption, open_data
from textwright.data.examples import ExampleTokens, TooLong
from textwright.data.prepare import write_tokens
from textwright.models.language_model import LanguageModel
from textwright.runs.display import TrainingDisplay
from textwright.runs.run_folder import Run
from textwright.text.dialogue import DialogueFormat
from textwright.text.files import VALIDATED_ON, none_left, search
from textwright.text.options import ReadOptions
from textwright.tokens import Tokenizer
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss, make_batches
from textwright.training.loop import train as run_loop
from textwright.training.report import TrainReport

FIT_STEPS = 100


def encode_examples(
    examples: Any,
    name: str,
    network: LanguageModel,
    tokenizer: Tokenizer,
    options: ReadOptions,
    *,
    validation: Any = None,
    too_long: TooLong = "error",
) -> ExampleTokens:
    """What was given to learn from, or to validate on, as token ids.

    Args:
        examples: see ``given.Examples``.
        name: what they were given as.
        network: the model.
        tokenizer: its tokenizer.
        options: how files and rows are read.
        validation: what is validated on, of which no file is learned from.
        too_long: what is done with a pair or a chat that is longer than the model's context.

    Raises:
        InputError: no text at all, nothing to learn, something else than examples, or a pair that is longer than the
            model's context.
    """
    but = paths_in(validation)
    given = given_examples(examples, name, options, but=but)
    found = ExampleTokens(given, tokenizer, max_pair_tokens=network.context_length, too_long=too_long)
    found.num_null = given.num_null
    if but and (paths := paths_in(examples)):
        found.validated_on = search(paths, but=but).left_out.get(VALIDATED_ON, [])
    if not found.num_documents:
        if found.validated_on:
            raise none_left(paths_in(examples))
        purpose = "learn from" if name == "texts" else "validate on"
        raise InputError(f"no text to {purpose}", expected=f"{EXAMPLES}, at least one that is not empty")
    return found


def fit_config(
    tokens: ExampleTokens,
    network: LanguageModel,
    *,
    steps: int | None,
    epochs: float | None,
    minutes: float | None,
    batch_size: int,
    tasks: Mapping[str, Any] | None = None,
    **values: Any,
) -> FitConfig:
    """How to learn, and the tasks that the model is put to meanwhile.

    Args:
        tokens: what is learned from.
        network: the model.
        steps: how long; without ``steps``, ``epochs`` and ``minutes`` it is 100.
        epochs: instead of steps.
        minutes: instead of steps.
        batch_size: rows of a step.
        tasks: their files, by name.
        **values: further fields of the training config.

    Raises:
        InputError: more than one of steps, epochs and minutes, or a value outside its range.
    """
    if sum(given is not None for given in (steps, epochs, minutes)) > 1:
        raise InputError("more than one of steps, epochs and minutes", expected="one of them")
    time = tokens.row_length(network.context_length)
    if epochs is not None:
        if not 0 < epochs < math.inf:
            raise InputError(f"epochs = {epochs}", where="the arguments of fit", expected="a number above 0")
        steps = max(1, round(epochs * tokens.num_tokens / max(1, batch_size * time)))
    if steps is None and minutes is None:
        steps = FIT_STEPS
    values |= {"steps": steps, "minutes": minutes, "batch_size": batch_size, "sequence_length": time}
    given = {"training": TrainConfig.for_fit(**values), "tasks": tasks or ()}
    return read_config(FitConfig, given, "the arguments of fit")


def fit(
    network: LanguageModel,
    tokenizer: Tokenizer,
    dialogue: DialogueFormat | None,
    train: ExampleTokens,
    val: ExampleTokens | None,
    config: FitConfig,
    *,
    out: Path | None,
    quiet: bool,
) -> TrainReport:
    """Train a network on examples, in place; it is left in training mode, and as it was at its best where there are
    some, or tasks, to tell it by.

    Args:
        network: the model.
        tokenizer: its tokenizer.
        dialogue: its format.
        train: what is learned from.
        val: what is validated on.
        config: how to train, and the tasks that the model is put to meanwhile.
        out: the folder for a run; without it nothing is written.
        quiet: show no progress.
    """
    run, data, config = None, DataSplits(train, val), config.from_anywhere()
    evaluator = Evaluator.of(val, read_tasks(config, config.training), config.training, network, tokenizer)
    training = evaluator.applied_to(config.training)
    if out is not None:
        run, data = begin_fit_run(out, network, tokenizer, dialogue, data, config)
        evaluator = replace(evaluator, val=data.val)
    callbacks = fit_callbacks(run, config, network, tokenizer, dialogue, evaluator)
    display = None if quiet else TrainingDisplay("fit" if run is None else str(run.folder))
    if display is not None:
        callbacks = replace(callbacks, on_row=display.show, on_note=display.note)
        for name, tokens in (("texts", train), ("validation", val)):
            for line in () if tokens is None else tokens.notes:
                display.note(f"{name}: {line}")
        for line in evaluator.lines(training):
            display.note(line)
    with run.locked_and_new() if run is not None else nullcontext(), display or nullcontext():
        report = run_loop(
            add_loss(network, training),
            make_batches(data.train, training, network.context_length),
            training,
            run=run,
            callbacks=callbacks,
            fingerprint=evaluator.fingerprint(data),
        )
    if run is not None and report.end_reason != "interrupted":
        write_report(run.folder)
    return report


def begin_fit_run(
    folder: Path,
    network: LanguageModel,
    tokenizer: Tokenizer,
    dialogue: DialogueFormat | None,
    data: DataSplits,
    config: FitConfig,
) -> tuple[Run, DataSplits]:
    """A run with all that it needs to be gone on with, there at once or not at all; and its data.

    Raises:
        InputError: something is there already.
    """

    def fill(run: Run) -> None:
        write_tokens(data.train, tokenizer, run.data, val=data.val)
        save_model(network, tokenizer, run.base, dialogue=dialogue)

    run = Run.create(folder, config, resolved=_resolved(network), fill=fill)
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


def fit_callbacks(
    run: Run | None,
    config: FitConfig,
    network: LanguageModel,
    tokenizer: Tokenizer,
    dialogue: DialogueFormat | None,
    evaluator: Evaluator,
) -> Callbacks:
    """What the loop asks for while it fits."""
    callbacks = evaluator.added_to(Callbacks())
    if run is None:
        return callbacks
    return replace(
        callbacks,
        on_resolved=lambda resolved: run.write_config(
            config.model_copy(update={"training": resolved}), _resolved(network)
        ),
        save_model=lambda network, folder: save_model(network, tokenizer, folder, dialogue=dialogue),
    )


def dialogue_of(run: Run) -> DialogueFormat | None:
    """How dialogues are written down for the model that the run began with."""
    return read_dialogue(run.base)


def _resolved(network: LanguageModel) -> dict[str, Any]:
    return Resolved(model=network.config).model_dump(mode="json", exclude={"choice"})
