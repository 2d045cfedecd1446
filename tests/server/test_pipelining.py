"""
Several requests on one connection: in order, one at a time, within bounds.
"""

from __future__ import annotations

import sys
from typing import Any

from tests.support.server_cases import GET, Echo, Holding, ServerTestCase, get, post
from twisted_h11.server import Limits


class PipeliningTests(ServerTestCase):
    """
    What comes in faster than it is answered.
    """

    def test_order(self) -> None:
        """
        Responses come in the order of their requests.
        """
        wire = self.talk(None, b"".join(post(b"%d" % i) for i in range(50)))
        bodies = [response.body for response in wire.responses]
        self.assertEqual([b"%d" % i for i in range(50)], bodies)

    def test_oneAtATime(self) -> None:
        """
        The application sees a request only when the one before is answered.
        """
        holding = Holding()
        wire = self.talk(holding, GET * 3)
        self.assertEqual(1, len(holding.requests))
        holding.answer(b"1")
        wire.pump()
        self.assertEqual(1, len(holding.requests))
        holding.answer(b"2")
        wire.pump()
        holding.answer(b"3")
        wire.pump()
        self.assertEqual([b"1", b"2", b"3"], [r.body for r in wire.responses])

    def test_tenThousand(self) -> None:
        """
        Ten thousand requests in one piece are answered in order.
        """
        count = 10_000
        depths = []

        def render(request: Any) -> bytes:
            depth, frame = 0, sys._getframe()
            while frame.f_back is not None:
                depth, frame = depth + 1, frame.f_back
            depths.append(depth)
            uri: bytes = request.uri
            return uri

        wire = self.talk(render, b"".join(get(b"/%d" % i) for i in range(count)))
        self.assertEqual(
            [b"/%d" % i for i in range(count)], [r.body for r in wire.responses]
        )
        self.assertEqual(1, len(set(depths)), "the stack grows with each request")

    def test_tenThousandAcrossSegments(self) -> None:
        """
        So are ten thousand that are cut anywhere.
        """
        count = 10_000
        data = b"".join(get(b"/%d" % i) for i in range(count))
        size = 1021
        pieces = [data[i : i + size] for i in range(0, len(data), size)]
        wire = self.talk(None, *pieces)
        self.assertEqual([200] * count, wire.statuses)

    def test_tenThousandBehindOneThatWaits(self) -> None:
        """
        While a request runs no more than C{readAhead} is read behind it, and
        then all are answered in order and from a stack that does not grow.
        """
        count = 10_000
        holding: list[Any] = []
        depths = set()

        def render(request: Any) -> Any:
            if not holding:
                holding.append(request)
                return None
            depth, frame = 0, sys._getframe()
            while frame.f_back is not None:
                depth, frame = depth + 1, frame.f_back
            depths.add(depth)
            uri: bytes = request.uri
            return uri

        data = b"".join(get(b"/%d" % i) for i in range(count))
        pieces = [data[i : i + 4096] for i in range(0, len(data), 4096)]
        wire = self.connect(self.site(render))
        wire.send(pieces[0])
        wire.unread.extend(pieces[1:])
        wire.pump()
        self.assertTrue(wire.transport.paused)
        taken = len(pieces) - 1 - len(wire.unread)
        self.assertLessEqual((taken - 1) * 4096, Limits().readAhead)
        request = holding[0]
        holding[0] = None
        request.write(b"first")
        request.finish()
        del request
        wire.pump()
        responses = wire.responses
        self.assertEqual(count, len(responses))
        self.assertEqual(b"/9999", responses[-1].body)
        self.assertEqual(b"first", responses[0].body)
        self.assertLessEqual(len(depths), 3, "the stack grows with each request")

    def test_pausesBehindReadAhead(self) -> None:
        """
        Reading pauses when more than C{readAhead} waits, and resumes after.
        """
        holding = Holding()
        wire = self.talk(holding, GET, limits={"readAhead": 100})
        wire.send(b"GET /2 HTTP/1.1\r\nHost: a\r\n")
        self.assertFalse(wire.transport.paused, "a client that leaves is not noticed")
        wire.send(b"X: " + b"y" * 100)
        self.assertTrue(wire.transport.paused)
        holding.answer()
        wire.pump()
        self.assertFalse(wire.transport.paused)
        wire.send(b"\r\n\r\n")
        holding.answer(b"second")
        wire.pump()
        self.assertEqual([b"done", b"second"], [r.body for r in wire.responses])

    def test_readAheadToTheByte(self) -> None:
        """
        As many bytes may wait as C{readAhead} says; those of the request that runs are
        not among them.
        """
        holding = Holding()
        wire = self.talk(holding, GET + b"x" * 100, limits={"readAhead": 100})
        self.assertFalse(wire.transport.paused)
        wire.send(b"x")
        self.assertTrue(wire.transport.paused)

    def test_headBeyondReadAhead(self) -> None:
        """
        A head may be longer than that, in pieces too: nothing waits before it.
        """
        for before in (b"", GET):
            wire = self.talk(None, before + GET[:-1], limits={"readAhead": 10})
            self.assertFalse(wire.transport.paused)
            wire.send(GET[-1:])
            self.assertEqual([200] * (1 + bool(before)), wire.statuses)

    def test_behindTheLast(self) -> None:
        """
        What follows the last request is read on, and dropped.
        """
        last = get(b"/", b"Connection: close")
        wire = self.talk(None, last + b"x" * 1000, limits={"readAhead": 100})
        self.assertFalse(wire.transport.paused)
        self.assertEqual([200], wire.statuses)

    def test_closedBehindTheResponse(self) -> None:
        """
        When a connection is closed as a response has ended, the next request is not
        run, though it is here.
        """
        rendered: list[bytes] = []

        def render(request: Any) -> bytes:
            channel = request.channel
            rendered.append(request.uri)
            request.notifyFinish().addCallback(lambda _: channel.loseConnection())
            return b"x"

        wire = self.talk(render, GET + get(b"/next"))
        self.assertEqual(([200], [b"/"]), (wire.statuses, rendered))

    def test_pauseDoesNotFlap(self) -> None:
        """
        Many small segments behind a running request pause reading once.
        """
        holding = Holding()
        wire = self.talk(holding, GET, limits={"readAhead": 64})
        for _ in range(200):
            wire.unread.append(b"x" * 8)
        wire.pump()
        self.assertEqual(1, wire.transport.pauses)

    def test_clientThatNeverReads(self) -> None:
        """
        Responses to a client that reads nothing do not pile up without end.
        """
        body = b"x" * 10_000
        wire = self.connect(self.site(lambda request: body)).stall()
        for _ in range(1000):
            wire.unread.append(GET * 4)
        wire.pump()
        self.assertLess(len(wire.transport.backlog), 2**16 + 5 * 11_000)
        self.assertTrue(wire.unread)
        wire.drain()
        self.assertEqual(4000, len(wire.responses))

    def test_largeBodiesInOneSegment(self) -> None:
        """
        Bodies and requests in one segment are told apart.
        """
        echo = Echo()
        data = b"".join(post(b"%03d" % i * 1000) for i in range(20))
        wire = self.talk(echo, data)
        self.assertEqual(20, len(wire.responses))
        self.assertEqual(b"019" * 1000, echo.seen[-1].body)

    def test_finishLater(self) -> None:
        """
        Requests that are finished by a delayed call keep their order.
        """

        def render(request: Any) -> None:
            uri = request.uri
            self.clock.callLater(0, request.write, uri)
            self.clock.callLater(0, request.finish)

        wire = self.talk(render, b"".join(get(b"/%d" % i) for i in range(100)))
        wire.pump()
        self.assertEqual(
            [b"/%d" % i for i in range(100)], [r.body for r in wire.responses]
        )

    def test_oneSegmentOneWrite(self) -> None:
        """
        What one segment produces is written at once, not in many pieces.
        """
        wire = self.talk(None, GET * 20)
        self.assertEqual(20, len(wire.responses))
        self.assertLessEqual(wire.transport.writes, 2)

    def test_closeEndsThePipeline(self) -> None:
        """
        An application that closes the connection ends the pipeline.
        """

        def render(request: Any) -> bytes:
            if request.uri == b"/2":
                request.setHeader(b"Connection", b"close")
            uri: bytes = request.uri
            return uri

        wire = self.talk(render, b"".join(get(b"/%d" % i) for i in range(5)))
        self.assertEqual([b"/0", b"/1", b"/2"], [r.body for r in wire.responses])
        self.assertTrue(wire.responses[-1].closes)
        wire.settle(6)
        self.assertTrue(wire.closed)
