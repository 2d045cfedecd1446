"""
A site over TLS, with a certificate that may be renewed while it runs.

``kill -HUP`` has it read at once; else it is noticed within a minute.
"""

from __future__ import annotations

import signal
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import SSL4ServerEndpoint
from twisted.web.resource import Resource
from twisted.web.static import Data

from twisted_h11.server import Site
from twisted_h11.tls import ServerTLS

LIVE = "/etc/letsencrypt/live/example.org"


def serve(port: int = 443, folder: str = LIVE) -> Any:
    """
    Listen.  Returns a Deferred that fires with the port, and the certificates.
    """
    root = Resource()
    root.putChild(b"", Data(b"Hello, world!\n", "text/plain"))
    tls = ServerTLS(f"{folder}/fullchain.pem", f"{folder}/privkey.pem")
    return SSL4ServerEndpoint(reactor, port, tls).listen(Site(root)), tls


if __name__ == "__main__":
    _, tls = serve()
    loop: Any = reactor
    loop.callWhenRunning(
        lambda: signal.signal(signal.SIGHUP, lambda *_: loop.callFromThread(tls.reload))
    )
    loop.run()
