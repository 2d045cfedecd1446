"""
Arguments of a request: of its query, and of a form in its body.

For well-formed forms they equal those of twisted.web, to the byte.  But twisted.web
parses the body of any request whose C{Content-Type} is that of a form, of any length,
for every resource, with the parser of the email package, which takes seconds for nested
parts or many lines.  Here

  - a form is parsed when C{args} is first read (L{WithForms});
  - its length and the number of its fields are checked before it is parsed
    (C{Limits.maxFormLength}, C{Limits.maxFormFields});
  - the work for each field is a few searches in linear time.

A form has the C{Content-Type} I{application/x-www-form-urlencoded} or
I{multipart/form-data} (RFC 7578).  A nested multipart part, deprecated by RFC 7578
section 4.3, is returned undecoded.
"""

from __future__ import annotations

import binascii
import re
from functools import cached_property, partial
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.web import server

from twisted_h11._boundary.twisted_private import parse_form_by, parses_forms
from twisted_h11.limits import Limits

__all__ = ["FormError", "WithForms", "form_of", "parse_multipart", "parse_query"]

DEFAULT_LIMITS = Limits()

# The length of the fields of one part, in bytes, as in twisted_h11.multipart.
_MOST_HEAD = 16 * 1024

# The bound on parameters; a real Content-Disposition has two or three.
_MOST_PARAMETERS = 50

# How many percent signs of a long value may not begin an escape.
_MOST_BAD = 10_000

# Values up to this length are decoded by the standard library.
_SHORT = 1024

Args = dict[bytes, list[bytes]]

_parameter = re.compile(rb';([^;="]*)=[ \t]*("(?:[^"\\]|\\.)*"|[^;]*)', re.DOTALL)
_blank = re.compile(rb"\r?\n\r?\n")
_disposition = re.compile(
    rb"(?:\A|\n)content-disposition:((?:[^\r\n]|\r?\n[ \t])*)", re.IGNORECASE
)
_coding = re.compile(
    rb"(?:\A|\n)content-transfer-encoding:[ \t]*([A-Za-z0-9-]*)", re.IGNORECASE
)
_not_escaped = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class FormError(ValueError):
    """
    The form in a request is malformed, or exceeds a limit.

    C{request.args} raises it; if the resource does not catch it, the response has
    C{status}.

    @ivar status: 413 if the form is too long or has too many fields, else 400.

    @since: 0.1
    """

    def __init__(self, reason: str, status: int) -> None:
        super().__init__(reason)
        self.status = status


# -- queries ----------------------------------------------------------------------


def parse_query(query: bytes, most: int) -> Args:
    """
    Parse C{name=value&name=value}, as L{twisted.web.http.parse_qs} does.

    @param most: how many fields there may be.
    @raise FormError: if there are more.
    """
    if query.count(b"&") + query.count(b";") >= most:
        raise FormError(f"There are more than {most} arguments.", 413)
    args: Args = {}
    for item in query.replace(b";", b"&").split(b"&"):
        name, equals, value = item.partition(b"=")
        if equals:
            args.setdefault(_unquote(name), []).append(_unquote(value))
    return args


def _unquote(text: bytes) -> bytes:
    text = text.replace(b"+", b" ")
    if len(text) <= _SHORT or b"%" not in text:
        return unquote_to_bytes(text)
    # The decoder of quoted-printable does the same for "=", and is written in C.
    # It would also decode soft line breaks, so only valid escapes get a "=".
    text, bad = _not_escaped.subn(b"%25", text, _MOST_BAD)
    if bad >= _MOST_BAD:
        raise FormError("The form is not encoded.", 400)
    text = text.replace(b"=", b"%3D")
    return binascii.a2b_qp(text.replace(b"%", b"="))


# -- multipart --------------------------------------------------------------------


def _parameters(value: bytes) -> dict[bytes, bytes]:
    """
    The parameters of a field value, by name.

    @raise FormError: if there are too many.
    """
    found: dict[bytes, bytes] = {}
    for count, match in enumerate(_parameter.finditer(value)):
        if count == _MOST_PARAMETERS:
            raise FormError("A field has too many parameters.", 400)
        name, text = match[1], match[2].strip()
        if len(text) > 1 and text[:1] == text[-1:] == b'"':
            text = text[1:-1].replace(b"\\\\", b"\\").replace(b'\\"', b'"')
        found.setdefault(name.strip().lower(), text)
    return found


def parse_multipart(content: bytes, kind: bytes, most: int) -> Args:
    """
    Parse I{multipart/form-data}.

    @param content: the body.
    @param kind: its C{Content-Type}.
    @param most: how many parts there may be.
    @return: for each name the contents of its parts; a part without a name is left
        out.
    @raise FormError: if the body is malformed, or has too many parts.
    """
    delimiter = b"--" + _parameters(kind).get(b"boundary", b"").rstrip()
    if delimiter == b"--":
        raise FormError("The form has no boundary.", 400)
    if content.count(delimiter) > most + 1:
        raise FormError(f"The form has more than {most} parts.", 413)
    places = _places(content, delimiter)
    if len(places) > most:
        # A form without the closing delimiter has one delimiter less.
        raise FormError(f"The form has more than {most} parts.", 413)
    args: Args = {}
    for start, end in places:
        named = _part(content, start, end)
        if named is not None:
            args.setdefault(named[0], []).append(named[1])
    return args


def _places(content: bytes, delimiter: bytes) -> list[tuple[int, int]]:
    """
    @return: the beginning and the end of each part, as indexes.
    """
    places: list[tuple[int, int]] = []
    start = -1
    at = content.find(delimiter)
    while at >= 0:
        end = at + len(delimiter)
        line = content.find(b"\n", end)
        if line < 0:
            line = len(content)
        rest = content[end : min(line, end + _MOST_HEAD)]
        closes = rest[:2] == b"--"
        if (not at or content[at - 1] == 10) and not rest[2 * closes :].strip():
            if start >= 0:
                places.append((start, _before(content, start, at)))
            start = line + 1
            if closes:
                return places
        at = content.find(delimiter, end)
    if start < 0:
        raise FormError("The form does not begin with its boundary.", 400)
    # The form is not closed: the last part counts.
    end = len(content)
    if content.endswith(b"\n"):
        end = _before(content, start, end)
    places.append((min(start, end), end))
    return places


def _before(content: bytes, start: int, at: int) -> int:
    """
    The end of the line before a delimiter, as an index.
    """
    if at - 1 >= start:
        at -= 1
        if at - 1 >= start and content[at - 1] == 13:
            at -= 1
    return at


def _part(content: bytes, start: int, end: int) -> tuple[bytes, bytes] | None:
    """
    The name and the content of a part; C{None} if it has no name.
    """
    if start >= end or content[start] in b"\r\n":
        return None
    blank = _blank.search(content, start, min(end, start + _MOST_HEAD))
    if blank is None:
        if end - start < _MOST_HEAD:
            # The part ends with its fields.
            head, data = content[start:end], b""
        else:
            raise FormError("The fields of a part are too long.", 413)
    else:
        head, data = content[start : blank.start()], content[blank.end() : end]
    match = _disposition.search(head)
    name = _parameters(b" ".join(match[1].splitlines())).get(b"name") if match else None
    if not name:
        return None
    coding = _coding.search(head)
    if coding is not None:
        data = _decoded(data, coding[1].lower())
    # The email package decodes bytes that are not ASCII in the same way.
    return name.decode("ascii", "replace").encode("utf-8"), data


def _decoded(data: bytes, coding: bytes) -> bytes:
    if coding == b"quoted-printable":
        return binascii.a2b_qp(data)
    if coding == b"base64":
        try:
            return binascii.a2b_base64(data + b"==")
        except binascii.Error:
            return data
    return data


# -- requests ---------------------------------------------------------------------


def _kind_of(request: Any) -> bytes | None:
    """
    The C{Content-Type} of a request, if it is that of a form.
    """
    kind: bytes = request.requestHeaders.getRawHeaders(b"Content-Type", [b""])[0]
    name = kind.partition(b";")[0].strip().lower()
    if name in (b"application/x-www-form-urlencoded", b"multipart/form-data"):
        return kind.lstrip()
    return None


def form_of(request: Any, content: Any, limits: Limits) -> Args:
    """
    The arguments of the form in a body; empty if the body is not a form.

    @param request: a request of twisted.web, or of this package.
    @param content: a file with the whole body; its position does not change.
    @raise FormError: if the form is malformed, or exceeds a limit.
    """
    kind = _kind_of(request)
    if kind is None:
        return {}
    place = content.tell()
    try:
        length = content.seek(0, 2)
        if length is None:
            # Some files return no position from seek().
            length = content.tell()
        if not length:
            return {}
        most = limits.maxFormLength
        if most is not None and length > most:
            raise FormError(f"The form has more than {most} bytes.", 413)
        content.seek(0)
        data = content.read()
    finally:
        content.seek(place)
    if kind[:1] in b"mM":
        return parse_multipart(data, kind, limits.maxFormFields)
    return parse_query(data, limits.maxFormFields)


class WithForms(server.Request):
    """
    A request that parses its arguments when they are first read.
    """

    # The RequestBody, if the application reads the body as a stream.
    _requestBody: Any = None

    @cached_property
    def args(self) -> Args:  # type: ignore[override]
        """
        The arguments of the query, and of a form that was posted.

        @raise FormError: if they are too many, or the form is too long or malformed.
        """
        site: Any = getattr(getattr(self, "channel", None), "site", self.site)
        limits = getattr(site, "limits", DEFAULT_LIMITS)
        query = self.uri.partition(b"?")[2]
        args = parse_query(query, limits.maxFormFields) if query else {}
        if self.method == b"POST" and parses_forms(site):
            content: Any = self.content
            if content is not None and not content.closed:
                args.update(form_of(self, content, limits))
            elif (self.finished or self._disconnected) and self._requestBody is None:
                if _kind_of(self) is not None:
                    raise RuntimeError(
                        "The form was discarded: read args before finish."
                    )
        return args


def receive_with_form(request: Any, head: Any, site: Any, limits: Limits) -> None:
    """
    Call the C{requestReceived} of a foreign request class.

    Where the method of twisted.web would parse a form, it is parsed here.  So a class
    that overrides C{requestReceived} may refuse the request before, or parse the form
    by itself.

    @raise FormError: as L{form_of}, or if the query has too many fields.
    """
    if b"?" in head.target:
        parse_query(head.target.partition(b"?")[2], limits.maxFormFields)
    content = getattr(request, "content", None)
    if (
        head.method == b"POST"
        and content is not None
        and content.tell()
        and parses_forms(site)
        and _kind_of(request) is not None
        and not parse_form_by(request, partial(_add_form, limits))
    ):
        _receive_parsed(request, head, form_of(request, content, limits))
    else:
        request.requestReceived(head.method, head.target, head.version)


def _add_form(limits: Limits, request: Any) -> None:
    """
    Add the form to the arguments of a foreign request, or refuse the request.
    """
    try:
        request.args.update(form_of(request, request.content, limits))
    except FormError as error:
        # Here, because a requestReceived of its own class may handle the exception.
        request.channel.refuse(error.status, str(error))
        raise


def _receive_parsed(request: Any, head: Any, form: Args) -> None:
    """
    Call C{requestReceived} of a Twisted before 25.5, which parses a body only if its
    file is not at its beginning; the arguments are there when C{process} is called.
    """
    request.content.seek(0)

    def process() -> None:
        del request.process
        request.args.update(form)
        request.process()

    request.process = process
    try:
        request.requestReceived(head.method, head.target, head.version)
    finally:
        request.__dict__.pop("process", None)
