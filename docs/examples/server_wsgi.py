"""
A WSGI application beside a resource of Twisted's.

Try::

    curl http://localhost:8080/app/x
    curl -T FILE http://localhost:8080/app/
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import react
from twisted.web.resource import Resource

from twisted_h11.server import Site
from twisted_h11.wsgi import WSGIResource


def application(
    environ: dict[str, Any], start_response: Callable[..., Any]
) -> Iterable[bytes]:
    """
    Count the bytes of the body, while they arrive.
    """
    length = 0
    while piece := environ["wsgi.input"].read(65536):
        length += len(piece)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['PATH_INFO']}: {length} bytes\n".encode()]


def makeSite(reactor: Any) -> Site:
    """
    A site with the application at ``/app``.
    """
    root = Resource()
    root.putChild(b"app", WSGIResource(reactor, None, application))
    return Site(root)


async def main(reactor: Any, endpoint: str = "tcp:8080:interface=127.0.0.1") -> None:
    """
    Listen, and say where.
    """
    port = await serverFromString(reactor, endpoint).listen(makeSite(reactor))
    print("listening on", port.getHost(), flush=True)
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
