"""What a run is made of, as one config: the file, the command line and the Python argument. Torch-free."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from cyclopts import Parameter
from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, field_validator, model_validator

from textwright.core.config import (
    AS_BEFORE,
    RESOLVED,
    SCHEMA_KEY,
    Config,
    check_schema_version,
    read_config,
    read_stored,
    read_toml_values,
)
from textwright.core.console import command_line
from textwright.core.errors import InputError, unknown_name
from textwright.core.renamed import new_key
from textwright.models.catalog import find_family
from textwright.models.config import ModelConfig
from textwright.text.files import expand, is_descriptor
from textwright.training.config import FineTuneConfig, TrainConfig

C = TypeVar("C", bound=Config)
Paths = Annotated[tuple[Path, ...], Parameter(consume_multiple=True, negative="", show_default=False)]
Texts = Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="", show_default=False)]
"""As options: several values after one name."""


class ModelOptions(Config):
    """Which model to train."""

    preset: str = "tiny"
    """A preset's name, such as nano, tiny, small, gpt2 or qwen3-tiny."""
    context_length: int | None = Field(default=None, ge=2)
    """Tokens the model sees at once; the preset's own when not given."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Dropout on embeddings, attention and residual, 0 to 1; the preset's own when not given."""
    position_encoding: Literal["learned", "sinusoidal", "rotary", "none"] | None = None
    """How the model knows positions; the preset's own when not given."""
    embedding_std: float | None = Field(default=None, gt=0)
    """Standard deviation of the initial embeddings; the preset's when not given."""


class ReadingOptions(Config):
    """How files of text are read."""

    text_field: str = "text"
    """The field, column or key that holds the text in jsonl, json, csv and parquet; data.text is one in another."""
    invalid_utf8: Literal["error", "replace"] = "error"
    """error: refuse a file with bytes that are not UTF-8. replace: put U+FFFD for them."""
    quoting: Literal["auto", "csv", "none"] = Field(default="auto", json_schema_extra={AS_BEFORE: "csv"})
    """Whether quotation marks enclose fields of a table. auto: in csv, not in tsv. csv: in both. none: in neither."""
    null_text: Literal["error", "skip"] = "error"
    """error: refuse a row whose text is null. skip: pass such rows over, and say how many there were."""

    @property
    def reading(self) -> dict[str, Any]:
        """Arguments of ``text.read.TextFiles``."""
        return {name: getattr(self, name) for name in ReadingOptions.model_fields}


class WindowOptions(Config):
    """How much of a text is seen at once."""

    window: int | None = None
    """Tokens the model sees at most; its context length by default."""
    stride: int | None = None
    """Tokens newly predicted in each window; half the window by default."""
    by_position: Annotated[bool, Parameter(negative="")] = False
    """Tell the loss by place in the window, too: windows side by side from each text's start, whatever the stride."""

    @property
    def given(self) -> dict[str, int | None]:
        """Arguments of whatever reads in windows."""
        return {"window": self.window, "stride": self.stride}


class DataPaths(Config):
    """Where text is."""

    data: Paths = ()
    """Files and folders of text: txt, md, py, ..., jsonl, json, csv, tsv, parquet, ipynb, each also .gz or .zst.
    Of rows that are pairs or chats, known by their fields' names, the answers are learned."""
    val_data: Paths = ()
    """Files and folders to validate on. Without it: a tenth of the documents, or of a few the last tenth of each."""


def _as_entries(given: Any) -> Any:
    """Tasks as NAME=FILE each; in Python and TOML they may be a table of names with a file or several."""
    if not isinstance(given, Mapping):
        if not isinstance(given, list | tuple):
            raise ValueError("names, each with the path of its data, or a list of paths")
        return given
    found = list[str]()
    for name, paths in given.items():
        files = paths if isinstance(paths, list | tuple) else [paths]
        if not files or not all(isinstance(path, str | Path) for path in files):
            raise ValueError(f"a path, or a list of paths, for {name}")
        found += (f"{name}={path}" for path in files)
    return tuple(found)


def _check_entry(entry: str) -> str:
    name, _, file = entry.partition("=")
    if not name or not file or any("\ud800" <= character <= "\udfff" for character in entry):
        raise ValueError("NAME=FILE, such as classification=reviews.tsv")
    return entry


TaskEntries = Annotated[
    tuple[Annotated[str, AfterValidator(_check_entry)], ...],
    BeforeValidator(_as_entries),
    Parameter(consume_multiple=True, negative="", show_default=False),
]


class TaskFiles(Config):
    """Tasks that a model is put to while it trains."""

    tasks: TaskEntries = ()
    """What the model is put to at every evaluation, each as NAME=FILE: a task, or the TOML file of one, and its data.
    Each of several files of data comes with the name."""

    @property
    def task_files(self) -> dict[str, tuple[Path, ...]]:
        """The files of each task."""
        found: dict[str, tuple[Path, ...]] = {}
        for entry in self.tasks:
            name, _, file = entry.partition("=")
            found[name] = (*found.get(name, ()), Path(file))
        return found

    def from_anywhere(self) -> Self:
        """The same with whole paths, so that a run goes on in whatever folder it is called."""
        found = list[str]()
        for name, paths in self.task_files.items():
            whole = str(expand(Path(name)).absolute()) if name.endswith(".toml") else name
            found += (f"{whole}={expand(path).absolute()}" for path in paths)
        return self.model_copy(update={"tasks": tuple(found)})


class RunConfig(ReadingOptions, DataPaths, TaskFiles):
    """A training run: its text, its tokenizer, its model and how it trains."""

    tokenizer: str = "bpe:8192"
    """byte, char, bpe:N (trained on the data, at most N tokens), or a folder that holds a tokenizer."""
    sample_prompts: Texts = ()
    """What the samples during training continue; without it the start of a document."""
    model: ModelOptions = ModelOptions()
    """The model."""
    training: Annotated[TrainConfig, Parameter(name="*")] = TrainConfig()
    """The training."""


class Resolved(Config):
    """What followed from a run's config. A run that goes on takes it: a later release might find something else."""

    choice: ModelOptions = ModelOptions()
    """The choice that the model followed from; a run of fit was given its model."""
    model: SerializeAsAny[ModelConfig]
    """The model's shape."""

    @field_validator("model", mode="before")
    @classmethod
    def _read_as_family(cls, values: Any) -> Any:
        """Read by the config of the family that the values name."""
        if not isinstance(values, Mapping):
            return values
        return read_stored(find_family(str(values.get("family"))).config, values, "resolved.model")


FULL, PLAN = "full", "parameter_plan"
STOP_ON_PATIENCE = 3
"""Evaluations in a row without a better figure that end a training by it."""
PATHS_OF_TEXT = ("data", "val_data", "watch")


def _check_replay(entry: str) -> str:
    path, _, share = entry.rpartition(":")
    try:
        fits = bool(path) and 0 < float(share) < 1
    except ValueError:
        fits = False
    if not fits:
        raise ValueError("PATH:SHARE, such as novels.txt:0.05, where the share is above 0 and below 1")
    return entry


ReplayEntries = Annotated[
    tuple[Annotated[str, AfterValidator(_check_replay)], ...],
    Parameter(consume_multiple=True, negative="", show_default=False),
]


class FineTuneOptions(ReadingOptions, DataPaths, TaskFiles):
    """How a trained model is taught: what it learns from, which of its weights move, and what it must not forget."""

    val_data: Paths = ()
    """Files and folders to validate on. Without it: see val_fraction."""
    strategy: str = FULL
    """What is trained when: full, last, last:3, head, gradual:every=200, bitfit, lora:r=8,alpha=16, or several, each
    until a step: last@300 -> last:4@600 -> full."""
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    """The learning rate of each block is this times that of the one above it."""
    context_length: int | None = Field(default=None, ge=2)
    """Tokens that the model is to see at once, more than now: its positions are stretched."""
    add_tokens: Texts = ()
    """Words that get a token each in the model's vocabulary."""
    control: str | None = None
    """A field whose value stands before each text, read and not learned, or folder: generate --control asks for it."""
    speak_as: str | None = None
    """Whose turns of dialogues are learned; all others are read."""
    fim: float = Field(default=0.0, ge=0, le=1)
    """Of the texts, how many are rearranged so that their middle is learned last: generate --suffix asks for it."""
    cache_frozen: Annotated[bool, Parameter(negative="")] = False
    """Keep what enters the lowest trained block for every row, once it was computed, in a file in the run until it
    ends: with last, head and the like most of a step is saved from the second pass over the examples on."""
    val_fraction: float | None = Field(default=None, ge=0, lt=1)
    """Of the examples, held out to validate on where no val_data is given; all with one prompt, or of one document, are
    on one side. When not given a tenth, and nothing in Python."""
    too_long: Literal["error", "skip", "cut"] = "error"
    """Of pairs and chats longer than a row. error: refuse them. skip: leave them out, and say how many.
    cut: cut them at their beginning, never what is learned last, and say how much."""
    epochs: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    """Passes over the examples, instead of steps or minutes."""
    replay: ReplayEntries = ()
    """Old text that is mixed in, so that it is not forgotten: PATH:SHARE each, such as novels.txt:0.05, where the share
    is that of the rows of each step."""
    sample_prompts: Texts = ()
    """What the samples during training continue; without it the prompts of the first three examples that are held out
    (or learned, where none are), or the beginnings of texts."""
    watch: Paths = ()
    """Files and folders of text that is not learned: the loss on each is a curve beside that of what is."""
    stop_on: str | None = None
    """A figure of a task, such as classification.accuracy: it chooses the best model, and training ends when three
    evaluations in a row (early_stopping_patience) found no better one."""
    training: Annotated[FineTuneConfig, Parameter(name="*")] = FineTuneConfig()
    """The training."""

    @property
    def replayed(self) -> dict[Path, float]:
        """The share of each path that is replayed."""
        entries = (entry.rpartition(":") for entry in self.replay)
        return {Path(path): float(share) for path, _, share in entries}

    @property
    def chosen_training(self) -> FineTuneConfig:
        """The training, with what ``stop_on`` asks of it."""
        if self.stop_on is None:
            return self.training
        patience = self.training.early_stopping_patience or STOP_ON_PATIENCE
        return self.training.model_copy(update={"best_by": self.stop_on, "early_stopping_patience": patience})

    def from_anywhere(self) -> Self:
        """As ``TaskFiles.from_anywhere``, with all other paths too."""
        whole = {name: tuple(expand(path).absolute() for path in getattr(self, name)) for name in PATHS_OF_TEXT}
        replay = tuple(f"{expand(path).absolute()}:{share}" for path, share in self.replayed.items())
        return super().from_anywhere().model_copy(update={**whole, "replay": replay})

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.epochs is not None and (self.training.steps is not None or self.training.minutes is not None):
            raise ValueError("epochs beside steps or minutes; expected one of the three")
        if self.fim and self.speak_as is not None:
            raise ValueError("fim beside speak_as; expected one of them: a dialogue is learned in its order")
        if sum(self.replayed.values()) >= 1:
            raise ValueError("shares of replay that are 1 or more together; expected less: what is new needs room")
        if self.stop_on is not None and not self.tasks:
            raise ValueError(f"stop_on {self.stop_on} without a task; expected one whose figure it is")
        if self.stop_on is not None and self.training.best_by not in (None, self.stop_on):
            raise ValueError(f"stop_on {self.stop_on} beside best_by {self.training.best_by}; expected one of them")
        return self


class FitConfig(FineTuneOptions):
    """A run of ``Model.fit``: its texts lie in the run as token shards, and so does the model it began with."""

    begun_by: Literal["fit"] = "fit"
    """Tells it from a run of texts in files."""
    base: str | None = None
    """The folder that the model it began with was read from."""


def fine_tune_options(settings: Mapping[str, Any], where: str) -> FineTuneOptions:
    """Options from settings of one level, as in Python: those of the training beside all others.

    Raises:
        InputError: an unknown name, or a value that does not fit.
    """
    of_training = FineTuneConfig.model_fields
    others = FineTuneOptions.model_fields.keys() - {"training", *DataPaths.model_fields}
    for name in settings:
        if (new := new_key(name, {*others, *of_training})) is not None:
            raise InputError(f"{name} is now {new}", where=where)
        if name not in of_training and name not in others:
            raise unknown_name("argument", name, [*others, *of_training])
    if settings.get("tasks", ()) is None:
        settings = {name: value for name, value in settings.items() if name != "tasks"}
    training = read_config(FineTuneConfig, {name: settings[name] for name in settings if name in of_training}, where)
    rest = {name: value for name, value in settings.items() if name in others}
    return read_config(FineTuneOptions, rest | {"training": training}, where)


def read_for_new_run(path: Path) -> dict[str, Any]:
    """The values of a TOML file for a new run: one that was written by hand, or the config.toml of another run.

    Raises:
        InputError: it does not read, or is of another schema version.
    """
    values = read_toml_values(path)
    if SCHEMA_KEY in values:
        check_schema_version(values, str(path))
        del values[SCHEMA_KEY]
    # What followed from the config then is found anew: it may not fit what the command line changes.
    values.pop(RESOLVED, None)
    return values


def default_folder(config: DataPaths) -> Path:
    """``runs/`` and the name of the first data path that has one."""
    paths = [path for path in map(expand, config.data) if not is_descriptor(path)]
    name = paths[0].resolve().name.split(".")[0] if paths else ""
    return Path("runs") / (name or "text")


def merge_run_config(path: Path | None, given: RunConfig | None) -> RunConfig:
    """The file's values with the command line's on top; only what was really given overrides.

    Raises:
        InputError: a value does not fit, a run of fit, which this does not begin, or there is no text to train on.
    """
    values = read_for_new_run(path) if path else {}
    if "begun_by" in values:
        expected = "the config of a run of texts in files"
        raise InputError(f"{path} is of a run of fit", expected=expected, fix="give it to finetune, or call fit again")
    config = _merge(RunConfig, path, values, given)
    if not config.data:
        raise no_data("train")
    return config


def merge_fine_tune_options(path: Path | None, given: FineTuneOptions | None) -> FineTuneOptions:
    """As ``merge_run_config``, for a fine-tuning.

    Raises:
        InputError: a value does not fit, the config of a training from scratch, or there is nothing to learn from.
    """
    values = read_for_new_run(path) if path else {}
    if "model" in values:
        expected = "the config of a fine-tuning"
        raise InputError(f"{path} is of a training from scratch", expected=expected, fix="give it to train --config")
    for name in ("begun_by", "base"):
        values.pop(name, None)
    if values.get("strategy", FULL) != FULL or values.get("layer_decay", 1) != 1:
        # What followed from the strategy then is found anew.
        values["training"] = {name: value for name, value in values.get("training", {}).items() if name != PLAN}
    options = _merge(FineTuneOptions, path, values, given)
    if not options.data:
        raise no_data("finetune", "MODEL")
    return options


def no_data(*command: str) -> InputError:
    """The error for a command without any text."""
    return InputError(
        "no --data", expected="files or folders of text", fix=command_line(*command, "--data", "FILE_OR_FOLDER")
    )


def _merge(cls: type[C], path: Path | None, values: Mapping[str, Any], given: Config | None) -> C:
    if given is not None:
        values = _merged(dict(values), given.model_dump(exclude_unset=True))
    return read_config(cls, values, str(path) if path else "the command line")


def _merged(values: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Values with the given ones on top, tables one by one; what should be a table is left to be refused."""
    merged = dict(values)
    for name, value in given.items():
        if isinstance(value, Mapping):
            inner = values.get(name, {})
            merged[name] = _merged(inner, value) if isinstance(inner, dict) else inner
        else:
            merged[name] = value
    return merged
