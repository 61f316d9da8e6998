"""Between Hugging Face's names and ours: config keys and tensors. Each family has its adapters.

Each config key of a foreign folder is used, ignored (it does not change what the model computes), or it changes the
maths: then it must have the one value we compute with, or the folder is refused by that key's name.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from textwright.core.config import read_config
from textwright.core.errors import InputError, nearest
from textwright.models.config import ModelConfig
from textwright.models.hugging_face_keys import IGNORED_KEYS, REQUIRED_VALUES

HEAD = "lm_head.weight"
OTHER_HEADS = {
    "score": "sorts texts into classes",
    "classifier": "sorts tokens into classes",
    "qa_outputs": "finds answers in a text",
    "multiple_choice_head": "chooses among answers",
    "v_head": "guesses rewards",
}
"""What heads do that a folder may have beside the one for tokens, or instead; by how their tensors' names begin."""
SLIP = 0.8
"""How alike a key must be to a known one to be taken for a slip of it."""
PLAIN = "textwright-"
"""What the ``model_type`` of a plain adapter begins with; the family follows."""


@dataclass(frozen=True)
class HuggingFaceAdapter:
    """One foreign ``model_type``: its config keys and its tensors, and ours.

    What cannot be said by tables is said by overriding ``read_values``, ``write_values``, ``from_hf`` and ``to_hf``.
    """

    model_type: str
    class_name: str
    """What ``architectures`` names."""
    config: type[ModelConfig]
    """Ours."""
    implies: Mapping[str, Any]
    """Fields of our config that go with the ``model_type``: ``family`` among them."""
    keys: Mapping[str, str]
    """Foreign key -> field of our config."""
    names: tuple[tuple[str, str], ...]
    """The beginning of our tensor's name -> of theirs; ``{}`` is the layer. Stated without the prefix."""
    can_say: Callable[[Any], bool] = lambda _: True
    """Whether this ``model_type`` computes what a config of ours says."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """What a foreign key that is not there stands for."""
    nullable: frozenset[str] = frozenset()
    """Foreign keys that may be null, which says: as usual."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Foreign keys more, each with the one of ``keys`` that says the same."""
    ignored: frozenset[str] = frozenset()
    """Foreign keys more that do not change the maths."""
    required: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Foreign keys more that do, with the values that leave it as it is."""
    written: Mapping[str, Any] = field(default_factory=dict)
    """Foreign keys and values more that transformers expects."""
    prefix: str = ""
    """What stands before most names where the folder has a head."""
    transposed: str | None = None
    """A pattern of the matrices that are stored [in, out]."""
    buffers: tuple[str, ...] = ()
    """Tensors that are no weights."""
    head_name: str = "untied_head.weight"
    """Our output matrix, where it is not the token embedding."""

    def read_config(self, foreign: Mapping[str, Any], where: str, ours: Mapping[str, Any]) -> ModelConfig:
        """Our config from a foreign ``config.json``.

        Args:
            foreign: its content.
            where: its path, for errors.
            ours: our own config as ``textwright.json`` has it, for what a foreign one cannot say; empty without one.

        Raises:
            InputError: a key that changes the maths in a way we do not compute, a key nobody knows, two keys that
                contradict each other, or a value outside its range; always by name.
        """
        foreign = self._without_aliases(foreign, where)
        self._check_keys(foreign, where)
        values = dict(self.implies)
        for theirs, mine in self.keys.items():
            value = foreign.get(theirs, self.defaults.get(theirs))
            if value is not None:
                values[mine] = value
            elif theirs in foreign and theirs not in self.nullable:
                raise InputError(f"{theirs} is null", where=where, expected="a value", fix="set it, or leave it out")
        return read_config(self.config, self.read_values(values, where, ours), where)

    def read_values(
        self,
        values: dict[str, Any],
        where: str,  # noqa: ARG002
        ours: Mapping[str, Any],  # noqa: ARG002
    ) -> dict[str, Any]:
        """The values of our config as the table has them, put right where it cannot."""
        return values

    def write_config(
        self, config: ModelConfig, *, end_id: int, dtype: str, foreign: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """A ``config.json`` that transformers reads as the same model.

        Args:
            config: ours.
            end_id: the token that ends a text, where ``foreign`` does not say.
            dtype: of the tensors.
            foreign: the ``config.json`` that the model was read from, if any. What it says is left as it is, special
                tokens too, but for what has changed since and for how the folder itself is written.
        """
        written = self._write(config, end_id, dtype)
        if foreign is None or foreign.get("model_type") != self.model_type:
            return written
        before = self._write(
            self.read_config(foreign, "the config.json that the model was read from", {}), end_id, dtype
        )
        changes = {key: value for key, value in written.items() if before[key] != value}
        carried = {key: value for key, value in foreign.items() if self.aliases.get(key) not in changes}
        dtype_keys = [key for key in ("dtype", "torch_dtype") if foreign.get(key) is not None]
        if not dtype_keys and dtype != "float32":
            dtype_keys = ["torch_dtype"]
        return carried | changes | {"architectures": [self.class_name]} | dict.fromkeys(dtype_keys, dtype)

    def write_values(self, config: ModelConfig) -> dict[str, Any]:  # noqa: ARG002
        """Keys and values that the table cannot give."""
        return {}

    def is_buffer(self, foreign: str) -> bool:
        """Whether a tensor of that name is no weight: masks, and what is computed anyway."""
        name = foreign.removeprefix(self.prefix)
        return any(re.fullmatch(re.escape(buffer).replace(r"\{\}", r"\d+"), name) for buffer in self.buffers)

    def from_hf(self, tensors: Mapping[str, Tensor], config: ModelConfig, where: str) -> dict[str, Tensor]:
        """Foreign tensors under our names.

        Raises:
            InputError: a tensor that is unexpected, or there twice.
        """
        found: dict[str, Tensor] = {}
        for foreign, tensor in tensors.items():
            if foreign == HEAD or self.is_buffer(foreign):
                continue
            name = foreign.removeprefix(self.prefix)
            translated = translate(name, [(theirs, mine) for mine, theirs in self.names])
            if translated is None:
                raise self._unexpected(foreign, where)
            if translated in found:
                raise InputError(
                    f"two tensors for one weight: {name!r} and {self.prefix + name!r}",
                    where=where,
                    fix="remove the one that is out of date",
                )
            found[translated] = self._transpose(name, tensor)
        if HEAD in tensors:
            self._take_head(found, tensors[HEAD], config, where)
        return found

    def to_hf(self, tensors: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:  # noqa: ARG002
        """Our tensors under the names that transformers' model with a head has."""
        theirs: dict[str, Tensor] = {}
        for name, tensor in tensors.items():
            if name == self.head_name:
                theirs[HEAD] = tensor
                continue
            translated = translate(name, self.names)
            assert translated is not None, name
            theirs[self.prefix + translated] = self._transpose(translated, tensor)
        return theirs

    def _write(self, config: ModelConfig, end_id: int, dtype: str) -> dict[str, Any]:
        """All of a ``config.json``, for a model that comes from no other."""
        written: dict[str, Any] = {"model_type": self.model_type, "architectures": [self.class_name]}
        written |= {theirs: getattr(config, mine) for theirs, mine in self.keys.items()}
        written |= {"bos_token_id": end_id, "eos_token_id": end_id, "torch_dtype": dtype, "use_cache": True}
        return written | self.write_values(config) | dict(self.written)

    def _transpose(self, foreign: str, tensor: Tensor) -> Tensor:
        return tensor.t() if self.transposed is not None and re.fullmatch(self.transposed, foreign) else tensor

    def _take_head(self, found: dict[str, Tensor], head: Tensor, config: ModelConfig, where: str) -> None:
        if not getattr(config, "tie_embeddings", False):
            found[self.head_name] = head
            return
        # Of two tensors that share their memory, safetensors' save_model keeps the one whose name comes first.
        embedding = found.setdefault(self.names[0][0] + "weight", head)
        if head.shape != embedding.shape or not torch.equal(head.float(), embedding.float()):
            raise InputError(
                "lm_head.weight is not the token embedding, but tie_word_embeddings is true",
                where=where,
                fix="set tie_word_embeddings to false in config.json",
            )

    def _unexpected(self, foreign: str, where: str) -> InputError:
        purpose = OTHER_HEADS.get(foreign.removeprefix(self.prefix).split(".")[0])
        if purpose is None:
            return InputError(f"unexpected tensor {foreign!r}", where=where, expected=f"those of a {self.model_type}")
        return InputError(
            f"the tensor {foreign!r} belongs to a head that {purpose}",
            where=where,
            expected="a model that predicts tokens, and no other head",
            fix="let transformers' AutoModelForCausalLM read the folder and save it anew, which leaves that head out",
        )

    def _without_aliases(self, foreign: Mapping[str, Any], where: str) -> dict[str, Any]:
        found = {key: value for key, value in foreign.items() if key not in self.aliases}
        for alias in foreign.keys() & self.aliases.keys():
            key, value = self.aliases[alias], foreign[alias]
            if found.setdefault(key, value) != value:
                raise InputError(
                    f"{alias} = {value!r} and {key} = {found[key]!r}",
                    where=where,
                    expected="one value: transformers takes both for the same",
                )
        return found

    def _check_keys(self, foreign: Mapping[str, Any], where: str) -> None:
        required = REQUIRED_VALUES | dict(self.required)
        for key, value in foreign.items():
            if key in self.keys or key in IGNORED_KEYS or key in self.ignored:
                continue
            if key == "auto_map":
                if value:
                    raise InputError(f"{key} asks to run code of the folder", where=where, fix="Textwright runs none")
                continue
            if key not in required:
                close = nearest(key, [*self.keys, *self.aliases, *required], at_least=SLIP)
                raise InputError(
                    f"unknown key {key!r}",
                    where=where,
                    fix=f"did you mean {close!r}?" if close else "remove it if it does not change what is computed",
                )
            if value not in required[key]:
                raise InputError(f"{key} = {value!r} changes the maths", where=where, expected=repr(required[key][0]))


class PlainAdapter(HuggingFaceAdapter):
    """Keys, tensors and values are ours: what a family's config can say is said, and no other program reads it."""

    def from_hf(self, tensors: Mapping[str, Tensor], config: ModelConfig, where: str) -> dict[str, Tensor]:  # noqa: ARG002
        """As they are."""
        return dict(tensors)

    def to_hf(self, tensors: Mapping[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:  # noqa: ARG002
        """As they are."""
        return dict(tensors)


def plain_adapter(family: str, config: type[ModelConfig]) -> PlainAdapter:
    """For models that no ``model_type`` of others can say, and for families that bring no adapter."""
    keys = {name: name for name in config.model_fields if name != "family"}
    name, nullable = f"Textwright{family.title()}", frozenset(keys)
    return PlainAdapter(PLAIN + family, name, config, {"family": family}, keys, (), nullable=nullable)


def translate(name: str, names: Iterable[tuple[str, str]]) -> str | None:
    """A tensor's name in the other spelling, by the first pair of beginnings that fits; None where none does."""
    for source, target in names:
        match = re.fullmatch(re.escape(source).replace(r"\{\}", r"(\d+)") + r"(weight|bias)", name)
        if match:
            return target.replace("{}", match[1]) + match[match.lastindex or 0]
    return None
