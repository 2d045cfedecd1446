"""
Large downloads.
"""

from __future__ import annotations

import contextlib
import selectors
import statistics
import threading
import time

from tests.long.server import PIECE
from tests.support.long_cases import MIB, Client, LongTestCase, Server

GIB = 1024 * MIB


def latencies(server: Server, seconds: float) -> list[float]:
    """
    How long a normal client waits for small pages, some twenty in a second.
    """
    client = server.client()
    found = []
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        started = time.monotonic()
        client.get("/hello")
        found.append(time.monotonic() - started)
        time.sleep(0.05)
    client.close()
    return found


class SlowReaders(threading.Thread):
    """
    Connections that read at a rate, all in one thread.

    @ivar received: how many bytes each has.
    """

    def __init__(self, clients: list[Client], rate: int) -> None:
        super().__init__()
        self.clients = clients
        self.rate = rate
        self.received = [0] * len(clients)
        self.broken = 0
        self.stopping = False

    def run(self) -> None:
        """
        Ten times in a second each reads a tenth of the rate.
        """
        chooser = selectors.DefaultSelector()
        for index, client in enumerate(self.clients):
            client.socket.setblocking(False)
            chooser.register(client.socket, selectors.EVENT_READ, index)
        started = time.monotonic()
        while not self.stopping:
            allowed = self.rate * (time.monotonic() - started)
            for key, _ in chooser.select(0):
                index = key.data
                behind = int(allowed) - self.received[index]
                if behind > 0:
                    with contextlib.suppress(BlockingIOError):
                        got = len(self.clients[index].socket.recv(behind))
                        self.received[index] += got
                        if not got:
                            self.broken += 1
                            chooser.unregister(self.clients[index].socket)
            time.sleep(0.1)


class SlowDownloadTests(LongTestCase):
    """
    200 clients that read 100 kB/s each of one GiB.
    """

    count = 200
    seconds = 25

    def check(self, path: str) -> None:
        """
        All download C{path}.
        """
        server = self.server("ours", LONG_FILE=self.file(GIB))
        idle = latencies(server, 3)
        clients = [server.client(receive=65536) for _ in range(self.count)]
        for client in clients:
            client.ask(path)
        readers = SlowReaders(clients, 100_000)
        readers.start()
        try:
            time.sleep(3)
            before = server.memory()
            cpu = server.seconds()
            busy = latencies(server, self.seconds)
            grown = server.peak() - before
            cpu = (server.seconds() - cpu) / self.seconds
        finally:
            readers.stopping = True
            readers.join()
            for client in clients:
                client.close()
        rate = min(readers.received) / (self.seconds + 3)
        self.say(
            f"{path}: memory grew by {grown / MIB:.1f} MiB, {100 * cpu:.0f} % CPU, "
            f"slowest client {rate / 1000:.0f} kB/s, others waited "
            f"{1000 * statistics.median(busy):.2f} ms, at most "
            f"{1000 * max(busy):.1f} ms (idle: {1000 * statistics.median(idle):.2f}, "
            f"{1000 * max(idle):.1f})"
        )
        self.assertEqual(0, readers.broken, "a slow client was cut")
        # At most what the kernel has left of one piece, for each of them.
        self.assertLess(grown, self.count * len(PIECE) + 4 * MIB)
        self.assertGreater(rate, 80_000)
        self.assertLess(statistics.median(busy), 0.02)
        self.assertLess(max(busy), 0.5)

    def test_producer(self) -> None:
        """
        From a producer.
        """
        self.check("/large")

    def test_file(self) -> None:
        """
        From a file.
        """
        self.check("/file")


class CPUTests(LongTestCase):
    """
    Side by side with twisted.web, in turns.
    """

    rounds = 5

    def compare(self, path: str, size: int) -> float:
        """
        Download from both.

        @return: our CPU time divided by theirs, the median of the rounds.
        """
        name = self.file(size)
        servers = [self.server(kind, LONG_FILE=name) for kind in ("ours", "theirs")]
        costs: list[list[float]] = [[], []]
        for number in range(self.rounds):
            for index in (0, 1) if number % 2 else (1, 0):
                client = servers[index].client()
                before = servers[index].seconds()
                client.ask(path)
                client.drop(size)
                client.close()
                spent = servers[index].seconds() - before
                costs[index].append(max(spent, 0.005) * GIB / size)
        ratios = [our / their for our, their in zip(*costs, strict=True)]
        self.say(
            f"{path} ours {statistics.median(costs[0]):.2f} s/GiB, theirs "
            f"{statistics.median(costs[1]):.2f} s/GiB, ratio "
            f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        )
        return float(statistics.median(ratios))

    def test_file(self) -> None:
        """
        C{static.File}: ours goes by C{sendfile}.
        """
        self.assertLess(self.compare("/file", GIB), 0.8)

    def test_producer(self) -> None:
        """
        A push producer with a length, for about the same.
        """
        self.assertLess(self.compare("/large", GIB), 1.4)
