"""
Every bound of the server, in one frozen settings object.

A server that buffers, waits or counts without an upper bound can be brought
down by one patient peer.  So each buffer, wait and count in this package reads
its bound from L{Limits}.  Only the bounds of a multipart form are given with its
reader, in L{MultipartLimits<twisted_h11.multipart.MultipartLimits>}.

Three rules:

- A bound has a unit: B{bytes}, B{seconds}, B{bytes per second}, or a plain
  count.
- A bound has a precedent: the value that another server or library uses for
  the same thing.
- A bound that may be switched off says so (C{None} means "no bound"); all
  others always apply.

The table of the documentation, and the options of C{twistd h11web}, are made
from the fields' metadata, so that they can not disagree with the code.
"""

from __future__ import annotations

from dataclasses import Field, dataclass, field, fields
from math import isfinite
from typing import Any

from twisted_h11._boundary.checks import no_number

__all__ = ["Limits", "describe_limits"]

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB


def _bound(
    default: float | None,
    unit: str,
    precedent: str,
    doc: str,
    status: int | None = None,
    optional: bool = False,
    positive: bool = False,
) -> Any:
    """
    Make one field of L{Limits} with the metadata that documents it.
    """
    return field(
        default=default,
        metadata={
            "unit": unit,
            "precedent": precedent,
            "doc": doc,
            "status": status,
            "optional": optional,
            "positive": positive,
        },
    )


def _check_bound(bound: Field[Any], value: Any) -> None:
    """
    Check that a value is one that a bound can have, according to its metadata.

    @raise TypeError: if it is not a number.
    @raise ValueError: if it is negative, zero where the bound must be positive, or
        C{None} where the bound always applies.
    """
    name, unit = bound.name, bound.metadata["unit"]
    if value is None:
        if not bound.metadata["optional"]:
            raise ValueError(f"{name} can not be None: it always applies")
        return
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise no_number(name, unit, value)
    if not value >= 0:
        raise ValueError(f"{name} can not be negative: {value!r}")
    if bound.metadata["positive"]:
        if unit == "seconds" and not value:
            raise ValueError(f"{name} must be more than 0 seconds")
        if unit != "seconds" and value < 1:
            raise ValueError(f"{name} must be at least 1: {value!r}")


@dataclass(frozen=True, kw_only=True)
class Limits:
    """
    The bounds of a L{twisted_h11.server.Site}.

    Instances are immutable; use L{dataclasses.replace} for a variation::

        Site(root, limits=Limits(maxBodyLength=10 * 1024 * 1024))

    @raise TypeError: for a value that is not a number.
    @raise ValueError: for a negative or infinite value, for zero where the bound must
        be positive, or for C{None} where it can not be switched off.

    @since: 0.1
    """

    # -- sizes ------------------------------------------------------------

    maxTargetLength: int = _bound(
        8 * KIB,
        "bytes",
        "nginx large_client_header_buffers 8k; RFC 9112 section 3 asks for 8000",
        "longest request target",
        status=414,
        positive=True,
    )
    maxHeadLength: int = _bound(
        16 * KIB,
        "bytes",
        "h11 max_incomplete_event_size, twisted.web totalHeadersSize",
        "longest request head: request line and field lines with their line ends",
        status=431,
        positive=True,
    )
    maxFieldCount: int = _bound(
        500,
        "fields",
        "twisted.web maxHeaders",
        "most field lines in a head, and in a trailer section",
        status=431,
        positive=True,
    )
    maxBodyLength: int | None = _bound(
        1 * GIB,
        "bytes",
        "Apache LimitRequestBody (1 GiB since 2.4.53)",
        "longest request body that is buffered for a resource",
        status=413,
        optional=True,
    )
    maxFormLength: int | None = _bound(
        2 * MIB,
        "bytes",
        "Django DATA_UPLOAD_MAX_MEMORY_SIZE 2.5 MB, Go net/http 10 MB",
        "longest request body that is parsed as a form, for request.args; "
        "a longer one is available as request.content only",
        status=413,
        optional=True,
    )
    maxFormFields: int = _bound(
        1000,
        "fields",
        "Django DATA_UPLOAD_MAX_NUMBER_FIELDS",
        "most arguments in a query, and fields in a form, that are parsed",
        status=413,
    )
    maxChunkExtensionLength: int = _bound(
        16 * KIB,
        "bytes",
        "Go net/http, 16 KiB of chunk overhead",
        "chunk extensions in one message, all together",
        status=400,
    )
    maxTrailerLength: int = _bound(
        16 * KIB,
        "bytes",
        "the same as for a head",
        "longest trailer section, with its line ends",
        status=431,
    )
    maxProxyHeaderLength: int = _bound(
        4 * KIB,
        "bytes",
        "nginx NGX_PROXY_PROTOCOL_MAX_HEADER",
        "longest header of the PROXY protocol, where connections begin with one",
        positive=True,
    )
    maxRequestIdLength: int = _bound(
        200,
        "bytes",
        "Heroku's router, 200 characters",
        "longest request identifier that is accepted from a trusted proxy; "
        "a longer one is replaced",
        positive=True,
    )
    readAhead: int = _bound(
        16 * KIB,
        "bytes",
        "twisted.web, since 17.9",
        "bytes read after the end of the current request before reading is paused",
    )
    drainLength: int = _bound(
        256 * KIB,
        "bytes",
        "Go net/http maxPostHandlerReadBytes",
        "rest of a request body that is read and discarded after the response has "
        "ended, so that the connection can be used again",
    )
    lingerLength: int = _bound(
        16 * MIB,
        "bytes",
        "none; nginx bounds the time only",
        "bytes dropped during a lingering close",
    )

    bodyBufferLength: int = _bound(
        64 * KIB,
        "bytes",
        "asyncio StreamReader limit",
        "bytes of a streamed request body that are buffered for a slow application "
        "before reading is paused; reading is resumed at a quarter of that",
        positive=True,
    )
    writeBufferLength: int | None = _bound(
        64 * MIB,
        "bytes",
        "none",
        "bytes of a response that may wait for the client while the application "
        "still writes; beyond that the connection is dropped",
        optional=True,
        positive=True,
    )

    # -- counts -----------------------------------------------------------

    maxConnections: int | None = _bound(
        10_000,
        "connections",
        "nginx worker_connections (512 to some thousands)",
        "most connections at a time",
        status=503,
        optional=True,
        positive=True,
    )
    maxConnectionsPerPeer: int | None = _bound(
        None,
        "connections",
        "nginx limit_conn, off by default: behind a proxy all clients have its address",
        "most connections at a time from one address",
        status=503,
        optional=True,
        positive=True,
    )
    maxRefusedConnections: int = _bound(
        32,
        "connections",
        "none; nginx, Go net/http and Twisted close or wait at once",
        "refused connections at a time that get a response and a lingering close; "
        "further ones are closed at once",
    )
    maxStreamResets: int | None = _bound(
        100,
        "streams",
        "nginx 2 * http2_max_concurrent_streams; Twisted 1000, and 33 a second",
        "streams that an HTTP/2 client may reset, or cause to be reset by errors, more "
        "than the number of answered ones; beyond that its connection is dropped",
        optional=True,
    )
    maxSettings: int | None = _bound(
        1000,
        "settings",
        "nghttp2 32 in one frame; h2 has no bound and stores every setting",
        "settings that an HTTP/2 client may send on one connection; beyond that the "
        "connection is dropped",
        optional=True,
    )
    maxRequestsPerConnection: int | None = _bound(
        None,
        "requests",
        "Go net/http has none; nginx keepalive_requests 1000",
        "requests after which a connection is closed",
        optional=True,
        positive=True,
    )

    maxThreads: int = _bound(
        20,
        "threads",
        "Twisted ThreadPool; waitress 4, Gunicorn 1",
        "most threads in which a WSGI application runs",
        positive=True,
    )
    maxThreadQueue: int = _bound(
        512,
        "requests",
        "Apache ListenBacklog 511",
        "requests that wait for a thread",
        status=503,
    )

    # -- time-outs --------------------------------------------------------

    firstByteTimeout: float | None = _bound(
        60,
        "seconds",
        "twisted.web timeOut, nginx client_header_timeout",
        "wait for the first byte of a new connection",
        optional=True,
        positive=True,
    )
    idleTimeout: float | None = _bound(
        75,
        "seconds",
        "nginx keepalive_timeout; above the usual 60 s of load balancers",
        "wait between two requests of one connection",
        optional=True,
        positive=True,
    )
    headTimeout: float | None = _bound(
        40,
        "seconds",
        "Apache RequestReadTimeout header=20-40",
        "wait for a whole request head, from its first byte",
        status=408,
        optional=True,
        positive=True,
    )
    handshakeTimeout: float | None = _bound(
        30,
        "seconds",
        "nginx ssl_handshake_timeout 60 s, Go net/http TLSHandshakeTimeout 10 s",
        "wait for a TLS handshake to end",
        optional=True,
        positive=True,
    )
    rateWindow: float = _bound(
        20,
        "seconds",
        "Kestrel grace period 5 s, nginx send_timeout 60 s",
        "interval at which the minimum rates are checked; also the grace period of a "
        "transfer at its beginning and after every pause",
        positive=True,
    )
    minBodyRate: float | None = _bound(
        240,
        "bytes per second",
        "Kestrel MinRequestBodyDataRate",
        "minimum rate at which a request body must arrive",
        status=408,
        optional=True,
    )
    minResponseRate: float | None = _bound(
        240,
        "bytes per second",
        "Kestrel MinResponseDataRate",
        "minimum rate at which a client must receive a response",
        optional=True,
    )
    halfCloseTimeout: float = _bound(
        5,
        "seconds",
        "none",
        "time for a response to end after the client closed its sending side",
    )
    maxCompressors: int = _bound(
        256,
        "responses",
        "none; each takes some 260 KiB",
        "responses that are compressed at the same time; others are sent uncompressed",
    )
    lingerTimeout: float = _bound(
        5,
        "seconds",
        "nginx lingering_timeout",
        "longest lingering close",
    )
    abortTimeout: float = _bound(
        15,
        "seconds",
        "twisted.web abortTimeout",
        "wait for a connection that is being closed to end, before it is aborted",
        positive=True,
    )

    def __post_init__(self) -> None:
        for bound in fields(self):
            value = getattr(self, bound.name)
            _check_bound(bound, value)
            if value is not None and not isfinite(value):
                raise ValueError(f"{bound.name} must be finite, not {value!r}")


def describe_limits() -> list[Field[Any]]:
    """
    The fields of L{Limits} in the order of the documentation.

    @return: dataclass fields whose C{metadata} has C{unit}, C{precedent},
        C{doc}, C{status} (the response status where the bound is crossed, or
        C{None}), C{optional} (whether C{None} switches it off) and C{positive}
        (whether it must be above 0: at least 1, if it is not a time).

    @since: 0.1
    """
    return list(fields(Limits))
