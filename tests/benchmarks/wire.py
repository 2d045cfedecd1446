"""
A small blocking client: enough to check a server, to hold many connections,
and to move one large body.  It is strict about what it needs and knows nothing
else; the load comes from wrk.
"""

from __future__ import annotations

import re
import socket
import ssl

__all__ = ["Connection", "Unexpected"]

TIMEOUT = 60.0

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked", re.IGNORECASE)


class Unexpected(Exception):
    """
    The server answered something that must not be.
    """


class Connection:
    """
    One connection to 127.0.0.1.
    """

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        if context is not None:
            try:
                self._socket = context.wrap_socket(self._socket)
            except BaseException:
                self._socket.close()
                raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""

    def close(self) -> None:
        """
        Close it.
        """
        self._socket.close()

    @property
    def socket(self) -> socket.socket:
        """
        To be watched.
        """
        return self._socket

    def read(self) -> bytes:
        """
        What has come.
        """
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        if data := self._socket.recv(262144):
            return data
        raise Unexpected("the connection was closed")

    def isOpen(self) -> bool:
        """
        Whether the server has neither closed nor said anything more.
        """
        self._socket.setblocking(False)
        try:
            self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            self._socket.settimeout(TIMEOUT)
        return False

    def send(self, data: bytes | memoryview) -> None:
        """
        Send all of it.
        """
        self._socket.sendall(data)

    def _more(self) -> None:
        """
        Read what is there.
        """
        piece = self._socket.recv(262144)
        if not piece:
            raise Unexpected("the connection was closed in the middle")
        self._buffer += piece

    def _until(self, end: bytes) -> bytes:
        """
        Read to the end of this line, or head.
        """
        while end not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(end)
        return found

    def _exactly(self, length: int) -> bytes:
        """
        Read so many bytes.
        """
        while len(self._buffer) < length:
            self._more()
        found, self._buffer = self._buffer[:length], self._buffer[length:]
        return found

    def head(self, expected: int = 200) -> bytes:
        """
        Read a head.

        @raise Unexpected: when the status is another.
        """
        head = self._until(b"\r\n\r\n")
        status = head.partition(b"\r\n")[0]
        if status.split(b" ", 2)[1:2] != [b"%d" % expected]:
            raise Unexpected(f"answered with {status!r}")
        return head

    def answer(self) -> bytes:
        """
        Read a whole answer.

        @return: its body.
        """
        head = self.head()
        length = _LENGTH.search(head)
        if length is not None:
            return self._exactly(int(length[1]))
        if _CHUNKED.search(head) is None:
            raise Unexpected("neither Content-Length nor chunked")
        body = b""
        while size := int(self._until(b"\r\n"), 16):
            body += self._exactly(size)
            self._exactly(2)
        self._exactly(2)
        return body

    def skim(self) -> int:
        """
        Read a whole answer that has a Content-Length, without keeping it.

        @return: the length of the body.
        """
        length = _LENGTH.search(self.head())
        if length is None:
            raise Unexpected("no Content-Length")
        wanted = int(length[1]) - len(self._buffer)
        self._buffer = b""
        room = bytearray(1 << 20)
        while wanted > 0:
            got = self._socket.recv_into(room, min(wanted, len(room)))
            if not got:
                raise Unexpected("the connection was closed in the middle")
            wanted -= got
        return int(length[1])
