"""
Making one connection: name, address, tunnel, TLS handshake.

L{Attempt} holds one slot of the pool from the moment it begins.  It ends in a
connection that is ready for requests, or in a failure that says which phase
failed and after how long; the slot then belongs to the connection, or is free.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from twisted_h11._boundary.guarded import guarded
from twisted_h11._client import errors
from twisted_h11._client.connection import ClientConnection
from twisted_h11._client.errors import ConnectTimedOut, TimedOut
from twisted_h11._client.identity import check_transport
from twisted_h11._client.tls import explain_handshake

__all__ = ["Attempt"]


class _ConnectionFactory(Factory):
    """
    Makes the one connection of an attempt.
    """

    noisy = False

    def __init__(self, attempt: Attempt, clock: Any) -> None:
        self.attempt = attempt
        self.clock = clock

    def buildProtocol(self, addr: IAddress | None) -> ClientConnection:
        """
        Make the connection.
        """
        connection = ClientConnection(self.attempt, self.clock)
        connection.factory = self
        return connection


class Attempt:
    """
    One attempt to connect.

    @ivar key: where to, for the pool.
    """

    def __init__(
        self,
        clock: Any,
        key: Any,
        endpoint: Any,
        connectTimeout: float | None,
        tlsTimeout: float | None,
        started: float,
        done: Callable[[Attempt, ClientConnection], None],
        failed: Callable[[Attempt, Failure], None],
        freed: Callable[[Attempt], None],
    ) -> None:
        self.key = key
        self._clock = clock
        self._endpoint = endpoint
        self._tlsTimeout = tlsTimeout
        self._connectTimeout = connectTimeout
        self._started = started
        self._done = done
        self._failed = failed
        self._freed = freed
        self._phase = errors.CONNECTING
        self._over = False
        self._timer: IDelayedCall | None = None
        self._connecting: Deferred[Any] | None = None
        self._connection: ClientConnection | None = None

    def isOver(self) -> bool:
        """
        Whether it has ended, or was given up.
        """
        return self._over

    def begin(self) -> None:
        """
        Connect.
        """
        if self.isOver():
            return
        if self._connectTimeout is not None:
            self._timer = self._clock.callLater(self._connectTimeout, self._late)
        try:
            if callable(self._endpoint):
                self._endpoint = self._endpoint()
            connecting = self._endpoint.connect(_ConnectionFactory(self, self._clock))
            if not isinstance(connecting, Deferred):
                raise TypeError(
                    f"{self._endpoint!r} returned {connecting!r}, not a Deferred"
                )
        except BaseException:
            self._fail(Failure())
            return
        self._connecting = connecting
        if self.isOver():
            # It was given up while the endpoint began.
            self._cancelEndpoint()
        connecting.addCallbacks(self._connected, self._refused)
        # What was called above is not ours alone.
        connecting.addErrback(self._fail)

    def cancel(self) -> None:
        """
        The connection is not wanted any more.
        """
        self._fail(Failure(CancelledError()))

    def _late(self) -> None:
        self._timer = None
        if self._phase is errors.HANDSHAKE:
            assert self._tlsTimeout is not None
            reason = Failure(
                TimedOut(f"The TLS handshake took longer than {self._tlsTimeout:g} s")
            )
            self._fail(
                errors.wrap(errors.TLSTimedOut, self._phase, self._elapsed(), reason)
            )
        else:
            self._fail(
                errors.phased(
                    ConnectTimedOut(f"No connection within {self._connectTimeout:g} s"),
                    self._phase,
                    self._elapsed(),
                )
            )

    def _elapsed(self) -> float:
        elapsed: float = self._clock.seconds() - self._started
        return elapsed

    def _connected(self, connection: Any) -> None:
        connection = _find_connection(connection)
        if self._over:
            if connection is not None:
                connection.abortConnection()
            return
        problem = self._problem()
        if connection is not None and connection.state in ("closed", "connecting"):
            # It was connected too soon, or will be too late.
            self._fail(problem or Failure(ConnectionLost()))
            return
        if connection is None:
            self._fail(
                Failure(TypeError(f"{self._endpoint!r} returned another's protocol"))
            )
            return
        self._connection = connection
        if problem is not None:
            self._fail(problem)
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not connection.wantsHandshake:
            self._ready(connection)
            return
        self._phase = errors.HANDSHAKE
        if self._tlsTimeout is not None:
            self._timer = self._clock.callLater(self._tlsTimeout, self._late)

    def _problem(self) -> Failure | None:
        """
        Why TLS can not even begin, where an endpoint of ours has found that out.
        """
        return getattr(self._endpoint, "problem", None)

    def _refused(self, reason: Failure) -> None:
        if self._over:
            return
        error: Any = reason.value
        if reason.check(CancelledError):
            self._fail(reason)
        elif type(error) is TwistedTimeoutError:
            # An address did not answer within the time of its endpoint.
            self._fail(
                errors.phased(
                    ConnectTimedOut("The connection was not made in time"),
                    self._phase,
                    self._elapsed(),
                )
            )
        else:
            self._fail(reason)

    # -- the owner of the connection until it is ready ----------------------

    def connectionReady(self, connection: ClientConnection) -> None:
        """
        The handshake is complete.
        """
        if self._connection is connection and not self._over:
            self._ready(connection)

    def connectionOpened(self, connection: ClientConnection) -> None:
        """
        There is a transport; perhaps too late, or perhaps TLS can not begin.
        """
        # The endpoint must not be cancelled here: it tells us next.
        if self._over or self._problem() is not None:
            connection.abortConnection()

    def connectionIdle(self, connection: ClientConnection) -> None:
        """
        Not before it was used.
        """

    def connectionClosing(self, connection: ClientConnection) -> None:
        """
        Its end will tell more.
        """

    def connectionGone(self, connection: ClientConnection, reason: Failure) -> None:
        """
        Lost during the handshake.
        """
        if self._connection is not connection:
            return
        self._connection = None
        if self._over:
            # We had given it up; only now its slot is free.
            self._freed(self)
            return
        self._fail(
            errors.wrap(
                errors.TLSFailed,
                errors.HANDSHAKE,
                self._elapsed(),
                explain_handshake(
                    reason,
                    connection.handshakeDetails,
                    getattr(self._endpoint, "proxy", None),
                ),
            )
        )

    # -- the end ------------------------------------------------------------

    def _ready(self, connection: ClientConnection) -> None:
        problem = check_transport(connection.layers)
        if problem is not None:
            self._fail(
                errors.wrap(
                    errors.TLSFailed,
                    errors.HANDSHAKE,
                    self._elapsed(),
                    Failure(problem),
                )
            )
            return
        self._finish()
        self._connection = None
        self._done(self, connection)

    def _fail(self, reason: Failure) -> None:
        if self._over:
            return
        self._finish()
        # The errors of twisted.internet are what callers look for; they are not
        # wrapped, but learn the phase and the time.
        reason = errors.adopt(reason, self._phase, self._elapsed())
        whose = "proxy" if self._phase is errors.CONNECTING else "peer"
        proxy = getattr(self._endpoint, whose, None)
        if isinstance(proxy, str):
            reason = errors.blame(reason, proxy)
        connection = self._connection
        if connection is None and self._connecting is not None:
            self._cancelEndpoint()
        if connection is None:
            self._freed(self)
        else:
            connection.abortConnection()
        self._failed(self, reason)

    def _cancelEndpoint(self) -> None:
        # Whatever an endpoint does, its slot must become free.
        assert self._connecting is not None
        guarded("Cancelling an endpoint", self._connecting.cancel)

    def _finish(self) -> None:
        self._over = True
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()


def _find_connection(protocol: Any) -> ClientConnection | None:
    """
    The connection under the wrappers that an endpoint may put around it.
    """
    for _ in range(10):
        if isinstance(protocol, ClientConnection):
            return protocol
        protocol = getattr(protocol, "wrappedProtocol", None)
    return None
