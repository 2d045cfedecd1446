"""
The reader of a form: from bytes to parts, for L{twisted_h11.multipart}.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from typing import Any

from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers

from twisted_h11._boundary.checks import INT, wrong
from twisted_h11._server.body import RequestBody, RequestBodyCut
from twisted_h11._wire.wire import APPLICATION

__all__ = ["DEFAULT_LIMITS", "FormReader", "MultipartError", "MultipartLimits", "Part"]


class MultipartError(ValueError):
    """
    A form is malformed, or exceeds a limit.

    @ivar status: the status for the response: 400, 413, or 415 for a body that is not
        I{multipart/form-data}.

    @since: 0.1
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class MultipartLimits:
    """
    The bounds of a form.  C{Limits.maxBodyLength} bounds the whole body.

    @ivar maxParts: how many parts a form may have.
    @ivar maxHeaderLength: the length of the fields of one part, in bytes.
    @ivar maxFieldLength: the length of a part without a file name, in bytes; C{None}
        for any length.
    @ivar bufferLength: how many bytes of a part may wait for the application before
        reading from the client is paused.

    @since: 0.1
    """

    maxParts: int = 1000
    maxHeaderLength: int = 16 * 1024
    maxFieldLength: int | None = 1024 * 1024
    bufferLength: int = 64 * 1024

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is None and name == "maxFieldLength":
                continue
            if not INT.test(value):
                raise wrong(name, INT.name, value)
            if value < 0:
                raise ValueError(f"{name} can not be negative: {value!r}")

    @property
    def bodyBufferLength(self) -> int:
        """
        The name that L{RequestBody} uses for C{bufferLength}.
        """
        return self.bufferLength


DEFAULT_LIMITS = MultipartLimits()

# The parser logs a warning for each malformed form: clients could fill the log.
_silent = logging.getLogger("twisted_h11.multipart")
_silent.disabled = True

# The parser's callbacks; the methods here have the same names with a leading "_".
_EVENTS = (
    "on_part_begin",
    "on_part_data",
    "on_part_end",
    "on_header_field",
    "on_header_value",
    "on_header_end",
    "on_headers_finished",
    "on_end",
)


class Part(RequestBody):
    """
    One part of a form: a field, or a file.

    @ivar name: the name of the form's field.
    @ivar filename: the client's name of the file; C{None} if the part is not a file.
        Do not use it as a path: the client chooses it.
    @ivar headers: the fields of the part.

    @since: 0.1
    """

    def __init__(
        self, reader: FormReader, name: str, filename: str | None, headers: Headers
    ) -> None:
        super().__init__(reader, reader.request, None)
        self.name = name
        self.filename = filename
        self.headers = headers

    def __repr__(self) -> str:
        return f"<Part {self.name!r} filename={self.filename!r}>"

    def failed(self, reason: Failure) -> None:
        """
        The rest of the form can not be read.
        """
        error = reason.value
        if not isinstance(error, (MultipartError, RequestBodyCut)):
            error = RequestBodyCut("The application failed while reading the form.")
        self._fail(error)

    async def read(self, most: int) -> bytes:
        """
        Collect the whole part.

        @param most: how many bytes it may have.
        @return: its content.
        @raise MultipartError: if it has more.
        """
        parts = []
        length = 0
        async for data in self:
            length += len(data)
            if length > most:
                self.loseConnection()
                raise MultipartError(f"The field {self.name!r} is too long.", 413)
            parts.append(data)
        return b"".join(parts)


class FormReader:
    """
    Parses a form.  It is the source of its parts' bodies, as a channel is the source of
    a request's body: a part can hold and release it.
    """

    def __init__(
        self, request: Any, limits: MultipartLimits, receive: Callable[[Part], object]
    ) -> None:
        from python_multipart.multipart import MultipartParser

        source: RequestBody = request.bodySource()
        self.request = request
        self.source = source
        self.limits: Any = limits
        self.ended: Failure | None = None
        self._limits = limits
        self._receive = receive
        self._holds = 0
        self._count = 0
        self._begun = False
        self._complete = False
        # A weak reference: the part refers to this reader.
        self._current: weakref.ref[Part] | None = None
        self._left: int | None = None
        self._length = 0
        self._name = bytearray()
        self._value = bytearray()
        self._headers = Headers()
        self._parser: Any = MultipartParser(_boundary(source.headers))
        self._parser.logger = _silent

    def feed(self, data: bytes) -> None:
        """
        Parse a segment of the form.
        """
        from python_multipart.exceptions import ParseError

        if self.ended is not None:
            return
        if not self._begun:
            # Empty lines at the beginning: what the parser skips behind them depends on
            # how the bytes are cut into segments.
            data = data.lstrip(b"\r\n")
            self._begun = bool(data)
        # Only during write(): bound methods in the parser would be a cycle.
        self._parser.callbacks = {name: getattr(self, f"_{name}") for name in _EVENTS}
        try:
            self._parser.write(data)
        except MultipartError as error:
            self.end(Failure(copy(error)))
        except ParseError as error:
            self.end(Failure(MultipartError(f"The form is malformed: {error}.")))
        except Exception:
            # The application has raised while it took a part.
            self.end(Failure())
        finally:
            self._parser.callbacks = {}

    def end(self, reason: Failure) -> None:
        """
        The form is over.

        @param reason: L{ResponseDone} at the end of the body, else the failure.
        """
        if self.ended is not None:
            return
        if reason.check(ResponseDone) and not self._complete:
            reason = Failure(MultipartError("The form is not complete."))
        self.ended = reason
        part = self._takePart()
        if part is not None:
            part.failed(reason)
        if not reason.check(ResponseDone):
            self.source.loseConnection()

    def forget(self) -> None:
        """
        Drop the references to the application and to the failure, whose traceback may
        refer to this reader.
        """
        self._receive = _nobody
        self.ended = Failure(ResponseDone())

    def _takePart(self) -> Part | None:
        current, self._current = self._current, None
        return None if current is None else current()

    # -- from the parser --------------------------------------------

    def _on_part_begin(self) -> None:
        self._count += 1
        if self._count > self._limits.maxParts:
            raise MultipartError("The form has too many parts.", 413)
        self._headers = Headers()
        self._length = 0

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += self._header(data, start, end)

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._header(data, start, end)

    def _header(self, data: bytes, start: int, end: int) -> bytes:
        self._length += end - start
        if self._length > self._limits.maxHeaderLength:
            raise MultipartError("The fields of a part are too long.", 413)
        return data[start:end]

    def _on_header_end(self) -> None:
        self._headers.addRawHeader(bytes(self._name), bytes(self._value).strip())
        self._name.clear()
        self._value.clear()

    def _on_headers_finished(self) -> None:
        from python_multipart.multipart import parse_options_header

        values = self._headers.getRawHeaders(b"Content-Disposition", [b""])
        kind, options = parse_options_header(values[0])
        name, filename = options.get(b"name"), options.get(b"filename")
        if kind != b"form-data" or name is None or len(values) > 1:
            raise MultipartError("A part of the form has no name.")
        self._left = self._limits.maxFieldLength if filename is None else None
        part = Part(
            self,
            name.decode("utf-8", "replace"),
            None if filename is None else filename.decode("utf-8", "replace"),
            self._headers,
        )
        self._current = weakref.ref(part)
        self._receive(part)

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._left is not None:
            self._left -= end - start
            if self._left < 0:
                raise MultipartError("A field of the form is too long.", 413)
        part = self._current() if self._current is not None else None
        if part is not None:
            part.dataReceived(data[start:end])

    def _on_part_end(self) -> None:
        part = self._takePart()
        if part is not None:
            part.ended()

    def _on_end(self) -> None:
        self._complete = True

    # -- from a part, and from a loop -------------------------------

    def hold(self, why: int) -> None:
        """
        Pause the form until C{why} is released.
        """
        self._holds |= why
        self.source.pauseProducing()

    def release(self, why: int) -> None:
        """
        Drop the reason C{why}; resume the form if none is left.
        """
        self._holds &= ~why
        if not self._holds:
            self.source.resumeProducing()

    def pauseProducing(self) -> None:
        """
        Called by the loop over the parts: pause the form.
        """
        self.hold(APPLICATION)

    def resumeProducing(self) -> None:
        """
        Called by the loop over the parts: resume the form.
        """
        self.release(APPLICATION)

    def abandoned(self) -> None:
        """
        Called when the loop over the parts was left; nothing to do.
        """

    def sendContinue(self) -> None:
        """
        Nothing to do: reading the form has sent C{100 Continue} already.
        """

    def abortConnection(self) -> None:
        """
        Drop the client's connection.
        """
        self.source.abortConnection()


def _nobody(part: Part) -> None:
    """
    Ignore a part that comes after the end.
    """


def _boundary(headers: Headers) -> bytes:
    from python_multipart.multipart import parse_options_header

    values = headers.getRawHeaders(b"Content-Type", [b""])
    kind, options = parse_options_header(values[0])
    if kind != b"multipart/form-data" or len(values) > 1:
        raise MultipartError("The body is not multipart/form-data.", 415)
    boundary = options.get(b"boundary", b"")
    # RFC 2046 section 5.1.1
    if not 1 <= len(boundary) <= 70:
        raise MultipartError("The form has no boundary.")
    return boundary
