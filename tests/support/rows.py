"""
Tables of requirements: one row for each, with its section, bytes, and outcome.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from twisted.web.resource import Resource

from tests.support.server_cases import Calls, Echo, Seen, ServerTestCase
from tests.support.wire import Wire, splittings

__all__ = ["SEED", "OnlyGet", "Row", "RowTestCase", "Run", "add_rows"]

SEED = int(os.environ.get("TEST_SEED", 0)) or random.randrange(1, 2**31)


class OnlyGet(Resource):
    """
    Implements GET, and so HEAD, as most resources do.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        A body.
        """
        return b"got"


@dataclass
class Run:
    """
    What came of a row in one splitting.
    """

    test: RowTestCase
    wire: Wire
    seen: list[Seen]


@dataclass
class Row:
    """
    One requirement.

    @ivar section: of the RFC.
    @ivar text: the requirement, in short.
    @ivar data: what the client sends.
    @ivar statuses: of the final responses, in order.
    @ivar then: C{"open"} or C{"close"}: what the connection is afterwards.
    @ivar check: what else must hold.
    @ivar app: a resource, or what renders one; an L{Echo} by default.
    @ivar methods: of the requests, where they are not GET and matter.
    @ivar ends: whether the client half-closes after the bytes.
    """

    section: str
    text: str
    data: bytes
    statuses: list[int]
    then: str = "open"
    check: Callable[[Run], None] | None = None
    app: Callable[[], Resource] | Callable[[Any], object] | None = None
    methods: list[bytes] = field(default_factory=list)
    ends: bool = False

    def resource(self) -> Resource:
        """
        The application of this row.
        """
        if self.app is None:
            return Echo()
        if isinstance(self.app, type):
            made: Resource = self.app()
            return made
        render: Any = self.app
        return Calls(render)


class RowTestCase(ServerTestCase):
    """
    Runs rows.
    """

    def run_(self, row: Row) -> None:
        """
        Run a row in three splittings.
        """
        for how, pieces in splittings(row.data, SEED):
            where = f"{row.section}: {row.text}, {how}"
            resource = row.resource()
            wire = self.connect(self.site(resource))
            wire.methods = list(row.methods)
            wire.send(*pieces)
            if row.ends:
                wire.halfClose()
            self.assertEqual(row.statuses, wire.statuses, where)
            if row.then == "open":
                self.assertFalse(wire.transport.disconnecting, where)
            else:
                if row.statuses and not row.ends:
                    self.assertTrue(wire.responses[-1].closes, where)
                wire.settle(6)
                self.assertTrue(wire.closed, where)
            if row.check is not None:
                row.check(Run(self, wire, list(getattr(resource, "seen", []))))


def add_rows(case: type[RowTestCase], rows: Iterable[Row]) -> None:
    """
    Make a test method of each row.
    """
    for number, row in enumerate(rows):
        words = re.findall(r"[A-Za-z0-9]+", row.text)[:9]
        section = row.section.replace(".", "_")
        name = "_".join([f"test_{section}", *words])
        if hasattr(case, name):
            name += f"_{number}"

        def test(self: RowTestCase, row: Row = row) -> None:
            self.run_(row)

        test.__doc__ = f"{row.text} (section {row.section})."
        test.__name__ = name
        setattr(case, name, test)
