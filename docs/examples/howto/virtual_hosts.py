"""
One port, several hosts.
"""

from __future__ import annotations

from twisted.web.resource import Resource
from twisted.web.static import Data
from twisted.web.vhost import NameVirtualHost


def page(text: bytes) -> Resource:
    """
    The site of a host.
    """
    root = Resource()
    root.putChild(b"", Data(text, "text/plain"))
    return root


class Hosts(NameVirtualHost):
    """
    The hosts that there are.  Any other gets 404.
    """

    def __init__(self) -> None:
        super().__init__()
        self.addHost(b"shop.example", page(b"The shop\n"))
        self.addHost(b"blog.example", page(b"The blog\n"))
