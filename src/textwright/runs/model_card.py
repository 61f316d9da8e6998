"""The card of a run's model, as README.md of its folder: what it is, what it learned from, how well, and its limits.

::

    --- YAML that Hugging Face reads: model-index, with every figure ---
    what it is | data | training | figures with intervals | limits | use | command
"""

import json
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import safe_open

from textwright.checkpoint.model_card import MARK, write_card
from textwright.core.config import RESOLVED
from textwright.core.files import write_atomically
from textwright.core.progress import duration
from textwright.core.user_paths import given_path
from textwright.core.words import counted
from textwright.data.dataset import open_data
from textwright.runs.record import RunRecord
from textwright.runs.run_folder import Run
from textwright.tokens import load_tokenizer

SAMPLE_TOKENS = 8192
"""Of its text, from which the card tells the script."""
MAX_NAMES = 8
"""Of files."""
HUB_TASKS = {
    "classification": "text-classification",
    "named_entities": "token-classification",
    "summarisation": "summarization",
    "translation": "translation",
}
"""What Hugging Face calls a task; all others generate text."""
NAMES = {"CJK": "Chinese"}
"""Of scripts, where Unicode says it otherwise."""
EVALUATIONS = ".evaluations.json"
"""Of a run: the folders of the evaluations that the card has, as they lie beside it."""


@dataclass(frozen=True)
class Evaluated:
    """How well the model did a task."""

    task: str
    data: str
    """The names of its files."""
    data_sha256: str
    figures: Mapping[str, Mapping[str, Any]]
    """By name: ``value``, ``low``, ``high``, ``n``, ``why_no_interval``, ``signature``."""


@dataclass(frozen=True)
class CardFacts:
    """What a card says that the run's record does not."""

    parameters: int
    weights_bytes: int
    is_for_transformers: bool
    script: str = ""
    """What its text is written in, in words; empty where that is not known."""
    evaluations: Sequence[Evaluated] = field(default_factory=tuple)


def renew_card(run: Run, record: RunRecord, evaluations: Sequence[Evaluated] = ()) -> bool:
    """Write or renew the card of a run's model. Returns whether it was: what a user wrote is never touched.

    Raises:
        InputError: the model's folder does not read, or cannot be written.
    """
    parameters, size = _weights_of(run.model)
    config = json.loads((run.model / "config.json").read_text(encoding="utf-8"))
    is_known = not str(config.get("model_type", "")).startswith("textwright")
    facts = CardFacts(parameters, size, is_known, _script_of(run), tuple(evaluations))
    return write_card(run.model, card_of(record, facts))


def remember_evaluations(run: Run, folders: Iterable[Path]) -> None:
    """Write down where the evaluations lie that the card of a run's model has, so that the next one has them too.

    Raises:
        InputError: the disk does not take it.
    """
    places = sorted(os.path.relpath(folder.resolve(), run.folder.resolve()) for folder in folders)
    with given_path(run.folder):
        write_atomically(run.folder / EVALUATIONS, json.dumps(places, indent=1) + "\n")


def remembered_evaluations(run: Run) -> list[Path]:
    """Where the evaluations were that the card has; none where that does not read."""
    try:
        places = json.loads((run.folder / EVALUATIONS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return []
    are_paths = isinstance(places, list) and all(isinstance(place, str) for place in places)
    return [Path(os.path.normpath(run.folder.resolve() / place)) for place in places] if are_paths else []


def card_of(record: RunRecord, facts: CardFacts) -> str:
    """The whole text of a card."""
    body = [MARK, "", f"# {_plain(record.name)}", "", _what(record, facts), ""]
    body += ["## Data", "", *_bullets(_data(record, facts)), ""]
    body += ["## Training", "", *_bullets(_training(record)), ""]
    body += ["## Figures", "", *_figures(record, facts), ""]
    body += ["## Limits", "", *_bullets(_limits(record, facts)), ""]
    body += ["## Use", "", *_use(facts), ""]
    body += ["## To repeat it", "", *_again(record), ""]
    return "\n".join([*_front_matter(record, facts), *body])


def _front_matter(record: RunRecord, facts: CardFacts) -> Iterator[str]:
    yield "---"
    if facts.is_for_transformers:
        yield "library_name: transformers"
    yield "pipeline_tag: text-generation"
    yield "tags:"
    yield "- textwright"
    results = list(_results(record, facts))
    if results:
        yield "model-index:"
        yield f"- name: {yaml_text(record.name)}"
        yield "  results:"
        for task, name, data, sha256, metrics in results:
            yield f"  - task:\n      type: {task}\n      name: {yaml_text(name)}"
            yield f"    dataset:\n      type: text\n      name: {yaml_text(data)}"
            if sha256:
                yield f"      revision: {yaml_text(sha256)}"
            yield "    metrics:"
            for metric, value, interval in metrics:
                yield f"    - type: {yaml_text(metric)}\n      value: {value!r}"
                yield f"      name: {yaml_text(f'{metric} ({interval})')}"
    yield "---"


_Result = tuple[str, str, str, str, list[tuple[str, float, str]]]


def _results(record: RunRecord, facts: CardFacts) -> Iterator[_Result]:
    """Every task with its data and its figures."""
    generation = "text-generation"
    if record.best_figures:
        sha256 = record.data.splits["val"].fingerprint if record.data and "val" in record.data.splits else ""
        metrics = [(name, float(value), "no interval: one text") for name, value in record.best_figures.items()]
        yield generation, "language modelling", "the validation part of its text", sha256, metrics
    if record.bits_per_byte:
        bits = next(iter(record.bits_per_byte.values()))
        yield generation, "language modelling", "held-out text", "", [("bits_per_byte", bits, "no interval: one text")]
    for one in facts.evaluations:
        metrics = [
            (name, float(figure["value"]), interval_of(figure))
            for name, figure in one.figures.items()
            if figure["value"] is not None
        ]
        if metrics:
            yield HUB_TASKS.get(one.task, generation), one.task, one.data, one.data_sha256, metrics


def interval_of(figure: Mapping[str, Any]) -> str:
    """A figure's interval in words, or why there is none."""
    if figure["low"] is None or figure["high"] is None:
        return f"no interval: {figure['why_no_interval'] or 'a single unit alone'}"
    return f"95 % interval {figure['low']:.4g} to {figure['high']:.4g}, n = {figure['n']:,}"


def _what(record: RunRecord, facts: CardFacts) -> str:
    shape = _shape(record)
    began = "from the model that it was given" if "begun_by" in record.config else "from nothing"
    size = f"{facts.parameters:,} parameters ({facts.weights_bytes / 1e6:,.1f} MB of weights)"
    return (
        f"A language model of the family {shape.get('family', 'gpt')}: {size}, trained {began} with "
        "Textwright. It continues text."
    )


def _data(record: RunRecord, facts: CardFacts) -> Iterator[str]:
    data = record.data
    if data is None:
        yield "What it learned from is not known."
        return
    for name, split in data.splits.items():
        if split.num_tokens:
            what = "validation" if name == "val" else "training"
            documents = counted(split.num_documents, "document")
            yield f"{what}: {documents}, {split.num_bytes:,} bytes, {counted(split.num_tokens, 'token')}"
    files = [Path(str(name)).name for name in record.config.get("data", ())]
    more = f" and {len(files) - MAX_NAMES:,} more" if len(files) > MAX_NAMES else ""
    names = ", ".join(map(_plain, files[:MAX_NAMES]))
    yield f"files: {names}{more}" if files else "texts that were given in Python"
    yield f"SHA-256 of all tokens: `{data.fingerprint}`"
    if data.sources_sha256:
        yield f"SHA-256 of the files: `{data.sources_sha256}`"
    if facts.script:
        yield f"written in: {facts.script}"


def _training(record: RunRecord) -> Iterator[str]:
    last, settings = record.last_train, record.settings
    yield f"{last.get('step', 0):,} steps, {last.get('tokens', 0):,} tokens, {duration(last.get('elapsed_s', 0.0))}"
    known = ("optimizer", "learning_rate", "batch_size", "sequence_length", "precision", "seed")
    said = [f"{name} {settings[f'training.{name}']}" for name in known if settings.get(f"training.{name}") is not None]
    if said:
        yield ", ".join(said)
    machine = [
        str(value) for value in (record.environment.get("processor"), record.environment.get("machine")) if value
    ]
    versions = [f"{name} {record.environment[name]}" for name in ("textwright", "torch") if name in record.environment]
    yield f"machine: {', '.join([*machine, *versions]) or 'not written down'}"


def _figures(record: RunRecord, facts: CardFacts) -> Iterator[str]:
    rows = [
        (name, data, metric, f"{value:,.4f}", interval)
        for _, name, data, _, metrics in _results(record, facts)
        for metric, value, interval in metrics
    ]
    if not rows:
        yield "None was measured."
        return
    yield "| task | data | figure | value | interval |"
    yield "| --- | --- | --- | --- | --- |"
    for row in rows:
        yield f"| {' | '.join(_plain(cell) for cell in row)} |"


def _limits(record: RunRecord, facts: CardFacts) -> Iterator[str]:
    tokens = record.data.splits["train"].num_tokens if record.data and "train" in record.data.splits else 0
    learned = record.last_train.get("tokens", 0)
    times = f", its text {learned / tokens:.2g} times" if tokens else ""
    yield f"It has {facts.parameters:,} parameters and read {learned:,} tokens{times}. It knows no facts to rely on."
    context = _shape(record).get("context_length")
    if context:
        yield f"It sees {context:,} tokens at once; what lies further back is forgotten."
    script = f" ({facts.script})" if facts.script else ""
    yield f"It knows the language and the manner of its text{script}, and no other."
    tested = sorted({one.task for one in facts.evaluations})
    done = f"Beside the text above it was tested on {', '.join(tested)}" if tested else "It was tested on no task"
    yield (
        f"{done}. It was not tested for instructions, facts, safety, bias, other languages, or how much of its text it "
        "repeats word for word."
    )


def _use(facts: CardFacts) -> Iterator[str]:
    yield "```bash"
    yield 'textwright generate FOLDER_OF_THIS_FILE "Once upon a time"'
    yield "```"
    if not facts.is_for_transformers:
        yield ""
        yield "Other programs do not know its architecture."
        return
    yield ""
    yield "```python"
    yield "from transformers import pipeline"
    yield ""
    yield 'print(pipeline("text-generation", model="FOLDER_OF_THIS_FILE")("Once upon a time"))'
    yield "```"


def _again(record: RunRecord) -> Iterator[str]:
    """The command, without the place of the run: a card is shown to others."""
    if "begun_by" in record.config:
        yield "It was trained by `model.fit`, in Python, with the texts it was given."
        return
    yield "In the run's folder:"
    yield ""
    yield "```bash"
    yield "textwright train --config config.toml --out NEW_RUN"
    yield "```"


def _bullets(lines: Iterable[str]) -> list[str]:
    return [f"- {line}" for line in lines]


def _shape(record: RunRecord) -> Mapping[str, Any]:
    followed = record.config.get(RESOLVED)
    found = followed.get("model") if isinstance(followed, Mapping) else None
    return found if isinstance(found, Mapping) else {}


def _weights_of(folder: Path) -> tuple[int, int]:
    """How many numbers the weights have, and their bytes."""
    path = folder / "model.safetensors"
    number = 0
    with safe_open(path, framework="numpy") as file:
        for name in file.keys():  # noqa: SIM118 - it is no dictionary
            count = 1
            for size in file.get_slice(name).get_shape():
                count *= size
            number += count
    return number, path.stat().st_size


def _script_of(run: Run) -> str:
    """What a run's text is written in, by its first tokens."""
    if not (run.data / "manifest.json").is_file():
        return ""
    train = open_data(run.data).train
    text = load_tokenizer(run.data).decode(train.read(0, min(train.num_tokens, SAMPLE_TOKENS)).tolist())
    return scripts_in(text)


def scripts_in(text: str) -> str:
    """The scripts of a text's letters, the most frequent first, such as ``Latin letters (98 %)``; empty without any."""
    counts = Counter(unicodedata.name(letter, "OTHER").split()[0] for letter in text if letter.isalpha())
    total = sum(counts.values())
    shown = [(name, count / total) for name, count in counts.most_common(3) if count / total >= 0.01]
    return ", ".join(f"{NAMES.get(name, name.capitalize())} letters ({share:.0%})" for name, share in shown)


def _plain(text: str) -> str:
    """A text within a line of Markdown: no markup of its own."""
    line = " ".join(text.encode("utf-8", "replace").decode().split())
    return "".join(f"\\{one}" if one in "\\`*_{}[]<>#|!" else one for one in line)


def yaml_text(text: str) -> str:
    """A text as YAML's double-quoted scalar, whatever is in it."""
    safe = text.encode("utf-8", "replace").decode()
    return '"' + "".join(one if one.isprintable() and one not in '"\\' else _escaped(one) for one in safe) + '"'


def _escaped(one: str) -> str:
    if one in '"\\':
        return f"\\{one}"
    return f"\\u{ord(one):04x}" if ord(one) < 1 << 16 else f"\\U{ord(one):08x}"
