"""
What lives as long as a connection, and nothing that lives longer.

The collector is off in all of these: L{ServerTestCase} fails for a channel that
only a reference cycle keeps, here requests and bodies are watched too.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import weakref
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.proxy import ProxyRequest, ReverseProxyResource
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.server import Request as TwistedRequest

from tests.server.test_streaming_bodies import CHUNKED, Doing, Streaming, Taker, chunk
from tests.server.test_switch_protocol import UPGRADE, Switching
from tests.support.server_cases import GET, ServerTestCase, get, post
from twisted_h11._server.adapted import ADAPTERS
from twisted_h11.server import Request

LENGTH = 300_000


class Connectors:
    """
    A reactor that keeps the factories of its connections, as Twisted's connectors do.

    @ivar answer: what the other server sends, then; C{None} if it refuses connections.
    """

    answer: bytes | None = None

    def __init__(self) -> None:
        self.factories: list[Any] = []
        self._protocol: Any = None

    def connectTCP(self, host: str, port: int, factory: Any) -> None:
        """
        Connect.
        """
        self.factories.append(factory)
        factory.doStart()
        if self.answer is not None:
            self._protocol = factory.buildProtocol(None)
            self._protocol.makeConnection(StringTransport())

    def end(self) -> None:
        """
        Send the answer, and end the connection.
        """
        protocol, self._protocol = self._protocol, None
        factory = self.factories[-1]
        # Twisted's proxy finishes its request, whatever has become of it; then the
        # factory is not stopped.
        with contextlib.suppress(RuntimeError):
            if self.answer is None:
                reason = Failure(ConnectionRefusedError())
                factory.clientConnectionFailed(None, reason)
            else:
                protocol.dataReceived(self.answer)
                protocol.connectionLost(Failure(ConnectionDone()))
                factory.clientConnectionLost(None, Failure(ConnectionDone()))
            factory.doStop()


class LifetimeTests(ServerTestCase):
    """
    Weak references, with the collector off.
    """

    rendered = 0

    def watching(self, function: Any, streams: bool = False) -> Any:
        """
        A resource that renders by a function, and whose requests are watched.
        """

        def render(request: Any) -> Any:
            self.rendered += 1
            self.watch("request", request)
            if streams:
                self.watch("body", request.bodySource())
            return function(request)

        if streams:
            return Doing(render)
        resource: Any = Resource()
        resource.isLeaf = True
        resource.render = render
        return resource

    def endings(
        self,
        function: Any,
        *data: bytes,
        streams: bool = False,
        **options: Any,
    ) -> None:
        """
        Send C{data}, and let the connection end in every way; what is watched
        must be gone while the connection's transport is still there.
        """
        for end in ("vanish", "halfClose", "drain", "idle", "abort"):
            site = self.site(self.watching(function, streams), **options)
            wire = self.connect(site).send(*data)
            if end == "vanish":
                wire.vanish()
            elif end == "halfClose":
                wire.halfClose().settle(30)
            elif end == "drain":
                done = site.drain(1)
                wire.settle(30)
                self.successResultOf(done)
            elif end == "idle":
                wire.advance(200, 5)
            else:
                wire.channel.abortConnection()
                wire.pump()
            if not wire.closed:
                self.assertEqual("idle", end)
                wire.vanish()
        self.assertTrue(self.rendered, "nothing was watched")
        self.flushLoggedErrors()

    def test_simple(self) -> None:
        """
        Requests that are answered at once.
        """
        self.endings(lambda request: b"hello", GET, GET * 10, post(b"hello"))

    def test_callsAfterwards(self) -> None:
        """
        A connection that is lost takes no notice of a transport that calls on.
        """
        for before in (b"", GET, GET[:9], post(b"some")[:-2]):
            wire = self.connect(self.site(self.watching(lambda request: b"")))
            wire.send(before).vanish()
            channel = wire.channel
            channel.dataReceived(GET)
            channel.readConnectionLost()
            channel.resumeProducing()
            channel.loseConnection()
            channel.abortConnection()
            self.assertEqual(int(before == GET), self.rendered)
            self.rendered = 0

    def test_requestDiesWithItsResponse(self) -> None:
        """
        A request does not wait for the end of the connection.
        """
        references: list[Any] = []

        def render(request: Any) -> bytes:
            references.append(weakref.ref(request))
            return b"hello"

        for fast in (True, False):
            for request in (GET, post(b"hello"), CHUNKED + b"0\r\n\r\n"):
                self.talk(render, request, fastPath=fast)
                self.assertIsNone(references.pop()())

    def test_proxied(self) -> None:
        """
        Requests of Twisted's proxy classes, whose connections to other servers are
        over, whole or not, or could not be made; Twisted's connectors stay.
        """
        connectors = Connectors()

        class ProxiedRequest(ProxyRequest):
            def __init__(request, channel: Any, queued: Any = 0) -> None:
                super().__init__(channel, queued, connectors)
                self.rendered += 1
                self.watch("request", request)

        root: Any = ReverseProxyResource("192.0.2.9", 81, b"", connectors)
        adapted: Any = Resource()
        adapted.isLeaf = True

        def render(request: Any) -> Any:
            self.rendered += 1
            self.watch("request", request)
            return ADAPTERS[ReverseProxyResource](root, request)  # type: ignore[misc]

        adapted.render = render
        for answer in (b"HTTP/1.0 200 OK\r\n\r\nhello", b"HTTP/1.0 200", None):
            for end in ("answered", "vanish"):
                for site in (
                    self.site(adapted),
                    self.site(requestFactory=ProxiedRequest),
                ):
                    connectors.answer = answer
                    wire = self.connect(site)
                    wire.send(get(b"http://192.0.2.9:81/"))
                    if end == "answered":
                        connectors.end()
                        wire.pump()
                        wire.vanish()
                    else:
                        wire.vanish()
                        connectors.end()
        self.assertEqual(12, self.rendered)
        self.assertEqual(12, len(connectors.factories))
        self.flushLoggedErrors()

    def test_open(self) -> None:
        """
        Requests that are not answered yet.
        """
        self.endings(lambda request: NOT_DONE_YET, GET)

        def notified(request: Any) -> Any:
            request.notifyFinish().addErrback(lambda _: None)
            return NOT_DONE_YET

        self.endings(notified, GET + GET)

    def test_begun(self) -> None:
        """
        Responses that are not complete.
        """

        def render(request: Any) -> Any:
            request.write(b"hello")
            return NOT_DONE_YET

        self.endings(render, GET)

    def test_deferred(self) -> None:
        """
        Responses that come later.
        """
        self.endings(lambda request: Deferred(), GET)

    def test_refused(self) -> None:
        """
        Requests that were refused after they had begun.
        """

        def factory(channel: Any) -> Request:
            request = Request(channel)
            self.rendered += 1
            self.watch("request", request)
            return request

        factory.leavesFraming = True  # type: ignore[attr-defined]
        for data in (CHUNKED, post(b"hello")[:-1], get(b"/")):
            self.rendered = 0
            self.endings(lambda request: b"", data, b"zz\r\n", requestFactory=factory)

    def test_bodies(self) -> None:
        """
        Streams that are taken, paused, left and never taken.
        """
        part = CHUNKED + chunk(b"abc")

        def taken(request: Any, most: int | None = None) -> Any:
            request.deliverBody(Taker(most))
            return NOT_DONE_YET

        def paused(request: Any) -> Any:
            return taken(request, 1)

        def left(request: Any) -> Any:
            request.deliverBody(Taker())
            return b"done"

        async def loop(request: Any) -> bytes:
            async for _ in request.body:
                break
            return b"done"

        for function in (taken, left, lambda request: NOT_DONE_YET, loop):
            self.endings(function, part, streams=True)
            self.endings(function, part, b"0\r\n\r\n", streams=True)
            self.endings(function, post(b"hello"), streams=True)
        self.endings(paused, part, streams=True)

    def test_switched(self) -> None:
        """
        A channel that has given its connection away is not kept by it.
        """
        resource = Switching()
        wire = self.talk(resource, UPGRADE)
        wire.vanish()
        resource.finished.clear()

    def test_failed(self) -> None:
        """
        Requests whose resource has failed.
        """

        def render(request: Any) -> Any:
            raise ZeroDivisionError

        self.endings(render, GET)


class SpoolTests(ServerTestCase):
    """
    A spooled body is removed on every path.  (The leak checks look for
    temporary files and open descriptors, too.)
    """

    def spools(self) -> int:
        """
        How many spools this process has open.
        """
        folder = tempfile.tempdir
        assert folder is not None
        count = 0
        for name in os.listdir("/proc/self/fd"):
            try:
                count += os.readlink(f"/proc/self/fd/{name}").startswith(folder)
            except OSError:
                continue
        return count + len(os.listdir(folder))

    def check(self, finish: Any, factory: Any = Request, **options: Any) -> None:
        """
        Spool most of a body, then C{finish(wire)}; the spool must be gone.
        """
        head = get(b"/", b"Content-Length: %d" % (LENGTH,), method=b"PUT")
        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"PUT")
        for start, rest in (
            (head + b"x" * (LENGTH - 5), b"x" * 5),
            (chunked + chunk(b"x" * LENGTH), b"0\r\n\r\n"),
        ):
            wire = self.talk(
                lambda request: b"done", start, requestFactory=factory, **options
            )
            self.assertEqual(1, self.spools(), "nothing was spooled")
            finish(wire, rest)
            self.assertEqual(0, self.spools())

    def test_answered(self) -> None:
        """
        After the response.
        """
        for factory in (Request, TwistedRequest):
            self.check(lambda wire, rest: wire.send(rest), factory)

    def test_vanished(self) -> None:
        """
        When the client goes in the middle.
        """
        for factory in (Request, TwistedRequest):
            self.check(lambda wire, rest: wire.vanish(), factory)

    def test_halfClosed(self) -> None:
        """
        When the body is cut.
        """
        self.check(lambda wire, rest: wire.halfClose().settle(6))

    def test_tooSlow(self) -> None:
        """
        When the rest does not come.
        """
        self.check(lambda wire, rest: wire.advance(60))

    def test_tooLong(self) -> None:
        """
        When it crosses the limit.
        """
        limits = {"maxBodyLength": LENGTH}
        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"PUT")
        wire = self.talk(
            lambda request: b"done", chunked + chunk(b"x" * LENGTH), limits=limits
        )
        self.assertEqual(1, self.spools())
        wire.send(chunk(b"x"))
        self.assertEqual(0, self.spools(), "kept for the lingering close")
        self.assertRefused(wire, 413)

    def test_malformed(self) -> None:
        """
        When the framing breaks.
        """
        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"PUT")
        wire = self.talk(
            lambda request: b"done", chunked + chunk(b"x" * LENGTH), b"zz\r\n"
        )
        self.assertEqual(0, self.spools())
        self.assertRefused(wire, 400)

    def test_aborted(self) -> None:
        """
        When the site ends the connection.
        """

        def abort(wire: Any, rest: bytes) -> None:
            wire.channel.abortConnection()
            wire.pump()

        self.check(abort)

    def test_drained(self) -> None:
        """
        When the grace of a shutdown is over.
        """

        def drain(wire: Any, rest: bytes) -> None:
            wire.channel.site.drain(1)
            wire.advance(3)

        self.check(drain)

    def test_fails(self) -> None:
        """
        When the resource fails, or the client goes while it works.
        """

        def render(request: Any) -> Any:
            if request.path == b"/fail":
                raise ZeroDivisionError
            return NOT_DONE_YET

        body = b"x" * LENGTH
        self.talk(render, post(body, target=b"/fail"))
        self.assertEqual(0, self.spools())
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        wire = self.talk(render, post(body, target=b"/wait"))
        self.assertEqual(1, self.spools())
        wire.vanish()
        self.assertEqual(0, self.spools())

    def test_deliveredFromTheSpool(self) -> None:
        """
        When it is delivered as a stream, and the taker leaves.
        """

        class Old(Resource):
            def getChild(self, name: bytes, request: Any) -> Any:
                return Streaming(most=1)

        wire = self.talk(Old(), post(b"x" * LENGTH))
        self.assertEqual(1, self.spools())
        wire.vanish()
        self.assertEqual(0, self.spools())
