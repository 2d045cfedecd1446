"""
What was measured, what was left out and why, and the ratios.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from tests.benchmarks.cases import CASES
from tests.benchmarks.peers import compared_with

__all__ = ["TARGETS", "Book", "Ratio", "Series"]

FORMAT = 1


# What is promised of a ratio, by case and peer: the least where more is better, else
# the greatest.
TARGETS: dict[tuple[str, str], float] = {
    ("memory/minimal", "twisted.web"): 0.45,
    ("memory/browser-varied", "twisted.web"): 0.50,
    ("memory/post-json", "twisted.web"): 0.60,
    ("rate/browser", "twistd-web-logfile"): 3.0,
    ("rate/browser-varied", "twistd-web-logfile"): 2.5,
    ("rate/browser", "uvicorn-h11"): 2.5,
    ("rate/browser", "aiohttp"): 1.0,
    ("rate/browser", "bare"): 0.45,
    ("rate/pipeline-64", "twistd-web-logfile"): 3.0,
    ("idle/connections", "twistd-web-logfile"): 1.0,
}


UNITS = {
    "memory": "s/request",
    "rate": "requests/s",
    "idle": "bytes/connection",
    "bulk": "s",
    "client": "s/request",
}


def more_is_better(case: str) -> bool:
    """
    Whether the greater figure is the better one.
    """
    return case.startswith("rate/")


@dataclass
class Series:
    """
    What was measured of one peer in one case.

    @ivar values: by the number of the round.
    @ivar more: other figures of the same rounds, by their name.
    """

    case: str
    peer: str
    values: dict[int, float] = field(default_factory=dict)
    more: dict[str, list[float]] = field(default_factory=dict)

    @property
    def median(self) -> float:
        """
        The value that half of the rounds are below.
        """
        return median(self.values.values())


@dataclass(frozen=True)
class Ratio:
    """
    Ours divided by a peer's, round by round.

    @ivar target: the limit, or C{None} where nothing is promised.
    @ivar cpu: where the server's CPU time per request was taken down too: the
        peer's divided by ours, so that it can be held beside the ratio of the
        rates.  Other work on the core changes it less.
    """

    case: str
    ours: str
    peer: str
    values: list[float]
    target: float | None
    cpu: float | None = None

    @property
    def median(self) -> float:
        """
        The ratio that half of the rounds are below.
        """
        return median(self.values)

    @property
    def met(self) -> bool | None:
        """
        Whether the promise is kept, or C{None} where there is none.
        """
        if self.target is None:
            return None
        if more_is_better(self.case):
            return self.median >= self.target
        return self.median <= self.target


def _cpu(mine: Series, theirs: Series) -> float | None:
    """
    The peer's CPU time per request divided by ours.
    """
    ours = mine.more.get("cpu_per_request")
    other = theirs.more.get("cpu_per_request")
    if not ours or not other or not median(ours):
        return None
    return median(other) / median(ours)


def _about(one: Series | Ratio, values: list[float]) -> dict[str, Any]:
    """
    What the document says of both.
    """
    return {
        "case": one.case,
        "peer": one.peer,
        "better": "higher" if more_is_better(one.case) else "lower",
        "median": one.median,
        "low": min(values),
        "high": max(values),
    }


class Book:
    """
    Takes down results as they come.
    """

    def __init__(self) -> None:
        self._series: dict[tuple[str, str], Series] = {}
        self._leftOut: dict[tuple[str, str], str] = {}

    def add(
        self,
        case: str,
        peer: str,
        turn: int,
        value: float,
        **more: float,
    ) -> None:
        """
        Take down one figure of one round.
        """
        series = self._series.setdefault((case, peer), Series(case, peer))
        series.values[turn] = value
        for name, figure in more.items():
            series.more.setdefault(name, []).append(figure)

    def leaveOut(self, case: str, peer: str, reason: str) -> None:
        """
        Take down that something can not be measured, or no longer; what was
        measured of it so far is dropped.  The first reason stays.
        """
        self._series.pop((case, peer), None)
        self._leftOut.setdefault((case, peer), reason)

    def isLeftOut(self, case: str, peer: str) -> bool:
        """
        Whether it was taken down as not measurable.
        """
        return (case, peer) in self._leftOut

    def series(self) -> list[Series]:
        """
        All that was measured, by case.
        """
        order = {case.fullName: place for place, case in enumerate(CASES)}
        return sorted(self._series.values(), key=lambda one: order[one.case])

    def ratios(self) -> list[Ratio]:
        """
        Every peer compared with what of ours has the same access log.
        """
        made = []
        for theirs in self.series():
            ours = compared_with(theirs.peer)
            mine = self._series.get((theirs.case, ours)) if ours else None
            if ours is None or mine is None:
                continue
            values = [
                mine.values[turn] / value
                for turn, value in sorted(theirs.values.items())
                if turn in mine.values and value
            ]
            if values:
                target = TARGETS.get((theirs.case, theirs.peer))
                made.append(
                    Ratio(
                        theirs.case,
                        ours,
                        theirs.peer,
                        values,
                        target,
                        _cpu(mine, theirs),
                    )
                )
        return made

    def leftOut(self) -> list[tuple[str, str, str]]:
        """
        Case, peer and reason of all that is not measured.
        """
        return [(*which, reason) for which, reason in self._leftOut.items()]

    def document(self, **about: object) -> dict[str, Any]:
        """
        All of it, as it is saved.

        @param about: what else is to be said: machine, versions, settings.
        """
        return {
            "format": FORMAT,
            **about,
            "results": [
                {
                    **_about(one, list(one.values.values())),
                    "unit": UNITS[one.case.partition("/")[0]],
                    "rounds": {str(turn): one.values[turn] for turn in one.values},
                    **one.more,
                }
                for one in self.series()
            ],
            "ratios": [
                {
                    **_about(one, one.values),
                    "ours": one.ours,
                    "values": one.values,
                    "target": one.target,
                    "met": one.met,
                    "cpu": one.cpu,
                }
                for one in self.ratios()
            ],
            "left_out": [
                {"case": case, "peer": peer, "reason": reason}
                for case, peer, reason in self.leftOut()
            ],
        }


def save(document: dict[str, Any], path: str) -> None:
    """
    Write the document to a file.
    """
    with open(path, "w", encoding="utf-8") as out:
        json.dump(document, out, indent=1, sort_keys=False)
        out.write("\n")
