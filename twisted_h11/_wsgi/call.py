"""
One call of a WSGI application, in a thread of its own, by PEP 3333.

If the application breaks PEP 3333, the response is a 500 as long as nothing was sent;
later it is cut off so that the client can tell.  A line in the log says what was wrong.
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
    C{wsgi.file_wrapper}: a file as content.  A plain file is sent by the reactor's
    thread.

    @param filelike: an object with C{read}.
    @param block: how many bytes to read at a time.

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

    @return: C{None} unless the file is a plain one of Python's, with no overridden
        methods.
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
        # The file is a pipe, or closed.
        return None
    return Region(file, offset, count) if count > 0 else None


class Call:
    """
    One call of the application, for one request.

    @param application: the application.
    @param environ: the application's C{environ}.
    @param output: the response.
    @param stream: the request's body, if it is still arriving.
    @param over: called with this object at the end, in the application's thread.
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
        Called in the reactor's thread when the server stops: fail the application's
        reads and writes.
        """
        self._output.abandon()
        if self._stream is not None:
            self._stream.abandon()

    # -- the life of the call -----------------------------------------------------

    def run(self) -> None:
        """
        Call the application, and send its response.
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
        Log a failure of the application, and end the response with it.
        """
        output = self._output
        if output.gone and _is_disconnect(failure.value):
            _log.debug("The client disconnected during {call}", call=self)
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
        # Drop the traceback: it keeps the frames of the application.
        failure.cleanFailure()
        if not output.ended:
            output.fail(failure)

    # -- what the application calls -------------------------------------------------

    def startResponse(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """
        C{start_response}, as PEP 3333 defines it.

        @return: C{write}.
        @raise WSGIError: if it was called before, and C{exc_info} is not given.
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
        The C{write} that C{start_response} returns.
        """
        if self._output.ended and self._head is not None and self._head.hasContent:
            raise WSGIError("write was called when the response was over")
        self._send(data)

    # -- content --------------------------------------------------------------------

    def _take(self, content: Any) -> bool:
        """
        Send what the application returned.

        @return: whether the caller must close it.
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
                # The first piece is all the content (PEP 3333, on Content-Length).
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
        Iterate on after the content is complete, so that the application can finish.
        """
        head = self._head
        if self._trims or (head is not None and not head.hasContent):
            return
        for data in pieces:
            if data:
                raise WSGIError("it sent more than its Content-Length")

    def _takeAll(self, pieces: list[bytes] | tuple[bytes, ...]) -> None:
        """
        Send a list or tuple of pieces, so that the length is known.
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
        Have a file sent by the reactor's thread.

        @return: whether the caller must close it.  If C{close} is the file's own, the
            reactor's thread calls it; else this thread waits for the end of the file.
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

        @raise WSGIError: for content before C{start_response}, or that exceeds the
            Content-Length.
        """
        _check(data)
        if not data or self._output.ended:
            return
        head = self._head
        if head is None:
            raise WSGIError("it gave content before it called start_response")
        if not head.hasContent:
            # The response has no content: drop all pieces.
            self._begun = True
            self._output.send(head, b"", last=True)
            return
        length = head.length
        if self._trims and length is not None:
            # A file may be longer than the Content-Length.
            data = data[: length - self._sent]
        self._sent += len(data)
        if length is not None and self._sent > length:
            raise WSGIError(f"it sent more than its Content-Length, {length}")
        self._begun = True
        self._output.send(head, data, last=self._sent == length)

    def _finish(self) -> None:
        """
        End the response: the application has no more content.
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
    Whether C{len} of the content is 1.
    """
    try:
        return len(content) == 1
    except TypeError:
        return False


def _check(data: Any) -> None:
    """
    Raise L{WSGIError} unless a piece of content is bytes.
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
    Whether an exception is a L{ClientDisconnected}, or was caused by one.
    """
    seen = 0
    while error is not None and seen < 20:
        if isinstance(error, ClientDisconnected):
            return True
        error = error.__cause__ or error.__context__
        seen += 1
    return False
