import pytest
from hypothesis import given
from hypothesis import strategies as st

from textwright.training.schedules import learning_rate_fraction


def _curve(schedule: str, *, steps: int = 100, warmup_steps: int = 10, min_lr_ratio: float = 0.0) -> list[float]:
    return [
        learning_rate_fraction(
            step,
            steps=steps,
            schedule=schedule,
            warmup_steps=warmup_steps,
            decay_fraction=0.2,
            min_lr_ratio=min_lr_ratio,
        )
        for step in range(steps)
    ]


def test_cosine_rises_in_a_line_and_falls_to_its_end() -> None:
    curve = _curve("cosine", min_lr_ratio=0.1)
    assert curve[:10] == pytest.approx([(step + 1) / 11 for step in range(10)])
    assert curve[10] == 1.0
    assert curve[55] == pytest.approx(0.55)  # halfway between 1 and 0.1
    assert curve[99] == pytest.approx(0.1, abs=1e-3)


def test_wsd_stays_until_the_last_fifth() -> None:
    curve = _curve("wsd")
    assert curve[10:81] == [1.0] * 71
    assert curve[90] == pytest.approx(0.5)
    assert curve[99] == pytest.approx(0.05)


@given(
    schedule=st.sampled_from(["cosine", "wsd"]),
    steps=st.integers(1, 50),
    warmup_steps=st.integers(0, 60),
    min_lr_ratio=st.floats(0, 1),
)
def test_the_rate_rises_to_one_peak_and_falls_within_bounds(
    schedule: str, steps: int, warmup_steps: int, min_lr_ratio: float
) -> None:
    curve = _curve(schedule, steps=steps, warmup_steps=warmup_steps, min_lr_ratio=min_lr_ratio)
    assert all(0 < rate <= 1 for rate in curve)
    peak = curve.index(max(curve))
    assert curve[: peak + 1] == sorted(curve[: peak + 1])
    assert curve[peak:] == sorted(curve[peak:], reverse=True)
