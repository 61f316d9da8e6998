"""A mistake in an option is one line in the form of all others: what was given, what is expected, the nearest."""

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ("cluster train m --data x --clusters ato", "--clusters ato; expected a whole number or 'auto'; "
                                                    "did you mean 'auto'?"),
        ("cluster train m --data x --clusters", "--clusters without a value; expected a whole number or 'auto'"),
        ("classify train m --data x", "classify train without --out; expected a new folder for the classifier and what "
                                      "it said of the texts that were held out"),
        ("classify train m --data x --oot y", "unknown option --oot; did you mean --out?"),
        ("score --predictions x", "score without --metrics; expected names with commas between, such as "
                                  "bleu,chrf,ter,rouge"),
        ("evaluate m --task classification --data x --limit abc", "--limit abc; expected a whole number"),
        ("evaluate m --task classification --data x --limit 1.5", "--limit 1.5; expected a whole number"),
        ("evaluate m --text x --window abc", "--window abc; expected a whole number"),
        ("evaluate m --text x --window", "--window without a value; expected a whole number"),
        ("evaluate m --text x --window 3 --window 4", "--window is given twice; expected it once"),
        ("evaluate m --task x --data x --skip-long=perhaps", "--skip-long perhaps; expected true or false"),
        ("evaluate m --task classification --data x --temperature hot", "--temperature hot; expected a number"),
        ("evaluate m --task classification --data x --stop-token-ids x", "--stop-token-ids x; expected a whole number"),
        ("evaluate m --texd x", "unknown option --texd; did you mean --text?"),
        ("evaluate m --text x --zzzzz", "unknown option --zzzzz; textwright evaluate --help shows what there is"),
        ("compare-scores a.jsonl b.jsonl --test randomization", "--test randomization; expected 'randomisation' or "
                                                                "'bootstrap'; did you mean 'randomisation'?"),
        ("compare-scores a.jsonl b.jsonl c.jsonl", "'c.jsonl' is one argument too many; "
                                                   "textwright compare-scores --help shows what there is"),
        ("train --data x --model.position-encoding learnt", "--model.position-encoding learnt; expected 'learned', "
                                                            "'sinusoidal', 'rotary' or 'none'; did you mean "
                                                            "'learned'?"),
        ("--nothing", "unknown option --nothing; textwright --help shows what there is"),
    ],
)  # fmt: skip
def test_what_was_given_what_is_expected_and_the_nearest(textwright: Run, arguments: str, line: str) -> None:
    done = textwright(*arguments.split())
    assert (done.code, done.out, done.err) == (2, "", f"textwright: {line}\n")


def test_a_command_without_its_first_argument_says_what_that_is(textwright: Run) -> None:
    done = textwright("classify", "train", "--data", "x", "--out", "y")
    assert done.code == 2
    assert done.err.startswith("textwright: classify train without MODEL; expected a model folder, or a Hugging Face")


def test_the_help_of_evaluate_shows_what_tasks_are_done_with(textwright: Run) -> None:
    done = textwright("evaluate", "--help")
    shown = " ".join(done.out.replace("│", " ").split())
    assert "Most tokens to write for each answer. [default: the task's]" in shown
    assert "higher is wilder. [default: 0.0]" in shown
