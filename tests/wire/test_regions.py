"""
What sends a region of a file, by itself.
"""

from __future__ import annotations

import io
import tempfile
from typing import Any
from unittest.mock import Mock

from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._wire.files import FileRegion, RegionSender


class SenderTests(SynchronousTestCase):
    """
    L{RegionSender}, on a transport that notes what it is asked for.
    """

    def sender(self, file: Any, count: int, bare: bool) -> RegionSender:
        """
        Begin to send.
        """
        self.transport = Mock()
        self.done: list[BaseException | None] = []
        region = FileRegion(file, 0, count)
        return RegionSender(self.transport, region, bare, self.done.append)

    def test_nothing(self) -> None:
        """
        A region of no length is over when its turn comes, and nothing is read.
        """
        with tempfile.TemporaryFile() as stored:
            for file in (stored, io.BytesIO(b"abc")):
                sender = self.sender(file, 0, True)
                sender.start(False)
                self.assertEqual([], self.done)
                sender.resumeProducing()
                self.assertEqual([None], self.done)
                self.transport.write.assert_not_called()
                self.transport.unregisterProducer.assert_called_once_with()

    def test_interrupted(self) -> None:
        """
        A C{KeyboardInterrupt} within a file goes on.
        """
        file: Any = Mock(**{"read.side_effect": KeyboardInterrupt})
        sender = self.sender(file, 5, False)
        self.assertRaises(KeyboardInterrupt, sender.start, False)
        sender = self.sender(file, 5, True)
        sender.start(False)
        self.assertRaises(KeyboardInterrupt, sender.resumeProducing)
        self.assertEqual([], self.done)
