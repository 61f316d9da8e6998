"""Compiling a training step: whether, and how."""

import shutil

import torch

from textwright.core.caches import keep_compiled_code
from textwright.core.errors import InputError
from textwright.training.config import DEFAULT_STEPS, TrainConfig
from textwright.training.model_with_loss import ModelWithLoss

WORTH_FLOPS = 2e14
WORTH_MINUTES = 10.0
"""Work, or minutes, from which a run gets back what compiling takes: about a tenth of its time for half a minute."""
COMPILING = "compiling the training step: about half a minute the first time, some seconds after that"
NO_COMPILER = "there is no C++ compiler: the step runs as it is, about a tenth slower; g++ would change that"


def has_compiler(device: torch.device) -> bool:
    """Whether torch.compile has what it needs: on a CPU a C++ compiler, which it calls."""
    return device.type != "cpu" or any(map(shutil.which, ("g++", "clang++", "c++")))


def is_worth_compiling(model_with_loss: ModelWithLoss, config: TrainConfig) -> bool:
    """Whether a run is long enough to be compiled. By its work, not by a clock: it must not depend on the machine."""
    if config.minutes is not None:
        return config.minutes >= WORTH_MINUTES
    tokens = (
        (config.steps or DEFAULT_STEPS)
        * config.batch_size
        * (config.sequence_length or model_with_loss.model.config.context_length)
    )
    parameters = sum(parameter.numel() for parameter in model_with_loss.parameters())
    return 6 * parameters * tokens >= WORTH_FLOPS


def compile_step(model_with_loss: ModelWithLoss) -> None:
    """Compile a model for training, in place; the names of its tensors stay.

    Raises:
        InputError: there is no C++ compiler, which torch.compile needs on a CPU.
    """
    if not has_compiler(next(model_with_loss.parameters()).device):
        raise InputError("--compile without a C++ compiler", fix="install g++, or use --no-compile")
    keep_compiled_code()
    model_with_loss.model.compile_for_training()
