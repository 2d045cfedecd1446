"""
What a site says of its connections and requests.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, UNIXAddress

from tests.server.test_switch_protocol import UPGRADE, Switching
from tests.support.memory import SERVER, MemoryTransport, TellingTransport
from tests.support.server_cases import GET, Holding, ServerTestCase, get, post
from twisted_h11.server import describe_connections


class ReportTests(ServerTestCase):
    """
    L{describe_connections}.
    """

    def end(self, holding: Holding) -> None:
        """
        Answer what is left.
        """
        while holding.requests:
            holding.answer()
        for wire in self.wires:
            wire.vanish()

    def test_nothing(self) -> None:
        """
        A site without connections has none.
        """
        self.assertEqual(
            "0 connections\n0 requests in flight", describe_connections(self.site())
        )

    def test_phases(self) -> None:
        """
        Each connection is counted by what it is at.
        """
        holding = Holding()
        site = self.site(holding)
        self.connect(site)
        self.connect(site).send(GET)
        self.connect(site).send(b"GET / HT")
        self.connect(site).send(post(b"hello")[:-1])
        idle = self.connect(site).send(GET)
        holding.requests.append(holding.requests.pop(0))
        holding.answer()
        idle.pump()
        self.connect(site).send(b"bad\r\n\r\n")
        lines = describe_connections(site).split("\n")
        self.assertEqual(
            "6 connections: 1 new, 1 idle, 1 sending a request head, "
            "1 sending a request body, 1 waiting for a response, 1 closing",
            lines[0],
        )
        self.assertEqual("2 requests in flight, oldest first:", lines[1])
        self.assertEqual(4, len(lines))
        self.end(holding)

    def test_givenAway(self) -> None:
        """
        So are those that belong to another protocol.
        """
        site = self.site(Switching())
        wire = self.connect(site, TellingTransport()).send(UPGRADE)
        self.assertIn("1 given to another protocol", describe_connections(site))
        (given,) = site._connections.open
        self.assertEqual(wire.transport.getPeer(), given.getPeer())
        del given
        wire.vanish()

    def test_requests(self) -> None:
        """
        Requests are listed with their age, where that is known, oldest first, and
        only so many of them.
        """
        holding = Holding()
        site = self.site(holding)
        self.connect(site).send(get(b"/unknown"))
        site.timesRequests = True
        for number in range(5):
            address = IPv4Address("TCP", f"192.0.2.{number}", 1)
            transport = MemoryTransport(SERVER, address)
            self.connect(site, transport).send(get(b"/%d" % number))
            self.clock.advance(1)
        said = describe_connections(site, 3).split("\n")
        self.assertEqual(
            [
                "6 requests in flight, oldest first:",
                "  5.0 s, 192.0.2.0, waiting for a response: GET /0",
                "  4.0 s, 192.0.2.1, waiting for a response: GET /1",
                "  3.0 s, 192.0.2.2, waiting for a response: GET /2",
                "  and 3 more",
            ],
            said[1:],
        )
        self.assertIn("  -, ", describe_connections(site))
        self.end(holding)

    def test_cut(self) -> None:
        """
        A long target is cut, and the path of a UNIX socket is not shown.
        """
        holding = Holding()
        site = self.site(holding)
        peer: Any = UNIXAddress(b"/tmp/\x1b")
        transport = MemoryTransport(SERVER, peer)
        target = b"/" + b"x" * 1000
        self.connect(site, transport).send(get(target))
        last = describe_connections(site).split("\n")[-1]
        expected = "  -, unix, waiting for a response: GET /" + "x" * 99 + "..."
        self.assertEqual(expected, last)
        self.end(holding)
