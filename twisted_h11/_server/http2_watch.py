"""
The time-outs of an HTTP/2 connection, with one timer for all.
"""

from __future__ import annotations

from typing import Any, Protocol

from twisted.internet.interfaces import IDelayedCall

from twisted_h11._server.http2_stream import Stream
from twisted_h11._server.states import Wait
from twisted_h11._wire.progress import bytes_taken, makes_progress
from twisted_h11.limits import Limits

__all__ = ["Guarded", "Watch"]


class Guarded(Protocol):
    """
    The interface of a site for its HTTP/2 connections.

    @ivar limits: the bounds.
    @ivar timeOut: how many seconds a connection may be idle; C{None} for ever.
    @ivar proxied: applies the fields of trusted proxies to requests, or C{None}.
    @ivar metrics: the metrics, or C{None}.
    """

    limits: Limits
    reactor: Any
    timeOut: float | None
    proxied: Any
    metrics: Any


class Watched(Protocol):
    """
    The interface of a watched connection.
    """

    def drop(self, reason: str, code: int | None = None) -> None:
        """
        Abort the connection at once.
        """

    def leave(self) -> None:
        """
        Take no more requests, and close after the current ones.
        """


class Watch:
    """
    The time-outs and the least rates of a connection.

    @param owner: the connection.
    @param site: its site.
    @param streams: its streams by their numbers.
    @ivar came: how many bytes of bodies were received in this window.
    @ivar went: how many bytes of content were sent in this window.
    """

    def __init__(
        self, owner: Watched, site: Guarded, streams: dict[int, Stream]
    ) -> None:
        self._owner: Watched | None = owner
        self._site = site
        self._reactor = site.reactor
        self._limits = site.limits
        self._streams = streams
        self._timer: IDelayedCall | None = None
        now = self._reactor.seconds()
        self._headSince: float | None = now
        self._idleSince: float | None = now
        self._windowSince: float | None = None
        self.came = self.went = 0
        self._sends = self._takes = False
        self._stopped = False

    def stop(self) -> None:
        """
        Stop all time-outs.
        """
        self._stopped = True
        # Break the reference cycle.
        self._owner = None
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()

    def awaitEnd(self, transport: Any) -> None:
        """
        Stop all time-outs, and give the closing transport its time; then abort it.
        """
        self.stop()
        self._waitForEnd(transport, bytes_taken(transport))

    def _waitForEnd(self, transport: Any, before: int | None) -> None:
        self._timer = self._reactor.callLater(
            self._limits.abortTimeout, self._endIsLate, transport, before
        )

    def _endIsLate(self, transport: Any, before: int | None) -> None:
        limits = self._limits
        taken = bytes_taken(transport)
        if makes_progress(before, taken, limits.minResponseRate, limits.abortTimeout):
            self._waitForEnd(transport, taken)
        else:
            transport.abortConnection()

    def frameDue(self, isDue: bool) -> None:
        """
        Start or stop the time-out of a frame.

        @param isDue: whether a received frame is not complete.
        """
        if not isDue:
            self._headSince = None
        elif self._headSince is None:
            self._headSince = self._reactor.seconds()

    def idle(self, isIdle: bool) -> None:
        """
        Start or stop the time-out of an idle connection.

        @param isIdle: whether there is no request.
        """
        self._idleSince = self._reactor.seconds() if isIdle else None

    def rates(self) -> None:
        """
        Begin to check the rates, unless that has begun already.
        """
        if self._windowSince is None:
            sends = any(stream.coming for stream in self._streams.values())
            takes = any(stream.waits for stream in self._streams.values())
            self._sends = sends and self._limits.minBodyRate is not None
            self._takes = takes and self._limits.minResponseRate is not None
            if self._sends or self._takes:
                self._windowSince = self._reactor.seconds()
                self.came = self.went = 0
                self.plan()

    def plan(self) -> None:
        """
        Set the timer for the earliest time-out.
        """
        if self._stopped:
            return
        times = []
        limits = self._limits
        if self._headSince is not None and limits.headTimeout is not None:
            times.append(self._headSince + limits.headTimeout)
        if self._idleSince is not None and self._site.timeOut is not None:
            times.append(self._idleSince + self._site.timeOut)
        if self._windowSince is not None:
            times.append(self._windowSince + limits.rateWindow)
        if not times:
            return
        seconds = max(min(times) - self._reactor.seconds(), 0)
        timer = self._timer
        if timer is None or not timer.active():
            self._timer = self._reactor.callLater(seconds, self._look)
        elif timer.getTime() > min(times):
            timer.reset(seconds)

    def _look(self) -> None:
        """
        The timer has run out: handle all time-outs that are over.
        """
        self._timer = None
        owner = self._owner
        # With it the timer goes.
        assert owner is not None
        limits, now = self._limits, self._reactor.seconds()
        since = self._headSince
        if since is not None and limits.headTimeout is not None:
            if now >= since + limits.headTimeout:
                self._drop(owner, Wait.HEAD, "a frame did not arrive in time")
        since = self._idleSince
        if since is not None and self._site.timeOut is not None:
            if now >= since + self._site.timeOut and not self._stopped:
                self._count(Wait.IDLE)
                owner.leave()
        since = self._windowSince
        if since is not None and now >= since + limits.rateWindow:
            self._windowSince = None
            self._checkRates(owner)
        self.plan()

    def _checkRates(self, owner: Watched) -> None:
        """
        At the end of a window, end the connection if the client has sent or taken too
        little in it.
        """
        limits = self._limits
        streams = self._streams.values()
        if self._sends and any(stream.coming for stream in streams):
            if self.came < (limits.minBodyRate or 0) * limits.rateWindow:
                self._drop(owner, Wait.BODY, "it does not send its requests")
        if self._takes and any(stream.waits for stream in streams):
            if self.went < (limits.minResponseRate or 0) * limits.rateWindow:
                self._drop(owner, Wait.RESPONSE, "it does not take its responses")
        if not self._stopped:
            self.rates()

    def _drop(self, owner: Watched, wait: Wait, reason: str) -> None:
        if not self._stopped:
            self._count(wait)
        owner.drop(reason)

    def _count(self, wait: Wait) -> None:
        if self._site.metrics is not None:
            self._site.metrics.timedOut(wait.name.lower())
