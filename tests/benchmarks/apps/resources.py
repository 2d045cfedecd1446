"""
The resource tree for C{twistd web --class} and C{twistd h11web --class}, and
for the measure in memory: one tree, so that both sides do the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from twisted.internet.interfaces import IPullProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from twisted.web.static import File
from zope.interface import implementer

from tests.benchmarks.apps import payload

__all__ = ["Foreign", "Root"]

CallLater = Callable[..., object]

_CONTENT_TYPE = payload.CONTENT_TYPE.encode("ascii")


class Foreign(Request):
    """
    A framework's own class of requests.
    """


class _Constant(Resource):
    """
    Answers GET with bytes that are already there.
    """

    isLeaf = True

    def __init__(self, body: bytes) -> None:
        Resource.__init__(self)
        self.body = body

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"content-type", _CONTENT_TYPE)
        return self.body


class _TwoFields(_Constant):
    """
    Reads two fields of the request, as many applications do.
    """

    def render_GET(self, request: Request) -> bytes:
        request.getHeader(b"accept-language")
        request.getHeader(b"user-agent")
        return _Constant.render_GET(self, request)


class _AllFields(_Constant):
    """
    Reads every field of the request, as gateways (WSGI, ASGI) do.
    """

    def render_GET(self, request: Request) -> bytes:
        for _ in request.requestHeaders.getAllRawHeaders():
            pass
        return _Constant.render_GET(self, request)


class _Chunked(Resource):
    """
    Answers in pieces, without saying how long the answer is.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        request.setHeader(b"content-type", _CONTENT_TYPE)
        for piece in payload.PIECES:
            request.write(piece)
        request.finish()
        return NOT_DONE_YET


class _Later(Resource):
    """
    Answers in pieces, all of them from a later turn of the reactor.

    @param measured: whether a Content-Length says how long the answer is.
    """

    isLeaf = True

    def __init__(
        self, callLater: CallLater, pieces: list[bytes], measured: bool = False
    ) -> None:
        Resource.__init__(self)
        self._callLater = callLater
        self._pieces = pieces
        self._length = b"%d" % sum(map(len, pieces)) if measured else None

    def render_GET(self, request: Request) -> int:
        request.setHeader(b"content-type", _CONTENT_TYPE)
        if self._length is not None:
            request.setHeader(b"content-length", self._length)
        self._callLater(0, self._answer, request)
        return NOT_DONE_YET

    def _answer(self, request: Request) -> None:
        for piece in self._pieces:
            request.write(piece)
        request.finish()


def _content(request: Request) -> BinaryIO:
    """
    The body, which is there when a resource is asked to render.
    """
    content: BinaryIO | None = request.content
    assert content is not None
    return content


class _Length(Resource):
    """
    Answers with the length of the body.
    """

    isLeaf = True

    def render_POST(self, request: Request) -> bytes:
        return self._answer(request, len(_content(request).read()))

    def render_PUT(self, request: Request) -> bytes:
        length = 0
        content = _content(request)
        while piece := content.read(len(payload.BLOCK)):
            length += len(piece)
        return self._answer(request, length)

    def _answer(self, request: Request, length: int) -> bytes:
        """
        The length in decimal digits.
        """
        request.setHeader(b"content-type", _CONTENT_TYPE)
        return b"%d" % length


def _streamed() -> Resource:
    """
    What counts a body as it comes, on a server that offers that; elsewhere the
    same as C{/upload}.
    """
    try:
        from twisted_h11.interfaces import IStreamingResource
    except ImportError:
        return _Length()

    @implementer(IStreamingResource)
    class _Streamed(_Length):
        async def _count(self, request: Any) -> bytes:
            length = 0
            async for data in request.body:
                length += len(data)
            return self._answer(request, length)

        def render_PUT(self, request: Any) -> Any:
            """
            Count the pieces.
            """
            if not hasattr(request, "deliverBody"):
                return _Length.render_PUT(self, request)
            return self._count(request)

    return _Streamed()


@implementer(IPullProducer)
class _Blocks:
    """
    Writes one block whenever the transport asks for one.
    """

    def __init__(self, request: Request, pieces: Iterator[bytes]) -> None:
        self._request = request
        self._pieces = pieces

    def resumeProducing(self) -> None:
        """
        Write the next block, or finish.
        """
        piece = next(self._pieces, None)
        if piece is None:
            self._request.unregisterProducer()
            self._request.finish()
        else:
            self._request.write(piece)

    def stopProducing(self) -> None:
        """
        Nobody wants the rest.
        """
        self._pieces = iter(())


class _Download(Resource):
    """
    Answers C{/download/N} with N bytes.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> int:
        assert request.postpath is not None
        length = int(request.postpath[0])
        request.setHeader(b"content-type", b"application/octet-stream")
        request.setHeader(b"content-length", b"%d" % length)
        producer = _Blocks(request, iter(payload.blocks(length)))
        request.registerProducer(producer, False)
        return NOT_DONE_YET


class Root(Resource):
    """
    What L{tests.benchmarks.apps.payload} lists.

    @param callLater: what runs a call in a later turn; by default the reactor's.
    """

    def __init__(self, callLater: CallLater | None = None) -> None:
        Resource.__init__(self)
        if callLater is None:
            from twisted.internet import reactor

            loop: Any = reactor
            callLater = loop.callLater
        for name, later in {
            b"later": _Later(callLater, [payload.HELLO]),
            b"later-length": _Later(callLater, [payload.HELLO], measured=True),
            b"pieces": _Later(callLater, payload.TWENTY),
        }.items():
            self.putChild(name, later)
        for path, body in payload.WHOLE.items():
            self.putChild(path[1:].encode("ascii"), _Constant(body))
        self.putChild(b"two-fields", _TwoFields(payload.HELLO))
        self.putChild(b"all-fields", _AllFields(payload.HELLO))
        self.putChild(b"chunked", _Chunked())
        self.putChild(b"echo-length", _Length())
        self.putChild(b"upload", _Length())
        self.putChild(b"stream", _streamed())
        self.putChild(b"download", _Download())
        if payload.static_root():
            self.putChild(b"static", File(payload.static_root()))

    def getChild(self, path: bytes, request: Request) -> Any:
        """
        What needs a framework is made when it is first asked for.
        """
        from tests.benchmarks.apps.frameworks import CHILDREN

        if path not in CHILDREN:
            return Resource.getChild(self, path, request)
        child = CHILDREN[path]()
        self.putChild(path, child)
        return child
