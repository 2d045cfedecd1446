"""
Producers, half-closes and ends in the helpers for users' tests.
"""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import IPullProducer, IPushProducer, ISSLTransport
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.basic import FileSender
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import server
from twisted.web.client import FileBodyProducer, readBody
from twisted.web.iweb import UNKNOWN_LENGTH, IBodyProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import File
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.support.server_cases import FAST_PATH, Calls, Holding, get
from twisted_h11._testing import site as site_module
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Site
from twisted_h11.testing import MemoryAgent, MemorySite

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


@implementer(IPullProducer)
class Pull:
    """
    Gives a piece each time it is asked, or each so many times.
    """

    def __init__(self, request: Any, pieces: int, each: int = 1) -> None:
        self.request = request
        self.left = pieces
        self.each = each
        self.asked = 0
        self.stopped = 0

    def resumeProducing(self) -> None:
        """
        A piece.
        """
        self.asked += 1
        if self.asked % self.each:
            return
        self.left -= 1
        self.request.write(b"x" * 10_000)
        if not self.left:
            self.request.unregisterProducer()
            self.request.finish()

    def stopProducing(self) -> None:
        """
        No more.
        """
        self.stopped += 1


def paused() -> tuple[MemorySite, Any, Pull]:
    """
    A site whose answer a L{Pull} gives, a client that has paused, and the producer.
    """
    producers: list[Pull] = []

    def render(request: Any) -> None:
        producers.append(Pull(request, 1000))
        request.registerProducer(producers[0], False)

    site = MemorySite(Calls(render), fastPath=FAST_PATH)
    connection = site.connect()
    connection.pause()
    connection.send(GET)
    return site, connection, producers[0]


@implementer(IPushProducer)
class Push:
    """
    Writes until it is paused.
    """

    def __init__(self, request: Any, pieces: int) -> None:
        self.request = request
        self.left = pieces
        self.paused = False
        self.calls: list[str] = []

    def start(self) -> None:
        """
        Go on.
        """
        while self.left and not self.paused:
            self.left -= 1
            self.request.write(b"x" * 10_000)
        if not self.left:
            self.request.unregisterProducer()
            self.request.finish()

    def pauseProducing(self) -> None:
        """
        Wait.
        """
        self.calls.append("pause")
        self.paused = True

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        self.calls.append("resume")
        self.paused = False
        self.start()

    def stopProducing(self) -> None:
        """
        No more.
        """
        self.calls.append("stop")
        self.left = 0


class DownloadTests(SynchronousTestCase):
    """
    What comes from a producer.
    """

    def setUp(self) -> None:
        """
        A file.
        """
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.content = os.urandom(50_000) * 20
        with open(os.path.join(self.folder, "file"), "wb") as file:
            file.write(self.content)

    def agent(self, root: Any, **options: Any) -> MemoryAgent:
        """
        An agent, which is closed afterwards and leaves nothing.
        """
        agent = MemoryAgent(root, fastPath=FAST_PATH, **options)

        def close() -> None:
            agent.close()
            self.assertEqual([], agent.clock.getDelayedCalls())

        self.addCleanup(close)
        return agent

    def get(self, agent: MemoryAgent, uri: bytes, headers: Any = None) -> bytes:
        """
        The body of the answer, there at once.
        """
        response = self.successResultOf(agent.request(b"GET", uri, headers))
        body: bytes = self.successResultOf(readBody(response))
        return body

    def test_file(self) -> None:
        """
        C{static.File} answers, whatever the length, whole and in ranges.
        """
        agent = self.agent(File(self.folder))
        ranges: list[tuple[bytes, bytes]] = [
            (b"bytes=10-99999", self.content[10:100_000]),
            (b"bytes=-200000", self.content[-200_000:]),
            (b"bytes=0-", self.content),
        ]
        for scheme in (b"http", b"https"):
            uri = scheme + b"://x/file"
            self.assertEqual(self.content, self.get(agent, uri))
            for asked, expected in ranges:
                self.assertEqual(expected, self.get(agent, uri, [(b"Range", asked)]))

    def test_siteOfTheirOwn(self) -> None:
        """
        So it does on a site that was made for the reactor, and with a request
        of twisted.web's.
        """
        self.assertEqual(
            self.content,
            self.get(self.agent(Site(File(self.folder))), b"http://x/file"),
        )
        agent = self.agent(File(self.folder), requestFactory=server.Request)
        self.assertEqual(self.content, self.get(agent, b"http://x/file"))

    def test_fileSender(self) -> None:
        """
        C{FileSender}, too.
        """

        def render(request: Any) -> None:
            sender = FileSender()
            done = sender.beginFileTransfer(BytesIO(self.content), request)
            done.addCallback(lambda _: request.finish())

        self.assertEqual(
            self.content, self.get(self.agent(Calls(render)), b"http://x/")
        )

    def test_pull(self) -> None:
        """
        A pull producer is asked until it has ended, though it does not give
        something each time.
        """
        for each in (1, 3, 50):

            def render(request: Any, each: int = each) -> None:
                request.registerProducer(Pull(request, 30, each), False)

            body = self.get(self.agent(Calls(render)), b"http://x/")
            self.assertEqual(300_000, len(body))

    def test_pullThatWaits(self) -> None:
        """
        One that gives nothing now does not keep a flush, and goes on later.
        """
        producers: list[Pull] = []

        def render(request: Any) -> None:
            producers.append(Pull(request, 2, 10**9))
            request.registerProducer(producers[0], False)

        agent = self.agent(Calls(render))
        result = agent.request(b"GET", b"http://x/")
        self.assertNoResult(result)
        producers[0].each = 1
        agent.flush()
        response = self.successResultOf(result)
        self.assertEqual(20_000, len(self.successResultOf(readBody(response))))

    def test_push(self) -> None:
        """
        A push producer is paused while the reader is, and resumed after it.
        """
        producers: list[Push] = []

        def render(request: Any) -> None:
            producers.append(Push(request, 100))
            request.registerProducer(producers[0], True)
            producers[0].start()

        agent = self.agent(Calls(render))
        response = self.successResultOf(agent.request(b"GET", b"http://x/"))
        (producer,) = producers
        # Nobody reads the body yet.
        self.assertEqual("pause", producer.calls[-1])
        self.assertGreater(producer.left, 50)
        body = readBody(response)
        agent.flush()
        self.assertEqual(1_000_000, len(self.successResultOf(body)))
        self.assertEqual(0, producer.left)

    def test_slowReader(self) -> None:
        """
        A client that pauses is what holds back a pull producer.
        """
        site, connection, producer = paused()
        left = producer.left
        self.assertGreater(left, 900)
        site.flush()
        self.assertEqual(left, producer.left)
        connection.resume()
        self.assertEqual(0, producer.left)
        self.assertGreater(len(connection.received), 10_000_000)
        site.close()

    def test_endless(self) -> None:
        """
        A producer without an end is an error, not a test that hangs.
        """
        self.patch(site_module, "MOST_TURNS", 200)

        def render(request: Any) -> None:
            request.registerProducer(Pull(request, -1), False)

        site = MemorySite(Calls(render), fastPath=FAST_PATH)
        connection = site.connect()
        with self.assertRaises(RuntimeError) as caught:
            connection.send(GET)
        self.assertIn("producer without an end", str(caught.exception))
        site.close()


@implementer(IBodyProducer)
class Uploading:
    """
    A body that comes by itself, and can be paused.
    """

    length: Any = UNKNOWN_LENGTH

    def __init__(self, pieces: int, clock: Any = None) -> None:
        self.left = pieces
        self.clock = clock
        self.paused = False
        self.pauses = 0
        self.done: Deferred[None] = Deferred()
        self.consumer: Any = None

    def startProducing(self, consumer: Any) -> Deferred[None]:
        """
        Begin.
        """
        self.consumer = consumer
        if self.clock is not None:
            self.clock.callLater(0, self.go)
        else:
            self.go()
        return self.done

    def go(self) -> None:
        """
        As much as is wanted.
        """
        while self.left and not self.paused:
            self.left -= 1
            self.consumer.write(b"x" * 10_000)
        if not self.left and not self.done.called:
            self.done.callback(None)

    def pauseProducing(self) -> None:
        """
        Wait.
        """
        self.paused = True
        self.pauses += 1

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        self.paused = False
        self.go()

    def stopProducing(self) -> None:
        """
        No more.
        """
        self.left = 0


@implementer(IStreamingResource)
class Streaming(Calls):
    """
    Rendered at the head.
    """


class UploadTests(SynchronousTestCase):
    """
    What goes to the server.
    """

    def send(self, root: Any, body: Any) -> bytes:
        """
        The answer.
        """
        agent = MemoryAgent(root, fastPath=FAST_PATH)
        response = self.successResultOf(agent.request(b"PUT", b"http://x/", None, body))
        found: bytes = self.successResultOf(readBody(response))
        agent.close()
        self.assertEqual([], agent.clock.getDelayedCalls())
        return found

    def test_files(self) -> None:
        """
        A C{FileBodyProducer} as it is made everywhere, and one that is given
        the agent's turns.
        """
        content = os.urandom(200_000)
        echo = Calls(lambda request: request.content.read())
        self.assertEqual(content, self.send(echo, FileBodyProducer(BytesIO(content))))
        agent = MemoryAgent(echo, fastPath=FAST_PATH)
        body = FileBodyProducer(BytesIO(content), agent.site.cooperator, 1000)
        response = self.successResultOf(agent.request(b"PUT", b"http://x/", None, body))
        self.assertEqual(content, self.successResultOf(readBody(response)))
        agent.close()

    def test_producer(self) -> None:
        """
        A body that comes by itself is paused while the server does not take it.
        """
        body = Uploading(100)
        length = Calls(lambda request: b"%d" % len(request.content.read()))
        self.assertEqual(b"1000000", self.send(length, body))

    def test_streamed(self) -> None:
        """
        A streaming resource that waits holds it back, and goes on.
        """
        gate: Deferred[None] = Deferred()

        async def render(request: Any) -> bytes:
            length = 0
            async for piece in request.body:
                if not length:
                    await gate
                length += len(piece)
            return b"%d" % length

        agent = MemoryAgent(Streaming(render), fastPath=FAST_PATH)
        body = Uploading(200, agent.clock)
        result = agent.request(b"PUT", b"http://x/", None, body)
        self.assertNoResult(result)
        self.assertTrue(body.paused)
        self.assertGreater(body.left, 100)
        gate.callback(None)
        agent.flush()
        response = self.successResultOf(result)
        self.assertEqual(b"2000000", self.successResultOf(readBody(response)))
        agent.close()

    def test_proxy(self) -> None:
        """
        A resource may ask another one by such an agent, on the same site too.
        """

        class Root(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> Any:
                if request.path == b"/end":
                    return b"the end"
                deferred = agent.request(b"GET", b"http://x/end")
                deferred.addCallback(readBody)
                deferred.addCallback(request.write)
                deferred.addCallback(lambda _: request.finish())
                return NOT_DONE_YET

        agent = MemoryAgent(Root(), fastPath=FAST_PATH)
        response = self.successResultOf(agent.request(b"GET", b"http://x/"))
        self.assertEqual(b"the end", self.successResultOf(readBody(response)))
        agent.close()


class EndTests(SynchronousTestCase):
    """
    How a connection ends.
    """

    def holding(self, **options: Any) -> tuple[MemorySite, Any, Holding]:
        """
        A site, a connection, and what holds its request.
        """
        holding = Holding()
        site = MemorySite(holding, fastPath=FAST_PATH, **options)
        connection = site.connect()
        connection.send(GET)
        self.assertEqual(1, len(holding.requests))
        return site, connection, holding

    def test_notifyFinish(self) -> None:
        """
        It tells how the client has gone: in order, or not.
        """
        for way, kind in (("close", ConnectionDone), ("abort", ConnectionLost)):
            site, connection, holding = self.holding()
            getattr(connection, way)()
            self.assertTrue(connection.closed)
            (reason,) = holding.lost
            self.assertIsNotNone(reason.check(kind), reason)
            site.close()
            self.assertEqual([], site.clock.getDelayedCalls())

    def test_halfClose(self) -> None:
        """
        A client that has closed its side gets its answer, within the time that
        is for that.
        """
        site, connection, holding = self.holding()
        connection.halfClose()
        self.assertEqual([], holding.lost)
        holding.answer(b"in time")
        site.flush()
        self.assertTrue(connection.received.endswith(b"in time"))
        self.assertTrue(connection.closed)
        site, connection, holding = self.holding()
        connection.halfClose()
        site.clock.advance(5)
        site.flush()
        self.assertEqual(1, len(holding.lost))
        self.assertTrue(connection.closed)

    def test_secureHasNone(self) -> None:
        """
        TLS has no half-close.
        """
        connection = MemorySite(Holding()).connect(secure=True)
        self.assertRaises(NotImplementedError, connection.halfClose)

    def test_transport(self) -> None:
        """
        The application may close, drop and take the transport.
        """
        for secure in (False, True):
            for name in ("loseConnection", "abortConnection"):

                def render(request: Any, name: str = name) -> None:
                    request.write(b"some")
                    getattr(request.transport, name)()

                site = MemorySite(Calls(render), fastPath=FAST_PATH)
                connection = site.connect(secure)
                connection.send(GET)
                self.assertTrue(connection.closed, (secure, name))
                site.close()
                self.assertEqual([], site.clock.getDelayedCalls())

    def test_pullOnTheTransport(self) -> None:
        """
        A pull producer of the transport itself is asked while nothing waits; there is
        one producer at a time.
        """

        class Pulling(Protocol):
            def connectionMade(self) -> None:
                transport: Any = self.transport
                transport.finish = transport.loseConnection
                transport.registerProducer(Pull(transport, 3), False)
                second = Push(None, 0)
                try:
                    transport.registerProducer(second, True)
                except RuntimeError as error:
                    refused.append(str(error))

        refused: list[str] = []
        site = MemorySite(Factory.forProtocol(Pulling))
        connection = site.connect()
        site.flush()
        self.assertEqual(30_000, len(connection.received))
        self.assertTrue(connection.closed)
        self.assertEqual(["a producer is registered already"], refused)

    def test_stopProducing(self) -> None:
        """
        The transport is a producer, and closes when it is stopped.
        """
        site, connection, _ = self.holding()
        transport: Any = connection.transport
        transport.stopProducing()
        site.flush()
        self.assertTrue(connection.closed)

    def test_secureTransport(self) -> None:
        """
        One that counts as encrypted has the names of such a transport; the client
        has shown no certificate.
        """
        seen: list[Any] = []

        def render(request: Any) -> bytes:
            transport = request.transport
            seen.append(verifyObject(ISSLTransport, transport))
            seen.append(transport.getPeerCertificate())
            for name in ("TcpNoDelay", "TcpKeepAlive"):
                for value in (False, True):
                    getattr(transport, f"set{name}")(value)
                    seen.append(getattr(transport, f"get{name}")())
            return b""

        site = MemorySite(Calls(render), fastPath=FAST_PATH)
        site.connect(secure=True).send(GET)
        self.assertEqual([True, None, False, True, False, True], seen)
        site.close()

    def test_closedFromWithin(self) -> None:
        """
        The site may be closed from within a resource, of which nothing arrives then, or
        when that is told that its client has gone.
        """

        def close(request: Any) -> None:
            request.transport.write(b"late")
            site.close()

        site = MemorySite(Calls(close), fastPath=FAST_PATH)
        connection = site.connect()
        self.assertEqual(b"", connection.send(GET))
        self.assertTrue(connection.closed)

        def render(request: Any) -> None:
            request.notifyFinish().addErrback(lambda _: other.close())

        other = MemorySite(Calls(render), fastPath=FAST_PATH)
        connection = other.connect()
        connection.send(GET)
        connection.abort()
        self.assertTrue(connection.closed)
        self.assertEqual([], other.clock.getDelayedCalls())

    def test_noHalves(self) -> None:
        """
        A protocol that knows no half-close is closed by that of its peer, and may
        half-close by itself.
        """

        class Halving(Protocol):
            def dataReceived(self, data: bytes) -> None:
                transport: Any = self.transport
                transport.write(b"last")
                transport.loseWriteConnection()

        site = MemorySite(Factory.forProtocol(Halving))
        connection = site.connect()
        connection.halfClose()
        self.assertTrue(connection.closed)
        connection = site.connect()
        self.assertEqual(b"last", connection.send(b"x"))
        self.assertEqual((True, False), (connection.ended, connection.closed))
        site.close()

    def test_producersStop(self) -> None:
        """
        Producers are stopped once when the client goes; nothing is asked then.
        """
        site, connection, producer = paused()
        connection.abort()
        asked = producer.asked
        site.flush()
        self.assertEqual((1, asked), (producer.stopped, producer.asked))

    def test_producerAtTheEnd(self) -> None:
        """
        A plain connection closes although a producer is registered, as a
        socket does; one that counts as TLS waits for it.
        """

        class Closing(Protocol):
            def connectionMade(self) -> None:
                transport: Any = self.transport
                transport.registerProducer(Push(None, 0), True)
                transport.write(b"last")
                transport.loseConnection()

        for secure in (False, True):
            site = MemorySite(Factory.forProtocol(Closing))
            connection = site.connect(secure)
            site.flush()
            self.assertEqual(b"last", connection.received)
            self.assertEqual(not secure, connection.closed)
            site.close()

    def test_registeredTooLate(self) -> None:
        """
        A producer that is registered when all is over is stopped.
        """
        _, connection, _ = self.holding()
        transport: Any = connection.transport
        connection.close()
        push = Push(None, 1)
        transport.registerProducer(push, True)
        self.assertEqual(["stop"], push.calls)

    def test_bytes(self) -> None:
        """
        Bytes are written, as to a socket; what has some is copied.
        """
        site, connection, _ = self.holding()
        transport: Any = connection.transport
        for bad in ("text", 5, None, [b"x"]):
            self.assertRaises(TypeError, transport.write, bad)
        self.assertRaises(TypeError, transport.writeSequence, ["text"])
        site.close()

    def test_clientThatAborts(self) -> None:
        """
        Who drops the connection is told that, the other one that it is lost.
        """
        seen: list[Any] = []

        class Client(Protocol):
            def connectionLost(self, reason: Any = None) -> None:
                seen.append(reason.type)

        site, _, _ = self.holding()
        client = Client()
        site._open(client, False)
        client.transport.abortConnection()  # type: ignore[union-attr]
        site.flush()
        self.assertEqual([ConnectionAborted], seen)
        site.close()

    def test_clock(self) -> None:
        """
        A site that was made for the reactor gets the clock; one that has a
        clock keeps it.
        """
        clock = Clock()
        site = Site(Resource(), reactor=clock)
        self.assertIs(clock, MemorySite(site).site.reactor)
        memory = MemorySite(Site(Resource()))
        self.assertIs(memory.clock, memory.site.reactor)
        connection = memory.connect()
        memory.clock.advance(100)
        memory.flush()
        self.assertTrue(connection.closed)

    def test_coroutine(self) -> None:
        """
        All of it with C{await}, which ends within the flush.
        """
        agent = MemoryAgent(Calls(lambda request: b"x" * 300_000))

        async def fetch() -> int:
            response = await agent.request(b"GET", b"http://x/")
            return len(await readBody(response))

        self.assertEqual(300_000, self.successResultOf(ensureDeferred(fetch())))
        self.assertIn(b"x", get(b"/x"))
        agent.close()
