"""The model object people hold: a network with its tokenizer, and the verbs of the command line as methods."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from textwright.api.draft_model import DraftModel
from textwright.api.given import formatted, given_ids, given_prompts, given_texts
from textwright.api.given_examples import Examples
from textwright.api.hub import check_is_no_typo, download
from textwright.api.weights import Weights
from textwright.checkpoint.adapter import add_adapter, read_adapter
from textwright.checkpoint.model_files import AdaptedFrom, ModelFiles
from textwright.checkpoint.model_folder import load_folder, read_dialogue, read_prompt_format, save_model
from textwright.core.config import answers_old_names, read_config
from textwright.core.console import stderr_console
from textwright.core.device import choose_device
from textwright.core.errors import InputError
from textwright.core.kinds import checks_kinds
from textwright.core.user_paths import given_path
from textwright.data.batch import Batch
from textwright.data.prompt_format import PromptFormat
from textwright.engines.catalog import choose_engine
from textwright.engines.config import EngineConfig
from textwright.evaluation.embed import embed_texts
from textwright.evaluation.language_modelling import TextScore, score_text
from textwright.generation.ensemble import EnsembleDecoder
from textwright.generation.generate import Completion, generate
from textwright.generation.request import Request, SamplingConfig
from textwright.generation.speculative import NUM_SPECULATIVE_TOKENS, PromptLookup, Speculation
from textwright.models.language_model import LanguageModel
from textwright.models.lora import merge_lora
from textwright.models.protocols import Decoder
from textwright.runs.run_folder import Run, is_run
from textwright.text.dialogue import DialogueFormat
from textwright.tokens import Tokenizer
from textwright.training.report import TrainReport
from textwright.training.signals import obey


class Model:
    """A language model and its tokenizer.

    Attributes:
        network: the torch module; see ``models.language_model`` for its contract.
        tokenizer: ``encode`` and ``decode``.
        dialogue: how dialogues are written down for it; None where it knows of no format.
        prompt_format: which control codes and sentinel tokens it has learned.
    """

    @checks_kinds
    def __init__(
        self,
        network: LanguageModel,
        tokenizer: Tokenizer,
        dialogue: DialogueFormat | None = None,
        prompt_format: PromptFormat | None = None,
        *,
        files: ModelFiles | None = None,
        adapted: AdaptedFrom | None = None,
    ) -> None:
        """
        Args:
            network: see above.
            tokenizer: see above.
            dialogue: see above.
            prompt_format: see above.
            files: what the network was read from; what takes time to make of it is kept beside them.
            adapted: what it was read from, where that is a base and an adapter.
        """
        self._weights = Weights(network)
        self.tokenizer = tokenizer
        self.dialogue, self.prompt_format = dialogue, prompt_format or PromptFormat()
        self._files, self._adapted, self._version_of_files = files, adapted, self._weights.version

    @property
    def network(self) -> LanguageModel:
        """The torch module; what its file has the other way round lies row by row in memory from here on."""
        return self._weights.by_rows()

    def changed(self) -> None:
        """Say that the weights were changed by hand, so that what was made of the old ones is made anew.

        ``fit`` says so itself. Many changes show by themselves, such as ``parameter.mul_(2)`` or ``load_state_dict``;
        torch does not tell of others, such as ``parameter.data.mul_(2)`` or what is written through NumPy.
        """
        self._weights.changed()

    @checks_kinds
    def generate(self, prompt: str, *, max_new_tokens: int = 100, **sampling: Any) -> str:
        """The prompt's continuation, without the prompt.

        Args:
            prompt: text to continue; empty means from the start of a document.
            max_new_tokens: at most so many tokens; a document that ends earlier stops earlier.
            **sampling: as for ``complete``: temperature, top_k, top_p, min_p, seed, stop, suffix, control, ...

        Raises:
            InputError: a sampling value outside its range, or an unknown name.
        """
        return self.complete([prompt], max_new_tokens=max_new_tokens, **sampling)[0].text

    @checks_kinds
    def complete(
        self,
        prompts: Iterable[str | Sequence[int] | Request],
        *,
        on_text: Callable[[int, str], None] | None = None,
        engine: EngineConfig | None = None,
        speculation: Speculation | None = None,
        mixed_with: Mapping["Model", float] | None = None,
        special_tokens: bool = False,
        suffix: str | None = None,
        control: str | None = None,
        **sampling: Any,
    ) -> list[Completion]:
        """Completions of several prompts at once, with why each ended.

        Args:
            prompts: texts of any lengths, token ids, or requests, each with its own settings.
            on_text: called with (index of the completion, new text) as the text grows.
            engine: what computes, and how exactly.
            speculation: guess ahead, with what ``speculation`` gives.
            mixed_with: models with the same tokenizer, and how much the probabilities of each count beside this one's,
                which counts 1.
            special_tokens: read special tokens in prompts, where they are no requests, as what they are.
            suffix: what stands after a text that is to be filled in, and the prompt before it.
            control: what the text is to be: a value of the field that stood before the texts it learned.
            **sampling: the fields of ``SamplingConfig``, where a prompt is no request.

        Raises:
            InputError: a value outside its range, an engine that does not know the model, other tokenizers, a suffix or
                a control code that the model has not learned to use.
        """
        config = read_config(SamplingConfig, sampling, "the arguments of generate")
        given, known = given_prompts(prompts, config if special_tokens else None), self.prompt_format
        prompts = formatted(given, config, known, self.tokenizer, suffix=suffix, control=control)
        engine = engine or EngineConfig()
        decoder = self.decoder(engine)
        if mixed_with:
            for other in mixed_with:
                self._check_tokenizer(other)
            others = [other.decoder(engine) for other in mixed_with]
            decoder = EnsembleDecoder([decoder, *others], [1.0, *mixed_with.values()])
        return generate(decoder, self.tokenizer, prompts, config, on_text=on_text, speculation=speculation)

    @checks_kinds
    def decoder(self, engine: EngineConfig) -> Decoder:
        """What decodes this model: made once for each engine and precision, and anew when the weights have changed."""
        return self._weights.decoder(engine, self.files)

    @answers_old_names
    @checks_kinds
    def speculation(
        self,
        draft: "Model | None" = None,
        *,
        num_speculative_tokens: int = NUM_SPECULATIVE_TOKENS,
        engine: EngineConfig | None = None,
    ) -> Speculation:
        """What to hand to ``complete``: afterwards it knows how much was accepted.

        Args:
            draft: a smaller model with the same tokenizer; without one, what the text says itself is looked up.
            num_speculative_tokens: tokens guessed at a time.
            engine: for the draft model. On a CPU it is rounded to int8: what it guesses is checked.

        Raises:
            InputError: the draft model has another tokenizer.
        """
        if num_speculative_tokens < 1:
            raise InputError(f"num_speculative_tokens = {num_speculative_tokens}", expected="at least 1")
        if draft is None:
            return Speculation(PromptLookup(), num_speculative_tokens)
        self._check_tokenizer(draft)
        engine = engine or EngineConfig()
        if choose_engine(draft._weights.network, engine) == "cpu":
            engine = engine.model_copy(update={"precision": "int8"})
        return Speculation(DraftModel(draft, engine, self.tokenizer.vocab_size), num_speculative_tokens)

    def _check_tokenizer(self, other: "Model") -> None:
        if other.tokenizer.fingerprint != self.tokenizer.fingerprint:
            raise InputError("models with different tokenizers", fix="use models that were trained with the same one")

    @checks_kinds
    def evaluate(
        self,
        texts: Iterable[str],
        *,
        window: int | None = None,
        stride: int | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> TextScore:
        """How well the model predicts the texts: loss, perplexities, bits per byte, with the window they hold for.

        Args:
            texts: as many and as long as you like.
            window: tokens seen at most; the model's context length when not given.
            stride: tokens newly predicted in a window; half the window when not given.
            progress: called with the bytes of text done so far.
        """
        return score_text(
            self.network, self.tokenizer, given_texts(texts), window=window, stride=stride, progress=progress
        )

    @checks_kinds
    def fit(
        self,
        texts: Examples,
        *,
        validation: Examples | None = None,
        out: Path | str | None = None,
        quiet: bool = False,
        **settings: Any,
    ) -> TrainReport:
        """Train on texts, in place.

        Each text is a document with its own end; short ones share a row and do not see each other. Of a pair the
        completion is learned, of a chat each answer, with its end. AdamW: a tenth of warm-up, the last fifth of decay.

        Args:
            texts: a text or a path, or any number of texts, pairs, rows (dicts) and paths of files and folders.
            validation: the same for what is not learned: the model is left at its best on it.
            out: a folder for the run (journal, checkpoints, model, the texts as tokens and the model as it was), which
                ``textwright train --resume`` goes on with; without it nothing is written.
            quiet: show no progress.
            **settings: the fields of ``FineTuneOptions`` and of its training, ``FineTuneConfig``: ``steps`` (100),
                ``epochs`` or ``minutes``, ``batch_size`` (8), ``learning_rate`` (3e-4), ``seed``, ``tasks``,
                ``best_by``, ``replay``, ``text_field``, ...

        Raises:
            InputError: no text at all, what is no text, a pair longer than the context, or values that cannot be.
            KeyboardInterrupt: Ctrl-C, once the step in hand was finished, and saved where there is a run.
        """
        # A second of imports, which who only writes text does not need.
        from textwright.api.config import fine_tune_options
        from textwright.api.fit_run import teach
        from textwright.api.taught import Taught

        options = fine_tune_options(settings, "the arguments of fit")
        taught = Taught(self.network, self.tokenizer, self.dialogue, self.prompt_format)
        base = None if self._files is None else str(self._files.folder.absolute())
        folder = None if out is None else Path(out)

        def became(prepared: Taught) -> None:
            self.tokenizer, self.prompt_format = prepared.tokenizer, prepared.prompt_format

        try:
            how: dict[str, Any] = {"base": base, "out": folder, "quiet": quiet, "on_prepared": became}
            report = teach(taught, texts, validation, options, **how)
        finally:
            merge_lora(self.network)
            self.changed()
            self.network.eval()
        obey(report.signal_number)
        return report

    @torch.inference_mode()
    def logits(
        self, ids: Int[Tensor, "batch time"] | Sequence[Sequence[int]]
    ) -> Float[Tensor, "batch time vocabulary"]:
        """What the model says of the next token at each place, in float32.

        Args:
            ids: token ids, batch x time, at most the model's context length.

        Raises:
            InputError: ids outside the vocabulary, or more of them than the context holds.
        """
        rows = given_ids(ids, context_length=self.network.context_length, vocab_size=self.network.vocab_size)
        self.network.eval()
        batch = Batch.for_inputs(rows.to(self.device))
        return self.network.logits(self.network.hidden_states(self.network.embed(batch), batch)).float().cpu()

    @checks_kinds
    def embed(
        self, texts: Iterable[str], *, progress: Callable[[int], None] = lambda _done: None
    ) -> Float[Tensor, "texts width"]:
        """One vector a text: the mean of its last hidden states, float32.

        Args:
            texts: none of them empty.
            progress: called with the number of texts done so far.
        """
        return embed_texts(self.network, self.tokenizer, list(given_texts(texts)), progress=progress).vectors

    @checks_kinds
    def save(self, folder: Path | str, *, dtype: str = "float32") -> None:
        """Write a model folder that transformers and its relatives read as it is.

        CTranslate2 4.8 leaves out ``layer_norm_epsilon`` and attention scales of a GPT-2 folder without a word.

        Args:
            folder: where. An older model there is replaced at once, never half; other files in its folder stay.
            dtype: ``float32``, ``bfloat16`` or ``float16``.

        Raises:
            InputError: something else is there, or the model of a run.
        """
        with given_path(folder):
            real = Path(os.path.realpath(folder))
        if is_run(real.parent) and real == Run(real.parent).model:
            raise InputError(
                f"{folder} is the model that the run {real.parent} ended with", fix="choose another folder"
            )
        written: dict[str, Any] = {"dtype": dtype, "dialogue": self.dialogue, "prompt_format": self.prompt_format}
        save_model(self.network, self.tokenizer, Path(folder), **written)
        if dtype == "float32":  # in the others the folder holds weights that were rounded, and memory does not
            self._files, self._adapted = ModelFiles.of(Path(folder)), None
            self._version_of_files = self._weights.version

    @property
    def files(self) -> ModelFiles | None:
        """What the model was read from, where both are as they were."""
        is_as_read = (
            self._weights.version == self._version_of_files and self._files is not None and self._files.are_unchanged()
        )
        return self._files if is_as_read else None

    @property
    def adapted(self) -> AdaptedFrom | None:
        """The folders of the base and of the adapter that the model was read from, where it is as it was."""
        return self._adapted if self._weights.version == self._version_of_files else None

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self._weights.network.parameters()).device

    def __repr__(self) -> str:
        network = self._weights.network
        parameters = sum(parameter.numel() for parameter in network.parameters())
        family = network.config.family
        return f"Model({family}, {parameters:,} parameters, vocabulary {network.vocab_size:,}, {self.device})"


@checks_kinds
def load(source: Path | str, *, adapter: Path | str | None = None, device: str = "auto") -> Model:
    """A model from a model folder, ours or one in Hugging Face's format; or by its Hugging Face name.

    Args:
        source: a folder; a name such as ``openai-community/gpt2`` is downloaded with the ``hub`` extra.
        adapter: a folder in PEFT's format, whose LoRA is folded into the weights: the model is a plain one.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        InputError: nothing is there, what is there cannot be read exactly, or the adapter is another model's.
    """
    added = None if adapter is None else read_adapter(adapter)
    folder = Path(source)
    with given_path(folder):
        is_there = folder.exists()
    if not is_there:
        check_is_no_typo(folder)
        folder = download(str(source))
    elif is_run(folder):
        raise InputError(f"{folder} is a run", expected="a model folder", fix=f"name its model: {Run(folder).model}")
    files = ModelFiles.of(folder)  # before they are read: what is put in their place meanwhile is not what was read
    network, tokenizer = load_folder(folder, device=str(choose_device(device)), lays_by_rows=added is not None)
    for note in tokenizer.notes:
        stderr_console().print(f"{folder}: {note}")
    if added is not None:
        add_adapter(network, added)
        merge_lora(network)
    of: dict[str, Any] = {"files": files} if adapter is None else {"adapted": AdaptedFrom(folder, Path(adapter))}
    return Model(network.eval(), tokenizer, read_dialogue(folder), read_prompt_format(folder), **of)
