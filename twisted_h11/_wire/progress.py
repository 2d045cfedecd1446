"""
The progress of a peer: how fast it sends, and how fast it takes.

With a time-out that every byte pushes forward, a trickle of bytes keeps a
connection for ever.  So a body must arrive, and a response be taken, at a least
rate, checked every C{Limits.rateWindow} seconds.  The rates are so low that a slow,
large, live transfer is never cut.

A Twisted transport can not tell how much of a response a peer has taken.  The kernel
can: C{TCP_INFO} counts acknowledged bytes.  For other sockets the bytes that the
transport still keeps are counted.  Where neither is available, a transport that asks
for more counts as progress.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from twisted.internet.abstract import FileDescriptor

__all__ = ["bytes_taken", "bytes_unsent", "is_on_the_way", "makes_progress"]

# struct tcp_info: tcpi_bytes_acked, since Linux 4.1.
_ACKED_OFFSET = 120
_ACKED = struct.Struct("=Q")

# tcpi_unacked, in segments; tcpi_notsent_bytes, since Linux 4.6.
_UNACKED_OFFSET, _NOT_SENT_OFFSET = 24, 144
_COUNT = struct.Struct("=I")


# More wrappers than a real connection has.
MOST_WRAPPERS = 20


def bytes_taken(transport: Any) -> int | None:
    """
    How many bytes a peer has taken so far, from any starting point.

    @param transport: a transport; wrappers, TLS among them, are looked through.
    @return: a count that grows as the peer takes what was written, or C{None}
        where it is not known.
    """
    transport = _lowest(transport)
    if isinstance(transport, FileDescriptor):
        acked = _acknowledged(transport)
        return -_waiting(transport) if acked is None else acked
    return None


def makes_progress(
    before: int | None, taken: int | None, rate: float | None, seconds: float
) -> bool:
    """
    Whether a peer that has to take what was written does so at the least rate.

    @param before: what L{bytes_taken} returned, C{seconds} ago.
    @param taken: what it returns now.
    @param rate: the least rate, in bytes per second; C{None} without one.
    """
    if before is None or taken is None or rate is None:
        return False
    return taken - before >= max(rate * seconds, 1)


def bytes_unsent(transport: Any) -> int | None:
    """
    How many bytes that were written to a transport the kernel has not taken yet.

    @param transport: a transport; wrappers, TLS among them, are looked through.
    @return: a number of bytes (of TLS records, on TLS), or C{None} where it is
        not known.
    """
    transport = _lowest(transport)
    return _waiting(transport) if isinstance(transport, FileDescriptor) else None


def is_on_the_way(transport: Any) -> bool:
    """
    Whether the kernel has bytes that the peer has not taken yet.

    @param transport: a transport; wrappers, TLS among them, are looked through.
    @return: C{False} where it is not known.
    """
    info = _tcp_info(_lowest(transport), _NOT_SENT_OFFSET + _COUNT.size)
    return info is not None and any(
        _COUNT.unpack_from(info, offset)[0]
        for offset in (_UNACKED_OFFSET, _NOT_SENT_OFFSET)
    )


def _lowest(transport: Any) -> Any:
    """
    The transport below all wrappers; C{None} after L{MOST_WRAPPERS} of them, as with a
    mock that has every attribute.
    """
    for _ in range(MOST_WRAPPERS):
        if not hasattr(transport, "wrappedProtocol"):
            return transport
        transport = transport.transport
    return None


def _waiting(transport: Any) -> int:
    """
    How many bytes a transport still keeps.  C{_tempDataLen} has no public name; a test
    fails if it is renamed.
    """
    waiting: int = transport._tempDataLen
    return waiting + len(transport.dataBuffer) - int(transport.offset)


def _acknowledged(transport: Any) -> int | None:
    """
    How many bytes a TCP peer has acknowledged.
    """
    info = _tcp_info(transport, _ACKED_OFFSET + _ACKED.size)
    if info is None:
        return None
    acked: int = _ACKED.unpack_from(info, _ACKED_OFFSET)[0]
    return acked


def _tcp_info(transport: Any, length: int) -> bytes | None:
    """
    The first bytes of C{struct tcp_info}; C{None} where there are not as many.
    """
    getHandle = getattr(transport, "getHandle", None)
    option = getattr(socket, "TCP_INFO", None)
    if getHandle is None or option is None:
        return None
    handle = getHandle()
    if not isinstance(handle, socket.socket) or handle.family not in (
        socket.AF_INET,
        socket.AF_INET6,
    ):
        return None
    try:
        info = handle.getsockopt(socket.IPPROTO_TCP, option, length)
    except OSError:
        return None
    return None if len(info) < length else info
