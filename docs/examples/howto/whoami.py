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
        # A UNIX socket has no host, unless the proxy tells of its client.
        client = getattr(request.getClientAddress(), "host", "somebody here")
        return f"{client} asks for {host}\n".encode()
