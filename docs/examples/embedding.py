"""
A site as a service, which finishes what it has begun when it is stopped.

C{twistd -ny embedding.py}
"""

from __future__ import annotations

from twisted.application import service
from twisted.internet import reactor
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.web.resource import Resource
from twisted.web.static import Data

from twisted_h11.server import Limits, Site

log = Logger()


class WebService(service.Service):
    """
    Listens with a L{Site}, and drains it at the end.
    """

    _port: IListeningPort | None = None

    def __init__(self, site: Site, description: str) -> None:
        self.site = site
        self.endpoint = serverFromString(reactor, description)

    async def _listen(self) -> None:
        self._port = await self.endpoint.listen(self.site)

    async def _stop(self) -> None:
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        await self.site.drain(30)

    def startService(self) -> None:
        """
        Listen; what goes wrong is in the log.
        """
        super().startService()
        Deferred.fromCoroutine(self._listen()).addErrback(
            lambda failure: log.failure("can not listen", failure)
        )

    def stopService(self) -> Deferred[None]:
        """
        Stop listening; then give open requests 30 seconds.
        """
        super().stopService()
        return Deferred.fromCoroutine(self._stop())


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
    return WebService(makeSite(), description)


application = service.Application("web")
makeService().setServiceParent(application)
