"""What becomes of examples: nothing of their text is lost, all fits its row, and only what is meant is learned."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.data.sentinels import put_back, with_sentinels
from textwright.core.errors import InputError
from textwright.data.documents import rows_of
from textwright.data.examples import Example, ExampleTokens
from textwright.data.fill_in_middle import FillInMiddle, Order
from textwright.data.prompt_format import PromptFormat
from textwright.data.shape import Shaper
from textwright.data.sources.packed_documents import PackedDocuments
from textwright.text.document import Document
from textwright.tokens import Tokenizer, make_tokenizer

STORIES = [f"Story {n}: " + "the cat and the dog went to the town. " * (n % 5) + "The end.\n" for n in range(40)]
NOVEL = " ".join(f"In chapter {n} the cat met dog {n * 7} in town {n * 3}." for n in range(60))
TOKENIZERS = {
    kind: with_sentinels(make_tokenizer(kind, lambda: iter([*STORIES, NOVEL]))) for kind in ("byte", "bpe:320")
}
FIM: dict[str, Any] = {"fim": 0.5, "sentinels": FillInMiddle()}
FIRST: dict[str, Any] = {"fim": 0.5, "sentinels": FillInMiddle(order="spm")}
TALK = "Ann: Hello.\nBob: Hello yourself.\nHow are you?\nAnn: Fine.\n"


@pytest.fixture(params=sorted(TOKENIZERS))
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return TOKENIZERS[request.param]


def example(text: str, prompt: str | None = None, label: str | tuple[str, ...] | None = None) -> Example:
    return Example(text, Document("here", None, label), prompt)


def shaped(examples: Iterable[Example], tokenizer: Tokenizer, **options: Any) -> tuple[Shaper, ExampleTokens]:
    shaper = Shaper(tokenizer, **{"max_tokens": 64} | options)
    most = options.get("max_tokens", 64)
    found = ExampleTokens(shaper.apply(examples), tokenizer, max_pair_tokens=most)
    return shaper, found


def documents(tokens: ExampleTokens) -> list[tuple[np.ndarray, list[int]]]:
    """The ids of each, and which of them are learned."""
    starts = [0, *tokens.document_ends[:-1].tolist()]
    found = []
    for start, stop, row in zip(starts, tokens.document_ends.tolist(), rows_of(tokens.documents), strict=True):
        spans = ((0, stop - start),) if row.spans is None else row.spans
        found.append((tokens.read(start, stop), [place for first, last in spans for place in range(first, last)]))
    return found


def learned(tokens: ExampleTokens, tokenizer: Tokenizer) -> list[str]:
    """What is learned of each document, ``|`` being the end."""
    return [
        tokenizer.decode([token for token in ids[places].tolist() if token != tokenizer.end_id])
        + "|" * int(tokenizer.end_id in ids[places])
        for ids, places in documents(tokens)
    ]


def restored(tokens: ExampleTokens, tokenizer: Tokenizer) -> list[str]:
    """The text of each document in its order."""
    sentinels, found = FillInMiddle().ids(tokenizer), []
    for ids, _ in documents(tokens):
        text = ids[:-1] if ids[-1] == tokenizer.end_id else ids
        parts = put_back(text, sentinels, tokenizer) if sentinels.prefix in ids else (tokenizer.decode(text.tolist()),)
        found.append("".join(parts))
    return found


def test_nothing_is_asked_for_and_nothing_changes(tokenizer: Tokenizer) -> None:
    examples = [example(STORIES[0]), example(" two", "one:"), example(" "), example(NOVEL)]
    shaper = Shaper(tokenizer, max_tokens=64)
    assert list(shaper.apply(examples)) == examples
    assert shaper.control_codes is None
    assert shaper.notes == []


@pytest.mark.parametrize("options", [FIM, FIRST], ids=lambda options: options["sentinels"].order)
def test_rearranged_texts_are_those_texts_and_fit_a_row(tokenizer: Tokenizer, options: dict[str, Any]) -> None:
    shaper, tokens = shaped([example(text) for text in (*STORIES, NOVEL)], tokenizer, **options)
    assert "".join(restored(tokens, tokenizer)) == "".join((*STORIES, NOVEL))
    assert 0.3 < shaper.num_rearranged / (shaper.num_rearranged + shaper.num_in_order) < 0.7
    for ids, places in documents(tokens):
        if FillInMiddle().ids(tokenizer).prefix in ids:
            assert len(ids) <= 64
            assert ids[-1] == tokenizer.end_id
            assert len(places) == len(ids), "prefix, suffix, sentinels and middle are learned"
    assert tokens.longest_pair <= 64
    assert f"{shaper.num_rearranged:,} of" in shaper.notes[0]


def test_that_a_text_ends_is_learned_where_it_does(tokenizer: Tokenizer) -> None:
    _, tokens = shaped([example(NOVEL)], tokenizer, **FIM)
    assert shaped([example(NOVEL)], tokenizer, **FIM)[1].fingerprint == tokens.fingerprint
    rows = documents(tokens)
    assert len(rows) > 5
    sentinels = FillInMiddle().ids(tokenizer)
    whole = [sentinels.prefix not in ids for ids, _ in rows]
    assert True in whole
    assert False in whole
    for number, ((ids, places), is_whole) in enumerate(zip(rows, whole, strict=True)):
        assert (ids[-1] == tokenizer.end_id) == (not is_whole or number == len(rows) - 1)
        assert places == list(range(len(ids)))


def test_where_a_rearranged_text_ends_is_not_told_by_its_length(tokenizer: Tokenizer) -> None:
    _, tokens = shaped([example(NOVEL * 8)], tokenizer, max_tokens=256, **FIRST | {"fim": 1.0})
    sizes = [len(ids) for ids, _ in documents(tokens)]
    assert max(sizes) <= 256
    thirds = np.histogram(sizes, bins=[0, 86, 171, 257])[0]
    assert thirds.min() > len(sizes) / 6, "a model would learn at which place texts end, and not where they meet"


def test_what_is_rearranged_does_not_depend_on_what_else_is_there(tokenizer: Tokenizer) -> None:
    def all_ids(texts: list[str]) -> set[bytes]:
        return {ids.tobytes() for ids, _ in documents(shaped(map(example, texts), tokenizer, **FIM)[1])}

    alone = all_ids(STORIES[:20])
    assert all_ids(list(reversed(STORIES[:20]))) == alone
    assert alone < all_ids(STORIES)
    other = shaped(map(example, STORIES[:20]), tokenizer, **FIM, seed=1)[1]
    assert {ids.tobytes() for ids, _ in documents(other)} != alone


def test_pairs_stay_in_their_order(tokenizer: Tokenizer) -> None:
    pairs = [example(" two", "one:")]
    shaper, tokens = shaped([*pairs, *map(example, STORIES)], tokenizer, **FIM)
    assert learned(tokens, tokenizer)[0] == " two|"
    assert shaper.notes[1] == "1 of which a part is learned stay in their order"
    with pytest.raises(InputError, match="fim with pairs or dialogues alone; expected texts, which are learned whole"):
        shaped(pairs, tokenizer, **FIM)


def test_a_text_with_a_sentinel_in_it_stays_in_its_order() -> None:
    plain = make_tokenizer("byte", lambda: iter(()))
    loose = with_sentinels(plain, special=False)  # so that the text's own sentinel is the token
    shaper, _ = shaped([example("before <|fim_middle|> after")], loose, fim=1.0, sentinels=FillInMiddle())
    assert (shaper.num_rearranged, shaper.num_in_order) == (0, 1)


def test_a_control_code_is_read_and_not_learned(tokenizer: Tokenizer) -> None:
    examples = [example("It was dark.", label="horror"), example(" B", "A:", label="a b"), example(" ", label="x")]
    shaper, tokens = shaped(examples, tokenizer, control="genre")
    assert learned(tokens, tokenizer) == ["It was dark.|", " B|"]
    assert [tokenizer.decode(ids[:-1].tolist()) for ids, _ in documents(tokens)] == [
        *("[genre: horror]\nIt was dark.", "[genre: a b]\nA: B")
    ]
    assert shaper.control_codes is not None
    assert shaper.control_codes.values == ("a b", "horror")
    assert shaper.notes == ["control codes: 2 values"]
    assert tokens.num_left_out == 1


def test_every_piece_of_a_long_text_has_its_control_code(tokenizer: Tokenizer) -> None:
    for options in ({}, FIM):
        _, tokens = shaped([example(NOVEL, label="crime")], tokenizer, control="genre", **options)
        header, texts, sentinels = "[genre: crime]\n", list[str](), FillInMiddle().ids(tokenizer)
        num_header = len(tokenizer.encode(header))
        for ids, places in documents(tokens):
            assert len(ids) <= 64
            assert tokenizer.decode(ids[:num_header].tolist()) == header
            assert places[0] == num_header
            body = ids[num_header:-1] if ids[-1] == tokenizer.end_id else ids[num_header:]
            parts = (
                put_back(body, sentinels, tokenizer) if sentinels.prefix in ids else (tokenizer.decode(body.tolist()),)
            )
            texts.append("".join(parts))
        assert "".join(texts) == NOVEL


def test_a_text_of_which_a_part_is_learned_stays_whole_below_its_control_code(tokenizer: Tokenizer) -> None:
    chat = Example("User: Hi.\nAssistant: Ho.\n" * 4, Document("here", None, "small talk", spans=((20, 25), (45, 50))))
    shaper = Shaper(tokenizer, max_tokens=64, control="kind", **FIM)
    found = list(shaper.apply([chat, *(example(text, label="tale") for text in STORIES[:2])]))
    assert found[0] == replace(chat, header="[kind: small talk]\n")
    assert shaper.num_in_part == 1


@pytest.mark.parametrize("control", [None, "tale"])
@pytest.mark.parametrize("order", ["psm", "spm", None])
def test_what_is_asked_is_how_what_was_learned_begins(
    tokenizer: Tokenizer, control: str | None, order: Order | None
) -> None:
    known = None if order is None else FillInMiddle(order=order)
    options = {"max_tokens": 400} | ({"fim": 1.0, "sentinels": known} if known else {})
    told = options if control is None else options | {"control": "genre"}
    shaper, tokens = shaped([example(STORIES[0], label="tale")], tokenizer, **told)
    learned_format = PromptFormat(fim=known, control=shaper.control_codes)
    ((ids, _),) = documents(tokens)
    begin = 0 if control is None else len(tokenizer.encode("[genre: tale]\n"))
    prompt, middle, suffix = "", STORIES[0], None
    if known is not None:
        prompt, middle, suffix = put_back(ids[begin:-1], known.ids(tokenizer), tokenizer)
    asked = learned_format.ids(prompt, tokenizer, suffix=suffix, control=control)
    batch = PackedDocuments(tokens, batch_size=1, sequence_length=400).batch(0)
    assert batch.document_ids is not None
    read = batch.input_ids[batch.document_ids == 0].tolist()
    assert read[: len(asked)] == asked
    assert tokenizer.decode(read[len(asked) :]) == middle


def test_a_pair_is_learned_as_its_prompt_is_asked(tokenizer: Tokenizer) -> None:
    pair = Example("It was dark.", Document("here"), prompt="Once:\n")
    tokens = ExampleTokens([pair], tokenizer, max_pair_tokens=64)
    batch = PackedDocuments(tokens, batch_size=1, sequence_length=64).batch(0)
    assert batch.document_ids is not None
    assert tokenizer.decode(batch.input_ids[batch.document_ids == 0].tolist()) == "Once:\nIt was dark."
    assert tokenizer.decode(batch.target_ids[batch.loss_weight > 0].tolist()[:-1]) == "It was dark."


def test_one_speaker_is_learned_and_the_others_are_read(tokenizer: Tokenizer) -> None:
    talks = [example(TALK), example("Cid: Hm.\n"), example("Bob: So.\nCid: No.\n\n")]
    shaper, tokens = shaped(talks, tokenizer, speak_as="Bob")
    assert learned(tokens, tokenizer) == [" Hello yourself.\nHow are you?\n", " So.\n"]
    assert [tokenizer.decode(ids[:-1].tolist()) for ids, _ in documents(tokens)] == [TALK, "Bob: So.\nCid: No.\n\n"]
    assert shaper.notes == ["2 turns are learned; 1 texts without any left out"]
    _, tokens = shaped([example(TALK)], tokenizer, speak_as="Ann")
    assert learned(tokens, tokenizer) == [" Hello. Fine.\n|".replace(". ", ".\n ")]


def test_one_speaker_with_control_codes(tokenizer: Tokenizer) -> None:
    talk = example(TALK * 6, label="small talk")
    _, tokens = shaped([talk], tokenizer, speak_as="Bob", control="kind")
    assert "".join(learned(tokens, tokenizer)) == " Hello yourself.\nHow are you?\n" * 6
    assert all(tokenizer.decode(ids.tolist()).startswith("[kind: small talk]\n") for ids, _ in documents(tokens))
    assert all(len(ids) <= 64 for ids, _ in documents(tokens))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fim": 1.5}, "fim = 1.5; expected 0 to 1"),
        (FIM | {"speak_as": "Ann"}, "fim with speak_as"),
        (FIM | {"max_tokens": 8}, "rows of 8 tokens; in here; expected at least 12"),
        ({"control": "genre"}, "a text has no field 'genre'"),
        ({"speak_as": "bobby"}, r"nobody called 'bobby' speaks; expected one of Ann, Bob; did you mean 'Bob'\?"),
        ({"speak_as": " "}, "no name of a speaker"),
    ],
)
def test_what_cannot_be_is_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        shaped([example(TALK)], TOKENIZERS["byte"], **options)
    assert "\n" not in str(raised.value)


def test_pairs_have_no_speaker() -> None:
    with pytest.raises(InputError, match="pairs with speak_as; in here; expected dialogues"):
        shaped([example("b", "a")], TOKENIZERS["byte"], speak_as="Ann")


def test_other_values_than_those_that_are_learned_are_refused() -> None:
    tokenizer = TOKENIZERS["byte"]
    shaper, _ = shaped([example("a", label="good")], tokenizer, control="mood")
    with pytest.raises(InputError, match="'mood' was never 'goood'.*did you mean 'good'"):
        shaped([example("b", label="goood")], tokenizer, control="mood", known=shaper.control_codes)


def test_styles_of_yelp_are_control_codes(data_folder: Any, tmp_path: Path) -> None:
    found = list[Example]()
    for style, name in (("bad", "sentiment.dev.0"), ("good", "sentiment.dev.1")):
        lines = (data_folder("style-yelp") / name).read_text().splitlines()[:200]
        found += (example(line, label=style) for line in lines)
    shaper, tokens = shaped(found, TOKENIZERS["bpe:320"], control="style", max_tokens=512)
    assert shaper.control_codes is not None
    assert shaper.control_codes.values == ("bad", "good")
    assert learned(tokens, TOKENIZERS["bpe:320"]) == [f"{one.text}|" for one in found]


@pytest.mark.parametrize("max_tokens", [64, 512])
def test_plays_have_speakers(data_folder: Any, tokenizer: Tokenizer, max_tokens: int) -> None:
    text = (data_folder("tinyshakespeare") / "input.txt").read_text()[:20_000]
    _, tokens = shaped([example(text)], tokenizer, speak_as="MENENIUS", max_tokens=max_tokens)
    expected = [part.partition(":")[2] + "\n" for part in text.split("\n\n") if part.startswith("MENENIUS:\n")]
    assert "".join(learned(tokens, tokenizer)) == "".join(expected)
    assert len(expected) > 10
