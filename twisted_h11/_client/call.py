"""
One request of an application, from the pool to the response.

A L{Call} lasts for all phases of the request, so that cancellation and
C{totalTimeout} work in each of them, and it decides whether a request that failed
is sent again.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from twisted_h11._client import errors
from twisted_h11._client.connection import ClientConnection, State
from twisted_h11._client.errors import TimedOut
from twisted_h11._client.exchange import Exchange
from twisted_h11._client.pool import HTTPConnectionPool
from twisted_h11._client.queue import Ticket
from twisted_h11._client.request import ClientRequest
from twisted_h11._client.response import Response
from twisted_h11._client.starting import start_request

__all__ = ["Call"]

_TOO_EARLY = (
    "The connection ended, or the server sent something, before the request was sent"
)

# How often retryDelay is doubled; a float has no room for a thousand times.
MOST_DOUBLED = 64

# So many retries without a delay are made at once; later ones wait for the next turn of
# the reactor, because an attempt that fails at once is a call within a call.
MOST_NESTED = 8

_TRIED_AGAIN = (errors.NeverReceived, errors.Transmission)


class Call:
    """
    One request of an application, until it has its response.
    """

    __slots__ = (
        "_again",
        "_attempts",
        "_cancelled",
        "_clock",
        "_endpoint",
        "_exchange",
        "_fresh",
        "_key",
        "_late",
        "_over",
        "_pool",
        "_request",
        "_ticket",
        "_total",
        "deferred",
    )

    def __init__(
        self,
        clock: Any,
        pool: HTTPConnectionPool,
        request: ClientRequest,
        key: Any,
        endpoint: Any,
    ) -> None:
        self._clock = clock
        self._pool = pool
        self._request = request
        self._key = key
        self._endpoint = endpoint
        self._attempts = 0
        self._cancelled = False
        self._fresh = False
        self._late: Failure | None = None
        self._over = False
        self._exchange: Exchange | None = None
        self._ticket: Ticket | None = None
        self._again: IDelayedCall | None = None
        self._total: IDelayedCall | None = None
        self.deferred: Deferred[Response] = Deferred(self._cancel)

    def begin(self) -> Deferred[Response]:
        """
        Start the request.

        @return: a Deferred that fires with the response when its head was received.
        """
        deferred = self.deferred
        seconds = self._request.settings.totalTimeout
        if seconds is not None:
            # The request may have been redirected here, from one that began before.
            left = seconds - (self._clock.seconds() - self._request.started)
            self._total = self._clock.callLater(
                max(left, 0), self._tookTooLong, seconds
            )
        self._try()
        return deferred

    def _try(self) -> None:
        if self._again is not None:
            self._notLater()
        if not self._fresh:
            connection = self._pool.idleConnection(self._key)
            if connection is not None:
                self.connectionAvailable(connection)
                return
        request = self._request
        ticket = self._pool.wait(
            self._key, self._endpoint, request.settings, self, self._fresh
        )
        if ticket.waiter is not None:
            self._ticket = ticket
            if self._over:
                # A callback of the pool's or the endpoint's has cancelled the call.
                ticket.cancel()
            elif request.report is not None and ticket.attempt is None:
                request.report("queued")

    # -- the pool's answers -------------------------------------------------

    def connectionAvailable(self, connection: ClientConnection) -> None:
        """
        Send the request on C{connection}.
        """
        self._ticket = None
        request = self._request
        if request.report is not None:
            request.report("connected", connection)
        if self._over or connection.state is not State.IDLE:
            connection.loseConnection()
            if not self._over:
                self._failWithout(Failure(errors.RequestNotSent(_TOO_EARLY)))
            return
        exchange = self._exchange = connection.begin(request, self)
        try:
            start_request(exchange)
        except BaseException:
            # The transport raised: an endpoint of the application's may have made it.
            exchange.fail(Failure())

    def connectionBegun(self) -> None:
        """
        A connection is being made for this request.
        """
        if self._request.report is not None:
            self._request.report("connecting")

    def connectionFailed(self, reason: Failure) -> None:
        """
        No connection could be made.  Nothing was sent.
        """
        self._ticket = None
        self._notLater()
        settings = self._request.settings
        if (
            settings.retryNewConnections
            and self._mayTry()
            and not reason.check(errors.PoolTimedOut, errors.QueueFull, CancelledError)
        ):
            self._tryLater()
            return
        self._failWithout(reason)

    # -- the connection's answers -------------------------------------------

    def responseReceived(self, response: Response) -> None:
        """
        Pass the response on; after a 417 repeat the request without C{Expect}.
        """
        exchange, self._exchange = self._exchange, None
        request = self._request
        again = response.code == 417 and request.expect and not request.bodyStarted
        # A trace function may have cancelled the request when it had ended.
        if again and not self.deferred.called:
            # RFC 9110 section 10.1.1: repeat the request without the expectation.
            response.abort()
            if not self._over:
                self._request = request.withoutExpect()
                self._try()
            return
        total = self._total
        if total is not None:
            if response._body.over:
                total.cancel()
                self._total = None
            else:
                self._exchange = exchange
                assert exchange is not None
                exchange.whenOver = self._stopTotal
        self._over = True
        if not self.deferred.called:
            self.deferred.callback(response)

    def requestFailed(self, failure: Failure, nothingSent: bool) -> None:
        """
        The exchange failed before the head of a response was received.
        """
        exchange, self._exchange = self._exchange, None
        request = self._request
        settings = request.settings
        if (
            exchange is not None
            and (exchange.reused or settings.retryNewConnections)
            and isinstance(failure.value, _TRIED_AGAIN)
            and (nothingSent or request.method in settings.retryMethods)
            and (not request.bodyStarted)
            and self._mayTry()
        ):
            # Other idle connections may be dead too, so the retry takes a new one.
            self._fresh = True
            self._tryLater()
            return
        self._fail(failure)

    def _mayTry(self) -> bool:
        return (
            not self._cancelled
            and self._late is None
            and self._pool.retryAutomatically
            and not self._pool.isClosing
            and self._attempts < self._request.settings.retries
        )

    def _tryLater(self) -> None:
        attempts = self._attempts
        delay = self._request.settings.retryDelay * 2.0 ** min(attempts, MOST_DOUBLED)
        self._attempts += 1
        if delay or attempts >= MOST_NESTED:
            self._pool.pausing.add(self)
            self._again = self._clock.callLater(delay, self._try)
        else:
            self._try()

    def _notLater(self) -> None:
        """
        Cancel the next attempt, if one is scheduled.
        """
        again, self._again = self._again, None
        if again is not None:
            self._pool.pausing.discard(self)
            if again.active():
                again.cancel()

    # -- the end ------------------------------------------------------------

    def _failWithout(self, failure: Failure) -> None:
        """
        Fail while there is no connection that would report the end to the trace.
        """
        if self._over:
            return
        self._over = True
        if self._request.report is not None:
            self._request.report("ended", None, failure)
        self._fail(failure)

    def _fail(self, failure: Failure) -> None:
        self._stopTotal()
        self._over = True
        # A callback above may have cancelled the Deferred.
        if not self.deferred.called:
            self.deferred.errback(failure)

    def _stopTotal(self) -> None:
        self._exchange = None
        total, self._total = self._total, None
        if total is not None:
            total.cancel()

    def _cancel(self, _: object) -> None:
        """
        The application has cancelled the Deferred.
        """
        self._cancelled = True
        self._stop(Failure(CancelledError()))

    def _tookTooLong(self, seconds: float) -> None:
        self._total = None
        self._late = reason = Failure(
            TimedOut(f"The request took longer than {seconds:g} s (totalTimeout)")
        )
        self._stop(reason)

    def _stop(self, reason: Failure) -> None:
        elapsed = self._clock.seconds() - self._request.started
        if self._exchange is not None:
            if self._late is None:
                self._exchange.cancel()
            else:
                self._exchange.fail(reason)
            return
        phase = errors.QUEUED
        if self._ticket is not None:
            ticket, self._ticket = self._ticket, None
            if ticket.attempt is not None:
                phase = errors.CONNECTING
            ticket.cancel()
        self._notLater()
        self._failWithout(errors.adopt(reason, phase, elapsed))
