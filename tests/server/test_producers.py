"""
Producers: back-pressure from the socket reaches whoever makes the response.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase
from twisted.web import server
from zope.interface import implementer

from tests.support.leaks import LeakChecks
from tests.support.server_cases import FAST_PATH, GET, Calls, ServerTestCase, get
from tests.support.wire import Wire
from twisted_h11.server import Request, Site

BOTH = (Request, server.Request)


@implementer(IPushProducer)
class Push:
    """
    A push producer that notes what it is told.
    """

    def __init__(self, request: Any) -> None:
        self.request = request
        self.calls: list[str] = []

    def pauseProducing(self) -> None:
        """
        Note.
        """
        self.calls.append("pause")

    def resumeProducing(self) -> None:
        """
        Note.
        """
        self.calls.append("resume")

    def stopProducing(self) -> None:
        """
        Note.
        """
        self.calls.append("stop")


@implementer(IPullProducer)
class Pull:
    """
    A pull producer of a few pieces.
    """

    def __init__(self, request: Any, pieces: int, size: int = 1000) -> None:
        self.request = request
        self.left = pieces
        self.size = size
        self.stopped = False

    def resumeProducing(self) -> None:
        """
        Write one piece, or end.
        """
        if self.left == 0:
            self.request.unregisterProducer()
            self.request.finish()
            return
        self.left -= 1
        self.request.write(b"x" * self.size)

    def stopProducing(self) -> None:
        """
        Note.
        """
        self.stopped = True


class PushTests(ServerTestCase):
    """
    Push producers.
    """

    def begin(self, factory: Any) -> tuple[Wire, Push]:
        """
        A request with a push producer.
        """
        producers: list[Push] = []

        def render(request: Any) -> None:
            producer = Push(request)
            request.registerProducer(producer, True)
            producers.append(producer)

        wire = self.talk(render, GET, requestFactory=factory)
        return wire, producers.pop()

    def finish(self, producer: Push) -> None:
        """
        End the response.
        """
        producer.request.unregisterProducer()
        producer.request.finish()
        del producer.request

    def test_pausedAndResumed(self) -> None:
        """
        It is paused when the client reads too little, and resumed after.
        """
        for factory in BOTH:
            wire, producer = self.begin(factory)
            self.assertEqual([], producer.calls)
            wire.stall()
            producer.request.write(b"x" * 200_000)
            self.assertEqual(["pause"], producer.calls)
            wire.drain()
            self.assertEqual(["pause", "resume"], producer.calls)
            self.finish(producer)
            self.assertEqual(200_000, len(wire.only().body))

    def test_registeredWhileFull(self) -> None:
        """
        One that is registered while the client reads nothing is told so.
        """
        producers: list[Push] = []

        def render(request: Any) -> None:
            request.write(b"x" * 200_000)
            producer = Push(request)
            request.registerProducer(producer, True)
            producers.append(producer)

        wire = self.connect(self.site(render)).stall()
        wire.send(GET)
        producer = producers.pop()
        self.assertEqual(["pause"], producer.calls)
        wire.drain()
        self.assertEqual(["pause", "resume"], producer.calls)
        self.finish(producer)

    def test_stoppedWhenTheClientGoes(self) -> None:
        """
        It is stopped when the connection is lost, and heard no more.
        """
        for factory in BOTH:
            wire, producer = self.begin(factory)
            wire.vanish()
            self.assertEqual(["stop"], producer.calls)
            del producer.request

    def test_stoppedWhilePaused(self) -> None:
        """
        Also while it is paused.
        """
        wire, producer = self.begin(Request)
        wire.stall()
        producer.request.write(b"x" * 200_000)
        wire.vanish()
        self.assertEqual(["pause", "stop"], producer.calls)
        producer.request.write(b"too late")
        del producer.request

    def test_secondOne(self) -> None:
        """
        A second one is a RuntimeError of the channel; the first goes on.
        """
        for factory in BOTH:
            wire, producer = self.begin(factory)
            self.raised(
                RuntimeError,
                producer.request.channel.registerProducer,
                Push(producer.request),
                True,
            )
            wire.stall()
            producer.request.write(b"x" * 200_000)
            self.assertEqual(["pause"], producer.calls)
            wire.drain()
            self.finish(producer)
            self.assertTrue(wire.only().complete)

    def test_oneAfterTheOther(self) -> None:
        """
        After it is unregistered another may be registered.
        """
        wire, producer = self.begin(Request)
        request = producer.request
        request.unregisterProducer()
        other = Push(request)
        request.registerProducer(other, True)
        wire.stall()
        request.write(b"x" * 200_000)
        self.assertEqual(([], ["pause"]), (producer.calls, other.calls))
        wire.drain()
        del request, producer.request
        self.finish(other)

    def test_transportProducer(self) -> None:
        """
        C{transport.producer} is what the channel registered: its pause,
        resume and stop reach the request's producer.
        """
        wire, producer = self.begin(Request)
        registered = wire.transport.producer
        registered.pauseProducing()
        registered.resumeProducing()
        self.assertEqual(["pause", "resume"], producer.calls)
        registered.stopProducing()
        self.assertEqual(["pause", "resume", "stop"], producer.calls)
        del registered
        wire.vanish()
        self.assertEqual(1, producer.calls.count("stop"))
        del producer.request

    def test_notUnregistered(self) -> None:
        """
        A response that is finished without unregistering its producer is
        logged, as twisted.web does, and the next request is not hurt.
        """
        wire, producer = self.begin(Request)
        producer.request.finish()
        del producer.request
        self.assertEqual(1, len(self.flushLoggedErrors(RuntimeError)))
        wire.send(get(b"/2"))
        self.assertEqual([200], wire.statuses[:1])

    def test_noFlapping(self) -> None:
        """
        While the client does not read, each further write pauses nothing anew.
        """
        wire, producer = self.begin(Request)
        wire.stall()
        for _ in range(100):
            producer.request.write(b"x" * 10_000)
        self.assertEqual(["pause"], producer.calls)
        wire.drain()
        self.assertEqual(["pause", "resume"], producer.calls)
        self.finish(producer)


def turns(condition: Callable[[], bool], most: int = 5000) -> Deferred[None]:
    """
    Let the reactor turn until C{condition} holds.
    """

    def look(left: int) -> Any:
        if condition() or left == 0:
            return None
        return deferLater(reactor, 0, look, left - 1)

    result: Deferred[None] = deferLater(reactor, 0, look, most)
    return result


class PullTests(LeakChecks, TestCase):
    """
    Pull producers, which are asked once in a turn of the reactor.
    """

    def setUp(self) -> None:
        """
        Watch what is left over.
        """
        self.beginLeakChecks()
        self.addCleanup(self.endLeakChecks)

    def connect(self, render: Any, factory: Any) -> Wire:
        """
        A connection in memory to a site that serves C{render}.
        """
        site: Any = Site(
            Calls(render),
            reactor=self.clock,
            requestFactory=factory,
            fastPath=FAST_PATH,
        )
        return Wire(site, self.clock)

    async def ended(self, wire: Wire, count: int) -> None:
        """
        Let the reactor turn until C{count} chunked responses have ended.
        """
        await turns(lambda: wire.output.count(b"\r\n0\r\n\r\n") == count)
        wire.pump()

    async def test_all(self) -> None:
        """
        All its pieces arrive, then the response ends.
        """
        for factory in BOTH:

            def render(request: Any) -> None:
                request.registerProducer(Pull(request, 20), False)

            wire = self.connect(render, factory).send(GET, GET)
            await self.ended(wire, 1)
            await self.ended(wire, 2)
            self.assertEqual([20_000, 20_000], [len(r.body) for r in wire.responses])
            wire.vanish()

    async def test_paused(self) -> None:
        """
        It is not asked while the client does not read.
        """
        for factory in BOTH:
            producers: list[Pull] = []

            def render(request: Any, producers: list[Pull] = producers) -> None:
                producers.append(Pull(request, 1000, 10_000))
                request.registerProducer(producers[0], False)

            wire = self.connect(render, factory)
            wire.stall()
            wire.send(GET)
            (producer,) = producers
            await turns(lambda: False, 50)
            self.assertGreater(producer.left, 950)
            left = producer.left
            await turns(lambda: False, 20)
            self.assertEqual(left, producer.left)
            wire.drain()
            await self.ended(wire, 1)
            self.assertEqual(10_000_000, len(wire.only().body))
            wire.vanish()
            producers.clear()

    async def test_clientGone(self) -> None:
        """
        It is stopped, once, when the client goes, and not asked again.
        """
        producers: list[Pull] = []

        def render(request: Any) -> None:
            producers.append(Pull(request, 1000))
            request.registerProducer(producers[0], False)

        wire = self.connect(render, Request).stall().send(GET)
        await turns(lambda: False, 5)
        wire.vanish()
        producer = producers.pop()
        left = producer.left
        self.assertTrue(producer.stopped)
        await turns(lambda: False, 5)
        self.assertEqual(left, producer.left)
        del producer.request

    async def test_raises(self) -> None:
        """
        One that raises is logged, and its response is a 500.
        """

        class Raising(Pull):
            def resumeProducing(self) -> None:
                raise ZeroDivisionError

        requests: list[Any] = []

        def render(request: Any) -> None:
            requests.append(request)
            request.registerProducer(Raising(request, 1), False)

        wire = self.connect(render, Request).send(GET)
        await turns(lambda: False, 5)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertEqual([500], wire.statuses)
        self.assertRaises(RuntimeError, requests.pop().finish)
        wire.vanish()
