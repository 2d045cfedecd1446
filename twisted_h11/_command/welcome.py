"""
The default site of C{twistd h11web}: it responds to each request with a description of
the request, as a page for browsers and as JSON for other clients.  So one can see what
a client or a proxy really sends.

All parts of a request are untrusted text.  They get into the page through one function
that escapes, the page has no script, and its Content-Security-Policy allows nothing but
its one style sheet.
"""

from __future__ import annotations

import json
import os
from base64 import b64encode
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import INegotiated
from twisted.web.error import UnsupportedMethod
from twisted.web.http import parse_qs
from twisted.web.resource import Resource

from twisted_h11._command.welcome_page import CONTENT_SECURITY_POLICY, render_page

__all__ = ["MAX_BODY_SHOWN", "Welcome", "describe_request", "prefers_html"]

MAX_BODY_SHOWN = 64 * 1024
"""
How many bytes of a request body are shown.
"""


class Welcome(Resource):
    """
    A resource that describes the request, for any path and any method.

    CONNECT gets an error: a 2xx response would turn the connection into a tunnel.

    @since: 0.1
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        Describe the request, in HTML or JSON.
        """
        if request.method == b"CONNECT":
            raise UnsupportedMethod((b"GET", b"HEAD", b"POST", b"PUT", b"DELETE"))
        described = describe_request(request)
        setHeader = request.setHeader
        setHeader(b"Cache-Control", b"no-store")
        setHeader(b"Vary", b"Accept")
        setHeader(b"X-Content-Type-Options", b"nosniff")
        if prefers_html(request.requestHeaders.getRawHeaders(b"Accept", ())):
            setHeader(b"Content-Type", b"text/html; charset=utf-8")
            setHeader(b"Content-Security-Policy", CONTENT_SECURITY_POLICY)
            setHeader(b"Referrer-Policy", b"no-referrer")
            body = render_page(described).encode("utf-8")
        else:
            setHeader(b"Content-Type", b"application/json")
            body = _render_json(described).encode("ascii")
        if request.method == b"HEAD":
            setHeader(b"Content-Length", b"%d" % (len(body),))
            return b""
        return body


def describe_request(request: Any) -> dict[str, Any]:
    """
    Describe a request as the server has parsed it, ready for JSON.

    Bytes that are not UTF-8 are written as C{\\xNN}; a body that is not UTF-8
    is given in base64.
    """
    fields = getattr(request, "rawFields", None)
    if fields is None:
        # A request of HTTP/2, or of a framework, has no names in their original case.
        fields = [
            (name, value)
            for name, values in request.requestHeaders.getAllRawHeaders()
            for value in values
        ]
    query = request.uri.partition(b"?")[2]
    arguments = parse_qs(query, keep_blank_values=True)
    return {
        "method": _text(request.method),
        "target": _text(request.uri),
        "version": _text(request.clientproto),
        "fields": [[_text(name), _text(value)] for name, value in fields],
        "query": {
            _text(name): [_text(value) for value in values]
            for name, values in arguments.items()
        },
        "body": _describe_body(request.content),
        "tls": _describe_tls(request),
        "peer": _describe_address(request.getClientAddress()),
        "host": _describe_address(request.getHost()),
    }


def _render_json(described: dict[str, Any]) -> str:
    """
    JSON for a terminal: a line for each item and each field, and only ASCII, so that
    no byte of the request can control the terminal.
    """
    items = []
    for name, value in described.items():
        text = json.dumps(value)
        if name == "fields" and value:
            pairs = ",\n".join(f"    {json.dumps(pair)}" for pair in value)
            text = f"[\n{pairs}\n  ]"
        items.append(f"  {json.dumps(name)}: {text}")
    return "{\n" + ",\n".join(items) + "\n}\n"


def prefers_html(accept: Any) -> bool:
    """
    Whether a client prefers HTML to JSON.

    @param accept: the values of its Accept fields.
    """
    ranges: dict[str, float] = {}
    for item in b",".join(accept).decode("latin-1").lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        quality = 1.0
        for parameter in parameters:
            if parameter.startswith("q="):
                try:
                    quality = float(parameter[2:])
                except ValueError:
                    quality = 0.0
        ranges[name] = quality

    def wanted(kind: str, subtype: str) -> float:
        for name in (f"{kind}/{subtype}", f"{kind}/*", "*/*"):
            if name in ranges:
                return ranges[name]
        return 0.0

    return wanted("text", "html") > wanted("application", "json")


def _text(value: bytes) -> str:
    """
    Bytes of a request as text, without loss.
    """
    return value.decode("utf-8", "backslashreplace")


def _describe_body(content: Any) -> dict[str, Any] | None:
    """
    The request body: its length, and its beginning as text or base64.
    """
    length = content.seek(0, os.SEEK_END)
    content.seek(0)
    if not length:
        return None
    data = content.read(MAX_BODY_SHOWN)
    content.seek(0)
    truncated = len(data) < length
    described: dict[str, Any] = {"length": length, "truncated": truncated}
    text = _as_utf8(data, truncated)
    if text is None:
        described["base64"] = b64encode(data).decode("ascii")
    else:
        described["text"] = text
    return described


def _as_utf8(data: bytes, truncated: bool) -> str | None:
    """
    Decode C{data}; C{None} if it is not UTF-8.  Truncated data may end within a
    character.
    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        if truncated and error.reason == "unexpected end of data":
            return data[: error.start].decode("utf-8")
        return None


def _describe_tls(request: Any) -> dict[str, str | None] | None:
    """
    The parameters that TLS negotiated, or C{None} without TLS.

    With HTTP/2 Twisted gives no access to the connection.
    """
    if not request.isSecure():
        return None
    described: dict[str, str | None] = {"version": None, "cipher": None, "alpn": None}
    transport = getattr(request.channel, "transport", None)
    getHandle = getattr(transport, "getHandle", None)
    handle: Any = None if getHandle is None else getHandle()
    if hasattr(handle, "get_protocol_version_name"):
        described["version"] = handle.get_protocol_version_name()
        described["cipher"] = handle.get_cipher_name()
    negotiated = None
    if INegotiated.providedBy(transport):
        negotiated = transport.negotiatedProtocol
    elif request.clientproto == b"HTTP/2":
        negotiated = b"h2"
    if negotiated:
        described["alpn"] = _text(negotiated)
    return described


def _describe_address(address: Any) -> str | None:
    """
    An address in its usual notation.
    """
    if isinstance(address, IPv4Address):
        return f"{address.host}:{address.port}"
    if isinstance(address, IPv6Address):
        return f"[{address.host}]:{address.port}"
    if isinstance(address, UNIXAddress):
        return f"unix:{os.fsdecode(address.name)}" if address.name else "unix:"
    return None if address is None else str(address)
