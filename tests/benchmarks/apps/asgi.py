"""
The ASGI application, for uvicorn, hypercorn, daphne and granian.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from tests.benchmarks.apps import payload
from tests.benchmarks.apps._ticks import events

__all__ = ["app"]

_Receive = Callable[[], Awaitable[dict[str, Any]]]
_Send = Callable[[dict[str, Any]], Awaitable[None]]

_CONTENT_TYPE = (b"content-type", payload.CONTENT_TYPE.encode("ascii"))


async def app(scope: dict[str, Any], receive: _Receive, send: _Send) -> None:
    """
    Answer one request.
    """
    if scope["type"] == "websocket":
        await _websocket(receive, send)
        return
    if scope["type"] != "http":
        # How an application says that it has no start-up and shutdown steps.
        raise ValueError(f"no such scope here: {scope['type']}")
    path = scope["path"]
    answer = payload.ANSWERS.get(path)
    if answer is not None:
        if answer.later:
            await asyncio.sleep(0)
        if answer.measured:
            await _whole(send, answer.pieces[0])
        else:
            await _pieces(send, answer.pieces, [_CONTENT_TYPE])
    elif path == "/events":
        fields = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": fields})
        async for data in events():
            await send({"type": "http.response.body", "body": data, "more_body": True})
    elif path in ("/echo-length", "/upload", "/stream"):
        length = 0
        more = True
        while more:
            message = await receive()
            length += len(message.get("body", b""))
            more = message.get("more_body", False)
        await _whole(send, b"%d" % length)
    elif path.startswith("/download/"):
        length = int(path.removeprefix("/download/"))
        fields = [
            (b"content-type", b"application/octet-stream"),
            (b"content-length", b"%d" % length),
        ]
        await _pieces(send, payload.blocks(length), fields)
    else:
        raise ValueError(f"no such path here: {path}")


async def _websocket(receive: _Receive, send: _Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "bytes": message["bytes"]})


async def _whole(send: _Send, body: bytes) -> None:
    fields = [_CONTENT_TYPE, (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": body})


async def _pieces(
    send: _Send, pieces: list[bytes], fields: list[tuple[bytes, bytes]]
) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await send({"type": "http.response.body", "body": b""})
