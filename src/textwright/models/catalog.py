"""The table of families, and building a model by it. A new family is a folder (or file) and a row here."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textwright.core.catalog import Catalog
from textwright.core.config import read_config
from textwright.core.errors import InputError
from textwright.models.config import ModelConfig
from textwright.models.family import Family

if TYPE_CHECKING:
    from textwright.models.hugging_face import HuggingFaceAdapter
    from textwright.models.network import Network

FAMILIES = Catalog(
    "family",
    "textwright.families",
    {
        "gpt1": "textwright.models.gpt:GPT1",
        "gpt2": "textwright.models.gpt:GPT2",
        "qwen3": "textwright.models.gpt:QWEN3",
    },
)


def find_family(name: str) -> Family:
    """The family called ``name``. Raises InputError for a name that is not in the table."""
    family: Family = FAMILIES.load(name)
    return family


def read_model_config(values: dict[str, Any], where: str) -> ModelConfig:
    """The config that plain values stand for, of the family that they name.

    Raises:
        InputError: they name no family, or are not as its config has it.
    """
    if not isinstance(values.get("family"), str):
        raise InputError("the key 'family' is missing", where=where, expected=f"one of {', '.join(sorted(FAMILIES))}")
    return read_config(find_family(values["family"]).config, values, where)


def presets() -> dict[str, dict[str, Any]]:
    """The shapes people ask for by name, of all families: configs without their vocabulary.

    Raises:
        InputError: two families have a preset of one name.
    """
    found: dict[str, dict[str, Any]] = {}
    of: dict[str, str] = {}
    for name, family in _families().items():
        for preset, values in family.presets.items():
            if preset in found:
                raise InputError(
                    f"the preset {preset!r} is {of[preset]}'s and {name}'s",
                    where="the table of families",
                    fix="call one of them otherwise",
                )
            found[preset], of[preset] = dict(values), name
    return found


def find_adapter(model_type: object, where: str) -> "HuggingFaceAdapter":
    """What reads and writes model folders of a ``model_type``. Raises InputError for one that nobody reads."""
    from textwright.models.hugging_face import PLAIN, plain_adapter

    families = _families()
    known = {kind: path for family in families.values() for kind, path in family.adapters.items()}
    if isinstance(model_type, str) and model_type in known:
        adapter: HuggingFaceAdapter = _load(known[model_type])
        return adapter
    plain = {PLAIN + name: name for name in families}
    if isinstance(model_type, str) and model_type in plain:
        return plain_adapter(plain[model_type], families[plain[model_type]].config)
    given = f"model_type {model_type!r}" if model_type is not None else "the key 'model_type' is missing"
    raise InputError(given, where=where, expected=f"one of {', '.join(sorted(known | plain))}")


def adapter_of(config: ModelConfig) -> "HuggingFaceAdapter":
    """What writes a model of this config: the first of its family that can say all of it, or else a plain one."""
    from textwright.models.hugging_face import plain_adapter

    for path in find_family(config.family).adapters.values():
        adapter: HuggingFaceAdapter = _load(path)
        if adapter.can_say(config):
            return adapter
    return plain_adapter(config.family, find_family(config.family).config)


def build_uninitialised(config: ModelConfig) -> "Network":
    """A model whose matrices hold anything yet: their memory is asked for, and not touched."""
    import torch

    # A layer of torch's own fills its weights as it is made, with numbers of torch's own generator.
    with torch.random.fork_rng(devices=[]):
        model: Network = _load(find_family(config.family).network)(config)
    return model


def build(config: ModelConfig, *, seed: int = 0) -> "Network":
    """A model with fresh weights that depend on ``seed`` alone; torch's own generator, which is everybody's, stays."""
    import torch

    from textwright.core.seeds import hash_u64

    model = build_uninitialised(config)
    model.init_weights(torch.Generator().manual_seed(hash_u64("weights", seed) % 2**63))
    return model


def _families() -> dict[str, Family]:
    """All of them by name. An installed package whose row leads nowhere hinders nobody who asks for another family."""
    found = {}
    for name in FAMILIES:
        try:
            found[name] = find_family(name)
        except InputError:
            if name in FAMILIES.rows:
                raise
    return found


def _load(path: str) -> Any:
    """What ``module:name`` leads to. Raises InputError where it leads nowhere."""
    module, _, name = path.partition(":")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(f"{path} cannot be loaded: {error}", where="the table of families") from error
