"""
The application for aiohttp, run by C{aiohttp.web.run_app}.
"""

# Not among what the tests need, so it can be missing where types are checked.
# mypy: disable-error-code="import-not-found,misc,untyped-decorator"

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from aiohttp import web

from tests.benchmarks.apps import payload
from tests.benchmarks.apps._arguments import arguments, context
from tests.benchmarks.apps._ticks import events

__all__: list[str] = []


def _whole(body: bytes) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="text/plain", charset="utf-8")

    return answer


async def _chunked(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": payload.CONTENT_TYPE})
    response.enable_chunked_encoding()
    await response.prepare(request)
    for piece in payload.PIECES:
        await response.write(piece)
    await response.write_eof()
    return response


async def _later(request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(0)
    if request.path == "/later-length":
        return await _whole(payload.HELLO)(request)
    response = web.StreamResponse(headers={"Content-Type": payload.CONTENT_TYPE})
    response.enable_chunked_encoding()
    await response.prepare(request)
    for piece in payload.TWENTY if request.path == "/pieces" else [payload.HELLO]:
        await response.write(piece)
    await response.write_eof()
    return response


async def _events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    async for data in events():
        await response.write(data)
    return response


async def _websocket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_bytes(message.data)
    return socket


async def _echo_length(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.read())))


async def _upload(request: web.Request) -> web.Response:
    length = 0
    async for piece in request.content.iter_any():
        length += len(piece)
    return web.Response(text=str(length))


async def _download(request: web.Request) -> web.StreamResponse:
    length = int(request.match_info["length"])
    response = web.StreamResponse(
        headers={
            "Content-Type": "application/octet-stream",
            "Content-Length": str(length),
        }
    )
    await response.prepare(request)
    for piece in payload.blocks(length):
        await response.write(piece)
    await response.write_eof()
    return response


def main() -> None:
    """
    Serve until stopped.
    """
    options = arguments()
    app = web.Application()
    for path, body in payload.WHOLE.items():
        app.router.add_get(path, _whole(body))
    for path in ("/later", "/later-length", "/pieces"):
        app.router.add_get(path, _later)
    app.router.add_get("/events", _events)
    app.router.add_get("/websocket", _websocket)
    app.router.add_get("/chunked", _chunked)
    app.router.add_post("/echo-length", _echo_length)
    app.router.add_put("/upload", _upload)
    app.router.add_put("/stream", _upload)
    app.router.add_get("/download/{length}", _download)
    app.router.add_static("/static", payload.static_root())
    web.run_app(
        app,
        host="127.0.0.1",
        port=options.port,
        ssl_context=context(options),
        access_log=None,
        print=None,
    )


if __name__ == "__main__":
    main()
