"""Weights as a folder has them: checked, in float32, and row by row in memory or as they were stored."""

import torch
from torch import Tensor

from textwright.core.errors import InputError
from textwright.models.hugging_face import HuggingFaceAdapter, PlainAdapter
from textwright.models.language_model import LanguageModel


def lay_by_rows(model: LanguageModel) -> None:
    """Copy matrices that do not lie row by row in memory: training reads them from end to end."""
    for parameter in model.parameters():
        parameter.data = by_rows(parameter.data)


def by_rows(tensor: Tensor) -> Tensor:
    """In float32, row by row in memory."""
    return tensor.to(torch.float32, memory_format=torch.contiguous_format).contiguous()


def as_stored(tensor: Tensor) -> Tensor:
    """In float32, and where it is already, if it is one; what is copied anyway lies row by row afterwards."""
    return tensor if tensor.dtype == torch.float32 else by_rows(tensor)


def check_values(tensors: dict[str, Tensor], adapter: HuggingFaceAdapter, where: str) -> None:
    """See that weights are numbers to compute with. One pass over memory, as the file has them."""
    for name, tensor in tensors.items():
        if adapter.is_buffer(name) or not tensor.numel():
            continue
        if not tensor.is_floating_point():
            if isinstance(adapter, PlainAdapter):
                continue
            raise InputError(
                f"the tensor {name!r} is {tensor.dtype}", where=where, expected="float32, bfloat16 or float16"
            )
        if not all(bound.isfinite() for bound in tensor.aminmax()):
            raise InputError(
                f"the tensor {name!r} has values that are not finite",
                where=where,
                fix="get the folder anew, or take one from before that training or conversion went wrong",
            )


def check_shapes(model: LanguageModel, tensors: dict[str, Tensor], adapter: HuggingFaceAdapter, where: str) -> None:
    """See that they are those of the model, under the names that a person finds in the file."""
    expected = model.state_dict()

    def foreign(name: str) -> str:
        """The name a person finds in the file."""
        return next(iter(adapter.to_hf({name: expected[name] if name in expected else tensors[name]}, model.config)))

    for name in sorted(expected.keys() - tensors.keys()):
        raise InputError(f"the tensor {foreign(name)!r} is missing", where=where)
    for name in sorted(tensors.keys() - expected.keys()):
        raise InputError(f"unexpected tensor {foreign(name)!r}", where=where)
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise InputError(
                f"the tensor {foreign(name)!r} has the shape {list(tensor.shape)}",
                where=where,
                expected=f"{list(expected[name].shape)} by config.json",
            )
