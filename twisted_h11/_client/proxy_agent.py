"""
An agent that sends everything through one proxy.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.error import SchemeNotSupported
from twisted.web.http_headers import Headers as TwistedHeaders

from twisted_h11._boundary.checks import ENDPOINT, REACTOR, checked, optional
from twisted_h11._client import errors
from twisted_h11._client.agent import AGENT_OPTIONS, Agent
from twisted_h11._client.party import party
from twisted_h11._client.pool import HTTPConnectionPool
from twisted_h11._client.proxy import Via
from twisted_h11._client.request import check_method, check_uri
from twisted_h11._client.response import Response
from twisted_h11._client.settings import ClientSettings
from twisted_h11._client.tls import check_policy
from twisted_h11._client.trace import Tracer
from twisted_h11._client.tunnel import ProxyEndpoint
from twisted_h11._client.uri import DEFAULT_PORTS, host_value, split_uri

__all__ = ["ProxyAgent"]


class ProxyAgent(Agent):
    """
    An agent that sends every request through one proxy: those for C{http:} in
    absolute form, as
    L{twisted.web.client.ProxyAgent<twisted.web.client.ProxyAgent>} does, all others
    through a tunnel.  For proxies by their URLs use C{Agent(..., proxies=...)}.

    @param endpoint: how to connect to the proxy.
    @param contextFactory: how TLS with the servers is made and verified; see
        L{Agent}.
    @param reactor: as for L{Agent}, or the global one; C{pool}, C{settings}, C{trace}
        and C{fastPath} are as for L{Agent}, too.

    @since: 0.1
    """

    @checked(endpoint=ENDPOINT, reactor=optional(REACTOR), **AGENT_OPTIONS)
    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        reactor: Any = None,
        pool: HTTPConnectionPool | None = None,
        *,
        contextFactory: Any = None,
        settings: ClientSettings | None = None,
        trace: Tracer | None = None,
        fastPath: bool = True,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        policy = self._policy = check_policy(contextFactory)
        self._standard = None
        # All connections are to the proxy.
        self._init(reactor, endpoint, pool, settings, None, trace, fastPath)
        self._via = Via(
            "http-proxy",
            "",
            lambda: ProxyEndpoint(endpoint, ""),
            None,
            self._party,
            party(endpoint, policy),
        )

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: TwistedHeaders | Iterable[tuple[bytes, bytes]] | None = None,
        bodyProducer: Any = None,
    ) -> Deferred[Response]:
        """
        Send a request through the proxy; see L{Agent.request}.
        """
        uri = check_uri(uri)
        try:
            scheme, host, port, target = split_uri(uri)
        except SchemeNotSupported:
            return fail(errors.adopt(Failure()))
        check_method(method)
        shown = host_value(host, None if port == DEFAULT_PORTS[scheme] else port)
        route = self._route(
            self._via,
            self._policy,
            (scheme, host, port),
            target,
            uri.partition(b"#")[0],
            headers,
        )
        return self._start(method, shown, bodyProducer, uri, *route)
