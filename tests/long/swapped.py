"""
Runs trial with our classes in the place of Twisted's, for the tests of a program
that knows nothing of us::

    python tests/long/swapped.py allmydata.test.web

They are put there before anything of the program is imported, so that it finds
them by its own imports.
"""

from __future__ import annotations

from twisted.scripts.trial import run
from twisted.web import client, server

from twisted_h11 import client as our_client
from twisted_h11 import server as our_server

SERVER = ("Site", "Request")
CLIENT = ("Agent", "ProxyAgent", "HTTPConnectionPool")

if __name__ == "__main__":
    for name in SERVER:
        setattr(server, name, getattr(our_server, name))
    for name in CLIENT:
        setattr(client, name, getattr(our_client, name))
    run()
