"""Families, losses and sources as strangers would add them: one file and one row each, and nothing in ``src``."""

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tests.plugins.classifier import ClassificationLoss, Encoder, Labelled
from tests.plugins.gru import CarriedLoss, GRUConfig
from tests.plugins.ngram import Bigram, BigramConfig
from tests.plugins.reversed_rows import ReversedRows
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.data.dataset import TokenDataset
from textwright.data.sources.base import BatchSource
from textwright.data.sources.catalog import SOURCES
from textwright.data.sources.lanes import Lanes
from textwright.data.sources.pairs import Pair, Pairs
from textwright.data.sources.windows import Windows
from textwright.evaluation.lambada import last_word_accuracy
from textwright.evaluation.language_modelling import score_text
from textwright.generation.generate import generate
from textwright.generation.request import SamplingConfig
from textwright.models.catalog import FAMILIES, build, read_model_config
from textwright.models.network import Network
from textwright.models.presets import preset
from textwright.runs.run_folder import Run
from textwright.tokens import make_tokenizer
from textwright.training import loop
from textwright.training.callbacks import Callbacks
from textwright.training.config import TrainConfig
from textwright.training.from_config import add_loss, make_batches
from textwright.training.losses.causal_lm import CausalLMLoss
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.trainer import ResumeOptions

LANES, HIDDEN, TIME, END = 3, 24, 8, 0


@pytest.fixture(autouse=True)
def _rows(monkeypatch: pytest.MonkeyPatch) -> None:
    modules = {"toy-gru": "gru", "toy-seq2seq": "seq2seq", "toy-encoder": "classifier", "toy-bigram": "ngram"}
    for name, module in modules.items():
        monkeypatch.setitem(FAMILIES.rows, name, f"tests.plugins.{module}:FAMILY")


def config(**changes: Any) -> TrainConfig:
    values = {"precision": "float32", "optimizer": "adamw", "learning_rate": 0.01, "compile": False, "threads": 1}
    return TrainConfig.model_validate(values | changes)


def losses(model_with_loss: ModelWithLoss, batches: BatchSource, training: TrainConfig, **named: Any) -> list[float]:
    """The losses of all steps."""
    rows: list[dict[str, Any]] = []
    loop.train(model_with_loss, batches, training, callbacks=Callbacks(on_row=rows.append), **named)
    return [row["loss_nats"] for row in rows if row["kind"] == "train"]


def lanes() -> Lanes:
    """Documents of different lengths, in which each token follows from the one before."""
    documents = [[1 + (start + n) % 15 for n in range(length)] + [END] for start, length in enumerate([9, 30, 4] * 9)]
    return Lanes(TokenDataset.from_documents(documents), batch_size=LANES, sequence_length=TIME)


def carried(seed: int = 0) -> ModelWithLoss:
    gru = build(GRUConfig(vocab_size=16, context_length=64, hidden_size=HIDDEN), seed=seed)
    return ModelWithLoss(gru, CarriedLoss(LANES, HIDDEN))


def test_a_recurrent_model_carries_its_state_and_resumes_bit_for_bit(tmp_path: Path) -> None:
    training = config(steps=12, batch_size=LANES, sequence_length=TIME, micro_batch_size=2, checkpoint_every=5)
    whole = carried()
    expected = losses(whole, lanes(), training)
    assert expected[-1] < expected[0]
    assert whole.objective.get_buffer("carried").abs().sum(1).gt(0).all()

    def die(row: dict[str, Any]) -> None:
        if row["kind"] == "train" and row["step"] == 8:
            raise RuntimeError("power cut")

    run = Run.create(tmp_path / "run", training)
    with pytest.raises(RuntimeError, match="power cut"):
        loop.train(carried(), lanes(), training, run=run, callbacks=Callbacks(on_row=die))
    again = carried(seed=7)
    assert losses(again, lanes(), training, run=run, resume=ResumeOptions()) == expected[5:]
    for name, value in whole.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def carried_free() -> ModelWithLoss:
    """A GRU that carries nothing."""
    return ModelWithLoss(carried().model, CausalLMLoss())


def test_what_is_carried_matters(tmp_path: Path) -> None:
    training = config(steps=12, batch_size=LANES, sequence_length=TIME, micro_batch_size=LANES)

    class Forgetful(Lanes):
        def batch(self, step: int, *arguments: Any) -> Batch:
            return super().batch(step, *arguments).with_fields(continues=torch.zeros(LANES, dtype=torch.bool))

    source = lanes()
    forgetful = Forgetful(source.tokens, batch_size=LANES, sequence_length=TIME)
    assert losses(carried(), source, training)[1:] != losses(carried(), forgetful, training)[1:]


def test_a_recurrent_model_is_made_by_preset_and_generates() -> None:
    tokenizer = make_tokenizer("byte", lambda: iter(()))
    model = build(preset("toy-gru-nano", vocab_size=tokenizer.vocab_size, context_length=32), seed=1).eval()
    together = generate(model, tokenizer, ["a", "bcd", ""], SamplingConfig(max_new_tokens=6, temperature=0.0))
    for prompt, completion in zip(["a", "bcd", ""], together, strict=True):
        alone = generate(model, tokenizer, [prompt], SamplingConfig(max_new_tokens=6, temperature=0.0))[0]
        assert completion.text == alone.text


def test_an_encoder_decoder_learns_pairs() -> None:
    values = {"family": "toy-seq2seq", "vocab_size": 12, "context_length": 16, "hidden_size": 16}
    model = build(read_model_config(values, "here"), seed=0)
    pairs = [Pair((n, n), (n, n + 1, END)) for n in range(1, 10)]
    batches = Pairs(pairs, batch_size=4, sequence_length=8, end_id=END, as_source=True, seed=1)
    found = losses(ModelWithLoss(model, CausalLMLoss()), batches, config(steps=150, batch_size=4, sequence_length=8))
    assert found[-1] < 0.3 < found[0]
    source = batches.batch(0)
    cache = model.empty_cache(4, source)
    hidden = model.extend(source.input_ids[:, :1], [1] * 4, cache, range(4))
    assert torch.equal(model.logits(hidden[:, 0]).argmax(-1), source.target_ids[:, 0])


def test_a_bidirectional_encoder_learns_labels() -> None:
    """Whether a token comes anywhere in the row."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randint(1, 6, (64, 6), generator=generator).tolist()
    labels = [int(5 in row) for row in rows]
    values = {"family": "toy-encoder", "vocab_size": 8, "context_length": 8, "hidden_size": 32}
    model: Network = build(read_model_config(values, "here"), seed=0)
    batches = Labelled(rows, labels, batch_size=16)
    assert isinstance(model, Encoder)
    model_with_loss = ModelWithLoss(model, ClassificationLoss(32, 2))
    found = losses(model_with_loss, batches, config(steps=80, batch_size=16, sequence_length=6, learning_rate=0.02))
    assert sum(found[-4:]) / 4 < 0.2 < found[0]
    batch = batches.batch(0)
    changed = batch.with_fields(input_ids=batch.input_ids.clone())
    changed.input_ids[:, -1] = 7
    first, second = (model.hidden_states(model.embed(some), some)[:, 0] for some in (batch, changed))
    assert not torch.allclose(first, second)  # the first place sees the last


def test_a_source_of_batches_is_a_row_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValidationError, match="'none' or 'documents'"):
        config(packing="toy-reversed")
    monkeypatch.setitem(SOURCES.rows, "toy-reversed", "tests.plugins.reversed_rows:ReversedRows")
    source = make_batches(lanes().tokens, config(packing="toy-reversed", batch_size=2), context_length=TIME)
    plain = make_batches(lanes().tokens, config(batch_size=2), context_length=TIME)
    assert torch.equal(source.batch(3).input_ids, plain.batch(3).target_ids.flip(1))
    assert source.fingerprint != plain.fingerprint


def test_a_run_goes_on_with_the_source_that_it_was_begun_with(tmp_path: Path) -> None:
    training = config(steps=4, batch_size=2, sequence_length=TIME, checkpoint_every=2)
    windows, reversed_rows = (
        find(lanes().tokens, batch_size=2, sequence_length=TIME, seed=0) for find in (Windows, ReversedRows)
    )
    run = Run.create(tmp_path / "run", training)
    loop.train(carried_free(), windows, training, run=run, fingerprint="of all data")
    longer = training.model_copy(update={"steps": 6})
    with pytest.raises(InputError, match="batches are not made of the data as when this run was begun"):
        resume = ResumeOptions()
        loop.train(carried_free(), reversed_rows, longer, run=run, resume=resume, fingerprint="of all data")
    loop.train(carried_free(), windows, longer, run=run, resume=ResumeOptions(), fingerprint="of all data")


def test_what_a_family_does_not_offer_is_no_option_without_effect() -> None:
    training = config(steps=2, batch_size=LANES, sequence_length=TIME, activation_checkpointing=True)
    with pytest.raises(InputError, match="--activation-checkpointing with a toy-gru model"):
        loop.train(carried_free(), lanes(), training)


def test_a_row_that_leads_nowhere_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for target in ("tests.plugins.nowhere:Lost", "tests.plugins.gru:Lost"):
        monkeypatch.setitem(SOURCES.rows, "toy-lost", target)
        with pytest.raises(InputError, match=f"the packing 'toy-lost' leads to {target}.*table of textwright.sources"):
            make_batches(lanes().tokens, config(packing="toy-lost"), context_length=TIME)


def test_a_bigram_that_counts_is_scored_and_writes_and_is_not_trained() -> None:
    tokenizer, texts = make_tokenizer("byte", lambda: iter(())), ["abab abba", "baab"]
    model = build(BigramConfig(vocab_size=tokenizer.vocab_size, context_length=6))
    assert isinstance(model, Bigram)
    documents = [[tokenizer.end_id, *tokenizer.encode(text), tokenizer.end_id] for text in texts]
    model.count(documents)
    loss_nats = 0.0
    for before, after in [pair for ids in documents for pair in pairwise(ids[:-1])]:
        seen = sum(pair[0] == before for ids in documents for pair in pairwise(ids))
        together = sum(pair == (before, after) for ids in documents for pair in pairwise(ids))
        loss_nats -= math.log((together + 1) / (seen + tokenizer.vocab_size))
    score = score_text(model, tokenizer, texts, stride=2)
    assert score.bits_per_byte == pytest.approx(loss_nats / math.log(2) / score.num_bytes)
    assert last_word_accuracy(model, tokenizer, ["a b"]).num_passages == 1
    greedy = SamplingConfig(max_new_tokens=3, temperature=0.0)
    assert generate(model, tokenizer, ["a"], greedy)[0].text == "bab"
    with pytest.raises(InputError, match="a toy-bigram model cannot learn the next token"):
        add_loss(model, config())


def test_what_a_model_does_not_offer_is_refused_by_its_family() -> None:
    values = {"family": "toy-encoder", "vocab_size": 8, "context_length": 8, "hidden_size": 8}
    model = build(read_model_config(values, "here"))
    with pytest.raises(InputError, match="a toy-encoder model cannot learn the next token"):
        add_loss(model, config())(Batch.from_ids(torch.ones(1, 4, dtype=torch.int64)))


def test_a_row_of_an_installed_package_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FAMILIES.rows, "toy-gru")
    with pytest.raises(InputError, match="unknown family 'toy-gru'"):
        read_model_config({"family": "toy-gru"}, "here")
    info = tmp_path / "strangers-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[textwright.families]\ntoy-gru = tests.plugins.gru:FAMILY\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    values = {"family": "toy-gru", "vocab_size": 8, "context_length": 8, "hidden_size": 8}
    assert read_model_config(values, "here").family == "toy-gru"
