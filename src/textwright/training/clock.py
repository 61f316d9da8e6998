"""A run that has minutes: how many steps it does, looked at again while it goes on.

::

    |--trial--|--- 0.1 --------- the fall begins ----------- 0.7 ------ 0.9 ---|
              ^     ^                  ^                      ^          ^
              how many steps fit, at first from trial steps, then from those that were done

What is left of the learning rate's schedule is stretched over the steps that are left (``schedules``), so a machine
that gets busy, or quiet again, changes how much is learned and not when the run ends.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from textwright.training.config import ResolvedTrainConfig, TrainConfig

TARGET_BUDGET_FRACTION = 0.985
"""Of the minutes, to be used: what no look foresees, such as writing the model, takes the rest."""
OVERHEAD_FRACTION = 0.1
"""Of the minutes, for evaluations, samples and checkpoints: a short run makes fewer of them."""
MAX_EVALS = 10
"""How often a run evaluates, samples and saves when it is not told, at most."""
LOOKS = (0.1, 0.4, 0.7, 0.9)
"""Parts of the minutes, or of the schedule, after which the number of steps is looked at again; the beginning of the
learning rate's fall is one more."""
PAUSES = ("evaluate_every", "sample_every", "checkpoint_every")


@dataclass(frozen=True)
class StepTimings:
    """Seconds that the parts of a run take."""

    step_s: float
    evaluate_s: float
    sample_s: float
    save_s: float

    @property
    def pauses_s(self) -> dict[str, float]:
        """Of each kind of pause, by the setting that says how often it is made."""
        return dict(zip(PAUSES, (self.evaluate_s, self.sample_s, self.save_s), strict=True))

    def total_s(self, config: ResolvedTrainConfig) -> float:
        """Of a run, from its first step to its end."""
        total_s = config.steps * self.step_s
        for name, once_s in self.pauses_s.items():
            total_s += -(-config.steps // getattr(config, name)) * once_s
        return total_s


@dataclass(frozen=True)
class Length:
    """How long a run is to be from a step on, and how often it pauses until then."""

    from_step: int
    steps: int
    """The step it ends at."""
    evaluate_every: int
    sample_every: int
    checkpoint_every: int

    def applied_to(self, config: ResolvedTrainConfig) -> ResolvedTrainConfig:
        """The config of a run of this length."""
        return config.model_copy(update={name: getattr(self, name) for name in ("steps", *PAUSES)})


@dataclass
class Clock:
    """The minutes of a run, and what of it was seen so far.

    Args:
        budget_s: seconds that the whole run may take.
        config: as it was given: pauses that it names stay as they are.
    """

    budget_s: float
    config: TrainConfig
    _pauses_s: dict[str, float] = field(default_factory=dict)
    """What the last pause of each kind took."""
    _steps_s: list[float] = field(default_factory=list)
    """Of the steps since the last look."""
    _next_look: int = 0

    def note_step(self, seconds: float) -> None:
        """A step took so long."""
        self._steps_s.append(seconds)

    def note_pause(self, name: str, seconds: float) -> None:
        """A pause of this kind took so long."""
        self._pauses_s[name] = seconds

    def is_due(self, elapsed_s: float, place: float) -> bool:
        """Whether to look again: so many seconds, and so much of the schedule (0 to 1), are over."""
        marks = sorted({*LOOKS, 1.0 - self.config.decay_fraction} - {0.0, 1.0})
        passed = sum(max(elapsed_s / self.budget_s, place) >= mark for mark in marks)
        is_due = passed > self._next_look and len(self._steps_s) > 0
        if is_due:
            self._next_look = passed
        return is_due

    def length(self, timings: StepTimings, *, from_step: int, elapsed_s: float) -> Length:
        """How many steps fit into what is left, by these timings.

        Args:
            timings: of a step, and of pauses that were not made yet.
            from_step: steps that are done.
            elapsed_s: seconds that are over.
        """
        pauses_s = timings.pauses_s | self._pauses_s
        # The last of each kind is made at the end whatever comes, and the best model is written there.
        left_s = self.budget_s * TARGET_BUDGET_FRACTION - elapsed_s - sum(pauses_s.values()) - pauses_s[PAUSES[-1]]
        given = {name: every for name in PAUSES if (every := getattr(self.config, name)) is not None}
        step_s = timings.step_s + sum(pauses_s[name] / every for name, every in given.items())
        free_s = sum(once_s for name, once_s in pauses_s.items() if name not in given)
        left_fraction = max(0.0, 1.0 - elapsed_s / self.budget_s)
        most = max(1, round(MAX_EVALS * left_fraction))
        affordable_s = OVERHEAD_FRACTION * self.budget_s * left_fraction
        times = max(1, min(most, int(affordable_s / free_s))) if free_s else most
        steps = max(1, int((left_s - (times - 1) * free_s) / step_s))
        every = _spacing(from_step, from_step + steps, times)
        usual = dict.fromkeys(PAUSES, every) | {PAUSES[-1]: min(every, 500)}
        return Length(from_step, from_step + steps, **(usual | given))

    def look(self, timings: StepTimings, *, from_step: int, elapsed_s: float) -> Length:
        """How long the run is to be from here on, by the steps since the last look."""
        seen = StepTimings(sum(self._steps_s) / len(self._steps_s), *timings.pauses_s.values())
        self._steps_s.clear()
        return self.length(seen, from_step=from_step, elapsed_s=elapsed_s)


def _spacing(from_step: int, end: int, times: int) -> int:
    """How many steps apart pauses are, so that these many are made from a step on, the one at the end included."""
    every = -(-(end - from_step) // times)
    while (end - 1) // every - max(0, from_step - 1) // every > times - 1:
        every += 1
    return every


def read_length(values: Mapping[str, Any]) -> Length:
    """A length as a row of the journal, or a checkpoint, holds it."""
    return Length(**{name: int(values[name]) for name in ("from_step", "steps", *PAUSES)})
