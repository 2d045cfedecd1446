import os
import tempfile

from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from zope.interface import implementer

from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Request


@implementer(IStreamingResource)
class Upload(Resource):
    isLeaf = True
    maxBodyLength = 10 * 1024**3

    async def render_PUT(self, request: Request) -> bytes:
        handle, path = tempfile.mkstemp(prefix="upload-", dir=".")
        size = 0
        try:
            with os.fdopen(handle, "wb") as file:
                async for data in request.body:
                    await deferToThread(file.write, data)
                    size += len(data)
        except BaseException:
            os.unlink(path)
            raise
        request.setResponseCode(201)
        return f"{os.path.basename(path)} has {size} bytes\n".encode()
