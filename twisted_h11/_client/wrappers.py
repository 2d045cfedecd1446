"""
What twisted.web has around an agent, where ours differs: failures are
L{RequestError}s, and gzip that is corrupt or cut is a failure.

twisted.web's decoder takes the end of the body for the end of the gzip stream, and
what a stream lacks is lost without a word; so is all that follows a first member
(RFC 1952 section 2.2: there may be several).
"""

from __future__ import annotations

import zlib
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web import client
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from twisted_h11._client import errors

__all__ = ["BrowserLikeRedirectAgent", "GzipDecoder", "RedirectAgent", "readBody"]

# How much is made of compressed data at a time: a thousand times what came would
# be in memory otherwise.
PIECE_LENGTH = 64 * 1024

_MEMBER = b"\x1f\x8b"


def readBody(response: Any) -> Deferred[bytes]:
    """
    All of a response's body; see L{twisted.web.client.readBody}.

    @param response: a L{Response<twisted_h11.client.Response>}, or another
        C{IResponse}.
    @return: a Deferred that fires with the body, or fails with a
        L{RequestError<twisted_h11.client.RequestError>}.

    @since: 0.1
    """
    return client.readBody(response).addErrback(errors.adopt)


class RedirectAgent(client.RedirectAgent):
    """
    Follows redirects; see L{twisted.web.client.RedirectAgent}.

    @since: 0.1
    """

    def request(
        self, method: bytes, uri: bytes, headers: Any = None, bodyProducer: Any = None
    ) -> Deferred[Any]:
        """
        Send a request, and more where the answer is a redirect.
        """
        response: Deferred[Any] = super().request(method, uri, headers, bodyProducer)
        return response.addErrback(errors.adopt)


class BrowserLikeRedirectAgent(RedirectAgent, client.BrowserLikeRedirectAgent):
    """
    Follows redirects as browsers do; see
    L{twisted.web.client.BrowserLikeRedirectAgent}.

    @since: 0.1
    """


class GzipDecoder(client.GzipDecoder):
    """
    A response with C{Content-Encoding: gzip}, decoded; for
    L{ContentDecoderAgent<twisted.web.client.ContentDecoderAgent>}.

    Whoever reads the body gets a C{ResponseFailed} if it is not gzip, or ends
    before the gzip stream does.

    @since: 0.1
    """

    def deliverBody(self, protocol: Any) -> None:
        """
        See L{IResponse<twisted.web.iweb.IResponse>}.
        """
        response: Any = self.original
        response.deliverBody(_Decoder(protocol, response))


class _Decoder(Protocol):
    """
    Decodes for another protocol.
    """

    def __init__(self, protocol: Any, response: Any) -> None:
        self._protocol = protocol
        self._response = response
        self._member: Any = None
        self._members = 0
        # The first byte of what may be another member.
        self._rest = b""
        self._padding = False
        self._error: BaseException | None = None

    def connectionMade(self) -> None:
        """
        The body begins.
        """
        self._protocol.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Decode.
        """
        while data and self._error is None:
            if self._member is None:
                data = self._begin(data)
            if self._member is not None:
                data = self._decode(self._member, data)

    def _decode(self, member: Any, data: bytes) -> bytes:
        """
        @return: what is left behind the member.
        """
        more = True
        while data or more:
            try:
                decoded = member.decompress(data, PIECE_LENGTH)
            except zlib.error as error:
                self._error = errors.MalformedResponse(f"The body is not gzip: {error}")
                # The rest is not wanted.
                self.transport.abortConnection()  # type: ignore[union-attr]
                return b""
            data = member.unconsumed_tail
            # All was taken, but not all of what it means was given.
            more = len(decoded) == PIECE_LENGTH
            if decoded:
                self._protocol.dataReceived(decoded)
            if member.eof:
                self._member = None
                rest: bytes = member.unused_data
                return rest
        return b""

    def _begin(self, data: bytes) -> bytes:
        """
        Begin a member, the first one or another.  Behind the first one there may
        be padding, which is skipped, as gzip does.

        @return: what belongs to it.
        """
        data, self._rest = self._rest + data, b""
        if self._members:
            if self._padding or not data.startswith(_MEMBER[: len(data)]):
                self._padding = True
                return b""
            if len(data) < len(_MEMBER):
                self._rest = data
                return b""
        self._members += 1
        self._member = zlib.decompressobj(16 + zlib.MAX_WBITS)
        return data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The body has ended.
        """
        error = self._error
        if error is None and self._member is not None:
            if reason.check(ResponseDone, PotentialDataLoss):
                error = errors.UnexpectedEnd("The body ended before its gzip stream")
        if error is not None:
            reason = Failure(errors.Failed([Failure(error)], self._response))
        self._protocol.connectionLost(reason)
