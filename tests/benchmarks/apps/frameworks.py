"""
What others make of Twisted's resources: klein, Flask by WSGI, autobahn's WebSockets;
bodies that are taken as they come; and events for everybody who listens.
"""

# The frameworks can be missing where types are checked.
# mypy: disable-error-code="import-not-found,import-untyped,misc,untyped-decorator"

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.task import LoopingCall, deferLater
from twisted.web import wsgi
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.benchmarks.apps import payload
from tests.benchmarks.apps.resources import Length

__all__ = ["CHILDREN"]

_OURS = "h11web" in sys.argv


def _klein() -> Resource:
    """
    A coroutine that goes on in a later turn.
    """
    from klein import Klein

    app: Any = Klein()

    @app.route("/")
    async def hello(request: Any) -> bytes:
        request.setHeader(b"content-type", payload.CONTENT_TYPE.encode("ascii"))
        await deferLater(reactor, 0, lambda: None)
        return payload.HELLO

    made: Resource = app.resource()
    return made


def _flask() -> Any:
    """
    By the WSGI resource of the server that runs this.
    """
    from tests.benchmarks.apps.wsgi import flask_app

    loop: Any = reactor
    if _OURS:
        from twisted_h11 import wsgi as ours

        return ours.WSGIResource(loop, None, flask_app())
    return wsgi.WSGIResource(loop, loop.getThreadPool(), flask_app())


def _stream() -> Resource:
    """
    Counts a body as it comes, where the server offers that.
    """
    if not _OURS:
        return Length()
    from twisted_h11.interfaces import IStreamingResource

    @implementer(IStreamingResource)
    class Streamed(Length):
        async def render_PUT(self, request: Any) -> bytes:
            length = 0
            async for data in request.body:
                length += len(data)
            return self.answer(request, length)

    return Streamed()


def _websocket() -> Any:
    """
    Says every message back.
    """
    from autobahn.twisted.resource import WebSocketResource
    from autobahn.twisted.websocket import (
        WebSocketServerFactory,
        WebSocketServerProtocol,
    )

    class Echo(WebSocketServerProtocol):
        def onMessage(self, message: bytes, isBinary: bool) -> None:
            self.sendMessage(message, isBinary)

    factory = WebSocketServerFactory()
    factory.protocol = Echo
    factory.startFactory()
    return WebSocketResource(factory)


class _Events(Resource):
    """
    An event for all listeners at once, again and again, while there are any.
    """

    isLeaf = True

    def __init__(self) -> None:
        Resource.__init__(self)
        self._listeners: set[Any] = set()
        self._tick = LoopingCall(self._send)

    def render_GET(self, request: Any) -> int:
        request.setHeader(b"content-type", b"text/event-stream")
        request.write(payload.event(time.monotonic_ns()))
        self._listeners.add(request)
        request.notifyFinish().addErrback(lambda _: self._listeners.discard(request))
        if not self._tick.running:
            self._tick.start(payload.TICK, now=False)
        return NOT_DONE_YET

    def _send(self) -> None:
        data = payload.event(time.monotonic_ns())
        for request in self._listeners:
            request.write(data)
        if not self._listeners:
            self._tick.stop()


CHILDREN: dict[bytes, Callable[[], Any]] = {
    b"stream": _stream,
    b"klein": _klein,
    b"flask": _flask,
    b"websocket": _websocket,
    b"events": _Events,
}
