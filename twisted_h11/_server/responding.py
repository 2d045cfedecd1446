"""
The response of a request, on its way to the channel.

L{Responding} has the methods of twisted.web's request for a response: C{write},
C{finish}, C{registerProducer}, and its end: the line in the access log, and
C{notifyFinish}.  It passes on data without framing.  A response in one piece is sent
by one call, unless a method that this skips is overridden.
"""

from __future__ import annotations

import warnings
from functools import partial
from typing import Any
from weakref import ref

from twisted.internet.interfaces import IProducer
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString

from twisted_h11._boundary.guarded import guarded, log_failure
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._boundary.overrides import overrides
from twisted_h11._boundary.twisted_private import raw_fields, set_field, set_known
from twisted_h11._server.cycle import NO_TRAILERS
from twisted_h11._server.ranges import bounded
from twisted_h11._server.rendering import BODILESS
from twisted_h11._server.sending import answer_whole, start
from twisted_h11._server.static_files import send_static
from twisted_h11._server.streaming import Streaming, pairs_of

__all__ = ["RequestDisconnected", "Responding"]

# The methods that send content and its end.
_WRITING = ("finish", "unregisterProducer", "write")


class RequestDisconnected(RuntimeError):
    """
    C{finish} was called after the client had gone.

    @since: 0.1
    """


class Responding(Streaming):
    """
    A request with the methods for its response.
    """

    # The cycle, once the head was sent, if write() has nothing to check or encode.
    _open: Any = None

    def write(self, data: bytes) -> None:
        """
        Send some content of the response, with the head before the first.

        @param data: content: bytes, or a buffer whose items are bytes.
        @raise RuntimeError: after C{finish}.
        @raise TypeError: for anything else.  Unless the application writes something
            else, or calls C{finish}, in the same turn of the reactor, the response then
            fails, because it might never end: with a 500, or cut off if it has begun.
        """
        if type(data) is not bytes:
            data = self._asBytes(data)
        cycle = self._open
        if cycle is not None and not self.finished:
            self.sentLength += len(data)
            cycle.send(data)
            return
        if not self._direct:
            self._writeToStream(self._countUnencoded(data))
            return
        if self.finished:
            raise RuntimeError(
                "Request.write called on a request after Request.finish was called."
            )
        if self._disconnected:
            return
        if not self.startedWriting:
            self._prepareContentType()
        encoder: Any = self._encoder
        if encoder:
            data = self._countUnencoded(data)
            data = as_bytes(encoder.encode(data), "the output of an encoder")
        if not self.startedWriting:
            self._begin(data)
        elif data and self._hasContent:
            self.sentLength += len(data)
            channel: Any = self.channel
            if channel.cycle is not None:
                channel.cycle.send(data)

    def _asBytes(self, data: Any) -> bytes:
        try:
            return as_bytes(data)
        except TypeError:
            callLater = getattr(getattr(self, "channel", None), "callLater", None)
            if callLater is not None and not self.finished:
                written = self.startedWriting, self.sentLength
                callLater(0, self._failUnlessWritten, written)
            raise

    def _failUnlessWritten(self, written: tuple[int, int]) -> None:
        if (self.startedWriting, self.sentLength) == written:
            self._fail500("The resource wrote something that is not bytes.")

    def _begin(self, data: bytes) -> None:
        """
        Send the head, and the first content with it.
        """
        self.startedWriting = 1
        channel: Any = self.channel
        cycle = channel.cycle
        try:
            headers = self.responseHeaders
            if self.lastModified is not None:
                if not headers.hasHeader(b"Last-Modified"):
                    changed = datetimeToString(self.lastModified)
                    set_known(headers, b"Last-Modified", changed)
            if self.etag is not None:
                set_field(headers, b"ETag", self.etag)
            if self.cookies:
                headers.setRawHeaders(b"Set-Cookie", self.cookies)
            self._hasContent = cycle is not None and start(
                cycle, self.code, self.code_message, headers, data
            )
        except Exception:
            if cycle is None or cycle.answer is None:
                # Nothing was sent: an error response is still possible.
                self.startedWriting = 0
            raise
        if self._hasContent:
            self.sentLength += len(data)
            if cycle.left is None and self.clientproto != b"HTTP/1.0":
                self.chunked = 1
            if not self._encoder:
                self._open = cycle

    def _prepareContentType(self) -> None:
        fields = raw_fields(self.responseHeaders)
        if (
            b"Content-Type" not in fields
            and self.defaultContentType is not None
            and self.code not in BODILESS
            and (fields.get(b"Content-Length") or (b"",))[0] != b"0"
        ):
            set_known(self.responseHeaders, b"Content-Type", self.defaultContentType)

    def _sendWhole(self, body: bytes) -> None:
        """
        Send all of a response's content, and finish it; by one call, if C{write} and
        C{finish} have nothing else to do.
        """
        request: Any = self
        try:
            # Not by `__dict__`, which would be made for each request.
            plain = (
                request.write.__func__ is _write and request.finish.__func__ is _finish
            )
        except AttributeError:
            plain = False
        if (
            plain
            and self._direct
            and not self.startedWriting
            and not self._disconnected
            and self.method != b"HEAD"
            and self._encoder is None
            and not self.cookies
            and self.etag is None
            and self.lastModified is None
            and self._responseTrailers is None
        ):
            headers = self.responseHeaders
            fields = raw_fields(headers)
            if b"Content-Length" in fields:
                headers.removeHeader(b"Content-Length")
            if body and b"Content-Type" not in fields and self.code not in BODILESS:
                if self.defaultContentType is not None:
                    set_known(headers, b"Content-Type", self.defaultContentType)
            channel: Any = self.channel
            cycle = channel.cycle
            if cycle is not None and answer_whole(
                cycle, self.code, self.code_message, headers, body
            ):
                self.startedWriting = self.finished = 1
                self.sentLength = len(body)
                self._finished(channel, cycle)
                return
        super()._sendWhole(body)

    def registerProducer(self, producer: IProducer, streaming: bool) -> None:
        """
        Register a producer of content.  The files of producers of
        L{twisted.web.static.File} are sent as regions where possible.
        """
        if self._disconnected:
            guarded("A producer", producer.stopProducing)
            return
        settle = getattr(self._encoder, "settle", None)
        if settle is not None and not self.startedWriting and not settle():
            self._encoder = None
        if not streaming:
            producer = bounded(producer)
            if self._direct and send_static(self, producer):
                return
        super().registerProducer(producer, streaming)

    def overridesWriting(self) -> bool:
        """
        Whether this request overrides a method for sending content.
        """
        return overrides(self, Responding, _WRITING) or (
            Responding.write is not _write or Responding.finish is not _finish
        )

    def finish(self) -> None:
        """
        End the response, which is complete.

        @raise RequestDisconnected: if the client has gone.
        """
        if self._disconnected:
            raise RequestDisconnected(
                "Request.finish called on a request after its connection was lost; "
                "use Request.notifyFinish to keep track of this."
            )
        if self._unencodedLeft and self._cutShort():
            return
        if not self._direct:
            self._dropGate()
            if not self.finished and pairs_of(self._responseTrailers or ()):
                self._log.error(NO_TRAILERS, request=self)
            self._finishEncoder()
            super().finish()
            return
        channel: Any = getattr(self, "channel", None)
        encoder: Any = self._encoder
        if encoder and not self.finished:
            data = as_bytes(encoder.finish(), "the output of an encoder")
            self._encoder = None
            if data and self.startedWriting:
                _write(self, data)
            elif data:
                self._begin(data)
        if self.finished:
            warnings.warn("Warning! request.finish called twice.", stacklevel=2)
            return
        if not self.startedWriting:
            self.write(b"")
        if self._responseTrailers is not None and channel.cycle is not None:
            channel.cycle.trailers = pairs_of(self._responseTrailers)
        self.finished = 1
        self._finished(channel)

    def _finished(self, channel: Any, whole: Any = None) -> None:
        if self.producer is not None:
            text = f"Producer was not unregistered for {self.uri!r}"
            self._log.failure("", Failure(RuntimeError(text)))
            self.unregisterProducer()
        wire = channel.wire
        behind = not wire.hasRoom and wire.transport is not None
        if behind:
            # For the access log.
            self._lastTransport = wire.transport
            channel.slowClient().told = partial(self._sent, channel.factory)
        else:
            # As guarded() does it, for every request.
            try:
                channel.factory.log(self)
            except KeyboardInterrupt:
                raise
            except BaseException:
                log_failure("The access log")
        if whole is not None:
            whole.wholeAnswered()
        else:
            self._open = None
            cycle = channel.cycle
            if self.chunked and cycle is not None and cycle.request is self:
                # Like requestDone, without its checks for foreign classes.
                cycle.done(self)
            else:
                channel.requestDone(self)
        self._lastChannel = ref(channel)
        del self.channel
        content, self.content = self.content, None
        if content is not None:
            try:
                content.close()
            except KeyboardInterrupt:
                raise
            except BaseException:
                log_failure("Closing the content of a request")
        if self.notifications and not behind:
            self._notify(None)

    def _sent(self, factory: Any, reason: Failure | None, unsent: int) -> None:
        """
        The finished response was given to the kernel, or the connection has ended
        before.
        """
        self.sentLength = max(self.sentLength - unsent, 0)
        guarded("The access log", factory.log, self)
        self._notify(reason)

    def _notify(self, reason: Failure | None) -> None:
        notifications, self.notifications = self.notifications, []
        for notification in notifications:
            if reason is None:
                guarded("notifyFinish", notification.callback, None)
            else:
                guarded("notifyFinish", notification.errback, reason)

    def connectionLost(self, reason: Failure) -> None:
        """
        The client has gone, or the connection is about to be closed.
        """
        channel: Any = getattr(self, "channel", None)
        if self._direct and channel is not None:
            self._lastTransport = channel.wire.transport or channel.lostTransport
        # Like the inherited method, but a failure does not stop the rest.
        self._disconnected = True
        self._open = None
        self.channel = None  # type: ignore[assignment]
        self._encoder = None
        running, self._running = self._running, None
        if self.content is not None:
            guarded("Closing the content of a request", self.content.close)
        cycle = channel.cycle if self._direct and channel is not None else None
        if cycle is not None and cycle.answer is not None:
            # A response that was cut off is logged, too.
            unsent = channel.wire.pendingLength
            self.sentLength = max(self.sentLength - unsent, 0)
            guarded("The access log", channel.factory.log, self)
        self._notify(reason)
        if self._requestBody is not None:
            # Kept: whoever reads it later is told as well.
            self._requestBody.failed(reason)
        if running is not None:
            guarded("Cancelling a request", running.cancel)
        if cycle is not None and channel.wire.transport is None:
            # The request must not keep the transport alive.
            self._lastTransport = None


# The original methods: an application may patch the class.
_write = Responding.write
_finish = Responding.finish
