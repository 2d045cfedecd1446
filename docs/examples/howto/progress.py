"""
Uploads that are written to a file as they arrive, and how far each has come.
"""

from __future__ import annotations

import json
import os
import tempfile
from typing import Any

from twisted.internet.threads import deferToThread
from twisted.web.resource import Resource
from zope.interface import implementer

from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Request


@implementer(IStreamingResource)
class Uploads(Resource):
    """
    PUT of any path is an upload; GET says how far all of them are.
    """

    isLeaf = True
    maxBodyLength = 10 * 1024**3

    def __init__(self) -> None:
        super().__init__()
        self.running: dict[str, dict[str, Any]] = {}

    async def render_PUT(self, request: Request) -> bytes:
        """
        Write what comes.  While a piece is being written the client waits, so
        there is never more than a little of it in memory.
        """
        length = request.getHeader(b"content-length")
        handle, path = tempfile.mkstemp(prefix="upload-", dir=".")
        name = os.path.basename(path)
        state: dict[str, Any] = {
            "path": request.path.decode("ascii"),
            "received": 0,
            "of": None,
        }
        if length is not None:
            state["of"] = int(length)
        self.running[name] = state
        try:
            with os.fdopen(handle, "wb") as file:
                async for data in request.body:
                    await deferToThread(file.write, data)
                    state["received"] += len(data)
        except BaseException:
            # The client has gone, or the disk is full: half a file is none.
            os.unlink(path)
            raise
        finally:
            del self.running[name]
        request.setResponseCode(201)
        return f"{state['received']} bytes\n".encode()

    def render_GET(self, request: Request) -> bytes:
        """
        Tell.
        """
        request.setHeader(b"Content-Type", b"application/json")
        return json.dumps(self.running, indent=1).encode() + b"\n"
