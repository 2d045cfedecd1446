"""
A WSGI application: a shop that greets.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """
    Greet whoever comes.
    """
    who, how = environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"Hello, {who}, by {how}!\n".encode()]
