"""
The base of the server's tests in memory, and the resources they serve.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from io import StringIO
from typing import Any

from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET

from tests.support.leaks import LeakChecks
from tests.support.memory import MemoryTransport
from tests.support.responses import WireResponse
from tests.support.wire import Wire
from twisted_h11.server import Limits, Site

__all__ = [
    "FAST_PATH",
    "GET",
    "Calls",
    "Echo",
    "Holding",
    "Seen",
    "ServerTestCase",
    "get",
    "post",
]

# The whole suite is run with the fast path and without it.
FAST_PATH = os.environ.get("TWISTED_H11_FAST_PATH", "1") != "0"

GET = b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"


def get(
    target: bytes = b"/",
    *fields: bytes,
    method: bytes = b"GET",
    version: bytes = b"1.1",
    host: bytes | None = b"example.com",
) -> bytes:
    """
    The bytes of a request without a body.

    @param fields: whole field lines, without their ends.
    """
    lines = [method + b" " + target + b" HTTP/" + version]
    if host is not None:
        lines.append(b"Host: " + host)
    lines.extend(fields)
    return b"\r\n".join(lines) + b"\r\n\r\n"


def post(body: bytes, *fields: bytes, target: bytes = b"/") -> bytes:
    """
    The bytes of a request with a body of known length.
    """
    length = b"Content-Length: %d" % (len(body),)
    return get(target, length, *fields, method=b"POST") + body


@dataclass
class Seen:
    """
    One request as the application saw it; a copy, so that it keeps nothing
    in memory.
    """

    method: bytes
    uri: bytes
    version: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes
    path: bytes = b""

    def all(self, name: bytes) -> list[bytes]:
        """
        Every value of the field C{name}.
        """
        return [value for key, value in self.fields if key.lower() == name.lower()]


def copy_request(request: Any) -> Seen:
    """
    What the tests want to know of a request.
    """
    return Seen(
        method=request.method,
        uri=request.uri,
        version=request.clientproto,
        fields=[
            (name, value)
            for name, values in request.requestHeaders.getAllRawHeaders()
            for value in values
        ],
        body=request.content.read(),
        path=request.path,
    )


class Echo(Resource):
    """
    Answers any method with the body that it got, and remembers what it saw.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Seen] = []

    def render(self, request: Any) -> bytes:
        """
        Answer at once.
        """
        self.seen.append(copy_request(request))
        request.setHeader(b"Content-Type", b"text/plain")
        return self.seen[-1].body or b"nothing"


class Calls(Resource):
    """
    Renders by a function, for any method.
    """

    isLeaf = True

    def __init__(self, function: Callable[[Any], object]) -> None:
        super().__init__()
        self.function = function

    def render(self, request: Any) -> Any:
        """
        Whatever the function returns; None counts as "not yet".
        """
        result = self.function(request)
        return NOT_DONE_YET if result is None else result


class Holding(Resource):
    """
    Keeps every request open until the test finishes it.

    @ivar requests: the open ones.
    @ivar lost: the failures that C{notifyFinish} told.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[Any] = []
        self.lost: list[Any] = []
        self.finished = 0

    def render(self, request: Any) -> Any:
        """
        Not yet.
        """
        self.requests.append(request)
        request.notifyFinish().addCallbacks(self._done, self.lost.append)
        return NOT_DONE_YET

    def _done(self, _: object) -> None:
        self.finished += 1

    def answer(self, body: bytes = b"done") -> None:
        """
        Finish the oldest request.
        """
        request = self.requests.pop(0)
        request.setHeader(b"Content-Length", b"%d" % (len(body),))
        request.write(body)
        request.finish()


class ServerTestCase(LeakChecks, SynchronousTestCase):
    """
    A site in memory, its clock, its log, and the leak checks after each test.

    @ivar events: the log events since the test began.
    """

    def setUp(self) -> None:
        """
        Watch the log and what is left over.
        """
        self.beginLeakChecks()
        self.addCleanup(self.endLeakChecks)
        self.wires: list[Wire] = []
        self.sites: list[Any] = []
        self.events: list[LogEvent] = []
        observer: Any = self._observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(self._finish)

    def _observe(self, event: LogEvent) -> None:
        self.events.append(event)

    def _finish(self) -> None:
        observer: Any = self._observe
        globalLogPublisher.removeObserver(observer)
        late = []
        for wire in self.wires:
            wire.vanish()
            late.append(bytes(wire.transport.late))
            wire.channel = None
        self.wires.clear()
        for site in self.sites:
            site.stopFactory()
            for session in list(site.sessions.values()):
                session.expire()
        self.sites.clear()
        self.events.clear()
        self.assertEqual([], [data for data in late if data], "written after close")

    def site(
        self,
        resource: IResource | Callable[[Any], object] | None = None,
        limits: dict[str, Any] | None = None,
        start: bool = False,
        **options: Any,
    ) -> Any:
        """
        Make a site on the test's clock.

        @param limits: fields of L{Limits} that differ from the defaults.
        @param start: whether C{startFactory} is called, as a listening port
            does; then C{site.access} has the access log.
        """
        if resource is None:
            resource = Echo()
        elif not IResource.providedBy(resource):
            resource = Calls(resource)
        if limits is not None:
            options["limits"] = Limits(**limits)
        options.setdefault("fastPath", FAST_PATH)
        site: Any = Site(resource, reactor=self.clock, **options)
        if start:
            site.startFactory()
            site.access = site.logFile = StringIO()
        self.sites.append(site)
        return site

    def connect(self, site: Any, transport: MemoryTransport | None = None) -> Wire:
        """
        Open a connection to C{site}.
        """
        wire = Wire(site, self.clock, transport)
        self.watch("channel", wire.channel)
        self.wires.append(wire)
        return wire

    def talk(
        self,
        resource: IResource | Callable[[Any], object] | None,
        *pieces: bytes,
        **options: Any,
    ) -> Wire:
        """
        Make a site, connect, send.
        """
        return self.connect(self.site(resource, **options)).send(*pieces)

    def messages(self) -> list[str]:
        """
        The log since the test began, as text.
        """
        return [formatEvent(event) for event in self.events]

    def raised(
        self, kind: type[Exception], function: Callable[..., object], *args: object
    ) -> str:
        """
        C{function} must raise C{kind}.

        @return: its text; the exception itself would keep frames in memory.
        """
        try:
            function(*args)
        except kind as error:
            return str(error)
        raise self.failureException(f"{kind.__name__} was not raised")

    def assertRefused(self, wire: Wire, status: int) -> WireResponse:
        """
        The last response is a refusal as every one must be, and the
        connection is closed after it, within the time of a lingering close.
        """
        wire.settle(Limits().lingerTimeout + 1)
        response = wire.responses[-1]
        self.assertEqual(status, response.status)
        self.assertTrue(response.closes, "a refusal must say Connection: close")
        self.assertTrue(wire.closed, "the connection is still open")
        for name in (b"date", b"content-type", b"content-length"):
            self.assertIsNotNone(response.get(name), name)
        self.assertEqual(response.framing, "length")
        self.assertTrue(response.complete)
        return response
