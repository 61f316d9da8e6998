"""What a model is decoded with: a table of engines, each of which makes a decoder of a model."""

import copy
from collections.abc import Callable

import torch

from textwright.checkpoint.model_files import ModelFiles
from textwright.core.errors import InputError
from textwright.generation.decoder import Decoder
from textwright.generation.graph_decoder import GraphDecoder
from textwright.generation.request import EngineConfig
from textwright.generation.rounded import keep_rounded, read_rounded
from textwright.models.language_model import LanguageModel


def choose_engine(model: LanguageModel, config: EngineConfig) -> str:
    """The name of the engine: as asked for, or by the model and its device.

    For as many rows as are written side by side, the kernels are faster than torch (docs/experiments.md).

    Raises:
        InputError: the kernels are asked for a model that they do not know, or int8 of torch.
    """
    knows = _kernels_know(model)
    if config.engine == "torch":
        if config.batch_invariant:
            raise InputError("--batch-invariant with --engine torch", fix="use --engine cpu, which always is")
        if config.precision == "int8":
            raise InputError(
                "--precision int8 with --engine torch", expected="float32 or bfloat16", fix="use --engine cpu"
            )
        return "torch"
    needs = config.engine == "cpu" or config.batch_invariant or config.precision == "int8"
    if needs and not knows:
        asked = "--engine cpu" if config.engine == "cpu" else f"--precision {config.precision}"
        if config.batch_invariant:
            asked = "--batch-invariant"
        raise InputError(
            f"{asked} for a {model.config.family} model on {model.device}",
            expected="a gpt2 or qwen3 model on the CPU",
            fix="use --device cpu for those families, --engine torch for others",
        )
    return "cpu" if knows else "torch"


def make_decoder(model: LanguageModel, engine: str, config: EngineConfig, files: ModelFiles | None = None) -> Decoder:
    """A decoder of the model by a row of ``ENGINES``.

    Args:
        model: in float32, in evaluation mode. It must not change as long as the decoder is used.
        engine: as ``choose_engine`` says.
        config: for its precision.
        files: what the model was read from, if it is still as it was read: what takes time to make is kept beside them.
    """
    return ENGINES[engine](model, config, files)


def _kernels_know(model: LanguageModel) -> bool:
    # Numba is imported where it is used: it takes a quarter of a second.
    from textwright.models.gpt import GPT

    return isinstance(model, GPT) and model.config.family in ("gpt2", "qwen3") and model.device.type == "cpu"


def _with_kernels(model: LanguageModel, config: EngineConfig, files: ModelFiles | None) -> Decoder:
    from textwright.generation.cpu_decoder import CPUDecoder
    from textwright.models.gpt import GPT

    assert isinstance(model, GPT)
    if files is None or config.precision != "int8":
        return CPUDecoder(model, config.precision)
    kept = read_rounded(files)
    decoder = CPUDecoder(model, config.precision, packed=kept)
    if kept is None:
        keep_rounded(files, decoder.packed)
    return decoder


def _with_torch(model: LanguageModel, config: EngineConfig, _: ModelFiles | None) -> Decoder:
    from textwright.models.gpt import GPT

    if config.precision == "bfloat16":
        model = copy.deepcopy(model).to(torch.bfloat16)
    return GraphDecoder(model) if isinstance(model, GPT) and model.device.type == "cuda" else model


ENGINES: dict[str, Callable[[LanguageModel, EngineConfig, ModelFiles | None], Decoder]] = {
    "cpu": _with_kernels,
    "torch": _with_torch,
}
