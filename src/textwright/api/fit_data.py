"""What a fine-tuning learns from and is measured on: given in Python or as files, kept in the run as token shards.

::

    RUN/  data/           train: the examples; val: those that are held out
          replay/NAME/    old text that is mixed in
          watch/NAME/     text whose loss is looked at
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textwright.api.config import FineTuneOptions
from textwright.api.given_examples import EXAMPLES, given_examples, paths_in
from textwright.api.taught import Taught
from textwright.core.errors import InputError
from textwright.core.seeds import hash_u64
from textwright.data.control import FOLDER, ControlCodes
from textwright.data.dataset import DataSplits, TokenDataset, find_data_corruption, open_data
from textwright.data.examples import Example, ExampleTokens
from textwright.data.prepare import write_tokens
from textwright.data.prompt_format import PromptFormat
from textwright.data.shape import Shaper
from textwright.data.sources.base import BatchSource, ShuffledRows
from textwright.data.sources.mixture import Mixture
from textwright.runs.run_folder import Run
from textwright.text.dialogue import DialogueFormat
from textwright.text.files import VALIDATED_ON, none_left, search
from textwright.text.options import ReadOptions
from textwright.tokens import Tokenizer
from textwright.training.config import TrainConfig
from textwright.training.from_config import make_batches

NEW = "new"
"""What is new is called in a mixture with what is replayed."""


@dataclass(frozen=True)
class FitData:
    """What a fine-tuning reads."""

    splits: DataSplits
    """What is learned, and what is held out."""
    replay: Mapping[str, tuple[TokenDataset, float]] = field(default_factory=dict)
    """Old text that is mixed in, by name, with its share of the rows."""
    watch: Mapping[str, TokenDataset] = field(default_factory=dict)
    """Text that is not learned and whose loss is looked at, by name."""
    control: ControlCodes | None = None
    """What stood before the texts, where something did."""
    notes: tuple[str, ...] = ()
    """What became of the texts, for people."""

    @property
    def new_share(self) -> float:
        """Of the rows, those of what is new."""
        return 1 - sum(share for _, share in self.replay.values())

    def batches(self, training: TrainConfig, context_length: int) -> BatchSource:
        """The source of batches.

        Raises:
            InputError: text that is too short for a row, or a source that cannot be mixed.
        """
        new = make_batches(self.splits.train, training, context_length)
        if not self.replay:
            return new
        sources = {NEW: new} | {
            name: make_batches(tokens, training, context_length) for name, (tokens, _) in self.replay.items()
        }
        rows = {name: source for name, source in sources.items() if isinstance(source, ShuffledRows)}
        if len(rows) < len(sources):
            raise InputError(
                f"replay with packing = {training.packing!r}", expected="a source of rows", fix="leave one of them out"
            )
        weights = {NEW: self.new_share} | {name: share for name, (_, share) in self.replay.items()}
        return Mixture(rows, [(0, weights)], batch_size=training.batch_size)

    def steps_per_epoch(self, training: TrainConfig, context_length: int) -> float:
        """Optimizer steps after which every row of what is new was read once."""
        source = make_batches(self.splits.train, training, context_length)
        if isinstance(source, ShuffledRows):
            return source.num_rows / (training.batch_size * self.new_share)
        return source.num_tokens / (source.tokens_per_step * self.new_share)


def read_fit_data(
    texts: Any,
    validation: Any,
    taught: Taught,
    options: FineTuneOptions,
    *,
    scratch: Path | None = None,
) -> FitData:
    """What was given, as token ids.

    Args:
        texts: to be learned; see ``given.Examples``.
        validation: to be validated on; None: a part of the texts where the options say so, or nothing.
        taught: the model, with what the options need of it.
        options: how files are read, what is held out, what is replayed and watched.
        scratch: a folder on whose disk the ids are kept; None: in memory.

    Raises:
        InputError: no text at all, something else than examples, or a pair that is longer than the model sees.
    """
    tokenizer, context_length = taught.tokenizer, options.context_length or taught.network.context_length
    reading = reading_of(options, taught.dialogue)
    most = min(context_length, options.training.sequence_length or context_length)
    but = paths_in(validation)
    given = given_examples(texts, "texts", reading, but=but)
    given_to_validate = given_examples([] if validation is None else validation, "validation", reading)
    train, held = list(given), list(given_to_validate)
    if validation is None and options.val_fraction:
        train, held = hold_out(train, options.val_fraction)

    def encoded(examples: Iterable[Example]) -> ExampleTokens:
        return ExampleTokens(examples, tokenizer, max_pair_tokens=most, too_long=options.too_long, scratch=scratch)

    shaper = shaper_of(options, tokenizer, taught.prompt_format, most)
    learned = encoded(shaper.apply(train))
    of_held = shaper_of(options, tokenizer, taught.prompt_format, most, known=shaper.control_codes)
    val = encoded(of_held.apply(held) if held else ())
    learned.num_null, val.num_null = given.num_null, given_to_validate.num_null
    if but and (paths := paths_in(texts)):
        learned.validated_on = search(paths, but=but).left_out.get(VALIDATED_ON, [])
    if not learned.num_documents:
        if learned.validated_on:
            raise none_left(paths_in(texts))
        raise _nothing_to("learn from")
    if validation is not None and not val.num_documents:
        raise _nothing_to("validate on")

    old_texts = ReadOptions(**options.reading, dialogue=taught.dialogue)

    def old(path: Path, name: str) -> TokenDataset:
        found = encoded(given_examples(path, name, old_texts))
        if not found.num_documents:
            raise InputError(f"no text in {path}", where=name, expected="some that is not empty")
        return found

    shares = options.replayed
    replay = {name: (old(path, "replay"), shares[path]) for name, path in named(list(shares)).items()}
    watch = {name: old(path, "watch") for name, path in named(options.watch).items()}
    splits = DataSplits(learned, val if val.num_documents else None)
    return FitData(splits, replay, watch, control=shaper.control_codes, notes=tuple(shaper.notes))


def reading_of(options: FineTuneOptions, dialogue: DialogueFormat | None) -> ReadOptions:
    """How what is to be learned is read.

    Args:
        options: of the fine-tuning.
        dialogue: how conversations are written down for the model.
    """
    return ReadOptions(
        **options.reading,
        dialogue=dialogue,
        label_field=None if options.control == FOLDER else options.control,
        by_speaker=options.speak_as is not None,
    )


def shaper_of(
    options: FineTuneOptions,
    tokenizer: Tokenizer,
    prompt_format: PromptFormat,
    max_tokens: int,
    *,
    known: ControlCodes | None = None,
) -> Shaper:
    """What brings examples into the shape that options ask for.

    Args:
        options: of the fine-tuning.
        tokenizer: with all tokens that they need.
        prompt_format: with the sentinel tokens among them.
        max_tokens: of a row.
        known: the control codes of what is learned, for what is validated on.
    """
    return Shaper(
        tokenizer,
        max_tokens=max_tokens,
        fim=options.fim,
        sentinels=prompt_format.fim,
        control=options.control,
        known=known,
        speak_as=options.speak_as,
        seed=options.training.seed,
    )


def hold_out(examples: Sequence[Example], fraction: float) -> tuple[list[Example], list[Example]]:
    """Examples in two parts, by hash: the second is to be the fraction; those of one document or prompt stay together.

    Nothing is held out where nothing would be left to learn.
    """
    sides: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        key = example.document.group or example.prompt or example.text
        sides[hash_u64("held out", key) < fraction * 2**64].append(example)
    return sides if sides[0] else (list(examples), [])


def named(paths: Sequence[Path]) -> dict[str, Path]:
    """Paths by short names: their own without endings, with a number where another has it already."""
    found: dict[str, Path] = {}
    for path in paths:
        stem = path.resolve().name.split(".")[0] or "text"
        taken = {NEW, *found}
        found[next(name for name in _numbered(stem, len(taken)) if name not in taken)] = path
    return found


def write_fit_data(run: Run, data: FitData, tokenizer: Tokenizer) -> None:
    """Write all of it into a run that is being made."""
    write_tokens(data.splits.train, tokenizer, run.data, val=data.splits.val)
    for name, (tokens, _) in data.replay.items():
        write_tokens(tokens, tokenizer, run.replay / name)
    for name, tokens in data.watch.items():
        write_tokens(tokens, tokenizer, run.watch / name)


def open_fit_data(run: Run, options: FineTuneOptions) -> FitData:
    """What a run holds of it.

    Raises:
        InputError: some of it is missing.
    """
    shares = options.replayed
    replay = {name: (open_data(run.replay / name).train, shares[path]) for name, path in named(list(shares)).items()}
    watch = {name: open_data(run.watch / name).train for name in named(options.watch)}
    return FitData(open_data(run.data), replay, watch)


def damage_of_fit_data(run: Run) -> str | None:
    """What is wrong with what a run holds of it, naming the file; None where every byte is as it was written."""
    folders = [run.data, *(folder for part in (run.replay, run.watch) if part.is_dir() for folder in part.iterdir())]
    return next((found for folder in sorted(folders) if (found := find_data_corruption(folder)) is not None), None)


def _nothing_to(purpose: str) -> InputError:
    return InputError(f"no text to {purpose}", expected=f"{EXAMPLES}, at least one that is not empty")


def _numbered(stem: str, most: int) -> list[str]:
    return [stem, *(f"{stem}-{number}" for number in range(2, most + 2))]
