"""
Servers as processes: started, pinned to a core, asked once, watched, stopped.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time

from tests.benchmarks.apps import payload
from tests.benchmarks.machine import pinned
from tests.benchmarks.peers import PEERS, Launch, Peer
from tests.benchmarks.wire import Connection
from tests.support.ports import free_port

__all__ = ["Server", "ServerFailed", "Workshop"]

START_SECONDS = 20.0
STOP_SECONDS = 5.0

_TICKS = os.sysconf("SC_CLK_TCK")


class ServerFailed(Exception):
    """
    A server did not start, or did not answer as it must.
    """


class Workshop:
    """
    What the servers of a run share: a folder, a file to serve, a certificate.

    @param python: the interpreter that runs the peers.
    @param core: the core they are pinned to, or C{None}.
    @param loadCore: the core of the load.
    """

    def __init__(
        self, python: str, core: int | None, loadCore: int | None = None
    ) -> None:
        self.python = python
        self.core = core
        self.loadCore = loadCore
        self.folder = tempfile.mkdtemp(prefix="benchmark")
        static = os.path.join(self.folder, "static")
        os.mkdir(static)
        for name, data in payload.FILES.items():
            with open(os.path.join(static, name), "wb") as out:
                out.write(data)
        os.chmod(self.folder, 0o755)
        root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        self.root = os.path.abspath(root)
        self.environment = {
            **os.environ,
            "PYTHONPATH": self.root,
            "BENCHMARK_STATIC": static,
        }
        self.certificate = self._certificate()

    def _certificate(self) -> tuple[str, str] | None:
        """
        Make a certificate, if the tool for it is there.
        """
        if shutil.which("openssl") is None:
            return None
        certificate = os.path.join(self.folder, "certificate.pem")
        key = os.path.join(self.folder, "key.pem")
        subprocess.run(
            [
                *["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes"],
                *["-subj", "/CN=localhost", "-days", "2"],
                *["-keyout", key, "-out", certificate],
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        return certificate, key

    def close(self) -> None:
        """
        Remove the folder.
        """
        shutil.rmtree(self.folder, ignore_errors=True)


class Server:
    """
    One running server; use it as a context manager.

    @param core: what it is pinned to, if not to the workshop's core.
    @ivar port: where it listens.
    """

    def __init__(
        self, peer: Peer, workshop: Workshop, tls: bool = False, core: int | None = None
    ) -> None:
        self.peer = peer
        self._core = workshop.core if core is None else core
        self.tls = tls
        self._workshop = workshop
        self._process: subprocess.Popen[bytes] | None = None
        # It shares the core of the load.
        self._origin: Server | None = None
        if "{origin}" in peer.words:
            [bare] = [one for one in PEERS if one.name == "bare"]
            self._origin = Server(bare, workshop, core=workshop.loadCore)

    def __enter__(self) -> Server:
        self.port = free_port()
        self._folder = tempfile.mkdtemp(dir=self._workshop.folder)
        certificate = self._workshop.certificate if self.tls else None
        launch = Launch(
            *(self._workshop.python, self.port, self._folder, certificate),
            0 if self._origin is None else self._origin.__enter__().port,
        )
        command = pinned(self.peer.command(launch), self._core)
        self._output = os.path.join(self._folder, "output")
        with open(self._output, "wb") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self._folder,
                env=self._workshop.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A process group of its own, so that workers are stopped too.
                start_new_session=True,
            )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def context(self) -> ssl.SSLContext | None:
        """
        What a client needs for TLS: it believes every certificate.
        """
        if not self.tls:
            return None
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
        return made

    def connect(self) -> Connection:
        """
        A new connection.
        """
        return Connection(self.port, self.context())

    @property
    def host(self) -> bytes:
        """
        The value of the Host field.
        """
        return b"127.0.0.1:%d" % self.port

    def _wait(self) -> None:
        """
        Until it accepts connections.
        """
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServerFailed(f"ended at once: {self.lastWords()}")
            with contextlib.suppress(OSError):
                self.connect().close()
                return
            time.sleep(0.05)
        raise ServerFailed(f"does not listen: {self.lastWords()}")

    def lastWords(self) -> str:
        """
        The last line that the server printed, or logged.
        """
        for name in (self._output, os.path.join(self._folder, "twistd.log")):
            with contextlib.suppress(OSError), open(name, "rb") as printed:
                lines = printed.read().decode("utf-8", "replace").split("\n")
                said = [line.strip() for line in lines if line.strip()]
                if said:
                    return said[-1][:200]
        return "no message"

    def processes(self) -> list[int]:
        """
        The server's processes: it and all that came from it.
        """
        assert self._process is not None
        children: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                with contextlib.suppress(OSError):
                    parent = int(_stat(int(name))[1])
                    children.setdefault(parent, []).append(int(name))
        found = [self._process.pid]
        for process in found:
            found.extend(children.get(process, ()))
        return found

    def seconds(self) -> float:
        """
        CPU time used so far, by all of its processes and threads.
        """
        ticks = 0
        for process in self.processes():
            with contextlib.suppress(OSError):
                ticks += sum(map(int, _stat(process)[11:13]))
        return ticks / _TICKS

    def memory(self, field: str) -> int:
        """
        A figure of C{/proc/PID/status} in bytes, added over its processes: C{VmRSS},
        what is resident, or C{VmHWM}, the most that ever was.
        """
        total = 0
        for process in self.processes():
            with (
                contextlib.suppress(OSError),
                open(f"/proc/{process}/status", encoding="utf-8") as lines,
            ):
                for line in lines:
                    if line.startswith(field + ":"):
                        total += int(line.split()[1]) * 1024
        return total

    def stop(self) -> None:
        """
        Stop it, politely and then not.
        """
        if self._origin is not None:
            self._origin.stop()
        process, self._process = self._process, None
        if process is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        shutil.rmtree(self._folder, ignore_errors=True)


def _stat(process: int) -> list[str]:
    """
    The fields of C{/proc/PID/stat} behind the name, which may hold anything.
    """
    with open(f"/proc/{process}/stat", encoding="utf-8") as line:
        return line.read().rpartition(")")[2].split()
