"""
The tables, made from the document that is saved: what is printed can be
printed again from the file.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from tests.benchmarks.cases import CASES, LEVELS
from tests.benchmarks.results import more_is_better

__all__ = ["BESIDE", "FORMATS", "figure", "reasons", "table", "text"]

# By unit: what a value is multiplied with, and as many digits as mean something.
FORMATS: dict[str, tuple[float, str]] = {
    "s/request": (1e6, "{:.1f} us"),
    "s/event": (1e6, "{:.1f} us"),
    "requests/s": (1, "{:,.0f}/s"),
    "messages/s": (1, "{:,.0f}/s"),
    "bytes/connection": (1 / 1024, "{:.2f} KiB"),
    "s": (1, "{:.2f} s"),
    "": (1, "{:.3f}"),
}

# What may have been taken down beside a figure, and by what it is divided.
BESIDE = {
    "sends": ("sends", 1),
    "p50 ms": ("p50_microseconds", 1000),
    "p99 ms": ("p99_microseconds", 1000),
}

_HEADING = ["case", "peer", "median", "low..high", "ours/peer", "low..high"]
_HEADING += ["by CPU", "target", *BESIDE]


def table(rows: list[list[str]]) -> list[str]:
    """
    Align columns: the first two to the left, the others to the right.

    @param rows: cells; the first row is the heading.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in [rows[0], ["-" * width for width in widths], *rows[1:]]:
        cells = [
            cell.ljust(width) if place < 2 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def figure(
    value: float, unit: str, formats: dict[str, tuple[float, str]] = FORMATS
) -> str:
    """
    A value as a person writes it.
    """
    factor, digits = formats[unit]
    return digits.format(value * factor)


def _spread(entry: dict[str, Any], unit: str = "") -> str:
    return f"{figure(entry['low'], unit)}..{figure(entry['high'], unit)}"


def _row(one: dict[str, Any], ratio: dict[str, Any] | None) -> list[str]:
    unit = one["unit"]
    row = [one["case"], one["peer"], figure(one["median"], unit), _spread(one, unit)]
    if ratio is None:
        row += ["", "", "", ""]
    else:
        cpu, target = ratio["cpu"], ratio["target"]
        sign = ">=" if ratio["better"] == "higher" else "<="
        kept = "met" if ratio["met"] else "MISSED"
        row += [
            figure(ratio["median"], ""),
            _spread(ratio),
            "" if cpu is None else f"{cpu:.2f}",
            "" if target is None else f"{sign} {target:.2f} {kept}",
        ]
    for name, unit in BESIDE.values():
        row.append(f"{median(one[name]) / unit:.2f}" if name in one else "")
    return row


def _level(document: dict[str, Any], level: str) -> list[str]:
    ratios = {(one["case"], one["peer"]): one for one in document["ratios"]}
    rows = [
        _row(one, ratios.get((one["case"], one["peer"])))
        for one in document["results"]
        if one["case"].startswith(level + "/")
    ]
    if not rows:
        return []
    better = "more" if more_is_better(f"{level}/") else "less"
    lines = ["", f"{level}: {LEVELS[level]} ({better} is better)", ""]
    lines += table([_HEADING, *rows])
    if level == "rate":
        lines += ["", "by CPU: the peer's CPU time per request / ours"]
        lines += ["sends: system calls that send, for each response"]
    return lines


def _doubts(document: dict[str, Any]) -> list[str]:
    """
    Figures that say less about the server than they should.
    """
    lines = []
    for one in document["results"]:
        busy, disturbed = (median(one.get(n, [0])) for n in ("busy", "disturbed"))
        doubt = ""
        if disturbed > 0.1:
            doubt = f"something else used {disturbed:.0%} of its core"
        elif "busy" in one and busy < 0.85:
            doubt = f"used {busy:.0%} of its core, so the load was the limit"
        if doubt:
            lines.append(f"  {one['case']}, {one['peer']}: {doubt}")
    return lines


def reasons(document: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """
    By peer and reason the cases that were left out.
    """
    cases: dict[tuple[str, str], list[str]] = {}
    for one in document["left_out"]:
        cases.setdefault((one["peer"], one["reason"]), []).append(one["case"])
    return cases


def text(document: dict[str, Any]) -> str:
    """
    The whole report.
    """
    lines = [f"{name}: {value}" for name, value in document.get("machine", {}).items()]
    versions = document.get("versions", {})
    if versions:
        told = ", ".join(f"{name} {version}" for name, version in versions.items())
        lines.append(f"versions: {told}")
    for level in LEVELS:
        lines += _level(document, level)
    doubts = _doubts(document)
    if doubts:
        lines += ["", "To be read with care:", *doubts]
    if document["left_out"]:
        lines += ["", "Left out:"]
    for (peer, reason), which in reasons(document).items():
        cases = "" if len(which) == len(CASES) else f" ({', '.join(which)})"
        lines.append(f"  {peer}: {reason}{cases}")
    return "\n".join(lines) + "\n"
