"""Adapters of low rank in a folder, in PEFT's format: written for its readers, and read without trusting what is there.

::

    FOLDER/  adapter_config.json         rank, alpha, which modules
             adapter_model.safetensors   base_model.model.MODULE.lora_A.weight, ....lora_B.weight
             textwright.json             the hash of the weights that it was made for; only where we wrote it
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from textwright.checkpoint.adapter_layout import Pair, ends_with, foreign_modules, peft_values, to_pairs
from textwright.checkpoint.model_folder import ADAPTER, FORMAT_VERSION, OURS
from textwright.checkpoint.safetensors_folder import read_safetensors
from textwright.checkpoint.safetensors_writer import write_safetensors
from textwright.core.config import Config, read_config
from textwright.core.errors import InputError
from textwright.core.files import atomic_folder, sha256_file
from textwright.core.sealed import seal, unseal
from textwright.core.user_paths import given_path, read_text
from textwright.models.catalog import adapter_of
from textwright.models.layers.low_rank import lora_layers, lora_state
from textwright.models.lora import LoraConfig, Rows, add_low_rank, check_has_no_lora
from textwright.models.network import Network

WEIGHTS, PICKLE = "adapter_model.safetensors", "adapter_model.bin"
WRITTEN = frozenset((ADAPTER, WEIGHTS, PICKLE, OURS))
"""The files of an adapter, by which an older one would be read."""
PREFIX = "base_model.model."
"""What PEFT puts before the names of modules."""
MERGE = "fold it into its base with peft: model.merge_and_unload().save_pretrained(FOLDER)"
IGNORED_KEYS = frozenset(
    (
        *("auto_mapping", "base_model_name_or_path", "ensure_weight_tying", "eva_config", "exclude_modules"),
        *("fan_in_fan_out", "inference_mode", "layers_pattern", "layers_to_transform", "loftq_config"),
        *("megatron_core", "peft_version", "qalora_group_size", "revision", "runtime_config", "target_modules"),
    )
)
"""Keys that do not change what is computed; which modules are adapted is told by the matrices that are there."""
REQUIRED_VALUES: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "task_type": ("CAUSAL_LM", None),
    "bias": ("none",),
    "init_lora_weights": (True, False, "gaussian", "eva", "orthogonal"),
}
"""Keys that must have one of these values, where they are there. The other ways to begin change the base's weights."""


class PeftSettings(Config):
    """What is used of an ``adapter_config.json``, by its own names."""

    r: int = Field(default=8, ge=1)
    """The rank."""
    lora_alpha: float = Field(default=8.0, gt=0)
    """See ``LoraConfig.alpha``."""
    lora_dropout: float = Field(default=0.0, ge=0, lt=1)
    """See ``LoraConfig.dropout``."""
    use_rslora: bool = False
    """See ``LoraConfig.rank_stabilised``."""
    rank_pattern: dict[str, int] = Field(default_factory=dict)
    """Other ranks, by the names of modules or how these end."""
    alpha_pattern: dict[str, float] = Field(default_factory=dict)
    """Other alphas, likewise."""


@dataclass(frozen=True)
class Adapter:
    """What an adapter's folder holds."""

    folder: Path
    settings: PeftSettings
    matrices: dict[str, tuple[Tensor, Tensor]]
    """A [rank, in] and B [out, rank] in float32, by the names of modules in transformers."""
    base: str | None
    """What the model is called that it was made for, where that is known."""
    base_sha256: str | None
    """And the hash of its weights."""


def load_adapter(network: Network, folder: Path | str) -> LoraConfig:
    """Read an adapter and add it to a network, in place: ``merge_lora`` folds it in.

    Returns:
        What it is. Where ranks or alphas differ between its modules, it has those that the folder states first.

    Raises:
        InputError: as ``read_adapter`` and ``add_adapter``.
    """
    return add_adapter(network, read_adapter(folder))


def read_adapter(folder: Path | str) -> Adapter:
    """What an adapter's folder holds, with all that can be seen without its base.

    Raises:
        InputError: there is none, it is a pickle, a file is not whole, or it is more than a LoRA of linear layers;
            always by the name of the file, key or tensor.
    """
    folder = Path(folder)
    with given_path(folder):
        if not (folder / ADAPTER).is_file():
            raise _no_adapter(folder)
        values = _read_values(folder / ADAPTER)
        settings = _read_settings(values, str(folder / ADAPTER))
        if not (folder / WEIGHTS).is_file():
            raise _no_weights(folder)
        matrices = _read_matrices(folder / WEIGHTS)
        base_sha256 = _read_base_sha256(folder)
    base = values.get("base_model_name_or_path")
    return Adapter(folder, settings, matrices, base if isinstance(base, str) else None, base_sha256)


def add_adapter(network: Network, adapter: Adapter) -> LoraConfig:
    """Add an adapter that was read to a network, in place; see ``load_adapter``.

    Raises:
        InputError: it was made for another model, or the network has one already. The network is as it was then.
    """
    check_has_no_lora(network)
    settings, targets = adapter.settings, dict[str, None]()
    placed = _placed(network, adapter)
    if adapter.base_sha256 is not None and adapter.base_sha256 != (found := base_sha256(network)):
        raise _other_base(adapter, f"the weights that it was made for have the hash {adapter.base_sha256[:12]}", found)
    for rows, pair in placed:
        product = add_low_rank(
            network,
            rows,
            rank=len(pair.a),
            alpha=pair.alpha,
            rank_stabilised=settings.use_rslora,
            dropout=settings.lora_dropout,
        )
        product.load_state_dict({"lora_a": pair.a, "lora_b": pair.b})
        product.to(network.device)
        targets[rows.target] = None
    return LoraConfig(
        rank=settings.r,
        alpha=settings.lora_alpha,
        dropout=settings.lora_dropout,
        targets=tuple(targets),
        rank_stabilised=settings.use_rslora,
    )


def save_adapter(network: Network, folder: Path | str, *, base: Path | str | None = None) -> None:
    """Write a network's adapter for PEFT; it appears whole or not at all. An older one there is replaced.

    Files that are none of an adapter's stay. The base's weights are not written: their hash is, in ``textwright.json``.

    Args:
        network: with an adapter; see ``models.lora.add_lora``.
        folder: where.
        base: what the base is called, or where it lies, for those who load both by the adapter alone.

    Raises:
        InputError: the network has no adapter, or something else is there.
    """
    first = next(lora_layers(network), None)
    if first is None:
        raise InputError("the network has no adapter", fix="add one first: add_lora, or load_adapter")
    given, folder = folder, Path(os.path.realpath(folder))
    layer, pairs = first[1], to_pairs(network)
    values = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": None if base is None else str(base),
        "lora_dropout": layer.dropout,
        "use_rslora": layer.low_rank()[0].rank_stabilised,
        "fan_in_fan_out": adapter_of(network.config).transposed is not None,
        "bias": "none",
        "init_lora_weights": True,
        "inference_mode": True,
        "modules_to_save": None,
    } | peft_values(pairs, foreign_modules(network))
    with given_path(given):
        _check_replaceable(folder)
        with atomic_folder(folder, keeps=lambda path: path.name not in WRITTEN or len(path.parts) > 1) as new:
            text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
            (new / ADAPTER).write_text(text + "\n", encoding="utf-8")
            tensors = {f"{PREFIX}{name}.lora_A.weight": pair.a.cpu() for name, pair in pairs.items()}
            tensors |= {f"{PREFIX}{name}.lora_B.weight": pair.b.cpu() for name, pair in pairs.items()}
            written = write_safetensors(new / WEIGHTS, tensors, metadata={"format": "pt"})
            ours = {"base_sha256": base_sha256(network), "weights_sha256": written}
            (new / OURS).write_text(seal({"version": FORMAT_VERSION, "adapter": ours}), encoding="utf-8")


def base_sha256(network: Network) -> str:
    """The hash of a network's weights without an adapter's, as numbers: whatever file they are from."""
    digest, added = hashlib.sha256(), lora_state(network)
    for name, tensor in sorted(network.state_dict().items()):
        if name not in added:
            held = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {tuple(held.shape)} {held.dtype}\n".encode())
            digest.update(memoryview(held.flatten().view(torch.uint8).numpy()))
    return digest.hexdigest()


def _no_adapter(folder: Path) -> InputError:
    """What is said of a folder without an adapter."""
    if not folder.exists():
        return InputError(f"there is no adapter folder {folder}", fix="check the path")
    if (folder / "config.json").is_file():
        return InputError(f"{folder} is a model", expected=f"an adapter, with {ADAPTER}", fix="name it as the model")
    return InputError(f"no {ADAPTER} in {folder}", expected="the folder of an adapter", fix="check the path")


def _no_weights(folder: Path) -> InputError:
    if (folder / PICKLE).exists():
        return InputError(
            f"{folder / PICKLE} is a pickle, which can run code when it is opened",
            expected=WEIGHTS,
            fix="convert it where you trust it: load it with peft and save_pretrained(FOLDER)",
        )
    return InputError(f"no {WEIGHTS} in {folder}", fix="get the folder anew")


def _read_values(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where=str(path)) from None
    if not isinstance(values, dict):
        raise InputError("not a JSON object", where=str(path))
    return values


def _read_settings(values: dict[str, Any], where: str) -> PeftSettings:
    """What is used of the values; what would change the maths otherwise is refused by its key."""
    for key, value in values.items():
        if key in REQUIRED_VALUES:
            if not any(value is known or (isinstance(known, str) and value == known) for known in REQUIRED_VALUES[key]):
                expected = " or ".join(map(repr, REQUIRED_VALUES[key]))
                raise InputError(f"{key} = {_shown(value)}", where=where, expected=expected, fix=MERGE)
        elif key not in IGNORED_KEYS and key not in PeftSettings.model_fields and value:
            raise InputError(f"{key} = {_shown(value)}", where=where, expected="a LoRA without it", fix=MERGE)
    used = {key: values[key] for key in PeftSettings.model_fields if values.get(key) is not None}
    settings = read_config(PeftSettings, used, where)
    for key in (*settings.rank_pattern, *settings.alpha_pattern):
        if not re.fullmatch(r"[\w.]+", key):
            raise InputError(f"the pattern {key!r}", where=where, expected="a module's name, or its end", fix=MERGE)
    return settings


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _read_matrices(path: Path) -> dict[str, tuple[Tensor, Tensor]]:
    """A and B of each module."""
    found: dict[str, dict[str, Tensor]] = {}
    for name, tensor in read_safetensors(path).items():
        match = re.fullmatch(re.escape(PREFIX) + r"(.+)\.lora_([AB])\.weight", name)
        if match is None:
            what = "adapts an embedding" if ".lora_embedding_" in name else "is no matrix of a linear layer's LoRA"
            expected = f"{PREFIX}MODULE.lora_A.weight and lora_B.weight"
            raise InputError(f"the tensor {name!r} {what}", where=str(path), expected=expected)
        if tensor.ndim != 2 or not tensor.is_floating_point():
            shape = f"{tensor.dtype} {list(tensor.shape)}"
            raise InputError(f"the tensor {name!r} is {shape}", where=str(path), expected="a matrix of floats")
        if not bool(tensor.isfinite().all()):
            raise InputError(f"the tensor {name!r} has values that are not finite", where=str(path), fix="get it anew")
        found.setdefault(match[1], {})[match[2]] = tensor.float()
    for module, both in found.items():
        for which in {"A", "B"} - both.keys():
            raise InputError(f"the tensor {PREFIX}{module}.lora_{which}.weight is missing", where=str(path))
        if both["A"].shape[0] != both["B"].shape[1]:
            shapes = f"{list(both['A'].shape)} and {list(both['B'].shape)}"
            raise InputError(f"lora_A and lora_B of {module} are {shapes}", where=str(path), expected="one rank")
    if not found:
        raise InputError(f"{path} holds no matrices", expected="those of an adapter")
    return {module: (both["A"], both["B"]) for module, both in found.items()}


def _read_base_sha256(folder: Path) -> str | None:
    """The hash of the base, where we wrote it and the matrices are those that we wrote with it."""
    path = folder / OURS
    if not path.is_file():
        return None
    try:
        ours = unseal(read_text(path))["adapter"]
        base, weights = str(ours["base_sha256"]), ours["weights_sha256"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"{path} does not read: {error}", fix="remove it, or get the folder anew") from None
    return base if sha256_file(folder / WEIGHTS) == weights else None


def _placed(network: Network, adapter: Adapter) -> list[tuple[Rows, Pair]]:
    """Which rows each pair is added to, in the network's order."""
    prefix = adapter_of(network.config).prefix
    known = {module.removeprefix(prefix): rows for module, rows in foreign_modules(network).items()}
    found: dict[str, tuple[Rows, Pair]] = {}
    for module, (a, b) in adapter.matrices.items():
        name = module.removeprefix(prefix)
        if name not in known:
            raise _other_base(adapter, f"it adapts {module}", f"a {network.config.family} model without it")
        if name in found:
            raise InputError(f"matrices of {name} and of {prefix}{name}", where=str(adapter.folder), expected="one")
        rows = known[name]
        columns = network.get_parameter(f"{rows.layer}.weight").shape[1]
        if (len(b), a.shape[1]) != (rows.stop - rows.start, columns):
            theirs = f"its {module} is {len(b):,} x {a.shape[1]:,}"
            raise _other_base(adapter, theirs, f"{rows.stop - rows.start:,} x {columns:,}")
        found[name] = rows, Pair(a, b, _alpha_of(module, len(a), adapter))
    return [found[name] for name in known if name in found]


def _alpha_of(module: str, rank: int, adapter: Adapter) -> float:
    """A module's alpha, its rank being what the folder says."""
    settings, where = adapter.settings, str(adapter.folder)
    expected = next((r for name, r in settings.rank_pattern.items() if ends_with(module, name)), settings.r)
    if rank != expected:
        raise InputError(f"{module} has rank {rank}", where=where, expected=f"{expected}, by {ADAPTER}")
    return next(
        (alpha for name, alpha in settings.alpha_pattern.items() if ends_with(module, name)), settings.lora_alpha
    )


def _other_base(adapter: Adapter, theirs: str, ours: str) -> InputError:
    """An adapter that was made for another model."""
    named = f"name the model that it was made for: {adapter.base}" if adapter.base else "name that one"
    return InputError(f"the adapter {adapter.folder} was made for another model: {theirs}, here {ours}", fix=named)


def _check_replaceable(folder: Path) -> None:
    """See that nothing is there, or an adapter."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not (folder / ADAPTER).is_file() or (folder / "config.json").exists():
        raise InputError(
            f"{folder} is there already and is no adapter's folder",
            expected=f"nothing there, an empty folder, or one with {ADAPTER} and no model",
            fix="choose another folder",
        )
