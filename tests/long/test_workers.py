"""
Workers under load: while they are replaced, and when one is killed.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import threading
import time
from collections import Counter

from tests.long.test_worker_processes import WorkerTestCase
from tests.support.command_cases import SOON
from tests.support.long_cases import say, skip_unless_named

CONNECTIONS = 64


class Client(threading.Thread):
    """
    A client with one keep-alive connection, which sends a request again only if a
    connection that had been idle was closed without a byte of an answer.

    @ivar answered: by which process, and when, each request was answered.
    @ivar failures: what went wrong, and which process had answered before.
    @ivar most: how many requests it sends on one connection.
    """

    most: int | None = None

    def __init__(self, port: int, number: int, over: threading.Event) -> None:
        super().__init__(daemon=True)
        self.where = ("127.0.0.1", port)
        self.number = number
        self.over = over
        self.answered: list[tuple[str, int, float]] = []
        self.failures: list[tuple[str, int]] = []
        self.again = 0
        self.socket: socket.socket | None = None

    def run(self) -> None:
        """
        Ask until it is over.
        """
        count, last = 0, 0
        while not self.over.is_set():
            target = f"/{self.number}-{count}"
            try:
                last = self.ask(target)
            except (OSError, EOFError, ValueError) as error:
                self.failures.append((f"{target}: {error!r}", last))
                self.close()
                time.sleep(0.05)
            else:
                self.answered.append((target, last, time.monotonic()))
            count += 1
            if self.most is not None and count % self.most == 0:
                self.close()
            # Connections are to be idle now and then.
            time.sleep(0.002 * (self.number % 5))
        self.close()

    def close(self) -> None:
        """
        Close the connection, if there is one.
        """
        if self.socket is not None:
            self.socket.close()
            self.socket = None

    def ask(self, target: str) -> int:
        """
        One request.

        @return: the process that has answered.
        """
        request = f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        while True:
            wasIdle = self.socket is not None
            if self.socket is None:
                self.socket = socket.create_connection(self.where, SOON)
            data = b""
            try:
                self.socket.sendall(request)
                data = self.socket.recv(65536)
            except (ConnectionResetError, BrokenPipeError):
                if not wasIdle:
                    raise
            if data:
                break
            self.close()
            if not wasIdle:
                raise EOFError("closed without an answer")
            self.again += 1
        while b"\r\n\r\n" not in data or len(data) < _length(data):
            more = self.socket.recv(65536)
            if not more:
                raise EOFError("cut")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ValueError(head)
        if b"\r\nConnection: close" in head:
            self.close()
        return int(body.split()[0])


def _length(data: bytes) -> int:
    head, _, _ = data.partition(b"\r\n\r\n")
    found = re.search(rb"\r\nContent-Length: (\d+)", head)
    assert found is not None
    return len(head) + 4 + int(found[1])


class LoadTests(WorkerTestCase):
    """
    Sixty-four connections.
    """

    def setUp(self) -> None:
        """
        Skip unless it was asked for.
        """
        skip_unless_named()
        super().setUp()

    def say(self, text: str) -> None:
        """
        Print a figure.
        """
        say(self, text)

    def load(self, *arguments: str) -> list[Client]:
        """
        Start a server and its clients.
        """
        self.serve(
            *("--workers", "2", "--logfile", "access", "--log-format", "{target}"),
            *arguments,
        )
        port = self.port()
        self.wait("is ready", 2)
        self.over = threading.Event()
        clients = [Client(port, number, self.over) for number in range(CONNECTIONS)]
        for client in clients:
            client.start()
            self.addCleanup(client.join)
        self.addCleanup(self.over.set)
        time.sleep(1)
        return clients

    def finish(self, clients: list[Client]) -> Counter[str]:
        """
        End the clients and the server.

        @return: how often each request was served.
        """
        self.over.set()
        for client in clients:
            client.join()
        self.stop()
        return Counter(self.read("access").split())

    def test_replaced(self) -> None:
        """
        All workers are replaced ten times: no request fails, and none is served twice.
        """
        for idle in ("1", "0"):
            self.said.clear()
            clients = self.load("--drain-idle", idle)
            for time_ in range(1, 11):
                self.process.send_signal(signal.SIGHUP)
                self.wait("is ready", 2 + 2 * time_)
            time.sleep(1.5)
            served = self.finish(clients)
            self.assertEqual([], [x for c in clients for x in c.failures])
            answered = Counter(x[0] for c in clients for x in c.answered)
            self.assertEqual(1, max(answered.values()))
            self.assertEqual(1, max(served.values()))
            self.assertEqual(set(answered), set(served))
            pids = {x[1] for c in clients for x in c.answered}
            self.assertEqual(22, len(set(self.workers())))
            self.assertLessEqual(pids, set(self.workers()))
            again = sum(client.again for client in clients)
            self.say(
                f"--drain-idle {idle}: {len(answered)} requests to {len(pids)} "
                f"processes, {again} sent again, none failed"
            )
            os.unlink(os.path.join(self.directory, "access"))

    def test_killed(self) -> None:
        """
        One is killed: what was in flight there fails, nothing else, and another one
        serves within two seconds.
        """
        clients = self.load()
        for client in clients:
            # Else all would stay with the other one.
            client.most = 20
        killed = self.workers()[0]
        when = time.monotonic()
        os.kill(killed, signal.SIGKILL)
        self.wait("is ready", 3)
        took = time.monotonic() - when
        time.sleep(2)
        served = self.finish(clients)
        failures = [x for c in clients for x in c.failures]
        self.assertLessEqual(len(failures), CONNECTIONS)
        self.assertEqual([], [x for x in failures if x[1] not in (killed, 0)])
        first = min(
            x[2] for c in clients for x in c.answered if x[1] == self.workers()[2]
        )
        self.assertLess(max(took, first - when), 2)
        self.assertLessEqual(max(served.values()), 2)
        again = sum(client.again for client in clients)
        self.say(
            f"replaced after {took:.2f} s, served after {first - when:.2f} s; "
            f"{len(failures)} failed, {again} sent again"
        )


class MoreTests(WorkerTestCase):
    """
    What takes its time.
    """

    def setUp(self) -> None:
        """
        Skip unless it was asked for.
        """
        skip_unless_named()
        super().setUp()

    def test_late(self) -> None:
        """
        Requests that do not end are cut off when the grace is over.
        """
        self.serve("--workers", "2", "--grace", "0.3")
        where = ("127.0.0.1", self.port())
        self.wait("is ready", 2)
        client = socket.create_connection(where)
        self.addCleanup(client.close)
        client.sendall(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        # A second worker might be slower to accept than we are to stop.
        time.sleep(0.1)
        self.assertLess(self.stop(), 1.3 + 1)
        self.gone(*self.workers())

    def test_atOnce(self) -> None:
        """
        SIGQUIT ends all at once.
        """
        self.serve("--workers", "2")
        self.wait("is ready", 2)
        self.process.send_signal(signal.SIGQUIT)
        self.assertEqual(0, self.process.wait(SOON))
        self.gone(*self.workers())
        self.assertEqual([], os.listdir(self.folder))
        self.assertNotIn("twistd.pid", self.files())

    def test_maxRequests(self) -> None:
        """
        A worker that has served so many requests is replaced.
        """
        self.serve("--workers", "1", "--max-requests", "3")
        where = ("127.0.0.1", self.port())
        self.wait("is ready")
        (first,) = self.workers()
        pids = [int(self.ask(where)[0]) for _ in range(3)]
        self.assertEqual([first] * 3, pids)
        self.wait("is ready", 2)
        self.gone(first)
        self.assertEqual(self.workers()[1], int(self.ask(where)[0]))
        self.stop()

    def test_daemon(self) -> None:
        """
        A daemon has workers, too: they write to its log.
        """
        _, out, err = self.run_(
            *("--pidfile=p", "h11web", "--workers", "1"),
            *("--wsgi", "application:application", "-p", "0"),
        )
        self.assertEqual(("", ""), (out, err))
        deadline = time.monotonic() + SOON
        while "is ready" not in self.read("twistd.log"):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        pid = int(self.read("p"))
        os.kill(pid, signal.SIGTERM)
        while os.path.exists(os.path.join(self.directory, "p")):
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.02)
        self.gone(pid)
        self.assertEqual(2, self.read("twistd.log").count("Server Shut Down"))
