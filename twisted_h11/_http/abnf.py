r"""
The grammar of HTTP/1.1 as regular expressions, one for each rule.

Names are those of the rules of RFC 9110, RFC 9112 and RFC 3986, with the section
beside them.  A name in capitals is the text of a pattern, a part of other patterns;
C{is_}, C{match_}, C{has_} and C{find_} are the methods C{fullmatch}, C{match},
C{search} and C{search} of a compiled pattern.

All take linear time: where one part of a pattern ends and the next begins, no byte
fits both.  The server's patterns are strict.  The patterns of the client, and those
that protect h11, are tolerant; their comments say so.
"""

from __future__ import annotations

import re

__all__ = [
    "CONTROLS",
    "FIELD_CONTENT",
    "FIELD_LINE",
    "SCHEME",
    "TOKEN",
    "find_head_end",
    "has_bad_byte",
    "has_break",
    "has_control",
    "has_never_valid",
    "is_absolute_form",
    "is_authority_form",
    "is_bare_ipv6",
    "is_chunk_line",
    "is_field_content",
    "is_host",
    "is_length",
    "is_node",
    "is_origin_form",
    "is_request_line",
    "is_short_length",
    "is_target",
    "is_token",
    "is_tolerant_chunk_line",
    "is_tolerant_status_line",
    "is_trimmed_field",
    "is_trimmed_value",
    "match_chunk_size",
    "match_chunk_size_line",
    "match_forwarded_pair",
    "match_rough_request_line",
    "match_token",
    "match_version",
    "match_white_space",
]

# -- RFC 9110 section 5: fields -------------------------------------------------

# token = 1*tchar (section 5.6.2).
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_token = re.compile(TOKEN)
is_token = _token.fullmatch
match_token = _token.match

# Section 5.5: characters that a value must not have.  HTAB is allowed.
CONTROLS = rb"\x00-\x08\x0a-\x1f\x7f"
has_control = re.compile(rb"[" + CONTROLS + rb"]").search

# Section 5.5: VCHAR, SP, HTAB and obs-text, white space at the ends included.
# A reason-phrase (RFC 9112 section 4) has the same alphabet.
FIELD_CONTENT = rb"[\t -~\x80-\xff]*"
is_field_content = re.compile(FIELD_CONTENT).fullmatch

# field-line CRLF (RFC 9112 section 5), the value with its white space.
FIELD_LINE = TOKEN + rb":" + FIELD_CONTENT + rb"\r\n"

# field-value: no white space at the ends.
_VALUE = rb"(?:[!-~\x80-\xff]+(?:[ \t]+[!-~\x80-\xff]+)*)?"
is_trimmed_value = re.compile(_VALUE).fullmatch

# A field line as h11 writes it.
is_trimmed_field = re.compile(TOKEN + rb": " + _VALUE + rb"\r\n").fullmatch

# Content-Length = 1*DIGIT (section 8.6), bounded: as many digits as 64 bits have.
is_length = re.compile(rb"[0-9]{1,19}").fullmatch

# The fast path leaves lengths that could need more than 63 bits to h11.
is_short_length = re.compile(rb"[0-9]{1,18}").fullmatch

# -- RFC 9112 sections 2 to 4: heads ----------------------------------------------

# request-line (section 3), without its CRLF; the version is checked separately.
is_request_line = re.compile(
    rb"(" + TOKEN + rb") ([\x21-\x7e]+) (HTTP/[0-9]\.[0-9])"
).fullmatch

# HTTP-version (section 2.3), whatever follows it.
match_version = re.compile(rb"HTTP/[0-9]\.[0-9]").match

# The request line of a refused head, as the access log shows it.
match_rough_request_line = re.compile(
    rb"([!-~]+) ([!-~]+) (HTTP/[0-9]\.[0-9])\r\n"
).match

# status-line (section 4), as the client takes it: "http" too, any reason or none.
is_tolerant_status_line = re.compile(
    rb"([Hh][Tt][Tt][Pp])/([0-9]\.[0-9]) ([0-9]{3})(?: (.*))?", re.DOTALL
).fullmatch

# Section 2.2: no bare CR, no bare LF, and no other control character in a head at
# all.
has_bad_byte = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|\r[^\n]|(?<!\r)\n").search

# The end of a head as h11 sees it: a bare LF ends a line (section 2.2).
find_head_end = re.compile(rb"\n\r?\n").search

# Characters that h11's pattern of a value never matches; its \s is wider than the
# white space of RFC 9110.
has_never_valid = re.compile(rb"[\x00\x0b\x0c]|\r[^\n]").search

# -- RFC 9112 section 3.2: the target of a request ---------------------------------

# The bytes of a target that the client sends; the server also checks the form.
is_target = re.compile(rb"[\x21-\x7e]+").fullmatch

# IPv6address (RFC 3986 section 3.2.2): up to eight groups, of which the last two may be
# an IPv4 address; a double colon stands for at least one group.
_GROUP = rb"[0-9A-Fa-f]{1,4}"
_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = _OCTET + rb"(?:\." + _OCTET + rb"){3}"
_LAST = rb"(?:" + _GROUP + rb":" + _GROUP + rb"|" + _IPV4 + rb")"


def _ipv6() -> bytes:
    """
    The alternatives, by the number of groups before the double colon.
    """
    some = rb"(?:" + _GROUP + rb":){%d}"
    most = rb"(?:(?:" + _GROUP + rb":){0,%d}" + _GROUP + rb")?::"
    shapes = [some % 6 + _LAST]
    shapes += [most % (4 - n) + some % n + _LAST for n in range(4, -1, -1)]
    shapes += [rb"::" + some % 5 + _LAST, most % 5 + _GROUP, most % 6]
    return rb"(?:" + rb"|".join(shapes) + rb")"


# uri-host (RFC 3986 section 3.2.2), without the comma of sub-delims: a list of hosts
# would be a request for two sites; and without IPvFuture, of which there is none.
_REG_NAME = rb"(?:[0-9A-Za-z\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+"
_URI_HOST = rb"(?:\[" + _ipv6() + rb"\]|" + _REG_NAME + rb")"

# Host = uri-host [ ":" port ] (RFC 9110 section 7.2)
is_host = re.compile(_URI_HOST + rb"(?::[0-9]{0,5})?").fullmatch

# authority-form (section 3.2.3): for CONNECT the port is not optional.
is_authority_form = re.compile(_URI_HOST + rb":[0-9]{1,5}").fullmatch

# scheme (RFC 3986 section 3.1)
SCHEME = rb"[A-Za-z][A-Za-z0-9+.\-]*"

# absolute-form (section 3.2.2): authority, path, and the query with its "?".
is_absolute_form = re.compile(
    SCHEME + rb"://([^/?]*)([^?]*)(\?.*)?", re.DOTALL
).fullmatch

# origin-form (section 3.2.1).  Some characters that RFC 3986 does not allow pass, as
# in other servers (quotes, angle brackets, ^ ` { | }, a backslash in the query): no
# framing depends on them.  A fragment does not pass, nor does a backslash in the path,
# which some implementations read as a slash.
is_origin_form = re.compile(rb"[^#?\\]*(?:\?[^#]*)?").fullmatch

# -- RFC 7239 section 4: Forwarded --------------------------------------------------

# OWS (RFC 9110 section 5.6.3)
match_white_space = re.compile(rb"[ \t]*").match

# forwarded-pair = token "=" value, the value a token or a quoted-string (RFC 9110
# section 5.6.4).
match_forwarded_pair = re.compile(
    rb"(" + TOKEN + rb")=(?:(" + TOKEN + rb")|"
    rb'"((?:[\t !\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t -~\x80-\xff])*)")'
).match

# node = nodename [ ":" node-port ] (section 6).  ipaddress checks the address.
is_node = re.compile(
    rb"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]|([Uu][Nn][Kk][Nn][Oo][Ww][Nn]|"
    rb"_[A-Za-z0-9._-]+))(?::([0-9]{1,5}|_[A-Za-z0-9._-]+))?"
).fullmatch

# An IPv6 address without brackets, as in X-Forwarded-For.
is_bare_ipv6 = re.compile(rb"[0-9A-Fa-f]*:[0-9A-Fa-f:.]+").fullmatch

# -- RFC 9112 section 7.1: chunks --------------------------------------------------

# chunk-size = 1*HEXDIG, bounded by 64 bits.
_SIZE = rb"[0-9A-Fa-f]{1,16}"
match_chunk_size = re.compile(_SIZE).match

# A line without extension: the usual one.
match_chunk_size_line = re.compile(rb"(" + _SIZE + rb")\r\n").match

# chunk-size [ chunk-ext ], without its CRLF.  Nothing but an extension may follow
# the size, and an extension has no control characters, so no tab either.
_QUOTED = rb'"(?:[ \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[ -\x7e\x80-\xff])*"'
is_chunk_line = re.compile(
    rb"(" + _SIZE + rb")"
    rb"(?:; *" + TOKEN + rb"(?: *= *(?:" + TOKEN + rb"|" + _QUOTED + rb"))?)*"
).fullmatch

# Bytes that no chunk line has before its CRLF.  A CR at the end of the data is checked
# when more has arrived.
has_break = re.compile(rb"[\n\x00]|\r(?!\Z)").search

# For the client: as in h11 white space may follow the size, which has up to 20 digits;
# unlike in h11 an extension may follow that white space, the second group, and a bare
# LF may end the line.  An extension has no control character, which other parsers could
# take for the end of the line.
is_tolerant_chunk_line = re.compile(
    rb"([0-9A-Fa-f]{1,20})(?:[ \t]*|([ \t]*);[\t -~\x80-\xff]*)\r?\n"
).fullmatch
