"""
A server on h11's events: it counts the bytes of each request's body.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.application import service, strports

from twisted_h11.protocol import H11Factory, H11Protocol


class Count(H11Protocol):
    """
    One connection.
    """

    request: h11.Request
    length = 0

    def eventReceived(self, event: Any) -> None:
        """
        What the client sends, event by event.
        """
        if isinstance(event, h11.Request):
            self.request = event
            self.length = 0
            if self.h11Connection.they_are_waiting_for_100_continue:
                self.sendEvent(h11.InformationalResponse(status_code=100, headers=[]))
        elif isinstance(event, h11.Data):
            self.length += len(event.data)
        elif isinstance(event, h11.EndOfMessage):
            self.answer(b"%d bytes\n" % (self.length,))

    def answer(self, body: bytes) -> None:
        """
        Respond, and go on with the next request if there may be one.
        """
        fields = [("Content-Length", str(len(body)))]
        # A 200 to CONNECT would promise a tunnel, and HEAD is answered without a body.
        status = 501 if self.request.method == b"CONNECT" else 200
        self.sendEvent(h11.Response(status_code=status, headers=fields))
        if self.request.method != b"HEAD":
            self.sendEvent(h11.Data(data=body))
        self.sendEvent(h11.EndOfMessage())
        if self.h11Connection.our_state is h11.DONE:
            self.startNextCycle()


application = service.Application("count")
server = strports.service("tcp:8080:interface=127.0.0.1", H11Factory(Count))
server.setServiceParent(application)
