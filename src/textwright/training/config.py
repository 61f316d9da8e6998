"""How to train, as plain values. Torch-free: it is the TOML file, the command line and the Python argument."""

import math
from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from textwright.core.config import Config, changed
from textwright.core.errors import InputError, nearest, unknown_name
from textwright.data.sources.catalog import SOURCES
from textwright.training.losses.catalog import with_all_settings
from textwright.training.parameter_plan import ParameterPlan, check_plan

DEFAULT_STEPS = 1000
"""Optimizer steps when neither steps nor minutes are given."""
DEFAULT_EVAL_TOKENS = 131_072
"""Validation tokens that an evaluation during training reads at most."""
DEFAULT_TASK_EXAMPLES = 200
"""Examples of each task that an evaluation during training puts to the model at most."""
VAL_LOSS = "val_loss_nats"
"""The metric that says which model is the best, where nothing else is said."""
LEARNING_RATES = {"muon": 6e-3, "adamw": 1e-3}
"""AdamW's, by optimizer: beside Muon it moves only embeddings, norms and biases, which bear more."""

RESUMABLE_CHANGES = frozenset(
    (
        *("steps", "evaluate_every", "sample_every", "checkpoint_every", "keep_checkpoints", "early_stopping_patience"),
        *("max_skipped_steps", "compile", "max_eval_tokens", "task_examples", "threads"),
    )
)
"""What may change between the sessions of a run: when it ends, how often it looks and saves, and what is only speed."""


class TrainConfig(Config):
    """How to train. What is not given is decided once, before the first step, and written to the run's config.toml."""

    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps. Without steps and minutes it is 1,000."""
    minutes: float | None = Field(default=None, gt=0)
    """Wall-clock minutes instead of steps, evaluations included: trial steps tell how many steps fit, and the number is
    looked at again while the run goes on. A run that is resumed goes by the steps it had last."""
    batch_size: int = Field(default=12, ge=1)
    """Rows of text in one optimizer step."""
    sequence_length: int | None = Field(default=None, ge=1)
    """Tokens in a row; the model's context length when not given."""
    micro_batch_size: int | None = Field(default=None, ge=1)
    """Rows computed at once; a step adds up as many micro-batches as it needs. It changes memory, never the result."""
    packing: str = "none"
    """none: rows are cut from one stream of documents. documents: whole documents, which do not see each other. Or a
    further row of the table of sources."""
    objective: str | dict[str, Any] = "next_token"
    """What is learned: a name in the table of objectives. One with settings takes them beside its name:
    ``--objective.name NAME --objective.SETTING VALUE``, or a table [training.objective] in a TOML file."""
    parameter_plan: ParameterPlan = ()
    """Stages, each with rules for the weights: trained or frozen, by which optimizer and how fast. Without any, all
    that can be trained is."""
    optimizer: Literal["muon", "adamw"] = "muon"
    """muon: Muon for hidden matrices and AdamW for the rest, best from scratch. adamw: AdamW for everything."""
    learning_rate: float | None = Field(default=None, ge=0)
    """AdamW's learning rate at its highest; 0.006 beside Muon and 0.001 alone, when not given."""
    muon_learning_rate: float = Field(default=0.02, ge=0)
    """Muon's learning rate at its highest: how far, as a spectral norm, a square matrix moves in a step."""
    muon_momentum: float | None = Field(default=None, ge=0, lt=1)
    """How much of Muon's running mean of gradients is kept in a step. When not given, the mean spans a hundredth of the
    run, but 5 to 20 steps: 0.8 up to 500 steps, 0.95 from 2,000."""
    adamw_beta2: float = Field(default=0.95, ge=0, lt=1)
    """How much of AdamW's running mean of squared gradients is kept in a step. Small batches may want 0.99."""
    weight_decay: float = Field(default=0.1, ge=0)
    """How much of themselves matrices lose in a step, times the learning rate. Vectors do not decay."""
    decay_to_start: float = Field(default=0.0, ge=0)
    """How much of the way back to the value it had when the run began every trained weight goes after each step, times
    the learning rate: L2 to the start, against forgetting. It takes as much memory as the weights it is for."""
    schedule: Literal["cosine", "wsd"] = "wsd"
    """wsd: warm up, stay, fall in a line at the end. cosine: warm up, then fall along a half cosine."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Steps over which the learning rate rises in a line; a twentieth of the steps, at most 200, when not given."""
    decay_fraction: float = Field(default=0.6, ge=0, le=1)
    """The last part of the steps, 0 to 1, over which wsd falls."""
    min_lr_ratio: float = Field(default=0.0, ge=0, le=1)
    """The learning rate at the end, as a fraction (0 to 1) of the highest."""
    max_grad_norm: float = Field(default=1.0, gt=0)
    """The greatest norm of the whole gradient; a greater one is scaled down to it."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products; weights are always float32. auto: the faster one for this model here, which is measured."""
    threads: int | None = Field(default=None, ge=1, le=1024)
    """Processor threads to compute with. When not given, all cores, and fewer while other programs keep them busy."""
    max_eval_tokens: int | None = Field(default=None, ge=1)
    """Validation during training reads at most so many tokens, from the start of the validation text; 131,072 when not
    given, and with minutes as many as take a small part of them."""
    task_examples: int | None = Field(default=None, ge=1)
    """Examples of each task that an evaluation puts to the model at most, the first ones; 200 when not given, and with
    minutes as many as take a small part of them."""
    evaluate_every: int | None = Field(default=None, ge=1)
    """Steps between evaluations; a tenth of the steps when not given."""
    sample_every: int | None = Field(default=None, ge=1)
    """Steps between samples of text; a tenth of the steps when not given."""
    checkpoint_every: int | None = Field(default=None, ge=1)
    """Steps between checkpoints; a tenth of the steps, at most 500, when not given."""
    keep_checkpoints: int = Field(default=2, ge=1)
    """Checkpoints kept on disk: the newest ones."""
    early_stopping_patience: int | None = Field(default=None, ge=1)
    """Evaluations in a row without a better model, as best_by tells them, after which training ends; never when not
    given."""
    best_by: str | None = None
    """What tells the best model: val_loss_nats, or a figure of a task, such as classification.accuracy. When not given
    the validation loss; without any text to validate on, the first figure of the first task."""
    max_skipped_steps: int = Field(default=10, ge=1)
    """Steps in a row with a non-finite loss or gradient, or a spike, after which training stops; they move nothing."""
    loss_spike_threshold: float | None = Field(default=None, gt=0)
    """A loss so many deviations above the last hundred is a spike, and moves no weight; 6 is usual. Off by default."""
    compile: bool | None = None
    """Compile the step with torch.compile, which needs a C++ compiler; when not given, where that is there and the run
    is long enough to gain by it."""
    activation_checkpointing: bool = False
    """Compute each block again in the backward pass instead of keeping its activations: less memory, about a third
    slower."""
    seed: int = Field(default=0, ge=0)
    """Fixes the order of the data and the dropout."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.steps is not None and self.minutes is not None:
            raise ValueError("steps or minutes, not both")
        return self

    @field_validator("packing")
    @classmethod
    def _in_the_table(cls, name: str) -> str:
        if name not in SOURCES:
            close = nearest(name, list(SOURCES))
            known = " or ".join(map(repr, SOURCES))
            raise ValueError(known + (f"; did you mean {close!r}?" if close else ""))
        return name

    @field_validator("parameter_plan")
    @classmethod
    def _stages_in_order(cls, plan: ParameterPlan) -> ParameterPlan:
        check_plan(plan)
        return plan

    def resolved(
        self,
        *,
        steps: int,
        sequence_length: int,
        micro_batch_size: int,
        precision: Literal["float32", "bfloat16"],
        compiles: bool = False,
    ) -> "ResolvedTrainConfig":
        """This config with nothing left open: what was found out before the first step, and all that follows from it.

        ``minutes`` has done its work and is left out, so that a resumed run goes by the same ``steps``. ``compiles``
        holds where it is not told.
        """
        part = math.ceil(steps / 10)
        span_steps = min(max(steps / 100, 5), 20)
        found: dict[str, Any] = {
            "objective": with_all_settings(self.objective),
            "steps": steps,
            "minutes": None,
            "sequence_length": sequence_length,
            "micro_batch_size": micro_batch_size,
            "precision": precision,
        }
        follows = {
            "compile": compiles,
            "learning_rate": LEARNING_RATES[self.optimizer],
            "muon_momentum": 1 - 1 / span_steps,
            "warmup_steps": self.usual_warmup_steps(steps),
            "evaluate_every": part,
            "sample_every": self.usual_sample_every(steps),
            "checkpoint_every": min(part, 500),
            "max_eval_tokens": DEFAULT_EVAL_TOKENS,
        }
        given = {name: value for name, value in self.model_dump().items() if value is not None}
        return ResolvedTrainConfig.model_validate(follows | given | found)

    def usual_warmup_steps(self, steps: int) -> int:
        """Over how many of its steps the learning rate rises, where it was not told."""
        return min(math.ceil(steps / 20), 200)

    def usual_sample_every(self, steps: int) -> int:
        """Steps between samples, where they were not told."""
        return math.ceil(steps / 10)

    @property
    def resumable_changes(self) -> frozenset[str]:
        """What may change between the sessions of this run: how many examples not where a task tells the best model."""
        return RESUMABLE_CHANGES - ({"task_examples"} if self.best_by not in (None, VAL_LOSS) else set())

    def with_changes(self, changes: Mapping[str, Any]) -> Self:
        """This config for a run that goes on with other values of what may change between its sessions.

        With other steps the schedule is that of so long a run from there on.

        Raises:
            InputError: a value that does not fit, or that must not change.
        """
        for name in changes:
            if name not in RESUMABLE_CHANGES:
                raise unknown_name("change of a run that goes on", name, RESUMABLE_CHANGES)
            if name not in self.resumable_changes:
                raise InputError(f"another {name} for a run whose best model {self.best_by} tells", fix="leave it out")
        # Steps that are given take the place of the minutes that a run was planned by.
        also = {"minutes": None} if changes.get("steps") is not None else {}
        return changed(self, dict(changes) | also, "what is to change")


class FineTuneConfig(TrainConfig):
    """How a trained model is taught: gently, by defaults of its own."""

    steps: int | None = Field(default=None, ge=1)
    """Optimizer steps. Without steps, epochs and minutes it is 100."""
    batch_size: int = Field(default=8, ge=1)
    """Rows of text in one optimizer step."""
    sequence_length: int | None = Field(default=None, ge=1)
    """Tokens in a row; 256, or those of the longest example of which only a part is learned, and at most the model's
    context, when not given."""
    packing: str = "documents"
    """documents: whole documents, which do not see each other. none: rows are cut from one stream of documents. Or a
    further row of the table of sources."""
    optimizer: Literal["muon", "adamw"] = "adamw"
    """adamw: AdamW for everything. muon: Muon for hidden matrices and AdamW for the rest, best from scratch."""
    learning_rate: float | None = Field(default=3e-4, ge=0)
    """AdamW's learning rate at its highest."""
    warmup_steps: int | None = Field(default=None, ge=0)
    """Steps over which the learning rate rises in a line; a tenth of the steps when not given."""
    decay_fraction: float = Field(default=0.2, ge=0, le=1)
    """The last part of the steps, 0 to 1, over which wsd falls."""
    sample_every: int | None = Field(default=None, ge=1)
    """Steps between samples of text, the first of which is taken before any step; a third of the steps when not given.
    """

    def usual_warmup_steps(self, steps: int) -> int:
        """A tenth: what is trained already is soon hurt."""
        return steps // 10

    def usual_sample_every(self, steps: int) -> int:
        """A third: a short run is not to spend its time on them."""
        return math.ceil(steps / 3)


class ResolvedTrainConfig(TrainConfig):
    """How a run trains, with nothing left open: what was given, what was found out, and what follows from it.

    What may still be None is off: ``threads`` (as many as are worth it), ``early_stopping_patience`` and
    ``loss_spike_threshold``; ``best_by`` (the validation loss); and ``task_examples``, where there is no task.
    """

    steps: int
    minutes: None = None
    sequence_length: int
    micro_batch_size: int
    learning_rate: float
    muon_momentum: float
    warmup_steps: int
    precision: Literal["float32", "bfloat16"]
    max_eval_tokens: int
    evaluate_every: int
    sample_every: int
    checkpoint_every: int
    compile: bool
