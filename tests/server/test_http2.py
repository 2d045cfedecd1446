"""
HTTP/2: off unless asked for, and then handed to what Twisted builds for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from typing import Any
from unittest import mock

from twisted.internet import reactor, ssl
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.error import ConnectionAborted
from twisted.internet.protocol import Protocol
from twisted.web import http, server

from tests.server.test_http2_bounds import BoundsTestCase
from tests.server.test_producers import Push
from tests.support.optional import need
from tests.support.server_cases import FAST_PATH, GET, Calls, Echo, ServerTestCase
from tests.support.socket_cases import Peer, TLSBackend, certificate
from twisted_h11.server import (
    Limits,
    Request,
    Site,
    TrustedProxies,
    access_log_format,
    json_log_format,
)

net: Any = reactor


class Switch(ServerTestCase):
    """
    The switch.
    """

    def test_offByDefault(self) -> None:
        """
        HTTP/2 is not offered unless it is asked for.
        """
        self.assertEqual([b"http/1.1"], self.site().acceptableProtocols())

    def test_on(self) -> None:
        """
        With C{http2=True} it is offered first.
        """
        need("h2")
        site = self.site(http2=True)
        self.assertEqual([b"h2", b"http/1.1"], site.acceptableProtocols())

    def test_withoutTheExtra(self) -> None:
        """
        Without the http2 extra it is a ValueError that names it.
        """
        with mock.patch.object(http, "H2_ENABLED", False):
            text = self.raised(ValueError, lambda: Site(Echo(), http2=True))
        self.assertIn("http2", text)

    def test_plainConnection(self) -> None:
        """
        A connection without ALPN is HTTP/1.1, whatever the switch says.
        """
        need("h2")
        wire = self.connect(self.site(http2=True)).send(GET, GET)
        self.assertEqual([200, 200], wire.statuses)
        wire.send(b"bad\r\n\r\n")
        self.assertRefused(wire, 400)

    def test_nothingSent(self) -> None:
        """
        A connection that says nothing is closed, with the switch on, too.
        """
        need("h2")
        wire = self.connect(self.site(http2=True))
        wire.advance((Limits().firstByteTimeout or 0) + 20)
        self.assertTrue(wire.closed)

    def test_halfClose(self) -> None:
        """
        A half-closed client gets its answer, with the switch on, too.
        """
        need("h2")
        wire = self.connect(self.site(http2=True)).send(GET).halfClose()
        self.assertEqual([200], wire.statuses)
        self.assertTrue(wire.closed)

    def test_pause(self) -> None:
        """
        Back-pressure reaches the channel, with the switch on, too.
        """
        need("h2")
        body = b"x" * 10_000
        site = self.site(lambda request: body, http2=True)
        wire = self.connect(site).stall()
        for _ in range(100):
            wire.unread.append(GET * 4)
        wire.pump()
        self.assertLess(len(wire.transport.backlog), 200_000)
        wire.drain()
        self.assertEqual(400, len(wire.responses))

    def test_drain(self) -> None:
        """
        Draining ends idle connections, with the switch on, too.
        """
        need("h2")
        site = self.site(http2=True)
        fresh, used = self.connect(site), self.connect(site).send(GET)
        done: list[object] = []
        site.drain(5).addCallback(done.append)
        fresh.pump()
        used.pump()
        self.assertTrue(fresh.closed)
        self.assertTrue(used.closed)
        self.assertEqual([None], done)


class Client(Protocol):
    """
    A client of HTTP/2, as small as it can be.
    """

    transport: Any

    def __init__(self) -> None:
        need("h2")
        from h2.config import H2Configuration
        from h2.connection import H2Connection

        self.h2 = H2Connection(H2Configuration(client_side=True))
        self.events: list[Any] = []
        self.lost = False
        self.look: Callable[[], None] = lambda: None

    def connectionMade(self) -> None:
        """
        Send the preface.
        """
        self.h2.initiate_connection()
        self.transport.write(self.h2.data_to_send())

    def dataReceived(self, data: bytes) -> None:
        """
        Keep the events.
        """
        self.events += self.h2.receive_data(data)
        self.transport.write(self.h2.data_to_send())

    def connectionLost(self, reason: object = None) -> None:
        """
        Note.
        """
        self.lost = True

    def request(self, stream: int, body: bytes = b"", **more: str) -> None:
        """
        Send a request.
        """
        fields = [
            (":method", "POST" if body else "GET"),
            (":path", "/path?a=b"),
            (":scheme", "https"),
            (":authority", "localhost"),
            *more.items(),
        ]
        self.h2.send_headers(stream, fields, end_stream=not body)
        if body:
            self.h2.send_data(stream, body, end_stream=True)
        self.transport.write(self.h2.data_to_send())

    def named(self, name: str, stream: int) -> list[Any]:
        """
        The events of one kind on one stream.
        """
        return [
            event
            for event in self.events
            if type(event).__name__ == name and event.stream_id == stream
        ]


class StreamTests(BoundsTestCase):
    """
    What our requests have, on streams.
    """

    def test_sendFile(self) -> None:
        """
        A region of a file is content.
        """
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(b"0123456789")
        fired: list[object] = []

        def render(request: Any) -> None:
            with open(path, "rb") as file:
                request.sendFile(file, 2, 5).addCallback(fired.append)
            request.finish()

        client = self.client(self.made(render)).request(1).go()
        content = b"".join(event.data for event in client.named("DataReceived"))
        self.assertEqual(b"23456", content)
        self.assertEqual([None], fired)

    def test_notThere(self) -> None:
        """
        What a stream does not have does nothing.
        """
        seen: list[object] = []

        def render(request: Any) -> bytes:
            request.setBodyLimit(0)
            request.sendContinue()
            request.setHalfCloseTimeout(0)
            request.channel.setHalfCloseTimeout(0)
            seen.append(request.sendInterim(103))
            return b"x"

        client = self.client(self.made(render)).request(1).go()
        self.assertEqual(1, len(client.named("StreamEnded")))
        self.assertEqual([False], seen)

    def test_lengthOfNothing(self) -> None:
        """
        204 has no Content-Length, and 304 none that says that a 200 would be empty
        (RFC 9110 8.6).
        """
        for status, expected in ((204, None), (304, None), (200, b"0")):

            def render(request: Any, status: int = status) -> bytes:
                request.setResponseCode(status)
                return b""

            client = self.client(self.made(render)).request(1).go()
            (response,) = client.named("ResponseReceived")
            fields = dict(response.headers)
            self.assertEqual(expected, fields.get(b"content-length"), status)

    def test_rawFields(self) -> None:
        """
        C{rawFields} has the fields, with their names in lower case as they were sent,
        and as they were before a trusted proxy's have replaced them.
        """
        seen: list[object] = []

        def render(request: Any) -> bytes:
            seen.append(request.rawFields)
            seen.append(request.getHeader(b"Host"))
            return b"x"

        site = self.site(
            render,
            http2=True,
            trustedProxies=TrustedProxies(["192.0.2.7"], "x-forwarded"),
        )
        fields: dict[str, Any] = {
            "b-c": "1",
            "a": "2",
            "x-forwarded-host": "www.example.org",
        }
        self.client(site).request(1, **fields).go()
        self.assertEqual(
            [
                [
                    (b"host", b"localhost"),
                    (b"b-c", b"1"),
                    (b"a", b"2"),
                    (b"x-forwarded-host", b"www.example.org"),
                ],
                b"www.example.org",
            ],
            seen,
        )

    def test_trailers(self) -> None:
        """
        Trailers are not sent, which the log says, if there are any.
        """

        def render(request: Any) -> bytes:
            for field in fields:
                request.responseTrailers.addRawHeader(*field)
            return b"x" if request.responseTrailers is not None else b""

        for fields in ([], [(b"X-T", b"v")]):
            client = self.client(self.made(render)).request(1).go()
            self.assertEqual([], client.named("TrailersReceived"))
            self.assertEqual(1, len(client.named("StreamEnded")))
            said = [text for text in self.messages() if "trailers" in text]
            self.assertEqual(len(fields), len(said), said)
        self.assertIn("they are not sent", said[0])

    def test_aborted(self) -> None:
        """
        C{abort} resets the stream, and the request is told.
        """
        told: list[object] = []

        def render(request: Any) -> None:
            request.notifyFinish().addErrback(lambda f: told.append(f.type))
            request.write(b"some")
            channel = request.channel
            request.abort()
            request.abort()
            channel.abortConnection()

        client = self.client(self.made(render)).request(1).go()
        self.assertEqual(
            [1], [event.stream_id for event in client.named("StreamReset")]
        )
        self.assertEqual([ConnectionAborted], told)
        self.assertFalse(client.closed)

    def test_drained(self) -> None:
        """
        Who has registered a producer is paused himself, and need not wait.
        """
        fired: list[object] = []

        def render(request: Any) -> None:
            request.registerProducer(Push(request), True)
            request.drained().addCallback(fired.append)
            request.unregisterProducer()
            request.finish()

        self.client(self.made(render)).request(1).go()
        self.assertEqual([None], fired)


class NegotiatedTests(TLSBackend):
    """
    What ALPN chooses.
    """

    def render(self, request: Any) -> bytes:
        """
        Tell what the request is.
        """
        body: bytes = request.content.read()
        return b"|".join(
            [
                request.method,
                request.uri,
                request.clientproto,
                request.getHeader(b"host"),
            ]
        ) + (b"|" + body if body else b"")

    async def client(self, port: Any, protocols: list[bytes], protocol: Any) -> Any:
        """
        Connect and offer C{protocols}.
        """
        _, root, _ = certificate()
        options = ssl.optionsForClientTLS(
            "localhost", trustRoot=root, acceptableProtocols=protocols
        )
        plain = HostnameEndpoint(net, "127.0.0.1", port.getHost().port)
        return await connectProtocol(wrapClientTLS(options, plain), protocol)

    def site(self, **options: Any) -> Any:
        """
        The site.
        """
        return Site(Calls(self.render), fastPath=FAST_PATH, **options)

    async def h2(self, site: Any) -> Client:
        """
        A connection that speaks HTTP/2.
        """
        client: Client = await self.client(
            await self.listen(site), [b"h2", b"http/1.1"], Client()
        )
        self.addCleanup(self.end, client)
        return client

    async def end(self, client: Client) -> None:
        """
        Close it.
        """
        if not client.lost:
            client.transport.abortConnection()
        while not client.lost:
            await self.turns(1)
        await self.turns(5)

    async def test_requests(self) -> None:
        """
        Requests over HTTP/2 reach the same resources.
        """
        need("h2")
        client = await self.h2(self.site(http2=True))
        client.request(1)
        client.request(3, b"hello")
        while not (client.named("StreamEnded", 1) and client.named("StreamEnded", 3)):
            self.assertFalse(client.lost)
            await self.turns(1)
        found = {
            stream: b"".join(e.data for e in client.named("DataReceived", stream))
            for stream in (1, 3)
        }
        self.assertEqual(b"GET|/path?a=b|HTTP/2|localhost", found[1])
        self.assertEqual(b"POST|/path?a=b|HTTP/2|localhost|hello", found[3])
        (response,) = client.named("ResponseReceived", 1)
        fields = {bytes(n): bytes(v) for n, v in map(self.pair, response.headers)}
        self.assertEqual(b"200", fields[b":status"])
        self.assertTrue(fields[b"server"].startswith(b"twisted-h11/"))

    async def test_fieldsOfTheSite(self) -> None:
        """
        Responses over HTTP/2 have the fields that the site adds, too, of whatever class
        the requests are.
        """
        need("h2")
        for kind in (Request, server.Request):
            site = self.site(
                http2=True,
                hsts=60,
                extraHeaders=[(b"X-Own", b"1")],
                requestFactory=kind,
            )
            client = await self.h2(site)
            client.request(1)
            while not client.named("StreamEnded", 1):
                self.assertFalse(client.lost)
                await self.turns(1)
            (response,) = client.named("ResponseReceived", 1)
            fields = [self.pair(field) for field in response.headers]
            self.assertEqual(
                1, fields.count((b"strict-transport-security", b"max-age=60"))
            )
            self.assertEqual(1, fields.count((b"x-own", b"1")))

    def pair(self, field: Any) -> tuple[bytes, bytes]:
        """
        A field as bytes, whatever this h2 has.
        """
        name, value = field
        if isinstance(name, str):
            return name.encode(), value.encode()
        return name, value

    async def test_notOffered(self) -> None:
        """
        With the switch off, a client that offers both speaks HTTP/1.1.
        """
        port = await self.listen(self.site())
        peer = self.keep(await self.client(port, [b"h2", b"http/1.1"], Peer()))
        peer.send(GET)
        (response,) = await peer.responses(1)
        self.assertEqual(b"http/1.1", peer.transport.negotiatedProtocol)
        self.assertEqual(b"GET|/|HTTP/1.1|example.com", response.body)

    async def test_http11Chosen(self) -> None:
        """
        With the switch on, a client that offers only HTTP/1.1 gets it, with
        all that goes with it.
        """
        need("h2")
        port = await self.listen(self.site(http2=True))
        peer = self.keep(await self.client(port, [b"http/1.1"], Peer()))
        peer.send(GET + GET)
        self.assertEqual([200, 200], [r.status for r in await peer.responses(2)])
        peer.send(b"bad\r\n\r\n")
        responses = await peer.responses(3)
        self.assertEqual(400, responses[-1].status)

    async def test_noALPN(self) -> None:
        """
        So does one that offers nothing.
        """
        need("h2")
        port = await self.listen(self.site(http2=True))
        peer = await self.connect(port)
        peer.send(GET)
        (response,) = await peer.responses(1)
        self.assertEqual(200, response.status)

    async def test_accessLog(self) -> None:
        """
        The access log knows of such requests what it knows of others.
        """
        need("h2")
        site = self.site(http2=True, logFormatter=json_log_format())
        client = await self.h2(site)
        site.logFile = log = StringIO()
        client.request(1, b"hello", **{"user-agent": 'a "b"'})
        while not client.named("StreamEnded", 1):
            self.assertFalse(client.lost)
            await self.turns(1)
        found = json.loads(log.getvalue())
        self.assertIn(found.pop("tls"), ("TLSv1.2", "TLSv1.3"))
        self.assertTrue(0 <= found["seconds"] < 60)
        expected = {
            "client": "127.0.0.1",
            "protocol": "HTTP/2",
            "method": "POST",
            "target": "/path?a=b",
            "host": "localhost",
            "status": 200,
            "bytes_in": 5,
            "agent": 'a "b"',
            "certificate": None,
        }
        self.assertEqual(expected, {name: found[name] for name in expected})

    async def test_accessLogOf11(self) -> None:
        """
        So it does over TLS without HTTP/2.
        """
        made = access_log_format("{tls} {protocol} {bytes_in}")
        site = self.site(logFormatter=made)
        port = await self.listen(site)
        site.logFile = log = StringIO()
        peer = await self.connect(port)
        peer.send(GET)
        await peer.responses(1)
        self.assertRegex(log.getvalue(), r"\ATLSv1\.[23] HTTP/1\.1 -\n\Z")

    async def test_drain(self) -> None:
        """
        Draining ends HTTP/2 connections, too.
        """
        need("h2")
        site = self.site(http2=True)
        client = await self.h2(site)
        client.request(1)
        while not client.named("StreamEnded", 1):
            await self.turns(1)
        drained = site.drain(0.2)
        await drained
        while not client.lost:
            await self.turns(1)
