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

IGNORED_KEYS = frozenset(
    (
        "_attn_implementation",
        "_attn_implementation_autoset",
        "_name_or_path",
        "_num_labels",
        "architectures",
        "attn_implementation",
        "bos_token_id",
        "chunk_size_feed_forward",
        "decoder_start_token_id",
        "diversity_penalty",
        "do_sample",
        "dtype",
        "early_stopping",
        "eos_token_id",
        "finetuning_task",
        "gradient_checkpointing",
        "id2label",
        "initializer_range",
        "label2id",
        "length_penalty",
        "max_length",
        "max_window_layers",
        "min_length",
        "model_type",
        "n_ctx",
        "n_special",
        "no_repeat_ngram_size",
        "num_beams",
        "num_return_sequences",
        "output_attentions",
        "output_hidden_states",
        "output_past",
        "pad_token_id",
        "predict_special_tokens",
        "prefix",
        "problem_type",
        "reorder_and_upcast_attn",
        "repetition_penalty",
        "return_dict",
        "return_dict_in_generate",
        "sep_token_id",
        "summary_activation",
        "summary_first_dropout",
        "summary_proj_to_labels",
        "summary_type",
        "summary_use_proj",
        "task_specific_params",
        "temperature",
        "tokenizer_class",
        "top_k",
        "top_p",
        "torch_dtype",
        "torchscript",
        "transformers_version",
        "use_bfloat16",
        "use_cache",
    )
)
"""Of every ``model_type``: names, generation, and how transformers is to return things."""
REQUIRED_VALUES: dict[str, tuple[Any, ...]] = {
    "add_cross_attention": (False, None),
    "is_encoder_decoder": (False, None),
    "is_decoder": (False, True, None),
    "cross_attention_hidden_size": (None,),
    "pruned_heads": ({}, None),
    "tie_encoder_decoder": (False, None),
    "quantization_config": (None,),
    "rope_scaling": (None,),
    "attention_bias": (False, None),
    "use_sliding_window": (False, None),
}
"""Of every ``model_type``: keys that change the maths, with the values that leave it as it is."""
HEAD = "lm_head.weight"
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
            InputError: a key that changes the maths in a way we do not compute, a key nobody knows, or a value outside
                its range; always by name.
        """
        self._check_keys(foreign, where)
        values = dict(self.implies)
        for theirs, mine in self.keys.items():
            value = foreign.get(theirs, self.defaults.get(theirs))
            if value is not None:
                values[mine] = value
        return read_config(self.config, self.read_values(values, where, ours), where)

    def read_values(
        self,
        values: dict[str, Any],
        where: str,  # noqa: ARG002
        ours: Mapping[str, Any],  # noqa: ARG002
    ) -> dict[str, Any]:
        """The values of our config as the table has them, put right where it cannot."""
        return values

    def write_config(self, config: ModelConfig, *, end_id: int, dtype: str) -> dict[str, Any]:
        """A ``config.json`` that transformers reads as the same model."""
        written: dict[str, Any] = {"model_type": self.model_type, "architectures": [self.class_name]}
        written |= {theirs: getattr(config, mine) for theirs, mine in self.keys.items()}
        written |= {"bos_token_id": end_id, "eos_token_id": end_id, "torch_dtype": dtype, "use_cache": True}
        return written | self.write_values(config) | dict(self.written)

    def write_values(self, config: ModelConfig) -> dict[str, Any]:  # noqa: ARG002
        """Keys and values that the table cannot give."""
        return {}

    def from_hf(self, tensors: Mapping[str, Tensor], config: ModelConfig, where: str) -> dict[str, Tensor]:
        """Foreign tensors under our names.

        Raises:
            InputError: a tensor that is unexpected, or (with an untied head) missing.
        """
        buffers = [re.compile(re.escape(name).replace(r"\{\}", r"\d+")) for name in self.buffers]
        found: dict[str, Tensor] = {}
        for foreign, tensor in tensors.items():
            name = foreign.removeprefix(self.prefix)
            if any(buffer.fullmatch(name) for buffer in buffers):
                continue
            if name == HEAD:
                self._take_head(found, tensor, tensors, config, where)
                continue
            translated = translate(name, [(theirs, mine) for mine, theirs in self.names])
            if translated is None:
                raise InputError(
                    f"unexpected tensor {foreign!r}", where=where, expected=f"those of a {self.model_type}"
                )
            found[translated] = self._transpose(name, tensor)
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

    def _transpose(self, foreign: str, tensor: Tensor) -> Tensor:
        return tensor.t() if self.transposed is not None and re.fullmatch(self.transposed, foreign) else tensor

    def _take_head(
        self,
        found: dict[str, Tensor],
        head: Tensor,
        tensors: Mapping[str, Tensor],
        config: ModelConfig,
        where: str,
    ) -> None:
        if not getattr(config, "tie_embeddings", False):
            found[self.head_name] = head
            return
        embedding_name = self.names[0][1] + "weight"
        embedding = tensors.get(self.prefix + embedding_name, tensors.get(embedding_name))
        if embedding is None or not torch.equal(head, embedding):
            raise InputError(
                "lm_head.weight is not the token embedding, but tie_word_embeddings is true",
                where=where,
                fix="set tie_word_embeddings to false in config.json",
            )

    def _check_keys(self, foreign: Mapping[str, Any], where: str) -> None:
        required = REQUIRED_VALUES | dict(self.required)
        for key, value in foreign.items():
            if key in self.keys or key in IGNORED_KEYS or key in self.ignored:
                continue
            if key in ("auto_map", "trust_remote_code"):
                raise InputError(f"{key} asks to run code of the folder", where=where, fix="Textwright runs none")
            if key not in required:
                close = nearest(key, [*self.keys, *required])
                raise InputError(
                    f"unknown key {key!r}",
                    where=where,
                    fix=f"did you mean {close!r}?" if close else "remove it if it is yours",
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
    return PlainAdapter(PLAIN + family, f"Textwright{family.title()}", config, {"family": family}, keys, ())


def translate(name: str, names: Iterable[tuple[str, str]]) -> str | None:
    """A tensor's name in the other spelling, by the first pair of beginnings that fits; None where none does."""
    for source, target in names:
        match = re.fullmatch(re.escape(source).replace(r"\{\}", r"(\d+)") + r"(weight|bias)", name)
        if match:
            return target.replace("{}", match[1]) + match[match.lastindex or 0]
    return None
