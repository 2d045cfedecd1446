"""
The resources for paths that have no file.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource

from twisted_h11._server.adapted import adapted
from twisted_h11._server.error_pages import render_error

__all__ = ["Fallback", "Refusal"]


class Refusal(Resource):
    """
    An error page of Twisted's, or the site's own page for that status.
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
    One file for all page requests without a file, for a single-page application that
    routes paths in the browser.

    A page request is a GET or HEAD from a client that accepts HTML, for a path whose
    last segment has no extension.

    @param file: the resource of the file with the application.
    @param otherwise: the resource for all other requests without a file.
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
        # Each release changes the names of the files that the page loads, not its own.
        request.setHeader(b"Cache-Control", b"no-cache")
        return adapted(self._file).render(request)
