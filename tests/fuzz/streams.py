"""
The Law from end to end: the same bytes into a site with the fast path and into
one without it must bring the same bytes back, let the application see the same
requests, and log the same lines.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import StringIO
from types import SimpleNamespace
from typing import Any, BinaryIO
from unittest.mock import patch

from twisted.internet.task import Clock
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.fuzz.law import BrokenLaw
from tests.support.wire import Wire
from twisted_h11._http import response_to_send
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Limits, Site

__all__ = [
    "KINDS",
    "STREAMING",
    "Outcome",
    "Tree",
    "check_stream",
    "frozen_date",
    "run",
]

# A moment at which nothing else happens: Date is the same on both sides.
_NOW = SimpleNamespace(time=lambda: 1_700_000_000.0)


def frozen_date() -> Any:
    """
    A context in which every C{Date} is the same.
    """
    return patch.object(response_to_send, "time", _NOW)


@dataclass
class Outcome:
    """
    All that a client, an application and an administrator see.
    """

    output: bytes
    late: bytes
    closed: bool
    aborted: bool
    seen: list[tuple[Any, ...]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


class Tree(Resource):
    """
    Answers as the first segment of the path says; see L{KINDS}.

    @ivar seen: what the application saw of each request.
    """

    isLeaf = True

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock
        self.seen: list[tuple[Any, ...]] = []
        self.file: BinaryIO | None = None

    def render(self, request: Any) -> Any:
        """
        Take down the request and answer.
        """
        self.seen.append(
            (
                request.method,
                request.uri,
                request.path,
                request.clientproto,
                dict(request.args),
                # twisted.web's own have none.
                list(getattr(request, "rawFields", ())),
                list(request.requestHeaders.getAllRawHeaders()),
                request.content.read(),
            )
        )
        kind = request.path[1:].partition(b"/")[0].decode("latin-1")
        return KINDS.get(kind, Tree.whole)(self, request)

    def whole(self, request: Any) -> bytes:
        """
        At once.
        """
        return b"whole"

    def empty(self, request: Any) -> bytes:
        """
        At once, and nothing.
        """
        return b""

    def typed(self, request: Any) -> bytes:
        """
        With fields of its own, one of them twice, and a cookie.
        """
        request.setHeader(b"content-type", b"text/plain")
        request.responseHeaders.addRawHeader(b"X-Twice", b"1")
        request.responseHeaders.addRawHeader(b"x-twice", b"2")
        request.addCookie(b"a", b"b")
        return b"typed"

    def length(self, request: Any) -> int:
        """
        Written, with its length.
        """
        request.setHeader(b"Content-Length", b"6")
        request.write(b"abc")
        request.write(b"def")
        request.finish()
        return NOT_DONE_YET

    def chunked(self, request: Any) -> int:
        """
        Written, without its length.
        """
        request.write(b"abc")
        request.write(b"")
        request.write(b"def")
        request.finish()
        return NOT_DONE_YET

    def later(self, request: Any) -> int:
        """
        In two steps, later.
        """

        def begin() -> None:
            if not request._disconnected:
                request.write(b"abc")
                self.clock.callLater(0.25, end)

        def end() -> None:
            if not request._disconnected:
                request.write(b"def")
                request.finish()

        self.clock.callLater(0.25, begin)
        return NOT_DONE_YET

    def trailers(self, request: Any) -> int:
        """
        With a trailer section.
        """
        request.write(b"abc")
        request.responseTrailers.setRawHeaders(b"X-Sum", [b"6"])
        request.finish()
        return NOT_DONE_YET

    def trailersOfNothing(self, request: Any) -> int:
        """
        With a trailer section after no content at all.
        """
        request.responseTrailers.setRawHeaders(b"X-Sum", [b"0"])
        request.finish()
        return NOT_DONE_YET

    def hints(self, request: Any) -> bytes:
        """
        After an interim response.
        """
        request.sendInterim(103, Headers({b"Link": [b"</a>"]}))
        return b"hints"

    def hintsThenChunks(self, request: Any) -> int:
        """
        An interim response, and another one too late.
        """
        request.sendInterim(103, Headers({b"Link": [b"</a>"]}))
        request.write(b"abc")
        request.sendInterim(103, Headers({b"Link": [b"</b>"]}))
        request.finish()
        return NOT_DONE_YET

    def closing(self, request: Any) -> bytes:
        """
        With Connection: close.
        """
        request.setHeader(b"Connection", b"close")
        return b"closing"

    def closingChunks(self, request: Any) -> int:
        """
        With Connection: close, written.
        """
        request.setHeader(b"Connection", b"close")
        return self.chunked(request)

    def notPersistent(self, request: Any) -> bytes:
        """
        The application sets the channel's flag.
        """
        request.channel.persistent = False
        return b"last"

    def notPersistentLate(self, request: Any) -> int:
        """
        The same when the head is out.
        """
        request.write(b"abc")
        request.channel.persistent = False
        request.finish()
        return NOT_DONE_YET

    def losing(self, request: Any) -> bytes:
        """
        The application asks for the connection to be closed.
        """
        request.loseConnection()
        return b"losing"

    def none(self, request: Any) -> bytes:
        """
        204.
        """
        request.setResponseCode(204)
        return b""

    def noneWithBody(self, request: Any) -> bytes:
        """
        204 with content that may not be sent.
        """
        request.setResponseCode(204)
        return b"not sent"

    def reset(self, request: Any) -> bytes:
        """
        205.
        """
        request.setResponseCode(205)
        return b"not sent"

    def notModified(self, request: Any) -> bytes:
        """
        304.
        """
        request.setETag(b'"x"')
        request.setResponseCode(304)
        return b""

    def short(self, request: Any) -> int:
        """
        Less than was said.
        """
        request.setHeader(b"Content-Length", b"10")
        request.write(b"abc")
        request.finish()
        return NOT_DONE_YET

    def long(self, request: Any) -> int:
        """
        More than was said.
        """
        request.setHeader(b"Content-Length", b"3")
        request.write(b"abcdef")
        request.write(b"ghi")
        request.finish()
        return NOT_DONE_YET

    def raising(self, request: Any) -> bytes:
        """
        An error before the response.
        """
        raise ValueError("raised by the test's resource")

    def raisingLate(self, request: Any) -> bytes:
        """
        An error in the middle of the response.
        """
        request.write(b"abc")
        raise ValueError("raised by the test's resource")

    def badField(self, request: Any) -> bytes:
        """
        A field that can not be sent.
        """
        request.setHeader(b"X-Bad", b"a\x01b")
        return b"bad"

    def badReason(self, request: Any) -> bytes:
        """
        A reason phrase that can not be sent.
        """
        request.setResponseCode(200, b"a\r\nX: y")
        return b"bad"

    def reason(self, request: Any) -> bytes:
        """
        A reason phrase of the application's.
        """
        request.setResponseCode(418, b"I am \xfc")
        return b"tea"

    def badStatus(self, request: Any) -> bytes:
        """
        A status that can not be sent.
        """
        request.setResponseCode(999)
        return b"bad"

    def padded(self, request: Any) -> bytes:
        """
        A value with white space around it, and an empty one.
        """
        request.setHeader(b"X-Padded", b" \ta  b\t ")
        request.setHeader(b"X-Empty", b"")
        return b"padded"

    def coded(self, request: Any) -> int:
        """
        The application says how it is framed, as old ones do.
        """
        request.setHeader(b"Transfer-Encoding", b"chunked")
        return self.chunked(request)

    def sent(self, request: Any) -> int:
        """
        A region of a file, with a length.
        """
        request.setHeader(b"Content-Length", b"4")
        request.sendFile(self._file(), 2, 4)
        request.finish()
        return NOT_DONE_YET

    def sentAfter(self, request: Any) -> int:
        """
        A region of a file after other content, with a length for both.
        """
        request.setHeader(b"Content-Length", b"7")
        request.write(b"abc")
        request.sendFile(self._file(), 2, 4)
        request.finish()
        return NOT_DONE_YET

    def sentInChunks(self, request: Any) -> int:
        """
        A region of a file, in the middle of a chunked response.
        """
        request.write(b"abc")
        request.sendFile(self._file(), 0, 3)
        request.write(b"def")
        request.finish()
        return NOT_DONE_YET

    def _file(self) -> BinaryIO:
        if self.file is None:
            self.file = tempfile.TemporaryFile()  # noqa: SIM115 (closed by run)
            self.file.write(b"0123456789")
            self.file.flush()
        return self.file

    def close(self) -> None:
        """
        Close the file.
        """
        if self.file is not None:
            self.file.close()


KINDS: dict[str, Any] = {
    name: function
    for name, function in vars(Tree).items()
    if not name.startswith("_")
    and name not in ("render", "close", "isLeaf")
    and callable(function)
}


@implementer(IStreamingResource)
class Streaming(Resource):
    """
    Takes its body as it comes.
    """

    isLeaf = True

    def __init__(self, seen: list[tuple[Any, ...]]) -> None:
        super().__init__()
        self.seen = seen

    async def render(self, request: Any) -> Any:
        """
        Answer when the body has ended, or as C{/streaming/KIND} says.
        """
        kind = request.postpath[0] if request.postpath else b""
        if kind == b"early":
            return b"early"
        if kind == b"limited":
            request.setBodyLimit(5)
        if kind == b"hints":
            request.sendInterim(103, Headers({b"Link": [b"</a>"]}))
        if kind in (b"begun", b"trailers", b"raising"):
            request.write(b"begun")
        body = b""
        async for data in request.body:
            if not body and kind == b"hintsBetween":
                request.sendInterim(103, Headers({b"Link": [b"</b>"]}))
            if not body and kind == b"raising":
                raise ValueError("raised by the test's resource")
            if not body and kind == b"earlyBetween":
                return b"early"
            if kind == b"echo":
                request.write(data)
            body += data
        self.seen.append((request.method, request.uri, list(request.rawFields), body))
        if kind == b"trailers":
            request.responseTrailers.setRawHeaders(b"X-Sum", [b"%d" % len(body)])
        if kind in (b"begun", b"trailers", b"echo"):
            request.write(b"ended")
            request.finish()
            return NOT_DONE_YET
        return b"%d" % len(body)


STREAMING = (
    *("early", "earlyBetween", "limited", "hints", "hintsBetween", "begun", "trailers"),
    *("raising", "echo"),
)


class _Root(Resource):
    """
    The tree, and a streaming resource in it.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.tree = Tree(clock)
        self.putChild(b"streaming", Streaming(self.tree.seen))

    def getChild(self, path: bytes, request: Any) -> Resource:
        """
        Anything else.
        """
        return self.tree


def run(pieces: Sequence[bytes], fast: bool, **options: Any) -> Outcome:
    """
    Send the pieces over one connection, and then close the sending side.

    @param fast: whether the site may use the fast path.
    @param options: for the site.
    """
    clock = Clock()
    root = _Root(clock)
    tree = root.tree
    site: Any = Site(root, reactor=clock, fastPath=fast, **options)
    site.displayTracebacks = False
    site.startFactory()
    site.logFile = lines = StringIO()
    wire = Wire(site, clock)
    wire.send(*pieces)
    # Longer than the slowest answer, shorter than any time-out.
    wire.advance(1 + len(tree.seen), step=0.25)
    early = wire.output
    wire.halfClose()
    wire.advance(Limits().lingerTimeout + 6)
    outcome = Outcome(
        wire.output,
        bytes(wire.transport.late),
        wire.closed,
        wire.aborted,
        [*tree.seen, ("before the end", early)],
        lines.getvalue().splitlines(),
    )
    wire.vanish()
    site.stopFactory()
    tree.close()
    for call in clock.getDelayedCalls():
        call.cancel()
    return outcome


def check_stream(pieces: Sequence[bytes], **options: Any) -> Outcome:
    """
    The same with and without the fast path.

    @param pieces: segments.
    @return: what both sides saw.
    @raise BrokenLaw: naming the difference.
    """
    with frozen_date():
        fast = run(pieces, True, **options)
        slow = run(pieces, False, **options)
    for name in ("output", "late", "seen", "closed", "aborted", "lines"):
        one, other = getattr(fast, name), getattr(slow, name)
        if one != other:
            raise BrokenLaw(
                f"{name} of {list(pieces)!r}:\n with {one!r}\n without {other!r}"
            )
    return fast
