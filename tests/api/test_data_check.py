"""``check_examples``: what is said of files as people have them, before anything is trained."""

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from textwright.api.data_check import DataCheck, check_examples
from textwright.checkpoint.model_folder import read_dialogue, read_model_config, save_model
from textwright.core.errors import InputError
from textwright.data.examples import Example, ExampleTokens
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.text.dialogue import DialogueFormat
from textwright.text.document import Document
from textwright.text.options import ReadOptions
from textwright.tokens import load_tokenizer, make_tokenizer

BYTES = make_tokenizer("byte", lambda: iter(()))
END = BYTES.eos_text


def check(path: Any, context_length: int = 400, **how: Any) -> DataCheck:
    return check_examples(path, BYTES, context_length=context_length, **how)


def lines_of(*rows: Any) -> bytes:
    return "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()


def parquet_of(*rows: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(list(rows)), out)
    return out.getvalue()


TURNS = [{"role": "user", "content": "1+1?"}, {"role": "assistant", "content": "two"}]
SHARED = [{"from": "human", "value": "1+1?"}, {"from": "gpt", "value": "two"}]
ASKED = f"User: 1+1?\nAssistant:[[ two\n{END}]]"

WILD: list[tuple[str, bytes, str | None, str]] = [
    (
        "quoted.csv",
        b'id,prompt,completion\r\n7,"say ""hi"",\r\nplease:"," hi, you\n"\r\n8,a,b\r\n',
        "prompt-completion",
        f'say "hi",\nplease:[[ hi, you\n{END}]]',
    ),
    ("nested.jsonl", lines_of({"messages": TURNS, "meta": {"n": 1}}), "messages", ASKED),
    (
        "alpaca.json",
        json.dumps([{"instruction": "Add.", "input": "1, 1", "output": "2"}], indent=2).encode(),
        "instruction-output",
        f"User: Add.\n\n1, 1\nAssistant:[[ 2\n{END}]]",
    ),
    ("sharegpt.json", json.dumps([{"id": "x_0", "conversations": SHARED}]).encode(), "conversations", ASKED),
    ("table.tsv", b"question\tanswer\n1+1?\ttwo\n", "question-answer", ASKED),
    ("table.parquet", parquet_of({"messages": TURNS, "source": "x"}), "messages", ASKED),
    ("packed.jsonl.gz", gzip.compress(lines_of({"input": "1+1?", "output": "two"})), "input-output", ASKED),
    ("sides.jsonl", lines_of({"source": "1+1?", "target": "two"}), "source-target", ASKED),
    ("faq.csv", b"Question,Answer\n1+1?,two\n", "question-answer", ASKED),
    ("dolly.jsonl", lines_of({"instruction": "1+1?", "context": "", "response": "two"}), "instruction-response", ASKED),
    ("texts.jsonl", lines_of({"text": "a text", "prompt": "p", "completion": "c"}), None, f"[[a text{END}]]"),
]


@pytest.mark.parametrize(("name", "content", "kind", "shown"), WILD, ids=[name for name, *_ in WILD])
def test_files_as_people_have_them(
    name: str, content: bytes, kind: str | None, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    found = check(path)
    assert [(file.source, file.format) for file in found.train.files] == [(str(path), kind)]
    assert (found.exit_code, found.problem) == (0, None)
    found.show()
    out, err = capsys.readouterr()
    assert shown in out
    assert f"{path}: " in out
    assert (kind or "texts, all of which is learned") in out
    assert ("expected a text, or instead of a field text: prompt + completion; instruction" in out) is (kind is None)
    assert "what is learned is green, or in [[ ]]" in err
    json.dumps(found.as_json())


def test_a_folder_of_a_folder_for_each_label_is_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for label in ("good", "bad"):
        (tmp_path / "films" / label).mkdir(parents=True)
        for number in range(6):
            (tmp_path / "films" / label / f"{number}.txt").write_text(f"{label} film {number}")
    (tmp_path / "films" / "poster.pdf").write_bytes(b"%PDF")
    found = check(tmp_path / "films")
    assert {file.format for file in found.train.files} == {None}
    assert found.train.num_learned == sum(len(f"{label} film 1") + 1 for label in ("good", "bad")) * 6
    assert found.train.num_read == 0
    found.show()
    out = capsys.readouterr().out
    assert "training: 12 examples" in out
    assert "4 more files: texts, all of which is learned, 4" in out
    assert "poster.pdf left out: not text" in out


def pairs_file(folder: Path, *pairs: tuple[str, str], name: str = "pairs.jsonl") -> Path:
    path = folder / name
    path.write_bytes(lines_of(*({"prompt": prompt, "completion": completion} for prompt, completion in pairs)))
    return path


def test_what_is_said_is_what_training_does(tmp_path: Path) -> None:
    path = pairs_file(tmp_path, *((f"{number} " * number, f"{number}!") for number in range(1, 60)))
    for how in ("skip", "cut"):
        found = check(path, 100, too_long=how)
        tokens = ExampleTokens(read(path), BYTES, max_pair_tokens=100, too_long=how)
        side = found.train
        assert (side.num_learned, side.num_learned + side.num_read) == (tokens.num_learned, tokens.num_tokens)
        assert (side.num_too_long, side.num_cut) == (tokens.num_too_long, tokens.num_cut)
        assert (side.num_tokens_cut, side.num_learned_cut) == (tokens.num_tokens_cut, tokens.num_learned_cut)
        assert side.num_too_long > 0
        assert found.epoch is not None
        assert found.epoch.row_length == tokens.row_length(100) == 100
        assert found.epoch.num_rows == tokens.packing(100, 0).num_rows


def read(path: Path) -> Iterable[Example]:
    for line in path.read_text().splitlines():
        row = json.loads(line)
        yield Example(row["completion"], Document(str(path)), row["prompt"])


def test_what_is_too_long_is_refused_left_out_or_cut_and_said_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pairs_file(tmp_path, ("0123456789", "ab"), ("p", "c"))
    refused = check(path, 8)
    assert refused.exit_code == 2
    assert refused.problem is not None
    assert refused.problem.startswith(
        "1 of 2 to learn from are longer than 8 tokens, the length of a row (the model's context, "
    )
    assert f"{path}:1" in refused.problem
    refused.show()
    assert "1, refused (13 tokens, 3 of them to learn)" in capsys.readouterr().out
    left_out = check(path, 8, too_long="skip")
    assert (left_out.exit_code, left_out.train.num_tokens_cut, left_out.train.num_learned_cut) == (0, 13, 3)
    left_out.show()
    assert f"13 tokens, left out\n[-0123456789ab{END}-]" in capsys.readouterr().out
    cut = check(path, 8, too_long="cut")
    assert (cut.exit_code, cut.train.num_tokens_cut, cut.train.num_learned_cut) == (0, 5, 0)
    cut.show()
    assert f"[-01234-]56789[[ab{END}]]" in capsys.readouterr().out
    with pytest.raises(InputError, match="pair 1 has 3 tokens to learn at its end; .*expected at most 2"):
        check(path, 2, too_long="cut")


def test_nothing_to_learn_is_exit_code_2(tmp_path: Path) -> None:
    empty = check([tmp_path_with(tmp_path, b'{"text": " "}\n')])
    assert (empty.exit_code, empty.train.num_empty, empty.epoch) == (2, 1, None)
    assert empty.problem is not None
    assert "no text to learn from" in empty.problem
    path = pairs_file(tmp_path, ("0123456789", "ab"))
    assert check(path, 8, too_long="skip").exit_code == 2
    assert check(path, validation=tmp_path_with(tmp_path, b'{"text": ""}\n')).exit_code == 2
    passed = check([{"prompt": "p", "completion": ""}, "text"], options=ReadOptions(null_text="skip"))
    assert (passed.exit_code, passed.train.num_null) == (0, 1)
    with pytest.raises(InputError, match=r"the completion is empty; in texts\[0\]") as caught:
        check([{"prompt": "p", "completion": ""}])
    assert "--" not in str(caught.value)


def tmp_path_with(folder: Path, content: bytes) -> Path:
    (folder / "other.jsonl").write_bytes(content)
    return folder / "other.jsonl"


def test_what_comes_again_is_named_and_so_is_what_is_validated_on_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = pairs_file(tmp_path, ("q", "a"), ("q", "b"), ("q", "a"), ("r", "c"))
    val = pairs_file(tmp_path, ("q", "a"), ("r", "new"), ("s", "d"), name="val.jsonl")
    found = check(train, validation=val)
    assert (found.train.repetitions.num_whole, found.train.repetitions.num_prompts) == (1, 1)
    assert (found.in_both.num_whole, found.in_both.num_prompts) == (1, 1)
    found.show()
    out = capsys.readouterr().out
    assert f"1 example there before: the first is {train}:3, as {train}:1" in out
    assert f"1 further prompt there before: the first is {train}:2, as {train}:1" in out
    assert f"1 example to validate on learned from too: the first is {val}:1, as {train}:1" in out
    assert f"1 further prompt to validate on learned from too: the first is {val}:2, as {train}:4" in out
    check(train, validation=pairs_file(tmp_path, ("z", "z"), name="val.jsonl")).show()
    assert "no example and no prompt in common" in capsys.readouterr().out


def test_a_file_that_is_validated_on_is_not_learned_from(tmp_path: Path) -> None:
    train, val = pairs_file(tmp_path, ("q", "a")), pairs_file(tmp_path, ("r", "b"), name="val.jsonl")
    found = check(tmp_path, validation=val)
    assert [file.source for file in found.train.files] == [str(train)]
    assert found.train.left_out == "val.jsonl left out: validated on"
    assert found.val is not None
    assert [file.source for file in found.val.files] == [str(val)]


def test_a_transform_and_a_models_own_format_are_seen(capsys: pytest.CaptureFixture[str]) -> None:
    def with_header(examples: Iterable[Example]) -> Iterable[Example]:
        return (replace(example, header="[x]\n") for example in examples)

    style = DialogueFormat(user="<u>", assistant="<a>", turn_end="<e>")
    found = check([{"messages": TURNS}], options=ReadOptions(dialogue=style), transform=with_header)
    assert found.train.examples[0].parts == (("[x]\n<u>1+1?<e><a>", "read"), (f"two<e>{END}", "learned"))
    found.show()
    assert f"[x]\n<u>1+1?<e><a>[[two<e>{END}]]" in capsys.readouterr().out


def test_long_examples_are_shown_by_their_ends(capsys: pytest.CaptureFixture[str]) -> None:
    found = check(["a" * 5000])
    found.show()
    out = capsys.readouterr().out
    assert "a ... 4,213 characters ... a" in out
    assert found.as_json()["train"]["examples"][0]["parts"][0]["text"].startswith("a" * 5000)


def test_a_model_folder_without_its_weights_is_enough(tmp_path: Path) -> None:
    shape = {"vocab_size": 257, "context_length": 24, "num_layers": 1, "num_heads": 1, "hidden_size": 8}
    style = DialogueFormat(user="U: ", assistant="A: ")
    save_model(build(GPTConfig.model_validate(shape)), BYTES, tmp_path / "model", dialogue=style)
    (tmp_path / "model" / "model.safetensors").unlink()
    found = check_examples(
        [{"question": "q", "answer": "a"}],
        load_tokenizer(tmp_path / "model"),
        context_length=read_model_config(tmp_path / "model").context_length,
        options=ReadOptions(dialogue=read_dialogue(tmp_path / "model")),
    )
    assert found.context_length == 24
    assert found.train.examples[0].parts == (("U: q\nA:", "read"), (f" a\n{END}", "learned"))
    with pytest.raises(InputError, match="there is no model folder"):
        read_model_config(tmp_path / "none")


def test_no_weights_and_no_torch_are_needed(tmp_path: Path) -> None:
    BYTES.save(tmp_path)
    code = f"""
import sys
from pathlib import Path
from textwright.api.data_check import check_examples
from textwright.tokens import load_tokenizer
found = check_examples([("p", "c")], load_tokenizer(Path({str(tmp_path)!r})), context_length=8, validation=["text"])
assert found.exit_code == 0
assert "torch" not in sys.modules, "torch is loaded"
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
