"""
HTTPS: whose certificate a server shows, by every way to connect.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
)
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import (
    CertificateOptions,
    optionsForClientTLS,
)
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI, BrowserLikePolicyForHTTPS
from twisted.web.client import Agent as TwistedAgent
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from tests.support.certificates import (
    BAD,
    CA,
    DNS,
    GOOD,
    NAMES,
    ROOT,
    SLIPPERY,
    IdentityTestCase,
    issue,
    twisted_certificate,
)
from twisted_h11._client.identity import IdentityChecked, check_transport
from twisted_h11.client import (
    Agent,
    CertificateError,
    TLSFailed,
    TLSPolicy,
    public_key_pin,
)

net: Any = reactor


@implementer(IAgentEndpointFactory)
class Loopback:
    """
    Connects to one port, whatever the name, with TLS as C{policy} wants it.
    """

    def __init__(self, port: int, wrap: Callable[[bytes, Any], Any]) -> None:
        self.port = port
        self.wrap = wrap

    def endpointForURI(self, uri: URI) -> Any:
        """
        See L{IAgentEndpointFactory}.
        """
        endpoint = TCP4ClientEndpoint(net, "127.0.0.1", self.port)
        return self.wrap(uri.host, endpoint)


@implementer(IPolicyForHTTPS, IOpenSSLClientConnectionCreator)
class NoNames:
    """
    A policy that trusts one authority and does not ask for names.
    """

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        """
        See L{IPolicyForHTTPS}.
        """
        return self

    def clientConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """
        Verify the chain only.
        """
        context = CertificateOptions(trustRoot=ROOT).getContext()
        return SSL.Connection(context, None)


class IdentityTests(IdentityTestCase):
    """
    Directly, and by an application's own endpoints.
    """

    def ways(self) -> Iterator[tuple[str, Callable[[int], Any]]]:
        """
        Agents that are to verify names, by every way to get a connection.
        """
        pem = CA.public_bytes(Encoding.PEM)
        policy = TLSPolicy.trusting(pem)
        theirs = BrowserLikePolicyForHTTPS(ROOT)
        pinned = TLSPolicy.trusting(
            pem, pins=[public_key_pin(twisted_certificate(issue(DNS("x.example"))))]
        )
        extra = TLSPolicy(extraRoots=[twisted_certificate(CA)])

        def options(host: bytes, endpoint: Any) -> Any:
            creator = optionsForClientTLS(host.decode("ascii"), trustRoot=ROOT)
            return wrapClientTLS(creator, endpoint)

        def ours(host: bytes, endpoint: Any) -> Any:
            return wrapClientTLS(policy.creatorForNetloc(host, 443), endpoint)

        yield "TLSPolicy", lambda port: Agent(net, policy, pool=self.pool)
        yield "BrowserLikePolicyForHTTPS", lambda port: Agent(net, theirs)
        yield "pins", lambda port: Agent(net, pinned)
        yield "extra roots", lambda port: Agent(net, extra)
        yield (
            "endpoint factory with Twisted's options",
            lambda port: Agent.usingEndpointFactory(net, Loopback(port, options)),
        )
        yield (
            "endpoint factory with our policy",
            lambda port: Agent.usingEndpointFactory(net, Loopback(port, ours)),
        )

    @inlineCallbacks
    def test_table(self) -> Any:
        """
        A certificate is good for the names that are in it, and no other says so.
        """
        make = dict(self.ways())["TLSPolicy"]
        for what, certificate, names in GOOD:
            for name in NAMES:
                yield self.check(what, make, certificate, name, name in names)
        for what, certificate in BAD:
            for name in NAMES:
                yield self.check(what, make, certificate, name, False)

    @inlineCallbacks
    def test_everyWay(self) -> Any:
        """
        What has no usable name is refused by every way to connect that verifies
        names, and what is good is not.
        """
        self.assertEqual(7, len(SLIPPERY))
        for how, make in self.ways():
            yield self.check(how, make, issue(DNS("localhost")), "localhost", True)
            for what, certificate in SLIPPERY:
                yield self.check((how, what), make, certificate, "localhost", False)

    @inlineCallbacks
    def test_elsewhere(self) -> Any:
        """
        Our policy verifies names for Twisted's own agent, too.
        """
        agent = TwistedAgent(net, TLSPolicy.trusting(CA.public_bytes(Encoding.PEM)))
        for _, certificate in SLIPPERY:
            server = self.listen(certificate)
            error = None
            try:
                yield self.get(agent, server.port, "localhost")
            except Exception as caught:
                error = caught
            self.assertIsNotNone(error)
            self.flushLoggedErrors()

    @inlineCallbacks
    def test_ownVerification(self) -> Any:
        """
        A policy that does not ask for names is obeyed.
        """
        for what, certificate in SLIPPERY:
            if what == "broken subjectAltName":
                # OpenSSL refuses that one in the chain.
                continue
            yield self.check(
                what, lambda port: Agent(net, NoNames()), certificate, "localhost", True
            )

    @inlineCallbacks
    def test_usage(self) -> Any:
        """
        A certificate that is for clients, or for certificates, only is refused for
        just that reason.
        """
        for what, text in [
            ("for clients only", "extended key usage"),
            ("for certificates only", "its key usage"),
        ]:
            server = self.listen(dict(BAD)[what])
            agent = dict(self.ways())["TLSPolicy"](0)
            error = yield self.assertFailure(
                self.get(agent, server.port, "localhost"), TLSFailed
            )
            self.assertIn("is not meant for servers", str(error))
            self.assertIn(text, str(error))

    @inlineCallbacks
    def test_message(self) -> Any:
        """
        A certificate without a name is refused for just that reason.
        """
        server = self.listen(issue(san=False))
        agent = dict(self.ways())["TLSPolicy"](0)
        error = yield self.assertFailure(
            self.get(agent, server.port, "localhost"), TLSFailed
        )
        self.assertIn("does not say that it is for localhost", str(error))


class TransportTests(SynchronousTestCase):
    """
    Transports of every kind are looked at.
    """

    def test_notWrapped(self) -> None:
        """
        Nothing is asked of what is no wrapper, not even of one that has whatever
        it is asked for.
        """
        for transport in (None, object(), Mock(), StringTransport()):
            self.assertIsNone(check_transport(transport))

    def layer(self) -> Any:
        """
        A TLS layer that is to verify a name, before its handshake.
        """
        creator = IdentityChecked(optionsForClientTLS("localhost"), "localhost")
        factory = TLSMemoryBIOFactory(creator, True, Factory.forProtocol(Protocol))
        layer = factory.buildProtocol(None)
        layer.makeConnection(StringTransport())
        self.addCleanup(layer.connectionLost, Failure(ConnectionDone()))
        return layer

    def test_nothingShown(self) -> None:
        """
        A server that has shown no certificate has not shown the right one.
        """
        error = check_transport(self.layer())
        self.assertEqual("The server has shown no certificate", str(error))

    def test_unreadable(self) -> None:
        """
        Nor has one with a certificate that can not be read, in the handshake or
        after it.
        """

        def unreadable() -> Any:
            raise ValueError("broken")

        shown = SimpleNamespace(to_cryptography=unreadable)
        layer = self.layer()
        layer.getPeerCertificate = lambda: shown
        error = check_transport(layer)
        self.assertIsInstance(error, CertificateError)
        self.assertIn("broken", str(error))
        seen: list[Any] = []
        noting = SimpleNamespace(set_verify=lambda mode, verify: seen.append(verify))
        creator = SimpleNamespace(clientConnectionForTLS=lambda protocol: noting)
        IdentityChecked(creator, "localhost").clientConnectionForTLS(None)
        self.assertFalse(seen[0](noting, shown, 0, 0, 1))
