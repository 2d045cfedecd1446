"""
A streaming resource is rendered at the head and takes the body as it comes.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.iweb import UNKNOWN_LENGTH
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.support.memory import MemoryTransport
from tests.support.server_cases import GET, Calls, ServerTestCase, get, post
from tests.support.wire import Wire, splittings
from twisted_h11.interfaces import IStreamingResource

CHUNKED = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
EXPECTING = get(b"/", b"Expect: 100-continue", b"Content-Length: 5", method=b"POST")
LARGE = get(b"/", b"Content-Length: 1000000", method=b"POST")


class Taker(Protocol):
    """
    Takes a body.

    @ivar data: what came.
    @ivar end: why it ended, once it has.
    @ivar most: how much is taken before it pauses.
    """

    transport: Any

    def __init__(self, most: int | None = None) -> None:
        self.data = b""
        self.end: Failure | None = None
        self.most = most

    def dataReceived(self, data: bytes) -> None:
        """
        Keep it, and pause when that is enough.
        """
        assert self.end is None, "data after the end"
        self.data += data
        if self.most is not None and len(self.data) >= self.most:
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Keep the reason.
        """
        assert self.end is None, "two ends"
        self.end = reason

    def ended(self) -> str:
        """
        The name of the reason.
        """
        return "" if self.end is None else self.end.value.__class__.__name__


@implementer(IStreamingResource)
class Streaming(Resource):
    """
    Delivers every body to a L{Taker}; answers when it is told to.

    @ivar requests: the open ones.
    """

    isLeaf = True

    def __init__(self, most: int | None = None, take: bool = True) -> None:
        super().__init__()
        self.requests: list[Any] = []
        self.takers: list[Taker] = []
        self.most = most
        self.take = take

    def render(self, request: Any) -> Any:
        """
        Begin to take the body.
        """
        self.requests.append(request)
        taker = Taker(self.most)
        self.takers.append(taker)
        if self.take:
            request.deliverBody(taker)
        return NOT_DONE_YET

    def answer(self, body: bytes = b"done") -> None:
        """
        Finish the oldest request.
        """
        request = self.requests.pop(0)
        request.setHeader(b"Content-Length", b"%d" % (len(body),))
        request.write(body)
        request.finish()


@implementer(IStreamingResource)
class Doing(Resource):
    """
    Renders by a function that streams.
    """

    isLeaf = True

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def render(self, request: Any) -> Any:
        """
        Whatever the function returns.
        """
        return self.function(request)


def chunk(data: bytes) -> bytes:
    """
    C{data} as a chunk.
    """
    return b"%x\r\n%b\r\n" % (len(data), data)


class DeliveringTests(ServerTestCase):
    """
    C{deliverBody}.
    """

    def test_renderedAtTheHead(self) -> None:
        """
        The resource is rendered when the head is here, not the body.
        """
        resource = Streaming()
        wire = self.talk(resource, LARGE)
        self.assertEqual(1, len(resource.requests))
        taker = resource.takers[0]
        self.assertEqual(b"", taker.data)
        wire.send(b"abc")
        self.assertEqual(b"abc", taker.data)
        wire.send(b"def")
        self.assertEqual(b"abcdef", taker.data)
        self.assertIsNone(taker.end)

    def test_ends(self) -> None:
        """
        C{connectionLost} has C{ResponseDone} when the body was complete, and
        the response is independent of that.
        """
        for request in (
            post(b"hello"),
            CHUNKED + chunk(b"hel") + chunk(b"lo") + b"0\r\n\r\n",
        ):
            for how, pieces in splittings(request, 3):
                resource = Streaming()
                wire = self.talk(resource, *pieces)
                self.assertEqual(b"hello", resource.takers[0].data, how)
                self.assertEqual("ResponseDone", resource.takers[0].ended(), how)
                self.assertEqual([], wire.statuses)
                resource.answer()
                wire.pump()
                self.assertEqual([200], wire.statuses)

    def test_noBody(self) -> None:
        """
        A request without a body has an empty one.
        """
        resource = Streaming()
        wire = self.talk(resource, GET)
        self.assertEqual("ResponseDone", resource.takers[0].ended())
        resource.answer()
        wire.pump()
        self.assertEqual([200], wire.statuses)

    def test_pipelined(self) -> None:
        """
        Bodies of pipelined requests do not run into each other.
        """
        resource = Streaming()
        wire = self.talk(resource, post(b"one") + CHUNKED + chunk(b"two"))
        self.assertEqual(1, len(resource.takers))
        resource.answer()
        self.assertEqual(2, len(resource.takers))
        wire.send(b"0\r\n\r\n" + post(b"three"))
        self.assertEqual(2, len(resource.takers))
        resource.answer()
        wire.pump()
        resource.answer()
        wire.pump()
        self.assertEqual([b"one", b"two", b"three"], [t.data for t in resource.takers])
        self.assertEqual([200] * 3, wire.statuses)

    def test_answeredAtTheHead(self) -> None:
        """
        A resource may answer without taking the body; what of it is here
        already is passed over, and the next request is answered.
        """
        chunked = CHUNKED + chunk(b"hello") + b"0\r\n\r\n"
        for request in (post(b"hello"), chunked):
            wire = self.talk(Doing(lambda request: b"done"), request * 3 + GET)
            self.assertEqual([b"done"] * 4, [r.body for r in wire.responses])
            self.assertFalse(wire.closed)

    def test_nothingOnDisk(self) -> None:
        """
        A streamed body is written nowhere.
        """
        resource = Streaming()
        wire = self.talk(resource, LARGE)
        for _ in range(10):
            wire.send(b"x" * 65536)
            assert tempfile.tempdir is not None
            self.assertEqual([], os.listdir(tempfile.tempdir))
        self.assertIsNone(resource.requests[0].content)

    def test_twice(self) -> None:
        """
        A body can be taken once; then it is a RuntimeError.
        """
        resource = Streaming()
        self.talk(resource, LARGE)
        request = resource.requests[0]
        self.raised(RuntimeError, request.deliverBody, Taker())
        self.raised(RuntimeError, getattr, request, "body")
        del request

    def test_takenLate(self) -> None:
        """
        What came before somebody took it is not lost, nor is the end.
        """
        resource = Streaming(take=False)
        wire = self.talk(resource, CHUNKED + chunk(b"first"))
        resource.requests[0].deliverBody(resource.takers[0])
        self.assertEqual(b"first", resource.takers[0].data)
        wire.send(chunk(b"second") + b"0\r\n\r\n")
        self.assertEqual(b"firstsecond", resource.takers[0].data)
        resource = Streaming(take=False)
        self.talk(resource, post(b"whole"))
        resource.requests[0].deliverBody(resource.takers[0])
        self.assertEqual(b"whole", resource.takers[0].data)
        self.assertEqual("ResponseDone", resource.takers[0].ended())

    def test_names(self) -> None:
        """
        The body has the names that functions for responses look at.
        """
        resource = Streaming()
        self.talk(resource, LARGE)
        source = resource.requests[0].bodySource()
        self.assertEqual(1_000_000, source.length)
        self.assertEqual((200, b"OK"), (source.code, source.phrase))
        self.assertEqual(b"example.com", source.headers.getRawHeaders(b"host")[0])
        self.assertIs(source.request, resource.requests[0])
        self.assertEqual("192.0.2.7", source.getPeer().host)
        self.assertEqual(80, source.getHost().port)
        producer = resource.requests[0].bodyProducer()
        self.assertEqual(1_000_000, producer.length)
        del producer
        resource = Streaming()
        self.talk(resource, CHUNKED)
        source = resource.requests[0].bodySource()
        self.assertIs(UNKNOWN_LENGTH, source.length)
        del source

    def test_raisesInTheMiddle(self) -> None:
        """
        A protocol that raises gives 500, and is told that it is over.
        """
        resource = Streaming(take=False)
        wire = self.talk(resource, LARGE)

        class Raising(Taker):
            def dataReceived(self, data: bytes) -> None:
                raise ZeroDivisionError

        taker = Raising()
        resource.requests.pop().deliverBody(taker)
        wire.send(b"abc")
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual("RequestBodyCut", taker.ended())
        self.assertRefused(wire, 500)


class CutBodyTests(ServerTestCase):
    """
    A body that ends before it is complete is a failure.
    """

    def test_connectionLost(self) -> None:
        """
        The client goes in the middle.
        """
        for head, part in ((LARGE, b"abc"), (CHUNKED, chunk(b"abc"))):
            resource = Streaming()
            wire = self.talk(resource, head + part)
            wire.vanish()
            self.assertEqual(b"abc", resource.takers[0].data)
            self.assertEqual("RequestBodyCut", resource.takers[0].ended())
            end = resource.takers[0].end
            assert end is not None
            self.assertIn("cut", end.getErrorMessage())
            assert end.value is not None
            self.assertIsNotNone(end.value.__cause__)
            resource.requests.clear()
            del end

    def test_lostWithinAWrite(self) -> None:
        """
        A transport may tell of the end within a write, as those of tests do; then the
        rest of the body, which is here, is of no use.
        """

        class Sudden(MemoryTransport):
            def write(self, data: bytes) -> None:
                protocol, self.protocol = self.protocol, None
                if protocol is not None:
                    self.disconnecting = self.ended = True
                    protocol.connectionLost(Failure(ConnectionLost()))

        lost: list[object] = []

        def render(request: Any) -> Any:
            request.notifyFinish().addErrback(lambda f: lost.append(f.type))
            request.write(b"x" * 1_000_000)
            return NOT_DONE_YET

        wire = self.connect(self.site(Doing(render)), Sudden())
        wire.send(post(b"body") + GET)
        self.assertEqual([ConnectionLost], lost)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_halfClosed(self) -> None:
        """
        So is an end of file in the middle; it is a bad request.
        """
        for head, part in ((LARGE, b"abc"), (CHUNKED, chunk(b"abc"))):
            resource = Streaming()
            wire = self.talk(resource, head + part).halfClose()
            self.assertEqual("RequestBodyCut", resource.takers[0].ended())
            resource.requests.clear()
            self.assertRefused(wire, 400)

    def test_malformed(self) -> None:
        """
        So is a chunk that is none.
        """
        resource = Streaming()
        wire = self.talk(resource, CHUNKED + chunk(b"abc") + b"zz\r\n")
        self.assertEqual("RequestBodyCut", resource.takers[0].ended())
        resource.requests.clear()
        self.assertRefused(wire, 400)

    def test_toldAlthoughPaused(self) -> None:
        """
        A protocol that has paused hears of it at once.
        """
        resource = Streaming(most=1)
        wire = self.talk(resource, LARGE, b"abc", b"def")
        taker = resource.takers[0]
        self.assertEqual(b"abc", taker.data)
        wire.vanish()
        self.assertEqual("RequestBodyCut", taker.ended())
        taker.transport.resumeProducing()
        self.assertEqual(b"abc", taker.data)

    def test_completeAlthoughGone(self) -> None:
        """
        A body that had arrived is not cut by the end of the connection.
        """
        resource = Streaming(most=1)
        wire = self.talk(resource, LARGE, b"abc", *[b"x" * 70_000] * 3)
        taker = resource.takers[0]
        taker.most = None
        wire.vanish()
        self.assertEqual("RequestBodyCut", taker.ended())
        resource = Streaming(most=1)
        wire = self.talk(resource, CHUNKED + chunk(b"abc") + chunk(b"d") + b"0\r\n\r\n")
        wire.vanish()
        taker = resource.takers[0]
        self.assertIsNone(taker.end)
        taker.most = None
        taker.transport.resumeProducing()
        self.assertEqual((b"abcd", "ResponseDone"), (taker.data, taker.ended()))

    def test_responseFirst(self) -> None:
        """
        A response that ends before the body cuts it; the rest is dropped and
        the connection goes on.
        """
        resource = Streaming()
        wire = self.talk(resource, CHUNKED + chunk(b"abc"))
        resource.answer()
        self.assertEqual("RequestBodyCut", resource.takers[0].ended())
        wire.send(chunk(b"def"), b"0\r\n\r\n" + GET)
        self.assertEqual(b"abc", resource.takers[0].data)
        resource.answer()
        wire.pump()
        self.assertEqual([200, 200], wire.statuses)

    def test_responseFirstLarge(self) -> None:
        """
        Where the rest is long, the connection is closed in stages instead.
        """
        resource = Streaming()
        wire = self.talk(resource, LARGE, b"abc")
        resource.answer()
        wire.send(b"x" * 100_000)
        wire.settle(6)
        self.assertEqual([200], wire.statuses)
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)

    def test_responseFirstPaused(self) -> None:
        """
        The network does not stay paused for a consumer that is gone.
        """
        resource = Streaming(most=1)
        wire = self.talk(resource, CHUNKED, chunk(b"x"), chunk(b"y" * 70_000))
        self.assertTrue(wire.transport.paused)
        resource.answer()
        self.assertFalse(wire.transport.paused)
        self.assertEqual("RequestBodyCut", resource.takers[0].ended())
        wire.send(b"0\r\n\r\n" + GET)
        resource.answer()
        wire.pump()
        self.assertEqual([200, 200], wire.statuses)

    def test_refusedByTheTaker(self) -> None:
        """
        C{loseConnection} on the body's transport: nothing more is delivered, the
        response goes out, the connection is used again.
        """
        resource = Streaming()
        wire = self.talk(resource, CHUNKED, chunk(b"abc"))
        taker = resource.takers[0]
        taker.transport.loseConnection()
        self.assertEqual("RequestBodyCut", taker.ended())
        wire.send(chunk(b"def"))
        self.assertEqual(b"abc", taker.data)
        resource.answer()
        wire.send(b"0\r\n\r\n" + GET)
        resource.answer()
        wire.pump()
        self.assertEqual([200, 200], wire.statuses)

    def test_stoppedFromWithin(self) -> None:
        """
        A consumer may stop its producer from C{dataReceived}.
        """

        class Stopping(Taker):
            def dataReceived(self, data: bytes) -> None:
                super().dataReceived(data)
                self.transport.stopProducing()

        resource = Streaming(take=False)
        wire = self.talk(resource, CHUNKED, chunk(b"abc"), chunk(b"def"))
        taker = Stopping()
        resource.requests[0].deliverBody(taker)
        self.assertEqual((b"abc", "RequestBodyCut"), (taker.data[:3], taker.ended()))
        resource.answer()
        wire.send(b"0\r\n\r\n")
        self.assertEqual([200], wire.statuses)

    def test_abortedByTheTaker(self) -> None:
        """
        C{abortConnection} on the body's transport drops the client.
        """
        resource = Streaming()
        wire = self.talk(resource, LARGE, b"abc")
        resource.takers[0].transport.abortConnection()
        wire.pump()
        self.assertTrue(wire.aborted)
        self.assertEqual("RequestBodyCut", resource.takers[0].ended())

    def test_abortedAfterTheEnd(self) -> None:
        """
        After the end there is nothing left to be dropped.
        """
        resource = Streaming()
        wire = self.talk(resource, post(b"abc"))
        resource.takers[0].transport.abortConnection()
        resource.answer()
        wire.send(post(b"abc"))
        resource.answer()
        wire.pump()
        self.assertEqual([200, 200], wire.statuses)

    def test_outlived(self) -> None:
        """
        A taker may have its body for longer than there is a request: that has neither
        a client nor an address then, and drops nobody.
        """
        for streams in (True, False):
            resource = Streaming(most=1)
            root: Any = resource
            if not streams:
                root = Calls(resource.render)
            wire = self.talk(root, post(b"x" * 200_000))
            taker: Any = resource.takers[0]
            resource.answer()
            wire.pump()
            self.assertIsNone(taker.transport.request)
            self.assertIsNone(taker.transport.getPeer())
            self.assertIsNone(taker.transport.getHost())
            taker.transport.abortConnection()
            self.assertFalse(wire.aborted)
            wire.send(post(b"abc"))
            resource.answer()
            wire.pump()
            self.assertEqual([200, 200], wire.statuses)

    def test_failsAfterwards(self) -> None:
        """
        What a taker raises when the request is over is logged, and costs nobody
        anything.
        """

        def fails(data: bytes) -> None:
            raise ZeroDivisionError

        resource = Streaming(most=1)
        wire = self.talk(resource, post(b"abcdef")[:-3], b"def")
        taker: Any = resource.takers[0]
        resource.answer()
        wire.pump()
        taker.dataReceived = fails
        taker.transport.resumeProducing()
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        wire.send(post(b"abc"))
        resource.answer()
        wire.pump()
        self.assertEqual([200, 200], wire.statuses)

    def test_repr(self) -> None:
        """
        A body says how far it is.
        """
        resource = Streaming(most=5, take=False)
        wire = self.talk(resource, get(b"/", b"Content-Length: 9", method=b"POST"))
        body = resource.requests[0].bodySource()
        told = [repr(body)]
        resource.requests[0].deliverBody(resource.takers[0])
        told.append(repr(body))
        wire.send(b"12345")
        told.append(repr(body))
        resource.takers[0].most = None
        body.resumeProducing()
        wire.send(b"6789")
        told.append(repr(body))
        self.assertEqual(
            [
                f"<RequestBody {state} length=9>"
                for state in ("not taken", "flowing", "paused", "ended")
            ],
            told,
        )
        resource.answer()
        del body


class BackPressureTests(ServerTestCase):
    """
    A slow taker holds the client back.
    """

    def test_marks(self) -> None:
        """
        The network is paused above the high mark and resumed at a quarter of
        it, not at every byte.
        """
        resource = Streaming(most=0)
        wire = self.talk(resource, LARGE, limits={"bodyBufferLength": 1000})
        taker = resource.takers[0]
        taker.transport.pauseProducing()
        wire.send(b"a" * 1000)
        self.assertFalse(wire.transport.paused, "at the mark, not above")
        wire.send(b"b")
        self.assertTrue(wire.transport.paused)
        wire.send(b"c" * 10_000)
        self.assertEqual(b"", taker.data)
        self.assertEqual(1, wire.transport.pauses)

    def test_resumedAtTheLowMark(self) -> None:
        """
        See above: the other mark.
        """
        resource = Streaming(most=0)
        wire = self.talk(resource, LARGE, limits={"bodyBufferLength": 20_000})
        taker = resource.takers[0]
        taker.transport.pauseProducing()
        for letter in b"abcde":
            wire.send(bytes([letter]) * 4001)
        self.assertTrue(wire.transport.paused)
        paused = []
        for _ in range(5):
            taker.transport.resumeProducing()
            paused.append(wire.transport.paused)
        # 16004, 12003, 8002, 4001 are left: the low mark is 5000.
        self.assertEqual([True, True, True, False, False], paused)
        self.assertEqual(1, wire.transport.pauses)

    def test_nobodyTakesIt(self) -> None:
        """
        A body that nobody takes stops at the same mark.
        """
        wire = self.talk(Streaming(take=False), LARGE)
        for _ in range(10):
            wire.send(b"x" * 30_000)
        self.assertTrue(wire.transport.paused)
        self.assertLess(wire.channel.reader.incoming.sink._size, 130_000)

    def test_tinyChunks(self) -> None:
        """
        A body in chunks of one byte waits as a few pieces, not as many.
        """
        resource = Streaming(take=False)
        self.talk(resource, CHUNKED, chunk(b"x") * 5000)
        source = resource.requests[0].bodySource()
        self.assertLess(len(source._waiting), 5)
        resource.requests[0].deliverBody(resource.takers[0])
        self.assertEqual(b"x" * 5000, resource.takers[0].data)
        del source

    def test_pausedAtTheEnd(self) -> None:
        """
        What waits is delivered after the last byte has arrived, and then the
        end; the next request is not held up by it.
        """
        resource = Streaming(most=1)
        wire = self.talk(resource, CHUNKED, chunk(b"abc"), chunk(b"def"))
        taker = resource.takers[0]
        wire.send(b"0\r\n\r\n" + GET)
        self.assertEqual((b"abc", ""), (taker.data, taker.ended()))
        taker.most = None
        taker.transport.resumeProducing()
        self.assertEqual((b"abcdef", "ResponseDone"), (taker.data, taker.ended()))
        resource.answer()
        resource.requests.clear()
        wire.pump()
        self.assertEqual([200], wire.statuses)
        self.assertEqual(2, len(resource.takers))

    def test_takenTooLate(self) -> None:
        """
        A body that is taken when the request is over, and whose content is gone, was
        cut: it is not empty, and not complete.
        """

        def limit(wire: Wire, request: Any) -> None:
            request.setBodyLimit(4)

        def leave(wire: Wire, request: Any) -> None:
            wire.vanish()

        def finish(wire: Wire, request: Any) -> None:
            request.finish()

        cut, whole = post(b"x" * 10)[:-1], post(b"x" * 10)
        for over, data in (
            (limit, cut),
            (leave, cut),
            (finish, cut),
            (leave, whole),
            (finish, whole),
        ):
            with self.subTest(over=over.__name__, isWhole=data is whole):
                # That of a resource that streams, or of another one.
                requests: list[Any] = []
                resource = Streaming(take=False)
                wire = self.talk(requests.append if data is whole else resource, data)
                (request,) = requests or resource.requests
                over(wire, request)
                taker = Taker()
                request.deliverBody(taker)
                self.assertEqual((b"", "RequestBodyCut"), (taker.data, taker.ended()))

    def test_reentrant(self) -> None:
        """
        Resuming from within C{dataReceived} neither recurses nor reorders.
        """

        class Nervous(Taker):
            def dataReceived(self, data: bytes) -> None:
                self.transport.pauseProducing()
                self.transport.resumeProducing()
                super().dataReceived(data)

        resource = Streaming(take=False)
        wire = self.talk(resource, CHUNKED)
        taker = Nervous()
        resource.requests[0].deliverBody(taker)
        numbers = [b"%04d" % number for number in range(2000)]
        wire.send(b"".join(map(chunk, numbers)) + b"0\r\n\r\n")
        self.assertEqual(
            (b"".join(numbers), "ResponseDone"), (taker.data, taker.ended())
        )
