"""Compiling a model for training, where the machine can."""

import shutil

from textwright.core.errors import InputError
from textwright.models.language_model import LanguageModel


def compile_model(model: LanguageModel) -> None:
    """Compile the model for training, in place; the names of its tensors stay.

    Raises:
        InputError: there is no C++ compiler, which torch.compile needs on a CPU.
    """
    device = next(model.parameters()).device
    if device.type == "cpu" and not any(map(shutil.which, ("g++", "clang++", "c++"))):
        raise InputError("--compile without a C++ compiler", fix="install g++, or leave --compile out")
    model.compile_for_training()
