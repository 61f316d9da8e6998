"""Of each task an example, whole: what is read, what a model is given, and what it is to write."""

import json
from pathlib import Path
from typing import Any

import pytest

from textwright.core.errors import InputError
from textwright.tasks.base import Example
from textwright.tasks.catalog import find_task
from textwright.tasks.keywords_to_text import keywords
from textwright.tasks.meanings import joined
from textwright.tasks.named_entities import entities_of


def examples(task: str, *files: Path) -> list[Example]:
    return list(find_task(task).examples(files))


def written(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def rows(path: Path, *values: Any) -> Path:
    return written(path, "".join(f"{json.dumps(value)}\n" for value in values))


def test_a_summary_follows_its_text(tmp_path: Path) -> None:
    row = {"source": ["We cut text. ", "It is fast.\n"], "target": ["Fast cuts.", "Quick."], "paper_id": "a1"}
    (example,) = examples("summarisation", rows(tmp_path / "a.jsonl", row))
    assert example.prompt == "We cut text. It is fast.\nTL;DR:"
    assert example.completion == " Fast cuts."
    assert example.references == ("Fast cuts.", "Quick.")
    assert (example.source, example.id) == ("We cut text. It is fast.", "a1")


def test_all_translations_of_a_sentence_are_references(tmp_path: Path) -> None:
    table = written(tmp_path / "cmn.txt", "Hi there.\t嗨。\nRun!\t跑！\nHi there.\t你好。\n")
    first, second = examples("translation", table)
    assert first.prompt == "Hi there.\nTranslation:"
    assert first.completion == "嗨。"  # no space where none is written
    assert first.references == ("嗨。", "你好。")
    assert second.references == ("跑！",)


def test_lines_side_by_side_are_pairs_whatever_the_files_are_called(tmp_path: Path) -> None:
    sources = written(tmp_path / "b", "one man\n\ntwo dogs\n")
    targets = written(tmp_path / "a", "ein Mann\nleer\nzwei  Hunde \n")
    found = examples("translation", sources, targets)
    assert [(example.source, example.completion) for example in found] == [
        ("one man", " ein Mann"),
        ("two dogs", " zwei Hunde"),
    ]
    assert [example.id for example in found] == ["b:1", "b:3"]
    assert examples("style_transfer", sources, targets)[0].prompt == "one man\nRewritten:"


def test_files_of_different_lengths_are_refused(tmp_path: Path) -> None:
    short, long = written(tmp_path / "a", "1\n2\n"), written(tmp_path / "b", "1\n2\n3\n")
    for files in ((short, long), (long, short)):
        with pytest.raises(InputError, match=r"/a has 2 lines and .*/b has more; expected files of equally many lines"):
            examples("translation", *files)
    with pytest.raises(InputError, match="alone has lines without a tab; expected two files"):
        examples("translation", short)
    with pytest.raises(InputError, match="a folder of 2 files of lines; .*expected the sources' file and the targets'"):
        examples("translation", tmp_path)
    with pytest.raises(InputError, match="alone has lines"):
        examples("translation", short, written(tmp_path / "c.tsv", "a b c\td e f\n"))


def test_styles_are_what_tells_the_files_names_apart(tmp_path: Path) -> None:
    files = [written(tmp_path / f"mood.train.{number}", f"sentence {number}\n") for number in (0, 1)]
    found = examples("styled_text", *files)
    assert [(one.prompt, one.completion) for one in found] == [
        ("Style: 0\nText:", " sentence 0"),
        ("Style: 1\nText:", " sentence 1"),
    ]
    with pytest.raises(InputError, match="files of one name"):
        examples("styled_text", files[0], written(tmp_path / "other" / "mood.train.0", "x\n"))


def test_every_answer_of_the_one_who_did_not_begin_is_an_example(tmp_path: Path) -> None:
    line = "Hi ! __eou__ Hello . __eou__ Tea ? __eou__ Yes . __eou__ Good . __eou__\n"
    first, second = examples("dialogue", written(tmp_path / "d.txt", line))
    assert (first.prompt, first.completion) == ("User: Hi !\nAssistant:", " Hello .")
    assert second.prompt == "User: Hi !\nAssistant: Hello .\nUser: Tea ?\nAssistant:"
    assert second.references == ("Yes .",)
    assert first.document == second.document == "d.txt:1"


def test_dialogues_in_json_say_who_speaks(tmp_path: Path) -> None:
    messages = {"messages": [{"role": role, "content": role[0]} for role in ("system", "user", "assistant", "user")]}
    (example,) = examples("dialogue", rows(tmp_path / "m.jsonl", messages))
    assert (example.prompt, example.completion) == ("s\nUser: u\nAssistant:", " a")
    sgd = {
        "dialogue_id": "7",
        "turns": [
            {"speaker": "USER", "utterance": "A table?", "frames": []},
            {"speaker": "SYSTEM", "utterance": "When?", "frames": []},
        ],
    }
    (example,) = examples("dialogue", written(tmp_path / "s.json", json.dumps([sgd])))
    assert (example.prompt, example.id) == ("User: A table?\nAssistant:", "7:2")
    with pytest.raises(InputError, match="the turn .*expected a role"):
        examples("dialogue", rows(tmp_path / "w.jsonl", {"messages": [{"role": "boss", "content": "no"}]}))
    with pytest.raises(InputError, match=r"n\.txt:1; expected turns that end in __eou__"):
        examples("dialogue", written(tmp_path / "n.txt", "only a line\n"))


def test_all_texts_of_one_meaning_are_references(tmp_path: Path) -> None:
    meaning = "name[Blue Spice], eatType[coffee shop], priceRange[£20-25]"
    table = written(tmp_path / "e.csv", f'MR,ref\n"{meaning}",A coffee shop.\n"name[X]",X.\n"{meaning}",Coffee!\n')
    first, second = examples("data_to_text", table)
    assert first.prompt == "name: Blue Spice; eat type: coffee shop; price range: £20-25\nText:"
    assert first.references == ("A coffee shop.", "Coffee!")
    assert second.references == ("X.",)
    with pytest.raises(InputError, match=r"w\.csv:2; expected slots such as name\[Blue Spice\]"):
        examples("data_to_text", written(tmp_path / "w.csv", "mr,ref\nBlue Spice,A shop.\n"))
    with pytest.raises(InputError, match="no field 'ref' among mr"):
        examples("data_to_text", written(tmp_path / "t.csv", "mr\nname[X]\n"))


def test_the_tokenised_copy_says_the_same_in_either_order(tmp_path: Path) -> None:
    slots = "__start_name__ The Mill __end_name__ __start_customerrating__ 5 out of 5 __end_customerrating__\n"
    source = written(tmp_path / "src.txt", slots)
    text = written(tmp_path / "text.txt", "The Mill 's food costs £ 30 , it is family - friendly . <eos>|||0,2,0\n")
    for files in ((source, text), (text, source)):
        (example,) = examples("data_to_text", *files)
        assert example.prompt == "name: The Mill; customer rating: 5 out of 5\nText:"
        assert example.references == ("The Mill's food costs £30, it is family-friendly.",)
    (fact,) = examples("information_extraction", source, text)
    assert json.loads(fact.completion) == {"name": "The Mill", "customer rating": "5 out of 5"}
    assert joined("do n't ( you )") == "don't (you)"


def test_triples_are_said_in_words_and_faulty_texts_left_out(tmp_path: Path) -> None:
    row = {
        "triples": ['Aarhus_Airport | runwayName | "10L/28R"', "Aarhus | leader_name | Jacob"],
        "lex": [{"text": "Bad.", "comment": "toFix"}, {"text": "Good.", "comment": "good"}],
    }
    (example,) = examples("data_to_text", rows(tmp_path / "w.jsonl", row))
    assert example.prompt == "Aarhus Airport | runway name | 10L/28R; Aarhus | leader name | Jacob\nText:"
    assert example.references == ("Good.",)


def test_keywords_are_the_longest_words_in_their_order(tmp_path: Path) -> None:
    line = "A man is sleeping in a green room on a couch."
    assert keywords(line) == ("man", "sleeping", "green", "room", "couch")
    assert keywords("only five words are here") == ()
    (example,) = examples("keywords_to_text", written(tmp_path / "t.txt", f"short line\n{line}\n"))
    assert example.prompt == "Words: man, sleeping, green, room, couch\nText:"
    assert example.completion == f" {line}"
    assert example.id == "t.txt:2"
    with pytest.raises(InputError, match="no line of 6 words or more"):
        examples("keywords_to_text", written(tmp_path / "s.txt", "short\n"))
    with pytest.raises(InputError, match=r"no field 'text'; .*expected one of lines$"):  # no option to name it by
        examples("keywords_to_text", rows(tmp_path / "s.jsonl", {"lines": ["a"]}))


def test_labels_are_options_in_words(tmp_path: Path) -> None:
    table = written(tmp_path / "b.csv", "text,category\nWhere is it?,card_arrival\nStolen!,lost_card\n")
    first, second = examples("classification", table)
    assert (first.prompt, first.completion) == ("Where is it?\nLabel:", " card arrival")
    assert first.options == second.options == (" card arrival", " lost card")
    assert (second.references, second.details) == (("lost card",), {"label": "lost_card"})


def test_labels_that_are_numbers_are_the_options_or_count_names(tmp_path: Path) -> None:
    first, _ = examples("classification", written(tmp_path / "s.tsv", "a good film\t1\na bad film\t0\n"))
    assert (first.completion, first.options) == (" 1", (" 0", " 1"))
    news = written(tmp_path / "n.csv", '"3","Title","What, exactly."\n"2","Other","More."\n')
    names = written(tmp_path / "classes.txt", "World\nSports\nBusiness\nSci/Tech\n")
    first, _ = examples("classification", news, names)
    assert first.prompt == "Title. What, exactly.\nLabel:"
    assert (first.completion, len(first.options)) == (" Business", 4)
    few = written(tmp_path / "few.json", '["World", "Sports"]')
    with pytest.raises(InputError, match="the label '3'; expected one of 1, 2"):
        examples("classification", news, few)


def test_a_chinese_text_has_a_chinese_prompt_and_no_space(tmp_path: Path) -> None:
    table = written(tmp_path / "c.csv", "label,review\n1,不错。\n0,太差了\n")
    first, _ = examples("classification", table)
    assert (first.prompt, first.completion, first.options) == ("不错。\n标签：", "1", ("0", "1"))


def test_folders_are_labels_of_the_files_in_them(tmp_path: Path) -> None:
    for label in ("good", "bad"):
        written(tmp_path / "films" / label / "1.txt", f"a {label}\nfilm\n")
    second, first = examples("classification", tmp_path / "films")
    assert (first.prompt, first.completion, first.id) == ("a good film\nLabel:", " good", "good/1.txt")
    assert (second.references, second.options) == (("bad",), (" bad", " good"))
    with pytest.raises(InputError, match="one label alone: good"):
        examples("classification", tmp_path / "films" / "good")


def test_a_table_with_other_columns_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no field 'label' or .* among text, labell; .*did you mean 'labell'") as error:
        examples("classification", written(tmp_path / "a.csv", "text,labell\nx,1\n"))
    assert str(error.value).count("\n") == 0
    with pytest.raises(InputError, match="a table of 4 columns without their names"):
        examples("classification", written(tmp_path / "b.tsv", "A sentence, it seems.\t1\t2\t3\n"))


def test_entities_are_said_and_read_back(tmp_path: Path) -> None:
    lines = ["Empire\tB-location", "State\tI-location", "=\tO", "Ann;\tB-person", "Lee\tI-person", "\t", "Hi\tO"]
    first, second = examples("named_entities", written(tmp_path / "w.conll", "\n".join(lines)))
    assert first.prompt == "Empire State = Ann; Lee\nEntities:"
    assert first.completion == " location: Empire State; person: Ann; Lee"
    gold = [["location", "Empire State"], ["person", "Ann; Lee"]]
    assert first.details["gold_entities"] == gold
    assert find_task("named_entities").read_answer(first.completion, first).details["entities"] == gold
    assert (second.completion, second.details["gold_entities"]) == (" none", [])
    with pytest.raises(InputError, match=r"x\.conll:2; expected a word and its tag"):
        examples("named_entities", written(tmp_path / "x.conll", "a\tO\nb\n"))


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ("B-a I-a O B-b", [("a", "0 1"), ("b", "3")]),
        ("B-a B-a I-a", [("a", "0"), ("a", "1 2")]),
        ("I-a I-a I-b O", [("a", "0 1"), ("b", "2")]),
        ("O S-a S-a B-b E-b", [("a", "1"), ("a", "2"), ("b", "3 4")]),
        ("O O", []),
    ],
)
def test_where_an_entity_begins_and_ends(tags: str, expected: list[tuple[str, str]]) -> None:
    words = [str(place) for place in range(len(tags.split()))]
    assert entities_of(words, tags.split()) == expected


def test_relations_are_chosen_among_all_nineteen(tmp_path: Path) -> None:
    block = '8002\t"The <e1>company</e1> makes <e2>chairs</e2>."\r\nProduct-Producer(e2,e1)\r\nComment: none\r\n\r\n'
    (example,) = examples("relations", written(tmp_path / "r.txt", block))
    assert example.prompt == "The <e1>company</e1> makes <e2>chairs</e2>.\nRelation:"
    assert example.completion == " Product-Producer(e2,e1)"
    assert len(set(example.options)) == 19
    assert example.id == "8002"
    others = written(tmp_path / "o.txt", block.replace("Product-Producer", "Owns"))
    assert examples("relations", others)[0].options == (" Owns(e2,e1)",)
    with pytest.raises(InputError, match=r"k\.txt:1; expected a number, a tab and a sentence"):
        examples("relations", written(tmp_path / "k.txt", "8001\tMessage-Topic\n"))


def test_slots_of_a_turn_are_the_words_that_were_said(tmp_path: Path) -> None:
    text = "A table in Corte Madera at 12?"
    slots = [
        {"slot": "time", "start": 27, "exclusive_end": 29},
        {"slot": "city_name", "start": 11, "exclusive_end": 23},
    ]
    turns = [{"speaker": "USER", "utterance": text, "frames": [{"slots": slots}]}]
    (example,) = examples("information_extraction", rows(tmp_path / "s.json", {"dialogue_id": "1", "turns": turns}))
    assert example.prompt == f"{text}\nJSON:"
    assert example.completion == '{"city name": "Corte Madera", "time": "12"}'
    task = find_task("information_extraction")
    answer = task.read_answer('{"time":"12", "city name": "Corte Madera"}', example)
    assert answer.prediction == example.references[0]
    assert answer.details["entities"] == example.details["gold_entities"]
    assert task.read_answer('{"time": ', example).details["entities"] == []


def test_mails_and_their_subjects_go_both_ways(tmp_path: Path) -> None:
    row = {"id": "m1", "body": "Hi,\nplease call.", "subject": "Call me", "ann0": "call request", "ann1": "Call me"}
    path = rows(tmp_path / "m.jsonl", row)
    (subject,), (mail,) = examples("subject_line", path), examples("email", path)
    assert (subject.prompt, subject.completion) == ("Hi, please call.\nSubject:", " Call me")
    assert subject.references == ("Call me", "call request")
    assert (mail.prompt, mail.completion) == ("Subject: Call me\nBody:", " Hi,\nplease call.")
    assert subject.id == mail.id == "m1"


def test_the_same_resume_is_one_example(tmp_path: Path) -> None:
    table = written(tmp_path / "r.csv", 'Category,Resume\nCook,"Skills:\n soup"\nCook,"Skills:\n soup"\nCook,Bread\n')
    first, _ = examples("resume", table)
    assert (first.prompt, first.completion) == ("Job: Cook\nResume:", " Skills:\n soup")


HUMAN_EVAL = {
    "task_id": "HumanEval/0",
    "prompt": 'def add(a, b):\n    """ Sum. """\n',
    "entry_point": "add",
    "canonical_solution": "    total = a + b\n    return total\n",
    "test": "\ndef check(candidate):\n    assert candidate(1, 2) == 3\n",
}
MBPP = {
    "task_id": 2,
    "prompt": "Write a function to add.",
    "code": "import math\r\ndef add(a, b):\r\n  c = a + b\r\n  return c",
    "test_imports": [],
    "test_list": ["assert add(1, 2) == 3", "assert add(0, 0) == 0"],
}


def program(example: Example, answer: str) -> str:
    details = example.details
    return f"{details['before']}{answer}{details['after']}{details['tests']}"


@pytest.mark.parametrize("task", ["code_completion", "code_infilling"])
@pytest.mark.parametrize("row", [HUMAN_EVAL, MBPP], ids=["humaneval", "mbpp"])
def test_a_solution_passes_its_tests_and_another_does_not(task: str, row: dict[str, Any], tmp_path: Path) -> None:
    (example,) = examples(task, rows(tmp_path / "p.jsonl", row))
    answer = find_task(task).read_answer(example.completion, example).prediction
    exec(program(example, answer), {})
    with pytest.raises((AssertionError, NameError, TypeError)):
        exec(program(example, answer.replace("return", "return 1 -").replace("a + b", "a - b")), {})


def test_programs_are_put_so_that_they_can_be_gone_on_with(tmp_path: Path) -> None:
    (body,) = examples("code_completion", rows(tmp_path / "h.jsonl", HUMAN_EVAL))
    assert (body.prompt, body.completion) == (HUMAN_EVAL["prompt"], "    total = a + b\n    return total")
    task = find_task("code_completion")
    assert task.read_answer("    return a\n\n    # done\ndef other():\n    pass", body).prediction == (
        "    return a\n\n    # done"
    )
    (whole,) = examples("code_completion", rows(tmp_path / "m.jsonl", MBPP))
    assert whole.prompt == '"""\nWrite a function to add.\nassert add(1, 2) == 3\n"""\n'
    (line,) = examples("code_infilling", rows(tmp_path / "h.jsonl", HUMAN_EVAL))
    assert line.prompt == (
        'def add(a, b):\n    """ Sum. """\n    total = a + b\n    # the missing line\n# the missing line:\n'
    )
    assert line.completion == "    return total"
    assert line.prefix_suffix == ('def add(a, b):\n    """ Sum. """\n    total = a + b\n', "\n")


def test_a_line_is_missing_in_each_passage_of_code(tmp_path: Path) -> None:
    lines = ["import math", "", "def area(r):", "    return math.pi * r * r", "", "", "x = 1", "", "# the end", ""]
    path = written(tmp_path / "a.py", "\n".join(lines))
    (line,) = examples("line_infilling", path)
    assert line.prompt == "import math\n\ndef area(r):\n   "
    assert line.completion == " return math.pi * r * r"
    assert line.references == ("return math.pi * r * r",)
    assert line.prefix_suffix == (line.prompt, "\n\n\nx = 1\n\n# the end\n")
    assert (line.id, line.document) == ("a.py:4", "a.py")
    sides = line.prefix_suffix
    assert sides[0] + line.completion + sides[1] == path.read_text()
    many = written(tmp_path / "b.py", "".join(f"value_{number} = {number}\n" for number in range(16 + 16 + 7)))
    assert [one.completion for one in examples("line_infilling", many)] == ["value_8 = 8", "value_24 = 24"]
    with pytest.raises(InputError, match="no passage of 8 lines with one of 10 characters"):
        examples("line_infilling", written(tmp_path / "c.py", "a = 1\n" * 50))


def test_passages_of_a_text_are_gone_on_with(tmp_path: Path) -> None:
    words = [f"w{number}" for number in range(160 + 64)]
    path = written(tmp_path / "t.txt", "\n".join(" ".join(words[start : start + 8]) for start in range(0, 224, 8)))
    first, second = examples("open_ended", path)
    assert first.prompt.split() == words[:32]
    assert first.completion.split() == words[32:160]
    assert first.completion.startswith("\n")  # as it is in the text
    assert second.references == (second.completion.strip(),)
    assert second.completion.split() == words[192:]
    assert first.document == second.document == "t.txt"
    with pytest.raises(InputError, match="no text of 64 words or more"):
        examples("open_ended", written(tmp_path / "s.txt", "short\n"))
    (chinese,) = examples("open_ended", written(tmp_path / "c.txt", "床前明月光，" * 20))
    assert len(chinese.prompt) == 32
