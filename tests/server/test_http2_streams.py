"""
HTTP/2: what an application does with a stream, and what becomes of it.
"""

from __future__ import annotations

import zlib
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from twisted.internet.task import Cooperator
from twisted.internet.testing import MemoryReactorClock
from twisted.web import server, wsgi
from twisted.web.proxy import ReverseProxyResource
from twisted.web.resource import EncodingResourceWrapper
from twisted.web.server import NOT_DONE_YET, GzipEncoderFactory

import twisted_h11._wire.producers
from tests.server.test_channel_contract import Push
from tests.server.test_http2_bounds import BoundsTestCase, Client, frame_of
from tests.server.test_producers import Pull
from tests.server.test_streaming_bodies import Doing
from tests.support.server_cases import Calls, Echo
from tests.support.wsgi import Inline, NoThreads
from twisted_h11.server import Compression, Request


class StreamsTestCase(BoundsTestCase):
    """
    A client, and the request that it has made.
    """

    def setUp(self) -> None:
        """
        Pull producers on the clock, too.
        """
        super().setUp()
        cooperator = Cooperator(scheduler=lambda call: self.clock.callLater(0, call))
        self.patch(twisted_h11._wire.producers, "cooperate", cooperator.cooperate)
        self.addCleanup(cooperator.stop)

    def asked(self, stream: int = 1, **settings: Any) -> tuple[Client, Any]:
        """
        A request that nobody has answered yet.
        """
        requests: list[Any] = []
        client = self.client(self.made(requests.append), **settings)
        client.request(stream).go()
        return client, requests.pop()

    def content(self, client: Client, stream: int = 1) -> bytes:
        """
        What has come on a stream.
        """
        return b"".join(
            event.data
            for event in client.named("DataReceived")
            if event.stream_id == stream
        )

    def settle(self, client: Client) -> None:
        """
        Let some turns of the reactor pass.
        """
        for _ in range(10):
            client.go()


class EncodedTests(StreamsTestCase):
    """
    Content that is compressed.
    """

    def test_cut(self) -> None:
        """
        A response that ends before the length that it said, which compression leaves
        out, is reset.
        """
        requests: list[Any] = []
        client = self.client(
            self.site(requests.append, http2=True, compression=Compression())
        )
        fields: Any = {"accept-encoding": "gzip"}
        client.request(1, **fields).go()
        request = requests.pop()
        request.setHeader(b"Content-Type", b"text/plain")
        request.setHeader(b"Content-Length", b"5000")
        request.write(b"x" * 2000)
        request.finish()
        self.settle(client)
        self.assertEqual([], client.named("StreamEnded"))
        self.assertEqual(1, len(client.named("StreamReset")))
        self.assertIn("sent less than its Content-Length", "".join(self.messages()))

    def test_lengths(self) -> None:
        """
        For any class of requests, and any encoder, what is less than the length is
        reset, and what is more is dropped.
        """
        requests: list[Any] = []
        wrapped = EncodingResourceWrapper(
            Calls(requests.append), [GzipEncoderFactory()]
        )
        fields: Any = {"accept-encoding": "gzip"}
        for site, own in (
            (self.site(requests.append, http2=True, compression=Compression()), True),
            (self.site(wrapped, http2=True), True),
            (self.site(wrapped, http2=True, requestFactory=server.Request), False),
        ):
            for last, whole in ((b"", False), (b"x" * 3000 + b"more", True)):
                self.events.clear()
                client = self.client(site)
                client.request(1, **fields).go()
                request = requests.pop()
                request.setHeader(b"Content-Type", b"text/plain")
                request.setHeader(b"Content-Length", b"5000")
                request.write(b"x" * 2000)
                request.write(last)
                if whole or own:
                    request.finish()
                else:
                    self.raised(RuntimeError, request.finish)
                self.settle(client)
                ends = (
                    len(client.named("StreamEnded")),
                    len(client.named("StreamReset")),
                )
                self.assertEqual((1, 0) if whole else (0, 1), ends)
                if whole:
                    content = zlib.decompressobj(31).decompress(self.content(client))
                    self.assertEqual(b"x" * 5000, content)
                text = "sent more than" if whole else "sent less than"
                self.assertIn(text, "".join(self.messages()))


class ProducerTests(StreamsTestCase):
    """
    Producers of content.
    """

    def test_push(self) -> None:
        """
        A push producer waits while the client lets nothing be sent, also if that is so
        when it comes, and goes on when the client does.
        """
        client, request = self.asked(INITIAL_WINDOW_SIZE=0)
        push = Push()
        request.write(b"x" * 10)
        request.registerProducer(push, True)
        self.assertEqual(["pause"], push.told)
        client.h2.increment_flow_control_window(15, 1)
        client.go()
        self.assertEqual(["pause", "resume"], push.told)
        request.write(b"y" * 10)
        client.go()
        self.assertEqual(["pause", "resume", "pause"], push.told)
        client.h2.increment_flow_control_window(100, 1)
        client.go()
        self.assertEqual(["pause", "resume"] * 2, push.told)
        request.unregisterProducer()
        request.finish()
        self.settle(client)
        self.assertEqual(b"x" * 10 + b"y" * 10, self.content(client))
        self.assertEqual(1, len(client.named("StreamEnded")))

    def test_pull(self) -> None:
        """
        A pull producer gives a piece when there is room for it, until it has no more.
        """
        client, request = self.asked(INITIAL_WINDOW_SIZE=0)
        pull = Pull(request, 5, 100)
        request.registerProducer(pull, False)
        self.settle(client)
        self.assertEqual(4, pull.left)
        client.h2.increment_flow_control_window(1000, 1)
        self.settle(client)
        self.assertEqual(b"x" * 500, self.content(client))
        self.assertEqual(1, len(client.named("StreamEnded")))
        self.assertFalse(pull.stopped)
        del pull.request

    def test_second(self) -> None:
        """
        There is one at a time.
        """
        client, request = self.asked()
        request.registerProducer(Push(), True)
        text = self.raised(RuntimeError, request.channel.registerProducer, Push(), True)
        self.assertIn("never unregistered", text)
        request.unregisterProducer()
        request.finish()
        self.settle(client)
        self.assertEqual(1, len(client.named("StreamEnded")))

    def test_tooLate(self) -> None:
        """
        One that comes when the client has reset the stream is told to stop, and what
        is written then goes nowhere.
        """
        client, request = self.asked()
        channel = request.channel
        failures: list[Any] = []
        request.notifyFinish().addErrback(failures.append)
        client.h2.reset_stream(1)
        client.go()
        self.assertEqual(1, len(failures))
        push = Push()
        channel.registerProducer(push, True)
        self.assertEqual(["stop"], push.told)
        before = client.wire.output
        channel.write(b"late")
        channel.writeSequence([b"la", b"te"])
        channel.loseConnection()
        channel.abortConnection()
        self.settle(client)
        self.assertEqual(before, client.wire.output)
        self.assertEqual(0, channel.unsent)

    def test_raises(self) -> None:
        """
        One that raises ends its stream so that the client can tell; its request is
        told, and the connection goes on.
        """

        class Raising(Pull):
            def resumeProducing(self) -> None:
                super().resumeProducing()
                if self.left == 2:
                    raise ZeroDivisionError

        client, request = self.asked()
        failures: list[Any] = []
        request.notifyFinish().addErrback(failures.append)
        pull = Raising(request, 5)
        request.registerProducer(pull, False)
        self.settle(client)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual(1, len(client.named("StreamReset")))
        self.assertEqual([], client.named("StreamEnded"))
        self.assertEqual(1, len(failures))
        self.assertFalse(client.closed)
        del pull.request

    def test_raisesAfterwards(self) -> None:
        """
        One that raises when it has unregistered ends nothing.
        """

        class Raising(Pull):
            def resumeProducing(self) -> None:
                self.request.unregisterProducer()
                raise ZeroDivisionError

        client, request = self.asked()
        pull = Raising(request, 1)
        request.registerProducer(pull, False)
        self.settle(client)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        request.write(b"by hand")
        request.finish()
        self.settle(client)
        self.assertEqual(b"by hand", self.content(client))
        self.assertEqual(1, len(client.named("StreamEnded")))
        del pull.request


class WritingTests(StreamsTestCase):
    """
    What is written to a stream.
    """

    def test_sequence(self) -> None:
        """
        Pieces that are written together arrive in their order; nothing is nothing.
        """
        client, request = self.asked()
        request.write(b"a")
        request.channel.writeSequence([b"b", b"c"])
        request.channel.write(b"")
        request.finish()
        self.settle(client)
        self.assertEqual(b"abc", self.content(client))

    def test_afterTheEnd(self) -> None:
        """
        Whoever closes the stream of a response that is over changes nothing.
        """
        client, request = self.asked(INITIAL_WINDOW_SIZE=0)
        channel = request.channel
        request.write(b"all")
        request.finish()
        channel.loseConnection()
        client.h2.increment_flow_control_window(10, 1)
        self.settle(client)
        self.assertEqual(b"all", self.content(client))
        self.assertEqual(1, len(client.named("StreamEnded")))

    def test_connectionIsOver(self) -> None:
        """
        What is written between the end of the connection and the news of it goes
        nowhere.
        """
        requests: list[Any] = []
        client = self.client(self.made(requests.append, maxSettings=20))
        client.request(1).go()
        client.wire.channel.dataReceived(frame_of(4, 0, bytes(6 * 30)))
        requests.pop().write(b"late")
        self.assertDropped(client, "too many settings")
        self.assertNotIn(b"late", client.wire.output)

    def test_windows(self) -> None:
        """
        What the client says of its window counts in whatever pieces it comes.
        """
        for size in (1, 9, 11, 100):
            client, request = self.asked(INITIAL_WINDOW_SIZE=0)
            request.write(b"x" * 30)
            request.finish()
            client.h2.increment_flow_control_window(10, 1)
            client.h2.update_settings({4: 20})
            data = client.flush()
            for at in range(0, len(data), size):
                client.wire.send(data[at : at + size])
            self.settle(client)
            self.assertEqual(b"x" * 30, self.content(client))
            self.assertEqual(1, len(client.named("StreamEnded")), size)

    def test_takenBack(self) -> None:
        """
        A client that takes back the window of what is on its way already is dropped.
        """
        body = b"x" * 60_000
        client = self.client(self.made(lambda request: body)).request(1)
        smaller = bytes.fromhex("000006 04 00 00000000 0004 00000000")
        client.wire.send(client.flush() + smaller)
        client.seen = len(client.wire.output)
        self.assertDropped(client, "made a window smaller")


class FailingTests(StreamsTestCase):
    """
    Requests that can not be answered to the end.
    """

    def test_inTheMiddle(self) -> None:
        """
        A response that fails in the middle is reset, at once and later, so that the
        client does not take it for a whole one; its request is told.
        """
        for later in (False, True):
            failures: list[Any] = []

            def render(
                request: Any, later: bool = later, failures: Any = failures
            ) -> Any:
                request.notifyFinish().addErrback(failures.append)
                request.write(b"half of it")
                if not later:
                    raise ZeroDivisionError
                waiting: Deferred[None] = Deferred()
                self.clock.callLater(1, lambda: waiting.errback(ZeroDivisionError()))
                return waiting

            client = self.client(self.made(render)).request(1).go().go(2)
            self.assertEqual([], client.named("StreamEnded"))
            self.assertEqual(1, len(client.named("StreamReset")))
            self.assertEqual(1, len(failures))
            self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
            self.assertFalse(client.closed)

    def test_abort(self) -> None:
        """
        C{abort} resets the stream, and its request is told.
        """
        client, request = self.asked()
        failures: list[Any] = []
        request.notifyFinish().addErrback(failures.append)
        request.write(b"half of it")
        request.abort()
        self.settle(client)
        self.assertEqual(1, len(client.named("StreamReset")))
        self.assertEqual(1, len(failures))
        self.assertFalse(client.closed)

    def test_code(self) -> None:
        """
        The reset of a response that is not complete has an error code: without one,
        clients take what has come for all of it (RFC 9113 section 8.1).
        """
        for kind in (Request, server.Request):
            seen: list[Any] = []
            site = self.site(seen.append, http2=True, requestFactory=kind)
            client = self.client(site).request(1).request(3).go()
            for request in seen:
                request.write(b"half of it")
            self.settle(client)
            seen[0].channel.abortConnection()
            seen[1].finish()
            self.settle(client)
            (reset,) = client.named("StreamReset")
            self.assertEqual((1, 2), (reset.stream_id, reset.error_code))
            (ended,) = client.named("StreamEnded")
            self.assertEqual(3, ended.stream_id)
            self.assertFalse(client.closed)

    def test_closed(self) -> None:
        """
        C{loseConnection} before C{finish} resets the stream, too, as it cuts a response
        of HTTP/1; the request is told.
        """
        for kind in (Request, server.Request):
            seen: list[Any] = []
            failures: list[Any] = []
            site = self.site(seen.append, http2=True, requestFactory=kind)
            client = self.client(site).request(1).go()
            (request,) = seen
            request.notifyFinish().addErrback(failures.append)
            request.write(b"half of it")
            self.settle(client)
            request.loseConnection()
            self.settle(client)
            self.assertEqual(b"half of it", self.content(client))
            self.assertEqual([], client.named("StreamEnded"))
            (reset,) = client.named("StreamReset")
            self.assertEqual(2, reset.error_code)
            self.assertEqual(1, len(failures))
            self.assertFalse(client.closed)

    def test_length(self) -> None:
        """
        A response with less content than its C{Content-Length} is reset, what exceeds
        it is dropped, as in HTTP/1, and each is in the log; HEAD has no content.
        """
        for kind in (Request, server.Request):
            for method, length, content, said in (
                ("GET", b"9", b"too", "less"),
                ("GET", b"3", b"too much", "more"),
                ("GET", b"3", b"all", ""),
                ("GET", b"0", b"", ""),
                ("HEAD", b"3", b"all", ""),
            ):
                seen: list[Any] = []
                site = self.site(seen.append, http2=True, requestFactory=kind)
                asked: Any = {":method": method}
                client = self.client(site).request(1, **asked).go()
                (request,) = seen
                request.setHeader(b"Content-Length", length)
                request.write(content[:2])
                request.write(content[2:])
                request.finish()
                self.settle(client)
                codes = [event.error_code for event in client.named("StreamReset")]
                self.assertEqual([2] if said == "less" else [], codes)
                expected = b"" if method == "HEAD" else content[: int(length)]
                self.assertEqual(expected, self.content(client))
                lines = [text for text in self.messages() if "Content-Length" in text]
                self.events.clear()
                self.assertEqual([said] if said else [], [t.split()[-4] for t in lines])
                self.assertFalse(client.closed)

    def test_closedLong(self) -> None:
        """
        All that was written before C{loseConnection} is sent before the reset, however
        long it is.
        """
        for kind in (Request, server.Request):
            for length in (1, 50_000, 300_000):
                seen: list[Any] = []
                site = self.site(seen.append, http2=True, requestFactory=kind)
                client = self.client(site, INITIAL_WINDOW_SIZE=1_000_000)
                client.h2.increment_flow_control_window(1_000_000)
                client.request(1).request(3).go()
                closed, other = seen
                closed.write(b"x")
                closed.write(b"x" * length)
                closed.loseConnection()
                self.settle(client)
                self.assertEqual(1 + length, len(self.content(client)))
                (reset,) = client.named("StreamReset")
                self.assertEqual((1, 2), (reset.stream_id, reset.error_code))
                other.write(b"of another stream")
                other.finish()
                self.settle(client)
                self.assertEqual(b"of another stream", self.content(client, 3))
                (ended,) = client.named("StreamEnded")
                self.assertEqual(3, ended.stream_id)

    def test_whileSending(self) -> None:
        """
        A producer may end its stream in any way when it is resumed, which happens while
        Twisted sends; other streams go on.
        """
        for end in ("abortConnection", "loseConnection"):
            requests: list[Any] = []
            client = self.client(
                self.made(requests.append), INITIAL_WINDOW_SIZE=1_000_000
            )
            client.h2.increment_flow_control_window(1_000_000)
            client.request(1).request(3).go()
            request, other = requests
            failures: list[Any] = []
            request.notifyFinish().addErrback(failures.append)
            producer = Push()
            ends = getattr(request.channel, end)
            self.patch(producer, "resumeProducing", ends)
            request.write(b"first")
            request.registerProducer(producer, True)
            request.write(b"x" * 100_000)
            other.write(b"of another stream")
            other.finish()
            self.settle(client)
            (reset,) = client.named("StreamReset")
            self.assertEqual(1, reset.stream_id)
            self.assertEqual(1, len(failures))
            self.assertEqual(b"of another stream", self.content(client, 3))
            (ended,) = client.named("StreamEnded")
            self.assertEqual(3, ended.stream_id)

    def test_goneWhileSending(self) -> None:
        """
        A stream that a producer has aborted while Twisted sends may end with its
        connection before it is its turn.
        """
        client, request = self.asked(INITIAL_WINDOW_SIZE=1_000_000)
        client.h2.increment_flow_control_window(1_000_000)
        failures: list[Any] = []
        request.notifyFinish().addErrback(failures.append)
        producer = Push()
        channel = request.channel

        def ends() -> None:
            channel.abortConnection()
            client.wire.vanish()

        self.patch(producer, "resumeProducing", ends)
        request.write(b"first")
        request.registerProducer(producer, True)
        request.write(b"x" * 100_000)
        self.settle(client)
        self.assertEqual([], client.named("StreamReset"))
        self.assertEqual(1, len(failures))

    def test_taker(self) -> None:
        """
        Where whoever takes the body fails, the request does: with 500, or if the
        response has begun by a reset.
        """

        class Failing(Protocol):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError

        for begun in (False, True):

            def render(request: Any, begun: bool = begun) -> int:
                if begun:
                    request.write(b"half of it")
                request.deliverBody(Failing())
                return NOT_DONE_YET

            client = self.client(self.made(Doing(render))).request(1, b"body")
            client.h2.end_stream(1)
            self.settle(client)
            (response,) = client.named("ResponseReceived")
            status = dict(response.headers)[b":status"]
            self.assertEqual(b"200" if begun else b"500", status)
            self.assertEqual(begun, bool(client.named("StreamReset")))
            self.assertNotEqual(begun, bool(client.named("StreamEnded")))
            self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))


class RaisingTests(StreamsTestCase):
    """
    Request classes that raise.
    """

    def check(self, name: str, connectionEnds: bool) -> None:
        """
        What C{name} raises is logged, of our class and of Twisted's, and ends the
        stream or the connection.
        """

        def fails(*args: object, **kwargs: object) -> None:
            raise ZeroDivisionError

        for base in (Request, server.Request):
            kind = type("Raising", (base,), {name: fails})
            site = self.site(Echo(), http2=True, requestFactory=kind)
            client = self.client(site).request(1, b"body")
            client.h2.end_stream(1)
            self.settle(client)
            self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)), name)
            self.assertEqual(connectionEnds, client.closed, name)
            resets = len(client.named("StreamReset"))
            self.assertEqual(0 if connectionEnds else 1, resets)

    def test_arriving(self) -> None:
        """
        A request whose body can not be kept, or that can not be answered, is reset.
        """
        for name in ("handleContentChunk", "requestReceived"):
            self.check(name, False)

    def test_beginning(self) -> None:
        """
        Where there is no stream yet, the connection ends.
        """
        for name in ("__init__", "gotLength", "parseCookies"):
            self.check(name, True)

    def test_over(self) -> None:
        """
        One that raises when it has been answered is answered.
        """

        class Finishing(server.Request):
            def requestReceived(self, *args: Any) -> None:
                super().requestReceived(*args)
                raise ZeroDivisionError

        site = self.site(Echo(), http2=True, requestFactory=Finishing)
        client = self.client(site).request(1)
        self.settle(client)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual(b"nothing", self.content(client))
        self.assertEqual(1, len(client.named("StreamEnded")))


class Foreign(server.Request):
    """
    A request class that is not ours.
    """


class AdaptedTests(StreamsTestCase):
    """
    Resources of Twisted's for requests that have no way to wait for their client.
    """

    def site2(self, resource: Any) -> Any:
        """
        A site whose requests are not ours.
        """
        return self.site(resource, http2=True, requestFactory=Foreign)

    def test_wsgi(self) -> None:
        """
        C{WSGIResource} answers as it does by itself.
        """

        def application(environ: Any, start: Any) -> Any:
            start("200 OK", [])
            return [environ["HTTP_X_A"].encode()]

        self.patch(wsgi, "blockingCallFromThread", lambda r, f, *a: f(*a))
        reactor: Any = Inline(self.clock)
        pool: Any = NoThreads()
        site = self.site2(wsgi.WSGIResource(reactor, pool, application))
        fields: Any = {"x-a": "b"}
        client = self.client(site).request(1, **fields)
        self.settle(client)
        self.assertEqual(b"b", self.content(client))

    def test_proxy(self) -> None:
        """
        So does C{ReverseProxyResource}.
        """
        reactor: Any = MemoryReactorClock()
        site = self.site2(ReverseProxyResource("127.0.0.1", 81, b"", reactor))
        client = self.client(site).request(1).go()
        ((host, port, factory, *_),) = reactor.tcpClients
        self.assertEqual(("127.0.0.1", 81), (host, port))
        factory.father.write(b"from there")
        factory.father.finish()
        factory.father = None
        reactor.tcpClients.clear()
        self.settle(client)
        self.assertEqual(b"from there", self.content(client))
