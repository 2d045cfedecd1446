"""
A klein application: routes, a coroutine, and JSON.
"""

from __future__ import annotations

import json

from klein import Klein
from twisted.internet import reactor
from twisted.internet.task import deferLater

from twisted_h11.server import Request

app = Klein()


@app.route("/hello/<name>", methods=["GET"])
def hello(request: Request, name: str) -> str:
    return f"Hello, {name}!\n"


@app.route("/sum", methods=["POST"])
async def add(request: Request) -> bytes:
    assert request.content is not None
    request.setHeader(b"Content-Type", b"application/json")
    try:
        total = sum(json.load(request.content))
    except (TypeError, ValueError, RecursionError):
        request.setResponseCode(400)
        return b'{"error": "not a list of numbers"}\n'
    # Ask a database here.  Nobody waits meanwhile but this client.
    await deferLater(reactor, 0.01)
    return json.dumps({"sum": total}).encode() + b"\n"


resource = app.resource
