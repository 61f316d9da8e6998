"""llama-cpp-python's ``Llama``; it writes one text at a time, so a batch is llama.cpp's own ``llama_decode``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from promises.job import FEW, NOT_OFFERED, PENALTY, SEED, TEMPERATURE, TOP_K, Ids, Job, outcome, same, what_is_counted

PACKAGES = ("llama_cpp", "gguf", "numpy", "safetensors")
PRECISIONS = ("F32", "Q8_0")
BATCHES = False
"""Drawn texts: ``llama_decode`` draws nothing."""
ROOM = 256
"""Tokens of each text of a batch."""
NOTHING_FILTERED = {"temp": 1.0, "top_k": 0, "top_p": 1.0, "min_p": 0.0, "repeat_penalty": 1.0}
ODD_CONTEXT = 1100


def version() -> str:
    """Of the package."""
    import llama_cpp

    return f"llama-cpp-python {llama_cpp.__version__}"


def prepare(job: Job, precision: str) -> "LlamaCpp":
    """Write the GGUF file."""
    path = Path(job.model).parent / f"{precision}.gguf"
    write_gguf(Path(job.model), path, precision, job.eos_id)
    return LlamaCpp(job, path)


class LlamaCpp:
    """A GGUF file, which is loaded with the settings that are needed."""

    def __init__(self, job: Job, path: Path) -> None:
        self.job, self._path = job, path
        self._usual = self._load()

    def _load(self, threads: int = 2, **settings: Any) -> Any:
        from llama_cpp import Llama

        usual = {"n_ctx": self.job.context, "n_threads": threads, "n_threads_batch": threads, "verbose": False}
        return Llama(str(self._path), **usual | settings)

    def _write(self, llama: Any, prompt: list[int], **settings: Any) -> list[int]:
        usual = {"temp": 0.0, "repeat_penalty": 1.0}
        ids: list[int] = []
        for token_id in llama.generate(prompt, **usual | settings):
            ids.append(int(token_id))
            if len(ids) == self.job.new_tokens:
                break
        return self.job.before_end(ids)

    def write(self, prompts: Ids, *, together: bool, threads: int = 2, seed: int | None = None) -> Ids:
        """See ``worker.Program``."""
        llama = self._usual if threads == 2 else self._load(threads)
        if together:
            return self._write_together(llama, prompts)
        if seed is None:
            return [self._write(llama, prompt) for prompt in prompts]
        written: Ids = []
        for prompt in prompts:
            llama.set_seed(seed)
            written.append(self._write(llama, prompt, **NOTHING_FILTERED))
        return written

    def _write_together(self, llama: Any, prompts: Ids) -> Ids:
        """All prompts in one batch, then a token of each at a time, with the settings of ``Llama``."""
        import llama_cpp
        import numpy as np

        settings = type(llama.context_params).from_buffer_copy(llama.context_params)
        settings.n_ctx, settings.n_seq_max = len(prompts) * ROOM, len(prompts)
        settings.n_batch = settings.n_ubatch = sum(map(len, prompts))
        context = llama_cpp.llama_init_from_model(llama.model, settings)
        assert context is not None, "llama.cpp has no context of this size"
        batch = llama_cpp.llama_batch_init(settings.n_batch, 0, 1)
        new, starts, written = prompts, [0] * len(prompts), [list[int]() for _ in prompts]
        for _ in range(self.job.new_tokens):
            ends = _fill(batch, new, starts)
            failed = llama_cpp.llama_decode(context, batch)
            assert not failed, f"llama_decode ended with {failed}"
            starts = [start + len(ids) for start, ids in zip(starts, new, strict=True)]
            logits = [llama_cpp.llama_get_logits_ith(context, end) for end in ends]
            new = [[int(np.ctypeslib.as_array(row, (llama.n_vocab(),)).argmax())] for row in logits]
            for ids, token in zip(written, new, strict=True):
                ids += token
        llama_cpp.llama_batch_free(batch)
        llama_cpp.llama_free(context)
        return [self.job.before_end(ids) for ids in written]

    def with_draft(self, _: Ids) -> None:
        """Not offered."""

    def with_lookup(self, prompts: Ids) -> Ids:
        """``LlamaPromptLookupDecoding``."""
        from llama_cpp.llama_speculative import LlamaPromptLookupDecoding

        llama = self._load(draft_model=LlamaPromptLookupDecoding(num_pred_tokens=3))
        return [self._write(llama, prompt) for prompt in prompts]

    def beams(self) -> str:
        """``Llama`` has none."""
        return NOT_OFFERED

    def stop(self) -> str:
        """``stop``."""
        settings = {"temperature": 0.0, "repeat_penalty": 1.0, "max_tokens": self.job.new_tokens}
        ones = [
            self._usual.create_completion(prompt, stop=[stop], **settings)["choices"][0]
            for prompt, stop, _ in self.job.stops
        ]
        found = same([one["finish_reason"] for one in ones], ["stop"] * len(ones))
        return f"found {found}, cut {same([one['text'] for one in ones], [before for _, _, before in self.job.stops])}"

    def logprobs(self) -> dict[str, Any]:
        """``logprobs``, which needs ``logits_all``; the ids are seen by a processor that changes nothing."""
        from llama_cpp import LogitsProcessorList

        llama = self._load(logits_all=True)
        found: dict[str, Any] = {"prompts": [], "ids": [], "reported": []}
        for prompt in self.job.prompts[:4]:
            seen: list[list[int]] = []

            def look(ids: Any, scores: Any, seen: list[list[int]] = seen) -> Any:
                seen.append(ids.tolist())
                return scores

            (one,) = llama.create_completion(
                prompt,
                max_tokens=self.job.new_tokens,
                temperature=TEMPERATURE,
                top_k=TOP_K,
                top_p=1.0,
                min_p=0.0,
                repeat_penalty=1.0,
                seed=SEED,
                logprobs=1,
                logits_processor=LogitsProcessorList([look]),
            )["choices"]
            ids = seen[-1][len(prompt) :]
            found["prompts"].append(prompt)
            found["ids"].append(ids)
            found["reported"].append([float(p) for p in one["logprobs"]["token_logprobs"][: len(ids)]])
        return found

    def penalty(self) -> str:
        """``repeat_penalty``."""
        prompts = [ids for ids, _ in self.job.repeating]
        free = [self._write(self._usual, ids) for ids in prompts]
        penalised = [self._write(self._usual, ids, repeat_penalty=PENALTY) for ids in prompts]
        return what_is_counted(self.job, [ids[0] for ids in penalised], free, penalised)

    def seed(self) -> str:
        """``seed``."""
        runs = [self.write(self.job.prompts[:FEW], together=False, seed=SEED) for _ in range(2)]
        return same(*runs)

    def long_prompt(self) -> str:
        """A prompt that is longer than the context; and what becomes of a context that is no multiple of 256."""
        made = f"n_ctx={ODD_CONTEXT:,} becomes {self._load(n_ctx=ODD_CONTEXT).n_ctx():,}"
        try:
            return f"{self._num_written(self.job.long_text, 8)} tokens written, nothing said; {made}"
        except Exception as error:
            return f"{outcome(error)}; {made}"

    def long_text(self) -> str:
        """A prompt that leaves room for fewer tokens than are asked for."""
        written = self._num_written(self.job.long_text[: self.job.context - 4], 16)
        return f"{written} of 16 tokens written, nothing said"

    def _num_written(self, prompt: list[int], max_tokens: int) -> int:
        found = self._usual.create_completion(prompt, max_tokens=max_tokens, temperature=0.0, repeat_penalty=1.0)
        count: int = found["usage"]["completion_tokens"]
        return count

    def long_score(self) -> str:
        """``echo`` and ``logprobs``: of a text that fits the context, and of one that does not."""
        llama, said = self._load(logits_all=True), []
        for ids in (self.job.long_text[: self.job.context - 1], self.job.long_text):
            try:
                text = llama.detokenize(ids).decode()  # echo takes no ids
                found = llama.create_completion(text, max_tokens=1, echo=True, logprobs=1, temperature=0.0)
                logprobs = found["choices"][0]["logprobs"]["token_logprobs"]
                given = found["usage"]["prompt_tokens"]
                said.append(f"{sum(value is not None for value in logprobs[:given]):,} of {given - 1:,}")
            except Exception as error:
                said.append(outcome(error))
        return "; ".join(said)


def _fill(batch: Any, new: Ids, starts: list[int]) -> list[int]:
    """Put tokens of every text into a batch; returns where logits are wanted, after the last of each."""
    count, ends = 0, []
    for row, (ids, start) in enumerate(zip(new, starts, strict=True)):
        for place, token_id in enumerate(ids):
            batch.token[count], batch.pos[count] = token_id, start + place
            batch.n_seq_id[count], batch.seq_id[count][0] = 1, row
            batch.logits[count] = place == len(ids) - 1
            count += 1
        ends.append(count - 1)
    batch.n_tokens = count
    return ends


def write_gguf(folder: Path, path: Path, kind: str, eos_id: int) -> None:
    """Write a Hugging Face folder with a GPT-2 and its tokenizer in it as one file.

    Args:
        kind: of the matrices that multiply; all else stays float32, as llama.cpp's converter has it.
    """
    import gguf

    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(path, "gpt2")
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(4 * config["n_embd"])
    writer.add_block_count(config["n_layer"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])
    _add_tokenizer(writer, folder, eos_id)
    for name, array, quant in _tensors(folder, kind):
        writer.add_tensor(name, gguf.quants.quantize(array, quant), raw_dtype=quant)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _tensors(folder: Path, kind: str) -> Iterator[tuple[str, Any, Any]]:
    """Name, numbers and how they are kept."""
    import gguf
    import numpy as np
    from safetensors.numpy import load_file

    for theirs, tensor in load_file(folder / "model.safetensors").items():
        is_transposed = ".c_" in theirs and theirs.endswith(".weight")
        array, name = np.ascontiguousarray(tensor.T if is_transposed else tensor), _gguf_name(theirs)
        multiplies = array.ndim == 2 and not name.startswith("position_embd")
        yield name, array, gguf.GGMLQuantizationType[kind if multiplies else "F32"]


def _gguf_name(theirs: str) -> str:
    from textwright.bench.gguf_file import gguf_name

    return "output.weight" if theirs == "lm_head.weight" else gguf_name(theirs)


def _add_tokenizer(writer: Any, folder: Path, eos_id: int) -> None:
    import gguf

    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    kinds = [gguf.TokenType.NORMAL] * len(tokens)
    kinds[eos_id] = gguf.TokenType.CONTROL
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges([pair if isinstance(pair, str) else " ".join(pair) for pair in model["merges"]])
    writer.add_bos_token_id(eos_id)
    writer.add_eos_token_id(eos_id)
    writer.add_add_bos_token(False)
