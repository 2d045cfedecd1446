"""
A site as a service, which finishes what it has begun when it is stopped.

C{twistd -ny embedding.py}
"""

from __future__ import annotations

from typing import Any

from twisted.application import internet, service
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.web.resource import Resource
from twisted.web.static import Data

from twisted_h11.server import Limits, Site


class WebService(internet.StreamServerEndpointService):
    """
    Listens with a L{Site}, and drains it at the end.
    """

    factory: Site

    async def _stop(self, stopped: Any) -> None:
        await stopped
        await self.factory.drain(30)

    def stopService(self) -> Deferred[None]:
        """
        Stop listening; then give open requests 30 seconds.
        """
        return Deferred.fromCoroutine(self._stop(super().stopService()))


def makeSite() -> Site:
    """
    The resources, and the bounds that fit them.
    """
    root = Resource()
    root.putChild(b"", Data(b"Hello, world!\n", "text/plain"))
    return Site(
        root,
        limits=Limits(maxBodyLength=1024 * 1024, idleTimeout=30),
        serverHeader=None,
        accessLog=False,
        extraHeaders=[(b"X-Content-Type-Options", b"nosniff")],
    )


def makeService(description: str = "tcp:8080:interface=127.0.0.1") -> WebService:
    """
    The site on an endpoint.
    """
    return WebService(serverFromString(reactor, description), makeSite())


application = service.Application("web")
makeService().setServiceParent(application)
