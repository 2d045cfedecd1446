"""
Two sites in one process, each with its own ports, limits and log.
"""

from __future__ import annotations

from twisted.application import service
from twisted.web.resource import Resource
from twisted.web.static import Data

from twisted_h11.server import Limits, Site
from twisted_h11.service import SiteService


class Counted(Data):
    """
    The public page, which counts.
    """

    count = 0

    def render_GET(self, request: object) -> bytes:
        """
        Count, and answer.
        """
        self.count += 1
        return b"Hello, everybody!\n"


class Numbers(Resource):
    """
    What the other site says of it.
    """

    isLeaf = True

    def __init__(self, page: Counted) -> None:
        super().__init__()
        self.page = page

    def render_GET(self, request: object) -> bytes:
        """
        The count.
        """
        return b"%d\n" % (self.page.count,)


page = Counted(b"", "text/plain")
public = Resource()
public.putChild(b"", page)

sites = SiteService(
    [
        (
            "tcp:8080:interface=127.0.0.1",
            Site(public, limits=Limits(maxBodyLength=64 * 1024), logPath="access.log"),
        ),
        # Whoever may open the socket may ask.
        ("unix:admin.sock:mode=600", Site(Numbers(page), accessLog=False)),
    ],
    grace=10,
)
application = service.Application("two sites")
sites.setServiceParent(application)
