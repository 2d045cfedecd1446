"""
The WSGI application, for gunicorn and waitress.
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
    for rule in ("/", "/flask/"):
        made.add_url_rule(rule, rule, lambda: payload.HELLO)
    return made


def app(environ: dict[str, Any], start_response: _StartResponse) -> Iterable[bytes]:
    """
    Answer one request.
    """
    path = environ["PATH_INFO"]
    kind = payload.CONTENT_TYPE
    length: int | None = None
    pieces: Iterable[bytes]
    if path in payload.ANSWERS:
        answer = payload.ANSWERS[path]
        pieces = answer.pieces
        if answer.measured:
            length = len(answer.pieces[0])
    elif path in ("/echo-length", "/upload", "/stream"):
        count = 0
        while piece := environ["wsgi.input"].read(len(payload.BLOCK)):
            count += len(piece)
        body = b"%d" % count
        pieces, length = [body], len(body)
    elif path.startswith("/download/"):
        length, kind = int(path.removeprefix("/download/")), "application/octet-stream"
        pieces = payload.blocks(length)
    elif path.startswith("/static/"):
        name = os.path.join(payload.static_root(), os.path.basename(path))
        length, kind = os.path.getsize(name), "application/octet-stream"
        # The server closes it when it has been sent.
        pieces = environ["wsgi.file_wrapper"](open(name, "rb"))  # noqa: SIM115
    else:
        # Flask's, or nobody's.
        answered: Iterable[bytes] = flask_app()(environ, start_response)
        return answered
    fields = [("Content-Type", kind)]
    if length is not None:
        fields.append(("Content-Length", str(length)))
    start_response("200 OK", fields)
    return pieces
