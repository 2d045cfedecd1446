"""
The servers under load: C{twistd h11web} processes, and what is known about them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from tests.soak.clients import Place
from tests.soak.content import FILES, file_content
from tests.support.ports import free_port

__all__ = ["Server", "counted", "prepare", "read_log", "read_metrics"]

TOP = Path(__file__).resolve().parent.parent.parent
TWISTD = (sys.executable, "-c", "from twisted.scripts.twistd import run; run()")
PAGE = os.sysconf("SC_PAGE_SIZE")

# Shorter than the defaults, so that what waits in vain ends many times in a run.
OPTIONS = (
    *("--head-timeout=5", "--first-byte-timeout=5", "--handshake-timeout=5"),
    *("--idle-timeout=10", "--rate-window=4", "--linger-timeout=2"),
    *("--abort-timeout=3", "--half-close-timeout=2", "--min-body-rate=240"),
    *("--max-connections-per-peer=100", "--grace=10", "--drain-idle=0"),
)

_METRIC = re.compile(r"^twisted_h11_(\w+)(?:\{(.*)\})? (\S+)$", re.M)


def prepare(folder: Path) -> None:
    """
    Write the certificate and the static files.
    """
    # Not needed, and perhaps not there, where a document is only drawn.
    from cryptography.hazmat.primitives.serialization import (
        Encoding,
        NoEncryption,
        PrivateFormat,
    )
    from cryptography.x509 import DNSName

    from tests.support.certificates import CA, KEY, issue

    key = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    certificate = issue(DNSName("localhost")).public_bytes(Encoding.PEM)
    (folder / "server.pem").write_bytes(certificate + key)
    (folder / "authority.pem").write_bytes(CA.public_bytes(Encoding.PEM))
    files = folder / "files"
    files.mkdir()
    for name in FILES:
        (files / name).write_bytes(file_content(name))


def read_metrics(text: str) -> dict[str, float]:
    """
    What C{/metrics} says: by C{name label=value,...}.
    """
    found = {}
    for name, labels, value in _METRIC.findall(text):
        words = labels.replace('"', "")
        found[f"{name} {words}".strip()] = float(value)
    return found


def counted(metrics: dict[str, float], name: str, words: str = "") -> int:
    """
    The sum of a metric.

    @param words: what its labels must have among them.
    """
    return int(
        sum(
            value
            for key, value in metrics.items()
            if key.partition(" ")[0] == name and words in key
        )
    )


def read_log(text: str) -> list[str]:
    """
    The tracebacks of a log that nobody has asked for: the last line of each.
    """
    found = []
    for piece in text.split("Traceback (most recent call last):")[1:]:
        for line in piece.splitlines()[1:]:
            # The frames are indented, by a tab or blanks.
            match = re.match(r"(?:\t)?([A-Za-z_][\w.]*)(:.*)?$", line)
            if match and not line.startswith((" ", "\t ")):
                if not match[1].endswith("Deliberate"):
                    found.append(line.strip())
                break
        else:
            found.append("a traceback without an end")
    return found


class Server:
    """
    One C{twistd h11web}.

    @ivar workers: how many; 0 for one process alone.
    """

    def __init__(self, name: str, folder: Path, workers: int) -> None:
        self.name = name
        self.workers = workers
        self.log = folder / f"{name}.log"
        self.tcp, self.tls, self.status = free_port(), free_port(), free_port()
        self.unix = str(folder / f"{name}.sock")
        command = [*TWISTD, "-n", f"--pidfile={folder / name}.pid", "h11web"]
        command += ["--class=tests.soak.app.Application", *OPTIONS]
        command += [f"--listen=tcp:{self.tcp}:interface=127.0.0.1"]
        command += [f"--listen=unix:{self.unix}"]
        command += [f"--https=tcp:{self.tls}:interface=127.0.0.1"]
        command += [f"--certificate={folder / 'server.pem'}"]
        command += [f"--status-listen=tcp:{self.status}:interface=127.0.0.1"]
        command += [f"--logfile={folder / name}.access"]
        if workers:
            command += [f"--workers={workers}"]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=TOP,
                env={**os.environ, "SOAK_FILES": str(folder / "files")},
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def places(self) -> list[Place]:
        """
        Its endpoints.
        """
        return [
            Place(self.name, "tcp", port=self.tcp),
            Place(self.name, "tls", port=self.tls),
            Place(self.name, "unix", path=self.unix),
        ]

    def wait(self, seconds: float) -> None:
        """
        Wait until it serves.

        @raise TimeoutError: if it does not.
        """
        end = time.monotonic() + seconds
        while True:
            try:
                if self.metrics().get("processes", 0) >= max(1, self.workers):
                    return
            except OSError:
                pass
            if time.monotonic() > end or self.process.poll() is not None:
                raise TimeoutError(f"{self.name} does not serve:\n{self.tail()}")
            time.sleep(0.1)

    def tail(self) -> str:
        """
        The end of its log.
        """
        return self.log.read_text("utf-8", "replace")[-3000:]

    def metrics(self) -> dict[str, float]:
        """
        Its own numbers.
        """
        url = f"http://127.0.0.1:{self.status}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return read_metrics(answer.read().decode("utf-8"))

    def processes(self) -> list[int]:
        """
        It and its children.
        """
        found = [self.process.pid]
        for pid in found:
            for path in Path(f"/proc/{pid}/task").glob("*/children"):
                try:
                    found += [int(word) for word in path.read_text().split()]
                except OSError:
                    pass
        return found

    def sample(self) -> dict[str, Any]:
        """
        What the system and it itself say of it now.
        """
        memory = descriptors = threads = 0
        for pid in self.processes():
            try:
                memory += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
                descriptors += len(os.listdir(f"/proc/{pid}/fd"))
                threads += len(os.listdir(f"/proc/{pid}/task"))
            except OSError:
                # A process that has ended just now.
                pass
        metrics = self.metrics()
        return {
            "memory": memory,
            "descriptors": descriptors,
            "threads": threads,
            "requests": counted(metrics, "requests_total"),
            "refused": counted(metrics, "refused_total"),
            "timeouts": counted(metrics, "timeouts_total"),
            "accepted": counted(metrics, "connections_accepted_total"),
            "connections": counted(metrics, "connections"),
        }

    def stop(self, seconds: float) -> dict[str, Any]:
        """
        SIGTERM.

        @return: its exit status, how long it took, and the processes that are left.
        """
        processes = self.processes()
        begin = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status: int | None = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            status = None
        took = time.monotonic() - begin
        left = [pid for pid in processes if Path(f"/proc/{pid}").exists()]
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.process.wait()
        return {"status": status, "seconds": round(took, 2), "left": len(left)}
