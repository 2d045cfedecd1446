"""
The server's end of TLS connections, with certificates that may be renewed at any time.
"""

from __future__ import annotations

import os
from typing import Any

from OpenSSL import SSL
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from twisted_h11._boundary.checks import (
    NUMBER,
    PATH,
    REACTOR,
    STR,
    Kind,
    checked,
    instance,
    optional,
)
from twisted_h11._boundary.handshakes import ReasonedConnection
from twisted_h11._tls.contexts import ClientCertificate, ContextMaker
from twisted_h11._tls.store import Sources, Store

__all__ = ["LOOK_INTERVAL", "ServerTLS", "TLSEndpoint"]

LOOK_INTERVAL = 60.0
"""
Seconds between two checks of the files: soon enough for certificates that are renewed
weeks before they expire, and at no noticeable cost.
"""

_VERSIONS = ("1.2", "1.3")

_ENDPOINT = Kind(
    "an endpoint to listen on", lambda value: callable(getattr(value, "listen", None))
)


@implementer(IOpenSSLServerConnectionCreator)
class ServerTLS:
    """
    The certificates of a server, read from files, and read again when these change.

    Use it to listen with TLS, instead of
    L{CertificateOptions<twisted.internet.ssl.CertificateOptions>}::

        tls = ServerTLS("/etc/letsencrypt/live/example.org/fullchain.pem",
                        "/etc/letsencrypt/live/example.org/privkey.pem")
        SSL4ServerEndpoint(reactor, 443, tls).listen(site)

    The files are checked when a connection is made, at most once in C{interval}
    seconds, and read if they have changed; L{reload} reads them at once.  Open
    connections are not affected.  An error is logged once, in one line, and the old
    certificate is kept.  The protocols for ALPN are the factory's: with
    L{Site<twisted_h11.server.Site>} C{http/1.1}, and C{h2} if HTTP/2 is switched on.

    @since: 0.1
    """

    _log = Logger()

    @checked(
        certificate=optional(PATH),
        privateKey=optional(PATH),
        certificates=optional(PATH),
        minimumVersion=STR,
        clientCA=optional(PATH),
        clientCertificate=optional(STR),
        interval=optional(NUMBER),
        clock=optional(REACTOR),
    )
    def __init__(
        self,
        certificate: str | os.PathLike[str] | None = None,
        privateKey: str | os.PathLike[str] | None = None,
        *,
        certificates: str | os.PathLike[str] | None = None,
        minimumVersion: str = "1.2",
        clientCA: str | os.PathLike[str] | None = None,
        clientCertificate: str | None = None,
        interval: float | None = LOOK_INTERVAL,
        clock: Any = None,
    ) -> None:
        """
        @param certificate: the path of a PEM file with a certificate, followed by its
            chain; for clients that send no server name, or an unknown one.
        @param privateKey: the path of a PEM file with its key; by default the key is
            in the same file.
        @param certificates: the path of a folder with C{NAME.pem} files (certificate,
            chain and key), and with folders C{NAME} that have a C{fullchain.pem} and a
            C{privkey.pem}, as certbot makes them.  Each certificate is for the names
            in its subjectAltName, wildcards included.  Without C{certificate} the
            certificate named C{default} is the default, or else the first by name.
        @param minimumVersion: the lowest version of TLS, C{"1.2"} or C{"1.3"}.
        @param clientCA: the path of a PEM file with the authorities that certificates
            of clients must be from.
        @param clientCertificate: C{"required"}, the default with C{clientCA}: the
            handshake fails for clients without such a certificate; C{"optional"}: it
            fails only for clients with a certificate from elsewhere.
        @param interval: the least number of seconds between two checks of the files;
            C{None}: they are read by L{reload} only.
        @param clock: provides the time (L{IReactorTime
            <twisted.internet.interfaces.IReactorTime>}); by default the reactor.
        @raise BadTLSFile: a C{ValueError}, for a file that can not be used.
        @raise ValueError: for arguments that exclude or need each other.
        """
        if certificate is None and certificates is None:
            raise ValueError("neither a certificate nor a folder of certificates")
        if privateKey is not None and certificate is None:
            raise ValueError("a private key goes with a certificate")
        if minimumVersion not in _VERSIONS:
            raise ValueError(f"the minimum version must be {' or '.join(_VERSIONS)}")
        if clock is None:
            from twisted.internet import reactor as clock
        pair = None
        if certificate is not None:
            path = _path(certificate)
            pair = path, path if privateKey is None else _path(privateKey)
        self._clock = clock
        self._interval = interval
        self._store = Store(
            Sources(
                pair,
                None if certificates is None else _path(certificates),
                None if clientCA is None else _path(clientCA),
            ),
            ContextMaker(minimumVersion, _asked(clientCA, clientCertificate)),
            self._chooseName,
        )
        self._lookedAt = clock.seconds()

    def reload(self) -> list[str]:
        """
        Read all files now, and drop certificates that are no longer in the folder.

        @return: the errors, one line each; they were logged, and the old certificates
            are kept.
        """
        return self._refresh(True)

    def warnings(self) -> list[str]:
        """
        Warnings of certificates that have expired or are not yet valid, one line each.
        They are also logged when the certificates are loaded.
        """
        return self._store.warnings()

    def serverConnectionForTLS(self, protocol: Any) -> SSL.Connection:
        """
        See L{IOpenSSLServerConnectionCreator
        <twisted.internet.interfaces.IOpenSSLServerConnectionCreator>}.
        """
        if self._interval is not None:
            # The clock may be set back.
            if not 0 <= self._clock.seconds() - self._lookedAt < self._interval:
                self._refresh(False)
        connection = ReasonedConnection(self._store.table.default)
        # Twisted does this itself since version 25.
        connection.set_app_data(protocol)
        return connection

    def _refresh(self, everything: bool) -> list[str]:
        self._lookedAt = self._clock.seconds()
        try:
            return self._store.refresh(everything)
        except Exception as error:
            # An unexpected error must not keep connections from being served.
            self._log.failure("TLS: looking at the certificates failed")
            return [repr(error)]

    def _chooseName(self, connection: SSL.Connection) -> None:
        context = self._store.table.find(connection.get_servername())
        if context is not connection.get_context():
            connection.set_context(context)


def _path(path: str | os.PathLike[str]) -> str:
    """
    An absolute path: a daemon changes its directory later.
    """
    return os.path.abspath(os.fsdecode(path))


def _asked(clientCA: Any, clientCertificate: str | None) -> ClientCertificate:
    if clientCA is None:
        if clientCertificate is not None:
            raise ValueError("clientCertificate goes with clientCA")
        return ClientCertificate.NONE
    if clientCertificate in (None, "required"):
        return ClientCertificate.REQUIRED
    if clientCertificate == "optional":
        return ClientCertificate.OPTIONAL
    raise ValueError("clientCertificate must be optional or required")


@implementer(IStreamServerEndpoint)
class TLSEndpoint:
    """
    TLS on any other endpoint: on IPv6, on a socket from systemd, on a UNIX socket.

    @ivar ports: the ports that it has opened.

    @since: 0.1
    """

    @checked(endpoint=_ENDPOINT, tls=instance("a ServerTLS", ServerTLS))
    def __init__(self, endpoint: IStreamServerEndpoint, tls: ServerTLS) -> None:
        """
        @param endpoint: where to listen (L{IStreamServerEndpoint
            <twisted.internet.interfaces.IStreamServerEndpoint>}).
        @param tls: the certificates.
        """
        self._endpoint = endpoint
        self._tls = tls
        self.ports: list[IListeningPort] = []

    def listen(self, protocolFactory: IProtocolFactory) -> Deferred[IListeningPort]:
        """
        See L{IStreamServerEndpoint<twisted.internet.interfaces.IStreamServerEndpoint>}.
        """
        return self._endpoint.listen(
            TLSMemoryBIOFactory(self._tls, False, protocolFactory)
        ).addCallback(self._listens)

    def _listens(self, port: IListeningPort) -> IListeningPort:
        self.ports.append(port)
        return port
