"""
The ports that tests give to the programs that they start.
"""

from __future__ import annotations

import socket

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.support import ports


class FreePortTests(SynchronousTestCase):
    """
    L{ports.free_port}.
    """

    def bound(self, number: int) -> int:
        """
        Take a port.

        @return: its number.
        """
        taken = socket.socket()
        self.addCleanup(taken.close)
        taken.bind(("127.0.0.1", number))
        found: int = taken.getsockname()[1]
        return found

    def test_apart(self) -> None:
        """
        It is none that the system gives to whoever asks for any.
        """
        if ports.RANGE.stop > ports.given_out():
            raise SkipTest("this system gives out nearly all ports")
        for _ in range(20):
            self.assertNotIn(self.bound(0), ports.RANGE)
        for _ in range(20):
            self.assertIn(ports.free_port(), ports.RANGE)

    def test_free(self) -> None:
        """
        It is none that somebody has.
        """
        first, second = ports.free_port(), ports.free_port()
        self.bound(first)
        self.patch(ports, "RANGE", [first, second])
        self.assertEqual({second}, {ports.free_port() for _ in range(20)})
        self.bound(second)
        self.assertRaises(RuntimeError, ports.free_port)
