"""
The tables, made from the document that is saved: what is printed can be
printed again from the file.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from tests.benchmarks.cases import CASES, LEVELS
from tests.benchmarks.results import more_is_better

__all__ = ["table", "text"]


def table(rows: list[list[str]]) -> list[str]:
    """
    Align columns: the first two to the left, the others to the right.

    @param rows: cells; the first row is the heading.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for number, row in enumerate(rows):
        cells = [
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
        if number == 0:
            lines.append("  ".join("-" * width for width in widths))
    return lines


def _figure(value: float, unit: str) -> str:
    """
    A value with as many digits as mean something.
    """
    if unit == "s/request":
        return f"{value * 1e6:.1f} us"
    if unit == "s/event":
        return f"{value * 1e6:.1f} us"
    if unit in ("requests/s", "messages/s"):
        return f"{value:,.0f}/s"
    if unit == "bytes/connection":
        return f"{value / 1024:.2f} KiB"
    return f"{value:.2f} s"


def _spread(entry: dict[str, Any], unit: str | None = None) -> str:
    """
    The lowest and highest of the rounds.
    """
    if unit is None:
        return f"{entry['low']:.3f}..{entry['high']:.3f}"
    return f"{_figure(entry['low'], unit)}..{_figure(entry['high'], unit)}"


def _rows(document: dict[str, Any], level: str) -> list[list[str]]:
    """
    The table of one level.
    """
    ratios = {(one["case"], one["peer"]): one for one in document["ratios"]}
    rows = [
        [
            "case",
            "peer",
            "median",
            "low..high",
            "ours/peer",
            "low..high",
            "by CPU",
            "target",
            "sends",
            "p50 ms",
            "p99 ms",
        ]
    ]
    for one in document["results"]:
        if not one["case"].startswith(level + "/"):
            continue
        row = [
            one["case"],
            one["peer"],
            _figure(one["median"], one["unit"]),
            _spread(one, one["unit"]),
        ]
        ratio = ratios.get((one["case"], one["peer"]))
        if ratio is None:
            row += ["", "", "", ""]
        else:
            cpu = "" if ratio["cpu"] is None else f"{ratio['cpu']:.2f}"
            row += [f"{ratio['median']:.3f}", _spread(ratio), cpu, _target(ratio)]
        for name, unit in (
            ("sends", 1),
            ("p50_microseconds", 1000),
            ("p99_microseconds", 1000),
        ):
            row.append(f"{_median(one[name]) / unit:.2f}" if name in one else "")
        rows.append(row)
    return rows


def _target(ratio: dict[str, Any]) -> str:
    """
    The target, and whether it is met.
    """
    if ratio["target"] is None:
        return ""
    sign = ">=" if ratio["better"] == "higher" else "<="
    return f"{sign} {ratio['target']:.2f} {'met' if ratio['met'] else 'MISSED'}"


def _median(figures: list[float]) -> float:
    """
    The middle one, or 0 when there is none.
    """
    return median(figures) if figures else 0.0


def _doubts(document: dict[str, Any]) -> list[str]:
    """
    Figures that say less about the server than they should.
    """
    lines = []
    for one in document["results"]:
        busy = _median(one.get("busy", []))
        disturbed = _median(one.get("disturbed", []))
        name = f"  {one['case']}, {one['peer']}: "
        if disturbed > 0.1:
            lines.append(f"{name}something else used {disturbed:.0%} of its core")
        elif "busy" in one and busy < 0.85:
            lines.append(
                f"{name}used {busy:.0%} of its core, so the load was the limit"
            )
    return lines


def text(document: dict[str, Any]) -> str:
    """
    The whole report.
    """
    machine = document.get("machine", {})
    lines = [f"{name}: {value}" for name, value in machine.items()]
    versions = document.get("versions", {})
    if versions:
        lines.append(
            "versions: " + ", ".join(f"{name} {versions[name]}" for name in versions)
        )
    for level, title in LEVELS.items():
        rows = _rows(document, level)
        if len(rows) > 1:
            better = "more" if more_is_better(f"{level}/") else "less"
            lines += ["", f"{level}: {title} ({better} is better)", ""]
            lines += table(rows)
            if level == "rate":
                lines += ["", "by CPU: the peer's CPU time per request / ours"]
                lines += ["sends: system calls that send, for each response"]
    doubts = _doubts(document)
    if doubts:
        lines += ["", "To be read with care:", *doubts]
    if document["left_out"]:
        lines += ["", "Left out:"]
        lines += _reasons(document["left_out"])
    return "\n".join(lines) + "\n"


def _reasons(left_out: list[dict[str, str]]) -> list[str]:
    """
    One line for each peer and reason, with the cases it is about.
    """
    cases: dict[tuple[str, str], list[str]] = {}
    for one in left_out:
        cases.setdefault((one["peer"], one["reason"]), []).append(one["case"])
    known = len(CASES)
    return [
        f"  {peer}: {reason}"
        + ("" if len(which) == known else f" ({', '.join(which)})")
        for (peer, reason), which in cases.items()
    ]
