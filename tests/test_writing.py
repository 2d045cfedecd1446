"""
What is written to a bare socket goes to the kernel at once, as far as it takes
it, and the rest by the transport; in order, all of it, and once.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import abstract, tcp
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import NOT_DONE_YET

from tests.support.cases import FAST_PATH, GET, Calls
from tests.support.transports import SocketTestCase, TCPBackend, UNIXBackend
from twisted_h11 import _writing
from twisted_h11._writing import MOST_PIECES, write_now
from twisted_h11.server import Site


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


class WriteNowTests(SynchronousTestCase):
    """
    L{write_now}.
    """

    def left(self, takes: int | OSError, *data: bytes) -> list[bytes]:
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
        write_now(wire, list(data))
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

    def test_failure(self) -> None:
        """
        A socket that is full, or broken, is the transport's business.
        """
        for error in (BlockingIOError(), ConnectionResetError()):
            self.assertEqual([b"abc", b"def"], self.left(error, b"abc", b"def"))


class Long:
    """
    Responses that are longer than what the kernel takes.
    """

    open: Any
    assertEqual: Any
    assertTrue: Any
    patch: Any
    turns: Any

    async def body(self, *pieces: bytes) -> bytes:
        """
        Have pieces written to a client that does not read them for a while.
        """

        def render(request: Any) -> Any:
            length = sum(map(len, pieces))
            request.setHeader(b"Content-Length", b"%d" % length)
            request.channel._joining += 1
            for piece in pieces:
                request.write(piece)
            request.channel._joining -= 1
            request.finish()
            return NOT_DONE_YET

        peer = await self.open(Site(Calls(render), fastPath=FAST_PATH))
        peer.transport.pauseProducing()
        peer.send(GET)
        await self.turns(20)
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

    async def test_manyPieces(self) -> None:
        """
        Many pieces are joined before the kernel sees them.
        """
        seen: list[int] = []

        def noting(wire: Any, data: list[bytes]) -> None:
            seen.append(len(data))
            write_now(wire, data)

        self.patch(_writing, "write_now", noting)
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
