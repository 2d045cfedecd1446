"""
The source of a response's body while the body is being received.
"""

from __future__ import annotations

import weakref
from typing import Any
from typing import Protocol as Interface

from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from twisted.web.http import PotentialDataLoss

from twisted_h11._client import errors
from twisted_h11._client.errors import ResponseTooLarge, UnexpectedEnd
from twisted_h11._client.interfaces import ClientLine
from twisted_h11._client.request import ClientRequest
from twisted_h11._client.response import Response
from twisted_h11._client.response_reader import ResponseReader
from twisted_h11._client.timeouts import Wait, set_deadline
from twisted_h11._http.response_received import CHUNKED, UNTIL_CLOSE, Fields

__all__ = ["ResponseSource"]


class SourceExchange(Interface):
    """
    What a L{ResponseSource} needs of its exchange.
    """

    connection: ClientLine
    request: ClientRequest
    reader: ResponseReader

    def over(self, clean: bool) -> None:
        """
        The response is complete.
        """

    def drop(self) -> None:
        """
        Drop the connection: the application did not take it.
        """

    def report(self, name: str) -> None:
        """
        Report a trace event.
        """

    def fail(self, reason: Failure) -> None:
        """
        Fail the exchange.
        """

    def giveTo(self, protocol: IProtocol) -> None:
        """
        Give the connection to another protocol.
        """


class ResponseSource:
    """
    The body of one response, between the exchange and the response.

    Until the body is claimed the source has only a weak reference to the response.  If
    the application drops the response before, the exchange fails.

    @ivar lastPiece: when the last piece of the body was received.
    @ivar switched: whether the response has no body, but switches protocols.
    """

    __slots__ = (
        "__weakref__",
        "_exchange",
        "_held",
        "_received",
        "_response",
        "_unclaimed",
        "lastPiece",
        "switched",
    )

    def __init__(
        self, exchange: SourceExchange, response: Response, switched: bool
    ) -> None:
        self._exchange = exchange
        self._response: Response | None = None
        self._unclaimed: weakref.ref[Response] | None = weakref.ref(
            response, self._abandoned
        )
        self._held = False
        self._received = 0
        self.lastPiece = 0.0
        self.switched = switched
        response._body._source = self

    @property
    def isClaimed(self) -> bool:
        """
        Whether the body has a reader.
        """
        return self._response is not None

    @property
    def peer(self) -> Any:
        """
        The address of the server.
        """
        return self._exchange.connection.peer

    @property
    def host(self) -> Any:
        """
        The local address.
        """
        return self._exchange.connection.host

    # -- what the response asks for -----------------------------------------

    def claimBody(self, response: Response) -> None:
        """
        C{response} has a reader: keep the response, and start the read time-out.
        """
        exchange = self._exchange
        if self.switched:
            # A switched connection has no body, and the application did not take it.
            self.take()
            exchange.drop()
            response._ended()
            return
        self._unclaimed = None
        self._response = response
        set_deadline(exchange)

    def hold(self, why: int) -> None:
        """
        Pause reading: enough data waits for the reader, or for a claim of the body.
        """
        self._exchange.connection.wire.hold(why)
        self._held = True
        if self._unclaimed is None:
            set_deadline(self._exchange)

    def release(self, why: int) -> None:
        """
        Resume reading.
        """
        self._held = False
        self._exchange.connection.wire.release(why)
        set_deadline(self._exchange)

    def abortConnection(self, reason: Failure | None = None) -> None:
        """
        Fail the exchange: the application drops the rest of the body.
        """
        self._exchange.fail(reason or Failure(ConnectionAborted()))

    def switchFor(self, response: Response, protocol: IProtocol) -> None:
        """
        Give the connection to a successor.

        @raise RuntimeError: if the server has not switched protocols.
        """
        if not self.switched:
            raise RuntimeError("The server has not switched to another protocol")
        self.take()
        response._body._source = None
        self._exchange.giveTo(protocol)

    def _abandoned(self, _: weakref.ref[Response]) -> None:
        """
        The application dropped the response without claiming the body.
        """
        self._exchange.fail(Failure(ConnectionAborted()))

    # -- what the exchange does ---------------------------------------------

    def take(self) -> Response | None:
        """
        Detach the response, and return it if it still exists.
        """
        response, self._response = self._response, None
        unclaimed, self._unclaimed = self._unclaimed, None
        if response is None and unclaimed is not None:
            response = unclaimed()
        return response

    def bodyRead(self, data: bytes) -> None:
        """
        Pass a piece of the body to the response.
        """
        exchange = self._exchange
        settings = exchange.request.settings
        limit = settings.maxBodyLength
        if limit is not None:
            self._received += len(data)
            if self._received > limit:
                exchange.fail(Failure(too_large(limit)))
                return
        response = self._response
        if response is not None:
            self.lastPiece = exchange.connection.clock.seconds()
        elif self._unclaimed is not None:
            response = self._unclaimed()
        if response is not None:
            response._body.dataReceived(data)

    def bodyEnded(
        self, trailers: Fields, clean: bool, reason: Failure | None = None
    ) -> None:
        """
        The body is complete.

        @param clean: whether no bytes were received after it.
        @param reason: why it may be incomplete, or C{None}.
        """
        response = self.take()
        if response is not None:
            if trailers:
                response._trailerFields = trailers
            # From now on another request may have the connection.
            response._body._source = None
        self._exchange.over(clean)
        if response is not None:
            response._ended(reason)
        self._exchange.report("ended")

    def inputEnded(self, reason: Failure) -> None:
        """
        Handle the end of file: end the body, or fail the exchange.
        """
        exchange = self._exchange
        left = exchange.reader.left
        if self.switched:
            error = UnexpectedEnd("The connection broke")
        elif left == UNTIL_CLOSE:
            if reason.check(ConnectionDone):
                self._endedByClose()
                return
            error = UnexpectedEnd("The connection broke")
        elif left == CHUNKED:
            error = UnexpectedEnd("The connection ended before the last chunk")
        else:
            text = f"The connection ended {left} bytes before the body did"
            error = UnexpectedEnd(text)
        error.__cause__ = reason.value
        exchange.fail(Failure(error))

    def _endedByClose(self) -> None:
        # TLS distinguishes a complete end from a cut; a bare socket does not.
        exchange = self._exchange
        exchange.reader.persistent = False
        loss = None
        if not exchange.connection.secure:
            text = "Only the end of the connection ended the body"
            loss = errors.adopt(Failure(PotentialDataLoss(text)))
        self.bodyEnded([], True, loss)

    # -- time ---------------------------------------------------------------

    def wait(self) -> None:
        """
        Set the deadline for the next event: a claim of the body, or a piece of it.
        """
        exchange = self._exchange
        settings = exchange.request.settings
        wire = exchange.connection.wire
        if self._unclaimed is not None:
            wire.arm(settings.claimTimeout, Wait.CLAIM)
        elif self._held:
            wire.disarm()
        else:
            self.lastPiece = exchange.connection.clock.seconds()
            wire.arm(settings.readTimeout, Wait.READ)


def too_large(limit: int) -> ResponseTooLarge:
    """
    The error for a body that is longer than allowed.
    """
    return ResponseTooLarge(
        f"The response body is longer than {limit} bytes (maxBodyLength)"
    )
