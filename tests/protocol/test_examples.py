"""
The examples of L{twisted_h11.protocol} run, over real TCP.
"""

from __future__ import annotations

import io
import json
import runpy
import subprocess
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import h11
from twisted.internet import reactor
from twisted.internet.error import ConnectionDone

from tests.support.server_cases import get, post
from tests.support.socket_cases import Peer, TCPBackend
from twisted_h11.protocol import H11Factory

net: Any = reactor
TOP = Path(__file__).resolve().parent.parent.parent
EXAMPLES = TOP / "docs" / "examples"


class ExampleTests(TCPBackend):
    """
    The server and the client.
    """

    def server(self, **attributes: Any) -> Any:
        """
        A factory of the server's protocol.
        """
        module = runpy.run_path(str(EXAMPLES / "protocol_server.py"))
        self.echo = type("Echo", (module["Echo"],), attributes)
        return H11Factory(self.echo, reactor=net)

    async def test_echo(self) -> None:
        """
        A request comes back as JSON, and the connection is kept.
        """
        peer: Peer = await self.open(self.server())
        for count in (1, 2):
            peer.send(post(b"h\xc3\xa9llo", b"X-More: yes", target=b"/a?b"))
            response = (await peer.responses(count))[-1]
            self.assertEqual(200, response.status)
            self.assertEqual(
                {
                    "method": "POST",
                    "target": "/a?b",
                    "headers": [
                        ["Host", "example.com"],
                        ["Content-Length", "6"],
                        ["X-More", "yes"],
                    ],
                    "body": "h\u00e9llo",
                },
                json.loads(response.body),
            )
            self.assertIsNotNone(response.get(b"date"))
            self.assertIn(b"python-h11", response.get(b"server") or b"")

    async def test_pipelined(self) -> None:
        """
        Many requests in one segment are answered in order.
        """
        peer: Peer = await self.open(self.server())
        peer.send(b"".join(get(b"/%d" % i) for i in range(200)))
        responses = await peer.responses(200)
        self.assertEqual(
            [f"/{i}" for i in range(200)],
            [json.loads(r.body)["target"] for r in responses],
        )

    async def test_head(self) -> None:
        """
        HEAD gets no content.
        """
        peer: Peer = await self.open(self.server())
        peer.methods = [b"HEAD", b"GET"]
        peer.send(get(method=b"HEAD") + get())
        head, other = await peer.responses(2)
        self.assertEqual(b"", head.body)
        self.assertEqual("GET", json.loads(other.body)["method"])

    async def test_continue(self) -> None:
        """
        A client that waits for 100 Continue gets it, unless the body is not
        wanted.
        """
        expect = b"Expect: 100-continue"
        peer: Peer = await self.open(self.server(maxBodyLength=10))
        peer.send(get(b"/", b"Content-Length: 5", expect, method=b"POST"))
        await peer.until(lambda: b"100 \r\n\r\n" in peer.received)
        peer.send(b"hello")
        await peer.until(lambda: b'"hello"' in peer.received)
        peer.received = b""
        peer.send(get(b"/", b"Content-Length: 11", expect, method=b"POST"))
        await peer.end()
        self.assertTrue(peer.received.startswith(b"HTTP/1.1 413 "))

    async def refused(self, data: bytes, **attributes: Any) -> int:
        """
        The status of the one response to C{data}, after which the connection
        closes.
        """
        peer: Peer = await self.open(self.server(**attributes))
        peer.send(data)
        await peer.end()
        (response,) = peer.read()
        self.assertTrue(response.closes)
        self.assertTrue(response.complete)
        peer.close()
        return response.status

    async def test_errors(self) -> None:
        """
        Each error has its status, and closes the connection.
        """
        chunk = b"b\r\nhello world\r\n"
        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        for data, status in (
            (b"what?\r\n\r\n", 400),
            (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 30_000, 431),
            (get(method=b"BREW"), 501),
            (get(b"a:443", method=b"CONNECT", host=b"a:443") + b"tunnel", 501),
            (post(b"x" * 11), 413),
            (chunked + chunk, 413),
        ):
            self.assertEqual(status, await self.refused(data, maxBodyLength=10), data)

    async def test_ourFault(self) -> None:
        """
        A mistake of our own is logged, and not told.
        """

        def answer(self: Any) -> None:
            raise ZeroDivisionError("secret")

        self.assertEqual(500, await self.refused(get(), answer=answer))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    async def test_tooSlow(self) -> None:
        """
        A request that does not end is answered with 408; a client that asks
        nothing is not answered.
        """
        for data in (b"GET / HTT", post(b"hello")[:-1]):
            self.assertEqual(408, await self.refused(data, requestTimeout=0.1))
        peer: Peer = await self.open(self.server(requestTimeout=0.1))
        await peer.end()
        self.assertEqual(b"", peer.received)

    async def test_client(self) -> None:
        """
        The client prints what it got from the server.
        """
        port = await self.listen(self.server())
        client = runpy.run_path(str(EXAMPLES / "protocol_client.py"))
        out = io.StringIO()
        with redirect_stdout(out):
            await client["main"](net, f"http://127.0.0.1:{port.getHost().port}/a?b")
        status, _, body = out.getvalue().partition("\n")
        self.assertEqual("200", status)
        self.assertEqual("/a?b", json.loads(body)["target"])

    async def test_clientFails(self) -> None:
        """
        It raises what went wrong: an answer that is not HTTP, one that is cut.
        """
        client = runpy.run_path(str(EXAMPLES / "protocol_client.py"))
        from twisted.internet.protocol import Factory, Protocol

        for answer, kind in (
            (b"220 mail ready\r\n\r\n", h11.RemoteProtocolError),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", h11.RemoteProtocolError),
            (b"", (ConnectionDone, h11.RemoteProtocolError)),
        ):

            class Wrong(Protocol):
                transport: Any
                answer = b""

                def dataReceived(self, data: bytes) -> None:
                    self.transport.write(self.answer)
                    self.transport.loseConnection()

            Wrong.answer = answer
            port = await self.listen(Factory.forProtocol(Wrong))
            url = f"http://127.0.0.1:{port.getHost().port}/"
            try:
                await client["fetch"](net, url)
            except kind:
                pass
            else:
                self.fail(f"no error for {answer!r}")

    def test_program(self) -> None:
        """
        Both are programs: the server says where it listens, and the client, run
        as one, gets its answer.
        """
        server = subprocess.Popen(
            [
                sys.executable,
                str(EXAMPLES / "protocol_server.py"),
                "tcp:0:interface=127.0.0.1",
            ],
            cwd=TOP,
            env={"PYTHONPATH": str(TOP), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert server.stdout is not None
            line = server.stdout.readline()
            port = line.rpartition("port=")[2].strip().rstrip(")")
            done = subprocess.run(
                [
                    sys.executable,
                    str(EXAMPLES / "protocol_client.py"),
                    f"http://127.0.0.1:{port}/",
                ],
                cwd=TOP,
                env={"PYTHONPATH": str(TOP), "PATH": "/usr/bin:/bin"},
                stdout=subprocess.PIPE,
                text=True,
                timeout=60,
                check=True,
            )
            self.assertTrue(done.stdout.startswith("200\n{"), done.stdout)
        finally:
            server.kill()
            server.communicate()
