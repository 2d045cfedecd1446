"""
Sites that C{twistd} has no options for: C{python -m tests.benchmarks.apps.sites NAME
--port PORT [--origin PORT]}.

C{h11-foreign} and C{web-foreign} have a framework's own class of requests;
C{h11-proxy}, C{web-proxy} and C{nginx-proxy} pass requests on to a server at the
origin's port, and C{nginx-static} serves the folder of static files.  Each writes an
access log to the current directory.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.python.log import startLogging
from twisted.web.proxy import ReverseProxyResource
from twisted.web.server import Site

from tests.benchmarks.apps import payload
from tests.benchmarks.apps.resources import Foreign, Root

__all__: list[str] = []

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


def _nginx(port: int, origin: int) -> None:
    """
    Become nginx.
    """
    folder, static = os.getcwd(), payload.static_root()
    with open("nginx.conf", "w", encoding="utf-8") as out:
        values = {"port": port, "origin": origin, "folder": folder, "static": static}
        out.write(_NGINX.format(**values))
    os.execvp("nginx", ["nginx", "-e", "error.log", "-c", f"{folder}/nginx.conf"])


def _site(name: str, origin: int) -> Site:
    """
    One of Twisted's.
    """
    if name == "web-foreign":
        return Site(Root(), Foreign, logPath=_LOG)
    if name == "web-proxy":
        # It adds the path that was asked for.
        return Site(ReverseProxyResource("127.0.0.1", origin, b""), logPath=_LOG)
    from twisted_h11 import server

    if name == "h11-foreign":
        return server.Site(Root(), requestFactory=Foreign, logPath=_LOG)
    sys.path.insert(0, os.path.join(os.environ["PYTHONPATH"], "docs", "examples"))
    from server_proxy import Proxy  # type: ignore[import-not-found]

    from twisted_h11.client import Agent, HTTPConnectionPool

    pool = HTTPConnectionPool(reactor)
    pool.maxPersistentPerHost = 64
    proxy = Proxy(Agent(reactor, pool=pool), b"http://127.0.0.1:%d" % origin)
    return server.Site(proxy, logPath=_LOG)


def main() -> None:
    """
    Serve until stopped.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--origin", type=int, default=9)
    options = parser.parse_args()
    if options.name.startswith("nginx"):
        _nginx(options.port, options.origin)
    startLogging(open("twistd.log", "w", encoding="utf-8"))  # noqa: SIM115
    text = f"tcp:{options.port}:interface=127.0.0.1"
    loop: Any = reactor
    serverFromString(loop, text).listen(_site(options.name, options.origin))
    loop.run()


if __name__ == "__main__":
    main()
