"""
C{twistd h11web --workers}, as processes.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import tempfile
import threading
import time
from http.client import HTTPConnection
from typing import Any

from tests.support.command_cases import SOON, CommandTestCase
from tests.support.long_cases import unnamed
from tests.support.socket_cases import certificate

skip = unnamed()

APPLICATION = """
import os
import time


def application(environ, start):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(1000)
    body = f"{os.getpid()} {os.environ.get('H11WEB_WORKER')}".encode()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

BROKEN = """
import os

if "H11WEB_WORKER" in os.environ:
    raise RuntimeError("not here")
application = len
"""


class WorkerTestCase(CommandTestCase):
    """
    Runs a server with workers.
    """

    def setUp(self) -> None:
        """
        An application, and a short folder for sockets.
        """
        super().setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)
        self.environment["TMPDIR"] = self.folder
        with open(os.path.join(self.directory, "application.py"), "w") as file:
            file.write(APPLICATION)
        self.said: list[str] = []
        self.heard = threading.Condition()

    def serve(self, *arguments: str, twistd: tuple[str, ...] = ()) -> Any:
        """
        Start it, and read what it says.
        """
        if not any("--listen" in word or "--https" in word for word in arguments):
            arguments = ("-p", "0", "--interface", "127.0.0.1", *arguments)
        self.process = process = self.popen(
            *("-n", *twistd, "h11web", "--wsgi", "application:application"),
            *arguments,
        )
        reader = threading.Thread(target=self.listen, args=(process.stdout,))
        reader.start()
        self.addCleanup(reader.join)
        self.addCleanup(self.end)
        return process

    def listen(self, stream: Any) -> None:
        """
        Take what is said, in a thread.
        """
        for line in stream:
            with self.heard:
                self.said.append(line)
                self.heard.notify_all()

    def wait(self, word: str, count: int = 1) -> str:
        """
        Wait until something was said so often.
        """
        with self.heard:
            found = self.heard.wait_for(
                lambda: len([line for line in self.said if word in line]) >= count,
                SOON,
            )
            if not found:
                raise self.failureException(f"no {word!r} in {''.join(self.said)}")
            return [line for line in self.said if word in line][count - 1]

    def end(self) -> None:
        """
        End it, whatever it does.
        """
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(SOON)

    def stop(self) -> float:
        """
        Stop it in good order.

        @return: how long that takes.
        """
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(SOON)
        took = time.monotonic() - begun
        self.assertEqual(0, self.process.returncode, "".join(self.said))
        self.assertEqual([], os.listdir(self.folder))
        self.assertNotIn("twistd.pid", self.files())
        return took

    def port(self) -> int:
        """
        Where it listens, when it does.
        """
        found = re.search(r"127\.0\.0\.1:([1-9]\d*)/", self.wait("Listening on http"))
        assert found is not None
        return int(found[1])

    def ask(self, where: Any, path: str = "/") -> list[str]:
        """
        One request.

        @return: the process and the number of the worker that has answered it.
        """
        connection = HTTPConnection("localhost", timeout=SOON)
        family = socket.AF_UNIX if isinstance(where, str) else socket.AF_INET
        connection.sock = socket.socket(family)
        connection.sock.settimeout(SOON)
        connection.sock.connect(where)
        connection.request("GET", path, headers={"Connection": "close"})
        answer = connection.getresponse().read().decode().split()
        connection.close()
        return answer

    def workers(self) -> list[int]:
        """
        The processes that have become ready, in order.
        """
        with self.heard:
            text = "".join(self.said)
        return [int(pid) for pid in re.findall(r"\(process (\d+)\) is ready", text)]

    def gone(self, *pids: int) -> None:
        """
        Wait until processes are gone.
        """
        deadline = time.monotonic() + SOON
        for pid in pids:
            while os.path.exists(f"/proc/{pid}") or _runs(pid):
                if time.monotonic() > deadline:
                    raise self.failureException(f"process {pid} is still there")
                time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class WorkerTests(WorkerTestCase):
    """
    What becomes of the workers.
    """

    def test_life(self) -> None:
        """
        Two processes serve; SIGHUP replaces both, and SIGTERM ends all.
        """
        self.serve("--workers", "2")
        where = ("127.0.0.1", self.port())
        self.wait("is ready", 2)
        first = self.workers()
        pid, number = self.ask(where)
        self.assertIn(int(pid), first)
        self.assertIn(number, ("1", "2"))
        self.process.send_signal(signal.SIGHUP)
        self.wait("is ready", 4)
        self.gone(*first)
        self.assertIn(int(self.ask(where)[0]), self.workers()[2:])
        self.process.send_signal(signal.SIGUSR2)
        self.wait("Report: 2 workers")
        self.wait("requests in flight", 2)
        self.assertLess(self.stop(), 5)
        self.gone(*self.workers())

    def test_parentKilled(self) -> None:
        """
        Workers whose parent is gone end by themselves, and remove its folder.
        """
        self.serve("--workers", "2", "--status-listen", "unix:status")
        self.wait("is ready", 2)
        self.process.kill()
        self.process.wait(SOON)
        self.gone(*self.workers())
        self.wait("The parent of this worker is gone", 2)
        self.assertEqual([], os.listdir(self.folder))

    def test_broken(self) -> None:
        """
        If no worker can start, the server ends, and says so in one line of its own.
        """
        with open(os.path.join(self.directory, "application.py"), "w") as file:
            file.write(BROKEN)
        process = self.serve("--workers", "1")
        self.assertEqual(1, process.wait(SOON))
        assert process.stderr is not None
        first, second = process.stderr.read().splitlines()
        self.assertIn("--wsgi application:application: RuntimeError: not here", first)
        self.assertRegex(second, r"^twistd h11web: worker 1 .* before it was ready$")
        self.assertEqual([], os.listdir(self.folder))

    def test_endpoints(self) -> None:
        """
        Endpoints of all kinds are shared, each with its own meaning.
        """
        _, _, pem = certificate()
        path = f"{self.folder}/s"
        self.serve(
            *("--workers", "2", "--listen", f"unix:{path}:mode=660"),
            *("--listen", "tcp:0:interface=127.0.0.1"),
            *("--https", "tcp:0:interface=127.0.0.1", "--certificate", pem),
            *("--listen", f"ssl:0:interface=127.0.0.1:privateKey={pem}"),
        )
        self.wait("is ready", 2)
        self.assertIn(int(self.ask(path)[0]), self.workers())
        self.assertIn(int(self.ask(("127.0.0.1", self.port()))[0]), self.workers())
        self.assertEqual(0o660, os.stat(path).st_mode & 0o777)
        self.assertEqual(
            2, len([x for x in self.said[:12] if "Listening on https" in x])
        )
        self.process.send_signal(signal.SIGHUP)
        self.wait("is ready", 4)
        self.gone(*self.workers()[:2])
        self.assertIn(int(self.ask(path)[0]), self.workers()[2:])
        self.stop()


class NotifyTests(WorkerTestCase):
    """
    What systemd is told.
    """

    def notified(self, *arguments: str) -> None:
        """
        Run a server, and see what it tells.
        """
        path = f"{self.directory}/n"
        if len(path) > 100:
            path = f"\0{path[-90:]}"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listener.close)
        listener.settimeout(SOON)
        listener.bind(path)
        self.environment["NOTIFY_SOCKET"] = path.replace("\0", "@")
        self.environment["WATCHDOG_USEC"] = "200000"
        self.serve(*arguments)
        told = [listener.recv(1000) for _ in range(3)]
        self.assertEqual([b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"], told)
        self.stop()
        listener.settimeout(0.1)
        with contextlib.suppress(TimeoutError):
            while True:
                told.append(listener.recv(1000))
        self.assertEqual(b"STOPPING=1", next(x for x in told[3:] if x != told[1]))
        listener.close()
        if os.path.exists(path):
            os.unlink(path)

    def test_one(self) -> None:
        """
        That one process is ready, lives, and stops.
        """
        self.notified()

    def test_workers(self) -> None:
        """
        That all workers are ready; what they tell is for their parent.
        """
        self.notified("--workers", "2")
