"""Names that were given up do not come back: not in the documents, nor in help texts, nor in what is printed."""

import io
import re
from pathlib import Path

import pytest
from rich.console import Console

from textwright.cli import VERBS, build_app
from textwright.core.renamed import CLASSES, KEYS, PRESETS

SOURCES = Path(__file__).parents[2] / "src" / "textwright"
WORDS = {
    "rows",
    "time",
    "width",
    "clip",
    "patience",
    "positions",
    "layout",
    "alternatives",
    "deterministic",
    "recompute",
}
"""Old keys that are words of their own too; in documents and sources only the option counts."""
OPTIONS = [f"--{old.replace('_', '-')}" for old in KEYS] + ["--model.positions"]
INSIDE = (
    *("KeyValueState", "empty_state", "extend_by_one", "can_rewind", "make_room", "outline", "initialise", "Attending"),
    *("OneMore", "causal_or_documents", "same_place", "num_shared", "to_theirs", "to_ours", "HARMLESS", "Probe"),
    *("TrainStep", "NextToken", "add_gradients", "loss_and_gradient", "fusible_loss_and_gradient", "of_hidden"),
    *("of_head", "of_logits", "Hooks", "on_decided", "make_loader", "recompute_for_training"),
    *("Diary", "Saver", "CHANGEABLE", "highest_learning_rate", "Float32Weights", "BFloat16Weights", "add_up"),
    *("computing_weights", "free_gradients", "one_pass", "Interruption", "finish_step_first", "make_objective"),
    *("ShardFacts", "damage_of_data", "read_documents", "_cut_last_tenth"),
    *("DecodeState", "Written", "rule_out_repeats", "keep_a_way_out", "LAST_RESORT", "FusedDecoder"),
    *(
        "FusedState",
        "GraphDecoder",
        "MOST_RECORDINGS",
        "LEAST_SURE",
        "TokenReport",
        "can_go_on",
        "came_from",
        "at_work",
    ),
    *("keep_rounded", "read_rounded", "SPECIMEN", "make_filters", "apply_filters"),
    *("plus_product", "plus_pairs", "_plus_fours", "in_all_lanes", "sums_of_lanes", "load_in_turn", "of_addresses"),
    *("give_way", "wait_for_all", "GENERATION", "PATIENCE", "Team", "_hire", "_dismiss", "make_product", "make_finish"),
    *("make_mix", "group_of", "scale_to_one", "largest_size", "lines_of_key", "start_of_head", "run_step", "is_modern"),
    *("find_windows", "take_outliers", "code_of", "shorten_float32", "shorten_bfloat16", "NUMBERS_IN_A_LINE"),
    *("SIDE_BY_SIDE", "_side_by_side", "MOST_TOKENS", "MOST_INPUTS", "BYTES_FOR_A_THREAD", "quantise_rows", "_hold"),
    *("_make_room", "_addresses"),
)
"""Names of the sources that were replaced by the field's."""
GONE = [*(set(KEYS) - WORDS), *PRESETS, *CLASSES, "modern-", "window_slid", "micro_batch", "yardsticks"]


def old_names_in(text: str) -> list[str]:
    names = [re.escape(option) for option in OPTIONS]
    words = [re.escape(word) for word in sorted(GONE)]
    pattern = rf"(?<![\w.-])(?:{'|'.join(names)})(?![\w-])|(?<![\w-])(?:{'|'.join(words)})(?![\w-])|\bmodern-\w+"
    return re.findall(pattern, text)


def test_no_document_has_an_old_name(documents: list[Path]) -> None:
    found = {path.name: names for path in documents if (names := old_names_in(path.read_text(encoding="utf-8")))}
    assert not found


@pytest.mark.parametrize("verb", VERBS)
def test_no_help_text_has_an_old_name(verb: str) -> None:
    screen = io.StringIO()
    build_app().help_print(verb.split(), console=Console(file=screen, width=200))
    assert "Usage" in screen.getvalue()
    assert not old_names_in(screen.getvalue())


def test_no_source_outside_the_table_has_an_old_name() -> None:
    kept = {SOURCES / "core" / "renamed.py"}
    paths = [path for path in SOURCES.rglob("*.py") if path not in kept]
    found = {
        str(path.relative_to(SOURCES)): names
        for path in paths
        if (names := old_names_in(path.read_text(encoding="utf-8")))
    }
    assert not found


def test_the_list_knows_old_from_new() -> None:
    assert old_names_in("`--rows 4`, --no-repeat-ngram 2, modern-tiny, `final_fraction`") == [
        "--rows",
        "--no-repeat-ngram",
        "modern-tiny",
        "final_fraction",
    ]
    assert old_names_in("--no-repeat-ngram-size 2, rows of text, --batch-size, num_samples_seen, top_logprobs") == []


def test_no_name_of_the_sources_comes_back() -> None:
    pattern = re.compile(rf"\b(?:{'|'.join(INSIDE)})\b")
    found = {
        str(path.relative_to(SOURCES)): names
        for path in SOURCES.rglob("*.py")
        if (names := pattern.findall(path.read_text(encoding="utf-8")))
    }
    assert not found
