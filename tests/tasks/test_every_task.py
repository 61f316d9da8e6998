"""What holds for every task of the table, on the real files that it is for."""

import functools
import gzip
import itertools
import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from textwright.core.errors import InputError
from textwright.tasks.base import Example
from textwright.tasks.baselines import BASELINES, find_baseline
from textwright.tasks.catalog import TASKS, find_task
from textwright.tasks.references import completions_of

REAL = [
    ("summarisation", "scitldr", ["dev.jsonl.gz"], 619),
    ("translation", "multi30k", ["val.en.gz", "val.de.gz"], 1_014),
    ("translation", "tatoeba-eng-cmn", ["cmn.txt.gz"], 20_476),
    ("style_transfer", "style-shakespeare", ["valid.modern.nltktok", "valid.original.nltktok"], 1_193),
    ("style_transfer", "style-yelp", ["reference.0", "reference.1"], 1_000),
    ("style_transfer", "style-captions", ["reference.0"], 300),
    ("styled_text", "style-yelp", ["sentiment.dev.0", "sentiment.dev.1"], 4_000),
    ("dialogue", "dailydialog-test", ["dialogues_test.txt"], 3_700),
    ("dialogue", "sgd", ["dev/dialogues_003.json.gz", "dev/schema.json"], 866),
    ("data_to_text", "e2e", ["devset.csv.gz"], 547),
    ("data_to_text", "e2e", ["testset_w_refs.csv.gz"], 630),
    ("data_to_text", "webnlg2017", ["dev.jsonl"], 872),
    ("keywords_to_text", "multi30k", ["val.en.gz"], 1_011),
    ("classification", "sst2", ["dev.tsv"], 872),
    ("classification", "banking77", ["test.csv"], 3_080),
    ("classification", "chnsenticorp-hotel", ["ChnSentiCorp_htl_all.csv.gz"], 7_766),
    ("classification", "ag_news", ["test.csv.gz", "classes.txt"], 7_600),
    ("named_entities", "wnut17", ["wnut17train.conll"], 3_394),
    ("named_entities", "wnut17", ["emerging.test.annotated"], 1_287),
    ("relations", "semeval2010-task8", ["TEST_FILE_FULL.TXT"], 2_717),
    ("relations", "semeval2010-task8", ["TRAIN_FILE.TXT.gz"], 8_000),
    ("information_extraction", "e2e", ["devset.csv.gz"], 4_672),
    ("information_extraction", "sgd", ["dev/dialogues_003.json.gz"], 303),
    ("subject_line", "aeslc", ["dev.jsonl.gz"], 1_960),
    ("email", "aeslc", ["dev.jsonl.gz"], 1_960),
    ("resume", "resumes", ["UpdatedResumeDataSet.csv.gz"], 87),
    ("code_completion", "humaneval", ["HumanEval.jsonl.gz"], 164),
    ("code_completion", "mbpp-sanitized", ["sanitized-mbpp.json"], 427),
    ("code_infilling", "humaneval", ["HumanEval.jsonl.gz"], 164),
    ("code_infilling", "mbpp-sanitized", ["sanitized-mbpp.json"], 427),
    ("line_infilling", "tinyshakespeare", ["input.txt"], 2_500),
    ("open_ended", "corpus-british-fiction", ["ABronte_Agnes.txt.gz"], 424),
]
"""(task, data set, files, how many examples)"""
IDS = [f"{name}-{folder}-{number}" for number, (name, folder, _, _) in enumerate(REAL)]
LOOKED_AT = 300

DataFolder = Callable[[str], Path]


@functools.cache
def read(name: str, *files: Path) -> list[Example]:
    """The examples of files, read once."""
    return list(find_task(name).examples(files))


def test_every_task_of_the_table_is_one_and_has_real_files() -> None:
    for name in TASKS:
        task = find_task(name)
        assert (task.name, TASKS[name].split(":")[0]) == (name, f"textwright.tasks.{name}")
        assert task.summary
        assert task.metrics
        assert task.max_new_tokens >= 1
        assert task.baseline in BASELINES
        assert sum(given is not None for given in (task.regex, task.json_schema)) <= 1
    assert {name for name, *_ in REAL} == set(TASKS)


def test_a_name_that_is_no_tasks_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="unknown task 'summarization'.*did you mean 'summarisation'"):
        find_task("summarization")


@pytest.mark.parametrize(("name", "folder", "files", "count"), REAL, ids=IDS)
def test_examples_of_real_files_are_whole(
    name: str, folder: str, files: list[str], count: int, data_folder: DataFolder
) -> None:
    task = find_task(name)
    examples = read(name, *(data_folder(folder) / file for file in files))
    assert len(examples) == count
    assert len({example.id for example in examples}) == count, "examples of one name"
    for example in examples[:LOOKED_AT]:
        assert example.prompt
        ends_in_indentation = not example.prompt.rpartition("\n")[2].strip()
        assert ends_in_indentation or not example.prompt.endswith((" ", "\t"))
        assert example.source
        assert example.completion.strip()
        assert all(reference.strip() for reference in example.references)
        assert example.completion in completions_of(example)
        assert len(completions_of(example)) == (1 if example.options else len(set(example.references)))
        assert not any(stop in example.completion for stop in task.stop)
        json.dumps(dict(example.details))


@pytest.mark.parametrize(("name", "folder", "files", "count"), REAL, ids=IDS)
def test_what_is_learned_reads_back_as_the_reference(
    name: str, folder: str, files: list[str], count: int, data_folder: DataFolder
) -> None:
    task = find_task(name)
    for example in read(name, *(data_folder(folder) / file for file in files))[:LOOKED_AT]:
        for completion, reference in zip(completions_of(example), example.references, strict=False):
            answer = task.read_answer(completion, example)
            assert answer.prediction == reference
        answer = task.read_answer(example.completion, example)
        assert answer.details.get("entities") == example.details.get("gold_entities")
        if example.options:
            assert example.completion in example.options
            assert not any(later.startswith(one) for one, later in itertools.pairwise(sorted(example.options)))
        if task.regex is not None:
            assert re.fullmatch(task.regex, example.completion)
        if task.json_schema is not None:
            value = json.loads(example.completion)
            assert all(isinstance(one, str) for one in value.values())


def test_the_tokenised_training_files_of_e2e_are_read(data_folder: DataFolder, tmp_path: Path) -> None:
    texts = []
    for name in ("src_train.txt", "train.txt"):
        with gzip.open(data_folder("e2e") / "train-tokenised" / f"{name}.gz", "rt", encoding="utf-8") as file:
            texts.append(list(itertools.islice(file, 1000)))
            (tmp_path / name).write_text("".join(texts[-1]), encoding="utf-8")
    found = list(find_task("data_to_text").examples([tmp_path / "src_train.txt", tmp_path / "train.txt"]))
    assert len(found) == len(set(texts[0]))
    assert not any("__" in example.prompt or "<eos>" in "".join(example.references) for example in found)
    assert all(example.prompt.startswith("name: ") for example in found)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_text_that_means_nothing_is_an_answer_too(name: str, data_folder: DataFolder) -> None:
    folder, files = next((folder, files) for task, folder, files, _ in REAL if task == name)
    task = find_task(name)
    example = read(name, *(data_folder(folder) / file for file in files))[0]
    for text in ("", " ", "\n", "; : ; none {", "[1, 2]", "null", ' {"a": 1}', "x" * 1000):
        assert isinstance(task.read_answer(text, example).prediction, str)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_a_file_of_another_form_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    path = tmp_path / "other.jsonl"
    path.write_text('{"colour": "red", "turn": 3}\n')
    with pytest.raises(InputError, match=r"other\.jsonl") as error:
        list(find_task(name).examples([path]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "row"),
    [
        ("summarisation", {"source": "a", "target": []}),
        ("summarisation", {"source": {"a": 1}, "target": "b"}),
        ("translation", {"source": None, "target": "b"}),
        ("classification", {"text": "a", "label": None}),
        ("classification", {"text": ["a", 1, []], "label": "b"}),
        ("data_to_text", {"mr": "name[a], b", "ref": "c"}),
        ("data_to_text", {"triples": ["a | b | c"], "lex": 3}),
        ("data_to_text", {"triples": ["a | b | c"], "lex": [{}]}),
        ("data_to_text", {"triples": [["a", "b"]], "lex": ["c"]}),
        ("dialogue", {"turns": 3}),
        ("dialogue", {"messages": ["hello"]}),
        ("dialogue", {"messages": [{"role": "user", "content": None}]}),
        ("information_extraction", {"turns": [{"speaker": "USER", "utterance": "a", "frames": [{}]}]}),
        ("information_extraction", {"turns": [3]}),
        ("information_extraction", {"turns": [{"speaker": "USER", "utterance": "\ud83d", "frames": []}]}),
        ("dialogue", {"messages": [{"role": "user", "content": "\ud83d"}]}),
        ("data_to_text", {"triples": ["a | b | c"], "lex": ["\ud83d"]}),
        ("classification", {"text": "\ud83d", "label": "b"}),
        ("information_extraction", {"turns": "text"}),
        ("email", {"subject": 3.5, "body": {}}),
        ("resume", {"category": "a", "resume": True}),
        ("code_completion", {"prompt": "a", "code": "b", "test_list": 3, "task_id": 1}),
        ("code_completion", {"prompt": "a", "code": "b", "test_list": [], "task_id": 1}),
        ("code_completion", {"prompt": "a", "code": "b", "test_list": ["c"], "test_imports": "d", "task_id": 1}),
        (
            "code_infilling",
            {"prompt": "a", "canonical_solution": None, "test": "b", "entry_point": "c", "task_id": "d"},
        ),
        ("line_infilling", {"text": 3}),
        ("open_ended", {"text": 3}),
    ],
)
def test_fields_of_other_kinds_are_refused_with_their_place(name: str, row: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=r"rows\.jsonl:1") as error:
        list(find_task(name).examples([path]))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", sorted(TASKS))
def test_no_task_begins_without_a_file_that_is_there(name: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file or folder"):
        list(find_task(name).examples([tmp_path / "missing.txt"]))


def test_baselines_are_what_they_say() -> None:
    train = [
        Example("p", " a b c", ("a b c", "a b d")),
        Example("p", " a b c", ("a b c",)),
        Example("q", " 好", ("好",)),
    ]
    test = [Example("r", source="One is. Two is!"), Example("s", source="一。二。")]
    assert find_baseline("majority")(train, test) == [" a b c"] * 2
    assert find_baseline("copy")(train, test) == ["One is. Two is!", "一。二。"]
    assert find_baseline("lead")(train, test) == ["One is.", "一。"]
    drawn = Counter(find_baseline("ngram")(train[:2], test * 150))
    assert set(drawn) == {"a b c", "a b d"}
    assert drawn["a b c"] == pytest.approx(200, abs=30)  # two in three
    with pytest.raises(InputError, match="unknown baseline 'leed'.*did you mean 'lead'"):
        find_baseline("leed")


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_baselines_answer_every_example_the_same_each_time(name: str, data_folder: DataFolder) -> None:
    task = find_task("summarisation")
    examples = read("summarisation", data_folder("scitldr") / "dev.jsonl.gz")
    answers = find_baseline(name)(examples[:80], examples[80:100])
    assert len(answers) == 20
    assert all(task.read_answer(text, example).prediction for text, example in zip(answers, examples, strict=False))
    assert answers == find_baseline(name)(examples[:80], examples[80:100])
