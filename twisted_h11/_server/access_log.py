"""
The lines of the access log.

They are the same bytes as those of L{twisted.web.http.combinedLogFormatter}.  Most
are made here, at a fraction of its cost; it makes the lines with anything to escape.
A site's own formatter makes all lines of that site.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import combinedLogFormatter, datetimeToLogString

from twisted_h11._http.fastpath import FastHead

__all__ = ["combined_line", "escape", "log_times"]

# `34 in line` is four times as fast as `b'"' in line`.
_BACKSLASH, _QUOTE, _TAB = b'\\"\t'

# Common methods, decoded once.
_METHODS = {
    name.encode("ascii"): name
    for name in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
}

_HOST_LETTERS = frozenset("0123456789.:%" + string.ascii_letters)

_UNSAFE = re.compile(rb"[^ !#-\[\]-~]")

_NAMED = {9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}
_ESCAPES = [_NAMED.get(code, f"\\x{code:02x}").encode("ascii") for code in range(256)]


# Addresses without anything to escape.  A PROXY line may have any text as an address.
_plain_hosts: set[str] = set()
_MOST_HOSTS = 1024


def _is_plain(host: str) -> bool:
    if not _HOST_LETTERS.issuperset(host):
        return False
    if len(_plain_hosts) >= _MOST_HOSTS:
        _plain_hosts.clear()
    _plain_hosts.add(host)
    return True


def escape(value: bytes | str) -> str:
    """
    Escape text of a request for a line of a log: as in L{repr}, with the double
    quotation mark escaped.
    """
    text = value if isinstance(value, str) else value.decode("latin-1")
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return text
    if isinstance(value, str):
        value = value.encode("utf-8", "backslashreplace")
    return _UNSAFE.sub(lambda found: _ESCAPES[found[0][0]], value).decode("ascii")


def log_times(reactor: IReactorTime) -> Callable[[], str]:
    """
    @return: a function that returns the time in the combined format, made once a
        second.
    """
    made, text = -1, ""

    def now() -> str:
        nonlocal made, text
        second = int(reactor.seconds())
        if second != made:
            made, text = second, datetimeToLogString(second)
        return text

    return now


def combined_line(timestamp: Any, request: Any) -> Any:
    """
    A line of the combined log format.

    @param timestamp: the time, in brackets, as the site keeps it.
    @param request: the request.
    @return: what L{combinedLogFormatter} returns.
    """
    client = request.getClientAddress()
    # _head is None once the mapping was made, which an application may change.
    head = getattr(request.requestHeaders, "_head", None)
    kind = type(client)
    if type(head) is not FastHead or (
        kind is not IPv4Address and kind is not IPv6Address
    ):
        return _escaped_line(timestamp, request)
    host = client.host
    if host not in _plain_hosts and not _is_plain(host):
        return _escaped_line(timestamp, request)
    # The method and the target of a fast head are printable ASCII.
    uri = request.uri
    logged = head.logged
    if logged is None:
        logged = head.logged = _logged_fields(head)
    method = _METHODS.get(request.method)
    if (
        not logged
        or _BACKSLASH in uri
        or _QUOTE in uri
        or uri is not head.target
        or method is None
    ):
        return _escaped_line(timestamp, request)
    return (
        f'"{host}" - - {timestamp} "{method} '
        f'{uri.decode("ascii")} HTTP/1.1" '
        f"{request.code} {request.sentLength or '-'} {logged}"
    )


def _escaped_line(timestamp: Any, request: Any) -> Any:
    """
    A line for any request; made here if nothing has to be escaped.
    """
    client = request.getClientAddress()
    first = (request.method, request.uri, request.clientproto)
    referrer = request.getHeader(b"referer") or b"-"
    agent = request.getHeader(b"user-agent") or b"-"
    try:
        line = b" ".join(first).decode("ascii")
        fields = b'" "'.join((referrer, agent)).decode("ascii")
    except (TypeError, UnicodeError):
        # An application has set str instead of bytes, or there is more than ASCII.
        return _line_of_anything(timestamp, request)
    if type(client) is IPv4Address or type(client) is IPv6Address:
        text = f"{client.host}{line}{fields}"
        plain = text.isascii() and text.isprintable()
        if plain and "\\" not in text and text.count('"') == 2:
            return (
                f'"{client.host}" - - {timestamp} "{line}" '
                f'{request.code} {request.sentLength or "-"} "{fields}"'
            )
    return _line_of_anything(timestamp, request)


def _line_of_anything(timestamp: Any, request: Any) -> Any:
    try:
        return combinedLogFormatter(timestamp, request)
    except UnicodeError:
        # Twisted's formatter takes ASCII only.  An application may set other text as a
        # method, and a PROXY line may have other text as an address.
        host = getattr(request.getClientAddress(), "host", None) or "-"
        first = (request.method, request.uri, request.clientproto)
        line = " ".join(map(escape, first))
        referrer = request.getHeader(b"referer") or b"-"
        agent = request.getHeader(b"user-agent") or b"-"
        return (
            f'"{escape(host)}" - - {timestamp} "{line}" {request.code} '
            f'{request.sentLength or "-"} "{escape(referrer)}" "{escape(agent)}"'
        )


def _logged_fields(head: FastHead) -> str:
    """
    The two logged fields, quoted; an empty string if they have to be escaped.
    """
    block, lowered = head.block, head.lowered
    referrer = agent = b""
    at = lowered.rfind(b"\nreferer:")
    if at >= 0:
        referrer = block[at + 9 : block.find(b"\r", at)].strip(b" \t")
    at = lowered.rfind(b"\nuser-agent:")
    if at >= 0:
        agent = block[at + 12 : block.find(b"\r", at)].strip(b" \t")
    # Each in double quotation marks.
    logged = b'"'.join((b"", referrer or b"-", b" ", agent or b"-", b""))
    if (
        not logged.isascii()
        or _BACKSLASH in logged
        or _TAB in logged
        or logged.count(b'"') != 4
    ):
        return ""
    return logged.decode("ascii")
