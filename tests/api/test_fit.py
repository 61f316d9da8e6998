"""What ``fit`` learns from: texts, pairs, rows and files, each as a file gives it; and what it is validated on."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import textwright as tw
from tests.api.test_runs_stay_resumable import interrupt_at, new_model, same, small
from textwright.api.config import fine_tune_options
from textwright.api.fit_data import FitData, read_fit_data
from textwright.api.fit_run import fit_config
from textwright.api.given_examples import Examples
from textwright.api.taught import Taught
from textwright.core.errors import InputError
from textwright.data.dataset import DataSplits, open_data
from textwright.data.documents import rows_of
from textwright.data.examples import ExampleTokens
from textwright.engines.config import EngineConfig
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.language_model import LanguageModel
from textwright.text.read import read_texts
from textwright.tokens import make_tokenizer
from textwright.training.config import FineTuneConfig
from textwright.training.from_config import make_batches
from textwright.training.strategies import parse_strategy

FROM_WINDOWS = "\ufeffThe cat\r\nsat.\rThe \x00dog.\r\n"
AS_READ = "The cat\nsat.\nThe dog.\n"
PAIRS = [("one:", " un"), ("two:", " deux")]
END = 256
"""The end token of a tokenizer of bytes."""


def tiny(context_length: int = 64) -> tw.Model:
    shape = {"vocab_size": 257, "context_length": context_length, "num_layers": 2, "num_heads": 2, "hidden_size": 32}
    tokenizer = make_tokenizer("byte", lambda: iter(()))
    return tw.Model(build(GPTConfig.model_validate(shape), seed=0).eval(), tokenizer)


def encoded(examples: Examples, model: tw.Model | None = None, **reading: Any) -> ExampleTokens:
    model = model or tiny()
    options = fine_tune_options(reading, "a test")
    found = read_fit_data(examples, None, Taught(model.network, model.tokenizer), options).splits.train
    assert isinstance(found, ExampleTokens)
    return found


def training_of(found: ExampleTokens, model: tw.Model) -> FineTuneConfig:
    options = fine_tune_options({"steps": 1, "batch_size": 1}, "a test")
    taught = Taught(model.network, model.tokenizer)
    return fit_config(FitData(DataSplits(found, None)), taught, options, parse_strategy("full")).training


def documents(examples: Examples, **reading: Any) -> list[str]:
    """What is learned from, as texts: ``|`` is the end of each."""
    found = encoded(examples, **reading)
    ids = found.read(0, found.num_tokens).tolist()
    return "".join(chr(b) if b < END else "|\n" for b in ids).splitlines(keepends=False)


def weights(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in network.state_dict().items()}


def are_equal(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_text_from_python_is_what_its_file_is(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes(FROM_WINDOWS.encode())
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"text": FROM_WINDOWS}), encoding="utf-8")
    forms: list[Any] = [FROM_WINDOWS, [FROM_WINDOWS], [{"text": FROM_WINDOWS}], path, [path], tmp_path / "rows.jsonl"]
    for form in forms:
        found = encoded(form)
        assert bytes(found.read(0, found.num_tokens - 1).tolist()).decode() == AS_READ
        assert (found.num_bytes, found.num_characters) == (len(AS_READ), len(AS_READ))
    model = tiny()
    assert model.evaluate([FROM_WINDOWS]) == model.evaluate(read_texts([path]))
    assert torch.equal(model.embed([FROM_WINDOWS]), model.embed([AS_READ]))


def test_a_run_of_a_file_and_one_of_its_text_are_the_same_run(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes((FROM_WINDOWS * 20).encode())
    new_model().fit(path, steps=2, batch_size=2, out=tmp_path / "file", quiet=True)
    text = path.read_bytes().decode()
    new_model().fit(text, steps=2, batch_size=2, out=tmp_path / "text", quiet=True)
    assert same(tmp_path / "file", tmp_path / "text")
    one, other = (open_data(tmp_path / name / "data").train for name in ("file", "text"))
    assert one.fingerprint == other.fingerprint
    assert [row.source for row in rows_of(one.documents)] == [str(path)]


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        ("one text", ["one text|"]),
        (["a", "b"], ["a|", "b|"]),
        (("a", "b"), ["a|", "b|"]),
        ((text for text in "ab"), ["a|", "b|"]),
        (np.array(["a", "b"]), ["a|", "b|"]),
        ([("a", "b")], ["ab|"]),
        ([("", "b")], ["b|"]),
        ([("a", " ")], ["a |"]),
        (["a", ("b", "c"), {"text": "d", "id": 7}, {"text": ["e", "f"]}], ["a|", "bc|", "d|", "e", "f|"]),
        (["a", "", "  \n", {"text": "\x00"}, "b"], ["a|", "b|"]),
        ([{"text": "names.txt"}], ["names.txt|"]),
        (["no", "names.txt"], ["no|", "names.txt|"]),
    ],
)
def test_what_is_learned_from(examples: Any, expected: list[str]) -> None:
    assert documents(examples) == expected


def test_pairs_in_rows_and_in_files_are_pairs(tmp_path: Path) -> None:
    rows = [{"prompt": prompt, "completion": completion} for prompt, completion in PAIRS]
    path = tmp_path / "pairs.jsonl"
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    wanted = encoded(PAIRS)
    for given in (rows, path, [path]):
        found = encoded(given)
        assert found.read(0, found.num_tokens).tolist() == wanted.read(0, wanted.num_tokens).tolist()
        assert [row.spans for row in rows_of(found.documents)] == [row.spans for row in rows_of(wanted.documents)]
    with pytest.raises(InputError, match=r"the completion is empty; in texts\[0\]"):
        encoded([{"prompt": "one:", "completion": ""}])


def test_files_and_folders_are_read_as_the_command_line_reads_them(tmp_path: Path) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("first")
    (folder / "b.jsonl").write_text('{"body": "second"}\n{"body": "third"}\n')
    (folder / "c.txt").write_bytes(b"caf\xe9")
    assert documents(folder, text_field="body", invalid_utf8="replace")[:3] == ["first|", "second|", "third|"]
    assert documents([folder / "b.jsonl", "x", folder / "a.txt"], text_field="body") == [
        *("second|", "third|", "x|", "first|")
    ]
    with pytest.raises(InputError, match="c.txt is not UTF-8"):
        documents(folder, text_field="body")
    with pytest.raises(InputError, match="there is no file or folder"):
        tiny().fit(tmp_path / "none", quiet=True)
    report = tiny().fit(folder, text_field="body", invalid_utf8="replace", steps=1, quiet=True)
    assert report.tokens > 0


@pytest.mark.parametrize("given", ["texts/notes.txt", "notes.jsonl"])
def test_the_name_of_a_file_is_not_learned_by_mistake(
    given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("some notes")
    with pytest.raises(InputError, match=rf"texts is the text '{given}'.*pathlib\.Path\('{given}'\) reads the file"):
        tiny().fit(given, quiet=True)
    is_there = Path(given).exists()
    if is_there:
        with pytest.raises(InputError, match=r"texts\[0\] is the text"):
            tiny().fit([given, "another"], quiet=True)
    else:
        assert documents([given]) == [f"{given}|"]
    assert documents([{"text": given}]) == [f"{given}|"]


def test_rows_without_the_field_are_told_which_fields_they_have() -> None:
    rows = [{"id": 1, "body": "first"}, {"id": 2, "body": "second"}]
    with pytest.raises(InputError, match=r"texts\[0\] is a row with the fields id, body;.*text_field='body'") as caught:
        tiny().fit(rows, quiet=True)
    assert "\n" not in str(caught.value)
    assert documents(rows, text_field="body") == ["first|", "second|"]
    with pytest.raises(InputError, match=r"'body' is null; in texts\[1\]"):
        documents([rows[0], {"body": None}], text_field="body")


def test_of_a_pair_the_completion_is_learned_with_its_end() -> None:
    found = encoded(["whole", ("Q: 1+1?", " two"), ("", "no prompt")])
    assert found.learned is not None
    is_learned = found.learned.contain(np.arange(found.num_tokens)).tolist()
    assert is_learned == [True] * 6 + [False] * 7 + [True] * 5 + [True] * 10
    batch = make_batches(found, training_of(found, tiny()), 64).batch(0)
    weight = {tuple(pair) for pair in zip(batch.target_ids[0].tolist(), batch.loss_weight[0].tolist(), strict=True)}
    assert (ord(":"), 0.0) in weight
    assert (ord("+"), 0.0) in weight
    assert {(END, 1.0), (ord("t"), 1.0)} <= weight
    assert (END, 0.0) not in weight


def test_a_prompt_has_the_ids_that_it_has_when_it_is_continued() -> None:
    tokenizer = make_tokenizer("bpe:300", lambda: iter(["ask: answer. " * 50]), seed=0)
    shape = {"vocab_size": tokenizer.vocab_size, "context_length": 64, "num_layers": 1, "num_heads": 1}
    model = tw.Model(build(GPTConfig.model_validate(shape | {"hidden_size": 8})), tokenizer)
    prompt, completion = "ask: ", "answer"
    together = tokenizer.encode(prompt + completion)
    apart = tokenizer.encode(prompt) + tokenizer.encode(completion)
    assert together != apart  # the white space would go to the completion
    found = encoded([(prompt, completion)], model)
    assert found.read(0, found.num_tokens).tolist() == [*apart, tokenizer.end_id]


def test_a_model_that_learned_pairs_says_the_completions_and_ends() -> None:
    # Positions that are learned would be those of a text after its end token, one further than a prompt's own.
    model = tw.Model(build(small("qwen3-nano", vocab_size=257, context_length=32, dropout=0.0)), tiny().tokenizer)
    model.fit(PAIRS, steps=120, batch_size=2, learning_rate=0.01, quiet=True)
    said = model.complete([prompt for prompt, _ in PAIRS], temperature=0, engine=EngineConfig(engine="torch"))
    assert [one.text for one in said] == [completion for _, completion in PAIRS]
    assert {one.stop_reason for one in said} == {"eos"}


def test_a_pair_that_is_too_long_is_refused_by_its_number(tmp_path: Path) -> None:
    pairs = [("a", "b"), ("x" * 40, "y")]
    with pytest.raises(InputError, match="^pair 1 has 42 tokens with its end; in texts; expected at most 32"):
        tiny(32).fit(pairs, out=tmp_path / "run", quiet=True)
    with pytest.raises(InputError, match="^pair 1 has 42 tokens with its end; in validation; expected at most 32"):
        tiny(32).fit(pairs[:1], validation=pairs, out=tmp_path / "run", quiet=True)
    with pytest.raises(InputError, match="^pair 1 has no completion; in texts"):
        tiny(32).fit([("a", "b"), ("a", "")], out=tmp_path / "run", quiet=True)
    assert list(tmp_path.iterdir()) == []
    assert len(documents(["x" * 100])) == 1  # a text may be cut


def test_rows_are_long_enough_for_the_longest_pair() -> None:
    model = tiny(512)
    found = encoded([("x" * 300, "y" * 20), "z" * 1000], model)
    assert training_of(found, model).sequence_length == 321
    assert training_of(encoded(["z" * 1000], model), model).sequence_length == 256


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> list[dict[str, torch.Tensor]]:
    """Have evaluations find these losses; the weights of each."""
    seen: list[dict[str, torch.Tensor]] = []

    def evaluate(network: LanguageModel, *_: object) -> dict[str, float]:
        seen.append(weights(network))
        return {"val_loss_nats": losses[len(seen) - 1]}

    monkeypatch.setattr("textwright.api.evaluator.evaluate_tokens", evaluate)
    return seen


@pytest.mark.parametrize("has_run", [False, True])
def test_the_model_is_left_as_it_was_at_its_best(
    has_run: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = scripted(monkeypatch, [2.2, 3.0, 1.0, 2.0, 2.5])
    model, run = tiny(), tmp_path / "run" if has_run else None
    report = model.fit(["abc", "abd"], validation=["abe"], steps=4, out=run, quiet=True)
    assert (report.best_step, report.val_loss_nats) == (2, 1.0)
    assert are_equal(weights(model.network), seen[2])
    assert not are_equal(weights(model.network), seen[4])
    if run is not None:
        assert are_equal(weights(tw.load(run / "model").network), seen[2])


@pytest.mark.parametrize("has_run", [False, True])
def test_what_was_not_made_better_is_left_as_it_began(
    has_run: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripted(monkeypatch, [1.0, 2.0, 3.0])
    model, run = tiny(), tmp_path / "run" if has_run else None
    begun = weights(model.network)
    report = model.fit(["abc", "abd"], validation=["abe"], steps=2, out=run, quiet=True)
    assert (report.best_step, report.val_loss_nats) == (0, 1.0)
    assert are_equal(weights(model.network), begun)
    if run is not None:
        assert are_equal(weights(tw.load(run / "model").network), begun)


def test_without_validation_the_model_is_left_as_it_was_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = scripted(monkeypatch, [])
    report = tiny().fit(["abc", "abd"], steps=2, quiet=True)
    assert (seen, report.best_step, report.best) == ([], None, {})


@pytest.mark.parametrize(
    "validation", ["one text", ["a", "b"], [("a", "b")], [{"text": "abc"}], lambda folder: folder / "val.txt"]
)
def test_validation_takes_what_texts_take(validation: Any, tmp_path: Path) -> None:
    (tmp_path / "val.txt").write_text("some text")
    given = validation(tmp_path) if isinstance(validation, Callable) else validation  # type: ignore[arg-type]
    report = tiny().fit(["abc", "abd"], validation=given, steps=2, quiet=True)
    assert report.val_loss_nats is not None
    assert report.best["val_loss_nats"] <= report.val_loss_nats
    assert ("val_bits_per_byte" in report.best) is (validation != [("a", "b")])


def test_a_run_of_pairs_with_validation_is_whole_and_goes_on_bit_for_bit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fit(out: Path | None) -> tw.Model:
        model = new_model()
        model.fit([*PAIRS, "a text"], validation=[("six:", " six")], steps=6, batch_size=2, out=out, quiet=True)
        return model

    memory, whole = fit(None), fit(tmp_path / "whole")
    assert are_equal(weights(memory.network), weights(whole.network))
    with monkeypatch.context() as patched:
        interrupt_at(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "run")
    result = tw.resume(tmp_path / "run", quiet=True)
    assert same(tmp_path / "run", tmp_path / "whole")
    assert result.report.val_loss_nats is not None
    for name in ("run", "whole"):
        assert [found for found in tw.verify(tmp_path / name) if found.damage] == []
    data = result.data
    assert data.manifest is not None
    assert data.manifest.split == "given"
    assert data.val is not None
    assert [row.spans for row in rows_of(data.train.documents)] == [((4, 8),), ((4, 10),), None]
    assert [row.id for row in rows_of(data.val.documents)] == ["0"]
    (tmp_path / "run" / "data" / "train-00000.arrow").write_bytes(b"other spans")
    assert any(found.damage for found in tw.verify(tmp_path / "run"))


def test_pairs_that_differ_in_what_is_learned_differ_in_their_fingerprint() -> None:
    one, other = encoded([("ab", "c")]), encoded([("a", "bc")])
    assert one.read(0, 4).tolist() == other.read(0, 4).tolist()
    assert one.fingerprint != other.fingerprint


def test_texts_that_hold_nothing_are_said_to_be_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    tiny().fit(["abc", "", " \n"], validation=["abd", ""], steps=1)
    shown = capsys.readouterr().err
    assert "texts: 2 without any text left out" in shown
    assert "validation: 1 without any text left out" in shown


def test_files_to_validate_on_are_not_learned_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("a", "b", "val"):
        (tmp_path / f"{name}.txt").write_text(f"the text of {name}")
    model, val = tiny(), tmp_path / "val.txt"
    model.fit(tmp_path, validation=val, steps=1, out=tmp_path / "run")
    assert "texts: val.txt left out: validated on" in capsys.readouterr().err
    data = open_data(tmp_path / "run" / "data")
    assert data.val is not None
    assert (data.train.num_documents, data.val.num_documents) == (2, 1)
    model.fit(["abc", val], validation=[val], steps=1, quiet=True)
    with pytest.raises(InputError, match="no text is left to train on"):
        model.fit([val], validation=tmp_path, steps=1, quiet=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"validation": []}, "no text to validate on"),
        ({"validation": ["", " "]}, "no text to validate on"),
        ({"epochs": 0}, "epochs = 0; in the arguments of fit; expected greater than 0"),
        ({"epochs": -1}, "epochs = -1"),
        ({"epochs": float("nan")}, "epochs = nan"),
        ({"epochs": float("inf")}, "epochs = inf"),
        ({"steps": 0}, "steps = 0"),
        ({"seed": -1}, "seed = -1"),
        ({"invalid_utf8": "ignore"}, "invalid_utf8 = 'ignore'.*expected 'error' or 'replace'"),
    ],
)
def test_values_that_cannot_be_are_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        tiny().fit(["abc"], quiet=True, **options)
    assert "\n" not in str(caught.value)
