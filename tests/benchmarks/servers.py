"""
Servers as processes: started, pinned to a core, asked, watched, stopped.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

from tests.benchmarks.apps import payload
from tests.benchmarks.cases import Case
from tests.benchmarks.machine import pinned
from tests.benchmarks.peers import BARE, Peer
from tests.benchmarks.settings import Settings
from tests.benchmarks.wire import Connection, Unexpected, read_answer
from tests.support.ports import free_port

__all__ = ["Server", "ServerFailed", "Workshop", "ask", "check", "keeps"]

START_SECONDS = 20.0
STOP_SECONDS = 5.0


class ServerFailed(Exception):
    """
    A server did not start.
    """


class Workshop:
    """
    What the servers of a run share: settings, a folder, files to serve, a certificate.

    @ivar certificate: file names of certificate and key, or nothing where they can not
        be made.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.folder = tempfile.mkdtemp(prefix="benchmark")
        os.chmod(self.folder, 0o755)
        static = Path(self.folder, "static")
        static.mkdir()
        for name, data in payload.FILES.items():
            (static / name).write_bytes(data)
        self._static = str(static)
        self.certificate: dict[str, str] = {}
        if shutil.which("openssl") is not None:
            certificate = os.path.join(self.folder, "certificate.pem")
            key = os.path.join(self.folder, "key.pem")
            command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"]
            command += ["-subj", "/CN=localhost", "-days", "2"]
            command += ["-keyout", key, "-out", certificate]
            subprocess.run(
                command, stdin=subprocess.DEVNULL, capture_output=True, check=True
            )
            self.certificate = {"certificate": certificate, "key": key}

    def environment(self, checkout: str = "") -> dict[str, str]:
        """
        The environment of a server or a client.

        @param checkout: where its C{twisted_h11} is, if it is not ours.  Its benchmarks
            are ours in any case.
        """
        paths = [str(Path(__file__).resolve().parents[2])]
        if checkout:
            package = Path(self.folder, "before")
            if not package.exists():
                package.mkdir()
                for name in ("twisted", "twisted_h11"):
                    package.joinpath(name).symlink_to(Path(checkout, name).resolve())
            paths.insert(0, str(package))
        return {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "BENCHMARK_STATIC": self._static,
        }

    def close(self) -> None:
        """
        Remove the folder.
        """
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    """
    One running server; use it as a context manager.

    @param beside: whether it shares the core of the load.
    @ivar port: where it listens.
    @ivar host: the value of the Host field.
    """

    def __init__(
        self, peer: Peer, workshop: Workshop, tls: bool = False, beside: bool = False
    ) -> None:
        self.peer = peer
        self.settings = workshop.settings
        self._beside = beside
        self._tls = tls
        self._workshop = workshop

    def __enter__(self) -> Server:
        with contextlib.ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack) -> None:
        workshop = self._workshop
        self.port = free_port()
        self.host = f"127.0.0.1:{self.port}"
        values: dict[str, object] = {"port": self.port, **workshop.certificate}
        if "{origin}" in self.peer.command:
            origin = Server(BARE, workshop, beside=True)
            values["origin"] = stack.enter_context(origin).port
        self._folder = tempfile.mkdtemp(dir=workshop.folder)
        stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        values["folder"] = self._folder
        command = self.peer.words(self.settings.python, self._tls, **values)
        core = self.settings.loadCore if self._beside else self.settings.serverCore
        with open(os.path.join(self._folder, "output"), "wb") as output:
            self._process = subprocess.Popen(
                pinned(command, core),
                cwd=self._folder,
                env=workshop.environment(self.peer.folder),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A session of its own, so that workers are seen, and stopped, too.
                start_new_session=True,
            )
        stack.callback(self._stop)
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerFailed(f"ended at once: {self.lastWords()}")
            with contextlib.suppress(OSError):
                self.connect().close()
                return
            time.sleep(0.05)
        raise ServerFailed(f"does not listen: {self.lastWords()}")

    def _stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_SECONDS)

    def connect(self) -> Connection:
        """
        A new connection; over TLS it believes every certificate.
        """
        context = None
        if self._tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return Connection(self.port, context)

    def lastWords(self) -> str:
        """
        The last line that the server printed, or logged.
        """
        for name in ("output", "twistd.log"):
            with contextlib.suppress(OSError):
                printed = Path(self._folder, name).read_text("utf-8", "replace")
                if printed.strip():
                    return printed.strip().splitlines()[-1].strip()[:200]
        return "no message"

    def processes(self) -> list[int]:
        """
        The server's processes: it and all that came from it.
        """
        found = []
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and _stat(int(name))[3] == str(self._process.pid):
                    found.append(int(name))
        return found

    def seconds(self) -> float:
        """
        CPU time used so far, by all of its processes and threads.
        """
        ticks = 0
        for process in self.processes():
            with contextlib.suppress(OSError):
                ticks += sum(map(int, _stat(process)[11:13]))
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self, field: str) -> int:
        """
        A figure of C{/proc/PID/status} in bytes, added over its processes: C{VmRSS},
        what is resident, or C{VmHWM}, the most that ever was.
        """
        total = 0
        for process in self.processes():
            with contextlib.suppress(OSError):
                status = Path(f"/proc/{process}/status").read_text("utf-8")
                for kilobytes in re.findall(rf"^{field}:\s*(\d+)", status, re.M):
                    total += int(kilobytes) * 1024
        return total


def _stat(process: int) -> list[str]:
    """
    The fields of C{/proc/PID/stat} behind the name, which may hold anything.
    """
    line = Path(f"/proc/{process}/stat").read_text("utf-8", "replace")
    return line.rpartition(")")[2].split()


def ask(server: Server, case: Case, held: list[Connection], first: int = 0) -> None:
    """
    Ask on each of these connections, and see that the answers are what the case says.

    @param first: the number of the first request.
    @raise Unexpected: when they are something else.
    """
    for place, connection in enumerate(held):
        number = first + place * case.depth
        connection.send(case.asked(server.host, number, case.depth))
    for connection in held:
        for _ in range(case.depth):
            length = len(read_answer(connection.file))
            if length != case.body:
                raise Unexpected(f"{length} bytes instead of {case.body}")


def check(server: Server, case: Case) -> None:
    """
    Ask, and warm the server up with some 200 requests, ten on a connection; large
    answers need no hundreds of requests.

    @raise Unexpected: when the answer is not what the case says.
    """
    for turn in range(max(1, min(200, 5_000_000 // case.body) // 10)):
        with contextlib.closing(server.connect()) as connection:
            for number in range(10 if keeps(server, case) else 1):
                ask(server, case, [connection], turn * 1000 + number * case.depth)


def keeps(server: Server, case: Case) -> bool:
    """
    Whether there may be another request on the same connection.
    """
    closes = "close" in case.needs and case.every is None
    return "keep-alive" in server.peer.can and not closes
