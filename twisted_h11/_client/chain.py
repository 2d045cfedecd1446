"""
The requests of one chain of redirects, which together have one C{totalTimeout}.

An agent that follows redirects has no clock and no settings, and the agent that has
them may be below agents of others.  So the former opens its L{Chain} while it calls
C{request}, and the latter takes it within that call.  An agent between them that passes
a request on later, not within the call, begins a new chain with it.
"""

from __future__ import annotations

from types import TracebackType

__all__ = ["Chain", "take_chain"]


class Chain:
    """
    A chain of redirects; open within a C{with} statement.

    @ivar started: when its first request was started, in the clock's seconds, or
        C{None}.
    """

    __slots__ = ("started",)

    def __init__(self) -> None:
        self.started: float | None = None

    def __enter__(self) -> Chain:
        global _open
        _open = self
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        take_chain()

    def begun(self, now: float) -> float:
        """
        When the first request was started; this one, at C{now}, may be it.
        """
        if self.started is None:
            self.started = now
        return self.started


_open: Chain | None = None


def take_chain() -> Chain | None:
    """
    The chain that is open, for one request; C{None} if there is none.
    """
    global _open
    chain, _open = _open, None
    return chain
