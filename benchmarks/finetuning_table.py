"""What each way of fine-tuning teaches in 90 seconds, what it costs, and what is forgotten.

    python benchmarks/finetuning_table.py BASE_RUN FOLDER --time e2e sst2 ...
    python benchmarks/finetuning_table.py BASE_RUN FOLDER [--rows ROW...] [--write docs/finetuning.md]

BASE_RUN is a run of ``textwright train`` on the English novels, such as the one tasks_table.py makes. First some steps
of every strategy are timed on each data set, on a machine that does nothing else. Each row then teaches the base a data
set's pairs by one strategy for as many steps as 90 seconds hold at that rate, whatever else runs meanwhile and on
whatever processor; puts it to the data set's task; and reads the novels' held-out part again. Some rows mix a part of
the novels in, and have as many steps as the one without. A row that is done stays: call it again, and it goes on.
Timings and finished rows are lines of two files in benchmarks/results, with the base's hash and the processor whose 90
seconds they are. --write puts the table into the document.
"""

import argparse
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finetuning_rows import (
    DATA,
    RATE,
    RATES,
    SCRATCH,
    FineTuningRow,
    add_lines,
    all_rows,
    lines_of,
    novels,
    pairs_of,
    scratch_model,
    shape_of,
)
from finetuning_times import SECONDS, Times, seconds_of, steps_within, timed
from tasks_table import numbers, textwright
from tasks_table_rows import ROWS as TASKS

from textwright.core.device import processor_name
from textwright.core.files import sha256_file

RESULTS = Path(__file__).parent / "results" / "finetuning.jsonl"
TIMES = Path(__file__).parent / "results" / "finetuning-times.jsonl"


def main() -> None:
    """Time what is to be timed, or make the rows that are not done."""
    rows = {row.name: row for row in all_rows()}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("base", type=Path, help="the run of the base")
    parser.add_argument("folder", type=Path, help="where pairs, runs and predictions are kept")
    parser.add_argument("--time", nargs="+", choices=DATA, help="time steps on these data sets, and do nothing else")
    parser.add_argument("--rows", nargs="*", choices=rows, default=list(rows))
    parser.add_argument("--results", type=Path, default=RESULTS, help="where finished rows are lines")
    parser.add_argument("--times", type=Path, default=TIMES, help="where what was timed is")
    parser.add_argument("--write", type=Path, help="a document whose table is replaced")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    base_sha256 = sha256_file(options.base / "model" / "model.safetensors")
    head = {"base_sha256": base_sha256, "processor": processor_name()}
    for data in options.time or ():
        add_lines(options.times, [{"data": data} | head | one for one in timed(data, options.base, options.folder)])
    if options.time:
        return
    lines = timed_lines(lines_of(options.times), base_sha256)
    heads = {row.name: head_of(row, lines) for row in rows.values() if row.data in times_of(lines)}
    for name in options.rows:
        if name in heads and name not in finished(lines_of(options.results), heads):
            found = heads[name] | measured(rows[name], heads[name]["steps"], options.base, options.folder)
            add_lines(options.results, [found])
            print(f"{name}: {found['figures'][DATA[rows[name].data]]}, {found['novels_loss_nats']:.3f}", flush=True)
    if options.write:
        done = finished(lines_of(options.results), heads)
        options.write.write_text(with_table(options.write.read_text(), done))


def timed_lines(lines: Sequence[dict[str, Any]], base_sha256: str) -> list[dict[str, Any]]:
    """What was timed of a base, on the processor that was timed last."""
    of_base = [line for line in lines if line["base_sha256"] == base_sha256]
    return [line for line in of_base if line["processor"] == of_base[-1]["processor"]]


def times_of(lines: Sequence[dict[str, Any]]) -> dict[str, dict[str, dict[str, float]]]:
    """What steps take, by data set and by what is trained.

    Steps of one shape have the same products on every data set, and what else a machine does only makes them slower: of
    what was timed of a shape the fastest counts.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    for data in DATA:
        for line in lines:
            if shape_of(line["data"]) == shape_of(data):
                kept = found.setdefault(data, {}).setdefault(line["timed"], {})
                for name in ("step_s", "change_s"):
                    kept[name] = min(line[name], kept.get(name, line[name]))
    return found


def head_of(row: FineTuningRow, lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What a row is, by what was timed: one that is done is still the same where all of this is."""
    times: Times = times_of(lines)[row.data]
    steps = steps_within(row, times)
    return {
        "row": row.name,
        "base_sha256": lines[0]["base_sha256"],
        "seconds": SECONDS,
        "timed_on": lines[0]["processor"],
        "strategy": row.text(steps),
        "steps": steps,
        "step_s": round(seconds_of(row, times, steps) / steps, 4),
    }


def finished(lines: Sequence[dict[str, Any]], heads: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The rows that are done, by their names."""
    return {line["row"]: line for line in lines if line["row"] in heads and heads[line["row"]].items() <= line.items()}


def measured(row: FineTuningRow, steps: int, base: Path, folder: Path) -> dict[str, Any]:
    """Teach a row's model, put it to its task, and see what it knows of the novels."""
    inside = folder / re.sub(r"[/: ]", "-", row.name)
    shutil.rmtree(inside, ignore_errors=True)
    inside.mkdir()
    run = inside / "run"
    pairs, held, test = pairs_of(row.data, folder, base)
    common = ["--data", str(pairs), "--val-data", str(held), *shape_of(row.data)]
    common += ["--steps", str(steps), "--seed", str(row.seed), "--out", str(run)]
    if row.strategy == SCRATCH:
        done = textwright("train", *common, *scratch_model(base))
    else:
        how = ["--strategy", row.text(steps), "--learning-rate", str(RATES.get(row.strategy, RATE))]
        if row.replay:
            how += ["--replay", f"{novels(folder, base)[0]}:{row.replay / 100}"]
        done = textwright("finetune", str(base / "model"), *common, *how)
    task = TASKS[row.data]
    asked = ["--task", task.task, "--data", *map(str, test), "--skip-long"]
    asked += ["--limit", str(task.limit)] if task.limit else []
    report = textwright("evaluate", str(run / "model"), *asked, "--out", str(inside / "evaluation"))
    old = textwright("evaluate", str(run / "model"), "--text", str(novels(folder, base)[1]))
    return {
        "trained_on": processor_name(),
        "trained_parameters": done["trained_parameters"],
        "peak_memory_bytes": done["peak_memory_bytes"],
        "examples": report["num_examples"],
        "figures": numbers(report["metrics"]),
        "novels_loss_nats": old["loss_nats_per_token"],
    }


def with_table(document: str, rows: dict[str, dict[str, Any]]) -> str:
    """The document with its table replaced."""
    names = ["strategy", "data", "replay", "its figure", "parameters", "steps", "ms a step", "memory, GB"]
    lines = [f"| {' | '.join(names)} | novels, nats |", f"{'|---' * 9}|"]
    shown = [row for row in all_rows() if row.name in rows and not row.seed]
    lines += [in_words(row, [rows[name] for name in row.seeds if name in rows]) for row in shown]
    bases = sorted(
        {f"{row['seconds']:.0f} s of {row['timed_on']}, base {row['base_sha256'][:12]}." for row in rows.values()}
    )
    return re.sub(
        r"(<!-- measured -->\n).*?(<!-- end of measured -->)",
        lambda match: match[1] + "\n".join([*lines, "", *bases]) + "\n" + match[2],
        document,
        flags=re.DOTALL,
    )


def in_words(row: FineTuningRow, seeds: Sequence[dict[str, Any]]) -> str:
    """A line of the table: the first seed's, with the range over all where there are several."""
    first, name = seeds[0], DATA[row.data]
    one = first["figures"][name]
    figure = f"{name} {one['value']:.3g} ({one['low']:.3g} to {one['high']:.3g})"
    if len(seeds) > 1:
        values = sorted(each["figures"][name]["value"] for each in seeds)
        figure += f"; {len(seeds)} seeds {values[0]:.3g} to {values[-1]:.3g}"
    cells = [row.strategy, row.data, f"{row.replay} %", figure, f"{first['trained_parameters']:,}"]
    cells += [f"{first['steps']:,}", f"{1000 * first['step_s']:.0f}", f"{first['peak_memory_bytes'] / 1e9:.2f}"]
    cells.append(f"{first['novels_loss_nats']:.3f}")
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
