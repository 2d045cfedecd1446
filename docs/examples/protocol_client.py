"""
A client on raw h11 events: it fetches one page and prints it.

``python protocol_client.py http://example.com/``

For a client with a pool, redirects, proxies and retries see
``twisted_h11.client.Agent``; this one shows what is below.
"""

from __future__ import annotations

import sys
from typing import Any
from urllib.parse import urlsplit

import h11
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import (
    HostnameEndpoint,
    connectProtocol,
    wrapClientTLS,
)
from twisted.internet.protocol import connectionDone
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import react
from twisted.python.failure import Failure

from twisted_h11.protocol import H11Protocol


class Fetch(H11Protocol):
    """
    One connection, one request.  The Deferred ``done`` fires with the response and its
    body, or with what went wrong.
    """

    role = h11.CLIENT

    def __init__(self, request: h11.Request) -> None:
        super().__init__()
        self.request = request
        self.response: h11.Response | None = None
        self.body = bytearray()
        self.done: Deferred[tuple[h11.Response, bytes]] = Deferred(self.cancelled)

    def connectionMade(self) -> None:
        super().connectionMade()
        self.sendEvent(self.request)
        self.sendEvent(h11.EndOfMessage())

    def eventReceived(self, event: h11.Event) -> None:
        # An InformationalResponse, if there is one, is nothing to us.
        if isinstance(event, h11.Response):
            self.response = event
        elif isinstance(event, h11.Data):
            self.body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert self.response is not None
            self.done.callback((self.response, bytes(self.body)))
            # Both messages have ended, and the request said that it was the
            # last one: the connection closes by itself.

    def protocolError(self, error: h11.RemoteProtocolError) -> None:
        super().protocolError(error)
        self.failed(Failure(error))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self.failed(reason)

    def failed(self, reason: Failure) -> None:
        """
        Nothing more comes.
        """
        if not self.done.called:
            self.done.errback(reason)

    def cancelled(self, done: Deferred[Any]) -> None:
        """
        It took too long, or is not wanted any more.
        """
        self.abortConnection()


async def fetch(reactor: Any, url: str, timeout: float = 30) -> tuple[int, bytes]:
    """
    Fetch one page: its status and its content.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    secure = parts.scheme == "https"
    endpoint: Any = HostnameEndpoint(reactor, host, parts.port or (80, 443)[secure])
    if secure:
        endpoint = wrapClientTLS(optionsForClientTLS(host), endpoint)
    request = h11.Request(
        method="GET",
        target=(parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        headers=[
            ("Host", parts.netloc.rpartition("@")[2]),
            ("User-Agent", f"h11-example-twisted-client {h11.PRODUCT_ID}"),
            ("Connection", "close"),
        ],
    )
    protocol: Fetch = await connectProtocol(endpoint, Fetch(request))
    response, body = await protocol.done.addTimeout(timeout, reactor)
    return response.status_code, body


async def main(reactor: Any, url: str) -> None:
    """
    Fetch, and print.
    """
    status, body = await fetch(reactor, url)
    print(status)
    print(body.decode("utf-8", "replace"), end="")


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
