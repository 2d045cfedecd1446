"""
Whether any byte of a request was sent.

A request of which nothing was sent may be repeated on another connection, whatever its
method: no server can have acted on it.  That is certain for Twisted's sockets, and for
TLS on them, when the transport's buffer still has at least as many bytes as were
written of the request, because they are sent in order.  The server can not read a TLS
record that was sent in part, and the overhead of TLS for a request written at once is
less than its first record.

For other transports, and for bodies of producers, nothing is known.
"""

from __future__ import annotations

from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IReactorTime
from twisted.protocols.tls import TLSMemoryBIOProtocol

from twisted_h11._client.request import ClientRequest
from twisted_h11._client.request_sender import BodySender
from twisted_h11._wire.progress import bytes_unsent
from twisted_h11._wire.sockets import is_bare_socket

__all__ = ["TLSPassage", "none_left"]


def none_left(
    wire: Any,
    request: ClientRequest,
    sender: BodySender | None,
    passage: TLSPassage | None = None,
) -> bool:
    """
    Whether certainly no byte of a request was written to the kernel.

    @param wire: the transport; it may be closed.
    @param sender: sends the rest of the body; C{None} if there is none.
    @param passage: watches the request in the TLS layer, or C{None}.
    """
    if passage is not None and passage.waiting:
        return True
    unsent = bytes_unsent(wire)
    if not unsent or request.bodyStarted:
        return False
    if sender is not None:
        length = len(request.head) + sender.written
    elif isinstance(request.body, bytes):
        if request.chunked:
            return False
        length = len(request.head) + len(request.body)
    else:
        length = len(request.head)
    if is_bare_socket(wire):
        pass
    elif (
        sender is not None
        or not isinstance(wire, TLSMemoryBIOProtocol)
        or not is_bare_socket(wire.transport)
    ):
        return False
    return unsent >= length


class TLSPassage:
    """
    Watches a request in the TLS layer, which joins the writes of a turn of the reactor
    and passes them to the socket at the end of the turn.

    @ivar waiting: whether the request was not passed to the socket; it never is if
        the server has ended TLS before.
    """

    def __init__(self, wire: Any, request: ClientRequest, clock: IReactorTime) -> None:
        self._wire = wire
        self._request = request
        self.waiting = not none_left(wire, request, None)
        if self.waiting:
            # TLS has scheduled its own call before this one.
            self._call = clock.callLater(0, self._passed)

    def _passed(self) -> None:
        ended = self._wire.getHandle().get_shutdown() & SSL.RECEIVED_SHUTDOWN
        if none_left(self._wire, self._request, None) or not ended:
            self.waiting = False

    def cancel(self) -> None:
        """
        Stop watching.
        """
        if self.waiting and self._call.active():
            self._call.cancel()
