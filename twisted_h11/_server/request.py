"""
The request class of this package's site.

L{Request} has the whole interface of L{twisted.web.server.Request}.  It does not frame
its response, has its body as a stream and its fields as received, sends trailers and
interim responses, and can give its connection away.

On another channel (HTTP/2 streams are Twisted's) it uses the inherited methods.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from io import BytesIO
from typing import Any

from OpenSSL.crypto import X509
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.python import reflect
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.http_headers import Headers
from twisted.web.iweb import INonQueuedRequestFactory
from zope.interface import provider

from twisted_h11._http.strict_requests import RequestHead
from twisted_h11._server.body import RequestBody
from twisted_h11._server.channel import Channel
from twisted_h11._server.compression import encoder_of
from twisted_h11._server.logged import peer_certificate
from twisted_h11._server.request_headers import RequestHeaders
from twisted_h11._server.responding import RequestDisconnected, Responding

__all__ = ["Request", "RequestDisconnected"]

# `63 in path` is four times as fast as `b"?" in path`.
_QUESTION_MARK = ord("?")

# Methods that are not called for a request that is rendered before its body.
_PASSED_BY = ("process", "requestReceived", "gotLength", "handleContentChunk")


def _copyable(addr: Any) -> Any:
    """
    Convert an address for L{twisted.web.distrib}, which sends TCP and UNIX addresses.
    """
    if isinstance(addr, (IPv4Address, UNIXAddress)):
        return addr
    if isinstance(addr, IPv6Address):
        return IPv4Address("TCP", addr.host, addr.port)
    return UNIXAddress(None)


@provider(INonQueuedRequestFactory)
class Request(Responding):
    """
    An HTTP request, served by twisted_h11.

    @ivar responseTrailers: fields for the trailer section of the response; set
        them before C{finish}.  Only a chunked response has one.

    @since: 0.1
    """

    # Tells the channel that this class does not frame chunks.
    leavesFraming = True
    servesWhole = True
    queued = False
    _parsePOSTFormSubmission = True
    _direct = True

    _requestHead: RequestHead | None = None
    _requestId: str | None = None
    _lastTransport: Any = None
    # A weak reference to the channel, once the response is finished.
    _lastChannel: Any = None

    def __init__(self, channel: Any, queued: Any = False, **kwargs: Any) -> None:
        if kwargs or not isinstance(channel, Channel):
            self._direct = isinstance(channel, Channel)
            super().__init__(channel, queued, **kwargs)
            site: Any = getattr(channel, "site", None)
            if getattr(site, "timesRequests", False):
                self.began = site.reactor.seconds()
            return
        # The attributes that the inherited constructor sets.  That also reads the
        # channel's transport, which would end the joining of writes for good.  A
        # test compares the two.
        self.notifications = []
        self.channel = channel  # type: ignore[assignment]
        self.client = channel.getPeer()
        self.host = channel.getHost()
        self.responseHeaders = Headers()
        self.cookies = []
        Componentized.__init__(self)

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # The channel skips these methods only if they are not overridden.
        cls.servesWhole = all(
            getattr(cls, name) is getattr(Request, name)
            for name in (
                "gotLength",
                "handleContentChunk",
                "headReceived",
                "parseCookies",
                "requestReceived",
            )
        )

    @property
    def transport(self) -> Any:
        """
        The transport of the connection, also after C{finish}; C{None} when the
        connection is lost.
        """
        channel = getattr(self, "channel", None)
        if channel is None and self._lastChannel is not None:
            # The response is finished: not for longer than the connection.
            channel = self._lastChannel()
        if channel is None:
            return self._lastTransport
        return channel.transport

    @transport.setter
    def transport(self, transport: Any) -> None:
        self._lastTransport = transport
        self._lastChannel = None
        channel: Any = getattr(self, "channel", None)
        if transport is None and self._direct and channel is not None:
            # The application may give it to another protocol.
            channel.callLater(0, channel.lookForSuccessor)

    def getTypeToCopy(self) -> bytes:
        """
        See L{twisted.spread.flavors.Copyable}.  The other side of
        L{twisted.web.distrib} gets twisted.web's request.
        """
        if type(self) is Request:
            return reflect.qual(server.Request).encode("ascii")
        name: bytes = super().getTypeToCopy()
        return name

    def getStateToCopyFor(self, issuer: Any) -> Any:
        """
        See L{twisted.spread.flavors.Copyable}.
        """
        state = self.__dict__
        state.setdefault("transport", None)
        addresses = {name: state[name] for name in ("client", "host")}
        try:
            # distrib can only send TCP and UNIX addresses.
            state.update((name, _copyable(a)) for name, a in addresses.items())
            copied = dict(super().getStateToCopyFor(issuer))
        finally:
            state.update(addresses)
        # args is made on first use.
        copied["args"] = self.args
        for name in (
            "_lastTransport",
            "_open",
            "_requestHead",
            "_requestBody",
            "_responseTrailers",
            "trailers",
            "routed",
            "_running",
            "_ownHalfClose",
            "_gate",
            "began",
            "_requestId",
            "_unencodedLeft",
            "_hasComplained",
        ):
            copied.pop(name, None)
        copied["received_cookies"] = self.received_cookies
        return copied

    def getPeerCertificate(self) -> X509 | None:
        """
        The client's certificate from the TLS handshake, if the server has requested and
        verified one, as in
        L{ISSLTransport<twisted.internet.interfaces.ISSLTransport>}.

        @return: an object of pyOpenSSL, with C{to_cryptography()}; C{None} if there is
            none, or after the connection was lost.
        """
        certificate: X509 | None = peer_certificate(self)
        return certificate

    # -- the head ---------------------------------------------------

    @property
    def requestId(self) -> str | None:
        """
        The identifier of this request, if its site has C{requestIds}: random, or the
        value of a trusted proxy in the field C{requestIdHeader}.
        """
        head = self._requestHead
        if head is not None:
            return getattr(head, "requestId", None)
        if self._requestId is None:
            channel: Any = getattr(self, "channel", None)
            ids = getattr(getattr(channel, "site", None), "requestIds", None)
            if ids is not None:
                peer = channel.getPeer()
                self._requestId = ids.of(self._values, peer)
        return self._requestId

    def _values(self, name: bytes) -> Sequence[bytes]:
        values: Sequence[bytes] = self.requestHeaders.getRawHeaders(name, ())
        return values

    def headReceived(self, head: RequestHead) -> None:
        """
        Called by the channel when the head has arrived.
        """
        self._requestHead = head
        self.requestHeaders = RequestHeaders(head)

    @cached_property
    def rawFields(self) -> list[tuple[bytes, bytes]]:
        """
        Pairs of name and value as received, with order and case kept.
        C{requestHeaders} has the same fields in the form of twisted.web.

        Over HTTP/2 names are in lower case, C{host} has the authority, and fields of
        the same name follow one another.
        """
        head = self._requestHead
        if head is None:
            pairs = self.requestHeaders.getAllRawHeaders()
            return [(name.lower(), value) for name, values in pairs for value in values]
        return list(getattr(head, "received", head).fields)

    @cached_property
    def received_cookies(self) -> dict[bytes, bytes]:  # type: ignore[override]
        """
        The cookies that the client sent.
        """
        found = {}
        for line in self.requestHeaders.getRawHeaders(b"Cookie", ()):
            for cookie in line.split(b";"):
                name, equals, value = cookie.lstrip().partition(b"=")
                if equals:
                    found[name] = value
        return found

    def parseCookies(self) -> None:
        """
        Called when all fields are set.  L{received_cookies} parses cookies later.
        """
        if not self._direct:
            # Make them now: those of a trusted proxy may replace some later.
            _ = self.rawFields
        if "received_cookies" in self.__dict__:
            super().parseCookies()

    def gotLength(self, length: int | None) -> None:
        """
        See L{twisted.web.http.Request.gotLength}.
        """
        channel: Any = self.channel
        if length == 0 and not hasattr(channel.site, "getContentFile"):
            self.content = BytesIO()
        else:
            super().gotLength(length)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        See L{twisted.web.http.Request.requestReceived}.
        """
        # It may have been made before the body had arrived.
        self.__dict__.pop("args", None)
        self.content.seek(0)  # type: ignore[union-attr]
        self._takeLine(command, path, version)
        self.process()

    def serve(self, head: RequestHead) -> None:
        """
        Called by the channel for a request without a body, instead of
        C{headReceived}, C{parseCookies}, C{gotLength} and C{requestReceived}.
        """
        self._requestHead = head
        self.requestHeaders = RequestHeaders(head)
        self.content = BytesIO()
        self._takeLine(head.method, head.target, head.version)
        self.process()

    def _takeLine(self, command: bytes, path: bytes, version: bytes) -> None:
        self.method = command
        self.uri = path
        self.clientproto = version
        self.path = path.partition(b"?")[0] if _QUESTION_MARK in path else path

    # -- the body as a stream ---------------------------------------

    def mayRouteEarly(self) -> bool:
        """
        Whether this request can be rendered before its body; not if a subclass
        overrides a method that would be skipped.  Called by the channel.
        """
        cls = type(self)
        if any(getattr(cls, n) is not getattr(Request, n) for n in _PASSED_BY):
            return False
        head = self._requestHead
        if head is None:
            return False
        self._takeLine(head.method, head.target, head.version)
        return head.target != b"*" and head.method != b"CONNECT"

    def prepareEarly(self) -> None:
        """
        Set the attributes that C{process} sets before it finds a resource.  Called by
        the channel.
        """
        self._prepare()
        self.sitepath: list[bytes] = []

    def renderEarly(self, resource: Any, source: RequestBody) -> None:
        """
        Render a streaming resource.  Called by the channel.
        """
        self._requestBody = source
        self.routed = None
        try:
            self._encoder = encoder_of(resource, self)
            self.render(resource)
        except Exception:
            self.processingFailed(Failure())
