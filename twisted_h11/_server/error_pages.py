"""
A site's own error pages.

They replace the default pages of this package, and those of Twisted's resources for
paths that are not found.  The responses of an application are never replaced.
"""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Mapping
from typing import Any

from twisted_h11._boundary.checks import PATH, Kind, checked
from twisted_h11._boundary.opening import TooLong, read_file
from twisted_h11._boundary.twisted_private import error_page_code

__all__ = ["ErrorPages", "page_of", "render_error", "replace_page"]

_LARGEST = 1 << 20
"""
The maximum length of an error page, in bytes; pages are kept in memory.
"""

_PAGES = Kind(
    "a mapping of paths by status",
    lambda pages: (
        isinstance(pages, Mapping)
        and all(type(status) is int and PATH.test(pages[status]) for status in pages)
    ),
)


class ErrorPages:
    """
    Pages by status.  The files are read once.

    @since: 0.1
    """

    @checked(pages=_PAGES)
    def __init__(self, pages: Mapping[int, str | os.PathLike[str]]) -> None:
        """
        @param pages: the path of a file for each status, which is 400 to 599.
        @raise TypeError: for an argument of a wrong type.
        @raise ValueError: for another status, or a file that is longer than 1 MiB.
        @raise OSError: for a file that can not be read, or is no regular file.
        """
        self._pages: dict[int, tuple[bytes, bytes]] = {}
        for status, path in pages.items():
            if not 400 <= status <= 599:
                raise ValueError(f"the status of an error is 400 to 599, not {status}")
            try:
                content = read_file(path, _LARGEST)
            except TooLong as error:
                raise ValueError(f"{os.fspath(path)} is {error}") from None
            self._pages[status] = _type_of(os.fspath(path)), content

    def __repr__(self) -> str:
        return f"<ErrorPages {sorted(self._pages)}>"

    def get(self, status: int) -> tuple[bytes, bytes] | None:
        """
        The media type and the content of the page for a status, if there is one.
        """
        return self._pages.get(status)


def _type_of(path: str) -> bytes:
    kind = mimetypes.guess_type(path)[0] or "text/html"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return kind.encode("ascii")


def page_of(site: Any, status: int | None) -> tuple[bytes, bytes] | None:
    """
    The media type and the content of a site's own page for a status, if it has one.

    @param site: any site, or C{None}.
    """
    pages = getattr(site, "errorPages", None)
    found: tuple[bytes, bytes] | None = None
    if pages is not None and status is not None:
        found = pages.get(status)
    return found


def replace_page(request: Any, status: int, page: bytes) -> bytes:
    """
    The error page for a request: the site's, if it has one for the status, else
    C{page}.  Sets the C{Content-Type} of the site's page.

    @param page: the default page, HTML.
    """
    site = getattr(request, "site", None)
    found = page_of(site, status)
    if status == 500 and getattr(site, "displayTracebacks", False):
        # The default page shows the traceback.
        found = None
    if found is None:
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        return page
    request.setHeader(b"Content-Type", found[0])
    return found[1]


def render_error(resource: Any, request: Any) -> Any:
    """
    Render one of Twisted's error resources, with the site's own page if there is one.
    """
    status = error_page_code(resource)
    found = page_of(getattr(request, "site", None), status)
    if found is None:
        return resource.render(request)
    request.setResponseCode(status)
    request.setHeader(b"Content-Type", found[0])
    return found[1]
