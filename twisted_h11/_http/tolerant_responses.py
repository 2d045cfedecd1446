"""
The faults of a response that the client tolerates.

Some servers send malformed heads that browsers, curl and twisted.web accept.  The
client tolerates these faults, where the end of the response is certain:

 - one or two empty lines before the status line;
 - C{HTTP} in lower case;
 - control characters in the reason phrase, which is then empty;
 - a line without a colon, a name that is not a token, white space before the
   colon, and control characters in a value: that field is left out;
 - C{Transfer-Encoding: identity}: it is left out;
 - a Content-Length or Transfer-Encoding that makes no sense where there is no body
   (RFC 9112 section 6.3: HEAD, 204, 304): it is left out;
 - equal values of Content-Length, which count as one, and Content-Length beside
   Transfer-Encoding, which overrides it (RFC 9112 section 6.3);
 - C{chunked} in an HTTP/1.0 response, which applies (RFC 9112 section 6.1);
 - an obsolete fold, which is a space (RFC 9112 section 5.2);
 - a bare LF as the end of a line.

After any of these but the last two in a head, the connection is not used again; nor is
it after a fold of Content-Length or Transfer-Encoding.  If a response has a body and
its Content-Length or Transfer-Encoding is malformed, or the name has white space in it,
the response fails: another implementation might read another length.

h11 gets the head after that, rewritten in the usual form: its own pattern for a field
line takes quadratic time if the line is not valid.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import h11

from twisted_h11._http.abnf import (
    has_control,
    is_length,
    is_token,
    is_tolerant_status_line,
)
from twisted_h11._http.response_received import MOST_FIELDS, Fields

__all__ = ["EMPTY_LINES", "Tolerated", "forgive", "read_fields"]

# How many bytes of empty lines may precede a status line.
EMPTY_LINES = 4

_FRAMING = frozenset((b"content-length", b"transfer-encoding"))

_not_of_names = re.compile(rb"[^A-Za-z-]+")


class Tolerated(NamedTuple):
    """
    A valid head, for h11.

    @ivar head: the status line and the valid fields.
    @ivar odd: whether a fault was tolerated, so that the connection is not used again.
    """

    head: bytes
    odd: bool


def forgive(raw: bytes, method: bytes) -> Tolerated:
    """
    Repair the tolerated faults of a head.

    @param raw: the head, with the empty line behind it.
    @param method: the method of the request.
    @raise h11.RemoteProtocolError: if the head has another fault.
    """
    first, *lines = raw.split(b"\n")
    match = is_tolerant_status_line(first.removesuffix(b"\r"))
    if match is None:
        raise h11.RemoteProtocolError(
            f"illegal status line: {first[:100]!r}; HTTP, a version and a number of "
            "three digits are expected"
        )
    name, version, status, reason = match.groups()
    code = int(status)
    if code < 100:
        raise h11.RemoteProtocolError(
            f"The status {status.decode()} is invalid: it is below 100"
        )
    fields, odd = read_fields(lines)
    if name != b"HTTP":
        odd = True
    if reason and has_control(reason):
        odd = True
        reason = b""
    kept = _forgive_framing(fields, method == b"HEAD" or code in (204, 304))
    odd = odd or kept != fields or _is_doubtful(kept)
    parts = [b"HTTP/%b %b %b\r\n" % (version, status, reason or b"")]
    parts += [b"%b: %b\r\n" % field for field in kept]
    return Tolerated(b"".join(parts) + b"\r\n", odd)


def read_fields(lines: list[bytes]) -> tuple[Fields, bool]:
    """
    Read field lines.

    @return: the valid fields, and whether a fault was tolerated.
    @raise h11.RemoteProtocolError: if an invalid field could be about framing, or there
        are more than L{MOST_FIELDS} lines, those of folds not counted.
    """
    joined: list[tuple[bytes, list[bytes]]] = []
    odd = False
    for line in lines:
        line = line.removesuffix(b"\n").removesuffix(b"\r")
        if not line:
            continue
        if line[:1] in b" \t":
            # RFC 9112 section 5.2: an obsolete fold is a space.
            if not joined:
                raise h11.RemoteProtocolError("continuation line at start of headers")
            joined[-1][1].append(line.lstrip(b" \t"))
            continue
        if len(joined) == MOST_FIELDS:
            raise h11.RemoteProtocolError(f"There are more than {MOST_FIELDS} fields")
        name, colon, value = line.partition(b":")
        joined.append((name if colon else b"", [value]))
    fields: Fields = []
    for name, values in joined:
        # As h11 joins folded lines: spaces before the line end stay.
        value = b" ".join(values).strip(b" \t")
        if is_token(name) and not has_control(value):
            fields.append((name, value))
            # Without support for folds the length would be another one, or none.
            odd = odd or (len(values) > 1 and name.lower() in _FRAMING)
            continue
        if _not_of_names.sub(b"", name).lower() in _FRAMING:
            raise h11.RemoteProtocolError(
                f"illegal header line: {name[:40]!r}: {value[:40]!r} could decide "
                "where the response ends"
            )
        odd = True
    return fields, odd


def _is_doubtful(fields: Fields) -> bool:
    """
    Whether other implementations could read another length in fields, or refuse them:
    there is more than one Content-Length, or also a Transfer-Encoding.
    """
    lengths = [v for n, v in fields if len(n) == 14 and n.lower() == b"content-length"]
    if len(lengths) != 1:
        return bool(lengths)
    coded = any(len(n) == 17 and n.lower() == b"transfer-encoding" for n, _ in fields)
    return coded or b"," in lengths[0]


def _forgive_framing(fields: Fields, bodiless: bool) -> Fields:
    """
    The fields without those about framing that do not count.

    @param bodiless: whether the response has no body, whatever its fields are.
    """
    lengths = [v for n, v in fields if len(n) == 14 and n.lower() == b"content-length"]
    codings = [
        v.lower()
        for n, v in fields
        if len(n) == 17 and n.lower() == b"transfer-encoding"
    ]
    dropped = set()
    if codings == [b"identity"]:
        dropped.add(b"transfer-encoding")
    if bodiless:
        if codings and codings != [b"chunked"]:
            dropped.add(b"transfer-encoding")
        if len(set(lengths)) > 1 or not all(map(is_length, lengths)):
            dropped.add(b"content-length")
    if not dropped:
        return fields
    return [field for field in fields if field[0].lower() not in dropped]
