"""
Measured times and waits, on a machine that has other things to do as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import process_time
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater

from twisted_h11._wire import turns

__all__ = [
    "SLOWNESS",
    "TRIES",
    "confirmed",
    "end_no_turn",
    "eventually",
    "one_turn",
    "slowness",
]

net: Any = reactor


def _loop() -> float:
    began = process_time()
    for _ in range(100_000):
        pass
    return process_time() - began


def slowness() -> float:
    """
    How many times longer code takes now than on a machine that counts to 100,000 in 2
    ms: on a slower one, or one that has other things to do; and under a tracer, as
    coverage is, which makes each line of the package cost more.
    """
    traced = 1 if sys.gettrace() is None else 10
    return traced * max(1, min(_loop() for _ in range(5)) / 0.002)


SLOWNESS = slowness()
"""
The same when the tests began.
"""

TRIES = 5
"""
How often a bad figure is measured before it is believed.
"""


def confirmed(measure: Callable[[], float], limit: float) -> float:
    """
    Measure until the result is less than C{limit}, a few times at most.  Whatever
    else the machine does, even CPU time gets longer by it (caches and cores are
    shared), for a while; what is slow by itself is slow each time.

    @return: the lowest that was measured.
    """
    best = float("inf")
    for _ in range(TRIES):
        best = min(best, measure())
        if best < limit:
            break
    return best


def eventually(condition: Callable[..., object], *arguments: object) -> Deferred[None]:
    """
    Fires when C{condition} holds of the arguments.  It is looked at again and again;
    the time-out of the test is the deadline.
    """

    async def wait() -> None:
        pause = 0.0
        while not condition(*arguments):
            await deferLater(net, pause)
            pause = min(pause + 0.001, 0.02)

    return Deferred.fromCoroutine(wait())


def end_no_turn(case: Any) -> None:
    """
    Have a connection go on in one turn with all that it has received, for a test whose
    time is the reactor's: on a busy machine a single request may take a turn's time.
    """
    case.patch(turns, "TURN", 3600)


def one_turn(clock: Clock) -> None:
    """
    One turn of the reactor, without time passing: the calls that are due now, and not
    those that these delay by 0 seconds, as C{Clock.advance} does.
    """
    now = clock.seconds()
    calls: list[Any] = list(clock.getDelayedCalls())
    for call in [call for call in calls if call.getTime() <= now]:
        clock.calls.remove(call)
        call.called = 1
        call.func(*call.args, **call.kw)
