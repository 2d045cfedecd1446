"""
Tracing: what happens to a request, and when.

An agent that has a C{trace} function calls it with a L{TraceEvent} at each of
these moments, in this order:

  - C{queued}: the request waits, because the pool is full.
  - C{connecting}: a new connection is being made for it.
  - C{connected}: it has a connection, new or used before.
  - C{head sent}, C{body sent}: written to the transport.
  - C{head received}: the head of the final response.
  - C{ended}: the response is complete, or has failed (C{failure}).

A request that is sent again repeats these events.  Without C{trace} no events are
made.  An exception of the function is logged and has no other effect.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from twisted.python.failure import Failure

if TYPE_CHECKING:
    from twisted_h11._client.request import ClientRequest

__all__ = ["TraceEvent", "Tracer"]


class TraceEvent(NamedTuple):
    """
    One event of a request.

    @ivar name: the name of the event: C{queued} (it waits, because the pool is full),
        C{connecting}, C{connected} (it has a connection, new or used before), C{head
        sent}, C{body sent}, C{head received} or C{ended}.
    @ivar time: when, in the reactor's seconds.
    @ivar request: the request; the same object for all its events.
    @ivar connection: the connection, or C{None}; its C{repr} has its state, its
        C{served} the number of its requests.
    @ivar failure: why the request failed, or C{None}.

    @since: 0.1
    """

    name: str
    time: float
    request: ClientRequest
    connection: Any = None
    failure: Failure | None = None


Tracer = Callable[[TraceEvent], object]
