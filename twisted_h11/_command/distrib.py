"""
The users' own servers behind one site, for C{h11web --user}.

L{twisted.web.distrib} never answers the waiting requests when a user's server can not
be reached (it writes text, not bytes, to the first of them), when the connection to
that server is lost, or when the client of a waiting request has gone.
A L{Subscription} answers all of them.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.python.failure import Failure
from twisted.spread.banana import SIZE_LIMIT
from twisted.web import distrib, static
from twisted.web.http import REQUEST_ENTITY_TOO_LARGE as CONTENT_TOO_LARGE
from twisted.web.http import SERVICE_UNAVAILABLE
from twisted.web.server import NOT_DONE_YET

from twisted_h11._http.response_to_send import error_page
from twisted_h11.resources import PublicFile

__all__ = ["Subscription", "UserDirectory"]


class Subscription(distrib.ResourceSubscription):
    """
    Forwards requests to a user's server, which may not be running.
    """

    def __init__(self, host: str, port: Any) -> None:
        super().__init__(host, port)
        self._open: set[Any] = set()

    def render(self, request: Any) -> Any:
        """
        Send a request to the user's server.
        """
        if request not in self._open:
            if request.content.seek(0, os.SEEK_END) > SIZE_LIMIT:
                return self._answer(
                    request,
                    CONTENT_TOO_LARGE,
                    "Content Too Large",
                    "The server of this user accepts request bodies of at most "
                    f"{SIZE_LIMIT} bytes.",
                )
            self._open.add(request)
            request.notifyFinish().addBoth(lambda _: self._open.discard(request))
        try:
            super().render(request)
        except Exception:
            # This request can not be sent; the other waiting ones may be.
            request.processingFailed(Failure())
        return NOT_DONE_YET

    def connected(self, publisher: Any) -> None:
        """
        Send the waiting requests whose clients are still connected.
        """
        self.pending = [request for request in self.pending if request in self._open]
        super().connected(publisher)

    def notConnected(self, msg: Any) -> None:
        """
        Answer all open requests with 503, or cut a response that has begun.
        """
        self.pending = []
        super().notConnected(msg)
        for request in list(self._open):
            if request.startedWriting:
                request.loseConnection()
                continue
            self._answer(
                request,
                SERVICE_UNAVAILABLE,
                "Service Unavailable",
                "The server of this user can not be reached.",
            )

    def _answer(self, request: Any, code: int, brief: str, sentence: str) -> Any:
        page = error_page(code, brief, f"<p>{sentence}</p>")
        request.setResponseCode(code)
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        request.setHeader(b"Content-Length", b"%d" % len(page))
        request.write(page)
        request.finish()
        return NOT_DONE_YET


class UserDirectory(distrib.UserDirectory):
    """
    The users of this machine, their files and their servers.
    """

    childNotFound = static.File.childNotFound

    def getChild(self, name: bytes, request: Any) -> Any:
        """
        See L{twisted.web.distrib.UserDirectory}.
        """
        try:
            child = super().getChild(name, request)
        except ValueError:
            # No user can have such a name: it has a NUL, or can not be decoded.
            return self.childNotFound
        if type(child) is static.File:
            return PublicFile(child.path)
        if type(child) is distrib.ResourceSubscription:
            child = Subscription(child.host, child.port)
            self.putChild(name, child)
        return child
