"""
TLS for servers: certificates from files, renewed while the server runs.

::

    from twisted_h11.tls import ServerTLS

    tls = ServerTLS("fullchain.pem", "privkey.pem")
    SSL4ServerEndpoint(reactor, 443, tls).listen(site)

C{docs/tls.rst} has the rest.
"""

from twisted_h11._tls.server import LOOK_INTERVAL, ServerTLS, TLSEndpoint
from twisted_h11._tls.store import BadTLSFile

__all__ = ["LOOK_INTERVAL", "BadTLSFile", "ServerTLS", "TLSEndpoint"]
