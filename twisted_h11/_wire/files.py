"""
Regions of open files, sent under back-pressure.

h11 frames a message body without looking at it: C{send_with_data_passthrough}
returns the very object that was given as C{Data.data}, between the bytes of
its framing.  L{FileRegion} is such an object.  L{RegionSender} brings it to
the transport: by C{sendfile(2)} where the transport is a bare socket, by
reading and writing pieces elsewhere.

With C{sendfile} the bytes do not pass the transport, so they may only go while
its own buffer is empty.  If it is, and that is nearly always so, the sender begins at
once.  For the rest it registers as a pull producer, which Twisted calls when the buffer
is empty, and calls C{startWriting} for the next call.  A peer that asks for many files
in one segment gets about a mebibyte of them at once, and the rest in other turns.
"""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Callable
from typing import Any, BinaryIO

from twisted.internet.interfaces import IPullProducer
from zope.interface import implementer

from twisted_h11._boundary.checks import CALLABLE, INT, Kind, checked, optional
from twisted_h11._boundary.guarded import guarded
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._boundary.overrides import overrides
from twisted_h11._wire.sockets import MOST_AT_ONCE, is_drained, limit_unsent

__all__ = ["FileRegion", "RegionSender", "is_stored"]

# How many bytes of a file are read at a time where sendfile can not be used.
PIECE_LENGTH = 64 * 1024

# The most bytes for one call of sendfile, so that one fast peer does not keep the
# reactor from its other connections: as many as of a response from memory.  nginx has
# twice as many (sendfile_max_chunk).
SENDFILE_LENGTH = MOST_AT_ONCE

# The errors of sendfile for a file, or a file system, that it can not send from.
_NO_SENDFILE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)


class FileRegion:
    """
    C{count} bytes of an open file from C{offset} on, as the data of an
    L{h11.Data} event.

    The file's own position is neither used nor kept.  The file must stay open
    until the region is sent; it is not closed here: close it in C{ended}.  Flush
    what was written to it before you send the region.

    @param file: a file opened for reading bytes.
    @param offset: where the region begins, in bytes.
    @param count: its length, in bytes.
    @param ended: called once: with C{None} when the region was given to the
        transport, or with an exception when that has become impossible.  It is not
        called if the call that takes the region raises.

    @since: 0.1
    """

    @checked(
        file=Kind("a file", lambda value: hasattr(value, "read")),
        offset=INT,
        count=INT,
        ended=optional(CALLABLE),
    )
    def __init__(
        self,
        file: BinaryIO,
        offset: int,
        count: int,
        ended: Callable[[BaseException | None], object] | None = None,
    ) -> None:
        if offset < 0 or count < 0:
            raise ValueError(f"no such region: offset {offset}, count {count}")
        self.file = file
        self.offset = offset
        self.count = count
        self.ended = ended

    def end(self, error: BaseException | None) -> None:
        """
        Call C{ended}, once.

        @param error: why the region was not sent whole; C{None} if it was.
        """
        ended, self.ended = self.ended, None
        if ended is not None:
            guarded("The end of a file region", ended, error)

    def __len__(self) -> int:
        return self.count

    def __repr__(self) -> str:
        return f"<FileRegion offset={self.offset} count={self.count}>"


@implementer(IPullProducer)
class RegionSender:
    """
    Sends one region to one transport.

    @ivar left: how many bytes are still to go.

    @param wire: the transport.
    @param region: what to send.
    @param bare: whether C{wire} is a bare socket, so that C{sendfile} may be
        used; no producer may then be registered with it.
    @param done: called once with C{None}, or with the exception that stopped it.
    """

    def __init__(
        self,
        wire: Any,
        region: FileRegion,
        bare: bool,
        done: Callable[[BaseException | None], None],
    ) -> None:
        self._wire = wire
        self.region = region
        self._file = region.file
        self._offset = region.offset
        self.left = region.count
        self._done: Callable[[BaseException | None], None] | None = done
        self._paused = False
        self._starting = False
        self._begun = False
        # Whether this sender is the transport's producer while it sends.
        self.standsIn = bare
        self._direct = bare and hasattr(os, "sendfile") and is_stored(self._file)

    def start(self, full: bool) -> None:
        """
        Begin to send.

        @param full: whether the transport has no room now, or others have their turn
            first.
        """
        if self.standsIn:
            # Twisted calls a pull producer when it is registered, even if the buffer
            # is not empty; the call that counts is the next one.
            if self.left > SENDFILE_LENGTH:
                # A thousand clients that do not read would cost seconds.
                limit_unsent(self._wire)
            self._starting = True
            self._wire.registerProducer(self, False)
            self._starting = False
            if not full and is_drained(self._wire):
                self.resumeProducing()
            else:
                self._wire.startWriting()
        else:
            self._paused = full
            self._writePieces()

    def stop(self) -> None:
        """
        The connection is lost: stop sending.
        """
        self._done = None

    def pause(self) -> None:
        """
        The transport has no room.
        """
        self._paused = True

    def resume(self) -> None:
        """
        The transport has room again.
        """
        if self._paused:
            self._paused = False
            self._writePieces()

    def resumeProducing(self) -> None:
        """
        The transport's buffer is empty.
        """
        if self._starting or self._done is None:
            return
        try:
            if self._direct:
                self._sendfile()
            else:
                self._writePiece()
        except BlockingIOError:
            self._wire.startWriting()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # An application's file may raise anything, with or without errno.
            code = getattr(error, "errno", None)
            if self._direct and not self._begun and code in _NO_SENDFILE:
                self._direct = False
                self._wire.startWriting()
            else:
                self._end(error)
        else:
            if self.left:
                self._wire.startWriting()
            else:
                self._end(None)

    def stopProducing(self) -> None:
        """
        The transport will take nothing more.
        """
        self._done = None

    def _sendfile(self) -> None:
        if not self.left:
            return
        sent = os.sendfile(
            self._wire.fileno(),
            self._file.fileno(),
            self._offset,
            min(self.left, SENDFILE_LENGTH),
        )
        if not sent:
            raise EOFError(f"the file ends {self.left} bytes before its region")
        self._begun = True
        self._offset += sent
        self.left -= sent

    def _writePiece(self) -> None:
        if not self.left:
            return
        self._file.seek(self._offset)
        asked = min(self.left, PIECE_LENGTH)
        piece = as_bytes(self._file.read(asked), "the data of a file")
        if not piece:
            raise EOFError(f"the file ends {self.left} bytes before its region")
        if len(piece) > asked:
            raise ValueError(f"the file returned more than the {asked} bytes requested")
        if self._done is None:
            # The file has dropped the connection while it was read.
            return
        self._offset += len(piece)
        self.left -= len(piece)
        self._wire.write(piece)

    def _writePieces(self) -> None:
        try:
            while self.left and not self._paused and self._done is not None:
                self._writePiece()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self._end(error)
        else:
            if not self.left:
                self._end(None)

    def _end(self, error: BaseException | None) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        if self.standsIn:
            self._wire.unregisterProducer()
        done(error)


# The methods that read a file or its position; an instance may override them.
_READING = (
    "fileno",
    "peek",
    "read",
    "read1",
    "readall",
    "readinto",
    "readinto1",
    "seek",
    "seekable",
    "tell",
)


def is_stored(file: Any) -> bool:
    """
    Whether reading a file gives the same bytes as reading its descriptor.

    The descriptor of a C{GzipFile} gives the compressed bytes; wrappers that decrypt
    or redact, and subclasses that override C{read}, have descriptors too.  So only
    files as C{open} returns them count.
    """
    kind = type(file)
    if kind is io.BufferedReader or kind is io.BufferedRandom:
        raw: Any = file.raw
        if overrides(file, kind, _READING):
            return False
    else:
        raw = file
    return (
        type(raw) is io.FileIO
        and not overrides(raw, io.FileIO, _READING)
        and not raw.closed
    )
