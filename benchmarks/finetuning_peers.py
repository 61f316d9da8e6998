"""Programs that teach a model pairs by LoRA, for finetuning_speed.py: each a process of its own, which waits its turn.

    python -m finetuning_peers PEER MODEL PAIRS THREADS

Reads a number of steps a line, and answers with one JSON object a line: seconds, places at which the next token was
predicted (of pairs, no padding) and those that were learned from, and the process's peak memory. Every peer is handed
the same pairs, in the model's own tokens, and reads about as many of them in a step.
"""

import itertools
import json
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from textwright.core.world import World
from textwright.data.batch import Batch
from textwright.data.sources.base import SINGLE_PROCESS, BatchSource
from textwright.training.memory import peak_bytes

RANK, ALPHA, ROWS, ROW_LENGTH, LEARNING_RATE = 8, 16, 8, 256, 1e-3
OURS = f"lora:r={RANK},alpha={ALPHA}"
TARGETS = ["c_attn", "attn.c_proj", "c_fc", "mlp.c_proj"]
"""PEFT's names of the matrices that our ``all`` is."""
NOT_LEARNED = -100
ENDLESS = 100_000
"""Steps: a process ends when nobody asks it for more."""

Pair = tuple[list[int], int]
"""Token ids of prompt, completion and end, and how many of the first are not learned."""


class Turns:
    """Counts what is learned, and hands in an answer when the steps that were asked for are done."""

    def __init__(self) -> None:
        self.predicted = self.learned = self.steps_left = 0
        self.losses: list[float] = []
        self._begun_s = time.perf_counter()

    def count(self, predicted: int, learned: int) -> None:
        """Of a step that begins."""
        self.predicted, self.learned = self.predicted + predicted, self.learned + learned

    def step_is_done(self, loss_nats: float | None) -> None:
        """Answer, and wait for the next turn, where this was the last step of one; the first step is one by itself."""
        if loss_nats is not None:
            self.losses.append(loss_nats)
        self.steps_left -= 1
        if self.steps_left > 0:
            return
        seconds = time.perf_counter() - self._begun_s
        answer = {"seconds": seconds, "predicted": self.predicted, "learned": self.learned}
        print(json.dumps(answer | {"peak_memory_bytes": peak_bytes(torch.device("cpu"))}), flush=True)
        self.steps_left = int(sys.stdin.readline() or sys.exit())
        self.predicted = self.learned = 0
        self._begun_s = time.perf_counter()


def ours(model: Path, pairs: Path, turns: Turns, *, compiles: bool) -> None:
    """``textwright finetune MODEL --data PAIRS --strategy lora:r=8,alpha=16``, without a run's folder."""
    from textwright.api.config import FineTuneOptions
    from textwright.api.fit_data import read_fit_data
    from textwright.api.fit_run import fit_config
    from textwright.api.model import load
    from textwright.api.taught import Taught
    from textwright.training.callbacks import Callbacks
    from textwright.training.from_config import add_loss
    from textwright.training.loop import train
    from textwright.training.strategies import parse_strategy

    training = {"steps": ENDLESS, "learning_rate": LEARNING_RATE, "batch_size": ROWS, "sequence_length": ROW_LENGTH}
    training |= {"compile": compiles}
    options = FineTuneOptions(data=[pairs], strategy=OURS, training=training).from_anywhere()
    loaded, strategy = load(model), parse_strategy(OURS)
    taught = Taught(loaded.network, loaded.tokenizer, loaded.dialogue, loaded.prompt_format)
    data = read_fit_data([pairs], None, taught, options)
    taught = taught.prepare(options, strategy, num_known=loaded.tokenizer.vocab_size).adapted(
        strategy, options.training.seed
    )
    config = fit_config(data, taught, options, strategy).training
    source: Any = Counted(data.batches(config, taught.network.context_length), turns)

    def on_row(row: dict[str, Any]) -> None:
        if row["kind"] == "train":
            turns.step_is_done(row["loss_nats"])

    train(add_loss(taught.network, config), source, config, callbacks=Callbacks(on_row=on_row))


class Counted:
    """A source whose batches are counted."""

    def __init__(self, source: BatchSource, turns: Turns) -> None:
        self._source, self._turns = source, turns

    def batch(self, step: int, world: World = SINGLE_PROCESS) -> Batch:
        """The other's."""
        batch = self._source.batch(step, world)
        assert batch.document_ids is not None, "packed"
        self._turns.count(int((batch.document_ids >= 0).sum()), int((batch.loss_weight > 0).sum()))
        return batch

    def __getattr__(self, name: str) -> Any:  # all else that a source has
        return getattr(self._source, name)


def trainer(model: Path, pairs: Path, turns: Turns, *, packs: bool = False, **settings: Any) -> None:
    """PEFT and Hugging Face's Trainer.

    Args:
        model: the folder.
        pairs: the file.
        turns: who says when.
        packs: fill rows of the same length as ours, instead of padding pairs to the longest of a batch.
        settings: of ``TrainingArguments``, beside what the comparison asks for.
    """
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, Trainer, TrainerCallback, TrainingArguments

    class AtStepEnd(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            turns.step_is_done(None)

    examples = tokens_of(model, pairs)
    network = AutoModelForCausalLM.from_pretrained(model)
    network.config.use_cache = False
    lora = LoraConfig(
        r=RANK, lora_alpha=ALPHA, target_modules=TARGETS, lora_dropout=0.0, fan_in_fan_out=True, task_type="CAUSAL_LM"
    )
    mean = sum(len(ids) - 1 for ids, _ in examples) / len(examples)
    rows = (
        packed(examples)
        if packs
        else [{"input_ids": ids, "labels": labels_of(pair)} for pair in examples for ids in [pair[0]]]
    )
    arguments = TrainingArguments(
        output_dir=str(pairs.parent / "trainer"),
        per_device_train_batch_size=ROWS if packs else round(ROWS * ROW_LENGTH / mean),
        max_steps=ENDLESS,
        learning_rate=LEARNING_RATE,
        use_cpu=True,
        seed=0,
        logging_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        **settings,
    )
    collate = stacked if packs else padded
    Trainer(
        model=get_peft_model(network, lora),
        args=arguments,
        train_dataset=rows,
        data_collator=lambda some: counted(collate(some), turns),
        callbacks=[AtStepEnd()],
    ).train()


def tokens_of(model: Path, pairs: Path) -> list[Pair]:
    """Pairs as our own reader has them: prompt, completion, end."""
    from textwright.tokens import load_tokenizer

    tokenizer, found = load_tokenizer(model), list[Pair]()
    for line in pairs.read_text().splitlines():
        row = json.loads(line)
        prompt, completion = (tokenizer.encode(row[name]) for name in ("prompt", "completion"))
        begin = list(tokenizer.begin_ids)
        found.append(([*begin, *prompt, *completion, tokenizer.end_id], len(begin) + len(prompt)))
    return found


def labels_of(pair: Pair) -> list[int]:
    """What is learned of a pair; transformers shifts it by one."""
    ids, unlearned = pair
    return [NOT_LEARNED] * unlearned + ids[unlearned:]


def packed(examples: Sequence[Pair]) -> list[dict[str, list[int]]]:
    """Rows of whole pairs, first fit: positions begin anew with each, by which transformers keeps them apart."""
    open_rows: list[list[Pair]] = []
    for pair in examples:
        size = len(pair[0])
        row = next((row for row in open_rows[-40:] if sum(len(ids) for ids, _ in row) + size <= ROW_LENGTH), None)
        if row is None:
            open_rows.append([pair])
        else:
            row.append(pair)
    found = []
    for row in open_rows:
        fill = ROW_LENGTH - sum(len(ids) for ids, _ in row)
        found.append(
            {
                "input_ids": [*itertools.chain.from_iterable(ids for ids, _ in row), *[0] * fill],
                # The first token of a pair is no answer to the pair before it.
                "labels": [*itertools.chain.from_iterable(labels_of(pair) for pair in row), *[NOT_LEARNED] * fill],
                "position_ids": [*itertools.chain.from_iterable(range(len(ids)) for ids, _ in row), *range(fill)],
            }
        )
        found[-1]["places"] = [sum(len(ids) - 1 for ids, _ in row)]
    return found


def padded(rows: Sequence[Mapping[str, list[int]]]) -> dict[str, torch.Tensor]:
    """A batch as long as its longest pair."""
    longest = max(len(row["input_ids"]) for row in rows)

    def filled(values: list[int], fill: int) -> list[int]:
        return values + [fill] * (longest - len(values))

    return {
        "input_ids": torch.tensor([filled(row["input_ids"], 0) for row in rows]),
        "labels": torch.tensor([filled(row["labels"], NOT_LEARNED) for row in rows]),
        "attention_mask": torch.tensor([filled([1] * len(row["input_ids"]), 0) for row in rows]),
        "places": torch.tensor(sum(len(row["input_ids"]) - 1 for row in rows)),
    }


def stacked(rows: Sequence[Mapping[str, list[int]]]) -> dict[str, torch.Tensor]:
    """A batch of rows that are as long as each other."""
    batch = {name: torch.tensor([row[name] for row in rows]) for name in ("input_ids", "labels", "position_ids")}
    return batch | {"places": torch.tensor(sum(row["places"][0] for row in rows))}


def counted(batch: dict[str, torch.Tensor], turns: Turns) -> dict[str, torch.Tensor]:
    """The batch, once it is counted."""
    turns.count(int(batch.pop("places")), int((batch["labels"] != NOT_LEARNED).sum()))
    return batch


PEERS: dict[str, Callable[[Path, Path, Turns], None]] = {
    "textwright": lambda *of: ours(*of, compiles=False),
    "textwright, compiled": lambda *of: ours(*of, compiles=True),
    "trainer": trainer,
    "trainer, by length": lambda *of: trainer(*of, train_sampling_strategy="group_by_length"),
    "trainer, by length, compiled": lambda *of: trainer(
        *of, train_sampling_strategy="group_by_length", torch_compile=True
    ),
    "trainer, packed": lambda *of: trainer(*of, packs=True, remove_unused_columns=False),
    "trainer, packed, compiled": lambda *of: trainer(*of, packs=True, remove_unused_columns=False, torch_compile=True),
}


def main() -> None:
    """Learn, a turn at a time."""
    peer, model, pairs, threads = sys.argv[1:5]
    torch.set_num_threads(int(threads))
    torch.manual_seed(0)
    warnings.simplefilter("ignore")
    PEERS[peer](Path(model), Path(pairs), Turns())


if __name__ == "__main__":
    main()
