"""Requests that come and go: each gets the text that it gets alone, and costs what is its own."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import pytest
import torch
from torch import Tensor

from tests.generation.conftest import CONTEXT, make_model
from tests.plugins.gru import GRU, GRUCache, GRUConfig
from tests.plugins.ngram import Bigram, BigramConfig
from textwright.core.errors import InputError
from textwright.data.batch import Batch
from textwright.engines.cpu.decoder import CPUDecoder
from textwright.generation.generate import generate
from textwright.generation.request import Completion, Request, SamplingConfig
from textwright.generation.scheduler import Event, Scheduler
from textwright.models.catalog import FAMILIES, build, read_model_config
from textwright.models.language_model import LanguageModel
from textwright.models.protocols import Cache, Conditioning, Decoder, PackedDecoder
from textwright.tokens import Tokenizer

T = TypeVar("T")
SETTINGS: list[dict[str, Any]] = [
    {"temperature": 0},
    {"temperature": 1, "top_k": 20},
    {"temperature": 0.7, "top_p": 0.9, "repetition_penalty": 1.3},
    {"temperature": 1.5, "min_p": 0.02, "frequency_penalty": 0.5},
    {"temperature": 1, "regex": "[a-z]{3,9}( [a-z]{2,5})?"},
    {"temperature": 1, "choices": ("yes", "no, never", "perhaps")},
    {"temperature": 1, "stop": ("a", "e", "\x00")},
    {"temperature": 1, "typical_p": 0.8, "no_repeat_ngram_size": 2, "min_new_tokens": 6},
]
DECODERS = ("gpt2 cpu", "gpt2 torch", "qwen3 cpu", "qwen3 torch", "gru", "seq2seq", "bigram")


@pytest.fixture(autouse=True)
def toys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, module in {"toy-gru": "gru", "toy-seq2seq": "seq2seq", "toy-bigram": "ngram"}.items():
        monkeypatch.setitem(FAMILIES.rows, name, f"tests.plugins.{module}:FAMILY")


def make_decoder(name: str, tokenizer: Tokenizer) -> Decoder:
    if name == "bigram":
        bigram = Bigram(BigramConfig(vocab_size=257, context_length=64))
        bigram.count([tokenizer.encode("the cat and the hat sat on a mat, and that was that. " * 3)])
        return bigram
    if name in ("gru", "seq2seq"):
        values = {"family": f"toy-{name}", "vocab_size": 257, "context_length": 64, "hidden_size": 24}
        network = build(read_model_config(values, "here"), seed=4)
        assert isinstance(network, LanguageModel)
        return network.eval()
    family, engine = name.split()
    model = make_model(family, context_length=64)
    return CPUDecoder(model) if engine == "cpu" else model


def requests(decoder: Decoder, count: int = 32) -> list[Request]:
    """Of different settings and lengths; some begin alike, some are searches, some outgrow the context."""
    found = []
    for number in range(count):
        searches = (number % 8 in (3, 7) and decoder.can_crop) or number % 8 == 3
        values = SETTINGS[number % len(SETTINGS)] | {"max_new_tokens": 6 + 7 * number % 31, "seed": number}
        if searches:
            values = {"num_beams": 3, "max_new_tokens": 4 + number % 5} if number % 8 == 3 else {"penalty_alpha": 0.5}
            values |= {"max_new_tokens": 4 + number % 5}
        prompt = ["", "ab", "the cat and the hat " * (1 + number % 3), "the cat and the hat sat", "z" * (number * 2)][
            number % 5
        ][: 50 if searches else None]
        source = f"source {number % 3}" if decoder.conditioning == "source_ids" else None
        found.append(Request(prompt, SamplingConfig.model_validate(values), source))
    return found


def finished(events: Sequence[Event], found: dict[int, Completion]) -> None:
    found |= {event.request_id: event.completion for event in events if event.completion is not None}


@pytest.mark.parametrize("name", DECODERS)
def test_thirty_two_requests_that_come_and_go_have_the_texts_they_have_alone(name: str, tokenizer: Tokenizer) -> None:
    decoder = make_decoder(name, tokenizer)
    asked = requests(decoder)
    alone = [generate(decoder, tokenizer, [request], SamplingConfig())[0] for request in asked]
    scheduler, found, cancelled = (
        Scheduler(decoder, tokenizer, num_slots=9, max_prefill_tokens=7),
        dict[int, Completion](),
        set(),
    )
    for number, request in enumerate(asked):
        assert scheduler.add(request) == number
        if number % 7 == 6:
            scheduler.cancel(number - 3)
            cancelled.add(number - 3)
        for _ in range(number % 3):
            finished(scheduler.step(), found)
    while scheduler.has_work:
        finished(scheduler.step(), found)
    assert len(found) == len(asked)
    for number, expected in enumerate(alone):
        if number in cancelled and found[number].finish_reason == "abort":
            assert found[number].stop_reason == "cancelled"
            assert expected.text.startswith(found[number].text)
        else:
            assert found[number] == expected, number
    assert any(completion.finish_reason == "abort" for completion in found.values())


class Counting:
    """A decoder that counts the tokens that it reads, and how often it is asked."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder, self.num_read, self.num_runs = decoder, 0, 0

    def __getattr__(self, name: str) -> Any:
        if name == "extend_packed":
            raise AttributeError(name)
        return getattr(self._decoder, name)

    def run(self, work: Callable[[], T]) -> T:
        """As the decoder does it."""
        self.num_runs += 1
        return self._decoder.run(work)

    def extend(self, ids: Tensor, lengths: Sequence[int], cache: Cache, slots: Sequence[int]) -> Tensor:
        """As the decoder does it."""
        self.num_read += sum(lengths)
        return self._decoder.extend(ids, lengths, cache, slots)


class CountingPacked(Counting):
    """One of texts that stand one after the other."""

    def extend_packed(self, ids: Any, lengths: Sequence[int], *others: Any) -> Tensor:
        """As the decoder does it."""
        self.num_read += sum(lengths)
        return self._decoder.extend_packed(ids, lengths, *others)  # type: ignore[attr-defined]


def counting(decoder: Decoder) -> Counting:
    """A decoder that is counted, of its own kind."""
    return (CountingPacked if isinstance(decoder, PackedDecoder) else Counting)(decoder)


@pytest.mark.parametrize("name", DECODERS)
def test_a_prompt_is_read_once_for_all_its_samples(name: str, tokenizer: Tokenizer) -> None:
    decoder = counting(make_decoder(name, tokenizer))
    source = "what it is about" if decoder.conditioning else None
    request = Request("the cat and the hat sat on", SamplingConfig(n=5, max_new_tokens=1, temperature=1), source)
    found = generate(decoder, tokenizer, [request], SamplingConfig())
    assert decoder.num_read == len("the cat and the hat sat on")
    assert len({completion.token_ids for completion in found}) > 1


@pytest.mark.parametrize("slots", [1, 4])
def test_prompts_that_begin_alike_are_read_once(gpt2: LanguageModel, tokenizer: Tokenizer, slots: int) -> None:
    """Side by side, and one after the other in the same slot."""
    decoder, start = counting(gpt2), "it was the best of "
    scheduler = Scheduler(decoder, tokenizer, num_slots=slots)
    sampling = SamplingConfig(max_new_tokens=1, temperature=0)
    for end in ("times", "all", "men", "days"):
        scheduler.add(Request(start + end, sampling))
    found = dict[int, Completion]()
    while scheduler.has_work:
        finished(scheduler.step(), found)
    assert decoder.num_read == len(start + "times" + "all" + "men" + "days")
    assert found[2] == generate(gpt2, tokenizer, [start + "men"], sampling)[0]


def test_what_only_some_prompts_share_is_read_once_too(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    """One waits for another that waits itself, when that has more of its beginning than those who read."""
    decoder, start, then = counting(gpt2), "it was a ", "bad day, "
    prompts = [start + "cat", start + then + "x", start + then + "y", start + then + "you"]
    found = generate(cast(Decoder, decoder), tokenizer, prompts, SamplingConfig(max_new_tokens=1, temperature=0))
    assert decoder.num_read == len(start + "cat" + then + "x" + "y" + "ou")
    alone = [generate(gpt2, tokenizer, [prompt], SamplingConfig(max_new_tokens=1, temperature=0)) for prompt in prompts]
    assert found == [one for (one,) in alone]


def test_texts_do_not_wait_for_each_other(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    """Whose window moves begins like one that waits for it; the prompt between the two is long."""
    sampling = SamplingConfig(max_new_tokens=40, temperature=0, logit_bias={ord("a"): 100})
    scheduler = Scheduler(gpt2, tokenizer, num_slots=4, max_prefill_tokens=7)
    scheduler.add(Request("runs", sampling))
    scheduler.step()  # else all prompts would be read in one step
    for prompt in ("a" * (CONTEXT - 1), "b" * (CONTEXT - 1), "a" * 12 + "cccc"):
        scheduler.add(Request(prompt, sampling))
    found = dict[int, Completion]()
    for _ in range(500):
        finished(scheduler.step(), found)
    assert [found[number].text for number in range(4)] == ["a" * 40] * 4


def test_long_prompts_are_read_in_parts_beside_those_that_run(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    scheduler = Scheduler(gpt2, tokenizer, num_slots=2, max_prefill_tokens=5)
    first = scheduler.add(Request("ab", SamplingConfig(max_new_tokens=20, temperature=0, logit_bias={256: -100})))
    scheduler.step()
    scheduler.add(Request("y" * 20, SamplingConfig(max_new_tokens=2, temperature=0)))
    for _ in range(3):  # while it is read, every step has a token for the other
        assert len(scheduler._running) == 1
        assert [event.request_id for event in scheduler.step() if event.text] in ([first], [])
    scheduler.step()
    assert len(scheduler._running) == 2


def test_steps_go_on_for_as_long_as_asked_and_first_texts_are_told_at_once(
    gpt2: LanguageModel, tokenizer: Tokenizer
) -> None:
    decoder, clock = counting(gpt2), itertools.count()
    scheduler = Scheduler(cast(Decoder, decoder), tokenizer, clock=lambda: next(clock))
    endless = SamplingConfig(max_new_tokens=24, temperature=0, logit_bias={256: -100})
    scheduler.add(Request("ab", endless))
    scheduler.step(min_seconds=1000)  # the prompt, and the first token
    assert decoder.num_read == 2
    found = dict[int, Completion]()
    finished(scheduler.step(min_seconds=20), found)  # two questions of the time a step
    assert 9 <= decoder.num_read - 2 <= 11
    finished(scheduler.step(min_seconds=1000), found)
    assert not scheduler.has_work
    assert decoder.num_runs == 3
    assert found[0] == generate(gpt2, tokenizer, ["ab"], endless)[0]


def test_what_is_late_or_given_up_ends_as_it_is_and_leaves_its_slot(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    now = [0.0]
    scheduler = Scheduler(gpt2, tokenizer, num_slots=1, clock=lambda: now[0])
    endless = SamplingConfig(max_new_tokens=30, temperature=0, logit_bias={256: -100})
    late = scheduler.add(Request("ab", endless, deadline_s=5.0))
    waits = scheduler.add(Request("ab", endless, deadline_s=7.0))
    other = scheduler.add(Request("cd", endless))
    found, expected = dict[int, Completion](), generate(gpt2, tokenizer, ["ab", "cd"], endless)
    for _ in range(8):
        finished(scheduler.step(), found)
        now[0] += 1
    assert (found[late].finish_reason, found[late].stop_reason, found[late].num_tokens) == ("abort", "deadline", 5)
    assert expected[0].text.startswith(found[late].text)
    finished(scheduler.step(), found)
    assert found[waits].stop_reason == "deadline"
    while scheduler.has_work:
        finished(scheduler.step(), found)
    assert found[other] == expected[1]
    scheduler.cancel(other)  # it has ended, and stays as it is
    assert not scheduler.has_work


def test_ids_say_what_their_text_says(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    sampling = SamplingConfig(max_new_tokens=12)
    (text,) = generate(gpt2, tokenizer, ["the cat"], sampling)
    (ids,) = generate(gpt2, tokenizer, [tokenizer.encode("the cat")], sampling)
    assert ids == text


def test_any_of_several_tokens_ends_a_text_but_not_too_soon(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    free = generate(gpt2, tokenizer, ["ab"], SamplingConfig(max_new_tokens=20, temperature=1, seed=3))[0].token_ids
    ends = free[2], free[5]
    (found,) = generate(
        gpt2, tokenizer, ["ab"], SamplingConfig(max_new_tokens=20, temperature=1, seed=3, stop_token_ids=ends)
    )
    assert found.token_ids == free[: 1 + min(free.index(end) for end in ends)]
    assert (found.finish_reason, found.stop_reason) == ("stop", "eos")
    for least in (1, 7, 20):
        sampling = SamplingConfig(
            max_new_tokens=20, min_new_tokens=least, temperature=1, n=20, stop_token_ids=tuple(range(97))
        )
        found_all = generate(gpt2, tokenizer, ["ab"], sampling)
        assert all(one.num_tokens > least or one.num_tokens == 20 for one in found_all)
        assert least == 20 or any(one.num_tokens < 20 for one in found_all)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda add: add(Request(())), "the prompt has no token; expected at least one"),
        (lambda add: add(Request((1, 300))), "the prompt has the id 300; expected 0 to 256"),
        (lambda add: add(Request("a", source="b")), "a source for a model that reads none"),
        (lambda add: add(Request("a", prefix=torch.zeros(2, 8))), "a prefix for a model that reads none"),
        (lambda add: add(Request("a", deadline_s=-1.0)), "a deadline in the past"),
        (
            lambda add: add(Request("a", SamplingConfig(num_beams=5, max_new_tokens=5))),
            "a search that follows 5 texts, with 4 slots",
        ),
        (lambda add: add(Request("a", SamplingConfig(stop_token_ids=(257,)))), "stop_token_ids has 257"),
        (lambda add: add(Request("a", SamplingConfig(grammar="start: x"))), "grammar cannot be used"),
    ],
)
def test_what_cannot_be_asked_is_refused_and_the_others_go_on(
    gpt2: LanguageModel, tokenizer: Tokenizer, ask: Callable[[Callable[[Request], int]], int], message: str
) -> None:
    scheduler = Scheduler(gpt2, tokenizer, num_slots=4)
    number = scheduler.add(Request("abc", SamplingConfig(max_new_tokens=6)))
    scheduler.step()
    with pytest.raises(InputError, match=message):
        ask(scheduler.add)
    with pytest.raises(InputError, match="no request 7"):
        scheduler.cancel(7)
    found = dict[int, Completion]()
    while scheduler.has_work:
        finished(scheduler.step(), found)
    assert found == {number: generate(gpt2, tokenizer, ["abc"], SamplingConfig(max_new_tokens=6))[0]}


def test_a_scheduler_without_a_slot_is_refused(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="a scheduler of 0 slots"):
        Scheduler(gpt2, tokenizer, num_slots=0)


def test_a_model_that_needs_a_source_says_so(tokenizer: Tokenizer) -> None:
    with pytest.raises(InputError, match="no source for a model that needs one"):
        generate(make_decoder("seq2seq", tokenizer), tokenizer, ["a"], SamplingConfig())


def test_a_constraint_that_nothing_can_meet_ends_its_request_alone(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    sampling = SamplingConfig(max_new_tokens=10)
    asked = [Request(f"prompt {number}", sampling) for number in range(15)]
    asked.insert(7, Request("x", sampling.model_copy(update={"choices": ("abc",), "bad_words": ("b",)})))
    found = generate(gpt2, tokenizer, asked, sampling)
    assert (found[7].text, found[7].stop_reason) == ("a", "constraint")
    assert [one for one in found if one is not found[7]] == generate(
        gpt2, tokenizer, [f"prompt {number}" for number in range(15)], sampling
    )


def test_beams_of_a_source_are_the_likeliest_targets(tokenizer: Tokenizer) -> None:
    """The reference: every text of two tokens, each read by itself."""
    decoder = make_decoder("seq2seq", tokenizer)
    sampling = SamplingConfig(num_beams=257, n=3, max_new_tokens=2, length_penalty=0)
    found = generate(decoder, tokenizer, [Request("a", sampling, source="bcd")], sampling)
    scores = dict[tuple[int, ...], float]()
    ids = torch.tensor([tokenizer.encode("bcd")])
    source = Batch.for_inputs(torch.zeros(1, 1, dtype=torch.int64)).with_fields(
        source_ids=ids, source_mask=torch.ones_like(ids)
    )
    with torch.no_grad():
        cache = decoder.empty_cache(1, source)
        first = decoder.logits(decoder.extend(torch.tensor([[97]]), [1], cache, [0])[:, 0]).log_softmax(-1)[0]
        for token in range(257):
            cache = decoder.empty_cache(1, source)
            second = decoder.logits(decoder.extend(torch.tensor([[97, token]]), [2], cache, [0])[:, 1]).log_softmax(-1)[
                0
            ]
            if token == tokenizer.end_id:
                scores[token,] = float(first[token])
            else:
                scores |= {(token, other): float(first[token] + second[other]) for other in range(257)}
    best = sorted(scores, key=scores.__getitem__, reverse=True)[:3]
    assert [one.token_ids for one in found] == best


def test_a_prefix_of_vectors_begins_a_text(tokenizer: Tokenizer) -> None:
    """A model that is told in vectors what to write about: each request its own."""

    class Prefixed(GRU):
        conditioning: Conditioning | None = "prefix"

        @torch.no_grad()
        def empty_cache(self, num_slots: int, source: Batch | None = None) -> GRUCache:
            cache = super().empty_cache(num_slots)
            for place in range(source.prefix.shape[1] if source is not None and source.prefix is not None else 0):
                cache.hidden = self.cell(source.prefix[:, place], cache.hidden)
                cache.lengths = [place + 1] * num_slots
            return cache

    model = Prefixed(GRUConfig(vocab_size=257, context_length=12, hidden_size=16))
    model.init_weights(torch.Generator().manual_seed(2))
    prefixes = [torch.randn(3, 16, generator=torch.Generator().manual_seed(seed)) * 3 for seed in range(3)]
    sampling = SamplingConfig(max_new_tokens=15, temperature=0, logit_bias={256: -100})
    asked = [Request("a", sampling, prefix=prefix) for prefix in prefixes]
    found = generate(model, tokenizer, asked, sampling)
    assert len({one.token_ids for one in found}) > 1
    for request, together in zip(asked, found, strict=True):
        assert generate(model, tokenizer, [request], sampling) == [together]
    with torch.no_grad():
        state = torch.zeros(1, 16)
        for vector in [*prefixes[1], model.embedding.weight[97]]:
            state = model.cell(vector[None], state)
        assert int(model.logits(state)[0, :256].argmax()) == found[1].token_ids[0]
    with pytest.raises(InputError, match="a prefix that fills the context"):
        generate(model, tokenizer, [Request("a", sampling, prefix=torch.zeros(12, 16))], sampling)


def test_every_pair_of_settings_goes_together(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    """Rows that are chosen in groups get back their own tokens."""
    sampled = [SamplingConfig.model_validate(values | {"max_new_tokens": 8, "seed": 2}) for values in SETTINGS]
    alone = [generate(gpt2, tokenizer, ["ab"], sampling)[0] for sampling in sampled]
    for one, other in itertools.combinations(range(len(sampled)), 2):
        found = generate(gpt2, tokenizer, [Request("ab", sampled[one]), Request("ab", sampled[other])], sampled[0])
        assert found == [alone[one], alone[other]]


def test_the_context_is_whole_in_a_search(gpt2: LanguageModel, tokenizer: Tokenizer) -> None:
    sampling = SamplingConfig(max_new_tokens=CONTEXT - 2, num_beams=2)
    assert generate(gpt2, tokenizer, ["ab"], sampling)[0].num_tokens <= CONTEXT - 2
    with pytest.raises(InputError, match="does not slide in a search"):
        generate(gpt2, tokenizer, ["abc"], sampling)


@pytest.mark.parametrize("name", DECODERS[:4])
def test_a_slot_that_is_asked_for_twice_or_is_not_there_is_refused(name: str, tokenizer: Tokenizer) -> None:
    decoder = make_decoder(name, tokenizer)
    cache, ids = decoder.empty_cache(3), torch.zeros(2, 1, dtype=torch.int64)
    for slots, message in (([2, 2], "slot 2 twice in one call"), ([0, 3], "no slot 3; expected 0 to 2")):
        with pytest.raises(InputError, match=message):
            decoder.extend(ids, [1, 1], cache, slots)
    assert [cache.length(slot) for slot in range(3)] == [0, 0, 0]
