"""
Giving a server connection to another protocol: Upgrade, CONNECT, WebSocket.

There are three ways: this package's C{switchProtocol}; Twisted's
C{WebSocketResource}, which calls C{_protocolUpgradeForWebsockets} and then
writes its 101 to the transport; and autobahn and daphne, which take the
transport away (C{channel.transport = None}) and make their own protocol the
transport's.  In each case bytes may arrive together with the handshake.
They belong to the successor, and are delivered to it after the response was sent.

A resource that has the transport may write to it.  What was written to the channel in
the same turn of the reactor must go first: so the methods of a shared transport that
send something are wrapped, and flush what is pending before.

A resource may also close the transport.  A transport does not close while it has a
producer, which is the channel: TLS never does, a socket not after it was full.  So the
C{loseConnection} of a shared transport is replaced by the channel's.  Its
C{loseWriteConnection} does the same where the end of the output would make an
incomplete response look complete.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from twisted.internet.interfaces import IProtocol

from twisted_h11._wire.protocol import give_trailing

__all__ = ["HandOver"]

# The attributes of a wrapper and of a socket that have its protocol.
_PROTOCOLS = ("wrappedProtocol", "protocol")


# The methods of transports that send something.
_SENDING = ("sendFileDescriptor", "startTLS", "write", "writeSequence")


class _Behind:
    """
    A method of a transport that first flushes what is pending.

    @cvar passesOn: whether sendfile may bypass this method, as it may the original.
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
    A transport that other code has, too, and may take over.

    @param channel: the channel of the transport.  The C{loseConnection} of the
        transport is replaced by the channel's, and sometimes its
        C{loseWriteConnection}.
    @param transport: the transport.
    @ivar isOrdered: whether what is pending is sent before what other code writes.
    @ivar isTaken: whether other code has taken the transport from the channel.
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
        # A transport whose attributes can not be set keeps its methods.
        with suppress(AttributeError):
            for name, method in self._ours.items():
                setattr(transport, name, method)
            self.isOrdered = True

    def _served(self) -> list[Any]:
        return [getattr(self._transport, name, None) for name in _PROTOCOLS]

    def restore(self) -> None:
        """
        Restore the transport's own methods, except those that other code has replaced
        since.
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
        Whether received bytes may still have to be delivered to a successor.
        """
        return self.isTaken or self._rest is not None

    def keep(self, successor: IProtocol, trailing: bytes) -> None:
        """
        Keep what was received for a successor until it has sent its handshake.

        @param successor: the successor.
        @param trailing: the bytes.
        """
        self._rest = (successor, trailing)

    def look(self, channel: Any) -> bool:
        """
        Check whether the transport has another protocol now.  If so, detach the
        channel, and deliver what arrived with the handshake: to the successor of
        L{keep}, or to the new protocol of a transport that was taken.

        @return: whether all of that is done.
        """
        wire, reader = channel.wire, channel.reader
        transport = self._transport
        # Called for each request: compare without making a list.
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
