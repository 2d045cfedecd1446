"""
How many connections there may be, in all and from one address, and how many
requests on one.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from tests.support.cases import GET, Echo, ServerTestCase, get
from tests.support.wire import SERVER, MemoryTransport
from tests.test_switch_protocol import UPGRADE, Switching


def at(host: str, port: int = 4000) -> MemoryTransport:
    """
    A transport whose peer is C{host}.
    """
    return MemoryTransport(SERVER, IPv4Address("TCP", host, port))


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
        site = self.site(limits={"maxConnections": 0}, start=True)
        self.assertRefused(self.connect(site), 503)
        self.assertIn('"- - -" 503 ', site.access.getvalue())
        self.assertTrue([m for m in self.messages() if "too many connections" in m])

    def test_requestIsNotSeen(self) -> None:
        """
        What a refused client sends is dropped.
        """
        echo = Echo()
        site = self.site(echo, limits={"maxConnections": 0})
        wire = self.connect(site).send(GET)
        self.assertRefused(wire, 503)
        self.assertEqual([], echo.seen)


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
        self.assertEqual({}, dict(site._hosts))

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

    def test_offByDefault(self) -> None:
        """
        There is no such limit by default.
        """
        site = self.site()
        wires = [self.connect(site, at("192.0.2.1")) for _ in range(50)]
        self.assertEqual([200], wires[-1].send(GET).statuses)


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
