"""
The resource tree for C{twistd web --class} and C{twistd h11web --class}, and
for the measure in memory: one tree, so that both sides do the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IPullProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from twisted.web.static import File
from zope.interface import implementer

from tests.benchmarks.apps import payload

__all__ = ["Foreign", "Length", "Root"]

_CONTENT_TYPE = payload.CONTENT_TYPE.encode("ascii")


class Foreign(Request):
    """
    A framework's own class of requests.
    """


class _Leaf(Resource):
    isLeaf = True


class _Whole(_Leaf):
    """
    Answers with bytes that are already there.
    """

    def __init__(self, body: bytes) -> None:
        Resource.__init__(self)
        self.body = body

    def render_GET(self, request: Request) -> bytes:
        request.setHeader(b"content-type", _CONTENT_TYPE)
        return self.body


class _TwoFields(_Whole):
    """
    Reads two fields of the request, as many applications do.
    """

    def render_GET(self, request: Request) -> bytes:
        request.getHeader(b"accept-language")
        request.getHeader(b"user-agent")
        return _Whole.render_GET(self, request)


class _AllFields(_Whole):
    """
    Reads every field of the request, as gateways (WSGI, ASGI) do.
    """

    def render_GET(self, request: Request) -> bytes:
        for _ in request.requestHeaders.getAllRawHeaders():
            pass
        return _Whole.render_GET(self, request)


class _Pieces(_Leaf):
    """
    Answers in pieces, at once or all of them from a later turn of the reactor.
    """

    def __init__(self, answer: payload.Answer, callLater: Callable[..., Any]) -> None:
        Resource.__init__(self)
        self._pieces = answer.pieces
        self._length = b"%d" % len(answer.body) if answer.measured else None
        self._callLater = callLater if answer.later else None

    def render_GET(self, request: Request) -> int:
        request.setHeader(b"content-type", _CONTENT_TYPE)
        if self._length is not None:
            request.setHeader(b"content-length", self._length)
        if self._callLater is None:
            self._write(request)
        else:
            self._callLater(0, self._write, request)
        return NOT_DONE_YET

    def _write(self, request: Request) -> None:
        for piece in self._pieces:
            request.write(piece)
        request.finish()


class Length(_Leaf):
    """
    Answers with the length of the body, in decimal digits.
    """

    def render_POST(self, request: Any) -> bytes:
        """
        Read all of it.
        """
        return self.answer(request, len(request.content.read()))

    def render_PUT(self, request: Any) -> Any:
        """
        Read block by block.
        """
        length = 0
        while piece := request.content.read(len(payload.BLOCK)):
            length += len(piece)
        return self.answer(request, length)

    def answer(self, request: Any, length: int) -> bytes:
        """
        Tell the length.
        """
        request.setHeader(b"content-type", _CONTENT_TYPE)
        return b"%d" % length


class _Download(_Leaf):
    """
    Answers C{/download/N} with N bytes, a block whenever the transport asks for one.
    """

    def render_GET(self, request: Any) -> int:
        length = int(request.postpath[0])
        request.setHeader(b"content-type", b"application/octet-stream")
        request.setHeader(b"content-length", b"%d" % length)
        request.registerProducer(_Blocks(request, length), False)
        return NOT_DONE_YET


@implementer(IPullProducer)
class _Blocks:
    def __init__(self, request: Request, length: int) -> None:
        self._request = request
        self._pieces = iter(payload.blocks(length))

    def resumeProducing(self) -> None:
        piece = next(self._pieces, None)
        if piece is None:
            self._request.unregisterProducer()
            self._request.finish()
        else:
            self._request.write(piece)

    def stopProducing(self) -> None:
        self._pieces = iter(())


class Root(Resource):
    """
    What L{tests.benchmarks.apps.payload} lists.

    @param callLater: what runs a call in a later turn; by default the reactor's.
    """

    def __init__(self, callLater: Callable[..., Any] | None = None) -> None:
        Resource.__init__(self)
        if callLater is None:
            from twisted.internet import reactor

            loop: Any = reactor
            callLater = loop.callLater
        children: dict[str, Resource] = {
            path[1:]: _Whole(answer.body)
            if answer.measured and not answer.later
            else _Pieces(answer, callLater)
            for path, answer in payload.ANSWERS.items()
        }
        children["two-fields"] = _TwoFields(payload.HELLO)
        children["all-fields"] = _AllFields(payload.HELLO)
        children["echo-length"] = children["upload"] = Length()
        children["download"] = _Download()
        if payload.static_root():
            children["static"] = File(payload.static_root())
        for name, child in children.items():
            self.putChild(name.encode("ascii"), child)

    def getChild(self, path: bytes, request: Request) -> Any:
        """
        What needs a framework, or our server, is made when it is first asked for.
        """
        from tests.benchmarks.apps.frameworks import CHILDREN

        if path not in CHILDREN:
            return Resource.getChild(self, path, request)
        child = CHILDREN[path]()
        self.putChild(path, child)
        return child
