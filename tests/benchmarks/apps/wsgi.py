"""
The WSGI application, for gunicorn.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from tests.benchmarks.apps import payload

__all__ = ["app", "flask_app"]

_StartResponse = Callable[[str, list[tuple[str, str]]], object]


@cache
def flask_app() -> Any:
    """
    An application of Flask's, wherever it is mounted.
    """
    from flask import Flask

    made = Flask(__name__)

    def hello() -> bytes:
        return payload.HELLO

    for rule in ("/", "/flask/"):
        made.add_url_rule(rule, rule, hello)
    return made


def app(environ: dict[str, Any], start_response: _StartResponse) -> Iterable[bytes]:
    """
    Answer one request.
    """
    path = environ["PATH_INFO"]
    if path in payload.WHOLE:
        return _whole(start_response, payload.WHOLE[path])
    if path == "/chunked":
        start_response("200 OK", [("Content-Type", payload.CONTENT_TYPE)])
        return iter(payload.PIECES)
    if path in ("/echo-length", "/upload", "/stream"):
        length = 0
        while piece := environ["wsgi.input"].read(len(payload.BLOCK)):
            length += len(piece)
        return _whole(start_response, b"%d" % length)
    if path.startswith("/download/"):
        length = int(path.removeprefix("/download/"))
        _start(start_response, length, "application/octet-stream")
        return iter(payload.blocks(length))
    if path == "/flask/":
        answered: Iterable[bytes] = flask_app()(environ, start_response)
        return answered
    if path.startswith("/static/"):
        name = os.path.join(payload.static_root(), os.path.basename(path))
        _start(start_response, os.path.getsize(name), "application/octet-stream")
        # The server closes it when it has been sent.
        opened = open(name, "rb")  # noqa: SIM115
        wrapped: Iterable[bytes] = environ["wsgi.file_wrapper"](opened)
        return wrapped
    start_response("404 Not Found", [("Content-Length", "0")])
    return []


def _start(start_response: _StartResponse, length: int, kind: str) -> None:
    """
    Begin an answer.
    """
    fields = [("Content-Type", kind), ("Content-Length", str(length))]
    start_response("200 OK", fields)


def _whole(start_response: _StartResponse, body: bytes) -> list[bytes]:
    """
    Answer with bytes that are already there.
    """
    _start(start_response, len(body), payload.CONTENT_TYPE)
    return [body]
