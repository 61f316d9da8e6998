"""What moves the weights: AdamW, or Muon for the hidden matrices and AdamW for the rest, as one object."""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn

from textwright.core.errors import InputError
from textwright.training.adamw import AdamW, laid_out_like
from textwright.training.config import TrainConfig
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.muon import Muon


class Optimizer:
    """The optimizers of a run, stepped together; every one of its tensors has a name, so that a run can be resumed."""

    def __init__(self, model_with_loss: ModelWithLoss, config: TrainConfig) -> None:
        trained = {name: p for name, p in model_with_loss.named_parameters() if p.requires_grad}
        hidden = hidden_matrices(model_with_loss) if config.optimizer == "muon" else {}
        rest = {name: p for name, p in trained.items() if name not in hidden}
        self._names: dict[Tensor, str] = {parameter: name for name, parameter in trained.items()}
        self._parts: list[Muon | AdamW] = []
        if hidden:
            assert config.muon_momentum is not None
            parameters = [trained[name] for name in hidden]
            self._parts.append(
                Muon(
                    parameters,
                    list(hidden.values()),
                    lr=config.muon_learning_rate,
                    weight_decay=config.weight_decay,
                    momentum=config.muon_momentum,
                    precision="bfloat16" if config.precision == "bfloat16" else "float32",
                )
            )
        if rest:
            groups = [
                {"params": [p for p in rest.values() if p.ndim >= 2], "weight_decay": config.weight_decay},
                {"params": [p for p in rest.values() if p.ndim < 2], "weight_decay": 0.0},
            ]
            groups = [group for group in groups if group["params"]]
            self._parts.append(
                AdamW(
                    groups,
                    lr=config.highest_learning_rate,
                    beta2=config.adamw_beta2,
                    compiles=bool(config.compile),
                )
            )
        self._highest = [[group["lr"] for group in part.param_groups] for part in self._parts]

    @property
    def parameters(self) -> list[Tensor]:
        """All parameters that are trained."""
        return list(self._names)

    def step(
        self,
        fraction: float,
        gradients: Mapping[Tensor, Tensor],
        *,
        scale: float = 1.0,
        copies: Mapping[Tensor, Tensor] | None = None,
    ) -> None:
        """Move the weights.

        Args:
            fraction: the learning rates, as a fraction (0 to 1) of their highest values.
            gradients: by parameter; one that has none stays. They may be changed.
            scale: what the gradients are multiplied with first, for clipping.
            copies: bfloat16 copies by parameter, which are moved too.
        """
        for part, rates in zip(self._parts, self._highest, strict=True):
            for group, rate in zip(part.param_groups, rates, strict=True):
                group["lr"] = rate * fraction
            part.move(gradients, scale, copies or {})
        # torch's fused kernel moves a weight without counting its version up, and by versions others see the change.
        torch.autograd.graph.increment_version(gradients)

    def tensors(self) -> dict[str, Tensor]:
        """Everything the next step depends on, as ``parameter name/what``. Empty before the first step."""
        return {
            f"{self._names[parameter]}/{what}": value
            for part in self._parts
            for parameter, state in part.state.items()
            for what, value in state.items()
        }

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Take over what ``tensors()`` gave.

        Raises:
            InputError: they belong to another model or another optimizer.
        """
        parameters = {self._names[p]: (part, p) for part, p in self._all()}
        for part in self._parts:
            part.state.clear()
        for key, value in tensors.items():
            name, _, what = key.rpartition("/")
            if name not in parameters:
                raise InputError(f"the checkpoint holds optimizer state of {name!r}, which is not trained here")
            part, parameter = parameters[name]
            value = value.to(parameter.device, copy=True)
            # What lies beside a weight must lie as it does: kernels go through both from end to end.
            part.state[parameter][what] = laid_out_like(parameter, value) if value.shape == parameter.shape else value

    def _all(self) -> Iterator[tuple[Muon | AdamW, nn.Parameter]]:
        return ((part, p) for part in self._parts for group in part.param_groups for p in group["params"])


def hidden_matrices(model_with_loss: ModelWithLoss) -> dict[str, tuple[int, ...]]:
    """The matrices Muon is for; see ``Network.hidden_matrices``.

    Returns:
        The name of each with the row counts of the matrices stacked in it: a fused query-key-value weight has three.
    """
    layers = model_with_loss.model.hidden_matrices()
    return {
        f"model.{name}.weight": getattr(layer, "splits", (layer.out_features,))
        for name, layer in layers.items()
        if layer.weight.requires_grad
    }
