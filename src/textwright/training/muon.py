"""Muon with the products of equal-shaped matrices done together."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from textwright.core.device import Precision

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
NUM_ITERATIONS = 4
"""The authors take five. Four lose nothing that can be measured, on models 128 and 256 wide (docs/experiments.md)."""


class Muon:
    """Muon, quick on many small matrices, and at home with fused ones.

    Momentum is element-wise, so a weight that stacks several matrices (queries, keys, values) keeps one momentum and is
    cut into its matrices only to be orthogonalised. Matrices of equal shape are then orthogonalised as one batch.

    Attributes:
        param_groups: as in torch: the parameters, ``lr``, ``weight_decay`` and ``momentum`` of each group.
        state: as in torch: ``momentum_buffer`` of each parameter that has moved.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/ ("original" scale of the rate).
    """

    def __init__(
        self,
        groups: Iterable[dict[str, Any]],
        splits: Mapping[Tensor, tuple[int, ...]],
        *,
        momentum: float = 0.95,
        precision: Precision = "float32",
    ) -> None:
        """
        Args:
            groups: ``params``, matrices [out, in], with their ``lr``, the spectral norm of a square matrix's update,
                and ``weight_decay``: times the rate, the part of itself a matrix loses in a step.
            splits: for each parameter the numbers of rows of the matrices it stacks; ``(out,)`` for a plain one.
            momentum: of the running mean of gradients (Nesterov's form).
            precision: of the products that orthogonalise: bfloat16 is enough where it is the faster.
        """
        self._dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        self.param_groups: list[dict[str, Any]] = [{"momentum": momentum, **group} for group in groups]
        self.state: defaultdict[Tensor, dict[str, Tensor]] = defaultdict(dict)
        self._splits = splits

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
            if moving:
                self._step_group(moving, [gradients[parameter] for parameter in moving], scale, group)
                cast = [parameter for parameter in moving if parameter in copies]
                if cast:
                    torch._foreach_copy_([copies[parameter] for parameter in cast], cast)

    def _step_group(
        self, parameters: list[Tensor], gradients: list[Tensor], scale: float, group: dict[str, Any]
    ) -> None:
        momenta, decay = [self._momentum(parameter) for parameter in parameters], group["momentum"]
        torch._foreach_mul_(momenta, decay)
        torch._foreach_add_(momenta, gradients, alpha=(1 - decay) * scale)
        ahead = torch._foreach_mul(momenta, decay)  # Nesterov's look ahead
        torch._foreach_add_(ahead, gradients, alpha=(1 - decay) * scale)

        torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
        matrices = [part for p, g in zip(parameters, ahead, strict=True) for part in self._matrices(p, g)]
        for shape, same in _by_shape(matrices).items():
            updates = orthogonalise(torch.stack([update for _, update in same]).to(self._dtype))
            step_size = group["lr"] * max(1.0, shape[0] / shape[1]) ** 0.5
            targets = [target for target, _ in same]
            torch._foreach_add_(targets, list(updates.to(targets[0].dtype)), alpha=-step_size)

    def _momentum(self, parameter: Tensor) -> Tensor:
        state = self.state[parameter]
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(parameter)
        return state["momentum_buffer"]

    def _matrices(self, parameter: Tensor, gradient: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Views of the parameter's matrices, each with its gradient."""
        splits = list(self._splits[parameter])
        return list(zip(torch.split(parameter, splits), torch.split(gradient, splits), strict=True))


def orthogonalise(matrices: Tensor) -> Tensor:
    """Each matrix with its singular values brought near 1 (0.7 to 1.2), by Newton and Schulz's iteration.

    Args:
        matrices: [matrices, rows, columns].

    Returns:
        The same shape and type.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(NUM_ITERATIONS):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if tall else x


def _by_shape(matrices: list[tuple[Tensor, Tensor]]) -> dict[tuple[int, ...], list[tuple[Tensor, Tensor]]]:
    groups: defaultdict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for parameter, gradient in matrices:
        groups[tuple(parameter.shape)].append((parameter, gradient))
    return groups
