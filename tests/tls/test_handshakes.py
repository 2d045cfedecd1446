"""
What is settled in a handshake, certificates of clients among it.
"""

from __future__ import annotations

import contextlib
import ssl
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.resource import Resource

from tests.support.handshakes import (
    Authority,
    FilesTestCase,
    Layer,
    both,
    handshake,
    leaf_in,
    serial,
)
from twisted_h11.server import Site
from twisted_h11.tls import BadTLSFile, ServerTLS

VERSIONS = (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION)

# Later than any minute from the last look.
LATER = 60.0


class ClientCertificateTests(FilesTestCase):
    """
    Certificates of clients.
    """

    def setUp(self) -> None:
        """
        Two authorities.
        """
        super().setUp()
        self.other = Authority()
        self.certificate = self.file("both.pem", both(self.authority.leaf("a.example")))
        self.file("more/b.pem", both(self.authority.leaf("b.example")))
        self.clients = self.file("clients.pem", self.authority.pem)

    def make(self, clientCertificate: str | None = None) -> ServerTLS:
        """
        A server that asks for them.
        """
        return ServerTLS(
            self.certificate,
            certificates=f"{self.folder}/more",
            clientCA=self.clients,
            clientCertificate=clientCertificate,
            clock=self.clock,
        )

    def accepts(self, tls: ServerTLS, leaf: Any, **options: Any) -> bool:
        """
        Whether a client is let in.
        """
        talk = handshake(tls, leaf=leaf, **options)
        if talk.error is None:
            found = talk.server.get_peer_certificate()
            self.assertEqual(
                None if leaf is None else serial(leaf),
                None if found is None else found.get_serial_number(),
            )
        return talk.error is None

    def test_whoIsLetIn(self) -> None:
        """
        Only those with a certificate of the authority are, and those without one where
        it is optional; whatever name they ask for, in each version of TLS.
        """
        good, bad = self.authority.leaf("me@a"), self.other.leaf("me@a")
        late = self.authority.expired("me@a")
        for asked, without in ((None, False), ("required", False), ("optional", True)):
            tls = self.make(asked)
            for name in (None, b"a.example", b"b.example"):
                for highest in (0x0303, 0x0304):
                    with self.subTest(asked=asked, name=name, highest=highest):
                        more: Any = {"name": name, "highest": highest}
                        self.assertTrue(self.accepts(tls, good, **more))
                        self.assertFalse(self.accepts(tls, bad, **more))
                        self.assertFalse(self.accepts(tls, late, **more))
                        self.assertEqual(without, self.accepts(tls, None, **more))

    def test_notAsked(self) -> None:
        """
        Without an authority clients are not asked for one.
        """
        tls = ServerTLS(self.certificate, clock=self.clock)
        talk = handshake(tls, leaf=self.authority.leaf("me@a"))
        self.assertIsNone(talk.server.get_peer_certificate())

    def test_namesOfAuthorities(self) -> None:
        """
        Clients are told whose certificates are taken.
        """
        talk = handshake(self.make(), leaf=self.authority.leaf("me@a"))
        self.assertEqual(1, len(talk.client.get_client_ca_list()))

    def test_renewed(self) -> None:
        """
        The authorities are read again, too, for all certificates; what is bad changes
        nothing.
        """
        tls = self.make()
        good, other = self.authority.leaf("me@a"), self.other.leaf("me@a")
        self.file("clients.pem", b"")
        for _ in range(2):
            self.clock.advance(LATER)
            self.assertTrue(self.accepts(tls, good))
        (line,) = self.logged()
        self.assertIn(f"{self.clients}: expected a certificate", line)
        self.assertIn("; the old authorities are kept", line)
        self.file("clients.pem", self.other.pem)
        self.clock.advance(LATER)
        for name in (None, b"b.example"):
            self.assertFalse(self.accepts(tls, good, name=name))
            self.assertTrue(self.accepts(tls, other, name=name))

    def test_sameAgain(self) -> None:
        """
        Authorities that are written again, and are the same, have nothing made anew.
        """
        tls = self.make()
        before = tls._store.table.default
        self.file("clients.pem", self.authority.pem)
        self.clock.advance(LATER)
        self.assertTrue(self.accepts(tls, self.authority.leaf("me@a")))
        self.assertIs(before, tls._store.table.default)
        self.assertEqual([], self.logged())

    def test_refused(self) -> None:
        """
        A file without authorities is refused.
        """
        self.file("clients.pem", b"")
        error = self.assertRaises(BadTLSFile, self.make)
        self.assertEqual("clientCA", error.argument)
        self.assertIn(self.clients, str(error))


class NegotiationTests(FilesTestCase):
    """
    What is spoken.
    """

    def setUp(self) -> None:
        """
        A certificate for two names.
        """
        super().setUp()
        self.file("a.pem", both(self.authority.leaf("a")))
        self.file("b.pem", both(self.authority.leaf("b")))

    def test_protocol(self) -> None:
        """
        The first protocol of the factory that the client speaks is chosen, whatever
        name it asks for; none where either does not say; an alert where there is none
        that both speak.
        """
        tls = ServerTLS(certificates=self.folder, clock=self.clock)
        h2, h1, older, other = b"h2", b"http/1.1", b"http/1.0", b"spdy/3"
        for name in (None, b"a", b"b"):
            for speaks, offered, chosen in (
                ([h1], [h2, h1], h1),
                ([h2, h1], [h1, h2], h2),
                ([h2, h1], [h1], h1),
                ([h1], [older], older),
                ([h1], [older, h1], h1),
                ([h2], [older], None),
                ([h1], None, b""),
                (None, [h2, h1], b""),
                ([h1], [other], None),
                ([h1], [h2], None),
            ):
                with self.subTest(name=name, speaks=speaks, offered=offered):
                    talk = handshake(tls, name, offered=offered, speaks=speaks)
                    if chosen is None:
                        self.assertIn("no application protocol", str(talk.error))
                        self.assertIn("alert", str(talk.clientError))
                    else:
                        self.assertIsNone(talk.error)
                        for end in (talk.client, talk.server):
                            self.assertEqual(chosen, end.get_alpn_proto_negotiated())

    def test_version(self) -> None:
        """
        Nothing older than the minimum version is spoken, whatever name is asked for.
        """
        for minimum, highest, works in (
            ("1.2", 0x0304, True),
            ("1.2", 0x0303, True),
            ("1.3", 0x0304, True),
            ("1.3", 0x0303, False),
        ):
            tls = ServerTLS(
                certificates=self.folder, minimumVersion=minimum, clock=self.clock
            )
            for name in (None, b"b"):
                with self.subTest(minimum=minimum, highest=highest, name=name):
                    talk = handshake(tls, name, highest=highest)
                    self.assertEqual(works, talk.error is None)


class SessionTests(FilesTestCase):
    """
    Sessions of earlier connections.
    """

    def connect(self, server: Any, context: Any, session: Any) -> Any:
        """
        Connect a client of Python's own, which tells whether it has resumed.
        """
        server.set_accept_state()
        came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(came, goes, server_hostname="a", session=session)
        for _ in range(6):
            for step in (client.do_handshake, lambda: client.read(1)):
                with contextlib.suppress(ssl.SSLWantReadError):
                    step()
            sent = goes.read()
            if sent:
                server.bio_write(sent)
            for step in (server.do_handshake, lambda: server.recv(1)):
                with contextlib.suppress(SSL.WantReadError):
                    step()
            with contextlib.suppress(SSL.WantReadError):
                came.write(server.bio_read(65536))
        return client

    def test_noSession(self) -> None:
        """
        As with Twisted's own options, sessions are not resumed: what was verified when
        one began need not hold any more.  (A server that keeps them shows that this
        would be noticed.)
        """
        leaf = self.authority.leaf("a")
        tls = ServerTLS(self.file("a.pem", both(leaf)), clock=self.clock)
        keeps = SSL.Context(SSL.TLS_METHOD)
        leaf_in(keeps, leaf)
        keeps.set_session_id(b"us")
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = ssl.create_default_context()
            context.load_verify_locations(cadata=self.authority.pem.decode())
            context.maximum_version = version
            for make, resumed in (
                (lambda: tls.serverConnectionForTLS(Layer(Factory())), False),
                (lambda: SSL.Connection(keeps), True),
            ):
                first = self.connect(make(), context, None)
                again = self.connect(make(), context, first.session)
                self.assertEqual(resumed, again.session_reused, (version, resumed))


class GivenUpTests(FilesTestCase):
    """
    Handshakes that the client ends.
    """

    def test_closeNotify(self) -> None:
        """
        A client may end a handshake with C{close_notify}, as scanners do, and browsers
        whose user does not want to go on: the server closes the connection, and the
        protocol gets the reason.
        """
        leaf = self.authority.leaf("a")
        tls = ServerTLS(self.file("a.pem", both(leaf)), clock=self.clock)
        ended: list[Any] = []

        class Ended(Protocol):
            def connectionLost(self, reason: Failure = connectionDone) -> None:
                ended.append(reason.value)

        factory = TLSMemoryBIOFactory(tls, False, Factory.forProtocol(Ended))
        for highest in VERSIONS:
            self.giveUp(factory, highest)
            self.assertIsInstance(ended[-1], SSL.Error)
            self.assertIn("the other side has ended it", str(ended[-1]))

    def test_anyCertificate(self) -> None:
        """
        A site takes it as well on a TLS layer that Twisted has made.
        """
        leaf = self.authority.leaf("a")
        options = PrivateCertificate.loadPEM(both(leaf)).options()
        for http2 in (False, True):
            site = Site(Resource(), reactor=self.clock, http2=http2)
            for highest in VERSIONS:
                self.giveUp(TLSMemoryBIOFactory(options, False, site), highest)
        self.assertEqual([], self.flushLoggedErrors())

    def giveUp(self, factory: Any, highest: int) -> None:
        """
        Begin a handshake, and end it.
        """
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(highest)
        client = SSL.Connection(context)
        client.set_connect_state()
        self.assertRaises(SSL.WantReadError, client.do_handshake)
        layer: Any = factory.buildProtocol(None)
        transport: Any = StringTransport()
        transport.setTcpNoDelay = lambda on: None
        layer.makeConnection(transport)
        layer.dataReceived(client.bio_read(65536))
        layer.dataReceived(b"\x15\x03\x03\x00\x02\x01\x00")
        self.assertTrue(transport.disconnecting)
        layer.connectionLost(Failure(ConnectionDone()))
