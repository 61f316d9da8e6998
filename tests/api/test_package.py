"""What ``import textwright as tw`` gives: every name, at once, and torch only when it is needed."""

import pydoc
import subprocess
import sys
from pathlib import Path

import textwright as tw
import textwright.api

ROOT = Path(__file__).parent.parent.parent
NAMES = (
    *("TextwrightError", "InputError", "TrainingStoppedError"),
    *("RunConfig", "TrainConfig", "ModelOptions", "SamplingConfig", "EngineConfig"),
    *("RunResult", "TrainReport", "TaskReport", "TextScore", "Request", "Completion", "Plan", "CheckResult"),
    *("Model", "load", "train", "resume", "plan", "plan_finetune", "verify", "evaluate_task"),
    *("FineTuneConfig", "FineTuneOptions", "finetune"),
    *("Classified", "Classifier", "train_classifier", "load_classifier"),
    *("Clusters", "cluster_texts", "load_clusters"),
)


def test_every_name_is_there_listed_and_the_same_in_both_packages() -> None:
    assert sorted(tw.__all__) == sorted(NAMES)
    assert set(NAMES) <= set(dir(tw))
    assert set(NAMES) <= set(dir(textwright.api))
    for name in NAMES:
        assert getattr(tw, name) is getattr(textwright.api, name)
        assert callable(getattr(tw, name)), name
    assert issubclass(tw.InputError, tw.TextwrightError)


def test_help_shows_the_names_and_the_five_lines_of_the_readme() -> None:
    text = pydoc.plain(pydoc.render_doc(tw))
    for name in NAMES:
        assert name in text
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    five_lines = readme.split("```python\n")[1].split("```")[0]
    for line in five_lines.splitlines():
        assert line in text


def test_errors_and_configs_come_without_torch() -> None:
    program = (
        "import sys, textwright as tw\n"
        "tw.InputError, tw.TextwrightError, tw.TrainingStoppedError, tw.RunConfig, tw.TrainConfig, tw.ModelOptions\n"
        "tw.SamplingConfig, tw.EngineConfig, tw.Completion, tw.TrainReport, dir(tw)\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_name_that_is_not_there_says_so() -> None:
    assert not hasattr(tw, "trian")
    assert not hasattr(textwright.api, "trian")
