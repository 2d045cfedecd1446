"""
A server on raw h11 events: it echoes each request as JSON.

``python protocol_server.py tcp:8080:interface=127.0.0.1``, then
``curl -i -d hello http://localhost:8080/``.

Most of it is about what can go wrong: malformed requests, methods that make no
sense here, bodies that are too large or never end, our own mistakes.  For a
server of resources see ``twisted_h11.server.Site``; this one shows what is below.
"""

from __future__ import annotations

import json
import sys
from email.utils import formatdate
from typing import Any

import h11
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import connectionDone
from twisted.internet.task import react
from twisted.logger import Logger
from twisted.protocols.policies import TimeoutMixin
from twisted.python.failure import Failure

from twisted_h11.protocol import H11Factory, H11Protocol

METHODS = (b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS")


class Echo(TimeoutMixin, H11Protocol):
    """
    One connection.
    """

    log = Logger()
    server = f"h11-example-twisted-server {h11.PRODUCT_ID}"

    # Seconds that the client may take for a request, its head and body, and may
    # let pass before it sends one; and the longest body, in bytes.
    requestTimeout = 10.0
    maxBodyLength = 1024 * 1024

    def connectionMade(self) -> None:
        super().connectionMade()
        self.beginRequest()

    def beginRequest(self) -> None:
        """
        Wait for a request.
        """
        self.request: h11.Request | None = None
        self.body = bytearray()
        self.setTimeout(self.requestTimeout)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.setTimeout(None)
        super().connectionLost(reason)

    # -- what the client sends ------------------------------------------------

    def eventReceived(self, event: h11.Event) -> None:
        try:
            if isinstance(event, h11.Request):
                self.requestReceived(event)
            elif isinstance(event, h11.Data):
                self.bodyReceived(event.data)
            elif isinstance(event, h11.EndOfMessage):
                self.answer()
            # ConnectionClosed: whatever we are about to send is still sent, and
            # the connection closes by itself.
        except Exception:
            # Ours is the fault: say so, but not what it was.
            self.log.failure("A request could not be answered")
            self.refuse(500, "Something went wrong here.")

    def requestReceived(self, request: h11.Request) -> None:
        self.request = request
        self.setTimeout(self.requestTimeout)
        if request.method not in METHODS:
            # CONNECT is among them: what follows it may be anything.
            self.refuse(501, "This server does not know this method.")
            return
        for name, value in request.headers:
            if name == b"content-length" and int(value) > self.maxBodyLength:
                self.refuse(413, "The body is too large.")
                return
        if self.h11Connection.they_are_waiting_for_100_continue:
            # Nothing comes before it has got this, or a final response.
            self.sendEvent(h11.InformationalResponse(status_code=100, headers=[]))

    def bodyReceived(self, data: bytes) -> None:
        self.body += data
        if len(self.body) > self.maxBodyLength:
            self.refuse(413, "The body is too large.")

    def answer(self) -> None:
        """
        The request is complete.
        """
        request = self.request
        assert request is not None
        document = {
            "method": request.method.decode("ascii"),
            "target": request.target.decode("ascii"),
            "headers": [
                [name.decode("ascii"), value.decode("latin-1")]
                for name, value in request.headers.raw_items()
            ],
            "body": self.body.decode("utf-8", "replace"),
        }
        text = json.dumps(document, sort_keys=True, indent=4) + "\n"
        self.respond(200, "application/json", text)
        if self.h11Connection.our_state is h11.DONE:
            self.beginRequest()
            self.startNextCycle()
        # Else it was the last one, and the connection is closing already.

    # -- what we send -----------------------------------------------------------

    def respond(
        self, status: int, kind: str, text: str, *more: tuple[str, str]
    ) -> None:
        """
        Send a whole response.
        """
        self.setTimeout(None)
        body = text.encode("utf-8")
        fields = [
            ("Date", formatdate(usegmt=True)),
            ("Server", self.server),
            ("Content-Type", f"{kind}; charset=utf-8"),
            ("Content-Length", str(len(body))),
            *more,
        ]
        self.sendEvent(h11.Response(status_code=status, headers=fields))
        if self.request is None or self.request.method != b"HEAD":
            self.sendEvent(h11.Data(data=body))
        self.sendEvent(h11.EndOfMessage())

    def refuse(self, status: int, why: str) -> None:
        """
        Send an error, if there is still a way, and close the connection: in
        stages, so that the rest of the request does not destroy the response.
        """
        if self.h11Connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.abortConnection()
            return
        self.respond(status, "text/plain", why + "\n", ("Connection", "close"))
        self.sendEvent(h11.ConnectionClosed())

    def protocolError(self, error: h11.RemoteProtocolError) -> None:
        self.refuse(error.error_status_hint, "The request is malformed.")

    def timeoutConnection(self) -> None:
        if self.request is None and not self.h11Connection.trailing_data[0]:
            # It had nothing to ask.
            self.loseConnection()
        else:
            self.refuse(408, "The request took too long.")


async def main(reactor: Any, endpoint: str = "tcp:8080:interface=127.0.0.1") -> None:
    """
    Listen, and say where.
    """
    factory = H11Factory(Echo, reactor=reactor)
    port = await serverFromString(reactor, endpoint).listen(factory)
    print("listening on", port.getHost(), flush=True)
    await Deferred()


if __name__ == "__main__":
    react(lambda reactor: Deferred.fromCoroutine(main(reactor, *sys.argv[1:])))
