"""
The application that the server's machine serves: its resources keep their requests, and
the machine says what becomes of each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.machines.base import Boom
from tests.machines.producing import Push
from twisted_h11.interfaces import IStreamingResource

__all__ = ["KINDS", "Application", "Job", "Switched"]

# What is sent as a file.
FILE = Path(__file__)


class Taker(Protocol):
    """
    Takes the body of a streaming request.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.paused = False

    def dataReceived(self, data: bytes) -> None:
        """
        Some of it.
        """
        assert not self.paused, "given a piece while paused"
        assert not self.job.bodyEnds, "given a piece after the end"
        self.job.taken += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The end.
        """
        whole = reason.check(ResponseDone) is not None
        self.job.bodyEnds.append("whole" if whole else "cut")
        self.job.taker = None


class Switched(Protocol):
    """
    Has a connection that was given away.
    """

    def __init__(self, job: Job) -> None:
        self.number = job.number
        self.got = b""
        self.ends = 0

    def dataReceived(self, data: bytes) -> None:
        """
        What is not HTTP any more.
        """
        assert not self.ends
        self.got += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The end.
        """
        self.ends += 1


class Job:
    """
    One request that the application has got.

    @ivar request: it, until it is over.
    @ivar wrote: the content that was written.
    @ivar length: the Content-Length that was declared, if any.
    @ivar finished: whether the application has said that this is all.
    @ivar raised: whether the application has failed.
    @ivar cut: whether it has dropped the connection.
    @ivar told: what C{notifyFinish} has told.
    @ivar taken: what came of a body that streams.
    @ivar waits: what a coroutine waits for.
    @ivar drains: how waits for room have ended, of C{asksDrained}.
    @ivar files: how files that were sent have ended, of C{asksFile}.
    """

    def __init__(self, number: int, kind: str, request: Any) -> None:
        self.number = number
        self.kind = kind
        self.request: Any = request
        self.channel: Any = id(request.channel)
        self.wrote = bytearray()
        self.length: int | None = None
        self.finished = self.raised = self.cut = self.switched = False
        self.told: list[str] = []
        self.taken = bytearray()
        self.taker: Taker | None = None
        self.bodyEnds: list[str] = []
        self.waits: Deferred[None] | None = None
        self.coroutine = ""
        self.producer: Push | None = None
        self.successor: Switched | None = None
        self.drains: list[str] = []
        self.asksDrained = 0
        self.files: list[str] = []
        self.asksFile = 0
        request.setHeader(b"X-Number", b"%d" % (number,))
        request.notifyFinish().addCallbacks(self._over, self._over)

    def __repr__(self) -> str:
        return (
            f"<Job {self.number} {self.kind} wrote={len(self.wrote)} "
            f"finished={self.finished} raised={self.raised} told={self.told}>"
        )

    @property
    def open(self) -> bool:
        """
        Whether the application still works on it.
        """
        return not (self.finished or self.gone or self.raised or self.cut)

    @property
    def gone(self) -> bool:
        """
        Whether it was told that the client has gone.
        """
        return "lost" in self.told

    @property
    def isFull(self) -> bool:
        """
        Whether the peer does not take what was written, and the transport has said so.
        """
        return bool(self.request.channel.wire.transport.isFull)

    @property
    def content(self) -> bytes:
        """
        What of it is to be sent: no more than was declared.
        """
        return bytes(self.wrote[: self.length])

    @property
    def isShort(self) -> bool:
        """
        Whether less was written than was declared, and no more will be.
        """
        return self.finished and (self.length or 0) > len(self.wrote)

    @property
    def isLong(self) -> bool:
        """
        Whether more was written than was declared.
        """
        return self.length is not None and self.length < len(self.wrote)

    def _over(self, result: object) -> None:
        lost = isinstance(result, Failure)
        self.told.append("lost" if lost else "done")
        if lost:
            self.request = self.producer = None

    def forget(self) -> None:
        """
        The application keeps nothing of it.
        """
        if not self.open:
            self.request = self.producer = None

    # -- what the machine has it do ---------------------------------------------

    def write(self, size: int) -> None:
        """
        Write content that says whose it is.
        """
        data = (b"<%d>" % (self.number,) * size)[:size]
        self.wrote += data
        self.request.write(data)

    def declare(self, length: int) -> None:
        """
        Say how much it will be.
        """
        self.length = length
        self.request.setHeader(b"Content-Length", b"%d" % (length,))

    def sendFile(self, size: int) -> None:
        """
        Send some of a file.
        """
        file = FILE.open("rb")
        self.wrote += file.read(size)
        self.asksFile += 1

        def ended(result: object) -> None:
            file.close()
            self.files.append("lost" if isinstance(result, Failure) else "sent")

        self.request.sendFile(file, 0, size).addBoth(ended)

    def finish(self) -> None:
        """
        That is all.
        """
        request = self.request
        if self.producer is not None:
            self.producer = None
            request.unregisterProducer()
        self.finished = True
        request.finish()

    def abort(self) -> None:
        """
        Drop the connection.
        """
        self.cut = True
        self.request.abort()
        self.forget()

    def lose(self) -> None:
        """
        Close the connection in the middle.
        """
        self.cut = True
        self.request.loseConnection()

    def register(self, producer: Push) -> None:
        """
        Be paced by the client.
        """
        self.producer = producer
        self.request.registerProducer(producer, producer.streaming)
        producer.start()

    def take(self) -> None:
        """
        Take the body.
        """
        self.taker = Taker(self)
        self.request.deliverBody(self.taker)

    def switch(self) -> None:
        """
        Give the connection away.
        """
        self.request.setHeader(b"Upgrade", b"echo")
        self.successor = Switched(self)
        self.switched = self.finished = True
        self.request.switchProtocol(self.successor)
        self.forget()

    def waitDrained(self) -> None:
        """
        Wait for room.
        """
        self.asksDrained += 1
        self.request.drained().addCallbacks(
            lambda _: self.drains.append("room"), lambda _: self.drains.append("lost")
        )

    async def run(self) -> bytes:
        """
        As a coroutine: wait until the machine goes on.
        """
        self.waits = Deferred()
        try:
            await self.waits
        except CancelledError:
            self.coroutine = "cancelled"
            raise
        except Boom:
            self.raised = True
            raise
        finally:
            self.waits = None
        self.wrote += b"awaited"
        self.finished = True
        return b"awaited"


class Kind(Resource):
    """
    One way of answering.
    """

    isLeaf = True

    def __init__(self, application: Application, kind: str) -> None:
        super().__init__()
        self.application = application
        self.kind = kind

    def render(self, request: Any) -> Any:
        """
        Note the request, and do what the kind says.
        """
        job = self.application.begin(self.kind, request)
        if self.kind == "whole":
            body = b"whole %d" % (job.number,)
            job.wrote += body
            job.finished = True
            return body
        if self.kind == "raises":
            job.raised = True
            raise Boom
        if self.kind == "coroutine":
            return job.run()
        return NOT_DONE_YET


@implementer(IStreamingResource)
class Stream(Kind):
    """
    Rendered before its body.
    """


KINDS = ("held", "whole", "stream", "coroutine", "raises", "upgrade")


class Application:
    """
    All requests that it got.

    @ivar jobs: by the numbers of the requests.
    """

    def __init__(self, watch: Any) -> None:
        self.jobs: dict[int, Job] = {}
        self.bodies: dict[int, bytes] = {}
        self._watch = watch
        self.root = Resource()
        for kind in KINDS:
            made = (Stream if kind == "stream" else Kind)(self, kind)
            self.root.putChild(kind.encode(), made)

    def begin(self, kind: str, request: Any) -> Job:
        """
        A request is here.
        """
        number = int(request.uri.rpartition(b"/")[2])
        assert number not in self.jobs, "the same request twice"
        for job in self.jobs.values():
            if job.channel == id(request.channel):
                assert not job.open, f"{number} begun before {job} was answered"
                assert job.number < number, f"{number} begun after {job}"
        assert not request.channel.wire.transport.isFull, f"{number} begun too early"
        self._watch(f"request {number}", request)
        if kind != "stream":
            self.bodies[number] = request.content.read()
        job = self.jobs[number] = Job(number, kind, request)
        return job
