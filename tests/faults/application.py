"""
The application of the server's rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import File
from zope.interface import implementer

from tests.faults.checks import Run
from tests.support.wsgi import inline
from twisted_h11.interfaces import IStreamingResource

__all__ = ["BEGUN", "LENGTH", "Application", "wsgi"]

LENGTH = 400_000

BEGUN = b"begun"

# What a kernel takes for a client that does not read is less than the longer one.
SHORT = b"y" * LENGTH
LONG = b"y" * (8 * LENGTH)


LARGE = ("first write", "middle of response", "last write")


class Taker(Protocol):
    """
    Takes the body of a request.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    def dataReceived(self, data: bytes) -> None:
        """
        A piece.
        """
        self.application.hook("dataReceived")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The end.
        """
        self.application.takersEnded += 1
        self.application.hook("connectionLost")


class Producer:
    """
    A push producer of which the application knows.
    """

    def __init__(self, application: Application) -> None:
        self.application = application

    def pauseProducing(self) -> None:
        """
        Do nothing.
        """
        self.application.hook("pauseProducing")

    def resumeProducing(self) -> None:
        """
        Do nothing.
        """
        self.application.hook("resumeProducing")

    def stopProducing(self) -> None:
        """
        Do nothing.
        """
        self.application.hook("stopProducing")


class Application(Resource):
    """
    Answers C{/now} at once, C{/file} with a file, and everything else when it is told
    to.

    @ivar held: the requests that wait.
    @ivar started: how many requests there were.
    @ivar ended: how many have heard of their end.
    @ivar inRender: what happens while the next request is rendered.
    @ivar whole: what is answered.
    @ivar zeros: whether what is cut may have zeros at its end.
    @ivar hook: called with the name of each method of the application's own objects.
    """

    isLeaf = True

    def __init__(self, run: Run) -> None:
        super().__init__()
        self.run = run
        self.held: list[Any] = []
        self.started = self.ended = self.taken = self.takersEnded = 0
        self.inRender: Callable[[], object] | None = None
        self.hook: Callable[[str], object] = lambda name: None
        self.file: File | None = None
        self.wsgi: Any = None
        self.zeros = False
        self.whole = LONG if run.real and run.stage in LARGE else SHORT

    def render(self, request: Any) -> Any:
        """
        See the class.
        """
        self.arrived(request)
        act, self.inRender = self.inRender, None
        if act is not None:
            act()
        self.hook("render")
        if request.path == b"/now":
            return BEGUN
        if request.path == b"/wsgi":
            return self.wsgi.render(request)
        self.held.append(request)
        if request.path == b"/stream":
            self.taken += 1
            request.deliverBody(Taker(self))
        return NOT_DONE_YET

    def arrived(self, request: Any) -> None:
        """
        There is a request.
        """
        self.started += 1
        self.run.left.watch("a request", request)
        request.notifyFinish().addBoth(self._ended)

    def getChild(self, name: bytes, request: Any) -> Any:
        """
        The file; asked only where there is one.
        """
        self.arrived(request)
        return self.file

    def _ended(self, _: object) -> None:
        self.ended += 1
        self.hook("notifyFinish")

    def begin(self) -> None:
        """
        The held request is answered in part.
        """
        for request in self.held:
            request.write(BEGUN)

    def produce(self) -> None:
        """
        It has a producer, and the client takes none of what it gives.
        """
        for request in self.held:
            request.registerProducer(Producer(self), True)
            request.write(self.whole)

    def goOn(self) -> None:
        """
        What is held is answered, if anybody is still there.
        """
        held, self.held = self.held, []
        for request in held:
            if request._disconnected or request.finished:
                continue
            if request.producer is not None:
                request.unregisterProducer()
            request.write(self.whole)
            if not request._disconnected:
                request.finish()

    def isWhole(self, body: bytes) -> bool:
        """
        Whether this is all of an answer.
        """
        rest = body.removeprefix(BEGUN)
        return not rest or rest in (self.whole, self.whole + self.whole)

    def isPart(self, body: bytes) -> bool:
        """
        Whether this is the beginning of one.
        """
        if self.zeros:
            body = body.rstrip(b"\0")
        whole = self.whole
        return (BEGUN + whole + whole).startswith(body) or whole.startswith(body)


@implementer(IStreamingResource)
class StreamingApplication(Application):
    """
    One that takes bodies as they come.
    """


def wsgi(run: Run) -> Any:
    """
    A WSGI application, the work of whose threads is done when the row says so.
    """

    def application(environ: Any, start: Any) -> Any:
        start("200 OK", [("Content-Length", str(LENGTH))])
        yield SHORT

    return inline(run.clock, application, True)
