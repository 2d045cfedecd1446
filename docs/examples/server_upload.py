"""
Take uploads as they arrive, and write them to a folder.

``curl -T FILE http://localhost:8080/NAME`` sends one file,
``curl -F file=@FILE http://localhost:8080/`` a form.  Neither is ever in memory as
a whole: while a piece is written, the client waits.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from zope.interface import implementer

from twisted_h11.interfaces import IStreamingResource
from twisted_h11.multipart import MultipartError, parts_of
from twisted_h11.server import Request, Site


@implementer(IStreamingResource)
class Upload(Resource):
    """
    Saves what is uploaded below ``folder``, under a name of our own.
    """

    isLeaf = True
    maxBodyLength = 10 * 1024**3

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder

    async def save(self, body: AsyncIterable[bytes]) -> str:
        """
        Write a body to a new file, and return a line for the response; a body that was
        cut leaves no file.
        """
        handle, path = tempfile.mkstemp(prefix="upload-", dir=self.folder)
        size = 0
        try:
            with os.fdopen(handle, "wb") as file:
                async for data in body:
                    await deferToThread(file.write, data)
                    size += len(data)
        except BaseException:
            os.unlink(path)
            raise
        return f"{os.path.basename(path)} {size}\n"

    async def render_PUT(self, request: Request) -> bytes:
        """
        The body is the file.
        """
        line = await self.save(request.body)
        request.setResponseCode(201)
        return line.encode("ascii")

    async def render_POST(self, request: Request) -> bytes:
        """
        The body is a form with files.
        """
        lines = []
        try:
            async for part in parts_of(request):
                if part.filename is not None:
                    lines.append(await self.save(part))
        except MultipartError as error:
            request.setResponseCode(error.status)
            return f"{error}\n".encode()
        request.setResponseCode(201)
        return "".join(lines).encode("ascii")


async def main(
    reactor: Any, endpoint: str = "tcp:8080:interface=127.0.0.1", folder: str = "."
) -> None:
    """
    Listen, and say where.
    """
    port = await serverFromString(reactor, endpoint).listen(Site(Upload(Path(folder))))
    print("listening on", port.getHost(), flush=True)
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
