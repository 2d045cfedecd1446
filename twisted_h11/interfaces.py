"""
Interfaces that users of this package implement or check for.
"""

from __future__ import annotations

from twisted.web.resource import IResource
from zope.interface import Interface

__all__ = ["IDrainable", "IStreamingResource"]


class IDrainable(Interface):
    """
    A protocol that has a connection of a site's (C{request.switchProtocol}), and that
    can be asked to end it.

    L{twisted.web.websocket} and autobahn need nothing of this: their connections get a
    close frame with the status 1001.  Any other protocol may go on for as long as the
    site waits for its requests, and is dropped then.

    @since: 0.1
    """

    def drain() -> None:
        """
        The site ends: close the connection soon, as the protocol is to be closed.
        """


class IStreamingResource(IResource):
    """
    A resource that is rendered when the head of a request is here, before its
    body.

    It takes the body by C{request.deliverBody(protocol)}, by
    C{async for data in request.body}, or not at all.

    Its C{getChild} is called at the head too; all other resources are asked, as
    in twisted.web, when the body is complete.

    Any resource, streaming or not, may have an attribute C{maxBodyLength}: how
    many bytes a request body may have there, C{None} for any number.  The one
    nearest to the end of the path, as far as that can be followed before the
    body is here, decides.

    @since: 0.1
    """
