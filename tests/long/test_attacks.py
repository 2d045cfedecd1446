"""
Slow clients by the thousand, with slowhttptest.
"""

from __future__ import annotations

import subprocess
import time

from twisted.trial.unittest import SkipTest

from tests.support.long_cases import LongTestCase
from tests.support.optional import find_program

# Shorter than the defaults, so that each case ends within a minute.
LIMITS = (
    "headTimeout=8",
    "firstByteTimeout=8",
    "rateWindow=6",
    "lingerTimeout=2",
    "abortTimeout=3",
)


class AttackTests(LongTestCase):
    """
    1,000 connections in each of the tool's modes.
    """

    def attack(self, longest: float, path: str, *mode: str) -> None:
        """
        Attack for half a minute, with a normal client all the while.

        @param longest: seconds that a connection of the attacker may live.
        @param path: what it asks for.
        """
        program = find_program("slowhttptest")
        if program is None:
            raise SkipTest("slowhttptest is not installed")
        server = self.server(
            "ours", *LIMITS, LONG_FILE=self.file(64 << 20), LONG_AGES="1"
        )
        descriptors = server.state()["descriptors"]
        url = f"http://127.0.0.1:{server.port}{path}"
        command = [program, "-c", "1000", "-r", "250", "-l", "30", "-p", "3"]
        attacker = subprocess.Popen(
            [*command, *mode, "-u", url],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.addCleanup(attacker.wait)
        waited: list[float] = []
        oldest, most = 0.0, 0
        try:
            while attacker.poll() is None:
                started = time.monotonic()
                self.assertEqual(b"hello", server.get("/hello"))
                waited.append(time.monotonic() - started)
                state = server.state()
                oldest = max(oldest, state["oldest"])
                most = max(most, state["connections"])
                time.sleep(0.1)
        finally:
            attacker.kill()
        end = time.monotonic() + longest + 5
        while server.state()["connections"] > 1 and time.monotonic() < end:
            time.sleep(0.2)
        state = server.state()
        self.say(
            f"{most} connections at most, the oldest {oldest:.1f} s; "
            f"{len(waited)} normal requests, the slowest {1000 * max(waited):.0f} ms; "
            f"{state['connections']} connections and "
            f"{state['descriptors'] - descriptors} descriptors are left"
        )
        self.assertGreater(most, 500, "that was no attack")
        self.assertLess(oldest, longest)
        self.assertLess(max(waited), 1)
        self.assertEqual(1, state["connections"])
        self.assertEqual(descriptors, state["descriptors"])

    def test_slowHeads(self) -> None:
        """
        A field line every three seconds.
        """
        self.attack(15, "/hello", "-H", "-i", "3", "-x", "24")

    def test_slowBodies(self) -> None:
        """
        A few bytes of a body every three seconds, collected or streamed.
        """
        for path in ("/buffered", "/stream"):
            self.attack(18, path, "-B", "-i", "3", "-s", "8192", "-x", "10")

    def test_slowReaders(self) -> None:
        """
        32 bytes of a large response every five seconds.
        """
        window = ("-w", "512", "-y", "1024", "-n", "5", "-z", "32")
        for path in ("/file", "/large"):
            self.attack(20, path, "-X", *window)
