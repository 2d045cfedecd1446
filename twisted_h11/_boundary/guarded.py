"""
Calls from us into the code of an application, on the way out.

Nearly all that an application does it does because we called it, and while it
answers, what it raises is its answer: 500.  But we also tell it things: that it is
to pause or to stop, that its client has gone, that a body has ended, that a
response is over.  Then the call is not what matters.  It must not keep a place in
a count, a descriptor, another request's turn or our own answer from being given
up, given back or sent.

So there are two rules.  Our own work is done first: what has to be sent, closed
and forgotten.  Then comes the call, through L{guarded}, which logs what it raises,
and tells the caller, who may have to fail a response for it.

Whatever is raised counts, as with L{twisted.internet.defer.Deferred} and the
reactor; only C{KeyboardInterrupt} goes on.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger
from twisted.python.failure import Failure

__all__ = ["guarded", "log_failure"]

_log = Logger()


def guarded(what: str, function: Callable[..., object], *args: object) -> bool:
    """
    Call C{function} with C{args}, and log what it raises.

    @param what: what it is, for the log: C{"A producer"}.
    @return: whether it returned.
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

    @param what: what it is.
    @param failure: how; the current exception if it is not given.
    """
    if failure is None:
        failure = Failure()
    _log.failure("{what} failed", failure=failure, what=what)
    # A traceback keeps frames, and those keep connections.
    failure.cleanFailure()
