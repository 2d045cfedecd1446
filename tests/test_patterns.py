"""
Regular expressions take time in proportion to what they look at.
"""

from __future__ import annotations

import re
from types import ModuleType, SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

import twisted_h11
from tests.support import patterns
from tests.support.patterns import Found, attacks, compiled_late, cost, patterns_of
from tests.support.times import TRIES

# Bytes of the longest text, and what it may cost: linear patterns take a tenth of
# that, quadratic ones ten times as much.
LENGTH = 8 * 1024
SECONDS = 0.01


def slowness(found: Found) -> str | None:
    """
    What makes a pattern slower than in proportion, if anything was found.  A bad
    figure has to be confirmed: there are thousands, and some are measured while the
    machine does something else.
    """
    for _ in range(TRIES):
        what = slowness_once(found)
        if what is None:
            break
    return what


def slowness_once(found: Found) -> str | None:
    """
    The same, as it was measured this time.
    """
    for before, pump, after in attacks(found.pattern):
        n = LENGTH // 4 // len(pump)
        for method in found.methods or {"match", "fullmatch"}:
            # An exponential pattern shows already with few.
            few, one, four = (
                cost(found, method, before + pump * count + after, SECONDS * 8)
                for count in (60, n, 4 * n)
            )
            if max(few, one) > SECONDS or four > max(SECONDS, 8 * one):
                what = f"{method} of {before!r} + {n} * {pump!r} + {after!r}"
                return f"{what}: {one}, {four} s"
    return None


class PatternTests(SynchronousTestCase):
    """
    The patterns of the package, all of them.
    """

    def test_linear(self) -> None:
        """
        No pattern takes more than four times as long for four times as much.
        """
        found = patterns_of(twisted_h11)
        self.assertGreater(len(found), 20)
        slow = {
            (*sorted(one.where), one.pattern.pattern): why
            for one in found
            if (why := slowness(one)) is not None
        }
        self.assertEqual({}, slow)

    def test_finds(self) -> None:
        """
        The patterns of modules are found, and none is compiled elsewhere.
        """
        names = {name for one in patterns_of(twisted_h11) for name in one.where}
        self.assertEqual([], compiled_late(twisted_h11))
        for name in (
            "twisted_h11._http.response_received._match_head",
            "twisted_h11._http.abnf.is_host",
        ):
            self.assertIn(name, names)

    def test_hidden(self) -> None:
        """
        In a class, a container, a default, a closure or a call, a pattern is found.
        """
        package = ModuleType("twisted_h11_hidden")
        package.__path__ = []
        source = (
            "import re\n"
            "class A:\n"
            "    one = re.compile('1')\n"
            "    @staticmethod\n"
            "    def method(x=re.compile('2')): pass\n"
            "box = {'k': [(re.compile('3'),)]}\n"
            "def make(p=re.compile('4')):\n"
            "    def inner(): return p\n"
            "    return inner\n"
            "closed = make(re.compile('5'))\n"
            "bound = re.compile('6').search\n"
            "def late(x): return re.sub('7', '', x)\n"
        )
        vars(package)["__name__"] = package.__name__
        exec(source, vars(package))
        self.patch(patterns, "inspect", SimpleNamespace(getsource=lambda _: source))
        found = patterns_of(package)
        self.assertEqual(set("1234567"), {one.pattern.pattern for one in found})

    def test_slowOnes(self) -> None:
        """
        The two ways to be slow that a head of fields invites are noticed.
        """
        value = rb"(?:[!-~]+(?:[ \t]+[!-~]+)*)?"
        for slow in (
            rb"(?:[a-z]+:[ \t]*" + value + rb"[ \t]*\r\n)*\r\n",
            rb"^(a)[ \t]*:[ \t]*(.*?)[ \t]*\r?$",
            rb"(?:[ab]+)+c",
            rb"(a|aa)*b",
            rb"[ \t]*x?[ \t]*;",
        ):
            self.assertIsNotNone(slowness_once(Found(re.compile(slow))), slow)
        for quick in (rb"(?:[a-z]+:[\t -~]*\r\n)*\r\n", rb"[a-z]+", rb"[0-9]{1,19}"):
            self.assertIsNone(slowness(Found(re.compile(quick))), quick)
