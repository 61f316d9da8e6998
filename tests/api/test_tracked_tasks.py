"""Tasks while a model trains: their figures come into the journal, choose the best model, and change nothing else."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

import textwright as tw
from tests.api.test_runs_stay_resumable import interrupt_at, new_model, same
from textwright.core.errors import InputError
from textwright.core.journal import read_rows
from textwright.data.fill_in_middle import FillInMiddle
from textwright.data.prompt_format import PromptFormat
from textwright.engines.cpu.kernels import are_compiled
from textwright.evaluation import tracked_tasks
from textwright.evaluation.tracked_tasks import TrackedTasks, read_task_examples
from textwright.models.catalog import build
from textwright.models.language_model import as_language_model
from textwright.models.presets import preset
from textwright.tokens.extended import extend_tokenizer
from textwright.tokens.make import make_tokenizer
from textwright.training.callbacks import Evaluation

WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight")
SAY = """
fields = ["text"]
prompt = "{text}\\nAgain:"
completion = " {text}"
metrics = ["edit_distance", "bleu", "length"]
max_new_tokens = 4
"""
CHOOSE = """
fields = ["text", "label"]
prompt = "{text}\\nIt is"
completion = " {label}"
options = ["good", "bad"]
metrics = ["accuracy"]
"""
SCORE = "choose.accuracy"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A text, two tasks that TOML files describe, and rows of both."""
    (tmp_path / "text.txt").write_text("The cat sat on the mat. The dog sat on the log.\n" * 40)
    (tmp_path / "say.toml").write_text(SAY)
    (tmp_path / "choose.toml").write_text(CHOOSE)
    write_rows(tmp_path / "rows.jsonl", WORDS)
    return tmp_path


def write_rows(path: Path, words: tuple[str, ...]) -> None:
    labels = ("good", "bad")
    path.write_text("".join(json.dumps({"text": word, "label": labels[n % 2]}) + "\n" for n, word in enumerate(words)))


def tasks_in(folder: Path, *names: str) -> dict[str, Path]:
    return {str(folder / f"{name}.toml"): folder / "rows.jsonl" for name in names}


def config(folder: Path, *names: str, **training: Any) -> tw.RunConfig:
    how = {"steps": 6, "batch_size": 2, "precision": "float32", "compile": False, "threads": 1}
    how |= {"evaluate_every": 2, "sample_every": 100}
    return tw.RunConfig(
        data=(folder / "text.txt",),
        tokenizer="byte",
        tasks=tasks_in(folder, *names),
        model=tw.ModelOptions(preset="nano", context_length=32, dropout=0.1),
        training=tw.TrainConfig(**how | training),
    )


def journal(run: Path, kind: str) -> list[dict[str, Any]]:
    return [row for row in read_rows(run / "journal.jsonl") if row["kind"] == kind]


def scripted(monkeypatch: pytest.MonkeyPatch, values: list[float | None], name: str = SCORE) -> None:
    """Have evaluations find these figures; None is one without a meaning."""
    left = iter(values)

    def find(*_: object) -> dict[str, float]:
        value = next(left)
        return {} if value is None else {name: value}

    monkeypatch.setattr(TrackedTasks, "values", find)


def test_training_is_the_same_to_the_bit_with_tasks_and_without(folder: Path) -> None:
    generator = torch.random.get_rng_state()
    plain = tw.train(config(folder), folder / "plain", quiet=True)
    tracked = tw.train(config(folder, "say", "choose"), folder / "tracked", quiet=True)
    assert torch.equal(torch.random.get_rng_state(), generator)
    one, other = ([row["loss_nats"] for row in journal(run, "train")] for run in (plain.run, tracked.run))
    assert one == other
    assert same(plain.run, tracked.run)
    rows = journal(tracked.run, "val")
    assert [row["step"] for row in rows] == [2, 4, 6]
    wanted = {"say.edit_distance", "say.length", SCORE}
    assert all(wanted <= row.keys() for row in rows)
    assert all(value == value for row in rows for value in row.values())  # what has no meaning is left out
    assert all(row["val_loss_nats"] > 0 for row in rows)


def test_a_figure_is_what_evaluate_finds_for_the_same_model(folder: Path) -> None:
    run = tw.train(config(folder, "say", "choose", evaluate_every=6, task_examples=5), folder / "run", quiet=True).run
    (row,) = journal(run, "val")
    model, engine = tw.load(run / "model", device="cpu"), tw.EngineConfig(engine="torch", precision="float32")
    for name in ("say", "choose"):
        options: dict[str, Any] = {"limit": 5, "engine": engine, "quiet": True}
        data = folder / "rows.jsonl"
        report = tw.evaluate_task(model, folder / f"{name}.toml", data, out=folder / name, **options)
        assert report.num_examples == 5
        found = {f"{name}.{figure}": one.value for figure, one in report.figures.items() if one.value == one.value}
        assert {key: value for key, value in row.items() if key.startswith(f"{name}.")} == pytest.approx(found)


@pytest.mark.parametrize("knows", [True, False])
def test_a_model_with_sentinels_of_its_own_is_told_what_stands_after(knows: bool, tmp_path: Path) -> None:
    names = {"prefix": "<before>", "suffix": "<after>", "middle": "<here>"}
    tokenizer = extend_tokenizer(make_tokenizer("byte", lambda: iter(())), list(names.values()), special=True)
    network = build(preset("nano", vocab_size=tokenizer.vocab_size, context_length=256))
    (tmp_path / "code.py").write_text("".join(f"x{number} = {number} + 1\n" for number in range(8)))
    (read,) = read_task_examples({"line_infilling": (tmp_path / "code.py",)}, None)
    known = PromptFormat(fim=FillInMiddle(**names)) if knows else None
    (placed,) = TrackedTasks([read], as_language_model(network), tokenizer, known).tasks[0].examples
    assert (placed.suffix is not None) is knows
    assert set(tokenizer.encode("".join(names.values()), special_tokens=True)).issubset(placed.prompt_ids) is knows


@pytest.mark.skipif(not are_compiled(), reason="the kernels are not compiled: training decodes without them then")
def test_kernels_made_of_todays_weights_find_what_torch_finds(folder: Path) -> None:
    model = new_model()
    found = []
    read = read_task_examples({name: (path,) for name, path in tasks_in(folder, "say", "choose").items()}, None)
    tasks = TrackedTasks(read, model.network, model.tokenizer)
    for has_kernels in (True, False):
        tasks._has_kernels = has_kernels
        found.append(tasks.values(model.network.eval(), None))
        with torch.no_grad():
            for parameter in model.network.parameters():
                parameter.mul_(1.0)  # in place, as an optimizer's
    assert found[0] == pytest.approx(found[1])


def test_the_best_model_is_chosen_by_a_figure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [None, 0.2, 0.5, 0.5, 0.4, 0.3])
    done = tw.train(config(folder, "choose", evaluate_every=1, best_by=SCORE), folder / "run", quiet=True)
    assert (done.report.best_step, done.report.best[SCORE]) == (3, 0.5)
    assert done.report.val_loss_nats is not None
    assert 'best_by = "choose.accuracy"' in (done.run / "config.toml").read_text()


def test_less_is_better_where_the_metric_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "say.edit_distance"
    scripted(monkeypatch, [0.9, 0.4, 0.8, 0.6, 0.5, 0.4], name)
    done = tw.train(config(folder, "say", evaluate_every=1, best_by=name), folder / "run", quiet=True)
    assert done.report.best_step == 2


def test_early_stopping_goes_by_the_figure(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, [None, None, 0.4, 0.3, 0.2])
    how = config(folder, "choose", evaluate_every=1, best_by=SCORE, early_stopping_patience=2)
    report = tw.train(how, folder / "run", quiet=True).report
    # While it has no meaning there is nothing to be better than, and nothing ends.
    assert (report.end_reason, report.steps, report.best_step) == ("patience", 5, 3)


def test_an_evaluation_without_the_figure_is_no_better_one() -> None:
    assert Evaluation({"a": 1.0}, "a").is_better_than({})
    assert not Evaluation({"b": 1.0}, "a").is_better_than({})
    assert not Evaluation({"b": 1.0}, "a").is_better_than({"a": 2.0})
    assert Evaluation({"a": 1.0}, "a").is_better_than({"b": 0.5})


@pytest.mark.parametrize(
    ("names", "best_by", "message"),
    [
        (["choose"], "choose.acuracy", r"unknown figure 'choose.acuracy'.*did you mean 'choose.accuracy'"),
        (["say"], "say.length", r"best_by = 'say.length', of which neither more nor less is better.*say.edit_distance"),
        ([], SCORE, r"unknown figure 'choose.accuracy'; expected one of val_loss_nats"),
    ],
)
def test_what_does_not_tell_a_best_model_is_one_line_and_leaves_nothing(
    folder: Path, names: list[str], best_by: str, message: str
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        tw.train(config(folder, *names, best_by=best_by), folder / "run", quiet=True)
    assert "\n" not in str(caught.value)
    assert not (folder / "run").exists()


def test_without_validation_the_first_figure_of_the_first_task_tells(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = new_model()
    scripted(monkeypatch, [0.1, 0.2, 0.6, 0.4])
    report = model.fit(["abc", "abd"], steps=3, tasks=tasks_in(folder, "choose", "say"), out=folder / "run")
    assert (report.best_step, report.val_loss_nats) == (2, None)
    assert [row[SCORE] for row in journal(folder / "run", "val")] == [0.1, 0.2, 0.6, 0.4]
    shown = capsys.readouterr().err
    assert "the best model is the one with the highest choose.accuracy" in shown
    assert "step 2: choose.accuracy 0.6000, time left" in shown


def test_fit_puts_the_model_to_tasks_and_leaves_it_as_it_is_without(folder: Path) -> None:
    one, other = new_model(), new_model()
    one.fit(["abc", "abd"], validation=["abe"], steps=4, quiet=True)
    report = other.fit(["abc", "abd"], validation=["abe"], steps=4, tasks=tasks_in(folder, "say"), quiet=True)
    ids = [one.tokenizer.encode("ab")]
    assert torch.equal(one.logits(ids), other.logits(ids))
    assert not other.network.training
    assert "say.edit_distance" in report.best


@pytest.fixture
def begun(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run whose best model a task tells, interrupted in its third step and given relative paths; and a whole one."""
    monkeypatch.chdir(folder)
    tasks = {"choose.toml": ["rows.jsonl"]}
    how = config(folder, evaluate_every=1, best_by=SCORE, checkpoint_every=1).model_dump()
    tw.train(tw.RunConfig(**how | {"tasks": tasks}), folder / "whole", quiet=True)
    with monkeypatch.context() as patched:
        interrupt_at(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            tw.train(tw.RunConfig(**how | {"tasks": tasks}), folder / "run", quiet=True)
    return folder / "run"


def test_a_run_goes_on_with_its_tasks_from_anywhere(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    tw.resume(begun, quiet=True)
    whole = begun.parent / "whole"
    assert same(begun, whole)
    scores = [[(row["step"], row[SCORE]) for row in journal(run, "val")] for run in (begun, whole)]
    assert scores[0] == scores[1]
    assert [step for step, _ in scores[0]] == [1, 2, 3, 4, 5, 6]


def test_other_examples_are_refused_where_they_tell_the_best_model(begun: Path) -> None:
    write_rows(begun.parent / "rows.jsonl", WORDS[::-1])
    with pytest.raises(InputError, match="the data is not what this run was begun with.*--accept-changed-data"):
        tw.resume(begun, quiet=True)
    with pytest.raises(InputError, match="another task_examples for a run whose best model choose.accuracy tells"):
        tw.resume(begun, changes={"task_examples": 3}, quiet=True)
    assert tw.resume(begun, accepts_changed_data=True, quiet=True).report.steps == 6


def test_other_examples_are_no_other_run_where_they_are_only_looked_at(folder: Path) -> None:
    run = tw.train(config(folder, "choose", steps=4), folder / "run", quiet=True).run
    write_rows(folder / "rows.jsonl", WORDS[:4])
    assert tw.resume(run, steps=6, changes={"task_examples": 3}, quiet=True).report.steps == 6
    assert all(SCORE in row for row in journal(run, "val"))


def test_a_fit_goes_on_with_its_tasks(folder: Path) -> None:
    def fit(out: Path) -> None:
        new_model().fit(["abc", "abd"], steps=4, batch_size=2, tasks=tasks_in(folder, "choose"), out=out, quiet=True)

    fit(folder / "whole")
    shutil.copytree(folder / "whole", folder / "run")
    for part in ("checkpoints", "model", "best"):
        shutil.rmtree(folder / "run" / part)
    tw.resume(folder / "run", quiet=True)
    assert same(folder / "run", folder / "whole")
    assert journal(folder / "run", "val")[-1][SCORE] == journal(folder / "whole", "val")[-1][SCORE]


def test_examples_longer_than_the_context_are_left_out_and_counted(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_rows(folder / "rows.jsonl", (*WORDS, "x" * 40))
    tw.train(config(folder, "choose", steps=1), folder / "run")
    assert "task choose: 8 examples; 1 left out: longer than the context" in capsys.readouterr().err
    write_rows(folder / "rows.jsonl", ("x" * 40,))
    with pytest.raises(InputError, match="no example of choose that the model can see whole: a prompt of 46 tokens"):
        tw.train(config(folder, "choose"), folder / "new", quiet=True)
    assert not (folder / "new").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"prompt = ": "prompt = 3 #"}, "prompt = 3"),
        ({'"length"]': '"lenth"]'}, "unknown metric 'lenth'.*did you mean 'length'"),
        ({'["edit_distance", "bleu", "length"]': '["fluency=M", "copy_rate=T"]'}, "the metrics of say need files"),
    ],
)
def test_a_task_that_cannot_be_is_found_out_before_any_work(
    folder: Path, changes: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("textwright.api.runs.prepare_data", lambda *_, **__: pytest.fail("text was prepared"))
    for old, new in changes.items():
        assert old in SAY
        (folder / "say.toml").write_text(SAY.replace(old, new))
    with pytest.raises(InputError, match=message):
        tw.train(config(folder, "say"), folder / "run", quiet=True)
    assert not (folder / "run").exists()


def test_metrics_that_read_files_are_left_out_and_said_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "say.toml").write_text(SAY.replace('"bleu"', '"copy_rate=text.txt"'))
    run = tw.train(config(folder, "say", steps=1), folder / "run").run
    assert "without copy_rate=text.txt" in capsys.readouterr().err
    assert "say.copy_rate" not in journal(run, "val")[0]


def test_programs_are_not_run_unattended_where_nothing_holds_them_in(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracked_tasks, "why_not_isolated", lambda: "no bubblewrap")
    with pytest.raises(
        InputError, match=r"cannot be held in here: no bubblewrap.*evaluate MODEL --task code_comp"
    ) as told:
        new_model().fit(["abc"], tasks={"code_completion": folder / "rows.jsonl"}, quiet=True)
    assert "\n" not in str(told.value)


def test_what_the_metrics_cannot_judge_is_found_out_before_the_first_step(folder: Path) -> None:
    (folder / "say.toml").write_text(SAY.replace('"length"]', '"calibration_error"]'))
    model = new_model()
    before = {name: value.clone() for name, value in model.network.state_dict().items()}
    with pytest.raises(InputError, match="no 'probabilities'; in example 1 of say"):
        model.fit(["abc"], tasks=tasks_in(folder, "say"), quiet=True)
    assert all(torch.equal(value, before[name]) for name, value in model.network.state_dict().items())


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        ({"clasification": "rows.jsonl"}, "unknown task 'clasification'.*did you mean 'classification'"),
        ({"classification": []}, "expected a path, or a list of paths, for classification"),
        ({"classification": "nowhere.tsv"}, "there is no file or folder nowhere.tsv|nowhere.tsv"),
    ],
)
def test_tasks_that_cannot_be_are_one_line(tasks: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        new_model().fit(["abc"], tasks=tasks, quiet=True)
    assert "\n" not in str(caught.value)


def test_a_number_of_examples_without_tasks_has_no_effect_and_is_refused() -> None:
    with pytest.raises(InputError, match="a number of task examples without tasks"):
        new_model().fit(["abc"], task_examples=3, quiet=True)


@pytest.fixture
def timed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int | None, float]]:
    """``timed(each_s, given, max_s)``: how many of 50 examples an evaluation takes where each takes so long."""
    write_rows(folder / "rows.jsonl", WORDS * 7)
    model = new_model()
    (name, path), *_ = tasks_in(folder, "choose").items()
    tasks = TrackedTasks(read_task_examples({name: (path,)}, None), model.network, model.tokenizer)
    asked: list[int] = []

    def find(each_s: float, given: int | None, max_s: float | None) -> tuple[int | None, float]:
        asked.clear()
        monkeypatch.setattr(tasks, "_seconds", lambda _, number: asked.append(number) or each_s * number)
        timing = tasks.time(model.network, given, max_s)
        # Finding out takes no more than two evaluations may, but for the first examples.
        assert sum(asked[1:]) * each_s <= 2 * (max_s or 0.0)
        return timing.num_examples, timing.seconds

    return find


def test_tasks_take_their_share_of_the_minutes(timed: Callable[..., tuple[int | None, float]]) -> None:
    assert timed(0.01, None, 2.0) == (200, pytest.approx(0.56))  # all 56 there are; the file may grow
    assert timed(0.1, None, 3.0) == (30, pytest.approx(3.0))
    assert timed(1.0, None, 3.0) == (20, pytest.approx(20.0))
    assert timed(1.0, 40, 3.0) == (40, pytest.approx(40.0))
    assert timed(1.0, None, None) == (200, 0.0)
    assert timed(1.0, 7, None) == (7, 0.0)


def test_a_run_of_minutes_holds_how_many_examples_it_takes(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracked_tasks, "MIN_TASK_EXAMPLES", 3)
    monkeypatch.setattr(TrackedTasks, "_seconds", lambda *_: 60.0)
    how = config(folder, "choose", steps=None, minutes=1 / 60, evaluate_every=None)
    run = tw.train(how, folder / "run").run
    assert "an evaluation takes 3 examples of each task at most" in capsys.readouterr().err
    assert "task_examples = 3" in (run / "config.toml").read_text()
