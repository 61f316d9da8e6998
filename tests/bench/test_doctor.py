"""``textwright doctor`` says what the machine is; its checks hold here, and find what does not hold."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor

from textwright.bench import checks
from textwright.bench.checks import VOCABULARY, Check, checks_on
from textwright.bench.machine import cpu_features, describe_machine, measure_machine, product_rates
from textwright.commands.doctor import Diagnosis, doctor
from textwright.core.device import PrecisionRates
from textwright.core.errors import InputError
from textwright.models import contract
from textwright.models.catalog import FAMILIES, build
from textwright.models.language_model import LanguageModel, as_language_model
from textwright.models.presets import preset

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def found() -> Diagnosis:
    return doctor(device="cpu")


def test_everything_holds_here(found: Diagnosis, capsys: pytest.CaptureFixture[str]) -> None:
    assert [check for check in found.checks if not check.ok] == []
    assert found.exit_code == 0
    for family in FAMILIES:
        assert any(check.name.startswith(f"{family}: decoding") for check in found.checks)
    found.show()
    said = capsys.readouterr()
    assert said.err.startswith(f"all {len(found.checks)} checks hold")
    assert said.out.count("holds") == len(found.checks)
    assert "FAILS" not in said.out


def test_a_program_gets_the_same(found: Diagnosis) -> None:
    told = json.loads(json.dumps(found.as_json(), allow_nan=False))
    assert told["ok"] is True
    assert told["machine"]["threads"] == torch.get_num_threads()
    assert told["machine"]["versions"]["torch"] == torch.__version__
    assert told["rates"]["float32_flops_per_s"] > 1e8
    assert told["rates"]["memory_bytes_per_s"] > 1e8
    assert set(told["checks"][0]) == {"name", "most", "difference", "error", "seconds", "ok"}


def small() -> LanguageModel:
    return as_language_model(build(preset("nano", vocab_size=VOCABULARY, context_length=64), seed=1)).eval()


@dataclass
class Broken:
    """A decoder that does one thing wrong."""

    model: LanguageModel
    fault: str

    def __getattr__(self, name: str) -> Any:
        return getattr(self.model, name)

    def extend(self, ids: Tensor, lengths: Sequence[int], cache: Any, slots: Sequence[int]) -> Tensor:
        """As the model does it, but for the fault."""
        turned = list(reversed(slots)) if self.fault == "slots" and len(set(lengths)) == 1 else slots
        hidden = self.model.extend(ids, lengths, cache, turned)
        return hidden.bfloat16().float() if self.fault == "rounds" else hidden


@pytest.mark.parametrize("fault", ["none", "slots", "rounds"])
def test_a_decoder_that_is_wrong_is_found(fault: str) -> None:
    model = small()
    expected = contract.logits_of(contract.as_float64(model), contract.random_ids(VOCABULARY))
    decoder: Any = Broken(model, fault)
    in_company = Check("in company", 1e-4, lambda: contract.differs_in_company(decoder, expected)).run()
    assert in_company.ok == (fault == "none")


def test_a_model_that_looks_ahead_or_learns_wrongly_is_found() -> None:
    model, other = small(), small()
    with torch.no_grad():
        next(other.parameters()).mul_(1.01)
    assert contract.learns_otherwise(model, contract.as_float64(model), 2, 20) < 1e-4
    assert contract.learns_otherwise(model, contract.as_float64(other), 2, 20) > 1e-3
    plain = model.hidden_states
    model.hidden_states = lambda embed, *rest: plain(embed + embed.mean(1, keepdim=True), *rest)  # type: ignore[method-assign]
    assert contract.sees_what_comes(model) > 1e-3


def test_what_fails_is_said_and_ends_with_3(found: Diagnosis, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> float:
        raise RuntimeError("no kernel image\nand more of it")

    wrong = [Check("one", 1e-4, lambda: float("nan")).run(), Check("two", 1e-4, fail).run()]
    failed = Diagnosis(found.machine, found.rates, [*found.checks, *wrong])
    assert failed.exit_code == 3
    assert failed.as_json()["ok"] is False
    failed.show()
    said = capsys.readouterr()
    assert f"2 of {len(failed.checks)} checks do not hold" in said.err
    assert "no kernel image" in said.out
    assert "and more" not in said.out


def test_a_device_that_does_nothing_right_is_told_of_and_not_a_crash(
    found: Diagnosis, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: Any) -> Any:
        raise RuntimeError("no kernel image\nand more of it")

    monkeypatch.setattr("textwright.bench.machine.product_rates", fail)
    rates = measure_machine(CPU)
    assert rates == {"error": "no kernel image"}
    failed = Diagnosis(found.machine, rates, found.checks)
    assert failed.exit_code == 3
    failed.show()
    assert "FAILS: no kernel image" in capsys.readouterr().out
    monkeypatch.setattr(checks, "_smallest", fail)
    broken = [check.run() for check in checks_on(CPU) if "a model on cpu" in check.name]
    assert [(check.ok, check.error) for check in broken] == [(False, "no kernel image")] * len(FAMILIES)


def test_a_gradient_that_is_zero_but_for_rounding_does_not_count_as_wrong() -> None:
    small_ones, exact = torch.full((3,), 1e-9), torch.full((3,), 1e-17)
    assert contract.difference(small_ones, exact) > 1e6
    assert contract.difference(small_ones, exact, least=1e-3) < 1e-5


def test_two_runs_that_differ_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    trained, seeds = checks._trained, iter((0, 1))

    def otherwise(*of: Any) -> Any:
        model = trained(*of)
        with torch.no_grad():
            next(model.network.parameters()).add_(1e-7 * next(seeds))
        return model

    monkeypatch.setattr(checks, "_trained", otherwise)
    check = next(check for check in checks_on(CPU) if check.name == "training: the same bits twice")
    assert not check.run().ok


def test_a_machine_without_a_compiler_or_a_sandbox_is_described(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("textwright.bench.machine.shutil.which", lambda _: None)
    monkeypatch.setattr("textwright.bench.machine.why_not_isolated", lambda: "bubblewrap (bwrap) is not installed")
    machine = describe_machine(CPU)
    assert machine["compiler"] is None
    assert machine["not_isolated"] == "bubblewrap (bwrap) is not installed"
    assert machine["cpu_features"] == cpu_features()


def test_a_device_that_is_not_there_is_one_line() -> None:
    with pytest.raises(InputError, match="device 'gpu'; expected auto, cpu, cuda or cuda:N"):
        doctor(device="gpu")


def test_float32_is_timed_by_large_products_where_bfloat16_is_hopeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small products reach a third of what large ones do."""
    monkeypatch.setattr("textwright.bench.machine.measure_products", lambda *_: PrecisionRates(3e6, 1e5))
    rates = product_rates(CPU)
    assert rates.float32 > 1e8
    assert rates.bfloat16 == 1e5
