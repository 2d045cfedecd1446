"""
A certificate that is renewed under load, and noticed by looking.
"""

from __future__ import annotations

import time

from tests.long.test_tls_process import TLSProcessTestCase
from tests.support.handshakes import serial
from tests.support.long_cases import skip_unless_named

# From one look to the next, and what a busy machine may add.
A_MINUTE = 60.0
LATE = 5.0


class RenewalTests(TLSProcessTestCase):
    """
    Nobody sends a signal.
    """

    def setUp(self) -> None:
        """
        Skip unless it was asked for.
        """
        skip_unless_named()
        super().setUp()

    def test_withinAMinute(self) -> None:
        """
        The new certificate is shown within a minute, the old one never again, and no
        client fails.
        """
        old = serial(self.renew())
        _, (number,) = self.start(
            "--https", "0", "--certificates", "live", "--no-access-log"
        )
        with self.load(number) as visits:
            time.sleep(1)
            new = serial(self.renew())
            renewed = time.monotonic()
            while visits[-1] != new:
                self.assertLess(time.monotonic() - renewed, A_MINUTE + LATE)
                time.sleep(0.1)
            first = visits.index(new)
        self.assertEqual({old}, set(visits[:first]))
        # Clients that had begun before may be noted after one that has begun later.
        self.assertEqual({new}, set(visits[first + 4 :]))
