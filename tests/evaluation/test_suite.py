"""A suite's figures are what their protocols say, each held against a slow reference that takes one token at a time."""

import gzip
import json
import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.evaluation.catalog import SUITES, find_suite
from textwright.evaluation.suite.base import SuiteFigure
from textwright.evaluation.suite.cloze import cloze_figures, cloze_notes, option_texts
from textwright.evaluation.suite.cloze_file import Cloze, read_cloze
from textwright.evaluation.suite.detokenise import clean_as_lm_eval, detokenise, tokenise
from textwright.evaluation.suite.files import SuiteFiles
from textwright.evaluation.suite.gpt2 import Gpt2Suite
from textwright.evaluation.suite.last_words import WordScore, as_gpt2, lambada_figures, stop_tokens, word_scores
from textwright.evaluation.suite.wikitext import WikiText, read_wikitext, strided_windows
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.models.language_model import LanguageModel
from textwright.tokens import Tokenizer, make_tokenizer

CONTEXT = 24
WIKI = [
    " ",
    " = Ann = ",
    " ",
    ' Ann sat , and said : " It \'s 1 @,@ 000 @-@ odd . " ',
    " ",
    " = Bob = ",
    " ",
    " Bob ( a cat ) . ",
]
QUIET = lambda _label, _total: lambda _done: None  # noqa: E731


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    return make_tokenizer("bpe:300", lambda: iter(["the cat sat on the mat and the cat was him " * 20]))


@pytest.fixture(scope="module")
def model(tokenizer: Tokenizer) -> LanguageModel:
    torch.manual_seed(0)
    size = tokenizer.vocab_size
    built = build(GPTConfig(vocab_size=size, context_length=CONTEXT, num_layers=1, num_heads=2, hidden_size=16))
    with torch.no_grad():
        for parameter in built.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return built.eval()


@torch.no_grad()
def logprobs(model: LanguageModel, seen: Sequence[int]) -> torch.Tensor:
    """The reference: of one place, by one pass."""
    batch = Batch.for_inputs(torch.tensor([list(seen)]))
    return model.logits(model.hidden_states(model.embed(batch), batch)[:, -1]).log_softmax(-1)[0]


def slow_nats(model: LanguageModel, ids: Sequence[int], first: int, begin: Callable[[int], int]) -> list[float]:
    """Of each token from the first on, given what its window holds: ``begin`` says where that begins."""
    return [-float(logprobs(model, ids[begin(place) : place])[ids[place]]) for place in range(first, len(ids))]


def by_name(figures: Sequence[SuiteFigure]) -> dict[tuple[str, str], SuiteFigure]:
    return {(figure.row, figure.protocol): figure for figure in figures}


def test_every_suite_is_where_the_table_says() -> None:
    assert all(callable(find_suite(name)) for name in SUITES)
    with pytest.raises(InputError, match="unknown suite 'gpt-2'.*did you mean 'gpt2'"):
        find_suite("gpt-2")


def test_wikitext_as_plain_text_is_turned_back_exactly() -> None:
    assert detokenise(WIKI[3]) == 'Ann sat, and said: "It\'s 1,000-odd."'
    assert detokenise(WIKI[7]) == "Bob (a cat)."
    assert detokenise(" = = A = = ") == "== A =="
    assert [tokenise(detokenise(line)) for line in WIKI] == WIKI
    assert (
        detokenise(" In the U.S. Army , he left the U.S . ") == "In the U.S. Army, he left the U.S ."
    )  # one may go back
    assert detokenise(" the 1,000th one ") == " the 1,000th one "  # is no line of WikiText


@given(st.lists(st.sampled_from([*"ab1(),.:;!?\"'$%=", "@-@", "@,@", "'s", "U.S.", "Mr.", "<unk>", "..."]), min_size=1))
def test_no_line_is_changed_that_cannot_be_turned_back(words: list[str]) -> None:
    line = f" {' '.join(words)} "
    assert detokenise(line) == line or tokenise(detokenise(line)) == line


def test_nearly_all_lines_of_wikitext_2_can_be_turned_back(data_folder: Callable[[str], Path]) -> None:
    with gzip.open(data_folder("wikitext-2") / "test.txt.gz", "rt", encoding="utf-8") as file:
        lines = [line.removesuffix("\n") for line in file][:900]
    plain = [detokenise(line) for line in lines]
    assert [tokenise(text) for text in plain] == lines
    assert sum(len(text.split()) for text in plain) < 0.87 * sum(len(line.split()) for line in lines)


def test_lm_evals_rules_are_in_lm_evals_order() -> None:
    # Two apostrophes are a pair of quotation marks to it, whatever they stand for.
    page = " = A = \n \n the dogs ' ( N ) 5 @.@ 5 \N{DEGREE SIGN} C , \" so \" ; it 's = = B = = \n"
    assert clean_as_lm_eval(page) == " = A =\n\nthe dogs'(N) 5.5\N{DEGREE SIGN}C, \"so\"; it's == B ==\n"


def test_wikitext_by_each_protocol(model: LanguageModel, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "wiki.test.tokens").write_text("".join(f"{line}\n" for line in WIKI))
    text = read_wikitext(tmp_path / "wiki.test.tokens")
    assert text.articles == [0, 5]
    window, stride = 16, 8
    suite = Gpt2Suite(SuiteFiles(wikitext=tmp_path / "wiki.test.tokens"))
    report = suite.measure(model, tokenizer, window=window, stride=stride)
    found = by_name(report.figures)
    # GPT-2's: one stream of plain text, for each word and line end.
    ids = [tokenizer.end_id, *tokenizer.encode("".join(f"{detokenise(line)}\n" for line in WIKI))]
    ends = [min(len(ids), 1 + window + number * stride) for number in range(len(ids))]
    losses = slow_nats(model, ids, 1, lambda place: max(0, next(end for end in ends if end > place) - 1 - window))
    words = sum(len(line.split()) for line in WIKI) + len(WIKI)
    value = found["wikitext_perplexity", "gpt2"]
    assert value.value == pytest.approx(math.exp(sum(losses) / words), rel=1e-4)
    assert (value.n, value.unit) == (2, "articles")
    # lm-eval's: article by article, in windows of the whole context.
    pages = ["\n".join(WIKI[1:5]), "\n".join([*WIKI[5:], ""])]
    assert text.pages() == pages
    total = 0.0
    for page in pages:
        ids = [tokenizer.end_id, *tokenizer.encode(clean_as_lm_eval(page))]
        ends = [min(len(ids), 1 + CONTEXT * (number + 1)) for number in range(len(ids))]
        total += sum(
            slow_nats(model, ids, 1, lambda at, e=ends: max(0, next(end for end in e if end > at) - 1 - CONTEXT))
        )
    num_words = sum(len(re.split(r"\s+", page)) for page in pages)
    num_bytes = sum(len(page.encode()) for page in pages)
    assert found["wikitext_perplexity", "lm_eval"].value == pytest.approx(math.exp(total / num_words), rel=1e-4)
    assert found["wikitext_bits_per_byte", "lm_eval"].value == pytest.approx(total / math.log(2) / num_bytes, rel=1e-4)
    # Hugging Face's: as it stands, for each token.
    ids = tokenizer.encode("\n\n".join(f"{line}\n" if line.strip() else "" for line in WIKI))
    stops = [min(len(ids), number * stride + window) for number in range(len(ids))]
    losses = slow_nats(model, ids, 1, lambda at: next(number * stride for number, end in enumerate(stops) if end > at))
    value = found["wikitext_perplexity", "hugging_face"]
    assert value.value == pytest.approx(math.exp(sum(losses) / len(losses)), rel=1e-4)
    assert report.left_out == ("lambada", "bytes", "cloze")


def test_each_token_but_the_first_is_scored_once_in_strided_windows() -> None:
    for length in range(2, 30):
        windows = list(strided_windows(list(range(length)), 8, 3))
        assert [token for window in windows for token in window.ids[window.num_given :]] == list(range(1, length))


def test_last_words_by_each_protocol(model: LanguageModel, tokenizer: Tokenizer) -> None:
    passages = [
        "the cat sat on the mat",
        "a \N{LEFT DOUBLE QUOTATION MARK}dog\N{RIGHT DOUBLE QUOTATION MARK} was him",
        "xy zw",
    ]
    found = by_name(lambada_figures(model, tokenizer, passages, lambda _done: None))
    last, word, whole = [], [], []
    left_out = list(stop_tokens(tokenizer))
    assert {tokenizer.token_bytes[index] for index in left_out} >= {b" the", b" him"}
    for passage in passages:
        straight = "\n" + passage.replace("\N{LEFT DOUBLE QUOTATION MARK}", '"').replace(
            "\N{RIGHT DOUBLE QUOTATION MARK}", '"'
        )
        ids = tokenizer.encode(straight)[-(CONTEXT + 1) :]
        last.append((logprobs(model, ids[:-1]), ids[-1]))
        before, _, _end = passage.rpartition(" ")
        ids, given = tokenizer.encode(passage), len(tokenizer.encode(before))
        places = [(logprobs(model, ids[:place]), ids[place]) for place in range(given, len(ids))]
        word.append(-sum(float(one[token]) for one, token in places))
        whole.append(all(int(one.argmax()) == token for one, token in places))
    filtered = []
    for one, token in last:
        masked = one.clone()
        masked[left_out] = -torch.inf
        filtered.append(int(masked.argmax()) == token)
    nats = [-float(one[token]) for one, token in last]
    assert found["lambada_perplexity", "gpt2"].value == pytest.approx(math.exp(np.mean(nats)), rel=1e-4)
    assert found["lambada_perplexity", "lm_eval"].value == pytest.approx(math.exp(np.mean(word)), rel=1e-4)
    assert found["lambada_accuracy", "lm_eval"].value == pytest.approx(np.mean(whole))
    assert found["lambada_accuracy", "gpt2"].value == pytest.approx(np.mean(filtered))
    assert {figure.n for figure in found.values()} == {3}


def test_the_filter_lets_the_likeliest_word_through_that_is_no_stop_word(tokenizer: Tokenizer) -> None:
    the, cat = tokenizer.encode(" the"), tokenizer.encode(" cat")
    assert len(the) == len(cat) == 1
    from textwright.evaluation.suite.last_words import _word_score

    logits = torch.zeros((1, tokenizer.vocab_size))
    logits[0, the[0]], logits[0, cat[0]] = 3.0, 2.0
    found: WordScore = _word_score(logits, torch.tensor(cat), stop_tokens(tokenizer))
    assert (list(found.is_likeliest), list(found.is_likeliest_filtered)) == ([False], [True])


def test_long_passages_keep_their_end(model: LanguageModel, tokenizer: Tokenizer) -> None:
    text = as_gpt2(tokenizer, "xyz " * 40 + "the cat", CONTEXT)
    assert len(text.ids) == CONTEXT + 1
    (found,) = word_scores(model, [text], (), lambda _done: None)
    assert found.nats[-1] == pytest.approx(-float(logprobs(model, text.ids[:-1])[text.ids[-1]]), rel=1e-4)
    with pytest.raises(InputError, match="the last word 'zzzz"):
        as_gpt2(tokenizer, "a " + "z" * 99, CONTEXT)


def test_bits_per_byte_with_windows_that_overlap_and_in_turn(
    model: LanguageModel, tokenizer: Tokenizer, tmp_path: Path
) -> None:
    raw = "<page>caf\N{LATIN SMALL LETTER E WITH ACUTE} the cat</page>\n" * 10
    (tmp_path / "enwik").write_text(raw, encoding="utf-8")
    suite = Gpt2Suite(SuiteFiles(bytes=tmp_path / "enwik"))
    report = suite.measure(model, tokenizer, window=CONTEXT, stride=1)
    found = by_name(report.figures)
    ids = [tokenizer.end_id, *tokenizer.encode(raw)]
    losses = slow_nats(model, ids, 1, lambda place: max(0, place - CONTEXT))
    assert found["bits_per_byte", "gpt2"].value == pytest.approx(
        sum(losses) / math.log(2) / len(raw.encode()), rel=1e-4
    )
    assert (found["bits_per_byte", "gpt2"].low, found["bits_per_byte", "gpt2"].n) == (
        None,
        1,
    )  # one block of 1,024 bytes
    ends = [min(len(ids), 1 + CONTEXT * (number + 1)) for number in range(len(ids))]
    losses = slow_nats(model, ids, 1, lambda at: max(0, next(end for end in ends if end > at) - 1 - CONTEXT))
    value = found["bits_per_byte", "lm_eval"].value
    assert value == pytest.approx(sum(losses) / math.log(2) / len(raw.encode()), rel=1e-4)


CLOZES = [
    {"text": "the cat sat on _ mat", "options": ["the", "him"], "answer": "the", "document": "a"},
    {"context": ["a cat", "was"], "question": "the XXXXX.", "choices": ["cat", "mat", "him"], "answer": 2},
    {"text": "and so on _", "options": ["the", "x"], "answer": "1", "document": "a"},
]


def test_options_are_scored_whole_and_in_part(model: LanguageModel, tokenizer: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "cloze.jsonl").write_text("".join(json.dumps(row) + "\n" for row in CLOZES))
    examples = read_cloze(tmp_path / "cloze.jsonl")
    assert examples[1].before == "a cat was the "
    assert [(one.options[one.answer], one.document) for one in examples] == [("the", "a"), ("mat", ""), ("the", "a")]

    def is_right(one: Cloze, *, is_full: bool) -> bool:
        losses = []
        for option in one.options:
            ids = [tokenizer.end_id, *tokenizer.encode(one.before + option + one.after)]
            first = 1 if is_full else 1 + len(tokenizer.encode(one.before + option))
            losses.append(sum(slow_nats(model, ids, first, lambda _place: 0)))
        return int(np.argmin(losses)) == one.answer

    found = by_name(cloze_figures(model, tokenizer, examples, QUIET))
    assert found["cloze_accuracy", "full"].value == pytest.approx(
        np.mean([is_right(one, is_full=True) for one in examples])
    )
    partial = [is_right(one, is_full=False) for one in examples[:2]]  # nothing follows the last one's blank
    assert found["cloze_accuracy", "partial"].value == pytest.approx(np.mean(partial))
    assert (found["cloze_accuracy", "full"].n, found["cloze_accuracy", "full"].unit) == (2, "documents")
    assert "by chance 44.4%" in found["cloze_accuracy", "full"].differs


def test_texts_that_partial_scoring_leaves_out_are_told() -> None:
    ending, other = (Cloze("a ", after, ("b", "c"), 0, "", "here") for after in (" ", " d"))
    assert cloze_notes([other]) == []
    assert cloze_notes([ending, other]) == [
        "cloze: nothing follows the blank in 1 of 2 texts: partial scoring leaves these out"
    ]
    assert cloze_notes([ending]) == ["cloze: nothing follows the blank in 1 of 1 text: partial scoring is left out"]


def test_a_table_of_clozes_reads_as_json_does(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("sentence\toption1\toption2\tanswer\nthe _ sat\tcat\tmat\t2\n")
    (tmp_path / "b.tsv").write_text("text\toptions\tanswer\nthe _ sat\tcat|mat\tmat\n")
    first, second = (read_cloze(tmp_path / name)[0] for name in ("a.tsv", "b.tsv"))
    assert (first.options, first.answer) == (second.options, second.answer) == (("cat", "mat"), 1)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"text": "no gap", "options": ["a", "b"], "answer": "a"}, "no blank in 'no gap'.*expected one, written _"),
        ({"text": "_ and _", "options": ["a", "b"], "answer": "a"}, "2 blanks"),
        ({"text": "a _", "options": ["a", "b", "a"], "answer": "a"}, "the option 'a' comes twice; .*different ones"),
        ({"text": "a _", "options": ["a"], "answer": "a"}, "one option alone: 'a'; .*expected two options or more"),
        ({"text": "a _", "options": ["a", " "], "answer": "a"}, "option 2 of 2 is empty; .*none of them empty"),
        ({"text": "a _", "options": "a|", "answer": "a"}, "option 2 of 2 is empty"),
        ({"text": "a _", "answer": "a"}, 'no field \'options\' among text, answer; .*expected {"text": "a _ here"'),
        ({"text": "a _", "optoins": ["a", "b"], "answer": "a"}, "no field 'options' among .*did you mean 'optoins'"),
        ({"text": "a _", "options": ["a", "b"]}, "no field 'answer' among text, options"),
        ({"text": "a _", "options": ["cat", "dog"], "answer": "cats"}, "did you mean 'cat'"),
        ({"texts": "a _"}, "no field 'text'"),
    ],
)
def test_a_cloze_that_cannot_be_read_is_named(row: dict[str, object], message: str, tmp_path: Path) -> None:
    (tmp_path / "cloze.jsonl").write_text(json.dumps(row))
    with pytest.raises(InputError, match=message) as error:
        read_cloze(tmp_path / "cloze.jsonl")
    assert "cloze.jsonl:1" in str(error.value)


def test_long_clozes_keep_their_end_and_one_too_long_is_refused(tokenizer: Tokenizer) -> None:
    long = Cloze("xyz " * 30, " sat", ("the", "him"), 0, "", "here")
    assert {len(text.ids) for text in option_texts(tokenizer, long, True, CONTEXT)} == {CONTEXT + 1}
    with pytest.raises(InputError, match="tokens to score; in here"):
        option_texts(tokenizer, Cloze("a ", " x" * 40, ("the", "him"), 0, "", "here"), True, CONTEXT)


def test_a_file_before_its_first_title_is_an_article_of_its_own() -> None:
    assert WikiText.of_lines([" a . ", " = B = ", " b . "]).articles == [0, 1]
    assert WikiText.of_lines([" a . "]).articles == [0]
