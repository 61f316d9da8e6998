"""What a run is made of, as one config: the file, the command line and the Python argument. Torch-free."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from cyclopts import Parameter
from pydantic import AfterValidator, BeforeValidator, Field, SerializeAsAny, field_validator

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
from textwright.core.errors import InputError
from textwright.models.catalog import find_family
from textwright.models.config import ModelConfig
from textwright.text.files import expand, is_descriptor
from textwright.training.config import TrainConfig

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
    Of rows of jsonl and json with prompt and completion instead of a text, the completion is learned."""
    val_data: Paths = ()
    """Files and folders to validate on. Without it: a tenth of the documents, or of a few the last tenth of each."""


def _as_entries(given: Any) -> Any:
    """Tasks as NAME=FILE each; in Python and TOML they may be a table of names with a file or several."""
    if not isinstance(given, Mapping):
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


class FitConfig(TaskFiles):
    """A run of ``Model.fit``: its texts lie in the run as token shards, and so does the model it began with."""

    begun_by: Literal["fit"] = "fit"
    """Tells it from a run of texts in files."""
    training: TrainConfig = TrainConfig()
    """The training."""


def read_for_new_run(path: Path) -> dict[str, Any]:
    """The values of a TOML file for a new run: one that was written by hand, or the config.toml of another run.

    Raises:
        InputError: it does not read, is of another schema version, or of a run of fit, which no config begins.
    """
    values = read_toml_values(path)
    if SCHEMA_KEY in values:
        check_schema_version(values, str(path))
        del values[SCHEMA_KEY]
    # What followed from the config then is found anew: it may not fit what the command line changes.
    values.pop(RESOLVED, None)
    if "begun_by" in values:
        raise InputError(
            f"{path} is of a run of fit", expected="the config of a run of texts in files", fix="call fit again"
        )
    return values


def default_folder(config: RunConfig) -> Path:
    """``runs/`` and the name of the first data path that has one."""
    paths = [path for path in map(expand, config.data) if not is_descriptor(path)]
    name = paths[0].resolve().name.split(".")[0] if paths else ""
    return Path("runs") / (name or "text")


def merge_run_config(path: Path | None, given: RunConfig | None) -> RunConfig:
    """The file's values with the command line's on top; only what was really given overrides.

    Raises:
        InputError: a value does not fit, or there is no text to train on.
    """
    values = read_for_new_run(path) if path else {}
    if given is not None:
        values = _merged(values, given.model_dump(exclude_unset=True))
    config = read_config(RunConfig, values, str(path) if path else "the command line")
    if not config.data:
        raise InputError(
            "no --data", expected="files or folders of text", fix=command_line("train", "--data", "FILE_OR_FOLDER")
        )
    return config


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
