"""
Server-sent events: what is posted to /events is sent to all who listen there.
"""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import Data

from twisted_h11.server import Request

PAGE = b"""<!DOCTYPE html>
<title>Events</title>
<ul id="list"></ul>
<script>
new EventSource("/events").onmessage = function (event) {
  list.appendChild(document.createElement("li")).textContent = event.data;
};
</script>
"""


class Events(Resource):
    """
    Those who listen, and what they have not taken yet.
    """

    isLeaf = True
    # Who has gone is noticed at once, though nothing is written to him.
    halfCloseTimeout = 0
    # Some proxies end what says nothing for a minute.
    silence = 20.0
    # Of an event that is posted, in bytes: each listener may have a hundred of them.
    maxBodyLength = 10_000
    closed = False

    def __init__(self, clock: Any = reactor) -> None:
        super().__init__()
        self.listeners: set[Listener] = set()
        call = LoopingCall(self.send, b": still here\n\n")
        call.clock = clock
        call.start(self.silence, now=False)
        # A server that stops waits for its responses; these would never end.
        reactor.addSystemEventTrigger("before", "shutdown", self.close)

    def send(self, event: bytes) -> None:
        """
        Send to all.
        """
        for listener in list(self.listeners):
            listener.send(event)

    def close(self) -> None:
        """
        End all responses, also those that are still to come.
        """
        self.closed = True
        for listener in list(self.listeners):
            listener.request.finish()

    def render_GET(self, request: Request) -> Any:
        """
        Listen.
        """
        request.setHeader(b"Content-Type", b"text/event-stream")
        request.setHeader(b"Cache-Control", b"no-store")
        # nginx is not to collect the events.
        request.setHeader(b"X-Accel-Buffering", b"no")
        # A browser that loses us comes back in two seconds.
        first = b"retry: 2000\n\n"
        if self.closed or request.method == b"HEAD":
            return first
        listener = Listener(request)
        self.listeners.add(listener)
        request.notifyFinish().addBoth(lambda _: self.listeners.discard(listener))
        # With the head.
        request.write(first)
        return NOT_DONE_YET

    def render_POST(self, request: Request) -> bytes:
        """
        Send; each line of an event has a field of its own.
        """
        assert request.content is not None
        lines = request.content.read().splitlines()
        self.send(b"".join(b"data: %b\n" % line for line in lines) + b"\n")
        return b"sent to %d\n" % (len(self.listeners),)


class Listener:
    """
    One client.
    """

    mostUnsent = 100

    def __init__(self, request: Request) -> None:
        self.request = request
        self.unsent = 0

    def send(self, event: bytes) -> None:
        """
        Write an event; whoever is a hundred behind is dropped, and comes back.
        """
        if self.unsent == self.mostUnsent:
            self.request.abort()
            return
        self.unsent += 1
        self.request.write(event)
        self.request.drained().addCallbacks(self.taken, lambda _: None)

    def taken(self, _: None) -> None:
        """
        The client has taken what was written.
        """
        self.unsent -= 1


class Root(Resource):
    """
    The page and the events.
    """

    def __init__(self) -> None:
        super().__init__()
        self.putChild(b"", Data(PAGE, "text/html; charset=utf-8"))
        self.putChild(b"events", Events())
