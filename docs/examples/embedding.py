"""
A site as a service, which finishes what it has begun when it is stopped.

``twistd -ny embedding.py``
"""

from __future__ import annotations

from twisted.application import service
from twisted.web.resource import Resource
from twisted.web.static import Data

from twisted_h11.server import Limits, Site
from twisted_h11.service import SiteService


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


def makeService(description: str = "tcp:8080:interface=127.0.0.1") -> SiteService:
    """
    The site on an endpoint; there may be more pairs of both.
    """
    return SiteService([(description, makeSite())], grace=30)


application = service.Application("web")
makeService().setServiceParent(application)
