"""
Shutting down: idle connections close at once, busy ones finish.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from tests.support.server_cases import GET, Echo, Holding, ServerTestCase, post
from tests.support.wire import Wire


class DrainTests(ServerTestCase):
    """
    C{Site.drain(timeout)}.
    """

    def drain(self, site: Any, timeout: float | None = 10) -> list[object]:
        """
        Begin to drain.

        @return: a list that gets what the Deferred fires with.
        """
        results: list[object] = []
        deferred: Deferred[object] = site.drain(timeout)
        deferred.addBoth(results.append)
        for wire in self.wires:
            wire.pump()
        return results

    def test_nothing(self) -> None:
        """
        Without connections it is done at once.
        """
        self.assertEqual([None], self.drain(self.site()))

    def test_idle(self) -> None:
        """
        Idle connections close at once, used or not.
        """
        site = self.site()
        wires = [self.connect(site), self.connect(site).send(GET)]
        self.assertEqual(2, site.connectionCount)
        self.assertEqual([None], self.drain(site))
        self.assertEqual(0, site.connectionCount)
        for wire in wires:
            self.assertTrue(wire.closed)
            self.assertFalse(wire.aborted)
        self.assertEqual([], self.clock.getDelayedCalls())

    def spare(self, site: Any, idle: float, timeout: float | None = 10) -> list[object]:
        """
        Drain, and let idle connections be for a while.
        """
        results: list[object] = []
        site.drain(timeout, idle).addBoth(results.append)
        for wire in self.wires:
            wire.pump()
        return results

    def test_idleSpared(self) -> None:
        """
        Idle connections stay for a while, used or not: a request that comes meanwhile
        is answered, and is the last of its connection.
        """
        site = self.site()
        wires = [self.connect(site), self.connect(site).send(GET), self.connect(site)]
        results = self.spare(site, 2)
        self.assertEqual([False] * 3, [wire.closed for wire in wires])
        wires[0].advance(1)
        for wire, count in zip(wires[:2], (1, 2), strict=True):
            wire.send(GET).halfClose()
            self.assertEqual([200] * count, wire.statuses)
            self.assertTrue(wire.responses[-1].closes)
            self.assertTrue(wire.closed)
        self.assertFalse(wires[2].closed)
        self.assertEqual([], results)
        wires[2].advance(1)
        self.assertTrue(wires[2].closed)
        self.assertFalse(wires[2].aborted)
        self.assertEqual([None], results)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_spareIsOver(self) -> None:
        """
        What is under way when the while is over is finished.
        """
        holding = Holding()
        site = self.site(holding)
        wires = [self.connect(site).send(GET), self.connect(site)]
        results = self.spare(site, 2)
        wires[1].advance(1).send(GET)
        wires[1].advance(3)
        self.assertEqual([False, False], [wire.closed for wire in wires])
        for wire in wires:
            holding.answer()
            wire.halfClose()
            self.assertTrue(wire.only().closes)
        self.assertEqual([None], results)

    def test_spareWithinTheTime(self) -> None:
        """
        The while is not longer than the time for all, and without time there is none.
        """
        for timeout, closed in ((0, True), (3, False), (None, False)):
            site = self.site()
            wire = self.connect(site)
            results = self.spare(site, 5, timeout)
            self.assertEqual(closed, wire.closed)
            wire.advance(3 if timeout else 5)
            self.assertTrue(wire.closed)
            self.assertEqual([None], results)

    def test_drainedAgain(self) -> None:
        """
        Who drains again without a while ends idle connections at once.
        """
        site = self.site()
        wire = self.connect(site)
        results = self.spare(site, 5)
        self.assertFalse(wire.closed)
        self.assertEqual([None], self.drain(site))
        self.assertEqual([None], results)
        self.assertTrue(wire.closed)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_sooner(self) -> None:
        """
        Of several times for all, and whiles for idle connections, the shortest counts.
        """
        for times, end in (((60, 10), 10), ((10, 60), 10), ((None, 10), 10)):
            site = self.site(Holding())
            busy = self.connect(site).send(GET)
            results = [self.drain(site, time) for time in times]
            busy.advance(end - 1)
            self.assertFalse(busy.closed)
            busy.advance(1)
            self.assertTrue(busy.closed)
            self.assertEqual([[None], [None]], results)
        for idles, end in (((5, 2), 2), ((2, 5), 2)):
            site = self.site()
            idle = self.connect(site)
            for seconds in idles:
                self.spare(site, seconds)
            idle.advance(end - 1)
            self.assertFalse(idle.closed)
            idle.advance(1)
            self.assertTrue(idle.closed)

    def test_goneBefore(self) -> None:
        """
        Connections that are gone are not waited for.
        """
        site = self.site()
        self.connect(site).send(GET).vanish()
        self.connect(site).halfClose()
        self.assertEqual([None], self.drain(site))

    def test_busy(self) -> None:
        """
        A busy connection finishes, with Connection: close.
        """
        holding = Holding()
        site = self.site(holding)
        wire = self.connect(site).send(GET)
        results = self.drain(site)
        self.assertEqual([], results)
        self.assertFalse(wire.transport.disconnecting)
        wire.advance(3)
        holding.answer()
        wire.settle(6)
        self.assertEqual([200], wire.statuses)
        self.assertTrue(wire.only().closes)
        self.assertTrue(wire.closed)
        self.assertEqual([None], results)

    def test_headIsOut(self) -> None:
        """
        A response whose head is out is finished, then the connection closes.
        """
        holding = Holding()
        site = self.site(holding)
        wire = self.connect(site).send(GET)
        holding.requests[0].write(b"begun")
        results = self.drain(site)
        holding.requests.pop().finish()
        wire.settle(6)
        self.assertEqual(b"begun", wire.only().body)
        self.assertTrue(wire.only().complete)
        self.assertTrue(wire.closed)
        self.assertEqual([None], results)

    def test_pipelinedIsNotBegun(self) -> None:
        """
        What waits behind the running request is not begun any more.
        """
        holding = Holding()
        site = self.site(holding)
        wire = self.connect(site).send(GET * 3)
        self.drain(site)
        holding.answer()
        wire.settle(6)
        self.assertEqual([200], wire.statuses)
        self.assertEqual([], holding.requests)
        self.assertTrue(wire.closed)

    def test_halfRequest(self) -> None:
        """
        A request that is only half here does not hold the shutdown up beyond
        its time.
        """
        for data in (b"GET / HT", post(b"hello")[:-1]):
            echo = Echo()
            site = self.site(echo)
            wire = self.connect(site).send(data)
            results = self.drain(site, 10)
            wire.advance(11 + 6)
            self.assertEqual([None], results)
            self.assertTrue(wire.closed)
            self.assertEqual([], echo.seen)

    def test_afterTheTime(self) -> None:
        """
        After the time the rest is aborted, and the application hears of it.
        """
        holding = Holding()
        site = self.site(holding)
        wire = self.connect(site).send(GET)
        results = self.drain(site, 10)
        wire.advance(9)
        self.assertEqual([], results)
        wire.advance(2)
        self.assertTrue(wire.aborted)
        self.assertEqual([None], results)
        self.assertEqual(1, len(holding.lost))
        holding.requests.clear()
        holding.lost.clear()

    def test_clientReadsNothing(self) -> None:
        """
        Nor does a client that never reads hold it up.
        """
        site = self.site(lambda request: b"x" * 1_000_000)
        wire = self.connect(site).stall()
        wire.send(GET)
        results = self.drain(site, 10)
        wire.advance(11)
        self.assertEqual([None], results)
        self.assertTrue(wire.closed)

    def test_lingering(self) -> None:
        """
        Nor does a lingering close.
        """
        site = self.site()
        wire = self.connect(site).send(b"bad\r\n\r\n")
        results = self.drain(site, 2)
        wire.advance(3)
        self.assertEqual([None], results)
        self.assertTrue(wire.closed)

    def test_noTime(self) -> None:
        """
        With no time at all everything busy is aborted at once.
        """
        holding = Holding()
        site = self.site(holding)
        wire = self.connect(site).send(GET)
        results = self.drain(site, 0)
        wire.pump()
        self.assertEqual([None], results)
        self.assertTrue(wire.closed)
        holding.requests.clear()
        holding.lost.clear()

    def test_many(self) -> None:
        """
        It is done when the last of many is gone.
        """
        holding = Holding()
        site = self.site(holding)
        wires: list[Wire] = [self.connect(site).send(GET) for _ in range(5)]
        results = self.drain(site)
        for wire in wires:
            self.assertEqual([], results)
            holding.answer()
            wire.settle(1)
            wire.halfClose()
        self.assertEqual([None], results)

    def test_dataAfterwards(self) -> None:
        """
        Data that arrives after the close is dropped.
        """
        site = self.site()
        wire = self.connect(site).send(GET)
        channel = wire.channel
        self.drain(site)
        before = wire.output
        self.assertEqual([200], wire.statuses)
        channel.dataReceived(GET)
        self.assertEqual(before, wire.output)
