"""
The server of the long cases: C{python -m tests.long.server KIND [LIMIT=VALUE...]},
where C{KIND} is C{ours}, C{theirs} or C{proxy}: the example, for C{LONG_ORIGIN}.

It prints its port, and serves until it is told to stop.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web import server
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import File
from zope.interface import implementer

from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Limits, Site
from twisted_h11.wsgi import WSGIResource

net: Any = reactor

PIECE = b"x" * 65536


class Counter(Protocol):
    """
    Counts a body; may be held.
    """

    transport: Any

    def __init__(self, request: Any, held: bool) -> None:
        self.request = request
        self.held = held
        self.count = 0

    def connectionMade(self) -> None:
        """
        Wait, if it is to be slow.
        """
        if self.held:
            self.transport.pauseProducing()

    def dataReceived(self, data: bytes) -> None:
        """
        Count.
        """
        self.count += len(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Answer with the count.
        """
        request, self.request = self.request, None
        if not request._disconnected:
            request.write(b"%d" % (self.count,))
            request.finish()


@implementer(IStreamingResource)
class Stream(Resource):
    """
    Counts bodies as they come; C{held} ones are not taken before they are
    released.
    """

    isLeaf = True

    def __init__(self, held: bool = False) -> None:
        super().__init__()
        self.held = held
        self.counters: list[Counter] = []

    def render(self, request: Any) -> int:
        """
        Take the body.
        """
        counter = Counter(request, self.held)
        if self.held:
            self.counters.append(counter)
        request.deliverBody(counter)
        return NOT_DONE_YET

    def release(self) -> None:
        """
        Take what was held.
        """
        while self.counters:
            self.counters.pop().transport.resumeProducing()


class Buffered(Resource):
    """
    Answers with the length of a body that was collected.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        Look at its end.
        """
        return b"%d" % (request.content.seek(0, 2),)


@implementer(IPushProducer)
class Flow:
    """
    Writes one GiB, as fast as it may.
    """

    def __init__(self, request: Any) -> None:
        self.request = request
        self.left = 1 << 30
        self.paused = False
        self.running = False

    def resumeProducing(self) -> None:
        """
        Go on.
        """
        self.paused = False
        if not self.running:
            self.run()

    def run(self) -> None:
        """
        Write until there is no room.
        """
        self.running = True
        while not self.paused and self.left and self.request is not None:
            self.left -= len(PIECE)
            self.request.write(PIECE)
        self.running = False
        if not self.left and self.request is not None:
            self.request.unregisterProducer()
            self.request.finish()

    def pauseProducing(self) -> None:
        """
        No room.
        """
        self.paused = True

    def stopProducing(self) -> None:
        """
        Nobody there.
        """
        self.request = None
        self.paused = True


class Large(Resource):
    """
    One GiB from memory, by a producer.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> int:
        """
        Begin.
        """
        request.setHeader(b"Content-Length", b"%d" % (1 << 30,))
        producer = Flow(request)
        request.registerProducer(producer, True)
        producer.resumeProducing()
        return NOT_DONE_YET


class Hello(Resource):
    """
    A normal page.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        At once.
        """
        return b"hello"


class Wait(Resource):
    """
    A page that takes a while.

    @ivar begun: how many requests were seen.
    """

    isLeaf = True
    begun = 0

    def render_GET(self, request: Any) -> int:
        """
        Later.
        """
        type(self).begun += 1
        later: Deferred[None] = deferLater(net, 0.05)

        def done(_: object) -> None:
            request.write(b"x" * 1000)
            request.finish()

        later.addCallback(done)
        return NOT_DONE_YET


class State(Resource):
    """
    What the server knows of itself.
    """

    isLeaf = True

    def __init__(self, connections: dict[int, float], held: Stream) -> None:
        super().__init__()
        self.connections = connections
        self.held = held

    def render_GET(self, request: Any) -> bytes:
        """
        As JSON.
        """
        if request.args.get(b"release"):
            self.held.release()
        now = time.monotonic()
        ages = sorted(now - made for made in self.connections.values())
        state = {
            "connections": len(ages),
            "oldest": ages[-1] if ages else 0,
            "descriptors": len(os.listdir("/proc/self/fd")),
        }
        return json.dumps(state).encode("ascii")


def wsgi_application(environ: Any, start_response: Any) -> Any:
    """
    200 MiB, as fast as they are taken.
    """
    start_response("200 OK", [("Content-Length", str(3200 * len(PIECE)))])
    return (PIECE for _ in range(3200))


def proxy() -> Any:
    """
    The proxy of the examples.
    """
    example = runpy.run_path("docs/examples/server_proxy.py")
    return example["makeSite"](net, os.environ["LONG_ORIGIN"].encode("ascii"))


def main() -> None:
    """
    Serve.
    """
    kind, *settings = sys.argv[1:]
    root = Resource()
    held = Stream(True)
    connections: dict[int, float] = {}
    root.putChild(b"stream", Stream())
    root.putChild(b"held", held)
    root.putChild(b"buffered", Buffered())
    root.putChild(b"large", Large())
    root.putChild(b"hello", Hello())
    root.putChild(b"wait", Wait())
    root.putChild(b"state", State(connections, held))
    root.putChild(b"wsgi", WSGIResource(net, None, wsgi_application))
    root.putChild(b"file", File(os.environ.get("LONG_FILE", "/dev/null")))
    values: dict[str, Any] = {}
    for text in settings:
        name, _, value = text.partition("=")
        values[name] = json.loads(value)
    site: Any
    if kind == "ours":
        site = Site(root, limits=Limits(**values), accessLog=False)
    elif kind == "proxy":
        site = proxy()
    else:
        site = server.Site(root)
        site.log = lambda request: None
    build = site.buildProtocol

    def buildProtocol(address: Any) -> Any:
        channel = build(address)
        key = id(channel)
        connections[key] = time.monotonic()
        lost = channel.connectionLost

        def connectionLost(reason: Any) -> None:
            connections.pop(key, None)
            del channel.connectionLost
            lost(reason)

        channel.connectionLost = connectionLost
        return channel

    if os.environ.get("LONG_AGES"):
        site.buildProtocol = buildProtocol
    port = net.listenTCP(0, site, backlog=2000, interface="127.0.0.1")
    print(port.getHost().port, flush=True)

    async def end() -> None:
        await port.stopListening()
        if kind != "theirs":
            await site.drain(20)
        print(Wait.begun, flush=True)

    net.addSystemEventTrigger(
        "before", "shutdown", lambda: Deferred.fromCoroutine(end())
    )
    net.run()


if __name__ == "__main__":
    main()
