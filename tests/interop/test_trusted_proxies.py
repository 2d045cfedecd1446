"""
nginx and HAProxy in front of C{twistd h11web}: clients are who they are, whatever they
send, and whatever others send past the proxy.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.web.resource import Resource

from tests.support.ports import free_port
from tests.support.programs import ProgramTestCase, nginx_conf
from tests.support.server_cases import get
from tests.support.socket_cases import Peer, certificate
from tests.wire.test_proxy_header import INET, v2
from twisted_h11._command.options import Options
from twisted_h11.server import Site
from twisted_h11.tap import makeService

net: Any = reactor

NGINX = """
upstream backend {{
    server {backend};
    keepalive 4;
}}
server {{
    listen 127.0.0.1:{port};
    listen 127.0.0.1:{secure} ssl;
    ssl_certificate {pem};
    ssl_certificate_key {pem};
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    location / {{
        proxy_pass http://backend;
        proxy_set_header Host backend.internal;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}
    location /app/ {{
        proxy_pass http://backend/;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto $scheme;
    }}
}}
"""

HAPROXY = """
global
    maxconn 64
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    option http-keep-alive
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    {options}
    server one {backend} {server}
"""

FORGED = (
    b"X-Forwarded-For: 127.0.0.1",
    b"X-Forwarded-Host: evil.example",
    b"X-Forwarded-Proto: gopher",
    b'Forwarded: for=127.0.0.1;proto=https;host="evil.example"',
)


class Tell(Resource):
    """
    Says who asks, and for what.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        In one line.
        """
        host: bytes = request.getClientAddress().host.encode()
        return b" ".join(
            (
                host,
                request.prePathURL(),
                request.getRequestHostname(),
                b"secure" if request.isSecure() else b"plain",
            )
        )


class ProxiesTestCase(ProgramTestCase):
    """
    The command's own service, in this process.
    """

    def setUp(self) -> None:
        """
        Nothing listens yet.
        """
        super().setUp()
        self.log = os.path.join(self.folder, "access.log")

    async def serve(self, *arguments: str, listen: tuple[str, ...] = ()) -> str:
        """
        Serve.

        @return: where, as proxies write it.
        """
        options = Options()
        here = f"{__name__}.Tell"
        options.parseOptions(
            [
                *(listen or ("--listen", "tcp:0:interface=127.0.0.1")),
                *("--class", here, "--logfile", self.log, *arguments),
            ]
        )
        service: Any = makeService(options)
        service.startService()
        self.addCleanup(service.stopService)
        (listening,) = service
        self.site: Site = listening.factory
        (port,) = listening.ports
        where = port.getHost()
        if hasattr(where, "port"):
            return f"127.0.0.1:{where.port}"
        os.chmod(self.folder, 0o755)
        return f"unix:{where.name.decode()}"

    async def ask(
        self, port: int, data: bytes, source: str = "127.0.0.1"
    ) -> bytes | None:
        """
        Send something from one of the addresses of this machine.

        @return: the body of the answer, C{None} if the connection ends without one.
        """
        endpoint = TCP4ClientEndpoint(net, "127.0.0.1", port, bindAddress=(source, 0))
        peer = self.keep(await connectProtocol(endpoint, Peer()))
        peer.send(data)
        responses = await peer.responses(1)
        peer.close()
        return responses[0].body if responses else None

    def logged(self) -> list[str]:
        """
        The addresses in the access log.
        """
        log: Any = self.site
        log.logFile.flush()
        with open(self.log) as file:
            return [line.split('"')[1] for line in file]

    async def nginx(self, backend: str) -> tuple[int, int]:
        """
        Start nginx.

        @return: its ports, without TLS and with it.
        """
        port, secure = free_port(), free_port()
        http = NGINX.format(
            port=port, secure=secure, backend=backend, pem=certificate()[2]
        )
        path = self.write("nginx.conf", nginx_conf(self.folder, http))
        run = self.start(
            self.program("nginx"), "-p", self.folder, "-e", "stderr", "-c", path
        )
        await self.listening(port, run)
        return port, secure

    async def haproxy(self, backend: str, server: str, options: str = "") -> int:
        """
        Start HAProxy.

        @return: its port.
        """
        port = free_port()
        text = HAPROXY.format(
            port=port, backend=backend, server=server, options=options
        )
        run = self.start(
            self.program("haproxy"), "-db", "-f", self.write("haproxy.cfg", text)
        )
        await self.listening(port, run)
        return port


class NginxTests(ProxiesTestCase):
    """
    nginx adds to C{X-Forwarded-For}.
    """

    async def test_clients(self) -> None:
        """
        Each client has its own address, scheme and host, forged fields or not; a
        stranger who passes the proxy by has only what it has.
        """
        backend = await self.serve("--trust-proxy", "127.0.0.1")
        port, secure = await self.nginx(backend)
        plain = b"127.0.0.9 http://example.com/ example.com plain"
        for fields in ((), FORGED[:1], FORGED):
            answer = await self.ask(port, get(b"/", *fields), "127.0.0.9")
            self.assertEqual(plain, answer)
        answer = await self.curl(
            *("-k", "--interface", "127.0.0.9", f"https://127.0.0.1:{secure}/"),
            *("-H", "X-Forwarded-Proto: http", "-H", "X-Forwarded-For: ::1"),
        )
        url = b"https://127.0.0.1:%d/" % secure
        self.assertEqual(b"127.0.0.9 " + url + b" 127.0.0.1 secure", answer)
        direct = int(backend.rpartition(":")[2])
        for fields in ((), FORGED):
            answer = await self.ask(direct, get(b"/", *fields), "127.0.0.7")
            url = b"http://example.com:%d/" % direct
            self.assertEqual(b"127.0.0.7 " + url + b" example.com plain", answer)
        self.assertEqual(["127.0.0.9"] * 4 + ["127.0.0.7"] * 2, self.logged())

    async def test_unix(self) -> None:
        """
        Over a UNIX socket.
        """
        backend = await self.serve(
            *("--trust-proxy", "unix"),
            listen=("--listen", f"unix:{self.folder}/socket"),
        )
        port, _ = await self.nginx(backend)
        answer = await self.ask(port, get(b"/", *FORGED), "127.0.0.9")
        self.assertEqual(b"127.0.0.9 http://example.com/ example.com plain", answer)
        self.assertEqual(["127.0.0.9"], self.logged())

    async def test_rootPath(self) -> None:
        """
        nginx takes the path off; URLs have it.
        """
        backend = await self.serve("--trust-proxy", "127.0.0.1", "--root-path", "/app")
        port, _ = await self.nginx(backend)
        answer = await self.ask(port, get(b"/app/", host=b"example.com:81"))
        assert answer is not None
        self.assertEqual(
            b"127.0.0.1 http://example.com:81/app example.com plain", answer
        )


class HAProxyTests(ProxiesTestCase):
    """
    HAProxy, with C{Forwarded}, and with the PROXY protocol.
    """

    async def test_forwarded(self) -> None:
        """
        C{Forwarded}, as a line of its own behind those that are there.
        """
        backend = await self.serve(
            "--trust-proxy", "127.0.0.1", "--forwarded", "forwarded"
        )
        port = await self.haproxy(
            backend,
            "",
            "http-request add-header Forwarded "
            """'for="%[src]:%[src_port]";proto=http;host="%[req.hdr(host)]"'""",
        )
        for fields in ((), FORGED, (b"Forwarded: for=unknown",)):
            answer = await self.ask(
                port, get(b"/", *fields, host=b"example.com:81"), "127.0.0.9"
            )
            self.assertEqual(
                b"127.0.0.9 http://example.com:81/ example.com plain", answer
            )
        self.assertEqual(["127.0.0.9"] * 3, self.logged())

    async def test_proxyProtocol(self) -> None:
        """
        Both versions; C{--max-connections-per-peer} counts clients; those who pass
        HAProxy by get nothing, with a header or without one.
        """
        backend = await self.serve(
            *("--trust-proxy", "127.0.0.1", "--proxy-protocol"),
            *("--max-connections-per-peer", "2"),
        )
        direct = int(backend.rpartition(":")[2])
        for version in ("send-proxy", "send-proxy-v2"):
            port = await self.haproxy(backend, version)
            for source in ("127.0.0.9", "127.0.0.8", "127.0.0.6"):
                answer = await self.ask(port, get(b"/", *FORGED), source)
                expected = b" http://example.com:%d/ example.com plain" % port
                self.assertEqual(source.encode() + expected, answer)
            await self.endAll()
        line = b"PROXY TCP4 127.0.0.1 127.0.0.1 1 2\r\n"
        for data in (get(b"/"), line + get(b"/"), v2(1, 0x11, INET) + get(b"/")):
            self.assertIsNone(await self.ask(direct, data, "127.0.0.7"))
        self.assertIsNone(await self.ask(direct, get(b"/")))
        self.assertEqual(["127.0.0.9", "127.0.0.8", "127.0.0.6"] * 2, self.logged())

    async def test_proxyProtocolAndTLS(self) -> None:
        """
        The header comes first, and then TLS.
        """
        pem = certificate()[2]
        local = "interface=127.0.0.1"
        for listen in (
            ("--listen", f"ssl:0:privateKey={pem}:certKey={pem}:{local}"),
            ("--https", f"tcp:0:{local}", "--certificate", pem),
        ):
            backend = await self.serve(
                *("--trust-proxy", "127.0.0.1", "--proxy-protocol"), listen=listen
            )
            for version in ("send-proxy", "send-proxy-v2"):
                port = await self.haproxy(backend, f"{version} ssl verify none")
                answer = await self.ask(port, get(b"/"), "127.0.0.9")
                url = b"https://example.com:%d/" % port
                self.assertEqual(b"127.0.0.9 %b example.com secure" % url, answer)
                await self.endAll()
            self.assertEqual({"127.0.0.9"}, set(self.logged()))

    async def test_healthChecks(self) -> None:
        """
        Checks come without a client (C{LOCAL}), and are answered.
        """
        backend = await self.serve("--trust-proxy", "127.0.0.1", "--proxy-protocol")
        port = await self.haproxy(
            backend,
            "send-proxy-v2 check check-send-proxy inter 20ms",
            "option httpchk GET /check HTTP/1.1\n"
            "    http-check send hdr Host example.com",
        )
        for _ in range(500):
            if len(self.logged()) > 2:
                break
            await self.turns(20)
        answer = await self.ask(port, get(b"/"), "127.0.0.9")
        assert answer is not None
        self.assertTrue(answer.startswith(b"127.0.0.9 "))
        self.assertEqual({"127.0.0.1", "127.0.0.9"}, set(self.logged()))
