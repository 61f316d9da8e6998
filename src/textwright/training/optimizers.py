"""What moves the weights: AdamW, or Muon for the hidden matrices and AdamW for the rest, as one object."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn

from textwright.core.errors import InputError
from textwright.training.adamw import AdamW, laid_out_like
from textwright.training.config import ResolvedTrainConfig
from textwright.training.model_with_loss import ModelWithLoss
from textwright.training.muon import Muon
from textwright.training.parameter_plan import Rule, rule_for

Kind = Literal["muon", "adamw"]
Group = tuple[Kind, float, float]
"""What parameters that move together have in common: optimizer, factor of the learning rate, weight decay."""


class Optimizer:
    """The optimizers of a run, stepped together; every one of its tensors has a name, so that a run can be resumed.

    Args:
        model_with_loss: whose weights are marked as trained or frozen. They have the values that the run began with,
            which ``decay_to_start`` draws them to: what is resumed is loaded afterwards.
        config: resolved.
    """

    def __init__(self, model_with_loss: ModelWithLoss, config: ResolvedTrainConfig) -> None:
        self._model_with_loss, self._config = model_with_loss, config
        self._parts: list[Muon | AdamW] = []
        self._starts = {weight: weight.detach().clone() for weight in drawn_to_start(model_with_loss, config)}
        self.apply_stage()

    def apply_stage(self) -> None:
        """From here on move what is marked as trained, as the stage that it is marked by has it.

        What was moved before by the same optimizer goes on from the state it has; the state of all else is forgotten.
        """
        before = {(type(part), weight): state for part in self._parts for weight, state in part.state.items()}
        trained = {name: p for name, p in self._model_with_loss.named_parameters() if p.requires_grad}
        self._names: dict[Tensor, str] = {parameter: name for name, parameter in trained.items()}
        splits = hidden_matrices(self._model_with_loss)
        groups: dict[Group, list[nn.Parameter]] = {}
        for name, parameter in trained.items():
            group = self._group_of(
                name, parameter, rule_for(self._model_with_loss.stage, name), is_hidden=name in splits
            )
            groups.setdefault(group, []).append(parameter)
        by_splits: dict[Tensor, tuple[int, ...]] = {trained[name]: rows for name, rows in splits.items()}
        self._parts = [part for part in (self._muon(groups, by_splits), self._adamw(groups)) if part is not None]
        self._highest = [[group["lr"] for group in part.param_groups] for part in self._parts]
        for part, parameter in self._all():
            if (type(part), parameter) in before:
                part.state[parameter] = before[type(part), parameter]

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
            part.step(gradients, scale, copies or {})
            if self._starts:
                self._draw_to_start(part, gradients, copies or {})
        # torch's fused kernel moves a weight without counting its version up, and by versions others see the change.
        torch.autograd.graph.increment_version(gradients)

    @torch.no_grad()
    def _draw_to_start(
        self, part: Muon | AdamW, gradients: Mapping[Tensor, Tensor], copies: Mapping[Tensor, Tensor]
    ) -> None:
        """What has just moved goes back toward its start by the part ``decay_to_start`` x learning rate of the way.

        Decoupled from the gradient, as AdamW's decay toward zero is, so that no running mean sees it.

        Source: Li et al. 2018 (arXiv:1802.01483), L2-SP, where it is a term of the loss; Loshchilov and Hutter 2019
        (arXiv:1711.05101) for why it is none here.
        """
        for group in part.param_groups:
            moved = [weight for weight in group["params"] if weight in gradients]
            if moved:
                way = min(1.0, group["lr"] * self._config.decay_to_start)
                torch._foreach_lerp_(moved, [self._starts[weight] for weight in moved], way)
                cast = [weight for weight in moved if weight in copies]
                if cast:
                    torch._foreach_copy_([copies[weight] for weight in cast], cast)

    def state_dict(self) -> dict[str, Tensor]:
        """Everything the next step depends on, as ``parameter name/what``. Empty before the first step."""
        return {
            f"{self._names[parameter]}/{what}": value
            for part in self._parts
            for parameter, state in part.state.items()
            for what, value in state.items()
        }

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what ``state_dict`` gave.

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

    def _group_of(self, name: str, parameter: Tensor, rule: Rule | None, *, is_hidden: bool) -> Group:
        rule = rule or Rule(pattern=name)
        kind: Kind = rule.optimizer or ("muon" if self._config.optimizer == "muon" and is_hidden else "adamw")
        if kind == "muon" and not is_hidden:
            raise InputError(
                f"optimizer = 'muon' for {name!r}",
                where=f"the rule {rule.pattern!r} of the parameter plan",
                expected="a matrix that its layer declares as one between hidden states",
                fix="leave it out, or say adamw",
            )
        decay = self._config.weight_decay if parameter.ndim >= 2 else 0.0
        return kind, rule.learning_rate_factor, decay if rule.weight_decay is None else rule.weight_decay

    def _muon(
        self, groups: Mapping[Group, list[nn.Parameter]], splits: Mapping[Tensor, tuple[int, ...]]
    ) -> Muon | None:
        rate = self._config.muon_learning_rate
        of_muon = _of_kind("muon", groups, rate)
        if not of_muon:
            return None
        return Muon(of_muon, splits, momentum=self._config.muon_momentum, precision=self._config.precision)

    def _adamw(self, groups: Mapping[Group, list[nn.Parameter]]) -> AdamW | None:
        rate, beta2 = self._config.learning_rate, self._config.adamw_beta2
        of_adamw = _of_kind("adamw", groups, rate)
        return AdamW(of_adamw, beta2=beta2, compiles=self._config.compile) if of_adamw else None

    def _all(self) -> Iterator[tuple[Muon | AdamW, nn.Parameter]]:
        return ((part, p) for part in self._parts for group in part.param_groups for p in group["params"])


def drawn_to_start(model_with_loss: ModelWithLoss, config: ResolvedTrainConfig) -> list[nn.Parameter]:
    """The weights whose start is kept, for ``decay_to_start``: all that are trained in some stage.

    Of one that trains, rests, and trains again in a run that was resumed between, the start could not be found later.
    """
    if not config.decay_to_start:
        return []
    ever = set(model_with_loss.ever_trained(config.parameter_plan).values())
    return [weight for weight in model_with_loss.parameters() if weight.requires_grad or weight in ever]


def hidden_matrices(model_with_loss: ModelWithLoss) -> dict[str, tuple[int, ...]]:
    """The trained matrices Muon is for; see ``Network.hidden_matrices``.

    Returns:
        The name of each with the row counts of the matrices stacked in it: a fused query-key-value weight has three.
    """
    trained = {name for name, parameter in model_with_loss.named_parameters() if parameter.requires_grad}
    found = {f"model.{name}": splits for name, splits in model_with_loss.model.hidden_matrices().items()}
    return {name: splits for name, splits in found.items() if name in trained}


def moved_by_muon(model_with_loss: ModelWithLoss, config: ResolvedTrainConfig) -> dict[str, tuple[int, ...]]:
    """Those of them that Muon moves."""
    found = hidden_matrices(model_with_loss)
    rules = {name: rule_for(model_with_loss.stage, name) for name in found}
    kinds = {name: rule.optimizer if rule and rule.optimizer else config.optimizer for name, rule in rules.items()}
    return {name: splits for name, splits in found.items() if kinds[name] == "muon"}


def _of_kind(kind: Kind, groups: Mapping[Group, list[nn.Parameter]], rate: float) -> list[dict[str, Any]]:
    """The groups of one optimizer; those that decay come first."""
    found = [
        {"params": parameters, "lr": rate * factor, "weight_decay": decay}
        for (of, factor, decay), parameters in groups.items()
        if of == kind
    ]
    return sorted(found, key=lambda group: -float(group["weight_decay"]))
