"""
A client's request: checked, framed and ready to be written to a connection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import copy
from dataclasses import InitVar, dataclass, field
from typing import Any

import h11
from twisted.web.client import URI
from twisted.web.http_headers import Headers as TwistedHeaders
from twisted.web.iweb import IClientRequest
from zope.interface import implementer

from twisted_h11._boundary.checks import wrong
from twisted_h11._client.agent_headers import Headers
from twisted_h11._client.request_head import (
    body_length,
    request_fields,
    request_head,
)
from twisted_h11._client.settings import ClientSettings
from twisted_h11._http.abnf import is_target, is_token
from twisted_h11._http.lists import has_member
from twisted_h11._http.response_received import Fields

__all__ = ["ClientRequest", "check_method", "check_uri"]

DEFAULT_SETTINGS = ClientSettings()


def check_method(method: bytes) -> bytes:
    """
    Check that a method is a token, and not C{CONNECT}.

    @raise TypeError: if it is not bytes.
    @raise ValueError: if it is not a valid method.
    """
    if not isinstance(method, bytes):
        raise wrong("method", "bytes", method)
    if not is_token(method):
        raise ValueError(f"Invalid method {method!r}")
    if method == b"CONNECT":
        # The target of CONNECT is host and port; TunnelEndpoint sends it.
        raise ValueError("Invalid method b'CONNECT': a tunnel is an endpoint")
    return method


def check_uri(uri: bytes) -> bytes:
    """
    Check that a URI has no white space, control characters or non-ASCII bytes.

    @return: the URI without surrounding white space.
    @raise TypeError: if it is not bytes.
    @raise ValueError: if it is not a valid URI.
    """
    if not isinstance(uri, bytes):
        raise wrong("uri", "bytes", uri)
    uri = uri.strip()
    if not is_target(uri):
        raise ValueError(f"Invalid URI {uri!r}")
    return uri


@implementer(IClientRequest)
@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class ClientRequest:
    """
    One request, ready to be written; it may be written more than once.

    @param host: the value of Host, unless the application gives one.

    @ivar method: the method.
    @ivar target: the request target, as it is sent.
    @ivar given: the application's fields.
    @ivar fields: all fields as they are sent.
    @ivar head: the bytes of the head.
    @ivar body: C{None}, C{bytes} or an C{IBodyProducer}.
    @ivar length: the length of the body, -1 if it is not known.
    @ivar chunked: whether the body is chunked.
    @ivar bodyStarted: whether the producer of the body was started.
    @ivar expect: whether the body waits for a 100 response.
    @ivar uri: the absolute URI, or a function that returns it.
    @ivar persistent: whether the connection may be used again.
    @ivar started: when the request was started.
    @ivar fast: whether the request and its response may be written and read without
        h11's state machine.
    @ivar report: called with the name of each trace event, or C{None}.
    """

    method: bytes
    target: bytes
    host: InitVar[bytes]
    given: TwistedHeaders | Iterable[tuple[bytes, bytes]] | None
    body: Any
    persistent: bool
    settings: ClientSettings = DEFAULT_SETTINGS
    started: float = 0.0
    uri: bytes | Callable[[], bytes | None] | None = None
    fast: bool = True
    report: Callable[..., None] | None = field(default=None, init=False)
    expect: bool = field(default=False, init=False)
    bodyStarted: bool = field(default=False, init=False)
    length: int | None = field(default=None, init=False)
    chunked: bool = field(init=False)
    fields: Fields = field(init=False)
    head: bytes = field(init=False)
    _headers: TwistedHeaders | None = field(default=None, init=False)

    def __post_init__(self, host: bytes) -> None:
        method, body = self.method, self.body
        given: Iterable[tuple[bytes, bytes]] = ()
        if self.given is not None:
            given = pairs_of(self.given)
        if body is None:
            # RFC 9110 section 8.6: where the method expects a body.
            if method in (b"POST", b"PUT", b"PATCH"):
                self.length = 0
        elif isinstance(body, bytes):
            self.length = len(body)
        else:
            self.length = body_length(body)
        self.fields, self.chunked = request_fields(
            given, host, self.length, not self.persistent, self.target
        )
        if self.chunked and body is None:
            # The application gives Transfer-Encoding without a body: send an empty
            # chunked one.
            self.body = b""
        if given:
            for name, value in self.fields:
                size = len(name)
                if size == 6 and name.lower() == b"expect":
                    self.expect = body is not None and value.lower() == b"100-continue"
                elif size == 10 and name.lower() == b"connection":
                    if has_member((value,), b"close"):
                        # RFC 9112 section 9.6: a client that has sent "close" must
                        # not send another request, whatever the server responds.
                        self.persistent = False
        self.head = self._makeHead()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method.decode()} {self.target.decode()}>"

    def _makeHead(self) -> bytes:
        if self.fast:
            return request_head(self.method, self.target, self.fields)
        return h11.Connection(h11.CLIENT).send(self.event()) or b""

    def withoutExpect(self) -> ClientRequest:
        """
        A copy of the request without its C{Expect} field.
        """
        again = copy(self)
        again.fields = [field for field in self.fields if field[0].lower() != b"expect"]
        again.expect = False
        again.head = again._makeHead()
        return again

    @property
    def headers(self) -> TwistedHeaders:
        """
        The application's fields, and Host.
        """
        if self._headers is None:
            given = self.given
            if isinstance(given, TwistedHeaders) and given.hasHeader(b"Host"):
                self._headers = given
            else:
                self._headers = Headers.fromPairs(
                    [self.fields[0], *(pairs_of(given) if given is not None else ())]
                )
        return self._headers

    @property
    def absoluteURI(self) -> bytes | None:
        """
        The absolute URI, or C{None} if it is not known.
        """
        if callable(self.uri):
            return self.uri()
        if self.uri is None:
            return None
        whole: bytes = URI.fromBytes(self.uri).toBytes()
        return whole

    def sentByH11(self) -> h11.Connection:
        """
        An h11 connection that has sent the head: how a response is read depends on
        the request.
        """
        size = self.settings.maxHeadLength
        conn = h11.Connection(h11.CLIENT, max_incomplete_event_size=size)
        conn.send(self.event())
        return conn

    def event(self) -> h11.Request:
        """
        The request as an event of h11.
        """
        return h11.Request(method=self.method, target=self.target, headers=self.fields)


def pairs_of(
    headers: TwistedHeaders | Iterable[tuple[bytes, bytes]],
) -> list[tuple[bytes, bytes]]:
    """
    The fields of C{headers} in order, with the names as they were given if C{headers}
    keeps them.
    """
    if isinstance(headers, Headers):
        return headers.pairs()
    if isinstance(headers, TwistedHeaders):
        return [
            (name, value)
            for name, values in headers.getAllRawHeaders()
            for value in values
        ]
    return list(headers)
