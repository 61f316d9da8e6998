"""One HTML file that opens without a network: text, tables and charts, light and dark, phone to wide."""

import html
from collections.abc import Iterable, Mapping, Sequence

STYLE = """
:root { color-scheme: light dark; --ground: #f8fafc; --card: #ffffff; --ink: #0f172a; --soft: #64748b;
  --line: #e2e8f0; --accent: #2563eb;
  --c0: #2563eb; --c1: #d97706; --c2: #059669; --c3: #9333ea; --c4: #dc2626; }
@media (prefers-color-scheme: dark) { :root { --ground: #0b1120; --card: #131c31; --ink: #e2e8f0; --soft: #94a3b8;
  --line: #26324a; --accent: #60a5fa;
  --c0: #60a5fa; --c1: #fbbf24; --c2: #34d399; --c3: #c084fc; --c4: #f87171; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px 20px 80px; }
h1 { font-size: 1.9rem; margin: 0 0 4px; letter-spacing: -0.02em; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 40px 0 12px; overflow-wrap: anywhere; }
p.soft, .soft { color: var(--soft); }
section.card { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 18px 20px;
  margin: 12px 0; overflow-x: auto; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin: 20px 0; }
.fact { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 14px 16px; }
.fact b { display: block; font-size: 1.3rem; font-variant-numeric: tabular-nums; letter-spacing: -0.01em;
  white-space: nowrap; }
.fact span { color: var(--soft); font-size: 0.85rem; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 13.5px/1.5 ui-monospace, monospace; margin: 0; }
pre mark { background: none; color: var(--soft); }
table { border-collapse: collapse; width: 100%; font-size: 0.92rem; }
td, th { text-align: left; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line); vertical-align: top;
  overflow-wrap: anywhere; }
tr:last-child td { border-bottom: 0; }
th { color: var(--soft); font-weight: 500; }
table.grid td, table.grid th { overflow-wrap: normal; font-variant-numeric: tabular-nums; }
table.grid td.long { overflow-wrap: anywhere; min-width: 180px; color: var(--soft); font-size: 0.85rem; }
table.grid td.long:last-child { min-width: 520px; }
p.note { color: var(--soft); margin: 6px 0 10px; }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(260px, 100%), 1fr)); gap: 12px 24px; }
.beside > div, .said > div { min-width: 0; }
.said { display: grid; grid-template-columns: minmax(84px, max-content) minmax(0, 1fr); gap: 6px 16px; }
.said > span { color: var(--soft); font-size: 0.85rem; }
@media (max-width: 520px) { .said { grid-template-columns: minmax(0, 1fr); gap: 2px; }
  .said pre { margin-bottom: 8px; } }
details > summary { cursor: pointer; color: var(--soft); }
.chart { overflow-x: auto; }
.chart svg { display: block; width: 100%; min-width: 620px; height: auto; font: 13px system-ui, sans-serif; }
.chart .label { fill: var(--soft); } .chart .count { fill: var(--ink); }
.chart .grid { stroke: var(--line); fill: none; }
.chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.chart .c0 { stroke: var(--c0); } .chart .c1 { stroke: var(--c1); } .chart .c2 { stroke: var(--c2); }
.chart .c3 { stroke: var(--c3); } .chart .c4 { stroke: var(--c4); }
.chart .point { fill: var(--card); stroke-width: 2; }
.chart .bar { stroke: none; fill: var(--soft); fill-opacity: 0.55; }
.chart .bar.c0 { fill: var(--c0); fill-opacity: 1; } .chart .bar.c1 { fill: var(--c1); fill-opacity: 1; }
.chart .bar.c2 { fill: var(--c2); fill-opacity: 1; } .chart .bar.c3 { fill: var(--c3); fill-opacity: 1; }
.chart .bar.c4 { fill: var(--c4); fill-opacity: 1; }
.chart .interval { fill: none; stroke: var(--ink); stroke-width: 1.5; }
.chart .cell { fill: var(--c4); stroke: var(--line); } .chart .cell.right { fill: var(--c2); }
.chart .tip rect { fill: transparent; } .chart .tip path { stroke: var(--soft); opacity: 0; }
.chart .tip:hover path { opacity: 1; }
"""
MAX_LISTED, MAX_READ = 8, 600
"""Of a list, its values; of a text in a table, its characters."""
GENERATOR = "<meta name='generator' content='Textwright'>"
"""By which a page is known for one of ours."""


def page(title: str, parts: Sequence[str]) -> str:
    """The whole file. ``parts`` are what the functions below, and those of ``chart``, return."""
    return (
        f"<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>{GENERATOR}"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta http-equiv='Content-Security-Policy' content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">'
        # Without it a browser would ask whoever serves the page for a picture.
        "<link rel='icon' href='data:,'>"
        f"<title>{text(title)}</title><style>{STYLE}</style></head><body><main>"
        + "\n".join(parts)
        + "</main></body></html>\n"
    )


def is_page(beginning: bytes) -> bool:
    """Whether a file that begins so is a page of ours."""
    return GENERATOR.encode() in beginning


def text(value: object) -> str:
    """Anything, as text that cannot be markup; what is no Unicode text, such as half a surrogate pair, as ``?``."""
    return html.escape(str(value).encode("utf-8", "replace").decode(), quote=True)


def heading(title: str, subtitle: str = "") -> str:
    """The page's title."""
    return f"<h1>{text(title)}</h1><p class='soft'>{text(subtitle)}</p>"


def section(title: str, *parts: str, lead: str = "") -> str:
    """A titled part of the page; ``lead`` is a sentence before its parts."""
    cards = "".join(f"<section class='card'>{part}</section>" for part in parts)
    return f"<h2>{text(title)}</h2>{note(lead) if lead else ''}{cards}"


def facts(values: Mapping[str, str]) -> str:
    """Large figures with their names."""
    boxes = (f"<div class='fact'><b>{text(value)}</b><span>{text(name)}</span></div>" for name, value in values.items())
    return f"<div class='facts'>{''.join(boxes)}</div>"


def table(rows: Iterable[tuple[str, object]]) -> str:
    """Names and values; a name may come more than once."""
    lines = (f"<tr><td class='soft'>{text(name)}</td><td>{text(value)}</td></tr>" for name, value in rows)
    return f"<table>{''.join(lines)}</table>"


def passage(prompt: str, continuation: str) -> str:
    """A text of which the beginning was given."""
    return f"<pre><mark>{text(prompt)}</mark>{text(continuation)}</pre>"


def folded(summary: str, part: str) -> str:
    """A part that opens when it is clicked."""
    return f"<details><summary>{text(summary)}</summary>{part}</details>"


def grid(columns: Sequence[str], rows: Iterable[Sequence[object]], *, long: Sequence[str] = ()) -> str:
    """A table with names above its columns.

    Args:
        columns: the names.
        rows: as many values each.
        long: the columns whose texts may be broken anywhere.
    """
    kinds = [" class='long'" if name in long else "" for name in columns]
    head = "".join(f"<th>{text(name)}</th>" for name in columns)
    lines = []
    for row in rows:
        cells = (f"<td{kind}>{text(value)}</td>" for kind, value in zip(kinds, row, strict=True))
        lines.append(f"<tr>{''.join(cells)}</tr>")
    return f"<table class='grid'><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def note(sentence: str) -> str:
    """A sentence about what stands beside it."""
    return f"<p class='note'>{text(sentence)}</p>"


def said(values: Iterable[tuple[str, str]]) -> str:
    """Texts by their names, each as it was written."""
    lines = (f"<span>{text(name)}</span><div><pre>{text(value)}</pre></div>" for name, value in values)
    return f"<div class='said'>{''.join(lines)}</div>"


def beside(parts: Iterable[str]) -> str:
    """Parts side by side where there is room, below each other where there is none."""
    return f"<div class='beside'>{''.join(f'<div>{part}</div>' for part in parts)}</div>"


def excerpt(whole: str, most: int = 1200) -> str:
    """A text, without its middle where it is longer than so many characters."""
    half = most // 2
    if len(whole) <= most:
        return whole
    return f"{whole[:half]}\n[ {len(whole) - 2 * half:,} characters left out ]\n{whole[-half:]}"


def flat(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested tables as one, with dotted names; what is too long to read is cut."""
    found: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}"] = _readable(value)
    return found


def _readable(value: object) -> object:
    """A list too long to read as its length and its ends, and a long text without its middle."""
    if isinstance(value, (list, tuple)) and len(value) > MAX_LISTED:
        value = f"{len(value):,}: {value[0]}, {value[1]}, ..., {value[-1]}"
    return excerpt(str(value), MAX_READ) if isinstance(value, (str, list, tuple)) else value
