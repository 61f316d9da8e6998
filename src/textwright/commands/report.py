"""``textwright report``: a page of a run or an evaluation from what lies on the disk, or of several side by side."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from textwright.core.console import stderr_console, stdout_console
from textwright.core.errors import InputError
from textwright.core.files import write_atomically
from textwright.core.result import Result
from textwright.core.user_paths import check_can_be_written, given_path
from textwright.core.words import counted
from textwright.report.html import heading, is_page, page
from textwright.runs.run_folder import Run, is_run

if TYPE_CHECKING:
    from textwright.evaluation.evaluation_folder import EvaluationRecord
    from textwright.runs.record import RunRecord

    Evaluations = dict[Path, EvaluationRecord]

REPORT = "report.html"
TOGETHER = Path(REPORT)
"""Where a page of several goes."""
EVALUATIONS = Path("evaluations")
"""Where evaluate leaves its folders, when it is not told."""


@dataclass(frozen=True)
class Reported(Result):
    """Where the page is."""

    report: Path
    notes: list[str]

    def as_json(self) -> dict[str, Any]:
        return {"report": str(self.report)}

    def show(self) -> None:
        stdout_console().print(str(self.report), soft_wrap=True)
        for note in self.notes:
            stderr_console().print(note, soft_wrap=True)


def report(
    folders: Annotated[tuple[Path, ...], Parameter(show_default=False)] = (), /, *, out: Path | None = None
) -> Reported:
    """Make the report of a run or of an evaluation again; of several, one page with all side by side.

    A run's model card is renewed with it, with the evaluations of its model that are given, lie in evaluations/ or
    were in it before. A card that you wrote or changed is left alone.

    Parameters
    ----------
    folders
        Run folders, and folders of evaluations.
    out
        The file to write. report.html in the folder; of several, in the current one.
    """
    from textwright.evaluation.evaluation_folder import is_evaluation, read_evaluation
    from textwright.runs.record import read_run_record

    _check(folders)
    runs: dict[Path, RunRecord] = {}
    evaluations: Evaluations = {}
    for folder in folders:
        with given_path(folder):
            if is_run(folder):
                runs[folder] = read_run_record(Run.open(folder))
            elif is_evaluation(folder):
                evaluations[folder] = read_evaluation(folder)
            else:
                raise _neither(folder)
    path = out or (folders[0] / REPORT if len(folders) == 1 else TOGETHER)
    replaced = _check_is_ours(path, folders)
    content = page(*_page(runs, evaluations))
    with given_path(path):
        write_atomically(path, content)
    notes = [f"{path} was a report already: replaced"] if replaced else []
    notes += [f"{where} was cut short, as kills leave it: that line is left out" for where in _torn(runs, evaluations)]
    notes += _renew_card(*next(iter(runs.items())), evaluations) if len(runs) == 1 else []
    return Reported(path, notes)


def _torn(runs: "dict[Path, RunRecord]", evaluations: "Evaluations") -> list[str]:
    """Where last lines were cut short, but for a run that is still writing."""
    of_runs = [where for folder, one in runs.items() if not Run.open(folder).is_running() for where in one.torn]
    return of_runs + [one.torn for one in evaluations.values() if one.torn]


def _page(runs: "dict[Path, RunRecord]", evaluations: "Evaluations") -> tuple[str, list[str]]:
    """The title and the parts: one by itself, several of a kind side by side, kinds one below the other."""
    from textwright.evaluation.compared_report import compared_evaluations_parts
    from textwright.evaluation.report import evaluation_parts
    from textwright.runs.compared_report import compared_runs_parts
    from textwright.runs.report import run_parts

    names = _names([*runs, *evaluations])
    parts: list[str] = []
    if len(names) > 1:
        parts.append(heading(" beside ".join(names.values()), "runs and evaluations, by Textwright"))
    if len(runs) > 1:
        parts += compared_runs_parts([*runs.values()], [names[folder] for folder in runs])
    elif runs:
        parts += run_parts(*runs.values())
    for task in dict.fromkeys(one.task for one in evaluations.values()):
        alike = {folder: one for folder, one in evaluations.items() if one.task == task}
        if len(alike) > 1:
            parts += compared_evaluations_parts([*alike.values()], [names[folder] for folder in alike])
        else:
            parts += evaluation_parts(*alike.values())
    return next(iter(names.values())) if len(names) == 1 else f"{len(names)} side by side", parts


def _names(folders: list[Path]) -> dict[Path, str]:
    """The folders' own names, or where two have the same their paths."""
    short = {folder: folder.resolve().name for folder in folders}
    is_enough = len(set(short.values())) == len(folders)
    return short if is_enough else {folder: str(folder) for folder in folders}


def _check(folders: tuple[Path, ...]) -> None:
    if not folders:
        raise InputError("no folder", expected="a run, an evaluation, or several")
    real = [os.path.realpath(folder) for folder in folders]
    for place, folder in enumerate(folders):
        if real[place] in real[:place]:
            raise InputError(f"{folder} is given twice", expected="different folders")


def _neither(folder: Path) -> InputError:
    if not folder.is_dir():
        return InputError(f"there is no folder {folder}", expected="a run, or an evaluation", fix="check the path")
    if is_run(folder.parent):
        return InputError(f"{folder} is a part of a run", fix=f"name the run: {folder.parent}")
    return InputError(
        f"{folder} is neither a run nor an evaluation",
        expected="a folder with config.toml and journal.jsonl, or with evaluation.json",
    )


def _check_is_ours(path: Path, folders: tuple[Path, ...]) -> bool:
    """See that a page can be written, and that what is there already is one of ours and not of something else.

    Returns whether it is one that is not made again but replaced.
    """
    from textwright.evaluation.evaluation_folder import is_evaluation

    check_can_be_written(path, is_file=True)
    with given_path(path):
        place = path.absolute().parent
        is_own = len(folders) == 1 and path.name == REPORT and folders[0].resolve() == place.resolve()
        if not is_own and path.name == REPORT and (is_run(place) or is_evaluation(place)):
            what = "run" if is_run(place) else "evaluation"
            raise InputError(f"{path} is the report of the {what} that it lies in", fix="choose another --out")
        if is_own or not path.exists():  # reports of the first releases did not say whose they were
            return False
        with open(path, "rb") as file:
            beginning = file.read(2000)
    if beginning and not is_page(beginning):
        raise InputError(f"{path} is there already, and is no report", fix="choose another --out")
    return bool(beginning)


def _renew_card(folder: Path, record: "RunRecord", given: "Evaluations") -> list[str]:
    """Renew the card of a run's model, where there is one that is ours; returns what a person should know of it."""
    from textwright.runs.model_card import remember_evaluations, renew_card

    run = Run.open(folder)
    if record.facts is None or run.is_running():
        return []
    found, notes = _evaluations_of(run, given)
    card = run.model / "README.md"
    if not renew_card(run, record, [_evaluated(one) for one in found.values()]):
        return [f"model card: {card} is yours, and was left as it is"]
    remember_evaluations(run, found)
    return [f"model card: {card}, with {counted(len(found), 'evaluation')}", *notes]


def _evaluations_of(run: Run, given: "Evaluations") -> "tuple[Evaluations, list[str]]":
    """The evaluations of a run's model by where they are, and why others are left out: those that evaluate left where
    it does by itself, those that its card had before, and those that are given."""
    from textwright.evaluation.evaluation_folder import NotEndedError, is_evaluation, read_evaluation
    from textwright.runs.model_card import remembered_evaluations

    here = [one for one in sorted(EVALUATIONS.iterdir()) if is_evaluation(one)] if EVALUATIONS.is_dir() else []
    before = {one.resolve(): one for one in remembered_evaluations(run)}
    records: Evaluations = {}
    left_out: dict[Path, str] = {}
    for place, folder in (before | {one.resolve(): one for one in here}).items():
        try:
            records[place] = read_evaluation(folder)
        except NotEndedError as error:
            left_out |= {place: str(error)} if place in before else {}
        except InputError as error:
            left_out[place] = str(error)
    records |= {folder.resolve(): one for folder, one in given.items()}
    found = {place: one for place, one in sorted(records.items()) if _is_of(one, run)}
    for place in before.keys() & records.keys() - found.keys():
        left_out[place] = f"{before[place]} is of another model now"
    any_more = {place: " any more" if place in before else "" for place in left_out}
    return found, [f"not in the model card{any_more[place]}: {reason}" for place, reason in sorted(left_out.items())]


def _is_of(evaluation: "EvaluationRecord", run: Run) -> bool:
    """Whether an evaluation is of the model that the run ended with, by the hash of its weights."""
    from textwright.checkpoint.model_folder import described_files

    files: dict[str, str] = evaluation.about.get("model", {}).get("files", {})
    known = described_files(run.model)
    return bool(files) and all(known.get(name, {}).get("sha256") == sha256 for name, sha256 in files.items())


def _evaluated(one: "EvaluationRecord") -> Any:
    from textwright.runs.model_card import Evaluated

    data = one.about.get("data", [])
    names = ", ".join(Path(str(file["path"])).name for file in data)
    hashes = " ".join(str(file["sha256"]) for file in data)
    return Evaluated(one.task, f"{names}, {counted(len(one.rows), 'example')}", hashes, one.figures)
