"""
nginx and HAProxy as reverse proxies in front of the server.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.web.server import NOT_DONE_YET

from tests.support.ports import free_port
from tests.support.programs import ProgramTestCase, nginx_conf
from tests.support.server_cases import FAST_PATH, Calls, get, post
from tests.support.socket_cases import Peer
from twisted_h11.server import Site

net: Any = reactor

NGINX = """
client_max_body_size 0;
upstream backend {{
    server {backend};
    keepalive 8;
}}
server {{
    listen 127.0.0.1:{port};
    location / {{
        proxy_pass http://backend;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
    }}
    location /streamed/ {{
        proxy_pass http://backend;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_buffering off;
        proxy_set_header Connection "";
        proxy_set_header Host $host;
    }}
    location /old/ {{
        proxy_pass http://backend;
        proxy_set_header Host $host;
    }}
}}
"""

HAPROXY = """
global
    maxconn 256
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
    timeout check 5s
    option http-keep-alive
    http-reuse always
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    {options}
    server one {backend} {server}
"""


def application() -> Any:
    """
    What the proxies serve.
    """

    def render(request: Any) -> Any:
        path = request.path
        if path.endswith(b"/chunked"):
            for i in range(20):
                request.write(b"%d " % i * 1000)
            request.finish()
            return NOT_DONE_YET
        if path.endswith(b"/nothing"):
            request.setResponseCode(204)
            return b""
        if path.endswith(b"/large"):
            return b"x" * 2_000_000
        if path.endswith(b"/peer"):
            address = request.getClientAddress()
            return f"{address.host} {request.getHost().port}".encode()
        body: bytes = request.content.read()
        return b" ".join(
            [request.method, request.uri, request.getHeader(b"host") or b"-", body]
        )

    return Calls(render)


class ProxyTestCase(ProgramTestCase):
    """
    What holds behind every proxy.
    """

    async def through(self, port: int, prefix: bytes = b"") -> None:
        """
        Send a number of requests through a proxy on one connection.
        """
        peer = await self.client(port)
        large = os.urandom(400_000)
        chunked = get(prefix + b"/put", b"Transfer-Encoding: chunked", method=b"PUT")
        requests = [
            (get(prefix + b"/a?b=c"), b"GET %s/a?b=c example.com " % prefix),
            (
                post(b"hello", target=prefix + b"/p"),
                b"POST %s/p example.com hello" % prefix,
            ),
            (get(prefix + b"/chunked"), b"".join(b"%d " % i * 1000 for i in range(20))),
            (get(prefix + b"/large"), b"x" * 2_000_000),
            (get(prefix + b"/nothing"), b""),
            (
                post(large, target=prefix + b"/big"),
                b"POST %s/big example.com " % prefix + large,
            ),
            (
                chunked + b"5\r\nhello\r\n0\r\n\r\n",
                b"PUT %s/put example.com hello" % prefix,
            ),
            (get(prefix + b"/last"), b"GET %s/last example.com " % prefix),
        ]
        for request, expected in requests:
            peer.received = b""
            peer.send(request)
            responses = await peer.responses(1)
            self.assertEqual(1, len(responses), request[:60])
            self.assertTrue(
                responses[0].body == expected,
                f"{request[:60]!r}: {responses[0].status} {responses[0].body[:200]!r}",
            )

    async def client(self, port: int) -> Peer:
        """
        Connect to the proxy.
        """

        class At:
            def getHost(self) -> Any:
                class Address:
                    pass

                address = Address()
                address.port = port  # type: ignore[attr-defined]
                return address

        return await self.connect(At())

    def site(self) -> Any:
        """
        The server behind the proxy.
        """
        return Site(application(), fastPath=FAST_PATH)


class NginxTests(ProxyTestCase):
    """
    nginx, over TCP and over a UNIX socket.
    """

    async def nginx(self, backend: str) -> int:
        """
        Start nginx in front of C{backend}.

        @return: its port.
        """
        number = free_port()
        path = self.write(
            "nginx.conf",
            nginx_conf(self.folder, NGINX.format(port=number, backend=backend)),
        )
        run = self.start(
            self.program("nginx"), "-p", self.folder, "-e", "stderr", "-c", path
        )
        await self.listening(number, run)
        return number

    async def test_tcp(self) -> None:
        """
        Buffered, streamed, and with HTTP/1.0 between proxy and server.
        """
        port = await self.listen(self.site())
        number = await self.nginx(f"127.0.0.1:{port.getHost().port}")
        for prefix in (b"", b"/streamed", b"/old"):
            await self.through(number, prefix)

    async def test_unix(self) -> None:
        """
        Over a UNIX socket, made by an endpoint string.
        """
        folder = tempfile.mkdtemp()
        self.folders.append(folder)
        path = os.path.join(folder, "socket")
        endpoint = serverFromString(net, f"unix:{path}")
        self.ports.append(await endpoint.listen(self.watched(self.site())))
        os.chmod(folder, 0o755)
        os.chmod(path, 0o777)
        await self.through(await self.nginx(f"unix:{path}"))

    async def test_manyAtOnce(self) -> None:
        """
        Many connections share the few that nginx keeps to the server.
        """
        port = await self.listen(self.site())
        number = await self.nginx(f"127.0.0.1:{port.getHost().port}")
        peers = [await self.client(number) for _ in range(40)]
        for turn in range(3):
            for i, peer in enumerate(peers):
                peer.received = b""
                peer.send(get(b"/%d/%d" % (turn, i)))
            for i, peer in enumerate(peers):
                (response,) = await peer.responses(1)
                self.assertEqual(b"GET /%d/%d example.com " % (turn, i), response.body)


class HAProxyTests(ProxyTestCase):
    """
    HAProxy, with health checks and the PROXY protocol.
    """

    async def haproxy(self, backend: str, server: str = "", options: str = "") -> int:
        """
        Start HAProxy in front of C{backend}.

        @return: its port.
        """
        number = free_port()
        path = self.write(
            "haproxy.cfg",
            HAPROXY.format(
                port=number, backend=backend, server=server, options=options
            ),
        )
        run = self.start(self.program("haproxy"), "-db", "-f", path)
        await self.listening(number, run)
        return number

    async def test_tcp(self) -> None:
        """
        Requests of all kinds.
        """
        port = await self.listen(self.site())
        await self.through(await self.haproxy(f"127.0.0.1:{port.getHost().port}"))

    async def test_healthChecks(self) -> None:
        """
        Connecting and closing, and HTTP checks, do no harm.
        """
        port = await self.listen(self.site())
        backend = f"127.0.0.1:{port.getHost().port}"
        await self.through(await self.haproxy(backend, "check inter 10ms"))
        await self.endAll()
        await self.through(
            await self.haproxy(
                backend,
                "check inter 10ms",
                "option httpchk OPTIONS * HTTP/1.1\n"
                "    http-check send hdr Host example.com",
            )
        )

    async def test_proxyProtocol(self) -> None:
        """
        The C{haproxy:} endpoint tells the client's address.
        """
        endpoint = serverFromString(net, "haproxy:tcp:0:interface=127.0.0.1")
        port: Any = await endpoint.listen(self.watched(self.site()))
        self.ports.append(port)
        inner = port.getHost().port
        for version in ("send-proxy", "send-proxy-v2"):
            number = await self.haproxy(f"127.0.0.1:{inner}", version)
            await self.through(number)
            peer = await self.client(number)
            peer.send(get(b"/peer"))
            (response,) = await peer.responses(1)
            self.assertEqual(f"127.0.0.1 {number}".encode(), response.body)
            await self.endAll()
