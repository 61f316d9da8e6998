"""``Model.fit`` and ``textwright finetune``, and the run that they leave: it holds its texts and its model itself.

::

    examples --ids--> RUN/data/        network --> RUN/base/        config --> RUN/config.toml
"""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from textwright.api.config import FULL, FineTuneOptions, FitConfig, Resolved
from textwright.api.evaluator import Evaluator, read_tasks
from textwright.api.fit_data import FitData, damage_of_fit_data, open_fit_data, read_fit_data, write_fit_data
from textwright.api.fit_samples import FitSamples
from textwright.api.frozen_part import check_cache_frozen, fit_model_with_loss
from textwright.api.run_result import write_report
from textwright.api.taught import Taught, check_strategy
from textwright.checkpoint.model_folder import damage_of_model, load_model, read_dialogue, read_prompt_format
from textwright.core.config import changed
from textwright.core.errors import InputError
from textwright.core.user_paths import folder_beside
from textwright.data.examples import ExampleTokens
from textwright.evaluation.tracked_tasks import TaskExamples
from textwright.models.language_model import LanguageModel, as_language_model
from textwright.models.lora import add_lora
from textwright.runs.display import TrainingDisplay
from textwright.runs.run_folder import Run
from textwright.tokens import Tokenizer
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.loop import train as run_loop
from textwright.training.plan import describe_plan
from textwright.training.report import TrainReport
from textwright.training.strategies import Strategy, parse_strategy
from textwright.training.strategy_chart import strategy_chart

FIT_STEPS = 100
"""Where nobody says how long."""


def read_fit_tasks(options: FineTuneOptions) -> list[TaskExamples]:
    """The examples of the tasks that a model is put to while it is taught.

    Raises:
        InputError: see ``read_tasks``.
    """
    return read_tasks(options, options.chosen_training)


def teach(
    taught: Taught,
    texts: Any,
    validation: Any,
    options: FineTuneOptions,
    *,
    base: str | None,
    out: Path | None,
    quiet: bool,
    on_prepared: Callable[[Taught], None],
) -> TrainReport:
    """Make a model ready for what it is to learn, and teach it, in place; adapters are left beside its weights.

    Args:
        taught: the model as it is. It is not changed before all that is to be learned was read.
        texts: see ``read_fit_data``.
        validation: likewise.
        options: what is learned, and how.
        base: the folder that the model was read from.
        out: the folder for a run; without it nothing is written.
        quiet: show no progress.
        on_prepared: gets the model with its new tokens, once its network knows them.

    Raises:
        InputError: what cannot be learned, or options that do not fit the model.
    """
    how: dict[str, Any] = {"base": base, "out": out, "on_prepared": on_prepared}
    taught, data, config, tasks = made_ready(taught, texts, validation, options, **how)
    return fit(taught, data, config, tasks, out=out, quiet=quiet)


def made_ready(
    taught: Taught,
    texts: Any,
    validation: Any,
    options: FineTuneOptions,
    *,
    base: str | None,
    out: Path | None,
    on_prepared: Callable[[Taught], None],
) -> tuple[Taught, FitData, FitConfig, list[TaskExamples]]:
    """A model made ready for what it is to learn, in place; that, how, and the tasks that it is put to meanwhile.

    Args and errors: see ``teach``.
    """
    options, strategy = options.from_anywhere(), parse_strategy(options.strategy)
    if options.training.parameter_plan and (options.strategy != FULL or options.layer_decay != 1):
        raise InputError("a parameter_plan with a strategy or a layer_decay", expected="one of them")
    tasks = read_fit_tasks(options)
    check_strategy(strategy, taught.network)
    check_cache_frozen(options, taught.network.num_layers)
    if options.cache_frozen and out is None:
        raise InputError("cache_frozen without a run", expected="a folder to keep it in", fix="set out")
    num_known, taught = taught.tokenizer.vocab_size, taught.with_tokens(options)
    scratch = None if out is None else folder_beside(out)  # on the disk of the run, where all of it will be
    data = read_fit_data(texts, validation, taught, options, scratch=scratch)
    if data.control is not None:
        known = taught.prompt_format.model_copy(update={"control": data.control})
        taught = replace(taught, prompt_format=known)
    taught = taught.prepare(options, strategy, num_known=num_known)
    on_prepared(taught)
    taught.adapted(strategy, options.training.seed)
    return taught, data, fit_config(data, taught, options, strategy, base=base), tasks


def fit_config(
    data: FitData, taught: Taught, options: FineTuneOptions, strategy: Strategy, *, base: str | None = None
) -> FitConfig:
    """How to teach, with how long rows are, how many steps there are, and what is trained when.

    Args:
        data: what is learned from.
        taught: the model, with the strategy's adapters.
        options: as they were given.
        strategy: what they say is trained.
        base: the folder that the model was read from.

    Raises:
        InputError: rows that are longer than the model's context, or a strategy that the model has not the parts for.
    """
    network = taught.network
    training, where = options.chosen_training, "the arguments of fit"
    tokens = data.splits.train
    assert isinstance(tokens, ExampleTokens), "what is begun is in memory"
    length = training.sequence_length
    if length is not None and length > network.context_length:
        raise InputError(
            f"sequence_length = {length}",
            where=where,
            expected=f"at most {network.context_length}, the model's context",
        )
    length = length or tokens.row_length(network.context_length)
    training = changed(training, {"sequence_length": length}, where)
    steps_per_epoch = data.steps_per_epoch(training, network.context_length)
    if not options.training.parameter_plan:
        plan = taught.plan_of(strategy, steps_per_epoch=steps_per_epoch, layer_decay=options.layer_decay)
        training = training.model_copy(update={"parameter_plan": plan})
    if options.epochs is not None:
        steps = max(1, round(options.epochs * steps_per_epoch))
        training = changed(training, {"steps": steps}, where)
    elif training.steps is None and training.minutes is None:
        training = changed(training, {"steps": FIT_STEPS}, where)
    values: dict[str, Any] = {name: getattr(options, name) for name in FineTuneOptions.model_fields}
    return FitConfig(**values | {"training": training, "epochs": None, "base": base})


def fit(
    taught: Taught,
    data: FitData,
    config: FitConfig,
    tasks: list[TaskExamples],
    *,
    out: Path | None,
    quiet: bool,
) -> TrainReport:
    """Train a network on examples, in place; it is left in training mode, and as it was at its best where there are
    some held out, or tasks, to tell it by.

    Args:
        taught: the model.
        data: what is learned from, and looked at.
        config: how to train.
        tasks: what the model is put to meanwhile.
        out: the folder for a run; without it nothing is written.
        quiet: show no progress.
    """
    run, network = None, taught.network
    model = network, taught.tokenizer, taught.prompt_format
    evaluator = Evaluator.of(data.splits.val, tasks, config.training, *model)
    training = evaluator.applied_to(config.training)
    display = None if quiet else TrainingDisplay("fit" if out is None else str(out))
    if display is not None:
        for line in [*_notes(data), *evaluator.lines(training)]:
            display.note(line)
        if picture := shown_strategy(taught.network, training):
            display.note(picture)
    if out is not None:
        run, data = begin_fit_run(out, taught, data, config)
    evaluator = replace(evaluator, val=data.splits.val, watched=data.watch)
    callbacks = fit_callbacks(run, config, taught, data, evaluator, display)
    with run.locked_and_new() if run is not None else nullcontext(), display or nullcontext():
        batches = data.batches(training, network.context_length)
        report = run_loop(
            fit_model_with_loss(network, batches, config, training, run, callbacks.on_note),
            batches,
            training,
            run=run,
            callbacks=callbacks,
            fingerprint=evaluator.fingerprint(data.splits),
        )
    if run is not None and report.end_reason != "interrupted":
        write_report(run.folder)
    return report


def begin_fit_run(folder: Path, taught: Taught, data: FitData, config: FitConfig) -> tuple[Run, FitData]:
    """A run with all that it needs to be gone on with, there at once or not at all; and its data.

    Raises:
        InputError: something is there already.
    """

    def fill(run: Run) -> None:
        write_fit_data(run, data, taught.tokenizer)
        taught.save(taught.network, run.base)

    run = Run.create(folder, config, resolved=_resolved(taught.network), fill=fill)
    return run, open_fit_data(run, config)


def check_fit_run(run: Run) -> None:
    """See that what the run holds of its beginning is whole.

    Raises:
        InputError: it is not.
    """
    found = damage_of_fit_data(run) or damage_of_model(run.base)
    if found is not None:
        raise InputError(found, fix="put the folder back, or call fit again")


def restore_base(run: Run, config: FitConfig, network: LanguageModel) -> None:
    """Give a network the weights that the run began with, what was kept of the folder they are from, and the adapters
    of its strategy."""
    base = load_model(run.base)
    network.load_state_dict(base.state_dict())
    network.foreign_config = base.foreign_config
    lora = parse_strategy(config.strategy).lora
    if lora is not None:
        add_lora(network, lora, config.training.seed)


def fit_callbacks(
    run: Run | None,
    config: FitConfig,
    taught: Taught,
    data: FitData,
    evaluator: Evaluator,
    display: TrainingDisplay | None,
) -> Callbacks:
    """What the loop asks for while it teaches."""
    per_epoch = data.steps_per_epoch(config.training, taught.network.context_length)
    callbacks = evaluator.added_to(Callbacks(steps_per_epoch=per_epoch, looks_first=True))
    if display is not None:
        callbacks = replace(
            callbacks,
            on_row=display.show,
            on_note=display.note,
            on_plan=lambda plan: display.note(describe_plan(plan)),
        )
    if run is None:
        return callbacks
    samples = FitSamples.of(data.splits, taught.tokenizer, config.sample_prompts, taught.network.context_length)
    return replace(
        callbacks,
        sample=samples.take,
        on_resolved=lambda resolved: run.write_config(
            config.model_copy(update={"training": resolved}), _resolved(taught.network)
        ),
        save_model=lambda network, folder: taught.save(
            as_language_model(network), folder, adapter=run.adapter, base=base_of(run, config, taught)
        ),
    )


def base_of(run: Run, config: FitConfig, taught: Taught) -> str:
    """What an adapter is said to be for: the folder that the model was read from, or the run's where it was changed."""
    return config.base if config.base is not None and taught.is_as_read else str(run.base.absolute())


def taught_of(run: Run, config: FitConfig, network: LanguageModel, tokenizer: Tokenizer) -> Taught:
    """What a run that goes on teaches; its network is ``restore_base``'s."""
    strategy = parse_strategy(config.strategy)
    is_changed = bool(config.context_length or config.add_tokens or config.fim or strategy.unties_head)
    return Taught(network, tokenizer, read_dialogue(run.base), read_prompt_format(run.base), not is_changed)


def shown_strategy(network: LanguageModel, training: TrainConfig) -> str:
    """What is trained when, as a picture; empty where everything is."""
    groups = network.layer_groups()
    if not training.parameter_plan or not groups:
        return ""
    return strategy_chart(training.parameter_plan, groups, steps=training.steps or FIT_STEPS)


def _notes(data: FitData) -> Sequence[str]:
    """What was given and is not learned, for people."""
    given = (("texts", data.splits.train), ("validation", data.splits.val))
    lines = [f"{name}: {line}" for name, tokens in given if isinstance(tokens, ExampleTokens) for line in tokens.notes]
    return [*lines, *data.notes]


def _resolved(network: LanguageModel) -> dict[str, Any]:
    return Resolved(model=network.config).model_dump(mode="json", exclude={"choice"})
