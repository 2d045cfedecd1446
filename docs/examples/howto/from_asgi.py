"""
Sends back what it gets, in capitals, piece by piece.
"""

from __future__ import annotations

from twisted.web.resource import Resource
from zope.interface import implementer

from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Request


# In ASGI:
#
#     async def app(scope, receive, send):
#         await send({"type": "http.response.start", "status": 200})
#         more = True
#         while more:
#             message = await receive()
#             more = message.get("more_body", False)
#             body = message.get("body", b"").upper()
#             await send(
#                 {"type": "http.response.body", "body": body, "more_body": more}
#             )
@implementer(IStreamingResource)
class Upper(Resource):
    """
    The same here.
    """

    isLeaf = True

    async def render_PUT(self, request: Request) -> None:
        async for data in request.body:
            request.write(data.upper())
            await request.drained()
