r"""
The grammar of HTTP/1.1 as regular expressions, each once.

Names are those of the rules of RFC 9110, RFC 9112 and RFC 3986, with the section
beside them.  A name in capitals is the text of a pattern, for others to be built
of; C{is_}, C{match_}, C{has_} and C{find_} are the methods C{fullmatch}, C{match},
C{search} and C{search} of a compiled one.

All take a time in proportion to what they look at: where one part ends and the
next begins, no byte fits both.  The server's patterns are strict.  The client's
and those that look for h11 are tolerant, and say so.
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
    "is_long_length",
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
    "match_white_space",
]

# -- RFC 9110 section 5: fields -------------------------------------------------

# token = 1*tchar (section 5.6.2).
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_token = re.compile(TOKEN)
is_token = _token.fullmatch
match_token = _token.match

# Section 5.5: what a value must not hold.  HTAB is allowed.
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

# The fast path leaves to others what could need more than 63 bits.
is_short_length = re.compile(rb"[0-9]{1,18}").fullmatch

# h11 takes one digit more; so does the client, where the length does not matter.
is_long_length = re.compile(rb"[0-9]{1,20}").fullmatch

# -- RFC 9112 sections 2 to 4: heads ----------------------------------------------

# request-line (section 3), without its CRLF; the version is judged separately.
is_request_line = re.compile(
    rb"(" + TOKEN + rb") ([\x21-\x7e]+) HTTP/([0-9])\.([0-9])"
).fullmatch

# The same in a head that is refused: enough for the access log.
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

# What h11's pattern of a value does not match; its \s is not what RFC 9110 means.
has_never_valid = re.compile(rb"[\x00\x0b\x0c]|\r[^\n]").search

# -- RFC 9112 section 3.2: the target of a request ---------------------------------

# Bytes that a client may send; the server knows the forms.
is_target = re.compile(rb"[\x21-\x7e]+").fullmatch

# uri-host (RFC 3986 section 3.2.2), without the comma of sub-delims, because a list
# of hosts is a request for two sites.
_URI_HOST = rb"(?:\[[0-9A-Fa-f:.]+\]|(?:[0-9A-Za-z\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})+)"

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

# origin-form (section 3.2.1).  Characters that RFC 3986 does not allow are let
# through, as everybody does (quotes, angle brackets, ^ ` { | }, a backslash in the
# query): they are in nobody's framing.  A fragment is not, and neither is a
# backslash in the path, which is a slash to some.
is_origin_form = re.compile(rb"[^#?\\]*(?:\?[^#]*)?").fullmatch

# -- RFC 7239 section 4: who forwards -----------------------------------------------

# OWS (RFC 9110 section 5.6.3)
match_white_space = re.compile(rb"[ \t]*").match

# forwarded-pair = token "=" value, the value a token or a quoted-string (RFC 9110
# section 5.6.4).
match_forwarded_pair = re.compile(
    rb"(" + TOKEN + rb")=(?:(" + TOKEN + rb")|"
    rb'"((?:[\t !\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t -~\x80-\xff])*)")'
).match

# node = nodename [ ":" node-port ] (section 6).  An address is judged by ipaddress.
is_node = re.compile(
    rb"(?:([0-9.]+)|\[([0-9A-Fa-f:.]+)\]|([Uu][Nn][Kk][Nn][Oo][Ww][Nn]|"
    rb"_[A-Za-z0-9._-]+))(?::([0-9]{1,5}|_[A-Za-z0-9._-]+))?"
).fullmatch

# An address of IPv6 without brackets, as X-Forwarded-For has it.
is_bare_ipv6 = re.compile(rb"[0-9A-Fa-f]*:[0-9A-Fa-f:.]+").fullmatch

# -- RFC 9112 section 7.1: chunks --------------------------------------------------

# chunk-size = 1*HEXDIG, bounded by 64 bits.
_SIZE = rb"[0-9A-Fa-f]{1,16}"
match_chunk_size = re.compile(_SIZE).match

# A line without extension, as nearly all are.
match_chunk_size_line = re.compile(rb"(" + _SIZE + rb")\r\n").match

# chunk-size [ chunk-ext ], without its CRLF.  Nothing but an extension may follow
# the size, and an extension has no control characters, so no tab either.
_QUOTED = rb'"(?:[ \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[ -\x7e\x80-\xff])*"'
is_chunk_line = re.compile(
    rb"(" + _SIZE + rb")"
    rb"(?:; *" + TOKEN + rb"(?: *= *(?:" + TOKEN + rb"|" + _QUOTED + rb"))?)*"
).fullmatch

# What no line has before its CRLF.  A CR that is the last byte is judged with what
# follows it.
has_break = re.compile(rb"[\n\x00]|\r(?!\Z)").search

# The client: h11 lets white space stand behind the size and takes 20 digits, and a
# bare LF may end the line.  A control character in an extension could be the end of
# a line to somebody else.
is_tolerant_chunk_line = re.compile(
    rb"([0-9A-Fa-f]{1,20})[ \t]*(?:;[\t -~\x80-\xff]*)?(\r?)\n"
).fullmatch
