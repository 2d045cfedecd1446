"""
The figures of the page on performance, from one saved run of the benchmarks.

  - C{.. performance-facts::}: machine, versions, date and settings.
  - C{.. performance-targets::}: what was promised, and what was reached.
  - C{.. performance-table:: LEVEL}: every ratio of a level.
  - C{.. performance-left-out::}: what was not measured, and why.
"""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

RESULT = Path(__file__).resolve().parent.parent / "performance.json"


def load() -> Any:
    """
    The saved run.
    """
    return json.loads(RESULT.read_text("utf-8"))


def titles() -> dict[str, str]:
    """
    What cases and peers are called on the page.
    """
    from tests.benchmarks.cases import CASES
    from tests.benchmarks.peers import CLIENTS, PEERS

    return {
        **{case.fullName: case.title for case in CASES},
        **{one.name: one.title for one in [*PEERS, *CLIENTS]},
        "twisted_h11": "twisted_h11's Site",
        "twisted.web": "twisted.web's Site",
    }


def figure(value: float, unit: str) -> str:
    """
    A value with as many digits as mean something.
    """
    if unit == "s/request":
        return f"{value * 1e6:.0f} µs"
    if unit == "s/event":
        return f"{value * 1e6:.1f} µs"
    if unit in ("requests/s", "messages/s"):
        return f"{value:,.0f}/s"
    if unit == "bytes/connection":
        return f"{value / 1024:.1f} KiB"
    return f"{value:.2f} s"


def table(heading: list[str], rows: list[list[str]]) -> list[str]:
    """
    The lines of a list table.
    """
    if not rows:
        return ["Not measured in this run.", ""]
    out = [".. list-table::", "   :header-rows: 1", ""]
    for row in [heading, *rows]:
        out += [f"   {'* ' if n == 0 else '  '}- {cell}" for n, cell in enumerate(row)]
    return [*out, ""]


def facts(document: Any) -> list[str]:
    """
    Where, when and how it was measured.
    """
    machine = document["machine"]
    chosen = document["settings"]
    load = ", ".join(f"{one:.2f}" for one in machine["load"])
    rows = [
        ["Date", machine["date"]],
        ["Machine", f"{machine['processor']}, {machine['cores']} cores"],
        ["System", f"{machine['system']}, {machine['wrk']}"],
        ["Revision", f"``{machine['revision']}``"],
        ["Load before (1, 5, 15 minutes)", load],
        [
            "Versions",
            ", ".join(f"{n} {v}" for n, v in document["versions"].items()),
        ],
        [
            "Settings",
            (
                f"{chosen['rounds']} rounds, {chosen['seconds']} s each, "
                f"{chosen['connections']} connections; "
                f"{chosen['idle_connections']:,} idle connections; a large body of "
                f"{chosen['bulk_bytes'] >> 20} MiB"
            ),
        ],
    ]
    if "interrupted" in machine:
        rows.append(["Interrupted", str(machine["interrupted"])])
    return table(["", ""], rows)


def _spread(ratio: Any) -> str:
    return f"{ratio['low']:.2f} to {ratio['high']:.2f}"


def targets(document: Any) -> list[str]:
    """
    What was promised, and what was reached.
    """
    names = titles()
    rows = []
    for ratio in document["ratios"]:
        if ratio["target"] is None:
            continue
        sign = "at least" if ratio["better"] == "higher" else "at most"
        rows.append(
            [
                names[ratio["case"]],
                names[ratio["peer"]],
                f"{sign} {ratio['target']:.2f}",
                f"**{ratio['median']:.2f}**",
                _spread(ratio),
                "kept" if ratio["met"] else "**missed**",
            ]
        )
    heading = ["Measure", "Against", "Promised", "Reached", "Rounds", ""]
    return table(heading, rows)


_BESIDE = ["Sends", "p50, ms", "p99, ms"]


def _beside(ours: Any, theirs: Any) -> list[str]:
    """
    What else was taken down: the system calls that send a response, and how long a
    client waits, ours and theirs.
    """
    cells = []
    names = (("sends", 1), ("p50_microseconds", 1000), ("p99_microseconds", 1000))
    for name, unit in names:
        figures = [
            f"{median(one[name]) / unit:.1f}" if name in one else "-"
            for one in (ours, theirs)
        ]
        cells.append(", ".join(figures))
    return cells


def level(document: Any, name: str) -> list[str]:
    """
    Every ratio of a level.
    """
    names = titles()
    results = {(one["case"], one["peer"]): one for one in document["results"]}
    rows = []
    for ratio in document["ratios"]:
        if not ratio["case"].startswith(name + "/"):
            continue
        ours = results[ratio["case"], ratio["ours"]]
        theirs = results[ratio["case"], ratio["peer"]]
        lost = (ratio["median"] < 1) == (ratio["better"] == "higher")
        reached = f"{ratio['median']:.2f}"
        rows.append(
            [
                names[ratio["case"]],
                names[ratio["peer"]],
                figure(ours["median"], ours["unit"]),
                figure(theirs["median"], theirs["unit"]),
                f"**{reached}** (we lose)" if lost else reached,
                _spread(ratio),
                *_beside(ours, theirs),
            ]
        )
    heading = ["Case", "Against", "Ours", "Theirs", "Ours / theirs", "Rounds", *_BESIDE]
    # Columns in which nothing stands are left out.
    kept = [
        place
        for place in range(len(heading))
        if any(row[place] != "-, -" for row in rows)
    ]
    heading, *rows = ([row[place] for place in kept] for row in [heading, *rows])
    return table(heading, rows)


def left_out(document: Any) -> list[str]:
    """
    What was not measured, and why.
    """
    names = titles()
    cases: dict[tuple[str, str], list[str]] = {}
    for one in document["left_out"]:
        cases.setdefault((one["peer"], one["reason"]), []).append(one["case"])
    return [
        f"- {names.get(peer, peer)}: {reason} "
        f"({', '.join(f'``{case}``' for case in which)})"
        for (peer, reason), which in cases.items()
    ] or ["Nothing."]


class _Figures(Directive):
    """
    Parses lines that are made of the saved run as if they stood in the page.
    """

    optional_arguments = 1

    def lines(self, document: Any) -> list[str]:
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        self.state.document.settings.env.note_dependency(str(RESULT))
        node = nodes.container()
        lines = StringList(self.lines(load()), "performance.json")
        self.state.nested_parse(lines, 0, node)
        return node.children


class _Facts(_Figures):
    def lines(self, document: Any) -> list[str]:
        return facts(document)


class _Targets(_Figures):
    def lines(self, document: Any) -> list[str]:
        return targets(document)


class _Level(_Figures):
    def lines(self, document: Any) -> list[str]:
        return level(document, self.arguments[0])


class _LeftOut(_Figures):
    def lines(self, document: Any) -> list[str]:
        return left_out(document)


def setup(app: Any) -> dict[str, Any]:
    """
    See Sphinx.
    """
    app.add_directive("performance-facts", _Facts)
    app.add_directive("performance-targets", _Targets)
    app.add_directive("performance-table", _Level)
    app.add_directive("performance-left-out", _LeftOut)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
