"""
The examples of the documentation, run as they stand, with curl and other clients.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import DNSLookupError
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SkipTest

from tests.server.test_streaming_bodies import Doing
from tests.server.test_streaming_limits import StreamingEcho
from tests.support.optional import find_program, need
from tests.support.server_cases import GET, get
from tests.support.socket_cases import Peer, TCPBackend, TLSBackend, UNIXBackend
from twisted_h11.server import Site

net: Any = reactor
EXAMPLES = Path(__file__).resolve().parent.parent.parent / "docs" / "examples"


WEBSOCKET_CLIENT = """
import os, sys
from websockets.sync.client import connect

seen = []
with connect(sys.argv[1], max_size=None) as socket:
    for message in ("hello", b"bytes", "\u20ac" * 1000, os.urandom(700_000)):
        socket.send(message)
        seen.append(socket.recv(timeout=10) == message)
    seen.append(socket.ping().wait(10))
seen.append(socket.protocol.close_rcvd.code)
print(*seen)
"""


def load(name: str) -> dict[str, Any]:
    """
    Run an example, but not its C{main}.
    """
    path = EXAMPLES / f"{name}.py"
    names: dict[str, Any] = {"__name__": name, "__file__": str(path)}
    exec(compile(path.read_text("utf-8"), str(path), "exec", dont_inherit=True), names)
    return names


class ExampleTestCase(TCPBackend):
    """
    Serves an example, and runs programs against it.
    """

    folder: str
    switches = False

    def watched(self, site: Any) -> Any:
        """
        Connections that are given away do not tell us that they are gone.
        """
        return site if self.switches else super().watched(site)

    def setUp(self) -> None:
        """
        A folder.
        """
        super().setUp()
        self.folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.folder)

    async def serve(self, resource: Any) -> str:
        """
        Serve a resource.

        @return: C{host:port}.
        """
        port = await self.listen(Site(resource))
        return f"127.0.0.1:{port.getHost().port}"

    async def run_(self, program: str, *arguments: str) -> tuple[bytes, bytes, int]:
        """
        Run a program.

        @return: its output, its errors, its status.
        """
        path = find_program(program)
        if path is None:
            raise SkipTest(f"{program} is not installed")
        result: Any = await getProcessOutputAndValue(path, arguments, os.environ)
        return result  # type: ignore[no-any-return]

    def file(self, name: str, content: bytes) -> str:
        """
        Make a file to upload.
        """
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    async def test_compile(self) -> None:
        """
        Every example has a C{main}.
        """
        paths = list(EXAMPLES.glob("server_*.py"))
        self.assertGreater(len(paths), 4)
        for path in paths:
            self.assertIn("async def main(", path.read_text("utf-8"))


class UploadTests(ExampleTestCase):
    """
    C{server_upload.py}, with curl.
    """

    async def upload(self) -> tuple[str, Path]:
        """
        Serve it.

        @return: where, and the folder that it writes to.
        """
        need("python_multipart")
        target = Path(self.folder, "received")
        target.mkdir()
        return await self.serve(load("server_upload")["Upload"](target)), target

    async def test_put(self) -> None:
        """
        curl -T, with a length and in chunks; curl expects 100 for the first.
        """
        where, target = await self.upload()
        content = os.urandom(3_000_000)
        path = self.file("a", content)
        for extra in ([], ["-H", "Transfer-Encoding: chunked"]):
            out, err, code = await self.run_(
                "curl", "-sSv", *extra, "-T", path, f"http://{where}/"
            )
            self.assertEqual(0, code, err)
            self.assertIn(b"HTTP/1.1 201 ", err)
            self.assertIn(b"100 Continue", err)
            name, size = out.decode().split()
            self.assertEqual("3000000", size)
            self.assertEqual(content, (target / name).read_bytes())

    async def test_form(self) -> None:
        """
        curl -F, with a field and two files.
        """
        where, target = await self.upload()
        contents = [os.urandom(2_000_000), b"small"]
        paths = [self.file(str(i), content) for i, content in enumerate(contents)]
        out, err, code = await self.run_(
            "curl",
            "-sS",
            "-F",
            "title=Hello",
            *[word for path in paths for word in ("-F", f"file=@{path}")],
            f"http://{where}/",
        )
        self.assertEqual((0, b""), (code, err))
        names = [line.split()[0] for line in out.decode().splitlines()]
        self.assertEqual(contents, [(target / name).read_bytes() for name in names])

    async def test_noForm(self) -> None:
        """
        A body that is no form is refused, and leaves no file.
        """
        where, target = await self.upload()
        out, _, _ = await self.run_(
            "curl", "-sS", "-w", "%{http_code}", "-d", "a=b", f"http://{where}/"
        )
        self.assertTrue(out.endswith(b"415"), out)
        self.assertEqual([], list(target.iterdir()))

    async def test_cut(self) -> None:
        """
        An upload that is cut leaves no file.
        """
        need("python_multipart")
        target = Path(self.folder, "received")
        target.mkdir()
        site = Site(load("server_upload")["Upload"](target))
        peer: Peer = await self.open(site)
        peer.send(get(b"/", b"Content-Length: 1000000", method=b"PUT") + b"x" * 1000)
        while not list(target.iterdir()):
            await self.turns(10)
        peer.abort()
        await peer.gone()
        while list(target.iterdir()):
            await self.turns(10)
        self.assertEqual([], self.flushLoggedErrors())


class WebSocketTests(ExampleTestCase):
    """
    C{server_websocket.py}, with the client of C{websockets}.
    """

    switches = True

    async def test_echo(self) -> None:
        """
        Text, bytes, a ping, a large message and the closing handshake.
        """
        need("wsproto")
        need("websockets.sync.client")
        where = await self.serve(load("server_websocket")["EchoResource"]())
        # In a process: the client's threads can not hold up ours.
        out, err, code = await self.run_(
            "timeout", "15", sys.executable, "-c", WEBSOCKET_CLIENT, f"ws://{where}/"
        )
        self.assertEqual((0, b""), (code, err))
        self.assertEqual(b"True True True True True 1000\n", out)

    async def test_noWebSocket(self) -> None:
        """
        Any other request is told what is required.
        """
        need("wsproto")
        where = await self.serve(load("server_websocket")["EchoResource"]())
        out, _, _ = await self.run_(
            "curl", "-sS", "-D", "-", "-o", "-", f"http://{where}/"
        )
        self.assertIn(b"426 Upgrade Required\r\n", out)
        self.assertIn(b"upgrade: websocket", out.lower())


class TunnelTests(ExampleTestCase):
    """
    C{server_connect_tunnel.py}, with curl.
    """

    switches = True

    async def tunnel(self, *allowed: str) -> str:
        """
        Serve it.
        """
        kind = load("server_connect_tunnel")["Tunnel"]
        return await self.serve(kind(net, {text.encode() for text in allowed}))

    async def test_curl(self) -> None:
        """
        curl reaches a site through it, and gets all of a large response.
        """
        from twisted.web.static import Data

        body = b"x" * 3_000_000
        data: Any = Data(body, "text/plain")
        data.isLeaf = True
        target = await self.serve(data)
        where = await self.tunnel(target)
        out, err, code = await self.run_(
            "curl", "-sS", "-p", "-x", f"http://{where}", f"http://{target}/"
        )
        self.assertEqual((0, b""), (code, err))
        self.assertEqual(len(body), len(out))

    async def test_notAllowed(self) -> None:
        """
        Elsewhere it is 403.
        """
        where = await self.tunnel("127.0.0.1:1")
        _, err, code = await self.run_(
            "curl", "-sS", "-p", "-x", f"http://{where}", "http://127.0.0.1:2/"
        )
        self.assertEqual(56, code)
        self.assertIn(b"403", err)

    async def test_notThere(self) -> None:
        """
        Where nobody listens it is 502.
        """
        where = await self.tunnel("127.0.0.1:1")
        _, err, _ = await self.run_(
            "curl", "-sS", "-p", "-x", f"http://{where}", "http://127.0.0.1:1/"
        )
        self.assertIn(b"502", err)

    async def test_noSuchHost(self) -> None:
        """
        It is 502 too where the name has no address, or the client goes while it is
        looked up, which also makes a C{DNSLookupError}.
        """
        names = load("server_connect_tunnel")
        names["Tunnel"].render_CONNECT.__globals__["connectProtocol"] = lambda *_: fail(
            DNSLookupError("no results")
        )
        where = await self.serve(names["Tunnel"](net, {b"nowhere.invalid:1"}))
        _, err, _ = await self.run_(
            "curl", "-sS", "-p", "-x", f"http://{where}", "http://nowhere.invalid:1/"
        )
        self.assertIn(b"502", err)
        self.assertEqual([], self.flushLoggedErrors())

    async def test_speaksFirst(self) -> None:
        """
        Bytes of a server that speaks first, and of a client that does not wait,
        come after the response, and the end of one side ends the other.
        """

        class Greeting(Protocol):
            def connectionMade(self) -> None:
                self.transport.write(b"220 hello\r\n")  # type: ignore[union-attr]

            def dataReceived(self, data: bytes) -> None:
                self.transport.write(data.upper())  # type: ignore[union-attr]
                if data.endswith(b"quit\r\n"):
                    self.transport.loseConnection()  # type: ignore[union-attr]

        endpoint = TCP4ServerEndpoint(net, 0, interface="127.0.0.1")
        port: Any = await endpoint.listen(Factory.forProtocol(Greeting))
        self.ports.append(port)
        name = b"127.0.0.1:%d" % (port.getHost().port,)
        kind = load("server_connect_tunnel")["Tunnel"]
        peer: Peer = await self.open(Site(kind(net, {name})))
        peer.methods = [b"CONNECT"]
        peer.send(get(name, method=b"CONNECT", host=name) + b"early\r\n")
        await peer.until(lambda: b"EARLY" in peer.received)
        head, _, rest = peer.received.partition(b"\r\n\r\n")
        self.assertTrue(head.startswith(b"HTTP/1.1 200 "))
        self.assertEqual(b"220 hello\r\nEARLY\r\n", rest)
        peer.send(b"quit\r\n")
        await peer.end()
        self.assertTrue(peer.received.endswith(b"QUIT\r\n"))


class Hurried:
    """
    A clock for examples that wait for seconds.
    """

    def callLater(self, seconds: float, *arguments: Any) -> Any:
        """
        Call a hundred times as soon.
        """
        return net.callLater(seconds / 100, *arguments)


class SmallTests(ExampleTestCase):
    """
    C{server_early_hints.py} and C{server_async.py}.
    """

    async def test_earlyHints(self) -> None:
        """
        The hint is there before the page.
        """
        peer: Peer = await self.open(Site(load("server_early_hints")["Page"](net)))
        peer.send(GET)
        await peer.until(lambda: b"\r\n\r\n" in peer.received)
        self.assertTrue(peer.received.startswith(b"HTTP/1.1 103 Early Hints\r\n"))
        self.assertNotIn(b"200", peer.received)
        (response,) = await peer.responses(1)
        self.assertEqual([103], response.interim)
        self.assertIn(b"<h1>Hello</h1>", response.body)

    async def test_async(self) -> None:
        """
        Both methods answer.
        """
        where = await self.serve(load("server_async")["Slow"](Hurried()))
        out, err, code = await self.run_("curl", "-sS", "-d", "1", f"http://{where}/")
        self.assertEqual((b"done\n", b"", 0), (out, err, code))
        out, err, code = await self.run_("curl", "-sS", f"http://{where}/")
        self.assertEqual((b"1\n2\n3\n", b"", 0), (out, err, code))

    async def test_asAProgram(self) -> None:
        """
        An example runs as it is, on an endpoint that is given.
        """

        class Output(Protocol):
            def __init__(self) -> None:
                self.data = b""
                self.said: Deferred[bytes] = Deferred()
                self.ended: Deferred[None] = Deferred()

            def outReceived(self, data: bytes) -> None:
                self.data += data
                if b"\n" in self.data and not self.said.called:
                    self.said.callback(self.data)

            def childDataReceived(self, descriptor: int, data: bytes) -> None:
                self.outReceived(data)

            def childConnectionLost(self, descriptor: int) -> None:
                pass

            def processExited(self, reason: Any) -> None:
                pass

            def processEnded(self, reason: Any) -> None:
                self.ended.callback(None)

        output: Any = Output()
        process = net.spawnProcess(
            output,
            sys.executable,
            [
                sys.executable,
                str(EXAMPLES / "server_early_hints.py"),
                "tcp:0:interface=127.0.0.1",
            ],
            env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent.parent)},
            path=str(EXAMPLES.parent.parent),
        )
        try:
            self.assertIn(b"listening on", await output.said)
        finally:
            # Not INT: before the reactor runs, that is an exception like others.
            process.signalProcess("TERM")
            await output.ended


class HeadTests(ExampleTestCase):
    """
    The head is answered before the body is read, seen by curl.
    """

    async def test_neverSent(self) -> None:
        """
        A client that expects 100 never sends its body to a resource that says
        401 at the head.
        """

        def render(request: Any) -> bytes:
            request.setResponseCode(401)
            return b"who are you?\n"

        where = await self.serve(Doing(render))
        path = self.file("large", b"x" * 5_000_000)
        out, err, code = await self.run_(
            "curl",
            "-sSv",
            "--expect100-timeout",
            "30",
            "-w",
            "%{http_code} %{size_upload}",
            "-T",
            path,
            f"http://{where}/",
        )
        self.assertEqual(0, code, err)
        self.assertEqual(b"who are you?\n401 0", out)

    async def test_tooLargeIsRead(self) -> None:
        """
        413 to a client that goes on sending reaches it: it is no reset.
        """
        root: Any = StreamingEcho()
        root.maxBodyLength = 1000
        where = await self.serve(root)
        path = self.file("large", b"x" * 8_000_000)
        for extra in (
            ["-H", "Expect:"],
            ["-H", "Expect:", "-H", "Transfer-Encoding: chunked"],
        ):
            for _ in range(5):
                out, err, code = await self.run_(
                    "curl",
                    "-sS",
                    *extra,
                    "-w",
                    "%{http_code}",
                    "-T",
                    path,
                    f"http://{where}/",
                )
                self.assertEqual(0, code, err)
                self.assertTrue(out.endswith(b"413"), out)


class UNIXHeadTests(UNIXBackend):
    """
    The same on a UNIX socket.
    """

    async def test_tooLargeIsRead(self) -> None:
        """
        413 reaches a client that goes on sending.
        """
        root: Any = StreamingEcho()
        root.maxBodyLength = 1000
        peer: Peer = await self.open(Site(root))
        peer.send(get(b"/", b"Content-Length: 900000", method=b"PUT") + b"x" * 900_000)
        (response,) = await peer.responses(1)
        self.assertEqual(413, response.status)


class TLSHeadTests(TLSBackend):
    """
    Last responses over TLS.
    """

    async def test_tooLargeIsRead(self) -> None:
        """
        413 reaches a curl that goes on sending.
        """
        root: Any = StreamingEcho()
        root.maxBodyLength = 1000
        port = await self.listen(Site(root))
        curl = find_program("curl")
        if curl is None:
            raise SkipTest("curl is not installed")
        with tempfile.NamedTemporaryFile() as file:
            file.truncate(8_000_000)
            arguments = ["-sSk", "-m", "45", "-H", "Expect:", "-w", "%{http_code}"]
            arguments += ["-T", file.name, f"https://127.0.0.1:{port.getHost().port}/"]
            for _ in range(3):
                result: Any = await getProcessOutputAndValue(
                    curl, arguments, os.environ
                )
                out, err, code = result
                self.assertEqual(0, code, err)
                self.assertTrue(out.endswith(b"413"), out)

    async def test_endsAtOnce(self) -> None:
        """
        A client that waits for the end of the connection sees it with the end
        of the response, not after the time of a lingering close.
        """
        site = Site(load("server_async")["Slow"](Hurried()))
        peer: Peer = await self.open(site)
        started = net.seconds()
        peer.send(b"POST / HTTP/1.0\r\nHost: a\r\nContent-Length: 1\r\n\r\n1")
        await peer.end()
        self.assertTrue(peer.received.endswith(b"done\n"))
        self.assertLess(net.seconds() - started, 3)
