"""Model folders in the layouts that people have: the logits are transformers', or the cause is named.

And a folder that was read and saved again says what it said before.
"""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.checkpoint.conftest import Tensors, from_pretrained, our_logits, random_ids, their_logits
from tests.checkpoint.foreign_layouts import (
    BASES,
    COMMON_SIZES,
    EMBEDDING,
    HEAD,
    PREFIX,
    READ,
    REFUSED,
    Layout,
    adapter_beside,
    draw,
    having,
)
from textwright.api.config import FitConfig
from textwright.api.fit_run import restore_base
from textwright.checkpoint.model_folder import load_model, save_model
from textwright.core.errors import InputError
from textwright.models.catalog import build
from textwright.models.language_model import as_language_model
from textwright.runs.run_folder import Run
from textwright.tokens import Tokenizer

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning")


@pytest.mark.parametrize("name", READ)
def test_a_folder_as_others_have_it_gives_transformers_logits(name: str, tmp_path: Path) -> None:
    layout = READ[name]
    folder = layout.write(tmp_path / "model", layout.values)
    ours, theirs = load_model(folder), from_pretrained(folder)
    ids = random_ids(257, time=24)
    expected = their_logits(theirs, ids)
    assert expected.std() > 0.5
    assert (our_logits(ours, ids) - expected).abs().max() <= 1e-5 * expected.abs().max()


@pytest.mark.parametrize("name", REFUSED)
def test_a_folder_that_would_be_read_otherwise_is_refused_by_the_cause(name: str, tmp_path: Path) -> None:
    layout, message = REFUSED[name]
    folder = layout.write(tmp_path / "model", BASES[layout.base])
    with pytest.raises(InputError, match=message) as caught:
        load_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_there_are_as_many_as_promised() -> None:
    assert len(READ) + len(REFUSED) >= 30


@pytest.mark.parametrize("name", READ)
def test_a_folder_that_is_read_and_saved_says_what_it_said(
    name: str, tmp_path: Path, byte_tokenizer: Tokenizer
) -> None:
    layout = READ[name]
    folder = layout.write(tmp_path / "model", layout.values)
    model = load_model(folder)
    save_model(model, byte_tokenizer, tmp_path / "again")
    # How the tensors are written follows the new folder: under the names of the model with a head, in float32.
    written = {"architectures": BASES[layout.base]["architectures"]}
    written |= {key: "float32" for key in ("dtype", "torch_dtype") if key in layout.values}
    assert json.loads((tmp_path / "again" / "config.json").read_text()) == layout.values | written
    tensors = load_file(tmp_path / "again" / "model.safetensors")
    assert_same_bits(tensors, saved_as(layout, layout.tensors(draw(layout.values))))
    ids = random_ids(257, time=24)
    assert torch.equal(our_logits(load_model(tmp_path / "again"), ids), our_logits(model, ids))


def saved_as(layout: Layout, tensors: Tensors) -> Tensors:
    """A folder's weights with the names that transformers' model with a head has, in float32."""
    prefix = PREFIX[layout.base]
    named = {name if name == HEAD else prefix + name.removeprefix(prefix): t for name, t in tensors.items()}
    kept = {name: t.float() for name, t in named.items() if name.endswith((".weight", ".bias"))}
    kept = {name: tensor for name, tensor in kept.items() if not name.endswith(".attn.bias")}
    if layout.values.get("tie_word_embeddings", layout.base != "qwen3"):
        head = kept.pop(HEAD, None)
        if head is not None:
            kept.setdefault(prefix + EMBEDDING[layout.base], head)
    return kept


def assert_same_bits(found: Tensors, expected: Tensors) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in found.items():
        assert tensor.dtype == torch.float32, name
        assert torch.equal(tensor.view(torch.int32), expected[name].contiguous().view(torch.int32)), name


@pytest.mark.parametrize("base", BASES)
def test_whatever_the_installed_transformers_may_write_beside_a_model_is_harmless(base: str, tmp_path: Path) -> None:
    from transformers import AutoConfig, GenerationConfig

    values = dict(BASES[base])
    dumped = AutoConfig.for_model(values.pop("model_type"), **values).to_dict()
    generation = {key: value for key, value in vars(GenerationConfig()).items() if key != "transformers_version"}
    layout = Layout(dumped | {key: None for key in generation if key not in dumped}, base=base)
    folder = layout.write(tmp_path / "model", BASES[base])
    plain = Layout(base=base).write(tmp_path / "plain", BASES[base])
    ids = random_ids(257, time=24)
    assert torch.equal(our_logits(load_model(folder), ids), our_logits(load_model(plain), ids))


def test_settings_of_generating_are_harmless_with_any_value(tmp_path: Path) -> None:
    settings = {"num_beam_groups": 2, "bad_words_ids": [[5]], "output_scores": True, "typical_p": 0.9}
    settings |= {"suppress_tokens": [1, 2], "num_labels": 3, "xla_device": True, "repetition_penalty": 1.3}
    load_model(Layout(settings).write(tmp_path / "model", BASES["gpt2"]))


@pytest.mark.parametrize(
    ("key", "guess"),
    [
        ("n_emdb", "did you mean 'n_embd'"),
        ("rope_theta", "remove it"),
        ("num_groups", "remove it"),
        ("my_note", "remove it"),
    ],
)
def test_a_key_nobody_knows_is_taken_for_a_slip_only_where_it_is_nearly_one_of_ours(
    tmp_path: Path, key: str, guess: str
) -> None:
    folder = Layout({key: 1}).write(tmp_path / "model", BASES["gpt2"])
    with pytest.raises(InputError, match=f"unknown key '{key}'.*{guess}"):
        load_model(folder)


def test_a_mask_may_hold_what_a_weight_may_not(tmp_path: Path) -> None:
    infinite = having(transformer__h__0__attn__masked_bias=torch.tensor(-torch.inf))
    load_model(Layout(tensors=infinite).write(tmp_path / "model", BASES["gpt2"]))


def test_what_changed_is_written_over_what_was_said_before(tmp_path: Path, byte_tokenizer: Tokenizer) -> None:
    layout = Layout(COMMON_SIZES | {"n_inner": None, "layer_norm_epsilon": 1e-5, "id2label": {"0": "no"}})
    model = load_model(layout.write(tmp_path / "model", layout.values))
    smaller = build(model.config.model_copy(update={"hidden_size": 16, "head_dim": 4, "intermediate_size": 64}))
    smaller.foreign_config = model.foreign_config
    save_model(smaller, byte_tokenizer, tmp_path / "again", dtype="bfloat16")
    written = json.loads((tmp_path / "again" / "config.json").read_text())
    expected = {key: value for key, value in layout.values.items() if key != "hidden_size"}
    assert written == expected | {"n_embd": 16, "n_inner": 64, "torch_dtype": "bfloat16"}
    assert load_model(tmp_path / "again").config == smaller.config


def test_a_model_is_not_saved_beside_an_adapter_that_would_change_it(tmp_path: Path, byte_tokenizer: Tokenizer) -> None:
    folder = Layout().write(tmp_path / "model", BASES["gpt2"])
    model = load_model(folder)
    adapter_beside(folder)
    before = (folder / "model.safetensors").read_bytes()
    with pytest.raises(InputError, match=r"holds an adapter \(adapter_config.json\).*choose another folder"):
        save_model(model, byte_tokenizer, folder)
    assert (folder / "model.safetensors").read_bytes() == before


def test_a_run_that_goes_on_from_a_model_keeps_what_its_folder_said(tmp_path: Path, byte_tokenizer: Tokenizer) -> None:
    layout = Layout({"id2label": {"0": "no"}, "task_specific_params": {"text-generation": {"max_length": 50}}})
    model = load_model(layout.write(tmp_path / "model", layout.values))
    run = Run(tmp_path / "run")
    save_model(model, byte_tokenizer, run.base)
    resumed = build(model.config, seed=1)
    restore_base(run, FitConfig(), as_language_model(resumed))
    save_model(resumed, byte_tokenizer, run.model)
    assert json.loads((run.model / "config.json").read_text()) == layout.values
    assert (run.model / "model.safetensors").read_bytes() == (run.base / "model.safetensors").read_bytes()
