"""A user's mistake is one line that says how to mend it, exit code 2, and costs nothing that was there."""

import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch

from tests.cli.conftest import TEXT, Done, Run

QUICK = ("--model.preset", "nano", "--steps", 2, "--batch-size", 2, "--tokenizer", "byte")


def assert_one_line(done: Done, *parts: str) -> None:
    assert done.code == 2, done
    assert done.out == ""
    last = done.err.rstrip("\n").split("\n")[-1]
    assert last.startswith("textwright: ")
    assert "Traceback" not in done.err
    for part in parts:
        assert part in last, done.err


@pytest.fixture
def train(textwright: Run, tmp_path: Path) -> Run:
    """``textwright train`` into a folder that must not be there when it fails."""

    def run(*arguments: object) -> Done:
        done = textwright("train", "--out", tmp_path / "run", *arguments)
        assert not (tmp_path / "run").exists(), sorted((tmp_path / "run").iterdir())
        return done

    return run


def test_an_empty_file(train: Run, tmp_path: Path) -> None:
    (tmp_path / "empty.txt").touch()
    assert_one_line(train("--data", tmp_path / "empty.txt", *QUICK), "empty.txt is empty", "leave it out")


def test_a_value_is_refused_by_the_option_that_was_typed(train: Run) -> None:
    assert_one_line(train("--data", "x", "--batch-size", 0), ": --batch-size 0; expected greater than or equal to 1")
    assert_one_line(train("--data", "x", "--packing", "documens"), ": --packing documens;", "did you mean 'documents'?")
    assert_one_line(train("--data", "x", "--model.dropout", 2), ": --model.dropout 2; expected less than 1")


def test_a_key_in_the_wrong_table_is_answered_with_the_right_one(train: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("steps = 20\n")
    done = train("--data", "x", "--config", tmp_path / "mine.toml")
    assert_one_line(done, "unknown key 'steps'", "did you mean 'training.steps'?")


def test_a_file_of_white_space(train: Run, tmp_path: Path) -> None:
    (tmp_path / "white.txt").write_text("  \n\n  ")
    assert_one_line(train("--data", tmp_path / "white.txt", *QUICK), "no text to train on")


def test_a_folder_without_text(train: Run, tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "cat.png").write_bytes(b"x")
    assert_one_line(train("--data", tmp_path / "pictures", *QUICK), "no text in the folder", "pictures", ".txt")


def test_a_path_that_is_not_there(train: Run, tmp_path: Path) -> None:
    assert_one_line(train("--data", tmp_path / "typo.txt", *QUICK), "there is no file or folder", "typo.txt")


def test_bytes_that_are_not_utf8_by_file_and_offset_and_replaced_when_asked(
    train: Run, textwright: Run, tmp_path: Path
) -> None:
    (tmp_path / "latin.txt").write_bytes(TEXT.encode() * 20 + b"caf\xe9 " + TEXT.encode() * 20)
    offset = f"{20 * len(TEXT) + 3:,}"
    assert_one_line(train("--data", tmp_path / "latin.txt", *QUICK), "latin.txt is not UTF-8", offset, "replace")
    arguments = ("--data", tmp_path / "latin.txt", "--invalid-utf8", "replace", *QUICK, "--json")
    assert textwright("train", "--out", tmp_path / "replaced", *arguments).json["steps"] == 2


def test_a_text_smaller_than_one_window(train: Run, tmp_path: Path) -> None:
    (tmp_path / "small.txt").write_text("a few words only")
    assert_one_line(train("--data", tmp_path / "small.txt", *QUICK), "the text has", "at least 65", "context-length")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (("--learning-rate", "nan"), ("learning-rate", "finite")),
        (("--learning-rate", "inf"), ("learning-rate", "finite")),
        (("--learning-rate", "-1"), ("learning-rate",)),
        (("--steps", "0"), ("steps",)),
        (("--steps", "many"), ("steps", "many")),
        (("--steps", "2", "--minutes", "1"), ("steps or minutes",)),
        (("--model.preset", "nanno"), ("nanno", "did you mean 'nano'")),
        (("--model.prest", "nano"), ("prest", "--model.preset")),
        (("--tokenizer", "bep:400"), ("bep:400", "bpe:N")),
        (("--optimizer", "adam"), ("adam",)),
        (("--objective", "next_tokn"), ("next_tokn", "next_token")),
        (("--model.context-length", "1"), ("context-length",)),
    ],
)
def test_a_value_that_cannot_be(
    train: Run, text_file: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    assert_one_line(train("--data", text_file, *arguments), *parts)


def test_a_config_file_with_an_unknown_key_a_wrong_value_or_no_toml(
    train: Run, tmp_path: Path, text_file: Path
) -> None:
    path = tmp_path / "my.toml"
    for content, parts in (
        (f'data = ["{text_file}"]\ntokeniser = "byte"', ("tokeniser", "my.toml", "tokenizer")),
        (f'data = ["{text_file}"]\n[training]\nlerning_rate = 1.0', ("lerning_rate", "learning_rate")),
        (f'data = ["{text_file}"]\n[training]\nlearning_rate = nan', ("learning_rate", "finite")),
        ("data = [", ("my.toml",)),
    ):
        path.write_text(content)
        assert_one_line(train("--config", path), *parts)
    assert_one_line(train("--config", tmp_path / "none.toml"), "none.toml")


def test_no_data_at_all(train: Run) -> None:
    assert_one_line(train(), "no --data", "textwright train --data")


def test_a_run_folder_that_is_taken_is_left_as_it_is(textwright: Run, finished_run: Path, text_file: Path) -> None:
    before = (finished_run / "journal.jsonl").read_bytes()
    done = textwright("train", "--data", text_file, "--out", finished_run, *QUICK)
    assert_one_line(done, "is there already", f"--resume {finished_run}")
    assert (finished_run / "journal.jsonl").read_bytes() == before


def test_resume_takes_no_new_settings(textwright: Run, finished_run: Path) -> None:
    done = textwright("train", "--resume", finished_run, "--learning-rate", "0.1")
    assert_one_line(done, "--resume with --learning-rate", "--steps")


@pytest.fixture
def model(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the model folder, to be broken."""
    return shutil.copytree(finished_run / "model", tmp_path / "model")


def test_a_truncated_weight_file(textwright: Run, model: Path) -> None:
    os.truncate(model / "model.safetensors", 5000)
    assert_one_line(textwright("generate", model, "a"), "not a whole safetensors file", "model.safetensors")


def test_a_git_lfs_pointer(textwright: Run, model: Path) -> None:
    (model / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n")
    assert_one_line(textwright("generate", model, "a"), "Git LFS pointer", "git lfs pull")


def test_a_pickle(textwright: Run, model: Path) -> None:
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps({"weights": [1.0]}))
    assert_one_line(textwright("evaluate", model, "--text", __file__), "is a pickle", "save_pretrained")


def test_a_model_config_with_an_unknown_key(textwright: Run, model: Path) -> None:
    config = (model / "config.json").read_text()
    (model / "config.json").write_text(config.replace('"n_embd"', '"n_embed": 3, "n_embd"'))
    assert_one_line(textwright("generate", model, "a"), "unknown key 'n_embed'", "did you mean 'n_embd'")


def test_a_vocabulary_that_does_not_fit_the_model(textwright: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("".join(map(chr, range(0x4E00, 0x4F00))) * 3)
    assert textwright("tokenizer", "train", tmp_path / "other.txt", "--kind", "char", "--out", tmp_path / "t").code == 0
    shutil.copy(tmp_path / "t" / "tokenizer.json", model)
    done = textwright("generate", model, "a")
    assert_one_line(done, "the tokenizer has 258 tokens, the model 257")


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ((), ("no prompt",)),
        (("a", "--temperature", "nan"), ("temperature",)),
        (("a", "--temperature", "-1"), ("temperature",)),
        (("a", "--top-k", "0"), ("top-k",)),
        (("a", "--logit-bias", "6"), ("logit-bias", "ID=BIAS")),
        (("a", "--logit-bias", "6=101"), ("logit-bias", "100")),
        (("a", "b", "--logit-bias", "9999=1"), ("logit_bias for token 9999",)),
        (("a", "--num-beams", "2", "--penalty-alpha", "0.5"), ("num_beams and penalty_alpha",)),
        (("a", "--top-pp", "0.5"), ("--top-pp", "--top-p")),
        (("a", "--prompts-file", "p.txt"), ("prompts and --prompts-file",)),
        (("--prompts-file", "p.txt"), ("there is no file p.txt",)),
        (("a", "--device", "tpu"), ("tpu",)),
    ],
)
def test_generate_says_what_is_wrong(
    textwright: Run, finished_run: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    assert_one_line(textwright("generate", finished_run / "model", *arguments), *parts)


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ((), ("neither --text nor --task",)),
        (("--text", "no.txt"), ("there is no file or folder no.txt",)),
        (("--task", "lambda", "--data", __file__), ("unknown task 'lambda'", "did you mean 'lambada'")),
        (("--task", "lambada"), ("--task lambada without --data",)),
        (("--text", __file__, "--window", "999999"), ("a window of 999999", "context length")),
    ],
)
def test_evaluate_says_what_is_wrong(
    textwright: Run, finished_run: Path, arguments: tuple[str, ...], parts: tuple[str, ...]
) -> None:
    assert_one_line(textwright("evaluate", finished_run / "model", *arguments), *parts)


def test_a_model_that_is_not_there_says_what_else_a_name_could_be(textwright: Run, tmp_path: Path) -> None:
    assert_one_line(textwright("generate", tmp_path / "none", "a"), "there is no model folder")
    assert_one_line(textwright("tokenizer", "inspect", tmp_path / "none"), "there is no tokenizer folder")
    assert_one_line(textwright("runs", "watch", tmp_path / "none"), "there is no folder")


def test_with_json_the_error_is_an_object_too(textwright: Run, tmp_path: Path) -> None:
    done = textwright("train", "--data", tmp_path / "none", "--out", tmp_path / "run", "--json")
    assert done.code == 2
    assert "there is no file or folder" in done.json["error"]


def test_a_corrupt_checkpoint_is_passed_over_and_training_goes_on(
    textwright: Run, finished_run: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(finished_run, tmp_path / "run")
    newest = max((run / "checkpoints").iterdir(), key=lambda path: int(path.name.removeprefix("step-")))
    (newest / "state.safetensors").write_bytes(b"torn")
    done = textwright("train", "--resume", run, "--steps", 10, "--json")
    assert done.json["steps"] == 10
    assert torch.isfinite(torch.tensor(done.json["val_loss_nats"]))


def test_a_run_and_a_mistyped_folder_are_answered_with_the_model(textwright: Run, finished_run: Path) -> None:
    assert_one_line(textwright("generate", finished_run, "a"), f"{finished_run} is a run", f"{finished_run}/model")
    mistyped = textwright("generate", finished_run / "modle", "a")
    assert_one_line(mistyped, "there is no model folder", f"did you mean {finished_run}/model?")
