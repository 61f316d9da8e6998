"""Charts from plain numbers, as plotly draws them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

PALETTE = ("#2563eb", "#d97706", "#059669", "#9333ea", "#dc2626")
MAX_POINTS = 2000


@dataclass(frozen=True)
class Line:
    """One curve."""

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    shows_points: bool = False


def line_chart(lines: Sequence[Line], *, x: str, y: str, is_logarithmic: bool = False) -> dict[str, Any]:
    """Curves over a common axis, zoomable. Long curves are thinned to what a screen can show."""
    traces = []
    for line, colour in zip(lines, PALETTE * (1 + len(lines) // len(PALETTE)), strict=False):
        every = max(1, len(line.x) // MAX_POINTS)
        traces.append(
            {
                "type": "scatter",
                "mode": "lines+markers" if line.shows_points else "lines",
                "name": line.name,
                "x": list(line.x)[::every],
                "y": list(line.y)[::every],
                "line": {"color": colour, "width": 2},
                "marker": {"size": 6},
            }
        )
    axis = {"title": {"text": y}, "type": "log" if is_logarithmic else "linear"}
    return _figure(traces, {"xaxis": {"title": {"text": x}}, "yaxis": axis, "hovermode": "x unified"})


def bar_chart(values: dict[str, float], *, x: str) -> dict[str, Any]:
    """Named values side by side, the first one marked out."""
    names = list(values)[::-1]
    trace = {
        "type": "bar",
        "orientation": "h",
        "y": names,
        "x": [values[name] for name in names],
        "text": [f"{values[name]:.3f}" for name in names],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": [PALETTE[0] if name == next(iter(values)) else "#94a3b8" for name in names]},
    }
    margin = {"l": 10, "r": 50, "t": 10, "b": 40}
    height = 70 + 44 * len(values)
    layout = {"xaxis": {"title": {"text": x}}, "yaxis": {"automargin": True}, "height": height, "margin": margin}
    return _figure([trace], layout)


def _figure(traces: list[dict[str, Any]], layout: dict[str, Any]) -> dict[str, Any]:
    common = {
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 60, "r": 20, "t": 10, "b": 45},
        "height": 340,
        "legend": {"orientation": "h", "y": 1.12},
        "font": {"family": "system-ui, sans-serif", "size": 13},
    }
    return {"data": traces, "layout": common | layout}
