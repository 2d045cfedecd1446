"""
A client that closes its sending side is not a client that is gone.
"""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol

from tests.support.cases import GET, Echo, Holding, ServerTestCase, get
from twisted_h11.server import Limits


class HalfCloseTests(ServerTestCase):
    """
    RFC 9112 section 9.6; the time is C{Limits.halfCloseTimeout}.
    """

    def test_interface(self) -> None:
        """
        The channel says that it can be half-closed.
        """
        wire = self.connect(self.site())
        self.assertTrue(IHalfCloseableProtocol.providedBy(wire.channel))

    def test_idle(self) -> None:
        """
        An idle connection closes at once, without a word.
        """
        wire = self.connect(self.site()).halfClose()
        self.assertTrue(wire.closed)
        self.assertEqual(b"", wire.output)

    def test_idleAfterAnswer(self) -> None:
        """
        So does one that was used.
        """
        wire = self.talk(None, GET)
        before = wire.output
        wire.halfClose()
        self.assertTrue(wire.closed)
        self.assertEqual(before, wire.output)

    def test_responseInTime(self) -> None:
        """
        A response that is ready in time is sent, then the connection closes.
        """
        holding = Holding()
        wire = self.talk(holding, GET).halfClose()
        wire.advance(Limits().halfCloseTimeout - 1)
        self.assertFalse(wire.transport.disconnecting)
        holding.answer()
        wire.pump()
        self.assertEqual([200], wire.statuses)
        self.assertTrue(wire.only().complete)
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)
        self.assertEqual([], holding.lost)

    def test_responseTooLate(self) -> None:
        """
        After the time the application hears that the connection is lost.
        """
        holding = Holding()
        wire = self.talk(holding, GET).halfClose()
        wire.advance(Limits().halfCloseTimeout + 0.5, step=0.5)
        self.assertTrue(wire.closed)
        self.assertEqual(1, len(holding.lost))
        self.assertEqual(b"", wire.output)
        self.raised(RuntimeError, holding.requests[0].finish)
        holding.requests.clear()
        holding.lost.clear()

    def test_responseUnderWay(self) -> None:
        """
        A response that has begun may go on for the time.
        """
        holding = Holding()
        wire = self.talk(holding, GET)
        request = holding.requests[0]
        request.write(b"begun ")
        wire.halfClose()
        wire.advance(3)
        request.write(b"and done")
        request.finish()
        del request
        holding.requests.clear()
        wire.pump()
        self.assertEqual(b"begun and done", wire.only().body)
        self.assertTrue(wire.only().complete)
        self.assertTrue(wire.closed)

    def test_withinABody(self) -> None:
        """
        A request that was not sent whole is never delivered.
        """
        for field, start in (
            (b"Content-Length: 10", b"abc"),
            (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n"),
            (b"Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n"),
        ):
            echo = Echo()
            wire = self.talk(echo, get(b"/", field, method=b"POST") + start)
            wire.halfClose()
            wire.settle(6)
            self.assertEqual([], echo.seen)
            self.assertTrue(wire.closed)
            self.assertIn(wire.statuses, ([], [400]))

    def test_pipelined(self) -> None:
        """
        All that was sent before is answered, also one after the other.
        """
        holding = Holding()
        wire = self.talk(holding, GET * 3).halfClose()
        for body in (b"1", b"2", b"3"):
            holding.answer(body)
            wire.pump()
        self.assertEqual([b"1", b"2", b"3"], [r.body for r in wire.responses])
        self.assertTrue(wire.closed)

    def test_clientReadsSlowly(self) -> None:
        """
        What is written already is not lost when the client half-closes.
        """
        wire = self.connect(self.site(lambda request: b"x" * 500_000)).stall()
        wire.send(GET).halfClose()
        wire.advance(1)
        wire.drain()
        self.assertEqual(500_000, len(wire.only().body))
        self.assertTrue(wire.closed)

    def test_afterRefusal(self) -> None:
        """
        The end of input ends a lingering close at once.
        """
        wire = self.talk(None, b"bad\r\n\r\n")
        self.assertEqual([400], wire.statuses)
        wire.halfClose()
        self.assertTrue(wire.closed)

    def test_writeConnectionLost(self) -> None:
        """
        Hearing that our sending side is closed does no harm.
        """
        wire = self.talk(None, GET)
        wire.channel.writeConnectionLost()
        wire.channel.readConnectionLost()
        wire.pump()
        self.assertTrue(wire.closed)
