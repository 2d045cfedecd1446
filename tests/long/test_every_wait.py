"""
No connection waits for ever, wherever its client stops.
"""

from __future__ import annotations

from tests.server import test_every_wait_ends
from tests.support.long_cases import unnamed

skip = unnamed()


class EveryPlaceTests(test_every_wait_ends.EveryWaitEndsTests):
    """
    Every place of every request, where the quick suite tries some.
    """

    thin = False
