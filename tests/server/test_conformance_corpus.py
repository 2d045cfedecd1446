"""
Every case of the corpus, in three splittings.

Each case becomes a test method of its own; see L{tests.support.corpus} for how
they are written.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.corpus import Case, load_cases
from tests.support.server_cases import Echo, ServerTestCase
from tests.support.wire import splittings
from twisted_h11.server import Limits

SEED = int(os.environ.get("TEST_SEED", 0)) or random.randrange(1, 2**31)


class CorpusTests(ServerTestCase):
    """
    What comes back, what the application saw, and what the connection is then.
    """

    def check(self, case: Case, how: str, pieces: Sequence[bytes]) -> None:
        """
        Run one case in one splitting.
        """
        echo = Echo()
        wire = self.connect(self.site(echo, limits=case.limits)).send(*pieces)
        if case.ends:
            wire.halfClose()
        where = f"{case.where}, {how}"
        self.assertEqual(case.statuses, wire.statuses, where)
        seen = [
            b" ".join([one.method, one.uri] + [one.body] * bool(one.body))
            for one in echo.seen
        ]
        if case.seen is None:
            answered = sum(status < 400 for status in case.statuses)
            self.assertEqual(answered, len(seen), where)
        else:
            self.assertEqual(case.seen, seen, where)
        if case.then == "open":
            self.assertFalse(wire.transport.disconnecting, where)
            return
        if not case.ends:
            self.assertTrue(wire.responses[-1].closes, where)
        if case.statuses[-1] >= 400:
            self.assertRefused(wire, case.statuses[-1])
        wire.settle(Limits().lingerTimeout + 1)
        self.assertTrue(wire.closed, where)
        self.assertFalse(wire.aborted, where)


def _make(case: Case) -> Callable[[CorpusTests], None]:
    """
    The test method of one case.
    """

    def test(self: CorpusTests) -> None:
        for how, pieces in splittings(case.data, SEED):
            self.check(case, how, pieces)

    test.__doc__ = f"{case.title} ({case.rfc})."
    test.__name__ = case.name
    return test


for _case in load_cases():
    setattr(CorpusTests, _case.name, _make(_case))


class WrittenTests(SynchronousTestCase):
    """
    How the cases are written.
    """

    def test_different(self) -> None:
        """
        No two cases try the same bytes with the same limits.
        """
        found: dict[Any, list[str]] = {}
        for case in load_cases():
            key = case.data, case.ends, tuple(sorted(case.limits.items()))
            found.setdefault(key, []).append(case.where)
        self.assertEqual([], [same for same in found.values() if len(same) > 1])
