"""What every peer that writes is asked to do, and the weights they all share. Torch-free but for the weights.

::

    FOLDER/  config.json  model.safetensors  tokenizer.json ...   as Hugging Face's GPT-2 has them
"""

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from textwright.bench.job import VOCABULARY, gpt2_preset
from textwright.models.gpt.config import GPTConfig

Ids = list[list[int]]
"""Token ids, row by row."""
Write = Callable[[Ids, int], Ids]
"""Continue prompts of one length greedily by so many tokens each, whatever they are."""

LONG_PROMPT = 512
"""Tokens of the prompt whose first new token is waited for."""
INIT_STD = 0.05
"""Of the blocks' weights: wide enough that a model without training does not only repeat its last token."""


@dataclass(frozen=True)
class WritingJob:
    """Greedy decoding of random prompts."""

    preset: str
    """A preset of GPT-2's family."""
    prompt_tokens: int
    new_tokens: int
    batches: tuple[int, ...]
    """Rows side by side, for each measurement."""
    threads: int
    folder: str = ""
    """Where the weights are."""

    @property
    def config(self) -> GPTConfig:
        """The model's shape."""
        context = max(1024, LONG_PROMPT + 1, self.prompt_tokens + self.new_tokens)
        return gpt2_preset(self.preset, context).model_copy(update={"init_std": INIT_STD, "embedding_std": 0.02})

    @property
    def most_tokens(self) -> int:
        """The longest row."""
        return max(LONG_PROMPT + 1, self.prompt_tokens + self.new_tokens)

    def prompts(self, rows: int) -> Ids:
        """Different prompts, the same for every peer."""
        return _random_ids(rows, self.prompt_tokens)

    def long_prompt(self) -> Ids:
        """One row whose first token is waited for."""
        return _random_ids(1, LONG_PROMPT)

    def write_weights(self) -> None:
        """Make the folder: random weights, biases and norms too, and a tokenizer of made-up words."""
        import torch

        from textwright.checkpoint.safetensors_writer import write_safetensors
        from textwright.models.catalog import adapter_of, build
        from textwright.models.language_model import as_language_model

        folder, model = Path(self.folder), as_language_model(build(self.config))
        generator = torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.data += 0.1 * torch.randn(parameter.shape, generator=generator)
        adapter = adapter_of(self.config)
        tensors = adapter.to_hf(model.exported_tensors(), self.config)
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        write_safetensors(folder / "model.safetensors", contiguous, metadata={"format": "pt"})
        # No end token: nobody may stop early.
        config = adapter.write_config(self.config, end_id=0, dtype="float32")
        _write_json(folder / "config.json", config | {"bos_token_id": None, "eos_token_id": None})
        _write_json(folder / "tokenizer.json", _made_up_words())
        names = dict.fromkeys(("bos_token", "eos_token", "unk_token"), word(VOCABULARY - 1))
        _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast"} | names)


def word(token_id: int) -> str:
    """A token as text."""
    return f"t{token_id}"


def _made_up_words() -> dict[str, object]:
    words = {word(token_id): token_id for token_id in range(VOCABULARY)}
    model = {"type": "WordLevel", "vocab": words, "unk_token": word(VOCABULARY - 1)}
    return {"version": "1.0", "added_tokens": [], "model": model}


def _random_ids(rows: int, time: int) -> Ids:
    generator = random.Random(time)  # noqa: S311 - no secret
    return [[generator.randrange(VOCABULARY) for _ in range(time)] for _ in range(rows)]


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content), encoding="utf-8")
