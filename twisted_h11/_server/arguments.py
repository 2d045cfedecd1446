"""
twisted.web's request, with arguments that are checked when they are given.

In twisted.web a status that is text, or a field that is a number, fails when the
response is written, with a traceback that does not show the faulty call.
"""

from __future__ import annotations

from typing import Any

from twisted.web import server
from twisted.web.http import CACHED, NOT_MODIFIED, PRECONDITION_FAILED

from twisted_h11._boundary.checks import (
    BYTES,
    INT,
    NUMBER,
    TEXT,
    checked,
    optional,
    wrong,
)
from twisted_h11._boundary.twisted_private import set_field
from twisted_h11._http.negotiation import none_match

__all__ = ["Arguments"]

_OPTIONAL = optional(TEXT)


class Arguments(server.Request):
    """
    A request whose methods for the response's head check their arguments.
    """

    def setResponseCode(self, code: int, message: bytes | None = None) -> None:
        """
        See L{twisted.web.http.Request.setResponseCode}.

        @raise TypeError: if C{code} is not a number, or C{message} not bytes.
        """
        if not isinstance(code, int):
            raise wrong("code", INT.name, code)
        if message is not None and not isinstance(message, bytes):
            raise wrong("message", BYTES.name, message)
        super().setResponseCode(code, message)

    def setHeader(self, name: str | bytes, value: str | bytes) -> None:
        """
        See L{twisted.web.http.Request.setHeader}.

        @raise TypeError: for anything but text or bytes.
        """
        # Called for nearly every request: check only when it has failed.
        try:
            set_field(self.responseHeaders, name, value)
        except (TypeError, AttributeError):
            for argument, given in (("name", name), ("value", value)):
                if not TEXT.test(given):
                    raise wrong(argument, TEXT.name, given) from None
            raise

    @checked(
        k=TEXT,
        v=TEXT,
        expires=_OPTIONAL,
        domain=_OPTIONAL,
        path=_OPTIONAL,
        max_age=_OPTIONAL,
        comment=_OPTIONAL,
        sameSite=_OPTIONAL,
    )
    def addCookie(
        self,
        k: Any,
        v: Any,
        expires: Any = None,
        domain: Any = None,
        path: Any = None,
        max_age: Any = None,
        comment: Any = None,
        secure: Any = None,
        httpOnly: Any = False,
        sameSite: Any = None,
    ) -> None:
        """
        See L{twisted.web.http.Request.addCookie}.

        @raise TypeError: for anything but text or bytes.
        """
        super().addCookie(
            k, v, expires, domain, path, max_age, comment, secure, httpOnly, sameSite
        )

    @checked(url=TEXT)
    def redirect(self, url: str | bytes) -> None:
        """
        See L{twisted.web.http.Request.redirect}.

        @raise TypeError: for anything but text or bytes.
        """
        super().redirect(url)

    def setETag(self, etag: Any) -> Any:
        """
        See L{twisted.web.http.Request.setETag}.  C{If-None-Match} is a list, whose
        members are compared weakly (RFC 9110 section 13.1.2).

        @raise TypeError: for anything but text or bytes.
        """
        # For every file: by hand, which is faster.
        if not _OPTIONAL.test(etag):
            raise wrong("etag", _OPTIONAL.name, etag)
        found = super().setETag(etag)
        values = self.requestHeaders.getRawHeaders(b"If-None-Match")
        tag = etag.encode("utf-8") if isinstance(etag, str) else etag
        if found is None and tag and values and none_match(values, tag):
            isRead = self.method in (b"GET", b"HEAD")
            self.setResponseCode(NOT_MODIFIED if isRead else PRECONDITION_FAILED)
            return CACHED
        return found

    def setLastModified(self, when: float) -> Any:
        """
        See L{twisted.web.http.Request.setLastModified}.  C{If-Modified-Since} is
        ignored if it is not a date, and beside C{If-None-Match} (RFC 9110 section
        13.1.3).

        @raise TypeError: for anything but a number.
        """
        if not NUMBER.test(when):
            raise wrong("when", NUMBER.name, when)
        conditions = self.requestHeaders
        if self.etag is not None and conditions.hasHeader(b"If-None-Match"):
            conditions.removeHeader(b"If-Modified-Since")
        try:
            return super().setLastModified(when)
        except IndexError:
            # Twisted's parser raises for a date without words.
            return None

    @checked(host=BYTES, port=INT)
    def setHost(self, host: bytes, port: int, ssl: Any = 0) -> None:
        """
        See L{twisted.web.http.Request.setHost}.

        @raise TypeError: if C{host} is not bytes, or C{port} not a number.
        """
        super().setHost(host, port, ssl)
