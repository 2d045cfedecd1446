"""
HTTPS: what is verified, and what the failures say.
"""

from __future__ import annotations

import datetime
from types import SimpleNamespace
from typing import Any

import service_identity
import trustme
from OpenSSL import SSL, crypto
from service_identity import VerificationError
from service_identity.exceptions import DNSMismatch
from service_identity.hazmat import DNS_ID
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import TLSVersion, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent as TwistedAgent
from twisted.web.client import (
    BrowserLikePolicyForHTTPS,
    ResponseNeverReceived,
    readBody,
)

from tests.support.certificates import issue
from tests.support.server_cases import FAST_PATH
from tests.support.times import eventually
from tests.support.tls_servers import (
    PoolTestCase,
    certificate_of,
    listen_tls,
    private_of,
)
from twisted_h11._client import tls
from twisted_h11._client.handshake import explain_handshake
from twisted_h11.client import (
    Agent,
    CertificateError,
    ClientSettings,
    TimedOut,
    TLSFailed,
    TLSPolicy,
    certificates_from,
    public_key_pin,
)

clock: Any = reactor
NOW = datetime.datetime.now(datetime.timezone.utc)
DAY = datetime.timedelta(days=1)


class TLSTests(PoolTestCase):
    """
    Against a real server, with certificates of our own authority.
    """

    timeout = 20

    def agent(self, policy: Any = None, **settings: Any) -> Agent:
        """
        An agent that trusts our authority.
        """
        if policy is None:
            policy = TLSPolicy.trusting(self.authority.cert_pem.bytes())
        return Agent(
            clock,
            policy,
            pool=self.pool,
            settings=ClientSettings(**settings),
            fastPath=FAST_PATH,
        )

    @inlineCallbacks
    def get(self, agent: Agent, server: Any, host: str = "localhost") -> Any:
        """
        What the server says.
        """
        uri = f"https://{host}:{server.port}/"
        response = yield agent.request(b"GET", uri.encode("ascii"))
        body = yield readBody(response)
        return body

    @inlineCallbacks
    def refused(self, deferred: Deferred[Any], *words: str) -> Any:
        """
        The failure of a handshake, which says C{words}.
        """
        error = yield self.assertFailure(deferred, TLSFailed)
        self.assertIsInstance(error, ResponseNeverReceived)
        self.assertEqual("TLS handshake", error.phase)
        for word in words:
            self.assertIn(word, str(error))
        return error

    @inlineCallbacks
    def test_closeNotify(self) -> Any:
        """
        A server that ends the handshake with C{close_notify}: the failure says so, and
        nothing is logged, whoever makes the connections.
        """

        class Closing(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.write(b"\x15\x03\x03\x00\x02\x01\x00")

        factory = Factory.forProtocol(Closing)
        factory.noisy = False
        port = clock.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        server = SimpleNamespace(port=port.getHost().port)
        for policy in (None, BrowserLikePolicyForHTTPS()):
            for host in ("localhost", "127.0.0.1"):
                got = self.get(self.agent(policy), server, host)
                yield self.refused(got, "handshake failed: the other side has ended it")
        self.assertEqual([], self.flushLoggedErrors())

    @inlineCallbacks
    def test_verified(self) -> Any:
        """
        A good certificate is accepted; the server learns the name; the second
        request uses the same connection.
        """
        server = listen_tls(self, self.leaf("localhost"))
        agent = self.agent()
        for _ in range(2):
            body = yield self.get(agent, server)
            self.assertEqual(b"localhost anonymous", body)
        self.assertEqual(1, self.pool.counts().idle)
        self.assertEqual(1, len(server.connections))

    @inlineCallbacks
    def test_address(self) -> Any:
        """
        An IP address in the certificate is verified; no name is sent.
        """
        server = listen_tls(self, self.leaf("127.0.0.1"))
        body = yield self.get(self.agent(), server, "127.0.0.1")
        self.assertEqual(b"- anonymous", body)

    @inlineCallbacks
    def test_wrongName(self) -> Any:
        """
        A certificate for another name says for which.
        """
        server = listen_tls(self, self.leaf("a.example", "b.example"))
        error = yield self.refused(
            self.get(self.agent(), server), "not for localhost", "a.example, b.example"
        )
        error.reasons[0].trap(CertificateError)
        self.assertEqual([], server.heads)
        server = listen_tls(self, self.leaf("localhost"))
        yield self.refused(
            self.get(self.agent(), server, "127.0.0.1"), "not for 127.0.0.1"
        )

    @inlineCallbacks
    def test_expired(self) -> Any:
        """
        An expired certificate says that.
        """
        server = listen_tls(
            self, self.leaf("localhost", not_before=NOW - 9 * DAY, not_after=NOW - DAY)
        )
        yield self.refused(self.get(self.agent(), server), "has expired")

    @inlineCallbacks
    def test_notYetValid(self) -> Any:
        """
        So does one of tomorrow.
        """
        server = listen_tls(
            self, self.leaf("localhost", not_before=NOW + DAY, not_after=NOW + 9 * DAY)
        )
        yield self.refused(self.get(self.agent(), server), "not yet valid")

    @inlineCallbacks
    def test_untrusted(self) -> Any:
        """
        An unknown authority is not trusted, by default neither, and by
        Twisted's own policy neither; all say so.
        """
        server = listen_tls(self, self.leaf("localhost"))
        other = trustme.CA(key_type=trustme.KeyType.ECDSA)
        for policy in (
            TLSPolicy.trusting(other.cert_pem.bytes()),
            TLSPolicy(),
            BrowserLikePolicyForHTTPS(),
        ):
            yield self.refused(
                self.get(self.agent(policy), server), "authority that is not trusted"
            )

    @inlineCallbacks
    def test_selfSigned(self) -> Any:
        """
        A certificate that is its own authority is called that.
        """
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(7)
            .not_valid_before(NOW - DAY)
            .not_valid_after(NOW + DAY)
            .add_extension(
                x509.SubjectAlternativeName([x509.DNSName("localhost")]), False
            )
            .sign(key, hashes.SHA256())
        )
        leaf = trustme.LeafCert(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL,
                serialization.NoEncryption(),
            ),
            certificate.public_bytes(serialization.Encoding.PEM),
            [],
        )
        server = listen_tls(self, leaf)
        yield self.refused(self.get(self.agent(), server), "self-signed")

    @inlineCallbacks
    def test_extraRoots(self) -> Any:
        """
        Extra roots are trusted besides the platform's.
        """
        server = listen_tls(self, self.leaf("localhost"))
        roots = certificates_from(self.authority.cert_pem.bytes())
        agent = self.agent(TLSPolicy(extraRoots=roots))
        for _ in range(2):
            body = yield self.get(agent, server)
            self.assertEqual(b"localhost anonymous", body)
            self.pool.closeCachedConnections()

    @inlineCallbacks
    def test_twistedsPolicy(self) -> Any:
        """
        Any other C{IPolicyForHTTPS} is honoured.
        """
        server = listen_tls(self, self.leaf("localhost"))
        root = trustRootFromCertificates([certificate_of(self.authority)])
        body = yield self.get(self.agent(BrowserLikePolicyForHTTPS(root)), server)
        self.assertEqual(b"localhost anonymous", body)

    @inlineCallbacks
    def test_clientCertificate(self) -> Any:
        """
        A client certificate is shown to a server that asks; without one such a
        server refuses.
        """
        clients = trustme.CA(key_type=trustme.KeyType.ECDSA)
        server = listen_tls(self, self.leaf("localhost"), clients=clients)
        mine = private_of(
            clients.issue_cert("me@example.com", key_type=trustme.KeyType.ECDSA)
        )
        policy = TLSPolicy.trusting(
            self.authority.cert_pem.bytes(), clientCertificate=mine
        )
        body = yield self.get(self.agent(policy), server)
        self.assertEqual(b"localhost known", body)
        yield self.pool.closeCachedConnections()
        yield self.assertFailure(self.get(self.agent(), server), ResponseNeverReceived)

    @inlineCallbacks
    def test_pins(self) -> Any:
        """
        A pinned key is accepted, another one is not, and nothing is sent.
        """
        leaf = self.leaf("localhost")
        server = listen_tls(self, leaf)
        pin = public_key_pin(private_of(leaf))
        pem = self.authority.cert_pem.bytes()
        body = yield self.get(self.agent(TLSPolicy.trusting(pem, pins=[pin])), server)
        self.assertEqual(b"localhost anonymous", body)
        yield self.pool.closeCachedConnections()
        del server.heads[:]
        yield self.refused(
            self.get(self.agent(TLSPolicy.trusting(pem, pins=[b"x" * 32])), server),
            "not pinned",
            pin.hex(),
        )
        self.assertEqual([], server.heads)
        with self.assertRaises(ValueError):
            TLSPolicy(pins=[b"short"])

    @inlineCallbacks
    def test_pinsElsewhere(self) -> Any:
        """
        Who would not check the pins can not use them.
        """
        server = listen_tls(self, self.leaf("localhost"))
        policy = TLSPolicy.trusting(self.authority.cert_pem.bytes(), pins=[b"x" * 32])
        agent = TwistedAgent(clock, policy)
        uri = b"https://localhost:%d/" % (server.port,)
        yield self.assertFailure(agent.request(b"GET", uri), ResponseNeverReceived)
        self.assertEqual([], server.heads)

    @inlineCallbacks
    def test_minimumVersion(self) -> Any:
        """
        An older version of TLS than asked for is not spoken.
        """
        server = listen_tls(self, self.leaf("localhost"), highest=SSL.TLS1_2_VERSION)
        body = yield self.get(self.agent(), server)
        self.assertEqual(b"localhost anonymous", body)
        yield self.pool.closeCachedConnections()
        policy = TLSPolicy.trusting(
            self.authority.cert_pem.bytes(), minimumVersion=TLSVersion.TLSv1_3
        )
        yield self.refused(self.get(self.agent(policy), server), "version")

    @inlineCallbacks
    def test_internationalName(self) -> Any:
        """
        A name in its IDNA form is verified and sent as such.
        """
        name = "xn--bcher-kva.example"
        server = listen_tls(
            self, self.leaf("b\N{LATIN SMALL LETTER U WITH DIAERESIS}cher.example")
        )
        from twisted.internet.endpoints import HostnameEndpoint
        from twisted.web.iweb import IAgentEndpointFactory
        from zope.interface import implementer

        from twisted_h11._client.tls import tls_endpoint

        policy = TLSPolicy.trusting(self.authority.cert_pem.bytes())

        @implementer(IAgentEndpointFactory)
        class Here:
            def endpointForURI(self, uri: Any) -> Any:
                endpoint = HostnameEndpoint(clock, "127.0.0.1", server.port)
                return tls_endpoint(policy, uri.host, uri.port, endpoint)

        agent = Agent.usingEndpointFactory(clock, Here(), self.pool, fastPath=FAST_PATH)
        body = yield self.get(agent, server, name)
        self.assertEqual(name.encode() + b" anonymous", body)

    @inlineCallbacks
    def test_untilClose(self) -> Any:
        """
        On TLS the end of a body that ends with the connection is certain.
        """
        server = listen_tls(
            self,
            self.leaf("localhost"),
            answer=b"HTTP/1.0 200 OK\r\n\r\nall",
            closes=True,
        )
        body = yield self.get(self.agent(), server)
        self.assertEqual(b"all", body)

    @inlineCallbacks
    def test_slowHandshake(self) -> Any:
        """
        A handshake that does not end has its own time-out.
        """
        factory: Any = Factory.forProtocol(Protocol)
        factory.noisy = False
        port = clock.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        factory.port = port.getHost().port
        error = yield self.refused(
            self.get(self.agent(tlsTimeout=0.1), factory), "longer than 0.1 s"
        )
        self.assertIsInstance(error, TimedOut)

    @inlineCallbacks
    def test_closedInHandshake(self) -> Any:
        """
        A pool that is closed waits for connections whose handshake is broken off.
        """
        factory: Any = Factory.forProtocol(Protocol)
        factory.noisy = False
        port = clock.listenTCP(0, factory, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        factory.port = port.getHost().port
        waiting = self.get(self.agent(), factory)
        (attempt,) = self.pool._attempts
        yield eventually(lambda: attempt._connection is not None)
        yield self.pool.close()
        self.assertEqual((0, 0, 0, 0), tuple(self.pool.counts()))
        yield self.assertFailure(waiting, CancelledError, TLSFailed)

    @inlineCallbacks
    def test_noTimeOut(self) -> Any:
        """
        C{None} gives it all the time that it wants.
        """
        server = listen_tls(self, self.leaf("localhost"))
        body = yield self.get(self.agent(tlsTimeout=None), server)
        self.assertEqual(b"localhost anonymous", body)

    @inlineCallbacks
    def test_lateEndpoint(self) -> Any:
        """
        An endpoint may tell of its connection after the handshake.
        """
        server = listen_tls(self, self.leaf("localhost"))
        policy = TLSPolicy.trusting(self.authority.cert_pem.bytes())
        made = Agent(clock, policy)._endpointFactory
        told: list[Any] = []

        class Late:
            def endpointForURI(self, uri: Any) -> Any:
                self.endpoint = made.endpointForURI(uri)
                return self

            async def wait(self, factory: Any) -> Any:
                connection = await self.endpoint.connect(factory)
                await eventually(lambda: not connection.wantsHandshake)
                told.append(connection.state.value)
                return connection

            def connect(self, factory: Any) -> Any:
                return Deferred.fromCoroutine(self.wait(factory))

        agent = Agent.usingEndpointFactory(clock, Late(), self.pool, fastPath=FAST_PATH)
        body = yield self.get(agent, server)
        self.assertEqual(b"localhost anonymous", body)
        # Nothing is sent before it has told.
        self.assertEqual(["idle"], told)

    @inlineCallbacks
    def test_notTLS(self) -> Any:
        """
        A server that does not speak TLS is told from one with a bad
        certificate, and so is one that hangs up.
        """

        class Plain(Protocol):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.write(self.factory.answer)
                self.transport.loseConnection()

        for answer, words in [
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", "TLS handshake failed"),
            (b"", "lost during the TLS handshake"),
        ]:
            factory: Any = Factory.forProtocol(Plain)
            factory.noisy = False
            factory.answer = answer
            port = clock.listenTCP(0, factory, interface="127.0.0.1")
            self.addCleanup(port.stopListening)
            factory.port = port.getHost().port
            yield self.refused(self.get(self.agent(), factory), words)

    def test_noCertificates(self) -> None:
        """
        A file without certificates is refused.
        """
        with self.assertRaises(ValueError):
            certificates_from(b"nothing")
        self.assertTrue(IReactorTime.providedBy(clock))

    def test_manyNames(self) -> None:
        """
        A policy keeps what it has made for a name, for a bounded number of names.
        """
        self.patch(tls, "MAX_CREATORS", 2)
        policy = TLSPolicy.trusting(self.authority.cert_pem.bytes())
        made = [policy.creatorForNetloc(b"%d.example" % i, 443) for i in range(3)]
        self.assertIs(made[2], policy.creatorForNetloc(b"2.example", 443))
        self.assertIsNot(made[0], policy.creatorForNetloc(b"0.example", 443))
        self.assertEqual("0.example", made[0].name)


class ExplainTests(SynchronousTestCase):
    """
    What is made of a handshake's end where OpenSSL knows little of it.
    """

    def explained(self, error: Exception, connection: Any) -> Any:
        """
        The error that says why.
        """
        found: Any = explain_handshake(Failure(error), connection).value
        self.assertIs(error, found.__cause__)
        return found

    def test_noCertificate(self) -> None:
        """
        Without a certificate to look at, OpenSSL's word is taken, and no more is
        said.
        """
        refused = SSL.Error([("SSL routines", "", "certificate verify failed")])
        for connection in (object(), SSL.Connection(SSL.Context(SSL.TLS_METHOD))):
            found = self.explained(refused, connection)
            self.assertIsInstance(found, CertificateError)
            self.assertEqual(
                "The server's certificate is not acceptable: the certificate can not "
                "be verified",
                str(found),
            )

    def test_otherErrors(self) -> None:
        """
        So is that of service-identity, where an application's connection has called
        it: about a name that is not there, or another one.
        """
        leaf = crypto.X509.from_cryptography(issue(san=False))
        shown = SimpleNamespace(get_peer_cert_chain=lambda: [leaf])
        found = self.explained(service_identity.CertificateError("no names"), shown)
        self.assertIsInstance(found, CertificateError)
        self.assertIn(": no names", str(found))
        wanted = DNSMismatch(DNS_ID("a.example"))
        found = self.explained(VerificationError(errors=[wanted]), shown)
        self.assertEqual("The certificate is not for a.example", str(found))
