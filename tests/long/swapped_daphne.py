"""
Runs Daphne's own tests with its factory on our site, from the folder of its tests::

    python swapped_daphne.py test_http_request test_http_response

Daphne's factory has C{twisted.web.http.HTTPFactory} for its base, which is L{Site} here
before Daphne is imported.  Its tests send HTTP/1.1 without C{Host}, which is refused
(RFC 9112 section 3.2): one is added, and what Daphne tells its tests of the request is
without it again.
"""

from __future__ import annotations

import unittest
from http.client import HTTPConnection
from typing import Any

from twisted.web import http

from twisted_h11.server import Site

ADDED = b"added.example"


class OursForTheirs(Site):
    """
    A site that is made as twisted.web's factory is: without a resource.
    """

    def __init__(self) -> None:
        super().__init__(None)


def add_host(end: Any) -> Any:
    """
    Have each request of C{http.client} carry one C{Host}.
    """

    def endheaders(self: Any, *args: Any, **named: Any) -> None:
        if not any(line.lower().startswith(b"host:") for line in self._buffer):
            self.putheader("Host", ADDED)
        end(self, *args, **named)

    return endheaders


def hide_host(received: Any) -> Any:
    """
    Leave out what was added.
    """

    def get_received(self: Any) -> Any:
        scope, messages = received(self)
        scope["headers"] = [
            field for field in scope["headers"] if tuple(field) != (b"host", ADDED)
        ]
        return scope, messages

    return get_received


if __name__ == "__main__":
    http.HTTPFactory = OursForTheirs  # type: ignore[assignment, misc]
    from daphne.testing import (  # type: ignore[import-not-found, import-untyped, unused-ignore]
        DaphneTestingInstance,
    )

    HTTPConnection.endheaders = add_host(  # type: ignore[method-assign]
        HTTPConnection.endheaders
    )
    DaphneTestingInstance.get_received = hide_host(DaphneTestingInstance.get_received)
    unittest.main(module=None)
