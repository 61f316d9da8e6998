"""What a model is decoded with: a table of engines, each of which makes a decoder of a model."""

import copy
from collections.abc import Callable
from functools import partial
from typing import get_args

import torch

from textwright.checkpoint.model_files import ModelFiles
from textwright.core.device import Precision, choose_precision, measure_rates
from textwright.core.errors import InputError
from textwright.engines.config import DecodingPrecision, EngineConfig
from textwright.engines.cpu.quantized_cache import read_quantized, save_quantized
from textwright.engines.cuda_graph import CudaGraphDecoder
from textwright.models.catalog import build
from textwright.models.language_model import LanguageModel, as_language_model
from textwright.models.protocols import Decoder

PROBE_VOCABULARY, PROBE_PROMPT, PROBE_STEPS = 4096, 32, 6
"""Of what is timed to choose a precision."""
KERNEL_POSITIONS = {"gpt2": ("learned", "sinusoidal"), "qwen3": ("rotary",)}
"""The families that the kernels know, as they are by name, each with these position encodings."""


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
            expected="a plain gpt2 or qwen3 model on the CPU",
            fix="use --device cpu for those, --engine torch for others",
        )
    return "cpu" if knows else "torch"


def choose_decoding_precision(model: LanguageModel, engine: str) -> DecodingPrecision:
    """The faster of float32 and bfloat16.

    On a CPU both are timed, in turns and for about half a second, on a model of two layers like this one's: reading a
    short prompt and writing some tokens.
    """
    if model.device.type != "cpu":
        return choose_precision(model.device)
    small = build(model.config.reduced(num_layers=2, vocab_size=PROBE_VOCABULARY))
    probe = as_language_model(small).eval()
    decoders = {precision: make_decoder(probe, engine, precision) for precision in get_args(Precision)}
    num_tokens = min(PROBE_PROMPT, model.context_length - PROBE_STEPS)
    if num_tokens < 1:
        return "float32"

    def work(precision: Precision) -> None:
        decoders[precision].run(partial(_read_and_write, decoders[precision], num_tokens))

    flops = 2.0 * (num_tokens + PROBE_STEPS) * sum(parameter.numel() for parameter in probe.parameters())
    return measure_rates(work, flops).faster


@torch.inference_mode()
def _read_and_write(decoder: Decoder, num_tokens: int) -> None:
    """A short prompt, and some tokens."""
    cache = decoder.empty_cache(1)
    for count in (num_tokens, *[1] * PROBE_STEPS):
        ids = torch.zeros(1, count, dtype=torch.int64)
        decoder.logits(decoder.extend(ids, [count], cache, [0])[:, -1])


def make_decoder(
    model: LanguageModel, engine: str, precision: DecodingPrecision, files: ModelFiles | None = None
) -> Decoder:
    """A decoder of the model by a row of ``ENGINES``.

    Args:
        model: in float32, in evaluation mode. It must not change as long as the decoder is used.
        engine: as ``choose_engine`` says.
        precision: as ``choose_decoding_precision`` says.
        files: what the model was read from, if it is still as it was read: what takes time to make is kept beside them.
    """
    return ENGINES[engine](model, precision, files)


def _kernels_know(model: LanguageModel) -> bool:
    # Numba is imported where it is used: it takes a quarter of a second.
    from textwright.models.gpt.network import GPT

    if not isinstance(model, GPT) or model.device.type != "cpu" or not model.config.is_as_named:
        return False
    return model.config.position_encoding in KERNEL_POSITIONS.get(model.config.family, ())


def _with_kernels(model: LanguageModel, precision: DecodingPrecision, files: ModelFiles | None) -> Decoder:
    from textwright.engines.cpu.decoder import CPUDecoder
    from textwright.models.gpt.network import GPT

    assert isinstance(model, GPT)
    if files is None or precision != "int8":
        return CPUDecoder(model, precision)
    kept = read_quantized(files)
    decoder = CPUDecoder(model, precision, packed=kept)
    if kept is None:
        save_quantized(files, decoder.packed)
    return decoder


def _with_torch(model: LanguageModel, precision: DecodingPrecision, _: ModelFiles | None) -> Decoder:
    from textwright.models.gpt.network import GPT

    if precision == "bfloat16":
        model = copy.deepcopy(model).to(torch.bfloat16)
    return CudaGraphDecoder(model) if isinstance(model, GPT) and model.device.type == "cuda" else model


ENGINES: dict[str, Callable[[LanguageModel, DecodingPrecision, ModelFiles | None], Decoder]] = {
    "cpu": _with_kernels,
    "torch": _with_torch,
}
