"""A fine-tuning from a model's folder and files to the run that it leaves."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from textwright.api.config import FineTuneOptions
from textwright.api.data_check import DataCheck, check_examples
from textwright.api.fit_data import reading_of, shaper_of
from textwright.api.fit_plan import plan_teaching
from textwright.api.fit_run import made_ready, read_fit_tasks, shown_strategy, teach
from textwright.api.frozen_part import kept_width
from textwright.api.hub import check_is_no_typo, download
from textwright.api.model import load
from textwright.api.run_result import RunResult
from textwright.api.taught import Taught, tokens_for
from textwright.checkpoint.model_folder import read_dialogue, read_model_config, read_prompt_format
from textwright.core.console import stderr_console
from textwright.core.kinds import checks_kinds
from textwright.data.dataset import open_data
from textwright.runs.run_folder import Run
from textwright.text.files import expand
from textwright.tokens import load_tokenizer
from textwright.training.frozen_states import stored_bytes
from textwright.training.plan import Plan
from textwright.training.signals import obey
from textwright.training.strategies import parse_strategy


@checks_kinds
def finetune(
    model: Path | str,
    options: FineTuneOptions,
    out: Path | str,
    *,
    adapter: Path | str | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> RunResult:
    """Teach a trained model what files hold, and keep the run.

    Args:
        model: its folder, or its name on Hugging Face's hub.
        options: what is learned, and how.
        out: the run folder; it must not hold anything yet.
        adapter: a folder in PEFT's format, which is folded into the model first.
        device: ``auto``, ``cpu`` or ``cuda``.
        quiet: show no progress.

    Raises:
        InputError: the model, the files or the options cannot be as they were given; nothing is left behind then.
        TrainingStoppedError: the loss or the gradient was not finite for many steps in a row; the run stays.
        KeyboardInterrupt: Ctrl-C, once the step in hand was finished and saved; ``resume`` goes on from there.
    """
    result = fine_tune_until_signal(model, options, Path(out), adapter=adapter, device=device, quiet=quiet)
    obey(result.report.signal_number)
    return result


def fine_tune_until_signal(
    model: Path | str,
    options: FineTuneOptions,
    out: Path,
    *,
    adapter: Path | str | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> RunResult:
    """As ``finetune``, but Ctrl-C and SIGTERM end it with a result: ``report.signal_number`` says so."""
    folder = expand(out)
    Run.check_is_free(folder)
    taught, texts, validation, how = _loaded(model, adapter, options, device)
    report = teach(taught, texts, validation, options, out=folder, quiet=quiet, **how)
    run = Run(folder)
    return RunResult(run.folder, run.model, report, open_data(run.data), load_tokenizer(run.data))


@checks_kinds
def plan_finetune(
    model: Path | str,
    options: FineTuneOptions,
    *,
    out: Path | str = ".",
    adapter: Path | str | None = None,
    device: str = "auto",
    quiet: bool = False,
) -> Plan:
    """Foresee a fine-tuning: it is begun in a folder that is deleted afterwards, and some steps are tried.

    Args:
        model: its folder, or its name on Hugging Face's hub.
        options: as for ``finetune``.
        out: where the run would be: what is written meanwhile lies beside it, on the same disk.
        adapter: as for ``finetune``.
        device: likewise.
        quiet: show no picture of what is trained when.

    Raises:
        InputError: the model, the files or the options cannot be as they were given.
    """
    taught, texts, validation, how = _loaded(model, adapter, options, device)
    folder = expand(Path(out))
    taught, data, config, tasks = made_ready(taught, texts, validation, options, out=folder, **how)
    if not quiet and (picture := shown_strategy(taught.network, config.training)):
        stderr_console().print(picture)
    return plan_teaching(taught, data, config, tasks, out=folder)


def _loaded(
    model: Path | str, adapter: Path | str | None, options: FineTuneOptions, device: str
) -> tuple[Taught, list[Path], list[Path] | None, dict[str, Any]]:
    """A model, what it is to learn, what is validated on, and how ``made_ready`` is to go about it."""
    parse_strategy(options.strategy)  # what is wrong with it, or with tasks, shows before a model is loaded
    read_fit_tasks(options)
    loaded = load(model, adapter=adapter, device=device)
    taught = Taught(loaded.network, loaded.tokenizer, loaded.dialogue, loaded.prompt_format)
    base = str(Path(model).absolute()) if Path(model).is_dir() else str(model)
    # With an adapter it begins with what is in no other folder than the run's.
    how = {"base": base if adapter is None else None, "on_prepared": lambda _prepared: None}
    return taught, [expand(path) for path in options.data], [expand(path) for path in options.val_data] or None, how


def check_data(model: Path | str, options: FineTuneOptions) -> DataCheck:
    """Look at what a fine-tuning would learn, before anything is trained; the model's weights are not read.

    Args:
        model: its folder, or its name on Hugging Face's hub.
        options: of the fine-tuning.

    Raises:
        InputError: what it would refuse for another reason than the examples' lengths.
    """
    folder = Path(model)
    if not folder.exists():
        check_is_no_typo(folder)
        folder = download(str(model))
    shape = read_model_config(folder)
    width = kept_width(options, shape)
    context_length = options.context_length or shape.context_length
    most = min(context_length, options.training.sequence_length or context_length)
    tokenizer, known = tokens_for(options, load_tokenizer(folder), read_prompt_format(folder))
    found = check_examples(
        [expand(path) for path in options.data],
        tokenizer,
        context_length=most,
        options=reading_of(options, read_dialogue(folder)),
        validation=[expand(path) for path in options.val_data] or None,
        too_long=options.too_long,
        batch_size=options.training.batch_size,
        seed=options.training.seed,
        transform=shaper_of(options, tokenizer, known, most).apply,
    )
    if width is None or found.epoch is None:
        return found
    return replace(found, frozen_bytes=stored_bytes(found.epoch.num_rows, (found.epoch.row_length, width)))
