"""
The servers that are compared, as processes.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
from types import TracebackType

from tests.support.optional import find_program
from tests.support.ports import free_port
from tests.support.programs import nginx_conf

__all__ = ["OURS", "PEERS", "Missing", "Server", "build_go"]

OURS = ("ours", "ours-h11")
_MODULES = {
    "twisted.web": "twisted.web.server",
    "aiohttp": "aiohttp",
    "waitress": "waitress",
    "gunicorn": "gunicorn",
    "uvicorn-h11": "uvicorn",
    "uvicorn-httptools": "uvicorn,httptools",
}
_PROXIES = ("nginx", "haproxy")
_PROGRAMS = ("node", "go", *_PROXIES)
PEERS = ("twisted.web", "nginx", "haproxy", "node", "go", *list(_MODULES)[1:])

_HERE = os.path.dirname(os.path.abspath(__file__))
_TOP = os.path.dirname(os.path.dirname(_HERE))

# $request_uri is the target as it came; what is forwarded may be put right.
_NGINX = """
log_format meant '$request_id $upstream_status $status';
access_log {folder}/meant meant;
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://127.0.0.1:{backend};
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header X-Meant $request_id;
        proxy_set_header X-Method $request_method;
        proxy_set_header X-Target $request_uri;
        proxy_buffer_size 64k;
        proxy_buffers 4 64k;
        proxy_busy_buffers_size 128k;
        proxy_next_upstream off;
    }}
}}
"""
# With more than one thread, HAProxy drops lines of its log that two write at once.
_HAPROXY = """
global
    nbthread 1
    log stdout format raw local0
defaults
    mode http
    timeout connect 5s
    timeout client 3s
    timeout server 3s
    log global
    log-format "meant %ID %s"
frontend front
    bind 127.0.0.1:{port}
    unique-id-format %[uuid()]
    unique-id-header X-Meant
    default_backend back
backend back
    retries 0
    server one 127.0.0.1:{backend}
"""


class Missing(Exception):
    """
    A server is not installed, or did not start.
    """


def build_go(source: str, folder: str) -> str:
    """
    Compile a program in Go that is beside this file.

    @param source: its name.
    @param folder: where the program and what the compiler needs are put.
    @return: the path of the program.
    @raise Missing: if C{go} is not installed, or does not compile it.
    """
    path = find_program("go")
    if path is None:
        raise Missing("go is not installed")
    program = os.path.join(folder, source.removesuffix(".go"))
    words = [path, "build", "-o", program, os.path.join(_HERE, source)]
    # Not in a work tree: its state would be written into the program.
    run = subprocess.run(words, cwd=folder, capture_output=True)
    if run.returncode:
        said = run.stderr.decode(errors="replace")
        raise Missing(f"go does not build {source}: {said[-300:]}")
    return program


class Server:
    """
    One server; use it as a context manager.

    @param name: one of L{OURS}, L{PEERS}, C{backend}, or C{broken}, which reads the
        content of a request as the next one.
    @param python: the interpreter that has the servers from PyPI.
    @param behind: for a proxy, what it asks: C{backend}, C{broken} or one of L{OURS}.
    @ivar port: where it listens.
    """

    def __init__(self, name: str, python: str, behind: str = "backend") -> None:
        self.name = name
        self._python = (
            sys.executable if name in (*OURS, "backend", "broken") else python
        )
        self._behind = Server(behind, python) if name in _PROXIES else None
        self._process: subprocess.Popen[bytes] | None = None

    def _command(self) -> list[str]:
        if self.name in _PROGRAMS:
            path = find_program(self.name)
            if path is None:
                raise Missing(f"{self.name} is not installed")
            return self._program(path)
        modules = _MODULES.get(self.name)
        if modules:
            words = [self._python, "-c", f"import {modules}"]
            if subprocess.run(words, capture_output=True).returncode:
                raise Missing(f"{self.name} is not installed")
        if self.name == "gunicorn":
            words = [self._python, "-m", "gunicorn", "-k", "gthread", "--threads", "8"]
            words += ["--no-control-socket"] if self._hasControl() else []
            return [*words, "-b", f"127.0.0.1:{self.port}", "echo:wsgi"]
        return [self._python, os.path.join(_HERE, "echo.py"), self.name, str(self.port)]

    def _hasControl(self) -> bool:
        words = [self._python, "-m", "gunicorn", "--help"]
        said = subprocess.run(words, capture_output=True).stdout
        return b"--no-control-socket" in said

    def _program(self, path: str) -> list[str]:
        if self.name == "node":
            return [path, os.path.join(_HERE, "echo.js"), str(self.port)]
        if self.name == "go":
            return [build_go("echo.go", self.folder), str(self.port)]
        assert self._behind is not None
        self._behind.__enter__()
        ports = {"port": self.port, "backend": self._behind.port}
        file = os.path.join(self.folder, "configuration")
        if self.name == "nginx":
            text = nginx_conf(self.folder, _NGINX.format(folder=self.folder, **ports))
            text = text.replace("access_log off;", "", 1)
            words = [path, "-p", self.folder, "-e", "stderr", "-c", file]
        else:
            text = _HAPROXY.format(**ports)
            words = [path, "-db", "-f", file]
        with open(file, "w") as out:
            out.write(text)
        return words

    def __enter__(self) -> Server:
        self._kept = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.folder = self._kept.name
        os.chmod(self.folder, 0o755)
        self.port = free_port()
        self.output = os.path.join(self.folder, "output")
        try:
            command = self._command()
            with open(self.output, "wb") as output:
                self._process = subprocess.Popen(
                    command,
                    cwd=_HERE if self.name == "gunicorn" else self.folder,
                    env={
                        **os.environ,
                        "PYTHONPATH": self._path(),
                        "ECHO_SEEN": os.path.join(self.folder, "seen"),
                    },
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                )
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def _path(self) -> str:
        return _TOP if self.name in OURS else ""

    def _wait(self) -> None:
        deadline = time.monotonic() + 30
        while self._process is not None and time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        with open(self.output, errors="replace") as said:
            raise Missing(f"{self.name} does not start: {said.read()[-300:]}")

    def seen(self) -> list[str]:
        """
        The identities of the requests that the server behind a proxy has seen.
        """
        assert self._behind is not None
        try:
            with open(os.path.join(self._behind.folder, "seen"), "rb") as lines:
                return [line[:-1].decode("latin-1") for line in lines]
        except FileNotFoundError:
            return []

    def meant(self) -> list[str]:
        """
        The identities of the requests that a proxy says it has sent on, or has begun to
        and given up, as nginx does where the client has gone.
        """
        name = os.path.join(self.folder, "meant")
        file = name if self.name == "nginx" else self.output
        with open(file, errors="replace") as lines:
            words = [line.split() for line in lines]
        if self.name == "nginx":
            return [line[0] for line in words if line[1] != "-" or line[2] == "499"]
        ours = [line for line in words if len(line) == 3 and line[0] == "meant"]
        return [line[1] for line in ours if line[2] != "<NOSRV>"]

    def flush(self) -> None:
        """
        End the server, so that its log is complete; its folder stays.
        """
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """
        End it, and what stands behind it.
        """
        self.flush()
        if self._behind is not None:
            self._behind.stop()
        if hasattr(self, "_kept"):
            self._kept.cleanup()
