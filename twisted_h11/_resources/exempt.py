"""
Paths that are exempt from a rule of the site, such as a password or TLS.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

__all__ = ["Exempt"]


class Exempt:
    """
    Paths such as C{b"/.well-known/acme-challenge/"}, and all below them.

    @param paths: the paths.
    @raise ValueError: for a path that does not begin and end with a slash.
    """

    def __init__(self, paths: Iterable[bytes]) -> None:
        paths = list(paths)
        if any(path[:1] + path[-1:] != b"//" for path in paths):
            raise ValueError("a path begins and ends with a slash")
        self._begins = [path.split(b"/")[1:-1] for path in paths]

    def has(self, request: Any) -> bool:
        """
        Whether C{postpath} of a request is below one of the paths.
        """
        path = request.postpath
        return any(
            len(path) > len(begin)
            and path[: len(begin)] == begin
            # No segment leads up again.
            and not {b"", b".", b".."} & set(path)
            for begin in self._begins
        )
