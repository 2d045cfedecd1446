"""
The chart, drawn from a saved result: C{python -m tests.benchmarks --from
result.json --chart chart.svg}.

matplotlib draws it; it is needed for nothing else.
"""

# matplotlib can be missing where types are checked.
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import io
import re
from typing import Any

from tests.benchmarks.cases import Case
from tests.benchmarks.peers import CLIENTS, PEERS

__all__ = ["ChartFailed", "draw", "panels"]

# Light letters on a dark ground, where the reader has asked for that.  matplotlib
# writes colours into each element, so these have to be stronger.  The background stays
# one of the chart's own: a page may be dark where the system is not.
_DARK = """
@media (prefers-color-scheme: dark) {
  text { fill: #e4e4e4 !important }
  [style*="fill: #ffffff"] { fill: #131416 !important }
  [style*="stroke: #000000"] { stroke: #c8c8c8 !important }
  [style*="fill: #4c78a8"] { fill: #5b8fc9 !important }
}
"""

_TITLES = {
    **{peer.name: peer.title for peer in PEERS},
    **{client.name: client.title for client in CLIENTS},
    "twisted.web": "twisted.web",
}


class ChartFailed(Exception):
    """
    The chart can not be drawn.
    """


def panels(document: dict[str, Any], cases: list[Case]) -> list[tuple[str, list[Any]]]:
    """
    What is drawn: for each of the cases its title and its ratios, the greatest first.
    """
    drawn = []
    for case in cases:
        ratios = [one for one in document["ratios"] if one["case"] == case.fullName]
        if ratios:
            ratios.sort(key=lambda ratio: -ratio["median"])
            drawn.append((case.title, ratios))
    return drawn


def draw(
    document: dict[str, Any], path: str, cases: list[Case], width: float = 8
) -> None:
    """
    Draw our figure divided by each peer's, with the spread of the rounds.

    @param document: a saved result.
    @param path: where the SVG goes.
    @param cases: draw only these.
    @param width: of the chart, in inches; what is narrow can be read on a phone.
    @raise ChartFailed: when matplotlib is missing, or nothing was compared.
    """
    try:
        from matplotlib import rc_context
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure
    except ImportError as reason:
        raise ChartFailed(
            f"a chart needs matplotlib, which can not be imported ({reason})"
        ) from None
    drawn = panels(document, cases)
    if not drawn:
        raise ChartFailed("the result has no ratios of those cases")
    heights = [len(ratios) + 2 for _, ratios in drawn]
    # Names that are the same in every run, and text that stays text, so that
    # two versions of the file can be compared.
    with rc_context({"svg.hashsalt": "benchmarks", "svg.fonttype": "none"}):
        figure = Figure(figsize=(width, 0.28 * sum(heights)), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.subplots(len(drawn), 1, squeeze=False, height_ratios=heights)
        for axis, (title, ratios) in zip(axes[:, 0], drawn, strict=True):
            _panel(axis, title, ratios)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    dark = rf"\1{_DARK}\2"
    svg = re.sub(r"(<style type=\"text/css\">[^<]*)(</style>)", dark, text.getvalue())
    with open(path, "w", encoding="utf-8") as file:
        file.write(svg)


def _panel(axis: Any, title: str, ratios: list[Any]) -> None:
    names = [_TITLES.get(ratio["peer"], ratio["peer"]) for ratio in ratios]
    medians = [ratio["median"] for ratio in ratios]
    below = [ratio["median"] - ratio["low"] for ratio in ratios]
    above = [ratio["high"] - ratio["median"] for ratio in ratios]
    better = ratios[0]["better"]
    good = [(m >= 1) == (better == "higher") for m in medians]
    axis.barh(
        names,
        medians,
        xerr=[below, above],
        color=["#4c78a8" if one else "#e0893a" for one in good],
        error_kw={"elinewidth": 1, "capsize": 2},
    )
    axis.invert_yaxis()
    axis.axvline(1, color="black", linewidth=0.8)
    more = "more" if better == "higher" else "less"
    axis.set_title(f"{title}\nours / peer ({more} is better)", fontsize=9, loc="left")
    axis.tick_params(labelsize=8)
    for name, value, error in zip(names, medians, above, strict=True):
        axis.annotate(
            f"{value:.2f}",
            (value + error, name),
            xytext=(4, 0),
            textcoords="offset points",
            va="center",
            fontsize=7,
        )
    # Room for the label of the longest bar, in a narrow chart, too.
    axis.margins(x=0.16)
