"""
What our client forgives in an answer, and others do not: rows of the comparison.

Each names the words of the documentation that say so, and nearly all of them need that
the connection is not used again.
"""

from __future__ import annotations

import re

from tests.differential.client_row import (
    ALL,
    ClientRow,
    body,
    goes_on,
    is_bodiless,
    is_coded_too,
    looks,
    odd_framing,
    once,
    repeats_length,
    status,
)

__all__ = ["FORGIVEN"]

FORGIVEN: list[ClientRow] = [
    ClientRow(
        "A line without a colon",
        "we leave it out and close; others refuse it, end the head there, or go on",
        "",
        ALL,
        once(lambda seen: seen.hasNoColon),
        "It is no field, and the framing is not in doubt.",
        "a line without a colon",
    ),
    ClientRow(
        "A name that is not a token, or white space before the colon",
        "we leave the field out and close; others refuse or show it, or end the head",
        "",
        ALL,
        once(lambda seen: seen.hasOddName),
        "Refused if the field could affect framing.",
        "a name that is not a token, or is empty; white space before the colon",
    ),
    ClientRow(
        "A control character in a value, a bare CR too",
        "we leave the field out and close; others refuse it, or show it, or a part",
        "",
        ALL,
        once(lambda seen: seen.hasControl),
        "Refused if the field affects framing.",
        "control characters in a value",
    ),
    ClientRow(
        "A control character in the reason phrase, a bare CR too",
        "we show none and close; others refuse it, or go on",
        "",
        ALL,
        once(lambda seen: seen.hasOddReason),
        "The phrase has no meaning.",
        "control characters in the reason phrase",
    ),
    ClientRow(
        "One or two empty lines before the status line",
        "we skip them and close; others refuse them, or go on",
        "",
        ALL,
        once(
            lambda seen: (
                (seen.before and len(seen.before) <= 4)
                or re.search(rb"(?i)\n\r?\n\r?\n(\r?\n)?HTTP/", seen.sections)
            )
        ),
        "RFC 9112 section 2.2 allows it for requests.",
        "one or two empty lines before the status line",
    ),
    ClientRow(
        "``HTTP`` in lower case",
        "we take it and close; others refuse it, or go on",
        "",
        ALL,
        once(
            lambda seen: any(
                re.match(rb"(?!HTTP)(?i:HTTP)/", line) for line in seen.lines
            )
        ),
        "There is no other protocol of this name.",
        "``HTTP`` in lower case",
    ),
    ClientRow(
        "Transfer-Encoding and Content-Length",
        "the former counts, and we close; others refuse both, or go on",
        "",
        ALL,
        once(
            lambda seen: (
                is_coded_too(b"".join(seen.fields))
                or is_coded_too(b"".join(seen.interim))
            )
        ),
        "RFC 9112 section 6.3.",
        "Transfer-Encoding and Content-Length",
    ),
    ClientRow(
        "``Transfer-Encoding: identity``",
        "we leave it out and close; others refuse it, or do not know where it ends",
        "",
        ALL,
        once(lambda seen: seen.values(b"transfer-encoding") == [b"identity"]),
        "RFC 2616 had it, without any effect.",
        "``Transfer-Encoding: identity``",
    ),
    ClientRow(
        "Malformed framing where there is no body",
        "we leave it out and close; others refuse it, or go on",
        "",
        ALL,
        lambda it: is_bodiless(it) and once(odd_framing)(it),
        "RFC 9112 section 6.3 rule 1: the body is empty, whatever they say.",
        "malformed or differing Content-Length fields, or an unknown coding, where "
        "there is no body",
    ),
    ClientRow(
        "``chunked`` in HTTP/1.0",
        "we obey and close; others refuse it, take the chunks for content, or go on",
        "",
        ALL,
        once(
            lambda seen: (
                seen.values(b"transfer-encoding") and status(rb"HTTP/1\.0")(seen)
            )
        ),
        "RFC 9112 section 6.1.",
        "``Transfer-Encoding: chunked`` in an HTTP/1.0 response",
    ),
    ClientRow(
        "A bare LF in the framing of chunks",
        "we take it for a line end and close; others refuse it, or wait for the CR",
        "",
        ALL,
        once(body(rb"(?:^|\n)[0-9A-Fa-f]+[^\r\n]*\n")),
        "Refused where the size could be wrong by one.",
        "a bare LF at the end of a chunk line",
    ),
    ClientRow(
        "A fold in Content-Length or Transfer-Encoding",
        "we take it for a space and close; others refuse it, or see no value",
        "",
        ALL,
        once(
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
        looks(lambda seen: seen.hasFold),
        "RFC 9112 section 5.2.",
        "an obsolete line fold",
    ),
    ClientRow(
        "A bare LF in a trailer section",
        "it is a line end to us, and we close; others refuse it, wait, or go on",
        "",
        ALL,
        once(
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
        looks(lambda seen: seen.hasBareLF),
        "RFC 9112 section 2.2.",
        "a bare LF at the end of a line of the head",
    ),
    ClientRow(
        "Bytes behind the response",
        "we close; others refuse them with the response, use the connection again, "
        "or take them for the next response",
        "",
        "loose closes",
        goes_on,
        "RFC 9112 section 9.2: they belong to no request.",
        "nothing came behind it",
    ),
    ClientRow(
        "White space at the end of a chunk line, or a malformed extension",
        "we ignore it, others refuse it",
        "",
        "loose patient",
        looks(body(rb"(?:^|\n)[0-9A-Fa-f]+(?:[ \t]+|;[^\r\n\x00-\x08]*)\r\n")),
        "h11 accepts it; the end of the line is unambiguous.",
        "white space at the end of a chunk line; an extension that is malformed",
    ),
    ClientRow(
        "White space between the size of a chunk and an extension",
        "we ignore it, and close; others refuse it, or go on",
        "",
        "loose closes patient",
        looks(body(rb"(?:^|\n)[0-9A-Fa-f]+[ \t]+;[^\r\n\x00-\x08]*\r\n")),
        "RFC 9112 section 7.1.1; h11 refuses it.",
        "white space between the size of a chunk and an extension",
    ),
    ClientRow(
        "Content-Length twice, or a list, with equal values",
        "it is one length to us, and we close; others refuse it, see none, or go on",
        "",
        ALL,
        once(lambda seen: repeats_length(seen.sections)),
        "RFC 9112 section 6.3.",
        "equal Content-Length fields, or a list of equal values",
    ),
    ClientRow(
        "Another version than 1.0 and 1.1",
        "we read it as one of these, others refuse it",
        "",
        "loose patient",
        looks(
            lambda seen: (
                status(rb"HTTP/(?!1\.[01])[0-9]\.[0-9] ")(seen)
                or any(re.match(rb"HTTP/1\.[2-9] ", line) for line in seen.lines)
            )
        ),
        "RFC 9110 section 2.5.",
        "another version than 1.0 and 1.1",
    ),
    ClientRow(
        "An interim response of HTTP/1.0, or of another version than HTTP/1",
        "we close; others refuse what follows, or go on",
        "",
        "closes loose patient",
        once(
            lambda seen: (
                not all(re.match(rb"HTTP/1\.[1-9] ", line) for line in seen.lines[:-1])
            )
        ),
        "RFC 9110 section 15.2.",
        "after an interim response of HTTP/1.0",
    ),
]
