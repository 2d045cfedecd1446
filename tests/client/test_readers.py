"""
Whoever reads a body: pausing, stopping, not reading at all.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.error import ConnectionLost
from twisted.web.client import (
    ResponseDone,
    ResponseFailed,
)

from tests.support.client_cases import ClientTestCase, Reader
from tests.support.producers import OK


class ReaderTests(ClientTestCase):
    """
    Whoever reads a body.
    """

    def test_pause(self) -> None:
        """
        Nothing is delivered while the reader is paused, not even the end.
        """
        response = self.get(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        peer = self.network.peers[-1]

        class Pausing(Reader):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.pause()

        reader = Pausing()
        response.deliverBody(reader)
        self.assertEqual([b"he"], reader.pieces)
        self.assertTrue(peer.paused)
        # A transport may still deliver what it had read.
        peer.protocol.dataReceived(b"llo")
        self.assertEqual([b"he"], reader.pieces)
        # All is here: the connection is free, although the reader is not done.
        self.assertEqual("idle", peer.protocol.state.value)
        self.assertFalse(peer.paused)
        # Which pauses in vain where it has done so before.
        reader.pause()
        reader.resume()
        self.assertEqual([b"he", b"llo"], reader.pieces)
        self.assertIsNone(reader.reason)
        reader.resume()
        assert reader.reason is not None
        reader.reason.trap(ResponseDone)

    def test_stop(self) -> None:
        """
        C{stopProducing}, twice, drops the connection; the reader hears once.
        """
        response = self.get(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        reader = self.read(response)
        assert reader.transport is not None
        reader.transport.stopProducing()  # type: ignore[attr-defined]
        reader.transport.stopProducing()  # type: ignore[attr-defined]
        self.assertTrue(self.network.peers[-1].aborted)
        self.assertEqual(1, reader.ends)
        assert reader.reason is not None
        reader.reason.trap(ResponseFailed)

    def test_raises(self) -> None:
        """
        A reader that raises loses the connection, and nobody else.
        """

        class Raising(Reader):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError()

        response = self.get(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        reader = Raising()
        response.deliverBody(reader)
        self.assertTrue(self.network.peers[-1].aborted)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        assert reader.reason is not None
        reader.reason.trap(ResponseFailed)

    def test_twice(self) -> None:
        """
        A body is delivered once; the error says whether somebody has it yet.
        """
        for data, text in ((OK, "already finished"), (OK[:-1], "already has protocol")):
            response = self.get(data)
            self.read(response)
            with self.assertRaises(RuntimeError) as caught:
                self.read(response)
            self.assertIn(text, str(caught.exception))

    def test_unread(self) -> None:
        """
        A long body is not read before it is asked for, but for a bit.
        """
        deferred, peer = self.ask(readAhead=10)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n", b"x" * 20)
        peer.send(b"y" * 80)
        response = self.successResultOf(deferred)
        self.assertTrue(peer.paused)
        reader = self.read(response)
        self.clock.advance(0)
        self.assertEqual(b"x" * 20 + b"y" * 80, reader.data)
        self.assertEqual("idle", peer.protocol.state.value)

    def test_thrownAway(self) -> None:
        """
        A response that is thrown away unread takes its connection along.
        """
        deferred, peer = self.ask()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        response = self.successResultOf(deferred)
        self.assertEqual("receiving", peer.protocol.state.value)
        del response, deferred
        self.assertTrue(peer.aborted)

    def test_abort(self) -> None:
        """
        C{abort} drops the connection; afterwards it does nothing.
        """
        response = self.get(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        reader = self.read(response)
        response.abort()
        response.abort()
        self.assertEqual(1, reader.ends)
        self.assertTrue(self.network.peers[-1].aborted)
        response = self.get(OK)
        response.abort()
        self.assertEqual("idle", self.network.peers[-1].protocol.state.value)


class IterationTests(ClientTestCase):
    """
    C{async for} on a response.
    """

    def begin(self) -> Any:
        """
        A response whose body has begun.
        """
        deferred, peer = self.ask()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nab")
        return self.successResultOf(deferred), peer

    async def collect(self, response: Any, most: int = 99) -> list[bytes]:
        """
        The pieces, C{most} of them.
        """
        pieces = []
        async for piece in response:
            pieces.append(piece)
            if len(pieces) == most:
                break
        return pieces

    def test_pieces(self) -> None:
        """
        Each piece comes when it is asked for; the server waits meanwhile.
        """
        response, peer = self.begin()
        iterator = response.__aiter__()
        first = ensureDeferred(iterator.__anext__())
        self.assertEqual(b"ab", self.successResultOf(first))
        peer.send(b"cd")
        self.assertTrue(peer.paused)
        peer.send(b"ef")
        for expected in (b"cd", b"ef"):
            piece = ensureDeferred(iterator.__anext__())
            self.clock.advance(0)
            self.assertEqual(expected, self.successResultOf(piece))
        self.failureResultOf(ensureDeferred(iterator.__anext__()), StopAsyncIteration)

    def test_loop(self) -> None:
        """
        A loop reads all, and ends.
        """
        response, peer = self.begin()
        result = ensureDeferred(self.collect(response))
        peer.send(b"cd")
        peer.send(b"ef")
        self.clock.advance(0)
        self.assertEqual([b"ab", b"cd", b"ef"], self.successResultOf(result))
        self.assertEqual("idle", peer.protocol.state.value)

    def test_left(self) -> None:
        """
        A loop that is left early drops the connection.
        """
        response, peer = self.begin()
        result = ensureDeferred(self.collect(response, 1))
        self.assertEqual([b"ab"], self.successResultOf(result))
        self.assertTrue(peer.aborted)

    def test_cut(self) -> None:
        """
        A body that was cut is an exception.
        """
        response, peer = self.begin()
        result = ensureDeferred(self.collect(response))
        peer.lose(ConnectionLost())
        self.failureResultOf(result, ResponseFailed)

    def test_cancelled(self) -> None:
        """
        Cancelling the wait for a piece drops the connection.
        """
        response, peer = self.begin()
        result = ensureDeferred(self.collect(response))
        result.cancel()
        self.failureResultOf(result)
        self.assertTrue(peer.aborted)
