"""What a run is made of, as one config: the file, the command line and the Python argument. Torch-free."""

from pathlib import Path
from typing import Literal

from pydantic import Field

from textwright.core.config import Config
from textwright.training.config import TrainConfig


class ModelChoice(Config):
    """Which model to train."""

    preset: str = "tiny"
    """A preset's name, such as nano, tiny, small, gpt2 or modern-tiny."""
    context_length: int | None = Field(default=None, ge=2)
    """Tokens the model sees at once; the preset's own when not given."""
    dropout: float | None = Field(default=None, ge=0, lt=1)
    """Dropout on embeddings, attention and residual, 0 to 1; the preset's own when not given."""
    positions: Literal["learned", "sinusoidal"] | None = None
    """How GPT-2 models know positions; the preset's own when not given."""
    embedding_std: float | None = Field(default=None, gt=0)
    """Standard deviation of the initial embeddings; the preset's when not given."""


class RunConfig(Config):
    """A training run: its text, its tokenizer, its model and how it trains."""

    data: tuple[Path, ...] = ()
    """Files and folders of text to train on."""
    val_data: tuple[Path, ...] = ()
    """Files and folders to validate on; without it a tenth of the documents, or of a single document its end."""
    text_field: str = "text"
    """The field, column or key that holds the text in jsonl, json, csv and parquet files."""
    invalid_utf8: Literal["error", "replace"] = "error"
    """What to do with bytes that are not UTF-8: refuse the file, or put U+FFFD for them."""
    tokenizer: str = "bpe:8192"
    """byte, char, bpe:N (trained on the data, at most N tokens), or a folder that holds a tokenizer."""
    sample_prompts: tuple[str, ...] = ()
    """What the samples during training continue; without it the start of a document."""
    model: ModelChoice = ModelChoice()
    """The model."""
    training: TrainConfig = TrainConfig()
    """The training."""
