"""
Pull producers, driven as push producers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from twisted.internet.interfaces import IConsumer, IPullProducer, IPushProducer
from twisted.internet.task import CooperativeTask, cooperate
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

__all__ = ["PullAdapter"]

_log = Logger()


@implementer(IPushProducer)
class PullAdapter:
    """
    Drives a pull producer as a push producer, a step of the reactor at a time.
    """

    def __init__(self, producer: IPullProducer) -> None:
        self._producer = producer
        self._paused = False
        self._task: CooperativeTask[Any] | None = cooperate(self._pull())

    def _pull(self) -> Iterator[None]:
        while True:
            self._producer.resumeProducing()
            yield None

    def start(self, consumer: IConsumer) -> None:
        """
        Unregister the producer from C{consumer} if it raises.
        """
        if self._task is not None:
            self._task.whenDone().addErrback(self._failed, consumer)

    def _failed(self, reason: Failure, consumer: Any) -> None:
        if self._task is None:
            return
        self._task = None
        _log.failure("A pull producer failed", failure=reason)
        consumer.unregisterProducer()

    def end(self) -> None:
        """
        Ask the producer for nothing more.
        """
        task, self._task = self._task, None
        if task is not None:
            task.stop()

    def pauseProducing(self) -> None:
        """
        See L{IPushProducer.pauseProducing}.
        """
        if self._task is not None and not self._paused:
            self._paused = True
            self._task.pause()

    def resumeProducing(self) -> None:
        """
        See L{IPushProducer.resumeProducing}.
        """
        if self._task is not None and self._paused:
            self._paused = False
            self._task.resume()

    def stopProducing(self) -> None:
        """
        See L{IProducer.stopProducing}.
        """
        self.end()
        self._producer.stopProducing()
