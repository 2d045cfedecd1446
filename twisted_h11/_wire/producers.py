"""
Producers above a wire, and pull producers driven as push producers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProducer, IPullProducer, IPushProducer
from twisted.internet.task import CooperativeTask, cooperate
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_h11._boundary.guarded import guarded
from twisted_h11._wire.user import OwnWire

__all__ = ["PullAdapter", "Registered"]


@implementer(IPushProducer)
class PullAdapter:
    """
    Drives a pull producer as a push producer, one call in each turn of the reactor.

    @param producer: the pull producer.  If its C{resumeProducing} returns a Deferred,
        it is called again when that has fired.
    @param call: called with each step of the producer, which it calls.  If the step
        raises, it has to call L{end}.
    @param start: starts a cooperative task; L{twisted.internet.task.cooperate} if it
        is not given.
    """

    def __init__(
        self,
        producer: IPullProducer,
        call: Callable[[Callable[[], object]], object],
        start: Callable[[Iterator[Any]], CooperativeTask[Any]] | None = None,
    ) -> None:
        self._producer = producer
        self._call: Callable[[Callable[[], object]], object] | None = call
        self._paused = False
        if start is None:
            start = cooperate
        self._task: CooperativeTask[Any] | None = start(self._pull())

    def _pull(self) -> Iterator[Deferred[object] | None]:
        resume: Callable[[], Any] = self._producer.resumeProducing
        answers: list[object] = []
        while self._call is not None:
            self._call(lambda: answers.append(resume()))
            answer = answers.pop() if answers else None
            if isinstance(answer, Deferred):
                # A producer in another process: wait for each step.
                answer.addErrback(self._failed)
                yield answer
            else:
                yield None

    def _failed(self, reason: Failure) -> None:
        """
        The Deferred of a step has failed.
        """
        if self._call is not None:
            self._call(reason.raiseException)

    def end(self) -> None:
        """
        Stop the task: do not call the producer any more.
        """
        task, self._task = self._task, None
        self._call = None
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


class Registered:
    """
    The producer that is registered with a wire; it is paused while the peer is slow.

    @param wire: the wire.
    @param producer: an L{IPushProducer} or L{IPullProducer} provider.
    @param streaming: C{True} for a push producer.
    """

    __slots__ = ("_producer", "_wire")

    def __init__(self, wire: OwnWire, producer: IProducer, streaming: bool) -> None:
        self._wire = wire
        given: Any = producer
        if not streaming:
            given = PullAdapter(given, self._tell, wire.user.cooperate)
        self._producer = given

    def pause(self) -> None:
        """
        Pause the producer: the peer is slow.
        """
        self._tell(self._producer.pauseProducing)

    def resume(self) -> None:
        """
        Resume the producer: the peer takes more.
        """
        self._tell(self._producer.resumeProducing)

    def stop(self) -> None:
        """
        Stop the producer: the peer will never take anything more.
        """
        guarded("A producer", self._producer.stopProducing)

    def end(self) -> None:
        """
        The producer is unregistered.
        """
        if isinstance(self._producer, PullAdapter):
            self._producer.end()

    def _tell(self, call: Callable[[], object]) -> None:
        """
        Call a method of the producer.  If it raises, tell the user of the wire: the
        output of the producer will never be complete.
        """
        wire = self._wire
        what = wire.user.producing()
        if not wire.user.tellProducer(call):
            pressure = wire.pressure
            registered = pressure is not None and pressure.producer is self
            if registered:
                pressure.unregisterProducer()
            wire.user.producerFailed(what)
            if registered:
                # The producer may have a file open.
                self.stop()
