"""
Taking a form apart: from bytes to parts, for L{twisted_h11.multipart}.
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
    A form that can not be read, or passes a limit.

    @ivar status: of the response that says so: 400, 413, or 415 for a body
        that is no form of this kind.

    @since: 0.1
    """

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, kw_only=True)
class MultipartLimits:
    """
    The bounds of a form.  The whole body is bounded as every other body is.

    @ivar maxParts: how many parts it may have.
    @ivar maxHeaderLength: bytes of the fields of one part.
    @ivar maxFieldLength: bytes of a part without a file name; C{None} for any
        number.
    @ivar bufferLength: bytes of a part that wait for whoever takes it before
        the network is paused.

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
        The name that L{RequestBody} looks at.
        """
        return self.bufferLength


DEFAULT_LIMITS = MultipartLimits()

# The parser warns about each malformed form: a line for whoever sends one.
_silent = logging.getLogger("twisted_h11.multipart")
_silent.disabled = True

# What the parser calls; our methods have the same names with a "_" in front.
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

    @ivar name: of the form's field.
    @ivar filename: what the client calls the file, C{None} for what is no file.
        It is text from a stranger, and no path to write to.
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
        All of it, collected.

        @param most: how many bytes it may have.
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
    Takes a form apart.  To its parts it is what a channel is to a request's
    body: what they pause and resume.
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
        # Whoever takes the parts holds them: they hold us.
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
        Some of the form has arrived.
        """
        from python_multipart.exceptions import ParseError

        if self.ended is not None:
            return
        if not self._begun:
            # Of what stands behind empty lines the parser would pass over more or less,
            # depending on how the bytes are cut.
            data = data.lstrip(b"\r\n")
            self._begun = bool(data)
        # Not for longer: they are methods, and the parser would keep us.
        self._parser.callbacks = {name: getattr(self, f"_{name}") for name in _EVENTS}
        try:
            self._parser.write(data)
        except MultipartError as error:
            self.end(Failure(copy(error)))
        except ParseError as error:
            self.end(Failure(MultipartError(f"The form is malformed: {error}.")))
        except Exception:
            # Of whoever takes the parts.
            self.end(Failure())
        finally:
            self._parser.callbacks = {}

    def end(self, reason: Failure) -> None:
        """
        The form is over.
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
        Everything was told.  The failure may have our frames in its traceback.
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
        Take no more of the form until C{why} is released.
        """
        self._holds |= why
        self.source.pauseProducing()

    def release(self, why: int) -> None:
        """
        Go on, as far as C{why} is concerned.
        """
        self._holds &= ~why
        if not self._holds:
            self.source.resumeProducing()

    def pauseProducing(self) -> None:
        """
        The loop over the parts takes no more for now.
        """
        self.hold(APPLICATION)

    def resumeProducing(self) -> None:
        """
        It goes on.
        """
        self.release(APPLICATION)

    def abandoned(self) -> None:
        """
        It was left.
        """

    def sendContinue(self) -> None:
        """
        The body was asked for when the form was.
        """

    def abortConnection(self) -> None:
        """
        Drop the client's connection.
        """
        self.source.abortConnection()


def _nobody(part: Part) -> None:
    """
    Receives a part after the end.
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
