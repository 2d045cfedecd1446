"""
HTTP/1.1 for Twisted, server and client, on top of h11.

L{twisted_h11.server} has L{Site<twisted_h11.server.Site>}, which serves the
resources of twisted.web; L{twisted_h11.client} has an
L{Agent<twisted_h11.client.Agent>} with a bounded pool; L{twisted_h11.protocol}
has the protocol and factory that adapt h11's events to Twisted's transports, in
either role; L{twisted_h11.testing} has both ends without sockets;
L{twisted_h11.tap} is C{twistd h11web}.  Modules whose names begin with an
underscore may change in any release.
"""

__all__ = ["__version__"]

__version__ = "0.1.0.dev0"
