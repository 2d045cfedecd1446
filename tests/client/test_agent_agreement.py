"""
Against the same servers our agent and Twisted's get the same answers.

One difference is an improvement: our requests begin with Host, as RFC 9110
section 7.2 wants it.  httpbin shows the order of a request's fields in the order
of its JSON, so that is compared without order.
"""

from __future__ import annotations

import io
import json
import os
import socket
import sys
from typing import Any
from unittest import skipIf

from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.protocol import ProcessProtocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import TestCase
from twisted.web import client as theirs
from twisted.web.client import PartialDownloadError
from twisted.web.http_headers import Headers
from twisted.web.wsgi import WSGIResource

from tests.support.optional import find_program
from tests.support.ports import free_port
from tests.support.server_cases import FAST_PATH
from twisted_h11 import client as ours
from twisted_h11.server import Site

try:
    from httpbin import app as httpbin  # type: ignore[import-untyped,unused-ignore]
except Exception:  # whatever an old Flask raises
    httpbin = None

net: Any = reactor

# Fields that differ from one moment to the next.
CHANGING = {b"date", b"x-runtime", b"age"}


class Running(ProcessProtocol):
    """
    A server in a process of its own.
    """

    def __init__(self) -> None:
        self.output = b""
        self.said: Deferred[None] | None = Deferred()
        self.ended: Deferred[None] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.output += data
        said = self.said
        if said is not None and b"\n" in self.output:
            self.said = None
            said.callback(None)

    errReceived = outReceived

    def processEnded(self, reason: object) -> None:
        self.ended.callback(None)


class AgreementTests(TestCase):
    """
    One request by each agent, and the same result.
    """

    timeout = 60

    @inlineCallbacks
    def ask(self, module: Any, pool: Any, request: tuple[Any, ...]) -> Any:
        """
        What one client sees of the answer.
        """
        method, uri, fields, body = request
        options = {"fastPath": FAST_PATH} if module is ours else {}
        agent: Any = module.ContentDecoderAgent(
            module.Agent(net, pool=pool, **options), [(b"gzip", module.GzipDecoder)]
        )
        producer = None
        if body is not None:
            producer = module.FileBodyProducer(io.BytesIO(body))
        response = yield agent.request(method, uri, Headers(fields), producer)
        try:
            content = yield module.readBody(response)
        except PartialDownloadError as error:
            content = b"cut? " + (error.response or b"")
        headers = {
            name: values
            for name, values in response.headers.getAllRawHeaders()
            if name.lower() not in CHANGING
        }
        try:
            content = [json.loads(line) for line in content.splitlines()]
        except ValueError:
            pass
        return response.code, response.phrase, response.version, headers, content

    @inlineCallbacks
    def agree(self, base: str, requests: list[tuple[Any, ...]]) -> Any:
        """
        Both clients see the same, in one after the other on one connection.
        """
        pools = [module.HTTPConnectionPool(net) for module in (ours, theirs)]
        for pool in pools:
            self.addCleanup(pool.closeCachedConnections)
        for method, path, fields, body in requests:
            request = (method, (base + path).encode("ascii"), fields, body)
            seen = []
            for module, pool in zip((ours, theirs), pools, strict=True):
                result = yield self.ask(module, pool, request)
                seen.append(result)
            self.assertEqual(seen[0], seen[1], (method, path))
        # Twisted's readBody has no way to abort there, and says so.
        self.flushWarnings()
        for pool in pools:
            yield pool.closeCachedConnections()
        yield deferLater(net, 0.02)

    @skipIf(httpbin is None, "httpbin is not installed")
    @inlineCallbacks
    def test_httpbin(self) -> Any:
        """
        httpbin, a Flask application, on our own site: both ends are ours.
        """
        threads = ThreadPool(1, 4)
        threads.start()
        # The application waits for the reactor; the reactor must not wait for it.
        self.addCleanup(deferToThread, threads.stop)
        site = Site(WSGIResource(net, threads, httpbin))
        port = net.listenTCP(0, site, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        requests: list[tuple[Any, ...]] = [
            (b"GET", path, {}, None)
            for path in (
                "/get?a=b",
                "/html",
                "/robots.txt",
                "/encoding/utf8",
                "/gzip",
                "/status/204",
                "/status/304",
                "/status/418",
                "/status/500",
                "/redirect-to?url=/get",
                "/stream/5",
                "/stream-bytes/5000?seed=1",
                "/bytes/5000?seed=1",
                "/drip?duration=0&numbytes=50&delay=0",
                "/response-headers?X-A=b&X-A=c",
                "/cookies/set?a=b",
                "/range/1024",
                "/image/png",
            )
        ]
        requests += [
            (b"HEAD", "/get", {}, None),
            (b"HEAD", "/bytes/100?seed=1", {}, None),
            (b"GET", "/headers", {b"X-Case": [b"1", b"2"]}, None),
            (b"GET", "/range/1024", {b"Range": [b"bytes=10-19"]}, None),
            (b"POST", "/post", {b"Content-Type": [b"text/plain"]}, b"data" * 5000),
            (b"POST", "/post", {}, b""),
            (b"POST", "/post", {}, None),
            (b"PUT", "/put", {}, b"{}"),
            (b"PATCH", "/patch", {}, b"x"),
            (b"DELETE", "/delete", {}, None),
            (b"OPTIONS", "/get", {}, None),
        ]
        yield self.agree(f"http://127.0.0.1:{port.getHost().port}", requests)

    @inlineCallbacks
    def run_server(self, arguments: list[str]) -> Any:
        """
        Start a server, which ends with the test.
        """
        process = Running()
        transport = net.spawnProcess(process, arguments[0], arguments, env=os.environ)

        def end() -> Deferred[None]:
            if not process.ended.called:
                transport.signalProcess("KILL")
            return process.ended

        self.addCleanup(end)
        if arguments[0] == sys.executable:
            yield process.said
        return process

    def folder(self) -> str:
        """
        Some files to serve.
        """
        folder: str = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        for name, content in (
            ("a.txt", b"text\n"),
            ("empty.txt", b""),
            ("large.bin", bytes(range(256)) * 1000),
        ):
            with open(os.path.join(folder, name), "wb") as file:
                file.write(content)
        return folder

    PATHS = ("/a.txt", "/empty.txt", "/large.bin", "/none")

    @inlineCallbacks
    def test_httpServer(self) -> Any:
        """
        Python's http.server, which speaks HTTP/1.0.
        """
        process = yield self.run_server(
            [
                *(sys.executable, "-u", "-m", "http.server", "0"),
                *("--bind", "127.0.0.1", "--directory", self.folder()),
            ]
        )
        port = int(process.output.split(b" port ")[1].split()[0])
        yield self.agree(
            f"http://127.0.0.1:{port}",
            [
                (method, path, {}, None)
                for method in (b"GET", b"HEAD")
                for path in (*self.PATHS, "/")
            ],
        )

    @skipIf(find_program("nginx") is None, "nginx is not installed")
    @inlineCallbacks
    def test_nginx(self) -> Any:
        """
        nginx: files, ranges, redirects, refusals.
        """
        folder = self.folder()
        name = os.path.join(folder, "nginx.conf")
        paths = " ".join(
            f"{each}_temp_path {folder}/{each};"
            for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        number = free_port()
        with open(name, "w") as file:
            file.write(
                f"daemon off; master_process off; pid {folder}/pid;\n"
                f"error_log {folder}/error.log; events {{}}\n"
                f"http {{ access_log off; {paths} gzip on; gzip_min_length 1;\n"
                f"server {{ listen 127.0.0.1:{number}; root {folder};\n"
                "location /go { return 302 /a.txt; }\n"
                "location /teapot { return 418 short; } } }\n"
            )
        nginx = find_program("nginx")
        assert nginx is not None
        yield self.run_server([nginx, "-p", folder, "-c", name])
        for _ in range(1500):
            try:
                socket.create_connection(("127.0.0.1", number), 1).close()
            except OSError:
                yield deferLater(net, 0.02)
            else:
                break
        requests: list[tuple[Any, ...]] = [
            (method, each, {}, None)
            for method in (b"GET", b"HEAD")
            for each in (*self.PATHS, "/go", "/teapot", "/")
        ]
        requests += [
            (b"GET", "/large.bin", {b"Range": [b"bytes=5-9"]}, None),
            (b"GET", "/a.txt", {b"If-None-Match": [b"*"]}, None),
            (b"POST", "/a.txt", {}, b"x"),
            (b"GET", "/a.txt", {b"Expect": [b"nonsense"]}, None),
        ]
        yield self.agree(f"http://127.0.0.1:{number}", requests)
