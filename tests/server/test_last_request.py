"""
The end of a connection whose client has announced its last request.

The client sends nothing after such a request (RFC 9112 section 9.6), so a bare socket
is closed with the end of the turn that wrote the response.  Otherwise the connection
is closed in stages: see L{tests.server.test_lingering_close}.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.support.server_cases import FAST_PATH, GET, Calls, Holding, get, post
from tests.support.socket_cases import (
    Peer,
    TCPBackend,
    TLSBackend,
    UNIXBackend,
)
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Limits, Site

_END = b"Connection: close"
CLOSE = get(b"/", _END)
OLD = b"GET / HTTP/1.0\r\n\r\n"
BAD = b"GET / HTTP/1.1\r\nHost: a b\r\n"
CONNECT = b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n"


@implementer(IStreamingResource)
class Early(Holding):
    """
    Answers before the end of the body.
    """


class EndCase:
    """
    One connection at a time, with lingering that does not end by itself.
    """

    open: Any
    watched: Any
    turns: Any
    clock: Any
    assertEqual: Any
    assertTrue: Any
    assertFalse: Any
    assertIn: Any
    flushLoggedErrors: Any

    async def served(self, resource: Any, **limits: Any) -> tuple[Site, Peer]:
        """
        A site with one client.
        """
        limits = {"lingerTimeout": 50, **limits}
        site = Site(resource, limits=Limits(**limits), fastPath=FAST_PATH)
        peer: Peer = await self.open(self.watched(site))
        return site, peer

    async def isKept(self, site: Site, peer: Peer) -> bool:
        """
        Wait for the end of the responses.

        @return: whether the server still has the connection.
        """
        await peer.end()
        await self.turns(3)
        return site.connectionCount > 0


class Announced(EndCase):
    """
    Whether the connection is closed within the turn, over bare sockets.
    """

    async def test_within(self) -> None:
        """
        The connection is closed in the turn of its last response, however that was
        made and whenever it came.
        """

        def later(request: Any) -> Any:
            def write(left: int) -> None:
                if left:
                    request.write(b"x" * 100)
                    self.clock.callLater(0, write, left - 1)
                else:
                    request.finish()

            self.clock.callLater(0, write, 3)
            return NOT_DONE_YET

        def empty(request: Any) -> bytes:
            request.setResponseCode(204)
            return b""

        def whole(request: Any) -> bytes:
            return b"x" * 100

        def long(request: Any) -> bytes:
            return b"x" * 70_000

        chunked = post(b"", _END, b"Transfer-Encoding: chunked").replace(
            b"Content-Length: 0\r\n", b""
        )
        head = get(b"/", _END, method=b"HEAD")
        for render in (whole, empty, later, long):
            for request in (CLOSE, OLD, post(b"abc", _END), head, GET + CLOSE):
                site, peer = await self.served(Calls(render))
                peer.methods = [b"HEAD" if request is head else b"GET"]
                peer.send(request)
                kept = await self.isKept(site, peer)
                responses = peer.read()
                self.assertEqual((False, True), (kept, responses[-1].complete), request)
                self.assertIn(responses[-1].status, (200, 204))
        site, peer = await self.served(Calls(whole))
        peer.send(chunked + b"3\r\nabc\r\n0\r\n\r\n")
        self.assertFalse(await self.isKept(site, peer))

    async def test_stages(self) -> None:
        """
        It is closed in stages if the client may send more: it did not announce the end,
        has sent more already, or its body was not read.
        """

        def small(request: Any) -> bytes:
            return b"ok"

        rows: list[tuple[str, bytes, dict[str, Any]]] = [
            ("more requests than allowed", GET, {"maxRequestsPerConnection": 1}),
            ("an empty line behind the body", post(b"abc", _END) + b"\r\n", {}),
            ("a request behind the last", CLOSE + GET, {}),
            ("refused", BAD + _END + b"\r\n\r\n", {}),
            ("CONNECT", CONNECT + _END + b"\r\n\r\n", {}),
        ]
        for name, request, limits in rows:
            site, peer = await self.served(Calls(small), **limits)
            peer.send(request)
            self.assertTrue(await self.isKept(site, peer), name)
            self.assertEqual(1, len(peer.read()), name)
            peer.close()
            await peer.gone()
            await self.turns(3)
            self.assertEqual(0, site.connectionCount, name)

    async def test_unreadBody(self) -> None:
        """
        A response before the end of the body does not end the request.
        """
        resource = Early()
        site, peer = await self.served(resource)
        peer.send(post(b"abc", _END)[:-1])
        while not resource.requests:
            await self.turns(1)
        resource.answer()
        self.assertTrue(await self.isKept(site, peer))

    async def test_sendsMore(self) -> None:
        """
        Bytes that have come meanwhile, read or not, are dropped in stages, so no reset
        destroys the response.
        """
        for late in (False, True):
            peers: list[Peer] = []

            def more(peers: list[Peer] = peers) -> bytes:
                handle: socket.socket = peers[0].transport.getHandle()
                handle.send(b"\r\n")
                return b"x" * 50_000

            def render(request: Any, late: bool = late, more: Any = more) -> Any:
                if not late:
                    return more()

                def answer() -> None:
                    request.write(more())
                    request.finish()

                self.clock.callLater(0, answer)
                return NOT_DONE_YET

            site, peer = await self.served(Calls(render))
            peers.append(peer)
            peer.send(CLOSE)
            self.assertTrue(await self.isKept(site, peer))
            (response,) = peer.read()
            self.assertEqual(50_000, len(response.body))

    async def test_brokenBefore(self) -> None:
        """
        A socket that has an error at the end of the turn is left to the reactor.
        """

        class Broken:
            def __init__(self, handle: socket.socket) -> None:
                self._handle = handle

            def __getattr__(self, name: str) -> Any:
                return getattr(self._handle, name)

            def recv(self, *_: object) -> bytes:
                raise ConnectionResetError

        holding = Holding()
        site, peer = await self.served(holding)
        peer.send(CLOSE)
        while not holding.requests:
            await self.turns(1)
        transport = holding.requests[0].channel.wire.transport
        handle = Broken(transport.getHandle())
        transport.getHandle = lambda: handle
        holding.answer(b"x")
        self.assertTrue(await self.isKept(site, peer))
        (response,) = peer.read()
        self.assertEqual(b"x", response.body)

    async def test_lostBefore(self) -> None:
        """
        A connection that is lost, or aborted, before the turn ends is lost once.
        """
        for end in ("abortConnection", "loseConnection"):
            holding = Holding()
            site, peer = await self.served(holding)
            peer.send(CLOSE)
            while not holding.requests:
                await self.turns(1)
            channel = holding.requests[0].channel
            holding.answer(b"x")
            getattr(channel, end)()
            self.assertFalse(await self.isKept(site, peer))
        self.assertEqual([], self.flushLoggedErrors())

    async def test_full(self) -> None:
        """
        A client that does not read gets a long response whole before the end.
        """
        site, peer = await self.served(Calls(lambda request: b"x" * 20_000_000))
        peer.transport.pauseProducing()
        peer.send(CLOSE)
        await self.turns(50)
        self.assertEqual(1, site.connectionCount)
        peer.transport.resumeProducing()
        await peer.end()
        (response,) = peer.read()
        self.assertEqual((True, 20_000_000), (response.complete, len(response.body)))


class TCPTests(Announced, TCPBackend):
    """
    Over TCP.
    """


class UNIXTests(Announced, UNIXBackend):
    """
    Over a UNIX socket.
    """


class TLSTests(EndCase, TLSBackend):
    """
    TLS has stages of its own.
    """

    async def test_closeNotify(self) -> None:
        """
        The connection ends with close_notify.
        """
        _, peer = await self.served(Calls(lambda request: b"x"))
        peer.send(CLOSE)
        await peer.gone()
        (response,) = peer.read()
        self.assertEqual(b"x", response.body)
