"""
The response to a request whose resource has failed: a 500, if nothing was sent.

A response that has begun is cut off so that the client can tell.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from html import escape
from typing import Any

from twisted.python.failure import Failure
from twisted.web import http, server, util
from twisted.web.http import INTERNAL_SERVER_ERROR, RESPONSES

from twisted_h11._boundary.guarded import log_failure
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._boundary.twisted_private import response_headers
from twisted_h11._http.response_to_send import error_page, http_date
from twisted_h11._server.arguments import Arguments
from twisted_h11._server.error_pages import replace_page
from twisted_h11._server.forms import FormError, WithForms

__all__ = ["Failing"]


class Failing(WithForms, Arguments):
    """
    A request with the handling of failures.
    """

    # Whether the channel is a Channel, and not a stream of HTTP/2.
    _direct = False

    # How many bytes of content are missing, by the Content-Length that the content has
    # before it is encoded; -1 without one, C{None} if it was not looked up yet.
    _unencodedLeft: int | None = None

    # Whether the log says that there is too much of it.
    _hasComplained = False

    def _sendWhole(self, body: bytes) -> None:
        """
        Send all of a response's content, and finish it.
        """
        raise NotImplementedError

    def _writeToStream(self, data: bytes) -> None:
        """
        Write by the inherited method, to a stream of HTTP/2.
        """
        self._writeBy(super().write, data)

    def _finishEncoder(self) -> None:
        """
        Write the rest of encoded content to a stream of HTTP/2.  The inherited method
        would go on to write an empty piece, which an encoder that is finished can not
        take, if it is the first.
        """
        encoder: Any = self._encoder
        self._encoder = None
        if encoder and not self.finished:
            data = as_bytes(encoder.finish(), "the output of an encoder")
            if data:
                self._writeBy(partial(http.Request.write, self), data)

    def _writeBy(self, write: Callable[[bytes], object], data: bytes) -> None:
        channel = getattr(self, "channel", None)
        mine = self.__dict__.get("write")
        try:
            write(data)
        except Exception:
            if getattr(channel, "answer", self) is None:
                # Nothing was sent: an error response is still possible.
                self.startedWriting = 0
            raise
        if getattr(channel, "answer", None) and mine is not self.__dict__.get("write"):
            # It has replaced itself if there is no content; the stream drops that.
            if mine is None:
                del self.__dict__["write"]
            else:
                self.__dict__["write"] = mine

    def processingFailed(self, reason: Failure) -> Failure:
        """
        Log a failure, and respond with 500; if the response has begun, cut it off so
        that the client can tell.

        @return: C{reason}.
        """
        error = reason.value
        if isinstance(error, FormError) and not self.startedWriting:
            self._log.info(
                "A form of {peer} was refused with {status}: {error}",
                peer=self.client,
                status=error.status,
                error=str(error),
            )
            brief = RESPONSES[error.status].decode("ascii")
            self._fail(brief, f"<p>{escape(str(error))}</p>", error.status)
            # Drop the traceback: its frames refer to this request.
            reason.cleanFailure()
            return reason
        self._log.failure("", failure=reason)
        if self.site is not None and self.site.displayTracebacks:
            detail = util.formatFailure(reason).decode("utf-8", "replace")
            brief = "web.Server Traceback (most recent call last)"
        else:
            brief, detail = "Processing Failed", "<p>The server failed.</p>"
        self._fail(brief, detail)
        return reason

    def takerFailed(self, failure: Failure) -> None:
        """
        Called by the body when the protocol that reads it has failed: fail the
        request.
        """
        if self._direct:
            log_failure("The reader of the body of a request", failure)
            self._cutResponse()
        else:
            self.processingFailed(failure)
            # Its traceback keeps frames, and those keep us.
            failure.cleanFailure()

    def _cutResponse(self) -> None:
        """
        Send a plain 500 if nothing was sent, else cut off the response so that the
        client can tell.
        """
        channel: Any = getattr(self, "channel", None)
        if channel is None or self.finished:
            return
        if self._direct:
            channel.failRequest(self)
        else:
            channel.abortConnection()

    def _countUnencoded(self, data: bytes) -> bytes:
        """
        Count a piece of content that is about to be encoded, if one is.

        @return: the part of it that does not exceed the Content-Length.
        """
        encoder: Any = self._encoder
        if not encoder or self.method == b"HEAD":
            return data
        left = self._unencodedLeft
        if left is None:
            length = self.responseHeaders.getRawHeaders(b"Content-Length", [b""])[0]
            left = int(length) if length.isdigit() else -1
        if self.startedWriting and self.responseHeaders.hasHeader(b"Content-Length"):
            # The encoder has left the field: it is the length of what it makes.
            left = -1
        if 0 <= left < len(data):
            data = data[:left]
            self._encodesTooMuch()
        self._unencodedLeft = left - len(data) if left >= 0 else -1
        return data

    def _encodesTooMuch(self) -> None:
        """
        More content was written than the Content-Length says: the excess is dropped.
        """
        channel: Any = self.channel
        if self._direct and channel.cycle is not None:
            channel.cycle.tooLong(0)
        elif not self._hasComplained:
            self._hasComplained = True
            self._log.error("{request} sent more than its Content-Length", request=self)

    def _cutShort(self) -> bool:
        """
        Cut off a response with less content than its Content-Length said, if an encoder
        has removed that field, so that the client could not tell.

        @return: whether it was cut off.
        """
        encoder: Any = self._encoder
        if (
            not encoder
            or not self.startedWriting
            or (self._unencodedLeft or 0) <= 0
            or self.responseHeaders.hasHeader(b"Content-Length")
        ):
            return False
        if not getattr(self.channel, "takesNothing", False):
            self._log.error("{request} sent less than its Content-Length", request=self)
        self._cutResponse()
        return True

    def _fail500(self, sentence: str) -> None:
        self._fail("Internal Server Error", f"<p>{escape(sentence)}</p>")

    def _fail(self, brief: str, detail: str, code: int = INTERNAL_SERVER_ERROR) -> None:
        if self._disconnected or self.finished:
            return
        if self.startedWriting:
            self._cutResponse()
            return
        channel: Any = self.channel
        # The fields that the resource has set do not fit this page.
        self.responseHeaders = response_headers(
            getattr(channel.site, "serverHeader", server.version), http_date()
        )
        self._encoder = None
        self._inFakeHead = False
        self.etag = None
        self.lastModified = None
        self.setResponseCode(code)
        self._sendWhole(replace_page(self, code, error_page(code, brief, detail)))
