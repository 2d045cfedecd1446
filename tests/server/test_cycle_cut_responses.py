"""
A response that is not complete never looks as if it were.

Where it has a length, or chunks, the client can tell from the bytes.  Where only the
end of the connection ends it, as over HTTP/1.0, only a reset tells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any

from twisted.internet import reactor
from twisted.internet.error import ConnectionDone
from twisted.python.threadpool import ThreadPool
from twisted.web import server
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.wsgi import WSGIResource

from tests.support.memory import MemoryTransport, SecureMemoryTransport
from tests.support.server_cases import FAST_PATH, ServerTestCase, get
from tests.support.socket_cases import TCPBackend, TLSBackend
from tests.support.wire import Wire
from twisted_h11.server import Request, Site

net: Any = reactor

OLD = get(version=b"1.0")
NEW = get(b"/", b"Connection: close")


def fail(request: Any) -> None:
    """
    Raise.
    """
    raise ZeroDivisionError


# In how many ways an application can end a connection.
ENDS: dict[str, Callable[[Any], object]] = {
    "request": lambda request: request.loseConnection(),
    "channel": lambda request: request.channel.loseConnection(),
    "transport": lambda request: request.transport.loseConnection(),
    "channel's transport": lambda request: request.channel.transport.loseConnection(),
    "stopped transport": lambda request: request.transport.stopProducing(),
    "time-out": lambda request: request.channel.setTimeout(1),
    "abort": lambda request: request.channel.abortConnection(),
    "force": lambda request: request.channel.forceAbortClient(),
    "exception": fail,
}


def whole(request: Any) -> bytes:
    """
    All of it is returned.
    """
    return b"whole"


def in_pieces(request: Any) -> None:
    """
    Without a length.
    """
    request.write(b"piece")
    request.finish()


def too_short(request: Any) -> None:
    """
    Less than its length.
    """
    request.setHeader(b"Content-Length", b"9")
    in_pieces(request)


def fail_in_between(request: Any) -> None:
    """
    Raise when some was sent.
    """
    request.write(b"piece")
    fail(request)


def fail_while_closing(request: Any) -> None:
    """
    The same when the connection is about to close.
    """
    request.write(b"piece")
    request.channel.loseConnection()
    fail(request)


# The last state of the response, by what the application did.
LAST_STATES: dict[Callable[[Any], object], str] = {
    whole: "complete",
    in_pieces: "complete",
    too_short: "failed",
    fail_in_between: "failed",
    fail_while_closing: "failed",
    fail: "complete",
}


class LastStateTests(ServerTestCase):
    """
    The cycle of a connection's last response.
    """

    def test_names(self) -> None:
        """
        It says whether its response has ended or failed.
        """
        for way, name in LAST_STATES.items():
            wire = self.connect(self.site(way))
            wire.channel.dataReceived(NEW)
            self.assertEqual(f"<Cycle {name} None>", repr(wire.channel.cycle), way)
            wire.pump()
            wire.vanish()
            self.flushLoggedErrors(ZeroDivisionError)


class CutResponseTests(ServerTestCase):
    """
    In memory.
    """

    def cut(
        self,
        end: Callable[[Any], object],
        data: bytes,
        factory: Any = Request,
        length: bytes | None = None,
        transport: MemoryTransport | None = None,
        later: bool = False,
    ) -> Wire:
        """
        Begin a response, and end the connection.
        """

        def render(request: Any) -> Any:
            if length is not None:
                request.setHeader(b"Content-Length", length)
            request.write(b"begun")
            if later:
                self.clock.callLater(1, end, request)
            else:
                end(request)
            return NOT_DONE_YET

        site = self.site(render, requestFactory=factory)
        wire = self.connect(site, transport).send(data)
        return wire.advance(8)

    def test_untilClose(self) -> None:
        """
        One that ends with the connection is reset, whoever ends it and when.
        """
        for name, factory, later, secure in product(
            ENDS, (Request, server.Request), (False, True), (False, True)
        ):
            if name == "exception" and later:
                continue
            wire = self.cut(
                ENDS[name],
                OLD,
                factory,
                transport=SecureMemoryTransport() if secure else None,
                later=later,
            )
            self.assertTrue(wire.closed, name)
            self.assertTrue(wire.aborted, (name, factory, later))
            self.flushLoggedErrors(ZeroDivisionError)

    def test_others(self) -> None:
        """
        One with a length, or chunks, is flushed and cut short.
        """
        for name, factory, (data, length) in product(
            ENDS, (Request, server.Request), ((NEW, None), (NEW, b"10"), (OLD, b"10"))
        ):
            wire = self.cut(ENDS[name], data, factory, length)
            self.assertTrue(wire.closed, name)
            if name not in ("abort", "force"):
                self.assertFalse(wire.aborted, name)
                self.assertIn(b"begun", wire.output)
                self.assertFalse(wire.only().complete)
            self.flushLoggedErrors(ZeroDivisionError)

    def test_complete(self) -> None:
        """
        One that is complete is not reset, whatever follows.
        """
        for name, factory in product(ENDS, (Request, server.Request)):

            def end(request: Any, name: str = name) -> None:
                channel, transport = request.channel, request.channel.transport
                request.finish()
                if "transport" in name:
                    transport.loseConnection()
                elif name not in ("abort", "force", "exception", "request"):
                    channel.loseConnection()

            wire = self.cut(end, OLD, factory)
            self.assertTrue(wire.closed)
            self.assertFalse(wire.aborted)
            self.assertEqual(b"begun", wire.only().body)

    def test_raw(self) -> None:
        """
        A response whose head is not ours ends when its writer says so.
        """

        def end(request: Any) -> None:
            request.startedWriting = 1
            request.transport.write(b"HTTP/1.0 200 OK\r\n\r\nraw")
            request.loseConnection()

        for data in (OLD, NEW):
            wire = self.connect(self.site(end)).send(data).advance(8)
            self.assertTrue(wire.closed)
            self.assertFalse(wire.aborted)
            self.assertTrue(wire.output.endswith(b"\r\n\r\nraw"))

    def test_withoutContent(self) -> None:
        """
        Nor is one reset that has no content to be cut.
        """

        def end(request: Any) -> None:
            request.write(b"")
            request.loseConnection()

        head = get(method=b"HEAD", version=b"1.0")
        wire = self.connect(self.site(end)).send(head).advance(8)
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)

    def test_notified(self) -> None:
        """
        C{notifyFinish} fails.
        """
        told: list[Any] = []

        def end(request: Any) -> None:
            request.notifyFinish().addErrback(told.append)
            request.loseConnection()

        self.cut(end, OLD)
        self.assertEqual(1, len(told))
        told.clear()

    def test_refusedBehindACompleteOne(self) -> None:
        """
        The body that is still due when its response is complete does not destroy
        it, whether it is late, too long or malformed.
        """
        for rest in (b"", b"x" * 300_000):

            def render(request: Any) -> None:
                request.write(b"complete")
                request.finish()

            class Early(Request):
                def gotLength(self, length: Any) -> None:
                    super().gotLength(length)
                    self.process = lambda: None  # type: ignore[method-assign]
                    render(self)

            head = get(b"/", b"Content-Length: 200000", method=b"POST", version=b"1.0")
            site = self.site(requestFactory=Early)
            wire = self.connect(site).send(head, rest).advance(40, 5)
            self.assertTrue(wire.closed)
            self.assertFalse(wire.aborted)
            self.assertEqual(b"complete", wire.only().body)


class Begun(Resource):
    """
    Begins a response, and ends the connection a turn later.
    """

    isLeaf = True

    def __init__(self, end: Callable[[Any], object]) -> None:
        super().__init__()
        self.end = end

    def render(self, request: Any) -> Any:
        """
        Begin.
        """
        request.write(b"begun")
        net.callLater(0, self.end, request)
        return NOT_DONE_YET


class SocketTests:
    """
    On sockets: what the client sees.
    """

    async def test_reset(self: Any) -> None:
        """
        It is told of an error, and not of the end.
        """
        ends = [ENDS[name] for name in ("request", "channel", "transport")]
        for end in (*ends, lambda request: request.transport.loseWriteConnection()):
            site = Site(Begun(end), fastPath=FAST_PATH)
            peer = await self.open(site)
            peer.send(OLD)
            await peer.gone()
            self.assertIs(None, peer.lost.check(ConnectionDone), end)


class TCPTests(SocketTests, TCPBackend):
    """
    On TCP.
    """


class TLSTests(SocketTests, TLSBackend):
    """
    On TLS.
    """


class WSGITests(TCPBackend):
    """
    A WSGI application that raises after its first piece.
    """

    def setUp(self) -> None:
        """
        Start a thread.
        """
        super().setUp()
        self.pool = ThreadPool(1, 1)
        self.pool.start()
        self.addCleanup(self.pool.stop)

    async def test_generator(self) -> None:
        """
        An old client, as nginx is, gets a reset; a newer one no last chunk.
        """

        def application(environ: Any, start: Any) -> Iterator[bytes]:
            start("200 OK", [("Content-Type", "text/plain")])
            yield b"begun"
            raise ZeroDivisionError

        site = Site(WSGIResource(net, self.pool, application), fastPath=FAST_PATH)
        port = await self.listen(site)
        peer = await self.connect(port)
        peer.send(OLD)
        await peer.gone()
        self.assertIsNot(None, peer.lost)
        self.assertNotIsInstance(getattr(peer.lost, "value", None), ConnectionDone)
        peer = await self.connect(port)
        peer.send(NEW)
        await peer.end()
        (response,) = peer.read()
        self.assertEqual((b"begun", False), (response.body, response.complete))
        self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))
