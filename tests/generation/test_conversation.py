"""A conversation keeps what was said, whatever stops an answer; and the model is whole afterwards."""

import pytest
import torch

from textwright.api.model import Model
from textwright.core.errors import InputError
from textwright.generation.conversation import Conversation, Show
from textwright.generation.request import Completion, SamplingConfig
from textwright.models.catalog import build
from textwright.models.gpt.config import GPTConfig
from textwright.text.dialogue import DialogueFormat, Turn
from textwright.tokens import make_tokenizer


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    config = GPTConfig(vocab_size=257, context_length=64, num_layers=1, num_heads=2, hidden_size=16)
    return Model(build(config).eval(), make_tokenizer("byte", lambda: iter(())))


@pytest.fixture
def conversation(model: Model) -> Conversation:
    def complete(prompt: str, sampling: SamplingConfig, on_text: Show) -> Completion:
        return model.complete([prompt], on_text=lambda _, text: on_text(text), **sampling.model_dump())[0]

    sampling = SamplingConfig(max_new_tokens=12, seed=3)
    return Conversation(complete, lambda text: len(text.encode()), 64, DialogueFormat(), sampling)


def test_an_answer_that_is_stopped_is_kept_as_far_as_it_came(conversation: Conversation, model: Model) -> None:
    before = model.generate("x", max_new_tokens=20)
    heard: list[str] = []

    def stop_at_the_third(text: str) -> None:
        heard.append(text)
        if len(heard) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        conversation.say("hi", stop_at_the_third)
    assert conversation.turns == [Turn("user", "hi"), Turn("assistant", "".join(heard).rstrip())]
    assert model.generate("x", max_new_tokens=20) == before
    conversation.undo()
    conversation.say("again", heard.append)
    assert [turn.text for turn in conversation.turns if turn.role == "user"] == ["again"]


def test_after_an_error_nothing_was_said(conversation: Conversation) -> None:
    for text, message in (("x" * 80, "the turn makes 98 tokens"), ("\udce9", "not UTF-8")):
        with pytest.raises((InputError, UnicodeEncodeError)):
            conversation.say(text, print)
        assert conversation.turns == [], message


def test_an_answer_ends_before_anyone_speaks_and_without_the_space_that_leads_it() -> None:
    prompts: list[tuple[str, SamplingConfig]] = []

    def complete(prompt: str, sampling: SamplingConfig, on_text: Show) -> Completion:
        prompts.append((prompt, sampling))
        for piece in (" ", " I am", " a cat. \n"):
            on_text(piece)
        return Completion(prompt, "", (1, 2), "stop", "eos", False, 0.0)

    talk = Conversation(complete, len, 200, DialogueFormat(), SamplingConfig(stop=("!",)), "Be a cat.")
    heard: list[str] = []
    talk.say("Who?", heard.append)
    talk.retry(heard.append)
    assert heard[:2] == ["I am", " a cat. \n"]
    assert talk.as_json() == [
        {"role": "system", "text": "Be a cat."},
        {"role": "user", "text": "Who?"},
        {"role": "assistant", "text": "I am a cat."},
    ]
    assert [prompt for prompt, _ in prompts] == ["Be a cat.\nUser: Who?\nAssistant:"] * 2
    assert [(sampling.seed, sampling.stop) for _, sampling in prompts] == [
        (0, ("!", "\nUser:", "\nAssistant:")),
        (1, ("!", "\nUser:", "\nAssistant:")),
    ]
    assert talk.num_tokens == 4
