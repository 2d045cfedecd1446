"""
How many system calls send one response: one, whoever wrote it in one turn of the
reactor, and whatever it is made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.web import server

from tests.support.server_cases import FAST_PATH, GET, Calls
from tests.support.socket_cases import (
    SocketTestCase,
    TCPBackend,
    TLSBackend,
    UNIXBackend,
)
from twisted_h11.server import Site
from twisted_h11.wsgi import WSGIResource

loop: Any = reactor

PIECES = [b"piece %d " % number for number in range(20)]


class Foreign(server.Request):
    """
    A framework's own class of requests.
    """


class Counting:
    """
    A socket that counts what sends.
    """

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.sent: list[bytes] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self.socket, name)

    def send(self, data: bytes, *args: Any) -> int:
        """
        Count, and send.
        """
        sent: int = self.socket.send(data, *args)
        self.sent.append(bytes(data[:sent]))
        return sent

    def sendmsg(self, pieces: Any, *args: Any) -> int:
        """
        Count, and send.
        """
        sent: int = self.socket.sendmsg(pieces, *args)
        self.sent.append(b"".join(pieces)[:sent])
        return sent


def later(act: Callable[[Any], object]) -> Callable[[Any], Any]:
    """
    Render by what is done in the next turn.
    """

    def render(request: Any) -> Any:
        loop.callLater(0, act, request)
        return server.NOT_DONE_YET

    return render


def whole(request: Any) -> None:
    """
    Write a response in one piece.
    """
    request.write(b"".join(PIECES))
    request.finish()


def measured(request: Any) -> None:
    """
    Write one whose length is known.
    """
    request.setHeader(b"Content-Length", b"%d" % len(b"".join(PIECES)))
    whole(request)


def pieces(request: Any) -> None:
    """
    Write one in twenty pieces.
    """
    for piece in PIECES:
        request.write(piece)
    request.finish()


def mixed(request: Any) -> None:
    """
    Write one whose transport others write to, too.
    """
    assert request.transport is not None
    pieces(request)


def at_once(request: Any) -> bytes:
    """
    Render at once.
    """
    return b"".join(PIECES)


def in_deferred(request: Any) -> Deferred[bytes]:
    """
    Render by a Deferred.
    """
    return deferLater(loop, 0, lambda: b"".join(PIECES))


async def in_coroutine(request: Any) -> bytes:
    """
    Render by a coroutine.
    """
    await deferLater(loop, 0, lambda: None)
    for piece in PIECES[:-1]:
        request.write(piece)
    return PIECES[-1]


def from_thread(request: Any) -> Any:
    """
    Render by a call from another thread.
    """
    deferToThread(loop.callFromThread, pieces, request)
    return server.NOT_DONE_YET


def application(environ: Any, startResponse: Any) -> list[bytes]:
    """
    A WSGI application that returns one piece.
    """
    startResponse("200 OK", [("Content-Type", "text/plain")])
    return [b"".join(PIECES)]


class Produced:
    """
    Pushes its pieces in one turn.
    """

    def __init__(self, request: Any) -> None:
        self.request = request
        request.registerProducer(self, True)
        loop.callLater(0, self.push)

    def push(self) -> None:
        """
        Write all.
        """
        for piece in PIECES:
            self.request.write(piece)
        self.request.unregisterProducer()
        self.request.finish()

    def pauseProducing(self) -> None:
        """
        There is always room.
        """

    resumeProducing = stopProducing = pauseProducing


def produced(request: Any) -> Any:
    """
    Render by a producer.
    """
    Produced(request)
    return server.NOT_DONE_YET


RENDERS: dict[str, Callable[[Any], Any]] = {
    "at once": at_once,
    "later": later(whole),
    "later, with its length": later(measured),
    "pieces": later(pieces),
    "beside a shown transport": later(mixed),
    "a producer": produced,
    "from a thread": from_thread,
}

# What twisted.web's own requests do not understand.
OURS: dict[str, Callable[[Any], Any]] = {
    "a Deferred": in_deferred,
    "a coroutine": in_coroutine,
}


class OneSend:
    """
    Responses over one connection, one after the other.
    """

    # How many calls a response may take.
    most = 1

    open: Any
    assertEqual: Any
    assertLessEqual: Any

    def count(self, transport: Any) -> Counting:
        """
        Count what a transport sends.
        """
        transport.socket = counting = Counting(transport.socket)
        return counting

    async def sends(self, resource: Any, **options: Any) -> list[int]:
        """
        Ask several times.

        @return: how many calls sent each response.
        """
        site = Site(resource, fastPath=FAST_PATH, **options)
        peer = await self.open(site)
        counts: list[int] = []
        counting: Any = None
        for number in range(1, 9):
            before = 0 if counting is None else len(counting.sent)
            peer.send(GET)
            response = (await peer.responses(number))[-1]
            self.assertEqual(b"".join(PIECES), response.body)
            if counting is None:
                channel: Any = next(iter(site._connections.open))
                counting = self.count(channel.wire.transport)
                continue
            counts.append(len(counting.sent) - before)
        return counts

    async def test_ours(self) -> None:
        """
        Each response of our own request leaves in one call.
        """
        for name, render in {**RENDERS, **OURS}.items():
            counts = await self.sends(Calls(render))
            self.assertLessEqual(max(counts), self.most, f"{name}: {counts}")

    async def test_foreign(self) -> None:
        """
        So does each of a framework's own request.
        """
        for name, render in RENDERS.items():
            counts = await self.sends(Calls(render), requestFactory=Foreign)
            self.assertLessEqual(max(counts), self.most, f"{name}: {counts}")

    async def test_wsgi(self) -> None:
        """
        So does one of a WSGI application.
        """
        resource: Any = WSGIResource(loop, None, application)
        counts = await self.sends(resource)
        self.assertLessEqual(max(counts), self.most, str(counts))


class TCPTests(OneSend, TCPBackend, SocketTestCase):
    """
    Over TCP.
    """


class UNIXTests(OneSend, UNIXBackend, SocketTestCase):
    """
    Over UNIX sockets.
    """


class TLSTests(OneSend, TLSBackend, SocketTestCase):
    """
    Over TLS.
    """

    def count(self, transport: Any) -> Counting:
        """
        Count what the socket below sends.
        """
        return super().count(transport.transport)
