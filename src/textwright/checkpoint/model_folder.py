"""The model folder: Hugging Face's format, ours and foreign.

::

    FOLDER/  config.json  model.safetensors  tokenizer.json  tokenizer_config.json  generation_config.json
             textwright.json   format version, where the model came from, how it wants dialogues and prompts
             cache/int8/       see ``engines.cpu.quantized_cache``
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from textwright.checkpoint.safetensors_folder import SINGLE, other_format, read_tensors
from textwright.checkpoint.safetensors_writer import write_safetensors
from textwright.checkpoint.stored_weights import as_stored, by_rows, check_shapes, check_values
from textwright.core.collecting import without_collecting
from textwright.core.config import read_config
from textwright.core.errors import InputError
from textwright.core.files import TEMPORARY, atomic_folder, sha256_file, write_atomically
from textwright.core.sealed import damage_of_files, describe_files, seal, unseal
from textwright.data.prompt_format import PromptFormat
from textwright.models.catalog import adapter_of, build_uninitialised, find_adapter
from textwright.models.config import ModelConfig
from textwright.models.hugging_face import HuggingFaceAdapter
from textwright.models.language_model import LanguageModel, as_language_model
from textwright.models.network import Network
from textwright.text.dialogue import DialogueFormat
from textwright.tokens import Tokenizer, load_tokenizer

FORMAT_VERSION = 1
OURS = "textwright.json"
README, CARD_HASHES = "README.md", "card_sha256"
"""A model's card, and what ``textwright.json`` remembers of the one that ``model_card.write_card`` wrote."""
ADAPTER = "adapter_config.json"
"""What makes transformers add matrices of low rank to the model that this names, whatever else lies there."""
WRITTEN_BY_MODELS = re.compile(
    r"config\.json|generation_config\.json|textwright\.json"
    r"|model\.safetensors|pytorch_model\.bin|tf_model\.h5|flax_model\.msgpack|rust_model\.ot"
    r"|(model|pytorch_model|tf_model|flax_model)(-\d+-of-\d+\.(safetensors|bin|h5|msgpack)"
    r"|\.(safetensors|bin|h5|msgpack)\.index\.json)"
    r"|tokenizer\.json|tokenizer_config\.json|special_tokens_map\.json|added_tokens\.json|chat_template\.jinja"
    r"|vocab\.json|merges\.txt|encoder\.json|vocab\.bpe|tokenizer\.model"
)
"""Files of a model folder that are the model's own; see ``save_model``."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def save_model(
    model: Network,
    tokenizer: Tokenizer,
    folder: Path,
    *,
    dtype: str = "float32",
    facts: dict[str, Any] | None = None,
    dialogue: DialogueFormat | None = None,
    prompt_format: PromptFormat | None = None,
) -> None:
    """Write a model folder; it appears whole or not at all. An older model there is replaced, and nothing else.

    An older model's files are those of these names, by which it, or a part of it, would be read in place of the new
    one; they go, whether the new one has such a file or not:

    - ``config.json``, ``generation_config.json``, ``textwright.json``;
    - weights, whole or in numbered parts with their index: ``model.safetensors``, ``pytorch_model.bin``,
      ``tf_model.h5``, ``flax_model.msgpack``, ``rust_model.ot``;
    - of the tokenizer ``tokenizer.json``, ``tokenizer_config.json``, ``special_tokens_map.json``,
      ``added_tokens.json``, ``chat_template.jinja``, ``vocab.json`` and ``merges.txt``, ``encoder.json`` and
      ``vocab.bpe``, ``tokenizer.model``;
    - ``cache/int8``, which was made of the older weights.

    All others stay, such as ``README.md``, ``LICENSE``, ``.git``, ``onnx``; but a card that we made of the older model,
    and nobody changed, goes with it. A link to a folder is followed.

    Args:
        model: any family of the catalogue. One that was read from a folder keeps what its ``config.json`` said.
        tokenizer: its tokenizer.
        folder: where.
        dtype: of the tensors: ``float32``, ``bfloat16`` or ``float16``.
        facts: where the model came from, for ``textwright.json``.
        dialogue: how dialogues are written down for it, for ``textwright.json`` too; None where it knows of none.
        prompt_format: which control codes and sentinel tokens it has learned, likewise.

    Raises:
        InputError: an unknown dtype, weights too large for float16, or what is there is no model or holds an adapter.
    """
    if dtype not in DTYPES:
        raise InputError(f"dtype {dtype!r}", expected=f"one of {', '.join(DTYPES)}")
    folder = Path(os.path.realpath(folder))
    _check_replaceable(folder)
    adapter = adapter_of(model.config)
    tensors = adapter.to_hf({name: value.cpu() for name, value in model.exported_tensors().items()}, model.config)
    with atomic_folder(folder, keeps=_stays_in(folder)) as new:
        cast = {name: _cast(name, tensor, DTYPES[dtype]) for name, tensor in tensors.items()}
        write_safetensors(new / SINGLE, cast, metadata={"format": "pt"})
        config = adapter.write_config(model.config, end_id=tokenizer.end_id, dtype=dtype, foreign=model.foreign_config)
        _write_json(new / "config.json", config)
        _write_json(
            new / "generation_config.json",
            {"bos_token_id": tokenizer.end_id, "eos_token_id": tokenizer.end_id, "pad_token_id": tokenizer.end_id},
        )
        tokenizer.save(new)  # with the generation_config.json that lay beside it, if one did
        ours: dict[str, Any] = {"version": FORMAT_VERSION, "model": model.config.model_dump(), "facts": facts or {}}
        ours |= {"dialogue": dialogue.model_dump()} if dialogue is not None else {}
        ours |= prompt_format.model_dump(exclude_none=True) if prompt_format is not None else {}
        ours["files"] = describe_files(new, sorted(path.name for path in new.iterdir()))
        (new / OURS).write_text(seal(ours), encoding="utf-8")


def _check_replaceable(folder: Path) -> None:
    """See that nothing is there, or a model."""
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return
    if not _is_model_folder(folder):
        raise InputError(
            f"{folder} is there already and is no model folder",
            expected="nothing there, an empty folder, or one whose config.json has a model_type",
            fix="choose another folder",
        )
    if (folder / ADAPTER).exists():
        raise InputError(
            f"{folder} holds an adapter ({ADAPTER}), which other programs would add to the model",
            fix="choose another folder",
        )
    for path in folder.iterdir():
        if WRITTEN_BY_MODELS.fullmatch(path.name) and path.is_dir():
            raise InputError(f"{path} is a folder", expected="a file of the model", fix="move it away")


def _is_model_folder(folder: Path) -> bool:
    """Whether a model lies there, ours or a foreign one. Other programs' config.json has no model_type."""

    def read(name: str) -> dict[str, Any]:
        try:
            return _read_json(folder / name)
        except (InputError, OSError):
            return {}

    return isinstance(read("config.json").get("model_type"), str) or isinstance(read(OURS).get("model"), dict)


def _stays_in(folder: Path) -> Callable[[Path], bool]:
    """What of a model folder is none of the model's own, by its path in it; as it is now."""
    goes = {Path(README)} if has_card_of_ours(folder) else set[Path]()
    return lambda path: _is_no_models(path) and path not in goes


def _is_no_models(path: Path) -> bool:
    """Whether what has this path in a model folder is not the model's own."""
    if path.parent == Path("cache"):
        return path.name != "int8" and not (path.name.startswith(".int8.") and path.name.endswith(TEMPORARY))
    return len(path.parts) > 1 or not WRITTEN_BY_MODELS.fullmatch(path.name)


def load_model(folder: Path, *, device: str = "cpu", lays_by_rows: bool = True) -> LanguageModel:
    """The model in a folder, in float32.

    Args:
        folder: ours, or one in Hugging Face's format.
        device: where its weights go.
        lays_by_rows: copy matrices that are stored the other way round; else ``lay_by_rows`` does it later.

    Raises:
        InputError: whatever there is cannot be read exactly, by the name of the file, key or tensor.
    """
    if not folder.is_dir():
        raise InputError(f"there is no model folder {folder}", fix="check the path")
    config, adapter, foreign = _read_config(folder)
    where = str(folder)
    read = read_tensors(folder)
    check_values(read, adapter, where)
    tensors = adapter.from_hf(read, config, where)
    model = as_language_model(build_uninitialised(config))
    check_shapes(model, tensors, adapter, where)
    as_float32 = by_rows if lays_by_rows or device != "cpu" else as_stored
    model.load_state_dict({name: as_float32(tensor) for name, tensor in tensors.items()}, assign=True)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    model.foreign_config = foreign
    return model.to(device)


def load_folder(folder: Path, *, device: str = "cpu", lays_by_rows: bool = True) -> tuple[LanguageModel, Tokenizer]:
    """The model and its tokenizer.

    Args:
        folder: as of ``load_model``, and so are the others.
        device: see there.
        lays_by_rows: see there.

    Raises:
        InputError: as ``load_model``; or the tokenizer has more tokens than the model.
    """
    if not folder.is_dir():
        raise InputError(f"there is no model folder {folder}", fix="check the path")
    model = load_model(folder, device=device, lays_by_rows=lays_by_rows)
    with without_collecting():
        tokenizer = load_tokenizer(folder)
    if tokenizer.vocab_size > model.vocab_size:
        raise InputError(
            f"the tokenizer has {tokenizer.vocab_size:,} tokens, the model {model.vocab_size:,}",
            where=str(folder),
            fix="use the tokenizer that the model was trained with",
        )
    return model, tokenizer


def read_model_config(folder: Path) -> ModelConfig:
    """The shape of the model in a folder, without its weights.

    Raises:
        InputError: as ``load_model``, where its config does not read.
    """
    if not folder.is_dir():
        raise InputError(f"there is no model folder {folder}", fix="check the path")
    return _read_config(folder)[0]


def damage_of_model(folder: Path) -> str | None:
    """What is wrong with a model folder of ours, naming the file; None when every byte is as it was written.

    A folder that was changed on purpose since is called damaged too.
    """
    path = folder / OURS
    try:
        files = unseal(path.read_text(encoding="utf-8"))["files"]
    except FileNotFoundError:
        return f"{path} is missing"
    except (OSError, ValueError, KeyError) as error:
        return f"{path} does not read: {error}"
    found = damage_of_files(folder, files)
    if found is not None:
        return found
    try:
        load_folder(folder)
        read_dialogue(folder)
        read_prompt_format(folder)
    except InputError as error:
        return str(error)
    return None


def read_facts(folder: Path) -> dict[str, Any]:
    """Where a model of ours came from; nothing for a foreign folder."""
    content = _read_json(folder / OURS) if (folder / OURS).is_file() else {}
    facts = content.get("facts", {})
    return facts if isinstance(facts, dict) else {}


def described_files(folder: Path) -> dict[str, Any]:
    """Size and SHA-256 of the files of a model of ours, by name, as it was written; nothing for a foreign folder."""
    content = _read_json(folder / OURS) if (folder / OURS).is_file() else {}
    files = content.get("files", {})
    return files if isinstance(files, dict) else {}


def has_card_of_ours(folder: Path) -> bool:
    """Whether a model's card is there, as we wrote it: its hash is one that ``textwright.json`` remembers."""
    card = folder / README
    if not card.is_file():
        return False
    try:
        hashes = read_facts(folder).get(CARD_HASHES, [])
    except InputError:
        return False
    return isinstance(hashes, list) and sha256_file(card) in hashes


def add_facts(folder: Path, facts: dict[str, Any]) -> None:
    """Write more facts into the ``textwright.json`` of a model of ours: what was measured of it since.

    Raises:
        InputError: the folder has none, or one that was changed by hand.
    """
    path = folder / OURS
    try:
        ours = unseal(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} does not read: {error}", expected="a model folder that Textwright wrote", fix="check the path"
        ) from None
    write_atomically(path, seal(ours | {"facts": ours["facts"] | facts}))


def read_dialogue(folder: Path) -> DialogueFormat | None:
    """How dialogues are written down for a model of ours; None when its folder does not say.

    Raises:
        InputError: it says so in a way that cannot be read exactly.
    """
    path = folder / OURS
    content = _read_json(path) if path.is_file() else {}
    if "dialogue" not in content:
        return None
    values = content["dialogue"]
    if not isinstance(values, dict):
        raise InputError(f"dialogue = {values!r}", where=str(path), expected="an object of texts")
    return read_config(DialogueFormat, values, f"the dialogue in {path}")


def read_prompt_format(folder: Path) -> PromptFormat:
    """Which control codes and sentinel tokens a model of ours has learned; none where its folder does not say.

    Raises:
        InputError: it says so in a way that cannot be read exactly.
    """
    path = folder / OURS
    return PromptFormat.read(_read_json(path) if path.is_file() else {}, str(path))


def _read_config(folder: Path) -> tuple[ModelConfig, HuggingFaceAdapter, dict[str, Any]]:
    """Our config, what reads the tensors, and the folder's own config."""
    path = folder / "config.json"
    if (folder / ADAPTER).exists():
        raise InputError(
            f"{folder} holds an adapter ({ADAPTER}), which changes the model that it names",
            expected="a whole model",
            fix="name that model, and this folder with --adapter (in Python: load(MODEL, adapter=FOLDER))",
        )
    if not path.is_file():
        missing = InputError(f"no config.json in {folder}", expected="a model folder", fix="check the path")
        raise other_format(folder) or missing
    foreign = _read_json(path)
    adapter = find_adapter(foreign.get("model_type"), str(path))
    ours: dict[str, Any] = {}
    if (folder / OURS).is_file():
        content = _read_json(folder / OURS)
        if content.get("version") != FORMAT_VERSION:
            raise InputError(
                f"format version {content.get('version')!r}",
                where=str(folder / OURS),
                expected=str(FORMAT_VERSION),
                fix="use a newer Textwright",
            )
        ours = content["model"] if isinstance(content.get("model"), dict) else {}
    return adapter.read_config(foreign, str(path), ours), adapter, foreign


def _cast(name: str, tensor: Tensor, dtype: torch.dtype) -> Tensor:
    cast = tensor.to(dtype).contiguous()
    if dtype == torch.float16 and bool(tensor.isfinite().all()) and not bool(cast.isfinite().all()):
        raise InputError(f"the tensor {name!r} has values beyond float16", fix="save in bfloat16 or float32")
    return cast


def _write_json(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not valid JSON: {error}", where=str(path)) from None
    if not isinstance(content, dict):
        raise InputError("not a JSON object", where=str(path))
    return content
