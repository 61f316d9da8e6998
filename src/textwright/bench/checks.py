"""What must hold on any machine, checked on the device at hand: each family and engine, training, the compiler.

A check gives how far a result is from what it should be, and what is allowed; or what it ended with instead.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import get_args

import torch
from torch import Tensor

from textwright.api.model import Model
from textwright.bench.checked import Checked
from textwright.core.caches import keep_compiled_code
from textwright.core.device import Precision, has_bfloat16_products
from textwright.core.errors import TextwrightError
from textwright.engines.catalog import choose_engine, make_decoder
from textwright.engines.config import DecodingPrecision, EngineConfig
from textwright.models import contract
from textwright.models.catalog import FAMILIES, build, find_family
from textwright.models.language_model import LanguageModel, as_language_model
from textwright.models.presets import preset
from textwright.models.protocols import Decoder
from textwright.tokens import make_tokenizer
from textwright.training.compilation import has_compiler

VOCABULARY, CONTEXT = 257, 256
"""Of the models that are checked; a byte tokenizer's."""
ROWS, TIME = 16, 128
"""Of a batch to learn from: enough for the kernels of training."""
MOST: dict[DecodingPrecision, float] = {"float32": 1e-4, "bfloat16": 2e-2, "int8": 5e-2}
"""Differences that are allowed, over the largest number."""
TEXTS = [f"Number {n} is {'even' if n % 2 == 0 else 'odd'}." for n in range(64)]
STEPS = 6
ERRORS = (TextwrightError, RuntimeError, ValueError, AssertionError, OSError, ImportError)
"""What a machine on which something is amiss ends a check with."""


@dataclass(frozen=True)
class Check:
    """What must hold."""

    name: str
    most: float
    """The difference that is allowed."""
    work: Callable[[], float]
    """Finds the difference."""

    def run(self) -> Checked:
        """Find it; an error is what it came to, too."""
        begun_s = time.perf_counter()
        difference, error = None, None
        try:
            difference = self.work()
        except ERRORS as raised:
            error = str(raised).strip().partition("\n")[0] or type(raised).__name__
        return Checked(self.name, self.most, difference, error, time.perf_counter() - begun_s)


def checks_on(device: torch.device) -> Iterator[Check]:
    """All checks of the device where models compute."""
    for family in FAMILIES:
        try:
            yield from list(_checks_of(family, device))
        except ERRORS as raised:
            yield Check(f"{family}: a model on {device}", 0.0, partial(_fail, raised))
    yield Check("training: the same bits twice", 0.0, partial(_trained_twice, device, "float32"))
    if has_bfloat16_products(device):
        yield Check("training: the same bits twice, in bfloat16", 0.0, partial(_trained_twice, device, "bfloat16"))
        yield Check("training: bfloat16's loss beside float32's", MOST["bfloat16"], partial(_loss_in_bfloat16, device))
    if has_compiler(device):
        yield Check("torch.compile", MOST["float32"], partial(_compiled, device))


def _fail(error: Exception) -> float:
    raise error


def _checks_of(family: str, device: torch.device) -> Iterator[Check]:
    """Of a model of the family, and of every engine that decodes it."""
    model = _smallest(family).to(device)
    reference = contract.as_float64(model)
    expected = contract.logits_of(reference, contract.random_ids(VOCABULARY))
    exact = MOST["float32"]
    yield Check(f"{family}: nothing looks at what comes", exact, partial(contract.sees_what_comes, model))
    learn = partial(contract.learns_otherwise, model, reference, ROWS, TIME)
    yield Check(f"{family}: loss and gradients", exact, learn)
    for engine, precision in _engines(model):
        decoder = cache(partial(make_decoder, model, engine, precision))
        for what, differs in (("pieces", contract.differs_in_pieces), ("company", contract.differs_in_company)):
            name = f"{family}: decoding by the {engine} engine in {precision}, in {what}"
            yield Check(name, MOST[precision], partial(_decoded, decoder, differs, expected))


def _decoded(make: Callable[[], Decoder], differs: Callable[[Decoder, Tensor], float], expected: Tensor) -> float:
    decoder = make()
    return decoder.run(partial(differs, decoder, expected))


def _smallest(family: str) -> LanguageModel:
    """A model of a family's smallest preset, in evaluation mode."""
    shapes = [preset(name, vocab_size=VOCABULARY, context_length=CONTEXT) for name in find_family(family).presets]
    small = min(shapes, key=lambda config: sum(value for _, value in config if type(value) is int))
    return as_language_model(build(small, seed=1)).eval()


def _engines(model: LanguageModel) -> Iterator[tuple[str, DecodingPrecision]]:
    """What can decode a model, and in which precisions."""
    engine = choose_engine(model, EngineConfig())
    if engine != "torch":
        yield from ((engine, precision) for precision in get_args(DecodingPrecision))
    yield "torch", "float32"
    if model.device.type != "cpu":
        yield "torch", "bfloat16"


def _trained(device: torch.device, precision: Precision) -> Model:
    """A small model that learned a few texts."""
    model = Model(_smallest("gpt2").to(device), make_tokenizer("byte", lambda: iter(())))
    model.fit(TEXTS, steps=STEPS, batch_size=8, precision=precision, compile=False, quiet=True)
    return model


def _trained_twice(device: torch.device, precision: Precision) -> float:
    """How far two runs of one seed are from each other."""
    one, other = (_trained(device, precision).network.state_dict() for _ in range(2))
    return max(float((one[name] - other[name]).abs().max()) for name in one)


def _loss_in_bfloat16(device: torch.device) -> float:
    """By how much more, or less, a text is foreseen by a model that was trained so."""
    exact, rounded = (
        _trained(device, precision).evaluate(TEXTS).loss_nats_per_token for precision in ("float32", "bfloat16")
    )
    return abs(rounded / exact - 1)


def _compiled(device: torch.device) -> float:
    """How far a function that torch compiles is from itself."""
    keep_compiled_code()

    def function(x: Tensor) -> Tensor:
        return torch.sin(x) * x + 1

    x = torch.linspace(-3, 3, 1000, device=device)
    return contract.difference(torch.compile(function)(x), function(x))
