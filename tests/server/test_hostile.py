"""
A hostile peer: many connections, much at once, and nothing in the right order.

Each test bounds what such a peer can cost: memory, time, or the patience of
others.
"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from tests.support.server_cases import GET, Holding, ServerTestCase, get, post
from tests.support.times import SLOWNESS, confirmed
from twisted_h11.server import Limits


class MemoryTests(ServerTestCase):
    """
    What a peer can make us keep.
    """

    def peak(self, function: Any) -> int:
        """
        The most memory that C{function} needed at a time, in bytes.
        """
        function()  # what is made once is made now
        tracemalloc.start()
        try:
            before, _ = tracemalloc.get_traced_memory()
            function()
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        return most - before

    def test_pipelined(self) -> None:
        """
        Thousands of requests at once need little more than their own bytes
        and those of the responses.
        """
        data = GET * 3_000
        site = self.site(lambda request: b"")
        sent = 0

        def run() -> None:
            nonlocal sent
            wire = self.connect(site).send(data)
            sent = len(wire.output)
            wire.vanish()
            self.wires.clear()

        most = self.peak(run)
        # At least a status line for each.
        self.assertGreater(sent, 3_000 * len(b"HTTP/1.1 200 OK\r\n\r\n"))
        self.assertLess(most, 3 * (len(data) + sent) + 2_000_000)

    def test_behindARunningRequest(self) -> None:
        """
        What waits behind a running request is bounded, however much comes.
        """
        holding = Holding()
        site = self.site(holding)

        def run() -> None:
            wire = self.connect(site).send(GET)
            for _ in range(1000):
                wire.unread.append(b"x" * 4096)
            wire.pump()
            self.assertGreater(len(wire.unread), 980)
            wire.vanish()
            self.wires.clear()
            holding.requests.clear()
            holding.lost.clear()

        self.assertLess(self.peak(run), 500_000)

    def test_idleConnections(self) -> None:
        """
        An idle connection that was used costs only a few kilobytes.
        """
        site = self.site()
        count = 100

        def run() -> None:
            wires = [self.connect(site).send(GET) for _ in range(count)]
            for wire in wires:
                del wire.transport.output[:]
            for wire in wires:
                wire.vanish()
            self.wires.clear()

        self.assertLess(self.peak(run) / count, 20_000)

    def test_manyFields(self) -> None:
        """
        Heads as large as they may be do not add up over a connection.
        """
        head = get(b"/", *[b"X%d: y" % i for i in range(480)])
        site = self.site()

        def run() -> None:
            wire = self.connect(site)
            for _ in range(50):
                wire.send(head)
                del wire.transport.output[:]
            wire.vanish()
            self.wires.clear()

        self.assertLess(self.peak(run), 2_000_000)


class TimeTests(ServerTestCase):
    """
    What a peer can make us do: the cost of a byte does not grow with what
    came before it.
    """

    def cost(self, data: bytes, **options: Any) -> float:
        """
        Processor time for C{data} byte by byte.
        """
        wire = self.connect(self.site(**options))
        pieces = [data[i : i + 1] for i in range(len(data))]
        begin = time.process_time()
        wire.send(*pieces)
        return time.process_time() - begin

    def test_byteByByte(self) -> None:
        """
        Four times as much takes about four times as long, not sixteen times,
        wherever in a message it is.
        """
        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        limits: dict[str, Any] = {
            "maxHeadLength": 100_000,
            "maxTargetLength": 100_000,
            "maxTrailerLength": 100_000,
            "maxChunkExtensionLength": 100_000,
            "maxFieldCount": 100_000,
        }
        for name, make in (
            ("target", lambda size: b"GET /" + b"a" * size),
            ("value", lambda size: b"GET / HTTP/1.1\r\nX: " + b"a" * size),
            ("fields", lambda size: b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * (size // 6)),
            ("extension", lambda size: chunked + b"3;" + b"a" * size),
            ("trailer", lambda size: chunked + b"0\r\nX: " + b"a" * size),
            ("trailers", lambda size: chunked + b"0\r\n" + b"X: y\r\n" * (size // 6)),
            ("chunks", lambda size: chunked + b"1\r\nx\r\n" * (size // 6)),
            ("body", lambda size: post(b"x" * size)),
        ):

            def excess(make: Callable[[int], bytes] = make) -> float:
                small = min(self.cost(make(2_000), limits=limits) for _ in range(2))
                large = min(self.cost(make(8_000), limits=limits) for _ in range(2))
                # Appending to what is there costs a little; sixteen times would be
                # the mark of looking at all of it again.
                return large - 10 * small

            self.assertLess(confirmed(excess, 0.05 * SLOWNESS), 0.05 * SLOWNESS, name)


class ManyTests(ServerTestCase):
    """
    Many peers at once.
    """

    def test_thousandSilent(self) -> None:
        """
        A thousand that say nothing are all gone after their time.
        """
        site = self.site()
        wires = [self.connect(site) for _ in range(1000)]
        self.clock.advance((Limits().firstByteTimeout or 0) + 1)
        for wire in wires:
            wire.pump()
        self.assertTrue(all(wire.closed for wire in wires))
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_othersAreServed(self) -> None:
        """
        While some trickle, stall or are refused, others are served.
        """
        site = self.site()
        for i in range(50):
            self.connect(site).send(GET[: i % len(GET)])
            self.connect(site).stall().send(GET)
            self.connect(site).send(b"bad\r\n\r\n")
        self.assertEqual([200], self.connect(site).send(GET).statuses)
