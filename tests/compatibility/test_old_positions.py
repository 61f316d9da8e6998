"""A model folder of 0.1.0 with sinusoidal positions is read as one, though textwright.json has another key for them."""

from pathlib import Path

from textwright.api import load
from textwright.api.model import Model
from textwright.core.sealed import seal, unseal
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.tokens import make_tokenizer


def test_sinusoidal_positions_under_their_old_key(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("byte", lambda: iter(()))
    shape = preset("nano", vocab_size=tokenizer.vocab_size, position_encoding="sinusoidal")
    Model(build(shape).eval(), tokenizer).save(tmp_path / "model")
    path = tmp_path / "model" / "textwright.json"
    values = unseal(path.read_text(encoding="utf-8"))
    values["model"]["positions"] = values["model"].pop("position_encoding")
    path.write_text(seal(values), encoding="utf-8")
    network = load(tmp_path / "model").network
    assert network.config.position_encoding == "sinusoidal"
