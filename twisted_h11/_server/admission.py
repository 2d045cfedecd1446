"""
Which connections are taken: how many in all, and how many from one address.

A connection that is refused is no connection of the site's: it takes no place, so
that a newcomer is served as soon as one of those that were taken has gone.  It has
a descriptor, though, as long as it is told why (503, and a lingering close).  So
only C{Limits.maxRefusedConnections} at a time are told; any further one is closed
at once.  A flood of them gets two lines in the log, not two for each.

Nor are more taken than there are descriptors for.  A process that has none left can
not accept, open a file or keep a long body; so some are left for that.

Most transports know their peer from the beginning.  One that speaks the PROXY
protocol learns it with the first bytes (L{tells_late}): until then the connection is
not counted for any address.
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
    What becomes of a connection.
    """

    TAKEN = enum.auto()
    """
    It is served.
    """

    LATE = enum.auto()
    """
    It is served; L{Admission.known} is to be called with its first bytes.
    """

    REFUSED = enum.auto()
    """
    It is told that there are too many.
    """

    DROPPED = enum.auto()
    """
    It is closed at once.
    """


def tells_late(transport: Any) -> Any:
    """
    What learns the address of the peer from the first bytes that it sends, as
    Twisted's C{haproxy:} endpoints do.

    @param transport: the transport of a connection.
    @return: the wrapper that does, or C{None}.
    """
    layer = transport
    while isinstance(layer, ProtocolWrapper):
        if type(layer).getPeer is not ProtocolWrapper.getPeer:
            return layer
        layer = layer.transport
    return None


def close_now(transport: Any) -> None:
    """
    Give back the descriptor of a connection that was aborted, in this very call.

    Twisted does that in the next turn of the reactor, and may accept more than a
    hundred connections in this one.
    """
    socket = _below(transport)
    if isinstance(socket, tcp.Connection):
        socket.connectionLost(Failure(ConnectionAborted()))


def report_dropped(log: Logger, transport: Any) -> None:
    """
    A connection has ended before anything came: say so, if that is because the
    wrapper that waited for a line of the PROXY protocol got something else.
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
    The transport below all that wraps it.
    """
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    return transport


class Admission:
    """
    The connections of one site.

    @ivar connections: all that are there, those included that were refused and are
        not gone yet.
    @ivar hosts: how many were taken, for each address that is counted.
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
        Look at how many descriptors this process may have.
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
        A connection has begun.

        @param channel: who is asked for its C{getPeer}, and gets C{countedHost}.
        @param transport: its transport.
        @param limits: the bounds.
        """
        connections = self.connections
        if channel in connections:
            # It has taken over the place of another one.
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
            # Who knows what it is, and what it will say then.
            return Verdict.LATE
        return verdict

    def known(self, channel: Any, limits: Limits) -> Verdict:
        """
        The first bytes of a connection have come: its address will not change.
        """
        self._uncount(channel)
        return self._count(channel, limits)

    def moved(self, old: Any, new: Any) -> None:
        """
        Another protocol has the place of one that was taken.
        """
        self.connections.discard(old)
        self.connections.add(new)
        new.countedHost, old.countedHost = old.countedHost, None

    def gone(self, channel: Any) -> bool:
        """
        A connection has ended, or belongs to another protocol now.

        @return: whether it was the last one.
        """
        connections = self.connections
        connections.discard(channel)
        self._uncount(channel)
        if self._refused:
            self._refused.discard(channel)
            if self._dropped and not self._refused:
                self._log.warn(
                    "{dropped} connections too many were closed without an answer",
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
                "There are too many connections, and {refused} are being told so: "
                "further ones are closed without an answer",
                refused=len(refused) - 1,
            )
        self._dropped += 1
        return Verdict.DROPPED

    def _hasNoDescriptors(self, count: int) -> bool:
        """
        Whether there is none for this connection; said once, until half of the
        connections have gone.
        """
        # Somebody may have allowed us more in the meantime.
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
    For how many connections there are descriptors.
    """
    limit = descriptor_limit()
    return None if limit is None else max(limit - spare_descriptors(limit), 1)


# -- for a connection of HTTP/1.1 -----------------------------------------------------


def arrive(channel: Any) -> None:
    """
    The connection is made: ask for a place, and wait for the handshake, if there is
    one, or for the first byte.
    """
    transport = channel.wire.transport
    verdict = channel.connections.made(channel, transport, channel.limits)
    if verdict is Verdict.LATE:
        channel.reader.state = Reading.FIRST
    elif verdict is not Verdict.TAKEN:
        _turn_away(channel, verdict)
        return
    if channel.isSecure():
        channel.wire.arm(channel.limits.handshakeTimeout, Wait.HANDSHAKE)
    else:
        _wait_for_first_byte(channel)


def finish_handshake(channel: Any) -> None:
    """
    The TLS handshake is over, so that what comes before it has come: wait for the
    first byte.
    """
    if channel.reader.state is Reading.FIRST:
        channel.dataReceived(b"")
    waiting = channel.wire.waiting
    if waiting in (None, Wait.HANDSHAKE) and channel.wire.closing is None:
        _wait_for_first_byte(channel)


def first_bytes(channel: Any) -> bool:
    """
    The first bytes are here, and with them, however it was learnt, the address of the
    peer.

    @return: whether there is still a place.
    """
    verdict = channel.connections.known(channel, channel.limits)
    if verdict is Verdict.TAKEN:
        return True
    _turn_away(channel, verdict)
    return False


def _wait_for_first_byte(channel: Any) -> None:
    timeout = channel.limits.firstByteTimeout
    if timeout is not None and channel.timeOut is not None:
        timeout = min(timeout, channel.timeOut)
    channel.wire.arm(None if channel.timeOut is None else timeout, Wait.IDLE)


def _turn_away(channel: Any, verdict: Verdict) -> None:
    """
    There are too many connections: say so, or end this one at once.
    """
    if verdict is Verdict.REFUSED:
        channel.refuse(503, "There are too many connections.")
        return
    transport = channel.wire.transport
    channel.abortConnection()
    close_now(transport)
