"""
The WebSocket examples of the documentation, and clients that mean harm.
"""

from __future__ import annotations

from typing import Any

from tests.server.test_streaming_examples import load
from tests.support.memory import TellingTransport
from tests.support.optional import need
from tests.support.server_cases import ServerTestCase, get
from tests.support.wire import Wire

FIELDS = {
    b"Upgrade": b"websocket",
    b"Connection": b"Upgrade",
    b"Sec-WebSocket-Key": b"dGhlIHNhbXBsZSBub25jZQ==",
    b"Sec-WebSocket-Version": b"13",
}


def handshake(method: bytes = b"GET", version: bytes = b"1.1", **other: bytes) -> bytes:
    """
    A request for a WebSocket, some of whose fields may be other ones.
    """
    changed = {name.replace("_", "-").encode(): other[name] for name in other}
    fields = {**FIELDS, **changed}.items()
    lines = [b"%b: %b" % field for field in fields]
    return get(b"/", *lines, method=method, version=version)


def frame(opcode: int, payload: bytes = b"", first: int = 0x80) -> bytes:
    """
    A frame of a client, whose mask is all zeros.
    """
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes([first | opcode]) + length + bytes(4) + payload


TEXT, BYTES, CLOSE, PING = 1, 2, 8, 9

LONG = frame(TEXT, b"x" * 1001)

# What is wrong in itself, for any server.
MALFORMED = {
    "not masked": b"\x81\x02hi",
    "2**63 bytes": b"\x81\xff" + (2**63).to_bytes(8, "big") + bytes(4),
    "a length in more bytes than needed": b"\x81\xfe\0\x05" + bytes(9),
    "a ping in pieces": frame(PING, b"x", first=0),
    "a long ping": frame(PING, b"x" * 126),
    **{f"reserved bit {bit}": frame(TEXT, b"x", 0x80 | bit) for bit in (16, 32, 64)},
    **{f"opcode {code}": frame(code) for code in (3, 7, 11, 15)},
    "no UTF-8": frame(TEXT, b"\xff"),
    "half a character": frame(TEXT, b"\xe2\x82"),
    "a piece of nothing": frame(0, b"x"),
    "a message in a message": frame(TEXT, b"x", 0) + frame(TEXT, b"x"),
    "a close frame of one byte": frame(CLOSE, b"x"),
    **{
        f"status {code}": frame(CLOSE, code.to_bytes(2, "big"))
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65535)
    },
    "a reason that is no UTF-8": frame(CLOSE, b"\x03\xe8\xff"),
}


class HostileCase(ServerTestCase):
    """
    Both examples.
    """

    def example(self) -> Any:
        """
        The resource that makes WebSockets.
        """
        raise NotImplementedError

    def open(self, request: bytes = b"", more: bytes = b"") -> Wire:
        """
        A connection, with what is sent in the segment of the handshake.
        """
        site = self.site(self.resource)
        wire = self.connect(site, TellingTransport())
        wire.methods = []
        return wire.send((request or handshake()) + more)

    def setUp(self) -> None:
        """
        The example.
        """
        super().setUp()
        need("wsproto")
        self.resource = self.example()

    def frames(self, wire: Wire) -> bytes:
        """
        What was sent after the handshake.
        """
        return wire.output.partition(b"\r\n\r\n")[2]


class Malformed:
    """
    What holds for both.
    """

    def test_malformed(self: Any) -> None:
        """
        After a frame that is wrong, the client gets a status and is let go; what
        follows in the same segment is nothing.
        """
        for name, data in MALFORMED.items():
            for later in ([], [data], [frame(TEXT, b"hi"), frame(CLOSE)]):
                with self.subTest(name, later=later):
                    wire = self.open().send(data + b"".join(later))
                    self.assertTrue(wire.closed)
                    self.assertIn(b"\x88", self.frames(wire))
                    self.assertEqual(b"", wire.transport.late)

    def test_nothingIsKept(self: Any) -> None:
        """
        Nothing is kept of what arrives after the connection was closed, as by TLS.
        """
        wire = self.open()
        protocol: Any = wire.transport.protocol
        wire.transport.stall()
        wire.send(frame(3))
        self.assertTrue(wire.transport.disconnecting)
        kept: list[bytes] = []
        self.patch(protocol.connection, "receive_data", kept.append)
        protocol.dataReceived(frame(TEXT, b"hi"))
        self.assertEqual([], kept)

    def test_otherRequests(self: Any) -> None:
        """
        A request that is not the handshake of version 13 is told what is required.
        """
        wrong = {
            "HEAD": handshake(b"HEAD"),
            "HTTP/1.0": handshake(version=b"1.0"),
            "no option": handshake(Connection=b"close"),
            "another protocol": handshake(Upgrade=b"\xff"),
            "another version": handshake(Sec_WebSocket_Version=b"8"),
            "no key": handshake(Sec_WebSocket_Key=b""),
        }
        for name, request in wrong.items():
            with self.subTest(name):
                wire = self.open(request)
                wire.methods = [request.split()[0]]
                self.assertEqual([426], wire.statuses)

    def test_sameSegment(self: Any) -> None:
        """
        A message in the segment of the handshake is answered.
        """
        wire = self.open(more=frame(TEXT, b"hi"))
        self.assertEqual(b"\x81\x02hi", self.frames(wire))


class EchoTests(Malformed, HostileCase):
    """
    C{server_websocket.py}.
    """

    def example(self) -> Any:
        """See L{HostileCase}."""
        names = load("server_websocket")
        self.patch(names["EchoSocket"], "callLater", self.clock.callLater)
        return names["EchoResource"]()

    def test_silent(self) -> None:
        """
        A client that says nothing for five minutes, or that does not read, is dropped.
        """
        silent, deaf = self.open(), self.open().stall()
        other = self.open()
        deaf.send(frame(TEXT, b"x" * 10_000) * 30, frame(PING) * 30)
        for _ in range(4):
            other.advance(100, step=10).send(frame(PING))
        self.assertTrue(silent.aborted)
        self.assertTrue(deaf.aborted)
        self.assertFalse(other.closed)
        other.vanish()
        self.assertEqual([], self.clock.getDelayedCalls())


class ChatTests(Malformed, HostileCase):
    """
    C{howto/chat.py}.
    """

    def example(self) -> Any:
        """See L{HostileCase}."""
        chat = load("howto/chat")["Chat"](self.clock)
        self.addCleanup(chat.looking.stop)
        return chat

    def test_refused(self) -> None:
        """
        What the chat does not take ends a connection once, whatever follows it.
        """
        for data in (LONG, frame(BYTES, b"x")):
            for after in (data, frame(PING), frame(TEXT, b"hi"), frame(CLOSE)):
                with self.subTest(data[:1], after=after[:1]):
                    wire = self.open().send(data + after)
                    self.assertTrue(wire.closed)
                    self.assertEqual(1, self.frames(wire).count(b"\x88\x02\x03"))
        self.assertEqual(set(), self.resource.members)

    def test_pieces(self) -> None:
        """
        A message in pieces is one message; endless pieces are too long.
        """
        wire = self.open().send(frame(TEXT, b"a", 0), frame(0, b"b", 0), frame(0, b"c"))
        self.assertEqual(b"\x81\x03abc", self.frames(wire))
        wire.send(frame(TEXT, b"x" * 600, 0), frame(0, b"x" * 600, 0))
        self.assertTrue(self.frames(wire).endswith(b"\x88\x02\x03\xf1"))
        self.assertTrue(wire.closed)

    def test_slow(self) -> None:
        """
        A client that does not read is let go, and dropped when it does not read that
        either; the others notice nothing.
        """
        speaker, slow = self.open(), self.open().stall()
        for _ in range(100):
            speaker.send(frame(TEXT, b"x" * 1000))
        self.assertEqual(1, len(self.resource.members))
        self.assertFalse(speaker.closed)
        self.assertFalse(slow.closed)
        self.assertLess(len(slow.transport.backlog), 70_000)
        slow.advance(31)
        self.assertTrue(slow.aborted)

    def test_pings(self) -> None:
        """
        A client that sends pings, and does not read, is let go.
        """
        wire = self.open().stall()
        wire.send(frame(PING, b"x" * 125) * 2000)
        self.assertLess(len(wire.transport.backlog), 70_000)
        wire.drain()
        self.assertTrue(wire.output.endswith(b"\x88\x02\x03\xf5"))
        self.assertTrue(wire.closed)

    def test_silent(self) -> None:
        """
        A client that does not answer a ping is dropped, one that does is not.
        """
        silent, other = self.open(), self.open()
        silent.advance(31)
        other.send(frame(10))
        self.assertEqual(b"\x89\x00", self.frames(silent))
        silent.advance(30)
        self.assertTrue(silent.aborted)
        self.assertFalse(other.closed)
        self.assertEqual(1, len(self.resource.members))

    def test_drained(self) -> None:
        """
        When the server stops, each client gets a close frame with the status 1001.
        """
        site = self.site(self.resource)
        wire = self.connect(site, TellingTransport()).send(handshake())
        site.drain(10)
        wire.pump()
        self.assertEqual(b"\x88\x02\x03\xe9", self.frames(wire))
        self.assertTrue(wire.closed)
