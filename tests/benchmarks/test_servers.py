"""
Servers under measure, and the small client that asks them.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import sys
from unittest import skipUnless

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.benchmarks import levels
from tests.benchmarks.apps import payload
from tests.benchmarks.cases import CASES, find_cases
from tests.benchmarks.machine import cores
from tests.benchmarks.peers import CLIENTS, OUR_CLIENT, PEERS, Peer, find_peers
from tests.benchmarks.results import Book
from tests.benchmarks.sends import sends
from tests.benchmarks.servers import Server, ServerFailed, Workshop
from tests.benchmarks.settings import Settings
from tests.benchmarks.streams import echo, listen
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


@skipUnless(os.path.isdir("/proc/self"), "reads /proc, as the harness does")
class ServerTests(SynchronousTestCase):
    """
    Servers are started, watched and stopped.
    """

    def setUp(self) -> None:
        """
        The interpreter that runs the tests has Twisted.
        """
        pair = cores()
        self.workshop = Workshop(sys.executable, pair[0] if pair else None)
        self.addCleanup(self.workshop.close)

    def test_lifeOfAServer(self) -> None:
        """
        A server answers as the case says, has used time and memory, and is gone
        afterwards.
        """
        [case] = find_cases(["rate/browser-varied"])
        [bare] = [peer for peer in PEERS if peer.name == "bare"]
        with Server(bare, self.workshop) as server:
            levels.check(server, case)
            self.assertGreater(server.seconds(), 0)
            self.assertGreater(server.memory("VmRSS"), 1 << 20)
            self.assertGreaterEqual(server.memory("VmHWM"), server.memory("VmRSS"))
            processes = server.processes()
        self.assertTrue(processes)
        for process in processes:
            self.assertFalse(os.path.exists(f"/proc/{process}"))

    def test_wrongAnswer(self) -> None:
        """
        A server whose answer is another is found out before it is measured.
        """
        [case] = find_cases(["rate/response-10k"])
        [bare] = [peer for peer in PEERS if peer.name == "bare"]
        with Server(bare, self.workshop) as server:
            error = self.assertRaises(Unexpected, levels.check, server, case)
        self.assertIn(f"{len(payload.HELLO)} bytes instead of 10240", str(error))

    def test_clients(self) -> None:
        """
        Each client that is installed is measured; each that is not is named.
        """
        book = Book()
        cases = find_cases(["client"])
        settings = Settings(rounds=1, clientRequests=40)
        levels.client(book, cases, [], self.workshop, settings)
        measured = {one["peer"]: one["median"] for one in book.results()}
        left = {peer: reason for _, peer, reason in book.leftOut()}
        names = [one.name for one in CLIENTS]
        self.assertEqual(sorted([*measured, *left]), sorted(names))
        self.assertGreater(min(measured.values()), 0)
        self.assertIn(OUR_CLIENT, measured)
        for reason in left.values():
            self.assertIn("missing: ", reason)

    def test_upload(self) -> None:
        """
        Both of Twisted's servers count a body that is streamed.
        """
        for one in find_peers(["h11web", "twistd-web"]):
            with Server(one, self.workshop) as server:
                for name in levels.MOVES:
                    levels.move(server, name, 300_000)

    def test_twistedsOwn(self) -> None:
        """
        Our server, and Twisted's, answer every case of the level C{rate}.
        """
        for name in ("h11web-logfile", "h11-foreign", "h11-proxy"):
            peers = [peer for peer in PEERS if name in (peer.name, peer.ours)]
            for peer in peers:
                if "twisted" not in " ".join((*peer.modules, *peer.words)):
                    continue
                if peer.name.startswith("nginx") and shutil.which("nginx") is None:
                    continue
                with Server(peer, self.workshop) as server:
                    for case in CASES:
                        if case.level == "rate" and peer.takes(case) and not case.tls:
                            levels.check(server, case)

    def test_sends(self) -> None:
        """
        A protocol that writes once for each request sends once.
        """
        [case] = find_cases(["rate/minimal"])
        [bare] = [peer for peer in PEERS if peer.name == "bare"]
        with Server(bare, self.workshop) as server:
            counted = sends(server, case)
        if counted is None:
            raise SkipTest("system calls can not be seen: strace")
        self.assertEqual(counted, 1)

    def test_streams(self) -> None:
        """
        Messages come back, and events arrive, from our server and Twisted's.
        """
        for peer in find_peers(["twistd-web-logfile"]):
            with Server(peer, self.workshop) as server:
                for level, measured in (("frames", echo), ("events", listen)):
                    [case] = find_cases([level])
                    settings = Settings(listeners=5)
                    figures = measured(server, case, settings)
                    self.assertGreaterEqual(figures["value"], 0)
                    self.assertLess(figures.get("p99_microseconds", 0), 10**6)

    def test_doesNotStart(self) -> None:
        """
        A server that ends at once is an error with its last words.
        """
        words = ("-c", "raise SystemExit('no, thank you')")
        peer = Peer("p", "p", (), "off", words)
        with self.assertRaisesRegex(ServerFailed, "no, thank you"):
            Server(peer, self.workshop).__enter__()
