"""
What a proxy is told, what a server is told, and who is blamed.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectionLost,
    ConnectionRefusedError,
    DNSLookupError,
)
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.internet.protocol import Factory, Protocol
from twisted.web import client as theirs
from twisted.web.http_headers import Headers

from tests.support.client_cases import ClientTestCase
from tests.support.client_memory import MemoryEndpoint, Peer
from tests.support.producers import OK
from tests.support.server_cases import FAST_PATH
from twisted_h11._client import endpoints as endpoints_module
from twisted_h11._client import names as names_module
from twisted_h11._client import proxy as proxy_module
from twisted_h11.client import (
    Agent,
    BrowserLikeRedirectAgent,
    ClientSettings,
    ConnectTimedOut,
    MalformedResponse,
    Phased,
    Proxies,
    Proxy,
    ProxyAgent,
    ProxyError,
    ProxyRefused,
    RedirectAgent,
    RequestError,
    RequestNotSent,
    ResponseFailed,
    ResponseNeverReceived,
    TunnelEndpoint,
)

SECRET = b"Basic c2VjcmV0"
OPEN = b"HTTP/1.1 200 Connection established\r\n\r\n"
NAME = "proxy.example:3128"


class ProxyTestCase(ClientTestCase):
    """
    A proxy and servers in memory; TLS is left out.
    """

    def setUp(self) -> None:
        """
        Let names lead into memory.
        """
        super().setUp()
        self.proxy = MemoryEndpoint(self.clock)

        def endpoint(reactor: Any, host: str, port: int, **options: Any) -> Any:
            return self.proxy if host == "proxy.example" else self.network

        self.patch(names_module, "HostnameEndpoint", endpoint)
        for module in (endpoints_module, proxy_module):
            self.patch(module, "tls_endpoint", lambda p, host, port, inner: inner)
        self.addCleanup(self.loseAll)

    def loseAll(self) -> None:
        """
        Leave nothing open.
        """
        for pool in self.pools:
            pool.close()
        self.clock.advance(0)
        for peer in self.proxy.peers:
            peer.lose()

    def throughProxy(self, authorization: bytes | None = None, **more: Any) -> Agent:
        """
        An agent with a proxy for all but C{direct.example}.
        """
        proxy = Proxy(False, "proxy.example", 3128, authorization)
        return Agent(
            self.clock,
            pool=self.makePool(),
            proxies=Proxies(proxy, proxy, ("direct.example",)),
            settings=ClientSettings(**more),
            fastPath=FAST_PATH,
        )

    def proxyAgent(self) -> ProxyAgent:
        """
        The other kind of agent.
        """
        return ProxyAgent(self.proxy, self.clock, self.makePool(), fastPath=FAST_PATH)

    def requested(
        self, agent: Any, uri: bytes, headers: Any = None, method: bytes = b"GET"
    ) -> Deferred[Any]:
        """
        Send a request, and clean up after it.
        """
        deferred: Deferred[Any] = agent.request(method, uri, headers)
        self.deferreds.append(deferred)
        return deferred


class CredentialTests(ProxyTestCase):
    """
    Proxy-Authorization.
    """

    def headers(self) -> list[Callable[[], Any]]:
        """
        All ways to say it.
        """
        return [
            lambda: Headers({b"Proxy-Authorization": [SECRET], b"X": [b"y"]}),
            lambda: [(b"proxy-authorization", SECRET), (b"X", b"y")],
            lambda: iter([(b"X", b"y"), (b"PROXY-Authorization", SECRET)]),
        ]

    def agents(self) -> list[Any]:
        """
        Agents with a proxy that has credentials in its URL, or none.
        """
        return [self.throughProxy(), self.throughProxy(b"x"), self.proxyAgent()]

    def assertTold(self, peer: Peer, told: bool, start: bytes) -> None:
        """
        One request that begins as C{start} has come in, with or without the
        credentials, and with all else.
        """
        head = peer.take()
        self.assertTrue(head.startswith(start), head)
        self.assertEqual(told, SECRET in head, head)
        self.assertEqual(told, b"proxy-authorization" in head.lower(), head)
        if not start.startswith(b"CONNECT"):
            self.assertIn(b"\r\nX: y\r\n", head)

    def test_direct(self) -> None:
        """
        No server is told, whatever kind of agent asks it directly.
        """
        agents: list[Any] = [
            Agent(self.clock, pool=self.makePool(), fastPath=FAST_PATH),
            self.throughProxy(),
            self.throughProxy(b"Basic own"),
            self.makeAgent(),
            theirs.Agent.usingEndpointFactory(
                self.clock, self.network, self.makePool()
            ),
        ]
        for agent in agents:
            for headers in self.headers():
                given = headers()
                if isinstance(agent, theirs.Agent) and not isinstance(given, Headers):
                    continue
                for uri, target in [
                    (b"http://direct.example/x", b"/x"),
                    (b"http://direct.example?x", b""),
                    (b"ws://direct.example/x", b"/x"),
                ]:
                    self.requested(agent, uri, headers())
                    start = b"GET " + target
                    self.assertTold(self.network.peers[-1], False, start)
        self.assertEqual([], self.proxy.peers)

    def test_forwarded(self) -> None:
        """
        A proxy that forwards is told, by the fields before its URL.
        """
        for agent in self.agents():
            for headers in self.headers():
                self.requested(agent, b"http://a/x", headers())
                self.assertTold(self.proxy.peers[-1], True, b"GET http://a/x ")
        other = theirs.ProxyAgent(self.proxy, self.clock, self.makePool())
        self.requested(other, b"http://a/x", self.headers()[0]())
        self.assertTold(self.proxy.peers[-1], True, b"GET http://a/x ")

    def test_tunnel(self) -> None:
        """
        A proxy with a tunnel is told when it opens it, by the fields before its
        URL; who is behind it is not told.
        """
        for agent in self.agents():
            for headers in self.headers():
                for scheme, port in [(b"https", 443), (b"wss", 443), (b"ws", 80)]:
                    self.requested(agent, scheme + b"://a/x", headers())
                    peer = self.proxy.peers[-1]
                    self.assertTold(peer, True, b"CONNECT a:%d HTTP/1.1\r\n" % port)
                    peer.send(OPEN)
                    self.assertTold(peer, False, b"GET /x HTTP/1.1\r\nHost: a\r\n")

    def test_apart(self) -> None:
        """
        A connection on which one has shown credentials is not used for others.
        """
        for uri in (b"http://a/", b"https://a/"):
            agent = self.throughProxy()
            before = len(self.proxy.peers)
            for value in (None, SECRET, b"Basic b", None, SECRET, b"Basic b"):
                headers = None
                if value is not None:
                    headers = [(b"Proxy-Authorization", value)]
                deferred = self.requested(agent, uri, headers)
                for peer in self.proxy.peers[before:]:
                    if b"CONNECT" in peer.take():
                        peer.send(OPEN)
                    if peer.protocol.state.value != "idle":
                        peer.send(OK)
                self.successResultOf(deferred)
            self.assertEqual(3, len(self.proxy.peers) - before, uri)

    def test_redirected(self) -> None:
        """
        A redirect from behind a proxy to a server without one does not tell it.
        """
        for kind in (
            RedirectAgent,
            BrowserLikeRedirectAgent,
            theirs.RedirectAgent,
            theirs.BrowserLikeRedirectAgent,
        ):
            for status in (301, 302, 303, 307, 308):
                agent = kind(self.throughProxy())
                self.requested(agent, b"http://a/", self.headers()[0]())
                self.assertTold(self.proxy.peers[-1], True, b"GET http://a/ ")
                self.proxy.peers[-1].send(
                    b"HTTP/1.1 %d Moved\r\nContent-Length: 0\r\n"
                    b"Location: http://direct.example/\r\n\r\n" % (status,)
                )
                self.assertTold(self.network.peers[-1], False, b"GET / ")

    def test_again(self) -> None:
        """
        Neither does a request that is sent once more.
        """
        agent = self.throughProxy()
        headers = self.headers()[0]
        for _ in range(2):
            deferred = self.requested(agent, b"http://direct.example/", headers())
            self.assertTold(self.network.peers[-1], False, b"GET / ")
            if _ == 0:
                self.network.peers[-1].send(OK)
                self.successResultOf(deferred)
        self.network.peers[-1].lose(ConnectionLost())
        self.assertEqual(2, len(self.network.peers))
        self.assertTold(self.network.peers[-1], False, b"GET / ")
        fields = [*headers().getAllRawHeaders()]
        pairs = [(name, values[0]) for name, values in fields]
        expecting = agent.request(
            b"POST",
            b"http://direct.example/",
            [*pairs, (b"Expect", b"100-continue")],
            b"body",
        )
        self.deferreds.append(expecting)
        self.assertTold(self.network.peers[-1], False, b"POST / ")
        self.network.peers[-1].send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        self.clock.advance(0)
        self.assertTold(self.network.peers[-1], False, b"POST / ")


class BlameTests(ProxyTestCase):
    """
    A proxy that fails.
    """

    def failed(self, deferred: Deferred[Any], *kinds: Any) -> Any:
        """
        The error of a request, whose proxy was at fault.
        """
        error = self.failing(deferred, *kinds)
        for kind in (ProxyError, RequestError, ConnectError):
            self.assertIsInstance(error, kind)
        self.assertEqual(NAME, error.proxy)
        self.assertIn(f"The proxy {NAME}", str(error))
        again = pickle.loads(pickle.dumps(error))
        self.assertEqual((str(error), type(error)), (str(again), type(again)))
        return error

    def test_absent(self) -> None:
        """
        One that is not there, for every scheme; the error is also what it was.
        """
        for error, text in [
            (ConnectionRefusedError(), "refused"),
            (DNSLookupError("no results"), "no results"),
            (TwistedTimeoutError(), "not made in time"),
            (ValueError("strange"), "strange"),
        ]:
            self.proxy.error = error
            kind = type(error)
            for scheme in (b"http", b"https", b"ws", b"wss"):
                deferred = self.requested(self.throughProxy(), scheme + b"://a/")
                found = self.failed(deferred, kind)
                self.assertIn(text, str(found))

    def test_dying(self) -> None:
        """
        One that dies before it has opened the tunnel, wherever it is by then.
        """
        answer = b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\n"
        for end in range(len(answer)):
            for error in (None, ConnectionLost()):
                deferred = self.requested(self.throughProxy(), b"https://a/")
                peer = self.proxy.peers[-1]
                if end:
                    peer.send(answer[:end])
                peer.lose(error)
                self.failed(deferred, ResponseFailed)
        self.assertEqual([], self.network.peers)

    def test_babble(self) -> None:
        """
        One that does not speak HTTP, or too much of it.
        """
        for answer, text in [
            (b"SSH-2.0-x\r\n\r\n", ""),
            (b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000, "maxHeadLength"),
            (b"HTTP/1.1 100 Continue\r\n\r\n" * 30, "interim"),
            (b"HTTP/1.1 2000 OK\r\n\r\n", ""),
        ]:
            deferred = self.requested(self.throughProxy(), b"https://a/")
            self.proxy.peers[-1].send(answer)
            self.clock.advance(0)
            self.assertIn(text, str(self.failed(deferred, Phased)))

    def test_late(self) -> None:
        """
        One that does not answer in time.
        """
        for wait in (True, False):
            self.proxy.hang = wait
            agent = self.throughProxy(connectTimeout=7)
            deferred = self.requested(agent, b"https://a/")
            self.clock.advance(7)
            error = self.failed(deferred, ConnectTimedOut)
            self.assertIn("7 s", str(error))
        agent = self.throughProxy(connectTimeout=None, headTimeout=7)
        deferred = self.requested(agent, b"https://a/")
        self.clock.advance(7)
        self.failed(deferred, TwistedTimeoutError)

    def test_refused(self) -> None:
        """
        One that does not want to, with a page or without one; the connection ends.
        """
        for length in (b"100", b"0"):
            deferred = self.requested(self.throughProxy(), b"https://a/")
            peer = self.proxy.peers[-1]
            peer.send(
                b"HTTP/1.1 407 Authenticate\r\nContent-Length: %b\r\n\r\n" % length
            )
            error = self.failed(deferred, ProxyRefused)
            self.assertEqual(407, error.code)
            self.assertIn("407 Authenticate to CONNECT a:443", str(error))
            self.assertTrue(peer.closed)

    def test_unnamed(self) -> None:
        """
        That of a C{ProxyAgent}, or of an endpoint by itself, is just the proxy.
        """
        self.proxy.error = ConnectionRefusedError()
        for scheme in (b"http", b"https"):
            deferred = self.requested(self.proxyAgent(), scheme + b"://a/")
            error = self.failing(deferred, ConnectionRefusedError)
            self.assertIsInstance(error, ProxyError)
            self.assertTrue(str(error).startswith("The proxy: Connection was refused"))
        endpoint = TunnelEndpoint(self.clock, self.proxy, b"a", 1)
        deferred = endpoint.connect(Factory.forProtocol(Protocol))
        self.assertIsInstance(self.failing(deferred), ProxyError)

    def test_cancelled(self) -> None:
        """
        An application that gives up is not the proxy's fault.
        """
        self.proxy.hang = True
        for scheme in (b"http", b"https"):
            deferred = self.requested(self.throughProxy(), scheme + b"://a/")
            deferred.cancel()
            self.assertNotIsInstance(self.failing(deferred, CancelledError), ProxyError)

    def test_server(self) -> None:
        """
        What happens behind the proxy is not its fault.
        """
        deferred = self.requested(self.throughProxy(), b"https://a/")
        peer = self.proxy.peers[-1]
        peer.send(OPEN)
        peer.send(b"nonsense\r\n\r\n")
        error = self.failing(deferred, ResponseFailed)
        self.assertNotIsInstance(error, ProxyError)
        error.reasons[0].trap(MalformedResponse)

    def test_page(self) -> None:
        """
        A page behind the answer that opens a tunnel is nobody's response, and the
        error says why nothing was sent.
        """
        page = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage"
        for more in (page, b"page"):
            for agent in (self.throughProxy(), self.proxyAgent()):
                deferred = self.requested(agent, b"ws://a/")
                peer = self.proxy.peers[-1]
                peer.take()
                peer.send(OPEN + more)
                error = self.failing(deferred, RequestNotSent)
                self.assertIn("before the request was sent", str(error))
                self.assertEqual(b"", peer.take())

    def test_noProtocol(self) -> None:
        """
        A factory that makes no protocol, or raises, is not its fault, and is told.
        """

        class Unwilling(Factory):
            def buildProtocol(self, addr: Any) -> Any:
                raise KeyError("mine")

        for factory, kind in [(Unwilling(), KeyError), (Nobody(), ConnectError)]:
            endpoint = TunnelEndpoint(self.clock, self.proxy, b"a", 1)
            deferred = endpoint.connect(factory)
            self.proxy.peers[-1].send(OPEN)
            self.assertNotIsInstance(self.failing(deferred, kind), ProxyError)
            self.clock.advance(0)
            self.assertTrue(self.proxy.peers[-1].gone)

    def test_cancelledByFactory(self) -> None:
        """
        A factory may cancel the tunnel that it is asked for a protocol for.
        """

        class Cancelling(Factory):
            def buildProtocol(self, addr: Any) -> Any:
                waiting[0].cancel()
                return Protocol()

        endpoint = TunnelEndpoint(self.clock, self.proxy, b"a", 1)
        waiting = [endpoint.connect(Cancelling())]
        self.proxy.peers[-1].send(OPEN)
        self.failing(waiting[0], CancelledError)
        self.assertTrue(self.proxy.peers[-1].aborted)

    def test_write(self) -> None:
        """
        A transport that raises fails the tunnel at once.
        """

        def write(peer: Peer, data: bytes) -> None:
            raise ZeroDivisionError

        self.patch(Peer, "write", write)
        endpoint = TunnelEndpoint(self.clock, self.proxy, b"a", 1, proxy=NAME)
        deferred = endpoint.connect(Factory.forProtocol(Protocol))
        error = self.failed(deferred, ResponseNeverReceived)
        error.reasons[0].trap(ZeroDivisionError)
        self.assertTrue(self.proxy.peers[-1].aborted)


class Nobody(Factory):
    """
    Does not want a connection.
    """

    def buildProtocol(self, addr: Any) -> None:
        """
        No.
        """
