"""
L{Agent} sends a request for a method and a URI, and returns the response.

The agent checks the request, chooses the connection's key and endpoint, and starts a
L{Call<twisted_h11._client.call.Call>}, which runs it to its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.python.failure import Failure
from twisted.web.error import SchemeNotSupported
from twisted.web.http_headers import Headers as TwistedHeaders
from twisted.web.iweb import IAgent
from zope.interface import implementer

from twisted_h11._boundary.checks import (
    BOOL,
    CALLABLE,
    NUMBER,
    PAIRS,
    REACTOR,
    Kind,
    checked,
    instance,
    optional,
    wrong,
)
from twisted_h11._boundary.guarded import guarded
from twisted_h11._client import errors
from twisted_h11._client.call import Call
from twisted_h11._client.chain import take_chain
from twisted_h11._client.endpoints import LazyEndpoint, StandardEndpointFactory
from twisted_h11._client.party import party, place
from twisted_h11._client.pool import HTTPConnectionPool
from twisted_h11._client.proxy import Proxies, Route, Via
from twisted_h11._client.request import (
    ClientRequest,
    check_method,
    check_uri,
)
from twisted_h11._client.request_head import BadRequest
from twisted_h11._client.response import Response
from twisted_h11._client.settings import ClientSettings
from twisted_h11._client.tls import check_policy
from twisted_h11._client.trace import TraceEvent, Tracer
from twisted_h11._client.uri import (
    DEFAULT_PORTS,
    has_other_scheme,
    host_value,
    match_common,
    parse_uri,
    split_uri,
)

__all__ = ["AGENT_OPTIONS", "Agent"]

# The arguments that all agents have.
AGENT_OPTIONS = {
    "settings": optional(instance("ClientSettings", ClientSettings)),
    "trace": optional(CALLABLE),
    "fastPath": BOOL,
}
_PROXIES = optional(instance("Proxies", Proxies))
_FACTORY = Kind(
    "an IAgentEndpointFactory", lambda value: hasattr(value, "endpointForURI")
)


@implementer(IAgent)
class Agent:
    """
    An HTTP/1.1 client with the interface of
    L{twisted.web.client.Agent<twisted.web.client.Agent>}.

    @param reactor: the reactor.
    @param contextFactory: how TLS is made and verified, an
        L{IPolicyForHTTPS<twisted.web.iweb.IPolicyForHTTPS>}; a L{TLSPolicy}
        without options if it is not given.
    @param connectTimeout: seconds for one address; the settings'
        C{connectTimeout} bounds all of them together.
    @param bindAddress: the local address to connect from.
    @param pool: an L{HTTPConnectionPool}; without one, connections are used
        for one request only, as with Twisted's.
    @param settings: a L{ClientSettings}.
    @param proxies: a L{Proxies}, for example C{Proxies.fromEnvironment()}.
    @param trace: called with each L{TraceEvent}.
    @param fastPath: whether common messages may be read and written without h11's
        state machine.  The responses are the same.

    @since: 0.1
    """

    @checked(
        reactor=REACTOR,
        connectTimeout=optional(NUMBER),
        proxies=_PROXIES,
        **AGENT_OPTIONS,
    )
    def __init__(
        self,
        reactor: Any,
        contextFactory: Any = None,
        connectTimeout: float | None = None,
        bindAddress: Any = None,
        pool: Any = None,
        *,
        settings: ClientSettings | None = None,
        proxies: Proxies | None = None,
        trace: Tracer | None = None,
        fastPath: bool = True,
    ) -> None:
        contextFactory = check_policy(contextFactory)
        self._standard: StandardEndpointFactory | None
        self._standard = StandardEndpointFactory(
            reactor, contextFactory, connectTimeout, bindAddress
        )
        self._init(reactor, self._standard, pool, settings, proxies, trace, fastPath)

    @classmethod
    @checked(reactor=REACTOR, endpointFactory=_FACTORY, **AGENT_OPTIONS)
    def usingEndpointFactory(
        cls,
        reactor: Any,
        endpointFactory: Any,
        pool: Any = None,
        *,
        settings: ClientSettings | None = None,
        trace: Tracer | None = None,
        fastPath: bool = True,
    ) -> Agent:
        """
        Make an agent that connects by the endpoints of C{endpointFactory}.

        @param endpointFactory: an
            L{IAgentEndpointFactory<twisted.web.iweb.IAgentEndpointFactory>}.
        @param reactor: as for L{Agent}; so are C{pool}, C{settings}, C{trace} and
            C{fastPath}.
        @return: the agent.
        """
        agent = cls.__new__(cls)
        agent._standard = None
        agent._init(reactor, endpointFactory, pool, settings, None, trace, fastPath)
        return agent

    def _init(
        self,
        reactor: Any,
        endpointFactory: Any,
        pool: Any,
        settings: ClientSettings | None,
        proxies: Proxies | None,
        trace: Tracer | None,
        fastPath: bool,
    ) -> None:
        if pool is None:
            pool = HTTPConnectionPool(reactor, False)
        elif not isinstance(pool, HTTPConnectionPool):
            raise TypeError(
                f"{pool!r} is not a pool of twisted_h11.client; "
                "an agent can not use the connections of another pool"
            )
        self._reactor = reactor
        self._endpointFactory = endpointFactory
        self._party = party(endpointFactory)
        self._pool: HTTPConnectionPool = pool
        self._settings = settings if settings is not None else ClientSettings()
        self._proxies = proxies
        self._trace = trace
        self._fastPath = fastPath

    @property
    def pool(self) -> HTTPConnectionPool:
        """
        The pool of connections.
        """
        return self._pool

    # IAgent promises a Deferred with an IResponse; this one fires with a Response.
    def request(  # type: ignore[override]
        self,
        method: bytes,
        uri: bytes,
        headers: TwistedHeaders | Iterable[tuple[bytes, bytes]] | None = None,
        bodyProducer: Any = None,
    ) -> Deferred[Response]:
        """
        Send a request.

        @param method: the method.
        @param uri: the absolute URI.
        @param headers: a C{Headers}, or pairs of bytes; names given as pairs,
            or in our L{Headers<twisted_h11.client.Headers>}, keep their case.
        @param bodyProducer: an C{IBodyProducer}, or bytes.
        @return: a Deferred that fires with a L{Response<twisted_h11.client.Response>}
            when its head was received.
        @raise TypeError: if the method is not bytes.
        @raise ValueError: if the method or the URI is not valid.
        """
        uri = check_uri(uri)
        standard = self._standard
        match = match_common(uri)
        if match is not None:
            scheme, host, number, target = match.groups()
            port = int(number) if number else DEFAULT_PORTS[scheme]
        if match is None or not 0 < port < 65536:
            try:
                scheme, host, port, target = split_uri(
                    uri, None if standard is None else DEFAULT_PORTS
                )
            except SchemeNotSupported:
                return fail(errors.adopt(Failure()))
            except ValueError:
                if standard is None and has_other_scheme(uri):
                    unsupported = self._schemeNotSupported(uri)
                    if unsupported is not None:
                        return fail(unsupported)
                raise
        check_method(method)
        shown = host_value(host, None if port == DEFAULT_PORTS.get(scheme) else port)
        endpoint: Any
        if standard is None:
            try:
                endpoint = self._endpointFactory.endpointForURI(parse_uri(uri))
            except SchemeNotSupported:
                return fail(errors.adopt(Failure()))
            if scheme in DEFAULT_PORTS:
                # In other schemes the host may be case-sensitive.
                host = host.lower()
            key: Any = (scheme, host, port, *place(endpoint), self._party)
        else:
            if self._proxies is not None:
                proxy = self._proxies.find(scheme, host, port)
                if proxy is not None:
                    route = self._route(
                        standard.via(proxy),
                        standard.policy,
                        (scheme, host, port),
                        target,
                        b"http://" + shown + target,
                        headers,
                    )
                    return self._start(method, shown, bodyProducer, uri, *route)
            key = (
                scheme,
                host.lower(),
                port,
                standard.plain if scheme == b"http" else standard.partyFor(scheme),
            )
            endpoint = LazyEndpoint(standard, scheme, host, port)
        return self._start(
            method, shown, bodyProducer, uri, key, target, headers, endpoint
        )

    def _schemeNotSupported(self, uri: bytes) -> Failure | None:
        """
        Ask the endpoint factory for the scheme of a URI that is not valid here.

        @return: the failure, if the scheme is not supported.
        """
        try:
            self._endpointFactory.endpointForURI(parse_uri(uri))
        except SchemeNotSupported:
            return errors.adopt(Failure())
        except Exception:
            # It expects a host.
            pass
        return None

    def _route(
        self,
        via: Via,
        policy: Any,
        origin: tuple[bytes, bytes, int],
        target: bytes,
        absolute: bytes,
        headers: Any,
    ) -> Route:
        """
        How a request goes through a proxy.
        """
        if isinstance(headers, Iterator):
            # The headers are read more than once.
            headers = list(headers)
        _check_headers(headers)
        if origin[0] == b"http":
            return via.forward(absolute, headers)
        return via.tunnel(
            self._reactor,
            policy,
            self._settings,
            self._fastPath,
            origin,
            target,
            headers,
        )

    def _start(
        self,
        method: bytes,
        host: bytes,
        body: Any,
        uri: bytes,
        key: Any,
        target: bytes,
        headers: Any,
        endpoint: Any,
    ) -> Deferred[Response]:
        reactor = self._reactor
        now = reactor.seconds()
        chain = take_chain()
        try:
            request = ClientRequest(
                method=method,
                target=target,
                host=host,
                given=headers,
                body=body,
                persistent=self._pool.persistent,
                settings=self._settings,
                started=now if chain is None else chain.begun(now),
                uri=uri,
                fast=self._fastPath,
            )
        except BadRequest:
            return fail(errors.wrap(errors.Generation, errors.SENDING, 0.0, Failure()))
        except (TypeError, ValueError, AttributeError):
            _check_headers(headers)
            raise
        if self._trace is not None:
            request.report = _reporter(self._trace, reactor, request)
        return Call(reactor, self._pool, request, key, endpoint).begin()


def _check_headers(headers: Any) -> None:
    if headers is not None and not isinstance(headers, TwistedHeaders):
        if not PAIRS.test(headers):
            raise wrong("headers", f"a Headers, or {PAIRS.name}", headers) from None


def _reporter(trace: Tracer, clock: Any, request: ClientRequest) -> Callable[..., None]:
    def report(
        name: str, connection: Any = None, failure: Failure | None = None
    ) -> None:
        event = TraceEvent(name, clock.seconds(), request, connection, failure)
        guarded("A trace function", trace, event)

    return report
