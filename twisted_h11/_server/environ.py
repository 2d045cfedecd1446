"""
The variables of CGI and WSGI for a request.

The names of fields are folded to names of variables: C{X-Forwarded-For} becomes
C{HTTP_X_FORWARDED_FOR}, and so does C{X_Forwarded_For}.  A proxy in front of the server
removes or replaces the first one, but passes the second one, which would override the
proxy's value.  So fields with an underscore in their names are left out by default, as
in nginx and waitress.  C{Proxy} is always left out: many client libraries take
C{HTTP_PROXY} for their proxy (CVE-2016-5385).
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from twisted.web.http_headers import Headers

from twisted_h11._server.request_headers import RequestHeaders

__all__ = ["foldable_headers", "make_environ"]

# Fields whose variables have no HTTP_ prefix (RFC 3875 section 4.1).
_OWN = {b"content-length": "CONTENT_LENGTH", b"content-type": "CONTENT_TYPE"}

_PORTS = {"http": "80", "https": "443"}


def _passes(name: bytes, underscores: bool) -> bool:
    """
    Whether a field may become a variable.
    """
    return (underscores or b"_" not in name) and name.lower() != b"proxy"


def foldable_headers(headers: Headers, underscores: bool) -> Headers:
    """
    The fields that may become variables.

    @param underscores: whether fields with an underscore in their names may.
    @return: C{headers} itself, if all fields may.
    """
    pairs = list(headers.getAllRawHeaders())
    if all(_passes(name, underscores) for name, _ in pairs):
        return headers
    kept = Headers()
    for name, values in pairs:
        if _passes(name, underscores):
            kept.setRawHeaders(name, list(values))
    return kept


@lru_cache(maxsize=512)
def _variable(name: bytes, underscores: bool) -> str | None:
    """
    The name of the variable for a field, or C{None} for a field without one.
    """
    own = _OWN.get(name.lower())
    if own is not None:
        return own
    if not _passes(name, underscores):
        return None
    return sys.intern("HTTP_" + name.decode("latin-1").upper().replace("-", "_"))


def make_environ(request: Any, underscores: bool) -> dict[str, Any]:
    """
    The variables of PEP 3333 for a request.  The caller adds those for the server, and
    C{wsgi.input}.

    Where there is no address, as on a UNIX socket, C{REMOTE_ADDR} and
    C{REMOTE_PORT} are empty; where there is no name and port either,
    C{SERVER_NAME} is C{localhost} and C{SERVER_PORT} that of the scheme.

    @param request: any request of twisted.web's.
    @param underscores: whether fields with an underscore in their names get
        variables.
    """
    scheme = "https" if request.isSecure() else "http"
    uri = request.uri.decode("latin-1")
    script = b"/".join([b"", *request.prepath]).decode("latin-1")
    path = b"/".join([b"", *request.postpath]).decode("latin-1")
    if script.endswith("/") and not path:
        # The resource is at an empty segment, which belongs to PATH_INFO.
        script, path = script[:-1], "/"
    name, port = _server(request, scheme)
    peer = request.getClientAddress()
    environ: dict[str, Any] = {
        "REQUEST_METHOD": request.method.decode("latin-1"),
        "REQUEST_URI": uri,
        "SCRIPT_NAME": script,
        "PATH_INFO": path,
        "QUERY_STRING": uri.partition("?")[2],
        "CONTENT_TYPE": "",
        "CONTENT_LENGTH": "",
        "REMOTE_ADDR": str(getattr(peer, "host", None) or ""),
        "REMOTE_PORT": str(getattr(peer, "port", None) or ""),
        "SERVER_NAME": name,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": request.clientproto.decode("latin-1"),
        "wsgi.url_scheme": scheme,
    }
    for field, value in _pairs(request.requestHeaders):
        variable = _variable(field, underscores)
        if variable is None:
            continue
        text = value.decode("latin-1")
        if variable in environ and variable not in _OWN.values():
            # RFC 6265 section 5.4: Cookie has semicolons between its members.
            comma = "; " if variable == "HTTP_COOKIE" else ","
            text = environ[variable] + comma + text
        environ[variable] = text
    return environ


def _pairs(headers: Headers) -> Iterable[tuple[bytes, bytes]]:
    """
    All fields, as pairs of name and value.
    """
    if isinstance(headers, RequestHeaders):
        return headers.pairs()
    return [
        (name, one) for name, values in headers.getAllRawHeaders() for one in values
    ]


def _server(request: Any, scheme: str) -> tuple[str, str]:
    """
    The values of C{SERVER_NAME} and C{SERVER_PORT}.
    """
    host = request.getHost()
    port = str(getattr(host, "port", None) or _PORTS[scheme])
    if request.getHeader(b"host"):
        return request.getRequestHostname().decode("latin-1"), port
    return str(getattr(host, "host", None) or "localhost"), port
