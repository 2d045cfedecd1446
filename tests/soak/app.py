"""
The application under load: C{twistd h11web --class=tests.soak.app.Application}.

C{SOAK_FILES} is the folder with its static files.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.soak.content import content, receipt
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.resources import PublicFile
from twisted_h11.wsgi import WSGIResource

__all__ = ["Application", "Deliberate"]

net: Any = reactor
PIECE = 16 * 1024
PAUSE = 0.02


class Deliberate(Exception):
    """
    Raised by the resource that fails: the one traceback that may be in the log.
    """


class Whole(Resource):
    """
    Content that is there at once, for any method.
    """

    isLeaf = True

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def render(self, request: Any) -> bytes:
        """
        Answer.
        """
        return content(self.kind, request.postpath[0])


class Slow(Resource):
    """
    Content that comes later.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> int:
        """
        Wait.
        """
        waiting: Deferred[None] = deferLater(net, PAUSE, request.write, b"")
        request.notifyFinish().addErrback(lambda reason: waiting.cancel())
        waiting.addCallback(
            lambda _: request.write(content("slow", request.postpath[0]))
        )
        waiting.addCallbacks(lambda _: request.finish(), lambda reason: None)
        return NOT_DONE_YET


@implementer(IPushProducer)
class Pieces:
    """
    Writes content in pieces, when there is room.
    """

    def __init__(self, request: Any) -> None:
        self.request = request
        self.data = content("stream", request.postpath[0])
        self.sent = 0
        self.paused = False
        self.running = False

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        self.paused = False
        if not self.running:
            self.run()

    def run(self) -> None:
        """
        Write until there is no room.
        """
        self.running = True
        while not self.paused and self.sent < len(self.data):
            piece = self.data[self.sent : self.sent + PIECE]
            self.sent += len(piece)
            self.request.write(piece)
        self.running = False
        if not self.paused:
            self.paused = True
            self.request.unregisterProducer()
            self.request.finish()

    def pauseProducing(self) -> None:
        """
        No room.
        """
        self.paused = True

    def stopProducing(self) -> None:
        """
        Nobody there.
        """
        self.paused = True


class Stream(Resource):
    """
    Content without a length, by a producer.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> int:
        """
        Begin.
        """
        producer = Pieces(request)
        request.registerProducer(producer, True)
        producer.resumeProducing()
        return NOT_DONE_YET


class Taker(Protocol):
    """
    Takes a body as it comes, and answers with its checksum.
    """

    def __init__(self, request: Any) -> None:
        self.request = request
        self.length = self.checksum = 0

    def dataReceived(self, data: bytes) -> None:
        """
        Count.
        """
        self.length += len(data)
        self.checksum = zlib.crc32(data, self.checksum)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Answer, if somebody is there.
        """
        request, self.request = self.request, None
        if request is None or request._disconnected:
            return
        request.write(receipt(request.postpath[0], self.length, self.checksum))
        request.finish()


@implementer(IStreamingResource)
class Upload(Resource):
    """
    A body that is taken as it comes.
    """

    isLeaf = True

    def render(self, request: Any) -> int:
        """
        Take it.
        """
        request.deliverBody(Taker(request))
        return NOT_DONE_YET


class Buffered(Resource):
    """
    A body that was collected.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        Look at it.
        """
        body = request.content.read()
        return receipt(request.postpath[0], len(body), zlib.crc32(body))


class Failing(Resource):
    """
    A resource that raises.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        Fail.
        """
        raise Deliberate


def wsgi(environ: Any, start_response: Any) -> Iterable[bytes]:
    """
    Content in three pieces, from a thread.
    """
    name = environ["PATH_INFO"].rpartition("/")[2].encode("ascii")
    if environ["REQUEST_METHOD"] in ("PUT", "POST"):
        body = environ["wsgi.input"].read()
        whole = receipt(name, len(body), zlib.crc32(body))
    else:
        whole = content("wsgi", name)
    start_response("200 OK", [("Content-Type", "text/plain")])
    third = len(whole) // 3
    return iter((whole[:third], whole[third : 2 * third], whole[2 * third :]))


class Application(Resource):
    """
    The root.
    """

    def __init__(self) -> None:
        super().__init__()
        self.putChild(b"small", Whole("small"))
        self.putChild(b"large", Whole("large"))
        self.putChild(b"slow", Slow())
        self.putChild(b"stream", Stream())
        self.putChild(b"upload", Upload())
        self.putChild(b"buffered", Buffered())
        self.putChild(b"fail", Failing())
        self.putChild(b"wsgi", WSGIResource(net, None, wsgi))
        self.putChild(b"files", PublicFile(os.environ["SOAK_FILES"]))
