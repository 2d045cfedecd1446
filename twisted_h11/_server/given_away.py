"""
Connections that belong to another protocol now: WebSockets, tunnels.

Nothing of this package is between the transport and its new protocol, and the transport
may get a third one.  So the end of the connection is noticed by replacing the
transport's C{connectionLost}, which is called from below.  Until then the connection
counts for the site, and L{GivenAway} represents it.  A connection whose transport has
no such method (no transport of Twisted's reactors) does not count any more.

The bounds of requests and the time-outs do not apply to it.  When the site drains, its
protocol is told to close, if it has a known method for that; any other connection is
aborted when the time for draining is over.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from twisted.internet.interfaces import IAddress

from twisted_h11._boundary.guarded import guarded
from twisted_h11._server.states import Phase
from twisted_h11.interfaces import IDrainable

__all__ = ["GivenAway", "give_away"]

GOING_AWAY = 1001
"""
The status of a WebSocket whose server goes down (RFC 6455 section 7.4.1).
"""

# Methods of twisted.web.websocket.WebSocketTransport and autobahn's WebSocketProtocol.
_TWISTEDS = ("sendTextMessage", "sendBytesMessage", "ping", "loseConnection")
_AUTOBAHNS = ("sendMessage", "sendPing", "sendCloseFrame")


def _has(protocol: Any, names: tuple[str, ...]) -> bool:
    return all(callable(getattr(protocol, name, None)) for name in names)


class _Register(Protocol):
    """
    The site's register, as a connection uses it.
    """

    def moved(self, old: Any, new: Any) -> None:
        """
        Replace C{old} by C{new}.
        """

    def gone(self, connection: Any) -> None:
        """
        Remove a connection that has ended.
        """


class GivenAway:
    """
    A connection that was given away, in the site's register.

    @param register: the register.
    @param transport: the transport.
    @param protocol: its new protocol; C{None} to use the transport's attribute
        C{wrappedProtocol} or C{protocol}.
    """

    __slots__ = (
        *("_asked", "_own", "_protocol", "_register", "_tell", "_transport"),
        "countedHost",
    )

    def __init__(self, register: _Register, transport: Any, protocol: Any) -> None:
        self.countedHost: str | None = None
        self._register = register
        self._transport = transport
        self._protocol = protocol
        self._tell: Callable[..., object] | None = None
        self._own: Any = None
        self._asked = False

    def takePlace(self, channel: Any) -> None:
        """
        Replace the channel in the register, until the connection ends.

        @param channel: the channel that had the connection.
        """
        transport = self._transport
        tell = getattr(transport, "connectionLost", None)
        if callable(tell):
            self._own = getattr(transport, "__dict__", {}).get("connectionLost")
            try:
                transport.connectionLost = self._lost
            except AttributeError:
                # The attribute can not be set.
                tell = None
        if tell is None:
            self._register.gone(channel)
        else:
            self._tell = tell
            self._register.moved(channel, self)

    def _lost(self, *reason: Any) -> None:
        """
        Replaces the C{connectionLost} of the transport.
        """
        tell, transport = self._tell, self._transport
        assert tell is not None
        self._tell = self._protocol = None
        if self._own is None:
            del transport.connectionLost
        else:
            transport.connectionLost = self._own
        try:
            tell(*reason)
        finally:
            self._register.gone(self)

    def getPeer(self) -> IAddress:
        """
        The address of the client.
        """
        peer: IAddress = self._transport.getPeer()
        return peer

    def drain(self, spareIdle: bool = False) -> None:
        """
        Tell the protocol to close, once, if it has a known method for that.

        @param spareIdle: ignored; this connection gets no more requests.
        """
        if self._asked:
            return
        protocol = self._protocol
        for name in ("wrappedProtocol", "protocol"):
            if protocol is None:
                protocol = getattr(self._transport, name, None)
        if IDrainable.providedBy(protocol):
            call = protocol.drain
        elif _has(protocol, _TWISTEDS):
            call = partial(protocol.loseConnection, GOING_AWAY)
        elif _has(protocol, _AUTOBAHNS):
            call = partial(protocol.sendCloseFrame, GOING_AWAY)
        else:
            return
        self._asked = True
        if not guarded("Draining a protocol", call) and self._tell is not None:
            self._transport.loseConnection()

    def phase(self) -> Phase:
        """
        What the connection is doing now, for metrics.
        """
        return Phase.GIVEN_AWAY

    def abortConnection(self) -> None:
        """
        Abort the connection at once.
        """
        self._transport.abortConnection()


def give_away(channel: Any, transport: Any, protocol: Any, drains: bool) -> None:
    """
    Count a connection that a channel has given away, until it ends.

    @param channel: the channel.
    @param transport: the channel's transport.
    @param protocol: its new protocol, or C{None}: see L{GivenAway}.
    @param drains: whether the site is draining.
    """
    given = GivenAway(channel.connections, transport, protocol)
    given.takePlace(channel)
    if drains:
        # In the next turn, when the protocol has the transport.
        channel.callLater(0, given.drain)
