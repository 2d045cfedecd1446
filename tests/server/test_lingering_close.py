"""
A lingering close: the answer is not destroyed by what the client still sends.

In memory, as on TLS, there is no half-close; reading and dropping goes on for
a while, then the connection is closed.  Over TCP and UNIX sockets see
L{tests.server.test_sockets}.
"""

from __future__ import annotations

from typing import Any

from twisted.web.static import File

from tests.support.server_cases import (
    FAST_PATH,
    GET,
    Calls,
    Holding,
    ServerTestCase,
    get,
)
from tests.support.socket_cases import TCPBackend
from tests.support.times import eventually
from twisted_h11._wire import closing
from twisted_h11.server import Limits, Site

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

    def test_longAsItIsTaken(self) -> None:
        """
        Such a connection stays as long as the client takes the response at the least
        rate.
        """
        taken = [0]
        self.patch(closing, "is_on_the_way", lambda transport: True)
        self.patch(closing, "bytes_taken", lambda transport: taken[0])
        wire = self.talk(None, BAD, limits={"lingerLength": 10_000})
        for _ in range(20):
            wire.send(b"x" * 1_000)
        self.assertTrue(wire.transport.paused)
        # TLS still delivers what it has decrypted.
        protocol: Any = wire.transport.protocol
        protocol.dataReceived(b"x" * 1_000)
        self.assertTrue(wire.transport.paused)
        for _ in range(3):
            taken[0] += 100_000
            wire.settle(Limits().lingerTimeout + 1)
            self.assertFalse(wire.closed)
        wire.settle(Limits().lingerTimeout + 1)
        self.assertTrue(wire.closed)

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


class LongResponseTests(TCPBackend):
    """
    A long response that the kernel has taken at once.
    """

    async def test_notDestroyed(self) -> None:
        """
        It is not destroyed by what the client sends while it takes it, whether it is a
        file or not.
        """
        path = self.mktemp()
        content = b"x" * 1_000_000
        with open(path, "wb") as file:
            file.write(content)

        def render(request: Any) -> Any:
            request.setHeader(b"Connection", b"close")
            return File(path).render(request) if request.path == b"/file" else content

        limits = Limits(lingerLength=100_000, lingerTimeout=1)
        site = Site(Calls(render), limits=limits, fastPath=FAST_PATH)
        port = await self.listen(site)
        for target in (b"/file", b"/"):
            peer: Any = await self.connect(port)
            # Most of the response stays on the side of the server.
            peer.transport.pauseProducing()
            peer.send(get(target))
            await self.turns(20)
            peer.send(b"x" * 200_000)
            await self.turns(50)
            peer.transport.resumeProducing()
            (response,) = await peer.responses(1)
            self.assertEqual(len(content), len(response.body), target)
            peer.close()
            await eventually(lambda: self.channels[-1].gone)
