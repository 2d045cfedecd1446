"""
What C{twistd} has no options for: C{python -m tests.benchmarks.apps.sites NAME --port
PORT [--origin PORT]}; L{SITES} says what there is.

Each has its access log in the current directory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol
from twisted.python.log import startLogging
from twisted.web.proxy import ReverseProxyResource
from twisted.web.server import Site

from tests.benchmarks.apps import payload
from tests.benchmarks.apps._arguments import arguments
from tests.benchmarks.apps.resources import Foreign, Root

__all__ = ["SITES"]

_LOG = "access.log"

_NGINX = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log {folder}/access.log; keepalive_requests 1000000; sendfile on;
  client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port};
    location /static/ {{ alias {static}/; }}
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1;
      proxy_set_header Connection "";
    }}
  }}
}}
"""


def _nginx(options: Any) -> Site:
    """
    Become nginx, which serves the folder of static files and passes on all else.
    """
    folder, static = os.getcwd(), payload.static_root()
    with open("nginx.conf", "w", encoding="utf-8") as out:
        values = {"port": options.port, "origin": options.origin or 9}
        out.write(_NGINX.format(folder=folder, static=static, **values))
    os.execvp("nginx", ["nginx", "-e", "error.log", "-c", f"{folder}/nginx.conf"])


class _Constant(Protocol):
    """
    The limit of what can be had on Twisted: it reads nothing of the request, and
    answers every delivery of bytes with the same bytes.

    It is no HTTP server: it is right only when a request arrives in one piece, and
    no two at once.
    """

    noisy = False
    _answer = (
        b"HTTP/1.1 200 OK\r\n"
        b"Server: bare\r\n"
        b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
        b"Content-Type: %b\r\n"
        b"Content-Length: %d\r\n"
        b"\r\n%b"
    ) % (payload.CONTENT_TYPE.encode("ascii"), len(payload.HELLO), payload.HELLO)

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(self._answer)  # type: ignore[union-attr]


def _ours(root: Any, factory: Any = None) -> Any:
    from twisted_h11.server import Site

    return Site(root, factory, logPath=_LOG)


def _proxy(options: Any) -> Any:
    """
    Our Agent behind our Site, as in the example of the documentation.
    """
    sys.path.insert(0, os.path.join(os.environ["PYTHONPATH"], "docs", "examples"))
    from server_proxy import Proxy  # type: ignore[import-not-found]

    from twisted_h11.client import Agent, HTTPConnectionPool

    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = 64
    agent = Agent(reactor, pool=pool)
    return _ours(Proxy(agent, b"http://127.0.0.1:%d" % options.origin))


SITES: dict[str, Callable[[Any], Any]] = {
    "bare": lambda options: Factory.forProtocol(_Constant),
    # A framework's own class of requests.
    "h11-foreign": lambda options: _ours(Root(), Foreign),
    "web-foreign": lambda options: Site(Root(), Foreign, logPath=_LOG),
    # What passes requests on to the origin; twisted.web's adds the path that was
    # asked for.
    "h11-proxy": _proxy,
    "web-proxy": lambda options: Site(
        ReverseProxyResource("127.0.0.1", options.origin, b""), logPath=_LOG
    ),
    "nginx-proxy": _nginx,
    "nginx-static": _nginx,
}
"""
By name what makes the factory.
"""


if __name__ == "__main__":
    options = arguments(*SITES)
    factory = SITES[options.name](options)
    startLogging(open("twistd.log", "w", encoding="utf-8"))  # noqa: SIM115
    text = f"tcp:{options.port}:interface=127.0.0.1"
    if options.cert is not None:
        text = "ssl" + text[3:] + f":certKey={options.cert}:privateKey={options.key}"
    loop: Any = reactor
    serverFromString(loop, text).listen(factory)
    loop.run()
