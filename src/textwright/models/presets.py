"""The config of a preset, with what was chosen beside it. Torch-free."""

from textwright.core.config import answers_old_names
from textwright.core.errors import unknown_name
from textwright.models.catalog import find_family, presets, read_model_config
from textwright.models.config import ModelConfig


@answers_old_names
def preset(
    name: str,
    *,
    vocab_size: int,
    context_length: int | None = None,
    dropout: float | None = None,
    position_encoding: str | None = None,
    embedding_std: float | None = None,
) -> ModelConfig:
    """The config called ``name``.

    Args:
        name: a preset of some family.
        vocab_size: the tokenizer's.
        context_length: tokens seen at once, instead of the preset's.
        dropout: everywhere where the family has dropout, instead of the preset's.
        position_encoding: ``learned``, ``sinusoidal``, ``rotary`` or ``none``, instead of the preset's.
        embedding_std: standard deviation of the initial embeddings, instead of the preset's.

    Raises:
        InputError: no preset has that name, or the values do not go together.
    """
    known = presets()
    if name not in known:
        raise unknown_name("preset", name, known)
    values = known[name] | {"vocab_size": vocab_size}
    if dropout is not None:
        fields = find_family(values["family"]).config.model_fields
        values |= {field: dropout for field in fields if field == "dropout" or field.startswith("dropout_")}
    chosen = {
        "context_length": context_length,
        "position_encoding": position_encoding,
        "embedding_std": embedding_std,
    }
    values |= {key: value for key, value in chosen.items() if value is not None}
    return read_model_config(values, f"the model {name}")
