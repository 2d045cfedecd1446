"""
How much of what was written a peer has taken.
"""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet import abstract, tcp
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._wire.progress import bytes_taken


class OldKernel(socket.socket):
    """
    A socket of a kernel that does not count what was acknowledged.
    """

    def getsockopt(self, *arguments: Any) -> Any:
        """
        The structure as it was.
        """
        return bytes(104)


class TakenTests(SynchronousTestCase):
    """
    L{bytes_taken}.
    """

    def taken(self, handle: socket.socket) -> int | None:
        """
        What is known of a transport that still keeps five bytes.
        """
        transport: Any = tcp.Server.__new__(tcp.Server)
        reactor: Any = Clock()
        abstract.FileDescriptor.__init__(transport, reactor)
        transport.getHandle = lambda: handle
        transport.dataBuffer = b"hello"
        return bytes_taken(transport)

    def test_notCounted(self) -> None:
        """
        Where the kernel does not tell, what the transport keeps does; so it is with a
        socket that is closed.
        """
        with socket.socket() as closed, OldKernel() as old:
            closed.close()
            for handle in (closed, old):
                self.assertEqual(-5, self.taken(handle))
