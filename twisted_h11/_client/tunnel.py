"""
Tunnels: a connection through a proxy, opened by CONNECT (RFC 9110 section 9.3.6).

An error before the tunnel is open is a L{ProxyError}.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_h11._boundary.checks import (
    BOOL,
    BYTES,
    ENDPOINT,
    INT,
    REACTOR,
    STR,
    checked,
    instance,
    optional,
)
from twisted_h11._client.connecting import Attempt, Connecting
from twisted_h11._client.connection import ClientConnection
from twisted_h11._client.errors import ProxyError, blame
from twisted_h11._client.exchange import Exchange
from twisted_h11._client.request import DEFAULT_SETTINGS, ClientRequest
from twisted_h11._client.response import Response
from twisted_h11._client.settings import ClientSettings
from twisted_h11._client.starting import start_request
from twisted_h11._client.uri import host_value

__all__ = ["ProxyEndpoint", "ProxyRefused", "TunnelEndpoint"]


class ProxyRefused(ProxyError):
    """
    A proxy did not open a tunnel.  Nothing was sent to the server.

    @ivar code: the status of the proxy's answer.
    @ivar phrase: its reason phrase.
    @ivar authority: host and port of the server.

    @since: 0.1
    """

    def __init__(
        self, code: int, phrase: bytes, authority: bytes, proxy: str = ""
    ) -> None:
        self.code = code
        self.phrase = phrase
        self.authority = authority
        self.proxy = proxy
        who = f"The proxy {proxy}" if proxy else "The proxy"
        text = phrase.decode("latin-1")
        super().__init__(
            string=f"{who} answered {code} {text} to CONNECT {authority.decode()}"
        )

    def __str__(self) -> str:
        return str(self.args[0])

    def __reduce__(self) -> Any:
        arguments = (self.code, self.phrase, self.authority, self.proxy)
        return type(self), arguments, vars(self)


@implementer(IStreamClientEndpoint)
class ProxyEndpoint:
    """
    The endpoint of a proxy; it names the proxy for the errors of a connection.

    @ivar proxy: host and port of the proxy, for errors of connecting.
    @ivar peer: the same, for errors of the TLS handshake.
    """

    def __init__(self, endpoint: Any, proxy: str) -> None:
        self._endpoint = endpoint
        self.proxy = self.peer = proxy

    @property
    def problem(self) -> Failure | None:
        """
        Why the TLS of the last connection could not be begun, or C{None}.
        """
        return getattr(self._endpoint, "problem", None)

    def connect(self, factory: Any) -> Deferred[Any]:
        """
        See L{IStreamClientEndpoint}.
        """
        connecting: Deferred[Any] = self._endpoint.connect(factory)
        return connecting


@implementer(IStreamClientEndpoint)
class TunnelEndpoint:
    """
    A connection through a proxy's tunnel, as an endpoint.

    @param reactor: provides the time.
    @param proxyEndpoint: how to connect to the proxy.
    @param host: the host of the server.
    @param port: the port of the server.
    @param authorization: the value of Proxy-Authorization, or C{None}.
    @param settings: the time-outs.
    @param fastPath: whether CONNECT and its response may be written and read without
        h11's state machine.
    @param proxy: host and port of the proxy, for messages.

    @since: 0.1
    """

    @checked(
        reactor=REACTOR,
        proxyEndpoint=ENDPOINT,
        host=BYTES,
        port=INT,
        authorization=optional(BYTES),
        settings=instance("ClientSettings", ClientSettings),
        fastPath=BOOL,
        proxy=STR,
    )
    def __init__(
        self,
        reactor: Any,
        proxyEndpoint: Any,
        host: bytes,
        port: int,
        authorization: bytes | None = None,
        settings: ClientSettings = DEFAULT_SETTINGS,
        *,
        fastPath: bool = True,
        proxy: str = "",
    ) -> None:
        self.proxy = proxy
        self._reactor = reactor
        self._endpoint = proxyEndpoint
        self._authority = host_value(host, port)
        self._authorization = authorization
        self._settings = settings
        self._fastPath = fastPath

    def connect(self, factory: Any) -> Deferred[Any]:
        """
        See L{IStreamClientEndpoint}.
        """
        headers = []
        if self._authorization is not None:
            headers.append((b"Proxy-Authorization", self._authorization))
        request = ClientRequest(
            method=b"CONNECT",
            target=self._authority,
            host=self._authority,
            given=headers,
            body=None,
            persistent=True,
            settings=self._settings,
            started=self._reactor.seconds(),
            fast=self._fastPath,
        )
        tunnel = _Tunnel(factory, request, self.proxy)
        tunnel.attempt = attempt = Attempt(
            clock=self._reactor,
            key=None,
            endpoint=self._endpoint,
            connectTimeout=None,
            tlsTimeout=self._settings.tlsTimeout,
            started=request.started,
            done=tunnel.connected,
            failed=tunnel.failed,
            freed=lambda _: tunnel.deferred.gone(),
        )
        attempt.begin()
        return tunnel.deferred


class _Tunnel:
    """
    One attempt to open a tunnel.
    """

    attempt: Any = None
    _connection: ClientConnection | None = None
    _exchange: Exchange | None = None

    def __init__(self, factory: Any, request: ClientRequest, proxy: str) -> None:
        self._factory = factory
        self._proxy = proxy
        self._request = request
        self.deferred = Connecting(self._cancel)

    def _cancel(self, _: object) -> None:
        if self._exchange is not None:
            self._exchange.cancel()
        elif self.attempt is not None:
            self.attempt.cancel()

    def _isCancelled(self) -> bool:
        """
        Whether the Deferred has fired, before this object fires it.
        """
        return bool(self.deferred.called)

    def _forget(self) -> None:
        """
        Drop what refers to this object.
        """
        self.attempt = self._connection = self._exchange = None

    def connected(self, attempt: object, connection: ClientConnection) -> None:
        """
        The connection to the proxy is ready: send CONNECT.
        """
        self.attempt = None
        self._connection = connection
        connection.adopt(self)
        exchange = self._exchange = connection.begin(self._request, self)
        try:
            start_request(exchange)
        except BaseException:
            # The transport raised: an endpoint of the application's may have made it.
            exchange.fail(Failure())

    def failed(self, attempt: object, reason: Failure) -> None:
        """
        The connection to the proxy failed.
        """
        self.attempt = None
        self.deferred.errback(blame(reason, self._proxy))

    def responseReceived(self, response: Response) -> None:
        """
        The proxy has responded: pass the connection on, or fail with
        L{ProxyRefused}.
        """
        connection = self._connection
        if not 200 <= response.code < 300:
            self._forget()
            response.abort()
            refused = ProxyRefused(
                response.code, response.phrase, self._request.target, self._proxy
            )
            self.deferred.errback(Failure(refused))
            return
        assert connection is not None
        try:
            protocol = self._factory.buildProtocol(connection.peer)
            if protocol is None:
                raise ConnectError(string="the factory built no protocol")
        except BaseException:
            failure = Failure()
            self._forget()
            response.abort()
            self.deferred.errback(failure)
            return
        self._forget()
        if self._isCancelled():
            # By the factory.
            return
        transport = connection.wire.transport
        response.switchProtocol(protocol)
        if self._isCancelled():
            # By the protocol.
            transport.abortConnection()
        else:
            self.deferred.callback(protocol)

    def requestFailed(self, failure: Failure, nothingSent: bool) -> None:
        """
        CONNECT failed without a response.
        """
        self._forget()
        self.deferred.errback(blame(failure, self._proxy))

    def connectionOpened(self, connection: ClientConnection) -> None:
        """
        Do nothing: the connection was open and ready before.
        """

    connectionReady = connectionOpened
    connectionClosing = connectionOpened

    def connectionIdle(self, connection: ClientConnection) -> None:
        """
        Close the connection: it is idle because the proxy did not open a tunnel.
        """
        connection.loseConnection()

    def connectionGone(self, connection: ClientConnection, reason: Failure) -> None:
        """
        The connection to the proxy is gone, or the factory's protocol has it now.  The
        response or the failure was handled already.
        """
        self.deferred.gone()
