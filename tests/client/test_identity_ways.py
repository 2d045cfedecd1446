"""
HTTPS by every way to a server: through proxies, on shared pools, with policies and
creators of connections of an application's own, with client certificates.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto
from twisted.internet import _sslverify, reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import (
    CertificateOptions,
    PrivateCertificate,
    TLSVersion,
    optionsForClientTLS,
)
from twisted.web import client as theirs
from twisted.web.client import URI, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from twisted.web.resource import Resource
from zope.interface import implementer

from tests.client.test_proxy import Forwarder
from tests.support.certificates import (
    CA,
    DAY,
    DNS,
    KEY,
    NOW,
    ROOT,
    SLIPPERY,
    IdentityTestCase,
    issue,
    twisted_certificate,
)
from tests.support.server_cases import FAST_PATH
from tests.support.times import eventually
from tests.support.tls_servers import make_factory, stop
from twisted_h11._command.fetch import fetch
from twisted_h11._command.fetch_codes import exit_code
from twisted_h11._command.fetch_options import parse
from twisted_h11._command.fetch_output import Messages, Output
from twisted_h11.client import (
    Agent,
    Proxies,
    Proxy,
    ProxyAgent,
    ProxyError,
    TLSFailed,
    TLSPolicy,
    TunnelEndpoint,
    public_key_pin,
)
from twisted_h11.server import Site

net: Any = reactor
PEM = CA.public_bytes(Encoding.PEM)
GOOD = issue(DNS("localhost"))
OTHER = issue(DNS("other.example"))


@implementer(IOpenSSLClientConnectionCreator)
class Creator:
    """
    What C{optionsForClientTLS} makes, in a creator of an application's own.
    """

    def __init__(self, inner: Any, change: Any = None) -> None:
        self.inner = inner
        self.change = change

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """
        Make it, and change it.
        """
        connection: SSL.Connection = self.inner.clientConnectionForTLS(protocol)
        if self.change is not None:
            connection.set_verify(SSL.VERIFY_PEER, self.change)
            if not hasattr(_sslverify, "_verifyCB"):
                # Before 26.4 Twisted verifies the name here.
                connection.get_context().set_info_callback(lambda *_: None)
        return connection


@implementer(IPolicyForHTTPS)
class Policy:
    """
    A policy of an application's own.

    @param change: another callback for the verification.
    """

    def __init__(self, wrapped: bool, change: Any = None) -> None:
        self.wrapped = wrapped
        self.change = change

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        """
        Make a creator that trusts our authority.
        """
        inner = optionsForClientTLS(hostname.decode("ascii"), trustRoot=ROOT)
        return Creator(inner, self.change) if self.wrapped else inner


def private(certificate: Any) -> PrivateCertificate:
    """
    A certificate with its key.
    """
    key = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    pem = key + certificate.public_bytes(Encoding.PEM)
    made: PrivateCertificate = PrivateCertificate.loadPEM(pem)
    return made


class WaysTests(IdentityTestCase):
    """
    The certificates that others have let pass, by all ways.
    """

    def proxy(self, certificate: Any = None) -> Any:
        """
        A proxy for tunnels, over TLS if it has a certificate.
        """
        factory: Any = Factory.forProtocol(Forwarder)
        factory.noisy = False
        factory.seen = []
        factory.deaf = False
        factory.lost = 0
        if certificate is None:
            factory.port = self.proxyPort(factory)
            return factory
        options = private(certificate).options()
        port = net.listenSSL(0, factory, options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        factory.port = port.getHost().port
        return factory

    def proxied(self, policy: Any, proxy: Any, secure: bool, **options: Any) -> Agent:
        """
        An agent with a proxy.
        """
        found = Proxy(secure, "localhost", proxy.port)
        return Agent(
            net,
            policy,
            proxies=Proxies(found, found),
            pool=options.get("pool"),
            fastPath=FAST_PATH,
        )

    def ways(self) -> Iterator[tuple[str, Callable[[int], Any]]]:
        """
        Agents that are to verify names.
        """
        policy = TLSPolicy.trusting(PEM)
        browser = theirs.BrowserLikePolicyForHTTPS(ROOT)
        caching = theirs.HostnameCachingHTTPSPolicy(browser)
        plain, secure = self.proxy(), self.proxy(GOOD)

        def toProxy() -> Any:
            return HostnameEndpoint(net, "127.0.0.1", plain.port)

        @implementer(IAgentEndpointFactory)
        class Tunnels:
            def endpointForURI(self, uri: URI) -> Any:
                creator = optionsForClientTLS(uri.host.decode(), trustRoot=ROOT)
                tunnel = TunnelEndpoint(net, toProxy(), uri.host, uri.port)
                return wrapClientTLS(creator, tunnel)

        yield "own policy", lambda port: Agent(net, Policy(False))
        yield "own creator", lambda port: Agent(net, Policy(True))
        yield "caching policy", lambda port: Agent(net, caching)
        yield "proxy", lambda port: self.proxied(policy, plain, False)
        yield "secure proxy", lambda port: self.proxied(policy, secure, True)
        yield (
            "own creator by a proxy",
            lambda port: self.proxied(Policy(True), plain, False),
        )
        yield (
            "ProxyAgent",
            lambda port: ProxyAgent(
                toProxy(), net, contextFactory=policy, fastPath=FAST_PATH
            ),
        )
        yield "TunnelEndpoint", lambda port: Agent.usingEndpointFactory(net, Tunnels())
        for name, one in [
            ("TLSPolicy", policy),
            ("BrowserLikePolicyForHTTPS", browser),
            ("own creator", Policy(True)),
        ]:
            agent = Once(theirs.Agent(net, one, pool=self.pool))
            yield f"Twisted's agent on our pool, {name}", partial(fixed, agent)

    @inlineCallbacks
    def test_everyWay(self) -> Any:
        """
        What has no usable name is refused by every way to connect that verifies
        names, and what is good is not.
        """
        for how, make in self.ways():
            yield self.check(how, make, GOOD, "localhost", True)
            # Which is service-identity's exception by every way, as of Twisted's agent.
            yield self.check("another name", make, OTHER, "localhost", False)
            for what, certificate in SLIPPERY:
                yield self.check((how, what), make, certificate, "localhost", False)

    @inlineCallbacks
    def test_ownCallback(self) -> Any:
        """
        A policy that verifies in a way of its own is obeyed, also where it begins
        with what Twisted makes.
        """
        pin = public_key_pin(twisted_certificate(GOOD))

        def pinned(
            connection: Any, certificate: Any, error: int, depth: int, good: int
        ) -> bool:
            if depth:
                return bool(good)
            return public_key_pin(theirs_of(certificate)) == pin

        def nobody(*arguments: Any) -> bool:
            return False

        for what, certificate in SLIPPERY:
            if what == "broken subjectAltName":
                # OpenSSL refuses that one in the chain.
                continue
            for callback, good in ((pinned, True), (nobody, False)):
                yield self.check(
                    what,
                    lambda port, c=callback: Agent(net, Policy(True, c)),
                    certificate,
                    "localhost",
                    good,
                )

    @inlineCallbacks
    def test_proxyItself(self) -> Any:
        """
        A proxy whose certificate is not for its name is told nothing.
        """
        server = self.listen(GOOD)
        for what, certificate in SLIPPERY:
            proxy = self.proxy(certificate)
            agent = self.proxied(TLSPolicy.trusting(PEM), proxy, True)
            for scheme in ("http", "https"):
                uri = f"{scheme}://localhost:{server.port}/".encode()
                error = yield self.assertFailure(agent.request(b"GET", uri), TLSFailed)
                self.assertIsInstance(error, ProxyError, what)
                self.assertIn(f"localhost:{proxy.port}", str(error))
            self.assertEqual([], proxy.seen)
        self.flushLoggedErrors()

    @inlineCallbacks
    def test_lostBehindProxy(self) -> Any:
        """
        A connection that is lost behind a tunnel, which may be the doing of either,
        is told as one through the proxy; and so is a page where TLS should be.
        """

        class Opening(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                page: bytes = self.factory.page
                if data.startswith(b"CONNECT"):
                    self.transport.write(b"HTTP/1.1 200 OK\r\n\r\n" + page)
                if page or not data.startswith(b"CONNECT"):
                    self.transport.loseConnection()

        for page, end in ((b"", "was lost"), (b"<html>page</html>", "failed")):
            factory: Any = Factory.forProtocol(Opening)
            factory.page = page
            factory.port = self.proxyPort(factory)
            agent = self.proxied(TLSPolicy.trusting(PEM), factory, False)
            error = yield self.assertFailure(
                agent.request(b"GET", b"https://localhost/"), TLSFailed
            )
            self.assertNotIsInstance(error, ProxyError)
            self.assertIn(
                f"through the proxy localhost:{factory.port} {end}", str(error)
            )

    def proxyPort(self, factory: Any) -> int:
        """
        Listen; the port.
        """
        port = net.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number: int = port.getHost().port
        return number

    @inlineCallbacks
    def test_pins(self) -> Any:
        """
        Pins hold for whoever makes the connection: our agent, Twisted's, a proxy's
        tunnel, an endpoint factory; also where a connection without them is idle.
        """
        pin = public_key_pin(twisted_certificate(GOOD))
        server = self.listen(GOOD)
        for pins, good in (([b"x" * 32], False), ([pin], True)):
            policy = TLSPolicy.trusting(PEM, pins=pins)
            plain = self.proxy()

            @implementer(IAgentEndpointFactory)
            class Factory:
                def endpointForURI(self, uri: URI, policy: Any = policy) -> Any:
                    endpoint = HostnameEndpoint(net, "127.0.0.1", uri.port)
                    creator = policy.creatorForNetloc(uri.host, uri.port)
                    return wrapClientTLS(creator, endpoint)

            unpinned = Agent(net, TLSPolicy.trusting(PEM), pool=self.pool)
            for agent in (
                Agent(net, policy, pool=self.pool),
                theirs.Agent(net, policy, pool=self.pool),
                theirs.Agent(net, policy),
                self.proxied(policy, plain, False, pool=self.pool),
                Agent.usingEndpointFactory(net, Factory(), self.pool),
                theirs.Agent.usingEndpointFactory(net, Factory(), self.pool),
            ):
                yield self.get(unpinned, server.port, "localhost")
                before = len(server.heads)
                asked = self.get(agent, server.port, "localhost")
                if good:
                    yield asked
                else:
                    error = yield self.assertFailure(
                        asked, theirs.ResponseNeverReceived
                    )
                    self.assertEqual(before, len(server.heads), agent)
                    if isinstance(agent, Agent):
                        self.assertIn("not pinned", str(error))
                        self.assertIn(pin.hex(), str(error))
                yield self.pool.closeCachedConnections()

    @inlineCallbacks
    def test_again(self) -> Any:
        """
        Each new connection is verified, whatever the one before it was: a server
        that shows another certificate the second time is refused the second time.
        """
        contexts = [self.context(GOOD), *(self.context(c) for _, c in SLIPPERY)]

        class Changing:
            def getContext(self) -> Any:
                return contexts[0]

        factory = make_factory(closes=True)
        port = net.listenSSL(0, factory, Changing(), interface="127.0.0.1")
        self.addCleanup(stop, port, factory)
        number = port.getHost().port
        agent = Agent(net, TLSPolicy.trusting(PEM), pool=self.pool)
        while contexts:
            asked = self.get(agent, number, "localhost")
            if len(contexts) == 1 + len(SLIPPERY):
                yield asked
                yield eventually(lambda: not factory.connections)
            else:
                yield self.assertFailure(asked, TLSFailed)
            contexts.pop(0)
        self.assertEqual(1, len(factory.heads))
        self.flushLoggedErrors()

    def context(self, certificate: Any) -> Any:
        """
        A context of a server.
        """
        return CertificateOptions(
            privateKey=crypto.PKey.from_cryptography_key(KEY),
            certificate=crypto.X509.from_cryptography(certificate),
        ).getContext()

    @inlineCallbacks
    def test_finalDot(self) -> Any:
        """
        A final dot of a host belongs neither to the name that is verified nor to the
        one that the server is told.
        """
        self.resolve("localhost.")
        for certificate, good in ((GOOD, True), (issue(DNS("other.example")), False)):
            server = self.listen(certificate)
            agent = Agent(net, TLSPolicy.trusting(PEM))
            asked = self.get(agent, server.port, "localhost.")
            if good:
                body = yield asked
                self.assertEqual(b"localhost anonymous", body)
            else:
                yield self.assertFailure(asked, TLSFailed)

    @inlineCallbacks
    def test_unusualNames(self) -> Any:
        """
        A name that IDNA does not allow, but DNS does, is resolved, sent and verified as
        any other, with TLS or without, and as the name of a proxy.
        """
        names = ("my_service", "a-.local.test", "xn--i-7iq.ws", "under_score.test.")
        for name in names:
            bare = name.removesuffix(".")
            self.resolve(name)
            self.resolve(bare)
            for policy in (
                TLSPolicy.trusting(PEM),
                TLSPolicy.trusting(
                    PEM,
                    extraRoots=[twisted_certificate(CA)],
                    clientCertificate=private(GOOD),
                    minimumVersion=TLSVersion.TLSv1_3,
                ),
            ):
                agent = Agent(net, policy, pool=self.pool, fastPath=FAST_PATH)
                make = partial(fixed, agent)
                yield self.check(name, make, issue(DNS(bare)), name, True)
                for other in (OTHER, GOOD):
                    yield self.check(name, make, other, name, False)
            plain = make_factory()
            port = net.listenTCP(0, plain, interface="127.0.0.1")
            self.addCleanup(stop, port, plain)
            number = port.getHost().port
            proxy = Proxy.fromURL(f"http://{name}:{number}")
            through = Agent(net, pool=self.pool, proxies=Proxies(proxy))
            for direct, uri in [
                (Agent(net, pool=self.pool), f"http://{name}:{number}/"),
                (through, "http://a.example/"),
            ]:
                response = yield direct.request(b"GET", uri.encode())
                yield readBody(response)

    @inlineCallbacks
    def test_badNames(self) -> Any:
        """
        What is no name in DNS either is refused at once.
        """
        agent = Agent(net, TLSPolicy.trusting(PEM), pool=self.pool)
        for name in (b"a..b", b"..", b"a" * 64, b"a." * 130 + b"a", b"*", b"%41"):
            for scheme in (b"http", b"https"):
                asked = agent.request(b"GET", scheme + b"://" + name + b":1/")
                yield self.assertFailure(asked, ValueError)

    @inlineCallbacks
    def test_fetch(self) -> Any:
        """
        The fetch command has curl's code for a certificate without a good name.
        """
        name = self.mktemp()
        with open(name, "wb") as file:
            file.write(PEM)
        for what, certificate in [("good", GOOD), *SLIPPERY]:
            server = self.listen(certificate)
            url = f"https://localhost:{server.port}/"
            options = parse(["--cacert", name, url])
            out, err = Output(io.BytesIO()), Messages(io.StringIO())
            asked = Deferred.fromCoroutine(fetch(net, options, out, err))
            if what == "good":
                yield asked
                continue
            error = yield self.assertFailure(asked, TLSFailed)
            self.assertEqual(60, exit_code(error), what)
            self.assertEqual([], server.heads)
        self.flushLoggedErrors()


def fixed(agent: Any, port: int) -> Any:
    """
    The same agent for every port.
    """
    return agent


class Once:
    """
    An agent on a pool that is emptied after each request.
    """

    def __init__(self, agent: Any) -> None:
        self.agent = agent

    def request(self, method: bytes, uri: bytes) -> Any:
        """
        Ask for the connection to be closed.
        """
        headers = Headers({b"Connection": [b"close"]})
        return self.agent.request(method, uri, headers)


def theirs_of(certificate: Any) -> Any:
    """
    A certificate of OpenSSL's as Twisted's class.
    """
    return twisted_certificate(certificate.to_cryptography())


class MutualTests(IdentityTestCase):
    """
    A server of ours that lets in the clients of one authority.
    """

    @inlineCallbacks
    def test_clients(self) -> Any:
        """
        A request is served only to a client whose certificate is good for that: of
        the authority, valid now, not for servers only.
        """
        rendered: list[bytes] = []

        class Page(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                rendered.append(request.uri)
                certificate = request.transport.getPeerCertificate()
                text: bytes = certificate.get_subject().CN.encode()
                return text

        options = CertificateOptions(
            privateKey=crypto.PKey.from_cryptography_key(KEY),
            certificate=crypto.X509.from_cryptography(GOOD),
            trustRoot=ROOT,
        )
        site: Any = Site(Page())
        port = net.listenSSL(0, site, options, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        number = port.getHost().port
        client = ExtendedKeyUsageOID.CLIENT_AUTH
        server = ExtendedKeyUsageOID.SERVER_AUTH
        for what, certificate, good in [
            ("none", None, False),
            ("good", issue(san=False), True),
            ("for clients", issue(san=False, usage=client), True),
            ("for servers only", issue(san=False, usage=server), False),
            ("expired", issue(san=False, end=NOW - DAY / 2), False),
            ("not yet valid", issue(san=False, begin=NOW + DAY / 2), False),
            ("another's signature", issue(san=False, signer=KEY), False),
        ]:
            mine = None if certificate is None else private(certificate)
            agent = Agent(net, TLSPolicy.trusting(PEM, clientCertificate=mine))
            asked = self.get(agent, number, "localhost")
            if good:
                body = yield asked
                self.assertEqual(b"alice", body, what)
            else:
                yield self.assertFailure(asked, theirs.ResponseFailed)
                self.assertEqual([], rendered, what)
            del rendered[:]
