"""
What was measured, what was left out and why, and the ratios.
"""

from __future__ import annotations

import json
from statistics import median
from typing import Any

from tests.benchmarks.cases import CASES
from tests.benchmarks.peers import compared_with

__all__ = ["TARGETS", "Book", "more_is_better", "save"]

FORMAT = 1
_LEFT = ("case", "peer", "reason")


# What is promised of a ratio, by case and peer: the least where more is better, else
# the greatest.
TARGETS: dict[tuple[str, str], float] = {
    ("memory/minimal", "twisted.web"): 0.45,
    ("memory/browser-varied", "twisted.web"): 0.50,
    ("memory/post-json", "twisted.web"): 0.60,
    ("memory/later", "twisted.web"): 0.55,
    ("memory/pieces", "twisted.web"): 0.60,
    ("memory/foreign", "twisted.web"): 0.75,
    ("memory/foreign-later", "twisted.web"): 0.80,
    ("memory/foreign-pieces", "twisted.web"): 0.85,
    ("rate/browser", "twistd-web-logfile"): 3.0,
    ("rate/browser-varied", "twistd-web-logfile"): 2.5,
    ("rate/browser", "uvicorn-h11"): 2.5,
    ("rate/browser", "aiohttp"): 1.0,
    ("rate/browser", "bare"): 0.45,
    ("rate/pipeline-64", "twistd-web-logfile"): 3.0,
    ("rate/minimal", "twistd-web-logfile"): 2.5,
    ("rate/foreign", "web-foreign"): 1.5,
    ("rate/later", "twistd-web-logfile"): 1.7,
    ("rate/foreign-later", "web-foreign"): 1.3,
    ("rate/pieces", "twistd-web-logfile"): 1.5,
    ("rate/foreign-pieces", "web-foreign"): 1.2,
    ("rate/klein", "twistd-web-logfile"): 1.3,
    ("rate/flask", "twistd-web-logfile"): 1.3,
    ("rate/flask", "waitress"): 1.0,
    ("rate/proxy", "web-proxy"): 2.0,
    ("rate/new-connection", "twistd-web-logfile"): 1.1,
    ("bulk/upload", "twistd-web-logfile"): 1.0,
    ("idle/connections", "twistd-web-logfile"): 1.0,
}


UNITS = {
    "memory": "s/request",
    "rate": "requests/s",
    "frames": "messages/s",
    "events": "s/event",
    "idle": "bytes/connection",
    "bulk": "s",
    "client": "s/request",
}


def more_is_better(case: str) -> bool:
    """
    Whether the greater figure is the better one.
    """
    return case.startswith(("rate/", "frames/"))


def _entry(case: str, peer: str, figures: list[float], **more: Any) -> dict[str, Any]:
    """
    What results and ratios have in common.
    """
    return {
        "case": case,
        "peer": peer,
        "better": "higher" if more_is_better(case) else "lower",
        "median": median(figures),
        "low": min(figures),
        "high": max(figures),
        **more,
    }


class Book:
    """
    Takes down results as they come.
    """

    def __init__(self) -> None:
        # By case and peer: the figures by the number of the round, and other figures
        # of the same rounds by their name.
        self._figures: dict[tuple[str, str], dict[int, float]] = {}
        self._more: dict[tuple[str, str], dict[str, list[float]]] = {}
        self._leftOut: dict[tuple[str, str], str] = {}

    def add(self, case: str, peer: str, turn: int, value: float, **more: float) -> None:
        """
        Take down one figure of one round.
        """
        self._figures.setdefault((case, peer), {})[turn] = value
        others = self._more.setdefault((case, peer), {})
        for name, figure in more.items():
            others.setdefault(name, []).append(figure)

    def leaveOut(self, case: str, peer: str, reason: str) -> None:
        """
        Take down that something can not be measured, or no longer; what was
        measured of it so far is dropped.  The first reason stays.
        """
        self._figures.pop((case, peer), None)
        self._more.pop((case, peer), None)
        self._leftOut.setdefault((case, peer), reason)

    def isLeftOut(self, case: str, peer: str) -> bool:
        """
        Whether it was taken down as not measurable.
        """
        return (case, peer) in self._leftOut

    def _sorted(self) -> list[tuple[str, str]]:
        order = {case.fullName: place for place, case in enumerate(CASES)}
        return sorted(self._figures, key=lambda which: order[which[0]])

    def results(self) -> list[dict[str, Any]]:
        """
        All that was measured, by case.
        """
        found = []
        for case, peer in self._sorted():
            figures = self._figures[case, peer]
            more: dict[str, Any] = {
                "unit": UNITS[case.partition("/")[0]],
                "rounds": {str(turn): one for turn, one in figures.items()},
                **self._more[case, peer],
            }
            found.append(_entry(case, peer, [*figures.values()], **more))
        return found

    def ratios(self) -> list[dict[str, Any]]:
        """
        Every peer compared, round by round, with what of ours has the same access
        log: ours divided by the peer's.

        C{target} is the promise, or C{None} where there is none, and C{met} whether it
        is kept.  C{cpu} can be held beside a ratio of rates: where the server's CPU
        time per request was taken down, the peer's divided by ours.  Other work on the
        core changes it less.
        """
        made = []
        for case, peer in self._sorted():
            ours = compared_with(peer)
            if ours is None or (case, ours) not in self._figures:
                continue
            mine, theirs = self._figures[case, ours], self._figures[case, peer]
            values = [
                mine[turn] / value
                for turn, value in sorted(theirs.items())
                if turn in mine and value
            ]
            if not values:
                continue
            used, others = (
                median(self._more[case, name].get("cpu_per_request", [0]))
                for name in (ours, peer)
            )
            target, met = TARGETS.get((case, peer)), None
            if target is not None:
                reached = median(values)
                met = reached >= target if more_is_better(case) else reached <= target
            made.append(
                _entry(
                    case,
                    peer,
                    values,
                    ours=ours,
                    values=values,
                    target=target,
                    met=met,
                    cpu=others / used if others and used else None,
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
        left = [dict(zip(_LEFT, one, strict=True)) for one in self.leftOut()]
        return {
            "format": FORMAT,
            **about,
            "results": self.results(),
            "ratios": self.ratios(),
            "left_out": left,
        }


def save(document: dict[str, Any], path: str) -> None:
    """
    Write the document to a file.
    """
    with open(path, "w", encoding="utf-8") as out:
        json.dump(document, out, indent=1, sort_keys=False)
        out.write("\n")
