"""``textwright finetune``: from a model's folder and files to a run, as a stranger would call it."""

import json
from pathlib import Path

from tests.cli.conftest import Run

PAIRS = [("one:", " un"), ("two:", " deux"), ("three:", " trois")] * 10
FAST = ("--steps", 3, "--precision", "float32", "--no-compile", "--device", "cpu")


def write_pairs(path: Path) -> Path:
    lines = [json.dumps({"prompt": prompt, "completion": completion}) for prompt, completion in PAIRS]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_a_model_is_taught_and_the_run_goes_on(textwright: Run, finished_run: Path, tmp_path: Path) -> None:
    data, run = write_pairs(tmp_path / "pairs.jsonl"), tmp_path / "run"
    done = textwright("finetune", finished_run / "model", "--data", data, "--out", run, *FAST, "--json")
    assert done.code == 0, done.err
    found = done.json
    assert {"run", "model", "steps", "tokens", "val_loss_nats", "tokens_per_s", "trained_parameters"} <= found.keys()
    assert found["steps"] == 3
    assert found["trained_parameters"] > 0
    assert textwright("generate", run / "model", "one:", "--max-new-tokens", 4).code == 0
    assert (run / "report.html").is_file()
    assert textwright("verify", run).code == 0
    again = textwright("train", "--resume", run, "--steps", 5, "--json")
    assert again.code == 0, again.err
    assert again.json["steps"] == 5


def test_a_fine_tuning_is_begun_again_from_its_config(textwright: Run, finished_run: Path, tmp_path: Path) -> None:
    data, run = write_pairs(tmp_path / "pairs.jsonl"), tmp_path / "run"
    assert textwright("finetune", finished_run / "model", "--data", data, "--out", run, *FAST).code == 0
    config = run / "config.toml"
    done = textwright("finetune", finished_run / "model", "--config", config, "--out", tmp_path / "again")
    assert done.code == 0, done.err
    weights = [folder / "model" / "model.safetensors" for folder in (run, tmp_path / "again")]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    refused = textwright("train", "--config", config, "--out", tmp_path / "no")
    assert refused.code == 2
    assert "give it to finetune" in refused.err


def test_mistakes_show_before_a_model_is_loaded(textwright: Run, finished_run: Path, tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "pairs.jsonl")
    model = finished_run / "model"
    for arguments, message in (
        ((model,), "no --data"),
        ((model, "--data", tmp_path / "none.jsonl"), "none.jsonl"),
        (("none", "--data", data, "--watch", tmp_path / "none.txt"), "none.txt"),
        (("none", "--data", data, "--replay", f"{tmp_path}/none.txt:0.1"), "none.txt"),
        (("none", "--data", data, "--out", finished_run), "is there already"),
        (("none", "--data", data, "--tasks", f"clasification={data}"), "classification"),
        ((finished_run, "--data", data, "--out", tmp_path / "run"), "is a run"),
        ((model, "--data", data, "--steps", 3, "--epochs", 2), "epochs beside steps or minutes"),
        (("none", "--data", data, "--strategy", "lst"), "did you mean 'last'"),
        ((model, "--data", data, "--strategy", "last:99"), "last:99 of a model of"),
        ((model, "--data", data, "--cache-frozen", "--check"), "never trains the lowest block"),
        (
            (model, "--data", data, "--cache-frozen", "--strategy", "bitfit"),
            "--cache-frozen with the strategy 'bitfit'",
        ),
    ):
        done = textwright("finetune", *arguments)
        assert done.code == 2, arguments
        assert message in done.err, done.err
        assert len(done.err.strip().splitlines()) <= 2, done.err
    assert not (tmp_path / "run").exists()


def test_a_check_trains_nothing_and_says_what_would_be_learned(
    textwright: Run, finished_run: Path, tmp_path: Path
) -> None:
    data, model = write_pairs(tmp_path / "pairs.jsonl"), finished_run / "model"
    again = write_pairs(tmp_path / "again.jsonl")
    done = textwright(
        "finetune", model, "--data", data, "--val-data", again, "--check", "--json", "--out", tmp_path / "run"
    )
    assert done.code == 0, done.err
    found = done.json
    assert found["train"]["files"][0]["format"] == "prompt-completion"
    assert found["in_both"]["num_whole"] > 0
    assert found["frozen_bytes"] is None
    keeps = ("--strategy", "last", "--cache-frozen", "--check")
    kept = textwright("finetune", model, "--data", data, *keeps, "--json").json
    width = json.loads((model / "config.json").read_text())["n_embd"]
    assert kept["frozen_bytes"] == kept["epoch"]["num_rows"] * kept["epoch"]["row_length"] * width * 4
    assert "what is frozen is kept for each row" in textwright("finetune", model, "--data", data, *keeps).out
    assert not (tmp_path / "run").exists()
    long = tmp_path / "long.jsonl"
    long.write_text(json.dumps({"prompt": "x" * 5000, "completion": "y"}) + "\n")
    assert textwright("finetune", model, "--data", long, "--check").code == 2
    assert textwright("finetune", model, "--data", long, data, "--check", "--too-long", "skip").code == 0
