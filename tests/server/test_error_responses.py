"""
Responses that the server makes itself, and those of failing applications.
"""

from __future__ import annotations

import os
import time
from email.utils import parsedate_to_datetime
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web import server
from twisted.web.resource import Resource

import twisted_h11
from tests.support.memory import MemoryTransport
from tests.support.server_cases import GET, Holding, ServerTestCase, get, post
from twisted_h11.server import ErrorPages, Request, Site

BAD = b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"


class OnlyGet(Resource):
    """
    Implements GET, and so HEAD.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        A body.
        """
        return b"got"


class RefusalFieldTests(ServerTestCase):
    """
    The fields of a refusal.
    """

    def test_server(self) -> None:
        """
        A refusal has the same Server field as every response.
        """
        expected = b"twisted-h11/" + twisted_h11.__version__.encode()
        wire = self.talk(None, GET + BAD)
        self.assertEqual(
            [expected, expected], [r.get(b"server") for r in wire.responses]
        )

    def test_serverOfOurOwn(self) -> None:
        """
        C{serverHeader} sets it.
        """
        wire = self.talk(None, GET + BAD, serverHeader=b"mine/1")
        self.assertEqual([b"mine/1"] * 2, [r.get(b"server") for r in wire.responses])

    def test_noServer(self) -> None:
        """
        With C{serverHeader=None} no response has one.
        """
        wire = self.talk(None, GET + BAD, serverHeader=None)
        self.assertEqual([None, None], [r.get(b"server") for r in wire.responses])

    def test_extraHeaders(self) -> None:
        """
        C{extraHeaders} are on refusals too.
        """
        extra = [(b"X-Frame-Options", b"DENY"), (b"Strict-Transport-Security", b"a")]
        wire = self.talk(None, GET + BAD, extraHeaders=extra)
        self.assertEqual([200, 400], wire.statuses)
        for response in wire.responses:
            self.assertEqual(b"DENY", response.get(b"x-frame-options"))
            self.assertEqual(b"a", response.get(b"strict-transport-security"))

    def test_extraHeadersOnce(self) -> None:
        """
        They may come from an iterator; each response has them.
        """
        site = self.site(extraHeaders=iter([(b"X-Extra", b"1")]))
        wire = self.connect(site).send(GET, GET)
        self.assertEqual([[b"1"]] * 2, [r.all(b"x-extra") for r in wire.responses])

    def test_badHeaders(self) -> None:
        """
        What can not be sent as a field is refused when the site is made.
        """
        options: list[dict[str, Any]] = [
            {"extraHeaders": [(b"X-Extra", b"a\r\nb: c")]},
            {"extraHeaders": [(b"X Extra", b"a")]},
            {"extraHeaders": [(b"", b"a")]},
            {"extraHeaders": [(b"X-Extra", b" a")]},
            {"serverHeader": b"a\nb"},
        ]
        for option in options:
            text = self.raised(ValueError, lambda o=option: self.site(**o))
            self.assertIn("this is not a header field", text)
        wrong: list[Any] = [b"X: a", [b"X"], [("X", "a")], None]
        for value in wrong:
            text = self.raised(TypeError, lambda v=value: self.site(extraHeaders=v))
            self.assertIn("extraHeaders", text)

    def test_badRoot(self) -> None:
        """
        What can not be the root of resources is refused when the site is made.
        """
        for root in (Resource, object(), "root"):
            text = self.raised(TypeError, Site, root)
            self.assertIn("resource must be a resource", text)

    def test_date(self) -> None:
        """
        Every response has one Date, of the form that RFC 9110 5.6.7 prefers.
        """
        wire = self.talk(None, GET + BAD)
        self.assertEqual([200, 400], wire.statuses)
        for response in wire.responses:
            date = response.get(b"date")
            assert date is not None
            self.assertRegex(date, rb"\A\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\Z")
            self.assertGreater(parsedate_to_datetime(date.decode()).year, 1969)

    def test_dateOfEachResponse(self) -> None:
        """
        The Date is that of the response, not of the connection.
        """
        dates = []
        wire = self.connect(self.site())
        for moment in (1_000_000_000, 1_000_000_000, 1_000_000_007, 1_900_000_000):
            self.patch(time, "time", lambda moment=moment: float(moment))
            wire.send(GET)
            date = wire.responses[-1].get(b"date")
            assert date is not None
            dates.append(parsedate_to_datetime(date.decode()).timestamp())
        self.assertEqual(
            [1_000_000_000, 1_000_000_000, 1_000_000_007, 1_900_000_000], dates
        )

    def test_headHasNoBody(self) -> None:
        """
        A refused HEAD has no body.
        """
        for head, status in (
            (get(b"/", b"Expect: x", method=b"HEAD"), 417),
            (get(b"/", b"Content-Length: 11", method=b"HEAD"), 413),
            (get(b"/", host=None, method=b"HEAD"), 400),
        ):
            wire = self.connect(self.site(limits={"maxBodyLength": 10}))
            wire.methods = [b"HEAD"]
            wire.send(head)
            self.assertEqual([status], wire.statuses)


class MethodTests(ServerTestCase):
    """
    Methods that a resource does not implement.
    """

    def test_known(self) -> None:
        """
        A method that we know but the resource does not implement is 405.
        """
        for method in (b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"):
            wire = self.talk(OnlyGet(), get(method=method))
            response = wire.only()
            self.assertEqual(405, response.status, method)
            allow = response.get(b"allow")
            assert allow is not None
            self.assertEqual(
                {b"GET", b"HEAD"}, {name.strip() for name in allow.split(b",")}
            )
            self.assertFalse(wire.transport.disconnecting)

    def test_unknown(self) -> None:
        """
        A method that we do not know is 501 (RFC 9110 9.1).
        """
        for method in (b"BREW", b"get", b"PROPFIND", b"M-SEARCH"):
            wire = self.talk(OnlyGet(), get(method=method))
            self.assertEqual(501, wire.only().status, method)
            self.assertFalse(wire.transport.disconnecting)

    def test_connect(self) -> None:
        """
        CONNECT is refused by default, and the connection closes.
        """
        wire = self.talk(OnlyGet(), get(b"example.com:443", method=b"CONNECT") + GET)
        self.assertEqual(1, len(wire.statuses))
        self.assertIn(wire.statuses[0], (405, 501))
        self.assertTrue(wire.only().closes)
        wire.settle(6)
        self.assertTrue(wire.closed)

    def test_pageDoesNotRunScripts(self) -> None:
        """
        The page of a 405 escapes what it quotes.
        """
        wire = self.talk(OnlyGet(), get(b"/<script>", method=b"PUT"))
        self.assertNotIn(b"<script>", wire.only().body)


class PagesTests(ServerTestCase):
    """
    Pages of a site's own.
    """

    def test_types(self) -> None:
        """
        A page has the media type that its name says, text with its encoding.
        """
        for name, kind in (
            ("page.html", b"text/html; charset=utf-8"),
            ("page.json", b"application/json"),
            ("page", b"text/html; charset=utf-8"),
        ):
            folder = self.mktemp()
            os.mkdir(folder)
            path = os.path.join(folder, name)
            with open(path, "w") as file:
                file.write("not here")
            pages = ErrorPages({404: path, 500: path})
            self.assertEqual("<ErrorPages [404, 500]>", repr(pages))
            response = self.talk(Resource(), GET, errorPages=pages).only()
            self.assertEqual((404, b"not here"), (response.status, response.body))
            self.assertEqual([kind], response.all(b"Content-Type"))


class FailingApplicationTests(ServerTestCase):
    """
    Applications that raise, or answer what they must not.
    """

    def test_raises(self) -> None:
        """
        An exception is a 500 without its text, and is logged once.
        """

        def render(request: Any) -> bytes:
            raise ZeroDivisionError("a secret")

        wire = self.talk(render, GET, GET)
        self.assertEqual([500, 500], wire.statuses)
        self.assertNotIn(b"secret", wire.output)
        self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_requestRaises(self) -> None:
        """
        So is one of a request class, before there is a resource; the request is told
        that it is over.
        """
        told: list[Any] = []

        class Failing(Request):
            def gotLength(self, length: Any) -> None:
                self.notifyFinish().addErrback(told.append)
                raise ZeroDivisionError

        wire = self.talk(None, post(b"x"), requestFactory=Failing)
        self.assertEqual([500], wire.statuses)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual(1, len(told))
        told.clear()

    def test_answeredBefore(self) -> None:
        """
        A request that was answered is not told when its connection is lost.
        """
        lost: list[Any] = []
        for factory in (Request, server.Request):
            self.patch(factory, "connectionLost", lambda _, why: lost.append(why))
            for field in (b"Connection: close", b"A: b"):
                data = get(b"/", field)
                self.talk(lambda _: b"x", data, requestFactory=factory).vanish()
        self.assertEqual([], lost)

    def test_displayTracebacks(self) -> None:
        """
        C{site.displayTracebacks} shows it.
        """

        def render(request: Any) -> bytes:
            raise ZeroDivisionError("no secret")

        site = self.site(render)
        site.displayTracebacks = True
        wire = self.connect(site).send(GET)
        self.assertEqual([500], wire.statuses)
        self.assertIn(b"no secret", wire.only().body)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_raisesAfterTheHead(self) -> None:
        """
        After the head is out, the connection ends without a last chunk.
        """

        def render(request: Any) -> bytes:
            request.write(b"begun")
            raise ZeroDivisionError

        wire = self.talk(render, GET + GET)
        wire.settle(6)
        self.assertEqual(1, len(self.flushLoggedErrors()))
        response = wire.only()
        self.assertEqual((200, b"begun"), (response.status, response.body[:5]))
        self.assertFalse(response.complete)
        self.assertTrue(wire.closed)

    def test_raisesAfterTheHeadWithLength(self) -> None:
        """
        So it does within a body of known length.
        """

        def render(request: Any) -> bytes:
            request.setHeader(b"Content-Length", b"1000")
            request.write(b"begun")
            raise ZeroDivisionError

        wire = self.talk(render, GET + GET)
        wire.settle(6)
        self.flushLoggedErrors()
        response = wire.only()
        self.assertFalse(response.complete)
        self.assertTrue(wire.closed)

    def test_transportRaises(self) -> None:
        """
        If the transport raises when the head goes out, the application is told, and no
        other head follows.
        """

        class Broken(MemoryTransport):
            isBroken = False

            def write(self, data: bytes) -> None:
                if self.isBroken:
                    self.isBroken = False
                    raise OSError("broken")
                super().write(data)

        waiting: Deferred[None] = Deferred()

        async def render(request: Any) -> None:
            await waiting
            request.write(b"some")

        transport = Broken()
        wire = self.connect(self.site(render), transport).send(GET)
        transport.isBroken = True
        waiting.callback(None)
        wire.settle(6)
        self.assertEqual(b"", wire.output)
        self.assertTrue(wire.closed)
        self.assertEqual(1, len(self.flushLoggedErrors(OSError)))

    def test_raisesInACloseDelimitedBody(self) -> None:
        """
        Where a clean end would look complete, the connection is aborted.
        """

        def render(request: Any) -> bytes:
            request.write(b"begun")
            raise ZeroDivisionError

        wire = self.talk(render, get(version=b"1.0"))
        wire.settle(6)
        self.assertEqual(1, len(self.flushLoggedErrors()))
        self.assertTrue(wire.aborted)

    def test_notBytes(self) -> None:
        """
        A resource that returns text gets a 500.
        """
        wire = self.talk(lambda request: "text", GET)
        self.assertEqual([500], wire.statuses)

    def test_tooMuch(self) -> None:
        """
        What goes beyond Content-Length is dropped and logged once; what was
        promised is sent, and the connection closes.
        """

        def render(request: Any) -> None:
            request.setHeader(b"Content-Length", b"5")
            request.write(b"hello world")
            request.write(b" and more")
            request.finish()

        wire = self.talk(render, GET + GET)
        wire.settle(6)
        response = wire.only()
        self.assertEqual(b"hello", response.body)
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)
        self.flushLoggedErrors()

    def test_tooLittle(self) -> None:
        """
        What was written is flushed, then the connection ends.
        """

        def render(request: Any) -> None:
            request.setHeader(b"Content-Length", b"500")
            request.write(b"hello")
            request.finish()

        wire = self.talk(render, GET + GET)
        wire.settle(6)
        response = wire.only()
        self.assertEqual(b"hello", response.body)
        self.assertFalse(response.complete)
        self.assertTrue(wire.closed)
        self.flushLoggedErrors()

    def test_finishTwice(self) -> None:
        """
        Finishing twice warns, as twisted.web does, and breaks nothing.
        """
        holding = Holding()
        wire = self.talk(holding, GET)
        request = holding.requests[0]
        holding.answer()
        request.finish()
        del request
        self.assertEqual(1, len(self.flushWarnings()))
        wire.send(GET)
        holding.answer()
        wire.pump()
        self.assertEqual([200, 200], wire.statuses)

    def test_finishAfterDisconnect(self) -> None:
        """
        Finishing after the connection is lost is a RuntimeError that says
        what to do; writing is ignored.
        """
        holding = Holding()
        wire = self.talk(holding, GET).vanish()
        self.assertTrue(wire.closed)
        request = holding.requests.pop()
        self.assertIsNone(request.channel)
        request.write(b"too late")
        text = self.raised(RuntimeError, request.finish)
        self.assertIn("notifyFinish", text)
        holding.lost.clear()

    def test_writeAfterFinish(self) -> None:
        """
        Writing after C{finish} is a RuntimeError and reaches nobody.
        """
        holding = Holding()
        wire = self.talk(holding, GET)
        request = holding.requests[0]
        holding.answer()
        before = wire.output
        self.assertTrue(before.endswith(b"done"))
        self.raised(RuntimeError, request.write, b"more")
        self.assertEqual(before, wire.output)
