"""``textwright verify``: is everything of a run as it was written?"""

from pathlib import Path

from textwright.core.console import command_line, stdout_console
from textwright.core.errors import InputError


def verify(run: Path, /, *, json: bool = False) -> int:
    """Check every checkpoint, the token shards and the model of a run, byte by byte. Exit code 2 where one is damaged.

    Parameters
    ----------
    run
        The run folder.
    json
        Print one JSON object on standard output.
    """
    from textwright.api.runs import verify as verify_run

    findings = verify_run(run)
    damaged = [finding.damage for finding in findings if finding.damage is not None]
    if json:
        rows = [{"path": str(finding.path), "damage": finding.damage} for finding in findings]
        stdout_console().write_json({"ok": not damaged, "checkpoints": rows})
        return 2 if damaged else 0
    for finding in findings:
        stdout_console().print(f"{'damaged' if finding.damage else 'whole':8} {finding.path}")
    if damaged:
        more = f" (and {len(damaged) - 1} more)" if len(damaged) > 1 else ""
        raise InputError(
            f"{damaged[0]}{more}", fix=f"{command_line('train', '--resume', run)} goes on from what is whole"
        )
    return 0
