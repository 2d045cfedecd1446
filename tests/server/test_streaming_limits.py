"""
How long a body may be: per site, per resource, per request.
"""

from __future__ import annotations

from typing import Any

from twisted.web import server
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.server.test_streaming_routing import head
from tests.support.server_cases import Echo, ServerTestCase, get, post
from twisted_h11.interfaces import IStreamingResource


class BodyLimitTests(ServerTestCase):
    """
    How long a body may be: per site, per resource, per request.
    """

    def refusals(self, root: Any, target: bytes, most: int, **options: Any) -> None:
        """
        A body of C{most} bytes passes, one more is 413: at the head where the
        length is announced, else at the byte that crosses the limit.
        """
        for expect in ((), (b"Expect: 100-continue",)):
            wire = self.talk(root, head(target, *expect, length=most), **options)
            wire.send(b"x" * most)
            self.assertEqual([200], wire.statuses)
            wire = self.talk(root, head(target, *expect, length=most + 1), **options)
            self.assertNotIn(b"100 Continue", wire.output)
            self.assertRefused(wire, 413)
        # All of it at once, as the fast path sees it.
        wire = self.talk(root, post(b"x" * most, target=target), **options)
        self.assertEqual([200], wire.statuses)
        wire = self.talk(root, post(b"x" * (most + 1), target=target), **options)
        self.assertRefused(wire, 413)
        chunked = get(target, b"Transfer-Encoding: chunked", method=b"POST")
        one = b"1\r\nx\r\n"
        wire = self.talk(root, chunked, one * most, b"0\r\n\r\n", **options)
        self.assertEqual([200], wire.statuses)
        wire = self.talk(root, chunked, one * most, **options)
        self.assertEqual([], wire.statuses)
        wire.send(one)
        self.assertRefused(wire, 413)

    def test_site(self) -> None:
        """
        C{Limits.maxBodyLength} is for buffered resources.
        """
        self.refusals(Echo(), b"/", 7, limits={"maxBodyLength": 7})

    def test_siteLimitIsNotForStreams(self) -> None:
        """
        A streaming resource has no limit but its own.
        """
        root = StreamingEcho()
        wire = self.talk(root, post(b"x" * 8), limits={"maxBodyLength": 7})
        self.assertEqual([200], wire.statuses)

    def test_resource(self) -> None:
        """
        A resource may have its own, larger or smaller than the site's.
        """
        for cls in (Echo, StreamingEcho):
            for most in (5, 9):
                root = Resource()
                leaf: Any = cls()
                leaf.maxBodyLength = most
                root.putChild(b"leaf", leaf)
                for target in (b"/leaf", b"/leaf?x", b"http://example.com/leaf"):
                    self.refusals(root, target, most, limits={"maxBodyLength": 7})

    def test_nearestAncestor(self) -> None:
        """
        Behind a C{getChild} of twisted.web's style the nearest static ancestor
        decides.
        """

        class Old(Resource):
            maxBodyLength = 4

            def getChild(self, name: bytes, request: Any) -> Any:
                leaf: Any = Echo()
                leaf.maxBodyLength = 100
                return leaf

        root: Any = Resource()
        root.maxBodyLength = 1000
        root.putChild(b"old", Old())
        self.refusals(root, b"/old/x", 4)

    def test_foreignRequest(self) -> None:
        """
        Limits hold for requests that are not ours, too.
        """
        root: Any = Resource()
        leaf: Any = Echo()
        leaf.maxBodyLength = 6
        root.putChild(b"leaf", leaf)
        self.refusals(root, b"/leaf", 6, requestFactory=server.Request)

    def test_request(self) -> None:
        """
        A streaming resource may set a limit for one request before it takes
        the body, at the head: then no 100 is sent.
        """

        @implementer(IStreamingResource)
        class Own(StreamingEcho):
            async def render(self, request: Any) -> bytes:
                request.setBodyLimit(6)
                return await StreamingEcho.render(self, request)

        self.refusals(Own(), b"/", 6)
        self.assertEqual([], self.flushLoggedErrors())

    def test_requestSynchronous(self) -> None:
        """
        Nothing is logged as an error when the resource goes on after that.
        """

        @implementer(IStreamingResource)
        class Own(Resource):
            isLeaf = True

            def render(self, request: Any) -> bytes:
                request.setBodyLimit(6)
                return b"done"

        wire = self.talk(Own(), head(b"/", length=7))
        self.assertEqual([], self.flushLoggedErrors())
        self.assertRefused(wire, 413)

    def test_raisedForOne(self) -> None:
        """
        It may be raised for one request, too.
        """

        @implementer(IStreamingResource)
        class Own(StreamingEcho):
            maxBodyLength = 10

            async def render(self, request: Any) -> bytes:
                request.setBodyLimit(None)
                return await StreamingEcho.render(self, request)

        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        wire = self.talk(Own(), chunked, b"10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n")
        self.assertEqual([200], wire.statuses)

    def test_lowered(self) -> None:
        """
        It may be lowered while the body comes: the next byte beyond it is too many,
        also in the middle of a chunk.
        """
        requests: list[Any] = []

        @implementer(IStreamingResource)
        class Own(Resource):
            isLeaf = True

            def render(self, request: Any) -> Any:
                requests.append(request)
                return NOT_DONE_YET

        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        wire = self.talk(Own(), chunked, b"64\r\n" + b"x" * 10)
        requests.pop().setBodyLimit(20)
        wire.send(b"x" * 10)
        self.assertEqual([], wire.statuses)
        wire.send(b"x")
        self.assertRefused(wire, 413)

    def test_told(self) -> None:
        """
        A streaming resource hears that the body was refused, and its request is
        over.
        """
        root: Any = StreamingEcho()
        root.maxBodyLength = 4
        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        wire = self.talk(root, chunked, b"4\r\nabcd\r\n", b"1\r\n")
        self.assertEqual(["RequestBodyCut"], root.raised)
        self.assertRefused(wire, 413)
        self.assertEqual([], self.flushLoggedErrors())


class UnwantedTests(ServerTestCase):
    """
    How much of a body is read that nobody wants.
    """

    def test_chunked(self) -> None:
        """
        Of one whose length nobody knows as much as C{drainLength}; then the connection
        closes.
        """

        @implementer(IStreamingResource)
        class Early(Resource):
            isLeaf = True

            def render(self, request: Any) -> bytes:
                return b"early"

        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        piece = b"64\r\n" + b"x" * 100 + b"\r\n"
        wire = self.talk(Early(), chunked, piece * 10, limits={"drainLength": 1000})
        self.assertEqual([200], wire.statuses)
        self.assertIsNone(wire.channel.wire.closing)
        wire.send(piece)
        self.assertIsNotNone(wire.channel.wire.closing)
        wire.settle(6)
        self.assertTrue(wire.closed)


@implementer(IStreamingResource)
class StreamingEcho(Resource):
    """
    Answers with the body.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.raised: list[str] = []

    async def render(self, request: Any) -> bytes:
        """
        Collect it.
        """
        parts = []
        try:
            async for data in request.body:
                parts.append(data)
        except Exception as error:
            self.raised.append(type(error).__name__)
            raise
        return b"".join(parts)
