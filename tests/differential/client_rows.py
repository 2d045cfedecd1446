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

from tests.differential.client_compare import Parting
from tests.differential.client_forgiven import FORGIVEN
from tests.differential.client_row import (
    ClientRow,
    body,
    looks,
    status,
)
from tests.differential.client_seen import Seen

__all__ = ["CLIENT_ROWS", "client_row_of"]


def _repeats(seen: Seen) -> bool:
    names = [line.partition(b":")[0].lower() for line in seen.fields]
    return len(names) > len({*names})


# Of single clients.
_PECULIAR: list[ClientRow] = [
    ClientRow(
        "An interim response other than 100",
        "for http.client it is the response",
        "http.client",
        "reads waits loose patient",
        lambda it: (
            re.match(r"1(0[1-9]|[1-9])", str(it.theirs.status))
            or looks(lambda seen: seen.interim or len(seen.lines) > 1)(it)
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
            and looks(lambda seen: seen.values(b"transfer-encoding") == [b"chunked"])(
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
            and looks(lambda seen: re.search(rb"[ \t]\r?\n", b"".join(seen.fields)))(it)
        ),
        "RFC 9110 section 5.5: it is not part of the value.",
    ),
    ClientRow(
        "``chunked`` in a version before 1.0",
        "we obey and close, Go takes the chunks for content, and waits for the end",
        "go",
        "waits reads",
        lambda it: (
            it.ours.then != "again"
            and looks(status(rb"HTTP/0\.[0-9] "))(it)
            and looks(lambda seen: seen.values(b"transfer-encoding") == [b"chunked"])(
                it
            )
        ),
        "RFC 9112 section 6.1 has it so for HTTP/1.0; the connection is closed.",
    ),
]

_OTHERS: list[ClientRow] = [
    ClientRow(
        "``close`` in a list or a longer option, twice, or in an interim response",
        "we close; others go on, or refuse what follows the interim response",
        "",
        "closes loose patient",
        looks(
            lambda seen: re.search(
                rb"(?i)connection:(?:[^\n]|\n[ \t])*close",
                b"".join(seen.interim + seen.fields),
            )
        ),
        "RFC 9112 section 9.3: ``close`` counts wherever it stands.",
    ),
    ClientRow(
        "HTTP/1.0, or an invalid version",
        "we close, others go on",
        "",
        "closes",
        looks(status(rb"HTTP/(?!1\.[1-9])")),
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
        looks(lambda seen: seen.values(b"proxy-connection")),
        "RFC 9112 appendix C.2.2: HTTP does not define this field.",
    ),
    ClientRow(
        "White space behind a coding or a length, or a tab before it",
        "others do not see it, or refuse it",
        "node http.client aiohttp",
        "loose waits patient reads",
        looks(
            lambda seen: re.search(
                rb"(?i)(?:transfer-encoding|content-length):[ \t]*(?:\t.*|\w+[ \t]+\r)",
                b"".join(seen.fields),
            )
        ),
        "RFC 9110 section 5.5: white space around a value is not part of it.",
    ),
    ClientRow(
        "A framing field in a trailer section",
        "others refuse it, we never merge it",
        "node aiohttp",
        "loose",
        looks(
            lambda seen: re.search(
                rb"(?i)(?:^|\n)(?:content-length|transfer-encoding):",
                b"".join(seen.trailers),
            )
        ),
        "RFC 9110 section 6.5.1.",
    ),
    ClientRow(
        "An interim response 199 with a length, or with a coding",
        "aiohttp takes what follows for its content",
        "aiohttp",
        "loose patient",
        looks(
            lambda seen: (
                any(b" 199 " in line for line in seen.lines[:-1])
                and re.search(
                    rb"(?i)content-length|transfer-encoding", b"".join(seen.interim)
                )
            )
        ),
        "RFC 9112 section 6.3 rule 1: it has no content.",
    ),
    ClientRow(
        "A length or a size that exceeds the bytes that were sent",
        "we wait for it, others refuse it",
        "",
        "patient",
        looks(
            lambda seen: re.search(
                rb"[0-9]{17}|(?i:[0-9a-f]{16})", seen.sections + seen.body
            )
        ),
        "RFC 9112 section 7.1 sets no maximum; ``maxBodyLength`` does.",
    ),
    ClientRow(
        "The size of a chunk with more than 16 digits, zeros first",
        "curl and Go refuse it, to us it is that size",
        "curl go",
        "loose",
        looks(body(rb"(?:^|\n)0[0-9A-Fa-f]{16}")),
        "RFC 9112 section 7.1 bounds no number of digits.",
    ),
    ClientRow(
        "The beginning of an invalid head",
        "we wait for its end, others refuse it",
        "",
        "patient",
        looks(
            lambda seen: (
                seen.lines[-1:] == [b""] or not re.search(rb"\n\r?\n$", seen.sections)
            )
        ),
        "A head is looked at when it is complete.",
    ),
    ClientRow(
        "The beginning of an invalid chunk line",
        "we wait for its end, others refuse it",
        "",
        "patient",
        looks(body(rb"(?:^|\n)(?!0*\r)[^\n]+$")),
        "A line is checked when it is complete.",
    ),
    ClientRow(
        "A value that is empty, or has bytes above 127",
        "the command does not report it exactly",
        "curl",
        "reads",
        lambda it: (
            it.kind == "reads fields"
            and looks(
                lambda seen: re.search(
                    rb"(?:\n|^)[^:\n]+:[ \t]*(?:\r|\n|[^\n]*[\x80-\xff])",
                    b"".join(seen.fields),
                )
            )(it)
        ),
        "Its JSON (``%{header_json}``) does this in version 7.88.",
    ),
    ClientRow(
        "A field that comes twice, with another between",
        "the command leaves out the other",
        "curl",
        "reads",
        lambda it: it.kind == "reads fields" and looks(_repeats)(it),
        "Its JSON (``%{header_json}``) does this in version 7.88.",
    ),
]

CLIENT_ROWS = [*_PECULIAR, *FORGIVEN, *_OTHERS]


def client_row_of(parting: Parting) -> str | ClientRow | None:
    """
    Where a difference belongs: our reason when we refuse, a row, or C{None}.
    """
    kind = parting.kind.split()[0]
    if kind == "strict":
        text = parting.ours.error.partition(": ")[2]
        # Without what the answer has, which stands in quotes or behind a colon.
        return re.split(r": (?!chunked is)|b?['\"]|[0-9(;]", text)[0].strip(" :")
    for row in CLIENT_ROWS:
        if row.peers and parting.peer not in row.peers.split():
            continue
        if kind in row.kinds.split() and row.fits(parting):
            return row
    return None
