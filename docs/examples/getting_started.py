"""
Serve one resource, until interrupted: ``python getting_started.py [ENDPOINT]``.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.web.resource import Resource

from twisted_h11.server import Limits, Request, Site


class Hello(Resource):
    """
    Says hello on every path.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """
        Answer GET; HEAD is answered from the same method.
        """
        request.setHeader(b"content-type", b"text/plain; charset=utf-8")
        return b"Hello, world!\n"


async def main(reactor: Any, endpoint: str = "tcp:8080:interface=127.0.0.1") -> None:
    """
    Listen, and say where.
    """
    site = Site(Hello(), limits=Limits(maxBodyLength=1024 * 1024))
    port = await serverFromString(reactor, endpoint).listen(site)
    print("listening on", port.getHost(), flush=True)
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
