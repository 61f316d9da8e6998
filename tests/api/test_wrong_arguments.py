"""Arguments of a wrong kind, anywhere in the package, are one line.

The walk is made in a process of its own, where no call is checked by anything but the package itself.
"""

import inspect
import json
import math
import os
import subprocess
import sys
from collections import UserDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


class Table:
    """Goes through the names of its columns, as pandas' DataFrame does."""

    columns = ("body", "label")

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


KINDS: dict[str, Callable[[], Any]] = {
    "None": lambda: None,
    "a whole number": lambda: 3,
    "a large number": lambda: 10**400,
    "a number": lambda: 0.5,
    "not a number": lambda: math.nan,
    "a number below 0": lambda: -1,
    "True": lambda: True,
    "text": lambda: "something",
    "empty text": lambda: "",
    "half a surrogate pair": lambda: "\ud800",
    "text with a null byte": lambda: "a\0b",
    "bytes": lambda: b"something",
    "an empty list": list,
    "a list of None": lambda: [None],
    "a list of numbers": lambda: [0.5],
    "a list of bytes": lambda: [b"something"],
    "a list of lists": lambda: [["a", "b"]],
    "a list of True": lambda: [True],
    "a tuple of tuples": lambda: (("a",), ("a", "b", "c"), ("a", 3)),
    "a list of rows": lambda: [{"body": "text", "label": 3}],
    "a list of empty rows": lambda: [{}],
    "a list of text and more": lambda: ["a", 3],
    "a dict": lambda: {"text": ["a", "b"]},
    "an empty dict": dict,
    "another mapping": lambda: UserDict(text="a"),
    "a table": Table,
    "a set": lambda: {"a", "b"},
    "an empty generator": lambda: iter(()),
    "a generator of numbers": lambda: (number for number in range(3)),
    "an object": object,
    "a class": lambda: Table,
    "a function": lambda: len,
    "a path": lambda: Path("nowhere/at/all"),
    "a complex number": lambda: 1j,
    "a range": lambda: range(3),
}
NUMBERS = {"a whole number", "a large number", "a number", "not a number", "a number below 0"}
TEXTS = {"text", "empty text", "half a surrogate pair", "text with a null byte"}
CALLABLE = ("a class", "a function")
COUNTS = ("a whole number", "a large number")


@dataclass(frozen=True)
class Case:
    """One parameter of one function."""

    name: str
    call: Callable[[Any, Any], Any]
    """Of what there is (see ``Made``) and the value."""
    fits: frozenset[str] = frozenset()
    """Kinds that may be right: they are not tried."""


@dataclass(frozen=True)
class Made:
    """What the functions are called with."""

    tw: Any
    model: Any
    folder: Path
    config: Any
    result: Any


def case(name: str, call: Callable[[Made, Any], Any], *fits: str | set[str]) -> Case:
    flat = {kind for one in fits for kind in ([one] if isinstance(one, str) else one)}
    assert flat <= set(KINDS), flat
    return Case(name, call, frozenset(flat))


FIT = {"steps": 1, "quiet": True}


def classified(made: Made) -> dict[str, Any]:
    return {"model": made.model, "texts": ["ab", "ba", "cd"], "labels": ["x", "x", "y"]}


CASES = [
    case("load: source", lambda made, value: made.tw.load(value)),
    case("load: adapter", lambda made, value: made.tw.load(made.folder / "model", adapter=value), "None"),
    case("load: device", lambda made, value: made.tw.load(made.folder / "model", device=value)),
    case("train: config", lambda made, value: made.tw.train(value, made.folder / "new", quiet=True)),
    case("train: out", lambda made, value: made.tw.train(made.config, value, quiet=True), "text", "a path"),
    case("train: device", lambda made, value: made.tw.train(made.config, made.folder / "new", device=value)),
    case("train: quiet", lambda made, value: made.tw.train(made.config, made.folder / "new", quiet=value), "True"),
    case("plan: config", lambda made, value: made.tw.plan(value, quiet=True)),
    case(
        "plan: out",
        lambda made, value: made.tw.plan(made.config, out=value, quiet=True),
        TEXTS - {"empty text"},
        "a path",
    ),
    case("plan: device", lambda made, value: made.tw.plan(made.config, device=value)),
    case("plan: quiet", lambda made, value: made.tw.plan(made.config, quiet=value), "True"),
    case(
        "finetune: model", lambda made, value: made.tw.finetune(value, made.tw.FineTuneOptions(), made.folder / "new")
    ),
    case("finetune: options", lambda made, value: made.tw.finetune(made.folder / "model", value, made.folder / "new")),
    case(
        "finetune: out",
        lambda made, value: made.tw.finetune(made.folder / "model", made.tw.FineTuneOptions(), value),
    ),
    case(
        "finetune: device",
        lambda made, value: made.tw.finetune(
            made.folder / "model", made.tw.FineTuneOptions(), made.folder / "new", device=value
        ),
    ),
    case(
        "finetune: quiet",
        lambda made, value: made.tw.finetune(
            made.folder / "model", made.tw.FineTuneOptions(), made.folder / "new", quiet=value
        ),
    ),
    case(
        "finetune: adapter",
        lambda made, value: made.tw.finetune(
            made.folder / "model", made.tw.FineTuneOptions(), made.folder / "new", adapter=value
        ),
        "None",
    ),
    case("plan_finetune: model", lambda made, value: made.tw.plan_finetune(value, made.tw.FineTuneOptions())),
    case("plan_finetune: options", lambda made, value: made.tw.plan_finetune(made.folder / "model", value)),
    *(
        case(
            f"plan_finetune: {name}",
            lambda made, value, name=name: made.tw.plan_finetune(
                made.folder / "model", made.tw.FineTuneOptions(), **{name: value}
            ),
            "None",
        )
        for name in ("out", "adapter", "device", "quiet")
    ),
    case("resume: folder", lambda made, value: made.tw.resume(value, quiet=True)),
    case(
        "resume: steps",
        lambda made, value: made.tw.resume(made.folder / "run", steps=value),
        *("None", "a whole number", "a large number"),
    ),
    case(
        "resume: changes",
        lambda made, value: made.tw.resume(made.folder / "run", changes=value),
        *("None", "an empty dict"),
    ),
    case(
        "resume: accepts_changed_data",
        lambda made, value: made.tw.resume(made.folder / "run", accepts_changed_data=value),
        "True",
    ),
    case("resume: device", lambda made, value: made.tw.resume(made.folder / "run", device=value)),
    case("resume: quiet", lambda made, value: made.tw.resume(made.folder / "run", quiet=value), "True"),
    case("verify: folder", lambda made, value: made.tw.verify(value)),
    case("Model: network", lambda made, value: made.tw.Model(value, made.model.tokenizer)),
    case("Model: tokenizer", lambda made, value: made.tw.Model(made.model.network, value)),
    case("Model: dialogue", lambda made, value: made.tw.Model(made.model.network, made.model.tokenizer, value), "None"),
    case(
        "Model: prompt_format",
        lambda made, value: made.tw.Model(made.model.network, made.model.tokenizer, prompt_format=value),
        "None",
    ),
    case(
        "Model: adapted",
        lambda made, value: made.tw.Model(made.model.network, made.model.tokenizer, adapted=value),
        "None",
    ),
    case(
        "Model: files", lambda made, value: made.tw.Model(made.model.network, made.model.tokenizer, files=value), "None"
    ),
    case("generate: prompt", lambda made, value: made.model.generate(value, max_new_tokens=1), TEXTS),
    case("generate: max_new_tokens", lambda made, value: made.model.generate("a", max_new_tokens=value), *COUNTS),
    *(
        case(f"generate: {name}", lambda made, value, name=name: made.model.generate("a", **{name: value}), *fits)
        for name, fits in {
            "temperature": ("a whole number", "a number"),
            "top_k": ("None", *COUNTS),
            "seed": (NUMBERS,),
            "n": COUNTS,
            "stop": ("an empty list", "an empty generator", "a list of bytes", "a set", "a table"),
            "stop_token_ids": ("an empty list", "an empty generator", "a generator of numbers", "a range"),
            "logit_bias": ("an empty dict",),
            "temprature": (),
        }.items()
    ),
    case(
        "complete: prompts",
        lambda made, value: made.model.complete(value, max_new_tokens=1),
    ),
    case("complete: one prompt", lambda made, value: made.model.complete([value], max_new_tokens=1), TEXTS, "a range"),
    case(
        "complete: a request",
        lambda made, value: made.model.complete([made.tw.Request(value)]),
        TEXTS | {"a range"},
    ),
    case(
        "complete: a request's sampling",
        lambda made, value: made.model.complete([made.tw.Request("a", sampling=value)]),
    ),
    case(
        "complete: a request's source",
        lambda made, value: made.model.complete([made.tw.Request("a", source=value)]),
        "None",
    ),
    case(
        "complete: a request's deadline",
        lambda made, value: made.model.complete([made.tw.Request("a", deadline_s=value)]),
        {"None", "a large number", "not a number"},
    ),
    case(
        "complete: a request's special tokens",
        lambda made, value: made.model.complete([made.tw.Request("a", special_tokens=value)]),
        "True",
    ),
    case(
        "complete: special_tokens",
        lambda made, value: made.model.complete(["a"], special_tokens=value, max_new_tokens=1),
        "True",
    ),
    case(
        "complete: a request's shown",
        lambda made, value: made.model.complete([made.tw.Request("a", shown=value)]),
        TEXTS | {"None"},
    ),
    # The model has learned neither, so that a text is refused too.
    case("complete: suffix", lambda made, value: made.model.complete(["a"], suffix=value), "None"),
    case("complete: control", lambda made, value: made.model.complete(["a"], control=value), "None"),
    case("complete: on_text", lambda made, value: made.model.complete(["a"], on_text=value), "None", *CALLABLE),
    case("complete: engine", lambda made, value: made.model.complete(["a"], engine=value), "None"),
    case("complete: speculation", lambda made, value: made.model.complete(["a"], speculation=value), "None"),
    case(
        "complete: mixed_with",
        lambda made, value: made.model.complete(["a"], mixed_with=value, max_new_tokens=1),
        *("None", "an empty dict"),
    ),
    case(
        "complete: how much is mixed",
        lambda made, value: made.model.complete(["a"], mixed_with={made.model: value}, max_new_tokens=1),
        *("a whole number", "a number"),
    ),
    case("decoder: engine", lambda made, value: made.model.decoder(value)),
    case("speculation: draft", lambda made, value: made.model.speculation(value), "None"),
    case("speculation: engine", lambda made, value: made.model.speculation(engine=value), "None"),
    case(
        "speculation: num_speculative_tokens",
        lambda made, value: made.model.speculation(num_speculative_tokens=value),
        *COUNTS,
    ),
    case("evaluate: texts", lambda made, value: made.model.evaluate(value)),
    case("evaluate: window", lambda made, value: made.model.evaluate(["ab"], window=value), "None", "a whole number"),
    case("evaluate: stride", lambda made, value: made.model.evaluate(["ab"], stride=value), "None", "a whole number"),
    case("evaluate: progress", lambda made, value: made.model.evaluate(["ab"], progress=value), "None", *CALLABLE),
    *(
        case(
            f"evaluate_task: {name}",
            lambda made, value, name=name: made.tw.evaluate_task(**_asked(made) | {name: value}),
            *fits,
        )
        for name, fits in {
            "model": (),
            "task": (),
            "data": (),
            "out": ("text", "a path"),
            "metrics": ("None",),
            "limit": ("None", *COUNTS),
            "skip_long": ("True",),
            "trust_code": ("True",),
            "engine": ("None",),
            "quiet": ("True",),
        }.items()
    ),
    case("embed: texts", lambda made, value: made.model.embed(value)),
    case("embed: progress", lambda made, value: made.model.embed(["ab"], progress=value), *CALLABLE),
    *(
        case(
            f"train_classifier: {name}",
            lambda made, value, name=name: made.tw.train_classifier(**classified(made) | {name: value}),
            *fits,
        )
        for name, fits in {"model": (), "texts": (), "labels": (), "seed": (*COUNTS, "a number below 0")}.items()
    ),
    case("load_classifier: folder", lambda made, value: made.tw.load_classifier(value, made.model)),
    case("load_classifier: model", lambda made, value: made.tw.load_classifier(made.folder, value)),
    case("cluster_texts: model", lambda made, value: made.tw.cluster_texts(value, ["a", "b"], 1)),
    case("cluster_texts: texts", lambda made, value: made.tw.cluster_texts(made.model, value, 1)),
    case(
        "cluster_texts: num_clusters",
        lambda made, value: made.tw.cluster_texts(made.model, ["a", "b"], value),
        "None",
    ),
    case(
        "cluster_texts: seed",
        lambda made, value: made.tw.cluster_texts(made.model, ["a", "b"], 1, seed=value),
        *(*COUNTS, "a number below 0"),
    ),
    case("load_clusters: folder", lambda made, value: made.tw.load_clusters(value, made.model)),
    case("load_clusters: model", lambda made, value: made.tw.load_clusters(made.folder, value)),
    case(
        "fit: texts",
        lambda made, value: made.model.fit(value, **FIT),
        *("text", "text with a null byte"),
    ),
    case(
        "fit: validation",
        lambda made, value: made.model.fit(["ab"], validation=value, **FIT),
        *("None", "text", "text with a null byte"),
    ),
    *(
        case(f"fit: {name}", lambda made, value, name=name: made.model.fit(["ab"], **FIT | {name: value}), *fits)
        for name, fits in {
            "batch_size": COUNTS,
            "learning_rate": ("None", "a whole number", "a number"),
            "seed": COUNTS,
            "text_field": (TEXTS,),
            "invalid_utf8": (),
            "out": ("None", "text", "a path"),
            "tasks": ("None", "an empty dict", "an empty list"),
            "best_by": ("None",),
            "task_examples": ("None",),
            "quiet": ("True",),
        }.items()
    ),
    *(
        case(f"fit: {name}", lambda made, value, name=name: made.model.fit(["ab"], quiet=True, **{name: value}), *fits)
        for name, fits in {
            "steps": ("None", "a whole number", "a large number"),
            "epochs": ("None", "a whole number", "a number"),
            "minutes": ("None", "a whole number", "a number"),
        }.items()
    ),
    case("logits: ids", lambda made, value: made.model.logits(value)),
    case("logits: a row of ids", lambda made, value: made.model.logits([value]), "a range"),
    case("save: folder", lambda made, value: made.model.save(value), "text", "a path"),
    case("save: dtype", lambda made, value: made.model.save(made.folder / "saved", dtype=value)),
    case(
        "held_out_texts: max_tokens",
        lambda made, value: list(made.result.held_out_texts(value)),
        *("None", "a whole number", "a large number"),
    ),
    *(
        case(f"{name}: {field}", lambda made, value, name=name, field=field: _configured(made, name, field, value))
        for name, fields in {
            "RunConfig": (
                "data",
                "val_data",
                "text_field",
                "tokenizer",
                "sample_prompts",
                "model",
                "training",
                "tasks",
                "dat",
            ),
            "TrainConfig": ("steps", "minutes", "batch_size", "objective", "parameter_plan", "compile", "optimizer"),
            "FineTuneOptions": (
                "strategy",
                "layer_decay",
                "add_tokens",
                "fim",
                "replay",
                "watch",
                "epochs",
                "training",
            ),
            "FineTuneConfig": ("steps", "learning_rate", "packing"),
            "ModelOptions": ("preset", "context_length", "dropout"),
            "SamplingConfig": ("temperature", "stop", "stop_token_ids", "logit_bias", "bad_words", "json_schema", "n"),
            "EngineConfig": ("engine", "precision", "batch_invariant"),
        }.items()
        for field in fields
    ),
]


def _configured(made: Made, name: str, field: str, value: Any) -> None:
    """A config is made, or not; whether pydantic's idea of what fits is right is not asked here."""
    getattr(made.tw, name)(**{field: value})
    raise made.tw.InputError("it fits")


def _asked(made: Made) -> dict[str, Any]:
    """An evaluation that would be made, were it not for what is given instead."""
    return {
        "model": made.model,
        "task": made.folder / "task.toml",
        "data": made.folder / "rows.jsonl",
        "out": made.folder / "answers",
        "quiet": True,
    }


def walk(folder: Path) -> None:
    """Try every kind that does not fit; print what came of each as JSON."""
    import textwright as tw
    from textwright.models.catalog import build
    from textwright.models.gpt.config import GPTConfig
    from textwright.tokens import make_tokenizer

    (folder / "text.txt").write_text("The cat sat on the mat. " * 40)
    (folder / "rows.jsonl").write_text('{"text": "ab"}\n')
    task = 'fields = ["text"]\nprompt = "{text}:"\ncompletion = " {text}"\nmetrics = ["accuracy"]\nmax_new_tokens = 2\n'
    (folder / "task.toml").write_text(task)
    training = tw.TrainConfig(steps=2, batch_size=2, sequence_length=8, precision="float32", compile=False, threads=1)
    options = tw.ModelOptions(preset="nano", context_length=16)
    config = tw.RunConfig(data=(folder / "text.txt",), tokenizer="byte", model=options, training=training)
    result = tw.train(config, folder / "run", quiet=True)
    shape = {"vocab_size": 257, "context_length": 16, "num_layers": 1, "num_heads": 1, "hidden_size": 8}
    shape |= {"position_encoding": "none"}  # decoded by torch: no kernels are compiled for it
    model = tw.Model(build(GPTConfig.model_validate(shape)).eval(), make_tokenizer("byte", lambda: iter(())))
    model.save(folder / "model")
    made = Made(tw, model, folder, config, result)
    found = []
    for one in CASES:
        for kind in sorted(set(KINDS) - one.fits):
            try:
                one.call(made, KINDS[kind]())
                found.append([one.name, kind, "nothing", ""])
            except Exception as error:
                found.append([one.name, kind, type(error).__name__, str(error)])
    print(json.dumps(found))


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[list[str]]]:
    """By case: (kind, type of the error or nothing, its message)."""
    folder = tmp_path_factory.mktemp("wrong")
    program = (
        "import sys\nfrom pathlib import Path\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.api.test_wrong_arguments import walk\nwalk(Path.cwd())\n"
    )
    environment = os.environ | {"HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[list[str]]] = {}
    for name, *outcome in json.loads(done.stdout.splitlines()[-1]):
        found.setdefault(name, []).append(outcome)
    left = {path.name for path in folder.iterdir()}
    assert left == {"text.txt", "rows.jsonl", "task.toml", "run", "model"}, "what was refused left something behind"
    return found


@pytest.mark.parametrize("name", [one.name for one in CASES])
def test_a_wrong_kind_is_one_line(name: str, outcomes: dict[str, list[list[str]]]) -> None:
    assert outcomes[name]
    assert [outcome for outcome in outcomes[name] if outcome[1] != "InputError"] == []
    assert [outcome for outcome in outcomes[name] if "\n" in outcome[2] or len(outcome[2]) > 1000] == []


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("load: source", "None", "source is None; in the arguments of load; expected a path"),
        ("load: source", "empty text", "source is ''; in the arguments of load; expected a path"),
        ("load: device", "True", "device is True; in the arguments of load; expected text"),
        ("train: config", "a dict", "config is a dict; in the arguments of train; expected a RunConfig"),
        (
            "Model: network",
            "a path",
            "network is 'nowhere/at/all'; in the arguments of Model; expected a LanguageModel",
        ),
        ("fit: steps", "True", "steps = True; in the arguments of fit; expected a number, not true or false"),
        ("fit: texts", "a table", "texts is a Table with the fields body, label; expected texts, pairs"),
        ("fit: texts", "a dict", "texts is a dict with the fields text; expected texts, pairs"),
        ("fit: texts", "a set", "texts is a set; expected texts, pairs"),
        ("fit: texts", "a list of lists", "texts[0] is a list; expected texts, pairs"),
        ("fit: texts", "a tuple of tuples", "texts[0] is a tuple of 'a'; expected a pair (prompt, completion)"),
        ("fit: texts", "a list of text and more", "texts[1] is 3; expected texts, pairs"),
        ("fit: texts", "half a surrogate pair", "half a surrogate pair in the text; in texts[0]"),
        ("evaluate: texts", "text", "one text instead of a list of texts; put it into a list: [text]"),
        ("embed: texts", "a list of bytes", "texts[0] is a bytes; expected text"),
        ("complete: one prompt", "None", "prompts[0] is None; expected text, token ids or a Request"),
        ("complete: mixed_with", "a dict", "mixed_with is a dict; in the arguments of complete; expected a dict of"),
        ("logits: ids", "text", "ids is 'something'; expected whole numbers"),
        ("TrainConfig: steps", "True", "steps = True; in the arguments of TrainConfig; expected a number, not true"),
        ("RunConfig: dat", "text", "unknown key 'dat'; in the arguments of RunConfig"),
    ],
)
def test_the_line_says_what_was_given_and_what_is_expected(
    name: str, kind: str, message: str, outcomes: dict[str, list[list[str]]]
) -> None:
    (said,) = [outcome[2] for outcome in outcomes[name] if outcome[0] == kind]
    assert said.startswith(message)


def test_every_argument_of_every_public_function_is_walked() -> None:
    import textwright as tw

    public = {name: getattr(tw, name) for name in tw.__all__ if not isinstance(getattr(tw, name), type)}
    public["Model"] = tw.Model.__init__
    for owner in (tw.Model, tw.RunResult):
        public |= {name: one for name, one in vars(owner).items() if inspect.isfunction(one) and name[0] != "_"}
    asked = {
        f"{name}: {argument}"
        for name, function in public.items()
        for argument, parameter in inspect.signature(function).parameters.items()
        if argument != "self" and parameter.kind is not inspect.Parameter.VAR_KEYWORD
    }
    walked = {one.name for one in CASES}
    assert asked - walked == set()
    configs = {name for name in tw.__all__ if name.endswith(("Config", "Options"))}
    assert configs - {name.split(":")[0] for name in walked} == set()
