"""Charts from plain numbers, as SVG that stands in a page by itself: no script, no other file.

Colours are the page's (``html.STYLE``), so that a chart is light or dark as the page is. What a point's numbers are
is shown where the pointer rests on it.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise

MAX_POINTS = 2000
"""Of a curve: more than a screen has columns."""
MAX_TIPS = 200
"""Places along a chart that tell their numbers."""
NUM_COLOURS = 5
WIDTH, HEIGHT = 960, 320
LEFT, RIGHT, TOP, BOTTOM = 84, 28, 34, 46
CHARACTER = 7.4
"""Width of one, about, in the labels' size."""


@dataclass(frozen=True)
class Line:
    """One curve."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    shows_points: bool = False


@dataclass(frozen=True)
class Bar:
    """One bar."""

    name: str
    value: float
    low: float | None = None
    """The interval that the value lies in; None where there is none."""
    high: float | None = None
    colour: int | None = None
    """The number of what it belongs to, by which bars of several are told apart; None: the first bar is marked out."""


@dataclass(frozen=True)
class _Axis:
    """From numbers to places."""

    low: float
    high: float
    start: float
    stop: float
    is_logarithmic: bool = False

    def place(self, value: float) -> float:
        low, high, here = (self._scaled(number) for number in (self.low, self.high, value))
        share = (here - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.stop - self.start)

    def ticks(self, count: int) -> list[float]:
        if self.is_logarithmic:
            return _logarithmic_ticks(self.low, self.high, count)
        return nice_ticks(self.low, self.high, count)

    def _scaled(self, value: float) -> float:
        return math.log10(value) if self.is_logarithmic else value


def line_chart(lines: Sequence[Line], *, x: str, y: str, is_logarithmic: bool = False) -> str:
    """Curves over a common axis.

    Args:
        lines: at least one. Long ones are thinned; what is None, or not finite, is a gap.
        x: what the axis below shows.
        y: what the axis beside it shows, with its unit.
        is_logarithmic: whether that axis is; numbers that are not positive are gaps then.
    """
    thinned = [_thinned(line, is_logarithmic) for line in lines]
    xs = [value for line in thinned for value in line.x] or [0.0]
    ys = [value for line in thinned for value in line.y if value is not None] or [1.0]
    across = _Axis(min(xs), max(xs), LEFT, WIDTH - RIGHT)
    low, high = (min(ys), max(ys)) if is_logarithmic else _widened(min(ys), max(ys))
    up = _Axis(low, high, HEIGHT - BOTTOM, TOP, is_logarithmic)
    parts = [_grid(across, up, x, y)]
    for number, line in enumerate(thinned):
        parts.append(_curve(line, across, up, number % NUM_COLOURS))
    parts.append(_legend([line.name for line in lines]))
    parts.append(_tips(thinned, across, x))
    return _svg(HEIGHT, y, parts)


def bar_chart(bars: Sequence[Bar], *, x: str) -> str:
    """Named values side by side, the first one marked out, with their intervals where they have some.

    Args:
        bars: at least one.
        x: what they show, with its unit.
    """
    longest = max(len(bar.name) for bar in bars)
    left = min(360.0, 16 + CHARACTER * longest)
    step, height = 36, 24 + 36 * len(bars) + BOTTOM
    reach = [
        *(bar.value for bar in bars),
        *(end for bar in bars for end in (bar.low, bar.high) if end is not None),
        0.0,
    ]
    finite = [value for value in reach if math.isfinite(value)]
    across = _Axis(min(finite), max(finite) or 1.0, left, WIDTH - 90)
    parts = [_vertical_grid(across, 12, height - BOTTOM, x)]
    zero = across.place(0.0)
    for number, bar in enumerate(bars):
        middle = 30 + step * number
        parts.append(_text(left - 8, middle + 4, _shortened(bar.name), "end"))
        if not math.isfinite(bar.value):
            parts.append(_text(zero + 6, middle + 4, "no meaning here"))
            continue
        end = across.place(bar.value)
        kind = ("plain" if number else "c0") if bar.colour is None else f"c{bar.colour % NUM_COLOURS}"
        tip = _tip(f"{bar.name}: {show_number(bar.value)}{_interval(bar)}")
        begin, size = min(zero, end), abs(end - zero)
        parts.append(
            f"<rect class='bar {kind}' x='{begin:.1f}' y='{middle - 10}' width='{size:.1f}' height='20'>{tip}</rect>"
        )
        furthest = end
        if bar.low is not None and bar.high is not None:
            low, high = across.place(bar.low), across.place(bar.high)
            ends = "".join(f"M{place:.1f} {middle - 6}v12" for place in (low, high))
            parts.append(f"<path class='interval' d='M{low:.1f} {middle}H{high:.1f}{ends}'>{tip}</path>")
            furthest = max(end, high)
        parts.append(_text(furthest + 6, middle + 4, show_number(bar.value)))
    return _svg(height, x, parts)


def matrix_chart(
    labels: Sequence[str], counts: Sequence[Sequence[float]], *, rows: str, columns: str, others: str = ""
) -> str:
    """Counts of labels by labels, the larger the darker, as a confusion matrix.

    Args:
        labels: of rows and columns.
        counts: [row][column]; with ``others`` each row has one more, the last.
        rows: what a row is.
        columns: what a column is.
        others: the name of that column, for all that is none of the labels.
    """
    names = [*labels, others] if others else [*labels]
    cell = max(18.0, min(64.0, 560 / max(1, len(names))))
    longest = max(map(len, names), default=0)
    left, top = 40 + min(220.0, CHARACTER * longest), 40 + min(160.0, CHARACTER * longest)
    parts = [_text(left, 16, f"{columns} →"), _text(8, top - 8, f"{rows} ↓")]
    for column, name in enumerate(names):
        x = left + cell * column + cell / 2
        parts.append(
            f"<g transform='translate({x + 4:.1f},{top - 6:.1f}) rotate(-55)'>{_text(0, 0, _shortened(name, 24))}</g>"
        )
    for row, (label, values) in enumerate(zip(labels, counts, strict=True)):
        total, y = sum(values) or 1.0, top + cell * row
        parts.append(_text(left - 8, y + cell / 2 + 4, _shortened(label, 30), "end"))
        for column, (name, value) in enumerate(zip(names, values, strict=True)):
            place = left + cell * column
            tip = _tip(f"{label} → {name}: {show_number(value)} of {show_number(total)}")
            kind, size = "cell right" if row == column else "cell", f"{cell - 1:.1f}"
            where = f"x='{place:.1f}' y='{y:.1f}' width='{size}' height='{size}'"
            parts.append(f"<rect class='{kind}' {where} fill-opacity='{value / total:.3f}'>{tip}</rect>")
            if cell >= 30 and value:
                parts.append(_text(place + cell / 2, y + cell / 2 + 4, show_number(value), "middle", "count"))
    height, width = top + cell * len(labels) + 16, left + cell * len(names) + 100
    return _svg(round(height), f"{rows} by {columns}", parts, width=max(WIDTH, round(width)))


def histogram(values: Sequence[float], *, x: str, y: str) -> str:
    """How often values come up, in about 24 ranges of one width.

    Args:
        values: at least one, whole numbers.
        x: what they are, with its unit.
        y: what is counted.
    """
    ticks = nice_ticks(min(values), max(values), 24)
    step = max(1.0, ticks[1] - ticks[0]) if len(ticks) > 1 else 1.0
    first = math.floor(min(values) / step) * step
    counts = [0] * (int((max(values) - first) // step) + 1)
    for value in values:
        counts[int((value - first) // step)] += 1
    across = _Axis(first, first + step * len(counts), LEFT, WIDTH - RIGHT)
    up = _Axis(0.0, max(counts) * 1.05, HEIGHT - BOTTOM, TOP)
    parts = [_grid(across, up, x, y)]
    for number, count in enumerate(counts):
        low, height = first + number * step, HEIGHT - BOTTOM - up.place(count)
        begin, width = across.place(low), across.place(low + step) - across.place(low)
        said = show_number(low) if step == 1 else f"{show_number(low)} to {show_number(low + step - 1)}"
        where = f"x='{begin + 1:.1f}' y='{up.place(count):.1f}' width='{max(1.0, width - 2):.1f}' height='{height:.1f}'"
        parts.append(f"<rect class='bar c0' {where}>{_tip(f'{said}: {show_number(count)}')}</rect>")
    return _svg(HEIGHT, x, parts)


def show_number(value: float) -> str:
    """A number as an axis or a tip shows it."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.3g}" if abs(value) < 1e-2 else f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"


def nice_ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers within a range: about so many, 1, 2 or 5 times a power of ten apart."""
    if not high > low:
        return [low]
    rough = (high - low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [number * step for number in range(first, math.floor(high / step + 1e-9) + 1)]


def _logarithmic_ticks(low: float, high: float, count: int) -> list[float]:
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    fine = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    inside = [value for value in fine if low <= value <= high]
    coarse = [value for value in inside if str(value).strip("0.")[:1] == "1"]
    return coarse if len(coarse) >= count else inside


def _thinned(line: Line, is_logarithmic: bool) -> Line:
    every = max(1, len(line.x) // MAX_POINTS)
    places = [*range(0, len(line.x), every)]
    if places and places[-1] != len(line.x) - 1:
        places.append(len(line.x) - 1)
    values = [line.y[place] for place in places]
    kept = [value if _is_shown(value, is_logarithmic) else None for value in values]
    return Line(line.name, [float(line.x[place]) for place in places], kept, line.shows_points)


def _is_shown(value: float | None, is_logarithmic: bool) -> bool:
    return value is not None and math.isfinite(value) and (value > 0 or not is_logarithmic)


def _widened(low: float, high: float) -> tuple[float, float]:
    """A little beyond both, so that no curve lies on the edge."""
    more = 0.04 * (high - low) or abs(high) * 0.1 or 1.0
    return low - more if low < 0 or low > more else 0.0, high + more


def _curve(line: Line, across: _Axis, up: _Axis, colour: int) -> str:
    drawn, points, is_begun = list[str](), list[str](), False
    for x, y in zip(line.x, line.y, strict=True):
        if y is None:
            is_begun = False
            continue
        place = f"{across.place(x):.1f} {up.place(y):.1f}"
        drawn.append(f"{'L' if is_begun else 'M'}{place}")
        if line.shows_points:
            px, py = place.split()
            points.append(f"<circle class='point c{colour}' cx='{px}' cy='{py}' r='3.5'/>")
        is_begun = True
    return f"<path class='line c{colour}' d='{''.join(drawn)}'/>{''.join(points)}"


def _tips(lines: Sequence[Line], across: _Axis, x: str) -> str:
    """Strips across the chart: where the pointer rests on one, the numbers there are told."""
    base = max(lines, key=lambda line: len(line.x))
    every = max(1, len(base.x) // MAX_TIPS)
    places = base.x[::every]
    edges = [
        LEFT,
        *((across.place(a) + across.place(b)) / 2 for a, b in pairwise(places)),
        WIDTH - RIGHT,
    ]
    strips = []
    for number, value in enumerate(places):
        told = [f"{x} {show_number(value)}"]
        for line in lines:
            near = _nearest(line, value)
            if near is not None:
                told.append(f"{line.name}: {show_number(near)}")
        begin, end = edges[number], edges[number + 1]
        middle = across.place(value)
        strip = f"x='{begin:.1f}' y='{TOP}' width='{max(0.5, end - begin):.1f}' height='{HEIGHT - TOP - BOTTOM}'"
        mark = f"<path d='M{middle:.1f} {TOP}V{HEIGHT - BOTTOM}'/>"
        strips.append(f"<g class='tip'><rect {strip}/>{mark}{_tip(chr(10).join(told))}</g>")
    return "".join(strips)


def _nearest(line: Line, x: float) -> float | None:
    if not line.x:
        return None
    place = min(bisect_left(line.x, x), len(line.x) - 1)
    if place and x - line.x[place - 1] < line.x[place] - x:
        place -= 1
    return line.y[place]


def _grid(across: _Axis, up: _Axis, x: str, y: str) -> str:
    parts = []
    for value in up.ticks(5):
        place = up.place(value)
        parts.append(f"<path class='grid' d='M{LEFT} {place:.1f}H{WIDTH - RIGHT}'/>")
        parts.append(_text(LEFT - 8, place + 4, show_number(value), "end"))
    parts.append(_vertical_grid(across, TOP, HEIGHT - BOTTOM, x))
    parts.append(
        f"<g transform='translate(14,{(HEIGHT - BOTTOM + TOP) / 2:.0f}) rotate(-90)'>{_text(0, 0, y, 'middle')}</g>"
    )
    return "".join(parts)


def _vertical_grid(across: _Axis, top: float, bottom: float, x: str) -> str:
    parts = []
    for value in across.ticks(8):
        place = across.place(value)
        parts.append(f"<path class='grid' d='M{place:.1f} {top}V{bottom}'/>")
        parts.append(_text(place, bottom + 18, show_number(value), "middle"))
    parts.append(_text((across.start + across.stop) / 2, bottom + 38, x, "middle"))
    return "".join(parts)


def _legend(names: Sequence[str]) -> str:
    parts, place = list[str](), float(LEFT)
    for number, name in enumerate(names):
        parts.append(f"<path class='line c{number % NUM_COLOURS}' d='M{place:.0f} 14h18'/>")
        parts.append(_text(place + 24, 18, _shortened(name)))
        place += 24 + CHARACTER * len(_shortened(name)) + 24
    return "".join(parts)


def _interval(bar: Bar) -> str:
    if bar.low is None or bar.high is None:
        return ""
    return f" ({show_number(bar.low)} to {show_number(bar.high)})"


def _shortened(name: str, length: int = 46) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _text(x: float, y: float, text: str, anchor: str = "start", kind: str = "label") -> str:
    return f"<text class='{kind}' x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'>{escape(text)}</text>"


def _tip(text: str) -> str:
    return f"<title>{escape(text)}</title>"


def _svg(height: int, label: str, parts: Sequence[str], *, width: int = WIDTH) -> str:
    return (
        f"<div class='chart'><svg viewBox='0 0 {width} {height}' role='img' aria-label='{escape(label, quote=True)}'>"
        f"{''.join(parts)}</svg></div>"
    )
