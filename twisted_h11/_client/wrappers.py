"""
Wrappers of agents that differ from twisted.web's: failures are L{RequestError}s, and
corrupt or truncated gzip is a failure.

twisted.web's decoder reads the end of the body as the end of the gzip stream, so a
truncated stream goes unnoticed; it also drops all members but the first (RFC 1952
section 2.2 allows several).
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

# How many bytes are decompressed at a time: gzip can expand data a thousandfold, and
# all of it would be in memory.
PIECE_LENGTH = 64 * 1024

_MEMBER = b"\x1f\x8b"


def readBody(response: Any) -> Deferred[bytes]:
    """
    Read the whole body of a response; see L{twisted.web.client.readBody}.

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
        Send a request, and follow its redirects.
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
    Decodes a response with C{Content-Encoding: gzip}; for
    L{ContentDecoderAgent<twisted.web.client.ContentDecoderAgent>}.

    The reader of the body gets a C{ResponseFailed} if the body is not gzip, or ends
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
        # The first byte after a member: another member, or padding.
        self._rest = b""
        self._padding = False
        self._error: BaseException | None = None

    def connectionMade(self) -> None:
        """
        Connect the reader.
        """
        self._protocol.makeConnection(self.transport)

    def dataReceived(self, data: bytes) -> None:
        """
        Decode a piece of the body.
        """
        while data and self._error is None:
            if self._member is None:
                data = self._begin(data)
            if self._member is not None:
                data = self._decode(self._member, data)

    def _decode(self, member: Any, data: bytes) -> bytes:
        """
        @return: the data behind the end of the member.
        """
        more = True
        while data or more:
            try:
                decoded = member.decompress(data, PIECE_LENGTH)
            except zlib.error as error:
                self._error = errors.MalformedResponse(f"The body is not gzip: {error}")
                # Drop the connection: the rest can not be decoded.
                self.transport.abortConnection()  # type: ignore[union-attr]
                return b""
            data = member.unconsumed_tail
            # All input was read, but a full piece may have more output behind it.
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
        Begin the first or another member.  Padding behind the first one is skipped,
        as gzip does.

        @return: the data of the member.
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
