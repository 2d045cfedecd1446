"""
Bytes that come one by one cost no more, each, the more of them there were.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import h11
from twisted.trial.unittest import SynchronousTestCase

from tests.support.client_cases import ClientTestCase
from tests.support.protocol_cases import ProtocolTestCase, Recording, client_request
from tests.support.server_cases import ServerTestCase
from tests.support.times import confirmed

HEAD = b"GET / HTTP/1.1\r\nHost: h\r\n"
POST = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\n"
CHUNKED = ANSWER + b"Transfer-Encoding: chunked\r\n\r\n"

# What comes at first, and what is then repeated, byte by byte.
REQUESTS = {
    "method": (b"", b"G"),
    "target": (b"GET /", b"x"),
    "field": (HEAD + b"A: ", b"x"),
    "fields": (HEAD, b"A: b\r\n"),
    "fields behind a long target": (
        b"GET /%b HTTP/1.1\r\n" % (b"x" * 30_000),
        b"A: b\r\n",
    ),
    "chunk line": (POST + b"5;a=", b"x"),
    "trailer": (POST + b"0\r\nA: ", b"x"),
    "trailers": (POST + b"0\r\n", b"A: b\r\n"),
    "chunks": (POST, b"1\r\nx\r\n"),
}
RESPONSES = {
    "status line": (b"HTTP/1.1 200 ", b"x"),
    "field": (ANSWER + b"A: ", b"x"),
    "fields": (ANSWER, b"A: b\r\n"),
    "interim responses": (b"", b"HTTP/1.1 103 E\r\n\r\n"),
    "chunk line": (CHUNKED + b"5;a=", b"x"),
    "trailer": (CHUNKED + b"0\r\nA: ", b"x"),
    "trailers": (CHUNKED + b"0\r\n", b"A: b\r\n"),
    "chunks": (CHUNKED, b"1\r\nx\r\n"),
}
LONG = 10**7


def growth(receive: Callable[[], Callable[[bytes], Any]], pump: bytes) -> float:
    """
    How many times as long eight times as many bytes take.
    """
    best = []
    for count in (1_000, 8_000):
        taken = []
        for _ in range(2):
            take = receive()
            data = pump * (count // len(pump))
            pieces = [data[i : i + 1] for i in range(len(data))]
            begun = time.process_time()
            for piece in pieces:
                take(piece)
            taken.append(time.process_time() - begun)
        best.append(min(taken))
    return best[1] / best[0]


class Unbounded(Recording):
    """
    A server whose heads may be long.
    """

    maxIncompleteEventSize = LONG


class UnboundedAsking(Unbounded):
    """
    A client that has sent a request.
    """

    role = h11.CLIENT

    def connectionMade(self) -> None:
        """
        Send it.
        """
        super().connectionMade()
        self.sendEvent(client_request())
        self.sendEvent(h11.EndOfMessage())


class RequestTests(ServerTestCase):
    """
    The server.
    """

    def test_linear(self) -> None:
        """
        Eight times as many bytes of a request take about eight times as long.
        """
        site = self.site(
            limits={
                "maxHeadLength": LONG,
                "maxTargetLength": LONG,
                "maxTrailerLength": LONG,
                "maxChunkExtensionLength": LONG,
                "maxFieldCount": LONG,
            }
        )

        for name, (first, pump) in REQUESTS.items():

            def receive(first: bytes = first) -> Any:
                wire = self.connect(site)
                if first:
                    wire.channel.dataReceived(first)
                return wire.channel.dataReceived

            self.assertLess(confirmed(partial(growth, receive, pump), 20), 20, name)
        self.assertEqual([b""] * len(self.wires), [bytes(w.output) for w in self.wires])


class ResponseTests(ClientTestCase):
    """
    The client.
    """

    def test_linear(self) -> None:
        """
        Eight times as many bytes of a response take about eight times as long.
        """
        for name, (first, pump) in RESPONSES.items():
            peers: list[Any] = []

            def receive(first: bytes = first, peers: list[Any] = peers) -> Any:
                _, peer = self.ask(
                    maxHeadLength=LONG, maxInterimResponses=LONG, readAhead=LONG
                )
                peers.append(peer)
                if first:
                    peer.protocol.dataReceived(first)
                return peer.protocol.dataReceived

            self.assertLess(confirmed(partial(growth, receive, pump), 20), 20, name)
            for peer in peers:
                self.assertFalse(peer.closed, name)


class EventTests(ProtocolTestCase):
    """
    H11Protocol, in both roles.
    """

    def test_linear(self) -> None:
        """
        Eight times as many bytes take about eight times as long.
        """
        for kind, streams in ((Unbounded, REQUESTS), (UnboundedAsking, RESPONSES)):
            for name, (first, pump) in streams.items():

                def receive(kind: Any = kind, first: bytes = first) -> Any:
                    wire = self.connect(kind)
                    if first:
                        wire.channel.dataReceived(first)
                    return wire.channel.dataReceived

                found = confirmed(partial(growth, receive, pump), 20)
                self.assertLess(found, 20, (kind.__name__, name))
        for wire in self.wires:
            self.assertEqual([], wire.channel.errors)


class GrowthTests(SynchronousTestCase):
    """
    How growth is measured.
    """

    def test_notices(self) -> None:
        """
        Work on all that was received, for each byte, is noticed.
        """

        def receive() -> Callable[[bytes], Any]:
            buffer = bytearray()

            def take(data: bytes) -> None:
                buffer.extend(data)
                sum(buffer)

            return take

        self.assertGreater(growth(receive, b"y"), 20)
