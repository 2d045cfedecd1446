"""
A request's fields in the form of twisted.web, made on first use.
"""

from __future__ import annotations

from typing import Any

from twisted.web.http_headers import Headers

from twisted_h11._http.fastpath import FastHead
from twisted_h11._http.strict_requests import RequestHead

__all__ = ["RequestHeaders"]


class RequestHeaders(Headers):
    """
    L{Headers} of a request.  A single field is looked up in the bytes of the head; the
    mapping is made by the first use of anything else.

    @param head: the head of the request.
    """

    __slots__ = ("_head",)

    def __init__(self, head: RequestHead) -> None:
        # The inherited attributes stay unset until __getattr__ makes them.
        self._head: RequestHead | None = head

    def __getattr__(self, name: str) -> Any:
        head, self._head = self._head, None
        if head is None:
            raise AttributeError(name)
        Headers.__init__(self)
        for field, value in head.fields:
            self.addRawHeader(field, value)
        return getattr(self, name)

    def getRawHeaders(self, name: Any, default: Any = None) -> Any:
        """
        See L{Headers.getRawHeaders}.
        """
        head = self._head
        if type(head) is not FastHead or type(name) is not bytes:
            return super().getRawHeaders(name, default)
        return head.find(name) or default

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """
        All fields, as pairs of name and value.
        """
        head = self._head
        if head is not None:
            return head.fields
        return [(k, v) for k, values in self.getAllRawHeaders() for v in values]

    def __reduce_ex__(self, protocol: Any) -> Any:
        """
        Copy and pickle as plain L{Headers}: a copy that kept the head would look
        fields up there after it was changed.
        """
        return Headers, (dict(self.getAllRawHeaders()),)

    def copy(self) -> Headers:
        """
        See L{Headers.copy}.
        """
        headers = Headers()
        for name, values in self.getAllRawHeaders():
            headers.setRawHeaders(name, values)
        return headers
