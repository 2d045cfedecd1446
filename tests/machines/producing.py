"""
What produces the content of a response in the server's machine.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Eager", "Pull", "Push"]

# How much one piece is.
PIECE = 700


class Push:
    """
    A push producer that writes when the machine says so.

    @param job: the request whose content it makes.
    @ivar on: whether it may write.
    """

    streaming = True

    def __init__(self, job: Any) -> None:
        self.job = job
        self.on = True
        self.stopped = False

    def start(self) -> None:
        """
        It is registered.
        """

    def pauseProducing(self) -> None:
        """
        No more for now.
        """
        assert not self.stopped, "paused after the end"
        self.on = False

    def resumeProducing(self) -> None:
        """
        More.
        """
        assert not self.stopped, "resumed after the end"
        self.on = True

    def stopProducing(self) -> None:
        """
        Nothing any more.
        """
        assert not self.stopped, "stopped twice"
        self.stopped = True
        self.on = False


class Eager(Push):
    """
    A push producer that writes by itself until it is paused, and finishes in the end.

    @param pieces: how many pieces there are.
    """

    def __init__(self, job: Any, pieces: int) -> None:
        super().__init__(job)
        self.pieces = pieces

    def resumeProducing(self) -> None:
        """
        Go on, within the call that says so.
        """
        super().resumeProducing()
        self.start()

    def start(self) -> None:
        """
        Write as long as that is allowed.
        """
        while self.on and self.pieces:
            self.pieces -= 1
            self.job.write(PIECE)
        if self.on:
            self.job.finish()


class Pull(Push):
    """
    A pull producer: writes a piece whenever it is asked, and finishes in the end.

    @param pieces: how many pieces there are.
    """

    streaming = False

    def __init__(self, job: Any, pieces: int) -> None:
        super().__init__(job)
        self.on = False
        self.pieces = pieces

    def resumeProducing(self) -> None:
        """
        One piece more.
        """
        assert not self.stopped, "resumed after the end"
        assert not self.job.isFull, "asked for more than the peer takes"
        if self.pieces:
            self.pieces -= 1
            self.job.write(PIECE)
        else:
            self.job.finish()
