"""
Every private name of Twisted that this package uses, and what is done without.

A test fails when one of them changes.
"""

from __future__ import annotations

from inspect import getclosurevars, isfunction
from typing import Any

from twisted.web import resource
from twisted.web.http_headers import Headers

__all__ = [
    "creator_of_layer",
    "encoder_for",
    "parses_forms",
    "raw_fields",
    "response_headers",
    "set_known",
    "verified_name",
]

_IEncodingResource: Any = getattr(resource, "_IEncodingResource", None)


def encoder_for(resrc: Any, request: Any) -> Any:
    """
    The encoder that a L{resource.EncodingResourceWrapper} chooses.

    Without the private interface: whatever has a C{getEncoder} is asked.

    @return: an encoder, or C{None} for content as it is.
    """
    getEncoder = getattr(resrc, "getEncoder", None)
    if getEncoder is None:
        return None
    if _IEncodingResource is not None and not _IEncodingResource.providedBy(resrc):
        return None
    return getEncoder(request)


def parses_forms(site: Any) -> bool:
    """
    The site's C{parsePOSTFormSubmission} (Twisted 25.5 and later).

    Without the private attribute: forms are parsed, as before that release.
    """
    return bool(getattr(site, "_parsePOSTFormSubmission", True))


# Where Headers keeps its fields, by canonical name.  Setting a field that we
# made ourselves needs none of the checks that setRawHeaders makes, and those
# are a tenth of what a small response costs.
_RAW = "_rawHeaders"
_transparent = isinstance(getattr(Headers(), _RAW, None), dict)


def response_headers(server: bytes | None, date: bytes) -> Headers:
    """
    The fields that every response begins with.
    """
    headers = Headers()
    if server is not None:
        set_known(headers, b"Server", server)
    set_known(headers, b"Date", date)
    return headers


def set_known(headers: Headers, name: bytes, value: bytes) -> None:
    """
    Set a field whose name is canonical, and whose value has no line end.

    Without the private attribute: C{setRawHeaders}.
    """
    if _transparent:
        headers._rawHeaders[name] = [value]
    else:
        headers.setRawHeaders(name, [value])


def raw_fields(headers: Headers) -> dict[bytes, list[bytes]]:
    """
    The fields by canonical name; not to be changed.

    Without the private attribute: a copy.
    """
    if _transparent:
        return headers._rawHeaders
    return {name: list(values) for name, values in headers.getAllRawHeaders()}


def verified_name(creator: Any) -> str | None:
    """
    The name that Twisted's creator of client connections verifies, in ASCII.

    Without the private attribute: C{None}; callers take the name of the URI.
    """
    name = getattr(creator, "_hostnameASCII", None)
    return name if isinstance(name, str) else None


def creator_of_layer(transport: Any) -> Any:
    """
    The creator of a TLS layer's connection; C{None} for what is not TLS.

    Its factory keeps it in C{_connectionCreator}, and since Twisted 26.4 in what
    C{_creatorCallable} encloses.  Without these: C{None}, and the names of
    connections that an application's own endpoint makes are verified by Twisted
    alone.
    """
    factory = getattr(transport, "factory", None)
    creator = getattr(factory, "_connectionCreator", None)
    if creator is not None:
        return creator
    make = getattr(factory, "_creatorCallable", None)
    if not isfunction(make):
        return None
    method = getclosurevars(make).nonlocals.get("baseCallable")
    return getattr(method, "__self__", None)
