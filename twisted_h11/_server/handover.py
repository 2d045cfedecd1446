"""
Giving a server connection to another protocol: Upgrade, CONNECT, WebSocket.

Three ways lead here.  Our own C{switchProtocol}; Twisted's
C{WebSocketResource}, which calls C{_protocolUpgradeForWebsockets} and then
writes its 101 to the transport; and autobahn's and daphne's, which take the
transport away (C{channel.transport = None}) and make their own protocol the
transport's.  In each case bytes may have come together with the handshake.
They belong to the new protocol, and reach it after the response has gone out.

Whoever has the transport may write to it.  What was written to the channel in the same
turn of the reactor goes first: those methods of a transport that we have shown that
send something have what is pending written before they do.

Whoever has the transport may also close it.  A transport does not close while
it waits for its producer, which is us: TLS for ever, a socket once it was full.
So C{loseConnection} of a transport that we have shown is ours, and means the
same as the channel's.  So does its C{loseWriteConnection} where the end of the
output would make a response that is not complete look as if it were.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.interfaces import IProtocol

from twisted_h11._wire.protocol import give_trailing

__all__ = ["HandOver"]

# Where a transport has its protocol: a wrapper, and a socket.
_PROTOCOLS = ("wrappedProtocol", "protocol")


# What sends something, of any transport.
_SENDING = ("sendFileDescriptor", "startTLS", "write", "writeSequence")


class _Behind:
    """
    A method of a transport, called when all that is pending was written.

    @cvar passesOn: nothing that it does is left out by a shorter way.
    """

    __slots__ = ("_method", "_wire")

    passesOn = True

    def __init__(self, wire: Any, method: Callable[..., Any]) -> None:
        self._wire = wire
        self._method = method

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._wire.pending:
            self._wire.flush()
        return self._method(*args, **kwargs)


def _halve(channel: Any, halve: Callable[[], None]) -> None:
    channel.wire.flush()
    cycle = channel.cycle
    cut = cycle is not None and cycle.endsWithConnection()
    (channel.loseConnection if cut else halve)()


class HandOver:
    """
    A transport that others have, too, and that one of them may take.

    @param channel: the channel that has it.  The C{loseConnection} of the transport
        is the channel's from now on, and sometimes its C{loseWriteConnection}.
    @param transport: the transport.
    @ivar isOrdered: whether what is pending goes before what others write.
    @ivar isTaken: whether somebody has taken it from the channel.
    """

    __slots__ = (
        "_before",
        "_ours",
        "_protocol",
        "_rest",
        "_transport",
        "_wrapped",
        "isOrdered",
        "isTaken",
    )

    def __init__(self, channel: Any, transport: Any) -> None:
        self._transport = transport
        self._wrapped, self._protocol = self._served()
        self._ours: dict[str, Any] = {"loseConnection": channel.loseConnection}
        halve = getattr(transport, "loseWriteConnection", None)
        if halve is not None:
            self._ours["loseWriteConnection"] = partial(_halve, channel, halve)
        for name in _SENDING:
            method = getattr(transport, name, None)
            if method is not None:
                self._ours[name] = _Behind(channel.wire, method)
        own = getattr(transport, "__dict__", {})
        self._before = {name: own[name] for name in self._ours if name in own}
        self._rest: tuple[IProtocol, bytes] | None = None
        self.isTaken = self.isOrdered = False
        # One that takes no attributes keeps its own.
        with suppress(AttributeError):
            for name, method in self._ours.items():
                setattr(transport, name, method)
            self.isOrdered = True

    def _served(self) -> list[Any]:
        return [getattr(self._transport, name, None) for name in _PROTOCOLS]

    def restore(self) -> None:
        """
        The transport's methods are its own again, unless somebody else has changed
        them since.
        """
        ours, self._ours = self._ours, {}
        own = getattr(self._transport, "__dict__", {})
        for name, method in ours.items():
            if own.get(name) == method:
                delattr(self._transport, name)
                if name in self._before:
                    setattr(self._transport, name, self._before[name])

    @property
    def isPending(self) -> bool:
        """
        Whether something is still to be delivered.
        """
        return self.isTaken or self._rest is not None

    def keep(self, successor: IProtocol, trailing: bytes) -> None:
        """
        Keep what was received for a successor until it has sent its handshake.
        """
        self._rest = (successor, trailing)

    def look(self, channel: Any) -> bool:
        """
        If the transport serves another protocol than it did, then have the channel let
        go of it, and give the successor what came with the handshake: the one that
        L{keep} names, or the protocol that the transport has now if it was taken.

        @return: whether all of that is done.
        """
        wire, reader = channel.wire, channel.reader
        transport = self._transport
        # For each request: without a list.
        if wire.transport is not None and (
            getattr(transport, "protocol", None) is not self._protocol
            or getattr(transport, "wrappedProtocol", None) is not self._wrapped
        ):
            channel.transport = None
        if wire.transport is not None or reader.isAdvancing:
            return False
        if self._rest is not None:
            give_trailing(self._rest[0], self._transport, self._rest[1])
        trailing = reader.takeUnread()
        reader.end()
        if self.isTaken and trailing:
            for successor in self._served():
                if successor is not None and successor is not channel:
                    give_trailing(successor, self._transport, trailing)
                    break
        return True
