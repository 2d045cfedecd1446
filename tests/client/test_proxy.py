"""
Proxies: which one is chosen, and what goes through it.
"""

from __future__ import annotations

import os
import socket
from typing import Any
from unittest import skipIf

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, ConnectionRefusedError
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol
from twisted.internet.task import deferLater
from twisted.protocols.portforward import ProxyClientFactory
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import PartialDownloadError, readBody

from tests.support.optional import find_program
from tests.support.ports import free_port
from tests.support.server_cases import FAST_PATH
from tests.support.tls_servers import (
    PoolTestCase,
    listen_tls,
    make_factory,
    private_of,
    stop,
)
from twisted_h11._client.proxy import proxy_endpoint
from twisted_h11._client.tunnel import ProxyEndpoint
from twisted_h11.client import (
    Agent,
    ClientSettings,
    Proxies,
    Proxy,
    ProxyRefused,
    ResponseFailed,
    TLSPolicy,
    UNIXEndpointFactory,
)

net: Any = reactor


class ChoiceTests(SynchronousTestCase):
    """
    URLs and environment variables.
    """

    def test_urls(self) -> None:
        """
        What is left out of a proxy's URL has the usual value.
        """
        for url, secure, host, port in [
            ("http://proxy:8080", False, "proxy", 8080),
            ("proxy", False, "proxy", 3128),
            ("https://proxy/", True, "proxy", 443),
            ("http://[::1]:8080/", False, "::1", 8080),
        ]:
            self.assertEqual(Proxy(secure, host, port), Proxy.fromURL(url))

    def test_credentials(self) -> None:
        """
        Credentials are decoded, and do not show up in a repr.
        """
        proxy = Proxy.fromURL("http://us%40er:p%3Aw@proxy:1")
        self.assertEqual(b"Basic dXNAZXI6cDp3", proxy.authorization)
        self.assertNotIn("dXNA", repr(proxy))

    def test_bad(self) -> None:
        """
        What is no proxy is refused, without repeating a password.
        """
        for url in ("socks5://a:1", "http://", "http://a:b:c:secret", "http://a:99999"):
            with self.assertRaises(ValueError) as caught:
                Proxy.fromURL(url)
            self.assertNotIn("secret", str(caught.exception))

    def test_environment(self) -> None:
        """
        The usual variables; HTTP_PROXY is not trusted under CGI.
        """
        self.assertEqual(Proxies(), Proxies.fromEnvironment({}))
        proxies = Proxies.fromEnvironment(
            {"HTTP_PROXY": "a:1", "https_proxy": "b:2", "NO_PROXY": "c, .d"}
        )
        self.assertEqual(
            Proxies(Proxy(False, "a", 1), Proxy(False, "b", 2), ("c", ".d")), proxies
        )
        self.assertIsNone(
            Proxies.fromEnvironment({"HTTP_PROXY": "a", "REQUEST_METHOD": "GET"}).http
        )
        both = Proxies.fromEnvironment({"all_proxy": "a:1"})
        self.assertEqual(both.http, both.https)
        with self.assertRaises(ValueError) as caught:
            Proxies.fromEnvironment({"https_proxy": "socks5://a"})
        self.assertIn("https_proxy", str(caught.exception))

    def test_exceptions(self) -> None:
        """
        NO_PROXY: names with what is below them, addresses, networks, ports.
        """
        proxy = Proxy(False, "p", 1)
        for items, direct, proxied in [
            (
                ["example.com"],
                ["example.com", "a.EXAMPLE.com", "example.com."],
                ["xexample.com"],
            ),
            ([".example.com"], ["example.com", "a.example.com"], ["example.org"]),
            (["*"], ["anything"], []),
            (["10.0.0.0/8", "::1"], ["10.1.2.3", "::1"], ["11.1.2.3", "::2"]),
            (["a:80", "[::1]:80"], ["a", "::1"], []),
            (["a:81", "[::1]:81"], [], ["a", "::1"]),
            (["0.1"], [], ["127.0.0.1"]),
            ([], [], ["localhost"]),
        ]:
            proxies = Proxies(proxy, None, tuple(items))
            for hosts, expected in ((direct, None), (proxied, proxy)):
                for host in hosts:
                    self.assertEqual(
                        expected,
                        proxies.find(b"http", host.encode(), 80),
                        (items, host),
                    )
            self.assertIsNone(proxies.find(b"https", b"z", 443))

    def test_address(self) -> None:
        """
        A proxy may be named by an address.
        """
        for host in ("127.0.0.1", "::1"):
            endpoint = proxy_endpoint(net, Proxy(False, host, 3128), None, {})
            self.assertIsInstance(endpoint, ProxyEndpoint)


class ProxyProcess(ProcessProtocol):
    """
    tinyproxy, while a test runs.
    """

    def __init__(self) -> None:
        self.ended: Deferred[None] = Deferred()

    def processEnded(self, reason: object) -> None:
        self.ended.callback(None)


class NetworkTestCase(PoolTestCase):
    """
    Real sockets, and nothing left of them.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Trust the authority.
        """
        super().setUp()
        self.policy = TLSPolicy.trusting(self.authority.cert_pem.bytes())

    def plain(self, answer: bytes | None = None) -> Any:
        """
        A server without TLS.
        """
        factory = make_factory(answer)
        port = net.listenTCP(0, factory, interface="127.0.0.1")
        factory.port = port.getHost().port
        self.addCleanup(stop, port, factory)
        return factory

    def agent(self, proxy: str, **settings: Any) -> Agent:
        """
        An agent that uses C{proxy} for everything.
        """
        found = Proxy.fromURL(proxy)
        return Agent(
            net,
            self.policy,
            pool=self.pool,
            proxies=Proxies(found, found),
            settings=ClientSettings(**settings),
            fastPath=FAST_PATH,
        )

    @inlineCallbacks
    def get(self, agent: Agent, scheme: str, server: Any, **options: Any) -> Any:
        """
        What the server says.
        """
        uri = f"{scheme}://127.0.0.1:{server.port}/x?y"
        response = yield agent.request(b"GET", uri.encode(), **options)
        body = yield readBody(response)
        return body


@skipIf(find_program("tinyproxy") is None, "tinyproxy is not installed")
class TinyproxyTests(NetworkTestCase):
    """
    Through tinyproxy.
    """

    @inlineCallbacks
    def start(self, *lines: str) -> Any:
        """
        Start it; its port.
        """
        port = free_port()
        name = os.path.abspath(self.mktemp())
        with open(name, "w") as file:
            file.write(
                "\n".join([f"Port {port}", "Listen 127.0.0.1", "MaxClients 20", *lines])
            )
        process = ProxyProcess()
        path = find_program("tinyproxy")
        transport = net.spawnProcess(
            process, path, [path, "-d", "-c", name], env=None, childFDs={0: "w", 1: "r"}
        )

        def end() -> Deferred[None]:
            transport.signalProcess("KILL")
            return process.ended

        self.addCleanup(end)
        for _ in range(1500):
            with socket.socket() as sock:
                if sock.connect_ex(("127.0.0.1", port)) == 0:
                    return port
            yield deferLater(net, 0.02)
        self.fail("tinyproxy did not start")

    @inlineCallbacks
    def test_forward(self) -> Any:
        """
        http: is forwarded, and the connection to the proxy is kept.
        """
        port = yield self.start()
        server = self.plain()
        body = yield self.get(self.agent(f"http://127.0.0.1:{port}"), "http", server)
        self.assertEqual(b"plain", body)
        self.assertIn(b"GET /x?y HTTP/1", server.heads[0])
        self.assertIn(b"Via:", server.heads[0])

    @inlineCallbacks
    def test_tunnel(self) -> Any:
        """
        https: goes through a tunnel, in which TLS is verified; the tunnel is
        used again.
        """
        port = yield self.start()
        server = listen_tls(self, self.leaf("127.0.0.1"))
        agent = self.agent(f"http://127.0.0.1:{port}")
        for _ in range(2):
            body = yield self.get(agent, "https", server)
            self.assertEqual(b"- anonymous", body)
        self.assertNotIn(b"Via", server.heads[0])
        self.assertEqual(1, self.pool.counts().idle)
        other = listen_tls(self, self.leaf("other.example"))
        error = yield self.assertFailure(
            self.get(agent, "https", other), ResponseFailed
        )
        self.assertIn("not for 127.0.0.1", str(error))

    @inlineCallbacks
    def test_authentication(self) -> Any:
        """
        Credentials open the proxy, for both, and never reach the server.
        """
        port = yield self.start("BasicAuth user secret")
        agent = self.agent(f"http://user:secret@127.0.0.1:{port}")
        plain, tls = self.plain(), listen_tls(self, self.leaf("127.0.0.1"))
        yield self.get(agent, "http", plain)
        yield self.get(agent, "https", tls)
        for head in (plain.heads[0], tls.heads[0]):
            self.assertNotIn(b"Proxy-Auth", head)
        stranger = self.agent(f"http://127.0.0.1:{port}")
        uri = b"http://127.0.0.1:%d/" % (plain.port,)
        response = yield stranger.request(b"GET", uri)
        # tinyproxy ends this body with the connection.
        yield self.assertFailure(readBody(response), PartialDownloadError)
        self.assertEqual(407, response.code)
        error = yield self.assertFailure(self.get(stranger, "https", tls), ProxyRefused)
        self.assertEqual(407, error.code)
        self.assertIn("407 Proxy Authentication Required to CONNECT", str(error))
        self.assertIsInstance(error, ConnectError)

    @inlineCallbacks
    def test_noServer(self) -> Any:
        """
        A proxy that can not reach the server says so.
        """
        port = yield self.start()
        server = make_factory()
        server.port = free_port()
        agent = self.agent(f"http://127.0.0.1:{port}")
        error = yield self.assertFailure(self.get(agent, "https", server), ProxyRefused)
        self.assertGreaterEqual(error.code, 500)


class Forwarder(Protocol):
    """
    A proxy of ten lines, for what tinyproxy can not do.
    """

    buffer = b""
    peer: Any = None

    def setPeer(self, peer: Any) -> None:
        self.peer = peer
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 200 Connected\r\n\r\n")

    def dataReceived(self, data: bytes) -> None:
        if self.peer is not None:
            self.peer.transport.write(data)
            return
        self.buffer += data
        self.factory.seen.append(self.buffer)
        if self.buffer.endswith(b"\r\n\r\n") and not self.factory.deaf:
            authority = self.buffer.split(b" ")[1].decode()
            host, _, port = authority.rpartition(":")
            client: Any = ProxyClientFactory()
            client.noisy = False
            client.setServer(self)
            net.connectTCP(host, int(port), client)

    def connectionLost(self, reason: object = None) -> None:
        if self.peer is not None:
            self.peer.transport.loseConnection()
        self.factory.lost += 1


class OwnProxyTests(NetworkTestCase):
    """
    Through a proxy of our own.
    """

    def start(self, secure: bool, deaf: bool = False) -> Any:
        """
        Listen.
        """
        factory: Any = Factory.forProtocol(Forwarder)
        factory.noisy = False
        factory.seen = []
        factory.deaf = deaf
        factory.lost = 0
        if secure:
            context = private_of(self.leaf("127.0.0.1")).options()
            port = net.listenSSL(0, factory, context, interface="127.0.0.1")
        else:
            port = net.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        factory.port = port.getHost().port
        return factory

    @inlineCallbacks
    def test_secureProxy(self) -> Any:
        """
        TLS is spoken with a proxy whose URL says https:, and inside of it with
        the server.
        """
        proxy = self.start(True)
        server = listen_tls(self, self.leaf("127.0.0.1"))
        agent = self.agent(f"https://127.0.0.1:{proxy.port}")
        body = yield self.get(agent, "https", server)
        self.assertEqual(b"- anonymous", body)
        self.assertTrue(
            proxy.seen[0].startswith(b"CONNECT 127.0.0.1:%d " % server.port)
        )

    @inlineCallbacks
    def test_untrustedProxy(self) -> Any:
        """
        A proxy whose certificate is not trusted gets nothing.
        """
        self.policy = TLSPolicy()
        proxy = self.start(True)
        server = listen_tls(self, self.leaf("127.0.0.1"))
        agent = self.agent(f"https://127.0.0.1:{proxy.port}")
        error = yield self.assertFailure(
            self.get(agent, "https", server), ResponseFailed
        )
        self.assertIn("not trusted", str(error))
        self.assertEqual([], proxy.seen)

    @inlineCallbacks
    def test_deafProxy(self) -> Any:
        """
        A proxy that does not answer is a matter of the time to connect.
        """
        proxy = self.start(False, deaf=True)
        server = listen_tls(self, self.leaf("127.0.0.1"))
        for seconds in (0.1, 1, 10):
            if proxy.seen:
                break
            # On a busy machine a short time may be over before the request is sent.
            url = f"http://127.0.0.1:{proxy.port}"
            agent = self.agent(url, connectTimeout=seconds)
            got = self.get(agent, "https", server)
            error = yield self.assertFailure(got, ConnectError)
            self.assertIn(f"{seconds} s", str(error))
        self.assertTrue(proxy.seen)
        # The proxy hears of it when the reactor next looks at its sockets.
        while not proxy.lost:
            yield deferLater(net, 0)

    @inlineCallbacks
    def test_noProxy(self) -> Any:
        """
        Nobody there is the error of the connection.
        """
        agent = self.agent(f"http://127.0.0.1:{free_port()}")
        server = self.plain()
        for scheme in ("http", "https"):
            yield self.assertFailure(
                self.get(agent, scheme, server), ConnectionRefusedError
            )

    @inlineCallbacks
    def test_exceptionIsDirect(self) -> Any:
        """
        What needs no proxy does not use one.
        """
        nowhere = Proxy(False, "127.0.0.1", free_port())
        agent = Agent(
            net,
            pool=self.pool,
            proxies=Proxies(nowhere, nowhere, ("127.0.0.0/8",)),
            fastPath=FAST_PATH,
        )
        body = yield self.get(agent, "http", self.plain())
        self.assertEqual(b"plain", body)


class OtherWaysTests(NetworkTestCase):
    """
    Other ways to a server.
    """

    @inlineCallbacks
    def test_unix(self) -> Any:
        """
        A UNIX socket.
        """
        path = self.mktemp()
        factory = make_factory()
        port = net.listenUNIX(path, factory)
        self.addCleanup(stop, port, factory)
        ways = UNIXEndpointFactory(net, path)
        agent = Agent.usingEndpointFactory(net, ways, self.pool, fastPath=FAST_PATH)
        response = yield agent.request(b"GET", b"http://docker/x")
        body = yield readBody(response)
        self.assertEqual(b"plain", body)
        self.assertIn(b"Host: docker", factory.heads[0])

    @inlineCallbacks
    def test_ipv6(self) -> Any:
        """
        A literal IPv6 address.
        """
        factory = make_factory()
        try:
            port = net.listenTCP(0, factory, interface="::1")
        except Exception:
            self.skipTest("there is no IPv6 here")
        self.addCleanup(stop, port, factory)
        agent = Agent(net, pool=self.pool, fastPath=FAST_PATH)
        number = port.getHost().port
        response = yield agent.request(b"GET", b"http://[::1]:%d/" % (number,))
        yield readBody(response)
        self.assertIn(b"Host: [::1]:%d" % (number,), factory.heads[0])

    @inlineCallbacks
    def test_earlyAnswer(self) -> Any:
        """
        A server that refuses a large upload and closes at once is heard.
        """
        refusal = b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno"
        factory = make_factory(refusal, closes=True)
        port = net.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(stop, port, factory)
        uri = b"http://127.0.0.1:%d/" % (port.getHost().port,)
        agent = Agent(net, pool=self.pool, fastPath=FAST_PATH)
        for _ in range(10):
            response = yield agent.request(b"POST", uri, None, b"x" * 5_000_000)
            body = yield readBody(response)
            self.assertEqual((413, b"no"), (response.code, body))

    @inlineCallbacks
    def test_closedUnnoticed(self) -> Any:
        """
        A POST does not go out on a connection that the server has closed
        already, although the reactor has not told us yet.
        """
        server = self.plain()
        agent = Agent(net, pool=self.pool, fastPath=FAST_PATH)
        yield self.get(agent, "http", server)
        (connection,) = server.connections
        connection.transport.getHandle().shutdown(socket.SHUT_RDWR)
        uri = b"http://127.0.0.1:%d/" % (server.port,)
        response = yield agent.request(b"POST", uri, None, b"x")
        yield readBody(response)
        self.assertEqual(2, len(server.heads))

    def test_endpoint(self) -> None:
        """
        Names are connected to by Twisted's endpoint, with Happy Eyeballs.
        """
        agent = Agent(net)
        from twisted.web.client import URI

        endpoint = agent._endpointFactory.endpointForURI(URI.fromBytes(b"http://a/"))
        self.assertIsInstance(endpoint, HostnameEndpoint)
