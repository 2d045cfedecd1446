"""
The bounds on connections: how many in all, and how many from one address.

A refused connection does not count for these bounds, so a new connection is served as
soon as an accepted one has ended.  It keeps a descriptor, though, while it gets its 503
and a lingering close.  So only C{Limits.maxRefusedConnections} at a time get a 503;
further ones are closed at once.  A flood of them gets two lines in the log in all.

The descriptors of the process are a bound, too.  A process without free descriptors
can not accept, open a file or keep a long body; so some are kept free.

Most transports have the address of their peer from the beginning.  With the PROXY
protocol it comes in the first bytes (L{tells_late}): until then the connection counts
for no address.
"""

from __future__ import annotations

import enum
from collections import Counter
from typing import Any

from twisted.internet import tcp
from twisted.internet.error import ConnectionAborted
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from twisted_h11._boundary.descriptors import descriptor_limit, spare_descriptors
from twisted_h11._boundary.handshakes import prepare_handshake
from twisted_h11._server.states import Reading, Wait
from twisted_h11.limits import Limits

__all__ = [
    "Admission",
    "Verdict",
    "arrive",
    "close_now",
    "finish_handshake",
    "first_bytes",
    "report_dropped",
    "tells_late",
]


class Verdict(enum.Enum):
    """
    The decision about a new connection.
    """

    TAKEN = enum.auto()
    """
    It is served.
    """

    LATE = enum.auto()
    """
    It is served; call L{Admission.known} when its first bytes have arrived.
    """

    REFUSED = enum.auto()
    """
    It gets a 503.
    """

    DROPPED = enum.auto()
    """
    It is closed at once.
    """


def tells_late(transport: Any) -> Any:
    """
    Find a wrapper that reads the address of the peer from the first bytes, as Twisted's
    C{haproxy:} endpoints do.

    @param transport: the transport of a connection.
    @return: the wrapper, or C{None}.
    """
    layer = transport
    while isinstance(layer, ProtocolWrapper):
        if type(layer).getPeer is not ProtocolWrapper.getPeer:
            return layer
        layer = layer.transport
    return None


def close_now(transport: Any) -> None:
    """
    Close the descriptor of an aborted connection within this call.

    Twisted closes it in the next turn of the reactor, and may accept more than a
    hundred connections in this one.
    """
    socket = _below(transport)
    if isinstance(socket, tcp.Connection):
        socket.connectionLost(Failure(ConnectionAborted()))


def report_dropped(log: Logger, transport: Any) -> None:
    """
    Log the end of a connection that has received nothing, if the reason is that it did
    not begin with a line of the PROXY protocol.
    """
    late = tells_late(transport)
    if late is None or getattr(late, "tellsOfDropped", False):
        return
    if late.disconnecting:
        log.info(
            "Dropped a connection from {peer}: it did not begin with a line of the "
            "PROXY protocol",
            peer=transport.getPeer(),
        )


def _below(transport: Any) -> Any:
    """
    The transport below all wrappers.
    """
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return transport


class Admission:
    """
    The connections of one site, and the decisions about new ones.

    @ivar connections: all open connections, including the refused ones.
    @ivar hosts: how many connections were accepted, for each counted address.
    """

    _log = Logger()

    def __init__(self) -> None:
        self.connections: set[Any] = set()
        self.hosts: Counter[str] = Counter()
        self._refused: set[Any] = set()
        self._dropped = 0
        self._capacity: int | None = None
        self._usedUp = False

    def start(self, limits: Limits) -> None:
        """
        Read how many descriptors this process may have; warn if they are too few.
        """
        self._capacity = capacity = _capacity()
        most = limits.maxConnections
        if capacity is not None and (most is None or most > capacity):
            self._log.warn(
                "maxConnections is {most}, but this process may have only {limit} "
                "descriptors: no more than {capacity} connections are taken at a "
                "time. Allow it more (ulimit -n, LimitNOFILE=), or lower "
                "maxConnections.",
                most=most,
                limit=descriptor_limit(),
                capacity=capacity,
            )

    def made(self, channel: Any, transport: Any, limits: Limits) -> Verdict:
        """
        Decide about a new connection.

        @param channel: its channel, which has C{getPeer}; C{countedHost} is set on it.
        @param transport: its transport.
        @param limits: the bounds.
        """
        connections = self.connections
        if channel in connections:
            # It was registered by moved().
            return Verdict.TAKEN
        connections.add(channel)
        count = len(connections)
        if self._capacity is not None and count > self._capacity:
            if self._hasNoDescriptors(count):
                self._refused.add(channel)
                return Verdict.DROPPED
        most = limits.maxConnections
        if most is not None and count - len(self._refused) > most:
            return self._refuse(channel, limits)
        if isinstance(transport, ProtocolWrapper) and tells_late(transport) is not None:
            return Verdict.LATE
        if limits.maxConnectionsPerPeer is None:
            return Verdict.TAKEN
        verdict = self._count(channel, limits)
        if verdict is Verdict.TAKEN and not isinstance(
            _below(transport), tcp.Connection
        ):
            # An unknown transport may have another peer address after the first bytes.
            return Verdict.LATE
        return verdict

    def known(self, channel: Any, limits: Limits) -> Verdict:
        """
        Decide again when the first bytes have arrived: the address is final now.
        """
        self._uncount(channel)
        return self._count(channel, limits)

    def moved(self, old: Any, new: Any) -> None:
        """
        Replace an accepted connection by its successor.
        """
        self.connections.discard(old)
        self.connections.add(new)
        new.countedHost, old.countedHost = old.countedHost, None

    def gone(self, channel: Any) -> bool:
        """
        Remove a connection that has ended, or whose end will not be noticed.

        @return: whether it was the last one.
        """
        connections = self.connections
        connections.discard(channel)
        self._uncount(channel)
        if self._refused:
            self._refused.discard(channel)
            if self._dropped and not self._refused:
                self._log.warn(
                    "{dropped} connections above the limit were closed without a "
                    "response",
                    dropped=self._dropped,
                )
                self._dropped = 0
        if self._usedUp and len(connections) <= (self._capacity or 0) // 2:
            self._usedUp = False
        return not connections

    def _count(self, channel: Any, limits: Limits) -> Verdict:
        most = limits.maxConnectionsPerPeer
        host = getattr(channel.getPeer(), "host", None)
        if most is None or host is None:
            return Verdict.TAKEN
        if self.hosts[host] >= most:
            return self._refuse(channel, limits)
        channel.countedHost = host
        self.hosts[host] += 1
        return Verdict.TAKEN

    def _uncount(self, channel: Any) -> None:
        host = channel.countedHost
        if host is not None:
            channel.countedHost = None
            self.hosts[host] -= 1
            if not self.hosts[host]:
                del self.hosts[host]

    def _refuse(self, channel: Any, limits: Limits) -> Verdict:
        refused = self._refused
        refused.add(channel)
        if len(refused) <= limits.maxRefusedConnections:
            return Verdict.REFUSED
        if not self._dropped:
            self._log.warn(
                "There are too many connections: {refused} are being refused with a "
                "response, further ones are closed without one",
                refused=len(refused) - 1,
            )
        self._dropped += 1
        return Verdict.DROPPED

    def _hasNoDescriptors(self, count: int) -> bool:
        """
        Whether no descriptor is left for this connection.  Logged once, until half of
        the connections have ended.
        """
        # The limit may have been raised meanwhile.
        self._capacity = capacity = _capacity()
        if capacity is None or count <= capacity:
            return False
        if not self._usedUp:
            self._usedUp = True
            self._log.error(
                "The descriptors of this process are used up ({limit}): further "
                "connections are closed until others have ended",
                limit=descriptor_limit(),
            )
        return True


def _capacity() -> int | None:
    """
    How many connections the descriptors of this process allow; C{None} without a limit.
    """
    limit = descriptor_limit()
    return None if limit is None else max(limit - spare_descriptors(limit), 1)


# -- connections of HTTP/1.1 ----------------------------------------------------------


def arrive(channel: Any) -> None:
    """
    Register a new connection, and wait for the TLS handshake or for the first byte.
    """
    transport = channel.wire.transport
    prepare_handshake(transport)
    verdict = channel.connections.made(channel, transport, channel.limits)
    if verdict is Verdict.LATE:
        channel.reader.state = Reading.FIRST
    elif verdict is not Verdict.TAKEN:
        _turn_away(channel, verdict)
        return
    if channel.isSecure():
        channel.reader.shareTurns()
        channel.wire.arm(channel.limits.handshakeTimeout, Wait.HANDSHAKE)
    else:
        _wait_for_first_byte(channel)


def finish_handshake(channel: Any) -> None:
    """
    The TLS handshake is over, and what precedes it has arrived: wait for the first
    byte.
    """
    if channel.reader.state is Reading.FIRST:
        channel.dataReceived(b"")
    waiting = channel.wire.waiting
    if waiting in (None, Wait.HANDSHAKE) and channel.wire.closing is None:
        _wait_for_first_byte(channel)


def first_bytes(channel: Any) -> bool:
    """
    The first bytes have arrived: count the connection for its peer's final address.

    @return: whether the connection is served.
    """
    verdict = channel.connections.known(channel, channel.limits)
    if verdict is Verdict.TAKEN:
        return True
    _turn_away(channel, verdict)
    return False


def _wait_for_first_byte(channel: Any) -> None:
    limits, own = channel.limits, channel.timeOut
    timeout = limits.firstByteTimeout
    if own != limits.idleTimeout:
        # C{timeOut} was changed, of the site or of the channel: as in twisted.web, it
        # also bounds this wait.
        timeout = None if own is None or timeout is None else min(timeout, own)
    channel.wire.arm(timeout, Wait.IDLE)


def _turn_away(channel: Any, verdict: Verdict) -> None:
    """
    Refuse a connection with 503, or close it at once.
    """
    if verdict is Verdict.REFUSED:
        channel.refuse(503, "There are too many connections.")
        return
    transport = channel.wire.transport
    channel.abortConnection()
    close_now(transport)
