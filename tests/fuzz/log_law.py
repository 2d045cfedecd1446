"""
What must hold of the access log, whatever a connection sends, as a function that raises
L{BrokenLaw}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from io import StringIO
from typing import Any

from twisted.internet.task import Clock
from twisted.web.resource import Resource

from tests.fuzz.law import BrokenLaw, same
from tests.support.wire import Wire
from twisted_h11._server import access_log, log_format
from twisted_h11._server.log_fields import LOG_FIELDS
from twisted_h11.server import Site, TrustedProxies

__all__ = ["check_log"]

_FIELDS = tuple(LOG_FIELDS)
_TEXT = " ".join(f'"{{{name}}}"' for name in _FIELDS)

# A text in quotation marks, as others read one: no control character, no quotation mark
# that is not escaped.
_QUOTED = rb'"((?:[ !#-\[\]-~]|\\["\\tnr]|\\x[0-9a-f]{2})*)"'
_TEXT_LINE = re.compile(b" ".join([_QUOTED] * len(_FIELDS)))
_COMBINED_LINE = re.compile(
    _QUOTED
    + rb" - - (\[[^\]]*\]) "
    + _QUOTED
    + rb" ([0-9]+) ([0-9]+|-) "
    + _QUOTED
    + rb" "
    + _QUOTED
)
_ESCAPE = re.compile(rb"\\(x([0-9a-f]{2})|.)")
_PLAIN = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}

# What begins a response, other than an interim one.
_FINAL = re.compile(rb"HTTP/1\.[01] [2-5][0-9]{2} ")


class _Leaf(Resource):
    """
    Answers every method, at once.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        Nothing that looks like a response.
        """
        return b"ok"


class _Log:
    """
    Takes a line of each format for each request.
    """

    def __init__(self) -> None:
        self.rows: list[tuple[str, str, str]] = []
        self._text = log_format.access_log_format(_TEXT)
        self._json = log_format.json_log_format(*_FIELDS)

    def withClock(self, clock: Any) -> _Log:
        """
        See L{log_format}.
        """
        self._text = self._text.withClock(clock)
        self._json = self._json.withClock(clock)
        return self

    fields = frozenset(_FIELDS)

    def __call__(self, timestamp: Any, request: Any) -> str:
        """
        One of the lines.
        """
        line: str = access_log.combined_line(timestamp, request)
        text, json = self._text(timestamp, request), self._json(timestamp, request)
        self.rows.append((line, text, json))
        return line


def _serve(pieces: Sequence[bytes], log: Any) -> tuple[str, int]:
    """
    All that is in the log of a connection when its peer is gone, and how many responses
    it has had.
    """
    clock = Clock()
    site: Any = Site(
        _Leaf(),
        reactor=clock,
        logFormatter=log,
        trustedProxies=TrustedProxies(["192.0.2.0/24"], "forwarded"),
    )
    site.displayTracebacks = False
    site.startFactory()
    site.logFile = file = StringIO()
    wire = Wire(site, clock).send(*pieces)
    wire.halfClose().advance(2)
    output = wire.output
    wire.vanish()
    lines = file.getvalue()
    site.stopFactory()
    for call in clock.getDelayedCalls():
        call.cancel()
    return lines, len(_FINAL.findall(output))


def _said(text: bytes) -> bytes:
    """
    What a text in quotation marks says.
    """
    return _ESCAPE.sub(
        lambda m: bytes([int(m[2], 16)]) if m[2] else _PLAIN.get(m[1], m[1]), text
    )


def _one_line(line: str) -> bytes:
    if not (line.isascii() and line.isprintable()):
        raise BrokenLaw(f"a line that is not printable ASCII: {line!r}")
    return line.encode("ascii")


def _check_row(combined: str, text: str, line: str) -> None:
    """
    The three lines of a request can be read, and say the same.
    """
    found = _TEXT_LINE.fullmatch(_one_line(text))
    if found is None:
        raise BrokenLaw(f"a line that can not be read: {text!r}")
    said = {name: _said(one) for name, one in zip(_FIELDS, found.groups(), strict=True)}
    _one_line(line)
    told = json.loads(line)
    same("fields of JSON", tuple(told), _FIELDS)
    for name in ("method", "target", "protocol", "host", "referer", "agent", "client"):
        # Of what is not UTF-8, JSON has the escapes themselves.
        value = said[name].decode("utf-8", "backslashreplace")
        same(name, told[name] or "-", value)
    found = _COMBINED_LINE.fullmatch(_one_line(combined))
    if found is None:
        raise BrokenLaw(f"a line that can not be read: {combined!r}")
    client, when, first, status, length, referer, agent = found.groups()
    same("client", _said(client), said["client"])
    same("time", when, said["clf_time"])
    names = ("method", "target", "protocol")
    same("request", _said(first), b" ".join(said[name] for name in names))
    same("status", int(status), told["status"])
    same("length", length, said["bytes_out"])
    same("Referer", _said(referer), said["referer"])
    same("User-Agent", _said(agent), said["agent"])


def check_log(data: bytes) -> None:
    """
    Each response of a connection has one line; each line is printable ASCII that can be
    read back; and lines of text, of JSON and of the combined format say the same.  The
    first byte is the length of the segments.
    """
    step, data = (data[0] if data else 0) or len(data) or 1, data[1:]
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    log = _Log()
    file, responses = _serve(pieces, log)
    lines = file.splitlines()
    same("lines", lines, [row[0] for row in log.rows])
    same("lines and responses", len(lines), responses)
    if file and not file.endswith("\n"):
        raise BrokenLaw(f"the last line does not end: {file!r}")
    for row in log.rows:
        _check_row(*row)
    same("the usual lines", _serve(pieces, None), (file, responses))
