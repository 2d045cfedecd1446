"""
What is written to a bare socket goes to the kernel at once, as far as it takes
it, and the rest by the transport; in order, all of it, and once.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from typing import Any

from twisted.internet import abstract, tcp
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.support.server_cases import FAST_PATH, GET, Calls
from tests.support.socket_cases import SocketTestCase, TCPBackend, UNIXBackend
from twisted_h11._wire import wire as wires
from twisted_h11._wire.sockets import (
    MOST_AT_ONCE,
    MOST_PIECES,
    MOST_PRODUCED,
    MOST_UNSENT,
    write_now,
)
from twisted_h11.server import Site

PIECE = b"x" * 65536


def temporary() -> Any:
    """
    An empty file.
    """
    return tempfile.TemporaryFile()


class Handle:
    """
    A socket that takes so many bytes.
    """

    def __init__(self, takes: int | OSError) -> None:
        self.takes = takes

    def sendmsg(self, data: list[bytes]) -> int:
        """
        Take some.
        """
        if isinstance(self.takes, OSError):
            raise self.takes
        return min(self.takes, sum(map(len, data)))

    def send(self, data: bytes) -> int:
        """
        Take some.
        """
        return self.sendmsg([data])


class WriteNowTests(SynchronousTestCase):
    """
    L{write_now}.
    """

    def left(
        self, takes: int | OSError, *data: bytes, whole: bool = True
    ) -> list[bytes]:
        """
        Write pieces to a socket that takes so many bytes.

        @return: what the transport gets to write.
        """
        wire: Any = tcp.Server.__new__(tcp.Server)
        reactor: Any = Clock()
        abstract.FileDescriptor.__init__(wire, reactor)
        wire.connected = True
        wire.getHandle = lambda: Handle(takes)
        found: list[bytes] = []
        wire.writeSequence = found.extend
        wire.writeSomeData = lambda data: min(2, len(data))
        write_now(wire, list(data), whole)
        return found

    def test_all(self) -> None:
        """
        What the kernel has taken is not written again.
        """
        self.assertEqual([], self.left(6, b"abc", b"def"))
        self.assertEqual([], self.left(3, b"abc"))

    def test_some(self) -> None:
        """
        What it has not is written by the transport.
        """
        self.assertEqual([b"c", b"def"], self.left(2, b"abc", b"def"))
        self.assertEqual([b"def"], self.left(3, b"abc", b"def"))
        self.assertEqual([b"ef"], self.left(4, b"abc", b"def"))
        self.assertEqual([b"abc"], self.left(0, b"abc"))

    def test_most(self) -> None:
        """
        No more than so much is sent at once.
        """
        long = bytes(MOST_AT_ONCE)
        self.assertEqual([b"xyz"], self.left(2 * len(long), long, b"xyz"))
        self.assertEqual([b"yz"], self.left(2 * len(long), long[1:], b"xyz"))
        left = self.left(2 * len(long), b"xyz", long, b"abc")
        self.assertEqual([3, 3], [len(piece) for piece in left])

    def test_producer(self) -> None:
        """
        Of what a producer writes no more is sent at once than a transport sends.
        """
        long = bytes(MOST_PRODUCED)
        self.assertEqual([b"xyz"], self.left(2 * len(long), long, b"xyz", whole=False))
        self.assertEqual([b"b", b"c"], self.left(1, b"ab", b"c", whole=False))

    def test_failure(self) -> None:
        """
        A socket that is full, or broken, is the transport's business.
        """
        for error in (BlockingIOError(), ConnectionResetError()):
            self.assertEqual([b"abc", b"def"], self.left(error, b"abc", b"def"))
            self.assertEqual([b"abc"], self.left(error, b"abc"))


@implementer(IPushProducer)
class Flow:
    """
    Writes pieces for as long as it may.

    @ivar left: how many it has not written.
    """

    def __init__(self, pieces: int) -> None:
        self.left = pieces

    def start(self, request: Any) -> None:
        """
        Begin.
        """
        self.request = request
        request.registerProducer(self, True)
        self.resumeProducing()

    def resumeProducing(self) -> None:
        """
        Write until there is no room.
        """
        self.paused = False
        while self.left and not self.paused:
            self.left -= 1
            self.request.write(PIECE)
        if not self.left:
            self.request.unregisterProducer()
            self.request.finish()

    def pauseProducing(self) -> None:
        """
        There is no room.
        """
        self.paused = True

    def stopProducing(self) -> None:
        """
        Nobody reads any more.
        """
        self.paused = True


class Long:
    """
    Responses that are longer than what the kernel takes.
    """

    open: Any
    assertEqual: Any
    assertTrue: Any
    patch: Any
    turns: Any

    async def unread(self, render: Callable[[Any], Any], turns: int) -> Any:
        """
        Ask for a response, and do not read it for some turns of the reactor.

        @return: the client.
        """
        peer = await self.open(Site(Calls(render), fastPath=FAST_PATH))
        peer.transport.pauseProducing()
        peer.send(GET)
        await self.turns(turns)
        return peer

    async def body(self, *pieces: bytes) -> bytes:
        """
        Have pieces written to a client that does not read them for a while.
        """

        def render(request: Any) -> Any:
            length = sum(map(len, pieces))
            request.setHeader(b"Content-Length", b"%d" % length)
            request.channel.wire.joining += 1
            for piece in pieces:
                request.write(piece)
            request.channel.wire.joining -= 1
            request.finish()
            return NOT_DONE_YET

        peer = await self.unread(render, 20)
        peer.transport.resumeProducing()
        (response,) = await peer.responses(1)
        return bytes(response.body)

    async def test_long(self) -> None:
        """
        A long one arrives whole.
        """
        data = bytes(range(251)) * 50_000
        self.assertTrue(await self.body(data) == data)

    async def test_longPieces(self) -> None:
        """
        So do several long pieces, and small ones between them.
        """
        pieces = [bytes([i]) * (300_000 if i % 3 else 5) for i in range(40)]
        self.assertTrue(await self.body(*pieces) == b"".join(pieces))

    async def test_producer(self) -> None:
        """
        For a client that does not read, the kernel takes little of what a producer
        writes; all of it arrives when the client reads.
        """
        flow = Flow(64)

        def render(request: Any) -> Any:
            flow.start(request)
            return NOT_DONE_YET

        peer = await self.unread(render, 50)
        written = (64 - flow.left) * len(PIECE)
        self.assertTrue(MOST_UNSENT // 4 < written < 4 * MOST_UNSENT, f"{written}")
        peer.transport.resumeProducing()
        (response,) = await peer.responses(1)
        self.assertEqual(64 * len(PIECE), len(response.body))

    async def test_unreadFile(self) -> None:
        """
        Of a long file the kernel gets no more than of a producer while the peer does
        not read.
        """
        length, counts, real = 64 << 20, [0], os.sendfile

        def sendfile(*args: Any) -> int:
            counts.append(real(*args))
            return counts[-1]

        self.patch(os, "sendfile", sendfile)

        def render(request: Any) -> Any:
            file = temporary()
            file.truncate(length)
            request.sendFile(file).addErrback(lambda _: None)
            request.notifyFinish().addBoth(lambda _: file.close())
            request.finish()
            return NOT_DONE_YET

        peer = await self.unread(render, 50)
        written = sum(counts)
        self.assertTrue(MOST_UNSENT // 4 < written < 4 * MOST_UNSENT, f"{written}")
        peer.abort()
        await peer.gone()

    async def test_manyPieces(self) -> None:
        """
        Many pieces are joined before the kernel sees them.
        """
        seen: list[int] = []

        def noting(wire: Any, data: list[bytes], whole: bool) -> None:
            seen.append(len(data))
            write_now(wire, data, whole)

        self.patch(wires, "write_now", noting)
        pieces = [b"x%d" % i for i in range(5000)] + [b"y" * 100_000]
        self.assertTrue(await self.body(*pieces) == b"".join(pieces))
        self.assertTrue(seen and max(seen) <= MOST_PIECES)


class TCPTests(Long, TCPBackend, SocketTestCase):
    """
    Over TCP.
    """


class UNIXTests(Long, UNIXBackend, SocketTestCase):
    """
    Over UNIX sockets.
    """
