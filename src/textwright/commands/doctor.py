"""``textwright doctor``: what this machine is, how fast it goes, and whether everything holds on it."""

from dataclasses import asdict, dataclass
from typing import Any

from rich.table import Table

from textwright.bench.checked import Checked
from textwright.core.console import Console, stderr_console, stdout_console
from textwright.core.progress import bar
from textwright.core.result import Result

FAILED = 3
"""The exit code where a check does not hold."""


@dataclass(frozen=True)
class Diagnosis(Result):
    """A machine, its rates, and what each check came to."""

    machine: dict[str, Any]
    rates: dict[str, Any]
    checks: list[Checked]

    @property
    def exit_code(self) -> int:
        return FAILED if "error" in self.rates or not all(check.ok for check in self.checks) else 0

    def as_json(self) -> dict[str, Any]:
        rows = [asdict(check) | {"ok": check.ok} for check in self.checks]
        return {"ok": not self.exit_code, "machine": self.machine, "rates": self.rates, "checks": rows}

    def show(self) -> None:
        out = stdout_console()
        facts = Table(box=None, show_header=False, pad_edge=False)
        facts.add_column(no_wrap=True)
        facts.add_column(overflow="fold")
        for name, value in _facts(self.machine, self.rates).items():
            facts.add_row(name, value)
        out.print(facts)
        out.print()
        _show_checks(out, self.checks)
        failed = sum(not check.ok for check in self.checks)
        seconds = sum(check.seconds for check in self.checks)
        said = f"{failed} of {len(self.checks)} checks do not hold" if failed else f"all {len(self.checks)} checks hold"
        stderr_console().print(f"{said}, {seconds:.0f} s")


def doctor(*, device: str = "auto") -> Diagnosis:
    """Say what this machine is and how fast it goes, and check that every family, every engine and training do on it
    what they should: within a minute, on models that are made for it. Exit code 3 where a check does not hold.

    Parameters
    ----------
    device
        Where models compute: auto, cpu, cuda or cuda:N.
    """
    from textwright.bench.checks import checks_on
    from textwright.bench.machine import describe_machine, measure_machine
    from textwright.core.device import choose_device

    where, found = choose_device(device), []
    stderr_console().print("measuring ...")
    machine, rates = describe_machine(where), measure_machine(where)
    checks = list(checks_on(where))
    with bar("checking", len(checks)) as done:
        for number, check in enumerate(checks, 1):
            found.append(check.run())
            done(number)
    return Diagnosis(machine, rates, found)


def _facts(machine: dict[str, Any], rates: dict[str, Any]) -> dict[str, str]:
    """Lines for people."""
    gpu, versions, compiler = machine["gpu"], machine["versions"], machine["compiler"]
    features = " ".join(machine["cpu_features"]) or machine["cpu_capability"]
    total = f"{machine['memory_bytes'] / 1e9:.1f} GB, " if machine["memory_bytes"] else ""
    lost = "" if machine["cache_can_be_written"] else ", which cannot be written: they are compiled at each start"
    return {
        "processor": f"{machine['processor']} ({features})",
        "threads": f"{machine['threads']}, on {machine['usable_cores']} of {machine['cores']} cores",
        "memory": f"{total}{machine['free_memory_bytes'] / 1e9:.1f} GB free",
        "GPU": "none that torch sees" if gpu is None else _gpu(gpu),
        f"rates of {machine['device']}": _rates(rates),
        "compiler": compiler or "none, so training is not compiled, about a tenth slower; g++ would change that",
        "training kernels": "ours" if machine["training_kernels"] else "torch's own",
        "compiled code": f"kept in {machine['cache']}{lost}",
        "sandbox": "bubblewrap" if machine["not_isolated"] is None else f"none: {machine['not_isolated']}",
        "system": machine["system"],
        "versions": ", ".join(f"{name} {number}" for name, number in versions.items() if number),
    }


def _rates(rates: dict[str, Any]) -> str:
    if "error" in rates:
        return f"FAILS: {rates['error']}"
    float32, bfloat16, memory = (
        rates[name] / 1e9 for name in ("float32_flops_per_s", "bfloat16_flops_per_s", "memory_bytes_per_s")
    )
    products = f"products in float32 {float32:,.0f}, in bfloat16 {bfloat16:,.0f} GFLOP/s"
    return f"{products}, of which {rates['faster']} is the faster; memory is read at {memory:,.1f} GB/s"


def _gpu(gpu: dict[str, Any]) -> str:
    several = f"{gpu['count']} x " if gpu["count"] > 1 else ""
    return f"{several}{gpu['name']}, {gpu['memory_bytes'] / 1e9:.0f} GB, compute capability {gpu['compute_capability']}"


def _show_checks(out: Console, checks: list[Checked]) -> None:
    table = Table("", "check", "difference", "allowed", "seconds", box=None, pad_edge=False)
    for check in checks:
        found = check.error if check.difference is None else f"{check.difference:.1e}"
        state = "holds" if check.ok else "FAILS"
        table.add_row(state, check.name, found, f"{check.most:.0e}", f"{check.seconds:.1f}")
    out.print(table)
