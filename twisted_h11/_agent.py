"""
L{Agent}: what turns a method and a URI into a response.

The agent checks the request, finds out where it must go, and starts a
L{Call<twisted_h11._call.Call>}, which sees it through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from twisted.web.client import URI
from twisted.web.error import SchemeNotSupported
from twisted.web.http_headers import Headers as TwistedHeaders
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from twisted_h11 import _client_errors as errors
from twisted_h11._call import Call
from twisted_h11._client_heads import BadRequest
from twisted_h11._client_request import (
    ClientRequest,
    check_method,
    check_uri,
    pairs_of,
)
from twisted_h11._client_response import Response
from twisted_h11._client_settings import ClientSettings
from twisted_h11._client_tls import default_policy, tls_endpoint
from twisted_h11._party import SECURE, party, place, standard_party
from twisted_h11._pool import HTTPConnectionPool
from twisted_h11._proxy import (
    Proxies,
    Proxy,
    TunnelEndpoint,
    host_value,
    parse_uri,
    proxy_endpoint,
)
from twisted_h11._trace import TraceEvent, Tracer

__all__ = ["Agent", "ProxyAgent", "UNIXEndpointFactory"]

# URIs without anything unusual; all others go through twisted.web's parser.
_match_uri = re.compile(
    rb"(https?)://([A-Za-z0-9.-]+)(?::([0-9]{1,5}))?(/[^#]*)?(?:#.*)?\Z"
).match

DEFAULT_PORTS = {b"http": 80, b"https": 443, b"ws": 80, b"wss": 443}


@implementer(IAgentEndpointFactory)
class StandardEndpointFactory:
    """
    TCP for C{http:}, TLS on TCP for C{https:}, both with Happy Eyeballs.
    """

    def __init__(
        self,
        reactor: Any,
        policy: Any,
        connectTimeout: float | None,
        bindAddress: Any,
    ) -> None:
        self.reactor = reactor
        self.policy = policy
        self.options: dict[str, Any] = {"bindAddress": bindAddress}
        if connectTimeout is not None:
            self.options["timeout"] = connectTimeout
        self.parties = (
            standard_party(False, reactor, policy, bindAddress),
            standard_party(True, reactor, policy, bindAddress),
        )

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        See L{IAgentEndpointFactory}.
        """
        endpoint = HostnameEndpoint(
            self.reactor, uri.host.decode("ascii"), uri.port, **self.options
        )
        if uri.scheme in (b"https", b"wss"):
            wrapped: IStreamClientEndpoint = tls_endpoint(
                self.policy, uri.host, uri.port, endpoint
            )
            return wrapped
        return endpoint


@implementer(IAgentEndpointFactory)
class UNIXEndpointFactory:
    """
    Sends every request to one UNIX socket, for
    L{Agent.usingEndpointFactory}::

        Agent.usingEndpointFactory(
            reactor, UNIXEndpointFactory(reactor, "/run/docker.sock"))

    The host in the URI is what the server sees as Host.

    @since: 0.1
    """

    def __init__(self, reactor: Any, path: str, timeout: float = 30) -> None:
        self._endpoint = UNIXClientEndpoint(reactor, path, timeout=timeout)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        See L{IAgentEndpointFactory}.

        @raise SchemeNotSupported: for anything but C{http:}.
        """
        if uri.scheme != b"http":
            raise SchemeNotSupported(f"Unsupported scheme: {uri.scheme!r}")
        endpoint: IStreamClientEndpoint = self._endpoint
        return endpoint


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
    @param fastPath: whether common messages may pass without the state
        machine of h11.  The responses are the same.

    @since: 0.1
    """

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
        if contextFactory is None:
            contextFactory = default_policy()
        elif not IPolicyForHTTPS.providedBy(contextFactory):
            raise TypeError(
                f"{contextFactory!r} was passed as the HTTPS policy for an Agent, "
                "but it does not provide IPolicyForHTTPS"
            )
        self._standard: StandardEndpointFactory | None
        self._standard = StandardEndpointFactory(
            reactor, contextFactory, connectTimeout, bindAddress
        )
        self._init(reactor, self._standard, pool, settings, proxies, trace, fastPath)

    @classmethod
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
        Make an agent that asks C{endpointFactory} how to connect.

        @param endpointFactory: an
            L{IAgentEndpointFactory<twisted.web.iweb.IAgentEndpointFactory>}.
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
                "connections of another pool are another's protocol"
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

    # A Deferred of the interface would be all that the interface promises.
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
            when its head is here.
        @raise TypeError: if the method is not bytes.
        @raise ValueError: if the method or the URI is not valid.
        """
        uri = check_uri(uri.strip())
        match = _match_uri(uri)
        parsed: URI | None = None
        if match is not None:
            scheme, host, number, target = match.groups()
            port = int(number) if number else DEFAULT_PORTS[scheme]
            if target is None:
                target = b"/"
        else:
            parsed = parse_uri(uri)
            scheme, host, port = parsed.scheme, parsed.host, parsed.port
            target = parsed.originForm
            if not target.startswith(b"/"):
                target = b"/" + target
            if scheme not in DEFAULT_PORTS:
                return _notSupported(scheme)
            if b"@" in host:
                raise ValueError(
                    "Invalid URI: credentials in it would not be sent; "
                    "send an Authorization header"
                )
        if not host or port > 65535:
            raise ValueError(f"Invalid URI {uri!r}")
        check_method(method)
        hostValue = host_value(host, None if port == DEFAULT_PORTS[scheme] else port)
        key: Any
        endpoint: Any
        standard = self._standard
        given: Any = headers
        if standard is None:
            if parsed is None:
                parsed = parse_uri(uri)
            try:
                endpoint = self._endpointFactory.endpointForURI(parsed)
            except SchemeNotSupported:
                return fail(errors.adopt(Failure()))
            key = (scheme, host.lower(), port, *place(endpoint), self._party)
        else:
            key = (scheme, host.lower(), port, standard.parties[scheme in SECURE])
            proxy = None
            if self._proxies is not None:
                proxy = self._proxies.find(scheme, host, port)
            if proxy is not None:
                key, target, given, endpoint = self._throughProxy(
                    standard, proxy, key, hostValue, target, given
                )
            else:
                endpoint = _Lazy(standard, uri, parsed)
        return self._start(
            method, target, hostValue, given, bodyProducer, uri, key, endpoint
        )

    def _start(
        self,
        method: bytes,
        target: bytes,
        host: bytes,
        headers: Any,
        body: Any,
        uri: bytes,
        key: Any,
        endpoint: Any,
    ) -> Deferred[Response]:
        reactor = self._reactor
        try:
            request = ClientRequest(
                method,
                target,
                host,
                headers,
                body,
                self._pool.persistent,
                self._settings,
                reactor.seconds(),
                uri,
                self._fastPath,
            )
        except BadRequest:
            return fail(errors.wrap(errors.Generation, errors.SENDING, 0.0, Failure()))
        if self._trace is not None:
            request.report = _reporter(self._trace, reactor, request)
        return Call(reactor, self._pool, request, key, endpoint).begin()

    def _throughProxy(
        self,
        standard: StandardEndpointFactory,
        proxy: Proxy,
        key: Any,
        host: bytes,
        target: bytes,
        headers: Any,
    ) -> tuple[Any, bytes, Any, Any]:
        """
        What changes for a request that goes through a proxy.
        """
        reactor, policy = standard.reactor, standard.policy
        options = standard.options
        settings = self._settings
        scheme, name, port, _ = key

        def toProxy() -> Any:
            return proxy_endpoint(reactor, proxy, policy, options)

        if scheme in (b"https", b"wss"):

            def tunnel() -> Any:
                return tls_endpoint(
                    policy,
                    name,
                    port,
                    TunnelEndpoint(
                        reactor,
                        toProxy(),
                        name,
                        port,
                        proxy.authorization,
                        settings,
                        fastPath=self._fastPath,
                    ),
                )

            key = ("tunnel", proxy, scheme, name, port, standard.parties[True])
            return key, target, headers, tunnel
        if proxy.authorization is not None:
            pairs = pairs_of(headers) if headers is not None else []
            if not any(pair[0].lower() == b"proxy-authorization" for pair in pairs):
                pairs = [*pairs, (b"Proxy-Authorization", proxy.authorization)]
            headers = pairs
        key = ("proxy", proxy, standard.parties[proxy.secure])
        return key, b"http://" + host + target, headers, toProxy


def _notSupported(scheme: bytes) -> Deferred[Any]:
    error = SchemeNotSupported(f"Unsupported scheme: {scheme!r}")
    return fail(errors.adopt(Failure(error)))


class _Lazy:
    """
    An endpoint that is made when it is needed.
    """

    __slots__ = ("_factory", "_parsed", "_uri")

    def __init__(self, factory: Any, uri: bytes, parsed: URI | None) -> None:
        self._factory = factory
        self._uri = uri
        self._parsed = parsed

    def __call__(self) -> Any:
        parsed = self._parsed
        if parsed is None:
            parsed = parse_uri(self._uri)
        return self._factory.endpointForURI(parsed)


def _reporter(trace: Tracer, clock: Any, request: ClientRequest) -> Callable[..., None]:
    def report(
        name: str, connection: Any = None, failure: Failure | None = None
    ) -> None:
        trace(TraceEvent(name, clock.seconds(), request, connection, failure))

    return report


class ProxyAgent(Agent):
    """
    An agent that sends every request to one proxy, in absolute form, as
    L{twisted.web.client.ProxyAgent<twisted.web.client.ProxyAgent>} does.  For
    https, and for proxies by their URLs, use C{Agent(..., proxies=...)}.

    @param endpoint: how to connect to the proxy.

    @since: 0.1
    """

    def __init__(
        self,
        endpoint: IStreamClientEndpoint,
        reactor: Any = None,
        pool: HTTPConnectionPool | None = None,
        *,
        settings: ClientSettings | None = None,
        trace: Tracer | None = None,
        fastPath: bool = True,
    ) -> None:
        if reactor is None:
            from twisted.internet import reactor
        self._standard = None
        self._proxyEndpoint = endpoint
        # All connections lead to one place: to the proxy.
        self._init(reactor, endpoint, pool, settings, None, trace, fastPath)

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
        uri = check_uri(uri.strip())
        parsed = parse_uri(uri)
        check_method(method)
        port = None if parsed.port == DEFAULT_PORTS.get(parsed.scheme) else parsed.port
        return self._start(
            method,
            uri.partition(b"#")[0],
            host_value(parsed.host, port),
            headers,
            bodyProducer,
            uri,
            ("http-proxy", self._party),
            self._proxyEndpoint,
        )
