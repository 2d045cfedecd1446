"""
Application code that raises where we call it on the way out.

Whatever hook it is, and on whatever path: the failure is logged; the response is a
500, or visibly cut if it had begun; the connection ends or goes on in order; its
place is given back; and draining the site comes to its end.
"""

from __future__ import annotations

import errno
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from itertools import product
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Cooperator
from twisted.logger import globalLogPublisher
from twisted.web import http, server
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

import twisted_h11._wire.producers
from tests.support.server_cases import (
    GET,
    Calls,
    Holding,
    ServerTestCase,
    get,
    post,
)
from tests.support.wire import Wire
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.metrics import Metrics
from twisted_h11.server import Request

OLD = get(version=b"1.0")
LARGE = get(b"/", b"Content-Length: 50000", method=b"POST")
CHUNKED = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")


class Odd(BaseException):
    """
    Not even an Exception, as asyncio's CancelledError.
    """


KINDS: list[type[BaseException]] = [ZeroDivisionError, OSError, Odd, SystemExit]


def raising(kind: type[BaseException] = ZeroDivisionError) -> Callable[..., Any]:
    """
    A function that raises, whatever it is called with.
    """

    def function(*args: object, **kwargs: object) -> Any:
        if kind is OSError:
            raise OSError(errno.ENOSPC, "No space left on device")
        raise kind("a hook")

    return function


class Producer:
    """
    A producer one of whose methods raises.
    """

    def __init__(self, name: str, kind: type[BaseException]) -> None:
        self.calls: list[str] = []
        setattr(self, name, raising(kind))

    def pauseProducing(self) -> None:
        """
        Do nothing.
        """

    def resumeProducing(self) -> None:
        """
        Do nothing.
        """

    def stopProducing(self) -> None:
        """
        Do nothing.
        """


class Spool(BytesIO):
    """
    The content of a request, on a disk that is full.
    """

    writes = True

    def write(self, data: Any) -> int:
        """
        There is no room.
        """
        if self.writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(data)

    def close(self) -> None:
        """
        Nor for what was buffered.
        """
        super().close()
        raise OSError(errno.ENOSPC, "No space left on device")


@implementer(IStreamingResource)
class Doing(Calls):
    """
    Renders by a function, when the head is here.
    """


class HooksTestCase(ServerTestCase):
    """
    What a failing hook must leave behind: nothing.
    """

    def begin(self, resource: Any, *data: bytes, **options: Any) -> Wire:
        """
        A connection to a site on which it would be seen if places leaked.
        """
        limits = {"maxConnectionsPerPeer": 3, "maxConnections": 3}
        return self.talk(resource, *data, limits=limits, **options)

    def assertLogged(self, times: int | None = None) -> None:
        """
        What was raised is in the log.
        """
        logged = self.flushLoggedErrors(*KINDS)
        if times is None:
            self.assertTrue(logged, "nothing was logged")
        else:
            self.assertEqual(times, len(logged))

    def assertOver(self, wire: Wire, logged: bool = True) -> None:
        """
        The connection ends, its place is free, and so is the site's way out.
        """
        site = self.sites[-1]
        drained: list[Any] = []
        site.drain().addCallback(drained.append)
        wire.advance(40, 5)
        self.assertTrue(wire.closed, "still open")
        self.assertEqual([None], drained)
        self.assertEqual(
            (set(), {}), (site._connections.open, dict(site._connections.hosts))
        )
        if logged:
            self.assertLogged()

    def assertCut(self, wire: Wire) -> None:
        """
        The client can tell that its response is not complete.
        """
        wire.settle(6)
        head, _, _ = wire.output.partition(b"\r\n\r\n")
        if b"chunked" in head or b"Content-Length" in head:
            self.assertFalse(wire.only().complete)
        else:
            self.assertTrue(wire.aborted, "a clean end")


class ProducerTests(HooksTestCase):
    """
    Producers, push and pull.
    """

    def setUp(self) -> None:
        """
        Pull producers are asked on the clock of the test.
        """
        super().setUp()
        cooperator = Cooperator(scheduler=lambda call: self.clock.callLater(0.01, call))
        self.patch(twisted_h11._wire.producers, "cooperate", cooperator.cooperate)
        self.addCleanup(cooperator.stop)

    def producing(
        self, name: str, kind: type[BaseException], streaming: bool, begun: bool
    ) -> Callable[[Any], None]:
        """
        Renders with a producer that raises.
        """

        def render(request: Any) -> None:
            request.notifyFinish().addErrback(self.told.append)
            if begun:
                request.write(b"begun")
            request.registerProducer(Producer(name, kind), streaming)

        self.told: list[Any] = []
        return render

    def test_each(self) -> None:
        """
        Each method of either kind of producer, before and after the head, for
        each way to frame a response, and for our request and Twisted's.
        """
        for factory, data, begun, kind in product(
            (Request, server.Request), (GET, OLD), (False, True), KINDS
        ):
            for name, streaming in (
                ("pauseProducing", True),
                ("resumeProducing", True),
                ("resumeProducing", False),
            ):
                render = self.producing(name, kind, streaming, begun)
                wire = self.begin(render, data, requestFactory=factory)
                if streaming:
                    wire.transport.producer.pauseProducing()
                    if wire.transport.producer is not None:
                        wire.transport.producer.resumeProducing()
                wire.advance(1)
                if begun:
                    self.assertCut(wire)
                else:
                    self.assertEqual([500], wire.statuses)
                self.assertEqual(1, len(self.told))
                self.assertLogged(1)
                self.assertOver(wire, logged=False)
        self.told.clear()

    def test_stoppedOnceItHasRaised(self) -> None:
        """
        One that has raised is told to stop, once, so that it closes what it has open;
        not one that had unregistered itself.
        """
        stopped: list[str] = []

        def render(request: Any) -> None:
            producer: Any = Producer(request.path[1:].decode(), ZeroDivisionError)
            producer.stopProducing = lambda: stopped.append("stopped")
            request.registerProducer(producer, request.path != b"/resumeProducing")

        for name in (b"/pauseProducing", b"/resumeProducing"):
            wire = self.begin(render, get(name))
            if name == b"/pauseProducing":
                wire.transport.producer.pauseProducing()
            wire.advance(1)
            self.assertEqual(["stopped"], stopped)
            stopped.clear()
            self.assertOver(wire)

    def test_stop(self) -> None:
        """
        One that raises when it is told to stop does not keep its connection's
        place, nor the news from its request.
        """
        for factory, streaming, kind in product(
            (Request, server.Request), (True, False), KINDS
        ):
            render = self.producing("stopProducing", kind, streaming, False)
            wire = self.begin(render, GET, requestFactory=factory).vanish()
            self.assertEqual(1, len(self.told))
            self.assertOver(wire)
        self.told.clear()

    def test_stopByTheTransport(self) -> None:
        """
        Nor does it keep the transport from saying that the connection is lost:
        a socket tells its producer first.
        """
        wire = self.begin(self.producing("stopProducing", Odd, True, True), GET)
        wire.transport.producer.stopProducing()
        self.assertLogged(1)
        wire.vanish()
        self.assertEqual(1, len(self.told))
        self.told.clear()

    def test_unregistersFirst(self) -> None:
        """
        One that has unregistered itself before it raises has not finished its
        response.
        """

        def render(request: Any) -> None:
            producer: Any = Producer("pauseProducing", ZeroDivisionError)

            def pauseProducing() -> None:
                request.unregisterProducer()
                raise ZeroDivisionError

            producer.pauseProducing = pauseProducing
            request.registerProducer(producer, True)

        wire = self.begin(render, GET)
        wire.transport.producer.pauseProducing()
        self.assertEqual([500], wire.statuses)
        self.assertOver(wire)

    def test_othersGoOn(self) -> None:
        """
        One that raises behind the end of its response fails no other one.
        """
        holding = Holding()

        def render(request: Any) -> None:
            if request.path == b"/next":
                holding.render(request)
                return
            producer: Any = Producer("pauseProducing", ZeroDivisionError)

            def pauseProducing() -> None:
                request.unregisterProducer()
                request.finish()
                raise ZeroDivisionError

            producer.pauseProducing = pauseProducing
            request.registerProducer(producer, True)

        wire = self.begin(render, GET + get(b"/next"))
        wire.transport.producer.pauseProducing()
        wire.transport.producer.resumeProducing()
        wire.pump()
        holding.answer()
        wire.pump()
        self.assertEqual([200, 200], wire.statuses)
        self.assertOver(wire)


class InterruptTests(HooksTestCase):
    """
    Ctrl-C.
    """

    def test_each(self) -> None:
        """
        It is no failure of the hook in which it comes: it passes.
        """
        raises = raising(KeyboardInterrupt)
        passed = False

        def interrupt(*args: Any, **kwargs: Any) -> str:
            # It comes once.
            if not passed:
                raises()
            return ""

        counts: Any = Metrics()
        counts.ended = interrupt

        class Takes(server.Request):
            handleContentChunk = interrupt

        class Receives(server.Request):
            requestReceived = interrupt

        cases: tuple[tuple[bytes, dict[str, Any]], ...] = (
            (GET, {"logFormatter": interrupt, "start": True}),
            (GET, {"metrics": counts}),
            (post(b"body"), {"requestFactory": Takes}),
            (post(b"body"), {"requestFactory": Receives}),
        )
        for data, options in cases:
            passed = False
            wire = self.begin(lambda request: b"whole", **options)
            try:
                wire.send(data)
            except KeyboardInterrupt:
                passed = True
            self.assertTrue(passed, options)
            self.assertEqual([], self.flushLoggedErrors())
            wire.vanish()


class EndTests(HooksTestCase):
    """
    What is told at the end of a request.
    """

    def ends(self, begin: Callable[[], Wire]) -> Iterator[Wire]:
        """
        A request that ends in each of the ways there are.
        """
        holding = self.holding
        for end in ("finish", "vanish", "half-close", "refuse", "time out", "drain"):
            wire = begin()
            if end == "refuse":
                wire.channel._respondToBadRequestAndDisconnect()
                wire.pump()
                self.assertEqual([400], wire.statuses)
            elif end == "time out":
                wire.channel.setTimeout(1)
                wire.advance(2)
            elif end == "half-close":
                wire.halfClose().advance(6)
            elif end == "vanish":
                wire.vanish()
            elif end == "drain":
                self.sites[-1].drain(1)
                wire.advance(2)
            if end == "finish":
                holding.answer()
                wire.pump()
                self.assertEqual([200], wire.statuses)
            holding.requests.clear()
            yield wire

    def setUp(self) -> None:
        """
        Requests are held open.
        """
        super().setUp()
        self.holding = Holding()
        self.addCleanup(self.holding.lost.clear)

    def test_connectionLost(self) -> None:
        """
        C{connectionLost} of a request, ours or Twisted's.
        """
        for factory, kind in product((Request, server.Request), KINDS):

            class Mine(factory):  # type: ignore[misc,valid-type]
                connectionLost = raising(kind)

            def begin(Mine: Any = Mine) -> Wire:
                return self.begin(self.holding, GET, requestFactory=Mine)

            for wire in self.ends(begin):
                self.assertOver(wire, logged=False)
            self.assertLogged(5)

    def test_notifyFinish(self) -> None:
        """
        A C{notifyFinish} that the application has fired itself, among others.
        """

        def begin() -> Wire:
            wire = self.begin(self.holding, GET)
            early = self.holding.requests[0].notifyFinish()
            late = self.holding.requests[0].notifyFinish()
            early.callback(None)
            late.addBoth(told.append)
            return wire

        told: list[Any] = []
        for count, wire in enumerate(self.ends(begin), 1):
            self.assertEqual(count, len(told))
            self.assertOver(wire, logged=False)
        told.clear()
        self.flushLoggedErrors()

    def test_content(self) -> None:
        """
        A spool that can not be closed.
        """

        class Closing(Spool):
            writes = False

        def begin() -> Wire:
            site = self.site(self.holding, limits={"maxConnectionsPerPeer": 3})
            site.getContentFile = lambda length: Closing()
            return self.connect(site).send(post(b"abc"))

        lost = self.holding.lost
        for count, wire in enumerate(self.ends(begin)):
            # Whoever waits for the end of the request hears of it all the same.
            self.assertEqual(count + 1, self.holding.finished + len(lost))
            self.assertOver(wire)

    def test_cancelling(self) -> None:
        """
        A coroutine's Deferred that can not be cancelled.
        """
        for kind in KINDS:
            wire = self.begin(lambda _, kind=kind: Deferred(raising(kind)), GET)
            wire.vanish()
            self.assertOver(wire)

    def test_accessLog(self) -> None:
        """
        The log of a site, its formatter, and its file.
        """

        class File:
            write = flush = close = raising(OSError)

        def formatter() -> Wire:
            return self.connect(
                self.site(self.holding, start=True, logFormatter=raising())
            )

        def file() -> Wire:
            site = self.site(self.holding, start=True)
            site.logFile = File()
            return self.connect(site)

        def overridden() -> Wire:
            site = self.site(self.holding)
            site.log = raising(Odd)
            return self.connect(site)

        for make in (formatter, file, overridden):
            for data in (GET, OLD):

                def begin(make: Any = make, data: bytes = data) -> Wire:
                    wire: Wire = make().send(data)
                    return wire

                for wire in self.ends(begin):
                    wire.pump()
                    self.assertOver(wire, logged=False)
            self.assertLogged()
        for site in self.sites:
            site.stopFactory()
        self.flushLoggedErrors(OSError)
        whole = self.site(lambda _: b"whole")
        whole.log = raising(Odd)
        wire = self.connect(whole).send(GET + GET)
        self.assertEqual([200, 200], wire.statuses)
        self.assertOver(wire)

    def test_stopping(self) -> None:
        """
        A log file that can not be closed keeps no site from stopping.
        """

        class File(BytesIO):
            def close(self) -> None:
                super().close()
                raise OSError

        site = self.site(self.holding)
        wire = self.connect(site).send(GET)
        site.logFile = File()
        site.stopFactory()
        wire.vanish()
        self.assertOver(wire)
        site.logFile = File()
        site.stopFactory()
        self.assertLogged(1)
        self.holding.requests.clear()

    def test_observer(self) -> None:
        """
        A log observer.
        """

        def observe(event: Any) -> None:
            if event.get("log_namespace", "").startswith("twisted_h11"):
                raise ZeroDivisionError

        observer: Any = observe
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        for wire in self.ends(lambda: self.begin(self.holding, GET)):
            self.assertOver(wire, logged=False)
        wire = self.begin(self.holding, b"no request\r\n\r\n")
        self.assertRefused(wire, 400)
        self.flushLoggedErrors()
        # What Twisted's publisher keeps of a failure is in a cycle.
        self.events.clear()
        gc.collect()


class BodyTests(HooksTestCase):
    """
    Whoever takes the body of a request.
    """

    def taking(self, name: str, kind: type[BaseException], begun: bool) -> Any:
        """
        Renders, giving the body to a protocol that raises.
        """

        class Raising(Protocol):
            def dataReceived(self, data: bytes) -> None:
                pass

            def connectionLost(self, reason: Any = connectionDone) -> None:
                pass

        setattr(Raising, name, raising(kind))

        def render(request: Any) -> None:
            request.notifyFinish().addErrback(lambda _: self.told.append(1))
            if begun:
                request.write(b"begun")
            request.deliverBody(Raising())

        self.told: list[int] = []
        return render

    def test_each(self) -> None:
        """
        Each of its methods, for bodies that are streamed and that were collected,
        before and after the head of the response.
        """
        bodies = (
            (LARGE + b"abc", b"d" * 49_997),
            (CHUNKED + b"3\r\nabc\r\n", b"0\r\n\r\n"),
            (post(b"abc"), b""),
            (post(b"abc").replace(b"HTTP/1.1", b"HTTP/1.0"), b""),
        )
        for resource, (data, rest), name, kind, begun in product(
            (Doing, Calls),
            bodies,
            ("makeConnection", "dataReceived", "connectionLost"),
            KINDS,
            (False, True),
        ):
            wire = self.begin(resource(self.taking(name, kind, begun)), data, rest)
            if begun:
                self.assertCut(wire)
            else:
                self.assertEqual([500], wire.statuses, (resource, name, data))
            self.assertLogged(1)
            self.assertOver(wire, logged=False)

    def test_cut(self) -> None:
        """
        Where the client goes in the middle.
        """
        for kind, data in product(KINDS, (LARGE + b"abc", CHUNKED)):
            wire = self.begin(Doing(self.taking("connectionLost", kind, False)), data)
            wire.vanish()
            self.assertEqual([1], self.told)
            self.assertOver(wire)

    def test_unwanted(self) -> None:
        """
        Where the response ends before the body.
        """
        for kind in KINDS:
            take = self.taking("connectionLost", kind, False)

            def render(request: Any, take: Any = take) -> None:
                take(request)
                request.finish()

            wire = self.begin(Doing(render), LARGE + b"abc")
            self.assertEqual([200], wire.statuses)
            wire.send(b"d" * 49_997)
            self.assertOver(wire)

    def test_later(self) -> None:
        """
        Where it takes the body from a timer, long after it was here.
        """
        for begun in (False, True):

            def render(request: Any, begun: bool = begun) -> None:
                if begun:
                    request.write(b"begun")
                taker = Protocol()
                taker.dataReceived = raising()  # type: ignore[method-assign]
                request.deliverBody(taker)
                transport: Any = taker.transport
                self.clock.callLater(1, transport.resumeProducing)

            def pausing(request: Any, render: Any = render) -> None:
                source = request.bodySource()
                source._paused = True
                render(request)

            for data in (LARGE + b"d" * 50_000, LARGE + b"abc"):
                wire = self.begin(Doing(pausing), data)
                self.assertEqual(b"", wire.output.partition(b"HTTP")[0])
                wire.advance(2)
                if begun:
                    self.assertCut(wire)
                else:
                    self.assertEqual([500], wire.statuses)
                self.assertOver(wire)

    def test_fullDisk(self) -> None:
        """
        A disk that is full is a 500 to that upload, and nothing to others.
        """
        for data, rest in (
            (post(b"abc"), b""),
            (LARGE, b"d" * 50_000),
            (CHUNKED, b"3\r\nabc\r\n0\r\n\r\n"),
        ):
            for factory in (Request, server.Request):
                site = self.site(
                    limits={"maxConnectionsPerPeer": 3}, requestFactory=factory
                )
                other = self.connect(site).send(GET)
                site.getContentFile = lambda length: Spool()
                wire = self.connect(site).send(data, rest)
                self.assertEqual([500], wire.statuses)
                del site.getContentFile
                other.send(GET)
                self.assertEqual([200, 200], other.statuses)
                other.vanish()
                self.assertOver(wire)
                other = self.connect(site).send(GET)
                self.assertEqual([200], other.statuses)

    def test_fullDiskAndSlow(self) -> None:
        """
        A refusal reaches its client although the spool can not be closed.
        """

        class Closing(Spool):
            writes = False

        site = self.site()
        site.getContentFile = lambda length: Closing()
        wire = self.connect(site).send(LARGE, b"abc").advance(21)
        self.assertRefused(wire, 408)
        self.assertOver(wire)
        site.limits = site.limits.__class__(maxBodyLength=2)
        for data in (LARGE, CHUNKED + b"3\r\nabc\r\n"):
            wire = self.connect(site).send(data)
            self.assertRefused(wire, 413)
        self.flushLoggedErrors(OSError)


class RequestTests(HooksTestCase):
    """
    A request's own code.
    """

    def test_each(self) -> None:
        """
        Each method that the channel calls, of our request and of Twisted's.
        """
        names = (
            "__init__",
            "parseCookies",
            "gotLength",
            "handleContentChunk",
            "requestReceived",
            "process",
            "render",
        )
        for base, name, kind, data in product(
            (Request, server.Request),
            names,
            KINDS,
            (post(b"abc"), GET, CHUNKED + b"3\r\nabc\r\n0\r\n\r\n"),
        ):
            if name == "handleContentChunk" and data == GET:
                continue
            Mine = type("Mine", (base,), {name: raising(kind)})
            wire = self.begin(Holding(), data, requestFactory=Mine)
            self.assertEqual([500], wire.statuses[:1], (base, name, kind, data))
            self.assertLogged(1)
            self.assertOver(wire, logged=False)

    def test_factory(self) -> None:
        """
        A factory that raises, also one that looks like our request.
        """
        for kind, serves in product(KINDS, (False, True)):

            def factory(channel: Any, queued: Any = None, kind: Any = kind) -> Any:
                return raising(kind)()

            made: Any = factory
            made.servesWhole = made.leavesFraming = serves
            wire = self.begin(None, GET, requestFactory=made)
            self.assertEqual([500], wire.statuses)
            self.assertOver(wire)

    def test_attributes(self) -> None:
        """
        Attributes of a resource that say anything, and of a request that take
        nothing.
        """
        chunked = CHUNKED + b"3\r\nabc\r\n0\r\nA: b\r\n\r\n"

        def get_odd(self: Any) -> Any:
            raise ZeroDivisionError

        for name, value, data in product(
            ("maxBodyLength", "isLeaf", "halfCloseTimeout"),
            ("1k", property(get_odd)),
            (post(b"abc"), chunked),
        ):
            if (name, value) == ("isLeaf", "1k"):
                continue
            Mine = type("Mine", (Holding,), {name: value})
            wire = self.begin(Mine(), data)
            self.assertEqual([500], wire.statuses[:1], (name, value, data))
            self.assertEqual(
                1, len(self.flushLoggedErrors(ZeroDivisionError, TypeError, ValueError))
            )
            self.assertOver(wire, logged=False)

        for base in (Request, server.Request):
            Mine = type("Mine", (base,), {"trailerFields": property(get_odd)})
            wire = self.begin(Holding(), chunked, requestFactory=Mine)
            self.assertEqual([500], wire.statuses[:1])
            self.flushLoggedErrors(AttributeError)
            self.assertOver(wire, logged=False)

    def test_processingFailed(self) -> None:
        """
        Where even the answer to a failure fails, at once and later.
        """
        for kind, later, begun in product(KINDS, (False, True), (False, True)):

            class Mine(Request):
                processingFailed = raising(kind)

            def render(request: Any, later: bool = later, begun: bool = begun) -> Any:
                if begun:
                    request.write(b"begun")
                if not later:
                    raise ZeroDivisionError
                waiting: Deferred[None] = Deferred()
                self.clock.callLater(1, lambda: waiting.errback(ZeroDivisionError()))
                return waiting

            wire = self.begin(render, GET, requestFactory=Mine).advance(2)
            if begun:
                self.assertCut(wire)
            else:
                self.assertEqual([500], wire.statuses)
            self.assertOver(wire)

    def test_writing(self) -> None:
        """
        C{write} and C{finish} of a subclass, for what a resource returns.
        """
        for name, kind, later in product(("write", "finish"), KINDS, (False, True)):
            Mine = type("Mine", (Request,), {name: raising(kind)})

            def render(request: Any, later: bool = later) -> Any:
                if not later:
                    return b"whole"
                waiting: Deferred[bytes] = Deferred()
                self.clock.callLater(1, waiting.callback, b"whole")
                return waiting

            wire = self.begin(render, GET, requestFactory=Mine).advance(2)
            if name == "write":
                self.assertEqual([500], wire.statuses)
            self.assertOver(wire)

    def test_afterTheAnswer(self) -> None:
        """
        A request that raises when it was answered: the connection goes on.
        """
        for kind in KINDS:

            class Mine(Request):
                kind: type[BaseException]

                def process(self) -> None:
                    super().process()
                    raising(self.kind)()

            Mine.kind = kind
            wire = self.begin(lambda request: b"x", GET, GET, requestFactory=Mine)
            self.assertEqual([200, 200], wire.statuses)
            self.assertLogged(2)

    def test_interrupted(self) -> None:
        """
        KeyboardInterrupt is nobody's failure: it leaves by the call that has led to
        it, and ends the program.
        """
        interrupts = raising(KeyboardInterrupt)

        class Closing(BytesIO):
            close = interrupts

        def content(request: Any) -> bytes:
            request.content = Closing()
            return b"x"

        def log(site: Any) -> None:
            site.log = interrupts

        class Processes(http.Request):
            process = interrupts

        cases: list[tuple[Any, bytes, Any, Callable[[Any], object]]] = [
            (Calls(interrupts), GET, Request, bool),
            (Doing(interrupts), LARGE, Request, bool),
            (Calls(bool), GET, interrupts, bool),
            (Calls(bool), GET, Processes, bool),
            (Calls(lambda request: b"x"), GET, Request, log),
            (Calls(content), GET, Request, bool),
        ]
        for resource, data, factory, change in cases:
            site = self.site(resource, requestFactory=factory)
            change(site)
            wire = self.connect(site)
            try:
                wire.send(data)
            except KeyboardInterrupt:
                pass
            else:
                self.fail(f"{resource} went on")
            self.assertEqual([], self.flushLoggedErrors())
            vars(site).pop("log", None)


class OtherTests(HooksTestCase):
    """
    Files, and protocols that take a connection.
    """

    @contextmanager
    def file(self, **methods: Any) -> Iterator[Any]:
        """
        A file on the disk that is read in another way.
        """
        path = self.mktemp()
        with open(path, "wb") as made:
            made.write(b"x" * 100_000)
        with open(path, "rb") as real:
            attributes = {"seek": real.seek, "read": real.read, "fileno": real.fileno}
            yield type("File", (), {**attributes, **methods})()

    def test_file(self) -> None:
        """
        A file-like object that raises, or gives what it should not, cuts the
        response that it is in, however that is framed.
        """
        methods: list[dict[str, Any]] = [{"read": raising(kind)} for kind in KINDS]
        methods += [{"seek": raising(kind)} for kind in KINDS]
        methods += [
            {"read": staticmethod(lambda size: "x" * size)},
            {"read": staticmethod(lambda size: b"x" * (size + 1))},
            {"read": staticmethod(lambda size: b"")},
            {"read": staticmethod(lambda size: None)},
        ]
        for method, data, length in product(methods, (GET, OLD), (True, False)):
            with self.file(**method) as file:
                ends: list[Any] = []

                def render(
                    request: Any,
                    file: Any = file,
                    ends: Any = ends,
                    length: bool = length,
                ) -> None:
                    if length:
                        request.setHeader(b"Content-Length", b"100000")
                    request.sendFile(file).addBoth(lambda end: ends.append(1))
                    request.finish()

                wire = self.begin(render, data)
                self.assertEqual([1], ends)
                self.assertTrue(wire.aborted or not wire.only().complete)
                self.flushLoggedErrors(*KINDS)
                self.assertOver(wire, logged=False)

    def test_successor(self) -> None:
        """
        A protocol that takes a connection and raises loses it.
        """
        upgrade = get(b"/", b"Connection: upgrade", b"Upgrade: thing")
        for name, kind in product(("makeConnection", "dataReceived"), KINDS):
            Raising = type("Raising", (Protocol,), {name: raising(kind)})

            def render(request: Any, Raising: Any = Raising) -> Any:
                request.responseHeaders.setRawHeaders(b"Upgrade", [b"thing"])
                request.switchProtocol(Raising())
                return NOT_DONE_YET

            wire = self.begin(render, upgrade + b"its bytes")
            self.assertTrue(wire.output.startswith(b"HTTP/1.1 101"))
            self.assertTrue(wire.aborted)
            self.assertOver(wire)
