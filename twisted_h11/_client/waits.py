"""
What a client connection waits for, and how long.
"""

from __future__ import annotations

from enum import Enum

from twisted_h11._client.errors import TimedOut
from twisted_h11._client.settings import ClientSettings

__all__ = ["Wait", "seconds_for", "timed_out"]


class Wait(Enum):
    """
    What is waited for; the time-out of it in L{ClientSettings}, and what is said
    when it is over.
    """

    CONTINUE = "continueTimeout", ""
    WRITE = "writeTimeout", "The server took nothing of the request for"
    HEAD = "headTimeout", "No response head came within"
    CLAIM = "claimTimeout", "Nobody asked for the response body for"
    READ = "readTimeout", "Nothing of the response body came for"
    REQUEST = "idleTimeout", ""


def seconds_for(wait: Wait, settings: ClientSettings) -> float | None:
    """
    How long something is waited for; C{None} for ever.
    """
    seconds: float | None = getattr(settings, wait.value[0])
    return seconds


def timed_out(wait: Wait, settings: ClientSettings) -> TimedOut:
    """
    The error that says what did not come in time.
    """
    return TimedOut(f"{wait.value[1]} {seconds_for(wait, settings):g} s")
