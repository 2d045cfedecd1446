"""
Large uploads.
"""

from __future__ import annotations

import statistics
import time

from tests.support.long_cases import MIB, LongTestCase

GIB = 1024 * MIB


class UploadTests(LongTestCase):
    """
    To resources that stream.
    """

    def check(self, chunked: bool) -> None:
        """
        Upload one GiB.
        """
        server = self.server()
        client = server.client()
        self.assertEqual(4 * MIB, client.upload("/stream", 4 * MIB, chunked))
        before, written, cpu = server.memory(), server.written(), server.seconds()
        started = time.monotonic()
        self.assertEqual(GIB, client.upload("/stream", GIB, chunked))
        seconds = time.monotonic() - started
        grown = server.peak() - before
        disk = server.written() - written
        client.close()
        self.say(
            f"1 GiB in {seconds:.1f} s, {server.seconds() - cpu:.2f} s of CPU, "
            f"memory grew by {grown / MIB:.1f} MiB, {disk} bytes to disk"
        )
        self.assertLess(grown, 8 * MIB)
        self.assertEqual(0, disk)

    def test_byLength(self) -> None:
        """
        One GiB by Content-Length: memory is flat and nothing goes to disk.
        """
        self.check(False)

    def test_chunked(self) -> None:
        """
        One GiB in chunks: the same.
        """
        self.check(True)

    def test_slowTaker(self) -> None:
        """
        A resource that does not take makes the client wait, and the server does
        not grow; then all of it arrives.
        """
        size = 256 * MIB
        server = self.server()
        client = server.client()
        server.get("/hello")
        before = server.memory()
        head = f"PUT /held HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n"
        client.socket.sendall(head.encode())
        client.socket.settimeout(1)
        sent = 0
        piece = b"x" * MIB
        try:
            while sent < size:
                sent += client.socket.send(piece[: size - sent])
        except TimeoutError:
            pass
        grown = server.peak() - before
        self.say(f"{sent / MIB:.1f} MiB sent, memory grew by {grown / MIB:.1f} MiB")
        self.assertLess(sent, 32 * MIB)
        self.assertLess(grown, 8 * MIB)
        server.get("/state?release=1")
        client.socket.settimeout(60)
        while sent < size:
            sent += client.socket.send(piece[: size - sent])
        self.assertEqual((200, b"%d" % (size,)), client.answer())
        self.assertLess(server.peak() - before, 8 * MIB)
        client.close()


class CPUTests(LongTestCase):
    """
    Side by side with twisted.web, in turns.
    """

    rounds = 5
    size = 256 * MIB

    def compare(self, ours: str, theirs: str, chunked: bool) -> float:
        """
        Upload to both.

        @return: our CPU time divided by theirs, the median of the rounds.
        """
        servers = [
            (self.server("ours", "maxBodyLength=null"), ours),
            (self.server("theirs"), theirs),
        ]
        clients = [server.client() for server, _ in servers]
        costs: list[list[float]] = [[], []]
        for number in range(self.rounds):
            for index in (0, 1) if number % 2 else (1, 0):
                server, path = servers[index]
                before = server.seconds()
                clients[index].upload(path, self.size, chunked)
                costs[index].append((server.seconds() - before) * GIB / self.size)
        for client in clients:
            client.close()
        ratios: list[float] = [our / their for our, their in zip(*costs, strict=True)]
        self.say(
            f"ours {ours} {statistics.median(costs[0]):.2f} s/GiB, "
            f"theirs {theirs} {statistics.median(costs[1]):.2f} s/GiB, "
            f"ratio {statistics.median(ratios):.2f} "
            f"({min(ratios):.2f} to {max(ratios):.2f})"
        )
        return float(statistics.median(ratios))

    def test_streamByLength(self) -> None:
        """
        Our streaming resource against their collected body.
        """
        self.assertLess(self.compare("/stream", "/buffered", False), 1)

    def test_streamChunked(self) -> None:
        """
        The same in chunks.
        """
        self.assertLess(self.compare("/stream", "/buffered", True), 1)

    def test_bufferedByLength(self) -> None:
        """
        Both collect, for about the same; what it costs to write to a temporary
        file differs by a third from one run to the next.
        """
        self.assertLess(self.compare("/buffered", "/buffered", False), 1.5)

    def test_bufferedChunked(self) -> None:
        """
        The same in chunks.
        """
        self.assertLess(self.compare("/buffered", "/buffered", True), 1.5)
