"""
What was measured, what was left out and why, and the ratios.
"""

from __future__ import annotations

from statistics import median
from typing import Any

from tests.benchmarks.cases import CASES
from tests.benchmarks.peers import compared_with

__all__ = ["TARGETS", "Book", "more_is_better"]

FORMAT = 1

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

    @ivar leftOut: by case and peer, why something is not measured.
    """

    def __init__(self) -> None:
        self.leftOut: dict[tuple[str, str], str] = {}
        # By case and peer, then by the number of the round: C{value} and other figures.
        self._figures: dict[tuple[str, str], dict[int, dict[str, float]]] = {}

    def add(self, case: str, peer: str, turn: int, value: float, **more: float) -> None:
        """
        Take down one figure of one round, and others beside it.
        """
        rounds = self._figures.setdefault((case, peer), {})
        rounds[turn] = {"value": value, **more}

    def leaveOut(self, case: str, peer: str, reason: str) -> None:
        """
        Take down that something can not be measured, or no longer; what was
        measured of it so far is dropped.  The first reason stays.
        """
        self._figures.pop((case, peer), None)
        self.leftOut.setdefault((case, peer), reason)

    def _sorted(self) -> list[tuple[str, str]]:
        order = [case.fullName for case in CASES]
        return sorted(self._figures, key=lambda which: order.index(which[0]))

    def _all(self, case: str, peer: str, name: str) -> list[float]:
        """
        The figures of that name, of the rounds that have it.
        """
        rounds = self._figures[case, peer].values()
        return [figures[name] for figures in rounds if name in figures]

    def results(self) -> list[dict[str, Any]]:
        """
        All that was measured, by case.
        """
        found = []
        for case, peer in self._sorted():
            rounds = self._figures[case, peer]
            names = dict.fromkeys(name for one in rounds.values() for name in one)
            more: dict[str, Any] = {name: self._all(case, peer, name) for name in names}
            found.append(
                _entry(
                    *(case, peer, more.pop("value")),
                    unit=UNITS[case.partition("/")[0]],
                    rounds={str(turn): one["value"] for turn, one in rounds.items()},
                    **more,
                )
            )
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
                mine[turn]["value"] / theirs[turn]["value"]
                for turn in sorted(mine.keys() & theirs.keys())
                if theirs[turn]["value"]
            ]
            if not values:
                continue
            used, others = (
                median(self._all(case, name, "cpu_per_request") or [0])
                for name in (ours, peer)
            )
            target, reached = TARGETS.get((case, peer)), median(values)
            met = target is not None and (
                reached >= target if more_is_better(case) else reached <= target
            )
            made.append(
                _entry(
                    *(case, peer, values),
                    ours=ours,
                    values=values,
                    target=target,
                    met=None if target is None else met,
                    cpu=others / used if others and used else None,
                )
            )
        return made

    def document(self, **about: object) -> dict[str, Any]:
        """
        All of it, as it is saved.

        @param about: what else is to be said: machine, versions, settings.
        """
        return {
            "format": FORMAT,
            **about,
            "results": self.results(),
            "ratios": self.ratios(),
            "left_out": [
                {"case": case, "peer": peer, "reason": reason}
                for (case, peer), reason in self.leftOut.items()
            ],
        }
