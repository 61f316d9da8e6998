"""A run from config to model folder: tokenizer, shards, model, the loop, the report; begun, gone on with, planned.

::

    paths --Document--> tokenizer, shards --Batch--> the loop --> model/ --> report.html
"""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from textwright.api.config import FitConfig, Resolved, RunConfig
from textwright.api.evaluator import Evaluator, read_tasks
from textwright.api.fit_data import open_fit_data
from textwright.api.fit_run import check_fit_run, fit_callbacks, restore_base, taught_of
from textwright.api.frozen_part import fit_model_with_loss
from textwright.api.run_callbacks import RunCallbacks
from textwright.api.run_result import RunResult, write_report
from textwright.checkpoint.model_folder import read_prompt_format
from textwright.core.config import changed, read_stored
from textwright.core.console import stderr_console
from textwright.core.device import choose_device
from textwright.core.errors import InputError
from textwright.core.files import scratch_folder
from textwright.core.kinds import checks_kinds
from textwright.core.progress import bar
from textwright.core.user_paths import folder_beside
from textwright.data.dataset import DataSplits, find_data_corruption, open_data
from textwright.data.manifest import read_manifest
from textwright.data.prepare import prepare_data
from textwright.evaluation.tracked_tasks import TaskExamples, TrackedTask
from textwright.models.catalog import build, build_uninitialised
from textwright.models.language_model import LanguageModel, as_language_model
from textwright.models.presets import preset
from textwright.runs.display import TrainingDisplay
from textwright.runs.run_folder import Run
from textwright.runs.verify import CheckResult, verify_run
from textwright.text.files import expand, expand_home, find_files, fingerprint, is_descriptor
from textwright.text.read import TextFiles
from textwright.tokens import Tokenizer, load_tokenizer, make_tokenizer
from textwright.tokens.make import parse_spec
from textwright.training.estimate_run import estimate_run
from textwright.training.from_config import add_loss, make_batches
from textwright.training.loop import train as run_loop
from textwright.training.losses.catalog import as_it_was_stored, read_objective
from textwright.training.plan import Plan
from textwright.training.signals import obey
from textwright.training.trainer import ResumeOptions


@checks_kinds
def train(config: RunConfig, out: Path | str, *, device: str = "auto", quiet: bool = False) -> RunResult:
    """Train a model on text, from files to model folder.

    Args:
        config: what to train on what.
        out: the run folder; it must not hold anything yet.
        device: ``auto``, ``cpu`` or ``cuda``.
        quiet: show no progress.

    Raises:
        InputError: text, tokenizer, model or training cannot be as the config has it; nothing is left behind then.
        TrainingStoppedError: the loss or the gradient was not finite for many steps in a row; the run stays.
        KeyboardInterrupt: Ctrl-C, once the step in hand was finished and saved; ``resume`` goes on from there.
    """
    result = train_until_signal(config, out, device=device, quiet=quiet)
    obey(result.report.signal_number)
    return result


def train_until_signal(config: RunConfig, out: Path | str, *, device: str = "auto", quiet: bool = False) -> RunResult:
    """As ``train``, but Ctrl-C and SIGTERM end it with a result: ``report.signal_number`` says so."""
    read, config, chosen = _check(config), config.from_anywhere(), choose_device(device)
    run = Run.create(expand_home(Path(out)), config)
    with run.locked_and_new():
        return _train(run, config, None, read, chosen, quiet)


@checks_kinds
def resume(
    folder: Path | str,
    *,
    steps: int | None = None,
    changes: Mapping[str, Any] | None = None,
    accepts_changed_data: bool = False,
    device: str = "auto",
    quiet: bool = False,
) -> RunResult:
    """Go on with a run from its newest whole checkpoint; one without any starts from its beginning.

    Args:
        folder: the run.
        steps: train up to this step instead of the one planned; the schedule is that of a run of so many steps.
        changes: fields of the training config to change, of those in ``training.config.RESUMABLE_CHANGES``. They are
            written into the run once everything was found in order.
        accepts_changed_data: go on although the text or the token shards changed since the run was begun. A run learns
            from its shards; text that changed after it was begun is not read again.
        device: as for ``train``.
        quiet: show no progress.

    Raises:
        InputError: there is no run, it is of another schema version, another process works on it, its data or config
            changed, or what is to change does not fit. The run is left as it was.
        KeyboardInterrupt: as for ``train``.
    """
    result = resume_until_signal(
        folder,
        steps=steps,
        changes=changes,
        accepts_changed_data=accepts_changed_data,
        device=device,
        quiet=quiet,
    )
    obey(result.report.signal_number)
    return result


def resume_until_signal(
    folder: Path | str,
    *,
    steps: int | None = None,
    changes: Mapping[str, Any] | None = None,
    accepts_changed_data: bool = False,
    device: str = "auto",
    quiet: bool = False,
) -> RunResult:
    """As ``resume``, but Ctrl-C and SIGTERM end it with a result: ``report.signal_number`` says so."""
    run, chosen = Run.open(Path(folder)), choose_device(device)
    read_run(run)  # before the lock, which leaves a file
    with run.locked():
        config, resolved = read_run(run)
        training = config.training.with_changes(dict(changes or {}) | ({} if steps is None else {"steps": steps}))
        objective = as_it_was_stored(training.objective)
        config = config.model_copy(update={"training": changed(training, {"objective": objective}, str(run.config))})
        read, notes = read_tasks(config, config.training), _check_data(run, config, accepts_changed_data)
        run.sweep()
        return _train(run, config, resolved, read, chosen, quiet, resume=ResumeOptions(accepts_changed_data, notes))


def read_run(run: Run) -> tuple[RunConfig | FitConfig, Resolved | None]:
    """A run's config with the values that were stored, whatever the defaults are today; and what followed from it.

    Raises:
        InputError: it does not read, is of another schema version, or the choice of its model was changed since.
    """
    values, followed = run.read_config()
    where = str(run.config)
    resolved = None if followed is None else read_stored(Resolved, followed, where)
    if "begun_by" in values:
        return read_stored(FitConfig, values, where), resolved
    config = read_stored(RunConfig, values, where)
    if resolved is not None:
        before, now = resolved.choice.model_dump(), config.model.model_dump()
        different = [f"model.{name} {before[name]} -> {now[name]}" for name in now if before[name] != now[name]]
        if different:
            raise InputError(
                f"the config was changed since the run was begun: {'; '.join(different)}",
                fix="change it back, or start a new run",
            )
    return config, resolved


@checks_kinds
def verify(folder: Path | str) -> list[CheckResult]:
    """Check a run: its config, journal and samples, every checkpoint and best model, the token shards, the models it
    began and ended with.

    Reads every byte of them. A part that the run has not come to yet is left out.

    Raises:
        InputError: there is no run.
    """
    return verify_run(Run.open(Path(folder)), read_run)


@checks_kinds
def plan(config: RunConfig, *, out: Path | str = ".", device: str = "auto", quiet: bool = False) -> Plan:
    """Foresee a run: the text is prepared in a folder that is deleted afterwards, and some steps are tried.

    Args:
        config: as for ``train``.
        out: where the run would be: what is written meanwhile lies beside it, on the same disk.
        device: as for ``train``.
        quiet: show no progress.

    Raises:
        InputError: text, tokenizer, model or training cannot be as the config has it.
    """
    read = _check(config)
    with scratch_folder(folder_beside(expand_home(Path(out))), "plan") as folder:
        run = Run.create(folder / "run", config)
        tokenizer, data, model, evaluator = _begin(run, config, None, read, choose_device(device), quiet)
        if not quiet:
            stderr_console().print("\n".join([describe(model, tokenizer, data), *evaluator.lines(config.training)]))
        callbacks = RunCallbacks(run, config, model.config, tokenizer, data, evaluator, None).as_callbacks()
        training = evaluator.applied_to(config.training)
        batches = make_batches(data.train, training, model.context_length)
        return estimate_run(add_loss(model, training), batches, training, callbacks, scratch=run.folder)


def _check_data(run: Run, config: RunConfig | FitConfig, accepts_changes: bool) -> tuple[str, ...]:
    """See that a run's shards are whole and its text is what it was. Returns what changed and was accepted."""
    if isinstance(config, FitConfig):
        check_fit_run(run)
        return ()
    if not run.data.is_dir():
        return ()  # killed before there was any; the text is read as it is now
    found = find_data_corruption(run.data)
    if found is not None:
        raise InputError(found, fix="put the run's data folder back, or start a new run")
    manifest = read_manifest(run.data)
    paths = [*config.data, *config.val_data]
    are_there = all(path.exists() and not is_descriptor(path) for path in map(expand, paths))
    # Runs of before counted text twice that was trained and validated on.
    same = (fingerprint(config.data, config.val_data), fingerprint(paths)) if are_there else ()
    if not are_there or manifest.sources_sha256 in same:
        return ()
    said = "the text changed since the run was begun; it goes on with the text as it was"
    if not accepts_changes:
        raise InputError(
            f"the text in {', '.join(map(str, paths[:3]))} changed since the run was begun",
            fix="start a new run to learn from it, or go on with the text as it was: --accept-changed-data",
        )
    return (said,)


def _check(config: RunConfig) -> list[TaskExamples]:
    """See what can be seen of a config before any work is done. Returns the examples of its tasks."""
    read_objective(config.training.objective)
    parse_spec(config.tokenizer)
    preset(config.model.preset, vocab_size=257, **_choices(config))
    find_files(config.data, but=config.val_data)
    return read_tasks(config, config.training)


def _train(
    run: Run,
    config: RunConfig | FitConfig,
    resolved: Resolved | None,
    read: list[TaskExamples],
    device: torch.device,
    quiet: bool,
    resume: ResumeOptions | None = None,
) -> RunResult:
    tokenizer, data, model, evaluator = _begin(run, config, resolved, read, device, quiet)
    training = evaluator.applied_to(config.training)
    with ExitStack() as stack:
        display = None if quiet else stack.enter_context(TrainingDisplay(str(run.folder)))
        if display is not None:
            display.screen.print("\n".join([describe(model, tokenizer, data), *evaluator.lines(training)]))
        if isinstance(config, FitConfig):
            read_again = open_fit_data(run, config)
            evaluator = replace(evaluator, watched=read_again.watch)
            taught = taught_of(run, config, model, tokenizer)
            callbacks = fit_callbacks(run, config, taught, read_again, evaluator, display)
            batches = read_again.batches(training, model.context_length)
            model_with_loss = fit_model_with_loss(model, batches, config, training, run, callbacks.on_note)
        else:
            callbacks = RunCallbacks(run, config, model.config, tokenizer, data, evaluator, display).as_callbacks()
            batches = make_batches(data.train, training, model.context_length)
            model_with_loss = add_loss(model, training)
        report = run_loop(
            model_with_loss,
            batches,
            training,
            run=run,
            callbacks=callbacks,
            resume=resume,
            fingerprint=evaluator.fingerprint(data),
        )
    result = RunResult(run.folder, run.model, report, data, tokenizer)
    if report.end_reason != "interrupted":
        write_report(run.folder)
    return result


def _begin(
    run: Run,
    config: RunConfig | FitConfig,
    resolved: Resolved | None,
    read: list[TaskExamples],
    device: torch.device,
    quiet: bool,
) -> tuple[Tokenizer, DataSplits, LanguageModel, Evaluator]:
    """Tokenizer, text and the model as it starts: of the shape that was resolved, where it was. What evaluates it."""
    tokenizer, data = _prepare(run, config, read, quiet)
    if resolved is not None:
        shape = resolved.model
    else:
        assert isinstance(config, RunConfig), "a run of fit is resolved from its beginning"
        shape = preset(config.model.preset, vocab_size=tokenizer.vocab_size, **_choices(config))
    if tokenizer.vocab_size > shape.vocab_size:
        raise InputError(
            f"a tokenizer of {tokenizer.vocab_size:,} tokens",
            where=str(run.data),
            expected=f"at most {shape.vocab_size:,}, the model's",
            fix="put the run's data folder back, or start a new run",
        )
    model, known = as_language_model(build(shape, seed=config.training.seed)), None
    if isinstance(config, FitConfig):
        restore_base(run, config, model)
        known = read_prompt_format(run.base)
    model = model.to(device)
    evaluator = Evaluator.of(data.val, read, config.training, model, tokenizer, known)
    return tokenizer, data, model, evaluator


def _choices(config: RunConfig) -> dict[str, Any]:
    return config.model.model_dump(exclude={"preset"})


def _prepare(
    run: Run, config: RunConfig | FitConfig, read: list[TaskExamples], quiet: bool
) -> tuple[Tokenizer, DataSplits]:
    """The tokenizer and the shards: those of the run where they are there already."""
    if isinstance(config, FitConfig) or run.data.is_dir():
        return load_tokenizer(run.data), open_data(run.data)
    if not quiet:
        stderr_console().print(f"tokenizer: {config.tokenizer}")
    with ExitStack() as stack:
        text = stack.enter_context(TextFiles(config.data, but=config.val_data, scratch=run.folder, **config.reading))
        val = TextFiles(config.val_data, **config.reading) if config.val_data else None
        tokenizer = make_tokenizer(config.tokenizer, text.texts, seed=config.training.seed)
        _check_fit(read, config, tokenizer)
        total = sum(file.stat().st_size for file in find_files(config.data, but=config.val_data))
        progress = None if quiet else stack.enter_context(bar("preparing data", total, unit="bytes"))
        data = prepare_data(text, tokenizer, run.data, val_documents=val, progress=progress)
    if not quiet:
        for files in filter(None, (text, val)):
            stderr_console().print(files.summary)
    return tokenizer, data


def _check_fit(read: list[TaskExamples], config: RunConfig, tokenizer: Tokenizer) -> None:
    """See that the model will see some examples of each task whole, before the text is made into tokens.

    Raises:
        InputError: see ``TrackedTask``.
    """
    if read:
        shape = preset(config.model.preset, vocab_size=tokenizer.vocab_size, **_choices(config))
        model = as_language_model(build_uninitialised(shape))
        for one in read:
            TrackedTask(one, model, tokenizer)


def describe(model: LanguageModel, tokenizer: Tokenizer, data: DataSplits) -> str:
    """The first lines of a run: what is trained on what."""
    parameters = sum(parameter.numel() for parameter in model.parameters())
    train, val = data.train, data.val
    split = data.manifest.split if data.manifest else "none"
    return (
        f"model: {model.config.family}, {parameters:,} parameters, context {model.context_length:,}\n"
        f"text: {train.num_documents:,} documents, {train.num_bytes:,} bytes, {train.num_tokens:,} tokens "
        f"({train.num_bytes / max(1, train.num_tokens):.2f} bytes a token, {tokenizer.kind} {tokenizer.vocab_size:,})\n"
        f"validation: {val.num_tokens if val else 0:,} tokens ({split})"
    )
