"""
What arrives at an L{H11Protocol}: the same events, however the bytes were cut.
"""

from __future__ import annotations

from typing import Any

import h11

from tests.support.protocol_cases import OK, Answering, ProtocolTestCase, Recording
from tests.support.wire import splittings

HOST = b"Host: example.com\r\n"
POST = b"POST /a HTTP/1.1\r\n" + HOST
CHUNKED = (
    POST
    + b"Transfer-Encoding: chunked\r\n\r\n"
    + b"3\r\nabc\r\n5;x=y\r\ndefgh\r\n0\r\nX-Sum: 8\r\n\r\n"
)

SERVER_CASES: list[tuple[bytes, list[Any]]] = [
    (
        b"GET /a HTTP/1.1\r\n" + HOST + b"\r\n",
        [("Request", b"GET", b"/a", b"1.1"), ("EndOfMessage", [])],
    ),
    (
        POST + b"Content-Length: 5\r\n\r\nhello",
        [
            ("Request", b"POST", b"/a", b"1.1"),
            ("Data", b"hello"),
            ("EndOfMessage", []),
        ],
    ),
    (
        CHUNKED,
        [
            ("Request", b"POST", b"/a", b"1.1"),
            ("Data", b"abcdefgh"),
            ("EndOfMessage", [(b"X-Sum", b"8")]),
        ],
    ),
    (
        b"GET / HTTP/1.0\r\n\r\n",
        [("Request", b"GET", b"/", b"1.0"), ("EndOfMessage", [])],
    ),
]

CHUNKED_RESPONSE = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n"
)

CLIENT_CASES: list[tuple[str, bytes, bool, list[Any]]] = [
    (
        "GET",
        OK,
        False,
        [("Response", 200), ("Data", b"ok"), ("EndOfMessage", [])],
    ),
    (
        "GET",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 \r\nLink: </a>\r\n\r\n" + OK,
        False,
        [
            ("InformationalResponse", 100),
            ("InformationalResponse", 103),
            ("Response", 200),
            ("Data", b"ok"),
            ("EndOfMessage", []),
        ],
    ),
    (
        "GET",
        CHUNKED_RESPONSE,
        False,
        [("Response", 200), ("Data", b"ok"), ("EndOfMessage", [(b"X-Sum", b"2")])],
    ),
    (
        "HEAD",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        False,
        [("Response", 200), ("EndOfMessage", [])],
    ),
    (
        "GET",
        b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
        True,
        [
            ("Response", 200),
            ("Data", b"until the end"),
            ("EndOfMessage", []),
        ],
    ),
]


class DeliveryTests(ProtocolTestCase):
    """
    Both roles, every way to cut.
    """

    def test_serverSplittings(self) -> None:
        """
        A request is the same events whole, byte by byte, at random, and cut in
        two at every place.
        """
        for data, expected in SERVER_CASES:
            ways = splittings(data, 1) + [
                (f"cut at {i}", [data[:i], data[i:]]) for i in range(1, len(data))
            ]
            for name, pieces in ways:
                wire = self.connect(Recording).send(*pieces)
                self.assertEqual(expected, wire.channel.events, (name, data))
                self.assertFalse(wire.transport.paused, name)
                self.end()

    def test_clientSplittings(self) -> None:
        """
        So is a response, interim responses before it and the end of the
        connection behind it included.
        """
        for method, data, ends, expected in CLIENT_CASES:
            ways = splittings(data, 2) + [
                (f"cut at {i}", [data[:i], data[i:]]) for i in range(1, len(data))
            ]
            for name, pieces in ways:
                wire = self.client(method=method).send(*pieces)
                if ends:
                    wire.halfClose()
                    self.assertTrue(wire.closed)
                self.assertEqual(expected, wire.channel.events, (name, data))
                self.end()

    def test_pipelinedSplittings(self) -> None:
        """
        Pipelined requests are delivered in order, each when the one before is
        answered.
        """
        data = b"".join(
            b"GET /%d HTTP/1.1\r\n%s\r\n" % (i, HOST) if i % 2 else CHUNKED
            for i in range(6)
        )
        for name, pieces in splittings(data, 3):
            wire = self.connect(Answering).send(*pieces)
            wire.methods = [b"GET"] * 6
            self.assertEqual(
                [b"/a", b"/1", b"/a", b"/3", b"/a", b"/5"],
                [response.body for response in wire.responses],
                name,
            )
            self.end()

    def test_oneEventAtATime(self) -> None:
        """
        Of a chunk that comes in pieces each piece is delivered as it comes.
        """
        wire = self.connect(Recording)
        wire.send(POST + b"Content-Length: 6\r\n\r\n", b"ab", b"cd", b"ef")
        self.assertEqual(
            [b"ab", b"cd", b"ef"],
            [bytes(e.data) for e in wire.channel.seen if isinstance(e, h11.Data)],
        )

    def test_chunkDelimiters(self) -> None:
        """
        C{chunk_start} and C{chunk_end} are h11's.
        """
        head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
        wire = self.connect(Recording).send(head, b"3\r\nabc\r\n4\r\nde", b"fg\r\n")
        self.assertEqual(
            [(b"abc", True, True), (b"de", True, False), (b"fg", False, True)],
            [
                (bytes(e.data), e.chunk_start, e.chunk_end)
                for e in wire.channel.seen
                if isinstance(e, h11.Data) and e.data
            ],
        )

    def test_rawFields(self) -> None:
        """
        The case of field names is kept beside the lowered one.
        """
        wire = self.connect(Recording).send(
            b"GET / HTTP/1.1\r\nHoSt: example.com\r\n\r\n"
        )
        headers = wire.channel.seen[0].headers
        self.assertEqual([(b"host", b"example.com")], list(headers))
        self.assertEqual([(b"HoSt", b"example.com")], headers.raw_items())

    def test_waitingFor100(self) -> None:
        """
        A client that waits for 100 Continue can be told to go on, once.
        """
        wire = self.connect(Recording).send(
            POST + b"Content-Length: 2\r\nExpect: 100-continue\r\n\r\n"
        )
        conn = wire.channel.h11Connection
        self.assertTrue(conn.they_are_waiting_for_100_continue)
        wire.channel.sendEvent(h11.InformationalResponse(status_code=100, headers=[]))
        self.assertEqual(b"HTTP/1.1 100 \r\n\r\n", wire.output)
        self.assertFalse(conn.they_are_waiting_for_100_continue)
        wire.send(b"ok")
        self.assertEqual(["Request", "Data", "EndOfMessage"], wire.channel.kinds)

    def test_trailersOut(self) -> None:
        """
        Trailers can be sent, where the coding is chunked.
        """
        wire = self.connect(Recording).send(SERVER_CASES[0][0])
        wire.channel.sendEvent(h11.Response(status_code=200, headers=[]))
        wire.channel.sendEvent(h11.Data(data=b"ok"))
        wire.channel.sendEvent(h11.EndOfMessage(headers=[("X-Sum", "2")]))
        self.assertTrue(
            wire.output.endswith(b"\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 2\r\n\r\n")
        )

    def test_idleHasNoConnection(self) -> None:
        """
        h11's connection is made with the first byte.
        """
        wire = self.connect(Recording)
        self.assertIsNone(wire.channel._h11Reader)
        wire.send(b"G")
        self.assertIsNotNone(wire.channel._h11Reader)

    def test_failingReceiver(self) -> None:
        """
        An exception in C{eventReceived} reaches the transport, what was written
        before it goes out, and the protocol is not stuck.
        """

        def fail(protocol: Any, event: h11.Event) -> None:
            if len(protocol.seen) == 1:
                protocol.respond()
                raise ZeroDivisionError

        wire = self.serve(fail)
        try:
            wire.send(SERVER_CASES[0][0])
        except ZeroDivisionError as error:
            error.__traceback__ = None
        else:
            self.fail("it was swallowed")
        self.assertEqual(b"ok", wire.responses[0].body)
        wire.send(SERVER_CASES[0][0])
        wire.channel.startNextCycle()
        self.assertEqual(["Request", "EndOfMessage"] * 2, wire.channel.kinds)

    def test_noBytes(self) -> None:
        """
        A transport that delivers no bytes at all has not ended.
        """
        wire = self.connect(Recording).send(b"GET", b"", SERVER_CASES[0][0][3:])
        self.assertEqual(["Request", "EndOfMessage"], wire.channel.kinds)
