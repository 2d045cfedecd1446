"""
Coroutines as ``render`` methods.

``curl http://localhost:8080/`` gets a line each second; ``curl -d 5 ...`` waits for
five tenths of a second.
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import deferLater, react
from twisted.logger import Logger
from twisted.web.resource import Resource

from twisted_h11.server import Request, Site

log = Logger()


class Slow(Resource):
    """
    Takes its time.
    """

    isLeaf = True

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self.reactor = reactor

    async def render_GET(self, request: Request) -> None:
        """
        Write three lines; the response is finished when the method returns.
        When the client goes, the coroutine is cancelled.
        """
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        try:
            for count in range(1, 4):
                request.write(b"%d\n" % (count,))
                await deferLater(self.reactor, 1)
        except CancelledError:
            log.info("{client} has gone", client=request.getClientAddress())
            raise

    async def render_POST(self, request: Request) -> bytes:
        """
        Return the whole of the response.
        """
        try:
            tenths = int(request.content.read() or b"0")  # type: ignore[union-attr]
        except ValueError:
            request.setResponseCode(400)
            return b"Not a number.\n"
        await deferLater(self.reactor, min(max(tenths, 0), 50) / 10)
        return b"done\n"


async def main(reactor: Any, endpoint: str = "tcp:8080:interface=127.0.0.1") -> None:
    """
    Listen, and say where.
    """
    port = await serverFromString(reactor, endpoint).listen(Site(Slow(reactor)))
    print("listening on", port.getHost(), flush=True)
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
