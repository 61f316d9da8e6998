"""``--adapter``: every command that takes a model computes what the model does with the adapter folded in."""

import json
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

import textwright as tw
from tests.cli.conftest import Run
from tests.cli.test_bad_input import assert_one_line
from tests.models.test_lora import train_a_little
from textwright.checkpoint.adapter import save_adapter
from textwright.models.lora import LoraConfig, add_lora


class Folders(NamedTuple):
    base: Path
    adapter: Path
    merged: Path
    """The base with the adapter folded in."""


@pytest.fixture(scope="session")
def folders(finished_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Folders:
    """A small model and an adapter for it. Tests must not change them."""
    base, folder = finished_run / "model", tmp_path_factory.mktemp("adapters")
    model = tw.load(base)
    add_lora(model.network, LoraConfig(targets=("query", "value", "up")))
    train_a_little(model.network)
    save_adapter(model.network, folder / "mine", base=base)
    model.save(folder / "merged")
    return Folders(base, folder / "mine", folder / "merged")


def test_generate_writes_what_the_merged_model_writes(textwright: Run, folders: Folders) -> None:
    options = ("The cat", "--max-new-tokens", 20, "--temperature", 0, "--precision", "float32", "--json")
    texts = [
        textwright("generate", *model, *options).json["completions"][0]["text"]
        for model in ((folders.base,), (folders.base, "--adapter", folders.adapter), (folders.merged,))
    ]
    assert texts[1] == texts[2] != texts[0]


def test_evaluate_and_embed_measure_the_merged_model(textwright: Run, folders: Folders, text_file: Path) -> None:
    models = ((folders.base,), (folders.base, "--adapter", folders.adapter), (folders.merged,))
    losses = [
        textwright("evaluate", *model, "--text", text_file, "--json").json["loss_nats_per_token"] for model in models
    ]
    assert losses[1] == pytest.approx(losses[2], abs=1e-5)
    assert abs(losses[1] - losses[0]) > 0.01
    plain, adapted, merged = (textwright("embed", *model, "a cat", "--json").json["vectors"][0] for model in models)
    assert adapted == pytest.approx(merged, abs=1e-4)
    assert adapted != pytest.approx(plain, abs=1e-2)


def test_a_tasks_evaluation_has_a_folder_of_its_own(
    textwright: Run, folders: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "kinds.tsv").write_text("text\tlabel\na cat\tgood\na dog\tbad\n")
    options = ("--task", "classification", "--data", "kinds.tsv", "--json")
    for more in ((), ("--adapter", folders.adapter)):
        done = textwright("evaluate", folders.base, *more, *options)
        assert done.code == 0, done.err
    names = {path.name for path in (tmp_path / "evaluations").iterdir()}
    assert names == {"cats-classification", "cats-mine-classification"}
    page = (tmp_path / "evaluations" / "cats-mine-classification" / "report.html").read_text()
    assert f"how well {folders.base} with the adapter {folders.adapter} does" in page
    assert f"--adapter {folders.adapter}" in page  # in the command that repeats it


def test_chat_answers_with_the_merged_model(
    textwright: Run, folders: Folders, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "said.txt").write_text("The cat\n")
    answers = []
    for model in ((folders.base,), (folders.base, "--adapter", folders.adapter), (folders.merged,)):
        with open(tmp_path / "said.txt") as said:
            monkeypatch.setattr("sys.stdin", said)
            done = textwright("chat", *model, "--max-new-tokens", 8, "--temperature", 0, "--precision", "float32")
        assert done.code == 0, done.err
        answers.append(done.out)
    assert answers[1] == answers[2] != answers[0]


def test_classifiers_and_clusters_remember_the_adapter_of_their_model(
    textwright: Run, folders: Folders, tmp_path: Path
) -> None:
    rows = [f"a cat {number}\tgood\nTHE DOG {number}\tbad\n" for number in range(8)]
    (tmp_path / "kinds.tsv").write_text("".join(["text\tlabel\n", *rows]))
    adapter = shutil.copytree(folders.adapter, tmp_path / "adapter")
    for verb, more in (("classify", ()), ("cluster", ("--clusters", 2))):
        out = tmp_path / verb
        done = textwright(
            verb, "train", folders.base, "--adapter", adapter, "--data", tmp_path / "kinds.tsv", "--out", out, *more
        )
        assert done.code == 0, done.err
        assert textwright(verb, "apply", out, "a cat", "--json").code == 0
        assert textwright(verb, "apply", out, "a cat", "--adapter", folders.adapter, "--json").code == 0
    shutil.rmtree(adapter)
    done = textwright("classify", "apply", tmp_path / "classify", "a cat")
    assert_one_line(done, "the adapter", "is not there any more", "name it with --adapter")


def test_an_adapter_as_a_model_and_a_model_as_an_adapter_are_told_apart(textwright: Run, folders: Folders) -> None:
    done = textwright("generate", folders.adapter, "The")
    assert_one_line(done, "holds an adapter (adapter_config.json)", "name that model, and this folder with --adapter")
    done = textwright("generate", folders.base, "The", "--adapter", folders.merged)
    assert_one_line(done, "merged is a model; expected an adapter", "name it as the model")
    done = textwright("generate", folders.base, "The", "--adapter", folders.adapter.with_name("typo"))
    assert_one_line(done, "there is no adapter folder", "typo", "check the path")


def test_an_adapter_of_another_base_is_one_line(textwright: Run, folders: Folders) -> None:
    done = textwright("embed", folders.merged, "a", "--adapter", folders.adapter)
    assert_one_line(done, "was made for another model", f"name the model that it was made for: {folders.base}")


def test_an_adapter_is_for_one_model(textwright: Run, folders: Folders, text_file: Path) -> None:
    done = textwright("generate", "A", "--models", folders.base, folders.merged, "--adapter", folders.adapter)
    assert_one_line(done, "--adapter with --models")
    done = textwright("evaluate", folders.base, folders.merged, "--text", text_file, "--adapter", folders.adapter)
    assert_one_line(done, "--adapter with 2 models; expected one")


def test_a_model_loaded_with_its_adapter_is_a_plain_one(folders: Folders, tmp_path: Path) -> None:
    model, merged = tw.load(folders.base, adapter=folders.adapter), tw.load(folders.merged)
    assert model.network.state_dict().keys() == merged.network.state_dict().keys()
    assert model.files is None  # what is made of its weights is not kept beside the base's
    model.save(tmp_path / "model")
    facts = json.loads((tmp_path / "model" / "config.json").read_text())
    assert facts == json.loads((folders.merged / "config.json").read_text())
    ids = [[1, 2, 3, 4]]
    assert (tw.load(tmp_path / "model").logits(ids) - merged.logits(ids)).abs().max() < 1e-4


def test_a_fine_tuning_begins_with_the_adapter_folded_in(
    textwright: Run, folders: Folders, text_file: Path, tmp_path: Path
) -> None:
    quick = ("--data", text_file, "--steps", 1, "--precision", "float32", "--no-compile", "--strategy", "lora:r=1")
    done = textwright("finetune", folders.base, "--adapter", folders.adapter, *quick, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    begun, merged = (tw.load(folder).network.state_dict() for folder in (tmp_path / "run" / "base", folders.merged))
    assert all(torch.allclose(begun[name], merged[name], atol=1e-6) for name in merged)
    # The new adapter is for what the run began with.
    again = textwright("generate", tmp_path / "run" / "base", "A", "--adapter", tmp_path / "run" / "adapter")
    assert again.code == 0, again.err
