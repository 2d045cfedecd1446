"""
One call of a WSGI application, in a thread of its own: PEP 3333, kept by both sides.

An application that does not keep it is answered for with 500, as long as nothing
has gone out, and cut off in a way that the client can tell afterwards; each time
there is a line in the log that says what was wrong.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Event
from typing import Any

from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_h11._wsgi.head import Head, WSGIError
from twisted_h11._wsgi.input import ClientDisconnected, InputStream
from twisted_h11._wsgi.output import Output, Region

__all__ = ["Call", "FileWrapper"]

_log = Logger()

_BLOCK = 64 * 1024


class FileWrapper:
    """
    C{wsgi.file_wrapper}: a file as content.  A plain file goes out without passing
    through the application's thread.

    @param filelike: what has C{read}.
    @param block: how much to read at a time, in bytes.

    @since: 0.1
    """

    __slots__ = ("block", "close", "filelike")

    def __init__(self, filelike: Any, block: int = _BLOCK) -> None:
        self.filelike = filelike
        self.block = block
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self) -> Iterator[bytes]:
        while True:
            data = self.filelike.read(self.block)
            if not data:
                return
            yield data


def region_of(wrapper: FileWrapper) -> Region | None:
    """
    The region of a file that reading C{wrapper} would give.

    @return: C{None} unless the file is one of Python's own, and nobody has
        overridden what is passed by.
    """
    file = wrapper.filelike
    raw = file.raw if type(file) is io.BufferedReader else file
    if type(raw) is not io.FileIO or (raw is not file and "close" in raw.__dict__):
        return None
    if (raw.__dict__.keys() | file.__dict__.keys()) - {"name", "close"}:
        return None
    try:
        if not file.readable():
            return None
        offset = file.tell()
        count = os.fstat(file.fileno()).st_size - offset
    except (OSError, ValueError):
        # A pipe, or closed.
        return None
    return Region(file, offset, count) if count > 0 else None


class Call:
    """
    One request, from the application's point of view.

    @param application: the application.
    @param environ: what it gets.
    @param output: where its response goes.
    @param stream: the request's body, if it is still arriving.
    @param over: called with this at the end, in the thread.
    """

    def __init__(
        self,
        application: Callable[..., Any],
        environ: dict[str, Any],
        output: Output,
        stream: InputStream | None,
        over: Callable[[Call], None],
    ) -> None:
        self._application = application
        self._environ = environ
        self._output = output
        self._stream = stream
        self._over = over
        self._method: str = environ["REQUEST_METHOD"]
        self._uri: str = environ["REQUEST_URI"]
        self._head: Head | None = None
        self._begun = False
        self._sent = 0
        self._trims = False

    def __repr__(self) -> str:
        return f"<{self._method} {self._uri}>"

    def abandon(self) -> None:
        """
        Called in the reactor's thread: the server stops.
        """
        self._output.abandon()
        if self._stream is not None:
            self._stream.abandon()

    # -- the life of the call -----------------------------------------------------

    def run(self) -> None:
        """
        Call the application, and send what it gives.
        """
        try:
            if not self._output.gone:
                self._call()
        finally:
            self._over(self)

    def _call(self) -> None:
        content: Any = None
        closes = True
        try:
            content = self._application(self._environ, self.startResponse)
            closes = self._take(content)
        except BaseException:
            self._failed(Failure())
        if not closes:
            return
        try:
            close = getattr(content, "close", None)
            if close is not None:
                close()
        except BaseException:
            self._failed(Failure())

    def _failed(self, failure: Failure) -> None:
        """
        Say what went wrong, to the log and, if it can be, to the client.
        """
        output = self._output
        if output.gone and _is_disconnect(failure.value):
            _log.debug("{call} was left by its client", call=self)
        elif failure.check(WSGIError):
            _log.error(
                "The WSGI application {application!r} failed for {call}: {error}",
                application=self._application,
                call=self,
                error=failure.getErrorMessage(),
            )
        else:
            _log.failure(
                "The WSGI application {application!r} failed for {call}",
                failure,
                application=self._application,
                call=self,
            )
        # A traceback keeps frames, and those keep much.
        failure.cleanFailure()
        if not output.ended:
            output.fail(failure)

    # -- what the application calls -------------------------------------------------

    def startResponse(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """
        C{start_response}.

        @return: C{write}.
        """
        if exc_info is not None:
            try:
                if self._begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif self._head is not None:
            raise WSGIError("start_response was called twice, without exc_info")
        self._head = Head(self._method, status, headers)
        return self._write

    def _write(self, data: bytes) -> None:
        """
        What C{start_response} returns.
        """
        if self._output.ended and self._head is not None and self._head.hasContent:
            raise WSGIError("write was called when the response was over")
        self._send(data)

    # -- content --------------------------------------------------------------------

    def _take(self, content: Any) -> bool:
        """
        Send what the application returned.

        @return: whether it is for us to close it.
        """
        kind = type(content)
        if kind is list or kind is tuple:
            self._takeAll(content)
            return True
        if kind is FileWrapper and not self._begun and self._head is not None:
            region = region_of(content) if self._output.sendsFiles else None
            if region is not None and self._head.hasContent:
                return self._takeRegion(content, region)
        self._trims = kind is FileWrapper
        try:
            pieces = iter(content)
        except TypeError:
            raise WSGIError(
                f"it returned {content!r}, which can not be iterated over"
            ) from None
        single = _is_single(content)
        for data in pieces:
            if self._output.gone:
                return True
            if single and self._head is not None and not self._begun:
                # Its first piece is its content (PEP 3333, on Content-Length).
                _check(data)
                if self._head.hasContent and self._head.length is None:
                    self._head.setLength(len(data))
            self._send(data)
            if self._output.ended:
                self._lookBehind(pieces)
                return True
        self._finish()
        return True

    def _lookBehind(self, pieces: Iterator[bytes]) -> None:
        """
        The content is complete.  What the application still has to do it does
        when it is asked once more.
        """
        head = self._head
        if self._trims or (head is not None and not head.hasContent):
            return
        for data in pieces:
            if data:
                raise WSGIError("it sent more than its Content-Length")

    def _takeAll(self, pieces: list[bytes] | tuple[bytes, ...]) -> None:
        """
        All content is here, so its length is known.
        """
        for data in pieces:
            _check(data)
        head = self._head
        whole = sum(map(len, pieces))
        if head is not None and not self._begun and head.hasContent:
            if head.length is None:
                head.setLength(whole)
            elif head.length != whole:
                raise WSGIError(
                    f"its content has {whole} bytes, and its Content-Length says "
                    f"{head.length}"
                )
        for data in pieces:
            if self._output.gone:
                return
            self._send(data)
        self._finish()

    def _takeRegion(self, wrapper: FileWrapper, region: Region) -> bool:
        """
        Have a file sent.

        @return: whether it is for us to close it: if somebody wants to know of
            its end he shall know in this thread, else nobody waits here.
        """
        head = self._head
        assert head is not None
        if head.length is None:
            head.setLength(region.length)
        elif head.length < region.length:
            region = replace(region, length=head.length)
        elif head.length > region.length:
            raise WSGIError(
                f"its file has {region.length} bytes, and its Content-Length says "
                f"{head.length}"
            )
        self._begun = True
        if (
            "close" not in region.file.__dict__
            and getattr(wrapper, "close", None) == region.file.close
        ):
            self._output.sendRegion(head, region, region.file.close)
            return False
        sent = Event()
        self._output.sendRegion(head, region, sent.set)
        sent.wait()
        return True

    def _send(self, data: bytes) -> None:
        """
        Send a piece of content.
        """
        _check(data)
        if not data or self._output.ended:
            return
        head = self._head
        if head is None:
            raise WSGIError("it gave content before it called start_response")
        if not head.hasContent:
            # Whatever else it has, nobody will get it.
            self._begun = True
            self._output.send(head, b"", last=True)
            return
        length = head.length
        if self._trims and length is not None:
            # As many bytes of a file as are wanted.
            data = data[: length - self._sent]
        self._sent += len(data)
        if length is not None and self._sent > length:
            raise WSGIError(f"it sent more than its Content-Length, {length}")
        self._begun = True
        self._output.send(head, data, last=self._sent == length)

    def _finish(self) -> None:
        """
        The application has no more.
        """
        head = self._head
        if self._output.ended:
            return
        if head is None:
            raise WSGIError("it never called start_response")
        if head.hasContent and head.length is not None and self._sent < head.length:
            raise WSGIError(
                f"it sent {self._sent} bytes, and its Content-Length says {head.length}"
            )
        if not self._begun and head.hasContent and head.length is None:
            head.setLength(0)
        self._begun = True
        self._output.send(head, b"", last=True)


def _is_single(content: Any) -> bool:
    """
    Whether content says that it is one piece.
    """
    try:
        return len(content) == 1
    except TypeError:
        return False


def _check(data: Any) -> None:
    """
    Content is bytes.
    """
    if not isinstance(data, bytes):
        hint = ""
        if isinstance(data, str):
            hint = " (encode it)"
        elif isinstance(data, int):
            hint = " (did it return bytes instead of a list of bytes?)"
        kind = type(data).__name__
        raise WSGIError(f"its content must be bytes, not {kind}{hint}: {data!r:.60}")


def _is_disconnect(error: BaseException | None) -> bool:
    """
    Whether an exception is, or follows from, the client's having gone.
    """
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, ClientDisconnected):
            return True
        error = error.__cause__ or error.__context__
        seen += 1
    return False
