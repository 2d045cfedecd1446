"""
Notifying calls into the code of an application.

If an application raises while it handles a request, the response is 500.  But it is
also called to be notified: to pause or to stop, that its client has gone, that a body
has ended, that a response is over.  An exception from such a call must not keep a
connection from being counted out, a descriptor from being closed, another request from
its turn, or a response from being sent.

So there are two rules.  The package's own work is done first: sending, closing and
dropping references.  Then the call is made, through L{guarded}, which logs an exception
and tells the caller, which may have to fail a response for it.

Every exception is caught, as by L{twisted.internet.defer.Deferred} and the reactor,
except C{KeyboardInterrupt}.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["guarded", "log_failure"]

_log = Logger()


def guarded(what: str, function: Callable[..., object], *args: object) -> bool:
    """
    Call C{function} with C{args}, and log an exception.

    @param what: the subject of the log message: C{"A producer"}.
    @return: whether it returned without an exception.
    """
    try:
        function(*args)
    except KeyboardInterrupt:
        raise
    except BaseException:
        log_failure(what)
        return False
    return True


def log_failure(what: str, failure: Failure | None = None) -> None:
    """
    Log that code of the application has failed.

    @param what: the subject of the log message.
    @param failure: the failure; by default the current exception.
    """
    if failure is None:
        failure = Failure()
    _log.failure("{what} failed", failure=failure, what=what)
    # A traceback keeps frames, and those keep connections.
    failure.cleanFailure()
