"""What makes a run the run it is: recorded in every checkpoint, and compared when the run goes on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import torch

from textwright.core.config import SCHEMA_VERSION, Config, check_schema_version, read_stored
from textwright.core.device import processor_name
from textwright.core.errors import InputError
from textwright.models.catalog import find_family
from textwright.models.network import Network
from textwright.training.config import CHANGEABLE, TrainConfig


@dataclass(frozen=True)
class Identity:
    """A run's data, model, decided config and machine, as plain values."""

    data_sha256: str | None
    model: dict[str, Any]
    training: dict[str, Any]
    machine: dict[str, Any]
    schema_version: int = SCHEMA_VERSION
    """Of ``model`` and ``training``: names and meanings of their fields."""

    @classmethod
    def of(cls, model: Network, data_sha256: str | None, config: TrainConfig) -> Self:
        """The identity of a run that begins or goes on now."""
        device = model.device
        machine = {
            "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        return cls(
            data_sha256,
            model.config.model_dump(mode="json"),
            config.model_dump(mode="json"),
            machine,
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values, for the facts of a checkpoint."""
        return asdict(self)

    def compare(self, before: Mapping[str, Any], *, accepts_changed_data: bool) -> list[str]:
        """What is different now from ``before``, an earlier ``as_json()``, and harmless; each as a line.

        What ``before`` lacks was as it is declared to have been before there was a field for it.

        Raises:
            InputError: ``before`` is of another schema version, the data changed and that is not accepted, or
                the model or the config changed in a way that would make this another run.
        """
        check_schema_version(before, "the checkpoint")
        notes = []
        if self.data_sha256 != before["data_sha256"]:
            if not accepts_changed_data:
                raise InputError(
                    "the data is not what this run was begun with",
                    fix="put the run's data folder back, or accept it with --accept-changed-data",
                )
            notes.append("the data is not what the run was begun with; accepted")
        refused = _differences(_as_stored(find_family(self.model["family"]).config, before["model"]), self.model)
        for name, line in _named_differences(_as_stored(TrainConfig, before["training"]), self.training):
            (notes if name in CHANGEABLE else refused).append(line)
        if refused:
            raise InputError(
                f"the config was changed since the run was begun: {'; '.join(refused)}",
                fix="change it back, or start a new run",
            )
        machine = _differences(before["machine"], self.machine)
        if machine:
            notes.append(f"another machine ({'; '.join(machine)}): the last bits of the weights may differ")
        return notes


def _as_stored(cls: type[Config], before: Mapping[str, Any]) -> dict[str, Any]:
    """The values of a checkpoint with those that it lacks as before; without those that were left open then."""
    found = read_stored(cls, before, "the checkpoint").model_dump(mode="json")
    return {name: value for name, value in found.items() if name in before or value is not None}


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    return [line for _, line in _named_differences(before, now)]


def _named_differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (name, f"{name} {value} -> {now.get(name)}") for name, value in sorted(before.items()) if value != now.get(name)
    ]
