"""
A lingering close: the answer is not destroyed by what the client still sends.

In memory, as on TLS, there is no half-close; reading and dropping goes on for
a while, then the connection is closed.  Over TCP and UNIX sockets see
L{tests.server.test_sockets}.
"""

from __future__ import annotations

from typing import Any

from tests.support.server_cases import GET, Holding, ServerTestCase, get
from twisted_h11.server import Limits

BAD = b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"
CLOSE = get(b"/", b"Connection: close")


class LingeringCloseTests(ServerTestCase):
    """
    Within C{lingerTimeout} seconds and C{lingerLength} bytes.
    """

    def test_refusalThenData(self) -> None:
        """
        What a refused client goes on to send is read and dropped.
        """
        wire = self.talk(None, BAD)
        for _ in range(100):
            wire.send(b"x" * 1000)
        self.assertFalse(wire.unread)
        self.assertFalse(wire.transport.paused)
        self.assertEqual([400], wire.statuses)
        self.assertRefused(wire, 400)

    def test_closeThenData(self) -> None:
        """
        So is what follows an answered request with C{Connection: close}.
        """
        wire = self.talk(None, CLOSE, GET, b"garbage", b"\x00" * 100_000)
        self.assertFalse(wire.unread)
        self.assertEqual([200], wire.statuses)
        wire.settle(Limits().lingerTimeout + 1)
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)

    def test_untilTheClientEnds(self) -> None:
        """
        It ends when the client closes.
        """
        wire = self.talk(None, BAD).halfClose()
        self.assertTrue(wire.closed)

    def test_timeBound(self) -> None:
        """
        A client that goes on sending is not listened to for long.
        """
        wire = self.talk(None, BAD)
        for _ in range(20):
            if not wire.transport.disconnecting:
                wire.send(b"x")
            wire.advance(0.5)
        self.assertTrue(wire.closed)

    def test_lengthBound(self) -> None:
        """
        Nor is a client that sends very much.
        """
        wire = self.talk(None, BAD, limits={"lingerLength": 10_000})
        wire.send(b"x" * 9_000)
        self.assertFalse(wire.closed)
        for _ in range(3):
            wire.unread.append(b"x" * 1_000)
        wire.pump()
        self.assertTrue(wire.closed)

    def test_lengthBoundWhileItIsTaken(self) -> None:
        """
        A response that the client has not taken yet is not destroyed by what it sends
        meanwhile, however much that is: then the rest is not read.  Nor is it by what
        the client sends while the end of it is on its way.
        """
        content = b"x" * 1_000_000

        def render(request: Any) -> bytes:
            request.setHeader(b"Connection", b"close")
            return content

        wire = self.connect(self.site(render, limits={"lingerLength": 10_000})).stall()
        wire.send(GET)
        for _ in range(40):
            wire.send(b"x" * 1_000)
        self.assertTrue(wire.transport.paused)
        unread = len(wire.unread)
        wire.drain()
        self.assertLess(len(wire.unread), unread)
        self.assertTrue(wire.transport.paused)
        self.assertFalse(wire.closed)
        self.assertEqual(content, wire.only().body)
        wire.settle(Limits().lingerTimeout + 1)
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)

    def test_tooLargeBody(self) -> None:
        """
        A body over the limit is read on for a while, so that 413 arrives.
        """
        head = get(b"/", b"Content-Length: 1000000", method=b"POST")
        wire = self.talk(None, head, limits={"maxBodyLength": 10})
        for _ in range(100):
            wire.send(b"x" * 10_000)
        self.assertFalse(wire.unread)
        self.assertRefused(wire, 413)

    def test_appliesAfterALateAnswer(self) -> None:
        """
        Bytes behind C{Connection: close} that wait while the request runs do
        not become a request, nor an error.
        """
        holding = Holding()
        wire = self.talk(holding, CLOSE, GET, b"garbage\n\n")
        holding.answer()
        wire.pump()
        self.assertEqual([200], wire.statuses)
        self.assertEqual([], holding.requests)
        wire.settle(Limits().lingerTimeout + 1)
        self.assertTrue(wire.closed)

    def test_manyBytesBehindClose(self) -> None:
        """
        Nor do very many of them stop the connection from ending.
        """
        holding = Holding()
        wire = self.talk(holding, CLOSE)
        for _ in range(100):
            wire.unread.append(b"x" * 10_000)
        wire.pump()
        holding.answer()
        wire.pump()
        self.assertEqual([200], wire.statuses)
        wire.settle(Limits().lingerTimeout + 1)
        self.assertTrue(wire.closed)

    def test_producerIsUnregistered(self) -> None:
        """
        The transport is free of our producer before it is told to close;
        TLS waits for ever otherwise.
        """
        wire = self.talk(None, BAD)
        wire.settle(Limits().lingerTimeout + 1)
        self.assertIsNone(wire.transport.producer)
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)

    def test_noHalfCloseOfAWrapper(self) -> None:
        """
        A method that a wrapper merely forwards to the socket is not called.
        """
        wire = self.connect(self.site())

        def forwarded() -> None:
            self.fail("a wrapper was half-closed")

        wire.transport.loseWriteConnection = forwarded  # type: ignore[attr-defined]
        wire.send(BAD)
        wire.settle(Limits().lingerTimeout + 1)
        self.assertTrue(wire.closed)
