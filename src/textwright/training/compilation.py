"""Compiling a training step, where the machine can."""

import shutil

from textwright.core.errors import InputError
from textwright.training.step import TrainStep


def compile_step(train_step: TrainStep) -> None:
    """Compile a model and its objective for training, in place; the names of its tensors stay.

    Raises:
        InputError: there is no C++ compiler, which torch.compile needs on a CPU.
    """
    device = next(train_step.parameters()).device
    if device.type == "cpu" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        raise InputError("--compile without a C++ compiler", fix="install g++, or leave --compile out")
    train_step.model.compile_for_training()
    train_step.objective.compile_for_training()
