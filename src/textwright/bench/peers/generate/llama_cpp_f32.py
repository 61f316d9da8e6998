"""llama.cpp by its own C functions, without the Python package's conveniences."""

import ctypes
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from textwright.bench.gguf_file import write_gguf
from textwright.bench.job import VOCABULARY
from textwright.bench.writing_job import Ids, Write, WritingJob

SETTINGS = "llama_decode, F32 weights, F16 cache, flash attention and repacking as it chooses, rows as sequences"
PACKAGES = ("llama_cpp", "gguf")


def prepare(job: WritingJob, kind: str = "F32") -> Write:
    """Write the GGUF file, load it and write; the file is gone once it is loaded."""
    import llama_cpp

    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    with TemporaryDirectory(dir=job.folder) as folder:
        path = Path(folder) / "model.gguf"
        write_gguf(Path(job.folder), path, kind)
        model_settings = llama_cpp.llama_model_default_params()
        model_settings.use_mmap = False
        model = llama_cpp.llama_model_load_from_file(str(path).encode(), model_settings)
    assert model is not None, "llama.cpp does not take the GGUF file"
    contexts = {rows: _context(llama_cpp, model, job, rows) for rows in {1, *job.batches}}

    def write(prompts: Ids, num_tokens: int) -> Ids:
        _ = quiet  # llama.cpp calls it as long as it runs
        return _write(llama_cpp, contexts[len(prompts)], prompts, num_tokens)

    return write


def _context(llama_cpp: Any, model: Any, job: WritingJob, rows: int) -> tuple[Any, Any]:
    """A context for so many rows, and a batch that holds all their prompts."""
    room = -(-job.most_tokens // 256) * 256
    settings = llama_cpp.llama_context_default_params()
    settings.n_ctx, settings.n_seq_max = rows * room, rows
    settings.n_batch = settings.n_ctx
    settings.n_threads = settings.n_threads_batch = job.threads
    context = llama_cpp.llama_init_from_model(model, settings)
    assert context is not None, "llama.cpp has no context of this size"
    return context, llama_cpp.llama_batch_init(settings.n_batch, 0, 1)


def _write(llama_cpp: Any, context_and_batch: tuple[Any, Any], prompts: Ids, num_tokens: int) -> Ids:
    context, batch = context_and_batch
    llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), False)
    written: Ids = [[] for _ in prompts]
    new, start = prompts, 0
    for _ in range(num_tokens):
        _read(llama_cpp, context, batch, new, start)
        start += len(new[0])
        ends = range(len(new[0]) - 1, len(prompts) * len(new[0]), len(new[0]))
        new = [[_likeliest(llama_cpp.llama_get_logits_ith(context, end))] for end in ends]
        for row, tokens in zip(written, new, strict=True):
            row.extend(tokens)
    return written


def _read(llama_cpp: Any, context: Any, batch: Any, new: Ids, start: int) -> None:
    """Read rows of one length; logits are computed after the last token of each."""
    count = 0
    for row, tokens in enumerate(new):
        for place, token_id in enumerate(tokens):
            batch.token[count], batch.pos[count] = token_id, start + place
            batch.n_seq_id[count], batch.seq_id[count][0] = 1, row
            batch.logits[count] = place == len(tokens) - 1
            count += 1
    batch.n_tokens = count
    failed = llama_cpp.llama_decode(context, batch)
    assert not failed, f"llama_decode ended with {failed}"


def _likeliest(logits: Any) -> int:
    return int(np.ctypeslib.as_array(logits, (VOCABULARY,)).argmax())
