"""A model card says what the model is, as Hugging Face reads it, whatever is in the names of things."""

import re
from pathlib import Path
from typing import Any

import pytest

from textwright.api import load
from textwright.api.model import Model
from textwright.checkpoint.model_card import MARK
from textwright.data.manifest import DataManifest, ShardInfo, SplitInfo
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.runs.model_card import CardFacts, Evaluated, card_of, scripts_in, yaml_text
from textwright.runs.record import RunRecord
from textwright.tokens import make_tokenizer

NASTY = 'a "b": [c] \\ #d\n- e |'


def figure(value: float | None, **more: Any) -> dict[str, Any]:
    return {"value": value, "low": 0.4, "high": 0.6, "n": 50, "why_no_interval": "", "signature": "s"} | more


def card(name: str = NASTY, task: str = NASTY) -> str:
    split = SplitInfo.of([ShardInfo("val-00000", 100, 3, "0" * 64, "1" * 64, 400, 400)])
    data = DataManifest("uint16", "0", "none", "2" * 64, {}, {"train": split, "val": split})
    val = [{"kind": "val", "step": step, "val_loss_nats": 4.0 - step, "translation.bleu": 7.0} for step in (1, 2, 1)]
    journal = [*val, {"kind": "train", "step": 2, "tokens": 300, "elapsed_s": 61.0}]
    record = RunRecord(name=name, command="x", config={"data": ["/home/me/secret/mails.txt"]}, journal=journal,
                       samples=(), data=data, facts={"environment": {"processor": "a processor"}})  # fmt: skip
    none = figure(0.1, low=None, high=None, why_no_interval="all depend")
    figures = {"accuracy": figure(0.5), "bleu": figure(None), "distinct_1": none}
    facts = CardFacts(1234, 5678, True, "Latin letters (100%)", [Evaluated(task, NASTY, "3" * 64, figures)])
    return card_of(record, facts)


def test_hugging_face_reads_every_figure() -> None:
    repocard = pytest.importorskip("huggingface_hub")
    found = repocard.ModelCard(card()).data
    assert (found.model_name, found.library_name, found.tags) == (NASTY, "transformers", ["textwright"])
    by_name = {(one.task_name, one.metric_type): one for one in found.eval_results}
    assert {name: one.metric_value for name, one in by_name.items()} == {
        ("language modelling", "val_loss_nats"): 2.0,
        ("language modelling", "translation.bleu"): 7.0,
        (NASTY, "accuracy"): 0.5,
        (NASTY, "distinct_1"): 0.1,
    }
    accuracy = by_name[NASTY, "accuracy"]
    assert accuracy.metric_name == "accuracy (95 % interval 0.4 to 0.6, n = 50)"
    assert (accuracy.dataset_name, accuracy.dataset_revision) == (NASTY, "3" * 64)
    assert by_name[NASTY, "distinct_1"].metric_name == "distinct_1 (no interval: all depend)"


@pytest.mark.parametrize(
    "text", [NASTY, "\x00\x07\x7f\x85\u2028\ufeff", "中文 é 😀", "\ud800", "\U000e0001", "' yes: no"]
)
def test_any_text_is_one_scalar(text: str) -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(f"- {yaml_text(text)}") == [text.encode("utf-8", "replace").decode()]


def test_it_says_what_the_model_is_and_is_not() -> None:
    text = card("cats", "classification")
    assert text.split("---\n")[2].startswith(MARK)
    assert "type: text-classification" in text
    for said in ("1,234 parameters", "3 documents, 400 bytes, 100 tokens", "files: mails.txt", "2" * 64,
                 "2 steps, 300 tokens, 1 min 01 s", "a processor", "its text 3 times", "Latin letters",
                 "tested on classification", "not tested for", "transformers import pipeline",
                 "| classification |", "95 % interval 0.4 to 0.6, n = 50", "no interval: all depend"):  # fmt: skip
        assert said in text
    assert "/home/me" not in text


def test_scripts_are_told_by_their_letters() -> None:
    assert scripts_in("hello 123") == "Latin letters (100%)"
    assert scripts_in("我喜欢猫 ok") == "Chinese letters (67%), Latin letters (33%)"
    assert scripts_in("1 2 3") == ""


def test_fit_leaves_a_report_and_a_card(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("byte", lambda: iter(()))
    model = Model(build(preset("nano", vocab_size=tokenizer.vocab_size), seed=2).eval(), tokenizer)
    model.fit(["abc abd", "abe"], validation=["abf"], steps=2, out=tmp_path / "run", quiet=True)
    assert "given in Python" in (tmp_path / "run" / "report.html").read_text()
    text = (tmp_path / "run" / "model" / "README.md").read_text()
    assert "from the model that it was given" in text
    assert re.search(r"val\\_loss\\_nats \| \d", text)
    load(tmp_path / "run" / "model").save(tmp_path / "other")
    assert not (tmp_path / "other" / "README.md").exists()
