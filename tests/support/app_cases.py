"""
The same application under twisted.web's Site and under ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from twisted.web import server

from tests.support.responses import WireResponse
from tests.support.server_cases import FAST_PATH
from tests.support.socket_cases import TCPBackend
from twisted_h11.server import Site

__all__ = ["FIELDS", "AppTestCase"]

FIELDS = (
    b"accept-ranges",
    b"allow",
    b"content-disposition",
    b"content-encoding",
    b"content-length",
    b"content-range",
    b"content-type",
    b"etag",
    b"last-modified",
    b"location",
    b"vary",
    b"www-authenticate",
    b"x-powered-by",
)

_boundary = re.compile(rb'boundary="?([^";]+)')


def plain(response: WireResponse) -> tuple[int, bytes, list[tuple[bytes, bytes]]]:
    """
    What must be equal: status, body, and the fields in L{FIELDS}.
    """
    fields = sorted(pair for pair in response.fields if pair[0] in FIELDS)
    body = response.body
    if response.status == 304:
        # RFC 9110 section 8.6: ours leaves it out.
        fields = [field for field in fields if field != (b"content-length", b"0")]
    found = _boundary.search(b"".join(value for _, value in fields))
    if found:
        # A boundary is made anew each time.
        body = body.replace(found[1], b"BOUNDARY")
        fields = [(n, v.replace(found[1], b"BOUNDARY")) for n, v in fields]
    return response.status, body, fields


class AppTestCase(TCPBackend):
    """
    Runs requests against an application under both sites.
    """

    async def ask(
        self, site: Any, requests: Sequence[bytes], ours: bool = True
    ) -> list[WireResponse]:
        """
        Send C{requests} one after the other on one connection as long as it
        lasts, then on a new one.
        """
        port = await self.listen(site)
        peer = None
        found: list[WireResponse] = []
        for request in requests:
            if peer is None or peer.ended:
                peer = await self.connect(port)
            peer.received = b""
            peer.methods = [request.partition(b" ")[0]]
            peer.send(request)
            responses = await peer.responses(1)
            self.assertEqual(1, len(responses), request[:100])
            found += responses
            if responses[0].closes:
                peer.close()
                await peer.gone()
        return found

    async def compare(
        self, make: Callable[[], Any], *requests: bytes, **options: Any
    ) -> list[WireResponse]:
        """
        Send the same requests to both sites; what comes back must be equal.

        @param make: makes the root resource, once for each site.
        @return: our responses.
        """
        theirs = await self.ask(server.Site(make(), **options), requests)
        ours = await self.ask(Site(make(), fastPath=FAST_PATH, **options), requests)
        for request, their, our in zip(requests, theirs, ours, strict=True):
            self.assertEqual(plain(their), plain(our), request[:200])
        return ours
