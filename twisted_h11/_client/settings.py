"""
Every bound and choice of the client, in two frozen settings objects.

L{PoolSettings} belongs to a pool of connections, which several agents may share;
L{ClientSettings} to an agent.  As in L{twisted_h11.limits} each bound has a unit and a
precedent, C{None} switches off only what says so, and the tables of the documentation
are made from the metadata of the fields.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import Field, dataclass, fields
from typing import Any

from twisted_h11._boundary.checks import BOOL, BYTES, listed, wrong
from twisted_h11.limits import KIB, _bound, _check_bound

__all__ = ["ClientSettings", "PoolSettings", "describe_settings"]

# RFC 9110 section 9.2.2, but for PUT, which twisted.web does not repeat either.
REPEATABLE = frozenset((b"GET", b"HEAD", b"OPTIONS", b"DELETE", b"TRACE"))

# The fields that are not numbers.
_CHOICES = {"retryMethods": listed(BYTES), "retryNewConnections": BOOL}


class _Checked:
    """
    Checks the numbers of a settings object.
    """

    def __post_init__(self) -> None:
        for bound in fields(self):  # type: ignore[arg-type]
            value = getattr(self, bound.name)
            if bound.metadata["unit"]:
                _check_bound(bound, value)
                continue
            kind = _CHOICES[bound.name]
            if not kind.test(value):
                raise wrong(bound.name, kind.name, value)


@dataclass(frozen=True, kw_only=True)
class PoolSettings(_Checked):
    """
    The bounds of an L{HTTPConnectionPool<twisted_h11.client.HTTPConnectionPool>}.

    @raise TypeError: for a value that is not a number.
    @raise ValueError: for one that is negative, for less than one connection, or
        C{None} where the bound can not be switched off.

    @since: 0.1
    """

    maxConnections: int = _bound(
        100,
        "connections",
        "aiohttp limit, httpx max_connections, Go MaxIdleConns",
        "most connections at a time, to all origins together: connecting, in use, "
        "idle or closing",
        positive=True,
    )
    maxConnectionsPerOrigin: int = _bound(
        20,
        "connections",
        "none; browsers 6, aiohttp and Go unbounded",
        "most connections at a time to one origin",
        positive=True,
    )
    maxQueued: int | None = _bound(
        10_000,
        "requests",
        "none",
        "most requests that wait for a connection; a further one fails at once",
        optional=True,
    )
    queueTimeout: float | None = _bound(
        60,
        "seconds",
        "none; httpx pool timeout 5",
        "longest wait for a connection while the pool is full",
        optional=True,
    )
    idleTimeout: float | None = _bound(
        60,
        "seconds",
        "below the 75 s of nginx, so that the client closes first; twisted.web 240",
        "time after which an idle connection is closed",
        optional=True,
    )
    maxAge: float | None = _bound(
        None,
        "seconds",
        "Go and aiohttp: none",
        "age after which a connection gets no further request, so that changes of DNS "
        "take effect",
        optional=True,
    )
    maxRequests: int | None = _bound(
        None,
        "requests",
        "nginx keepalive_requests 1000, for the server's side",
        "most requests on one connection",
        optional=True,
    )


@dataclass(frozen=True, kw_only=True)
class ClientSettings(_Checked):
    """
    The bounds and choices of an L{Agent<twisted_h11.client.Agent>}.

    Instances are immutable; use L{dataclasses.replace} for a variation::

        Agent(reactor, settings=ClientSettings(headTimeout=10))

    @raise TypeError: for a value that is not a number.
    @raise ValueError: for one that is negative, or C{None} where the bound can
        not be switched off.

    @since: 0.1
    """

    # -- time-outs --------------------------------------------------------

    poolTimeout: float | None = _bound(
        None,
        "seconds",
        "httpx pool timeout",
        "queueTimeout for this agent's requests; None: that of the pool's settings",
        optional=True,
    )
    connectTimeout: float | None = _bound(
        30,
        "seconds",
        "twisted.internet endpoints",
        "time for resolving the name and connecting, for all addresses together, "
        "including a tunnel through a proxy",
        optional=True,
    )
    tlsTimeout: float | None = _bound(
        30,
        "seconds",
        "Go TLSHandshakeTimeout 10",
        "time for the TLS handshake",
        optional=True,
    )
    writeTimeout: float | None = _bound(
        300,
        "seconds",
        "aiohttp total 300",
        "longest time for which the server reads nothing of the request",
        optional=True,
    )
    headTimeout: float | None = _bound(
        300,
        "seconds",
        "aiohttp total 300",
        "time from the end of the request to the end of the response head",
        optional=True,
    )
    readTimeout: float | None = _bound(
        300,
        "seconds",
        "aiohttp total 300",
        "longest pause between two pieces of the response body while the application "
        "reads it",
        optional=True,
    )
    claimTimeout: float | None = _bound(
        300,
        "seconds",
        "none",
        "time after which an incomplete response is dropped if the application has "
        "not asked for its body, so that it does not hold its connection",
        optional=True,
    )
    totalTimeout: float | None = _bound(
        None,
        "seconds",
        "aiohttp total 300, curl --max-time, Go Client.Timeout",
        "total time, from the call to the end of the response body, including retries, "
        "and the redirects that our RedirectAgent follows",
        optional=True,
    )
    continueTimeout: float = _bound(
        1,
        "seconds",
        "curl, Go ExpectContinueTimeout",
        "wait for an interim response to Expect: 100-continue before the body is sent",
    )

    # -- retries ----------------------------------------------------------

    retries: int = _bound(
        1,
        "retries",
        "twisted.web retryAutomatically",
        "how often a request is sent again after a connection that had been used "
        "before was lost without a response",
    )
    retryDelay: float = _bound(
        0,
        "seconds",
        "twisted.web",
        "wait before the first retry; doubled before each further one",
    )
    retryMethods: Collection[bytes] = _bound(
        REPEATABLE,  # type: ignore[arg-type]
        "",
        "twisted.web; RFC 9110 section 9.2.2",
        "methods of requests that may be sent again although the server may have "
        "acted on them.  A request that was never sent is retried with any method",
    )
    retryNewConnections: bool = _bound(
        False,
        "",
        "twisted.web",
        "whether to retry, too, when a connection could not be made, or was lost "
        "during its first request",
    )

    # -- sizes ------------------------------------------------------------

    maxHeadLength: int = _bound(
        64 * KIB,
        "bytes",
        "none; twisted.web 16 KiB a line, curl 300 KiB, Go 10 MiB",
        "longest response head, and longest trailer section",
    )
    maxInterimResponses: int = _bound(
        20,
        "responses",
        "none; Go 5 until 1.22",
        "most interim (1xx) responses to one request",
    )
    maxBodyLength: int | None = _bound(
        None,
        "bytes",
        "aiohttp, httpx, Go: none",
        "longest response body",
        optional=True,
    )
    readAhead: int = _bound(
        64 * KIB,
        "bytes",
        "aiohttp read_bufsize",
        "bytes of a response body that are buffered before the application reads it",
    )


def describe_settings(settings: type[_Checked]) -> list[Field[Any]]:
    """
    The fields of a settings class in the order of the documentation.

    @return: dataclass fields whose C{metadata} has C{unit}, C{precedent},
        C{doc}, C{optional} and C{positive}, as
        L{describe_limits<twisted_h11.server.describe_limits>} has them.
    """
    return list(fields(settings))  # type: ignore[arg-type]
