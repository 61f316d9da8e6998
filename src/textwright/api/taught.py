"""A model that is taught: made ready for its options before the first step, and plain again after the last.

::

    model ──longer context, new tokens, a head of its own──> RUN/base ──adapters──> training ──> folded in ──> RUN/model
                                                                                        └──> RUN/adapter
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from textwright.api.config import FineTuneOptions
from textwright.checkpoint.adapter import save_adapter
from textwright.checkpoint.model_folder import save_model
from textwright.data.fill_in_middle import FillInMiddle, find_sentinels
from textwright.data.prompt_format import PromptFormat
from textwright.models.language_model import LanguageModel
from textwright.models.layers.low_rank import lora_layers
from textwright.models.longer_context import stretch_context
from textwright.models.lora import add_lora, check_targets
from textwright.models.vocabulary import extend_vocabulary
from textwright.text.dialogue import DialogueFormat
from textwright.tokens import Tokenizer
from textwright.tokens.extended import extend_tokenizer
from textwright.training.parameter_plan import ParameterPlan
from textwright.training.strategies import Strategy, parameter_plan_of


@dataclass(frozen=True)
class Taught:
    """What is taught.

    Attributes:
        network: changed in place.
        tokenizer: its tokenizer.
        dialogue: how dialogues are written down for it.
        prompt_format: which control codes and sentinel tokens it knows.
        is_as_read: whether nothing was added to it, so that the folder that it was read from is what it begins with.
    """

    network: LanguageModel
    tokenizer: Tokenizer
    dialogue: DialogueFormat | None = None
    prompt_format: PromptFormat = field(default_factory=PromptFormat)
    is_as_read: bool = True

    def with_tokens(self, options: FineTuneOptions) -> Self:
        """The same with the tokens that the options need, which the network does not know yet.

        Raises:
            InputError: tokens that are there already.
        """
        tokenizer, known = tokens_for(options, self.tokenizer, self.prompt_format)
        return replace(self, tokenizer=tokenizer, prompt_format=known)

    def prepare(self, options: FineTuneOptions, strategy: Strategy, *, num_known: int) -> Self:
        """Change the network as the options need it, but for adapters.

        Args:
            options: of the fine-tuning.
            strategy: what they say is trained.
            num_known: tokens that the network knows.

        Raises:
            InputError: a context that is shorter than now, or a family that has not what is to be changed.
        """
        has_new = self.tokenizer.vocab_size != num_known
        if options.context_length is not None:
            stretch_context(self.network, options.context_length)
        if has_new:
            extend_vocabulary(self.network, self.tokenizer.vocab_size, num_known=num_known)
        if strategy.unties_head:
            self.network.untie_head()
        is_changed = bool(options.context_length or strategy.unties_head or has_new)
        return replace(self, is_as_read=self.is_as_read and not is_changed)

    def adapted(self, strategy: Strategy, seed: int) -> Self:
        """The same with the adapters of a strategy, if it has some.

        Raises:
            InputError: a target that the network does not have.
        """
        if strategy.lora is not None:
            add_lora(self.network, strategy.lora, seed)
        return self

    def plan_of(self, strategy: Strategy, *, steps_per_epoch: float, layer_decay: float) -> ParameterPlan:
        """What is trained when; the adapters are there.

        Raises:
            InputError: see ``parameter_plan_of``.
        """
        groups = self.network.layer_groups()
        return parameter_plan_of(strategy, groups, steps_per_epoch=steps_per_epoch, layer_decay=layer_decay)

    def save(
        self, network: LanguageModel, folder: Path, *, adapter: Path | None = None, base: str | None = None
    ) -> None:
        """Write a network as a plain model, its adapters folded in; and them alone, where it has some.

        Args:
            network: of this kind, at some step.
            folder: of the model.
            adapter: a folder for the adapters; None leaves them out.
            base: what adapters are said to be for.
        """
        if adapter is not None and next(lora_layers(network), None) is not None:
            save_adapter(network, adapter, base=base)
        save_model(network, self.tokenizer, folder, dialogue=self.dialogue, prompt_format=self.prompt_format)


def tokens_for(options: FineTuneOptions, tokenizer: Tokenizer, known: PromptFormat) -> tuple[Tokenizer, PromptFormat]:
    """A tokenizer with the tokens that options need, and what is known of sentinel tokens then.

    Raises:
        InputError: tokens that are there already.
    """
    if options.add_tokens:
        tokenizer = extend_tokenizer(tokenizer, options.add_tokens)
    if options.fim and known.fim is None:
        found = find_sentinels(tokenizer)
        known = known.model_copy(update={"fim": found or FillInMiddle(order="spm")})
        if found is None:
            tokenizer = extend_tokenizer(tokenizer, FillInMiddle().texts, special=True)
    return tokenizer, known


def check_strategy(strategy: Strategy, network: LanguageModel) -> None:
    """See that a model has what a strategy names, before anything is changed: so many blocks, biases, targets.

    Raises:
        InputError: it has not.
    """
    if strategy.lora is not None:
        check_targets(network, strategy.lora)
    # A head of its own, and adapters, it gets.
    others = tuple(stage for stage in strategy.stages if stage.name not in ("head", "lora"))
    parameter_plan_of(replace(strategy, stages=others), network.layer_groups(), steps_per_epoch=1)
