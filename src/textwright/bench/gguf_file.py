"""GPT-2 as llama.cpp reads it: a GGUF file without a vocabulary."""

import json
from pathlib import Path
from typing import Any

import numpy as np

# Hugging Face's name of a part -> llama.cpp's.
PARTS = {
    "ln_1": "attn_norm",
    "attn.c_attn": "attn_qkv",
    "attn.c_proj": "attn_output",
    "ln_2": "ffn_norm",
    "mlp.c_fc": "ffn_up",
    "mlp.c_proj": "ffn_down",
}
OUTSIDE = {"wte": "token_embd", "wpe": "position_embd", "ln_f": "output_norm"}


def write_gguf(folder: Path, path: Path, kind: str) -> None:
    """Write a Hugging Face folder with a GPT-2 in it as one file.

    Args:
        folder: with ``config.json`` and ``model.safetensors``.
        path: the new file.
        kind: of the matrices that multiply: F32, BF16 or Q8_0. All else stays float32, as llama.cpp's converter has it.
    """
    import gguf
    from safetensors.numpy import load_file

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(path, "gpt2")
    _describe(writer, config)
    for theirs, tensor in load_file(folder / "model.safetensors").items():
        name, array = gguf_name(theirs), tensor.T if _is_transposed(theirs) else tensor
        is_matrix = array.ndim == 2 and not name.startswith("position_embd")
        quant = gguf.GGMLQuantizationType[kind if is_matrix else "F32"]
        writer.add_tensor(name, gguf.quants.quantize(np.ascontiguousarray(array), quant), raw_dtype=quant)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def gguf_name(theirs: str) -> str:
    """llama.cpp's name for a tensor: ``transformer.h.0.ln_1.bias`` is ``blk.0.attn_norm.bias``."""
    part, _, what = theirs.removeprefix("transformer.").rpartition(".")
    if not part.startswith("h."):
        return f"{OUTSIDE[part]}.{what}"
    _, layer, inner = part.split(".", 2)
    return f"blk.{layer}.{PARTS[inner]}.{what}"


def _is_transposed(theirs: str) -> bool:
    """Whether Hugging Face keeps it as [inputs, outputs]."""
    return ".c_" in theirs and theirs.endswith(".weight")


def _describe(writer: Any, config: dict[str, Any]) -> None:
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_tokenizer_model("none")
