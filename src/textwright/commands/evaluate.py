"""``textwright evaluate``: measure a model on a text, a task or a suite, or several models on a text."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from pydantic import Field

from textwright.api.config import ReadingOptions, WindowOptions
from textwright.api.model_source import ModelSource
from textwright.core.config import Config
from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError, unknown_name
from textwright.core.progress import bar
from textwright.core.result import Result
from textwright.core.words import counted
from textwright.engines.config import EngineConfig
from textwright.evaluation.catalog import SUITES, find_suite
from textwright.evaluation.catalog import TASKS as LAST_WORDS
from textwright.evaluation.evaluation_folder import PREDICTIONS
from textwright.evaluation.figures_table import show_figures, show_positions
from textwright.evaluation.suite.files import SuiteFiles
from textwright.generation.request import SamplingConfig
from textwright.tasks.catalog import TASKS
from textwright.text.files import find_files
from textwright.text.read import TextFiles, whole_texts
from textwright.text.readers import is_plain

if TYPE_CHECKING:
    from textwright.api.model import Model
    from textwright.api.task_evaluation import TaskReport
    from textwright.evaluation.suite.base import SuiteReport
    from textwright.evaluation.text_comparison import Pair, Row

BY_POSITION = "loss_by_position"


@dataclass(frozen=True)
class Evaluated(Result):
    """The figures by name; a task's under ``metrics``."""

    figures: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        return self.figures

    def show(self) -> None:
        out = stdout_console()
        for name, value in self.figures.get("metrics", self.figures).items():
            if name != BY_POSITION:
                out.print(f"{name:34} {value:,.4f}" if isinstance(value, float) else f"{name:34} {value:,}")
        show_positions(self.figures.get(BY_POSITION, ()))


@dataclass(frozen=True)
class EvaluatedTogether(Result):
    """Several models on one text."""

    figures: dict[str, dict[str, Any]]
    """Of each model, as of one alone."""
    rows: "dict[str, Row]"
    """Of each model, and of the n-gram."""
    compressors: dict[str, float]
    pairs: "list[Pair]"
    unit: str
    num_units: int

    def as_json(self) -> dict[str, Any]:
        rows = {name: vars(row) for name, row in self.rows.items()}
        return {
            "models": {name: figures | rows[name] for name, figures in self.figures.items()},
            "baselines": {name: row for name, row in rows.items() if name not in self.figures}
            | {name: {"bits_per_byte": bits} for name, bits in self.compressors.items()},
            "pairs": [pair.as_json() for pair in self.pairs],
            "unit": self.unit,
            "num_units": self.num_units,
        }

    def show(self) -> None:
        from textwright.evaluation.text_comparison_table import show_comparison

        show_comparison(self.rows, self.compressors, self.pairs, self.unit, self.num_units)


@dataclass(frozen=True)
class EvaluatedTask(Result):
    """How well a model does a task."""

    report: "TaskReport"
    model: str

    def as_json(self) -> dict[str, Any]:
        return self.report.as_json()

    def show(self) -> None:
        report, notes = self.report, stderr_console()
        show_figures(report.figures)
        skipped = f", {report.num_skipped:,} left out: longer than the context" if report.num_skipped else ""
        judged = f"{counted(report.num_examples, 'example')} judged{skipped}"
        notes.print(f"{judged}; {counted(report.num_predictions, 'prediction')} in {report.folder / PREDICTIONS}")
        notes.print(f"report   {report.page}   (open it in a browser)")


@dataclass(frozen=True)
class EvaluatedSuite(Result):
    """A suite's figures, each by several protocols."""

    report: "SuiteReport"

    def as_json(self) -> dict[str, Any]:
        return self.report.as_json()

    def show(self) -> None:
        from textwright.evaluation.suite.table import show_suite

        show_suite(self.report)


class TaskOptions(Config):
    """How a task is done."""

    out: Path | None = None
    """A folder for predictions; one that was killed goes on there. evaluations/MODEL-TASK when not given."""
    metrics: str | None = None
    """Names with commas between, instead of the task's own."""
    limit: int | None = Field(default=None, ge=1)
    """Judge so many examples, the first ones."""
    skip_long: Annotated[bool, Parameter(negative="")] = False
    """Leave examples out that are longer than the context; otherwise they are an error."""
    trust_code: Annotated[bool, Parameter(negative="")] = False
    """Run the programs that a model writes where nothing can hold them in."""


class AnswerSampling(SamplingConfig):
    """How answers are written, where it is not as the task says."""

    max_new_tokens: Annotated[int, Parameter(show_default="the task's")] = Field(default=100, ge=1)
    """Most tokens to write for each answer."""
    temperature: float = Field(default=0.0, ge=0, le=100)
    """0 always takes the likeliest token; 1 draws from the model's own distribution; higher is wilder."""


def evaluate(
    models: Annotated[tuple[str, ...], Parameter(show_default=False)] = (),
    /,
    *,
    text: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    task: str | None = None,
    suite: str | None = None,
    files: Annotated[SuiteFiles | None, Parameter(name="*")] = None,
    data: Annotated[tuple[Path, ...] | None, Parameter(consume_multiple=True, negative="")] = None,
    reading: Annotated[ReadingOptions | None, Parameter(name="*")] = None,
    windows: Annotated[WindowOptions | None, Parameter(name="*")] = None,
    options: Annotated[TaskOptions | None, Parameter(name="*")] = None,
    sampling: Annotated[AnswerSampling | None, Parameter(name="*")] = None,
    engine: Annotated[EngineConfig | None, Parameter(name="*")] = None,
    adapter: Path | None = None,
    device: str = "auto",
) -> Result:
    """Measure a model: how well it predicts a text, or does a task or a suite. Several models predict the same text.

    Parameters
    ----------
    models
        A model folder, or a Hugging Face name (with the hub extra). Several are compared on a text, with xz and a
        5-gram beside them.
    text
        Files and folders of text to predict.
    task
        A task instead: a name of `textwright task list`, a TOML file that describes one, or lambada (last words).
    suite
        Figures that papers and programs quote, by the protocols of each, side by side: gpt2.
    files
        The suite's data.
    data
        The task's data: files and folders.
    reading
        How files are read.
    windows
        How much of a text is seen at once.
    options
        How a task is done.
    sampling
        How answers are written, where it is not as the task says: the likeliest token each time.
    engine
        What computes, and how exactly.
    """
    source = _checked_source(models, task, suite, adapter, device)
    windows = windows or WindowOptions()
    _check_window(windows, is_alone=len(models) == 1 and task is None and suite is None)
    if suite is not None:
        _check_goes_with_suite(options, sampling, engine, text=text, task=task, data=data, reading=reading)
        return _evaluate_suite(source, suite, files or SuiteFiles(), windows)
    _check_has_no_suite_files(files)
    paths = _checked_paths(text, task, data, has_window=bool(windows.window or windows.stride))
    if task is not None and task not in LAST_WORDS:
        return _evaluate_task(source, task, paths, options or TaskOptions(), sampling, engine)
    _check_has_no_task_options(options, sampling, engine)
    if len(models) > 1:
        return _evaluate_together(models, paths, reading, windows, device)
    return _evaluate_alone(source, paths, task, reading, windows)


def _evaluate_alone(
    source: ModelSource,
    paths: tuple[Path, ...],
    task: str | None,
    reading: ReadingOptions | None,
    windows: WindowOptions,
) -> Evaluated:
    """A model on a text, or on last words."""
    files = find_files(paths)
    with stderr_console().announced(f"loading {source.model} ..."):
        from textwright.evaluation.catalog import find_task as find_measure

        measure = find_measure(task) if task is not None else None
        loaded = source.load()
    with bar("evaluating", sum(file.stat().st_size for file in files), unit="bytes") as progress:
        # Bytes of a plain text are counted as they are measured; of tables and packed files, as they lie on the disk.
        are_plain = measure is None and all(map(is_plain, files))
        read = TextFiles(paths, **(reading or ReadingOptions()).reading)
        texts = whole_texts(read.chunks(progress=None if are_plain else progress))
        if measure is not None:
            measured = measure(loaded.network, loaded.tokenizer, texts)
            figures: dict[str, Any] = {"task": task, "metrics": measured.as_json()}
        else:
            read_bytes = progress if are_plain else None
            kept = list(texts) if windows.by_position else texts
            figures = loaded.evaluate(kept, **windows.given, progress=read_bytes).as_json()
            if windows.by_position:
                figures |= _by_position(loaded, kept, windows.window)
    stderr_console().print(read.summary)
    return Evaluated(figures)


def _by_position(model: "Model", texts: Iterable[str], window: int | None) -> dict[str, Any]:
    """The losses at places of windows side by side."""
    from textwright.evaluation.loss_by_position import loss_by_position

    return {BY_POSITION: loss_by_position(model.network, model.tokenizer, texts, window=window).as_json()}


def _evaluate_task(
    source: ModelSource,
    task: str,
    paths: tuple[Path, ...],
    options: TaskOptions,
    sampling: AnswerSampling | None,
    engine: EngineConfig | None,
) -> EvaluatedTask:
    """A task of the table, or of a file."""
    from textwright.api.task_request import read_task_request

    if task not in TASKS and not task.endswith(".toml"):
        raise unknown_name("task", task, [*TASKS, *LAST_WORDS])
    out = options.out or Path("evaluations") / f"{_name_of(source)}-{Path(task).stem}"
    names = [name.strip() for name in options.metrics.split(",")] if options.metrics is not None else None
    request = read_task_request(
        task,
        list(paths),
        out=out,
        metrics=names,
        limit=options.limit,
        skip_long=options.skip_long,
        trust_code=options.trust_code,
        engine=engine,
        **(sampling.model_dump(include=sampling.model_fields_set) if sampling is not None else {}),
    )
    with stderr_console().announced(f"loading {source.model} ..."):
        from textwright.api.task_evaluation import evaluate_request

        loaded = source.load()
    return EvaluatedTask(evaluate_request(loaded, request), source.model)


def _name_of(source: ModelSource) -> str:
    """A model's folder, with the run's that it is in, and its adapter's."""
    path = Path(source.model).absolute()
    name = path.parent.name if path.name == "model" else path.name
    return name if source.adapter is None else f"{name}-{source.adapter.absolute().name}"


def _check_has_no_task_options(*configs: Config | None) -> None:
    """What is said of a task has no meaning for a text."""
    given = [name for config in configs if config is not None for name in sorted(config.model_fields_set)]
    if given:
        raise InputError(f"--{given[0].replace('_', '-')} without a task that writes", expected="it with --task only")


def _evaluate_together(
    models: tuple[str, ...],
    paths: tuple[Path, ...],
    reading: ReadingOptions | None,
    windows: WindowOptions,
    device: str,
) -> EvaluatedTogether:
    """Each model on the same text, one after the other."""
    read = TextFiles(paths, **(reading or ReadingOptions()).reading)
    texts = list(whole_texts(read.chunks()))
    num_bytes = sum(len(text.encode()) for text in texts)
    with stderr_console().announced("loading torch ..."):
        from textwright.api import load
        from textwright.evaluation.compression import XZ, compressed_bits_per_byte
        from textwright.evaluation.language_modelling import score_text
        from textwright.evaluation.text_comparison import TextComparison
    comparison, figures = TextComparison(texts), dict[str, dict[str, Any]]()
    for model in models:
        loaded = load(model, device=device)
        observe = comparison.observer(model, loaded.tokenizer)
        with bar(f"evaluating {model}", num_bytes, unit="bytes") as progress:
            options: dict[str, Any] = {**windows.given, "progress": progress, "observe": observe}
            figures[model] = score_text(loaded.network, loaded.tokenizer, texts, **options).as_json()
    comparison.add_n_gram()
    stderr_console().print(read.summary)
    xz = {XZ: compressed_bits_per_byte(texts)[XZ]}
    return EvaluatedTogether(figures, comparison.rows(), xz, comparison.pairs(), comparison.unit, comparison.num_units)


def _evaluate_suite(source: ModelSource, suite: str, files: SuiteFiles, windows: WindowOptions) -> EvaluatedSuite:
    """A suite of the table."""
    if suite not in SUITES:
        raise unknown_name("suite", suite, SUITES)
    files.check()
    with stderr_console().announced(f"loading {source.model} ..."):
        read = find_suite(suite)(files)
        loaded = source.load()
    return EvaluatedSuite(read.measure(loaded.network, loaded.tokenizer, **windows.given))


def _check_has_no_suite_files(files: SuiteFiles | None) -> None:
    """They have no meaning elsewhere."""
    if files is not None and files.model_fields_set:
        raise InputError(f"--{min(files.model_fields_set)} without --suite", fix="add --suite gpt2")


def _check_goes_with_suite(*configs: Config | None, **others: Any) -> None:
    """A suite has its own files, which are read in its own way."""
    _check_has_no_task_options(*configs)
    name = next((name for name, value in others.items() if value is not None), None)
    if name is not None:
        given = (
            f"--{name}" if name != "reading" else f"--{min(others['reading'].model_fields_set, default='text-field')}"
        )
        raise InputError(f"{given.replace('_', '-')} with --suite", expected="files after --lambada and such")


def _checked_source(
    models: tuple[str, ...], task: str | None, suite: str | None, adapter: Path | None, device: str
) -> ModelSource:
    """The first model; several only where they can be."""
    if not models:
        raise InputError("no model", expected="a model folder, or several")
    if len(models) > 1 and adapter is not None:
        raise InputError(f"--adapter with {len(models)} models", expected="one")
    if len(models) > 1 and (task is not None or suite is not None):
        fix = "compare what each of them wrote with compare-scores" if suite is None else ""
        given = f"{len(models)} models with --{'task' if suite is None else 'suite'}"
        raise InputError(given, expected="one", fix=fix)
    twice = next((model for place, model in enumerate(models) if model in models[:place]), None)
    if twice is not None:
        raise InputError(f"the model {twice} is given twice", expected="different ones")
    return ModelSource(models[0], adapter, device)


def _check_window(windows: WindowOptions, *, is_alone: bool) -> None:
    """As far as it can be seen without the model, whose context is the largest window."""
    if windows.by_position and not is_alone:
        raise InputError("--by-position", expected="it with --text and one model only")
    window, stride = windows.window, windows.stride
    if window is not None and window < 1:
        raise InputError(f"--window {window}", expected="at least 1")
    if stride is not None and (stride < 1 or (window is not None and stride > window)):
        raise InputError(f"--stride {stride}", expected=f"1 to {window}, the window" if window else "at least 1")


def _checked_paths(
    text: tuple[Path, ...] | None, task: str | None, data: tuple[Path, ...] | None, *, has_window: bool
) -> tuple[Path, ...]:
    """What is read: a text, or a task's examples."""
    if (text is None) == (task is None):
        raise InputError("neither --text nor --task" if text is None else "--text and --task", expected="one of them")
    if task is not None and has_window:
        raise InputError("--window or --stride with --task", expected="them with --text only")
    if task is None and data is not None:
        raise InputError("--data without --task", fix="name the text with --text, or give a task")
    paths = text if text is not None else data
    if not paths:
        raise InputError(f"--task {task} without --data", expected="files of its examples")
    return paths
