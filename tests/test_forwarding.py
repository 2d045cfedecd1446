"""
Bodies from one connection to another: the pieces, and the proxy of the examples.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any, cast
from unittest.mock import Mock

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.server.test_streaming_examples import load
from tests.support.server_cases import FAST_PATH, ServerTestCase, get, post
from tests.support.socket_cases import Peer, TCPBackend, net
from tests.wsgi.test_threads import PIECE, ThreadsTestCase
from twisted_h11.client import Agent
from twisted_h11.forwarding import BodyProducer, deliver_to, end_to_end
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Site


class FieldTests(ServerTestCase):
    """
    Fields that may be sent on.
    """

    def test_endToEnd(self) -> None:
        """
        All but those of the connection, and those that C{Connection} names; the
        others keep their order and number.
        """
        pairs = [
            (b"A", b"1"),
            (b"connection", b"close, X-Own ,\tX-Other"),
            (b"Connection", b"keep-alive"),
            (b"x-own", b"2"),
            (b"X-OTHER", b"3"),
            *((name, b"4") for name in (b"TE", b"Trailer", b"Upgrade", b"Keep-Alive")),
            (b"Proxy-Authorization", b"5"),
            (b"Proxy-Connection", b"6"),
            (b"a", b"7"),
            (b"Content-Length", b"8"),
        ]
        expected = [(b"A", [b"1", b"7"]), (b"Content-Length", [b"8"])]
        headers = Headers()
        for name, value in pairs:
            headers.addRawHeader(name, value)
        for given in (pairs, headers):
            self.assertEqual(expected, list(end_to_end(given).getAllRawHeaders()))

    def test_overriddenLength(self) -> None:
        """
        A length that C{Transfer-Encoding} overrides is left out, in any order: it is
        not that of the body.
        """
        pairs = [(b"Content-Length", b"8"), (b"transfer-encoding", b"chunked")]
        for given in (pairs, pairs[::-1], Headers({n: [v] for n, v in pairs})):
            self.assertEqual([], list(end_to_end(given).getAllRawHeaders()))


@implementer(IStreamingResource)
class Origin(Resource):
    """
    The server behind the proxy.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.go: Deferred[None] = Deferred()
        self.given = 0
        self.bodies: list[bytes] = []
        self.ends: list[str] = []
        self.fields: list[Any] = []

    def render(self, request: Any) -> Any:
        """
        By its path.
        """
        self.fields.append(list(request.requestHeaders.getAllRawHeaders()))
        name = request.path[1:].decode() or "hello"
        result = getattr(self, name)(request)
        if isinstance(result, bytes):
            return result
        running = Deferred.fromCoroutine(result)
        request.notifyFinish().addBoth(lambda _: None)
        return running

    def hello(self, request: Any) -> bytes:
        request.setHeader(b"X-Own", b"a")
        request.setHeader(b"Server", b"origin")
        return b"hello"

    def nothing(self, request: Any) -> bytes:
        request.setResponseCode(304)
        request.setHeader(b"ETag", b'"x"')
        return b""

    def early(self, request: Any) -> bytes:
        request.setResponseCode(403)
        return b"no"

    async def echo(self, request: Any) -> None:
        async for piece in request.body:
            request.write(piece)
            await request.drained()

    async def count(self, request: Any) -> bytes:
        await self.go
        digest = hashlib.sha256()
        try:
            async for piece in request.body:
                digest.update(piece)
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise
        return digest.hexdigest().encode()

    async def endless(self, request: Any) -> None:
        try:
            while True:
                self.given += 1
                request.write(PIECE)
                await request.drained()
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise

    async def cut(self, request: Any) -> None:
        request.write(b"some")
        await self.go
        request.abort()


class ProxyTests(TCPBackend, ThreadsTestCase):
    """
    The proxy of the examples.
    """

    async def begin(self) -> Peer:
        """
        An origin, the proxy, and a client.
        """
        self.origin = Origin()
        port: Any = await self.listen(Site(self.origin, fastPath=FAST_PATH))
        server = b"http://127.0.0.1:%d" % port.getHost().port
        site = load("server_proxy")["makeSite"](net, server)
        self.addCleanup(site.resource.agent._pool.closeCachedConnections)
        return await self.open(site)

    async def ask(self, peer: Peer, request: bytes) -> Any:
        """
        One request and its response.
        """
        peer.received = b""
        peer.methods = [request.partition(b" ")[0]]
        peer.send(request)
        (response,) = await peer.responses(1)
        return response

    async def test_small(self) -> None:
        """
        Status, fields and content arrive, on one connection.
        """
        peer = await self.begin()
        response = await self.ask(peer, get(b"/", b"Connection: X-Mine", b"X-Mine: 1"))
        self.assertEqual(b"hello", response.body)
        self.assertEqual(b"a", response.get(b"x-own"))
        self.assertEqual([b"origin"], response.all(b"server"))
        self.assertEqual(b"5", response.get(b"content-length"))
        names = [name.lower() for name, _ in self.origin.fields[0]]
        self.assertNotIn(b"x-mine", names)
        response = await self.ask(peer, get(b"/", method=b"HEAD"))
        self.assertEqual(b"5", response.get(b"content-length"))
        self.assertEqual(b"", response.body)
        response = await self.ask(peer, get(b"/nothing"))
        self.assertEqual(304, response.status)
        self.assertEqual(b'"x"', response.get(b"etag"))
        response = await self.ask(peer, post(b"abc", target=b"/echo"))
        self.assertEqual(b"abc", response.body)
        response = await self.ask(peer, post(b"", target=b"/echo"))
        self.assertEqual(b"", response.body)
        response = await self.ask(peer, get(b"http://example.com/"))
        self.assertEqual(400, response.status)

    async def test_large(self) -> None:
        """
        Both bodies at once, by length and in chunks.
        """
        peer = await self.begin()
        body = os.urandom(2_000_000)
        response = await self.ask(peer, post(body, target=b"/echo"))
        self.assertEqual(body, response.body)
        head = get(b"/echo", b"Transfer-Encoding: chunked", method=b"PUT")
        chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        response = await self.ask(peer, head + chunked)
        self.assertEqual(body, response.body)

    async def test_expect(self) -> None:
        """
        C{100 Continue} comes when the origin has asked for the body.
        """
        peer = await self.begin()
        head, _, body = post(
            b"abc", b"Expect: 100-continue", target=b"/count"
        ).partition(b"\r\n\r\n")
        peer.send(head + b"\r\n\r\n")
        await self.wait(lambda: self.origin.fields)
        await self.turns(20)
        self.assertEqual(b"", peer.received)
        self.origin.go.callback(None)
        await peer.until(lambda: peer.received.endswith(b"100 Continue\r\n\r\n"))
        response = await self.ask(peer, body)
        self.assertEqual(hashlib.sha256(b"abc").hexdigest().encode(), response.body)

    async def test_slowClient(self) -> None:
        """
        The origin waits for the client; when that goes, the origin is told, and
        nothing is logged.
        """
        peer = await self.begin()
        got = [0]

        def count(data: bytes) -> None:
            got[0] += len(data)

        peer.dataReceived = count  # type: ignore[method-assign]
        peer.send(get(b"/endless"))
        await self.wait(lambda: got[0] > 3_000_000)
        peer.transport.pauseProducing()
        some = await self.settled(lambda: self.origin.given)
        peer.transport.resumeProducing()
        await self.wait(lambda: self.origin.given > some + 20)
        peer.transport.pauseProducing()
        await self.settled(lambda: self.origin.given)
        peer.abort()
        await self.wait(lambda: self.origin.ends)
        self.assertEqual(["CancelledError"], self.origin.ends)

    async def test_requestGone(self) -> None:
        """
        A response that is delivered to a request whose client has gone is given up.
        """
        peer = await self.begin()
        held: list[Any] = []

        class Held(Resource):
            isLeaf = True

            def render(self, request: Any) -> int:
                held.append(request)
                request.notifyFinish().addErrback(lambda _: None)
                return NOT_DONE_YET

        other = await self.open(Site(Held()))
        other.send(get())
        await self.wait(lambda: held)
        other.abort()
        await self.wait(lambda: held[0]._disconnected)
        agent = Agent(net)
        uri = b"http://127.0.0.1:%d/endless" % self.ports[0].getHost().port
        response = await agent.request(b"GET", uri)
        with self.assertRaises(ConnectionLost):
            await response.deliverTo(held.pop())
        await self.wait(lambda: self.origin.ends)
        del peer

    async def test_cancelled(self) -> None:
        """
        So is one whose delivery is cancelled; the consumer may go on.
        """

        class Consumer:
            producer: Any = None
            written = 0

            def registerProducer(self, producer: Any, streaming: bool) -> None:
                self.producer = producer

            def unregisterProducer(self) -> None:
                self.producer = None

            def write(self, data: bytes) -> None:
                self.written += len(data)

        await self.begin()
        uri = b"http://127.0.0.1:%d/" % self.ports[0].getHost().port
        consumer = Consumer()
        taker: Any = consumer
        response = await Agent(net).request(b"GET", uri)
        await response.deliverTo(taker)
        self.assertEqual((5, None), (consumer.written, consumer.producer))
        response = await Agent(net).request(b"GET", uri + b"endless")
        delivering = response.deliverTo(taker)
        await self.wait(lambda: consumer.written > 100_000)
        self.assertIsNotNone(consumer.producer)
        delivering.cancel()
        with self.assertRaises(CancelledError):
            await delivering
        self.assertIsNone(consumer.producer)
        await self.wait(lambda: self.origin.ends)

    async def test_slowOrigin(self) -> None:
        """
        The client waits for the origin.
        """
        peer = await self.begin()
        body = os.urandom(30_000_000)
        peer.send(post(body, target=b"/count"))
        await self.wait(lambda: self.origin.fields)
        transport = peer.transport
        left = await self.settled(
            lambda: transport._tempDataLen + len(transport.dataBuffer)
        )
        self.assertGreater(left, 10_000_000)
        self.origin.go.callback(None)
        (response,) = await peer.responses(1)
        self.assertEqual(hashlib.sha256(body).hexdigest().encode(), response.body)

    async def test_clientGoneInUpload(self) -> None:
        """
        The origin sees that the body is cut.
        """
        peer = await self.begin()
        self.origin.go.callback(None)
        peer.send(post(b"x" * 100_000, target=b"/count")[:-1])
        await self.wait(lambda: self.origin.fields)
        await self.turns(20)
        peer.abort()
        await self.wait(lambda: self.origin.ends)
        self.assertNotEqual([], self.origin.ends)

    async def test_originGone(self) -> None:
        """
        A response that is cut is cut for the client, too, without a traceback.
        """
        peer = await self.begin()
        peer.send(get(b"/cut"))
        await peer.until(lambda: b"some" in peer.received)
        self.origin.go.callback(None)
        await peer.end()
        (response,) = peer.read()
        self.assertFalse(response.complete)
        self.assertEqual([], self.flushLoggedErrors())

    async def test_noOrigin(self) -> None:
        """
        Without an origin the answer is 502.
        """
        peer = await self.begin()
        await self.ports[0].stopListening()
        del self.ports[0]
        response = await self.ask(peer, get())
        self.assertEqual(502, response.status)

    async def test_early(self) -> None:
        """
        An answer before the end of the body arrives.
        """
        peer = await self.begin()
        peer.send(post(b"x" * 5_000_000, target=b"/early")[:-1])
        await peer.until(lambda: peer.received.endswith(b"no"))
        self.assertIn(b" 403 ", peer.received[:20])
        self.flushLoggedErrors()


class Body:
    """
    A body that the test delivers, of whatever agent.
    """

    length = 5

    def __init__(self, begins: bool = True) -> None:
        self.begins = begins
        self.transport = Mock()
        self.taker: Any = None

    def deliverBody(self, taker: Any) -> None:
        """
        Begin, unless the test does.
        """
        self.taker = taker
        if self.begins:
            taker.makeConnection(self.transport)


class Sink:
    """
    Takes a body, as a request does.
    """

    _disconnected = False

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.over: Deferred[None] = Deferred()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """
        Note it.
        """
        self.calls.append("register")

    def unregisterProducer(self) -> None:
        """
        Note it.
        """
        self.calls.append("unregister")

    def write(self, data: bytes) -> None:
        """
        Note it.
        """
        self.calls.append(data)

    def notifyFinish(self) -> Deferred[None]:
        """
        For whoever waits for its end.
        """
        return self.over


class PieceTests(SynchronousTestCase):
    """
    L{deliver_to} and L{BodyProducer}, between bodies and consumers of any kind.
    """

    def begin(self) -> tuple[Body, Any, Deferred[None]]:
        """
        Deliver a body.
        """
        body, sink = Body(), Sink()
        return body, sink, deliver_to(body, cast(Any, sink))

    def test_raising(self) -> None:
        """
        A consumer that raises when it is told the end does not keep the Deferred from
        firing, nor the body from being given up.
        """

        class Raising(Sink):
            def unregisterProducer(self) -> None:
                raise ZeroDivisionError

            def notifyFinish(self) -> Any:
                raise ZeroDivisionError

        for how, kind in (
            *(("whole", None), ("cut", ConnectionLost)),
            *(("cancelled", CancelledError), ("stopped", ConnectionLost)),
        ):
            body, sink = Body(), Raising()
            done = deliver_to(body, cast(Any, sink))
            if how == "whole":
                body.taker.connectionLost(Failure(ResponseDone()))
            elif how == "cut":
                body.taker.connectionLost(Failure(ConnectionLost()))
            elif how == "cancelled":
                done.cancel()
            else:
                body.taker.stopProducing()
            if kind is None:
                self.assertIsNone(self.successResultOf(done))
            else:
                self.failureResultOf(done, kind)
            if how in ("cancelled", "stopped"):
                body.transport.loseConnection.assert_called_with()
            logged = self.flushLoggedErrors(ZeroDivisionError)
            self.assertEqual(how != "stopped", bool(logged), how)

    def test_stopped(self) -> None:
        """
        When the consumer takes nothing more, that is told once it has ended, and
        once; the body is given up, and what comes of it all the same goes nowhere.
        """
        body, sink, done = self.begin()
        for _ in range(2):
            body.taker.stopProducing()
        body.taker.dataReceived(b"late")
        body.taker.connectionLost(Failure(ResponseDone()))
        self.assertNoResult(done)
        sink.over.errback(ConnectionLost())
        self.failureResultOf(done, ConnectionLost)
        self.assertIsNone(self.successResultOf(sink.over))
        self.assertEqual(["register"], sink.calls)
        body.transport.loseConnection.assert_called_with()

    def test_cancelled(self) -> None:
        """
        A delivery may be cancelled when its consumer has gone, before or after that
        is told.
        """
        body, sink, done = self.begin()
        sink._disconnected = True
        done.cancel()
        self.failureResultOf(done, CancelledError)
        self.assertEqual(["register"], sink.calls)
        body, sink, done = self.begin()
        body.taker.stopProducing()
        done.cancel()
        self.failureResultOf(done, CancelledError)
        sink.over.callback(None)
        self.assertIsNone(self.successResultOf(sink.over))
        self.assertTrue(body.transport.loseConnection.called)

    def test_producer(self) -> None:
        """
        A body that was not begun has nothing to pause, to resume or to stop.
        """
        for started in (False, True):
            body = Body(begins=False)
            producer = BodyProducer(body)
            if started:
                done = producer.startProducing(cast(Any, Sink()))
            else:
                producer.pauseProducing()
                producer.resumeProducing()
            producer.stopProducing()
        body.taker.connectionLost(Failure(ResponseDone()))
        self.assertNoResult(done)
