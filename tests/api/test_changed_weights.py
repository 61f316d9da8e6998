"""What a model says follows its weights, however they were changed, in memory and on disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import torch

import textwright as tw
from textwright.api.model import Model
from textwright.engines.config import EngineConfig
from textwright.engines.cpu.quantized_cache import WEIGHTS
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.language_model import LanguageModel
from textwright.models.protocols import Decoder
from textwright.tokens import make_tokenizer

SHAPE = {"vocab_size": 257, "context_length": 32, "num_layers": 2, "num_heads": 2, "hidden_size": 32}
TEXTS = ["the cat sat on the mat", "the dog sat on the log"]
IDS = torch.tensor([list(b"the cat sat on the ")])
ENGINES = [("cpu", "float32"), ("cpu", "bfloat16"), ("cpu", "int8"), ("torch", "float32"), ("torch", "bfloat16")]
Engine = tuple[Literal["cpu", "torch"], Literal["float32", "bfloat16", "int8"]]
INT8: Engine = ("cpu", "int8")


def make(seed: int = 0) -> Model:
    network = build(GPTConfig.model_validate(SHAPE), seed=seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(4)  # so that it says different things
    return Model(network.eval(), make_tokenizer("byte", lambda: iter(())))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    make().save(tmp_path / "model")
    return tmp_path / "model"


def read(decoder: Decoder) -> torch.Tensor:
    """Logits of some ids."""
    hidden = decoder.extend(IDS, [IDS.shape[1]], decoder.empty_cache(1), [0])
    return decoder.logits(hidden).float()


def said(model: Model, engine: Engine) -> torch.Tensor:
    return read(model.decoder(EngineConfig(engine=engine[0], precision=engine[1])))


def anew(model: Model, engine: Engine, tmp_path: Path) -> torch.Tensor:
    """What a model with these weights says that has never said anything before."""
    model.save(tmp_path / "anew")
    return said(tw.load(tmp_path / "anew"), engine)


def fit(model: Model) -> None:
    model.fit(TEXTS, steps=2, learning_rate=0.01)


def assert_speaks(model: Model, engine: Engine, tmp_path: Path) -> None:
    torch.testing.assert_close(said(model, engine), anew(model, engine, tmp_path), atol=0, rtol=0)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_that_was_fitted_says_so_and_its_old_folder_says_what_it_said(
    folder: Path, tmp_path: Path, engine: Engine
) -> None:
    model = tw.load(folder)
    before = said(model, engine)
    fit(model)
    assert not torch.equal(said(model, engine), before)
    assert_speaks(model, engine, tmp_path)
    assert torch.equal(said(tw.load(folder), engine), before)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_model_that_speaks_first_after_it_was_fitted_leaves_its_old_folder_alone(
    folder: Path, tmp_path: Path, engine: Engine
) -> None:
    before = said(tw.load(folder), engine)
    make().save(tmp_path / "other")
    model = tw.load(tmp_path / "other")
    fit(model)
    assert_speaks(model, engine, tmp_path)
    assert torch.equal(said(tw.load(tmp_path / "other"), engine), before)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_a_fit_that_breaks_off_has_changed_the_model_too(
    folder: Path, tmp_path: Path, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tw.load(folder)
    before = said(model, INT8)

    def train(network: LanguageModel, *_: object, **__: object) -> None:
        for parameter in network.parameters():
            parameter.data.add_(0.1)
        raise error

    monkeypatch.setattr("textwright.api.fit_run.run_loop", train)
    with pytest.raises(error):
        model.fit(TEXTS)
    assert not torch.equal(said(model, INT8), before)
    assert not model.network.training


def by_torch(network: LanguageModel) -> None:
    with torch.no_grad():
        network.head_weight.mul_(-1)


def by_new_parameters(network: LanguageModel) -> None:
    network.load_state_dict({name: -value for name, value in network.state_dict().items()}, assign=True)


def by_data(network: LanguageModel) -> None:
    for parameter in network.parameters():
        parameter.data.mul_(-1)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("edit", [by_torch, by_new_parameters])
def test_an_edit_that_torch_tells_of_is_seen(
    folder: Path, tmp_path: Path, engine: Engine, edit: Callable[[LanguageModel], None]
) -> None:
    model = tw.load(folder)
    said(model, engine)
    edit(model.network)
    assert_speaks(model, engine, tmp_path)


@pytest.mark.parametrize("engine", ENGINES)
def test_an_edit_that_torch_does_not_tell_of_is_declared(folder: Path, tmp_path: Path, engine: Engine) -> None:
    model = tw.load(folder)
    before = said(model, engine)
    by_data(model.network)
    model.changed()
    assert_speaks(model, engine, tmp_path)
    assert torch.equal(said(tw.load(folder), engine), before)


def test_a_draft_model_and_a_mixed_one_speak_as_fitted() -> None:
    model, other = make(), make(seed=1)
    engine = EngineConfig(engine="cpu")
    speculation = model.speculation(other, engine=engine)
    options = {"temperature": 0, "max_new_tokens": 20, "engine": engine}
    plain = model.complete(["the cat"], **options)[0].text  # type: ignore[arg-type]
    mixed = model.complete(["the cat"], mixed_with={other: 50.0}, **options)[0].text  # type: ignore[arg-type]
    assert model.complete(["the cat"], speculation=speculation, **options)[0].text == plain  # type: ignore[arg-type]
    with torch.no_grad():
        for mine, its in zip(model.network.parameters(), other.network.parameters(), strict=True):
            its.data.copy_(mine)
    other.changed()
    speculation.proposed = speculation.accepted = 0
    assert model.complete(["the cat"], speculation=speculation, **options)[0].text == plain  # type: ignore[arg-type]
    assert speculation.acceptance_rate > 0.5
    assert model.complete(["the cat"], mixed_with={other: 50.0}, **options)[0].text != mixed  # type: ignore[arg-type]
    assert model.complete(["the cat"], mixed_with={other: 50.0}, **options)[0].text == plain  # type: ignore[arg-type]


def test_a_fitted_model_saved_elsewhere_has_a_cache_of_its_own(folder: Path, tmp_path: Path) -> None:
    model = tw.load(folder)
    before = said(model, INT8)
    fit(model)
    model.save(tmp_path / "fitted")
    after = said(model, INT8)
    assert (tmp_path / "fitted" / "cache" / "int8" / WEIGHTS).is_file()
    for place, expected in ((folder, before), (tmp_path / "fitted", after)):
        for _ in range(2):
            assert torch.equal(said(tw.load(place), INT8), expected)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_fitted_model_saved_over_its_own_folder_is_that_folders(folder: Path, dtype: str) -> None:
    model = tw.load(folder)
    said(model, INT8)
    fit(model)
    model.save(folder, dtype=dtype)
    assert not (folder / "cache").exists()
    after = said(model, INT8)
    # In bfloat16 the folder's weights are rounded first: what memory holds is not what it holds.
    assert (folder / "cache").exists() is (dtype == "float32")
    for _ in range(2):
        assert torch.equal(said(tw.load(folder), INT8), after) is (dtype == "float32")


def test_a_model_whose_folder_became_another_model_keeps_nothing_there(folder: Path) -> None:
    model = tw.load(folder)
    make(seed=1).save(folder)
    mine, expected = said(model, INT8), said(make(seed=1), INT8)
    assert not (folder / "cache").exists()
    assert not torch.equal(mine, expected)
    assert torch.equal(said(tw.load(folder), INT8), expected)


@pytest.mark.parametrize(("optimizer", "compiles"), [("adamw", False), ("adamw", True), ("muon", False)])
def test_every_optimizer_counts_the_versions_of_what_it_moves_up(
    optimizer: str, compiles: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = make()
    if compiles:  # what would be compiled, as it is
        monkeypatch.setattr(torch, "compile", lambda function, **_: function)
        monkeypatch.setattr("textwright.training.adamw.LARGE", 1)
    versions = {name: parameter._version for name, parameter in model.network.named_parameters()}
    how = {"steps": 1, "batch_size": 2, "sequence_length": 16, "learning_rate": 0.01}
    model.fit(TEXTS, **how, optimizer=optimizer, compile=compiles)
    for name, parameter in model.network.named_parameters():
        assert parameter._version > versions[name], name
