"""
Time-outs: each wait has its own, and each is cancelled on every path.
"""

from __future__ import annotations

from typing import Any

from tests.support.server_cases import GET, Echo, Holding, ServerTestCase, get
from tests.support.wire import Wire
from twisted_h11.server import Limits

FIRST = 60
IDLE = 75
HEAD = 40

END = b"\r\n\r\n"


class TimeoutTests(ServerTestCase):
    """
    The defaults are those of L{Limits}.
    """

    def closesAfter(self, wire: Wire, seconds: float) -> None:
        """
        C{wire} is open just before C{seconds} have passed, and closed after.
        """
        wire.advance(seconds - 0.5)
        self.assertFalse(wire.transport.disconnecting, "closed too early")
        wire.advance(1)
        self.assertTrue(wire.closed, "still open")

    def test_defaults(self) -> None:
        """
        The documented defaults are in force.
        """
        limits = Limits()
        self.assertEqual(FIRST, limits.firstByteTimeout)
        self.assertEqual(IDLE, limits.idleTimeout)
        self.assertEqual(HEAD, limits.headTimeout)

    def test_afterTheBody(self) -> None:
        """
        When the body of a request is complete, nothing is expected of the client.
        """
        for framing in (b"Content-Length: 4", b"Transfer-Encoding: chunked"):
            holding = Holding()
            wire = self.talk(holding, get(b"/", framing, method=b"POST"))
            wire.send(*((b"ab", b"cd") if b"4" in framing else (b"2\r\nab\r\n0", END)))
            wire.advance(10_000)
            self.assertFalse(wire.closed)
            holding.answer()
            wire.pump()
            self.assertEqual([200], wire.statuses)

    def test_noFirstByte(self) -> None:
        """
        A client that says nothing is dropped without a word.
        """
        wire = self.connect(self.site())
        self.closesAfter(wire, FIRST)
        self.assertEqual(b"", wire.output)

    def test_idle(self) -> None:
        """
        An idle connection is dropped without a word.
        """
        wire = self.talk(None, GET)
        before = wire.output
        self.assertEqual([200], wire.statuses)
        self.closesAfter(wire, IDLE)
        self.assertEqual(before, wire.output)

    def test_idleStartsAnew(self) -> None:
        """
        Each request gives the connection its whole time again.
        """
        wire = self.talk(None, GET)
        for _ in range(3):
            wire.advance(IDLE - 1)
            wire.send(GET)
        self.assertEqual([200] * 4, wire.statuses)
        self.closesAfter(wire, IDLE)

    def test_slowHead(self) -> None:
        """
        A head that comes byte by byte gets 408 after its time, which counts
        from its first byte.
        """
        wire = self.connect(self.site())
        wire.advance(FIRST - 1)
        head = get(b"/a-target-that-is-long-enough-for-all-of-the-time")
        for i in range(HEAD - 1):
            wire.send(head[i : i + 1])
            wire.advance(1)
        self.assertEqual(b"", wire.output)
        wire.advance(2)
        self.assertEqual([408], wire.statuses)
        self.assertRefused(wire, 408)

    def test_slowSecondHead(self) -> None:
        """
        So does the head of a later request.
        """
        wire = self.talk(None, GET, b"G")
        wire.advance(HEAD - 1)
        self.assertEqual([200], wire.statuses)
        wire.send(b"E")
        wire.advance(2)
        self.assertEqual([200, 408], wire.statuses)
        self.assertRefused(wire, 408)

    def test_headBehindARunningRequest(self) -> None:
        """
        Part of a head that waits behind a running request is not late.
        """
        holding = Holding()
        wire = self.talk(holding, GET + b"GET /b HT")
        wire.advance(1000)
        self.assertFalse(wire.transport.disconnecting)
        holding.answer()
        wire.pump()
        wire.advance(HEAD - 1)
        self.assertEqual([200], wire.statuses)
        wire.send(b"TP/1.1\r\nHost: a\r\n\r\n")
        holding.answer()
        wire.pump()
        self.assertEqual([200, 200], wire.statuses)

    def test_onlyEmptyLines(self) -> None:
        """
        A client that sends only an empty line is not kept for ever.
        """
        wire = self.talk(None, b"\r\n")
        wire.advance(FIRST + HEAD + 6)
        self.assertTrue(wire.closed)

    def test_emptyLineAfterAnswer(self) -> None:
        """
        Nor is one that sends it after a response.
        """
        wire = self.talk(None, GET, b"\r\n")
        wire.advance(IDLE + HEAD + 6)
        self.assertTrue(wire.closed)

    def slowBody(self, size: int, rate: float | None) -> list[int]:
        """
        A body that comes in pieces of C{size} bytes, one in 20 seconds.

        @return: the statuses.
        """
        statuses = []
        for field, wrap, end in (
            (b"Content-Length: %d" % (20 * size,), b"%s", b""),
            (
                b"Transfer-Encoding: chunked",
                b"%x\r\n%%s\r\n" % (size,),
                b"0\r\n\r\n",
            ),
        ):
            site = self.site(limits={"minBodyRate": rate})
            wire = self.connect(site).send(get(b"/", field, method=b"POST"))
            for _ in range(20):
                wire.send(wrap % (b"x" * size))
                wire.advance(20)
            if end:
                wire.send(end)
            statuses += wire.statuses
        return statuses

    def test_slowBody(self) -> None:
        """
        A body that comes slowly but steadily is not cut off.
        """
        rate = Limits().minBodyRate
        assert rate is not None
        self.assertEqual([200, 200], self.slowBody(int(rate) * 21, rate))

    def test_verySlowBody(self) -> None:
        """
        However slowly, where there is no least rate.
        """
        self.assertEqual([200, 200], self.slowBody(1, None))

    def test_tooSlowBody(self) -> None:
        """
        A body that trickles is cut off.
        """
        self.assertEqual([408, 408], self.slowBody(1, 240))

    def test_stalledBody(self) -> None:
        """
        A body that stops coming does not keep the connection for ever.
        """
        for field, start in (
            (b"Content-Length: 10", b""),
            (b"Content-Length: 10", b"abc"),
            (b"Transfer-Encoding: chunked", b""),
            (b"Transfer-Encoding: chunked", b"3"),
            (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n"),
            (b"Transfer-Encoding: chunked", b"0\r\nA: b"),
        ):
            echo = Echo()
            wire = self.talk(echo, get(b"/", field, method=b"POST") + start)
            wire.advance(IDLE + 10)
            self.assertTrue(wire.closed, repr(start))
            self.assertEqual([], echo.seen)

    def test_runningRequest(self) -> None:
        """
        No time-out ends a request that the application works on.
        """
        holding = Holding()
        wire = self.talk(holding, GET)
        wire.advance(10_000, step=50)
        self.assertFalse(wire.transport.disconnecting)
        holding.answer()
        wire.pump()
        self.assertEqual([200], wire.statuses)
        self.closesAfter(wire, IDLE)

    def test_runningPipelinedRequest(self) -> None:
        """
        A request that was here before the one in front of it was answered
        is not ended by the time-out of an idle connection.
        """
        holding = Holding()
        wire = self.talk(holding, GET + GET)
        holding.answer()
        wire.pump()
        wire.advance(1000, step=20)
        self.assertFalse(wire.transport.disconnecting)
        holding.answer()
        wire.pump()
        self.assertEqual([200, 200], wire.statuses)

    def test_responseStillOnItsWay(self) -> None:
        """
        The idle time does not run while the client has yet to read.
        """
        site = self.site(
            lambda request: b"x" * 1_000_000, limits={"minResponseRate": None}
        )
        wire = self.connect(site).stall()
        wire.send(GET)
        wire.advance(IDLE + 5)
        self.assertFalse(wire.transport.disconnecting)
        wire.drain()
        self.assertTrue(wire.only().complete)
        self.assertEqual(1_000_000, len(wire.only().body))
        wire.advance(IDLE + 1)
        self.assertTrue(wire.closed)

    def test_clientTakesNothing(self) -> None:
        """
        A client that takes nothing of a response is dropped in the end, also
        if it half-closed, and while the application still writes.
        """
        large = b"x" * 1_000_000
        for half in (False, True):
            wire = self.connect(self.site(lambda request: large)).stall()
            wire.send(GET)
            if half:
                wire.halfClose()
            wire.advance(200)
            self.assertTrue(wire.closed)
        holding = Holding()
        wire = self.connect(self.site(holding)).stall()
        wire.send(GET)
        holding.requests[0].write(large)
        wire.advance(200)
        self.assertTrue(wire.closed)
        self.assertEqual(1, len(holding.lost))
        holding.requests.clear()
        holding.lost.clear()

    def test_closeIsEnforced(self) -> None:
        """
        A transport that does not get rid of its bytes is aborted.
        """
        wire = self.talk(None, b"GET /").stall()
        wire.advance(HEAD + Limits().lingerTimeout + Limits().abortTimeout + 2)
        self.assertTrue(wire.closed)
        self.assertTrue(wire.aborted)

    def test_siteTimeout(self) -> None:
        """
        C{timeout=} of twisted.web sets the idle and the first-byte time-out.
        """
        site = self.site(timeout=5)
        self.closesAfter(self.connect(site), 5)
        self.closesAfter(self.connect(site).send(GET), 5)

    def test_siteTimeoutNone(self) -> None:
        """
        C{timeout=None} disables them.
        """
        site = self.site(timeout=None)
        for wire in (self.connect(site), self.connect(site).send(GET)):
            wire.advance(100_000, step=500)
            self.assertFalse(wire.transport.disconnecting)

    def test_siteTimeoutIsATime(self) -> None:
        """
        A time-out that no clock can wait for, or no client can meet, is refused when
        the site is made.
        """
        for timeout in (-1, 0, float("inf"), float("nan")):
            error = self.assertRaises(ValueError, self.site, timeout=timeout)
            self.assertIn(
                f"timeout must be more than 0, and finite: {timeout}", str(error)
            )

    def test_siteTimeoutNoneKeepsTheOthers(self) -> None:
        """
        It does not disable the time-out of a head.
        """
        wire = self.connect(self.site(timeout=None)).send(b"GET /")
        wire.advance(HEAD + 1)
        self.assertRefused(wire, 408)

    def test_timeOutAttribute(self) -> None:
        """
        C{site.timeOut} is read when a connection is made.
        """
        site = self.site()
        site.timeOut = 7
        self.closesAfter(self.connect(site).send(GET), 7)

    def test_limitsNone(self) -> None:
        """
        Each time-out that may be switched off can be.
        """
        site = self.site(
            limits={"firstByteTimeout": None, "idleTimeout": None, "headTimeout": None}
        )
        for data in ((), (GET,), (b"GET /",), (GET, b"GET /")):
            wire = self.connect(site).send(*data)
            wire.advance(10_000, step=500)
            self.assertFalse(wire.transport.disconnecting, repr(data))

    def test_limitsOfOurOwn(self) -> None:
        """
        Each time-out can be set.
        """
        site = self.site(
            limits={"firstByteTimeout": 3, "idleTimeout": 4, "headTimeout": 2}
        )
        self.closesAfter(self.connect(site), 3)
        self.closesAfter(self.connect(site).send(GET), 4)
        wire = self.connect(site).send(b"GET")
        wire.advance(2.5, step=0.5)
        self.assertEqual([408], wire.statuses)

    def test_firstByteIsNotIdle(self) -> None:
        """
        The wait for the first byte depends on C{firstByteTimeout} only, however long a
        connection may be idle later.
        """
        for first, idle in ((9, 4), (9, 40), (9, None)):
            site = self.site(limits={"firstByteTimeout": first, "idleTimeout": idle})
            self.closesAfter(self.connect(site), first)

    def test_timeoutBoundsTheFirstByte(self) -> None:
        """
        C{timeout=} replaces C{idleTimeout}, and is the most that the wait for the first
        byte lasts; C{None} disables both, whatever C{idleTimeout} was.  It does not
        bound the first byte if that wait was disabled.
        """
        for timeout, idle, first in ((5, 5, 5), (20, 7, 9), (20, None, 9)):
            limits = {"firstByteTimeout": 9, "idleTimeout": idle}
            site = self.site(limits=limits, timeout=timeout)
            self.closesAfter(self.connect(site), first)
            self.closesAfter(self.connect(site).send(GET), timeout)
        for idle in (7, None):
            limits = {"firstByteTimeout": 9, "idleTimeout": idle}
            wire = self.connect(self.site(limits=limits, timeout=None))
            wire.advance(10_000, step=500)
            self.assertFalse(wire.transport.disconnecting)
        site = self.site(limits={"firstByteTimeout": None}, timeout=5)
        wire = self.connect(site)
        wire.advance(10_000, step=500)
        self.assertFalse(wire.transport.disconnecting)
        self.closesAfter(self.connect(site).send(GET), 5)

    def test_disabledByTheApplication(self) -> None:
        """
        An application may switch off the time-out of a request.
        """
        holding = Holding()
        wire = self.talk(holding, GET)
        wire.channel.setTimeout(None)
        wire.channel.resetTimeout()
        wire.advance(1000, step=20)
        self.assertFalse(wire.transport.disconnecting)
        holding.answer()
        wire.pump()
        self.assertEqual([200], wire.statuses)

    def test_disabledForOneRequest(self) -> None:
        """
        It is that request's: afterwards the connection is idle as any other
        (in twisted.web the saved time-out comes back with C{requestDone}).
        """
        holding = Holding()
        wire = self.talk(holding, GET)
        wire.channel.setTimeout(None)
        wire.advance(1000, step=20)
        holding.answer()
        wire.pump()
        self.closesAfter(wire, IDLE)

    def test_setByTheApplication(self) -> None:
        """
        An application may give a request a time-out.
        """
        holding = Holding()
        wire = self.talk(holding, GET)
        wire.channel.setTimeout(5)
        wire.advance(6)
        self.assertTrue(wire.closed)
        self.assertEqual(1, len(holding.lost))
        holding.requests.clear()
        holding.lost.clear()

    def test_setWhileIdle(self) -> None:
        """
        Between requests it is the time-out of the idle connection, from now on.
        """
        wire = self.talk(None, GET).advance(10)
        self.assertEqual(IDLE, wire.channel.setTimeout(5))
        self.closesAfter(wire, 5)

    def test_healthCheck(self) -> None:
        """
        Connecting and closing leaves nothing, in memory or in the log.
        """
        site = self.site()
        before = len(self.events)
        for _ in range(20):
            wire = self.connect(site)
            wire.halfClose()
            self.assertTrue(wire.closed)
            self.assertEqual(b"", wire.output)
            self.connect(site).vanish()
        self.assertEqual([], self.messages()[before:])
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_everyPathCancels(self) -> None:
        """
        However a connection ends, no delayed call is left.
        """

        def slow(request: Any) -> None:
            return None

        for data in (
            b"",
            b"GET /",
            GET,
            b"garbage\r\n\r\n",
            get(b"/", b"Content-Length: 10") + b"abc",
            get(b"/slow"),
        ):
            for end in ("vanish", "halfClose"):
                resource = slow if b"slow" in data else Echo()
                wire = self.connect(self.site(resource))
                if data:
                    wire.send(data)
                getattr(wire, end)()
                wire.advance(30)
                self.assertTrue(wire.closed, repr(data))
                self.assertEqual([], self.clock.getDelayedCalls(), repr(data))
