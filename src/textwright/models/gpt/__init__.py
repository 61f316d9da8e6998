"""GPT-1, GPT-2 and Qwen3's layout, and what lies between them."""

from textwright.models.family import Family
from textwright.models.gpt.config import GPTConfig
from textwright.models.gpt.presets import GPT1_PRESETS, GPT2_PRESETS, QWEN3_PRESETS

_NETWORK, _ADAPTERS = "textwright.models.gpt.network:GPT", "textwright.models.gpt.hugging_face"
_OURS = {"textwright-gpt": f"{_ADAPTERS}:TEXTWRIGHT_GPT"}
GPT1 = Family(GPTConfig, _NETWORK, GPT1_PRESETS, {"openai-gpt": f"{_ADAPTERS}:OPENAI_GPT"} | _OURS)
GPT2 = Family(GPTConfig, _NETWORK, GPT2_PRESETS, {"gpt2": f"{_ADAPTERS}:GPT2"} | _OURS)
QWEN3 = Family(GPTConfig, _NETWORK, QWEN3_PRESETS, {"qwen3": f"{_ADAPTERS}:QWEN3"} | _OURS)
