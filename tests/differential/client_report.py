"""
What a comparison of clients has found, as text and as reStructuredText.
"""

from __future__ import annotations

from collections import Counter

from tests.differential.client_answers import Answer
from tests.differential.client_asking import Response
from tests.differential.client_compare import Parting, compare_responses, is_laxer
from tests.differential.client_row import ClientRow
from tests.differential.client_rows import client_row_of
from tests.differential.report import table, told

__all__ = ["ClientReport"]


class ClientReport:
    """
    Collects what clients made of answers.

    @ivar unexplained: the differences without a row.
    @ivar wrong: sentences about what must not be.
    @ivar figures: for each client how many answers it understood as we did, how many
        we refused, are justified, and are without a row; and how often it took
        something else for the answer to the next request.
    @ivar alone: the answers that most of the others refuse, or trust less than we do.
    """

    def __init__(self, answers: list[Answer], ours: list[Response]) -> None:
        self.answers = answers
        self.ours = ours
        self.unexplained: list[Parting] = []
        self.wrong: list[str] = []
        self.figures: list[tuple[str, int, int, int, int, int]] = []
        self.alone: list[int] = []
        self.refusals: dict[str, Counter[str]] = {}
        self.rows: dict[ClientRow, Counter[str]] = {}
        self._theirs: dict[str, list[Response]] = {}

    def _partings(self, peer: str, theirs: list[Response]) -> list[Parting | None]:
        return [
            compare_responses(peer, answer, mine, other)
            for answer, mine, other in zip(self.answers, self.ours, theirs, strict=True)
        ]

    def differs(self, ours: list[Response]) -> list[int]:
        """
        The indices of the answers of which we make something else in the other way.
        """
        pairs = enumerate(zip(self.ours, ours, strict=True))
        return [i for i, (a, b) in pairs if a._replace(error=b.error) != b]

    def odd(self, peer: str, theirs: list[Response]) -> list[int]:
        """
        The indices of the answers whose difference has no row, or could come of a slow
        machine: one of the two was still waiting.
        """
        return [
            i
            for i, one in enumerate(self._partings(peer, theirs))
            if one is not None and (one.kind == "waits" or client_row_of(one) is None)
        ]

    def add(self, peer: str, theirs: list[Response]) -> None:
        """
        Compare a client with ours.
        """
        refused = explained = 0
        before = len(self.unexplained)
        partings = [one for one in self._partings(peer, theirs) if one is not None]
        for parting in partings:
            row = client_row_of(parting)
            if row is None:
                self.unexplained.append(parting)
            elif isinstance(row, str):
                refused += 1
                self.refusals.setdefault(row, Counter())[peer] += 1
            else:
                explained += 1
                self.rows.setdefault(row, Counter())[peer] += 1
        self._theirs[peer] = theirs
        missed = len(self.unexplained) - before
        poisoned = sum(one.then == "wrong" for one in theirs)
        same = len(theirs) - len(partings)
        self.figures.append((peer, same, refused, explained, missed, poisoned))

    def judge(self) -> None:
        """
        See that we have read the right answer next, and that we are not laxer than most
        of the others in what the documentation does not say.
        """
        self.wrong += [
            f"ours: read {one.then} next: {answer!r}"
            for answer, one in zip(self.answers, self.ours, strict=True)
            if one.then not in ("", "fresh", "again" if one.end == "done" else "")
        ]
        self.alone = []
        for i, (answer, mine) in enumerate(zip(self.answers, self.ours, strict=True)):
            stricter = [
                peer
                for peer, theirs in self._theirs.items()
                if is_laxer(mine, theirs[i])
            ]
            if len(stricter) * 2 <= len(self._theirs):
                continue
            self.alone.append(i)
            unsaid = [peer for peer in stricter if not self._isForgiven(i, peer)]
            if len(unsaid) * 2 > len(self._theirs):
                self.wrong.append(f"laxer than {', '.join(unsaid)}: {answer!r}")

    def _isForgiven(self, i: int, peer: str) -> bool:
        answer, mine, other = self.answers[i], self.ours[i], self._theirs[peer][i]
        parting = compare_responses(peer, answer, mine, other)
        row = None if parting is None else client_row_of(parting)
        return isinstance(row, ClientRow) and bool(row.forgiven)

    def sees(self, ours: list[Response], name: str) -> None:
        """
        Compare us with us, in the other way.
        """
        for i in self.differs(ours):
            answer, mine, other = self.answers[i], self.ours[i], ours[i]
            self.wrong.append(f"{name} is not as ours: {answer!r}: {mine} {other}")

    def text(self) -> str:
        """
        What has to be looked at.
        """
        lines = list(self.wrong)
        for one in self.unexplained:
            lines.append(
                f"{one.peer}: {one.kind}: {one.answer!r}: {one.ours} {one.theirs}"
            )
        return "\n".join(lines)

    def rst(self) -> str:
        """
        Three tables: figures, refusals, rows.
        """
        lines = table(
            "Client|The same|Refused by us|Justified|Without a row|Next answer wrong",
            [[name, *map(str, numbers)] for name, *numbers in self.figures],
        )
        lines += ["Refused by us, understood by others (answers):", ""]
        reasons = [[reason, told(peers)] for reason, peers in self.refusals.items()]
        lines += table("Our error|Clients", sorted(reasons))
        lines += ["Justified:", ""]
        rows = [
            [row.title, row.reading, told(peers), row.why]
            for row, peers in self.rows.items()
        ]
        lines += table("Answer|How it is read|Clients|Why", rows)
        return "\n".join(lines)
