"""
Certificates of every kind, servers that show them, and requests to these.
"""

from __future__ import annotations

import datetime
import ipaddress
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import crypto
from service_identity import VerificationError
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.interfaces import IHostnameResolver
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    trustRootFromCertificates,
)
from twisted.trial.unittest import TestCase
from twisted.web.client import readBody
from zope.interface import implementer

from tests.support.tls_servers import make_factory, stop
from twisted_h11.client import CertificateError, HTTPConnectionPool, TLSFailed

__all__ = ["BAD", "GOOD", "NAMES", "ROOT", "SLIPPERY", "IdentityTestCase", "issue"]

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
    plain_usage: Any = None,
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
    if plain_usage is not None:
        made = made.add_extension(plain_usage, critical=True)
    return made.sign(signer, hashes.SHA256())


def key_usage(*names: str) -> x509.KeyUsage:
    """
    The extension with these uses.
    """
    every = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{name: name in names for name in every})


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
    (
        "for signing",
        issue(DNS("localhost"), plain_usage=key_usage("digital_signature")),
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
    (
        "for certificates only",
        issue(DNS("localhost"), IP(LOOPBACK), plain_usage=key_usage("key_cert_sign")),
    ),
    ("a name with a blank", issue(san=dns_san(b" localhost"))),
    ("a name with a tab", issue(san=dns_san(b"localhost\t"))),
    ("our name and a malformed one", issue(san=dns_san(b"localhost", b"a\0b"))),
    ("our name and everything", issue(san=dns_san(b"localhost", b"*"))),
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


class IdentityTestCase(TestCase):
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
