"""AdamW that clips, moves and casts in one pass over memory."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.adamw import adamw

BETA1 = 0.9
EPSILON = 1e-8
LARGE = 2**16
"""Elements from which a tensor is worth a compiled pass of its own; the small ones move together."""


class AdamW:
    """AdamW, by torch's fused kernel; or compiled: then one pass over a large tensor does all there is to do.

    What a step costs is the memory it reads and writes. torch's kernel needs the gradient in float32 and scaled first,
    and the bfloat16 copy made afterwards, each a pass of its own. This is no ``torch.optim.Optimizer``: to make one
    loads torch's compiler, a second of every start.

    Attributes:
        param_groups: as in torch: the parameters, ``lr``, ``beta2`` and ``weight_decay`` of each group.
        state: as in torch: ``step``, ``exp_avg`` and ``exp_avg_sq`` of each parameter that has moved.

    Source: Loshchilov and Hutter 2019 (arXiv:1711.05101).
    """

    def __init__(self, groups: Iterable[dict[str, Any]], *, beta2: float, compiles: bool) -> None:
        """
        Args:
            groups: ``params``, with their ``lr`` and ``weight_decay``.
            beta2: how much of the mean of squares is kept in a step; of the mean it is always 0.9.
            compiles: use a compiled pass, which needs a C++ compiler on a CPU.
        """
        self.param_groups: list[dict[str, Any]] = [{"beta2": beta2, **group} for group in groups]
        self.state: defaultdict[Tensor, dict[str, Tensor]] = defaultdict(dict)
        self._fused: Callable[..., None] | None = torch.compile(fused_adamw, dynamic=True) if compiles else None

    @torch.no_grad()
    def step(self, gradients: Mapping[Tensor, Tensor], scale: float, copies: Mapping[Tensor, Tensor]) -> None:
        """Move every parameter that has a gradient.

        Args:
            gradients: by parameter, float32 or bfloat16.
            scale: what they are multiplied with first.
            copies: bfloat16 copies of some parameters, to be kept equal.
        """
        for group in self.param_groups:
            moving = [parameter for parameter in group["params"] if parameter in gradients]
            states = [self._state(parameter) for parameter in moving]
            rest = []
            for parameter, state in zip(moving, states, strict=True):
                copy = copies.get(parameter)
                moved = [parameter, state["exp_avg"], state["exp_avg_sq"], *([] if copy is None else [copy])]
                is_flat = all(tensor.is_contiguous() for tensor in moved)
                if self._fused is not None and parameter.numel() >= LARGE and is_flat:
                    state["step"] += 1
                    gradient = gradients[parameter].reshape(-1)
                    flat = (parameter.view(-1), gradient, state["exp_avg"].view(-1), state["exp_avg_sq"].view(-1))
                    self._fused(*flat, None if copy is None else copy.view(-1), _factors(group, state["step"], scale))
                else:
                    rest.append(parameter)
            if rest:
                self._step_together(rest, gradients, scale, group)
                cast = [parameter for parameter in rest if parameter in copies]
                if cast:
                    torch._foreach_copy_([copies[parameter] for parameter in cast], cast)

    def _step_together(
        self, parameters: list[Tensor], gradients: Mapping[Tensor, Tensor], scale: float, group: dict[str, Any]
    ) -> None:
        """torch's own kernel. It divides by its scale, and takes all tensors of a parameter to lie in memory alike."""
        states = [self.state[parameter] for parameter in parameters]
        adamw(
            parameters,
            [laid_out_like(parameter, gradients[parameter]) for parameter in parameters],
            [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states],
            [],
            [state["step"] for state in states],
            fused=True,
            grad_scale=None if scale == 1 else torch.tensor(1 / scale, device=parameters[0].device),
            amsgrad=False,
            beta1=BETA1,
            beta2=group["beta2"],
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=EPSILON,
            maximize=False,
        )

    def _state(self, parameter: Tensor) -> dict[str, Tensor]:
        state = self.state[parameter]
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32, device=parameter.device)
            state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        return state


def laid_out_like(parameter: Tensor, value: Tensor) -> Tensor:
    """The value in the parameter's type, with its elements in the parameter's order in memory."""
    value = value.to(parameter.dtype)
    return value if value.stride() == parameter.stride() else torch.empty_like(parameter).copy_(value)


def _factors(group: dict[str, Any], step: Tensor, scale: float) -> Tensor:
    """What changes from step to step, as a tensor, so that nothing is compiled anew for it."""
    steps, beta2 = step.item(), group["beta2"]
    step_size = group["lr"] / (1 - BETA1**steps)
    decay, bias_correction = 1 - group["lr"] * group["weight_decay"], (1 - beta2**steps) ** -0.5
    return torch.tensor([scale, decay, step_size, bias_correction, EPSILON, 1 - beta2], device=step.device)


def fused_adamw(
    weight: Tensor, gradient: Tensor, mean: Tensor, square: Tensor, copy: Tensor | None, factors: Tensor
) -> None:
    """AdamW's update of one flat tensor, in place, written so that a compiler makes one loop of it."""
    scale, decay, step_size, bias_correction, epsilon, new = factors
    g = gradient.float() * scale
    m = mean + (g - mean) * (1 - BETA1)
    v = square + (g * g - square) * new
    moved = weight * decay - step_size * m / (v.sqrt() * bias_correction + epsilon)
    mean.copy_(m)
    square.copy_(v)
    weight.copy_(moved)
    if copy is not None:
        copy.copy_(moved)
