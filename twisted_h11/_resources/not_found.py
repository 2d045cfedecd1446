"""
What stands where there is no file.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource

from twisted_h11._server.adapted import adapted
from twisted_h11._server.error_pages import render_error

__all__ = ["Fallback", "Refusal"]


class Refusal(Resource):
    """
    A page of Twisted's for what is not served, or the site's for that status.
    """

    isLeaf = True

    def __init__(self, page: Any) -> None:
        super().__init__()
        self._page = page

    def render(self, request: Any) -> Any:
        """
        See L{IResource.render}.
        """
        return render_error(self._page, request)


class Fallback(Resource):
    """
    One file in the place of all that is not there, for an application in a browser
    that has paths of its own.

    A page is what is asked for by GET or HEAD, with a path whose last segment has no
    extension, by somebody who takes HTML; what else is not there is not there.

    @param file: the resource of the file with the application.
    @param otherwise: what else is not there.
    """

    isLeaf = True

    def __init__(self, file: Any, otherwise: Any) -> None:
        super().__init__()
        self._file = file
        self._otherwise = otherwise

    def render(self, request: Any) -> Any:
        """
        See L{IResource.render}.
        """
        last = request.path.rpartition(b"/")[2]
        accepted = b",".join(request.requestHeaders.getRawHeaders(b"Accept", ()))
        if (
            request.method not in (b"GET", b"HEAD")
            or b"." in last
            or b"text/html" not in accepted.lower()
        ):
            return self._otherwise.render(request)
        # The names of what it loads change with each release, its own does not.
        request.setHeader(b"Cache-Control", b"no-cache")
        return adapted(self._file).render(request)
