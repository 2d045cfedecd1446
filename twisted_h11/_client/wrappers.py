"""
Wrappers of agents that differ from twisted.web's: failures are L{RequestError}s, and
corrupt or truncated gzip is a failure.

twisted.web's decoder reads the end of the body as the end of the gzip stream, so a
truncated stream goes unnoticed; it also drops all members but the first (RFC 1952
section 2.2 allows several).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web import client
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from zope.interface import implementer

from twisted_h11._boundary.guarded import log_failure
from twisted_h11._client import errors

__all__ = ["GzipDecoder", "readBody"]

# How many bytes are decompressed at a time: gzip can expand data a thousandfold, and
# all of it would be in memory.
PIECE_LENGTH = 64 * 1024

# How many bytes are given to a decoder at a time.
SLICE_LENGTH = 4 * 1024

# After so many decoded bytes, some 20 ms, the reactor gets its turn.  One layer of gzip
# can make eight times as many of a segment; several make gigabytes of a few kilobytes,
# and would keep all else waiting, time-outs too.
MOST_AT_ONCE = 8 * 1024 * 1024

_MEMBER = b"\x1f\x8b"


def _soon(call: Callable[[], None]) -> None:
    from twisted.internet import reactor

    clock: Any = reactor
    clock.callLater(0, call)


def readBody(response: Any) -> Deferred[bytes]:
    """
    Read the whole body of a response; see L{twisted.web.client.readBody}.

    @param response: a L{Response<twisted_h11.client.Response>}, or another
        C{IResponse}.
    @return: a Deferred that fires with the body, or fails with a
        L{RequestError<twisted_h11.client.RequestError>}.  Cancelling it drops the
        connection; then it fails with a C{CancelledError}, or with the C{TimeoutError}
        of C{addTimeout}.

    @since: 0.1
    """
    cancelled = False

    def cancel(_: Deferred[bytes]) -> None:
        nonlocal cancelled
        cancelled = True
        body.cancel()

    def failed(reason: Failure) -> Failure:
        reason = errors.adopt(reason)
        if cancelled and not reason.check(CancelledError):
            # The connection has ended at once; with twisted.web's agent it does later.
            error: Any = reason.value
            why = Failure(CancelledError())
            reason = errors.adopt(why, error.phase, error.elapsed)
        return reason

    whole: Deferred[bytes] = Deferred(cancel)
    body = client.readBody(response).addErrback(failed)
    body.addCallbacks(whole.callback, whole.errback)
    return whole


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


@implementer(IPushProducer)
class _Decoder(Protocol):
    """
    Decodes for another protocol, and is its transport: when that pauses, no more is
    decoded, and when it ends the connection, what is left is dropped.
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
        # What has arrived, from where it was not decoded yet; a slice of it that the
        # decoder has begun; and whether there may be output without more input.
        self._input = b""
        self._at = 0
        self._slice = b""
        self._more = False
        self._decoding = self._paused = self._held = self._resting = False
        # How much was decoded since the reactor had its turn, at the latest.
        self._decoded = 0
        self._end: Failure | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.transport, name)

    # -- from the response ----------------------------------------------------

    def connectionMade(self) -> None:
        """
        Connect the reader.
        """
        self._protocol.makeConnection(self)

    def dataReceived(self, data: bytes) -> None:
        """
        Decode a piece of the body.
        """
        if self._error is None:
            self._input = self._input[self._at :] + data
            self._at = 0
            self._goOn()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        The body has ended.
        """
        waits = self._decoding or self._paused or self._resting
        if self._error is None and waits and self._isBehind:
            self._end = reason
            return
        error = self._error
        if error is None and self._member is not None:
            if reason.check(ResponseDone, PotentialDataLoss):
                error = errors.UnexpectedEnd("The body ended before its gzip stream")
        if error is not None:
            reason = Failure(errors.Failed([Failure(error)], self._response))
        # Break the cycle: this is the protocol's transport.
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)

    # -- from the reader ------------------------------------------------------

    def pauseProducing(self) -> None:
        """
        Decode nothing more for now.
        """
        self._paused = True
        self._hold()

    def resumeProducing(self) -> None:
        """
        Go on decoding.
        """
        self._paused = False
        self._continue()

    def _continue(self) -> None:
        try:
            self._goOn()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            log_failure("The reader of a response body")
            self._fail(error)

    def abortConnection(self) -> None:
        """
        Drop the rest of the body, and its connection.
        """
        if self._error is None and (self._member is not None or self._isBehind):
            self._fail(ConnectionAborted())
        else:
            self._drop()

    stopProducing = loseConnection = abortConnection

    # -- decoding ---------------------------------------------------------------

    @property
    def _isBehind(self) -> bool:
        """
        Whether something has arrived that is not decoded.
        """
        return self._more or bool(self._slice) or self._at < len(self._input)

    def _hold(self) -> None:
        if not self._held:
            self._held = True
            self.transport.pauseProducing()  # type: ignore[union-attr]

    def _pauseForTurn(self) -> None:
        """
        Go on in the next turn of the reactor.
        """
        self._resting = True
        self._hold()
        _soon(self._wake)

    def _wake(self) -> None:
        self._resting = False
        self._decoded = 0
        if self._protocol is not None:
            self._continue()

    def _fail(self, error: BaseException) -> None:
        """
        Decode nothing more, and drop the connection.
        """
        self._error = error
        self._input = self._slice = b""
        if self._end is None:
            self._drop()
        elif not self._decoding:
            self.connectionLost(self._end)

    def _drop(self) -> None:
        """
        Drop the connection of the body.  The transports of other agents' responses may
        only be able to close it.
        """
        transport: Any = self.transport
        if hasattr(transport, "abortConnection"):
            transport.abortConnection()
        else:
            transport.loseConnection()

    def _goOn(self) -> None:
        """
        Decode and deliver, as long as the reader is not paused.
        """
        if self._decoding or self._resting:
            return
        self._decoding = True
        try:
            while self._isBehind and not self._paused and self._error is None:
                if self._decoded >= MOST_AT_ONCE:
                    self._pauseForTurn()
                    return
                decoded = self._decode()
                if decoded:
                    self._decoded += len(decoded)
                    self._protocol.dataReceived(decoded)
        except BaseException:
            # The reader gets no more, and its end at once.
            self._input = self._slice = b""
            self._more = self._paused = False
            raise
        finally:
            self._decoding = False
        isOver = self._error is not None
        if self._end is not None and (isOver or not self._paused):
            self.connectionLost(self._end)
        elif self._held and not (isOver or self._paused):
            self._held = False
            self.transport.resumeProducing()  # type: ignore[union-attr]

    def _decode(self) -> bytes:
        """
        @return: the next piece of the content; may be empty.
        """
        if not self._slice and not self._more:
            # Slices: what is behind a member is copied at its end, and members may be
            # short.
            self._slice = self._input[self._at : self._at + SLICE_LENGTH]
            self._at += len(self._slice)
        if self._member is None:
            self._slice = self._begin(self._slice)
            if self._member is None:
                return b""
        member = self._member
        try:
            decoded: bytes = member.decompress(self._slice, PIECE_LENGTH)
        except zlib.error as error:
            # Drop the connection: the rest can not be decoded.
            self._fail(errors.MalformedResponse(f"The body is not gzip: {error}"))
            return b""
        self._slice = member.unconsumed_tail
        # All input was read, but a full piece may have more output behind it.
        self._more = len(decoded) == PIECE_LENGTH
        if member.eof:
            self._member = None
            self._more = False
            self._slice = member.unused_data
        return decoded

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
