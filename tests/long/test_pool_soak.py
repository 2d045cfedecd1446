"""
Ten thousand requests through a small pool.
"""

from __future__ import annotations

from tests.client import test_pool_soak as soak
from tests.support.long_cases import skip_unless_named


class LongSoakTests(soak.SoakTests):
    """
    The same for longer.
    """

    requests = 10_000

    def setUp(self) -> None:
        """
        Skip unless it was asked for.
        """
        skip_unless_named()
