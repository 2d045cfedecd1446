"""
The access log: formatted once, written in batches.

The lines are those of L{twisted.web.http.combinedLogFormatter}, to the byte.
Most are put together here, at a fraction of its cost; a line with anything that
would have to be escaped is left to it, and so is every line of a site that has
a formatter of its own.

A file that we opened is written to twice a second, or when enough lines wait,
and when the site stops: a clean stop loses nothing, a crash at most half a
second.  A log that somebody else gave us is written to at once.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.web.http import combinedLogFormatter

from twisted_h11._http.fastpath import FastHead

__all__ = ["FLUSH_SECONDS", "BatchedFile", "LogFileError", "combined_line", "open_log"]

FLUSH_SECONDS = 0.5
_MOST_LINES = 256

# `34 in line` is four times as fast as `b'"' in line`.
_BACKSLASH, _QUOTE = b'\\"'

_STANDARD = {
    "/dev/stdout": 1,
    "/dev/stderr": 2,
    "/dev/fd/1": 1,
    "/dev/fd/2": 2,
    "/proc/self/fd/1": 1,
    "/proc/self/fd/2": 2,
}


def combined_line(timestamp: Any, request: Any) -> Any:
    """
    A line of the combined log format.

    @param timestamp: the time, in brackets, as the site keeps it.
    @param request: the request.
    @return: what L{combinedLogFormatter} returns.
    """
    client = request.getClientAddress()
    # Only while the fields are untouched: whoever changes them changes the line.
    head = getattr(request.requestHeaders, "_head", None)
    kind = type(client)
    if type(head) is not FastHead or (
        kind is not IPv4Address and kind is not IPv6Address
    ):
        return combinedLogFormatter(timestamp, request)
    # Method and target of a fast head are printable ASCII.
    uri = request.uri
    logged = head.logged
    if logged is None:
        logged = head.logged = _logged_fields(head)
    if not logged or _BACKSLASH in uri or _QUOTE in uri or uri is not head.target:
        return combinedLogFormatter(timestamp, request)
    return (
        f'"{client.host}" - - {timestamp} "{request.method.decode("ascii")} '
        f'{uri.decode("ascii")} HTTP/1.1" '
        f"{request.code} {request.sentLength or '-'} {logged}"
    )


class LogFileError(OSError):
    """
    A log file can not be written: the site's C{logPath}.

    @since: 0.1
    """


def open_log(path: str | bytes) -> Any:
    """
    Open a log file to append to it.

    What is no regular file (a pipe, a terminal, C{/dev/stdout}) has no end to go
    to, and C{open} fails there in trying.  The standard output may also be a socket,
    which can not be opened by its name at all.

    @param path: its path.
    @raise LogFileError: if that is not possible.
    """
    try:
        standard = _STANDARD.get(os.fsdecode(path))
        if standard is not None:
            descriptor = os.dup(standard)
        else:
            # A named pipe that nobody reads would hold us here for ever.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            descriptor = os.open(path, flags | os.O_NONBLOCK, 0o666)
            os.set_blocking(descriptor, True)
    except OSError as error:
        raise LogFileError(error.errno, error.strerror, path) from error
    return os.fdopen(
        descriptor, "w", 1, "utf-8", errors="backslashreplace", newline="\n"
    )


def _logged_fields(head: FastHead) -> str:
    """
    The two fields that are logged; nothing if they have to be escaped.
    """
    referrer = _last_value(head, b"\nreferer:")
    agent = _last_value(head, b"\nuser-agent:")
    if not (referrer.isascii() and agent.isascii()):
        return ""
    logged = f'"{referrer.decode("ascii") or "-"}" "{agent.decode("ascii") or "-"}"'
    if "\\" in logged or "\t" in logged or logged.count('"') != 4:
        return ""
    return logged


def _last_value(head: FastHead, key: bytes) -> bytes:
    at = head.lowered.rfind(key)
    if at < 0:
        return b""
    block = head.block
    return block[at + len(key) : block.find(b"\r", at)].strip(b" \t")


class BatchedFile:
    """
    A log file that is written to in batches.

    Everything but writing is the file's own.  Where that fails lines are lost,
    which is said once: L{OSError} is raised when it begins.

    @param file: the file.
    @param reactor: for the time of the next write.
    """

    def __init__(self, file: Any, reactor: IReactorTime) -> None:
        self._file = file
        self._reactor = reactor
        self._lines: list[str] = []
        self._call: IDelayedCall | None = None
        self._lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, line: str) -> None:
        """
        Take a line, with its line end.
        """
        self._lines.append(line)
        if self._call is None:
            self._call = self._reactor.callLater(FLUSH_SECONDS, self._timeUp)
        elif len(self._lines) >= _MOST_LINES:
            self._writeLines()

    def _timeUp(self) -> None:
        self._call = None
        self._writeLines()

    def _writeLines(self) -> None:
        if self._lines:
            text = "".join(self._lines)
            self._lines.clear()
            try:
                self._file.write(text)
            except OSError:
                # A full disk, a pipe that nobody reads any more.
                if not self._lost:
                    self._lost = True
                    raise
            else:
                self._lost = False

    def flush(self) -> None:
        """
        Write what waits, through to the file.
        """
        self._writeLines()
        self._file.flush()

    def close(self) -> None:
        """
        Write what waits, and close the file.
        """
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()
        try:
            self._writeLines()
        finally:
            self._file.close()
