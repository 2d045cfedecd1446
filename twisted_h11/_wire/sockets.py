"""
Writing to Twisted's sockets at once, and options of sockets.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Any

from twisted.internet import tcp
from twisted.internet.interfaces import ITCPTransport
from twisted.internet.protocol import connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.runtime import platform

__all__ = [
    "BATCH_LENGTH",
    "LONG_READ",
    "MOST_AT_ONCE",
    "MOST_PIECES",
    "close_drained",
    "end_connection",
    "is_bare_socket",
    "is_drained",
    "limit_unsent",
    "read_left",
    "read_long",
    "send_at_once",
    "write_now",
]

# Transports that are a plain socket.  Subclasses do not count: they may do more.
_BARE: set[type] = {tcp.Server, tcp.Client}
if not platform.isWindows():
    from twisted.internet import unix

    _BARE |= {unix.Server, unix.Client}

# So many bytes are joined at most before they are given to the transport.
BATCH_LENGTH = 64 * 1024

# How many pieces are given to the kernel at a time without being joined, and how
# many bytes (a mebibyte and its head), before it is another connection's turn.
MOST_PIECES = 16
MOST_AT_ONCE = 1024 * 1024 + BATCH_LENGTH

# The same for the bytes of a producer: as many as Twisted's transports send in a turn.
MOST_PRODUCED = 128 * 1024

# How many bytes of a long body are read at a time, if the body is not kept in memory.
# Twisted reads 64 KiB for each call of C{epoll}; four times that costs 0.6 as much.
LONG_READ = 256 * 1024

# How often a lost connection is read, 64 KiB at a time: kernels keep a few megabytes.
MOST_READS = 100

# How many bytes of a producer the kernel keeps before it can send them.  By default it
# takes megabytes, even if the peer does not read; a thousand producers for such peers
# would cost seconds, and gigabytes of kernel memory.
MOST_UNSENT = 256 * 1024
_UNSENT: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)


def write_now(wire: Any, data: list[bytes], whole: bool) -> None:
    """
    Write to a transport, at once if it is a bare socket with an empty buffer.

    Twisted's transports buffer what is written, and have the reactor call when the
    socket is writable.  It nearly always is; two kernel calls and a turn of the
    reactor to learn that cost more than sending.  They also send 128 KiB in a turn at
    most, and copy what they keep.  Here a long response that is complete is sent in one
    call, as far as the kernel takes it.  L{limit_unsent} limits a producer further.

    C{_tempDataLen} has no public name; a test fails if it is renamed.  Without it
    everything is written by C{writeSequence}.

    @param data: a few pieces, none of them empty.
    @param whole: whether there is no producer that will write more.
    """
    if is_drained(wire):
        # TCP only: a UNIX socket may have descriptors to send along.
        if type(wire) is tcp.Server:
            data = _gather(wire, data, MOST_AT_ONCE if whole else MOST_PRODUCED)
        else:
            data = _write_some(wire, data)
    if data:
        wire.writeSequence(data)


def is_drained(wire: Any) -> bool:
    """
    Whether a transport is a bare socket that has nothing to send.
    """
    return (
        # is_bare_socket, without the call.
        type(wire) in _BARE
        and not wire.TLS
        and wire.connected
        and not wire.dataBuffer
        and getattr(wire, "_tempDataLen", 1) == 0
    )


def close_drained(wire: Any) -> bool:
    """
    Close a bare socket within this call, if it has nothing to send, and nothing unread,
    which would cause a reset.

    C{loseConnection} closes it one event of the reactor later, after two calls of
    C{epoll_ctl}.

    @return: whether it was closed; if not, nothing was done.
    """
    if not is_drained(wire):
        return False
    try:
        if wire.getHandle().recv(1, socket.MSG_PEEK):
            return False
    except BlockingIOError:
        pass
    except OSError:
        # The reactor gets the error again, and reports it.
        return False
    wire.connectionLost(connectionDone)
    return True


def _gather(wire: Any, data: list[bytes], left: int) -> list[bytes]:
    """
    Send pieces without joining them.

    @param left: how many bytes to send at most.
    @return: what the kernel has not taken.
    """
    try:
        if len(data) == 1 and len(data[0]) <= left:
            # Nearly all responses; for one piece send() costs less than sendmsg().
            sent: int = wire.getHandle().send(data[0])
            if sent == len(data[0]):
                return []
        else:
            sent = wire.getHandle().sendmsg(_first(data, left))
    except OSError:
        # The reactor gets the error again, and reports it.
        return data
    return _overrun(data, sent)


def _first(data: list[bytes], left: int) -> list[bytes | memoryview]:
    """
    @return: the first C{left} bytes of C{data}.
    """
    pieces: list[bytes | memoryview] = []
    for piece in data:
        pieces.append(piece if len(piece) <= left else memoryview(piece)[:left])
        left -= len(piece)
        if left <= 0:
            break
    return pieces


def _write_some(wire: Any, data: list[bytes]) -> list[bytes]:
    """
    Send the first bytes by the method of Twisted's transports for it.

    @return: what the kernel has not taken.
    """
    if len(data) > 1 and sum(map(len, data)) <= MOST_PRODUCED:
        data = [b"".join(data)]
    if len(data) > 1:
        return data
    # An error: the reactor gets it again, and reports it.
    sent = wire.writeSomeData(data[0])
    return _overrun(data, sent) if type(sent) is int and sent > 0 else data


def _overrun(data: list[bytes], sent: int) -> list[bytes]:
    """
    @return: what is left of C{data} without its first C{sent} bytes.
    """
    for place, piece in enumerate(data):
        if sent < len(piece):
            return [piece[sent:], *data[place + 1 :]]
        sent -= len(piece)
    return []


def send_at_once(transport: Any) -> None:
    """
    Set C{TCP_NODELAY} if the transport is TCP: the kernel sends small writes at once.
    """
    if ITCPTransport.providedBy(transport):
        # In Twisted 24.7 a UNIX socket provides ITCPTransport.
        with contextlib.suppress(OSError):
            transport.setTcpNoDelay(True)


def read_long(transport: Any, long: bool) -> None:
    """
    Have a bare socket read up to L{LONG_READ} bytes at a time, or Twisted's default.

    @param long: whether to read L{LONG_READ}.
    """
    if is_bare_socket(transport):
        transport.bufferSize = LONG_READ if long else type(transport).bufferSize


def limit_unsent(wire: Any) -> None:
    """
    Have the kernel keep no more than L{MOST_UNSENT} bytes that it can not send yet,
    if the transport is a bare socket and the system has C{TCP_NOTSENT_LOWAT}.
    """
    if _UNSENT is not None and is_bare_socket(wire):
        # A UNIX socket has no such option, and keeps little.
        with contextlib.suppress(OSError):
            wire.getHandle().setsockopt(socket.IPPROTO_TCP, _UNSENT, MOST_UNSENT)


def is_bare_socket(transport: object) -> bool:
    """
    Whether a transport is a TCP or UNIX socket and nothing else.

    Decided by its exact class and its C{TLS} flag (set by C{startTLS}), not by
    the presence of C{fileno} or C{loseWriteConnection}: wrappers forward those.
    """
    return type(transport) in _BARE and not transport.TLS  # type: ignore[attr-defined]


def read_left(transport: Any, isWanted: Callable[[], bool]) -> None:
    """
    Read what the kernel has received on a connection that is about to be lost because
    nothing can be written: Twisted would close the socket without reading it.

    @param transport: a socket, or TLS on one; nothing happens on others.
    @param isWanted: whether to read more.
    """
    while isinstance(transport, TLSMemoryBIOProtocol):
        transport = transport.transport
    if is_bare_socket(transport):
        for _ in range(MOST_READS):
            if not isWanted() or transport.doRead() is not None:
                return


def end_connection(transport: Any) -> None:
    """
    Abort the connection of a transport, or lose it if it has no C{abortConnection}.
    """
    abort = getattr(transport, "abortConnection", None)
    if abort is not None:
        abort()
    else:
        transport.loseConnection()
