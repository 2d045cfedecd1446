"""
Heads of the server's common responses, without the state machine.

Most responses have valid fields, and a length or chunks.  These pure functions return
the bytes that h11 would send, or C{None} to leave the head to h11, under the Law of
L{twisted_h11._http.fastpath}.  They return C{None} for an invalid reason phrase, name
or value, for C{Connection}, for a status without content, and so on.

Valid lines are cached, within bounds: most responses of a site repeat most of their
fields.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from twisted_h11._http.abnf import (
    is_field_content,
    is_short_length,
    is_trimmed_field,
)
from twisted_h11._http.response_to_send import ResponseHead

__all__ = ["begun_head", "response_head", "whole_head"]

# h11 puts Host first, even in a response.
_UNUSUAL = frozenset((b"Connection", b"Host", b"Transfer-Encoding"))

# Valid lines.
_lines: dict[tuple[bytes, bytes], bytes] = {}
_status_lines: dict[tuple[int, bytes], bytes] = {}
_MOST_LINES = 512


def _line_of(name: bytes, value: bytes) -> bytes | None:
    line = b"%b: %b\r\n" % (name, value)
    if is_trimmed_field(line) is None:
        return None
    if len(line) < 128:
        if len(_lines) >= _MOST_LINES:
            _lines.clear()
        _lines[name, value] = line
    return line


def _status_line_of(status: int, reason: bytes) -> bytes | None:
    if status < 200 or status > 599 or status in (204, 205, 304):
        return None
    if is_field_content(reason) is None:
        return None
    line = b"HTTP/1.1 %d %b\r\n" % (status, reason)
    if len(_status_lines) >= _MOST_LINES:
        _status_lines.clear()
    _status_lines[status, reason] = line
    return line


def response_head(
    status: int, reason: bytes, fields: Mapping[bytes, Sequence[bytes]]
) -> tuple[bytes, int | None] | None:
    """
    The head of a common response to an HTTP/1.1 request that keeps alive,
    without the empty line that ends it.

    @param status: not 1xx, 204, 205 or 304.
    @param reason: the reason phrase.
    @param fields: names, as L{twisted.web.http_headers.Headers} spells them,
        and their values.
    @return: the bytes, and the length of the content (C{None} without a
        C{Content-Length}).  C{None} instead for anything unusual.
    """
    line = _status_lines.get((status, reason)) or _status_line_of(status, reason)
    if line is None:
        return None
    lines = [line]
    length = None
    dated = False
    for name, values in fields.items():
        if name == b"Content-Length":
            if len(values) != 1:
                return None
            value = values[0]
            if is_short_length(value) is None:
                return None
            length = int(value)
            lines.append(b"Content-Length: %b\r\n" % value)
            continue
        if name == b"Date":
            dated = bool(values)
        elif name in _UNUSUAL:
            if name == b"Transfer-Encoding" and values == [b"chunked"]:
                # twisted.web's own Request sets it; the caller decides the framing.
                continue
            return None
        for value in values:
            line = _lines.get((name, value)) or _line_of(name, value)
            if line is None:
                return None
            lines.append(line)
    if not dated:
        return None
    return b"".join(lines), length


# Heads of chunked responses; for a response with a length, the parts of its head before
# and behind the length.
_begun: dict[tuple[object, ...], ResponseHead | tuple[bytes, bytes]] = {}


def begun_head(
    status: int, reason: bytes, fields: dict[bytes, list[bytes]], close: bool = False
) -> ResponseHead | None:
    """
    A whole head of a response whose content follows, with a C{Content-Length} or in
    chunks.

    @param fields: as for L{response_head}.
    @param close: whether this is the last response.
    @return: a shared head that must not be changed; C{None} for anything unusual.
    """
    key = known = None
    value = b""
    try:
        # One value for each name; see whole_head.
        values = [value for (value,) in fields.values()]
        if b"Content-Length" in fields:
            place = -1
            if next(reversed(fields)) != b"Content-Length":
                place = list(fields).index(b"Content-Length")
            value, values[place] = values[place], b""
            # The same test as is_short_length, without a regular expression.
            if not value.isdigit() or len(value) > 18:
                return None
        key = (status, reason, close, *fields, *values)
        known = _begun.get(key)
    except ValueError:
        pass
    if known is None:
        made = response_head(status, reason, fields)
        if made is None:
            return None
        raw, length = made
        end = b"Connection: close\r\n\r\n" if close else b"\r\n"
        if length is None:
            raw += b"Transfer-Encoding: chunked\r\n" + end
            known = ResponseHead.sent(status, reason, raw, None)
        else:
            before, name, after = raw.partition(b"\r\nContent-Length: ")
            value, lineEnd, after = after.partition(b"\r\n")
            known = before + name, lineEnd + after + end
        if key is not None and len(raw) < 1024:
            if len(_begun) >= _MOST_LINES:
                _begun.clear()
            _begun[key] = known
    if isinstance(known, ResponseHead):
        return known
    return ResponseHead.sent(status, reason, value.join(known), int(value))


# Heads without their Content-Length: most responses of a site differ only in that.
_prefixes: dict[tuple[object, ...], bytes] = {}


def whole_head(
    status: int,
    reason: bytes,
    fields: dict[bytes, list[bytes]],
    length: int,
    close: bool = False,
) -> bytes | None:
    """
    A whole head, with C{Content-Length} at its end.

    @param fields: as for L{response_head}; without C{Content-Length}.
    @param length: the length of the content, in bytes.
    @param close: whether this is the last response.
    @return: its bytes, or C{None} for anything unusual.
    """
    prefix = key = None
    try:
        # One value for each name, so that no two sets of fields have the same key.
        key = (status, reason, *fields, *[value for (value,) in fields.values()])
        prefix = _prefixes.get(key)
    except ValueError:
        pass
    if prefix is None:
        made = response_head(status, reason, fields)
        if made is None or made[1] is not None:
            return None
        prefix = made[0]
        if key is not None and len(prefix) < 1024:
            if len(_prefixes) >= _MOST_LINES:
                _prefixes.clear()
            _prefixes[key] = prefix
    if close:
        return b"%bContent-Length: %d\r\nConnection: close\r\n\r\n" % (prefix, length)
    return b"%bContent-Length: %d\r\n\r\n" % (prefix, length)
