"""
What the property tests send: real heads, changed ones, and ones made of parts.

C{TWISTED_H11_LONG=1} in the environment makes a hundred times as many examples,
other ones with each run.
"""

from __future__ import annotations

import os
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from twisted.web.http_headers import Headers

from tests.fuzz.streams import KINDS, STREAMING
from twisted_h11.limits import Limits

__all__ = [
    "CURL",
    "CURL_POST",
    "NAMED",
    "REAL",
    "REASONS",
    "REQUESTS",
    "STATUSES",
    "TIGHT",
    "examples",
    "generated",
    "head",
    "mutated",
    "response_fields",
    "split",
    "streams",
]

LONG = os.environ.get("TWISTED_H11_LONG", "0") != "0"


def examples(count: int) -> settings:
    """
    So many examples: the same ones each time, or in the long run others.
    """
    return settings(
        max_examples=count * 100 if LONG else count,
        deadline=None,
        derandomize=not LONG,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def head(*lines: bytes) -> bytes:
    """
    A head of these lines.
    """
    return b"\r\n".join(lines) + b"\r\n\r\n"


FIREFOX = head(
    b"GET /path/page.html?q=a%20b&x=[1]|{2} HTTP/1.1",
    b"Host: www.example.com",
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140",
    b"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    b"Accept-Language: en-US,en;q=0.5",
    b"Accept-Encoding: gzip, deflate, br, zstd",
    b"Referer: https://www.example.com/",
    b"Connection: keep-alive",
    b"Cookie: session=5f3b9a0c; theme=dark",
    b"Upgrade-Insecure-Requests: 1",
    b"Sec-Fetch-Dest: document",
    b"Priority: u=0, i",
)
CHROME = head(
    b"GET / HTTP/1.1",
    b"Host: localhost:8080",
    b"Connection: keep-alive",
    b'sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"',
    b"sec-ch-ua-mobile: ?0",
    b'sec-ch-ua-platform: "Linux"',
    b"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/140.0",
    b"Accept: text/html,*/*;q=0.8",
    b"Accept-Encoding: gzip, deflate, br, zstd",
)
CURL = head(
    b"GET /whole HTTP/1.1",
    b"Host: [::1]:8080",
    b"User-Agent: curl/8.14",
    b"Accept: */*",
)
CURL_POST = (
    head(
        b"POST /whole HTTP/1.1",
        b"Host: localhost",
        b"User-Agent: curl/8.14",
        b"Accept: */*",
        b"Content-Length: 7",
        b"Content-Type: application/x-www-form-urlencoded",
    )
    + b"a=1&b=2"
)
WGET = head(
    b"GET /whole HTTP/1.1",
    b"Host: example.com",
    b"User-Agent: Wget/1.25.0",
    b"Accept: */*",
    b"Accept-Encoding: identity",
    b"Connection: Keep-Alive",
)
REAL = [FIREFOX, CHROME, CURL, CURL_POST, WGET]

# One of each class that the rules speak of, and what is just outside.
BYTES = st.sampled_from(
    [bytes([n]) for n in (0, 1, 8, 9, 10, 11, 12, 13, 31, 32, 33, 127, 128, 133, 160)]
    + [bytes([n]) for n in b"\"#$%&'()*+,-./019:;<=>?@AZ[\\]^_`az{|}~"]
    + [b"\xff", b"\r\n", b"\r\n ", b"\r\n\t", b"\n\n", b"\r\n\r\n", b" \t "]
)
TOKENS = st.text("!#$%&'*+-.^_`|~09AZaz", min_size=1, max_size=6).map(str.encode)
SPACE = st.sampled_from([b"", b" ", b"\t", b"  ", b" \t ", b"\x0b", b"\x0c", b"\r"])
VALUES = st.one_of(
    st.just(b""),
    st.text('!~az09,;="\\ \t\x80\x85\xa0\xff', max_size=12).map(
        lambda text: text.encode("latin-1")
    ),
    st.lists(BYTES, max_size=3).map(b"".join),
)
NAMED = [
    (b"Host", [b"a", b"a:80", b"", b"a b", b"a,b", b"[::1]", b"u@a", b"a:", b"\xe4"]),
    (
        b"Content-Length",
        [
            b"0",
            b"3",
            b"03",
            b"+3",
            b"3,3",
            b"-0",
            b"3 3",
            b"",
            b"65536",
            b"65537",
            b"9999999",
            b"10000000",
            b"0000003",
            b"00000003",
            b"\xb3",
            b"1_0",
            b"0x3",
        ],
    ),
    (
        b"Connection",
        [
            b"keep-alive",
            b"Keep-Alive",
            b"close",
            b"",
            b"keep-alive, close",
            b"upgrade",
            b"keep-alive,",
            b"kee\xf0",
            b"keep-alive\xa0",
            b'"close"',
            b"TE",
        ],
    ),
    (b"Transfer-Encoding", [b"chunked", b"identity", b"gzip, chunked", b""]),
    (b"Expect", [b"100-continue", b"x", b""]),
    (b"Upgrade", [b"websocket", b"h2c", b""]),
    (b"HTTP2-Settings", [b"AAMAAABkAARAAAAAAAIAAAAA"]),
    (b"Proxy-Connection", [b"close"]),
    (b"Trailer", [b"x"]),
    (b"TE", [b"trailers", b"chunked"]),
    (b"Cookie", [b"a=b; c=d"]),
]


def spelled(name: bytes) -> st.SearchStrategy[bytes]:
    """
    A name in several cases.
    """
    return st.sampled_from([name, name, name.lower(), name.upper(), name.swapcase()])


@st.composite
def field_lines(draw: Any) -> bytes:
    """
    A field line, often one that matters, mostly in order.
    """
    if draw(st.integers(0, 2)):
        name, values = draw(st.sampled_from(NAMED))
        name = draw(spelled(name))
        value = draw(st.sampled_from(values))
    else:
        name, value = draw(TOKENS), draw(VALUES)
    odd = draw(st.integers(0, 9))
    before = draw(SPACE) if odd == 0 else b""
    after, behind = (draw(SPACE), draw(SPACE)) if odd < 4 else (b" ", b"")
    end = b"\n" if odd == 9 and draw(st.booleans()) else b"\r\n"
    line: bytes = name + before + b":" + after + value + behind + end
    return line


METHODS = st.sampled_from(
    [
        b"GET",
        b"GET",
        b"POST",
        b"HEAD",
        b"OPTIONS",
        b"DELETE",
        b"CONNECT",
        b"CONNECTX",
        b"get",
        b"G",
        b"",
        b"M-SEARCH",
        b"G\x00T",
        b"PRI",
    ]
)
TARGETS = st.one_of(
    st.sampled_from([b"/", b"/whole", b"*", b"a:80", b"http://b/", b"/a?b?c", b"//x"]),
    st.lists(BYTES, max_size=4).map(lambda parts: b"/" + b"".join(parts)),
    st.sampled_from(
        [b"/x?a#b", b"/a\\b", b"/a?b\\c", b'/"', b"/<", b"/^`{|}", b"/a b"]
    ),
)
VERSIONS = st.sampled_from(
    [b"HTTP/1.1"] * 8
    + [b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"http/1.1", b"HTTP/1.1 "]
)


@st.composite
def generated(draw: Any) -> bytes:
    """
    A request made of parts, mostly in order.
    """
    lines = draw(st.lists(field_lines(), max_size=5))
    if draw(st.integers(0, 4)):
        lines.insert(draw(st.integers(0, len(lines))), b"Host: a\r\n")
    gap = draw(st.sampled_from([b" "] * 9 + [b"  ", b"\t", b""]))
    first = gap.join([draw(METHODS), draw(TARGETS), draw(VERSIONS)])
    body = draw(st.sampled_from([b"", b"", b"abc", b"0\r\n\r\n", b"x" * 65536]))
    made: bytes = first + b"\r\n" + b"".join(lines) + b"\r\n" + body
    return made


@st.composite
def mutated(draw: Any) -> bytes:
    """
    A real request with a few changes: something put in, taken out or doubled.
    """
    data: bytes = draw(st.sampled_from(REAL))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(data)))
        kind = draw(st.integers(0, 4))
        if kind == 0:
            data = data[:at] + draw(BYTES) + data[at:]
        elif kind == 1:
            data = data[:at] + draw(BYTES) + data[at + 1 :]
        elif kind == 2:
            data = data[:at] + data[at + draw(st.integers(1, 8)) :]
        else:
            # Between two lines.
            ends = [n for n in range(len(data)) if data.startswith(b"\r\n", n)]
            place = draw(st.sampled_from(ends or [0])) + 2
            data = data[:place] + draw(field_lines()) + data[place:]
    return data


REQUESTS = st.one_of(generated(), mutated(), st.sampled_from(REAL))

TIGHT = st.builds(
    Limits,
    maxTargetLength=st.sampled_from([1, 6, 8192]),
    maxHeadLength=st.sampled_from([30, 80, 400, 65536]),
    maxFieldCount=st.sampled_from([1, 2, 12, 100]),
    maxBodyLength=st.sampled_from([None, 0, 3, 65536, 1 << 30]),
)


NAMES = st.one_of(
    st.sampled_from(
        [
            b"Date",
            b"Server",
            b"Content-Length",
            b"Content-Type",
            b"Connection",
            b"Transfer-Encoding",
            b"Set-Cookie",
            b"ETag",
            b"x-a",
            b"X-B",
            b"Keep-Alive",
        ]
    ),
    TOKENS,
)
RESPONSE_VALUES = st.one_of(
    VALUES, st.sampled_from([b"3", b"03", b"close", b"chunked", b" a ", b"text/html"])
)
REASONS = st.one_of(st.sampled_from([b"OK", b"", b"Not Found", b"a\r\nb"]), VALUES)
STATUSES = st.one_of(st.sampled_from([200, 204, 205, 304, 404]), st.integers(99, 1000))


@st.composite
def response_fields(draw: Any) -> Headers:
    """
    Fields as an application sets them.
    """
    headers = Headers()
    if draw(st.integers(0, 5)):
        headers.setRawHeaders(b"Date", [b"Tue, 14 Nov 2023 22:13:20 GMT"])
    for name in draw(st.lists(NAMES, max_size=4)):
        values = draw(st.lists(RESPONSE_VALUES, min_size=1, max_size=2))
        headers.setRawHeaders(name, values)
    return headers


KIND_NAMES = sorted(KINDS)
STREAMS = ["streaming", *("streaming/" + kind for kind in STREAMING)]


@st.composite
def streams(draw: Any, streaming: bool = True) -> list[bytes]:
    """
    The requests of one connection.

    @param streaming: whether some are for resources that stream.
    """
    kinds = [*(STREAMS if streaming else []), *KIND_NAMES, *KIND_NAMES]
    made = []
    for _ in range(draw(st.integers(1, 3))):
        if draw(st.integers(0, 3)) == 0:
            made.append(draw(st.one_of(generated(), mutated())))
            continue
        kind = draw(st.sampled_from(kinds)).encode()
        method = draw(st.sampled_from([b"GET", b"GET", b"POST", b"HEAD"]))
        lines = [method + b" /" + kind + b" HTTP/1.1", b"Host: a"]
        body = b""
        if method == b"POST":
            body = draw(st.sampled_from([b"", b"abc", b"x" * 3000]))
            lines.append(b"Content-Length: %d" % len(body))
        if draw(st.integers(0, 4)) == 0:
            lines.append(draw(field_lines()).removesuffix(b"\r\n"))
        made.append(head(*lines) + body)
    return made


@st.composite
def split(draw: Any, requests: list[bytes]) -> list[bytes]:
    """
    Segments: whole requests, everything at once, single bytes, or any cuts.
    """
    data = b"".join(requests)
    way = draw(st.integers(0, 4))
    if way == 0:
        return requests
    if way == 1:
        return [data]
    if way == 2 and len(data) < 400:
        return [data[at : at + 1] for at in range(len(data))]
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=4)))
    ends = [0, *cuts, len(data)]
    pieces = [data[a:b] for a, b in pairwise(ends)]
    return [piece for piece in pieces if piece]
