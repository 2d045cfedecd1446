"""
Resources of Twisted's that our site renders with a little around them.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.internet.threads import deferToThread
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool
from twisted.web import server, twcgi, wsgi
from twisted.web.pages import notFound
from twisted.web.proxy import ProxyClientFactory, ProxyRequest, ReverseProxyResource
from twisted.web.resource import EncodingResourceWrapper, IResource, Resource
from twisted.web.server import NOT_DONE_YET

from tests.support.memory import MemoryTransport
from tests.support.server_cases import FAST_PATH, GET, ServerTestCase, get
from tests.support.socket_cases import TCPBackend, net
from tests.support.wsgi import Inline, NoThreads
from tests.wsgi.test_threads import PIECE, ThreadsTestCase
from twisted_h11._server.adapted import ADAPTERS, _Adapters
from twisted_h11.server import Limits, RequestDisconnected, Site
from twisted_h11.wsgi import WSGIResource

FIELDS = (
    b"X-Forwarded-For: 192.0.2.1",
    b"X_Forwarded_For: 192.0.2.66",
    b"X_A: b",
    b"Proxy: evil",
    b"X-B: c",
)


class Foreign(server.Request):
    """
    A request class that is not ours.
    """


def text(value: str | bytes) -> str:
    """
    CGI scripts get some of both.
    """
    return value.decode("latin-1") if isinstance(value, bytes) else value


class Script(twcgi.CGIScript):
    """
    A CGI script that only shows what it would be run with.
    """

    def __init__(self, found: list[dict[str, Any]]) -> None:
        super().__init__("script", reactor=object())
        self.found = found

    def runProcess(self, env: Any, request: Any, qargs: Any = ()) -> None:
        """
        Keep the environment.
        """
        self.found.append({text(name): text(value) for name, value in env.items()})
        request.finish()


class VariableTests(ServerTestCase):
    """
    Fields that may not become variables.
    """

    addresses: tuple[Any, ...] = ()

    def environs(self, **options: Any) -> list[dict[str, Any]]:
        """
        What a WSGI application, a CGI script, and one that is found late, get.
        """
        found: list[dict[str, Any]] = []

        def application(environ: Any, start: Any) -> Any:
            found.append(environ)
            start("200 OK", [])
            return []

        class Root(Resource):
            def getChild(self, path: bytes, request: Any) -> Any:
                return Script(found)

        reactor: Any = Inline(self.clock)
        pool: Any = NoThreads()
        root = Root()
        root.putChild(b"wsgi", wsgi.WSGIResource(reactor, pool, application))
        root.putChild(b"cgi", Script(found))
        site = self.site(root, **options)
        for path in (b"/wsgi", b"/cgi", b"/late"):
            request = get(path, *FIELDS)
            if path == b"/wsgi":
                # That of Twisted waits for the reactor, which does not run.
                self.patch(wsgi, "blockingCallFromThread", lambda r, f, *a: f(*a))
            transport = MemoryTransport(*self.addresses)
            wire = self.connect(site, transport).send(request)
            wire.pump()
            self.assertEqual([200], wire.statuses)
        return found

    def test_hidden(self) -> None:
        """
        A field with an underscore in its name can not pass for another.
        """
        for options in ({}, {"requestFactory": Foreign}):
            environs = self.environs(**options)
            self.assertEqual(3, len(environs))
            for environ in environs:
                self.assertEqual("192.0.2.1", environ["HTTP_X_FORWARDED_FOR"])
                self.assertEqual("c", environ["HTTP_X_B"])
                self.assertNotIn("HTTP_X_A", environ)
                self.assertNotIn("HTTP_PROXY", environ)

    def test_option(self) -> None:
        """
        It can with the option.
        """
        for options in ({}, {"requestFactory": Foreign}):
            for environ in self.environs(environUnderscores=True, **options):
                self.assertEqual("b", environ["HTTP_X_A"])
                self.assertNotIn("HTTP_PROXY", environ)

    def test_unix(self) -> None:
        """
        A UNIX socket has neither host nor port.
        """
        self.addresses = (UNIXAddress("/x"), UNIXAddress(None))
        for options in ({}, {"requestFactory": Foreign}):
            environs = self.environs(**options)
            self.assertEqual(3, len(environs))
            for environ in environs:
                self.assertEqual("", environ["REMOTE_ADDR"])
                self.assertEqual("80", environ["SERVER_PORT"])

    def test_requestKeepsThem(self) -> None:
        """
        They are hidden only while the variables are made.
        """
        kept: list[bytes | None] = []

        class Keeping(Script):
            def runProcess(self, env: Any, request: Any, qargs: Any = ()) -> None:
                clock.callLater(0, self.look, request)

            def look(self, request: Any) -> None:
                kept.append(request.getHeader(b"x_a"))
                request.finish()

        clock = self.clock
        root = Resource()
        root.putChild(b"", Keeping([]))
        wire = self.talk(root, get(b"/", *FIELDS))
        wire.pump()
        self.assertEqual([b"b"], kept)


class ChoiceTests(ServerTestCase):
    """
    Which resources have something around them.
    """

    def test_which(self) -> None:
        """
        Twisted's own; not ours, not such as override C{render}, and not others.
        """

        class Own(wsgi.WSGIResource):
            def render(self, request: Any) -> Any:
                return NOT_DONE_YET

        class OwnProxy(ReverseProxyResource):
            def render(self, request: Any) -> Any:
                return NOT_DONE_YET

        class Plain(ReverseProxyResource):
            pass

        self.assertIsNone(ADAPTERS[Resource])
        self.assertIsNone(ADAPTERS[WSGIResource])
        self.assertIsNone(ADAPTERS[OwnProxy])
        self.assertIsNotNone(ADAPTERS[Plain])
        self.assertIsNotNone(ADAPTERS[ReverseProxyResource])
        self.assertIsNot(ADAPTERS[Own], ADAPTERS[wsgi.WSGIResource])

    def test_looksLikeIt(self) -> None:
        """
        What a foreign request or a site of its own finds looks like the resource.
        """
        found: list[Any] = []

        class Mine(server.Request):
            def render(self, resrc: Any) -> None:
                found.append(resrc)
                super().render(resrc)

        class Page(Script):
            name = b"mine"

            def render(self, request: Any) -> Any:
                return self.name

        class Encoding(EncodingResourceWrapper):
            name = b"mine"

        leaf = Resource()
        leaf.isLeaf = True
        encoding = Encoding(leaf, [server.GzipEncoderFactory()])
        for resource in (notFound(), encoding, Page([])):
            found.clear()
            self.talk(resource, GET, requestFactory=Mine)
            resrc = found[0]
            self.assertEqual(type(resource).__name__, resrc.__class__.__name__)
            self.assertIsInstance(resrc, type(resource))
            self.assertTrue(IResource.providedBy(resrc))
            self.assertEqual(repr(resource), repr(resrc))
            self.assertEqual(resource.isLeaf, resrc.isLeaf)
            self.assertEqual(
                getattr(resource, "name", None), getattr(resrc, "name", None)
            )
        found.clear()

    def test_bounded(self) -> None:
        """
        Classes that are made at run time do not pile up.
        """
        adapters = _Adapters()
        for number in range(10_100):
            self.assertIsNone(adapters[type(f"Kind{number}", (), {})])
        self.assertLess(len(adapters), 10_002)


class ReactorTests(ServerTestCase):
    """
    The reactor that a proxy's request gets in the place of its own.
    """

    def test_others(self) -> None:
        """
        All but the connections is as it was; a factory that makes no protocol makes
        none.
        """
        reactor: Any = MemoryReactorClock()

        class Nobody(ProxyClientFactory):
            def buildProtocol(self, addr: Any) -> Any:
                return None

        class Later(ProxyRequest):
            def __init__(self, channel: Any, queued: Any = 0) -> None:
                super().__init__(channel, queued, reactor)
                self.protocols = {b"http": Nobody}

            def process(self) -> None:
                self.reactor.callLater(1, super().process)

        site = self.site(requestFactory=Later)
        wire = self.connect(site).send(get(b"http://192.0.2.9:81/"))
        self.assertEqual([], reactor.tcpClients)
        reactor.advance(1)
        ((host, port, factory, *_),) = reactor.tcpClients
        self.assertEqual(("192.0.2.9", 81), (host, port))
        self.assertIsNone(factory.buildProtocol(None))
        factory.clientConnectionFailed(None, None)
        self.assertEqual([501], wire.statuses)
        reactor.tcpClients.clear()

    def test_again(self) -> None:
        """
        A factory that connects again when its connection is over is asked again, and
        what it makes waits for the client, too.
        """
        kept: list[Any] = []

        class Again(ProxyClientFactory):
            def clientConnectionLost(self, connector: Any, reason: Any) -> None:
                kept.append(self)

        class Root(ReverseProxyResource):
            isLeaf = True
            proxyClientFactoryClass = Again

        reactor: Any = MemoryReactorClock()
        root: Any = Root("192.0.2.9", 81, b"", reactor)
        wire = self.connect(self.site(root)).send(GET)
        ((_, _, factory, _, _),) = reactor.tcpClients
        reason = Failure(ConnectionDone())
        factory.doStart()
        factory.buildProtocol(None)
        factory.clientConnectionLost(None, reason)
        factory.doStop()
        self.assertIsNone(factory._factory)
        factory.doStart()
        protocol = factory.buildProtocol(None)
        transport = StringTransport()
        protocol.makeConnection(transport)
        wire.transport.stalled = True
        protocol.dataReceived(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 1_000_000)
        wire.pump()
        protocol.dataReceived(b"x")
        self.assertEqual("paused", transport.producerState)
        wire.vanish()
        self.assertEqual("producing", transport.producerState)
        # Twisted's proxy finishes its request, whatever has become of it.
        self.assertRaises(RequestDisconnected, protocol.connectionLost, reason)
        factory.clientConnectionLost(None, reason)
        self.assertEqual(2, len(kept))
        factory.doStop()
        kept.clear()


class SlowClientTests(TCPBackend, ThreadsTestCase):
    """
    Whoever writes waits for the client.
    """

    WHOLE = 300 * len(PIECE)

    def application(self, environ: Any, start: Any) -> Any:
        """
        Write fast.
        """
        start("200 OK", [("Content-Length", str(self.WHOLE))])
        for _ in range(300):
            self.given += 1
            yield PIECE

    async def look(self, root: Any, request: bytes = GET, **options: Any) -> None:
        """
        A client that pauses holds the writer back, and gets everything.
        """
        self.given = 0
        got = [0]

        def count(data: bytes) -> None:
            got[0] += len(data)

        site = Site(
            root,
            fastPath=FAST_PATH,
            limits=Limits(writeBufferLength=1_000_000),
            **options,
        )
        peer = await self.open(site)
        peer.dataReceived = count  # type: ignore[method-assign]
        peer.send(request)
        await self.wait(lambda: self.given)
        peer.transport.pauseProducing()
        some = await self.settled(lambda: self.given)
        self.assertLess(some, 250)
        peer.transport.resumeProducing()
        await self.wait(lambda: got[0] > self.WHOLE)

    async def test_wsgi(self) -> None:
        """
        Twisted's own WSGIResource; the resource stays as it is.
        """
        pool = ThreadPool(1, 2)
        pool.start()
        self.addCleanup(deferToThread, pool.stop)
        root: Any = wsgi.WSGIResource(net, pool, self.application)
        before = dict(vars(root))
        await self.look(root)
        await self.look(root, requestFactory=Foreign)
        self.assertEqual(before, vars(root))

    async def test_wsgiClientGone(self) -> None:
        """
        When the client goes the thread goes on, and may be joined.
        """
        pool = ThreadPool(1, 2)
        pool.start()
        self.given = 0
        peer = await self.open(Site(wsgi.WSGIResource(net, pool, self.application)))
        peer.send(get())
        await self.wait(lambda: self.given)
        peer.transport.pauseProducing()
        await self.settled(lambda: self.given)
        peer.abort()
        await deferToThread(pool.stop)
        self.flushLoggedErrors()

    async def test_proxy(self) -> None:
        """
        C{ReverseProxyResource}: the server behind it waits.
        """
        behind = WSGIResource(net, None, self.application)
        self.addCleanup(behind.abandon)
        port: Any = await self.listen(Site(behind))
        number = port.getHost().port
        root: Any = ReverseProxyResource("127.0.0.1", number, b"", net)
        await self.look(root)
        await self.look(root, requestFactory=Foreign)

    async def test_proxyRequests(self) -> None:
        """
        C{ProxyRequest}, and a subclass of it.
        """

        class Own(ProxyRequest):
            pass

        behind = WSGIResource(net, None, self.application)
        self.addCleanup(behind.abandon)
        port: Any = await self.listen(Site(behind))
        uri = b"http://127.0.0.1:%d/" % port.getHost().port
        for kind in (ProxyRequest, Own):
            await self.look(Resource(), get(uri), requestFactory=kind)

    async def test_proxyClientGone(self) -> None:
        """
        When the client goes, the connection to the server is not left paused.
        """
        behind = WSGIResource(net, None, self.application)
        self.addCleanup(behind.abandon)
        port: Any = await self.listen(Site(behind))
        number = port.getHost().port
        self.given = 0
        peer = await self.open(
            Site(ReverseProxyResource("127.0.0.1", number, b"", net))
        )
        peer.send(get())
        await self.wait(lambda: self.given)
        peer.transport.pauseProducing()
        await self.settled(lambda: self.given)
        peer.abort()
        await self.wait(lambda: not behind._calls)
        # Twisted's proxy finishes its request, whatever has become of it.
        await self.wait(lambda: self.flushLoggedErrors(RequestDisconnected))
