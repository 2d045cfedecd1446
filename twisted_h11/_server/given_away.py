"""
Connections that belong to another protocol now: WebSockets, tunnels.

Nothing of ours is between the transport and its new protocol, and the transport may
get a third one.  So what tells us of the end is the transport itself: its
C{connectionLost}, which whatever is below it calls.  Until then the connection has its
place among those of the site, and L{GivenAway} stands for it there.  One that has no
such method (no transport of Twisted's reactors) is not ours from then on.

The bounds of requests do not hold for it, and no time-out.  When the site ends it is
asked to go away, if its protocol is one that can be asked; any other has the time of
the others, and is dropped then.
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

# What twisted.web.websocket.WebSocketTransport has; and autobahn's WebSocketProtocol.
_TWISTEDS = ("sendTextMessage", "sendBytesMessage", "ping", "loseConnection")
_AUTOBAHNS = ("sendMessage", "sendPing", "sendCloseFrame")


def _has(protocol: Any, names: tuple[str, ...]) -> bool:
    return all(callable(getattr(protocol, name, None)) for name in names)


class _Register(Protocol):
    """
    The site's register, as a connection sees it.
    """

    def moved(self, old: Any, new: Any) -> None:
        """
        C{new} takes the place of C{old}.
        """

    def gone(self, connection: Any) -> None:
        """
        A connection has ended.
        """


class GivenAway:
    """
    A connection that was given away, in the site's register.

    @param register: the register.
    @param transport: the transport.
    @param protocol: the protocol that has it; C{None} for the one that the transport
        says it has.
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
        Take the place of the channel that had the connection, until that ends.
        """
        transport = self._transport
        tell = getattr(transport, "connectionLost", None)
        if callable(tell):
            self._own = getattr(transport, "__dict__", {}).get("connectionLost")
            try:
                transport.connectionLost = self._lost
            except AttributeError:
                # It takes none from us.
                tell = None
        if tell is None:
            self._register.gone(channel)
        else:
            self._tell = tell
            self._register.moved(channel, self)

    def _lost(self, *reason: Any) -> None:
        """
        The C{connectionLost} of the transport.
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
        Ask the protocol to go away, once, if it is one that can be asked.  It is not
        idle in the sense of HTTP.
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
        What the connection is at.
        """
        return Phase.GIVEN_AWAY

    def abortConnection(self) -> None:
        """
        Drop the connection at once.
        """
        self._transport.abortConnection()


def give_away(channel: Any, transport: Any, protocol: Any, drains: bool) -> None:
    """
    Count a connection that a channel has given away, as long as it lasts.

    @param transport: what the channel had.
    @param protocol: what has it now, or C{None}: see L{GivenAway}.
    @param drains: whether the site ends already.
    """
    given = GivenAway(channel.connections, transport, protocol)
    given.takePlace(channel)
    if drains:
        # As soon as the protocol has it.
        channel.callLater(0, given.drain)
