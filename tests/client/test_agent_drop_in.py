"""
The agent takes the place of twisted.web's, alone and under its wrappers.
"""

from __future__ import annotations

import zlib
from http.cookiejar import CookieJar
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, TimeoutError
from twisted.internet.testing import MemoryReactorClock
from twisted.web.client import Agent as TwistedAgent
from twisted.web.error import SchemeNotSupported
from twisted.web.http_headers import Headers as TwistedHeaders
from twisted.web.iweb import IAgent, IResponse
from zope.interface.verify import verifyObject

from tests.support.client_cases import ClientTestCase
from tests.support.producers import OK
from tests.support.server_cases import FAST_PATH
from twisted_h11._client import names as names_module
from twisted_h11.client import (
    Agent,
    BrowserLikeRedirectAgent,
    ContentDecoderAgent,
    CookieAgent,
    GzipDecoder,
    Headers,
    HTTPConnectionPool,
    ProxyAgent,
    RedirectAgent,
    RequestGenerationFailed,
    Response,
    UNIXEndpointFactory,
    readBody,
)


class InterfaceTests(ClientTestCase):
    """
    Arguments, types and errors are those of twisted.web.
    """

    def test_interfaces(self) -> None:
        """
        The agent provides C{IAgent}, the response C{IResponse}.
        """
        agent = self.makeAgent()
        verifyObject(IAgent, agent)
        deferred, peer = self.ask(agent)
        peer.send(OK)
        verifyObject(IResponse, self.successResultOf(deferred))

    def test_badArguments(self) -> None:
        """
        The same exceptions as Twisted's Agent, raised the same way.
        """
        for agent in (
            self.makeAgent(),
            TwistedAgent.usingEndpointFactory(self.clock, self.network),
        ):
            asking: Any = agent.request
            with self.assertRaises(TypeError):
                asking("GET", b"http://a/")
            methods = [b"", b"GE T", b"GET\r\nX: y"]
            if isinstance(agent, Agent):
                methods.append(b"CONNECT")
            for method in methods:
                with self.assertRaises(ValueError) as caught:
                    asking(method, b"http://a/")
                self.assertTrue(str(caught.exception).startswith("Invalid method"))
            for uri in (b"http://a/\r\nX: y", b"http://a/ b", b"http://a/\xff", b""):
                with self.assertRaises(ValueError) as caught:
                    asking(b"GET", uri)
                self.assertTrue(str(caught.exception).startswith("Invalid URI"))
        self.assertEqual([], self.network.peers)

    def test_scheme(self) -> None:
        """
        An unknown scheme is a failure, not an exception.
        """
        for uri in (b"ftp://a/", b"mailto:a@b"):
            self.failing(Agent(self.clock).request(b"GET", uri), SchemeNotSupported)

    def test_schemeOfAFactory(self) -> None:
        """
        So is one that an endpoint factory does not support, also without a host, as
        with Twisted's agent.  If the factory supports it, there is no such server.
        """

        class Hosts:
            """
            Knows the endpoints of some hosts.
            """

            def endpointForURI(self, uri: Any) -> Any:
                """
                There is none.
                """
                raise KeyError(uri.host)

        factory = UNIXEndpointFactory(MemoryReactorClock(), "/x")
        kinds: tuple[Any, ...] = (Agent, TwistedAgent)
        for uri in (
            b"ftp://a/",
            b"ftp:///a",
            b"mailto:a@b",
            b"data:,x",
            b"ftp://a:b@c/",
        ):
            for kind in kinds:
                agent = kind.usingEndpointFactory(self.clock, factory)
                self.failing(agent.request(b"GET", uri), SchemeNotSupported)
            if uri != b"ftp://a/":
                for asked in (self.network, Hosts()):
                    agent = Agent.usingEndpointFactory(self.clock, asked)
                    with self.assertRaises(ValueError) as caught:
                        agent.request(b"GET", uri)
                    self.assertTrue(str(caught.exception).startswith("Invalid URI"))
        self.assertEqual([], self.network.peers)

    def test_anyScheme(self) -> None:
        """
        An endpoint factory may know schemes that the agent does not, as with
        Twisted's agent; Host has the port then, and the target is as usual.
        """
        for agent in (
            self.makeAgent(),
            TwistedAgent.usingEndpointFactory(self.clock, self.network),
        ):
            agent.request(b"GET", b"matrix-federation://Example.com/x").addErrback(
                lambda _: None
            )
            asked = self.network.asked[-1]
            self.assertEqual(b"matrix-federation", asked.scheme)
            self.assertEqual((b"Example.com", 80), (asked.host, asked.port))
            head = self.network.peers[-1].take()
            self.assertTrue(head.startswith(b"GET /x HTTP/1.1\r\n"))
            self.assertIn(b"\r\nHost: Example.com:80\r\n", head)

    def test_badAuthority(self) -> None:
        """
        Credentials in a URI are refused, not looked up as a name.
        """
        for uri in (b"http://user:secret@a/", b"http://a:99999/", b"http:///x"):
            with self.assertRaises(ValueError):
                self.makeAgent().request(b"GET", uri)

    def test_targets(self) -> None:
        """
        Target and Host follow from the URI, also where it is unusual.
        """
        for uri, target, host in [
            (b"http://a", b"/", b"a"),
            (b"http://a?x=1", b"/?x=1", b"a"),
            (b"http://a:80/%20;p?q=/?#f", b"/%20;p?q=/?", b"a"),
            (b"https://a:443/", b"/", b"a"),
            (b"http://a:443/", b"/", b"a:443"),
            (b"http://[::1]:8080/x", b"/x", b"[::1]:8080"),
            (b"http://[::1]/", b"/", b"[::1]"),
            (b"HTTP://a/", b"/", b"a"),
            (b"http://xn--bcher-kva.example/", b"/", b"xn--bcher-kva.example"),
            (b" http://a/ ", b"/", b"a"),
        ]:
            _, peer = self.ask(uri=uri)
            self.assertEqual(
                b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n\r\n",
                peer.received,
            )

    def test_headers(self) -> None:
        """
        twisted.web's C{Headers}, ours, and pairs are sent; the caller's are not
        changed; an own Host is sent instead.
        """
        plain = TwistedHeaders({b"x-a": [b"1", b"2"], b"host": [b"other"]})
        for headers, lines in [
            (plain, [b"Host: other", b"X-A: 1", b"X-A: 2"]),
            (Headers({b"x-a": [b"1"]}), [b"Host: a", b"x-a: 1"]),
            ([(b"x-A", b"1"), (b"X-a", b"2")], [b"Host: a", b"x-A: 1", b"X-a: 2"]),
        ]:
            _, peer = self.ask(uri=b"http://a/", headers=headers)
            self.assertEqual(lines, peer.received.split(b"\r\n")[1:-2])
        self.assertEqual(2, len(list(plain.getAllRawHeaders())))

    def test_ownHeaders(self) -> None:
        """
        Our C{Headers} keep the spelling through copies, and refuse line ends.
        """
        headers = Headers({"x-OLD": ["1"]})
        headers.addRawHeader(b"X-old", b"2")
        headers.setRawHeaders(b"SOAPaction", [b"x"])
        self.assertEqual(
            [(b"x-OLD", b"1"), (b"x-OLD", b"2"), (b"SOAPaction", b"x")],
            headers.copy().pairs(),
        )
        self.assertEqual([b"x"], headers.getRawHeaders(b"soapACTION"))
        headers.setRawHeaders(b"SOAPAction", [b"y"])
        headers.removeHeader(b"X-Old")
        self.assertEqual([(b"SOAPAction", b"y")], headers.pairs())
        for value in (b"a\r\nb: c", "a\nb", b"\x00"):
            with self.assertRaises(ValueError):
                headers.addRawHeader(b"a", value)

    def test_twoHosts(self) -> None:
        """
        Two Host fields are refused.
        """
        headers = TwistedHeaders({b"host": [b"a", b"b"]})
        self.failing(
            self.makeAgent().request(b"GET", b"http://a/", headers),
            RequestGenerationFailed,
        )

    def test_sync(self) -> None:
        """
        A request starts at once, by name and port, from where it should.
        """
        asked = []

        def endpoint(reactor: Any, host: str, port: int, **options: Any) -> Any:
            asked.append((reactor, host, port, options))
            return self.network

        self.patch(names_module, "HostnameEndpoint", endpoint)
        agent = Agent(self.clock, connectTimeout=7, bindAddress=("192.0.2.1", 0))
        self.ask(agent, uri=b"http://a:8080/")
        self.assertEqual(1, len(self.network.peers))
        options = {"timeout": 7, "bindAddress": ("192.0.2.1", 0)}
        self.assertEqual([(self.clock, "a", 8080, options)], asked)
        self.network.peers[0].send(OK)
        self.clock.advance(0)

    def test_defaultPool(self) -> None:
        """
        Without a pool connections are not kept, as with Twisted's Agent.
        """
        agent = Agent.usingEndpointFactory(self.clock, self.network, fastPath=FAST_PATH)
        deferred, peer = self.ask(agent)
        self.assertIn(b"Connection: close", peer.received)
        peer.send(OK)
        self.successResultOf(deferred)
        self.assertTrue(peer.closed)
        self.clock.advance(0)

    def test_foreignPool(self) -> None:
        """
        Twisted's pool makes Twisted's connections; it is refused.
        """
        from twisted.web.client import HTTPConnectionPool as TwistedPool

        with self.assertRaises(TypeError):
            Agent(self.clock, pool=TwistedPool(self.clock))

    def test_badPolicy(self) -> None:
        """
        What is no policy for HTTPS is refused.
        """
        with self.assertRaises(TypeError):
            Agent(self.clock, contextFactory=object())

    def test_endpointFactory(self) -> None:
        """
        The endpoint factory is asked for each request.
        """
        agent = self.makeAgent()
        for _ in range(2):
            deferred, peer = self.ask(agent, uri=b"http://a:81/x?y")
            peer.send(OK)
            self.successResultOf(deferred)
        self.assertEqual(2, len(self.network.asked))
        uri = self.network.asked[0]
        self.assertEqual((b"http", b"a", 81), (uri.scheme, uri.host, uri.port))


class WrapperTests(ClientTestCase):
    """
    The agents of twisted.web that wrap another.
    """

    def test_redirect(self) -> None:
        """
        C{RedirectAgent} follows, keeps the history, and drops credentials when
        the origin changes.
        """
        agent: Any = RedirectAgent(self.makeAgent())
        deferred = agent.request(
            b"GET", b"http://a/", Headers({b"Authorization": [b"x"], b"A": [b"b"]})
        )
        self.network.peers[0].send(
            b"HTTP/1.1 302 Found\r\nLocation: http://b/c\r\nContent-Length: 2\r\n\r\nno"
        )
        peer = self.network.peers[1]
        self.assertIn(b"GET /c HTTP/1.1\r\nHost: b\r\n", peer.received)
        self.assertNotIn(b"Authorization", peer.received)
        self.assertIn(b"A: b", peer.received)
        peer.send(OK)
        response = self.successResultOf(deferred)
        self.assertEqual(302, response.previousResponse.code)
        self.assertEqual(b"http://b/c", response.request.absoluteURI)

    def test_redirectPairs(self) -> None:
        """
        Fields may be pairs, as for an C{Agent}; credentials among them are dropped when
        the origin changes, too.  Pairs that are not valid fail as there.
        """
        agent: Any = RedirectAgent(self.makeAgent(self.makePool(False)))
        pairs = [(b"x-Own", b"1"), (b"AUTHORIZATION", b"secret"), (b"cookie", b"a=b")]
        for headers in (pairs, iter(pairs)):
            deferred = agent.request(b"GET", b"http://a/", headers)
            peer = self.network.peers[-1]
            self.assertIn(b"AUTHORIZATION: secret", peer.take())
            peer.send(
                b"HTTP/1.1 302 Found\r\nLocation: http://b/\r\n"
                b"Content-Length: 0\r\n\r\n"
            )
            other = self.network.peers[-1]
            sent = other.take().lower()
            self.assertIn(b"host: b\r\n", sent)
            self.assertIn(b"x-own: 1", sent)
            self.assertNotIn(b"secret", sent)
            self.assertNotIn(b"a=b", sent)
            other.send(OK)
            self.assertEqual(200, self.successResultOf(deferred).code)
        self.assertRaises(TypeError, agent.request, b"GET", b"http://a/", 1)
        bad = agent.request(b"GET", b"http://a/", [(b"x", b"a\r\nb: c")])
        self.failing(bad, RequestGenerationFailed)

    def test_redirectUnread(self) -> None:
        """
        The body of a redirect that nobody reads keeps no connection.
        """
        pool = self.makePool(maxConnections=1)
        agent: Any = RedirectAgent(self.makeAgent(pool))
        deferred = agent.request(b"GET", b"http://a/")
        self.network.peers[0].send(
            b"HTTP/1.1 302 Found\r\nLocation: /c\r\nContent-Length: 99\r\n\r\nno"
        )
        # previousResponse holds the first response, so it is its time that ends.
        self.clock.advance(59)
        self.assertNoResult(deferred)
        self.clock.advance(1)
        self.failing(deferred)

    def test_cookies(self) -> None:
        """
        C{CookieAgent} stores and sends cookies.
        """
        agent: Any = CookieAgent(self.makeAgent(), CookieJar())
        deferred = agent.request(b"GET", b"http://example.com/")
        peer = self.network.peers[0]
        peer.send(OK.replace(b"Content", b"Set-Cookie: a=b\r\nContent"))
        self.successResultOf(deferred)
        agent.request(b"GET", b"http://example.com/").addErrback(lambda _: None)
        self.assertIn(b"Cookie: a=b\r\n", peer.received)

    def test_oddCookies(self) -> None:
        """
        A cookie that is not ASCII is not stored; the others are, and the application
        gets the response as it came.
        """
        jar = CookieJar()
        agent: Any = CookieAgent(self.makeAgent(), jar)
        deferred = agent.request(b"GET", b"http://example.com/")
        values = [b"a=\xff", b"b=c", b"\xe4=d"]
        fields = b"".join(b"Set-Cookie: %b\r\n" % value for value in values)
        self.network.peers[0].send(OK.replace(b"Content", fields + b"Content"))
        response = self.successResultOf(deferred)
        self.assertIsInstance(response, Response)
        self.assertEqual(values, response.headers.getRawHeaders(b"Set-Cookie"))
        self.assertEqual(["b"], [cookie.name for cookie in jar])

    def test_manyCookies(self) -> None:
        """
        Of the cookies of one response the first 50 are stored: thousands would make
        each request to that server a slow and long one.
        """
        jar = CookieJar()
        agent: Any = CookieAgent(self.makeAgent(), jar)
        deferred = agent.request(b"GET", b"http://example.com/")
        fields = b"".join(b"Set-Cookie: %d=b\r\n" % number for number in range(3_000))
        self.network.peers[0].send(OK.replace(b"Content", fields + b"Content"))
        response = self.successResultOf(deferred)
        self.assertEqual(3_000, len(response.headers.getRawHeaders(b"Set-Cookie")))
        expected = {str(number) for number in range(50)}
        self.assertEqual(expected, {cookie.name for cookie in jar})

    def test_decoder(self) -> None:
        """
        C{ContentDecoderAgent} inflates.
        """
        from twisted.web.client import GzipDecoder

        packer = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
        body = packer.compress(b"hello" * 10) + packer.flush()
        agent: Any = ContentDecoderAgent(self.makeAgent(), [(b"gzip", GzipDecoder)])
        deferred = agent.request(b"GET", b"http://a/")
        self.network.peers[0].send(
            b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n"
            b"Content-Length: %d\r\n\r\n" % (len(body),) + body
        )
        response = self.successResultOf(deferred)
        self.assertEqual(b"hello" * 10, self.successResultOf(readBody(response)))

    def test_proxy(self) -> None:
        """
        C{ProxyAgent} sends the absolute form, everything to one proxy.
        """
        pool = HTTPConnectionPool(self.clock)
        self.pools.append(pool)
        agent: Any = ProxyAgent(self.network, self.clock, pool, fastPath=FAST_PATH)
        for host in (b"a", b"b"):
            deferred = agent.request(b"GET", b"http://" + host + b":81/x?y#z")
            (peer,) = self.network.peers
            self.assertEqual(
                b"GET http://%b:81/x?y HTTP/1.1\r\nHost: %b:81\r\n\r\n" % (host, host),
                peer.take(),
            )
            peer.send(OK)
            self.successResultOf(deferred)

    def test_readBodyCancelled(self) -> None:
        """
        A cancelled C{readBody} closes the connection, without a warning.
        """
        deferred, peer = self.ask()
        peer.send(OK[:-1])
        body = readBody(self.successResultOf(deferred))
        body.cancel()
        self.failing(body, CancelledError)
        self.assertTrue(peer.aborted)
        self.assertEqual([], self.flushWarnings())

    def test_readBodyInTime(self) -> None:
        """
        C{addTimeout} of C{readBody} ends in its C{TimeoutError}, as with twisted.web's
        agent, whose transports end after the cancellation.
        """
        deferred, peer = self.ask()
        peer.send(OK[:-1])
        body = readBody(self.successResultOf(deferred)).addTimeout(3, self.clock)
        self.clock.advance(3)
        self.failureResultOf(body, TimeoutError)
        self.assertTrue(peer.aborted)

    def test_addresses(self) -> None:
        """
        The reader of a body can ask who sends it, and where it arrives.
        """
        deferred, peer = self.ask()
        peer.send(OK[:-1])
        reader = self.read(self.successResultOf(deferred))
        assert reader.transport is not None
        self.assertEqual(
            IPv4Address("TCP", "192.0.2.80", 80), reader.transport.getPeer()
        )
        self.assertEqual(
            IPv4Address("TCP", "192.0.2.7", 50007), reader.transport.getHost()
        )
        peer.send(b"o")
        self.assertIsNone(reader.transport.getPeer())
        self.assertIsNone(reader.transport.getHost())

    def test_requestHeaders(self) -> None:
        """
        A response's request has the very headers that were given, where they have a
        Host, and the same object each time.
        """
        for headers in (TwistedHeaders({b"Host": [b"b"]}), TwistedHeaders()):
            request = self.get(OK, headers=headers).request
            self.assertEqual(headers.hasHeader(b"Host"), request.headers is headers)
            self.assertIs(request.headers, request.headers)
            self.assertTrue(request.headers.hasHeader(b"Host"))

    def test_wrappersHeaders(self) -> None:
        """
        The wrappers of an agent accept the headers that an agent does, and refuse what
        it refuses.
        """
        jar = CookieJar()
        wrappers: list[Any] = [
            RedirectAgent,
            BrowserLikeRedirectAgent,
            lambda agent: CookieAgent(agent, jar),
            lambda agent: ContentDecoderAgent(agent, [(b"gzip", GzipDecoder)]),
        ]
        for wrapper in wrappers:
            agent = wrapper(self.makeAgent())
            for given in (list, iter, tuple, Headers.fromPairs):
                headers: Any = given([(b"x-Y", b"1"), (b"x-Y", b"2")])
                deferred = agent.request(b"GET", b"http://a/", headers)
                peer = self.network.peers[-1]
                self.assertIn(b"\r\nx-Y: 1\r\nx-Y: 2\r\n", peer.take())
                peer.send(OK)
                self.successResultOf(deferred)
            for wrong in (1, "x", [(b"x", b"y", b"z")]):
                with self.assertRaises(TypeError) as caught:
                    agent.request(b"GET", b"http://a/", wrong)
                self.assertIn("headers must be", str(caught.exception))
            bad = agent.request(b"GET", b"http://a/", [(b"x", b"y\n")])
            self.failureResultOf(bad, RequestGenerationFailed)

    def test_globalReactor(self) -> None:
        """
        A C{ProxyAgent} that is given no reactor has the global one.
        """
        self.assertIs(reactor, ProxyAgent(self.network)._reactor)
