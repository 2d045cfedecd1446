"""
The fields that a line of the access log may have, with their values and formats.

The options' help and the table in the documentation are made from L{LOG_FIELDS}.

Most logged values were sent by a client.  So each value is escaped by L{escape} or
L{json_text} to printable ASCII: a request can not end a line or a quotation, or send
control sequences to a terminal.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from difflib import get_close_matches
from functools import lru_cache
from typing import Any, NamedTuple

from twisted_h11._boundary.variables import WORKER
from twisted_h11._server.access_log import escape
from twisted_h11._server.logged import (
    body_length,
    client_host,
    peer_subject,
    request_id,
    seconds,
    tls_version,
)

__all__ = [
    "LOG_FIELDS",
    "Line",
    "LogField",
    "describe_log_fields",
    "log_field",
]


_encode = json.JSONEncoder().encode


def json_text(value: bytes | str) -> str:
    """
    Text of a request as a JSON string with its quotation marks: ASCII, and bytes that
    are not UTF-8 written as C{\\xNN}.
    """
    if isinstance(value, bytes):
        value = value.decode("utf-8", "backslashreplace")
    elif not value.isascii():
        value = value.encode("utf-8", "backslashreplace").decode("utf-8")
    return _encode(value)


class Line(NamedTuple):
    """
    The values from which the fields of a line are made.

    @ivar request: the request.
    @ivar timestamp: the time, in the combined format.
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
    @ivar doc: its description.
    @ivar example: an example, as in a line of text.
    @ivar get: returns its value for a C{Line}; C{None} if it is not known.
    @ivar zero: the text for a zero in a line of text.

    @since: 0.1
    """

    name: str
    doc: str
    example: str
    get: Callable[[Any], Any]
    zero: str = "0"

    def text(self, line: Any) -> str:
        """
        Its value in a line of text; C{-} if it is empty or not known.
        """
        value = self.get(line)
        if isinstance(value, (bytes, str)):
            return escape(value) or "-"
        if value is None:
            return "-"
        if isinstance(value, float):
            return f"{value:.3f}"
        if isinstance(value, int):
            # Without the name of an HTTPStatus.
            return str(int(value)) if value else self.zero
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
        if isinstance(value, int):
            return str(int(value))
        if isinstance(value, float):
            return repr(round(value, 6))
        return json_text(str(value))


@lru_cache(maxsize=2)
def _iso_second(second: int) -> str:
    when = datetime.fromtimestamp(second, timezone.utc)
    return when.replace(tzinfo=None).isoformat(timespec="seconds")


def _iso(line: Line) -> str:
    milliseconds = int(line.now * 1000)
    return f"{_iso_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


def _of_the_line(name: str) -> Callable[[Line], Any]:
    def get(line: Line) -> Any:
        request = line.request
        return None if getattr(request, "isUnread", False) else getattr(request, name)

    return get


def _header(name: bytes) -> Callable[[Line], Any]:
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
            "The same time as in the combined log format, with its brackets.",
            "[26/Nov/2026:16:15:27 +0000]",
            lambda line: line.timestamp,
        ),
        LogField(
            "client",
            "IP address of the client; none on a UNIX socket.",
            "192.0.2.7",
            lambda line: client_host(line.request),
        ),
        LogField(
            "method",
            "The method of the request.",
            "GET",
            _of_the_line("method"),
        ),
        LogField(
            "target",
            "The target of the request: path and query as they were sent.",
            "/a?b=c",
            _of_the_line("uri"),
        ),
        LogField(
            "protocol",
            "The version of HTTP.",
            "HTTP/1.1",
            _of_the_line("clientproto"),
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
            f"The number of the worker process, from ``{WORKER}``.",
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


def log_field(name: str) -> LogField:
    """
    The field with a name.

    @raise ValueError: if there is no such field.
    """
    field = LOG_FIELDS.get(name)
    if field is None:
        near = get_close_matches(name.lower().replace("-", "_"), LOG_FIELDS, 1, 0.5)
        hint = f"there are {', '.join(LOG_FIELDS)}"
        if near:
            hint = f"did you mean {near[0]!r}?"
        raise ValueError(f"there is no field {name!r}: {hint}")
    return field
