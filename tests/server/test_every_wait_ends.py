"""
No connection waits for ever: whatever a client has sent, and wherever it stops, a
timer is armed, or an application runs, or the connection is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.support.corpus import load_cases
from tests.support.memory import MemoryTransport, SecureMemoryTransport
from tests.support.server_cases import FAST_PATH, Echo, Holding, ServerTestCase, get
from tests.support.socket_cases import TCPBackend
from tests.support.wire import Wire
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Limits, Site

EXPECT = b"Expect: 100-continue"
CHUNKED = b"Transfer-Encoding: chunked"

# The longest that a client which does nothing more can hold a connection.
ALL_WAITS = sum(
    float(bound.default)
    for bound in fields(Limits)
    if bound.metadata["unit"] == "seconds" and isinstance(bound.default, (int, float))
)

# Requests about which two layers have once disagreed, or might.
MORE = [
    get(b"/", EXPECT, CHUNKED, method=b"POST") + b"5;a=b\r\nhello\r\n0\r\nA: b\r\n\r\n",
    get(b"/", EXPECT, b"Content-Length: 5", method=b"POST") + b"hello",
    get(b"/", EXPECT, b"Content-Length: 0", method=b"POST"),
    get(b"/", EXPECT) + get(),
    get(b"/", EXPECT, CHUNKED, method=b"POST", version=b"1.0"),
    get() + get(b"/", EXPECT, CHUNKED, method=b"POST") + b"5\r\n",
    get(b"/", b"Connection: upgrade", b"Upgrade: h2c", b"Content-Length: 2") + b"ab",
    get(b"/", b"Connection: upgrade", b"Upgrade: a", EXPECT, CHUNKED) + b"1\r\na\r\n",
    get(b"/", b"Connection: close", CHUNKED, method=b"POST") + b"1\r\na\r\n0\r\n\r\n",
    get(b"h:1", method=b"CONNECT") + b"abc",
    b"\r\n" + get(b"/", CHUNKED, method=b"PUT") + b"1\r\na\r\n0\r\n\r\n\r\n" + get(),
]


class Taker(Protocol):
    """
    Takes a body, and answers when it has it.
    """

    def __init__(self, request: Any) -> None:
        self.request: Any = request

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The body has ended.
        """
        request, self.request = self.request, None
        if not request.finished and not request._disconnected:
            request.finish()


@implementer(IStreamingResource)
class Streamed(Resource):
    """
    Takes bodies as they come.

    @param answersFirst: whether the answer comes before the body is asked for.
    """

    isLeaf = True

    def __init__(self, answersFirst: bool = False) -> None:
        super().__init__()
        self.answersFirst = answersFirst

    def render(self, request: Any) -> Any:
        """
        Answer at once, or when all of the body is here.
        """
        if self.answersFirst:
            return b"No, thank you."
        request.deliverBody(Taker(request))
        return NOT_DONE_YET


def places(data: bytes) -> Iterator[int]:
    """
    Where a request is cut: everywhere near its delimiters, and at its end.  In
    the middle of a long word one place is like the other.
    """
    near = b'\r\n: ;="\x00\t'
    for place in range(len(data) + 1):
        around = data[max(place - 2, 0) : place + 1]
        if place in (0, len(data)) or any(byte in near for byte in around):
            yield place


def corpus() -> Iterator[tuple[bytes, dict[str, int]]]:
    """
    All that the corpus has, without the very long ones, and more.
    """
    for case in load_cases():
        if len(case.data) <= 400:
            yield case.data, case.limits
    for data in MORE:
        yield data, {}


class EveryWaitEndsTests(ServerTestCase):
    """
    A client stops in the middle, and time passes.

    @cvar thin: whether only some of the places are tried.
    """

    thin = True

    def assertEnds(self, wire: Wire, data: object) -> None:
        """
        The connection is gone when all time-outs are over.
        """
        for _ in range(13):
            if wire.closed:
                return
            self.clock.advance(ALL_WAITS / 13)
            wire.pump()
        self.fail(f"it is open for ever: {data!r} {wire.channel!r}")

    def cut(
        self, resource: Any, fastPath: bool, ends: bool, transport: Any, step: int = 1
    ) -> None:
        """
        Send every beginning of every request of the corpus.
        """
        site = self.site(resource, fastPath=fastPath)
        step = step if self.thin else 1
        plain = site.limits
        done = set()
        for data, limits in corpus():
            site.limits = replace(plain, **limits)
            for place in places(data):
                key = data[:place], tuple(limits.items())
                if key in done or place % step:
                    continue
                done.add(key)
                wire = Wire(site, self.clock, transport())
                wire.send(data[:place])
                if ends:
                    wire.halfClose()
                self.assertEnds(wire, data[:place])
                if isinstance(resource, Echo):
                    resource.seen.clear()

    def test_buffered(self) -> None:
        """
        Where the body is collected.
        """
        for fastPath in (False, True):
            self.cut(Echo(), fastPath, False, MemoryTransport, 4)
            self.cut(Echo(), fastPath, True, MemoryTransport, 9)

    def test_streamed(self) -> None:
        """
        Where the body is taken as it comes.
        """
        for fastPath in (False, True):
            self.cut(Streamed(), fastPath, False, MemoryTransport, 5)
            self.cut(Streamed(), fastPath, True, MemoryTransport, 9)

    def test_answeredFirst(self) -> None:
        """
        Where the answer comes before the body.
        """
        for fastPath in (False, True):
            self.cut(Streamed(True), fastPath, False, MemoryTransport, 5)

    def test_secure(self) -> None:
        """
        On a transport without half-close, whose handshake has ended or not.
        """
        self.cut(Echo(), True, False, SecureMemoryTransport, 3)

    def test_expectationByteByByte(self) -> None:
        """
        A client that waits for 100 waits no longer when something has come, and
        is asked for the rest at the least rate.
        """
        head = get(b"/", EXPECT, CHUNKED, method=b"POST")
        for fastPath in (False, True):
            wire = self.connect(self.site(fastPath=fastPath)).send(head + b"5")
            self.assertEqual(b"", wire.output)
            self.assertRefused(wire.advance(Limits().rateWindow), 408)

    def test_expectationAfterEarlyHints(self) -> None:
        """
        An interim response of another kind does not make up for the 100.
        """

        @implementer(IStreamingResource)
        class Hints(Streamed):
            def render(self, request: Any) -> Any:
                request.sendInterim(103, [(b"Link", b"</a>")])
                return super().render(request)

        for data in MORE[:2]:
            head, end, body = data.partition(b"\r\n\r\n")
            wire = self.talk(Hints(), head + end)
            self.assertIn(b"HTTP/1.1 103", wire.output)
            self.assertTrue(wire.output.endswith(b"HTTP/1.1 100 Continue\r\n\r\n"))
            wire.send(body)
            self.assertEqual([103, 100], wire.only().interim)

    def test_lateTurn(self) -> None:
        """
        The client's time begins when it is asked for the body.
        """

        @implementer(IStreamingResource)
        class Patient(Holding):
            pass

        site = self.site(Patient())
        wire = self.connect(site).send(MORE[0].partition(b"5;")[0])
        request = site.resource.requests.pop()
        wire.advance(Limits().rateWindow * 3 - 1)
        request.sendContinue()
        wire.advance(2)
        self.assertNotIn(b" 408 ", wire.output)
        wire.advance(2 * Limits().rateWindow)
        self.assertRefused(wire, 408)
        site.resource.lost.clear()

    def test_withoutHandshakeTimeout(self) -> None:
        """
        Whoever puts no bound on the handshake has one on the first byte.
        """
        site = self.site(limits={"handshakeTimeout": None})
        wire = self.connect(site, SecureMemoryTransport())
        wire.channel.handshakeCompleted()
        self.assertEnds(wire, "no byte")

    def test_withoutRequestTimeout(self) -> None:
        """
        An application that takes its time does not take the client's: a body
        must arrive all the same.
        """

        @implementer(IStreamingResource)
        class Slow(Streamed):
            def render(self, request: Any) -> Any:
                self.setTimeout = request.channel.setTimeout
                return super().render(request)

        head = get(b"/", CHUNKED, method=b"POST")
        for part in (b"", b"5\r\nab"):
            slow = Slow()
            wire = self.talk(slow, head + part)
            slow.setTimeout(None)
            del slow.setTimeout
            self.assertEnds(wire, part)

    def test_requestTimeoutBehindItsAnswer(self) -> None:
        """
        Nor does a time-out of the application outlive the answer.
        """

        @implementer(IStreamingResource)
        class Slow(Streamed):
            def render(self, request: Any) -> Any:
                request.channel.setTimeout(1_000_000)
                return super().render(request)

        head = get(b"/", b"Content-Length: 5", method=b"POST")
        self.assertEnds(self.talk(Slow(answersFirst=True), head), head)

    def test_heldBehindItsAnswer(self) -> None:
        """
        Nor does anybody who holds the network back, and answers.
        """

        @implementer(IStreamingResource)
        class Held(Streamed):
            def render(self, request: Any) -> Any:
                request.channel._networkProducer.pauseProducing()
                return super().render(request)

        for head in (
            get(b"/", b"Content-Length: 5", method=b"POST"),
            get(b"/", CHUNKED, method=b"POST"),
        ):
            self.assertEnds(self.talk(Held(answersFirst=True), head), head)

    def test_behindAPausedResponse(self) -> None:
        """
        What waits behind a response that the client did not take at first is
        looked at when it does, however much it is.
        """

        @implementer(IStreamingResource)
        class Early(Streamed):
            def render(self, request: Any) -> Any:
                request.write(b"x" * 200_000)
                return super().render(request)

        limits = {"maxTrailerLength": 100_000, "maxHeadLength": 100_000}
        trailer = b"0\r\nA: " + b"a" * 50_000
        for resource, data in (
            (Early(), get(b"/", CHUNKED, method=b"POST") + trailer),
            (lambda _: b"x" * 200_000, get() + get() + b"GET /" + b"a" * 7000),
            (lambda _: b"x" * 200_000, get() * 1000),
        ):
            wire = self.connect(self.site(resource, limits=limits)).stall()
            wire.send(data).drain()
            self.assertFalse(wire.transport.paused)
            self.assertEnds(wire, data)

    def test_endBehindAPausedResponse(self) -> None:
        """
        A request that begins after the client has closed its side has the same
        time as one that had begun.
        """
        holding = Holding()
        wire = self.connect(self.site(holding)).stall().send(get() + get())
        holding.requests[0].write(b"x" * 200_000)
        holding.requests.pop(0).finish()
        wire.halfClose().drain()
        self.assertEqual(1, len(holding.requests))
        wire.advance(Limits().halfCloseTimeout + 1)
        self.assertTrue(wire.closed)
        holding.requests.clear()
        holding.lost.clear()

    def test_timeoutIsNotLonger(self) -> None:
        """
        An application can not wait longer for a client that has closed its side.
        """
        holding = Holding()
        wire = self.connect(self.site(holding)).send(get()).halfClose()
        holding.requests[0].channel.setTimeout(None)
        self.assertEnds(wire, "half-closed")
        holding.requests.clear()
        holding.lost.clear()


class ReadAheadTests(TCPBackend):
    """
    The same on a real socket, where files go past the transport's buffer.
    """

    async def test_boundedBehindAFile(self) -> None:
        """
        While a file is on its way no more is read ahead than behind any other
        response.
        """
        path = self.mktemp()
        with open(path, "wb") as made:
            made.truncate(30_000_000)
        file = open(path, "rb")  # noqa: SIM115
        self.addCleanup(file.close)

        class Page(Resource):
            isLeaf = True

            def render(self, request: Any) -> Any:
                channels.append(request.channel)
                request.sendFile(file).addErrback(lambda _: None)
                request.finish()
                return NOT_DONE_YET

        channels: list[Any] = []
        peer = await self.open(Site(Page(), fastPath=FAST_PATH))
        peer.transport.pauseProducing()
        peer.send(get())
        while not channels:
            await self.turns(1)
        peer.send(b"GET /" + b"a" * 4_000_000)
        for _ in range(200):
            await self.turns(1)
            (channel,) = channels
            self.assertLess(len(channel.reader.unread), 200_000)
        del channel
        channels.clear()
