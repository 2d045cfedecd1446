"""
Every private name of Twisted that this package uses, and the fallback without it; those
of the client are in L{twisted_h11._boundary.twisted_private_client}.

A test fails when one of them changes.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from copy import copy
from typing import Any
from weakref import ref

from twisted.web import resource
from twisted.web.http_headers import Headers

__all__ = [
    "begin_known",
    "encoder_for",
    "end_well",
    "error_page_code",
    "is_error_page",
    "parse_form_by",
    "parses_forms",
    "raw_fields",
    "response_headers",
    "set_field",
    "set_known",
    "with_reactor",
]

_IEncodingResource: Any = getattr(resource, "_IEncodingResource", None)


def encoder_for(resrc: Any, request: Any) -> Any:
    """
    The encoder that a L{resource.EncodingResourceWrapper} chooses.

    Without the private interface: any object with a C{getEncoder} is used.

    @return: an encoder, or C{None} for content as it is.
    """
    getEncoder = getattr(resrc, "getEncoder", None)
    if getEncoder is None:
        return None
    if _IEncodingResource is not None and not _IEncodingResource.providedBy(resrc):
        return None
    return getEncoder(request)


def is_error_page(kind: type) -> bool:
    """
    Whether a class is one of Twisted's error pages: that of
    L{twisted.web.pages.notFound}, or one behind the deprecated C{NoResource}.
    """
    if kind.__module__ == "twisted.web.pages":
        return True
    return kind.__module__ == "twisted.web.resource" and hasattr(kind, "template")


def error_page_code(page: Any) -> int | None:
    """
    The status of one of Twisted's error pages.

    Without the private attribute: C{None}, for an unknown status.
    """
    code = getattr(page, "_code", None)
    if code is None:
        code = getattr(page, "code", None)
    return code if isinstance(code, int) else None


def parses_forms(site: Any) -> bool:
    """
    The site's C{parsePOSTFormSubmission} (Twisted 25.5 and later).

    Without the private attribute: forms are parsed, as before that release.
    """
    return bool(getattr(site, "_parsePOSTFormSubmission", True))


def parse_form_by(request: Any, parse: Callable[[Any], object]) -> bool:
    """
    Have C{parse} called with a request where its C{requestReceived} of twisted.web
    would parse a form, instead of that.

    @return: whether it will be called; not without the private attribute (Twisted
        before 25.5).
    """
    if not getattr(request, "_parsePOSTFormSubmission", False):
        return False
    request._parsePOSTFormSubmission = _AtForm(request, parse)
    return True


class _AtForm:
    """
    The C{_parsePOSTFormSubmission} of a request: its truth is asked for where a form
    would be parsed.
    """

    def __init__(self, request: Any, parse: Callable[[Any], object]) -> None:
        # A reference would be a cycle if it is never asked for.
        self._request = ref(request)
        self._parse = parse

    def __bool__(self) -> bool:
        request: Any = self._request()
        # The attributes of a request are plain data, for twisted.web.distrib.
        request._parsePOSTFormSubmission = True
        self._parse(request)
        return False


def end_well(reactor: Any) -> None:
    """
    Make twistd end with status 0 when SIGTERM has stopped it.  By itself it sends
    itself the same signal again at its end.

    Without the private attribute: it ends by the signal.
    """
    if getattr(reactor, "_exitSignal", None) == signal.SIGTERM:
        reactor._exitSignal = None


def with_reactor(resource: Any, make: Callable[[Any], Any]) -> Any:
    """
    A copy of a L{twisted.web.wsgi.WSGIResource} with another reactor.

    Without the private attribute: the resource itself.

    @param make: makes the reactor, given that of the resource.
    """
    reactor = getattr(resource, "_reactor", None)
    if reactor is None:
        return resource
    resource = copy(resource)
    resource._reactor = make(reactor)
    return resource


# The attribute in which Headers keeps its fields, by canonical name.  Fields made by
# this package need none of the checks of setRawHeaders, which take a tenth of the time
# of a small response.
_RAW = "_rawHeaders"
_transparent = isinstance(getattr(Headers(), _RAW, None), dict)

# Names as applications write them, with the canonical ones.
_canonical: dict[Any, bytes] = {}
_MOST_NAMES = 1024


def response_headers(server: bytes | None, date: bytes) -> Headers:
    """
    Make the headers that every response begins with.
    """
    headers = Headers()
    begin_known(headers, server, date)
    return headers


def begin_known(headers: Headers, server: bytes | None, date: bytes) -> None:
    """
    Set the fields that every response begins with: C{Server}, unless it is C{None}, and
    C{Date}.

    Without the private attribute: C{setRawHeaders}.
    """
    if _transparent:
        fields = headers._rawHeaders
        if server is not None:
            fields[b"Server"] = [server]
        fields[b"Date"] = [date]
        return
    if server is not None:
        headers.setRawHeaders(b"Server", [server])
    headers.setRawHeaders(b"Date", [date])


def set_known(headers: Headers, name: bytes, value: bytes) -> None:
    """
    Set a field whose name is canonical, and whose value has no line end.

    Without the private attribute: C{setRawHeaders}.
    """
    if _transparent:
        headers._rawHeaders[name] = [value]
    else:
        headers.setRawHeaders(name, [value])


def set_field(headers: Headers, name: Any, value: Any) -> None:
    """
    Set a field to one value, as C{setRawHeaders} does, but at a third of its cost for
    names and values that need nothing else done.

    Without the private attribute: C{setRawHeaders}.

    @raise Exception: whatever C{setRawHeaders} raises.
    """
    # A subclass may override setRawHeaders.
    known = _transparent and type(headers) is Headers
    canonical = _canonical.get(name) if known else None
    if (
        canonical is not None
        and type(value) is bytes
        and value.strip() is value
        and 10 not in value
        and 13 not in value
    ):
        headers._rawHeaders[canonical] = [value]
        return
    headers.setRawHeaders(name, [value])
    if known and canonical is None:
        _learn(name)


def _learn(name: Any) -> None:
    """
    Keep the canonical form of a name that C{setRawHeaders} has taken.
    """
    if len(_canonical) < _MOST_NAMES:
        headers = Headers()
        headers.setRawHeaders(name, [])
        ((_canonical[name], _),) = headers.getAllRawHeaders()


def add_known(headers: Headers, name: bytes, value: bytes) -> None:
    """
    Add a field whose name is canonical, and whose value has no line end.

    Without the private attribute: C{addRawHeader}.
    """
    if _transparent:
        headers._rawHeaders.setdefault(name, []).append(value)
    else:
        headers.addRawHeader(name, value)


def raw_fields(headers: Headers) -> dict[bytes, list[bytes]]:
    """
    The fields by canonical name; not to be changed.

    Without the private attribute: a copy.
    """
    if _transparent:
        return headers._rawHeaders
    return {name: list(values) for name, values in headers.getAllRawHeaders()}
