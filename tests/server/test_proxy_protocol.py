"""
Connections that begin with a header of the PROXY protocol.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor, ssl
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from tests.support.memory import MemoryTransport
from tests.support.optional import need
from tests.support.server_cases import GET, Calls, ServerTestCase, get
from tests.support.socket_cases import Peer, TCPBackend, certificate
from tests.support.wire import Wire, splittings
from tests.wire.test_proxy_header import BAD, GOOD, INET, INET6, SIGNATURE, v2
from twisted_h11.server import Limits, ProxyProtocolFactory, Site, TrustedProxies

net: Any = reactor

PROXY = IPv4Address("TCP", "10.0.0.1", 40001)
STRANGER = IPv4Address("TCP", "203.0.113.9", 40002)
LINE = b"PROXY TCP4 192.0.2.1 198.51.100.1 50001 443\r\n"


def tell(request: Any) -> bytes:
    """
    Who is there.
    """
    client, host = request.getClientAddress(), request.getHost()
    return f"{client.host} {client.port} {host.host} {host.port}".encode()


class ProxyTestCase(ServerTestCase):
    """
    A site behind the factory.
    """

    def begin(
        self, resource: Any = tell, networks: Any = ("10.0.0.0/8",), **options: Any
    ) -> Any:
        """
        Make the site.

        @return: the factory around it.
        """
        proxies = TrustedProxies(networks)
        self.made = self.site(resource, trustedProxies=proxies, start=True, **options)
        factory = ProxyProtocolFactory(self.made, proxies, self.made.limits, self.clock)
        self.addCleanup(setattr, self, "made", None)
        return factory

    def open(self, factory: Any, peer: IAddress = PROXY) -> Wire:
        """
        A connection.
        """
        wire = Wire(factory, self.clock, MemoryTransport(peer=peer))
        self.wires.append(wire)
        return wire

    def dropped(self) -> list[str]:
        """
        What the log says of connections that were dropped.
        """
        return [text for text in self.messages() if "ropped" in text]


class FactoryTests(ProxyTestCase):
    """
    Who is served as whom, and who is not.
    """

    def test_addresses(self) -> None:
        """
        Application and log have the addresses of the header, for all requests.
        """
        for line, client in (
            (LINE, b"192.0.2.1 50001 198.51.100.1 443"),
            (v2(1, 0x11, INET), b"192.0.2.1 8080 10.0.0.1 80"),
            (v2(1, 0x11, INET + b"\x04\0\x01x"), b"192.0.2.1 8080 10.0.0.1 80"),
        ):
            for _, pieces in splittings(line + GET + GET, 7):
                factory = self.begin()
                wire = self.open(factory).send(*pieces)
                self.assertEqual([client] * 2, [r.body for r in wire.responses])
                for text in self.made.access.getvalue().splitlines():
                    self.assertTrue(text.startswith('"192.0.2.1" - - '), text)
        self.assertEqual([], self.dropped())

    def test_noAddress(self) -> None:
        """
        For C{LOCAL}, C{UNKNOWN} and C{UNSPEC} it is the proxy that is there.
        """
        for line in (
            b"PROXY UNKNOWN 127.0.0.1 127.0.0.1 1 2\r\n",
            v2(0, 0x11, INET),
            v2(1, 0x00, b""),
        ):
            wire = self.open(self.begin()).send(line, GET)
            self.assertEqual(b"10.0.0.1 40001 192.0.2.80 80", wire.only().body)

    def test_good(self) -> None:
        """
        After every header that is in order the request is answered.
        """
        for line, _, _ in GOOD:
            factory = self.begin(lambda request: b"yes")
            self.assertEqual(b"yes", self.open(factory).send(line + GET).only().body)

    def test_bad(self) -> None:
        """
        What does not begin with one is dropped at once, unanswered, and logged with
        the proxy's address.
        """
        for data in BAD:
            wire = self.open(self.begin()).send(data)
            self.assertTrue(wire.closed, data)
            self.assertTrue(wire.aborted)
            self.assertEqual(b"", wire.output)
            (line,) = self.dropped()
            self.assertIn("10.0.0.1", line)
            self.assertIn("PROXY protocol", line)
            self.events.clear()

    def test_elsewhere(self) -> None:
        """
        A connection from elsewhere is dropped before anything is read.
        """
        for peer in (STRANGER, UNIXAddress("/run/a"), UNIXAddress(None)):
            self.assertIsNone(self.begin().buildProtocol(peer))
            (line,) = self.dropped()
            self.assertIn("trusted", line)
            self.events.clear()
        wire = self.open(self.begin(networks=["unix"]), UNIXAddress(None))
        self.assertEqual(200, wire.send(LINE + GET).only().status)

    def test_logIsBounded(self) -> None:
        """
        A flood of them has one line a minute, which has their number.
        """
        factory = self.begin()
        for _ in range(1000):
            factory.buildProtocol(STRANGER)
        self.assertEqual(1, len(self.dropped()))
        self.clock.advance(60)
        factory.buildProtocol(STRANGER)
        self.assertEqual(2, len(self.dropped()))
        self.assertIn("999 others", self.dropped()[-1])
        factory.buildProtocol(STRANGER)
        factory.stopFactory()
        self.assertIn("1 other", self.dropped()[-1])

    def test_logAfterSetClock(self) -> None:
        """
        A clock that is set back does not keep them out of the log.
        """
        factory = self.begin()
        factory.buildProtocol(STRANGER)
        self.clock.advance(-86400)
        factory.buildProtocol(STRANGER)
        self.assertEqual(2, len(self.dropped()))

    def test_slow(self) -> None:
        """
        A header has the time of the first byte, however it trickles.
        """
        wire = self.open(self.begin())
        for byte in LINE[:20]:
            wire.send(bytes((byte,)))
            if wire.closed:
                break
            wire.advance(5)
        self.assertTrue(wire.closed)
        self.assertEqual(b"", wire.output)
        (line,) = self.dropped()
        self.assertIn("within the header", line)

    def test_nothing(self) -> None:
        """
        A proxy that connects and closes, to see whether we are there, is nothing to
        talk about.
        """
        wire = self.open(self.begin()).vanish()
        self.assertTrue(wire.closed)
        self.assertEqual([], self.dropped())

    def test_neverAnything(self) -> None:
        """
        One that stays and says nothing is closed.
        """
        wire = self.open(self.begin())
        wire.advance((Limits().firstByteTimeout or 0) + 20)
        self.assertTrue(wire.closed)

    def test_longHeader(self) -> None:
        """
        C{maxProxyHeaderLength} is kept, before the bytes are here.
        """
        factory = self.begin(limits={"maxProxyHeaderLength": 100})
        wire = self.open(factory).send(SIGNATURE + b"\x21\x11\0\x60")
        self.assertTrue(wire.closed)

    def test_connectionsPerPeer(self) -> None:
        """
        Connections are counted for the clients, not for the proxy.
        """
        factory = self.begin(limits={"maxConnectionsPerPeer": 2})
        other = LINE.replace(b"192.0.2.1", b"192.0.2.2")
        wires = [
            self.open(factory).send(line + GET) for line in (LINE, LINE, other, other)
        ]
        self.assertEqual([[200]] * 4, [wire.statuses for wire in wires])
        self.assertRefused(self.open(factory).send(LINE + GET), 503)
        wires[0].vanish()
        self.assertEqual([200], self.open(factory).send(LINE + GET).statuses)

    def test_silentConnections(self) -> None:
        """
        They count as soon as the header is here, whether anything follows it or not.
        """
        factory = self.begin(limits={"maxConnectionsPerPeer": 2})
        for _ in range(2):
            self.open(factory).send(LINE)
        self.assertEqual([503], self.open(factory).send(LINE).statuses)
        self.assertEqual(
            [200], self.open(factory).send(v2(1, 0x21, INET6) + GET).statuses
        )

    def test_halfClose(self) -> None:
        """
        A client that has sent all closes its side, and gets its answer.
        """
        wire = self.open(self.begin()).send(LINE + GET).halfClose()
        self.assertEqual([200], wire.statuses)
        self.assertTrue(wire.closed)

    def test_ourHalfClose(self) -> None:
        """
        A protocol that knows nothing of half-closes is told nothing of ours; a client
        that closes its side has closed the connection.
        """
        proxies = TrustedProxies(["10.0.0.0/8"])
        inner = Factory.forProtocol(Protocol)
        factory = ProxyProtocolFactory(inner, proxies, Limits(), self.clock)
        wire = self.open(factory).send(LINE)
        wire.channel.writeConnectionLost()
        self.assertFalse(wire.closed)
        self.assertTrue(wire.halfClose().closed)

    def test_drain(self) -> None:
        """
        Draining ends connections whose header is not here yet, and idle ones.
        """
        factory = self.begin()
        fresh, begun = self.open(factory), self.open(factory).send(LINE[:9])
        idle = self.open(factory).send(LINE + GET)
        done: list[object] = []
        self.made.drain(5).addCallback(done.append)
        for wire in (fresh, begun, idle):
            wire.pump()
            self.assertTrue(wire.closed)
        self.assertEqual([None], done)

    def test_fieldsOfTheClient(self) -> None:
        """
        Who is named by the header is not believed because the proxy is.
        """
        wire = self.open(self.begin())
        wire.send(LINE + get(b"/", b"X-Forwarded-For: 127.0.0.1"))
        self.assertTrue(wire.only().body.startswith(b"192.0.2.1 "))

    def test_fieldsOfAnotherProxy(self) -> None:
        """
        If it is one of the proxies that is named, its fields are believed.
        """
        line = LINE.replace(b"192.0.2.1", b"10.7.7.7")
        wire = self.open(self.begin())
        wire.send(line + get(b"/", b"X-Forwarded-For: 192.0.2.9"))
        self.assertTrue(wire.only().body.startswith(b"192.0.2.9 "))

    @given(
        st.one_of(
            st.binary(max_size=120),
            st.builds(
                "PROXY TCP4 {} {} {} {}\r\n".format,
                *(st.ip_addresses(), st.ip_addresses()),
                *(st.integers(0, 70000), st.integers(0, 70000)),
            ).map(str.encode),
            st.sampled_from([case[0] for case in GOOD]),
        )
    )
    def test_forged(self, header: bytes) -> None:
        """
        Whatever a stranger sends, it gets no answer, and no line in the access log;
        on a site that expects no header it is a bad request of the stranger's.
        """
        factory = self.begin()
        self.assertIsNone(factory.buildProtocol(STRANGER))
        self.assertEqual("", self.made.access.getvalue())
        wire = self.open(self.made, STRANGER).send(header + GET)
        wire.settle(10)
        for line in self.made.access.getvalue().splitlines():
            self.assertTrue(line.startswith('"203.0.113.9" - - '), line)
        for response in wire.responses:
            self.assertIn(response.status, (200, 400, 414, 431, 505))
            if response.status == 200:
                self.assertTrue(response.body.startswith(b"203.0.113.9 40002 "))


class TLSTests(TCPBackend):
    """
    Over real connections, with TLS behind the header.
    """

    async def check(self, http2: bool) -> None:
        """
        Clients count when the handshake is over.
        """
        private, root, _ = certificate()
        limits = Limits(maxConnectionsPerPeer=1)
        site = Site(Calls(tell), limits=limits, http2=http2)
        proxies = TrustedProxies(["127.0.0.1"])
        secure = TLSMemoryBIOFactory(private.options(), False, site)
        factory = ProxyProtocolFactory(secure, proxies)
        self.ports.append(net.listenTCP(0, factory, interface="127.0.0.1"))
        number = self.ports[-1].getHost().port

        async def connect(line: bytes) -> Peer:
            """
            A client whose proxy sends a header before its handshake.
            """
            plain = TCP4ClientEndpoint(net, "127.0.0.1", number)
            options = ssl.optionsForClientTLS("localhost", trustRoot=root)

            class Sends(TLSMemoryBIOProtocol):
                def makeConnection(self, transport: Any) -> None:
                    transport.write(line)
                    super().makeConnection(transport)

            peer = Peer()
            made = TLSMemoryBIOFactory(options, True, Factory.forProtocol(lambda: peer))
            made.protocol = Sends
            await plain.connect(made)
            return self.keep(peer)

        first = await connect(LINE)
        while not site._connections.hosts:
            await self.turns(1)
        self.assertEqual({"192.0.2.1": 1}, dict(site._connections.hosts))
        second = await connect(LINE)
        await second.end()
        other = await connect(LINE.replace(b"192.0.2.1", b"192.0.2.9"))
        for peer, host in ((first, b"192.0.2.1"), (other, b"192.0.2.9")):
            peer.send(GET)
            (response,) = await peer.responses(1)
            self.assertTrue(response.body.startswith(host + b" "), response.body)

    async def test_endOfClose(self) -> None:
        """
        Who asks for the end of the connection sees it behind the response, and not when
        the server has waited for its client; without TLS.
        """
        site = Site(Calls(tell), limits=Limits(lingerTimeout=50))
        factory = ProxyProtocolFactory(site, TrustedProxies(["127.0.0.1"]))
        self.ports.append(net.listenTCP(0, factory, interface="127.0.0.1"))
        begun = net.seconds()
        for request in (
            get(b"/", b"Connection: close"),
            b"GET / HTTP/1.0\r\n\r\n",
        ):
            peer = await self.connect(self.ports[-1])
            peer.send(LINE + request)
            await peer.end()
            self.assertIn(b"\r\n\r\n192.0.2.1 ", peer.received)
            peer.close()
            await peer.gone()
        self.assertLess(net.seconds() - begun, 40)

    async def test_headerAlone(self) -> None:
        """
        The header comes by itself, or nothing does, and then something else than TLS:
        that is no error, and the log says nothing of a header that is missing.
        """
        private, _, _ = certificate()
        secure = TLSMemoryBIOFactory(private.options(), False, Site(Calls(tell)))
        factory = ProxyProtocolFactory(secure, TrustedProxies(["127.0.0.1"]))
        said: list[str] = []

        @implementer(ILogObserver)
        def observe(event: LogEvent) -> None:
            said.append(formatEvent(event))

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        port = net.listenTCP(0, factory, interface="127.0.0.1")
        self.ports.append(port)
        for line, more in ((LINE, b"GET / HTTP/1.1\r\n\r\n"), (LINE, b""), (b"", b"")):
            peer = await self.connect(port)
            peer.send(line)
            await self.turns(5)
            if more:
                peer.send(more)
                await peer.end()
            peer.close()
            await peer.gone()
            await self.turns(5)
        self.assertEqual([], [text for text in said if "ropped" in text])

    async def test_http11(self) -> None:
        """
        On a site that speaks HTTP/1.1 only.
        """
        await self.check(False)

    async def test_http2(self) -> None:
        """
        On one that offers HTTP/2.
        """
        need("h2")
        await self.check(True)
