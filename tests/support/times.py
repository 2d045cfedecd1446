"""
Measured times, on a machine that has other things to do as well.
"""

from __future__ import annotations

from collections.abc import Callable

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
