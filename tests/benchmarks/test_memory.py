"""
The level of the benchmarks that is measured in memory.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.benchmarks import memory
from tests.benchmarks.apps.resources import Foreign
from tests.benchmarks.cases import find_cases

SITES = (memory.twisted_site, memory.h11_site)
MEMORY = find_cases(["memory"])


def site_of(process: Callable[[Request], object]) -> memory.SiteFactory:
    """
    Twisted's site, whose requests are processed like this.
    """

    class Special(Request):
        def process(self) -> None:
            process(self)

    return partial(Site, requestFactory=Special)


def _waste(request: Request) -> None:
    """
    Several times as much work as a whole request.
    """
    sum(range(100_000))
    Request.process(request)


def _close(request: Request) -> None:
    """
    Ask for the close.
    """
    request.setHeader(b"connection", b"close")
    channel = request.channel
    Request.process(request)
    channel.loseConnection()


busy_site = site_of(_waste)


class MemoryTests(SynchronousTestCase):
    """
    The level in memory.
    """

    def test_oneSend(self) -> None:
        """
        What is answered in a later turn is sent by one call, on both sides.
        """
        for case in MEMORY:
            for make in SITES if case.turns else ():
                message = case.asked(memory.HOST)
                with memory.Side.of("it", make) as side:
                    side.seconds([message] * 32, 32 * side.check(case), True)
                    self.assertEqual((case.name, side.sends), (case.name, 32))

    def test_foreignRequests(self) -> None:
        """
        A foreign case has a framework's own class of requests on both sides.
        """
        seen = []

        def site(resource: Resource, **kwargs: Any) -> Site:
            seen.append(kwargs.get("requestFactory", Request))
            return Site(resource, **kwargs)

        for name, factory in (("minimal", Request), ("foreign", Foreign)):
            seen.clear()
            memory.ratio(name, site, site, 1, 1)
            self.assertEqual(seen, [factory, factory])

    def test_notMeasured(self) -> None:
        """
        A site that answers something else is not measured, nor one that closes, even
        if it answered everything.
        """

        def empty(resource: Resource, **kwargs: Any) -> Site:
            return Site(Resource(), **kwargs)

        with self.assertRaisesRegex(AssertionError, "ours.*404"):
            memory.ratio("minimal", empty, memory.twisted_site, 1, 4)
        with self.assertRaisesRegex(AssertionError, "theirs.*closed: True"):
            memory.ratio("minimal", memory.twisted_site, site_of(_close), 1, 1)
        # No case of another level, either.
        self.assertRaises(ValueError, memory.ratio, "new-connection")

    def test_collectorIsRestored(self) -> None:
        """
        The collector is off while time is taken, and as before afterwards.
        """
        seen = []

        def look(request: Request) -> None:
            seen.append(gc.isenabled())
            Request.process(request)

        self.addCleanup(gc.enable if gc.isenabled() else gc.disable)
        for switch in (gc.disable, gc.enable):
            switch()
            before = gc.isenabled()
            seen.clear()
            memory.ratio("minimal", site_of(look), memory.twisted_site, 1, 4)
            self.assertEqual(gc.isenabled(), before)
        # The first request is the check, which is not timed.
        self.assertEqual(set(seen[1:]), {False})

    def test_nothingLeft(self) -> None:
        """
        Both sides write one access line for each request; when they are done no timer
        is left, and no folder.
        """
        [case] = find_cases(["memory/minimal"])
        for make in SITES:
            with memory.Side.of("it", make) as side:
                side.seconds([case.asked(memory.HOST)] * 3, 3 * side.check(case))
                side._site.doStop()
                lines = side.log.read_bytes()
                self.assertEqual(lines.count(b'"GET / HTTP/1.1" 200'), 4)
            self.assertEqual(side._reactor.getDelayedCalls(), [])
            self.assertFalse(side.log.parent.exists())
