"""
A gigabyte through the proxy of the examples, and 200 MiB out of a thread.
"""

from __future__ import annotations

import socket
import time

from tests.support.long_cases import MIB, Client, LongTestCase

GIB = 1024 * MIB


def skip_head(client: Client) -> int:
    """
    Read the head of a response.

    @return: how much of the content came with it.
    """
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.socket.recv(4096)
    return len(data.partition(b"\r\n\r\n")[2])


class ProxyTests(LongTestCase):
    """
    Both ways, and memory that does not grow.
    """

    def setUp(self) -> None:
        """
        An origin and a proxy.
        """
        super().setUp()
        origin = self.server()
        self.proxy = self.server("proxy", LONG_ORIGIN=f"http://127.0.0.1:{origin.port}")

    def test_up(self) -> None:
        """
        One GiB to the origin, by length and in chunks.
        """
        client = self.proxy.client()
        self.assertEqual(4 * MIB, client.upload("/stream", 4 * MIB))
        for chunked in (False, True):
            before, started = self.proxy.memory(), time.monotonic()
            self.assertEqual(GIB, client.upload("/stream", GIB, chunked))
            seconds = time.monotonic() - started
            grown = self.proxy.peak() - before
            self.say(f"1 GiB up in {seconds:.1f} s, {grown / MIB:.1f} MiB more")
            self.assertLess(grown, 8 * MIB)
        client.close()

    def test_down(self) -> None:
        """
        One GiB from the origin; and the beginning of another to a client that
        stops.
        """
        self.assertEqual(b"hello", self.proxy.get("/hello"))
        client = self.proxy.client()
        before, started = self.proxy.memory(), time.monotonic()
        client.ask("/large")
        client.drop(GIB - skip_head(client))
        seconds = time.monotonic() - started
        client.ask("/large")
        time.sleep(2)
        grown = self.proxy.peak() - before
        self.say(f"1 GiB down in {seconds:.1f} s, {grown / MIB:.1f} MiB more")
        self.assertLess(grown, 8 * MIB)
        client.close()


class WSGITests(LongTestCase):
    """
    A thread at the pace of its client.
    """

    def test_slow(self) -> None:
        """
        200 MiB at 10 MB/s arrive whole, and memory does not grow.
        """
        server = self.server()
        server.get("/hello")
        client = server.client()
        before, started = server.memory(), time.monotonic()
        client.ask("/wsgi")
        left = 200 * MIB - skip_head(client)
        while left:
            left -= len(client.socket.recv(min(left, 1_000_000), socket.MSG_WAITALL))
            time.sleep(0.1)
        seconds = time.monotonic() - started
        grown = server.peak() - before
        self.say(f"200 MiB in {seconds:.1f} s, {grown / MIB:.1f} MiB more")
        self.assertLess(grown, 8 * MIB)
        client.close()
