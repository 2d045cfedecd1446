"""
A client that closes its sending side is not a client that is gone.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.web import server
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.server.test_streaming_bodies import Doing
from tests.support.server_cases import (
    FAST_PATH,
    GET,
    Echo,
    Holding,
    ServerTestCase,
    get,
)
from tests.support.socket_cases import TCPBackend
from tests.support.wire import Wire
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Limits, Request, Site


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

    def test_kept(self) -> None:
        """
        It is the channel's C{loseConnection} that closes it, once: an override may keep
        the connection.
        """
        asked: list[int] = []
        wire = self.connect(self.site())
        wire.channel.loseConnection = lambda: asked.append(1)
        wire.halfClose()
        self.assertEqual((False, [1]), (wire.closed, asked))

    def test_idleAfterAnswer(self) -> None:
        """
        So does one that was used.
        """
        wire = self.talk(None, GET)
        before = wire.output
        self.assertEqual([200], wire.statuses)
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
            self.assertEqual([400], wire.statuses)

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

    def test_answeredAtTheHead(self) -> None:
        """
        A request that is answered before its body is here, and has come behind one
        whose response was not taken yet, gets its answer although the rest of it will
        never come.
        """

        def render(request: Any) -> bytes:
            return b"x" * 200_000 if request.method == b"GET" else b"early"

        body = get(b"/", b"Content-Length: 5", method=b"POST") + b"abc"
        wire = self.connect(self.site(Doing(render))).stall()
        wire.send(GET, body).halfClose()
        self.assertFalse(wire.transport.disconnecting)
        wire.drain().settle(6)
        self.assertEqual([200_000, 5], [len(r.body) for r in wire.responses])
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)

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


class DepartedTests(ServerTestCase):
    """
    A client that has gone is noticed when the application wants it to be.
    """

    def left(self, wire: Wire, told: list[Any], seconds: float) -> None:
        """
        The request hears of the end after so many seconds, and not before.
        """
        wire.halfClose()
        if seconds:
            wire.advance(seconds - 0.5, step=0.5)
            self.assertEqual([], told)
            wire.advance(1, step=0.5)
        self.assertEqual(1, len(told))
        # As in twisted.web.
        self.assertIsNot(None, told.pop().check(ConnectionDone))
        self.assertTrue(wire.closed)

    def test_resource(self) -> None:
        """
        An attribute of a resource says how long its requests wait, a streaming
        one's too.
        """
        for seconds in (0, 2, 30):

            class Poll(Holding):
                halfCloseTimeout = seconds

            @implementer(IStreamingResource)
            class Streamed(Poll):
                pass

            for resource in (Poll(), Streamed()):
                self.left(self.talk(resource, GET), resource.lost, seconds)
                resource.requests.clear()

    def test_request(self) -> None:
        """
        What is said for a request comes before that; Twisted's can say it, too.
        """
        for factory, seconds, first in product(
            (Request, server.Request), (0, 2, 30), (True, False)
        ):

            def say(request: Any, seconds: float = seconds) -> None:
                own = isinstance(request, Request)
                (request if own else request.channel).setHalfCloseTimeout(seconds)

            class Poll(Holding):
                halfCloseTimeout = 7
                before: Any = staticmethod(say if first else repr)

                def render(self, request: Any) -> Any:
                    self.before(request)
                    return super().render(request)

            resource = Poll()
            wire = self.talk(resource, GET, requestFactory=factory)
            if not first:
                say(resource.requests[0])
            self.left(wire, resource.lost, seconds)
            resource.requests.clear()

    def test_coroutine(self) -> None:
        """
        A coroutine is cancelled.
        """
        cancelled: list[Any] = []

        class Poll(Holding):
            halfCloseTimeout = 0

            def render(self, request: Any) -> Any:
                return Deferred(cancelled.append)

        wire = self.talk(Poll(), GET).halfClose()
        self.assertEqual(1, len(cancelled))
        self.assertTrue(wire.closed)
        cancelled.clear()

    def test_late(self) -> None:
        """
        It may be said when the client has closed its side already.
        """
        holding = Holding()
        wire = self.talk(holding, GET).halfClose()
        holding.requests[0].setHalfCloseTimeout(0)
        wire.pump()
        self.assertEqual(1, len(holding.lost))
        self.assertTrue(wire.closed)
        holding.requests.clear()
        holding.lost.clear()

    def test_nextRequest(self) -> None:
        """
        It is not said for the next request of the connection.
        """

        def at_once(request: Any) -> Any:
            if request.path == b"/hold":
                return holding.render(request)
            request.setHalfCloseTimeout(0)
            return b"answered"

        holding = Holding()
        wire = self.talk(at_once, GET, get(b"/hold"))
        self.left(wire, holding.lost, Limits().halfCloseTimeout)
        holding.requests.clear()

    def test_pipelined(self) -> None:
        """
        The answers that are ready are sent; the first that is not is given up.
        """

        class Poll(Holding):
            halfCloseTimeout = 0

            def render(self, request: Any) -> Any:
                if request.path == b"/hold":
                    return super().render(request)
                return b"ready"

        poll = Poll()
        wire = self.talk(poll, GET + GET + get(b"/hold") + GET).halfClose()
        self.assertEqual([200, 200], wire.statuses)
        self.assertEqual(1, len(poll.lost))
        self.assertTrue(wire.closed)
        poll.requests.clear()
        poll.lost.clear()

    def test_cut(self) -> None:
        """
        A response that has begun is visibly cut.
        """

        class Poll(Holding):
            halfCloseTimeout = 0

        for version in (b"1.0", b"1.1"):
            poll = Poll()
            wire = self.talk(poll, get(version=version))
            poll.requests[0].write(b"begun")
            wire.halfClose()
            self.assertTrue(wire.aborted)
            poll.requests.clear()
            poll.lost.clear()

    def test_tooLate(self) -> None:
        """
        Neither between requests nor when the connection closes does it mean anything.
        """
        holding = Holding()
        wire = self.talk(holding, GET)
        holding.answer()
        wire.channel.setHalfCloseTimeout(0)
        wire.send(GET).halfClose().advance(Limits().halfCloseTimeout - 1)
        self.assertFalse(wire.closed)
        request = holding.requests.pop()
        # A transport that does not close.
        wire.transport.loseConnection = lambda: None  # type: ignore[method-assign]
        request.channel.loseConnection()
        request.setHalfCloseTimeout(100)
        del request
        wire.advance(Limits().abortTimeout + 1)
        self.assertTrue(wire.aborted)
        holding.lost.clear()

    def test_wrong(self) -> None:
        """
        What is no number of seconds is an error, of a request at the call and of
        a resource in its answer.
        """
        wrong: list[Any] = [-1, None, "1", True, float("inf"), float("nan")]
        for seconds in wrong:
            texts: list[str] = []

            def render(request: Any, seconds: Any = seconds, texts: Any = texts) -> Any:
                texts.append(
                    self.raised(ValueError, request.setHalfCloseTimeout, seconds)
                )
                return b""

            self.talk(render, GET)
            self.assertIn(repr(seconds), texts[0])
            resource = Holding()
            resource.halfCloseTimeout = seconds  # type: ignore[attr-defined]
            wire = self.talk(resource, GET)
            if seconds is not None:
                self.assertEqual([500], wire.statuses)
                self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))
            resource.requests.clear()
            wire.vanish()
            resource.lost.clear()


class DepartedSocketTests(TCPBackend):
    """
    On a real socket.
    """

    async def test_atOnce(self) -> None:
        """
        A client that closes is noticed with nothing written, long before
        C{Limits.halfCloseTimeout}.
        """
        told: Deferred[None] = Deferred()
        begun: Deferred[None] = Deferred()

        class Poll(Resource):
            isLeaf = True
            halfCloseTimeout = 0

            def render(self, request: Any) -> Any:
                request.notifyFinish().addErrback(lambda _: told.callback(None))
                begun.callback(None)
                return NOT_DONE_YET

        site = Site(Poll(), fastPath=FAST_PATH, limits=Limits(halfCloseTimeout=3600))
        peer = await self.open(site)
        peer.send(GET)
        await begun
        peer.close()
        await told
