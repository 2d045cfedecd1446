"""
Every case of the client's corpus, in three splittings, with the fast path and without.

Each case becomes a test method of its own; see L{tests.support.client_corpus} for how
they are written.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from typing import Any

from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss

from tests.support.client_cases import ClientTestCase
from tests.support.client_corpus import ClientCase, load_client_cases
from tests.support.wire import splittings

SEED = int(os.environ.get("TEST_SEED", 0)) or random.randrange(1, 2**31)


def name_of_end(reason: Failure | None) -> str:
    """
    How a response has ended, as C{end:} says it.
    """
    if reason is None:
        return "open"
    error: Any = reason.value
    if isinstance(error, ResponseDone):
        return "done"
    if isinstance(error, PotentialDataLoss):
        return "lost"
    return type(error.reasons[-1].value).__name__


class ClientCorpusTests(ClientTestCase):
    """
    What the program sees, how the response ends, and what the connection is then.
    """

    def check(
        self, case: ClientCase, fast: bool, how: str, pieces: Sequence[bytes]
    ) -> None:
        """
        Run one case in one splitting.
        """
        where = f"{case.where}, {how}, fast path {fast}"
        agent = self.makeAgent(fastPath=fast, **case.settings)
        deferred, peer = self.ask(agent, case.method)
        results: list[Any] = []
        deferred.addBoth(results.append)
        reader = None
        for piece in pieces:
            peer.send(piece)
            self.clock.advance(0)
            if reader is None and results and not isinstance(results[0], Failure):
                reader = self.read(results[0])
        if case.ends and not peer.gone and not peer.closed:
            peer.end()
        if reader is not None:
            self.assertEqual(case.status, results[0].code, where)
            end = name_of_end(reader.reason)
            self.assertEqual(case.end, end, where)
            if end in ("done", "lost", "open", "UnexpectedEnd"):
                self.assertEqual(case.body, reader.data, where)
            else:
                self.assertTrue(case.body.startswith(reader.data), where)
        else:
            self.assertIsNone(case.status, f"{where}: {results}")
            end = name_of_end(results[0]) if results else "open"
            self.assertEqual(case.end, end, where)
        self.clock.advance(0)
        ended = peer.closed or peer.gone
        self.assertEqual(case.then, "close" if ended else "open", where)


def _make(case: ClientCase) -> Callable[[ClientCorpusTests], None]:
    """
    The test method of one case.
    """

    def test(self: ClientCorpusTests) -> None:
        for fast in (True, False):
            for how, pieces in splittings(case.data, SEED):
                self.check(case, fast, how, pieces)

    test.__doc__ = f"{case.title} ({case.rfc})."
    test.__name__ = case.name
    return test


for _case in load_client_cases():
    setattr(ClientCorpusTests, _case.name, _make(_case))


class WrittenTests(SynchronousTestCase):
    """
    How the cases are written.
    """

    def test_different(self) -> None:
        """
        No two cases answer the same method with the same bytes and settings.
        """
        found: dict[Any, list[str]] = {}
        for case in load_client_cases():
            settings = tuple(sorted(case.settings.items()))
            key = case.method, case.data, case.ends, settings
            found.setdefault(key, []).append(case.where)
        self.assertEqual([], [same for same in found.values() if len(same) > 1])
