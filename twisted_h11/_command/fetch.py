"""
C{python -m twisted_h11 URL}: fetch one URL.

A demonstration of the client, and a tool for tests.  Its options and its exit codes
are a subset of curl's.
"""

from __future__ import annotations

import argparse
import os
import re
from typing import Any

from twisted_h11 import __version__
from twisted_h11._boundary.explain import printable
from twisted_h11._command.fetch_codes import Failed
from twisted_h11._command.fetch_options import make_agent
from twisted_h11._command.fetch_output import (
    Appended,
    Messages,
    NewFile,
    Output,
    Progress,
    Replacement,
    Sink,
)
from twisted_h11.client import (
    TraceEvent,
)

__all__ = ["fetch"]

_RANGE = re.compile(r"bytes[ =]([0-9]{1,18})-([0-9]{1,18})/(?:([0-9]{1,18})|\*)")


class Talk:
    """
    The trace function for C{-v}: writes events and heads to a stream.
    """

    def __init__(self, stream: Messages, started: float) -> None:
        self._stream = stream
        self._started = started

    def __call__(self, event: TraceEvent) -> None:
        line = f"* {(event.time - self._started) * 1000:8.1f} ms  {event.name}"
        if event.name == "connected":
            line += f" to {event.connection.peer}"
        if event.failure is not None:
            line += f": {event.failure.value}"
        self.line(line)
        if event.name == "connected":
            self.head(">", event.request.head)

    def head(self, mark: str, head: bytes) -> None:
        """
        Write the lines of a head.
        """
        for text in head.decode("latin-1").split("\r\n")[:-1]:
            self.line(f"{mark} {text}")

    def line(self, text: str) -> None:
        """
        Write a line; control characters of a server are escaped.
        """
        self._stream.write(printable(text) + "\n")


def head_of(response: Any) -> bytes:
    """
    The head of a response as bytes, rebuilt from its fields.
    """
    _, major, minor = response.version
    lines = [b"HTTP/%d.%d %d %b" % (major, minor, response.code, response.phrase)]
    lines.extend(b"%b: %b" % field for field in response.rawFields)
    return b"\r\n".join(lines) + b"\r\n\r\n"


async def fetch(
    reactor: Any, options: argparse.Namespace, stdout: Output, stderr: Messages
) -> None:
    """
    Fetch the URL and write the body.

    @param stdout: gets the body if no file is given.
    """
    talk = Talk(stderr, reactor.seconds()) if options.verbose else None
    agent = make_agent(reactor, options, talk)
    fields = list(options.fields)
    names = {name.lower() for name, _ in fields}
    if b"user-agent" not in names:
        fields.append((b"User-Agent", f"twisted-h11/{__version__}".encode()))
    if b"accept" not in names:
        fields.append((b"Accept", b"*/*"))
    if options.body is not None and b"content-type" not in names:
        # As curl does: data are a form, unless the user says what they are.
        fields.append((b"Content-Type", b"application/x-www-form-urlencoded"))
    begin = here(options)
    if begin:
        fields.append((b"Range", b"bytes=%d-" % (begin,)))
    response = await agent.request(
        os.fsencode(options.method), options.uri, fields, options.body
    )
    if talk is not None:
        for interim in response.interimResponses:
            talk.line(f"< {interim.code} {interim.phrase.decode('latin-1')}")
        talk.head("<", head_of(response))
    try:
        if begin and is_complete(response, begin):
            return
        if options.fail and response.code >= 400:
            raise Failed(f"The server answered {response.code}", 22)
        await save(reactor, options, response, begin, stdout, stderr)
    finally:
        response.abort()
    if talk is not None:
        for name, values in response.trailers.getAllRawHeaders():
            for value in values:
                text = b"< %b: %b (trailer)" % (name, value)
                talk.line(text.decode("latin-1"))


def here(options: argparse.Namespace) -> int:
    """
    How many bytes of the body the output file has already.
    """
    if options.resume and os.path.isfile(options.output):
        return os.path.getsize(options.output)
    return 0


def range_of(response: Any) -> str:
    """
    The Content-Range of a response; empty if it has none.
    """
    values: list[bytes] = response.headers.getRawHeaders(b"content-range", [b""])
    return values[0].decode("latin-1")


def is_complete(response: Any, begin: int) -> bool:
    """
    Whether the file is complete: the server has nothing from byte C{begin} on.
    """
    ranges = range_of(response).replace(" ", "")
    return response.code == 416 and ranges == f"bytes*/{begin}"


def open_output(
    options: argparse.Namespace, response: Any, begin: int, stdout: Output
) -> tuple[Output, int | None]:
    """
    Open the output for the body.

    @return: the output, and the length that it will have; C{None} if that is unknown.
    """
    total = response.length if isinstance(response.length, int) else None
    if options.output in (None, "-"):
        return stdout, total
    if not begin:
        return NewFile(options.output), total
    if response.code == 200:
        # The server ignores Range: replace the whole file.
        return Replacement(options.output), total
    ranges = range_of(response)
    if response.code == 416:
        raise Failed(
            f"The server has nothing from byte {begin} on (Content-Range: {ranges!r}); "
            "the file was not changed",
            33,
        )
    if response.code != 206:
        raise Failed(
            f"The server answered {response.code} instead of sending the rest; "
            "the file was not changed",
            33,
        )
    match = _RANGE.fullmatch(ranges.strip().lower())
    if match is None or not begin == int(match[1]) <= int(match[2]):
        raise Failed(
            f"The server sent another range: {ranges!r}; the file was not changed", 33
        )
    end = int(match[2]) + 1
    if total is not None and begin + total != end:
        raise Failed(f"The body is not as long as its range, {ranges!r}", 33)
    output = Appended(options.output, begin, end)
    return output, int(match[3]) if match[3] else end


async def save(
    reactor: Any,
    options: argparse.Namespace,
    response: Any,
    begin: int,
    stdout: Output,
    stderr: Messages,
) -> None:
    """
    Write the body.
    """
    output, total = open_output(options, response, begin, stdout)
    progress = None
    toFile = output is not stdout
    if toFile and not (options.silent or options.verbose) and stderr.isatty():
        progress = Progress(stderr, reactor.seconds, output.length, total)
    try:
        if options.include:
            output.write(head_of(response))
        sink = Sink(output, progress)
        response.deliverBody(sink)
        certain = await sink.done
        if isinstance(output, Appended) and total not in (None, output.length):
            raise Failed(
                f"The server did not send the whole rest: the file has {output.length} "
                f"of {total} bytes",
                18,
            )
        if isinstance(output, Replacement) and not certain and output.length < begin:
            raise Failed("The body may be incomplete; the file was not changed", 18)
        output.complete()
    finally:
        output.end()
