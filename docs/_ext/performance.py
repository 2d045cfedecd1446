"""
The figures of the page on performance, from one saved run of the benchmarks.

  - C{.. performance-facts::}: machine, versions, date and settings.
  - C{.. performance-targets::}: what was promised, and what was reached.
  - C{.. performance-table:: LEVEL}: every ratio of a level.
  - C{.. performance-left-out::}: what was not measured, and why.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList

from tests.benchmarks.cases import CASES
from tests.benchmarks.peers import CLIENTS, PEERS
from tests.benchmarks.report import BESIDE, FORMATS, figure, reasons

RESULT = Path(__file__).resolve().parent.parent / "performance.json"

# What cases and peers are called on the page.
_TITLES = {
    **{case.fullName: case.title for case in CASES},
    **{one.name: one.title for one in [*PEERS, *CLIENTS]},
    "twisted_h11": "twisted_h11's Site",
    "twisted.web": "twisted.web's Site",
}

_FORMATS = {
    **FORMATS,
    "s/request": (1e6, "{:.0f} µs"),
    "s/event": (1e6, "{:.1f} µs"),
    "bytes/connection": (1 / 1024, "{:.1f} KiB"),
}


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
    rows = {
        "Date": machine["date"],
        "Machine": f"{machine['processor']}, {machine['cores']} cores",
        "System": f"{machine['system']}, {machine['wrk']}",
        "Revision": f"``{machine['revision']}``",
        "Load before (1, 5, 15 minutes)": ", ".join(
            f"{one:.2f}" for one in machine["load"]
        ),
        "Versions": ", ".join(f"{n} {v}" for n, v in document["versions"].items()),
        "Settings": f"{chosen['rounds']} rounds, {chosen['seconds']} s each, "
        f"{chosen['connections']} connections; "
        f"{chosen['idle_connections']:,} idle connections; a large body of "
        f"{chosen['bulk_bytes'] >> 20} MiB",
    }
    if "interrupted" in machine:
        rows["Interrupted"] = str(machine["interrupted"])
    return table(["", ""], [[name, value] for name, value in rows.items()])


def _spread(ratio: Any) -> str:
    return f"{ratio['low']:.2f} to {ratio['high']:.2f}"


def targets(document: Any) -> list[str]:
    """
    What was promised, and what was reached.
    """
    heading = ["Measure", "Against", "Promised", "Reached", "Rounds", ""]
    rows = []
    for ratio in document["ratios"]:
        if ratio["target"] is None:
            continue
        sign = "at least" if ratio["better"] == "higher" else "at most"
        rows.append(
            [
                _TITLES[ratio["case"]],
                _TITLES[ratio["peer"]],
                f"{sign} {ratio['target']:.2f}",
                f"**{ratio['median']:.2f}**",
                _spread(ratio),
                "kept" if ratio["met"] else "**missed**",
            ]
        )
    return table(heading, rows)


def level(document: Any, name: str) -> list[str]:
    """
    Every ratio of a level, and what else was taken down, ours and theirs: the system
    calls that send a response, and how long a client waits.
    """
    results = {(one["case"], one["peer"]): one for one in document["results"]}
    heading = ["Case", "Against", "Ours", "Theirs", "Ours / theirs", "Rounds"]
    heading += ["Sends", "p50, ms", "p99, ms"]
    rows = []
    for ratio in document["ratios"]:
        if not ratio["case"].startswith(name + "/"):
            continue
        both = [results[ratio["case"], ratio[side]] for side in ("ours", "peer")]
        lost = (ratio["median"] < 1) == (ratio["better"] == "higher")
        reached = f"{ratio['median']:.2f}"
        rows.append(
            [
                _TITLES[ratio["case"]],
                _TITLES[ratio["peer"]],
                *(figure(one["median"], one["unit"], _FORMATS) for one in both),
                f"**{reached}** (we lose)" if lost else reached,
                _spread(ratio),
            ]
        )
        for figures, unit in BESIDE.values():
            cells = (
                f"{median(one[figures]) / unit:.1f}" if figures in one else "-"
                for one in both
            )
            rows[-1].append(", ".join(cells))
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
    return [
        f"- {_TITLES.get(peer, peer)}: {reason} "
        f"({', '.join(f'``{case}``' for case in which)})"
        for (peer, reason), which in reasons(document).items()
    ] or ["Nothing."]


def _directive(make: Callable[..., list[str]]) -> type[Directive]:
    """
    What parses lines that are made of the saved run as if they stood in the page.
    """

    class Figures(Directive):
        optional_arguments = 1

        def run(self) -> list[nodes.Node]:
            self.state.document.settings.env.note_dependency(str(RESULT))
            document = json.loads(RESULT.read_text("utf-8"))
            lines = StringList(make(document, *self.arguments), RESULT.name)
            node = nodes.container()
            self.state.nested_parse(lines, 0, node)
            return node.children

    return Figures


def setup(app: Any) -> dict[str, Any]:
    """
    See Sphinx.
    """
    app.add_directive("performance-facts", _directive(facts))
    app.add_directive("performance-targets", _directive(targets))
    app.add_directive("performance-table", _directive(level))
    app.add_directive("performance-left-out", _directive(left_out))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
