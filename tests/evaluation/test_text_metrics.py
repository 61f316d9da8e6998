"""What is counted in texts themselves: each fast way against a slow one, and small cases by hand."""

import math
import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU

from textwright.checkpoint.model_folder import save_model
from textwright.core.errors import InputError
from textwright.evaluation.language_modelling import score_text
from textwright.evaluation.metrics.base import Judged, Metric
from textwright.evaluation.metrics.catalog import find_metric
from textwright.evaluation.metrics.coherence import Coherence
from textwright.evaluation.metrics.copy_rate import CopyRate
from textwright.evaluation.metrics.edit_distance import edit_distance
from textwright.evaluation.metrics.fluency import Fluency
from textwright.evaluation.metrics.readability import num_syllables
from textwright.evaluation.metrics.self_bleu import SelfBleu
from textwright.evaluation.ngram_index import NgramIndex, longest_span
from textwright.evaluation.words import sentences_of, words_of, writing_of
from textwright.generation.scoring import ScoredText, score
from textwright.models.catalog import build
from textwright.models.presets import preset
from textwright.tokens import make_tokenizer


def figures_of(metric: Metric, examples: Sequence[Judged]) -> dict[str, float]:
    values = metric.values(metric.measure(examples).sum(axis=0))
    return {figure.name: float(value) for figure, value in zip(metric.figures, values, strict=True)}


def texts(*said: str) -> list[Judged]:
    return [Judged(text) for text in said]


def slow_edit_distance(one: str, other: str) -> int:
    row = list(range(len(other) + 1))
    for number, character in enumerate(one, start=1):
        before, row = row, [number]
        for place, wanted in enumerate(other):
            row.append(min(before[place] + (character != wanted), before[place + 1] + 1, row[place] + 1))
    return row[-1]


@given(st.text("abc猫", max_size=90), st.text("abc猫", max_size=90))
def test_edit_distance_is_that_of_the_table(one: str, other: str) -> None:
    assert edit_distance(one, other) == slow_edit_distance(one, other)


def test_edit_distance_is_to_the_nearest_reference_by_the_longer_text() -> None:
    examples = [Judged("kitten", ("a wholly other text", "sitting")), Judged("", ("",)), Judged("abc", ("",))]
    assert figures_of(find_metric("edit_distance"), examples)["edit_distance"] == pytest.approx((3 + 0 + 3) / (7 + 3))


def test_words_are_letters_and_digits_and_characters_where_no_spaces_are() -> None:
    assert words_of("Don't  stop: 3.5 Cafés_bar!") == ["don", "t", "stop", "3", "5", "cafés", "bar"]
    assert words_of("Cafe\u0301 हिन्दी") == ["cafe\u0301", "हिन्दी"]
    assert words_of("我用GPT-2模型。") == ["我", "用", "gpt", "2", "模", "型"]
    assert words_of("猫がカフェで、고양이") == list("猫がカフェで고양이")


@pytest.mark.parametrize(
    ("text", "writing"),
    [
        ("", "words"),
        ("1,234", "words"),
        ("Der Käfer läuft über Öl", "words"),
        ("the word 猫 is cat in Chinese", "words"),
        ("我用GPT-2模型", "chinese"),
        ("请打开Microsoft Word", "chinese"),
        ("猫が好きです", "characters"),
        ("고양이", "characters"),
        ("ภาษาไทย", "characters"),
    ],
)
def test_what_a_text_is_written_in(text: str, writing: str) -> None:
    assert writing_of([text]) == writing


def test_sentences_keep_every_character() -> None:
    assert sentences_of('He said "Stop!" and 3.5 m. Then?  "Yes." No') == [
        'He said "Stop!"',
        "and 3.5 m.",
        "Then?",
        '"Yes."',
        "No",
    ]
    assert sentences_of("你好。“走吧！”他说") == ["你好。", "“走吧！”", "他说"]
    assert sentences_of(" \n ") == []
    assert sentences_of("well... no. " + "." * 200_000 + "x y") == ["well...", "no.", "." * 200_000 + "x y"]


def test_distinct_n_is_over_all_texts_together() -> None:
    found = figures_of(find_metric("distinct_n"), texts("a b a b", "A b c", "", "好 好"))
    assert found == pytest.approx({"distinct_1": 4 / 9, "distinct_2": 4 / 6, "distinct_3": 3 / 3})


def test_repetition_is_the_share_of_4_grams_that_come_again() -> None:
    found = figures_of(find_metric("repetition"), texts("a b c d a b c d", "a b c d e", "too short", ""))
    assert found["repetition"] == pytest.approx((1 / 5 + 0) / 2)


def test_self_bleu_is_sacrebleus_of_each_with_the_others() -> None:
    rng = random.Random(0)
    said = [" ".join(rng.choices(["a", "b", "c", "d", "e", "f"], k=rng.randint(4, 12))) for _ in range(25)]
    said[3] = said[4]
    theirs = BLEU(tokenize="none", force=True)
    wanted = [
        theirs.sentence_score(text, [other for number, other in enumerate(said) if number != place]).score
        for place, text in enumerate(said)
    ]
    found = figures_of(find_metric("self_bleu"), texts(*said, "too short"))
    assert found["self_bleu"] == pytest.approx(np.mean(wanted), rel=1e-12)


def test_self_bleu_draws_its_sample_by_its_seed() -> None:
    rng = random.Random(1)
    said = texts(*(" ".join(rng.choices(["a", "b", "c", "d"], k=8)) for _ in range(40)))
    found = [figures_of(SelfBleu(sample_size=10, seed=seed), said)["self_bleu"] for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]
    assert SelfBleu(sample_size=10).measure(said)[:, 1].sum() == 10


def slow_copies(document: Sequence[object], training: Sequence[Sequence[object]], n: int) -> list[bool]:
    known = {tuple(one[start : start + n]) for one in training for start in range(len(one) - n + 1)}
    return [tuple(document[start : start + n]) in known for start in range(len(document) - n + 1)]


@given(
    st.lists(st.lists(st.integers(0, 3), max_size=30), max_size=4),
    st.lists(st.integers(0, 3), max_size=40),
    st.integers(1, 5),
)
def test_an_index_knows_the_runs_of_its_documents(training: list[list[int]], document: list[int], n: int) -> None:
    index = NgramIndex(training, n=n)
    assert index.occurs(document).tolist() == slow_copies(document, training, n)
    begin, length = longest_span(index.occurs(document), n)
    assert length == 0 or all(slow_copies(document[begin : begin + length], training, n))


def test_copies_are_found_in_words_and_in_token_ids() -> None:
    training = "It was the best of times, it was the worst of times."
    index = NgramIndex([training, "nothing else"], n=4)
    said = texts("They said it was the best of times and left", "it was")
    assert longest_span(index.occurs(said[0].prediction), 4) == (2, 6)
    found = figures_of(CopyRate(index), said)
    assert found == pytest.approx({"copy_rate": 3 / 7, "copied_span": (6 + 0) / 2})
    ids = CopyRate(NgramIndex([[1, 2, 3, 4, 5]], n=2))
    assert figures_of(ids, [Judged("", details={"token_ids": [9, 3, 4, 5]})])["copied_span"] == 3
    with pytest.raises(InputError, match="no list of 'token_ids'; in example 1"):
        ids.measure(texts("a text"))
    with pytest.raises(InputError, match="texts and token ids in one index"):
        NgramIndex(["a text", [1, 2]])


@pytest.mark.parametrize(
    ("word", "syllables"),
    [
        *(("cat", 1), ("the", 1), ("table", 2), ("whale", 1), ("jumped", 1), ("wanted", 2), ("makes", 1)),
        *(("boxes", 2), ("churches", 2), ("readability", 5), ("rhythm", 1), ("café", 2), ("1984", 1), ("b", 1)),
    ],
)
def test_syllables(word: str, syllables: int) -> None:
    assert num_syllables(word) == syllables


def test_readability_is_by_the_formulas_and_in_characters_for_chinese() -> None:
    found = figures_of(find_metric("readability"), texts("The cat sat. The table wanted boxes!", "你好。你去北京吗？"))
    words, sentences, syllables = 7, 2, 10
    assert found == pytest.approx(
        {
            "flesch_reading_ease": 206.835 - 1.015 * words / sentences - 84.6 * syllables / words,
            "flesch_kincaid_grade": 0.39 * words / sentences + 11.8 * syllables / words - 15.59,
            "characters_per_sentence": 7 / 2,
        }
    )
    assert math.isnan(figures_of(find_metric("readability"), texts("你好。"))["flesch_reading_ease"])


def test_length_is_in_words_and_by_the_nearest_reference() -> None:
    examples = [Judged("a b c d", ("a b", "a b c", "a b c d e")), Judged("我喜欢猫", ("我喜欢小猫",))]
    assert figures_of(find_metric("length"), examples) == pytest.approx({"length": 4, "length_ratio": 8 / 8})


def test_perplexity_is_by_tokens_words_bytes_and_characters() -> None:
    examples = [Judged("two words", details={"logprob": -3.0, "num_tokens": 3})]
    examples.append(Judged("猫", details={"logprob": -4.0, "num_tokens": 2}))
    assert figures_of(find_metric("perplexity"), examples) == pytest.approx(
        {
            "perplexity_per_token": math.exp(7 / 5),
            "perplexity_per_word": math.exp(7 / 3),
            "bits_per_byte": 7 / 12 / math.log(2),
            "bits_per_character": 7 / 10 / math.log(2),
        }
    )


def in_the_alphabet(said: Sequence[str]) -> list[list[float]]:
    """A model to which words are likely that follow each other in the alphabet."""
    return [
        [-1.0 if before <= word else -5.0 for before, word in zip(["", *text.split()], text.split(), strict=False)]
        for text in said
    ]


def test_fluency_is_the_reference_models_perplexity() -> None:
    found = figures_of(Fluency(in_the_alphabet), texts("a b c", "c a", ""))
    assert found["fluency_perplexity"] == pytest.approx(math.exp((3 + 6) / 5))
    assert found["fluency_bits_per_character"] == pytest.approx((3 + 6) / 8 / math.log(2))


def test_coherence_is_how_often_the_own_order_is_likelier() -> None:
    in_order, reversed_order = "a b. c d. e f. g h. i j.", "i j. g h. e f. c d. a b."
    assert figures_of(Coherence(in_the_alphabet), texts(in_order))["coherence"] == 1
    assert figures_of(Coherence(in_the_alphabet), texts(reversed_order))["coherence"] < 0.5
    assert math.isnan(figures_of(Coherence(in_the_alphabet), texts("one sentence.", "no. no."))["coherence"])


def test_coherence_depends_on_its_seed_and_not_on_company() -> None:
    said = texts("c a. b d. a c. d b. e a.", "a b. c d.")
    first = Coherence(in_the_alphabet).measure(said)
    np.testing.assert_array_equal(Coherence(in_the_alphabet).measure(said[::-1])[::-1], first)
    assert any((Coherence(in_the_alphabet, seed=seed).measure(said) != first).any() for seed in range(1, 9))


def test_a_model_scores_texts_for_fluency_as_it_reads_them() -> None:
    tokenizer = make_tokenizer("byte", lambda: iter(()))
    network = build(preset("nano", vocab_size=tokenizer.vocab_size, context_length=64), seed=3)

    def scorer(said: Sequence[str]) -> list[list[float]]:
        given = [ScoredText([tokenizer.end_id, *tokenizer.encode(text)]) for text in said]
        return [one.logprobs.tolist() for one in score(network, given)]

    said = ["The cat sat.", "", "猫 sat down by the stove."]
    losses = []
    for text in filter(None, said):
        ids = torch.tensor([[tokenizer.end_id, *tokenizer.encode(text)]])
        with torch.no_grad():
            hidden = network.extend(ids[:, :-1], [ids.shape[1] - 1], network.empty_cache(1), [0])
            logits = network.logits(hidden[0]).float()
        losses.append(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="none"))
    found = figures_of(Fluency(scorer), texts(*said))
    assert found["fluency_perplexity"] == pytest.approx(float(torch.cat(losses).mean().exp()), rel=1e-5)


def test_a_folders_model_scores_texts_of_any_length(tmp_path: Path) -> None:
    tokenizer = make_tokenizer("byte", lambda: iter(()))
    network = build(preset("nano", vocab_size=tokenizer.vocab_size), seed=3)
    save_model(network, tokenizer, tmp_path / "model")
    said = texts("The cat sat.", "", "One sentence. " * 20)
    found = figures_of(find_metric(f"fluency={tmp_path / 'model'}"), said)
    whole = score_text(network, tokenizer, [one.prediction for one in said if one.prediction])
    assert found["fluency_perplexity"] == pytest.approx(whole.perplexity_per_token, rel=1e-4)
    assert found["fluency_bits_per_character"] == pytest.approx(whole.bits_per_character, rel=1e-4)
    two = texts("One is here. Two is there. Three is far.")
    assert 0 <= figures_of(find_metric(f"coherence={tmp_path / 'model'}"), two)["coherence"] <= 1
    with pytest.raises(InputError):
        find_metric(f"fluency={tmp_path}")
