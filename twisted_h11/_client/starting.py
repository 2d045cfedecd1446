"""
The start of an exchange: sending the request, or the head of one that is not complete.
"""

from __future__ import annotations

from twisted_h11._client.exchange import Exchange
from twisted_h11._client.request_sender import BodySender, send_whole
from twisted_h11._client.sent import TLSPassage
from twisted_h11._client.timeouts import Wait, set_deadline

__all__ = ["start_request"]


def start_request(exchange: Exchange) -> None:
    """
    Send the request of an exchange if it is complete; else send its head and start its
    body.
    """
    connection, request = exchange.connection, exchange.request
    wire, conn = connection.wire, exchange.reader.h11
    # A request that must not be sent twice is written to the transport, which reads
    # before it writes: the server may have closed the connection.
    again = request.method in request.settings.retryMethods
    send = connection.sendWhole if again else wire.send
    if send_whole(send, request, conn):
        if request.report is not None:
            exchange.report("head sent")
            exchange.report("body sent")
            if exchange.isOver:
                return
        if connection.secure and exchange.reused and not again:
            exchange.passage = TLSPassage(wire.transport, request, connection.clock)
        set_deadline(exchange)
        return
    exchange.sender = BodySender(exchange, wire, request, conn)
    wire.send(request.head)
    exchange.report("head sent")
    if request.expect and exchange.sender is not None:
        wire.arm(request.settings.continueTimeout, Wait.CONTINUE)
    else:
        exchange.startBody()
