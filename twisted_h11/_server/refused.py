"""
Refused requests, which the application does not get, and error responses.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.logger import Logger
from twisted.web.http_headers import Headers

from twisted_h11._boundary.guarded import guarded
from twisted_h11._http.abnf import match_rough_request_line
from twisted_h11._http.response_to_send import error_response
from twisted_h11._http.strict_requests import RequestHead
from twisted_h11._server.added_fields import fields_to_add
from twisted_h11._server.cycle import Cycle, State, tell_lost
from twisted_h11._server.error_pages import page_of
from twisted_h11._server.request_ids import current
from twisted_h11._wire.closing import End

__all__ = ["RefusedRequest", "refuse", "send_error"]

_log = Logger()


class RefusedRequest:
    """
    A refused request, for log formatters, with C{-} for unknown values.

    @param channel: the connection.
    @param peer: the client's address.
    @param head: the head, if it is valid.
    @param partial: else the received bytes of the head.
    @param status: the status of the response.
    @ivar sentLength: the length of the response's content, in bytes.
    @ivar isUnread: whether method, target and version are unknown.
    @ivar requestId: its identifier, if requests have one.
    """

    isUnread = False
    requestId: str | None = None

    def __init__(
        self,
        channel: Any,
        peer: IAddress,
        head: RequestHead | None,
        partial: bytes,
        status: int,
    ) -> None:
        self.channel = channel
        self.client = peer
        self.code = status
        self.sentLength = 0
        self.method = self.uri = self.clientproto = b"-"
        self.requestHeaders = Headers()
        self.responseHeaders = Headers()
        if head is not None:
            self.method, self.uri = head.method, head.target
            self.clientproto = head.version
            for name, value in head.fields:
                self.requestHeaders.addRawHeader(name, value)
        else:
            match = match_rough_request_line(partial)
            if match is not None:
                self.method, self.uri, self.clientproto = match.groups()
            else:
                self.isUnread = True
        self.path = self.uri.partition(b"?")[0]
        if getattr(channel.site, "requestIds", None) is not None:
            self.requestId = current.get()

    def getClientAddress(self) -> IAddress:
        """
        The client's address.
        """
        return self.client

    def getHeader(self, name: Any) -> Any:
        """
        The last value of a field, or C{None}.
        """
        values = self.requestHeaders.getRawHeaders(name)
        return values[-1] if values else None


def refuse(channel: Any, status: int, reason: str) -> None:
    """
    Refuse the current request of a channel, or the bytes that should be one: send an
    error response, log it, and close.
    """
    peer = channel.getPeer()
    cycle: Cycle | None = channel.cycle
    request = cycle.takeRequest() if cycle is not None else None
    _log.info(
        "Refused a request from {peer} with {status}: {reason}",
        peer=peer,
        status=status,
        reason=reason,
    )
    if cycle is not None and cycle.hasBegun(request):
        # The response to this request has begun.
        cycle.fail()
    else:
        head, partial = None, b""
        if cycle is not None:
            head = cycle.head
        else:
            partial = channel.reader.unread[: channel.limits.maxHeadLength]
        refused = RefusedRequest(channel, peer, head, partial, status)
        refused.sentLength = send_error(channel, status, reason, refused.method)
        if channel.site is not None:
            guarded("The access log", channel.site.log, refused)
    tell_lost(request, reason)


def send_error(channel: Any, status: int, reason: str, method: bytes) -> int:
    """
    Send an error response, and close.

    @param method: the method of the request; HEAD gets no content.
    @return: the length of the content, in bytes.
    """
    channel.persistent = False
    site = channel.site
    data, length = error_response(
        status,
        reason,
        site.serverHeader if site is not None else None,
        fields_to_add(site, channel, []),
        method,
        page_of(site, status),
    )
    if channel.cycle is not None:
        channel.cycle.state = State.COMPLETE
    channel.wire.send(data)
    channel.wire.close(End.LINGER)
    return length
