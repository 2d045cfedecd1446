"""
What the access log says of a request that the request itself does not: how long its
content was, how long it took, its identifier, and what TLS has negotiated.

Any request will do: ours, a framework's, one of HTTP/2, one that was refused.  What can
not be known of it is C{None}.
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
    The head that the reader has made; there is none in HTTP/2.
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
    How much of its content has come, in bytes.
    """
    head, channel = _head(request), getattr(request, "channel", None)
    if head is None:
        # Of HTTP/2 the stream counts.
        received = getattr(channel, "received", None)
        return received if type(received) is int else None
    received = getattr(head, "bodyLength", None)
    if received is None:
        incoming = getattr(getattr(channel, "reader", None), "incoming", None)
        received = 0 if incoming is None else incoming.received
    return int(received)


def seconds(request: Any, now: float) -> float | None:
    """
    How long it took.
    """
    began = getattr(_head(request) or request, "began", None)
    return None if began is None else max(now - began, 0.0)


def request_id(request: Any) -> str | None:
    """
    Its identifier.
    """
    found = getattr(_head(request), "requestId", None)
    if found is None:
        found = getattr(request, "requestId", None)
    return found


def _tls(request: Any) -> Any:
    """
    What pyOpenSSL knows of the connection.
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
    The client's certificate, as pyOpenSSL has it.
    """
    ask = getattr(_tls(request), "get_peer_certificate", None)
    return None if ask is None else ask()


def peer_subject(request: Any) -> str | None:
    """
    Whom the client's certificate names.
    """
    certificate = peer_certificate(request)
    if certificate is None:
        return None
    parts = certificate.get_subject().get_components()
    return ",".join(
        f"{os.fsdecode(name)}={os.fsdecode(value)}" for name, value in parts
    )
