"""What makes a run the run it is: recorded in every checkpoint, and compared when the run goes on."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Any, Self

import torch
from pydantic_core import to_jsonable_python

from textwright.core.config import SCHEMA_VERSION, Config, as_stored, check_schema_version
from textwright.core.device import processor_name
from textwright.core.errors import InputError
from textwright.models.network import Network


@dataclass(frozen=True)
class RunFingerprint:
    """A run's data, batches, model, resolved config and machine."""

    data_sha256: str | None
    batches_sha256: str
    model: Config
    training: Config
    machine: dict[str, Any]

    @classmethod
    def of(cls, model: Network, data_sha256: str | None, batches_sha256: str, training: Config) -> Self:
        """The fingerprint of a run that begins or goes on now.

        Args:
            model: on the device it is trained on.
            data_sha256: of what is learned from.
            batches_sha256: of how batches are made of it.
            training: how, with nothing left open.
        """
        device = model.device
        machine = {
            "processor": torch.cuda.get_device_name(device) if device.type == "cuda" else processor_name(),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
        }
        return cls(data_sha256, batches_sha256, model.config, training, machine)

    def as_json(self) -> dict[str, Any]:
        """Plain values, for the facts of a checkpoint."""
        return {
            "data_sha256": self.data_sha256,
            "batches_sha256": self.batches_sha256,
            "model": self.model.model_dump(mode="json"),
            "training": self.training.model_dump(mode="json"),
            "machine": self.machine,
            "schema_version": SCHEMA_VERSION,
        }

    def compare(
        self, before: Mapping[str, Any], *, may_change: Container[str], accepts_changed_data: bool
    ) -> list[str]:
        """What is different now from ``before``, an earlier ``as_json()``, and harmless; each as a line.

        What ``before`` lacks was as it is declared to have been before there was a field for it: a new field with a
        default makes no run another one.

        Args:
            before: of a checkpoint.
            may_change: fields of the training config.
            accepts_changed_data: whether the data may.

        Raises:
            InputError: ``before`` is of another schema version, the data changed and that is not accepted, or
                the model or the config changed in a way that would make this another run.
        """
        check_schema_version(before, "the checkpoint")
        notes = []
        is_changed = self.data_sha256 != before["data_sha256"]
        if is_changed:
            if not accepts_changed_data:
                raise InputError(
                    "the data is not what this run was begun with",
                    fix="put the run's data folder back, or accept it with --accept-changed-data",
                )
            notes.append("the data is not what the run was begun with; accepted")
        refused = [line for _, line in _changes(self.model, before["model"])]
        for name, line in _changes(self.training, before["training"]):
            (notes if name in may_change else refused).append(line)
        if refused:
            raise InputError(
                f"the config was changed since the run was begun: {'; '.join(refused)}",
                fix="change it back, or start a new run",
            )
        if not is_changed and self.batches_sha256 != before.get("batches_sha256", self.batches_sha256):
            raise InputError(
                "batches are not made of the data as when this run was begun",
                fix="use the source of batches that it was begun with, or start a new run",
            )
        machine = [line for _, line in _differences(before["machine"], self.machine)]
        if machine:
            notes.append(f"another machine ({'; '.join(machine)}): the last bits of the weights may differ")
        return notes


def _changes(config: Config, before: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Where a config is another than the stored values; what was left open then is no change."""
    fields = type(config).model_fields.items()
    defaults = {name: field.get_default(call_default_factory=True) for name, field in fields if not field.is_required()}
    stored = to_jsonable_python(defaults) | as_stored(type(config), before)
    known = {name: value for name, value in stored.items() if name in before or value is not None}
    return _differences(known, config.model_dump(mode="json"))


def _differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name, and how it changed as a line."""
    return [
        (name, f"{name} {value} -> {now.get(name)}")
        for name, value in sorted(before.items())
        if not _is_same(value, now.get(name))
    ]


def _is_same(before: Any, now: Any) -> bool:
    """Whether a value is what it was; a table may have got settings that there were none for before."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        return all(_is_same(value, now.get(name)) for name, value in before.items())
    if isinstance(before, list) and isinstance(now, list):
        return len(before) == len(now) and all(map(_is_same, before, now))
    return bool(before == now)
