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


async def _pieces(
    request: web.Request, pieces: list[bytes], fields: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(headers=fields)
    await response.prepare(request)
    for piece in pieces:
        await response.write(piece)
    await response.write_eof()
    return response


def _answering(
    answer: payload.Answer,
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    kind = {"Content-Type": payload.CONTENT_TYPE}
    body = answer.body

    async def handle(request: web.Request) -> web.StreamResponse:
        if answer.later:
            await asyncio.sleep(0)
        if answer.measured:
            return web.Response(body=body, content_type="text/plain", charset="utf-8")
        return await _pieces(request, answer.pieces, kind)

    return handle


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
    length = request.match_info["length"]
    fields = {"Content-Type": "application/octet-stream", "Content-Length": length}
    return await _pieces(request, payload.blocks(int(length)), fields)


if __name__ == "__main__":
    options = arguments()
    app = web.Application()
    app.add_routes(
        [
            *(web.get(path, _answering(one)) for path, one in payload.ANSWERS.items()),
            web.get("/events", _events),
            web.get("/websocket", _websocket),
            web.post("/echo-length", _echo_length),
            web.put("/upload", _upload),
            web.put("/stream", _upload),
            web.get("/download/{length}", _download),
            web.static("/static", payload.static_root()),
        ]
    )
    web.run_app(
        app,
        host="127.0.0.1",
        port=options.port,
        ssl_context=context(options),
        access_log=None,
        print=None,
    )
