"""The page for people who come from Trainer: its two scripts run and end alike, what it says of Trainer is so."""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.docs.test_documents_run import python, textwright
from textwright.api import Model, load
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.language_model import as_language_model
from textwright.tokens import make_tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")

Blocks = Callable[[Path, str], list[str]]
Commands = Callable[[Path], list[str]]
BLOCK, STEPS = 64, 60
SMALLER = (
    # what the page says -> what is run here, in the first script and in the second
    {'"openai-community/gpt2", 256, 500': f'"base", {BLOCK}, {STEPS}', "learning_rate=3e-4": "learning_rate=3e-3"},
    {'"openai-community/gpt2"': '"base"', '"steps": 500': f'"steps": {STEPS}', "3e-4": "3e-3", "tokens=40": "tokens=8"},
)
SEEDS_DIFFER_NATS = 0.06
"""How far apart the losses of two runs may be: three seeds of each program ended between 4.288 and 4.339 nats."""


@dataclass(frozen=True)
class Both:
    """What the two scripts left."""

    folder: Path
    theirs: dict[str, Any]
    """The names of their script."""
    ours: dict[str, Any]


def make_base(folder: Path) -> None:
    """A small model that knows a little English."""
    texts = [path.read_text(encoding="utf-8") for path in sorted((folder / "texts").iterdir())]
    tokenizer = make_tokenizer("bpe:400", lambda: iter(texts))
    shape = {"num_layers": 2, "num_heads": 2, "hidden_size": 64, "context_length": BLOCK, "embedding_std": 0.1}
    network = build(GPTConfig.model_validate(shape | {"vocab_size": tokenizer.vocab_size}))
    model = Model(as_language_model(network), tokenizer)
    model.fit(texts[:4], steps=30, learning_rate=3e-3, quiet=True)
    model.save(folder / "base")


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory, root: Path, code_blocks: Blocks) -> Both:
    folder = tmp_path_factory.mktemp("both")
    python(code_blocks(root / "docs" / "tutorial.md", "python")[0], folder)
    for group, keep in (("texts", 40), ("unseen", 1)):
        for path in sorted((folder / group).iterdir(), key=lambda path: path.stat().st_size)[:-keep]:
            path.unlink()
    make_base(folder)
    programs = code_blocks(root / "docs" / "from-hugging-face.md", "python")
    assert len(programs) == len(SMALLER)
    found = []
    for program, changes in zip(programs, SMALLER, strict=True):
        for said, run in changes.items():
            assert said in program
            program = program.replace(said, run)
        found.append(python(program, folder))
    return Both(folder, *found)


def from_pretrained(folder: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


def test_both_scripts_end_at_the_same_perplexity(both: Both) -> None:
    perplexity, unseen = both.theirs["perplexity"], both.theirs["unseen"]
    base, theirs, ours = (
        math.log(perplexity(from_pretrained(both.folder / name), unseen))
        for name in ("base", "runs/trainer/model", "runs/ours/model")
    )
    assert base - max(theirs, ours) > 8 * SEEDS_DIFFER_NATS, "training so little tells nothing"
    assert abs(theirs - ours) <= SEEDS_DIFFER_NATS
    assert theirs == pytest.approx(math.log(perplexity(both.theirs["model"], unseen)), abs=1e-4)


def test_the_two_folders_are_measured_side_by_side(both: Both, root: Path, commands: Commands) -> None:
    evaluate, generate = commands(root / "docs" / "from-hugging-face.md")
    found = json.loads(textwright(evaluate + " --json", both.folder))
    perplexities = [one["perplexity_per_token"] for one in found["models"].values()]
    own = both.theirs["perplexity"](both.theirs["model"], both.theirs["unseen"])
    assert all(-0.01 < math.log(own / one) < 0.2 for one in perplexities), "lower, as the page says, or as low"
    texts = (path.read_text(encoding="utf-8") for path in (both.folder / "unseen").rglob("*.txt"))
    assert perplexities[1] == pytest.approx(load(both.folder / "runs/ours/model").evaluate(texts).perplexity_per_token)
    assert textwright(generate.replace("tokens 40", "tokens 8"), both.folder)


def test_trainers_loss_of_a_gpt2_counts_a_token_too_many_a_row(both: Both) -> None:
    trainer, perplexity = both.theirs["trainer"], both.theirs["perplexity"]
    stream = [index for row in both.theirs["unseen"] for index in row["input_ids"]]
    for length in (10, BLOCK):
        rows = [{"input_ids": stream[start : start + length]} for start in range(0, 64 * length, length)]
        rows = [row | {"labels": row["input_ids"]} for row in rows if len(row["input_ids"]) == length]
        found = trainer.evaluate(rows)["eval_loss"] / math.log(perplexity(both.theirs["model"], rows))
        assert found == pytest.approx((length - 1) / length, abs=1e-4)


def test_trainer_counts_rightly_where_the_class_is_for_causal_lm(both: Both, tmp_path: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM, Trainer, TrainingArguments, default_data_collator

    shape = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "vocab_size": 400, "head_dim": 8}
    config = AutoConfig.for_model("qwen3", **shape, num_attention_heads=2, num_key_value_heads=2)
    model = AutoModelForCausalLM.from_config(config)
    arguments = TrainingArguments(output_dir=str(tmp_path), report_to="none")
    trainer = Trainer(model=model, args=arguments, data_collator=default_data_collator)
    rows = [{"input_ids": row["input_ids"][:10], "labels": row["input_ids"][:10]} for row in both.theirs["unseen"][:8]]
    expected = math.log(both.theirs["perplexity"](model, rows))
    assert trainer.evaluate(rows)["eval_loss"] == pytest.approx(expected, abs=1e-4)


def test_the_usual_collator_takes_the_end_of_a_text_for_padding(both: Both) -> None:
    from transformers import AutoTokenizer, DataCollatorForLanguageModeling

    tokenizer = AutoTokenizer.from_pretrained(both.folder / "base")
    tokenizer.pad_token = tokenizer.eos_token
    ids = [*tokenizer("The end")["input_ids"], tokenizer.eos_token_id]
    labels = DataCollatorForLanguageModeling(tokenizer, mlm=False)([{"input_ids": ids}])["labels"][0].tolist()
    assert labels == [*ids[:-1], -100]
    assert tokenizer.eos_token_id not in ids[:-1]
