"""
Descriptors: as many as there may be, no more connections than there are, and one
line about it.
"""

from __future__ import annotations

import resource
from typing import Any
from unittest import mock

from twisted.internet.address import IPv4Address

from tests.support.memory import SERVER, MemoryTransport
from tests.support.server_cases import GET, ServerTestCase
from tests.support.wire import Wire
from twisted_h11._boundary import descriptors as descriptors_module
from twisted_h11._boundary.descriptors import descriptor_limit, raise_descriptor_limit


class Limited:
    """
    As much of the module C{resource} as is asked.
    """

    RLIMIT_NOFILE = resource.RLIMIT_NOFILE
    RLIM_INFINITY = resource.RLIM_INFINITY

    def __init__(self, soft: int, hard: int, refuses: bool = False) -> None:
        self.soft, self.hard, self.refuses = soft, hard, refuses

    def getrlimit(self, which: int) -> tuple[int, int]:
        """
        The two limits.
        """
        assert which == self.RLIMIT_NOFILE
        return self.soft, self.hard

    def setrlimit(self, which: int, limits: tuple[int, int]) -> None:
        """
        Set them.
        """
        assert which == self.RLIMIT_NOFILE
        if self.refuses:
            raise ValueError("current limit exceeds maximum limit")
        self.soft, self.hard = limits


class LimitTests(ServerTestCase):
    """
    The limits of the process, and what a site makes of them.
    """

    def limited(self, *limits: Any) -> Limited:
        """
        Have these limits from now on.
        """
        made = Limited(*limits)
        patch = mock.patch.object(descriptors_module, "resource", made)
        patch.start()
        self.addCleanup(patch.stop)
        return made

    def warnings(self, word: str = "descriptors") -> list[str]:
        """
        What was said about them.
        """
        return [text for text in self.messages() if word in text]

    def test_raised(self) -> None:
        """
        The soft limit becomes the hard one.
        """
        made = self.limited(1024, 5000)
        raise_descriptor_limit()
        self.assertEqual((5000, 5000), (made.soft, made.hard))
        self.assertEqual(5000, descriptor_limit())

    def test_notRaised(self) -> None:
        """
        Where it can not be raised it stays what it is.
        """
        made = self.limited(1024, 5000, True)
        raise_descriptor_limit()
        self.assertEqual(1024, made.soft)

    def test_noLimit(self) -> None:
        """
        There may be no limit, or no such thing as limits.
        """
        self.limited(resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        self.assertIsNone(descriptor_limit())
        with mock.patch.object(descriptors_module, "resource", None):
            raise_descriptor_limit()
            self.assertIsNone(descriptor_limit())
            self.site(start=True)
        self.assertEqual([], self.warnings())

    def test_warned(self) -> None:
        """
        The log warns when C{maxConnections} is more than there are descriptors for.
        """
        self.limited(1024, 1024)
        for most in (10_000, None, 1000):
            self.events.clear()
            self.site(limits={"maxConnections": most}, start=True)
            (text,) = self.warnings()
            self.assertIn(f"maxConnections is {most}", text)
            self.assertIn("no more than 896 connections", text)
            self.assertIn("LimitNOFILE=", text)

    def test_enough(self) -> None:
        """
        It says nothing when there are enough.
        """
        self.limited(20_000, 20_000)
        self.site(start=True)
        self.assertEqual([], self.warnings())

    def connected(self, site: Any, number: int) -> Wire:
        """
        One more connection.
        """
        address = IPv4Address("TCP", "192.0.2.1", number)
        return self.connect(site, MemoryTransport(SERVER, address))

    def test_usedUp(self) -> None:
        """
        When there is none left further connections are closed, which is said once;
        as soon as others have gone newcomers are served.
        """
        self.limited(50, 50)
        site = self.site(limits={"maxConnections": None}, start=True)
        self.events.clear()
        wires = [self.connected(site, number) for number in range(100)]
        self.assertEqual([False] * 26 + [True] * 74, [w.aborted for w in wires])
        (text,) = self.messages()
        self.assertIn("descriptors of this process are used up (50)", text)
        wires[0].vanish()
        self.assertEqual([200], self.connected(site, 1).send(GET).statuses)
        self.assertTrue(self.connected(site, 2).aborted)
        self.assertEqual(1, len(self.messages()))
        for wire in wires:
            wire.vanish()
        again = [self.connected(site, number) for number in range(27)]
        self.assertTrue(again[-1].aborted)
        self.assertEqual(2, len(self.warnings("are used up")))

    def test_moreLater(self) -> None:
        """
        Who is allowed more while it runs takes more.
        """
        made = self.limited(50, 50)
        site = self.site(limits={"maxConnections": None}, start=True)
        for number in range(26):
            self.connected(site, number)
        made.soft = 60
        self.assertEqual([200], self.connected(site, 1).send(GET).statuses)
        self.assertEqual([], self.warnings("used up"))
