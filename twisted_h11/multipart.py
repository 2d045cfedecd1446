"""
Uploads by forms, C{multipart/form-data} (RFC 7578), read as they are received.

::

    async def render_POST(self, request):
        async for part in parts_of(request):
            if part.filename is None:
                value = await part.read(1024)
            else:
                async for data in part:
                    ...

A L{Part} is a body like that of a request: C{deliverBody}, C{async for}, and
with them L{twisted.web.client.readBody} and treq's C{collect} work on it.
A slow reader holds the client back by back-pressure, so that files are not collected in
memory or on disk unless the application does so.  L{deliver_parts} is the same for
protocols: it calls a function with each part.

The parser is U{python-multipart<https://pypi.org/project/python-multipart/>}: install
the extra, C{twisted-h11[multipart]}.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from twisted_h11._boundary.checks import CALLABLE, Kind, checked, instance
from twisted_h11._server.form_reader import (
    DEFAULT_LIMITS,
    FormReader,
    MultipartError,
    MultipartLimits,
    Part,
)
from twisted_h11._wire.delivery import BodyIterator

__all__ = [
    "MultipartError",
    "MultipartLimits",
    "Part",
    "Parts",
    "deliver_parts",
    "parts_of",
]


class Parts(BodyIterator[Part]):
    """
    The parts of a form as an asynchronous iterator.

    The unread rest of a part is dropped when the next part is requested.

    @since: 0.1
    """

    def __init__(self, request: Any, limits: MultipartLimits) -> None:
        self._last: Part | None = None
        parts: deque[Part] = deque()
        self._transport = self._form = FormReader(request, limits, parts.append)
        super().__init__(self._form.source, parts)

    def __aiter__(self) -> Parts:
        return self

    async def __anext__(self) -> Part:
        last, self._last = self._last, None
        if last is not None:
            last.loseConnection()
        self._last = part = await super().__anext__()
        if not self._items:
            # No other part waits, so go on with the rest of this one.
            self._form.resumeProducing()
        return part

    def received(self, data: bytes) -> None:
        """
        Parse a piece of the form.
        """
        self._form.feed(data)
        self._end = self._form.ended
        self._wake()

    def ended(self, end: Failure) -> None:
        """
        The form has ended.
        """
        self._form.end(end)
        self._end = self._form.ended
        self._wake()


class _Pusher(Protocol):
    """
    Reads the body for L{deliver_parts}.
    """

    def __init__(
        self, request: Any, limits: MultipartLimits, receive: Callable[[Part], object]
    ) -> None:
        self._receive: Callable[[Part], object] | None = receive
        self._last: Part | None = None
        self._reader = FormReader(request, limits, self._partReceived)
        self.done: Deferred[None] = Deferred(lambda _: self._stop())

    def _partReceived(self, part: Part) -> None:
        self._last = part
        receive = self._receive
        assert receive is not None
        receive(part)

    def _stop(self) -> None:
        self._reader.source.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        """
        Parse a piece of the form.
        """
        self._reader.feed(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        End the form, and fire or fail the Deferred.
        """
        reader = self._reader
        reader.end(reason)
        end = reader.ended
        reader.forget()
        self._last = self._receive = None
        if self.done.called or end is None:
            return
        if end.check(ResponseDone):
            self.done.callback(None)
        else:
            self.done.errback(end)


_request = Kind("a request of twisted_h11", lambda value: hasattr(value, "bodySource"))
_limits = instance("MultipartLimits", MultipartLimits)


@checked(request=_request, limits=_limits)
def parts_of(request: Any, limits: MultipartLimits = DEFAULT_LIMITS) -> Parts:
    """
    The parts of a form, for C{async for}.

    @param request: a request to L{Site<twisted_h11.server.Site>}; unless its resource
        streams (L{twisted_h11.interfaces.IStreamingResource}), the form is collected
        first.
    @param limits: the bounds of the form.
    @return: an asynchronous iterator of L{Part}.  It raises L{MultipartError},
        and L{twisted_h11.server.RequestBodyCut} for a body that was cut.
    @raise MultipartError: if the body is not a form.
    @since: 0.1
    """
    return Parts(request, limits)


@checked(request=_request, receive=CALLABLE, limits=_limits)
def deliver_parts(
    request: Any,
    receive: Callable[[Part], object],
    limits: MultipartLimits = DEFAULT_LIMITS,
) -> Deferred[None]:
    """
    Call a function with each part of a form.

    @param request: as for L{parts_of}.
    @param receive: called with a L{Part} as soon as its fields were received; it calls
        C{part.deliverBody(protocol)} to read the part, or C{part.loseConnection()} to
        drop it.  A part with neither holds the client back when its buffer is full.
    @param limits: the bounds of the form.
    @return: fires with C{None} after the last part, or fails.
    @raise MultipartError: if the body is not a form.
    @since: 0.1
    """
    pusher = _Pusher(request, limits, receive)
    request.bodySource().deliverBody(pusher)
    return pusher.done
