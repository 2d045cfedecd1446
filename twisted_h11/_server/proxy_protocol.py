"""
Connections that begin with a header of the PROXY protocol.

Twisted's C{haproxy:} endpoints accept a header from any peer, of any length, do not
check addresses and ports, drop a connection whose first bytes arrive one by one, and
read the header above TLS, although proxies send it first.  So L{ProxyProtocolFactory}
wraps all other factories, accepts headers of trusted proxies only, and drops all other
connections, with a line in the log.

The wrapped protocol is made with the connection, and its time-outs count from then: the
one of the TLS handshake, or the one of the first byte.  The address of the client is
set before the wrapped protocol gets the first byte.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IAddress, IHalfCloseableProtocol
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_h11._boundary.checks import REACTOR, Kind, checked, instance, optional
from twisted_h11._server.trusted import TrustedProxies
from twisted_h11._wire.proxy_header import BadHeader, ProxyHeader, read_header
from twisted_h11.limits import Limits

__all__ = ["ProxyProtocolFactory"]

_QUIET = 60
"""
How many seconds dropped connections are only counted after one was logged.
"""


_FACTORY = Kind("a factory", lambda f: callable(getattr(f, "buildProtocol", None)))


@implementer(IHalfCloseableProtocol)
class _Connection(ProtocolWrapper):
    """
    One connection, which begins with a header.
    """

    factory: Any
    _header: ProxyHeader | None = None
    _received = b""
    tellsOfDropped = True
    passesBytes = True

    def dataReceived(self, data: bytes) -> None:
        """
        Remove the header, and pass on the rest.
        """
        if self._header is not None:
            self.wrappedProtocol.dataReceived(data)
            return
        if self._received:
            data = self._received + data
        factory = self.factory
        try:
            header = read_header(data, factory.limits.maxProxyHeaderLength)
        except BadHeader as error:
            self._received = b""
            self._drop(str(error))
            return
        if header is None:
            # Bounded: read_header raises for more than a header may have.
            self._received = data
            return
        self._header = header
        self._received = b""
        rest = data[header.end :]
        if rest or not isinstance(self.wrappedProtocol, ProtocolWrapper):
            # Also b"": from now on the connection counts for this client.  TLS
            # takes b"" as an error; it reports the end of its handshake by itself.
            self.wrappedProtocol.dataReceived(rest)

    def _drop(self, reason: str) -> None:
        transport: Any = self.transport
        self.factory.dropped(transport.getPeer(), reason)
        transport.abortConnection()

    def getPeer(self) -> IAddress:
        """
        The address of the client.
        """
        if self._header is not None and self._header.source is not None:
            return self._header.source
        assert self.transport is not None
        return self.transport.getPeer()

    def getHost(self) -> IAddress:
        """
        The address that the client has connected to.
        """
        if self._header is not None and self._header.destination is not None:
            return self._header.destination
        assert self.transport is not None
        return self.transport.getHost()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        See L{ProtocolWrapper}.
        """
        if self._received:
            self.factory.dropped(
                self.getPeer(), "it ended within the header of the PROXY protocol"
            )
        self._received = b""
        super().connectionLost(reason)

    def readConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol}.
        """
        half = self._half()
        if half is not None and self._header is not None:
            half.readConnectionLost()
        else:
            assert self.transport is not None
            self.transport.loseConnection()

    def writeConnectionLost(self) -> None:
        """
        See L{IHalfCloseableProtocol}.
        """
        half = self._half()
        if half is not None:
            half.writeConnectionLost()

    def _half(self) -> Any:
        """
        The wrapped protocol, if its class is half-closeable.  The instance does not
        count: a wrapper, as that of TLS, copies the interfaces of this object.
        """
        wrapped = self.wrappedProtocol
        if IHalfCloseableProtocol.implementedBy(type(wrapped)):
            return wrapped
        return None


class ProxyProtocolFactory(WrappingFactory):
    """
    Reads a header of the PROXY protocol (version 1 or 2) at the beginning of each
    connection, and sets the connection's address to that of the client in the header.

    ::

        site = Site(root, trustedProxies=proxies)
        endpoint.listen(ProxyProtocolFactory(site, proxies))

    A proxy sends the header before a TLS handshake.  So for TLS wrap the TLS factory,
    and use an endpoint without TLS::

        secure = TLSMemoryBIOFactory(contextFactory, False, site)
        endpoint.listen(ProxyProtocolFactory(secure, proxies))

    A connection that is not from a trusted proxy, or does not begin with a header, is
    dropped and logged; of many in a minute only the number is logged.

    @since: 0.1
    """

    protocol = _Connection

    _log = Logger()

    @checked(
        factory=_FACTORY,
        trusted=instance("TrustedProxies", TrustedProxies),
        limits=optional(instance("Limits", Limits)),
        reactor=optional(REACTOR),
    )
    def __init__(
        self,
        factory: Factory[Any],
        trusted: TrustedProxies,
        limits: Limits | None = None,
        reactor: Any = None,
    ) -> None:
        """
        @param factory: the factory to wrap: a site, or a TLS factory around it.
        @param trusted: the proxies that may send a header.
        @param limits: only C{maxProxyHeaderLength} applies; by default the default
            limits.
        @param reactor: the clock; by default the global reactor.
        @raise TypeError: for an argument of a wrong type.
        """
        if reactor is None:
            from twisted.internet import reactor
        super().__init__(factory)
        self.trusted = trusted
        self.limits = limits if limits is not None else Limits()
        self._reactor: Any = reactor
        self._told: float | None = None
        self._untold = 0

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """
        Make the protocol of a connection.

        @return: C{None}, which closes it, if it is not from a trusted proxy.
        """
        if not self.trusted.trusts(addr):
            self.dropped(addr, "it is not from a trusted proxy")
            return None
        return super().buildProtocol(addr)

    def dropped(self, peer: IAddress | None, reason: str) -> None:
        """
        Log a dropped connection: the first one with its reason, later ones within a
        minute by their number.
        """
        now = self._reactor.seconds()
        # The clock may be set back.
        if self._told is not None and 0 <= now - self._told < _QUIET:
            self._untold += 1
            return
        untold, self._untold = self._untold, 0
        self._told = now
        self._log.info(
            "Dropped a connection from {peer}: {reason}{more}",
            peer=peer,
            reason=reason,
            more=f"; {untold} others since the last such line" if untold else "",
        )

    def stopFactory(self) -> None:
        """
        See L{Factory.stopFactory}.
        """
        if self._untold:
            self._log.info(
                "Dropped {untold} other connections that did not begin with a header "
                "of the PROXY protocol",
                untold=self._untold,
            )
            self._untold = 0
        super().stopFactory()
