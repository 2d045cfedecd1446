"""
Sockets of Twisted's, written to at once.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import ITCPTransport
from twisted.python.runtime import platform

__all__ = [
    "BATCH_LENGTH",
    "LONG_READ",
    "MOST_PIECES",
    "end_connection",
    "is_bare_socket",
    "limit_unsent",
    "read_long",
    "send_at_once",
    "write_now",
]

# Transports that are a socket; a subclass may do anything.
_BARE: set[type] = {tcp.Server, tcp.Client}
if not platform.isWindows():
    from twisted.internet import unix

    _BARE |= {unix.Server, unix.Client}

# How much is joined before it is given to the transport all the same.
BATCH_LENGTH = 64 * 1024

# How many pieces are given to the kernel at a time without being joined, and how
# many bytes (a mebibyte and its head), before it is another connection's turn.
MOST_PIECES = 16
MOST_AT_ONCE = 1024 * 1024 + BATCH_LENGTH

# The same of what a producer writes: as many as a transport of Twisted's sends in a
# turn.
MOST_PRODUCED = 128 * 1024

# How much of a long body is read at a time, where nothing of it is kept.  Twisted reads
# 64 KiB and then asks C{epoll} again; four times that is done at 0.6 of the price.
LONG_READ = 256 * 1024

# How much of what a producer writes the kernel keeps before it can be sent.  Left
# to itself it takes megabytes, whether or not the peer reads; a thousand producers
# for peers that do not would cost seconds, and gigabytes of its memory.
MOST_UNSENT = 256 * 1024
_UNSENT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)


def write_now(wire: Any, data: list[bytes], whole: bool) -> None:
    """
    Write to a transport: at once, if it is a bare socket that has nothing else
    to send.

    A transport of Twisted's takes down what is written, and asks the reactor to
    call when the socket is ready.  It nearly always is ready; two calls of the
    kernel and a turn of the reactor only to be told so cost more than sending.
    It also sends 128 KiB in a turn at most, and copies what it keeps: a long
    response that is all here goes out in one call, as far as the kernel takes it.
    What a producer writes is limited further (L{limit_unsent}).

    C{_tempDataLen} has no public name; a test fails if it gets another one.
    Without it everything goes by C{writeSequence}.

    @param data: a few pieces, none of them empty.
    @param whole: whether no producer has more.
    """
    if (
        is_bare_socket(wire)
        and wire.connected
        and not wire.dataBuffer
        and getattr(wire, "_tempDataLen", 1) == 0
    ):
        sent: Any = 0
        # A UNIX socket may have descriptors to send along with the bytes.
        if type(wire) is tcp.Server:
            sent = _gather(wire, data, MOST_AT_ONCE if whole else MOST_PRODUCED)
        else:
            if len(data) > 1 and sum(map(len, data)) <= MOST_PRODUCED:
                data = [b"".join(data)]
            if len(data) == 1:
                sent = wire.writeSomeData(data[0])
        # Whatever fails here fails again when the reactor tries, and is told then.
        if type(sent) is int and sent > 0:
            data = _overrun(data, sent)
    if data:
        wire.writeSequence(data)


def _gather(wire: Any, data: list[bytes], left: int) -> int:
    """
    Send pieces without joining them.

    @param left: how many bytes, at most.
    @return: how many bytes the kernel has taken.
    """
    pieces: list[bytes | memoryview] = []
    for piece in data:
        pieces.append(piece if len(piece) <= left else memoryview(piece)[:left])
        left -= len(piece)
        if left <= 0:
            break
    try:
        sent: int = wire.getHandle().sendmsg(pieces)
    except OSError:
        sent = 0
    return sent


def _overrun(data: list[bytes], sent: int) -> list[bytes]:
    """
    What is left of pieces of which so many bytes are gone.
    """
    for place, piece in enumerate(data):
        if sent < len(piece):
            return [piece[sent:], *data[place + 1 :]]
        sent -= len(piece)
    return []


def send_at_once(transport: Any) -> None:
    """
    Have the kernel send small writes at once, if it is TCP.
    """
    if ITCPTransport.providedBy(transport):
        # Twisted 24.7 says that a UNIX socket is TCP.
        with contextlib.suppress(OSError):
            transport.setTcpNoDelay(True)


def read_long(transport: Any, long: bool) -> None:
    """
    Have a bare socket read up to L{LONG_READ} at a time, or as much as others do.
    """
    if is_bare_socket(transport):
        transport.bufferSize = LONG_READ if long else type(transport).bufferSize


def limit_unsent(wire: Any) -> None:
    """
    Have the kernel keep no more than L{MOST_UNSENT} that it can not send yet, if
    the transport is a bare socket and the system knows how to do that.
    """
    if _UNSENT is not None and is_bare_socket(wire):
        # A UNIX socket has no such option, and keeps little.
        with contextlib.suppress(OSError):
            wire.getHandle().setsockopt(socket.IPPROTO_TCP, _UNSENT, MOST_UNSENT)


def is_bare_socket(transport: object) -> bool:
    """
    Whether a transport is a TCP or UNIX socket and nothing else.

    Judged by its very class and by its C{TLS} flag (set by C{startTLS}), never by
    the presence of C{fileno} or C{loseWriteConnection}: wrappers forward those.
    """
    return type(transport) in _BARE and not transport.TLS  # type: ignore[attr-defined]


def end_connection(transport: Any) -> None:
    """
    End the connection of a transport, at once where it knows how to.
    """
    abort = getattr(transport, "abortConnection", None)
    if abort is not None:
        abort()
    else:
        transport.loseConnection()
