"""
Interfaces that users of this package implement or check for.
"""

from __future__ import annotations

from twisted.web.resource import IResource
from zope.interface import Interface

__all__ = ["IDrainable", "IStreamingResource"]


class IDrainable(Interface):
    """
    A protocol that took over a connection of a site (C{request.switchProtocol}), and
    that can close it when the site drains.

    L{twisted.web.websocket} and autobahn do not need it: their connections get a close
    frame with the status 1001.  Connections of other protocols stay open for the time
    that the site gives its requests, and are dropped then.

    @since: 0.1
    """

    def drain() -> None:
        """
        The site drains: close the connection soon, in the way of the protocol.
        """


class IStreamingResource(IResource):
    """
    A resource that is rendered when the head of a request was received, before its
    body.

    It reads the body by C{request.deliverBody(protocol)}, by
    C{async for data in request.body}, or not at all.

    Its C{getChild} is called before the body, too; C{getChild} of all other resources
    is called when the body is complete, as in twisted.web.

    Any resource, streaming or not, may have an attribute C{maxBodyLength}: the bound of
    request bodies in bytes, C{None} for no bound.  The attribute nearest to the end of
    the path is used, as far as the path can be followed before the body is received.

    @since: 0.1
    """
