"""
nginx and HAProxy with the settings of docs/examples/deployment, in front of servers
with those that go with them.
"""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import ssl
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from twisted.trial.unittest import SkipTest

from tests.interop.test_apps_websocket import echoed, frame
from tests.support.command_cases import SOON, CommandTestCase
from tests.support.deployment import SHOP, example, with_
from tests.support.handshakes import Authority, both, chain, write_file
from tests.support.long_cases import unnamed
from tests.support.optional import find_program, need
from tests.support.ports import free_port
from tests.support.programs import nginx_conf
from twisted_h11.tap import Options

skip = unnamed()

CHAT = """
from twisted.web.resource import Resource
from tests.interop.test_apps_websocket import twisted_resource


class Chat(Resource):
    def getChild(self, name, request):
        return twisted_resource()
"""


class ProxiedTestCase(CommandTestCase):
    """
    A proxy, and servers behind it.
    """

    def setUp(self) -> None:
        """
        Certificates and the application.
        """
        super().setUp()
        self.authority = Authority()
        leaf = self.authority.leaf("shop.example")
        live = f"{self.directory}/live/shop.example"
        self.chain = write_file(f"{live}/fullchain.pem", chain(leaf))
        self.key = write_file(f"{live}/privkey.pem", leaf.private_key_pem.bytes())
        self.pem = write_file(f"{self.directory}/shop.example.pem", both(leaf))
        self.ca = write_file(f"{self.directory}/ca.pem", self.authority.pem)
        Path(self.directory, "shop.py").write_text(SHOP)
        Path(self.directory, "chat.py").write_text(CHAT)
        self.front = free_port()
        self.statuses: dict[int, int] = {}

    def serve(
        self, *arguments: str, listen: str = "", port: int = 0
    ) -> tuple[Any, int]:
        """
        Start a server with the settings of C{h11web.toml}.

        @return: the process and its port, when it listens.
        """
        port, status = port or free_port(), free_port()
        name = f"{port}.toml"
        Path(self.directory, name).write_text(
            example(
                "h11web.toml",
                ("/var/log/h11web", self.directory),
                ("tcp:9000", f"tcp:{status}"),
            )
        )
        process = self.popen(
            *("-n", f"--logfile={port}.log", "--pidfile=", "h11web"),
            *("--config", name, *arguments),
            *(listen or "--listen tcp:{port}:interface=127.0.0.1")
            .format(port=port)
            .split(),
        )
        self.listening(port, process)
        self.statuses[port] = status
        return process, port

    def proxy(self, name: str, *arguments: str) -> Any:
        """
        Start a proxy.
        """
        path = find_program(name)
        if path is None:
            raise SkipTest(f"{name} is not installed")
        process = subprocess.Popen(
            [path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        self.listening(self.front, process)
        return process

    def listening(self, port: int, process: Any) -> None:
        """
        Wait until something listens on a port.
        """
        until = time.monotonic() + SOON
        while True:
            self.assertLess(time.monotonic(), until)
            if process.poll() is not None:
                self.fail(f"it ended: {process.stderr.read()}")
            try:
                socket.create_connection(("127.0.0.1", port), SOON).close()
                return
            except ConnectionError:
                time.sleep(0.02)

    def connect(self, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """
        A client of the proxy.
        """
        context = ssl.create_default_context(cafile=self.ca)
        plain = socket.create_connection(
            ("127.0.0.1", self.front), SOON, source_address=(source, 0)
        )
        secure = context.wrap_socket(plain, server_hostname="shop.example")
        self.addCleanup(secure.close)
        return secure

    def checkClients(self) -> None:
        """
        Clients are who they are, whatever they say, by both versions of HTTP.
        """
        where = f"shop.example:{self.front}"
        for version, number in (("--http2", "2"), ("--http1.1", "1.1")):
            for forged in (
                (),
                ("-H", "X-Forwarded-Host: evil.example"),
                ("-H", "X-Forwarded-Proto: http", "-H", "X-Forwarded-For: 127.0.0.1"),
            ):
                said = self.curl("/x", version, "--interface", "127.0.0.9", *forged)
                self.assertEqual(
                    ["127.0.0.9", "https", where, "/x", "0", "200", number],
                    said.split()[1:],
                )

    def curl(self, path: str, *arguments: str, stdin: str | None = None) -> str:
        """
        Ask the proxy.

        @return: what it answers, and behind it the status and the version.
        """
        program = find_program("curl")
        if program is None:
            raise SkipTest("curl is not installed")
        where = f"shop.example:{self.front}"
        done = subprocess.run(
            [
                *(program, "-sS", "--max-time", "30", "--cacert", self.ca),
                *("--connect-to", f"{where}:127.0.0.1:{self.front}"),
                *("-w", " %{http_code} %{http_version}", *arguments),
                f"https://{where}{path}",
            ],
            capture_output=True,
            text=True,
            check=False,
            input=stdin,
        )
        self.assertEqual("", done.stderr)
        return done.stdout

    def accepted(self, port: int) -> int:
        """
        How many connections a server has taken.
        """
        need("prometheus_client")
        url = f"http://127.0.0.1:{self.statuses[port]}/metrics"
        with urlopen(url, timeout=SOON) as response:
            text = response.read().decode()
        found = re.search(r"^twisted_h11_connections_accepted_total (\S+)", text, re.M)
        assert found is not None, text
        return int(float(found[1]))

    def upload(self, length: int) -> str:
        """
        Send a body.

        @return: the end of the answer.
        """
        path = os.path.join(self.directory, "upload")
        with open(path, "wb") as file:
            file.truncate(length)
        return self.curl("/x", "-T", path, "-H", "Expect:")


class NginxTests(ProxiedTestCase):
    """
    nginx.
    """

    def start(self, *arguments: str) -> int:
        """
        Start both.

        @return: the port of the server.
        """
        self.server, port = self.serve(*arguments)
        live = "/etc/letsencrypt/live/shop.example"
        Path(self.directory, "shop.conf").write_text(
            example(
                "nginx.conf",
                ("server 127.0.0.1:8080;", f"server 127.0.0.1:{port};"),
                ("listen 443 ssl", f"listen 127.0.0.1:{self.front} ssl"),
                (live, f"{self.directory}/live/shop.example"),
            )
        )
        path = os.path.join(self.directory, "nginx.conf")
        Path(path).write_text(
            nginx_conf(self.directory, f"include {self.directory}/shop.conf;")
        )
        self.proxy("nginx", "-p", self.directory, "-e", "stderr", "-c", path)
        return port

    def test_requests(self) -> None:
        """
        Clients are who they are, over HTTP/2 and over HTTP/1.1, whatever they say;
        connections to the server are kept; no limit of the proxy is above that of the
        server.
        """
        port = self.start()
        before = self.accepted(port)
        self.checkClients()
        # The longest head and the longest body that nginx lets through.
        long = [f"X-{n}: {'x' * 8000}" for n in range(3)]
        fields = [argument for field in long for argument in ("-H", field)]
        said = self.curl("/" + "y" * 8000, "--http1.1", *fields)
        self.assertEqual(["200", "1.1"], said.split()[-2:])
        self.assertEqual(["10485760", "200", "2"], self.upload(10 << 20).split()[-3:])
        self.assertEqual(["413", "2"], self.upload((10 << 20) + 1).split()[-2:])
        self.assertEqual(1, self.accepted(port) - before)

    def test_streams(self) -> None:
        """
        A response whose application asks for it comes piece by piece, and so does an
        upload, to the application, where it should.
        """
        self.start()
        client = self.connect()
        client.sendall(b"GET /events HTTP/1.1\r\nHost: shop.example\r\n\r\n")
        said = b""
        while b"first" not in said:
            said += client.recv(65536)
        self.assertIn(" 200 ", self.curl("/go-on"))
        while not said.endswith(b"\r\n0\r\n\r\n"):
            said += client.recv(65536)
        self.assertIn(b"last", said)
        client = self.connect()
        client.sendall(
            b"POST /uploads/x HTTP/1.1\r\nHost: shop.example\r\n"
            b"Content-Length: 1000000\r\n\r\nbegin"
        )
        said = b""
        while not said.endswith(b"\r\n\r\nbegin"):
            said += client.recv(65536)
        self.assertTrue(said.startswith(b"HTTP/1.1 200 "))

    def test_websockets(self) -> None:
        """
        WebSockets go through.
        """
        need("twisted.web.websocket")
        self.start("--class", "chat:Chat")
        client = self.connect()
        client.sendall(
            b"GET /x HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + frame(b"hello")
        )
        said = b""
        while not said.endswith(echoed(b"hello")):
            data = client.recv(65536)
            self.assertTrue(data, said)
            said += data
        self.assertTrue(said.startswith(b"HTTP/1.1 101 "))

    def test_gone(self) -> None:
        """
        While the server is not there nginx says so, and goes on when it is again.
        """
        port = self.start()
        for _ in range(2):
            self.assertEqual("200", self.curl("/x").split()[-2])
            self.server.kill()
            self.server.wait()
            self.assertEqual("502", self.curl("/x").split()[-2])
            self.server, _ = self.serve(port=port)


class HAProxyTests(ProxiedTestCase):
    """
    HAProxy, with two servers.
    """

    def start(self, name: str, *arguments: str, listen: str = "") -> list[Any]:
        """
        Start all three.

        @return: the servers and their ports.
        """
        servers = [self.serve(*arguments, listen=listen) for _ in range(2)]
        text = with_(
            example(name),
            ("bind :443", f"bind 127.0.0.1:{self.front}"),
            ("maxconn 10000", "maxconn 256"),
        )
        for number, (_, port) in enumerate(servers, 11):
            text, count = re.subn(
                rf"10\.0\.0\.{number}:\d+",
                f"127.0.0.1:{port} port {self.statuses[port]}",
                text,
            )
            self.assertEqual(1, count)
        text = with_(text, ("check port 9000", "check"))
        if "/etc/haproxy" in text.partition("global")[2]:
            text = text.replace("/etc/haproxy/shop.example.pem", self.pem)
        path = os.path.join(self.directory, "haproxy.cfg")
        Path(path).write_text(text)
        self.proxy("haproxy", "-db", "-f", path)
        return servers

    def all(self, count: int, *arguments: str) -> set[str]:
        """
        Send requests that must be answered.

        @return: who has answered.
        """
        answered = set()
        for _ in range(count):
            said = self.curl("/x", *arguments).split()
            self.assertEqual("200", said[-2], said)
            answered.add(said[0])
        return answered

    def test_requests(self) -> None:
        """
        Clients are who they are; connections to the servers are kept; no limit of the
        proxy is above that of the server.
        """
        servers = self.start("haproxy.cfg")
        self.checkClients()
        said = self.curl("/" + "y" * 8000, "-H", f"X: {'x' * 6000}")
        self.assertEqual("200", said.split()[-2])
        self.assertEqual(["10485760", "200", "2"], self.upload(10 << 20).split()[-3:])
        self.assertEqual(["413", "2"], self.upload((10 << 20) + 1).split()[-2:])
        before = sum(self.accepted(port) for _, port in servers)
        client = self.connect()
        for _ in range(20):
            client.sendall(b"GET /x HTTP/1.1\r\nHost: shop.example\r\n\r\n")
            self.assertTrue(client.recv(65536).startswith(b"HTTP/1.1 200 "))
        after = sum(self.accepted(port) for _, port in servers)
        self.assertLess(after - before, 4)

    def test_gone(self) -> None:
        """
        Of two servers one may be killed.
        """
        servers = self.start("haproxy.cfg")
        self.assertEqual(2, len(self.all(8)))
        servers[0][0].send_signal(signal.SIGKILL)
        servers[0][0].wait()
        self.assertEqual({str(servers[1][0].pid)}, self.all(8))

    def test_tls(self) -> None:
        """
        TLS ends in the server; the PROXY protocol says who the client is.
        """
        comment, _, _ = example("haproxy-tcp.cfg").partition("global")
        given = shlex.split(
            with_(
                comment.partition("h11web ")[2].replace("\\\n#", ""),
                ("--https tcp:8443 ", ""),
                ("--status-listen tcp:9000", ""),
                ("/etc/h11web/certificates", "live"),
                ("10.0.0.10", "127.0.0.1"),
            )
        )
        self.start(
            *("haproxy-tcp.cfg", *given, "--forwarded", "none"),
            listen="--https tcp:{port}:interface=127.0.0.1",
        )
        said = self.curl("/x", "--interface", "127.0.0.9").split()
        where = f"shop.example:{self.front}"
        self.assertEqual(["127.0.0.9", "https", where, "/x", "0"], said[1:6])
        self.assertEqual(2, len(self.all(4)))


class AgreeingTests(CommandTestCase):
    """
    Settings that must fit each other do.
    """

    def number(self, name: str, pattern: str) -> float:
        """
        A number in one of the files.
        """
        found = re.search(pattern, example(name), re.M)
        assert found is not None, pattern
        units = {"": 1, "s": 1, "ms": 0.001, "k": 1 << 10, "m": 1 << 20, "M": 1 << 20}
        return float(found[1]) * units[found[2]]

    def test_all(self) -> None:
        """
        Each line of the table in the guide.
        """

        def ours(name: str) -> float:
            return self.number("h11web.toml", rf'^{name} = "?([\d.]+)([kM]?)')

        def nginx(name: str) -> float:
            return self.number("nginx.conf", rf"^ *{name} ([\d.]+)([skm]*);")

        def haproxy(name: str, file: str = "haproxy.cfg") -> float:
            return self.number(file, rf"^ *{name} ([\d.]+)(s?)$")

        interval = self.number("haproxy.cfg", r" inter (\d+)(ms)")
        often = self.number("haproxy.cfg", r" fall (\d+)()")
        self.assertLessEqual(often * interval, float(Options()["drain-idle"]))

        def unit(name: str) -> float:
            return self.number("h11web.service", rf"^{name}=([\d.]+)()$")

        idle = ours("idle-timeout")
        self.assertLess(nginx("keepalive_timeout"), idle)
        self.assertLess(haproxy("timeout http-keep-alive"), idle)
        self.assertGreater(haproxy("timeout client", "haproxy-tcp.cfg"), idle)
        self.assertEqual(ours("max-body-length"), nginx("client_max_body_size"))
        heads = self.number("nginx.conf", r"large_client_header_buffers 4 (\d+)(k)")
        self.assertGreater(ours("max-head-length"), 4 * heads)
        self.assertGreater(unit("TimeoutStopSec"), ours("grace") + 1)
