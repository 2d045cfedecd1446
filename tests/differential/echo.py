"""
Servers that tell what they understood: C{python echo.py KIND PORT}.

Each answer has a field C{X-Echo}: method, target, body, and the field C{X-Meant}, as
JSON in hexadecimal.  The field C{X-Meant} of each request is also a line of the file
that C{ECHO_SEEN} in the environment names, whether or not the answer arrives anywhere.
It imports nothing of the tests, so that it runs where only the server is installed.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from importlib import import_module
from typing import Any


def echo(method: bytes, target: bytes, body: bytes, meant: bytes = b"") -> bytes:
    """
    The value of the field.
    """
    if seen := os.environ.get("ECHO_SEEN"):
        with open(seen, "ab") as file:
            file.write(meant + b"\n")
    parts = [part.decode("latin-1") for part in (method, target, body, meant)]
    return json.dumps(parts).encode().hex().encode()


def wsgi(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """
    As a WSGI application.
    """
    stream = environ["wsgi.input"]
    length = environ.get("CONTENT_LENGTH")
    chunked = environ.get("HTTP_TRANSFER_ENCODING") or environ.get(
        "wsgi.input_terminated"
    )
    body = stream.read() if chunked else stream.read(int(length or 0))
    target = (
        environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
    )
    method = environ["REQUEST_METHOD"].encode("latin-1")
    value = echo(method, target.encode("latin-1"), body)
    start_response("200 OK", [("X-Echo", value.decode()), ("Content-Length", "2")])
    return [b"ok"]


async def asgi(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """
    As an ASGI application.
    """
    body = b""
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    query = scope["query_string"]
    target = scope["raw_path"] + (b"?" + query if query else b"")
    value = echo(scope["method"].encode("latin-1"), target, body)
    fields = [(b"x-echo", value), (b"content-length", b"2")]
    await send({"type": "http.response.start", "status": 200, "headers": fields})
    await send({"type": "http.response.body", "body": b"ok"})


def twisted_site(site: Any, port: int, **options: Any) -> None:
    """
    Serve by a C{Site}, of twisted.web or ours.
    """
    resource: Any = import_module("twisted.web.resource").Resource

    class Echo(resource):  # type: ignore[misc]
        isLeaf = True

        def render(self, request: Any) -> bytes:
            """
            Tell what was understood.
            """
            meant = request.getHeader(b"x-meant") or b""
            body = request.content.read()
            value = echo(request.method, request.uri, body, meant)
            request.setHeader(b"X-Echo", value)
            return b"ok"

    reactor: Any = import_module("twisted.internet.reactor")
    reactor.listenTCP(port, site(Echo(), **options), interface="127.0.0.1")
    reactor.run()


async def _forwarded(reader: Any, writer: Any, bodies: bool) -> None:
    """
    Answer what a proxy sends, which is well formed.

    @param bodies: whether requests have content; if not, it is read as a request.
    """
    while True:
        head = await reader.readuntil(b"\r\n\r\n")
        line, *lines = head[:-4].split(b"\r\n")
        method, target, _ = line.split(b" ", 2)
        pairs = [one.partition(b":") for one in lines]
        fields = {name.lower(): value.strip() for name, _, value in pairs}
        body = b""
        if not bodies:
            pass
        elif fields.get(b"transfer-encoding", b"").lower() == b"chunked":
            while size := int((await reader.readline()).split(b";")[0], 16):
                body += (await reader.readexactly(size + 2))[:-2]
            while await reader.readline() != b"\r\n":
                pass
        elif b"content-length" in fields:
            body = await reader.readexactly(int(fields[b"content-length"]))
        method = fields.get(b"x-method", method)
        target = fields.get(b"x-target", target)
        value = echo(method, target, body, fields.get(b"x-meant", b""))
        answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Echo: %b\r\n\r\n" % value
        writer.write(answer + (b"" if method == b"HEAD" else b"ok"))


async def backend(port: int, bodies: bool = True) -> None:
    """
    What stands behind a proxy.
    """

    async def connected(reader: Any, writer: Any) -> None:
        try:
            await _forwarded(reader, writer, bodies)
        except (asyncio.IncompleteReadError, ConnectionError, ValueError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port)
    await server.serve_forever()


def aiohttp_app(port: int) -> None:
    """
    Serve by aiohttp.
    """
    web: Any = import_module("aiohttp.web")

    async def answer(request: Any) -> Any:
        body = await request.read()
        value = echo(request.method.encode("latin-1"), raw(request), body)
        return web.Response(text="ok", headers={"X-Echo": value.decode()})

    def raw(request: Any) -> bytes:
        return str(request.raw_path).encode("utf-8", "surrogateescape")

    async def main() -> None:
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()

    asyncio.run(main())


def main(kind: str, port: int) -> None:
    """
    Serve until the process is ended.
    """
    if kind.startswith("ours"):
        site = import_module("twisted_h11.server").Site
        twisted_site(site, port, fastPath=kind == "ours")
    elif kind == "twisted.web":
        twisted_site(import_module("twisted.web.server").Site, port)
    elif kind in ("backend", "broken"):
        asyncio.run(backend(port, kind == "backend"))
    elif kind == "aiohttp":
        aiohttp_app(port)
    elif kind == "waitress":
        waitress: Any = import_module("waitress")
        waitress.serve(wsgi, host="127.0.0.1", port=port, _quiet=True, threads=8)
    else:
        uvicorn: Any = import_module("uvicorn")
        http = kind.partition("-")[2]
        uvicorn.run(asgi, port=port, http=http, ws="none", log_level="critical")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
