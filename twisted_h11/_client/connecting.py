"""
Making one connection: name, address, tunnel, TLS handshake.

L{Attempt} holds one slot of the pool from the moment it begins.  It ends in a
connection that is ready for requests, or in a failure that says which phase
failed and after how long; the slot then belongs to the connection, or is free.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.internet.interfaces import IAddress, IDelayedCall
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from twisted_h11._boundary.guarded import guarded
from twisted_h11._client import errors
from twisted_h11._client.connection import ClientConnection, State
from twisted_h11._client.errors import ConnectTimedOut, TimedOut
from twisted_h11._client.handshake import explain_handshake
from twisted_h11._client.identity import check_transport
from twisted_h11._wire.outbox import Outbox

__all__ = ["Attempt", "Connecting"]


class Connecting(Deferred[Any]):
    """
    The Deferred of an endpoint that connects to something else first, such as a proxy:
    when it fails, that connection may not be gone yet.

    @ivar isGone: whether no connection is left.
    @ivar whenGone: called when that is so, or C{None}.
    """

    isGone = False
    whenGone: Callable[[], None] | None = None

    def gone(self) -> None:
        """
        The connection is gone, or was given to the caller, or there was none.
        """
        self.isGone = True
        whenGone, self.whenGone = self.whenGone, None
        if whenGone is not None:
            whenGone()


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
        connection.requestOutbox = self.attempt.outbox
        return connection


@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class Attempt:
    """
    One attempt to connect.

    @ivar clock: the reactor's time.
    @ivar key: the pool's key of the connection.
    @ivar endpoint: how to connect, or a function that returns it.
    @ivar connectTimeout: seconds until there must be a connection.
    @ivar tlsTimeout: seconds for the TLS handshake after that.
    @ivar started: when the request asked for the connection.
    @ivar done: called with the connection when it is ready for requests.
    @ivar failed: called with the reason if the attempt fails.
    @ivar outbox: where requests of the connection wait for the end of a turn of the
        reactor; C{None} if they do not wait.
    @ivar freed: called, after C{failed} or before it, when the slot of an attempt
        that has failed may be taken by another.
    """

    clock: Any
    key: Any
    endpoint: Any
    connectTimeout: float | None
    tlsTimeout: float | None
    started: float
    done: Callable[[Attempt, ClientConnection], None]
    failed: Callable[[Attempt, Failure], None]
    freed: Callable[[Attempt], None]
    outbox: Outbox | None = None
    _phase: str = field(default=errors.CONNECTING, init=False)
    _over: bool = field(default=False, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)
    _connecting: Deferred[Any] | None = field(default=None, init=False)
    _connection: ClientConnection | None = field(default=None, init=False)

    def isOver(self) -> bool:
        """
        Whether the attempt has ended, or was cancelled.
        """
        return self._over

    def isEnding(self) -> bool:
        """
        Whether the attempt has ended, but its connection is not gone yet.
        """
        return self._over and (self._connection is not None or self._isLeft())

    def begin(self) -> None:
        """
        Connect.
        """
        if self.isOver():
            return
        if self.connectTimeout is not None:
            self._timer = self.clock.callLater(self.connectTimeout, self._late)
        try:
            if callable(self.endpoint):
                self.endpoint = self.endpoint()
            connecting = self.endpoint.connect(_ConnectionFactory(self, self.clock))
            if not isinstance(connecting, Deferred):
                raise TypeError(
                    f"{self.endpoint!r} returned {connecting!r}, not a Deferred"
                )
        except BaseException:
            self._fail(Failure())
            return
        self._connecting = connecting
        if self.isOver():
            # The attempt was cancelled from within the endpoint's connect().
            self._cancelEndpoint()
        connecting.addCallbacks(self._connected, self._refused)
        # The callbacks may run code of the application; an exception there must end
        # the attempt.
        connecting.addErrback(self._fail)

    def cancel(self) -> None:
        """
        Give the attempt up: the connection is no longer needed.
        """
        self._fail(Failure(CancelledError()))

    def _late(self) -> None:
        self._timer = None
        if self._phase is errors.HANDSHAKE:
            assert self.tlsTimeout is not None
            error = TimedOut(
                f"The TLS handshake took longer than {self.tlsTimeout:g} s"
            )
            self._failHandshake(Failure(error), errors.TLSTimedOut)
        else:
            self._failConnecting(f"No connection within {self.connectTimeout:g} s")

    def _elapsed(self) -> float:
        elapsed: float = self.clock.seconds() - self.started
        return elapsed

    def _connected(self, connection: Any) -> None:
        connection = _find_connection(connection)
        if self._over:
            if connection is not None:
                connection.abortConnection()
            return
        problem = self._problem()
        if connection is not None and connection.state in (
            State.CLOSED,
            State.CONNECTING,
        ):
            # The endpoint fired before there was a transport, or after it was lost.
            self._fail(problem or Failure(ConnectionLost()))
            return
        if connection is None:
            text = f"{self.endpoint!r} did not return the protocol of its factory"
            self._fail(Failure(TypeError(text)))
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
        if self.tlsTimeout is not None:
            self._timer = self.clock.callLater(self.tlsTimeout, self._late)

    def _problem(self) -> Failure | None:
        """
        Why TLS can not begin, if an endpoint of this package has a reason.
        """
        return getattr(self.endpoint, "problem", None)

    def _refused(self, reason: Failure) -> None:
        if self._over:
            return
        if type(reason.value) is TwistedTimeoutError:
            # An address did not answer within the time of its endpoint.
            self._failConnecting("The connection was not made in time")
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
        The transport is connected.  Drop it if the attempt has ended already, or if
        TLS can not begin.
        """
        # The endpoint must not be cancelled here: its Deferred is about to fire.
        if self._over or self._problem() is not None:
            connection.abortConnection()

    def connectionIdle(self, connection: ClientConnection) -> None:
        """
        Never called: the pool becomes the owner before a connection is idle.
        """

    # connectionGone follows, with the reason.
    connectionClosing = connectionIdle

    def connectionGone(self, connection: ClientConnection, reason: Failure) -> None:
        """
        The connection was lost during the handshake.
        """
        if self._connection is not connection:
            return
        self._connection = None
        if self._over:
            # The attempt had ended already; the slot is free only now.
            self.freed(self)
            return
        proxy = getattr(self.endpoint, "proxy", None)
        details = connection.handshakeDetails
        self._failHandshake(explain_handshake(reason, details, proxy))

    # -- the end ------------------------------------------------------------

    def _ready(self, connection: ClientConnection) -> None:
        problem = check_transport(connection.transport)
        if problem is not None:
            self._failHandshake(Failure(problem))
            return
        self._finish()
        self._connection = None
        self.done(self, connection)

    def _failConnecting(self, text: str) -> None:
        error = ConnectTimedOut(text)
        self._fail(errors.phased(error, self._phase, self._elapsed()))

    def _failHandshake(self, reason: Failure, kind: Any = errors.TLSFailed) -> None:
        self._fail(errors.wrap(kind, errors.HANDSHAKE, self._elapsed(), reason))

    def _fail(self, reason: Failure) -> None:
        if self._over:
            return
        self._finish()
        # Callers catch the errors of twisted.internet: they are not wrapped, but get
        # the phase and the time as attributes.
        reason = errors.adopt(reason, self._phase, self._elapsed())
        whose = "proxy" if self._phase is errors.CONNECTING else "peer"
        proxy = getattr(self.endpoint, whose, None)
        if isinstance(proxy, str):
            reason = errors.blame(reason, proxy)
        connection = self._connection
        if connection is None and self._connecting is not None:
            self._cancelEndpoint()
        if connection is not None:
            connection.abortConnection()
        elif self._isLeft():
            self._connecting.whenGone = partial(self.freed, self)  # type: ignore[union-attr]
        else:
            self.freed(self)
        self.failed(self, reason)

    def _isLeft(self) -> bool:
        """
        Whether the endpoint has a connection of its own that is not gone yet.
        """
        return isinstance(self._connecting, Connecting) and not self._connecting.isGone

    def _cancelEndpoint(self) -> None:
        # An endpoint that raises when cancelled must not keep its slot.
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
