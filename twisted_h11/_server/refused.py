"""
Requests that the application never saw, for the access log.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.web.http_headers import Headers

from twisted_h11._http.abnf import match_rough_request_line
from twisted_h11._http.strict import RequestHead

__all__ = ["RefusedRequest"]


class RefusedRequest:
    """
    What a log formatter asks of a request, with C{-} for what is not known.

    @param peer: the client's address.
    @param head: the head, if it was in order.
    @param partial: else what there is of it.
    @param status: of our response.
    @ivar sentLength: the length of our response's content.
    """

    def __init__(
        self,
        peer: IAddress,
        head: RequestHead | None,
        partial: bytes,
        status: int,
    ) -> None:
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
        self.path = self.uri.partition(b"?")[0]

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
