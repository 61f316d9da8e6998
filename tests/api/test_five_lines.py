"""The lines people come for, from Python."""

from pathlib import Path

import pytest
import torch

import textwright as tw
from textwright.api import ModelOptions, RunConfig, TrainConfig
from textwright.core.errors import InputError

SENTENCES = ["example sentence one", "another example sentence two"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("api")
    (root / "text.txt").write_text("The cat sat on the mat. The dog sat on the log.\n" * 80)
    config = RunConfig(
        data=(root / "text.txt",),
        tokenizer="bpe:270",
        model=ModelOptions(preset="nano"),
        training=TrainConfig(steps=10, batch_size=4),
    )
    return tw.train(config, root / "run", quiet=True).model


@pytest.fixture
def model(folder: Path) -> tw.Model:
    return tw.load(folder)


def test_the_loss_on_the_sentences_of_fit_falls(model: tw.Model) -> None:
    before = model.evaluate(SENTENCES).loss_nats_per_token
    report = model.fit(SENTENCES, steps=30)
    after = model.evaluate(SENTENCES).loss_nats_per_token
    assert after < 0.5 * before
    assert report.first_loss_nats is not None
    assert report.last_loss_nats is not None
    assert report.last_loss_nats < report.first_loss_nats
    assert (report.steps, report.end_reason) == (30, "finished")
    assert model.evaluate(["a sentence it has not seen"]).perplexity_per_token > 1
    assert isinstance(model.generate("This is a test sentence", max_new_tokens=40), str)


def test_fit_takes_pairs_epochs_and_minutes_and_writes_only_with_out(model: tw.Model, tmp_path: Path) -> None:
    pairs = [("question: 1+1 ", "answer: 2"), ("question: 1+2 ", "answer: 3")]
    assert model.fit(pairs, epochs=3).steps >= 1
    assert list(tmp_path.iterdir()) == []
    report = model.fit(pairs, minutes=0.02, out=tmp_path / "run")
    assert report.elapsed_s < 6
    assert tw.load(tmp_path / "run" / "model").evaluate(SENTENCES).loss_nats_per_token == pytest.approx(
        model.evaluate(SENTENCES).loss_nats_per_token, rel=1e-5
    )


def test_fit_is_repeatable_and_leaves_torchs_generator_alone(folder: Path) -> None:
    torch.manual_seed(7)
    expected = torch.rand(1)
    losses = []
    for _ in range(2):
        torch.manual_seed(7)
        losses.append(tw.load(folder).fit(SENTENCES, steps=3, seed=1).last_loss_nats)
        assert torch.equal(torch.rand(1), expected)
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("texts", "options", "message"),
    [
        ([], {}, "no text to learn from"),
        (["", ""], {}, "no text to learn from"),
        (SENTENCES, {"steps": 1, "epochs": 1}, "epochs beside steps or minutes"),
        (SENTENCES, {"learning_rate": float("nan")}, "learning_rate"),
        (SENTENCES, {"epochs": 1, "batch_size": 0}, "batch_size"),
    ],
)
def test_fit_says_what_is_wrong(model: tw.Model, texts: list[str], options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        model.fit(texts, **options)  # type: ignore[arg-type]


def test_logits_are_float32_of_batch_time_vocabulary(model: tw.Model) -> None:
    ids = [model.tokenizer.encode("The cat"), model.tokenizer.encode("The dog")]
    logits = model.logits(ids)
    assert logits.shape == (2, len(ids[0]), model.tokenizer.vocab_size)
    assert logits.dtype == torch.float32
    for bad, message in (([[9999]], "outside the vocabulary"), ([[1] * 65], "65 ids in a row"), ([], "dimensions")):
        with pytest.raises(InputError, match=message):
            model.logits(bad)


def test_a_saved_model_is_the_same_model(model: tw.Model, tmp_path: Path) -> None:
    model.save(tmp_path / "copy")
    again = tw.load(tmp_path / "copy")
    ids = [model.tokenizer.encode("The cat sat")]
    assert torch.equal(again.logits(ids), model.logits(ids))
    assert "parameters" in repr(again)


def test_a_runs_own_model_is_not_saved_over(model: tw.Model, folder: Path, tmp_path: Path) -> None:
    before = (folder / "model.safetensors").read_bytes()
    (tmp_path / "link").symlink_to(folder)
    for place in (folder, tmp_path / "link", folder / ".." / "model"):
        with pytest.raises(InputError, match=r"is the model that the run .* ended with; choose another folder"):
            model.save(place)
    assert (folder / "model.safetensors").read_bytes() == before
    model.save(tmp_path / "model")


def test_several_prompts_and_vectors(model: tw.Model) -> None:
    first, second = model.complete(["The cat", "The"], max_new_tokens=4, temperature=0)
    assert (first.prompt, second.num_tokens) == ("The cat", 4)
    given = ("a\r\n", "\ufeffb", [1, 2], torch.tensor([1, 2]), range(1, 3))
    found = model.complete((prompt for prompt in given), max_new_tokens=1, engine=tw.EngineConfig(engine="torch"))
    assert [one.prompt for one in found[:2]] == ["a\r\n", "\ufeffb"]  # prompts are read as they are
    assert len({one.text for one in found[2:]}) == 1
    vectors = model.embed(["a", "b", "a"])
    assert torch.equal(vectors[0], vectors[2])
    with pytest.raises(InputError, match="temprature.*temperature"):
        model.generate("a", temprature=1)
    for several in (model.evaluate, model.embed, model.complete):
        with pytest.raises(InputError, match="one text instead of a list"):
            several("one text")  # type: ignore[operator]


def test_a_name_that_is_no_folder_says_what_can_be_done(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no model folder"):
        tw.load(tmp_path / "none")
