"""
A C{render} may be a coroutine, or return a Deferred.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.support.server_cases import GET, ServerTestCase, get


class Async(Resource):
    """
    Renders GET and HEAD by a function.
    """

    isLeaf = True

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def render_GET(self, request: Any) -> Any:
        """
        Whatever the function returns.
        """
        return self.function(request)


class AsyncRenderTests(ServerTestCase):
    """
    What comes later is what would have come at once.
    """

    def ask(self, function: Any, request: bytes = GET) -> Any:
        """
        Ask a resource that renders by C{function}.
        """
        return self.talk(Async(function), request)

    def test_bytes(self) -> None:
        """
        Bytes are the whole content, with its length.
        """

        async def coroutine(request: Any) -> bytes:
            return b"hello"

        for function in (coroutine, lambda request: succeed(b"hello")):
            response = self.ask(function).only()
            self.assertEqual(200, response.status)
            self.assertEqual(b"hello", response.body)
            self.assertEqual("length", response.framing)

    def test_later(self) -> None:
        """
        The response waits for them, and the next request for the response.
        """
        waits: list[Deferred[bytes]] = []

        async def render(request: Any) -> bytes:
            waits.append(Deferred())
            return b"got " + await waits[-1]

        wire = self.ask(render, GET + GET)
        self.assertEqual(1, len(waits))
        self.assertEqual(b"", wire.output)
        waits[0].callback(b"one")
        wire.pump()
        waits[1].callback(b"two")
        wire.pump()
        self.assertEqual([b"got one", b"got two"], [r.body for r in wire.responses])

    def test_none(self) -> None:
        """
        None finishes the response, unless it was finished.
        """

        async def unfinished(request: Any) -> None:
            request.write(b"hello")

        async def finished(request: Any) -> None:
            request.write(b"hello")
            request.finish()

        async def nothing(request: Any) -> None:
            request.setResponseCode(204)

        for function, status, body in (
            (unfinished, 200, b"hello"),
            (finished, 200, b"hello"),
            (nothing, 204, b""),
        ):
            wire = self.ask(function, GET + GET)
            self.assertEqual(
                [(status, body)] * 2, [(r.status, r.body) for r in wire.responses]
            )
        self.assertEqual([], self.flushLoggedErrors())

    def test_notDoneYet(self) -> None:
        """
        With C{NOT_DONE_YET} the application finishes it.
        """
        requests: list[Any] = []

        async def render(request: Any) -> int:
            requests.append(request)
            return NOT_DONE_YET

        wire = self.ask(render)
        self.assertEqual(b"", wire.output)
        requests[0].write(b"hello")
        requests.pop().finish()
        wire.pump()
        self.assertEqual(b"hello", wire.only().body)

    def test_bytesAfterAWrite(self) -> None:
        """
        Bytes after a write are the rest of the content.
        """

        async def render(request: Any) -> bytes:
            request.write(b"hel")
            return b"lo"

        self.assertEqual(b"hello", self.ask(render).only().body)

    def test_nested(self) -> None:
        """
        A Deferred may give a coroutine.
        """

        async def inner() -> bytes:
            return b"hello"

        self.assertEqual(b"hello", self.ask(lambda _: succeed(inner())).only().body)

    def test_somethingElse(self) -> None:
        """
        Anything else is 500 and a line in the log, as in twisted.web.
        """

        async def render(request: Any) -> str:
            return "text"

        response = self.ask(render).only()
        self.assertEqual(500, response.status)
        self.assertNotIn(b"text", response.body.replace(b"text/html", b""))
        self.assertTrue([m for m in self.messages() if "did not return bytes" in m])

    def test_head(self) -> None:
        """
        HEAD, made of GET, has the fields and no content.
        """

        async def whole(request: Any) -> bytes:
            request.setHeader(b"X-Made-By", b"GET")
            return b"hello"

        async def pieces(request: Any) -> None:
            request.setHeader(b"X-Made-By", b"GET")
            request.setHeader(b"Content-Length", b"5")
            request.write(b"hello")

        for function in (whole, pieces, lambda r: whole(r)):
            wire = self.connect(self.site(Async(function)))
            wire.methods = [b"HEAD", b"GET"]
            wire.send(get(method=b"HEAD") + GET)
            head, body = wire.responses
            self.assertEqual(200, head.status)
            self.assertEqual(b"5", head.get(b"content-length"))
            self.assertEqual(b"GET", head.get(b"x-made-by"))
            self.assertEqual((b"", b"hello"), (head.body, body.body))
        self.assertEqual([], self.flushLoggedErrors())

    def test_methodNotAllowed(self) -> None:
        """
        A method that it does not have is 405, as ever.
        """

        async def render(request: Any) -> bytes:
            return b""

        response = self.ask(render, get(method=b"DELETE")).only()
        self.assertEqual(405, response.status)


class FailingTests(ServerTestCase):
    """
    A failure is 500 before the head, and a visible end after it.
    """

    def test_beforeTheHead(self) -> None:
        """
        500, and the connection goes on.
        """

        async def render(request: Any) -> bytes:
            request.setHeader(b"X-Secret", b"1")
            raise ZeroDivisionError

        for function in (render, lambda request: fail(ZeroDivisionError())):
            wire = self.talk(Async(function), GET + GET)
            self.assertEqual([500, 500], wire.statuses)
            self.assertIsNone(wire.responses[0].get(b"x-secret"))
            self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_tracebacks(self) -> None:
        """
        The page has the traceback only where the site says so.
        """

        async def render(request: Any) -> bytes:
            raise ZeroDivisionError("secret")

        for shown in (False, True):
            site = self.site(Async(render))
            site.displayTracebacks = shown
            response = self.connect(site).send(GET).only()
            self.assertEqual(shown, b"secret" in response.body)
            self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_afterTheHead(self) -> None:
        """
        The chunked response has no end, and the connection closes.
        """

        async def render(request: Any) -> bytes:
            request.write(b"part")
            raise ZeroDivisionError

        wire = self.talk(Async(render), GET + GET)
        wire.settle(6)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        response = wire.only()
        self.assertEqual((b"part", False), (response.body, response.complete))
        self.assertTrue(wire.closed)

    def test_afterTheHeadDelimitedByClose(self) -> None:
        """
        Where the end of the connection would look like the end of the response
        it is reset.
        """

        async def render(request: Any) -> bytes:
            request.write(b"part")
            raise ZeroDivisionError

        wire = self.talk(Async(render), get(version=b"1.0"))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertTrue(wire.aborted)

    def test_afterTheEnd(self) -> None:
        """
        A failure after C{finish} is logged, and nothing else.
        """

        async def render(request: Any) -> bytes:
            request.write(b"hello")
            request.finish()
            raise ZeroDivisionError

        wire = self.talk(Async(render), GET + GET)
        self.assertEqual([b"hello"] * 2, [r.body for r in wire.responses])
        self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))


class ClientGoneTests(ServerTestCase):
    """
    When the client goes, the coroutine is cancelled.
    """

    def collect(self) -> None:
        """
        Twisted itself leaves a reference cycle behind each cancelled coroutine.
        """

        def collect() -> None:
            # The log has the failure, and that has the frames.
            self.events.clear()
            gc.collect()

        self.addCleanup(collect)

    def test_cancelled(self) -> None:
        """
        What it waits for is cancelled, it sees C{CancelledError}, and that is
        nothing to log.
        """
        seen: list[str] = []
        cancelled: list[object] = []

        async def render(request: Any) -> bytes:
            waited: Deferred[bytes] = Deferred(lambda _: cancelled.append(1))
            try:
                return await waited
            except CancelledError:
                seen.append("cancelled")
                raise

        self.collect()
        self.talk(Async(render), GET).vanish()
        self.assertEqual((["cancelled"], [1]), (seen, cancelled))
        self.assertEqual([], self.flushLoggedErrors())

    def test_deferredCancelled(self) -> None:
        """
        So is a Deferred.
        """
        cancelled: list[object] = []
        self.talk(Async(lambda _: Deferred(cancelled.append)), GET).vanish()
        self.assertEqual(1, len(cancelled))
        cancelled.clear()
        self.assertEqual([], self.flushLoggedErrors())

    def test_goesOnAllTheSame(self) -> None:
        """
        One that does not mind the cancellation may return what it likes.
        """

        async def render(request: Any) -> bytes:
            waited: Deferred[bytes] = Deferred()
            try:
                await waited
            except CancelledError:
                pass
            request.write(b"too late")
            return b"too late"

        self.talk(Async(render), GET).vanish()
        self.assertEqual([], self.flushLoggedErrors())

    def test_otherFailure(self) -> None:
        """
        Another failure on the way out is logged.
        """

        async def render(request: Any) -> bytes:
            waited: Deferred[bytes] = Deferred()
            try:
                return await waited
            finally:
                raise ZeroDivisionError

        self.collect()
        self.talk(Async(render), GET).vanish()
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_notCancelledAfterwards(self) -> None:
        """
        What runs on after C{finish} is not cancelled by the connection's end.
        """
        waited: Deferred[None] = Deferred()
        done: list[int] = []

        async def render(request: Any) -> None:
            request.write(b"hello")
            request.finish()
            await waited
            done.append(1)

        wire = self.talk(Async(render), GET)
        self.assertEqual(b"hello", wire.only().body)
        wire.vanish()
        waited.callback(None)
        self.assertEqual([1], done)
