"""
Connections that begin with a header of the PROXY protocol.

Twisted has that too (C{haproxy:} endpoints).  It takes a header from whoever
connects, of any length, reads addresses and ports as they come, drops a connection
whose header arrives in two pieces, and stands above TLS, while proxies send the
header first.  So L{ProxyProtocolFactory} goes below whatever else there is, believes
those only who are on the list, and drops all others, with a line in the log.

The wrapped protocol is made with the connection, and its time-outs count from there:
for TLS that of the handshake, else that of the first byte.  The address is known
before it gets the first byte.
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
Seconds for which only the first dropped connection has a line of its own.
"""


_FACTORY = Kind("a factory", lambda f: callable(getattr(f, "buildProtocol", None)))


@implementer(IHalfCloseableProtocol)
class _Connection(ProtocolWrapper):
    """
    One connection.
    """

    factory: Any
    _header: ProxyHeader | None = None
    _received = b""
    tellsOfDropped = True
    passesBytes = True

    def dataReceived(self, data: bytes) -> None:
        """
        Take the header off, and give on the rest.
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
            # No more than the header may have.
            self._received = data
            return
        self._header = header
        self._received = b""
        rest = data[header.end :]
        if rest or not isinstance(self.wrappedProtocol, ProtocolWrapper):
            # Nothing, too: the connection counts for this client from now on.  TLS
            # takes nothing for an error, and says itself when it is ready.
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
        Where the client has connected to.
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
                self.getPeer(), "it has ended within a header of the PROXY protocol"
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
        The wrapped protocol, if it can be half closed by itself.  A wrapper, as that of
        TLS, says of itself whatever we say, and asks us then.
        """
        wrapped = self.wrappedProtocol
        if IHalfCloseableProtocol.implementedBy(type(wrapped)):
            return wrapped
        return None


class ProxyProtocolFactory(WrappingFactory):
    """
    Takes a header of the PROXY protocol (version 1 or 2) off the beginning of each
    connection, and has the connection be that of the client whom it names.

    ::

        site = Site(root, trustedProxies=proxies)
        endpoint.listen(ProxyProtocolFactory(site, proxies))

    A proxy sends the header first, also where TLS follows.  So for TLS the factory
    goes around that of TLS, on an endpoint that has none::

        secure = TLSMemoryBIOFactory(contextFactory, False, site)
        endpoint.listen(ProxyProtocolFactory(secure, proxies))

    A connection from elsewhere, or one that does not begin with a header, is dropped,
    and the log says so; of many in a minute it tells the number.

    @since: 0.1
    """

    protocol = _Connection

    _log = Logger()

    @checked(
        factory=Kind(
            "a factory", lambda f: callable(getattr(f, "buildProtocol", None))
        ),
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
        @param factory: what the connections are for: a site, or a factory of TLS
            around it.
        @param trusted: who may send a header.
        @param limits: of these C{maxProxyHeaderLength} counts; the defaults, if they
            are not given.
        @param reactor: for the time; by default the global one.
        @raise TypeError: if an argument is something else.
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

        @return: C{None}, so that it is closed, if it is not from a trusted proxy.
        """
        if not self.trusted.trusts(addr):
            self.dropped(addr, "it is none of the proxies that are trusted")
            return None
        return super().buildProtocol(addr)

    def dropped(self, peer: IAddress | None, reason: str) -> None:
        """
        Say that a connection is dropped: the first one with its reason, of those that
        follow within a minute the number.
        """
        now = self._reactor.seconds()
        if self._told is not None and now - self._told < _QUIET:
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
