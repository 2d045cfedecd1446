from twisted.web.resource import Resource
from zope.interface import implementer

from twisted_h11.interfaces import IStreamingResource


@implementer(IStreamingResource)
class Count(Resource):
    isLeaf = True

    async def render_PUT(self, request):
        size = sum([len(data) async for data in request.body])
        return b"%d bytes\n" % size
