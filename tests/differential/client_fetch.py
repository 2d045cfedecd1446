"""
Clients that tell what they understood: C{python client_fetch.py KIND}.

On standard input comes a JSON object with C{port}, C{patience} in seconds, C{width},
how many are asked at a time, and C{asks}: the number, the method and whether there is
to be a second request, each on a connection of its own if it can be.  For each a line
of JSON goes to standard output::

    {"n": 7, "end": "done", "status": 200, "body": "68656c6c6f",
     "fields": [["x", "y"]], "error": "", "then": "fresh"}

C{end} is C{done}, C{failed} or C{waits}.  C{then} is the body of the answer to the
second request; C{wrong} if it is none that the server gives to that, and C{error} if
there was none.  It imports nothing of the tests, so that it runs where only the client
is installed.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

Result = dict[str, Any]
# Asks for a path with a method; kept from one request to the next.
Ask = Callable[[str, str], Awaitable[Result]]


def done(status: int, body: bytes, fields: Iterable[tuple[Any, Any]]) -> Result:
    """
    A response that the client takes for complete.
    """
    pairs = [[_text(name).lower(), _text(value)] for name, value in fields]
    return {"end": "done", "status": status, "body": body.hex(), "fields": pairs}


def failed(error: BaseException | str) -> Result:
    """
    A response that the client has refused.
    """
    name = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    return {"end": "failed", "error": name}


WAITS: Result = {"end": "waits"}


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def then(result: Result) -> str:
    """
    What was read as the answer to the second request.
    """
    if result["end"] != "done":
        return "error"
    body = bytes.fromhex(result["body"])
    if result["status"] == 200 and body in (b"again", b"fresh"):
        return body.decode()
    return "wrong"


def tell(n: int, result: Result) -> None:
    """
    Write one line.
    """
    empty = {"n": n, "status": 0, "body": "", "fields": [], "error": "", "then": ""}
    # In one piece: there may be threads.
    sys.stdout.write(json.dumps({**empty, **result}) + "\n")
    sys.stdout.flush()


async def both(ask: Ask, n: int, method: str, again: bool) -> None:
    """
    Ask, and ask again.
    """
    result = dict(await ask(method, f"/{n}"))
    if again:
        result["then"] = then(await ask("GET", f"/next/{n}"))
    tell(n, result)


# -- Twisted ----------------------------------------------------------------------


def by_twisted(kind: str, job: dict[str, Any]) -> None:
    """
    By an C{Agent}, of twisted.web or ours.
    """
    reactor: Any = import_module("twisted.internet.reactor")
    defer = import_module("twisted.internet.defer")
    web = import_module("twisted.web.client")
    ours = kind.startswith("ours")
    client = import_module("twisted_h11.client") if ours else web
    options = {"fastPath": kind == "ours"} if ours else {}

    async def ask(agent: Any, pool: Any, method: str, path: str) -> Result:
        late = []

        def cancel(deferred: Any) -> Any:
            call = reactor.callLater(job["patience"], lambda: give_up(deferred))
            return deferred.addBoth(lambda result: stop(call, result))

        def give_up(deferred: Any) -> None:
            late.append(True)
            deferred.cancel()

        def stop(call: Any, result: Any) -> Any:
            if call.active():
                call.cancel()
            return result

        uri = b"http://127.0.0.1:%d%b" % (job["port"], path.encode())
        try:
            response = await cancel(agent.request(method.encode(), uri))
            try:
                body = await cancel(web.readBody(response))
            except web.PartialDownloadError as partial:
                # The end of the connection is the end of the body.
                body = partial.response
        except Exception as error:
            return WAITS if late else failed(_reason(error))
        raw = response.headers.getAllRawHeaders()
        fields = [(name, value) for name, values in raw for value in values]
        return done(response.code, body, fields)

    async def one(n: int, method: str, again: bool) -> None:
        pool = client.HTTPConnectionPool(reactor)
        agent = client.Agent(reactor, pool=pool, **options)
        await both(lambda m, path: ask(agent, pool, m, path), n, method, again)
        await pool.closeCachedConnections()

    async def all_of_them() -> None:
        places = defer.DeferredSemaphore(job["width"])
        runs = [
            places.run(lambda asked=asked: defer.ensureDeferred(one(*asked)))
            for asked in job["asks"]
        ]
        await defer.gatherResults(runs)

    def finish(result: Any) -> None:
        if result is not None:
            print(result.getTraceback(), file=sys.stderr)
        reactor.stop()

    def start() -> None:
        defer.ensureDeferred(all_of_them()).addBoth(finish)

    reactor.callWhenRunning(start)
    reactor.run()


def _reason(error: BaseException) -> BaseException:
    """
    What is the matter, of an error that wraps others.
    """
    reasons = getattr(error, "reasons", None)
    while isinstance(reasons, list) and reasons:
        error = reasons[-1].value
        reasons = getattr(error, "reasons", None)
    return error


# -- asyncio ----------------------------------------------------------------------


def by_asyncio(kind: str, job: dict[str, Any]) -> None:
    """
    By httpx or aiohttp.
    """
    module: Any = import_module(kind)
    base = f"http://127.0.0.1:{job['port']}"

    async def httpx(client: Any, method: str, path: str) -> Result:
        async with client.stream(method, base + path) as response:
            body = b"".join([part async for part in response.aiter_raw()])
            return done(response.status_code, body, response.headers.raw)

    async def aiohttp(client: Any, method: str, path: str) -> Result:
        asked = client.request(method, base + path, allow_redirects=False)
        async with asked as response:
            body = await response.read()
            return done(response.status, body, response.raw_headers)

    def make() -> Any:
        if kind == "httpx":
            return module.AsyncClient(verify=context, timeout=None, trust_env=False)
        return module.ClientSession(auto_decompress=False)

    async def one(n: int, method: str, again: bool) -> None:
        async with places, make() as client:

            async def ask(method: str, path: str) -> Result:
                asked = httpx if kind == "httpx" else aiohttp
                try:
                    return await asyncio.wait_for(
                        asked(client, method, path), job["patience"]
                    )
                except asyncio.TimeoutError:
                    return WAITS
                except Exception as error:
                    return failed(error)

            await both(ask, n, method, again)

    async def main() -> None:
        await asyncio.gather(*(one(*asked) for asked in job["asks"]))

    places = asyncio.Semaphore(job["width"])
    context = import_module("ssl").create_default_context()
    asyncio.run(main())


# -- threads ----------------------------------------------------------------------


def by_http_client(job: dict[str, Any], n: int, method: str, again: bool) -> None:
    """
    By C{http.client}.
    """
    connection = http.client.HTTPConnection(
        "127.0.0.1", job["port"], timeout=job["patience"]
    )

    def ask(method: str, path: str) -> Result:
        try:
            connection.request(method, path)
            response = connection.getresponse()
            body = response.read()
            return done(response.status, body, response.getheaders())
        except TimeoutError:
            connection.close()
            return WAITS
        except Exception as error:
            connection.close()
            return failed(error)

    result = dict(ask(method, f"/{n}"))
    if again:
        result["then"] = then(ask("GET", f"/next/{n}"))
    connection.close()
    tell(n, result)


_PER_TRANSFER = "%{exitcode}\x1d%{response_code}\x1d%{errormsg}\x1d%{header_json}\x1e"


def by_curl(job: dict[str, Any], n: int, method: str, again: bool) -> None:
    """
    By the command.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, name) for name in "ab"]
        base = f"http://127.0.0.1:{job['port']}"
        common = ["-s", "-g", "--http1.1", "--noproxy", "*", "-m", str(job["patience"])]
        common += ["--path-as-is", "-w", _PER_TRANSFER]
        words = ["curl", "-q", *common, "-o", files[0], f"{base}/{n}"]
        words += ["-I"] if method == "HEAD" else []
        if again:
            words += ["--next", *common, "-o", files[1], f"{base}/next/{n}"]
        told = subprocess.run(words, stdout=subprocess.PIPE).stdout
        results = [
            _of_curl(one, file, method == "HEAD" and file == files[0])
            for one, file in zip(told.split(b"\x1e")[:-1], files, strict=False)
        ]
    result = dict(results[0])
    if again and len(results) > 1:
        # The command gives up behind some errors.
        result["then"] = then(results[1])
    tell(n, result)


def _of_curl(told: bytes, file: str, bodiless: bool) -> Result:
    code, status, error, fields = told.decode("latin-1").split("\x1d")
    if int(code) == 28:
        return WAITS
    if int(code):
        return failed(f"{int(code)} {error}")
    body = b""
    if not bodiless and os.path.exists(file):
        with open(file, "rb") as content:
            body = content.read()
    # Some versions leave out a bracket together with the values.
    fields = fields.replace('":]', '":[]')
    found: dict[str, list[str]] = json.loads(fields, strict=False)
    pairs = [(name, value) for name, values in found.items() for value in values]
    return done(int(status), body, pairs)


def main(kind: str) -> None:
    """
    Ask for everything.
    """
    job = json.load(sys.stdin)
    if kind.startswith(("ours", "twisted")):
        by_twisted(kind, job)
    elif kind in ("httpx", "aiohttp"):
        by_asyncio(kind, job)
    else:
        ask = by_curl if kind == "curl" else by_http_client
        with ThreadPoolExecutor(job["width"]) as pool:
            for future in [pool.submit(ask, job, *asked) for asked in job["asks"]]:
                future.result()


if __name__ == "__main__":
    main(sys.argv[1])
