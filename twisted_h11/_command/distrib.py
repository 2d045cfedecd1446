"""
The users' own servers behind one site, for C{h11web --user}.

L{twisted.web.distrib} does it, and waits for ever where something goes wrong:
when a user's server can not be reached (it writes text that is not bytes, to
the first request that waits), when it is lost with requests under way, and when
one of those that wait has gone meanwhile.  A L{Subscription} answers them all.
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
    The way to another process, which may not be there.
    """

    def __init__(self, host: str, port: Any) -> None:
        super().__init__(host, port)
        self._open: set[Any] = set()

    def render(self, request: Any) -> Any:
        """
        Send a request to the other side.
        """
        if request not in self._open:
            if request.content.seek(0, os.SEEK_END) > SIZE_LIMIT:
                return self._answer(
                    request,
                    CONTENT_TOO_LARGE,
                    "Content Too Large",
                    f"The server of this user takes {SIZE_LIMIT} bytes at a time.",
                )
            self._open.add(request)
            request.notifyFinish().addBoth(lambda _: self._open.discard(request))
        try:
            super().render(request)
        except Exception:
            # It can not be sent; the others that wait can.
            request.processingFailed(Failure())
        return NOT_DONE_YET

    def connected(self, publisher: Any) -> None:
        """
        Send all that wait and are still here.
        """
        self.pending = [request for request in self.pending if request in self._open]
        super().connected(publisher)

    def notConnected(self, msg: Any) -> None:
        """
        Answer all that wait, or end what they were told so far.
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
            # No user can have such a name.
            return self.childNotFound
        if type(child) is static.File:
            return PublicFile(child.path)
        if type(child) is distrib.ResourceSubscription:
            child = Subscription(child.host, child.port)
            self.putChild(name, child)
        return child
