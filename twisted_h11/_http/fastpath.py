"""
The same results as h11 for the common messages, without the state machine.

Most requests are a request line and a handful of plain fields, and have no
body, or one with a C{Content-Length}.  Three regular expressions over the bytes of such
a head give the same as h11.  A server reads these requests here, and writes responses
by L{twisted_h11._http.fast_responses}; a client reads responses by
L{read_response<twisted_h11._http.response_received.read_response>}, under the same law.

The functions here are pure functions of bytes.  They return C{None} to leave a head to
the strict layer and h11, for anything unusual: C{Transfer-Encoding}, C{Upgrade},
C{Expect}, a C{Connection} other than C{keep-alive} or C{close}, a second C{Host}, a
head that is not complete, and so on.

B{The Law.}  For every input for which a function here does not return C{None}, the
strict layer and h11 give the same result: the same method, target, version, fields,
body and keep-alive decision, and for responses the same bytes.  A property test and a
fuzz target check it, and the whole test suite runs with and without this module.
"""

from __future__ import annotations

import re

from twisted_h11._http.abnf import (
    FIELD_LINE,
    is_host,
    is_short_length,
)
from twisted_h11._http.strict_requests import RequestHead
from twisted_h11.limits import Limits

__all__ = ["FastHead", "read_request"]

# These classes have no character that strict_requests refuses in a target.
_line = re.compile(
    rb"(?!CONNECT )([A-Z]+) (/[!\"$->@-\[\]-~]*(?:\?[!\"$-~]*)?) HTTP/1\.1\r\n"
)

# Field lines, and the empty line.
_fields = re.compile(rb"(?:" + FIELD_LINE + rb")+\r\n")

# Fields for framing, routing and keep-alive, in field lines in lower case.
_special = re.compile(
    rb"\n(host|content-length|connection|transfer-encoding|upgrade|expect):[ \t]*"
    rb"([^\r]*)"
)

# Valid values of Host in recent requests.
_known_hosts: set[bytes] = set()
_MOST_KNOWN_HOSTS = 256


class FastHead(RequestHead):
    """
    A request head whose fields are parsed when they are first read.

    @ivar block: the field lines and the empty line, each with its line end, and before
        them the LF that ends the request line; so each line begins after a LF.
    @ivar lowered: C{block} in lower case, to search for a name.
    @ivar end: the index behind the head, in the bytes that it was read from.
    """

    __slots__ = ("_pairs", "block", "end", "logged", "lowered")

    def __init__(
        self,
        method: bytes,
        target: bytes,
        block: bytes,
        lowered: bytes,
        length: int,
        keepAlive: bool,
        end: int,
    ) -> None:
        self.method = method
        self.target = target
        self.version = b"HTTP/1.1"
        self.block = block
        self.lowered = lowered
        self.length = length
        self.end = end
        self.keepAlive = keepAlive
        self.expectsContinue = False
        self._pairs: list[tuple[bytes, bytes]] | None = None
        # The access log's text for the fields, once it was made.
        self.logged: str | None = None

    @property
    def fields(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]
        """
        Pairs of name and value, as received.
        """
        if self._pairs is None:
            pairs = []
            for line in self.block[1:-4].split(b"\r\n"):
                name, _, value = line.partition(b":")
                pairs.append((name, value.strip(b" \t")))
            self._pairs = pairs
        return self._pairs

    def find(self, name: bytes) -> list[bytes]:
        """
        The values of one field.

        @param name: its name, in any case.
        """
        key = b"\n" + name.lower() + b":"
        values = []
        at = self.lowered.find(key)
        while at >= 0:
            at += len(key)
            end = self.block.find(b"\r", at)
            values.append(self.block[at:end].strip(b" \t"))
            at = self.lowered.find(key, end)
        return values


def read_request(
    data: bytes, start: int, limits: Limits, last: FastHead | None
) -> FastHead | None:
    """
    Read the head of a common request.

    @param data: what has been received.
    @param start: where the request begins.
    @param limits: the bounds; C{None} is returned for a head that exceeds one.
    @param last: the head before on the same connection.  Clients repeat their
        fields to the byte; equal fields are not checked again.
    @return: the head, if all of it is in C{data}, or C{None}.  The body need not
        have arrived: C{Content-Length} gives its end.
    """
    match = _line.match(data, start)
    if match is None:
        return None
    method, target = match.groups()
    if len(target) > limits.maxTargetLength:
        return None
    fields = match.end() - 1
    if last is not None and last.length == 0 and data.startswith(last.block, fields):
        end = fields + len(last.block)
        if end - start > limits.maxHeadLength:
            return None
        head = FastHead(
            method, target, last.block, last.lowered, 0, last.keepAlive, end
        )
        head._pairs = last._pairs
        head.logged = last.logged
        return head
    match = _fields.match(data, fields + 1)
    if match is None:
        return None
    end = match.end()
    if end - start > limits.maxHeadLength:
        return None
    block = data[fields:end]
    # Two line ends are those of the request line and the empty line.
    if block.count(b"\n") - 2 > limits.maxFieldCount:
        return None
    lowered = block.lower()
    framing = _framing(lowered)
    if framing is None:
        return None
    length, keepAlive = framing
    most = limits.maxBodyLength
    if most is not None and length > most:
        return None
    return FastHead(method, target, block, lowered, length, keepAlive, end)


def _framing(lowered: bytes) -> tuple[int, bool] | None:
    """
    Read the fields for framing and routing.

    @param lowered: the field lines in lower case.
    @return: the length of the body in bytes, and whether the connection may be kept
        alive; C{None} for anything unusual.
    """
    host = None
    size = None
    connection = None
    for name, value in _special.findall(lowered):
        value = value.rstrip(b" \t")
        if name == b"host":
            if host is not None or (value not in _known_hosts and not _know(value)):
                return None
            host = value
        elif name == b"connection":
            if connection is not None or value not in (b"keep-alive", b"close"):
                return None
            connection = value
        elif name == b"content-length":
            if size is not None or is_short_length(value) is None:
                return None
            size = int(value)
        else:
            return None
    if host is None:
        return None
    return size or 0, connection != b"close"


def _know(host: bytes) -> bool:
    """
    Whether a value of C{Host} is valid; if so it is cached.
    """
    if is_host(host) is None:
        return False
    if len(_known_hosts) >= _MOST_KNOWN_HOSTS:
        _known_hosts.clear()
    _known_hosts.add(host)
    return True
