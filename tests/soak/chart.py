"""
A run as one SVG: a panel for each of the figures, over time.

The colours stand in a style of the SVG itself, which has others for readers who prefer
a dark scheme; the background is that of the page.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Any

__all__ = ["Line", "Panel", "draw", "panels", "ticks"]

WIDTH, HEIGHT, LEFT, RIGHT, TOP, GAP = 760, 90, 64, 12, 40, 44

STYLE = """
svg { background: #ffffff; }
text { font: 12px system-ui, sans-serif; fill: #1f2328; }
.title { font-weight: 600; }
.tick { font-size: 11px; fill: #57606a; }
.grid { stroke: #d0d7de; stroke-width: 1; }
.line { fill: none; stroke-width: 1.5; stroke-linejoin: round; }
.c0 { stroke: #0969da; } .c1 { stroke: #bc4c00; } .c2 { stroke: #8250df; }
@media (prefers-color-scheme: dark) {
svg { background: #131416; }
text { fill: #e6edf3; }
.tick { fill: #9da7b3; }
.grid { stroke: #3d444d; }
.c0 { stroke: #58a6ff; } .c1 { stroke: #f0883e; } .c2 { stroke: #bc8cff; }
}
"""

Points = list[tuple[float, float]]


@dataclass
class Line:
    """
    One line of a panel.

    @ivar color: the number of its colour.
    """

    name: str
    points: Points
    color: int


@dataclass
class Panel:
    """
    One figure over time.
    """

    title: str
    lines: list[Line]


def _values(samples: Sequence[dict[str, Any]], key: str, unit: float) -> Points:
    return [(one["at"], one[key] / unit) for one in samples if one.get(key) is not None]


def _rates(samples: Sequence[dict[str, Any]], key: str, unit: float) -> Points:
    return [
        (two["at"], (two[key] - one[key]) / (two["at"] - one["at"]) / unit)
        for one, two in pairwise(samples)
    ]


Reading = Callable[[Sequence[dict[str, Any]], str, float], Points]

_EACH: tuple[tuple[str, Reading, str, float], ...] = (
    ("Requests answered, in a second", _rates, "requests", 1),
    ("Refusals, in a second", _rates, "refused", 1),
    ("Memory of all its processes, MiB", _values, "memory", 1 << 20),
    ("Descriptors", _values, "descriptors", 1),
    ("Connections", _values, "connections", 1),
)


def panels(document: dict[str, Any]) -> list[Panel]:
    """
    What is drawn.
    """
    servers = {name: one["samples"] for name, one in document["servers"].items()}
    found = [
        Panel(
            title,
            [
                Line(name, read(samples, key, unit), number)
                for number, (name, samples) in enumerate(servers.items())
            ],
        )
        for title, read, key, unit in _EACH
    ]
    # The latencies are of all servers together: each has the same.
    samples = next(iter(servers.values()))
    lines = [
        Line("p50", _values(samples, "p50", 0.001), 0),
        Line("p99", _values(samples, "p99", 0.001), 2),
    ]
    title = "Latency of a small request (blue: median, violet: 99 %), ms"
    found.insert(2, Panel(title, lines))
    return found


def ticks(most: float, number: int = 4) -> list[float]:
    """
    Round values from 0 to a value that is at least C{most}.
    """
    if most <= 0:
        return [0.0, 1.0]
    raw = most / number
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * one for one in (1, 2, 2.5, 5, 10) if power * one >= raw * 0.999)
    return [step * one for one in range(math.ceil(most / step - 1e-9) + 1)]


def _panel(panel: Panel, top: float, longest: float) -> list[str]:
    values = [value for line in panel.lines for _, value in line.points]
    scale = ticks(max(values, default=0), 3)
    width = WIDTH - LEFT - RIGHT
    said = [
        f'<text class="title" x="{LEFT}" y="{top - 8}">{escape(panel.title)}</text>'
    ]

    def height(value: float) -> float:
        return round(top + HEIGHT * (1 - value / scale[-1]), 1)

    for value in scale:
        y = height(value)
        said.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        )
        said.append(
            f'<text class="tick" x="{LEFT - 6}" y="{y + 4}" text-anchor="end">'
            f"{value:g}</text>"
        )
    for line in panel.lines:
        points = " ".join(
            f"{LEFT + width * at / longest:.1f},{height(value)}"
            for at, value in line.points
        )
        said.append(
            f'<polyline class="line c{line.color}" points="{points}">'
            f"<title>{escape(line.name)}</title></polyline>"
        )
    return said


def _legend(names: Sequence[str]) -> list[str]:
    said = []
    for number, name in enumerate(names):
        x = LEFT + 140 * number
        said += [
            f'<line class="line c{number}" x1="{x}" x2="{x + 24}" y1="12" y2="12"/>',
            f'<text x="{x + 30}" y="16">{escape(name)}</text>',
        ]
    return said


def _clock(longest: float, bottom: float) -> list[str]:
    minutes = longest >= 300
    unit = 60 if minutes else 1
    width = WIDTH - LEFT - RIGHT
    said = [
        f'<text class="tick" x="{LEFT + width * at * unit / longest:.1f}" '
        f'y="{bottom}" text-anchor="middle">{at:g}</text>'
        for at in ticks(longest / unit, 5)
        if at * unit <= longest
    ]
    said.append(
        f'<text class="tick" x="{WIDTH - RIGHT}" y="{bottom + 14}" text-anchor="end">'
        f"{'minutes' if minutes else 'seconds'}</text>"
    )
    return said


def draw(document: dict[str, Any]) -> str:
    """
    The SVG.
    """
    longest = document["seconds"]
    drawn = panels(document)
    said = [f"<style>{STYLE}</style>", *_legend(list(document["servers"]))]
    top = TOP + 10
    for panel in drawn:
        said += _panel(panel, top, longest)
        top += HEIGHT + GAP
    bottom = top - GAP + 18
    said += _clock(longest, bottom)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 24}" '
        f'width="{WIDTH}" height="{bottom + 24}" role="img" '
        'aria-label="Requests, refusals, latency, memory, descriptors and connections '
        'over time">\n' + "\n".join(said) + "\n</svg>\n"
    )
