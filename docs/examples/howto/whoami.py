"""
Says who the client is, as the proxy in front tells it.
"""

from __future__ import annotations

from twisted.web.resource import Resource

from twisted_h11.server import Request


class WhoAmI(Resource):
    """
    Says who asks, and for what.
    """

    isLeaf = True

    def render_GET(self, request: Request) -> bytes:
        """
        Tell.
        """
        host = request.getRequestHostname().decode("ascii")
        return f"{request.getClientAddress().host} asks for {host}\n".encode()
