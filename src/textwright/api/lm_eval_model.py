"""Textwright's models for EleutherAI's lm-evaluation-harness, in its own process (the extra ``lm-eval``).

::

    python -m textwright.api.lm_eval_model run --model textwright --model_args pretrained=FOLDER --tasks lambada_openai

The program and its options are lm-eval's own; the model class is one that it knows once this file is imported.
"""

from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM
from lm_eval.api.registry import register_model

from textwright.api.model import load
from textwright.core.errors import InputError
from textwright.engines.config import EngineConfig
from textwright.evaluation.lm_eval_requests import HarnessRequests

BATCH_SIZE = 8


@register_model("textwright")
class TextwrightLM(LM):  # type: ignore[misc]
    """A model that lm-eval puts its requests to, scored and written by our engines.

    Args:
        pretrained: a model folder, or a Hugging Face name (with the hub extra).
        adapter: a folder with an adapter for it.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        engine: what computes; see ``EngineConfig``.
        precision: of the weights, likewise.
        batch_size: texts that are scored side by side; ``auto`` is 8.

    Raises:
        InputError: no such model, or a value outside its range.
    """

    def __init__(
        self,
        pretrained: str,
        *,
        adapter: str | None = None,
        device: str = "auto",
        engine: str = "auto",
        precision: str = "float32",
        batch_size: int | str = BATCH_SIZE,
        **others: Any,
    ) -> None:
        super().__init__()
        given = next((name for name, value in others.items() if value is not None), None)
        if given is not None:
            known = "pretrained, adapter, device, engine, precision, batch_size"
            raise InputError(f"the model argument {given!r}", expected=f"one of {known}")
        self.model = load(pretrained, adapter=adapter, device=device)
        config = EngineConfig.model_validate({"engine": engine, "precision": precision})
        size = BATCH_SIZE if batch_size == "auto" else int(batch_size)
        self._requests = HarnessRequests(self.model.decoder(config), self.model.tokenizer, batch_size=size)

    def loglikelihood(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:  # noqa: ARG002
        """As lm-eval's class has it."""
        asked = [request.args for request in requests]
        return self._kept("loglikelihood", asked, list(self._requests.loglikelihood(asked)))

    def loglikelihood_rolling(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[float]:  # noqa: ARG002
        """As lm-eval's class has it."""
        asked = [request.args for request in requests]
        found = list(self._requests.loglikelihood_rolling([text for (text,) in asked]))
        return self._kept("loglikelihood_rolling", asked, found)

    def generate_until(self, requests: Sequence[Instance], disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002
        """As lm-eval's class has it."""
        asked = [request.args for request in requests]
        return self._kept("generate_until", asked, self._requests.generate_until(asked))

    def _kept(self, kind: str, asked: Sequence[tuple[Any, ...]], answers: list[Any]) -> list[Any]:
        """The answers, of which lm-eval's cache was told."""
        for arguments, answer in zip(asked, answers, strict=True):
            self.cache_hook.add_partial(kind, arguments, answer)
        return answers


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()
