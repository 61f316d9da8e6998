"""A model put to a task: what it says is kept as it comes, judged, and gone on with where it was stopped."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, ClassVar

import pytest

from tests.data.sentinels import with_sentinels
from textwright.api.model import Model
from textwright.api.task_evaluation import evaluate_task
from textwright.core.errors import InputError
from textwright.data.prompt_format import PromptFormat
from textwright.evaluation.evaluation_folder import PREDICTIONS, NotEndedError, read_evaluation
from textwright.evaluation.predict import LongerThanContextError, Placed, Predictor, probabilities
from textwright.evaluation.report import example_card
from textwright.evaluation.sandbox import why_not_isolated
from textwright.evaluation.task_sampling import sampling_of
from textwright.generation.request import SamplingConfig
from textwright.generation.scoring import ScoredText, score
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.tasks.base import Answer, Example, Task


class Writing(Task):
    """A line is to be said again."""

    name = "say_again"
    summary = "say a line again"
    metrics = ("edit_distance",)
    max_new_tokens = 6
    lines: ClassVar[list[str]] = []

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        for number, line in enumerate(paths[0].read_text().splitlines()):
            yield Example(f"{line}\nAgain:", f" {line}", (line,), id=f"line {number}", document=line[:1])


class Choosing(Writing):
    """A line is good or bad."""

    name = "choose"
    summary = "choose"
    metrics = ("accuracy", "calibration_error")
    options = (" good", " bad")

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        for line in paths[0].read_text().splitlines():
            yield Example(f"{line}\nIt is", self.options[0], (self.options[0].strip(),), options=self.options)


class Programs(Task):
    """Whatever is written, a function is to come of it."""

    name = "programs"
    summary = "write a program"
    metrics = ("pass@k",)
    max_new_tokens = 3
    runs_code = True

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        for answer in paths[0].read_text().splitlines():
            details = {"before": "def f():\n    return ", "after": "\n", "tests": "assert f() == 3\n", "said": answer}
            yield Example("f\n", " 3", ("3",), details=details)

    def read_answer(self, text: str, example: Example) -> Answer:
        return Answer(str(example.details["said"]))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"{word}\n" for word in ("one", "two", "three", "four", "five")))
    return path


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / PREDICTIONS).read_text().splitlines()]


def test_each_example_has_the_text_that_the_model_writes_alone(nano: Model, data: Path, tmp_path: Path) -> None:
    report = evaluate_task(nano, Writing(), data, out=tmp_path / "out", quiet=True)
    rows = sorted(rows_of(tmp_path / "out"), key=lambda row: row["place"])
    assert [row["id"] for row in rows] == [f"line {number}" for number in range(5)]
    for row in rows:
        (alone,) = nano.complete([row["prompt"]], max_new_tokens=6, temperature=0, stop=("\n",))
        assert (row["text"], row["prediction"]) == (alone.text, alone.text.strip())
        assert (row["num_tokens"], row["references"]) == (alone.num_tokens, [row["prompt"].split("\n")[0]])
        assert row["text_logprob"] == pytest.approx(alone.logprob, abs=1e-3)
    figure = report.figures["edit_distance"]
    assert report.num_examples == figure.num_examples == 5
    assert figure.low is not None
    assert figure.low <= figure.value <= 1


def test_examples_with_one_prompt_have_texts_of_their_own(nano: Model, tmp_path: Path) -> None:
    lines = tmp_path / "lines.txt"
    lines.write_text("the same\n" * 8)
    found = list[list[str]]()
    for name in ("one", "other"):
        evaluate_task(nano, Writing(), lines, out=tmp_path / name, quiet=True, temperature=1.0, seed=3)
        found.append([row["text"] for row in sorted(rows_of(tmp_path / name), key=lambda row: row["place"])])
    assert len(set(found[0])) > 4
    assert found[0] == found[1]


def test_one_that_was_stopped_goes_on_and_says_the_same(nano: Model, data: Path, tmp_path: Path) -> None:
    whole = evaluate_task(nano, Writing(), data, out=tmp_path / "whole", quiet=True, temperature=0.9, seed=3)
    part = tmp_path / "part"
    evaluate_task(nano, Writing(), data, out=part, quiet=True, limit=2, temperature=0.9, seed=3)
    path = part / PREDICTIONS
    path.write_text(path.read_text() + '{"id": "line 2", "pla')  # killed while it wrote
    written = list[int]()
    task = Writing()
    read = task.read_answer
    task.read_answer = lambda text, example: written.append(1) or read(text, example)  # type: ignore[method-assign,func-returns-value,assignment]
    again = evaluate_task(nano, task, data, out=part, quiet=True, temperature=0.9, seed=3)
    assert len(written) == 3
    assert sorted(rows_of(part), key=lambda row: row["place"]) == sorted(
        rows_of(tmp_path / "whole"), key=lambda row: row["place"]
    )
    assert again.figures == whole.figures


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 4}, "another sampling"),
        ({"max_new_tokens": 3}, "another sampling"),
        ({"task": Choosing()}, "another sampling and another task|another task"),
    ],
)
def test_a_folder_of_another_evaluation_is_left_as_it_is(
    nano: Model, data: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    evaluate_task(nano, Writing(), data, out=tmp_path / "out", quiet=True)
    before = (tmp_path / "out" / PREDICTIONS).read_bytes()
    task = change.pop("task", Writing())
    with pytest.raises(InputError, match=said):
        evaluate_task(nano, task, data, out=tmp_path / "out", quiet=True, **change)
    other = Model(build(preset("nano", vocab_size=nano.network.vocab_size), seed=5).eval(), nano.tokenizer)
    with pytest.raises(InputError, match="another model"):
        evaluate_task(other, Writing(), data, out=tmp_path / "out", quiet=True)
    assert (tmp_path / "out" / PREDICTIONS).read_bytes() == before


def test_a_task_that_was_changed_does_not_go_on_with_its_old_answers(nano: Model, data: Path, tmp_path: Path) -> None:
    described = tmp_path / "again.toml"
    text = 'fields = ["text"]\nprompt = "{text}\\nAgain:"\ncompletion = " {text}"\nmetrics = ["edit_distance"]\n'
    text += "max_new_tokens = 4\n"
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"text": "one"}\n{"text": "two"}\n')
    described.write_text(text)
    evaluate_task(nano, described, rows, out=tmp_path / "out", quiet=True)
    described.write_text(text.replace("Again:", "Once more:"))
    with pytest.raises(InputError, match="another prompt or reference of"):
        evaluate_task(nano, described, rows, out=tmp_path / "out", quiet=True)


def test_a_folder_with_other_things_is_not_written_to(nano: Model, data: Path, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    with pytest.raises(InputError, match="holds other files"):
        evaluate_task(nano, Writing(), data, out=tmp_path / "full", quiet=True)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine.txt"]


def test_the_likeliest_option_is_chosen(nano: Model, data: Path, tmp_path: Path) -> None:
    report = evaluate_task(nano, Choosing(), data, out=tmp_path / "out", quiet=True)
    encode = nano.tokenizer.encode
    for row in rows_of(tmp_path / "out"):
        given = encode(row["prompt"])
        texts = [ScoredText([*given, *encode(option)], len(given)) for option in Choosing.options]
        expected = [float(one.logprobs.sum()) for one in score(nano.network, texts)]
        assert row["prediction"] == ("good" if expected[0] > expected[1] else "bad")
        assert row["probabilities"]["good"] == pytest.approx(probabilities(expected)[0], abs=1e-4)
        assert sum(row["probabilities"].values()) == pytest.approx(1)
    assert report.figures["accuracy"].value in {share / 5 for share in range(6)}
    assert report.num_tokens == 0


@pytest.mark.parametrize("options", [(" card", " card arrival"), (" same", " same")])
def test_an_option_that_begins_another_is_refused(
    nano: Model, data: Path, tmp_path: Path, options: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Choosing, "options", options)
    with pytest.raises(InputError, match=r"the option '\w+' (is the beginning of|comes twice).*example 1"):
        evaluate_task(nano, Choosing(), data, out=tmp_path / "out", quiet=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("task", [Writing, Choosing])
def test_an_example_longer_than_the_context_is_refused_or_left_out(
    nano: Model, data: Path, tmp_path: Path, task: Callable[[], Task]
) -> None:
    data.write_text(data.read_text() + "x" * 100 + "\n")
    with pytest.raises(InputError, match=r"together at most 65.*example 6|example 6.*together at most 65") as caught:
        evaluate_task(nano, task(), data, out=tmp_path / "out", quiet=True)
    assert "--skip-long" in str(caught.value)
    assert not (tmp_path / "out").exists()
    report = evaluate_task(nano, task(), data, out=tmp_path / "out", quiet=True, skip_long=True)
    assert (report.num_examples, report.num_skipped) == (5, 1)
    data.write_text("x" * 100 + "\n")
    with pytest.raises(InputError, match="no example that the model can see whole"):
        evaluate_task(nano, task(), data, out=tmp_path / "other", quiet=True, skip_long=True)


def test_all_that_fits_is_seen_whole(nano: Model, tmp_path: Path) -> None:
    context = nano.network.context_length
    config = SamplingConfig(**sampling_of(Writing(), {}))
    predictor = Predictor(nano.network, nano.tokenizer, Writing(), config)
    longest = Example("x" * (context + 1 - config.max_new_tokens))
    (row,) = predictor.rows([Placed(0, longest)])
    (alone,) = nano.complete([longest.prompt], max_new_tokens=6, temperature=0, stop=("\n",))
    assert row["text"] == alone.text
    assert not alone.context_shifted
    message = f"together at most {context + 1}: the model sees {context}, and never the last one"
    with pytest.raises(InputError, match=message):
        predictor.encoded(Placed(0, Example(longest.prompt + "x")))


class FillingIn(Writing):
    """A word is missing between two others."""

    def examples(self, paths: Sequence[Path]) -> Iterator[Example]:
        for number, line in enumerate(paths[0].read_text().splitlines()):
            sides = (f"{line} is", f" as {line} was")
            yield Example(f"{line}:", " good", ("good",), id=f"line {number}", prefix_suffix=sides)


def test_a_model_that_fills_in_is_told_what_stands_after_the_answer(nano: Model, data: Path, tmp_path: Path) -> None:
    tokenizer = with_sentinels(nano.tokenizer)
    shape = preset("nano", vocab_size=tokenizer.vocab_size, context_length=64)
    filling = Model(build(shape, seed=1).eval(), tokenizer)
    evaluate_task(filling, FillingIn(), data, out=tmp_path / "filling", quiet=True)
    evaluate_task(nano, FillingIn(), data, out=tmp_path / "going-on", quiet=True)
    how = {"max_new_tokens": 6, "temperature": 0, "stop": ("\n",)}
    for row in rows_of(tmp_path / "filling"):
        word = row["prompt"].partition(" ")[0]
        assert (row["prompt"], row["suffix"]) == (f"{word} is", f" as {word} was")
        assert row["text"] == filling.generate(row["prompt"], suffix=row["suffix"], **how)
        assert f"as {word} was" in example_card(row, "")
    for row in rows_of(tmp_path / "going-on"):
        assert row["prompt"].endswith(":")
        assert "suffix" not in row
        assert row["text"] == nano.generate(row["prompt"], **how)


def test_a_suffix_counts_among_what_the_model_must_see(nano: Model, tmp_path: Path) -> None:
    tokenizer, config = with_sentinels(nano.tokenizer), SamplingConfig(**sampling_of(Writing(), {}))
    predictor = Predictor(nano.network, tokenizer, Writing(), config, prompt_format=PromptFormat())
    beside = len(tokenizer.before_text) + 3 + config.max_new_tokens
    for room, fits in (
        (nano.network.context_length + 1 - beside, True),
        (nano.network.context_length + 2 - beside, False),
    ):
        example = Example("x", prefix_suffix=("x" * 5, "y" * (room - 5)))
        with nullcontext() if fits else pytest.raises(LongerThanContextError, match="a prompt of"):
            predictor.encoded(Placed(0, example))


@pytest.mark.parametrize("task", [Writing, Choosing])
def test_nothing_is_made_into_tokens_twice(
    nano: Model, data: Path, tmp_path: Path, task: Callable[[], Task], monkeypatch: pytest.MonkeyPatch
) -> None:
    encode, encoded = type(nano.tokenizer).encode, list[str]()
    monkeypatch.setattr(
        type(nano.tokenizer),
        "encode",
        lambda self, text, **named: encoded.append(text) or encode(self, text, **named),
    )
    evaluate_task(nano, task(), data, out=tmp_path / "out", quiet=True)
    asked = [row["prompt"] for row in rows_of(tmp_path / "out")]
    options = list(Choosing.options) if task is Choosing else []
    assert sorted(encoded) == sorted([*asked, *options])


def test_more_examples_than_go_at_once(nano: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textwright.evaluation.predict.REQUESTS_AT_ONCE", 3)
    monkeypatch.setattr("textwright.evaluation.predict.OPTIONS_AT_ONCE", 3)
    path = tmp_path / "many.txt"
    path.write_text("".join(f"line {number}\n" for number in range(10)))
    for task in (Writing(), Choosing()):
        evaluate_task(nano, task, path, out=tmp_path / task.name, quiet=True)
        assert sorted(row["place"] for row in rows_of(tmp_path / task.name)) == list(range(10))


def test_several_texts_of_an_example_are_all_kept(nano: Model, data: Path, tmp_path: Path) -> None:
    evaluate_task(nano, Writing(), data, out=tmp_path / "out", quiet=True, n=3, temperature=1.0)
    assert all(len(row["predictions"]) == 3 for row in rows_of(tmp_path / "out"))


@pytest.mark.skipif(why_not_isolated() is not None, reason=f"no isolation here: {why_not_isolated()}")
def test_programs_are_run_and_what_passed_counts(nano: Model, tmp_path: Path) -> None:
    path = tmp_path / "answers.txt"
    path.write_text("3\n4\n1 + 2\n)\n")
    report = evaluate_task(nano, Programs(), path, out=tmp_path / "out", quiet=True)
    assert report.figures["pass@1"].value == 0.5
    rows = sorted(rows_of(tmp_path / "out"), key=lambda row: row["place"])
    assert [row["passed"] for row in rows] == [[True], [False], [True], [False]]


def test_programs_are_not_run_where_nothing_holds_them_in(
    nano: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textwright.evaluation.sandbox.why_not_isolated", lambda: "no bubblewrap")
    path = tmp_path / "answers.txt"
    path.write_text("3\n")
    with pytest.raises(InputError, match="--trust-code"):
        evaluate_task(nano, Programs(), path, out=tmp_path / "out", quiet=True)
    report = evaluate_task(nano, Programs(), path, out=tmp_path / "out", quiet=True, trust_code=True)
    assert report.figures["pass@1"].value == 1


def test_an_unknown_task_or_metric_is_one_line_before_anything_is_done(nano: Model, data: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown task 'clasification'.*did you mean 'classification'"):
        evaluate_task(nano, "clasification", data, out=tmp_path / "out", quiet=True)
    with pytest.raises(InputError, match="unknown metric 'blue'.*did you mean 'bleu'"):
        evaluate_task(nano, Writing(), data, out=tmp_path / "out", metrics=["blue"], quiet=True)
    assert not (tmp_path / "out").exists()


def test_a_smaller_limit_judges_fewer_and_says_how_many_are_kept(nano: Model, data: Path, tmp_path: Path) -> None:
    evaluate_task(nano, Writing(), data, out=tmp_path / "out", quiet=True)
    fewer = evaluate_task(nano, Writing(), data, out=tmp_path / "out", quiet=True, limit=2)
    assert (fewer.num_examples, fewer.num_predictions) == (2, 5)
    assert {name: fewer.as_json()[name] for name in ("num_examples", "num_predictions")} == {
        "num_examples": 2,
        "num_predictions": 5,
    }
    page = fewer.page.read_text(encoding="utf-8")
    assert "2 examples judged, of the first 2" in page
    assert "predictions.jsonl keeps 3 predictions more, of a call with a larger limit: not judged here." in page


def test_a_metric_that_asks_for_more_than_there_is_ends_it_with_the_first_prediction(
    nano: Model, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(InputError, match="no 'passed'"):
        evaluate_task(nano, Writing(), data, out=out, quiet=True, metrics=["pass@k"])
    assert rows_of(out) == []
    assert evaluate_task(nano, Writing(), data, out=out, quiet=True).num_examples == 5


def test_one_that_goes_on_with_a_larger_limit_has_no_figures_until_it_ends(
    nano: Model, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate_task(nano, Writing(), data, out=out, quiet=True, limit=2)
    task, written = Writing(), list[int]()
    read = task.read_answer

    def killed(text: str, example: Example) -> Answer:
        written.append(1)
        if len(written) > 1:
            raise KeyboardInterrupt
        return read(text, example)

    task.read_answer = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        evaluate_task(nano, task, data, out=out, quiet=True)
    with pytest.raises(NotEndedError, match="has not ended"):
        read_evaluation(out)
    assert evaluate_task(nano, Writing(), data, out=out, quiet=True).num_examples == 5
    assert len(read_evaluation(out).rows) == 5


def test_every_metric_of_every_task_is_in_the_table() -> None:
    from textwright.evaluation.metrics.catalog import METRICS
    from textwright.tasks.catalog import TASKS, find_task

    assert {name for task in TASKS for name in find_task(task).metrics} <= set(METRICS)
