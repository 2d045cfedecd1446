"""
The small client that asks servers under measure.
"""

from __future__ import annotations

import socket
import struct

from twisted.trial.unittest import SynchronousTestCase

from tests.benchmarks.wire import Connection, Unexpected


class WireTests(SynchronousTestCase):
    """
    The small client reads answers.
    """

    def connected(self, answer: bytes) -> Connection:
        """
        A client to whom the answer was sent, and nothing more comes.
        """
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = Connection(listening.getsockname()[1])
            self.addCleanup(client.close)
            accepted, _ = listening.accept()
        with accepted:
            accepted.sendall(answer)
        return client

    def test_length(self) -> None:
        """
        A body ends where Content-Length says, and the next answer follows.
        """
        client = self.connected(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab" * 2)
        self.assertEqual([client.answer(), client.answer()], [b"ab", b"ab"])

    def test_chunked(self) -> None:
        """
        A chunked body is put together.
        """
        client = self.connected(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"
        )
        self.assertEqual(client.answer(), b"abc0123456789")

    def test_status(self) -> None:
        """
        Any other status than 200 is unexpected.
        """
        client = self.connected(b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n")
        with self.assertRaisesRegex(Unexpected, "404"):
            client.answer()

    def test_cut(self) -> None:
        """
        An answer that is cut is unexpected, kept or not.
        """
        cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"
        self.assertRaises(Unexpected, self.connected(cut).answer)
        self.assertRaises(Unexpected, self.connected(cut).skim)

    def test_isOpen(self) -> None:
        """
        A connection that the server closed is not open.
        """
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = Connection(listening.getsockname()[1])
            self.addCleanup(client.close)
            accepted, _ = listening.accept()
        with accepted:
            self.assertTrue(client.isOpen())
        self.assertFalse(client.isOpen())

    def test_isReset(self) -> None:
        """
        A connection that the server reset is not open.
        """
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = Connection(listening.getsockname()[1])
            self.addCleanup(client.close)
            accepted, _ = listening.accept()
        # Closing without waiting for what was sent is a reset.
        linger = struct.pack("ii", 1, 0)
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        accepted.close()
        self.assertFalse(client.isOpen())
