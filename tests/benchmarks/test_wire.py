"""
The small client that asks servers under measure.
"""

from __future__ import annotations

import io
import socket

from twisted.trial.unittest import SynchronousTestCase

from tests.benchmarks.wire import Connection, Unexpected, read_answer


class WireTests(SynchronousTestCase):
    """
    The small client reads answers.
    """

    def test_answers(self) -> None:
        """
        A body ends where Content-Length says, or after the last chunk, and the next
        answer follows.
        """
        came = io.BytesIO(
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nab"
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
        )
        found = [read_answer(came) for _ in range(3)]
        self.assertEqual(found, [b"ab", b"abc0123456789", b""])

    def test_unexpected(self) -> None:
        """
        Any other status than 200 is unexpected, and so is an answer of no known length
        or one that is cut.
        """
        for came, reason in (
            (b"HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", "404"),
            (b"HTTP/1.1 200 OK\r\n\r\nabc", "neither"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", "closed"),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n", "closed"),
            (b"HTTP/1.1 200", "closed"),
        ):
            with self.assertRaisesRegex(Unexpected, reason):
                read_answer(io.BytesIO(came))

    def test_skim(self) -> None:
        """
        An answer that is not kept is counted, and must be whole.
        """
        with socket.create_server(("127.0.0.1", 0)) as listening:
            client = Connection(listening.getsockname()[1])
            self.addCleanup(client.close)
            accepted, _ = listening.accept()
        with accepted:
            accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc" * 2)
            accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        self.assertEqual([client.skim(), client.skim()], [3, 3])
        self.assertRaises(Unexpected, client.skim)
