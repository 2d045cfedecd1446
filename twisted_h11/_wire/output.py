"""
Writing to one transport: bytes, joined, and regions of files, in order.

What one call from outside makes us write goes out in one C{transport.write}
before that call returns.  While a segment is being worked on
(L{Writing._batch}) that covers the answers to all the requests in it; with an
L{Outbox}, if the transport is a bare socket, they wait for the end of the turn.

A region of a file takes its time.  While one is on its way, all that is written
queues behind it, and the producer above us is paused.
"""

from __future__ import annotations

import contextlib
import socket
from collections import deque
from typing import Any

from twisted.internet import tcp
from twisted.logger import Logger
from twisted.python.runtime import platform

from twisted_h11._boundary.overrides import overrides
from twisted_h11._wire.deadline import Timed
from twisted_h11._wire.files import FileRegion, RegionSender
from twisted_h11._wire.outbox import Outbox
from twisted_h11._wire.progress import bytes_unsent

__all__ = ["Writing", "is_bare_socket"]

# Transports that are a socket; a subclass may do anything.
_BARE: set[type] = {tcp.Server, tcp.Client}
if not platform.isWindows():
    from twisted.internet import unix

    _BARE |= {unix.Server, unix.Client}

# What a subclass or an instance of them may have overridden, to see what is sent.
_SENDING = ("doWrite", "write", "writeSequence", "writeSomeData")

# How much is joined before it is given to the transport all the same.
BATCH_LENGTH = 64 * 1024

# How many pieces are given to the kernel at a time without being joined, and how
# many bytes (a mebibyte and its head), before it is another connection's turn.
MOST_PIECES = 16
MOST_AT_ONCE = 1024 * 1024 + BATCH_LENGTH

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
        if whole and type(wire) is tcp.Server:
            sent = _gather(wire, data)
        elif len(data) == 1:
            sent = wire.writeSomeData(data[0])
        # Whatever fails here fails again when the reactor tries, and is told then.
        if type(sent) is int and sent > 0:
            data = _behind(data, sent)
    if data:
        wire.writeSequence(data)


def _gather(wire: Any, data: list[bytes]) -> int:
    """
    Send pieces without joining them, up to L{MOST_AT_ONCE}.

    @return: how many bytes the kernel has taken.
    """
    pieces: list[bytes | memoryview] = []
    left = MOST_AT_ONCE
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


def _behind(data: list[bytes], sent: int) -> list[bytes]:
    """
    What is left of pieces of which so many bytes are gone.
    """
    for place, piece in enumerate(data):
        if sent < len(piece):
            return [piece[sent:], *data[place + 1 :]]
        sent -= len(piece)
    return []


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


class Writing(Timed):
    """
    The writing half of L{FlowControl<twisted_h11._wire.flow>}.
    """

    _wire: Any = None
    _shared = False
    _batching = False
    _joining = 0
    _pendingLength = 0
    _registered = False
    _writeFull = False
    _producer: Any = None
    _sending: deque[bytes | FileRegion] | None = None
    _sendingQueued = False
    _region: RegionSender | None = None
    _closing: str | None = None
    _closesLater = False
    _droppedLength = 0

    # Servers do; a client had better read an early answer before it writes on.
    _writesNow = False
    _outbox: Outbox | None = None

    _log = Logger()

    def __init__(self) -> None:
        self._pending: list[bytes] = []

    def _unregister(self) -> None:
        if self._registered:
            self._registered = False
            self._wire.unregisterProducer()

    # -- bytes ------------------------------------------------------------

    def _send(self, data: bytes) -> None:
        """
        Write C{data}, now or at the end of the call that we are in.
        """
        if not data:
            return
        if self._sending is not None:
            self._sending.append(data)
            return
        if self._closesLater:
            return
        self._pending.append(data)
        self._pendingLength += len(data)
        if not (self._batching or self._joining) or self._pendingLength > BATCH_LENGTH:
            self._flush()

    def _flush(self) -> None:
        pending = self._pending
        if pending:
            data = pending[:]
            if len(data) > 1 and (
                self._pendingLength <= BATCH_LENGTH or len(data) > MOST_PIECES
            ):
                # A few long ones are not copied.
                data = [b"".join(data)]
            pending.clear()
            self._pendingLength = 0
            if self._wire is None:
                return
            # A last answer goes out together with the end of the connection.
            if self._writesNow and self._closing is None:
                write_now(self._wire, data, self._producer is None)
            else:
                self._wire.writeSequence(data)

    def _batch(self) -> bool:
        """
        Begin to join all that is written until L{_endBatch}.

        @return: what to pass to L{_endBatch}.
        """
        if self._batching or self._shared:
            return False
        self._batching = True
        return True

    def _endBatch(self, begun: bool) -> None:
        if begun:
            self._batching = False
            if self._pending and not self._joining:
                outbox = self._outbox
                if outbox is not None and is_bare_socket(self._wire):
                    outbox.add(self)
                else:
                    self._flush()

    def _queuedLength(self) -> int:
        """
        How many bytes wait here, the regions of files not counted.
        """
        queue = self._sending or ()
        queued = sum(len(item) for item in queue if not isinstance(item, FileRegion))
        return self._pendingLength + queued

    def _unsentLength(self) -> int:
        """
        How many bytes of what was written the kernel has not been given, the
        regions of files and what was dropped of them counted too.
        """
        region = self._region.left if self._region is not None else 0
        queued = sum(map(len, self._sending or ()))
        kept = bytes_unsent(self._wire) or 0
        return self._droppedLength + self._pendingLength + region + queued + kept

    # -- regions of files ---------------------------------------------------

    def _sendRegion(self, region: FileRegion) -> None:
        """
        Write a region of a file; all later writes queue behind it.
        """
        if self._sending is not None:
            self._sending.append(region)
            return
        wasFull = self._writeFull
        self._sending = deque((region,))
        done = self._sendQueued(self._sending)
        if done and self._closing is not None:
            self._allSent()
        elif done and not self._writeFull:
            self._writable()
        elif not wasFull:
            # Not sooner: a region may be gone at once, and its producer would
            # be resumed from within its own call.
            if not done or self._writeFull:
                self._pauseProducer()

    def _sendQueued(self, queue: deque[bytes | FileRegion]) -> bool:
        """
        Send what queues, until a region takes its time.  One that does not ends
        within this loop, so that any number of them needs no more stack than
        one.

        @return: whether all is out.
        """
        self._sendingQueued = True
        try:
            while queue and self._region is None and self._sending is queue:
                item = queue.popleft()
                if isinstance(item, FileRegion):
                    self._flush()
                    self._startRegion(item)
                else:
                    self._pending.append(item)
        finally:
            self._sendingQueued = False
        if self._region is None and self._sending is queue:
            self._sending = None
            self._flush()
            return True
        return False

    def _startRegion(self, region: FileRegion) -> None:
        wire = self._wire
        if wire is None:
            return
        bare = is_bare_socket(wire) and not overrides(wire, type(wire), _SENDING)
        if bare:
            # Only a pull producer is told when the transport's own buffer is
            # empty, so for the time of the region the sender stands in for us.
            self._unregister()
        self._region = RegionSender(wire, region, bare, self._regionSent)
        self._region.start(self._writeFull)

    def _regionSent(self, error: BaseException | None) -> None:
        """
        Called by the sender with its region's end.
        """
        region, self._region = self._region, None
        queue = self._sending
        wire = self._wire
        if wire is None or queue is None or region is None:
            return
        if error is not None:
            self._region = region
            self._dropRegions(error)
            self._regionFailed(error)
            return
        if region.standsIn:
            self._registered = True
            self._writeFull = False
            wire.registerProducer(self, True)
        region.region.end(None)
        if not self._sendingQueued and self._sending is queue:
            if self._sendQueued(queue):
                self._allSent()

    def _pauseProducer(self) -> None:
        """
        Hook: whoever writes is to wait.
        """

    def _writable(self) -> None:
        """
        Hook: the transport has room again.
        """

    def _allSent(self) -> None:
        """
        Hook: the last region that had to wait is gone, and all behind it.
        """

    def _dropRegions(self, error: BaseException | None) -> None:
        """
        Nothing more can be sent: tell whoever waits for a region.
        """
        queue, self._sending = self._sending, None
        region, self._region = self._region, None
        dropped: list[FileRegion] = []
        self._droppedLength += sum(map(len, queue or ()))
        if region is not None:
            region.stop()
            dropped.append(region.region)
            self._droppedLength += region.left
        dropped += [item for item in queue or () if isinstance(item, FileRegion)]
        for item in dropped:
            item.end(error)

    def _regionFailed(self, error: BaseException) -> None:
        """
        A region could not be sent whole: nothing sensible can follow it.
        """
        if isinstance(error, (ConnectionError, TimeoutError)):
            # The peer has gone, which is nobody's fault.
            self._log.debug("A file was not sent whole: {error}", error=error)
        else:
            self._log.error("A file could not be sent: {error}", error=error)
        self._abort()

    def _abort(self) -> None:
        """
        Hook: drop the connection.
        """
        raise NotImplementedError
