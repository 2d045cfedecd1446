"""
A small blocking client: enough to check a server, to hold many connections,
and to move one large body.  It is strict about what it needs and knows nothing
else; the load comes from wrk.
"""

from __future__ import annotations

import re
import socket
import ssl
from typing import BinaryIO

__all__ = ["Connection", "Unexpected", "read_answer", "read_head"]

TIMEOUT = 60.0

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)


class Unexpected(Exception):
    """
    The server answered something that must not be.
    """


def read_head(file: BinaryIO, expected: int = 200) -> tuple[int | None, bool]:
    """
    Read the head of an answer.

    @return: the length of the body, if it is said, and whether it is chunked.
    @raise Unexpected: when the status is another.
    """
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = file.readline()
        if not line:
            raise Unexpected("the connection was closed in the middle")
        head += line
    status = head.partition(b"\r\n")[0]
    if status.split(b" ", 2)[1:2] != [b"%d" % expected]:
        raise Unexpected(f"answered with {status!r}")
    length = _LENGTH.search(head)
    return (int(length[1]) if length else None), _CHUNKED.search(head) is not None


def _exactly(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise Unexpected("the connection was closed in the middle")
    return data


def read_answer(file: BinaryIO) -> bytes:
    """
    Read a whole answer, and give its body.

    @raise Unexpected: when it is not whole, or its status is another than 200.
    """
    length, chunked = read_head(file)
    if length is not None:
        return _exactly(file, length)
    if not chunked:
        raise Unexpected("neither Content-Length nor chunked")
    body = b""
    while size := int(file.readline() or b"0", 16):
        body += _exactly(file, size)
        _exactly(file, 2)
    _exactly(file, 2)
    return body


class Connection:
    """
    One connection to 127.0.0.1.

    @ivar socket: to be watched.
    @ivar send: sends all of some bytes.
    @ivar file: what comes.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if context is not None:
            # Closes what it was given when it fails.
            self.socket = context.wrap_socket(self.socket)
        self.send = self.socket.sendall
        self.file = self.socket.makefile("rb")

    def close(self) -> None:
        """
        Close it.
        """
        self.file.close()
        self.socket.close()

    def read(self) -> bytes:
        """
        What has come.
        """
        if data := self.file.read1(262144):
            return data
        raise Unexpected("the connection was closed")

    def skim(self) -> int:
        """
        Read a whole answer that has a Content-Length, and give only the length.
        """
        length, _ = read_head(self.file)
        if length is None:
            raise Unexpected("no Content-Length")
        room = memoryview(bytearray(1 << 20))
        wanted = length
        while wanted > 0:
            got = self.file.readinto(room[:wanted])
            if not got:
                raise Unexpected("the connection was closed in the middle")
            wanted -= got
        return length
