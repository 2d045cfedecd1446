"""
What a site counts.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from typing import Any

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import server
from twisted.web.resource import Resource

import twisted_h11
from tests.support.memory import SecureMemoryTransport
from tests.support.server_cases import GET, Holding, ServerTestCase, get, post
from tests.support.socket_cases import Peer, SocketTestCase, TLSBackend
from twisted_h11._metrics.numbers import (
    DURATIONS,
    PLACES,
    SIZES,
    STATES,
    Numbers,
    total,
)
from twisted_h11._metrics.prometheus import exposition
from twisted_h11._metrics.shared import Shared
from twisted_h11._server.states import Phase
from twisted_h11.metrics import Metrics
from twisted_h11.server import Site

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]

CHILD = """
import os, signal, sys
from twisted_h11._metrics.shared import Shared
numbers = Shared(sys.argv[1]).begin()
for _ in range(int(sys.argv[2])):
    numbers.connected()
numbers.now(["new", "idle"], 1)
print("ready", flush=True)
sys.stdin.read()
"""


def parsed(metrics: Metrics) -> Samples:
    """
    What Prometheus reads.
    """
    _, text = exposition(*metrics.totals())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode("utf-8"))
        for sample in family.samples
    }


class SiteTests(ServerTestCase):
    """
    A site that counts.
    """

    def counting(self, resource: Any = None, **options: Any) -> tuple[Any, Metrics]:
        """
        A site, and its metrics.
        """
        metrics = Metrics()
        return self.site(resource, metrics=metrics, **options), metrics

    def number(self, metrics: Metrics, name: str, **labels: str) -> float:
        """
        One number.
        """
        key = ("twisted_h11_" + name, tuple(sorted(labels.items())))
        return parsed(metrics)[key]

    def test_requests(self) -> None:
        """
        Each response counts once, by method and class of its status.
        """

        def render(request: Any) -> bytes:
            request.setResponseCode(int(request.path[1:]))
            return b""

        site, metrics = self.counting(render)
        wire = self.connect(site)
        asked = (
            (b"GET", 200, "2xx"),
            (b"GET", 204, "2xx"),
            (b"POST", 303, "3xx"),
            (b"DELETE", 404, "4xx"),
            (b"PATCH", 500, "5xx"),
            (b"BREW", 418, "4xx"),
        )
        for method, status, _ in asked:
            fields = [b"Content-Length: 0"]
            wire.send(get(b"/%d" % status, *fields, method=method))
        known = parsed(metrics)
        counted = {
            key[1]: value
            for key, value in known.items()
            if key[0] == "twisted_h11_requests_total" and value
        }
        self.assertEqual(sum(counted.values()), len(asked))
        for method, _, kind in asked:
            name = method.decode() if method != b"BREW" else "other"
            labels = (("method", name), ("status", kind))
            self.assertIn(labels, counted)

    def test_foreign(self) -> None:
        """
        So does one of a framework's own request.
        """

        class Own(server.Request):
            pass

        site, metrics = self.counting(requestFactory=Own)
        self.connect(site).send(GET * 3)
        labels = {"method": "GET", "status": "2xx"}
        self.assertEqual(self.number(metrics, "requests_total", **labels), 3)
        self.assertEqual(self.number(metrics, "request_duration_seconds_count"), 3)

    def test_durations(self) -> None:
        """
        The time from the head of a request to the end of its response.
        """
        holding = Holding()
        site, metrics = self.counting(holding)
        wire = self.connect(site).send(GET)
        wire.advance(0.2)
        holding.answer()
        known = parsed(metrics)
        name = "twisted_h11_request_duration_seconds"
        self.assertEqual(known[name + "_bucket", (("le", "0.1"),)], 0)
        self.assertEqual(known[name + "_bucket", (("le", "0.25"),)], 1)
        self.assertEqual(known[name + "_bucket", (("le", "+Inf"),)], 1)
        self.assertAlmostEqual(known[name + "_sum", ()], 0.2)
        self.assertEqual(metrics.slowest()[0]["target"], "/")

    def test_sizes(self) -> None:
        """
        The lengths of what was received and sent.
        """
        site, metrics = self.counting(lambda request: b"x" * 5000)
        self.connect(site).send(post(b"y" * 300))
        self.assertEqual(self.number(metrics, "response_size_bytes_sum"), 5000)
        self.assertEqual(self.number(metrics, "request_size_bytes_sum"), 300)
        self.assertEqual(
            self.number(metrics, "request_size_bytes_bucket", le="1000"), 1
        )

    def test_states(self) -> None:
        """
        Connections by what they do now.
        """
        holding = Holding()
        site, metrics = self.counting(holding)
        self.connect(site)
        self.connect(site).send(GET)
        self.connect(site).send(b"GET / HT")
        self.connect(site).send(post(b"half of it")[:-5])
        states = {
            state: self.number(metrics, "connections", state=state) for state in STATES
        }
        expected = {"new": 1, "head": 1, "body": 1, "response": 1}
        self.assertEqual(states, {**dict.fromkeys(states, 0), **expected})
        self.assertEqual(self.number(metrics, "connections_accepted_total"), 4)
        holding.answer()

    def test_refused(self) -> None:
        """
        What was refused counts by its status, and once.
        """
        site, metrics = self.counting()
        self.connect(site).send(b"nonsense\r\n\r\n")
        self.connect(site).send(get(b"/" + b"x" * 20_000))
        self.assertEqual(self.number(metrics, "refused_total", status="400"), 1)
        self.assertEqual(self.number(metrics, "refused_total", status="414"), 1)
        labels = {"method": "other", "status": "4xx"}
        self.assertEqual(self.number(metrics, "requests_total", **labels), 2)

    def test_timeouts(self) -> None:
        """
        So does what has taken too long, by what was waited for.
        """
        site, metrics = self.counting()
        self.connect(site).send(b"GET / HT").advance(1000)
        self.connect(site).send(GET).advance(1000)
        body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\nx"
        self.connect(site).send(body).advance(1000)
        for wait in ("head", "idle", "body"):
            self.assertEqual(self.number(metrics, "timeouts_total", wait=wait), 1, wait)

    def test_notTaken(self) -> None:
        """
        So does a response that its client does not take, whether or not the connection
        would stay.
        """
        body = b"x" * 300_000
        for request in (GET, get(b"/", b"Connection: close")):
            site, metrics = self.counting(lambda request: body)
            wire = self.connect(site).stall().send(request)
            self.assertEqual(0, self.number(metrics, "timeouts_total", wait="response"))
            wire.advance(1000)
            self.assertTrue(wire.closed)
            self.assertEqual(1, self.number(metrics, "timeouts_total", wait="response"))

    def test_noTimeout(self) -> None:
        """
        What is looked at now and then and is in order has not taken too long.
        """
        site, metrics = self.counting(limits={"minBodyRate": 1, "rateWindow": 10})
        body = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n"
        wire = self.connect(site).send(body, b"x" * 100).advance(11)
        self.assertEqual([], wire.statuses)
        self.assertEqual(0, self.number(metrics, "timeouts_total", wait="body"))

    def test_handshake(self) -> None:
        """
        A handshake that does not end has failed, and has taken too long.
        """
        site, metrics = self.counting(limits={"handshakeTimeout": 5})
        self.connect(site, SecureMemoryTransport()).advance(6)
        self.assertEqual(self.number(metrics, "timeouts_total", wait="handshake"), 1)
        name = "tls_handshakes_total"
        self.assertEqual(self.number(metrics, name, result="failed"), 1)

    def test_raises(self) -> None:
        """
        Numbers that can not be taken are logged, and the request is answered.
        """
        site, metrics = self.counting(start=True)

        def ended(*args: object) -> None:
            raise ZeroDivisionError

        self.patch(metrics, "ended", ended)
        wire = self.connect(site).send(GET, GET)
        self.assertEqual([200, 200], wire.statuses)
        self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual(2, site.access.getvalue().count("\n"))

    def test_hostile(self) -> None:
        """
        What a request says is shown as text, and cut.
        """
        site, metrics = self.counting()
        metrics.isWatched = True
        self.connect(site).send(get(b"/" + b"x" * 1000))
        self.connect(site).send(get(b"/%3Cscript%3E"))
        self.connect(site).send(b"GET /\xff\xfe HTTP/1.1\r\nHost: a\r\n\r\n")
        for row in metrics.newest():
            self.assertLessEqual(len(row["target"]), 201)
            self.assertTrue(row["target"].isprintable(), row)
        for _ in range(100):
            self.connect(site).send(GET)
        self.assertEqual(len(metrics.newest()), 20)
        self.assertEqual(len(metrics.slowest()), 20)

    def test_text(self) -> None:
        """
        What an application has put into the place of the target may be text.
        """

        def render(request: Any) -> bytes:
            request.uri = "/rewritten"
            return b""

        site, metrics = self.counting(render)
        metrics.isWatched = True
        self.connect(site).send(GET)
        self.assertEqual([row["target"] for row in metrics.newest()], ["/rewritten"])


class TLSTests(TLSBackend, SocketTestCase):
    """
    Handshakes, also where HTTP/2 is offered.
    """

    async def test_handshakes(self) -> None:
        """
        Each connection and each handshake counts once, whether it was good or not.
        """
        for http2 in (False, True):
            metrics = Metrics()
            site = Site(Resource(), accessLog=False, metrics=metrics, http2=http2)
            port = await self.listen(site)
            peer = await self.connect(port)
            peer.send(GET)
            await peer.responses(1)
            peer.abort()
            plain = TCP4ClientEndpoint(self.clock, "127.0.0.1", port.getHost().port)
            bad = self.keep(await connectProtocol(plain, Peer()))
            bad.send(b"this is no TLS\r\n\r\n")
            await self.turns(20)
            bad.abort()
            for _ in range(1000):
                if not site._connections.open:
                    break
                await self.turns(1)
            known = parsed(metrics)
            for name, labels, value in (
                ("connections_accepted_total", (), 2),
                ("tls_handshakes_total", (("result", "ok"),), 1),
                ("tls_handshakes_total", (("result", "failed"),), 1),
            ):
                self.assertEqual(known["twisted_h11_" + name, labels], value, http2)


class NumbersTests(SynchronousTestCase):
    """
    Numbers in memory and in files.
    """

    def test_places(self) -> None:
        """
        Each number has a place of its own.
        """
        self.assertEqual(sorted(PLACES.values()), list(range(len(PLACES))))

    def test_buckets(self) -> None:
        """
        A bucket has what is not above its bound.
        """

        class Ended:
            code, method, sentLength = 200, b"GET", 0

        for key, bounds in (("duration", DURATIONS), ("sent", SIZES)):
            for n, bound in enumerate(bounds):
                numbers = Numbers()
                request = Ended()
                if key == "sent":
                    request.sentLength = int(bound)
                numbers.ended(request, bound if key == "duration" else None, 0)
                self.assertEqual(numbers.view[PLACES[f"{key} {n}"]], 1)

    def test_setClock(self) -> None:
        """
        When the clock is set while a request runs, the sum neither falls nor overflows.
        """

        class Ended:
            method = b"GET"
            code = 200
            sentLength = 0

        numbers = Shared(self.directory()).begin()
        sums = [0]
        for seconds in (1.0, -3600.0, *[60 * 365 * 86400.0] * 20):
            numbers.ended(Ended(), seconds, None)
            sums.append(numbers.view[PLACES["duration sum"]])
        self.assertEqual(sorted(sums), sums)
        self.assertEqual(22, numbers.view[PLACES["requests GET 2xx"]])

    def directory(self) -> str:
        """
        A new one.
        """
        path: str = self.mktemp()
        os.mkdir(path)
        return path

    def child(self, directory: str, count: int) -> subprocess.Popen[str]:
        """
        A process that has counted.
        """
        project = os.path.dirname(os.path.dirname(twisted_h11.__file__))
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, os.path.abspath(directory), str(count)],
            env={**os.environ, "PYTHONPATH": project},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        assert process.stdout is not None
        self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def test_states(self) -> None:
        """
        The states are those that a connection can be in.
        """
        self.assertEqual(set(STATES), {phase.name.lower() for phase in Phase})

    def test_processes(self) -> None:
        """
        What several processes have counted is one number, also when one of them was
        killed; what was true of it is true no more.
        """
        directory = self.directory()
        shared = Shared(directory)
        mine = shared.begin()
        mine.connected()
        first, _ = self.child(directory, 10), self.child(directory, 100)
        place, states = (
            PLACES["connections"],
            [PLACES[f"state {name}"] for name in STATES],
        )
        numbers, processes = shared.total()
        self.assertEqual((numbers[place], processes), (111, 3))
        self.assertEqual(sum(numbers[state] for state in states), 4)
        first.kill()
        first.wait()
        for _ in range(3):
            numbers, processes = shared.total()
            self.assertEqual((numbers[place], processes), (111, 2))
            self.assertEqual(sum(numbers[state] for state in states), 2)
        self.assertEqual(numbers[PLACES["log lines dropped"]], 2)
        mine.connected()
        self.assertEqual(shared.total()[0][place], 112)
        self.assertEqual(
            sorted(name for name in os.listdir(directory) if not name.isdecimal()),
            ["gone", "lock"],
        )

    def test_directory(self) -> None:
        """
        Metrics with a directory tell what all its processes have counted.
        """
        directory = self.directory()
        metrics = Metrics(directory)
        self.child(directory, 10)
        metrics.connected()
        numbers, processes = metrics.totals()
        self.assertEqual((numbers[PLACES["connections"]], processes), (11, 2))

    def test_others(self) -> None:
        """
        A process of another user, which may not be asked, is there; one that has just
        begun its file has counted nothing.
        """
        directory = self.directory()
        shared = Shared(directory)
        mine = shared.begin()
        mine.connected()
        for name, begun in (("1", b""), ("2", bytes(5))):
            with open(os.path.join(directory, name), "wb") as file:
                file.write(begun)

        def kill(pid: int, number: int) -> None:
            raise PermissionError(pid)

        self.patch(os, "kill", kill)
        numbers, processes = shared.total()
        self.assertEqual((numbers[PLACES["connections"]], processes), (1, 3))

    def test_fullDisk(self) -> None:
        """
        The file has its place on the disk before numbers are written to memory, which
        would end the process if the disk were full then.
        """
        directory = self.directory()
        Shared(directory).begin()
        status = os.stat(os.path.join(directory, str(os.getpid())))
        self.assertGreaterEqual(status.st_blocks * 512, status.st_size)
        self.assertGreater(status.st_size, 0)

    def test_removed(self) -> None:
        """
        If somebody empties the directory for temporary files, the file is made again,
        and nothing that a living process has counted is lost.
        """
        directory = self.directory()
        metrics = Metrics(directory)
        metrics.connected()
        shutil.rmtree(directory)
        metrics.refresh()
        self.assertEqual(0o700, stat.S_IMODE(os.stat(directory).st_mode))
        self.child(directory, 10)
        shutil.rmtree(directory)
        metrics.connected()
        numbers, processes = metrics.totals()
        self.assertEqual((numbers[PLACES["connections"]], processes), (2, 1))
        metrics.connected()
        self.assertEqual(Shared(directory).total()[0][PLACES["connections"]], 3)

    def test_notShared(self) -> None:
        """
        While there can be no directory, a process tells what it has counted itself, and
        says so in the log, once.
        """
        events: list[Any] = []
        observer: Any = events.append
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        directory = self.directory()
        metrics = Metrics(directory)
        shutil.rmtree(directory)
        open(directory, "w").close()
        for count in range(1, 4):
            metrics.connected()
            metrics.refresh()
            numbers, processes = metrics.totals()
            self.assertEqual((numbers[PLACES["connections"]], processes), (count, 1))
        lines = [str(formatEvent(event)) for event in events]
        (line,) = [line for line in lines if "only those of this one are shown" in line]
        self.assertIn("Not a directory", line)
        os.unlink(directory)
        self.assertEqual(metrics.totals()[0][PLACES["connections"]], 3)
        self.assertTrue(os.path.isdir(directory))

    def test_startsOnFullDisk(self) -> None:
        """
        A process that can not make its file on a full disk serves all the same, and
        makes it when there is room.
        """
        directory = self.directory()

        def fails(*args: Any) -> None:
            raise OSError(28, "No space left on device")

        patch = self.patch(os, "write", fails)
        metrics = Metrics(directory)
        metrics.connected()
        self.assertEqual(1, metrics.totals()[0][PLACES["connections"]])
        self.assertEqual(["lock"], os.listdir(directory))
        patch.restore()
        metrics.connected()
        metrics.refresh()
        self.assertEqual(2, Shared(directory).total()[0][PLACES["connections"]])

    def test_diskFills(self) -> None:
        """
        If what a killed process has counted can not be added up, on a full disk, it is
        counted as it is.
        """
        directory = self.directory()
        shared = Shared(directory)
        shared.begin().connected()
        first = self.child(directory, 10)
        first.kill()
        first.wait()

        def fails(*args: Any) -> None:
            raise OSError(28, "No space left on device")

        place, idle = PLACES["connections"], PLACES["state idle"]
        patch = self.patch(os, "replace", fails)
        for _ in range(2):
            numbers, processes = shared.total()
            self.assertEqual((numbers[place], numbers[idle], processes), (11, 0, 1))
        patch.restore()
        self.assertEqual(shared.total()[0][place], 11)
        self.assertNotIn(str(first.pid), os.listdir(directory))

    def test_sameID(self) -> None:
        """
        A process with the id of an earlier one adds to what that has counted.
        """
        directory = self.directory()
        for _ in range(3):
            numbers = Shared(directory).begin()
            numbers.connected()
        self.assertEqual(Shared(directory).total()[0][PLACES["connections"]], 3)

    def test_total(self) -> None:
        """
        Numbers of nobody are none.
        """
        self.assertEqual(set(total([])), {0})
