"""
Interfaces that users of this package implement or check for.
"""

from __future__ import annotations

from twisted.web.resource import IResource
from zope.interface import Attribute

__all__ = ["IStreamingResource"]


class IStreamingResource(IResource):
    """
    A resource that is rendered when the head of a request is here, before its
    body.

    It takes the body by C{request.deliverBody(protocol)}, by
    C{async for data in request.body}, or not at all.

    Its C{getChild} is called at the head too; all other resources are asked, as
    in twisted.web, when the body is complete.

    @since: 0.1
    """

    maxBodyLength = Attribute(
        """
        Optional: how many bytes a request body may have here.  Any resource
        may have this attribute; the one nearest to the end of the path, as far
        as it leads along static children, decides.
        """
    )
