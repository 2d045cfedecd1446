"""
How many connections there may be, in all and from one address, and how many
requests on one.
"""

from __future__ import annotations

import random
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectError
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory

from tests.server.test_switch_protocol import UPGRADE, Switching
from tests.support.memory import SERVER, MemoryTransport, SecureMemoryTransport
from tests.support.server_cases import GET, Echo, ServerTestCase, get
from tests.support.socket_cases import TCPBackend, TLSBackend
from tests.support.wire import Wire
from twisted_h11._server import admission
from twisted_h11.server import Limits, Site


def at(host: str, port: int = 4000) -> MemoryTransport:
    """
    A transport whose peer is C{host}.
    """
    return MemoryTransport(SERVER, IPv4Address("TCP", host, port))


class Late(ProtocolWrapper):
    """
    Learns from the first line who the client is, as what Twisted has for the PROXY
    protocol does, and drops who does not send one.
    """

    client: IPv4Address | None = None

    def dataReceived(self, data: bytes) -> None:
        """
        Look for it, and pass on what is behind it.
        """
        if self.client is None:
            if not data.startswith(b"FROM "):
                self.disconnecting = True
                self.abortConnection()
                return
            line, _, data = data.partition(b"\r\n")
            self.client = IPv4Address("TCP", line[5:].decode(), 1)
        super().dataReceived(data)

    def getPeer(self) -> Any:
        """
        The client, if it is known.
        """
        return self.client or super().getPeer()


class InAllTests(ServerTestCase):
    """
    C{maxConnections}.
    """

    def test_tooMany(self) -> None:
        """
        One more than the limit is 503, at once; the others go on.
        """
        echo = Echo()
        site = self.site(echo, limits={"maxConnections": 2})
        first, second = self.connect(site), self.connect(site)
        third = self.connect(site)
        self.assertRefused(third, 503)
        for wire in (first, second):
            self.assertEqual([200], wire.send(GET).statuses)
        self.assertEqual(2, len(echo.seen))

    def test_placeIsFree(self) -> None:
        """
        A connection that ends makes room, however it ends.
        """
        site = self.site(limits={"maxConnections": 1})
        for end in ("vanish", "close", "idle", "abort"):
            wire = self.connect(site)
            if end == "close":
                wire.send(get(b"/", b"Connection: close")).settle(6)
            elif end == "idle":
                wire.advance(100, 5)
            elif end == "abort":
                wire.channel.abortConnection()
                wire.pump()
            else:
                wire.send(GET[:10]).vanish()
            self.assertTrue(wire.closed, end)
        self.assertEqual([200], self.connect(site).send(GET).statuses)

    def test_refusedOneIsGone(self) -> None:
        """
        A refused connection takes no place of the next one for long.
        """
        site = self.site(limits={"maxConnections": 1})
        first = self.connect(site)
        second = self.connect(site)
        self.assertRefused(second, 503)
        first.vanish()
        self.assertEqual([200], self.connect(site).send(GET).statuses)

    def test_switchedAway(self) -> None:
        """
        A connection that was given away is not ours any more.
        """
        site = self.site(Switching(), limits={"maxConnections": 1})
        self.connect(site).send(UPGRADE)
        self.assertEqual([101], self.connect(site).send(UPGRADE).statuses)

    def test_noLimit(self) -> None:
        """
        C{None} is no limit.
        """
        site = self.site(limits={"maxConnections": None})
        for _ in range(50):
            self.connect(site)
        self.assertEqual([200], self.connect(site).send(GET).statuses)

    def test_logged(self) -> None:
        """
        A refusal has a line in the access log, and one with the reason.
        """
        site = self.site(limits={"maxConnections": 1}, start=True)
        self.connect(site)
        self.assertRefused(self.connect(site), 503)
        self.assertIn('"- - -" 503 ', site.access.getvalue())
        self.assertTrue([m for m in self.messages() if "too many connections" in m])

    def test_requestIsNotSeen(self) -> None:
        """
        What a refused client sends is dropped.
        """
        echo = Echo()
        site = self.site(echo, limits={"maxConnections": 1})
        self.connect(site)
        wire = self.connect(site).send(GET)
        self.assertRefused(wire, 503)
        self.assertEqual([], echo.seen)


class RefusedTests(ServerTestCase):
    """
    Connections that are refused: told so, a few at a time, and not counted.
    """

    def crowd(self, site: Any, count: int, host: str = "192.0.2.9") -> list[Wire]:
        """
        So many more connections, whose clients neither read nor close.
        """
        return [self.connect(site, at(host, port)) for port in range(count)]

    def test_newcomerIsServed(self) -> None:
        """
        As soon as there is a place a newcomer gets it, whoever is still being told
        that there was none.
        """
        for limits in ({"maxConnections": 2}, {"maxConnectionsPerPeer": 2}):
            site = self.site(limits=limits)
            taken = self.crowd(site, 2)
            refused = self.crowd(site, 20)
            self.assertEqual([[503]] * 20, [wire.statuses for wire in refused])
            taken[0].vanish()
            self.assertFalse(any(wire.closed for wire in refused))
            newcomer = self.crowd(site, 1)[0].send(GET)
            self.assertEqual([200], newcomer.statuses)
            self.assertRefused(self.crowd(site, 1)[0], 503)

    def test_fewLinger(self) -> None:
        """
        Only C{maxRefusedConnections} at a time are answered; the others are closed
        at once.
        """
        for name in ("maxConnections", "maxConnectionsPerPeer"):
            site = self.site(limits={name: 1, "maxRefusedConnections": 3})
            first = self.crowd(site, 1)[0]
            told = self.crowd(site, 3)
            others = self.crowd(site, 50)
            self.assertEqual([[503]] * 3, [wire.statuses for wire in told])
            self.assertEqual([b""] * 50, [wire.output for wire in others])
            self.assertTrue(all(wire.closed and wire.aborted for wire in others))
            self.assertEqual(4, len(site._connections))
            told[0].vanish()
            self.assertEqual([503], self.crowd(site, 1)[0].statuses)
            self.assertEqual([200], first.send(GET).statuses)

    def test_noneLingers(self) -> None:
        """
        With C{maxRefusedConnections} of zero no refused connection is answered.
        """
        site = self.site(limits={"maxConnections": 1, "maxRefusedConnections": 0})
        first, second = self.crowd(site, 2)
        self.assertEqual(b"", second.output)
        self.assertTrue(second.aborted)
        self.assertEqual([200], first.send(GET).statuses)

    def test_floodIsTwoLines(self) -> None:
        """
        Those that are closed at once get no lines of their own: one says that it
        begins, another, when it is over, how many there were.
        """
        site = self.site(limits={"maxConnections": 1, "maxRefusedConnections": 2})
        self.crowd(site, 1)
        told = self.crowd(site, 2)
        before = len(self.messages())
        self.crowd(site, 500)
        (line,) = self.messages()[before:]
        self.assertIn("There are too many connections: 2 are being refused", line)
        for wire in told:
            wire.vanish()
        (line,) = self.messages()[before + 1 :]
        self.assertIn("500 connections above the limit were closed", line)

    def test_tls(self) -> None:
        """
        A refused connection over TLS takes no place either.
        """
        site = self.site(limits={"maxConnections": 1, "maxRefusedConnections": 1})
        first = self.connect(site, SecureMemoryTransport())
        told = self.connect(site, SecureMemoryTransport())
        self.assertEqual([503], told.statuses)
        self.assertTrue(self.connect(site, SecureMemoryTransport()).aborted)
        first.vanish()
        newcomer = self.connect(site, SecureMemoryTransport()).send(GET)
        self.assertEqual([200], newcomer.statuses)

    def test_drain(self) -> None:
        """
        Draining waits for refused connections, too, and leaves none.
        """
        site = self.site(limits={"maxConnections": 1})
        self.crowd(site, 4)
        done: list[object] = []
        site.drain(30).addCallback(done.append)
        for wire in self.wires:
            wire.settle(6)
        self.assertEqual([None], done)
        self.assertEqual(set(), site._connections.open)

    def test_counts(self) -> None:
        """
        Whatever comes and goes, in whatever order: a connection is served if, and
        only if, there is a place for it in all and for its address, and nothing is
        counted that is not there.
        """
        for seed in range(20):
            source = random.Random(seed)
            limits = {
                "maxConnections": source.choice((1, 3, 6)),
                "maxConnectionsPerPeer": source.choice((None, 1, 2)),
                "maxRefusedConnections": source.choice((0, 1, 4)),
            }
            site = self.site(limits=limits)
            taken: list[tuple[str, Wire]] = []
            for _ in range(60):
                taken = [(host, wire) for host, wire in taken if not wire.closed]
                if taken and source.random() < 0.4:
                    host, wire = source.choice(taken)
                    source.choice((wire.vanish, wire.channel.abortConnection))()
                    wire.pump()
                    continue
                if source.random() < 0.1:
                    taken[:] = self.wait(taken)
                host = f"192.0.2.{source.randrange(4)}"
                wire = self.connect(site, at(host))
                most, here = limits["maxConnectionsPerPeer"], [h for h, _ in taken]
                fits = len(taken) < (limits["maxConnections"] or 0) and (
                    most is None or here.count(host) < most
                )
                served = wire.send(GET).statuses == [200]
                self.assertEqual(fits, served, f"seed {seed}, {limits}")
                if served:
                    taken.append((host, wire))
            for wire in self.wires:
                wire.vanish()
            self.assertEqual(
                (set(), {}), (site._connections.open, dict(site._connections.hosts))
            )

    def wait(self, taken: list[tuple[str, Wire]]) -> list[tuple[str, Wire]]:
        """
        Let so much time pass that all lingering is over.

        @return: those that are still there.
        """
        for wire in self.wires:
            if not wire.closed:
                wire.advance(6, 6)
        return [(host, wire) for host, wire in taken if not wire.closed]


class FromOneAddressTests(ServerTestCase):
    """
    C{maxConnectionsPerPeer}.
    """

    def test_tooMany(self) -> None:
        """
        Each address has its own count; the port makes no difference.
        """
        site = self.site(limits={"maxConnectionsPerPeer": 2})
        for host in ("192.0.2.1", "192.0.2.2"):
            wires = [self.connect(site, at(host, port)) for port in (1, 2, 3)]
            self.assertEqual([[], [], [503]], [wire.statuses for wire in wires])
            self.assertEqual([200], wires[0].send(GET).statuses)

    def test_placeIsFree(self) -> None:
        """
        A connection that ends makes room for the same address.
        """
        site = self.site(limits={"maxConnectionsPerPeer": 1})
        for _ in range(5):
            wire = self.connect(site, at("192.0.2.1"))
            self.assertEqual([200], wire.send(GET).statuses)
            self.assertRefused(self.connect(site, at("192.0.2.1")), 503)
            wire.vanish()
        self.assertEqual({}, dict(site._connections.hosts))

    def test_otherAddresses(self) -> None:
        """
        IPv6 addresses are counted, those of UNIX sockets are not.
        """
        site = self.site(limits={"maxConnectionsPerPeer": 1})
        six: Any = IPv6Address("TCP", "2001:db8::1", 4000)
        local: Any = UNIXAddress(None)
        statuses = []
        for address in (six, six, local, local, local):
            wire = self.connect(site, MemoryTransport(SERVER, address)).send(GET)
            statuses.append(wire.statuses)
        self.assertEqual([[200], [503], [200], [200], [200]], statuses)

    def test_addressIsLate(self) -> None:
        """
        An address that comes with the first bytes counts from then on; one that does
        not come is told in the log.
        """
        site = self.site(limits={"maxConnectionsPerPeer": 1})
        for secure in (False, True):
            factory = WrappingFactory(site)
            factory.protocol = Late
            wires = []
            for line in (b"FROM 192.0.2.1", b"FROM 192.0.2.1", b"SOMETHING ELSE"):
                kind = SecureMemoryTransport if secure else MemoryTransport
                wires.append(Wire(factory, self.clock, kind()))
                self.wires.append(wires[-1])
                wires[-1].send(line + b"\r\n" + GET)
            self.assertEqual([[200], [503], []], [wire.statuses for wire in wires])
            self.assertTrue(wires[2].closed)
            # One that has ended before there was anything says nothing.
            self.wires.append(Wire(factory, self.clock, kind()).vanish())
            said = [text for text in self.messages() if "did not begin" in text]
            self.assertEqual(1, len(said))
            wires[0].vanish()
            self.events.clear()

    def test_offByDefault(self) -> None:
        """
        There is no such limit by default.
        """
        site = self.site()
        wires = [self.connect(site, at("192.0.2.1")) for _ in range(50)]
        self.assertEqual([200], wires[-1].send(GET).statuses)


class DescriptorTests(ServerTestCase):
    """
    As many as there are descriptors for.
    """

    def test_usedUp(self) -> None:
        """
        One for which there is none is closed at once, until there is one again, or
        more are allowed; that this was to be expected is said when the site starts, and
        that it has come once, until half of the connections have gone.
        """
        limit = [8]
        self.patch(admission, "descriptor_limit", lambda: limit[0])
        self.patch(admission, "spare_descriptors", lambda limit: 6)
        site = self.site(limits={"maxConnections": 1000}, start=True)

        def said(text: str) -> int:
            return len([line for line in self.messages() if text in line])

        self.assertEqual(1, said("may have only 8 descriptors"))
        for _ in range(2):
            wires = [self.connect(site).send(GET) for _ in range(4)]
            self.assertEqual([[200]] * 2, [wire.statuses for wire in wires[:2]])
            for wire in wires[2:]:
                self.assertEqual((True, b""), (wire.aborted, wire.output))
            self.assertEqual(1, said("are used up (8)"))
            for wire in wires:
                wire.vanish()
            self.events.clear()
        limit[0] = 10
        wires = [self.connect(site).send(GET) for _ in range(5)]
        self.assertEqual([[200]] * 4 + [[]], [wire.statuses for wire in wires])

    def test_none(self) -> None:
        """
        Where nobody knows how many there are it is not asked.
        """
        self.patch(admission, "descriptor_limit", lambda: None)
        site = self.site(limits={"maxConnections": None}, start=True)
        wires = [self.connect(site).send(GET) for _ in range(50)]
        self.assertEqual([200], wires[-1].statuses)


class DroppedTests:
    """
    Over a real connection.
    """

    async def test_atOnce(self: Any) -> None:
        """
        The descriptor of a connection that is closed at once is free in the same call.
        """
        seen: list[int] = []
        limits = Limits(maxConnections=1, maxRefusedConnections=0)
        site: Any = Site(Echo(), limits=limits)
        await self.open(site)
        build = site.buildProtocol

        def buildProtocol(address: Any) -> Any:
            protocol = build(address)
            make = protocol.makeConnection

            def makeConnection(transport: Any) -> None:
                below = transport
                while isinstance(below, ProtocolWrapper):
                    below = below.transport
                make(transport)
                seen.append(below.fileno())

            protocol.makeConnection = makeConnection
            return protocol

        site.buildProtocol = buildProtocol
        try:
            peer = await self.open(site)
            await peer.gone()
            self.assertEqual(b"", peer.received)
        except ConnectError:
            # It was gone before the client has looked.
            pass
        self.assertEqual([-1], seen)


class DroppedTCPTests(DroppedTests, TCPBackend):
    """
    TCP.
    """


class DroppedTLSTests(DroppedTests, TLSBackend):
    """
    TLS.
    """


class RequestsTests(ServerTestCase):
    """
    C{maxRequestsPerConnection}.
    """

    def test_lastOneSaysSo(self) -> None:
        """
        The last response has C{Connection: close}, and the rest is not seen.
        """
        for data in ([GET] * 5, [GET * 5]):
            echo = Echo()
            wire = self.talk(echo, *data, limits={"maxRequestsPerConnection": 3})
            self.assertEqual([False, False, True], [r.closes for r in wire.responses])
            self.assertEqual(3, len(echo.seen))
            wire.settle(6)
            self.assertTrue(wire.closed)
            self.assertFalse(wire.aborted)

    def test_one(self) -> None:
        """
        One is no persistence at all.
        """
        wire = self.talk(None, GET + GET, limits={"maxRequestsPerConnection": 1})
        self.assertTrue(wire.only().closes)

    def test_noLimit(self) -> None:
        """
        There is no such limit by default.
        """
        wire = self.talk(None, GET * 2000)
        self.assertFalse(wire.responses[-1].closes)
