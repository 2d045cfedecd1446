"""
Lines of the access log with the fields that somebody has chosen.

L{LOG_FIELDS} is what there is; the table of the documentation is made from it.  A
L{LineFormat} is a text with fields in it, a L{JSONFormat} an object in a line of its
own.

Nearly all that is logged was sent by a client.  So each field goes through one
function, L{escape} or L{json_text}, which leaves only printable ASCII: no line can be
ended by a request, no quotation in it, and no terminal be told anything.
"""

from __future__ import annotations

import copy
import json
import os
import string
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

from twisted_h11._boundary.checks import STR, checked
from twisted_h11._server.access_log import combined_line, escape
from twisted_h11._server.logged import (
    body_length,
    client_host,
    peer_subject,
    request_id,
    seconds,
    tls_version,
)

__all__ = [
    "COMBINED_LOG_FORMAT",
    "LOG_FIELDS",
    "LogField",
    "access_log_format",
    "describe_log_fields",
    "json_log_format",
]

COMBINED_LOG_FORMAT = (
    '"{client}" - - {clf_time} "{method} {target} {protocol}" '
    '{status} {bytes_out} "{referer}" "{agent}"'
)
"""
The combined log format of L{twisted.web.http.combinedLogFormatter}, the default.

@since: 0.1
"""

# The worker process that this is, where there are several.
_WORKER = "H11WEB_WORKER"


_encode = json.JSONEncoder().encode


def json_text(value: bytes | str) -> str:
    """
    Text of a request, as JSON has it, in its quotation marks: ASCII, and bytes that are
    not UTF-8 written as C{\\xNN}.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    elif not value.isascii():
        value = value.encode("utf-8", "backslashreplace").decode("utf-8")
    return _encode(value)


class _Line(NamedTuple):
    """
    What a field is made of.

    @ivar request: the request.
    @ivar timestamp: the time, as the combined format has it.
    @ivar now: the time, in seconds since 1970.
    @ivar worker: the number of this process.
    """

    request: Any
    timestamp: Any
    now: float
    worker: str | None


@dataclass(frozen=True)
class LogField:
    """
    A field that a line of the access log may have.

    @ivar name: its name.
    @ivar doc: what it is.
    @ivar example: how it looks in a line of text.
    @ivar get: finds its value; C{None} for what is not known.
    @ivar zero: how a zero is written in a line of text.

    @since: 0.1
    """

    name: str
    doc: str
    example: str
    get: Callable[[Any], Any]
    zero: str = "0"

    def text(self, line: Any) -> str:
        """
        Its value in a line of text; C{-} for what is not known, or empty.
        """
        value = self.get(line)
        if isinstance(value, (bytes, str)):
            return escape(value) or "-"
        if value is None:
            return "-"
        if isinstance(value, float):
            return f"{value:.3f}"
        if type(value) is int:
            return str(value) if value else self.zero
        return escape(str(value))

    def json(self, line: Any) -> str:
        """
        Its value in JSON.
        """
        value = self.get(line)
        if isinstance(value, (bytes, str)):
            return json_text(value)
        if value is None:
            return "null"
        if type(value) is int:
            return str(value)
        if isinstance(value, float):
            return repr(round(value, 6))
        return json_text(str(value))


@lru_cache(maxsize=2)
def _iso_second(second: int) -> str:
    when = datetime.fromtimestamp(second, timezone.utc)
    return when.replace(tzinfo=None).isoformat(timespec="seconds")


def _iso(line: _Line) -> str:
    milliseconds = int(line.now * 1000)
    return f"{_iso_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


def _header(name: bytes) -> Callable[[_Line], Any]:
    return lambda line: line.request.getHeader(name)


LOG_FIELDS: dict[str, LogField] = {
    field.name: field
    for field in (
        LogField(
            "time",
            "When the response ended, in UTC, as in ISO 8601.",
            "2026-11-26T16:15:27.123Z",
            _iso,
        ),
        LogField(
            "clf_time",
            "The same as the combined log format has it, with its brackets.",
            "[26/Nov/2026:16:15:27 +0000]",
            lambda line: line.timestamp,
        ),
        LogField(
            "client",
            "IP address of the client; nothing on a UNIX socket.",
            "192.0.2.7",
            lambda line: client_host(line.request),
        ),
        LogField(
            "method",
            "The method of the request.",
            "GET",
            lambda line: line.request.method,
        ),
        LogField(
            "target",
            "The target of the request: path and query as they were sent.",
            "/a?b=c",
            lambda line: line.request.uri,
        ),
        LogField(
            "protocol",
            "The version of HTTP.",
            "HTTP/1.1",
            lambda line: line.request.clientproto,
        ),
        LogField(
            "host",
            "The Host field of the request.",
            "www.example.org",
            _header(b"host"),
        ),
        LogField(
            "status",
            "The status of the response.",
            "200",
            lambda line: line.request.code,
        ),
        LogField(
            "bytes_in",
            "Bytes of the request's content that were received.",
            "1024",
            lambda line: body_length(line.request),
            "-",
        ),
        LogField(
            "bytes_out",
            "Bytes of the response's content that were sent.",
            "4096",
            lambda line: line.request.sentLength,
            "-",
        ),
        LogField(
            "seconds",
            "Seconds from the end of the request's head to the end of the response.",
            "0.012",
            lambda line: seconds(line.request, line.now),
        ),
        LogField(
            "request_id",
            "The identifier of the request, where requests have one.",
            "5f2c6f0e9b1d4f6a8c3e7d2b1a0f9e8d",
            lambda line: request_id(line.request),
        ),
        LogField(
            "referer",
            "The Referer field of the request.",
            "https://example.org/",
            _header(b"referer"),
        ),
        LogField(
            "agent",
            "The User-Agent field of the request.",
            "curl/8.5.0",
            _header(b"user-agent"),
        ),
        LogField(
            "tls",
            "The version of TLS; nothing without TLS.",
            "TLSv1.3",
            lambda line: tls_version(line.request),
        ),
        LogField(
            "certificate",
            "The subject of the client's certificate, if it has shown one.",
            "CN=alice,O=Example",
            lambda line: peer_subject(line.request),
        ),
        LogField(
            "worker",
            f"The number of the worker process, which ``{_WORKER}`` says.",
            "2",
            lambda line: line.worker,
        ),
    )
}
"""
The fields, by their names.
"""


def describe_log_fields() -> list[LogField]:
    """
    The fields that a line of the access log may have, in the order of the table.

    @since: 0.1
    """
    return list(LOG_FIELDS.values())


def _field(name: str) -> LogField:
    """
    @raise ValueError: if there is none of this name.
    """
    field = LOG_FIELDS.get(name)
    if field is None:
        near = get_close_matches(name.lower().replace("-", "_"), LOG_FIELDS, 1, 0.5)
        hint = f"there are {', '.join(LOG_FIELDS)}"
        if near:
            hint = f"did you mean {near[0]!r}?"
        raise ValueError(f"there is no field {name!r}: {hint}")
    return field


class _Format:
    """
    What makes a line of a request.

    @ivar fields: the names of what it needs to know.
    """

    def __init__(self, fields: list[LogField]) -> None:
        self._fields = fields
        self.fields = frozenset(field.name for field in fields)
        self._clock: Callable[[], float] = time.time
        self._worker = os.environ.get(_WORKER)

    def withClock(self, clock: Callable[[], float]) -> Any:
        """
        The same on another clock; called by a site with its own.

        @param clock: tells the seconds since 1970.
        """
        made = copy.copy(self)
        made._clock = clock
        return made


class LineFormat(_Format):
    """
    A line of text.
    """

    def __init__(self, fields: list[LogField], template: str) -> None:
        super().__init__(fields)
        self._template = template
        self._getters = [field.text for field in fields]

    def __call__(self, timestamp: Any, request: Any) -> str:
        """
        See L{twisted.web.iweb.IAccessLogFormatter}.
        """
        line = _Line(request, timestamp, self._clock(), self._worker)
        return self._template % tuple([get(line) for get in self._getters])


class JSONFormat(_Format):
    """
    A JSON object in a line of its own.
    """

    def __init__(self, fields: list[LogField]) -> None:
        super().__init__(fields)
        keys = ", ".join(f'"{field.name}": %s' for field in fields)
        self._template = f"{{{keys}}}"
        self._getters = [field.json for field in fields]

    def __call__(self, timestamp: Any, request: Any) -> str:
        """
        See L{twisted.web.iweb.IAccessLogFormatter}.
        """
        line = _Line(request, timestamp, self._clock(), self._worker)
        text = self._template % tuple([get(line) for get in self._getters])
        # The one control character that JSON takes for a letter.
        return text.replace("\x7f", "\\u007f") if "\x7f" in text else text


@checked(text=STR)
def access_log_format(text: str) -> Any:
    """
    Make a C{logFormatter} for a L{Site<twisted_h11.server.Site>} from a text with
    fields::

        Site(root, logFormatter=access_log_format("{time} {client} {status} {seconds}"))

    Each field (L{describe_log_fields}) is escaped, so that a request is always one
    line, and what it says of itself printable ASCII.  Two braces of one kind are one.
    What clients choose should stand in quotation marks, since it may have spaces.

    @param text: the text, one line.
    @return: a callable, which takes what L{twisted.web.iweb.IAccessLogFormatter} takes.
    @raise TypeError: if it is no text.
    @raise ValueError: for a field that there is not, braces without a partner, and a
        control character other than the tab.

    @since: 0.1
    """
    if text == COMBINED_LOG_FORMAT:
        return combined_line
    if not all(letter.isprintable() or letter == "\t" for letter in text):
        raise ValueError("a format is one line, without control characters")
    template: list[str] = []
    fields: list[LogField] = []
    try:
        parsed = list(string.Formatter().parse(text))
    except ValueError:
        raise ValueError(
            "a field is its name in braces, as in {status}; {{ and }} are braces"
        ) from None
    for literal, name, details, conversion in parsed:
        template.append(literal.replace("%", "%%"))
        if name is None:
            continue
        if details or conversion:
            raise ValueError(f"the field {name!r} takes no format of its own")
        fields.append(_field(name))
        template.append("%s")
    if not fields:
        raise ValueError("there is no field in it, such as {status}")
    return LineFormat(fields, "".join(template))


def json_log_format(*names: str) -> Any:
    """
    Make a C{logFormatter} for a L{Site<twisted_h11.server.Site>} whose lines are JSON
    objects::

        Site(root, logFormatter=json_log_format())

    They are ASCII.  Lengths, seconds and the status are numbers, what is not known is
    C{null}, and bytes that are not UTF-8 are written as C{\\xNN}.

    @param names: the fields (L{describe_log_fields}); all, except C{clf_time}, if there
        are none.
    @return: a callable, which takes what L{twisted.web.iweb.IAccessLogFormatter} takes.
    @raise ValueError: for a field that there is not.

    @since: 0.1
    """
    return JSONFormat(
        [_field(name) for name in names or LOG_FIELDS if names or name != "clf_time"]
    )
