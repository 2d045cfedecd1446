"""
Time-outs that fit: a site that is strict, and two resources that need longer.
"""

from __future__ import annotations

from twisted.application import service
from twisted.internet import defer, reactor
from twisted.internet.task import deferLater
from twisted.web.resource import Resource
from twisted.web.static import Data

from twisted_h11.server import Limits, Request, Site
from twisted_h11.service import SiteService

LIMITS = Limits(
    firstByteTimeout=5,
    headTimeout=5,
    idleTimeout=10,
    minBodyRate=10_000,
    rateWindow=5,
    maxBodyLength=1024 * 1024,
)


class Report(Resource):
    """
    Takes as long as it takes, but the client is told after two seconds.
    """

    isLeaf = True
    patience = 2.0
    work = 60.0

    async def render_GET(self, request: Request) -> bytes:
        """
        There is no bound of ours on the time that an application takes: set one.
        """
        made: defer.Deferred[bytes] = deferLater(reactor, self.work, bytes)
        try:
            return await made.addTimeout(self.patience, reactor)
        except defer.TimeoutError:
            request.setResponseCode(503)
            request.setHeader(b"Retry-After", b"60")
            return b"Come back later.\n"


class Wait(Resource):
    """
    Long polling: a client that has gone is noticed at once, not after five seconds.
    """

    isLeaf = True
    halfCloseTimeout = 0

    async def render_GET(self, request: Request) -> bytes:
        """
        When the client goes the coroutine is cancelled.
        """
        await deferLater(reactor, 1)
        return b"news\n"


root = Resource()
root.putChild(b"", Data(b"Hello!\n", "text/plain"))
root.putChild(b"report", Report())
root.putChild(b"wait", Wait())

sites = SiteService([("tcp:8080:interface=127.0.0.1", Site(root, limits=LIMITS))])
application = service.Application("strict")
sites.setServiceParent(application)
