"""
Responses that a resource writes itself, head and all, as test servers do.

C{request.startedWriting = 1} tells twisted.web that the head is out.  What is
written then, by whatever name, goes out as it is; the response is over with
C{finish} or when somebody closes the connection.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.web import server
from zope.interface import implementer

from tests.support.server_cases import FAST_PATH, GET, Calls, ServerTestCase, get, post
from tests.support.socket_cases import (
    TCPBackend,
    TLSBackend,
    UNIXBackend,
)
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Request, Site

net: Any = reactor

RAW = b"HTTP/1.1 299 So\r\nX-Odd:  1\r\nContent-Length: 3\r\n\r\nraw"

# By which name the bytes are written, and in how many pieces.
WRITERS: dict[str, Callable[[Any, bytes], object]] = {
    "request.write": lambda r, data: r.write(data),
    "request.write, in pieces": lambda r, data: [
        r.write(data[at : at + 7]) for at in range(0, len(data), 7)
    ],
    "request.transport.write": lambda r, data: r.transport.write(data),
    "request.transport.writeSequence": lambda r, data: r.transport.writeSequence(
        [data[:9], data[9:]]
    ),
    "channel.transport.write": lambda r, data: r.channel.transport.write(data),
    "channel.transport.writeSequence": lambda r, data: (
        r.channel.transport.writeSequence([data[:9], data[9:]])
    ),
    "channel.write": lambda r, data: r.channel.write(data),
    "channel.writeSequence": lambda r, data: r.channel.writeSequence(
        [data[:9], data[9:]]
    ),
    "by every name": lambda r, data: (
        r.write(data[:5]),
        r.transport.write(data[5:10]),
        r.channel.write(data[10:20]),
        r.channel.transport.writeSequence([data[20:30]]),
        r.write(data[30:]),
    ),
}

# How the response ends.
ENDINGS: dict[str, Callable[[Any], object]] = {
    "finish": lambda r: r.finish(),
    "request.loseConnection": lambda r: r.loseConnection(),
    "channel.loseConnection": lambda r: r.channel.loseConnection(),
    "transport.loseConnection": lambda r: r.transport.loseConnection(),
    "channel.transport.loseConnection": lambda r: r.channel.transport.loseConnection(),
    "request.loseConnection, finish": lambda r: (r.loseConnection(), r.finish()),
    "channel.loseConnection, finish": lambda r: (
        r.channel.loseConnection(),
        r.finish(),
    ),
    "channel.transport.loseConnection, finish": lambda r: (
        r.channel.transport.loseConnection(),
        r.finish(),
    ),
}


def raw(
    write: Callable[[Any, bytes], object],
    end: Callable[[Any], object],
    later: Callable[[Callable[[], None]], object],
    data: bytes = RAW,
) -> Callable[[Any], None]:
    """
    What renders a raw response.

    @param later: calls what it is given, at once or in its time.
    """

    def render(request: Any) -> None:
        request.startedWriting = 1

        def answer() -> None:
            write(request, data)
            end(request)

        later(answer)

    return render


class RawResponseTests(ServerTestCase):
    """
    In memory: every way to write, every way to end, every kind of request.
    """

    def test_each(self) -> None:
        """
        What was written is what the client gets, then the connection is closed
        in order, and nothing waits any more.
        """
        requests = {
            "GET": GET,
            "HEAD": get(method=b"HEAD"),
            "HTTP/1.0": get(version=b"1.0"),
            "POST": post(b"a body"),
            "close": get(b"/", b"Connection: close"),
            "chunked": get(b"/", b"Transfer-Encoding: chunked", method=b"PUT")
            + b"1\r\nx\r\n0\r\n\r\n",
        }
        ways = product(WRITERS, ENDINGS, requests, (False, True))
        for writer, ending, request, postponed in ways:
            later = self.postponed if postponed else self.atOnce
            for factory in (Request, server.Request):
                render = raw(WRITERS[writer], ENDINGS[ending], later)
                wire = self.talk(render, requests[request], requestFactory=factory)
                wire.settle(20)
                case = (writer, ending, request, postponed, factory)
                self.assertEqual(RAW, wire.output, case)
                self.assertTrue(wire.closed, case)
                self.assertFalse(wire.aborted, case)
                self.assertEqual([], self.clock.getDelayedCalls(), case)
        self.assertEqual([], self.messages())

    def atOnce(self, call: Callable[[], None]) -> None:
        """
        Now.
        """
        call()

    def postponed(self, call: Callable[[], None]) -> None:
        """
        In a later turn.
        """
        self.clock.callLater(0, call)

    def test_returned(self) -> None:
        """
        The raw response may be what C{render} returns, or a coroutine of it.
        """

        def returns(request: Any) -> bytes:
            request.startedWriting = 1
            return RAW

        async def coroutine(request: Any) -> bytes:
            request.startedWriting = 1
            return RAW

        for render in (returns, coroutine):
            wire = self.talk(render, GET).settle(20)
            self.assertEqual(RAW, wire.output)
            self.assertTrue(wire.closed)

    def test_nothing(self) -> None:
        """
        A raw response of no bytes is a connection that closes.
        """
        for ending in ENDINGS.values():
            wire = self.talk(raw(lambda r, data: None, ending, self.atOnce), GET)
            wire.settle(20)
            self.assertEqual(b"", wire.output)
            self.assertTrue(wire.closed)

    def test_nextRequest(self) -> None:
        """
        What the client sent behind a raw response is not answered: only its
        writer knows where it ends.
        """
        for ending in ENDINGS.values():
            site = self.site(raw(WRITERS["request.write"], ending, self.atOnce))
            wire = self.connect(site).send(GET * 3).settle(20)
            self.assertEqual(RAW, wire.output)
            self.assertTrue(wire.closed)

    def test_afterAnOrdinaryResponse(self) -> None:
        """
        A raw response may follow ordinary ones on a connection.
        """
        write = raw(WRITERS["request.write"], ENDINGS["finish"], self.atOnce)

        def render(request: Any) -> Any:
            if request.path != b"/raw":
                return b"ordinary"
            write(request)
            return server.NOT_DONE_YET

        wire = self.talk(render, GET + get(b"/raw"), GET).settle(20)
        first, second, rest = wire.output.partition(RAW)
        self.assertTrue(first.endswith(b"ordinary"))
        self.assertEqual((RAW, b""), (second, rest))

    def test_large(self) -> None:
        """
        A raw response that does not fit into the transport reaches a slow
        client whole, however it is ended.
        """
        data = RAW + b"x" * 300_000
        for writer, ending in product(WRITERS, ENDINGS):
            if "pieces" in writer:
                continue
            render = raw(WRITERS[writer], ENDINGS[ending], self.postponed, data)
            wire = self.connect(self.site(render)).stall().send(GET)
            wire.advance(1).drain().settle(20)
            self.assertEqual(len(data), len(wire.output), (writer, ending))
            self.assertTrue(wire.closed, (writer, ending))

    def test_clientThatDoesNotRead(self) -> None:
        """
        The least rate holds for a raw response, too.
        """
        for ending in ENDINGS.values():
            data = RAW + b"x" * 300_000
            render = raw(WRITERS["request.write"], ending, self.postponed, data)
            wire = self.connect(self.site(render)).stall().send(GET)
            wire.settle(100)
            self.assertTrue(wire.closed)
            self.assertTrue(wire.aborted)
            self.assertEqual([], self.clock.getDelayedCalls())

    def test_boundOfWhatIsWritten(self) -> None:
        """
        So does the bound of what is written to a client that does not read.
        """

        def render(request: Any) -> None:
            request.startedWriting = 1
            for _ in range(30):
                request.write(b"x" * 100_000)

        site = self.site(render, limits={"writeBufferLength": 1_000_000})
        wire = self.connect(site).stall().send(GET)
        wire.settle(1)
        self.assertTrue(wire.aborted)
        self.assertLess(len(wire.transport.backlog), 1_200_000)

    def test_accessLog(self) -> None:
        """
        One line at C{finish}, with the bytes that went through the request;
        none without C{finish}, as in twisted.web.
        """
        expected = {"finish": 1, "channel.loseConnection": 0}
        for ending, count in expected.items():
            render = raw(WRITERS["request.write"], ENDINGS[ending], self.atOnce)
            site = self.site(render, start=True)
            self.connect(site).send(GET).settle(20)
            lines = site.access.getvalue().splitlines()
            self.assertEqual(count, len(lines), ending)
            for line in lines:
                self.assertIn(f'"GET / HTTP/1.1" 200 {len(RAW)} ', line)

    def test_notifyFinish(self) -> None:
        """
        It fires with success at C{finish}, and fails where the connection was
        closed without it.
        """
        for ending, end in ENDINGS.items():
            told: list[object] = []

            def render(request: Any, told: Any = told, end: Any = end) -> None:
                request.notifyFinish().addCallbacks(
                    told.append, lambda reason: told.append(reason.type.__name__)
                )
                raw(WRITERS["request.write"], end, self.atOnce)(request)

            self.talk(render, GET).settle(20)
            expected = None if ending.endswith("finish") else "ConnectionDone"
            self.assertEqual([expected], told, ending)

    def test_failing(self) -> None:
        """
        An application that raises in a raw response ends the connection with a
        reset; no page of ours is put behind what it wrote.
        """

        def render(request: Any) -> None:
            request.startedWriting = 1
            request.write(RAW[:-2])
            raise ValueError("too bad")

        class Process(Request):
            def process(self) -> None:
                render(self)

        @implementer(IStreamingResource)
        class Streaming(Calls):
            pass

        for resrc, options in (
            (Calls(render), {}),
            (Streaming(render), {}),
            (Calls(render), {"requestFactory": Process}),
        ):
            for data in (GET, post(b"body")):
                wire = self.talk(resrc, data, **options).settle(20)
                self.assertIn(wire.output, (RAW[:-2], b""))
                self.assertTrue(wire.aborted)
                self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))

    def test_refusedBody(self) -> None:
        """
        A body that turns out malformed while a raw response is under way does
        not put a 400 behind it.
        """

        @implementer(IStreamingResource)
        class Streaming(Calls):
            pass

        def render(request: Any) -> None:
            request.startedWriting = 1
            request.write(RAW[:-2])

        head = get(b"/", b"Transfer-Encoding: chunked", method=b"PUT")
        wire = self.talk(Streaming(render), head, b"nonsense\r\n").settle(20)
        self.assertEqual(RAW[:-2], wire.output)
        self.assertTrue(wire.closed)

    def test_switchingAfterwards(self) -> None:
        """
        C{switchProtocol} is too late then.
        """
        raised: list[str] = []

        def render(request: Any) -> None:
            request.startedWriting = 1
            request.responseHeaders.setRawHeaders(b"Upgrade", [b"x"])
            raised.append(self.raised(RuntimeError, request.switchProtocol, Protocol()))
            request.finish()

        fields = (b"Connection: upgrade", b"Upgrade: x")
        wire = self.talk(render, get(b"/", *fields)).settle(20)
        self.assertEqual(1, len(raised))
        self.assertEqual(b"", wire.output)

    def test_headThatCanNotBeMade(self) -> None:
        """
        A head that fails before a byte of it is out is a 500, not a raw
        response of what comes then.
        """

        def render(request: Any) -> None:
            request.code_message = "text"
            request.write(b"content")

        wire = self.talk(render, GET).settle(20)
        self.assertEqual([500], wire.statuses)
        self.flushLoggedErrors()

    def test_chunkedTurnedOff(self) -> None:
        """
        C{chunked = False} in the middle of a chunked response: it ends without
        its last chunk, and the connection with it.
        """

        def render(request: Any) -> None:
            request.write(b"chunked ")
            request.write(b"content\n")
            request.chunked = False
            request.finish()

        for factory in (Request, server.Request):
            wire = self.talk(render, GET + GET, requestFactory=factory).settle(20)
            self.assertTrue(wire.closed)
            (response,) = wire.responses
            self.assertEqual(b"chunked content\n", response.body)
            self.assertFalse(response.complete)
            self.assertFalse(wire.aborted)

    def test_chunkedTurnedOffTooEarly(self) -> None:
        """
        C{chunked} is decided with the head; what it was before says nothing.
        """

        def render(request: Any) -> None:
            request.chunked = False
            request.write(b"content")
            self.assertTrue(request.chunked)
            request.finish()

        for factory in (Request, server.Request):
            wire = self.talk(render, GET, requestFactory=factory)
            self.assertTrue(wire.only().complete)


class TakenTransportTests(ServerTestCase):
    """
    The transport gets another protocol, by hands that do not tell the channel.
    """

    def take(self, request: Any, first: bytes) -> Any:
        """
        As libraries did before there was a way: C{request.transport} is set to
        C{None}, and the protocol of the transport is replaced.
        """

        class Taker(Protocol):
            received = b""
            lost = 0

            def dataReceived(self, data: bytes) -> None:
                self.received += data

            def connectionLost(self, reason: Any = None) -> None:
                self.lost += 1

        taker = Taker()
        request.startedWriting = 1
        transport, request.transport = request.transport, None
        transport.write(first)
        transport.protocol = taker
        taker.makeConnection(transport)
        return taker

    def test_each(self) -> None:
        """
        The new protocol has the connection to itself: what came with the
        request, what comes, and its end; the site counts it no more.
        """
        for postponed in (False, True):
            takers: list[Any] = []

            def render(
                request: Any, takers: Any = takers, postponed: bool = postponed
            ) -> None:
                def take() -> None:
                    takers.append(self.take(request, RAW))

                if postponed:
                    self.clock.callLater(0, take)
                else:
                    take()

            site = self.site(render)
            wire = self.connect(site).send(GET + b"early", b" late")
            (taker,) = takers
            self.assertEqual(b"early late", taker.received)
            self.assertEqual(set(), site._connections.open)
            taker.transport.write(b"more")
            taker.transport.loseConnection()
            wire.pump()
            self.assertTrue(wire.closed, postponed)
            self.assertEqual(1, taker.lost)
            self.assertEqual(RAW + b"more", wire.output)
            self.assertEqual([], self.clock.getDelayedCalls())

    def test_nobody(self) -> None:
        """
        What came with the request is dropped, if the transport was taken and nobody
        has it.
        """

        def render(request: Any) -> None:
            request.channel.transport = None

        wire = self.connect(self.site(render)).send(GET + b"early")
        self.assertEqual(b"", wire.output)
        self.assertFalse(wire.channel.reader.hasBytes)
        wire.vanish()

    def test_restored(self) -> None:
        """
        A transport that goes to another protocol has its own C{loseConnection}
        again, and whatever replaced that before.
        """
        kept: list[Any] = []

        def render(request: Any) -> None:
            kept.append(request.transport)
            kept.append(vars(request.transport).get("loseConnection"))
            request.channel.transport = None

        site = self.site(render)
        wire = self.connect(site).send(GET)
        transport, shown = kept
        self.assertIsNotNone(shown)
        self.assertNotIn("loseConnection", vars(transport))
        wire.transport.producer = None
        wire.vanish()
        kept.clear()


class SocketRawTests:
    """
    Over real transports: the same bytes as from twisted.web.
    """

    async def fetch(
        self: Any, make: Callable[[Any], Any], render: Callable[[Any], None]
    ) -> bytes:
        """
        All that a client gets for one GET until the connection ends.
        """
        peer = await self.open(make(Calls(render)))
        peer.send(GET)
        await peer.gone() if not self.hasHalfClose else await peer.end()
        received: bytes = peer.received
        return received

    def later(self, call: Callable[[], None]) -> None:
        """
        In a later turn.
        """
        net.callLater(0, call)

    def compareWith(self: Any, data: bytes) -> Deferred[None]:
        """
        The bytes of each way to end, from both sites where twisted.web closes.
        """

        async def compare() -> None:
            for ending in ENDINGS:
                render = raw(
                    WRITERS["request.write"], ENDINGS[ending], self.later, data
                )
                ours = await self.fetch(self.makeOurs, render)
                self.assertEqual(data, ours, ending)
                if ending in ("request.loseConnection", "channel.loseConnection"):
                    theirs = await self.fetch(server.Site, render)
                    self.assertEqual(theirs, ours, ending)

        return Deferred.fromCoroutine(compare())

    def makeOurs(self, root: Any) -> Any:
        """
        Our site.
        """
        return Site(root, fastPath=FAST_PATH)

    def test_small(self) -> Deferred[None]:
        """
        A raw response arrives, however it is ended.
        """
        return self.compareWith(RAW)

    def test_large(self) -> Deferred[None]:
        """
        So does one that the socket does not take at once.
        """
        return self.compareWith(RAW + b"x" * 3_000_000)


class TCPRawTests(SocketRawTests, TCPBackend):
    """
    TCP.
    """


class TLSRawTests(SocketRawTests, TLSBackend):
    """
    TLS.
    """


class UNIXRawTests(SocketRawTests, UNIXBackend):
    """
    A UNIX socket.
    """
