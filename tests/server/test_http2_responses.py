"""
HTTP/2: responses that can not be sent as the application has given them, which are
answered and logged as over HTTP/1.
"""

from __future__ import annotations

from typing import Any

from twisted.web import server
from twisted.web.http_headers import Headers
from twisted.web.resource import EncodingResourceWrapper
from twisted.web.server import NOT_DONE_YET, GzipEncoderFactory

from tests.server.test_http2_bounds import Client
from tests.server.test_http2_streams import StreamsTestCase
from tests.support.server_cases import Calls
from twisted_h11.server import Compression, Request

_PAGE = b"The server failed.\n"


class ResponsesTestCase(StreamsTestCase):
    """
    What a client gets for a program of calls.
    """

    def answered(
        self, render: Any, factory: Any = None, method: str = "GET", **fields: str
    ) -> Client:
        """
        The client of one request, when all has come.
        """
        self.events.clear()
        site = self.site(render, http2=True, requestFactory=factory, start=True)
        self.access = site.access
        client = self.client(site)
        client.request(1, None, **{":method": method}, **fields)
        self.settle(client)
        return client

    def line(self) -> str:
        """
        Status and length in the one line of the access log.
        """
        (line,) = self.access.getvalue().splitlines()
        _, found, _ = line.partition('HTTP/2" ')
        return " ".join(line.partition('HTTP/2" ')[2].split()[:2]) if found else ""

    def status(self, client: Client) -> bytes:
        """
        The status of the response.
        """
        (response,) = client.named("ResponseReceived")
        status: bytes = dict(response.headers)[b":status"]
        return status

    def ends(self, client: Client) -> tuple[int, int]:
        """
        How many streams have ended in good order, and how many by a reset.
        """
        return len(client.named("StreamEnded")), len(client.named("StreamReset"))


class HeadTests(ResponsesTestCase):
    """
    Response heads.
    """

    def assertFailed(self, prepare: Any, said: str, returned: bool = True) -> None:
        """
        It is a 500 for any class of requests, for a returned body and for a written
        one, and the log says so.
        """

        def returns(request: Any) -> bytes:
            prepare(request)
            return b"some"

        def writes(request: Any) -> None:
            prepare(request)
            request.write(b"some")
            request.write(b"more")
            request.finish()

        for factory in (Request, server.Request):
            for render in (returns, writes) if returned else (writes,):
                for method, page in (("GET", _PAGE), ("HEAD", b"")):
                    client = self.answered(render, factory, method)
                    self.assertEqual(b"500", self.status(client))
                    self.assertEqual(page, self.content(client))
                    self.assertEqual((1, 0), self.ends(client))
                    self.assertEqual("500 -", self.line())
                    messages = "".join(self.messages())
                    self.assertIn("gave a response that can not be sent", messages)
                    self.assertIn(said, messages)

    def test_status(self) -> None:
        """
        A status that is none of a final response is a 500.
        """
        for status in (-1, 0, 100, 103, 199, 600, 1000):
            self.assertFailed(
                lambda request, status=status: request.setResponseCode(status),
                f"{status} is not the status of a final response",
            )

    def test_field(self) -> None:
        """
        So is a control character in a field: a client would end the connection, with
        all its other requests.
        """
        self.assertFailed(
            lambda request: request.setHeader(b"X-A", b"a\0b"), "control character"
        )
        self.assertFailed(lambda request: request.redirect(b"/\x7f"), "b'Location'")

    def test_length(self) -> None:
        """
        So are a malformed Content-Length, and two that differ.
        """

        for values in ([b"x"], [b"4, 4"], [b"4", b"5"]):
            self.assertFailed(
                lambda request, values=values: request.responseHeaders.setRawHeaders(
                    b"Content-Length", values
                ),
                "Content-Length",
                # Content that is returned has its own length.
                returned=False,
            )

    def test_otherStreams(self) -> None:
        """
        Other requests of the connection go on.
        """
        requests: list[Any] = []
        client = self.client(self.made(requests.append))
        client.request(1).request(3).go()
        bad, good = requests
        requests.clear()
        bad.setHeader(b"X-A", b"a\0b")
        bad.write(b"x")
        good.write(b"good")
        good.finish()
        bad.finish()
        self.settle(client)
        self.assertEqual(b"good", self.content(client, 3))
        self.assertEqual((2, 0), self.ends(client))

    def test_told(self) -> None:
        """
        A request that does not finish such a response is told that it has failed.
        """
        told: list[Any] = []

        def render(request: Any) -> None:
            request.notifyFinish().addErrback(told.append)
            request.setResponseCode(100)
            request.write(b"x")

        client = self.answered(render)
        self.assertEqual((1, 0), self.ends(client))
        self.assertEqual(1, len(told))
        self.assertEqual("500 -", self.line())
        told.clear()

    def test_ofConnections(self) -> None:
        """
        Fields that HTTP/2 does not allow are left out (RFC 9113 section 8.2.2), also
        TE, for which h2 raises.
        """

        def render(request: Any) -> bytes:
            for name in (
                "Connection",
                "Keep-Alive",
                "Proxy-Connection",
                "Upgrade",
                "TE",
            ):
                request.setHeader(name, b"x")
            request.setHeader(b"Transfer-Encoding", b"chunked")
            request.setHeader(b"X-A", b"y")
            return b"some"

        client = self.answered(render)
        (response,) = client.named("ResponseReceived")
        self.assertEqual(
            {
                b":status",
                b"content-length",
                b"content-type",
                b"date",
                b"server",
                b"x-a",
            },
            {name for name, _ in response.headers},
        )
        self.assertEqual(b"some", self.content(client))

    def test_none(self) -> None:
        """
        Content before any head is not sent, which would end the connection, and its
        stream is reset.
        """

        def render(request: Any) -> None:
            request.startedWriting = 1
            request.channel.write(b"HTTP/1.1 200 OK\r\n\r\n")
            request.finish()

        client = self.answered(render, server.Request)
        self.assertEqual((0, 1), self.ends(client))
        self.assertEqual([], client.named("DataReceived"))
        self.assertFalse(client.closed)

    def test_raises(self) -> None:
        """
        If making the head raises, the response is a 500, as nothing was sent.
        """

        def render(request: Any) -> bytes:
            request.code = "200"
            return b"x"

        client = self.answered(render)
        self.assertEqual(b"500", self.status(client))
        self.assertEqual((1, 0), self.ends(client))
        self.assertEqual(1, len(self.flushLoggedErrors(TypeError)))


class ContentTests(ResponsesTestCase):
    """
    Content.
    """

    def test_resetContent(self) -> None:
        """
        205 has no content (RFC 9110 section 15.3.6), whatever is written.
        """

        def render(request: Any) -> None:
            request.setResponseCode(205)
            request.write(b"some")
            request.finish()

        for factory in (Request, server.Request):
            client = self.answered(render, factory)
            (response,) = client.named("ResponseReceived")
            self.assertEqual(b"0", dict(response.headers)[b"content-length"])
            self.assertEqual(b"", self.content(client))
            self.assertEqual((1, 0), self.ends(client))
            self.assertEqual("205 -", self.line())

    def test_notModified(self) -> None:
        """
        304 has no Content-Length: clients that use h2 take it for one of content that
        is missing.
        """

        def render(request: Any) -> bytes:
            request.setETag(b'"tag"')
            return b"some"

        client = self.answered(render, **{"if-none-match": '"tag"'})
        self.assertEqual(b"304", self.status(client))
        self.assertEqual((1, 0), self.ends(client))

    def test_notBytes(self) -> None:
        """
        Writing anything but bytes is a TypeError, and cuts off the response even if the
        application handles that; the connection goes on.
        """

        def render(request: Any) -> Any:
            request.write(b"some")
            self.raised(TypeError, request.write, "text")
            return NOT_DONE_YET

        for factory in (Request, server.Request):
            client = self.answered(render, factory)
            self.assertEqual(b"some", self.content(client))
            self.assertEqual((0, 1), self.ends(client))
            self.assertFalse(client.closed)

    def test_onlyText(self) -> None:
        """
        If nothing was sent, the response is a 500.
        """

        def render(request: Any) -> None:
            self.raised(TypeError, request.write, "text")

        client = self.answered(render)
        self.assertEqual(b"500", self.status(client))
        self.assertEqual((1, 0), self.ends(client))

    def test_errorPage(self) -> None:
        """
        The error page that twisted.web's request writes into a response that has begun
        is not sent, and the response is reset: it looked complete.
        """

        def render(request: Any) -> None:
            request.write(b"some")
            raise ZeroDivisionError

        client = self.answered(render, server.Request)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual(b"some", self.content(client))
        self.assertEqual((0, 1), self.ends(client))
        self.assertIn("failed after its head", "".join(self.messages()))

    def test_afterFinish(self) -> None:
        """
        Who writes after the end of a response without content is told so, too.
        """

        def render(request: Any) -> None:
            request.write(b"some")
            self.raised(TypeError, request.write, "text")
            request.finish()
            self.raised(RuntimeError, request.write, b"more")

        client = self.answered(render, method="HEAD")
        self.assertEqual((1, 0), self.ends(client))

    def test_replaced(self) -> None:
        """
        A C{write} that the application has put before ours stays.
        """
        seen: list[bytes] = []

        def render(request: Any) -> None:
            write = request.write

            def mine(data: bytes) -> None:
                seen.append(data)
                write(data)

            request.write = mine
            for data in (b"a", b"b", b"c"):
                request.write(data)
            request.finish()

        for method in ("GET", "HEAD"):
            self.answered(render, method=method)
            self.assertEqual([b"a", b"b", b"c"], seen)
            seen.clear()


class EncodedTests(ResponsesTestCase):
    """
    Content that is encoded.
    """

    def test_nothingWritten(self) -> None:
        """
        A request may finish without having written anything, as after C{redirect}.
        """

        def render(request: Any) -> None:
            request.redirect(b"/x")
            request.finish()

        for wrapped in (False, True):
            root: Any = Calls(render)
            options: Any = {"compression": Compression()}
            if wrapped:
                root = EncodingResourceWrapper(root, [GzipEncoderFactory()])
                options = {}
            client = self.client(self.site(root, http2=True, **options))
            client.request(1, None, **{"accept-encoding": "gzip"})
            self.settle(client)
            self.assertEqual(b"302", self.status(client))
            self.assertEqual((1, 0), self.ends(client))

    def test_saidOnce(self) -> None:
        """
        The log says once that there is more than the Content-Length.
        """

        def render(request: Any) -> None:
            request.setHeader(b"Content-Type", b"text/plain")
            request.setHeader(b"Content-Length", b"2000")
            for _ in range(4):
                request.write(b"x" * 1000)
            request.finish()

        site = self.site(render, http2=True, compression=Compression())
        client = self.client(site)
        client.request(1, None, **{"accept-encoding": "gzip"})
        self.settle(client)
        self.assertEqual((1, 0), self.ends(client))
        self.assertEqual(1, "".join(self.messages()).count("sent more than"))


class LineTests(ResponsesTestCase):
    """
    The access log.
    """

    def test_cut(self) -> None:
        """
        A response that is cut off has its line, with what was sent of it.
        """

        def fails(request: Any) -> None:
            request.write(b"some")
            raise ZeroDivisionError

        client = self.answered(fails)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual((0, 1), self.ends(client))
        self.assertEqual("200 4", self.line())

    def test_clientGone(self) -> None:
        """
        So has one whose client resets it, or goes.
        """
        for goes in (False, True):
            site = self.site(
                lambda request: request.write(b"x" * 100), http2=True, start=True
            )
            client = self.client(site, INITIAL_WINDOW_SIZE=30)
            client.request(1)
            self.settle(client)
            if goes:
                client.wire.vanish()
            else:
                client.h2.reset_stream(1)
                client.go()
            self.access = site.access
            self.assertEqual("200 30", self.line())

    def test_excess(self) -> None:
        """
        What exceeds the Content-Length, and is dropped, is not counted.
        """

        def render(request: Any) -> None:
            request.setHeader(b"Content-Length", b"3")
            request.write(b"some")
            request.finish()

        self.answered(render)
        self.assertEqual("200 3", self.line())


class FieldTests(ResponsesTestCase):
    """
    What a head has, and how often there is one.
    """

    def test_server(self) -> None:
        """
        The 500 for a head that can not be sent has the site's C{Server} field, or none.
        """
        for name in (None, b"mine"):
            site = self.site(
                lambda request: request.setResponseCode(0) or b"",
                http2=True,
                serverHeader=name,
            )
            client = self.client(site).request(1)
            self.settle(client)
            (response,) = client.named("ResponseReceived")
            self.assertEqual(name, dict(response.headers).get(b"server"))

    def test_twice(self) -> None:
        """
        A second head, by the channel, is not sent.
        """

        def render(request: Any) -> bytes:
            request.write(b"some")
            request.channel.writeHeaders(b"HTTP/2", b"404", b"", Headers())
            return b"more"

        client = self.answered(Calls(render))
        self.assertEqual(b"200", self.status(client))
        self.assertEqual(b"somemore", self.content(client))


class InterimTests(ResponsesTestCase):
    """
    Interim responses.
    """

    def test_checked(self) -> None:
        """
        Fields that can not be sent are a ValueError, though none is sent.
        """

        def render(request: Any) -> bytes:
            self.raised(ValueError, request.sendInterim, 103, [(b"a b", b"c")])
            return b"x"

        client = self.answered(Calls(render))
        self.assertEqual(b"x", self.content(client))
