"""
A reverse proxy that streams: both bodies at the pace of whoever is slower.

Try::

    python server_proxy.py http://127.0.0.1:8000 &
    curl http://127.0.0.1:8080/
    curl -T FILE http://127.0.0.1:8080/
"""

from __future__ import annotations

import sys
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.logger import Logger
from twisted.web.http_headers import Headers
from twisted.web.resource import Resource
from zope.interface import implementer

from twisted_h11.client import Agent, HTTPConnectionPool, RequestError
from twisted_h11.forwarding import end_to_end
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Request, Site

log = Logger()


@implementer(IStreamingResource)
class Proxy(Resource):
    """
    Everything below it is another server's.
    """

    isLeaf = True

    def __init__(self, agent: Agent, origin: bytes) -> None:
        super().__init__()
        self.agent = agent
        self.origin = origin

    async def render(self, request: Request) -> bytes | None:
        """
        Ask the server, and pass its answer on.
        """
        if not request.uri.startswith(b"/"):
            request.setResponseCode(400)
            return b"This is no proxy for other servers.\n"
        headers = end_to_end(request.requestHeaders)
        headers.removeHeader(b"Host")
        uri = self.origin + request.uri
        try:
            response = await self.agent.request(
                request.method, uri, headers, request.bodyProducer()
            )
            request.setResponseCode(response.code, response.phrase)
            request.responseHeaders = end_to_end(response.rawFields)
            await response.deliverTo(request)
        except RequestError as error:
            log.warn("{uri!r}: {error}", uri=uri, error=error)
            if request.startedWriting:
                request.abort()
                return None
            request.responseHeaders = Headers()
            request.setResponseCode(502)
            return b"The server does not answer.\n"
        return None


def makeSite(reactor: Any, server: bytes) -> Site:
    """
    A site that is a proxy for ``server``.
    """
    agent = Agent(reactor, pool=HTTPConnectionPool(reactor))
    return Site(Proxy(agent, server))


async def main(
    reactor: Any, server: str, endpoint: str = "tcp:8080:interface=127.0.0.1"
) -> None:
    """
    Listen, and say where.
    """
    site = makeSite(reactor, server.encode("ascii"))
    port = await serverFromString(reactor, endpoint).listen(site)
    print("listening on", port.getHost(), flush=True)
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
