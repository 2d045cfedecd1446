"""
What clients are known to make otherwise of an answer, and what was decided: the first
row that fits counts.

Where we refuse what another takes nothing can be taken for the answer to another
request: these are rows by the reason that we give.  All other differences need a row
of L{CLIENT_ROWS}.  Where we are laxer than most, it must be a row about what the
documentation says is forgiven.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from tests.differential.client_compare import Parting
from tests.differential.client_seen import Seen, see

__all__ = ["CLIENT_ROWS", "ClientRow", "client_row_of"]


class ClientRow(NamedTuple):
    """
    One kind of difference.

    @ivar title: the kind of answer.
    @ivar reading: who makes what of it.
    @ivar peers: whom it is about, or all.
    @ivar kinds: of L{Parting}, without what is different in a response.
    @ivar fits: whether a difference is of this row.
    @ivar why: the reason.
    @ivar forgiven: the words of C{docs/client.rst} that say that it is forgiven.
    """

    title: str
    reading: str
    peers: str
    kinds: str
    fits: Callable[[Parting], object]
    why: str
    forgiven: str = ""


def _looks(looks: Callable[[Seen], object]) -> Callable[[Parting], object]:
    """
    Whether an answer looks so.
    """
    return lambda it: looks(see(it.answer.data))


def _once(looks: Callable[[Seen], object]) -> Callable[[Parting], object]:
    """
    Whether an answer looks so, and we do not use the connection again.
    """
    return lambda it: it.ours.then != "again" and looks(see(it.answer.data))


def _status(pattern: bytes) -> Callable[[Seen], object]:
    """
    Whether the last status line begins so.
    """
    match = re.compile(pattern).match
    return lambda seen: seen.lines and match(seen.lines[-1])


def _body(pattern: bytes) -> Callable[[Seen], object]:
    """
    Whether there is this in a chunked body.
    """
    search = re.compile(pattern).search
    return lambda seen: seen.values(b"transfer-encoding") and search(seen.body)


def _bodiless(it: Parting) -> bool:
    return it.answer.method == "HEAD" or it.ours.status in (204, 304)


def _odd_framing(seen: Seen) -> object:
    lengths = seen.values(b"content-length")
    codings = seen.values(b"transfer-encoding")
    odd = len(set(lengths)) > 1 or not all(map(bytes.isdigit, lengths))
    return odd or codings not in ([], [b"chunked"])


# In one head: there is no empty line between.
_repeats = re.compile(
    rb"(?i)content-length:[^\n]*(?:,|\n(?:[^\r\n][^\n]*\n)*?content-length:)"
).search


def _codes(head: bytes) -> bool:
    """
    Whether there is a length and a coding.
    """
    names = {line.partition(b":")[0].lower() for line in head.split(b"\n")}
    return {b"content-length", b"transfer-encoding"} <= names


def _behind(it: Parting) -> bool:
    """
    Whether our response ends before the answer does.
    """
    seen = see(it.answer.data)
    if it.ours.end != "done" or it.ours.then == "again":
        return False
    if _bodiless(it):
        return bool(seen.body)
    if seen.values(b"transfer-encoding"):
        return bool(seen.rest)
    return len(seen.body) > len(it.ours.body)


_ALL = "loose patient waits reads closes"

CLIENT_ROWS: list[ClientRow] = [
    ClientRow(
        "An interim response other than 100",
        "for http.client it is the response",
        "http.client",
        "reads waits loose patient",
        lambda it: (
            re.match(r"1(0[1-9]|[1-9])", str(it.theirs.status))
            or _looks(lambda seen: seen.interim or len(seen.lines) > 1)(it)
        ),
        "RFC 9110 section 15.2: it is not the final response.",
    ),
    ClientRow(
        "204 or 304 with ``Transfer-Encoding: chunked``",
        "http.client reads chunks, or waits for them",
        "http.client",
        "reads waits loose",
        lambda it: (
            it.ours.status in (204, 304)
            and _looks(lambda seen: seen.values(b"transfer-encoding") == [b"chunked"])(
                it
            )
        ),
        "RFC 9112 section 6.3 rule 1: the body is empty.",
    ),
    ClientRow(
        "White space behind a value",
        "http.client shows it",
        "http.client",
        "reads",
        lambda it: (
            it.kind == "reads fields"
            and _looks(lambda seen: re.search(rb"[ \t]\r\n", b"".join(seen.fields)))(it)
        ),
        "RFC 9110 section 5.5: it is not of the value.",
    ),
    ClientRow(
        "A line without a colon",
        "we leave it out and close; others refuse it, end the head there, or go on",
        "",
        _ALL,
        _once(lambda seen: seen.hasNoColon),
        "It is no field, and the framing is not in doubt.",
        "a line without a colon",
    ),
    ClientRow(
        "A name that is not a token, or white space before the colon",
        "we leave the field out and close; others refuse or show it, or end the head",
        "",
        _ALL,
        _once(lambda seen: seen.hasOddName),
        "Refused if it could be about framing.",
        "a name that is not a token, or is empty; white space before the colon",
    ),
    ClientRow(
        "A control character in a value, a bare CR too",
        "we leave the field out and close; others refuse it, or show it, or a part",
        "",
        _ALL,
        _once(lambda seen: seen.hasControl),
        "Refused if it is of a field about framing.",
        "control characters in a value",
    ),
    ClientRow(
        "A control character in the reason phrase, a bare CR too",
        "we show none and close; others refuse it, or go on",
        "",
        _ALL,
        _once(lambda seen: seen.hasOddReason),
        "Nobody reads the phrase.",
        "control characters in the reason phrase",
    ),
    ClientRow(
        "One or two empty lines before the status line",
        "we skip them and close; others refuse them, or go on",
        "",
        _ALL,
        _once(lambda seen: seen.before and len(seen.before) <= 4),
        "RFC 9112 section 2.2 says so of requests.",
        "one or two empty lines before the status line",
    ),
    ClientRow(
        "``HTTP`` in lower case",
        "we take it and close; others refuse it, or go on",
        "",
        _ALL,
        _once(_status(rb"(?!HTTP)(?i:HTTP)/")),
        "There is no other protocol of this name.",
        "``HTTP`` in lower case",
    ),
    ClientRow(
        "Transfer-Encoding and Content-Length",
        "the former counts, and we close; others refuse both, or go on",
        "",
        _ALL,
        _once(
            lambda seen: _codes(b"".join(seen.fields)) or _codes(b"".join(seen.interim))
        ),
        "RFC 9112 section 6.3.",
        "Transfer-Encoding and Content-Length",
    ),
    ClientRow(
        "``Transfer-Encoding: identity``",
        "we leave it out and close; others refuse it, or do not know where it ends",
        "",
        _ALL,
        _once(lambda seen: seen.values(b"transfer-encoding") == [b"identity"]),
        "It was in RFC 2616, and says nothing.",
        "``Transfer-Encoding: identity``",
    ),
    ClientRow(
        "Malformed framing where there is no body",
        "we leave it out and close; others refuse it, or go on",
        "",
        _ALL,
        lambda it: _bodiless(it) and _once(_odd_framing)(it),
        "RFC 9112 section 6.3 rule 1: the body is empty, whatever they say.",
        "malformed or differing Content-Length fields, or an unknown coding, where "
        "there is no body",
    ),
    ClientRow(
        "``chunked`` in HTTP/1.0",
        "we obey and close; others refuse it, take the chunks for content, or go on",
        "",
        _ALL,
        _once(
            lambda seen: (
                seen.values(b"transfer-encoding") and _status(rb"HTTP/1\.0")(seen)
            )
        ),
        "RFC 9112 section 6.1.",
        "``Transfer-Encoding: chunked`` in an HTTP/1.0 response",
    ),
    ClientRow(
        "A bare LF in the framing of chunks",
        "we take it for a line end and close; others refuse it, or wait for the CR",
        "",
        _ALL,
        _once(_body(rb"(?:^|\n)[0-9A-Fa-f]+[^\r\n]*\n")),
        "Refused where the size could be wrong by one.",
        "a bare LF at the end of a chunk line",
    ),
    ClientRow(
        "A fold in Content-Length or Transfer-Encoding",
        "we take it for a space and close; others refuse it, or see no value",
        "",
        _ALL,
        _once(
            lambda seen: re.search(
                rb"(?i)(?:content-length|transfer-encoding):[^\n]*\n[ \t]",
                b"".join(seen.fields),
            )
        ),
        "RFC 9112 section 5.2.",
        "an obsolete line fold",
    ),
    ClientRow(
        "A line fold",
        "it is a space to us; others refuse it, or keep the line end or a tab",
        "",
        "loose patient reads waits",
        _looks(lambda seen: seen.hasFold),
        "RFC 9112 section 5.2.",
        "an obsolete line fold",
    ),
    ClientRow(
        "A bare LF in a trailer section",
        "it is a line end to us, and we close; others refuse it, wait, or go on",
        "",
        _ALL,
        _once(
            lambda seen: (
                b"\n" in b"".join(seen.trailers)
                or (seen.rest is not None and seen.hasBareLF)
            )
        ),
        "RFC 9112 section 2.2.",
        "or of a line of the trailer section",
    ),
    ClientRow(
        "A bare LF at the end of a line of a head",
        "it is a line end to us; others refuse it",
        "",
        "loose patient waits closes",
        _looks(lambda seen: seen.hasBareLF),
        "RFC 9112 section 2.2.",
        "a bare LF at the end of a line of the head",
    ),
    ClientRow(
        "Bytes behind the response",
        "we close; others refuse them with the response, use the connection again, "
        "or take them for the next response",
        "",
        "loose closes",
        _behind,
        "RFC 9112 section 9.2: they answer nothing that was asked.",
        "nothing came behind it",
    ),
    ClientRow(
        "``close`` in a list or a longer option, twice, or in an interim response",
        "we close; others go on, or refuse what follows the interim response",
        "",
        "closes loose patient",
        _looks(
            lambda seen: re.search(
                rb"(?i)connection:[^\n]*close", b"".join(seen.interim + seen.fields)
            )
        ),
        "RFC 9112 section 9.3: ``close`` counts wherever it stands.",
    ),
    ClientRow(
        "HTTP/1.0, or a version that is none",
        "we close, others go on",
        "",
        "closes",
        _looks(_status(rb"HTTP/(?!1\.[1-9])")),
        "RFC 9112 section 9.3 makes keep-alive of HTTP/1.0 optional.",
    ),
    ClientRow(
        "HEAD without a length",
        "we use the connection again, others close",
        "node aiohttp",
        "reuses",
        lambda it: it.answer.method == "HEAD",
        "RFC 9112 section 6.3 rule 1: the body is empty.",
    ),
    ClientRow(
        "``Proxy-Connection: close``",
        "we use the connection again, others close",
        "node aiohttp",
        "reuses",
        _looks(lambda seen: seen.values(b"proxy-connection")),
        "RFC 9112 appendix C.2.2: it is no field of HTTP.",
    ),
    ClientRow(
        "White space behind a coding, or a tab before it",
        "others do not see the coding, or refuse it",
        "node http.client aiohttp",
        "loose waits patient reads",
        _looks(
            lambda seen: re.search(
                rb"(?i)transfer-encoding:[ \t]*(?:\t.*|chunked[ \t]+\r)",
                b"".join(seen.fields),
            )
        ),
        "RFC 9110 section 5.5: white space around a value is not of it.",
    ),
    ClientRow(
        "White space behind the size of a chunk, or a malformed extension",
        "we ignore it, others refuse it",
        "",
        "loose patient",
        _looks(_body(rb"(?:^|\n)[0-9A-Fa-f]+(?:[ \t]+|[ \t]*;[^\r\n\x00-\x08]*)\r\n")),
        "h11 takes it; it is in no doubt where the line ends.",
        "white space behind the size of a chunk; an extension that is malformed",
    ),
    ClientRow(
        "Content-Length twice, or a list, with equal values",
        "it is one length to us, and we close; others refuse it, see none, or go on",
        "",
        _ALL,
        _once(lambda seen: _repeats(seen.sections)),
        "RFC 9112 section 6.3.",
        "equal Content-Length fields, or a list of equal values",
    ),
    ClientRow(
        "A framing field in a trailer section",
        "others refuse it, we never merge it",
        "node aiohttp",
        "loose",
        _looks(
            lambda seen: re.search(
                rb"(?i)(?:^|\n)(?:content-length|transfer-encoding):",
                b"".join(seen.trailers),
            )
        ),
        "RFC 9110 section 6.5.1.",
    ),
    ClientRow(
        "Another version than 1.0 and 1.1",
        "we read it as the one or the other, others refuse it",
        "",
        "loose patient",
        _looks(_status(rb"HTTP/(?!1\.[01])[0-9]\.[0-9] ")),
        "RFC 9110 section 2.5.",
        "another version than 1.0 and 1.1",
    ),
    ClientRow(
        "An interim response of HTTP/1.0",
        "we close; others refuse what follows, or go on",
        "",
        "closes loose",
        _once(
            lambda seen: any(line.startswith(b"HTTP/1.0") for line in seen.lines[:-1])
        ),
        "RFC 9110 section 15.2.",
        "after an interim response of HTTP/1.0",
    ),
    ClientRow(
        "An interim response 199 with a length",
        "aiohttp takes what follows for its content",
        "aiohttp",
        "loose",
        _looks(
            lambda seen: (
                any(b" 199 " in line for line in seen.lines[:-1])
                and b"content-length" in b"".join(seen.interim).lower()
            )
        ),
        "RFC 9112 section 6.3 rule 1: it has no content.",
    ),
    ClientRow(
        "A length or a size that is longer than all that there is",
        "we wait for it, others refuse it",
        "",
        "patient",
        _looks(lambda seen: re.search(rb"[0-9]{17}", seen.sections + seen.body)),
        "RFC 9112 section 7.1 has no largest one; ``maxBodyLength`` does.",
    ),
    ClientRow(
        "A length over 64 bits where there is no body",
        "we do not look at it; others refuse it, or close",
        "",
        "loose reuses",
        lambda it: (
            _bodiless(it)
            and _looks(lambda seen: re.search(rb"[0-9]{20}", seen.sections))(it)
        ),
        "RFC 9112 section 6.3 rule 1.",
    ),
    ClientRow(
        "The size of a chunk with more than 16 digits, zeros first",
        "curl refuses it, to us it is that size",
        "curl",
        "loose",
        _looks(_body(rb"(?:^|\n)0[0-9A-Fa-f]{16}")),
        "RFC 9112 section 7.1 bounds no number of digits.",
    ),
    ClientRow(
        "The beginning of a chunk line that can not be one",
        "we wait for its end, others refuse it",
        "",
        "patient",
        _looks(_body(rb"(?:^|\n)(?!0*\r)[^\n]+$")),
        "A line is looked at when it is complete.",
    ),
    ClientRow(
        "A value that is empty, or has bytes above 127",
        "the command does not tell it as it is",
        "curl",
        "reads",
        lambda it: (
            it.kind == "reads fields"
            and _looks(
                lambda seen: re.search(
                    rb"(?:\n|^)\w+:[ \t]*(?:\r|\n|[^\n]*[\x80-\xff])",
                    b"".join(seen.fields),
                )
            )(it)
        ),
        "Its JSON (``%{header_json}``) is so in version 7.88.",
    ),
]


def client_row_of(parting: Parting) -> str | ClientRow | None:
    """
    Where a difference belongs: our reason when we refuse, a row, or C{None}.
    """
    kind = parting.kind.split()[0]
    if kind == "strict":
        text = parting.ours.error.partition(": ")[2]
        return re.split(r":? ?b?['\"]|[0-9(;]", text)[0].strip()
    for row in CLIENT_ROWS:
        if row.peers and parting.peer not in row.peers.split():
            continue
        if kind in row.kinds.split() and row.fits(parting):
            return row
    return None
