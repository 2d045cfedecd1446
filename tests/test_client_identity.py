"""
HTTPS: whose certificate a server shows, by every way to connect.
"""

from __future__ import annotations

import datetime
import ipaddress
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL, crypto
from service_identity import VerificationError
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import TCP4ClientEndpoint, wrapClientTLS
from twisted.internet.interfaces import (
    IHostnameResolver,
    IOpenSSLClientConnectionCreator,
)
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    optionsForClientTLS,
    trustRootFromCertificates,
)
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import URI, BrowserLikePolicyForHTTPS, readBody
from twisted.web.client import Agent as TwistedAgent
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from tests.client_support.tls import make_factory, stop
from twisted_h11._identity import check_transport
from twisted_h11.client import (
    Agent,
    CertificateError,
    HTTPConnectionPool,
    TLSFailed,
    TLSPolicy,
    public_key_pin,
)

net: Any = reactor
NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
CA_KEY = ec.generate_private_key(ec.SECP256R1())
KEY = ec.generate_private_key(ec.SECP256R1())
CA_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "An authority")])

DNS = x509.DNSName
IP = x509.IPAddress


def builder(
    issuer: x509.Name, subject: x509.Name, key: Any, begin: Any, end: Any
) -> x509.CertificateBuilder:
    """
    What all certificates have.
    """
    return x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(), begin, end
    )


CA = (
    builder(CA_NAME, CA_NAME, CA_KEY, NOW - DAY, NOW + DAY)
    .add_extension(x509.BasicConstraints(True, None), critical=True)
    .sign(CA_KEY, hashes.SHA256())
)


def issue(
    *names: x509.GeneralName,
    common: str = "alice",
    san: bool | bytes = True,
    usage: Any = None,
    begin: Any = NOW - DAY,
    end: Any = NOW + DAY,
    signer: Any = CA_KEY,
) -> x509.Certificate:
    """
    A certificate of the authority.

    @param san: whether it has a subjectAltName; bytes stand for its value.
    """
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])
    made = builder(CA_NAME, subject, KEY, begin, end)
    if isinstance(san, bytes):
        raw = x509.UnrecognizedExtension(x509.OID_SUBJECT_ALTERNATIVE_NAME, san)
        made = made.add_extension(raw, critical=False)
    elif san:
        made = made.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usage is not None:
        made = made.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
    return made.sign(signer, hashes.SHA256())


def dns_san(*names: bytes) -> bytes:
    """
    The DER of a subjectAltName whose dNSNames are any bytes.
    """
    body = b"".join(b"\x82" + bytes([len(name)]) + name for name in names)
    return b"\x30" + bytes([len(body)]) + body


LOOPBACK = ipaddress.ip_address("127.0.0.1")

# What a certificate says, and for which of our three names it is good.
GOOD: list[tuple[str, x509.Certificate, set[str]]] = [
    ("its name", issue(DNS("localhost")), {"localhost"}),
    ("one of its names", issue(DNS("a.example"), DNS("localhost")), {"localhost"}),
    ("in capitals", issue(DNS("LOCALHOST")), {"localhost"}),
    ("its address", issue(IP(LOOPBACK)), {"127.0.0.1"}),
    ("both", issue(DNS("localhost"), IP(LOOPBACK)), {"localhost", "127.0.0.1"}),
    (
        "for servers",
        issue(DNS("localhost"), usage=ExtendedKeyUsageOID.SERVER_AUTH),
        {"localhost"},
    ),
    ("wildcard", issue(DNS("*.local.test")), {"www.local.test"}),
]
BAD: list[tuple[str, x509.Certificate]] = [
    ("another name", issue(DNS("other.example"))),
    ("no subjectAltName", issue(san=False)),
    (
        "no subjectAltName, our name as common name",
        issue(common="localhost", san=False),
    ),
    ("common name beside another", issue(DNS("a.example"), common="localhost")),
    ("empty subjectAltName", issue(san=b"\x30\x00")),
    ("broken subjectAltName", issue(san=b"\x30\x7f\x82")),
    ("only an email address", issue(x509.RFC822Name("localhost@a.example"))),
    ("only a directory name", issue(x509.DirectoryName(CA_NAME))),
    ("only a URI", issue(x509.UniformResourceIdentifier("https://localhost/"))),
    ("everything", issue(DNS("*"))),
    ("all of com", issue(DNS("*.com"))),
    ("all of a top-level domain", issue(DNS("*.test"))),
    ("wildcard too high", issue(DNS("*.*.test"))),
    ("wildcard in the middle", issue(DNS("www.*.test"))),
    ("wildcard in a label", issue(DNS("w*.local.test"))),
    ("wildcard in our name", issue(DNS("l*t"))),
    ("address as dNSName", issue(DNS("127.0.0.1"))),
    ("another address", issue(IP(ipaddress.ip_address("127.0.0.2")))),
    ("IPv6 address", issue(IP(ipaddress.ip_address("::1")))),
    ("a name with a NUL", issue(san=dns_san(b"localhost\0.evil.example"))),
    ("a name that is not ASCII", issue(san=dns_san(b"local\xffhost"))),
    ("an empty name", issue(san=dns_san(b""))),
    ("a dot", issue(san=dns_san(b"."))),
    ("a longer name", issue(DNS("localhost.evil.example"))),
    ("a name below", issue(DNS("www.localhost"))),
    ("expired", issue(DNS("localhost"), IP(LOOPBACK), end=NOW - DAY / 2)),
    ("not yet valid", issue(DNS("localhost"), IP(LOOPBACK), begin=NOW + DAY / 2)),
    ("another's signature", issue(DNS("localhost"), IP(LOOPBACK), signer=KEY)),
    (
        "for clients only",
        issue(DNS("localhost"), IP(LOOPBACK), usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    ),
]
NAMES = ("localhost", "127.0.0.1", "www.local.test")

# Those with which the handshake goes on if only VerificationError ends it.
SLIPPERY = [
    (what, certificate)
    for what, certificate in BAD
    if what
    in (
        "no subjectAltName",
        "empty subjectAltName",
        "broken subjectAltName",
        "only an email address",
        "everything",
        "all of com",
        "address as dNSName",
    )
]


def twisted_certificate(certificate: x509.Certificate) -> Certificate:
    """
    The same as Twisted's class.
    """
    made: Certificate = Certificate.loadPEM(certificate.public_bytes(Encoding.PEM))
    return made


ROOT = trustRootFromCertificates([twisted_certificate(CA)])


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


class IdentityTests(TestCase):
    """
    Real handshakes over loopback.
    """

    timeout = 60

    def setUp(self) -> None:
        """
        Make a pool, and have every name mean loopback.
        """
        self.pool = HTTPConnectionPool(net, False)
        self.addCleanup(self.pool.close)
        self.resolve("www.local.test")

    def resolve(self, name: str) -> None:
        """
        Let the reactor resolve a name to loopback.
        """
        before = net.nameResolver

        @implementer(IHostnameResolver)
        class Resolver:
            def resolveHostName(
                self, receiver: Any, hostName: str, portNumber: int = 0, *more: Any
            ) -> Any:
                if hostName == name:
                    hostName = "127.0.0.1"
                return before.resolveHostName(receiver, hostName, portNumber, *more)

        net.installNameResolver(Resolver())
        self.addCleanup(net.installNameResolver, before)

    def listen(self, certificate: x509.Certificate) -> Any:
        """
        A server that shows a certificate, whether or not it is its own.
        """
        context = CertificateOptions(
            privateKey=crypto.PKey.from_cryptography_key(KEY),
            certificate=crypto.X509.from_cryptography(certificate),
        )
        factory = make_factory()
        port = net.listenSSL(0, factory, context, interface="127.0.0.1")
        factory.port = port.getHost().port
        self.addCleanup(stop, port, factory)
        return factory

    @inlineCallbacks
    def get(self, agent: Any, port: int, name: str) -> Any:
        """
        The body of an answer.
        """
        uri = f"https://{name}:{port}/".encode()
        response = yield agent.request(b"GET", uri)
        body = yield readBody(response)
        return body

    @inlineCallbacks
    def check(
        self, what: Any, make: Any, certificate: Any, name: str, good: bool
    ) -> Any:
        """
        One request to a server with a certificate: answered, or refused before
        a byte of the request has left.
        """
        server = self.listen(certificate)
        agent = make(server.port)
        seen: list[bytes] = []
        received = server.protocol.dataReceived

        def dataReceived(protocol: Any, data: bytes) -> None:
            seen.append(data)
            received(protocol, data)

        server.protocol = type(
            "Watched", (server.protocol,), {"dataReceived": dataReceived}
        )
        try:
            body = yield self.get(agent, server.port, name)
        except TLSFailed as error:
            self.assertFalse(good, (what, name, str(error)))
            self.assertIsInstance(error.reasons[0].value, CertificateError, str(what))
            if what == "another name":
                # As of Twisted's agent.
                self.assertIsInstance(error.reasons[0].value, VerificationError)
            self.assertEqual([], seen, what)
        else:
            self.assertTrue(good, (what, name, body))
        self.flushLoggedErrors()

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
        A certificate that is for clients only is refused for just that reason.
        """
        certificate = dict(BAD)["for clients only"]
        server = self.listen(certificate)
        agent = dict(self.ways())["TLSPolicy"](0)
        error = yield self.assertFailure(
            self.get(agent, server.port, "localhost"), TLSFailed
        )
        self.assertIn("is not meant for servers", str(error))
        self.assertIn("extended key usage", str(error))

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
