"""
Requests that the server refuses although h11 accepts them, with RFC sections.

h11 repairs before it reports: it folds equal C{Content-Length} fields into one,
joins C{obs-fold} lines, takes a bare LF for a line end, drops chunk extensions
and lowers the case of C{Transfer-Encoding}.  Each of these repairs is allowed
by RFC 9112, and each has been used to make two implementations disagree about
where one request ends and the next begins (request smuggling).  So the B{raw bytes}
are checked here before h11 gets them:

  - L{check_partial_head}: bytes of a head that has not ended yet.  A head that can
    not become valid is refused at once, and not after a time-out.
  - L{check_request_head}: a whole request head.
  - L{StrictRules<twisted_h11._http.chunks.StrictRules>}: chunk lines and the
    trailer section.

All of them raise L{Refused}, with a status and a reason for the response and the
log.  A reason never quotes received bytes.

What is accepted here is a subset of what h11 accepts, and both agree on where
the message ends; a property test checks that.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted_h11._http.abnf import (
    has_bad_byte,
    is_absolute_form,
    is_authority_form,
    is_host,
    is_length,
    is_origin_form,
    is_request_line,
    is_target,
    is_token,
    match_token,
    match_version,
)
from twisted_h11._http.lists import has_member, members
from twisted_h11.limits import Limits

__all__ = [
    "Refused",
    "RequestHead",
    "check_field_lines",
    "check_partial_head",
    "check_request_head",
    "describe_bad_byte",
]

_SPOKEN = (b"HTTP/1.1", b"HTTP/1.0")


class Refused(Exception):
    """
    A request is refused.

    @ivar status: the status of the response.
    @ivar reason: one line in English, without any byte of the request.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason


class RequestHead:
    """
    A valid request head.

    @ivar method: for example C{b"GET"}.
    @ivar target: the request target as received.
    @ivar version: C{b"HTTP/1.1"} or C{b"HTTP/1.0"}.
    @ivar fields: pairs of name and value as received, order and case kept.
    @ivar length: the length of the body in bytes; C{None} if it is chunked.
    @ivar keepAlive: whether the client allows keep-alive.
    @ivar expectsContinue: whether the client waits for a 100 response.
    @ivar received: the head as received, if this one has values from a trusted proxy
        instead; else not set.
    @ivar began: when the head was read, in seconds of the reactor; set only if the
        site's C{timesRequests} is true.
    @ivar requestId: the identifier of the request; not set if it has none.
    @ivar bodyLength: the bytes of the body so far; not set if there is none.
    """

    __slots__ = (
        "began",
        "bodyLength",
        "expectsContinue",
        "fields",
        "keepAlive",
        "length",
        "method",
        "received",
        "requestId",
        "target",
        "version",
    )

    received: RequestHead
    began: float
    bodyLength: int
    requestId: str

    def __init__(
        self,
        method: bytes,
        target: bytes,
        version: bytes,
        fields: list[tuple[bytes, bytes]],
        length: int | None = 0,
        keepAlive: bool = True,
        expectsContinue: bool = False,
    ) -> None:
        self.method = method
        self.target = target
        self.version = version
        self.fields = fields
        self.length = length
        self.keepAlive = keepAlive
        self.expectsContinue = expectsContinue

    @property
    def chunkedAllowed(self) -> bool:
        """
        Whether the client understands a chunked response.
        """
        return self.version == b"HTTP/1.1"

    def __repr__(self) -> str:
        return f"<RequestHead {self.method!r} {self.target!r} {self.version!r}>"


def check_partial_head(data: bytes, start: int, scanned: int, limits: Limits) -> None:
    """
    Check the beginning of a head whose end has not arrived.

    @param data: what has been received.
    @param start: where the head begins in C{data}.
    @param scanned: the index up to which an earlier call has checked.
    @param limits: C{maxTargetLength} and C{maxHeadLength} apply.
    @raise Refused: if no further bytes can make it valid.
    """
    # One byte back: the last byte before may be a CR.  A CR that is the last
    # byte now is checked when more has arrived.
    bad = has_bad_byte(data, max(start, scanned - 1))
    if bad is not None:
        raise Refused(400, describe_bad_byte(bad.group()))
    lineEnd = data.find(b"\r", start)
    if lineEnd < 0:
        _check_line_beginning(data, start, max(start, scanned), limits)
    elif scanned <= lineEnd:
        _check_request_line(data[start:lineEnd], limits)
    if len(data) - start > limits.maxHeadLength:
        raise Refused(431, "The request head is too long.")


def check_request_head(raw: bytes, limits: Limits) -> RequestHead:
    """
    Check a whole request head.

    @param raw: the head with the empty line that ends it.
    @param limits: the bounds of a head.
    @return: the parsed head.
    @raise Refused: with the status for the first rule that it breaks.
    """
    lines = raw[:-4].split(b"\r\n")
    method, target, version = _check_request_line(lines[0], limits)
    if len(raw) > limits.maxHeadLength:
        raise Refused(431, "The request head is too long.")
    bad = has_bad_byte(raw)
    if bad is not None:
        raise Refused(400, describe_bad_byte(bad.group()))
    fields = check_field_lines(lines, 1, limits.maxFieldCount, "header")
    head = RequestHead(method, target, version, fields)
    _check_target(head)
    _check_fields(head)
    return head


def describe_bad_byte(found: bytes) -> str:
    """
    The reason for what L{has_bad_byte<twisted_h11._http.abnf>} has found.
    """
    # RFC 9112 section 2.2: a recipient MAY take a bare LF for a line end, and
    # must not take a bare CR for one.  Both are refused.
    if found == b"\n":
        return "A line ends with a bare LF."
    if found[:1] == b"\r":
        return "There is a bare CR."
    return "There is a control character."


def _check_line_beginning(data: bytes, start: int, fresh: int, limits: Limits) -> None:
    """
    Check the beginning of a request line.

    @param fresh: the index up to which an earlier call has checked.  Bytes may arrive
        one by one: those before are only searched for spaces, which is cheap.
    @raise Refused: if no valid line begins like that.
    """
    space = data.find(b" ", start)
    methodEnd = len(data) if space < 0 else space
    if space == start or not _all(is_token, data, fresh, methodEnd):
        raise Refused(400, "The request line is malformed.")
    if space < 0:
        return
    second = data.find(b" ", space + 1)
    targetEnd = len(data) if second < 0 else second
    if targetEnd - space - 1 > limits.maxTargetLength:
        raise Refused(414, "The request target is too long.")
    if second == space + 1 or not _all(
        is_target, data, max(fresh, space + 1), targetEnd
    ):
        raise Refused(400, "The request line is malformed.")
    if second >= 0:
        _check_version(data[second + 1 :])


def _all(is_: Callable[..., object], data: bytes, start: int, end: int) -> bool:
    """
    Whether all bytes of a part, which may be empty, fit a rule.
    """
    return start >= end or is_(data, start, end) is not None


def _check_version(version: bytes) -> None:
    """
    Check a version, or its beginning.
    """
    if version in _SPOKEN:
        return
    missing = b"HTTP/1.1"[len(version) :]
    if match_version(version + missing) is None or version[:8] in _SPOKEN:
        raise Refused(400, "The request line is malformed.")
    # RFC 9110 section 2.5 lets 1.2 to 1.9 be read as 1.1.  No client sends
    # them, so they get a 505 (a deviation).
    if not missing:
        raise Refused(505, "Only HTTP/1.0 and HTTP/1.1 are spoken here.")


def _check_request_line(line: bytes, limits: Limits) -> tuple[bytes, bytes, bytes]:
    match = is_request_line(line)
    if match is None:
        # RFC 9112 section 3: an invalid request line gets a 400 and is not
        # repaired.
        _check_line_beginning(line, 0, 0, limits)
        raise Refused(400, "The request line is malformed.")
    method, target, version = match.groups()
    if len(target) > limits.maxTargetLength:
        raise Refused(414, "The request target is too long.")
    _check_version(version)
    return method, target, version


def check_field_lines(
    lines: list[bytes], first: int, most: int, section: str
) -> list[tuple[bytes, bytes]]:
    """
    Parse field lines that have no bad byte (L{has_bad_byte<twisted_h11._http.abnf>}).

    @param first: the index of the first line.
    @param most: how many lines there may be.
    @param section: the name of the section, for the reason.
    @raise Refused: if a line is malformed, or there are too many.
    """
    if len(lines) - first > most:
        raise Refused(431, f"There are too many {section} fields.")
    fields = []
    for line in lines[first:]:
        # RFC 9112 section 5.2: obs-fold is refused, not joined.
        if line[:1] in (b" ", b"\t"):
            raise Refused(400, f"A {section} field is folded over lines.")
        name, colon, value = line.partition(b":")
        # RFC 9112 section 5.1: no white space between name and colon.
        if not colon or is_token(name) is None:
            raise Refused(400, f"A {section} field line is malformed.")
        fields.append((name, value.strip(b" \t")))
    return fields


def _check_target(head: RequestHead) -> None:
    target = head.target
    if head.method == b"CONNECT":
        # RFC 9112 section 3.2.3
        if is_authority_form(target) is None:
            raise Refused(400, "The target of CONNECT is not host and port.")
    elif target[:1] == b"/":
        if is_origin_form(target) is None:
            raise Refused(400, "The request target is malformed.")
    elif target == b"*":
        # RFC 9112 section 3.2.4
        if head.method != b"OPTIONS":
            raise Refused(400, "The target * is for OPTIONS only.")
    else:
        match = is_absolute_form(target)
        # RFC 9110 sections 4.2.1 and 4.2.4: no empty host, no userinfo.
        if (
            match is None
            or is_host(match.group(1)) is None
            or is_origin_form(target[match.end(1) :]) is None
        ):
            raise Refused(400, "The request target is malformed.")


def _check_fields(head: RequestHead) -> None:
    hosts = []
    lengths = []
    codings = []
    expectations = []
    for name, value in head.fields:
        name = name.lower()
        if name == b"host":
            hosts.append(value)
        elif name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"connection":
            # RFC 9112 section 9.6: in any spelling, in any place of the list.
            if has_member((value,), b"close"):
                head.keepAlive = False
        elif name == b"expect":
            expectations.append(value)
    if head.version == b"HTTP/1.0":
        # RFC 9112 section 9.3; h11 has no keep-alive for 1.0 either.
        head.keepAlive = False
    _check_host(head, hosts)
    _check_framing(head, lengths, codings)
    # RFC 9110 section 10.1.1: a list, ignored in HTTP/1.0; 417 for anything unknown.
    if expectations and head.version == b"HTTP/1.1":
        for member in members(expectations):
            if member.lower() != b"100-continue":
                raise Refused(417, "The expectation is not known.")
            head.expectsContinue = True


def _check_host(head: RequestHead, hosts: list[bytes]) -> None:
    # RFC 9112 section 3.2: exactly one in HTTP/1.1, and a valid one.
    if len(hosts) > 1:
        raise Refused(400, "There is more than one Host field.")
    if hosts:
        if is_host(hosts[0]) is None:
            raise Refused(400, "The Host field is malformed.")
    elif head.version == b"HTTP/1.1":
        raise Refused(400, "The Host field is missing.")


def _check_framing(
    head: RequestHead, lengths: list[bytes], codings: list[bytes]
) -> None:
    if codings:
        # RFC 9112 section 6.1: a server MAY refuse both together; RFC 9112
        # section 11.2 has the attack on servers that do not.
        if lengths:
            raise Refused(400, "Content-Length excludes Transfer-Encoding.")
        if head.version == b"HTTP/1.0":
            raise Refused(400, "HTTP/1.0 has no Transfer-Encoding.")
        names = [item.strip(b" \t").lower() for item in b",".join(codings).split(b",")]
        # RFC 9112 section 6.3: chunked is the last coding, and RFC 9112
        # section 7: it is applied once.  RFC 9112 section 6.1: 501 for a
        # coding that is not understood.
        if names[-1] != b"chunked" or names.count(b"chunked") > 1 or b"" in names:
            if b"chunked" not in names and all(match_token(name) for name in names):
                raise Refused(501, "The transfer coding is not known.")
            raise Refused(400, "The Transfer-Encoding is malformed.")
        if len(names) > 1:
            raise Refused(501, "The transfer coding is not known.")
        head.length = None
    elif lengths:
        # RFC 9110 section 8.6 allows equal values to be folded into one; another
        # server may use either of two values.
        if len(lengths) > 1 or b"," in lengths[0]:
            raise Refused(400, "There is more than one Content-Length.")
        if is_length(lengths[0]) is None:
            raise Refused(400, "The Content-Length is malformed.")
        head.length = int(lengths[0])
    # RFC 9110 section 9.3.6: content of CONNECT has no meaning; a proxy would
    # take it for the first bytes of the tunnel.
    if head.method == b"CONNECT" and head.length != 0:
        raise Refused(400, "CONNECT has no content.")
