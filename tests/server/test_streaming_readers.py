"""
Who reads a streamed body: functions for responses, loops, resources found late.
"""

from __future__ import annotations

import gc
import json
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.web.client import ResponseDone, readBody
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.server.test_streaming_bodies import (
    CHUNKED,
    EXPECTING,
    LARGE,
    Doing,
    Streaming,
    Taker,
    chunk,
)
from tests.support.optional import need
from tests.support.server_cases import GET, ServerTestCase, post
from tests.support.wire import splittings
from twisted_h11.server import RequestBodyCut


class ReaderTests(ServerTestCase):
    """
    Functions that were written for responses read requests.
    """

    def read(self, function: Any, *pieces: bytes) -> tuple[Any, int]:
        """
        Answer with what C{function} makes of the body's source.
        """
        results: list[Any] = []

        def render(request: Any) -> Any:
            return function(request.bodySource()).addCallback(results.append)

        wire = self.talk(Doing(render), *pieces)
        return results[0], wire.only().status

    def test_readBody(self) -> None:
        """
        L{twisted.web.client.readBody}.
        """
        self.assertEqual((b"hello", 200), self.read(readBody, post(b"hello")))
        pieces = (CHUNKED, chunk(b"hel"), chunk(b"lo"), b"0\r\n\r\n")
        self.assertEqual((b"hello", 200), self.read(readBody, *pieces))

    def test_readBodyCut(self) -> None:
        """
        It fails for a cut body, and can be cancelled.
        """
        deferreds: list[Deferred[bytes]] = []

        def render(request: Any) -> Any:
            deferreds.append(readBody(request.bodySource()))
            return NOT_DONE_YET

        self.talk(Doing(render), LARGE, b"abc").vanish()
        self.failureResultOf(deferreds.pop(), RequestBodyCut)
        wire = self.talk(Doing(render), LARGE, b"abc")
        deferreds[0].cancel()
        self.assertNoResult(deferreds[0].addErrback(lambda _: Deferred()))
        deferreds.clear()
        wire.pump()
        self.assertTrue(wire.aborted)

    def test_readBodyAfterTheEnd(self) -> None:
        """
        It fails when the response ends before the body, also if the response was too
        short, or the connection was about to close.
        """
        deferreds: list[Deferred[bytes]] = []

        def short(request: Any) -> Any:
            deferreds.append(readBody(request.bodySource()))
            request.setHeader(b"Content-Length", b"5")
            request.finish()
            return NOT_DONE_YET

        def closing(request: Any) -> Any:
            deferreds.append(readBody(request.bodySource()))
            request.loseConnection()
            request.finish()
            return NOT_DONE_YET

        for render in (short, closing):
            self.talk(Doing(render), LARGE, b"abc")
            self.failureResultOf(deferreds.pop(), RequestBodyCut)

    def test_treq(self) -> None:
        """
        treq's C{content}, C{collect} and C{json_content}.
        """
        treq = need("treq")
        self.assertEqual((b"hello", 200), self.read(treq.content, post(b"hello")))
        pieces: list[bytes] = []

        def collect(source: Any) -> Any:
            return treq.collect(source, pieces.append)

        self.read(collect, CHUNKED, chunk(b"hel"), chunk(b"lo"), b"0\r\n\r\n")
        self.assertEqual(b"hello", b"".join(pieces))
        value = {"a": [1, 2]}
        sent = post(json.dumps(value).encode(), b"Content-Type: application/json")
        self.assertEqual((value, 200), self.read(treq.json_content, sent))
        self.assertEqual((b"", 200), self.read(treq.content, GET))


class AsyncForTests(ServerTestCase):
    """
    C{async for data in request.body}.
    """

    def test_pieces(self) -> None:
        """
        The loop has every piece, in order, and ends.
        """
        for request in (post(b"hello"), CHUNKED + chunk(b"hello") + b"0\r\n\r\n", GET):
            for how, pieces in splittings(request, 7):
                seen: list[bytes] = []

                async def render(request: Any, seen: list[bytes] = seen) -> bytes:
                    async for data in request.body:
                        seen.append(data)
                    return b"done"

                wire = self.talk(Doing(render), *pieces)
                self.assertEqual([200], wire.statuses, how)
                self.assertEqual(b"" if request == GET else b"hello", b"".join(seen))

    def test_slowLoop(self) -> None:
        """
        A loop that waits holds the client back.
        """
        waits: list[Deferred[None]] = []
        seen: list[int] = []

        async def render(request: Any) -> None:
            async for data in request.body:
                seen.append(len(data))
                waits.append(Deferred())
                await waits[-1]

        wire = self.talk(Doing(render), LARGE)
        for _ in range(10):
            wire.send(b"x" * 40_000)
        self.assertEqual([40_000], seen)
        self.assertTrue(wire.transport.paused)
        for _ in range(9):
            waits.pop(0).callback(None)
            wire.pump()
        self.assertEqual([40_000] * 10, seen)
        self.assertFalse(wire.transport.paused)
        wire.send(*[b"x" * 50_000] * 12)
        while waits:
            waits.pop(0).callback(None)
            wire.pump()
        self.assertEqual(1_000_000, sum(seen))
        self.assertEqual([200], wire.statuses)

    def test_collected(self) -> None:
        """
        A loop that nobody keeps, and that waits for the next piece, goes on after the
        garbage collector has come.
        """

        def render(request: Any) -> int:
            async def read() -> None:
                seen = [len(data) async for data in request.body]
                request.write(b"%d" % sum(seen))
                request.finish()

            ensureDeferred(read())
            return NOT_DONE_YET

        wire = self.talk(Doing(render), CHUNKED, chunk(b"hel"))
        gc.collect()
        wire.send(chunk(b"lo"), b"0\r\n\r\n")
        self.assertEqual(b"5", wire.only().body)

    def test_manyPiecesAtOnce(self) -> None:
        """
        A loop over what is here already does not recurse.
        """
        count = 0

        async def render(request: Any) -> None:
            nonlocal count
            async for _ in request.body:
                count += 1

        wire = self.talk(Doing(render), CHUNKED, chunk(b"x") * 5000, b"0\r\n\r\n")
        self.assertEqual([200], wire.statuses)
        self.assertGreater(count, 0)

    def test_cut(self) -> None:
        """
        The loop raises for a body that was cut; an aborted upload is the
        client's fault and nothing to log as an error.
        """
        raised: list[str] = []

        async def render(request: Any) -> None:
            try:
                async for _ in request.body:
                    pass
            except BaseException as error:
                raised.append(type(error).__name__)
                raise

        self.talk(Doing(render), LARGE, b"abc").vanish()
        self.assertEqual(["RequestBodyCut"], raised)
        self.assertEqual([], self.flushLoggedErrors())

    def test_leftEarly(self) -> None:
        """
        Leaving the loop and answering is leaving the body: the rest is dropped
        and nothing stays in memory.
        """

        async def render(request: Any) -> bytes:
            async for data in request.body:
                return bytes(data)
            return b""

        wire = self.talk(Doing(render), CHUNKED + chunk(b"first"))
        wire.send(chunk(b"second"), b"0\r\n\r\n" + post(b"third"))
        self.assertEqual([b"first", b"third"], [r.body for r in wire.responses])

    def test_leftMeanwhile(self) -> None:
        """
        What comes when the loop was left, while the request goes on, is dropped; it
        does not hold the client back.
        """
        go: Deferred[None] = Deferred()

        async def render(request: Any) -> bytes:
            async for _ in request.body:
                break
            await go
            return b"done"

        wire = self.talk(Doing(render), CHUNKED, chunk(b"first"))
        wire.send(*[chunk(b"x" * 10_000)] * 50, b"0\r\n\r\n")
        self.assertFalse(wire.unread)
        go.callback(None)
        self.assertEqual(b"done", wire.only().body)


class SpooledBodyTests(ServerTestCase):
    """
    C{deliverBody} where the resource was found only after the body.
    """

    def spooled(self, function: Any, *pieces: bytes) -> Any:
        """
        Render by C{function} behind a resource of twisted.web.
        """

        class Old(Resource):
            def getChild(self, name: bytes, request: Any) -> Any:
                assert request.content is not None, "asked too early"
                return Doing(function)

        return self.talk(Old(), *pieces)

    def test_reads(self) -> None:
        """
        The collected body is delivered, small or large, to a reader that pauses
        too.
        """
        for body in (b"", b"hello", b"x" * 300_000):
            takers: list[Taker] = []

            def render(request: Any, takers: list[Taker] = takers) -> Any:
                takers.append(Taker(most=1))
                self.assertEqual(
                    takers[0].data, b"", "nothing is taken by looking at it"
                )
                request.deliverBody(takers[0])
                while takers[0].end is None:
                    takers[0].transport.resumeProducing()
                return b"done"

            wire = self.spooled(render, post(body))
            self.assertEqual([200], wire.statuses)
            self.assertEqual(body, takers[0].data)
            self.assertEqual("ResponseDone", takers[0].ended())

    def test_readersForResponses(self) -> None:
        """
        C{readBody} and C{async for} work there too.
        """

        async def render(request: Any) -> bytes:
            return b"".join([data async for data in request.body])

        wire = self.spooled(render, post(b"x" * 200_000))
        self.assertEqual(b"x" * 200_000, wire.only().body)
        wire = self.spooled(lambda r: readBody(r.bodySource()), post(b"hello"))
        self.assertEqual(b"hello", wire.only().body)

    def test_pausedBeyondTheEnd(self) -> None:
        """
        A reader that is paused when the response ends, or when the client
        goes, is told so.
        """
        for vanish in (False, True):
            taker = Taker(most=1)
            requests: list[Any] = []

            def render(
                request: Any, taker: Taker = taker, requests: list[Any] = requests
            ) -> Any:
                request.deliverBody(taker)
                requests.append(request)
                return NOT_DONE_YET

            wire = self.spooled(render, post(b"x" * 200_000))
            if vanish:
                requests.clear()
                wire.vanish()
                self.assertEqual("RequestBodyCut", taker.ended())
            else:
                requests.pop().finish()
                taker.transport.resumeProducing()
                self.assertEqual("RequestBodyCut", taker.ended())

    def test_abort(self) -> None:
        """
        Aborting the body drops the client here too.
        """
        taker = Taker(most=1)

        def render(request: Any) -> Any:
            request.deliverBody(taker)
            return NOT_DONE_YET

        wire = self.spooled(render, post(b"x" * 200_000))
        taker.transport.abortConnection()
        wire.pump()
        self.assertTrue(wire.aborted)
        self.assertEqual("RequestBodyCut", taker.ended())


class ContinueTests(ServerTestCase):
    """
    C{Expect: 100-continue} and streaming resources.
    """

    def test_sentWhenTaken(self) -> None:
        """
        100 goes out when the body is asked for, not before.
        """
        resource = Streaming(take=False)
        wire = self.talk(resource, EXPECTING)
        self.assertEqual(b"", wire.output)
        resource.requests[0].deliverBody(resource.takers[0])
        wire.pump()
        self.assertEqual(b"HTTP/1.1 100 ", wire.output[:13])
        wire.send(b"hello")
        resource.answer()
        wire.pump()
        self.assertEqual(b"hello", resource.takers[0].data)
        self.assertEqual([100], wire.only().interim)

    def test_refusedAtTheHead(self) -> None:
        """
        A final status at the head is no 100: the client never sends its body.
        """

        def render(request: Any) -> bytes:
            request.setResponseCode(401)
            return b"who are you?"

        wire = self.talk(Doing(render), EXPECTING)
        self.assertEqual(401, wire.only().status)
        self.assertEqual([], wire.only().interim)

    def test_refusedAtTheHeadCloses(self) -> None:
        """
        After that the connection closes, and the response says so: it is not
        known whether the client sends its body or its next request.
        """
        for request in (EXPECTING, CHUNKED[:-2] + b"Expect: 100-continue\r\n\r\n"):
            wire = self.talk(Doing(lambda request: b"no"), request)
            self.assertTrue(wire.only().closes)
            wire.send(GET).settle(6)
            self.assertEqual([200], wire.statuses)
            self.assertTrue(wire.closed)

    def test_explicit(self) -> None:
        """
        The application may send it before it takes the body; it is sent once.
        """
        resource = Streaming(take=False)
        wire = self.talk(resource, EXPECTING)
        resource.requests[0].sendContinue()
        resource.requests[0].sendContinue()
        resource.requests[0].deliverBody(resource.takers[0])
        wire.send(b"hello")
        resource.answer()
        wire.pump()
        self.assertEqual([100], wire.only().interim)

    def test_waitingForUs(self) -> None:
        """
        A client that waits for 100 does not send too slowly.
        """
        resource = Streaming(take=False)
        wire = self.talk(resource, EXPECTING)
        wire.advance(120)
        self.assertFalse(wire.closed, wire.output)
        resource.requests[0].deliverBody(resource.takers[0])
        wire.send(b"hello")
        resource.answer()
        wire.pump()
        self.assertEqual([200], wire.statuses)


class ReadBodyTests(ServerTestCase):
    """
    What stands in the documentation of C{ResponseDone}.
    """

    def test_reason(self) -> None:
        """
        It is the very class of twisted.web.
        """
        resource = Streaming()
        self.talk(resource, post(b"hello"))
        end = resource.takers[0].end
        assert end is not None
        end.trap(ResponseDone)
        resource.requests.clear()
