"""
Pull producers, driven as push producers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.internet.task import CooperativeTask, cooperate
from zope.interface import implementer

from twisted_h11._boundary.guarded import guarded

__all__ = ["PullAdapter"]


@implementer(IPushProducer)
class PullAdapter:
    """
    Drives a pull producer as a push producer, a step of the reactor at a time.

    @param producer: the pull producer.
    @param call: what each of its steps is called by.  If the step raises, it has to
        call L{end}.
    @param start: what starts a task; the one of all the program if it is not given.
    """

    def __init__(
        self,
        producer: IPullProducer,
        call: Callable[[Callable[[], object]], object],
        start: Callable[[Iterator[None]], CooperativeTask[Any]] | None = None,
    ) -> None:
        self._producer = producer
        self._call = call
        self._paused = False
        if start is None:
            start = cooperate
        self._task: CooperativeTask[Any] | None = start(self._pull())

    def _pull(self) -> Iterator[None]:
        while True:
            self._call(self._producer.resumeProducing)
            yield None

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
        guarded("A producer", self._producer.stopProducing)
