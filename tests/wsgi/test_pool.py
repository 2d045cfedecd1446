"""
The threads that applications run in, and their way back into the reactor's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.server_cases import GET, ServerTestCase
from tests.support.wsgi import Inline, inline
from twisted_h11._wsgi.hops import Hops
from twisted_h11._wsgi.threads import DaemonThreads
from twisted_h11.wsgi import WSGIResource


def patiently(condition: Callable[[], object]) -> bool:
    """
    Whether something happens in other threads, soon.
    """
    end = time.monotonic() + 20
    while not condition() and time.monotonic() < end:
        time.sleep(0.001)
    return bool(condition())


class PoolTests(SynchronousTestCase):
    """
    L{DaemonThreads}.
    """

    def setUp(self) -> None:
        """
        Make a pool of three.
        """
        self.pool = DaemonThreads(3, "test")
        self.addCleanup(self.pool.stop)
        self.names: list[str] = []

    def note(self) -> None:
        """
        Note who was called.
        """
        self.names.append(threading.current_thread().name)

    def noted(self, count: int) -> bool:
        """
        Whether so many calls were noted.
        """
        return len(self.names) == count

    def busy(self, count: int) -> threading.Event:
        """
        Occupy some threads, until the event is set.
        """
        go = threading.Event()
        running = threading.Semaphore(0)

        def work() -> None:
            running.release()
            go.wait(20)

        for _ in range(count):
            self.pool.callInThread(work)
        for _ in range(min(count, 3)):
            self.assertTrue(running.acquire(timeout=20), "a thread is missing")
        return go

    def idle(self) -> bool:
        """
        Whether all threads that were begun wait for work.
        """
        return len(self.pool._idle) == self.pool._count

    def test_longWork(self) -> None:
        """
        Work that takes long does not keep other work waiting while there is
        another thread; more than there are threads waits, in order.
        """
        for _ in range(3):
            go = self.busy(3)
            for _ in range(5):
                self.pool.callInThread(self.note)
            self.assertEqual([], self.names)
            go.set()
            self.assertTrue(patiently(lambda: len(self.names) == 5))
            self.names.clear()
            self.assertTrue(patiently(self.idle))

    def test_oneIsEnough(self) -> None:
        """
        Work that comes when the one before is done is done by the same thread,
        although others are idle.
        """
        self.busy(3).set()
        self.assertTrue(patiently(self.idle))
        for number in range(1, 30):
            self.pool.callInThread(self.note)
            self.assertTrue(patiently(partial(self.noted, number)))
            self.assertTrue(patiently(self.idle))
        self.assertEqual(1, len(set(self.names)), self.names)

    def test_failure(self) -> None:
        """
        A thread survives what it calls.
        """
        self.pool.callInThread(lambda: 1 / 0)
        self.assertTrue(patiently(self.idle))
        self.pool.callInThread(self.note)
        self.assertTrue(patiently(lambda: self.names))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_noThread(self) -> None:
        """
        Where the system gives no thread, that is raised, and what was to be done
        is forgotten; where there is one already it does what there is to do.
        """
        start = threading.Thread.start

        def refuse(_: Any) -> None:
            raise RuntimeError("can't start new thread")

        self.patch(threading.Thread, "start", refuse)
        self.assertRaises(RuntimeError, self.pool.callInThread, self.note)
        self.patch(threading.Thread, "start", start)
        go = self.busy(1)
        self.assertEqual([], self.names)
        self.patch(threading.Thread, "start", refuse)
        self.pool.callInThread(self.note)
        go.set()
        self.assertTrue(patiently(lambda: self.names))

    def test_begunByAnother(self) -> None:
        """
        A thread that finds more to do than it takes begins another one; where the
        system gives none it does all of it, and the log says so.
        """
        begun: list[Callable[[], None]] = []

        class Thread:
            most = 2

            def __init__(self, target: Any, name: str, daemon: bool) -> None:
                self.target = target

            def start(self) -> None:
                if len(begun) == self.most:
                    raise RuntimeError("can't start new thread")
                begun.append(self.target)

        self.patch(threading, "Thread", Thread)
        for Thread.most in (2, 1):
            pool = DaemonThreads(3, "test")
            pool.callInThread(self.note)
            pool.callInThread(self.note)
            self.assertEqual(1, len(begun))
            pool.stop()
            begun[0]()
            self.assertEqual(2, len(self.names))
            self.assertEqual(Thread.most, len(begun))
            self.assertEqual(Thread.most - 1, pool._count)
            failures = len(self.flushLoggedErrors(RuntimeError))
            self.assertEqual(2 - Thread.most, failures)
            self.names.clear()
            begun.clear()

    def test_stop(self) -> None:
        """
        After C{stop} what waits is done, and the threads end.
        """
        go = self.busy(3)
        self.pool.callInThread(self.note)
        self.pool.stop()
        go.set()
        self.assertTrue(patiently(lambda: self.pool._count == 0))
        self.assertEqual(1, len(self.names))


class Turns:
    """
    A reactor that is told when to look.
    """

    def __init__(self) -> None:
        self.calls: list[Callable[[], object]] = []
        self.woken = 0

    def callFromThread(self, call: Callable[[], object]) -> None:
        """
        Note it.
        """
        self.woken += 1
        self.calls.append(call)

    def turn(self) -> None:
        """
        Call what was noted.
        """
        calls, self.calls = self.calls, []
        for call in calls:
            call()


class HopsTests(SynchronousTestCase):
    """
    L{Hops}.
    """

    def test_joined(self) -> None:
        """
        What comes within one turn wakes the reactor once, and is called in order;
        what one of them adds is called in the next turn.
        """
        reactor = Turns()
        seen: list[int] = []
        hops = Hops(reactor)
        for number in range(5):
            hops.call(partial(seen.append, number))
        hops.call(lambda: hops.call(lambda: seen.append(5)))
        self.assertEqual(1, reactor.woken)
        reactor.turn()
        self.assertEqual([0, 1, 2, 3, 4], seen)
        self.assertEqual(2, reactor.woken)
        reactor.turn()
        self.assertEqual([0, 1, 2, 3, 4, 5], seen)

    def test_failure(self) -> None:
        """
        A call that fails does not keep the others from being called.
        """
        reactor = Turns()
        seen: list[int] = []
        hops = Hops(reactor)
        hops.call(lambda: 1 / 0)
        hops.call(lambda: seen.append(1))
        reactor.turn()
        self.assertEqual([1], seen)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_manyThreads(self) -> None:
        """
        Nothing is lost, whenever the reactor looks.
        """
        reactor = Turns()
        seen: list[int] = []
        hops = Hops(reactor)

        def work() -> None:
            for _ in range(500):
                hops.call(lambda: seen.append(1))

        threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            reactor.turn()
        while reactor.calls:
            reactor.turn()
        self.assertEqual(2000, len(seen))


class NoThreadTests(ServerTestCase):
    """
    A pool that can not begin a thread.
    """

    def test_placeIsGivenBack(self) -> None:
        """
        The request is answered with 500 and takes no place any more: neither is a
        later one refused because of it, nor does the end wait for it.
        """

        class Empty:
            max = 1

            def callInThread(self, work: object) -> None:
                raise RuntimeError("can't start new thread")

        resource = WSGIResource(Inline(self.clock), Empty(), lambda *_: [])
        wire = self.talk(resource, GET + GET, limits={"maxThreadQueue": 0})
        self.assertEqual([500, 500], wire.statuses)
        self.assertEqual(2, len(self.flushLoggedErrors(RuntimeError)))
        self.assertEqual([], self.successResultOf(resource.drain(10)))


class DrainTests(ServerTestCase):
    """
    The end of a resource.
    """

    def test_anotherMeanwhile(self) -> None:
        """
        A request that comes when the last one is over, and before that is known, is
        waited for, too.
        """

        def application(environ: Any, start: Any) -> list[bytes]:
            start("200 OK", [])
            return [b"done"]

        resource = inline(self.clock, application, later=True)
        site = self.site(resource)
        one, two = self.connect(site), self.connect(site)
        one.send(GET)
        draining = resource.drain(20)
        resource._threads.runOne()
        two.channel.dataReceived(GET)
        one.pump()
        self.assertNoResult(draining)
        resource._threads.runOne()
        two.pump()
        self.assertEqual([], self.successResultOf(draining))
        for wire in (one, two):
            self.assertEqual(b"done", wire.only().body)
