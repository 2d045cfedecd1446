"""
What a run has found, as text and as reStructuredText.
"""

from __future__ import annotations

from collections import Counter

from tests.differential.asking import Outcome
from tests.differential.compare import Difference, compare
from tests.differential.requests import SENTINEL
from tests.differential.rows import Row, row_of

__all__ = ["Report", "table", "told"]


class Report:
    """
    Collects outcomes.

    @ivar chains: for each chain its name, how many requests were meant, and seen, and
        how many of these were not meant.
    @ivar figures: for each peer how many inputs were read alike, refused by us,
        justified, and without a row.

    @ivar unexplained: the differences without a row.
    @ivar wrong: other sentences about what must not be.
    """

    def __init__(self, inputs: list[bytes], ours: list[Outcome]) -> None:
        self.inputs = inputs
        self.ours = ours
        self.unexplained: list[Difference] = []
        self.wrong: list[str] = []
        self.chains: list[tuple[str, int, int, int]] = []
        self.figures: list[tuple[str, int, int, int, int]] = []
        self.outcomes: dict[str, list[Outcome]] = {}
        self.refusals: dict[str, Counter[str]] = {}
        self.rows: dict[Row, Counter[str]] = {}

    def judge(self) -> None:
        """
        Compare all peers with us.
        """
        for peer in self.outcomes:
            self._judge(peer)

    def _agreeing(self, index: int, but: str) -> int | None:
        """
        How many peers have understood all the requests of an input that we did.
        """
        if len(self.outcomes) < 3:
            return None
        mine = [one[:3] for one in self.ours[index].requests]
        return sum(
            mine == [one[:3] for one in outcomes[index].requests[: len(mine)]]
            for peer, outcomes in self.outcomes.items()
            if peer != but
        )

    def _judge(self, peer: str) -> None:
        same = refused = explained = 0
        before = len(self.unexplained)
        for index, other in enumerate(self.outcomes[peer]):
            difference = compare(peer, self.inputs[index], self.ours[index], other)
            if difference is None:
                same += 1
                continue
            difference = difference._replace(agreeing=self._agreeing(index, peer))
            row = row_of(difference)
            if row is None:
                self.unexplained.append(difference)
            elif isinstance(row, str):
                refused += 1
                self.refusals.setdefault(row, Counter())[peer] += 1
            else:
                explained += 1
                self.rows.setdefault(row, Counter())[peer] += 1
        missed = len(self.unexplained) - before
        self.figures.append((peer, same, refused, explained, missed))

    def odd(self, peer: str, theirs: list[Outcome]) -> list[int]:
        """
        The indices of the inputs whose difference has no row.
        """
        found = []
        outcomes = zip(self.inputs, self.ours, theirs, strict=True)
        for i, (data, mine, other) in enumerate(outcomes):
            difference = compare(peer, data, mine, other)
            if difference is not None and row_of(difference) is None:
                found.append(i)
        return found

    def text(self) -> str:
        """
        What has to be looked at.
        """
        lines = list(self.wrong)
        for one in self.unexplained:
            at = one.at
            mine, other = (
                one.ours.requests[at : at + 1],
                one.theirs.requests[at : at + 1],
            )
            lines.append(f"{one.peer}: {one.kind}: {one.data!r}: {mine} {other}")
        return "\n".join(lines)

    def rst(self) -> str:
        """
        Three tables: figures, refusals, rows.
        """
        lines = table(
            "Peer|The same|Refused by us|Justified|Without a row",
            [[name, *map(str, numbers)] for name, *numbers in self.figures],
        )
        if self.chains:
            found = [[name, *map(str, numbers)] for name, *numbers in self.chains]
            lines += table("Chain|Meant by the proxy|Seen by us|Not meant", found)
        lines += ["Refused by us, understood by peers (inputs):", ""]
        reasons = [[reason, told(peers)] for reason, peers in self.refusals.items()]
        lines += table("Our answer|Peers", sorted(reasons))
        lines += ["Justified:", ""]
        rows = [
            [row.title, row.reading, told(peers), row.why]
            for row, peers in self.rows.items()
        ]
        lines += table("Input|How it is read|Peers|Why", rows)
        return "\n".join(lines)

    def unlike(self, ours: list[Outcome]) -> list[int]:
        """
        The indices of the inputs that we see otherwise in our other way.
        """
        pairs = zip(self.ours, ours, strict=True)
        return [
            i
            for i, (mine, other) in enumerate(pairs)
            if (mine.requests, mine.refusal) != (other.requests, other.refusal)
        ]

    def sees(self, ours: list[Outcome], name: str) -> None:
        """
        Compare us with us, in the other way.
        """
        for i in self.unlike(ours):
            self.wrong.append(f"{name} is not as ours: {self.inputs[i] + SENTINEL!r}")


def told(peers: Counter[str]) -> str:
    """
    How often each peer was counted.
    """
    return ", ".join(f"{name} {count}" for name, count in peers.items())


def table(heading: str, rows: list[list[str]]) -> list[str]:
    """
    A table in reStructuredText.

    @param heading: the heads of the columns, with C{|} between them.
    """
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in [heading.split("|"), *rows]:
        lines += [f"   {'  -' if i else '* -'} {cell}" for i, cell in enumerate(row)]
    return [*lines, ""]
