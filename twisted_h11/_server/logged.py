"""
Values of a request for the access log that are no attributes of it: the length of its
body, its duration, its identifier, and those of TLS.

The functions take any request: of this package, of a framework, of HTTP/2, or a refused
one.  They return C{None} for an unknown value.
"""

from __future__ import annotations

import os
from typing import Any

__all__ = [
    "body_length",
    "client_host",
    "peer_certificate",
    "peer_subject",
    "request_id",
    "seconds",
    "tls_version",
]


def _head(request: Any) -> Any:
    """
    The head from the reader; C{None} for HTTP/2.
    """
    head = getattr(request, "_requestHead", None)
    if head is None:
        channel = getattr(request, "channel", None)
        head = getattr(getattr(channel, "cycle", None), "head", None)
    return head


def client_host(request: Any) -> Any:
    """
    The IP address of the client.
    """
    return getattr(request.getClientAddress(), "host", None)


def body_length(request: Any) -> int | None:
    """
    How many bytes of its body have arrived.
    """
    head, channel = _head(request), getattr(request, "channel", None)
    if head is None:
        # A stream of HTTP/2 counts them.
        received = getattr(channel, "received", None)
        return received if type(received) is int else None
    received = getattr(head, "bodyLength", None)
    if received is None:
        incoming = getattr(getattr(channel, "reader", None), "incoming", None)
        received = 0 if incoming is None else incoming.received
    return int(received)


def seconds(request: Any, now: float) -> float | None:
    """
    The duration of a request, in seconds.

    @param now: the time, in seconds of the reactor.
    """
    began = getattr(_head(request) or request, "began", None)
    return None if began is None else max(now - began, 0.0)


def request_id(request: Any) -> str | None:
    """
    The identifier of a request.
    """
    found = getattr(_head(request), "requestId", None)
    if found is None:
        found = getattr(request, "requestId", None)
    return found


def _tls(request: Any) -> Any:
    """
    pyOpenSSL's object for the connection.
    """
    channel = getattr(request, "channel", None)
    wire = getattr(channel, "wire", None)
    if wire is not None:
        transport = wire.transport
    elif channel is not None:
        transport = getattr(channel, "connection", None)
    else:
        transport = getattr(request, "_lastTransport", None)
    getHandle = getattr(transport, "getHandle", None)
    return None if getHandle is None else getHandle()


def tls_version(request: Any) -> str | None:
    """
    The version of TLS.
    """
    ask = getattr(_tls(request), "get_protocol_version_name", None)
    return None if ask is None else str(ask())


def peer_certificate(request: Any) -> Any:
    """
    The client's certificate, an object of pyOpenSSL.
    """
    ask = getattr(_tls(request), "get_peer_certificate", None)
    return None if ask is None else ask()


def peer_subject(request: Any) -> str | None:
    """
    The subject of the client's certificate.
    """
    certificate = peer_certificate(request)
    if certificate is None:
        return None
    parts = certificate.get_subject().get_components()
    return ",".join(
        f"{os.fsdecode(name)}={os.fsdecode(value)}" for name, value in parts
    )
