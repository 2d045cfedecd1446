"""
The requests that are sent, as bytes.

Two sets of fields: C{minimal} (Host only) and C{browser} (the twelve fields
that Firefox sends when a link is followed on a site that has set a cookie).
A varied message has a number in it that is different in every request, so that
a server that remembers the bytes of the last request gains nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = [
    "COUNTER",
    "JSON_KB",
    "Message",
    "browser",
    "closing",
    "head",
    "minimal",
    "post_64k",
    "post_json",
]

# Where it stands in a varied message, the number of the request is put.  Eight
# digits always, so that all messages of a case have the same length.
COUNTER = b"00000000"


@dataclass(frozen=True)
class Message:
    """
    A request, and where in it the number of the request is to be put.

    @ivar data: the bytes of the request.
    @ivar offset: where the eight digits begin, or C{None} when all requests
        are the same.
    """

    data: bytes
    offset: int | None = None

    def numbered(self, number: int) -> bytes:
        """
        The bytes of one request.

        @param number: a number that has not been used for another request;
            only its last eight digits count.
        """
        if self.offset is None:
            return self.data
        digits = b"%08d" % (number % 10**8)
        return (
            self.data[: self.offset] + digits + self.data[self.offset + len(COUNTER) :]
        )

    def several(self, first: int, count: int) -> bytes:
        """
        The bytes of so many requests, numbered from C{first}.
        """
        return b"".join(self.numbered(first + place) for place in range(count))


def head(method: bytes, target: bytes, fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """
    The bytes of a request head.
    """
    lines = [b"%b %b HTTP/1.1" % (method, target)]
    lines.extend(b"%b: %b" % field for field in fields)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def _message(data: bytes, varied: bool) -> Message:
    """
    A varied message has the counter exactly once; any other has it not at all.
    """
    if data.count(COUNTER) != (1 if varied else 0):
        raise ValueError("a varied message has exactly one counter, others none")
    return Message(data, data.index(COUNTER) if varied else None)


def minimal(host: bytes, target: bytes = b"/", varied: bool = False) -> Message:
    """
    GET with Host only.  What varies is the name of the host.
    """
    if varied:
        host = b"h" + COUNTER + b"." + host
    return _message(head(b"GET", target, [(b"Host", host)]), varied)


def closing(host: bytes, target: bytes = b"/") -> Message:
    """
    GET with Host, that asks for the connection to be closed.
    """
    fields = [(b"Host", host), (b"Connection", b"close")]
    return _message(head(b"GET", target, fields), False)


def browser(host: bytes, target: bytes = b"/", varied: bool = False) -> Message:
    """
    GET with the twelve fields of Firefox.  What varies is the cookie, as it
    does where many people visit one site.
    """
    session = COUNTER if varied else b"31415926"
    fields = [
        (b"Host", host),
        (
            b"User-Agent",
            b"Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
        ),
        (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
        (b"Accept-Language", b"en-US,en;q=0.5"),
        (b"Accept-Encoding", b"gzip, deflate, br, zstd"),
        (b"Referer", b"http://" + host + b"/"),
        (b"Connection", b"keep-alive"),
        (b"Cookie", b"session=5f3b9a0c" + session + b"e1d7"),
        (b"Upgrade-Insecure-Requests", b"1"),
        (b"Sec-Fetch-Dest", b"document"),
        (b"Sec-Fetch-Mode", b"navigate"),
        (b"Sec-Fetch-Site", b"same-origin"),
    ]
    return _message(head(b"GET", target, fields), varied)


def _json_kb() -> bytes:
    """
    A JSON document of exactly 1,000 bytes.
    """
    rows = ",".join(
        f'{{"id":{n},"name":"item {n}","tags":["a","b"],"price":{100 + n}.5}}'
        for n in range(10, 26)
    )
    text = '{"rows":[' + rows + '],"note":""}'
    return text.replace('""', '"' + "x" * (1000 - len(text)) + '"').encode("ascii")


JSON_KB = _json_kb()


def post_json(host: bytes, target: bytes = b"/echo-length") -> Message:
    """
    POST of 1 kB of JSON, with the fields of a small API client.
    """
    fields = [
        (b"Host", host),
        (b"User-Agent", b"benchmark/1"),
        (b"Accept", b"*/*"),
        (b"Content-Type", b"application/json"),
        (b"Content-Length", b"%d" % len(JSON_KB)),
    ]
    return _message(head(b"POST", target, fields) + JSON_KB, False)


def post_64k(host: bytes, target: bytes = b"/echo-length") -> Message:
    """
    POST of 64 KiB, which a form or an upload of a picture can have.
    """
    fields = [(b"Host", host), (b"Content-Length", b"65536")]
    return _message(head(b"POST", target, fields) + b"x" * 65536, False)
