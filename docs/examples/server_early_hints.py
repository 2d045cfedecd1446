"""
Early hints: tell the browser what to load while the page is being made.

``curl -v http://localhost:8080/`` shows the 103 response before the page.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater, react
from twisted.web.resource import Resource

from twisted_h11.server import Request, Site

PAGE = b"""<!DOCTYPE html>
<html lang="en">
<head><title>Hello</title><link rel="stylesheet" href="/style.css"></head>
<body><h1>Hello</h1></body>
</html>
"""


class Page(Resource):
    """
    A page that takes half a second to make.
    """

    isLeaf = True

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self.reactor = reactor

    async def render_GET(self, request: Request) -> bytes:
        """
        Send the hint at once, the page when it is ready.
        """
        request.sendInterim(103, [(b"Link", b"</style.css>; rel=preload; as=style")])
        await deferLater(self.reactor, 0.5)
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        return PAGE


async def main(reactor: Any, endpoint: str = "tcp:8080:interface=127.0.0.1") -> None:
    """
    Listen, and say where.
    """
    port = await serverFromString(reactor, endpoint).listen(Site(Page(reactor)))
    print("listening on", port.getHost(), flush=True)
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
