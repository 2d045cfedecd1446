"""
Servers under measure.
"""

from __future__ import annotations

import os
import shlex
import shutil

from twisted.trial.unittest import SkipTest

from tests.benchmarks.apps import payload
from tests.benchmarks.cases import CASES, find_cases
from tests.benchmarks.levels import LEVELS, MOVES, move, run
from tests.benchmarks.machine import cores
from tests.benchmarks.peers import BARE, CLIENTS, PEERS, Peer, find_peers
from tests.benchmarks.results import Book
from tests.benchmarks.sends import sends
from tests.benchmarks.servers import Server, ServerFailed, Workshop, check
from tests.benchmarks.settings import Settings
from tests.benchmarks.streams import echo, listen
from tests.benchmarks.wire import Unexpected
from tests.support.long_cases import LongTestCase

# A server that closes each connection after its answer, though it does not say so.
_CLOSING = """
import socketserver
class Once(socketserver.StreamRequestHandler):
    def handle(self):
        while self.rfile.readline().strip():
            pass
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 14\\r\\n\\r\\n")
        self.wfile.write(b"Hello, world!\\n")
socketserver.TCPServer(("127.0.0.1", {port}), Once).serve_forever()
"""


class ServerTests(LongTestCase):
    """
    Servers are started, watched and stopped.
    """

    def setUp(self) -> None:
        """
        The interpreter that runs the tests has Twisted.
        """
        super().setUp()
        self.workshop = Workshop(
            Settings(
                rounds=1,
                serverCore=cores()[0],
                clientRequests=40,
                idleConnections=3,
                listeners=5,
            )
        )
        self.addCleanup(self.workshop.close)

    def test_lifeOfAServer(self) -> None:
        """
        A server answers as the case says, has used time and memory, and is gone
        afterwards.
        """
        [case] = find_cases(["rate/browser-varied"])
        with Server(BARE, self.workshop) as server:
            check(server, case)
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
        with Server(BARE, self.workshop) as server:
            error = self.assertRaises(Unexpected, check, server, case)
        self.assertIn(f"{len(payload.HELLO)} bytes instead of 10240", str(error))

    def test_clients(self) -> None:
        """
        Each client that is installed is measured; what fails has a reason.
        """
        book = Book()
        run(book, find_cases(["client"]), CLIENTS, self.workshop)
        measured = {one["peer"]: one["median"] for one in book.results()}
        left = {peer: reason for (_, peer), reason in book.leftOut.items()}
        names = [one.name for one in CLIENTS]
        self.assertEqual(sorted([*measured, *left]), sorted(names))
        self.assertGreater(min(measured.values()), 0)
        self.assertIn("h11-agent", measured)
        for reason in left.values():
            self.assertIn("No module named", reason)

    def test_upload(self) -> None:
        """
        Both of Twisted's servers count a body that is streamed.
        """
        for one in find_peers(["h11web", "twistd-web"]):
            with Server(one, self.workshop) as server:
                for name in MOVES:
                    move(server, name, 300_000)

    def test_idleIsClosed(self) -> None:
        """
        That idle connections were closed is found out.
        """
        peer = Peer("p", "p", "", f"-c {shlex.quote(_CLOSING)}", can=frozenset())
        [case] = find_cases(["idle"])
        with Server(peer, self.workshop) as server:
            measure = LEVELS["idle"].measure
            with self.assertRaisesRegex(Unexpected, "3 of 3 idle connections"):
                measure(server, case, 0)

    def test_twistedsOwn(self) -> None:
        """
        Our server, and Twisted's, answer every case of the level C{rate}.
        """
        for peer in PEERS:
            if peer.ours not in ("h11web-logfile", "h11-foreign", "h11-proxy"):
                continue
            if peer.name.startswith("nginx") and shutil.which("nginx") is None:
                continue
            with Server(peer, self.workshop) as server:
                for case in CASES:
                    if case.level == "rate" and peer.takes(case) and not case.tls:
                        check(server, case)

    def test_sends(self) -> None:
        """
        A protocol that writes once for each request sends once.
        """
        [case] = find_cases(["rate/minimal"])
        with Server(BARE, self.workshop) as server:
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
                    figures = measured(server, case)
                    self.assertGreaterEqual(figures["value"], 0)
                    self.assertLess(figures.get("p99_microseconds", 0), 10**6)

    def test_doesNotStart(self) -> None:
        """
        A server that ends at once is an error with its last words.
        """
        peer = Peer("p", "p", "", """-c "raise SystemExit('no, thank you')" """)
        with self.assertRaisesRegex(ServerFailed, "no, thank you"):
            Server(peer, self.workshop).__enter__()
