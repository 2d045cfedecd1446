"""
L{Agent}: what turns a method and a URI into a response.

The agent checks the request, finds out where it must go, and starts a
L{Call<twisted_h11._client.pending.Call>}, which sees it through.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
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

from twisted_h11._boundary.checks import (
    BOOL,
    CALLABLE,
    ENDPOINT,
    NUMBER,
    PAIRS,
    PATH,
    REACTOR,
    Kind,
    checked,
    instance,
    optional,
    wrong,
)
from twisted_h11._boundary.guarded import guarded
from twisted_h11._client import errors
from twisted_h11._client.party import SECURE, Party, party, place, standard_party
from twisted_h11._client.pending import Call
from twisted_h11._client.pool import HTTPConnectionPool
from twisted_h11._client.proxy import Proxies, Proxy, Route, Via, proxy_endpoint
from twisted_h11._client.request import (
    ClientRequest,
    check_method,
    check_uri,
)
from twisted_h11._client.request_head import BadRequest
from twisted_h11._client.response import Response
from twisted_h11._client.settings import ClientSettings
from twisted_h11._client.tls import default_policy, tls_endpoint
from twisted_h11._client.trace import TraceEvent, Tracer
from twisted_h11._client.tunnel import ProxyEndpoint
from twisted_h11._client.uri import (
    DEFAULT_PORTS,
    host_value,
    match_common,
    parse_uri,
    split_uri,
)

__all__ = ["Agent", "ProxyAgent", "UNIXEndpointFactory"]

# The arguments that all agents have.
_OPTIONS = {
    "settings": optional(instance("ClientSettings", ClientSettings)),
    "trace": optional(CALLABLE),
    "fastPath": BOOL,
}
_PROXIES = optional(instance("Proxies", Proxies))
_FACTORY = Kind(
    "an IAgentEndpointFactory", lambda value: hasattr(value, "endpointForURI")
)


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
        self.plain = standard_party(False, reactor, policy, bindAddress)
        self.secure = standard_party(True, reactor, policy, bindAddress)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        """
        See L{IAgentEndpointFactory}.
        """
        return self.endpointFor(uri.scheme, uri.host, uri.port)

    def endpointFor(
        self, scheme: bytes, host: bytes, port: int
    ) -> IStreamClientEndpoint:
        """
        The endpoint for an origin.
        """
        endpoint: IStreamClientEndpoint = HostnameEndpoint(
            self.reactor, host.decode("ascii"), port, **self.options
        )
        if scheme in SECURE:
            endpoint = tls_endpoint(self.policy, host, port, endpoint)
        return endpoint

    def partyFor(self, scheme: bytes) -> Party:
        """
        Who is known to a server by a connection to it.
        """
        return self.secure if scheme in SECURE else self.plain

    def via(self, proxy: Proxy) -> Via:
        """
        How to use a proxy.
        """
        return Via(
            (proxy.secure, proxy.host, proxy.port),
            proxy.name,
            lambda: proxy_endpoint(self.reactor, proxy, self.policy, self.options),
            proxy.authorization,
            self.secure if proxy.secure else self.plain,
            self.secure,
        )


def check_path(path: str | bytes) -> None:
    """
    Refuse the path of a UNIX socket that no socket can have.  Twisted finds that out
    where nobody is told.

    @raise ValueError: if it is too long, or has a NUL.
    """
    name = os.fsencode(path)
    # sockaddr_un.sun_path: 108 bytes on Linux, 104 on BSD and macOS, NUL included.
    longest = 107 if sys.platform == "linux" else 103
    if len(name) > longest:
        raise ValueError(
            f"The path of a UNIX socket has at most {longest} bytes, not {len(name)}"
        )
    if b"\0" in name[1:]:
        raise ValueError("The path of a UNIX socket has no NUL in it")


@implementer(IAgentEndpointFactory)
class UNIXEndpointFactory:
    """
    Sends every request to one UNIX socket, for
    L{Agent.usingEndpointFactory}::

        Agent.usingEndpointFactory(
            reactor, UNIXEndpointFactory(reactor, "/run/docker.sock"))

    The host in the URI is what the server sees as Host.

    @raise ValueError: if no socket can have that path.

    @since: 0.1
    """

    @checked(reactor=REACTOR, path=PATH, timeout=NUMBER)
    def __init__(self, reactor: Any, path: str, timeout: float = 30) -> None:
        check_path(path)
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

    @checked(
        reactor=REACTOR, connectTimeout=optional(NUMBER), proxies=_PROXIES, **_OPTIONS
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
    @checked(reactor=REACTOR, endpointFactory=_FACTORY, **_OPTIONS)
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
        check_method(method)
        shown = host_value(host, None if port == DEFAULT_PORTS.get(scheme) else port)
        endpoint: Any
        if standard is None:
            try:
                endpoint = self._endpointFactory.endpointForURI(parse_uri(uri))
            except SchemeNotSupported:
                return fail(errors.adopt(Failure()))
            if scheme in DEFAULT_PORTS:
                # What hosts are elsewhere may go by the case of letters.
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
            endpoint = _Lazy(standard, scheme, host, port)
        return self._start(
            method, shown, bodyProducer, uri, key, target, headers, endpoint
        )

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
            # It is looked at more than once.
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
        except (TypeError, ValueError, AttributeError):
            _check_headers(headers)
            raise
        if self._trace is not None:
            request.report = _reporter(self._trace, reactor, request)
        return Call(reactor, self._pool, request, key, endpoint).begin()


class _Lazy:
    """
    The endpoint for an origin, made when it is needed.
    """

    __slots__ = ("_factory", "_host", "_port", "_scheme")

    def __init__(
        self, factory: StandardEndpointFactory, scheme: bytes, host: bytes, port: int
    ) -> None:
        self._factory = factory
        self._scheme = scheme
        self._host = host
        self._port = port

    def __call__(self) -> Any:
        return self._factory.endpointFor(self._scheme, self._host, self._port)


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


class ProxyAgent(Agent):
    """
    An agent that sends every request through one proxy: those for C{http:} in
    absolute form, as
    L{twisted.web.client.ProxyAgent<twisted.web.client.ProxyAgent>} does, all others
    through a tunnel.  For proxies by their URLs use C{Agent(..., proxies=...)}.

    @param endpoint: how to connect to the proxy.
    @param contextFactory: how TLS with the servers is made and verified, see
        L{Agent}.

    @since: 0.1
    """

    @checked(endpoint=ENDPOINT, reactor=optional(REACTOR), **_OPTIONS)
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
        # All connections lead to one place: to the proxy.
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


def check_policy(policy: Any) -> Any:
    """
    How an agent makes and verifies TLS, if it was given C{policy}.
    """
    if policy is None:
        return default_policy()
    if not IPolicyForHTTPS.providedBy(policy):
        raise TypeError(
            f"{policy!r} was passed as the HTTPS policy for an Agent, "
            "but it does not provide IPolicyForHTTPS"
        )
    return policy
