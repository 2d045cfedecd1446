"""
The pool's connections, for Twisted's own agents.

C{twisted.web.client.Agent(reactor, pool=pool)} gets a connection from its pool by
C{getConnection}, and calls C{request} on it, with a request that has C{method},
C{uri}, C{headers}, C{bodyProducer}, C{persistent} and C{absoluteURI}.  All of these
are public names.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure

from twisted_h11._client import errors
from twisted_h11._client.connection import ClientConnection, State
from twisted_h11._client.errors import RequestNotSent
from twisted_h11._client.queue import Ticket
from twisted_h11._client.request import ClientRequest, check_uri
from twisted_h11._client.request_head import BadRequest
from twisted_h11._client.response import Response
from twisted_h11._client.starting import start_request
from twisted_h11._http.abnf import is_token

__all__ = ["PlainConnection", "PlainRequest", "PlainWaiter"]


class PlainWaiter:
    """
    Waits for a connection with a Deferred.

    @param expiry: seconds after which an idle connection is closed that was given out
        from within C{getConnection} and not used.
    """

    ticket: Ticket | None = None
    # Whether getConnection has returned, so that the Deferred may have callbacks.
    returned = False

    def __init__(self, clock: Any, expiry: float | None) -> None:
        self._clock = clock
        self._expiry = expiry
        self.deferred: Deferred[PlainConnection] = Deferred(self._cancel)

    def _cancel(self, _: object) -> None:
        assert self.ticket is not None
        self.ticket.cancel()

    def connectionAvailable(self, connection: ClientConnection) -> None:
        """
        Fire the Deferred with the connection, which must be used at once.
        """
        if not self.deferred.called:
            self.deferred.callback(PlainConnection(connection, self._clock))
        if connection.state is State.IDLE:
            if self.returned:
                connection.loseConnection()
            else:
                # The caller gets the Deferred only now: give it time to send.
                connection.expireIn(self._expiry)

    def connectionBegun(self) -> None:
        """
        Do nothing: these agents have no trace.
        """

    def connectionFailed(self, reason: Failure) -> None:
        """
        No connection could be made.
        """
        if not self.deferred.called:
            self.deferred.errback(reason)


class PlainConnection:
    """
    A connection for one request of a twisted.web agent.
    """

    def __init__(self, connection: ClientConnection, clock: Any) -> None:
        self._connection = connection
        self._clock = clock

    def request(self, request: Any) -> Deferred[Response]:
        """
        Send C{request}; it fails with C{RequestNotSent} if the connection has
        gone, or is in use.
        """
        if self._connection.state is not State.IDLE:
            return fail(errors.adopt(Failure(RequestNotSent())))
        try:
            # twisted.web makes the same checks when it writes a request.
            if not is_token(request.method):
                raise ValueError(f"Invalid method {request.method!r}")
            check_uri(request.uri)
            hosts = request.headers.getRawHeaders(b"Host", ())
            own = ClientRequest(
                method=request.method,
                target=request.uri,
                host=hosts[0] if hosts else b"",
                given=request.headers,
                body=request.bodyProducer,
                persistent=request.persistent,
                started=self._clock.seconds(),
                uri=lambda: request.absoluteURI,
            )
        except BaseException as error:
            # The exchange that would release the connection was not started.
            failure = Failure()
            self._connection.loseConnection()
            if isinstance(error, BadRequest):
                return fail(
                    errors.wrap(errors.Generation, errors.SENDING, 0.0, failure)
                )
            return fail(failure)
        return PlainRequest().start(self._connection, own)


class PlainRequest:
    """
    One request on one connection, with a Deferred and no retries.
    """

    def __init__(self) -> None:
        self._deferred: Deferred[Response] = Deferred(self._cancel)

    def start(
        self, connection: ClientConnection, request: ClientRequest
    ) -> Deferred[Response]:
        """
        Send a request.
        """
        deferred = self._deferred
        exchange = self._exchange = connection.begin(request, self)
        try:
            start_request(exchange)
        except BaseException:
            exchange.fail(Failure())
        return deferred

    def _cancel(self, _: object) -> None:
        self._exchange.cancel()

    def responseReceived(self, response: Response) -> None:
        """
        Fire the Deferred with the response.
        """
        if not self._deferred.called:
            self._deferred.callback(response)

    def requestFailed(self, failure: Failure, nothingSent: bool) -> None:
        """
        Fail the Deferred: there will be no response.
        """
        if not self._deferred.called:
            self._deferred.errback(failure)
