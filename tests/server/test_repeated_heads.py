"""
A connection remembers the head of its last request, since most clients repeat their
fields; not all connections do.
"""

from __future__ import annotations

import gc
from typing import Any

from tests.support.server_cases import GET, ServerTestCase, get
from tests.support.wire import Wire
from twisted_h11._http import fastpath
from twisted_h11._server import connections
from twisted_h11._server.request_reader import RequestReader


class RepeatedHeadTests(ServerTestCase):
    """
    What a head may be compared with.
    """

    def setUp(self) -> None:
        """
        Note what it is compared with, where three connections may remember one.
        """
        super().setUp()
        self.patch(connections, "_MOST_WARM", 3)
        self.compared: list[bool] = []
        read_request = fastpath.read_request

        def noting(data: bytes, start: int, limits: Any, last: Any) -> Any:
            self.compared.append(last is not None)
            return read_request(data, start, limits, last)

        self.patch(fastpath, "read_request", noting)

    def remembers(self, wire: Wire) -> bool:
        """
        Whether the next request is compared with that before it.
        """
        self.compared.clear()
        wire.send(GET)
        (compared,) = self.compared
        return compared

    def test_bound(self) -> None:
        """
        Those that had the last requests remember them; of others they are forgotten,
        so that an idle connection is small.
        """
        site = self.site(fastPath=True)
        wires = [self.connect(site) for _ in range(5)]
        self.assertEqual([False] * 5, [self.remembers(wire) for wire in wires])
        self.assertEqual(
            [True, True, True, False, False],
            [self.remembers(wire) for wire in reversed(wires)],
        )
        self.assertEqual(
            [True] * 2, [self.remembers(wires[4]), self.remembers(wires[0])]
        )
        self.assertFalse(self.remembers(wires[3]))
        for wire in wires:
            self.assertEqual({200}, {*wire.statuses})

    def test_bytes(self) -> None:
        """
        Of the bytes that it has read an idle connection keeps none.
        """
        data = get(b"/%d" % id(self))
        wire = self.connect(self.site(fastPath=True)).send(data)
        self.assertEqual([200], wire.statuses)
        kept = [one for one in gc.get_referrers(data) if type(one) is RequestReader]
        self.assertEqual([], kept)

    def test_gone(self) -> None:
        """
        Nothing is kept for connections that have gone.
        """
        site = self.site(fastPath=True)
        for _ in range(10):
            self.connect(site).send(GET).vanish()
        wire = self.connect(site).send(GET)
        self.assertTrue(self.remembers(wire))
