"""
Whoever reads a body: pausing, stopping, not reading at all.
"""

from __future__ import annotations

from twisted.web.client import (
    ResponseDone,
    ResponseFailed,
)

from tests.client_support.bodies import OK
from tests.client_support.memory import ClientTestCase, Reader


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
        self.assertEqual("idle", peer.protocol.state)
        self.assertFalse(peer.paused)
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
        A body is delivered once.
        """
        response = self.get(OK)
        self.read(response)
        with self.assertRaises(RuntimeError):
            self.read(response)

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
        self.assertEqual("idle", peer.protocol.state)

    def test_thrownAway(self) -> None:
        """
        A response that is thrown away unread takes its connection along.
        """
        deferred, peer = self.ask()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
        response = self.successResultOf(deferred)
        self.assertEqual("receiving", peer.protocol.state)
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
        self.assertEqual("idle", self.network.peers[-1].protocol.state)
