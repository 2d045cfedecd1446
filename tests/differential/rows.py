"""
What is known to differ, and what was decided: the first row that fits counts.

Where we refuse what a peer takes there is nothing to smuggle: these are rows by the
status and the reason that we give.  All other differences need a row of L{ROWS}.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from tests.differential.compare import Difference
from tests.differential.requests import SENTINEL

__all__ = ["ROWS", "Row", "row_of"]


class Row(NamedTuple):
    """
    One kind of difference.

    @ivar title: the kind of input.
    @ivar reading: who reads it how.
    @ivar peers: whom it is about, or all.
    @ivar kinds: of L{Difference}.
    @ivar fits: whether a difference is of this row.
    @ivar why: the reason.
    """

    title: str
    reading: str
    peers: str
    kinds: str
    fits: Callable[[Difference], object]
    why: str


def _has(pattern: bytes) -> Callable[[Difference], object]:
    found = re.compile(pattern)
    return lambda difference: found.search(difference.data)


def _mine(pattern: str) -> Callable[[Difference], object]:
    """
    Whether the request that we have understood there, as words, looks so.
    """
    found = re.compile(pattern, re.DOTALL)

    def fits(difference: Difference) -> object:
        understood = difference.ours.requests[difference.at : difference.at + 1]
        return understood and found.match(" ".join(understood[0][:3]))

    return fits


def _one_of_mine(pattern: str) -> Callable[[Difference], object]:
    """
    Whether that request looks so, or one behind it does, which a peer that reads ahead
    refuses with all that is before it.
    """
    found = re.compile(pattern, re.DOTALL)

    def fits(difference: Difference) -> bool:
        requests = difference.ours.requests[difference.at :]
        looks = [bool(found.match(" ".join(one[:3]))) for one in requests]
        return any(looks[:1]) or (any(looks) and _agreed(difference))

    return fits


_KNOWN = {"GET", "POST", "PUT", "HEAD", "OPTIONS", "DELETE", "PATCH", "TRACE"}
_KNOWN.add("CONNECT")
_ending = _has(rb"(?i)\nconnection:[^\r\n]*\bclose\b|HTTP/1\.0")
_closing = _has(rb"(?i)\nconnection:[^\r\n]*\bclose\b")


def _agreed(difference: Difference) -> bool:
    """
    Whether others understood what we did: the peer has refused it for what is behind.
    """
    return difference.agreeing is None or difference.agreeing > 0


def _refused_later(difference: Difference) -> bool:
    return difference.ours.refusal > 0 and _agreed(difference)


def _strange_method(difference: Difference) -> bool:
    """
    Whether the request is one with an unknown method, or one behind it is, which a peer
    that reads ahead refuses with all that is before it.
    """
    requests = difference.ours.requests[difference.at :]
    if requests and requests[0].method not in _KNOWN:
        return True
    return any(one.method not in _KNOWN for one in requests) and _agreed(difference)


def _skipped(difference: Difference) -> bool:
    """
    Whether the peer has left out a request without content, and reads on as we do.
    """
    at = difference.at
    mine = [one[:3] for one in difference.ours.requests[at:]]
    other = [one[:3] for one in difference.theirs.requests[at:]]
    behind = min(len(mine) - 1, len(other))
    return bool(mine) and not mine[0][2] and mine[1 : 1 + behind] == other[:behind]


def _apart(difference: Difference) -> bool:
    """
    Whether we read an empty line between content and the next request:
    the content may itself end with a line end.
    """
    at = difference.at
    pair = difference.ours.requests[max(at - 1, 0) : at + 1]
    if len(pair) < 2 or not pair[0].body:
        return False
    words = f"{pair[0].body}\r\n{pair[1].method} {pair[1].target} "
    return words.encode("latin-1") in difference.data + SENTINEL


_find_trailing = re.compile(
    rb"(?i)\n0+(?:;[^\r\n]*)?\r\n(?:[^\r\n]+\r\n)*?"
    rb"(?:content-length|transfer-encoding|te|trailer|host|authorization|connection|"
    rb"proxy-connection):"
)


def _trailing(difference: Difference) -> object:
    """
    Whether there is a field in a trailer section that must not be there.
    """
    return _find_trailing.search(difference.data + SENTINEL)


_between = _has(rb"^\r\n|\r\n\r\n\r\n|[^\n:]\r\n[A-Z]+ \S+ HTTP")
_upgrading = _has(rb"(?i)\nupgrade:")


def _waiting(difference: Difference) -> bool:
    """
    Whether the peer waits for another protocol behind the request that asks for it.
    """
    theirs = difference.theirs
    waits = not theirs.refusal and not theirs.closed
    return bool(waits and len(theirs.requests) > 0 and _upgrading(difference))


ROWS: list[Row] = [
    Row(
        "A refused request follows",
        "the peer refuses at once, we answer the requests before it",
        "",
        "loose stops",
        _refused_later,
        "Pipelined requests are answered in order; the refused one closes.",
    ),
    Row(
        "Bytes behind ``Connection: close``, or behind HTTP/1.0",
        "the peer refuses them and what they follow, we drop them",
        "",
        "loose stops",
        lambda it: _ending(it) and it.ours.closed,
        "RFC 9112 section 9.6: they are ignored.",
    ),
    Row(
        "``close`` among other options, or in a second ``Connection``",
        "we close, the peer goes on",
        "",
        "ends",
        _closing,
        "RFC 9112 section 9.3: ``close`` counts wherever it stands.",
    ),
    Row(
        "HTTP/1.0",
        "we close, the peer keeps the connection",
        "",
        "ends",
        _has(rb"HTTP/1\.0"),
        "RFC 9112 section 9.3 makes keep-alive of HTTP/1.0 optional.",
    ),
    Row(
        "An option that only contains ``close``",
        "the peer closes, we go on",
        "",
        "stops",
        _has(rb"(?i)connection:.*close"),
        "It is another option; a connection may be closed at any time.",
    ),
    Row(
        "``OPTIONS *``, or ``OPTIONS`` and a server without a path",
        "we answer; the peer passes it to its application, or refuses it",
        "",
        "reads ends loose",
        _has(rb"OPTIONS (\*|[A-Za-z][A-Za-z0-9+.-]*://[^/? ]*) "),
        "RFC 9110 section 9.3.7: it is about the server, not a resource; so is an "
        "absolute-form without a path (RFC 9112 section 3.2.4).",
    ),
    Row(
        "Absolute-form",
        "the peer reports only its path, we the whole target",
        "",
        "reads",
        lambda it: it.kind == "reads target" and _mine(r"\S+ [\w+.-]+://")(it),
        "RFC 9112 section 3.2.2; the same resource.",
    ),
    Row(
        "Absolute-form whose authority is not that of ``Host``, or is odd",
        "the peer refuses it, we take the authority of the target",
        "",
        "loose stops",
        _one_of_mine(r"\S+ [\w+.-]+://"),
        "RFC 9112 section 3.2.2: ``Host`` is ignored then.",
    ),
    Row(
        "A valid token that is no known method",
        "the peer refuses it, and what comes before it, our application decides",
        "",
        "loose stops",
        _strange_method,
        "RFC 9110 section 9.1: a method is a token; a resource answers 501.",
    ),
    Row(
        "TRACE or CONNECT",
        "the peer refuses it, our application decides",
        "",
        "loose stops waits",
        _one_of_mine(r"(TRACE|CONNECT) "),
        "A resource answers 501; only one that knows CONNECT takes it.",
    ),
    Row(
        "Bytes behind CONNECT",
        "we refuse it and close, the peer reads them as a request",
        "",
        "ends",
        _has(rb"CONNECT \S+ HTTP/1\.[01]\r\n"),
        "They could belong to the tunnel that the client has requested.",
    ),
    Row(
        "A name of a field with more than 255 letters",
        "HAProxy refuses it, to us it is a name",
        "haproxy",
        "loose",
        _has(rb"\n[^:\r\n]{256,}:"),
        "However long, it is not a name that affects framing (CVE-2021-40346).",
    ),
    Row(
        "An empty line before or between requests",
        "the peer refuses it, we skip one",
        "",
        "loose stops",
        lambda it: _between(it) or _apart(it),
        "RFC 9112 section 2.2: one is to be ignored.",
    ),
    Row(
        "A tab before or behind a value",
        "the peer takes it for a part of the value and refuses it, we do not",
        "",
        "loose",
        _has(rb":[^\r\n]*\t|\t\r\n"),
        "RFC 9110 section 5.5: white space around a value is not part of it.",
    ),
    Row(
        "``..`` above the root, or ``%`` without a NUL or two digits",
        "nginx refuses it, we give the target as it came",
        "nginx",
        "loose",
        _mine(
            r"(?i)\S+ (\S*(/|%2f)(\.|%2e){2}(/|%2f|\?| )|"
            r"\S*%(00|[^0-9a-f]|[0-9a-f][^0-9a-f]))"
        ),
        "The resource gets the segment unchanged; files stay below their folder.",
    ),
    Row(
        "A host with an empty label, such as ``a..b``",
        "nginx refuses it, to us it is a name",
        "nginx",
        "loose",
        _has(rb"(?i)\nhost:[ \t]*([^\r\n]*\.\.|\.[:\r])"),
        "RFC 3986 section 3.2.2: a name need not be one of DNS; a resource or "
        "``NameVirtualHost`` does not know it.",
    ),
    Row(
        "``%`` without two digits in a path",
        "Go refuses it, we give the target as it came",
        "go",
        "loose",
        _mine(r"\S+ /[^? ]*%(?![0-9A-Fa-f]{2})"),
        "RFC 9112 section 3 does not require 400; the resource gets it unchanged.",
    ),
    Row(
        "``Upgrade`` to an unsupported protocol, then a request",
        "the peer answers and waits for the other protocol, we answer both",
        "node aiohttp uvicorn-httptools",
        "waits",
        _waiting,
        "RFC 9110 section 7.8: it may be ignored, and the request is an ordinary one.",
    ),
    Row(
        "``Upgrade`` in a request with content",
        "the peer leaves its content out and waits for the other protocol",
        "uvicorn-httptools",
        "reads",
        lambda it: (
            it.kind in ("reads body", "reads target body")
            and not it.theirs.requests[it.at].body
            and (_waiting(it) or (_upgrading(it) and _closing(it)))
        ),
        "RFC 9110 section 7.8: the protocol changes after the request.",
    ),
    Row(
        "``Upgrade`` in a request with chunked content",
        "aiohttp waits for more, we answer",
        "aiohttp",
        "waits",
        lambda it: _upgrading(it) and _has(rb"(?i)\ntransfer-encoding: *chunked")(it),
        "RFC 9110 section 7.8: it may be ignored, and the request is an ordinary one.",
    ),
    Row(
        "A WebSocket handshake without a key, or with an invalid one",
        "HAProxy refuses it, our application decides",
        "haproxy",
        "loose",
        lambda it: (
            _has(rb"(?i)\nupgrade:[^\r\n]*\bwebsocket\b")(it)
            and not _has(rb"(?i)\nsec-websocket-key:[ \t]*[a-z0-9+/]{22}==[ \t]*\r\n")(
                it
            )
        ),
        "RFC 6455 section 4.2.1: the WebSocket implementation refuses it.",
    ),
    Row(
        "``Expect`` as a list, twice, or with empty members",
        "the peer refuses it, or does not show it, we see 100-continue in it",
        "",
        "loose stops reads",
        _has(rb"(?i)\nexpect:([ \t]*\r|.*,)|(?s:\nexpect:.*\nexpect:)"),
        "RFC 9110 section 10.1.1: it is a list.",
    ),
    Row(
        "``Expect`` without content",
        "waitress does not show the request to its application",
        "waitress",
        "reads stops loose waits",
        lambda it: _has(rb"(?i)\nexpect:")(it) and _skipped(it),
        "RFC 9110 section 10.1.1: without content 100 may be left out.",
    ),
    Row(
        "Fields of framing, routing or the connection in a trailer section",
        "the peer refuses them, or what follows, or waits; we never merge them",
        "",
        "loose stops waits",
        _trailing,
        "RFC 9110 section 6.5.1.",
    ),
    Row(
        "``Proxy-Connection: close``",
        "the peer closes, and refuses what follows, we answer",
        "node aiohttp uvicorn-httptools",
        "loose stops",
        _has(rb"(?i)\nproxy-connection:[^\r\n]*\bclose\b"),
        "RFC 9112 appendix C.2.2: HTTP does not define this field.",
    ),
    Row(
        "Spaces within a chunk extension",
        "the peer refuses them, we leave them out with the extension",
        "node aiohttp waitress uvicorn-httptools",
        "loose stops",
        _has(rb"\n[0-9A-Fa-f]+;[^\r\n]* "),
        "RFC 9112 section 7.1.1; RFC 9110 section 5.6.3 has them removed.",
    ),
    Row(
        "A chunk extension with a quoted pair",
        "twisted.web refuses it, we leave it out",
        "twisted.web",
        "loose",
        _has(rb';[^\r\n]*\\"'),
        "RFC 9112 section 7.1.1.",
    ),
]


def row_of(difference: Difference) -> str | Row | None:
    """
    Where a difference belongs: what we say when we refuse, a row, or C{None}.
    """
    if difference.kind == "strict":
        reason = (
            difference.ours.text.rpartition(b"\r\n\r\n")[2].decode("latin-1").strip()
        )
        return f"{difference.ours.refusal} {reason}"
    for row in ROWS:
        if row.peers and difference.peer not in row.peers.split():
            continue
        if difference.kind.split()[0] in row.kinds.split() and row.fits(difference):
            return row
    return None
