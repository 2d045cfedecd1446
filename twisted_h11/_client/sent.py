"""
Whether anything of a request has left.

A request that has not left is sent again on another connection, whatever its method:
no server can have acted on it.  This is certain where the transport is a socket of
Twisted's, or TLS on one: what the transport still keeps is at least all that was
written of the request, and it is sent in order.  Of TLS a record that has left in part
can not be read, and what TLS adds to a request that is written at once is less than
its first record.

Of other transports, and of a producer's body, nothing is known.
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
    Whether it is certain that the kernel has taken nothing of a request.

    @param wire: the transport; it may have been closed.
    @param sender: what still sends the body.
    @param passage: what watches the request in the TLS layer.
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
    Watches a request in the TLS layer, which joins what is written in a turn of the
    reactor and gives it to the socket at the end of the turn.

    @ivar waiting: whether it was not given to the socket; it may never be, if the
        server had ended TLS before.
    """

    def __init__(self, wire: Any, request: ClientRequest, clock: IReactorTime) -> None:
        self._wire = wire
        self._request = request
        self.waiting = not none_left(wire, request, None)
        if self.waiting:
            # TLS has asked for its own call before this one.
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
