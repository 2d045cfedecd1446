"""
Certificates made for the test, and servers that show them.
"""

from __future__ import annotations

from typing import Any

import trustme
from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import Deferred, inlineCallbacks
from twisted.internet.interfaces import IOpenSSLContextFactory
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    trustRootFromCertificates,
)
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from tests.support.times import eventually
from twisted_h11.client import HTTPConnectionPool

__all__ = ["PoolTestCase", "Server", "certificate_of", "listen_tls", "private_of"]

net: Any = reactor


def certificate_of(authority: trustme.CA) -> Certificate:
    """
    An authority's own certificate.
    """
    found: Certificate = Certificate.loadPEM(authority.cert_pem.bytes())
    return found


def private_of(leaf: trustme.LeafCert) -> PrivateCertificate:
    """
    A certificate with its key.
    """
    found: PrivateCertificate = PrivateCertificate.loadPEM(
        leaf.private_key_and_cert_chain_pem.bytes()
    )
    return found


class PoolTestCase(TestCase):
    """
    A pool on real sockets, of which nothing is left, and an authority.
    """

    def setUp(self) -> None:
        """
        Make both.
        """
        self.authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.pool = HTTPConnectionPool(net)
        self.addCleanup(self.close)

    @inlineCallbacks
    def close(self) -> Any:
        """
        Leave nothing open.
        """
        yield self.pool.close()
        yield eventually(lambda: not any(self.pool.counts()))
        self.assertEqual((0, 0, 0, 0), tuple(self.pool.counts()))

    def leaf(self, *names: str, **options: Any) -> trustme.LeafCert:
        """
        A certificate for C{names}.
        """
        return self.authority.issue_cert(
            *names, key_type=trustme.KeyType.ECDSA, **options
        )


class Server(Protocol):
    """
    Answers each request with what it knows of the connection.
    """

    factory: Any
    body = b""

    def connectionMade(self) -> None:
        self.factory.connections.append(self)

    def dataReceived(self, data: bytes) -> None:
        self.body += data
        while b"\r\n\r\n" in self.body:
            head, _, self.body = self.body.partition(b"\r\n\r\n")
            self.factory.heads.append(head)
            answer = self.factory.answer
            if answer is None:
                text = self.describe()
                answer = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (
                    len(text),
                    text,
                )
            assert self.transport is not None
            self.transport.write(answer)
            if self.factory.closes:
                self.transport.loseConnection()

    def describe(self) -> bytes:
        """
        The server name that was asked for, and the client's certificate.
        """
        handle: Any = self.transport.getHandle()  # type: ignore[union-attr]
        if not isinstance(handle, SSL.Connection):
            return b"plain"
        certificate = handle.get_peer_certificate()
        return b"%b %b" % (
            handle.get_servername() or b"-",
            b"anonymous" if certificate is None else b"known",
        )

    def connectionLost(self, reason: object = connectionDone) -> None:
        self.factory.connections.remove(self)


def make_factory(answer: bytes | None = None, closes: bool = False) -> Any:
    """
    A factory of servers.
    """
    factory: Any = Factory.forProtocol(Server)
    factory.noisy = False
    factory.heads = []
    factory.connections = []
    factory.answer = answer
    factory.closes = closes
    return factory


@implementer(IOpenSSLContextFactory)
class Limited:
    """
    A context that speaks no newer TLS than it should.
    """

    def __init__(self, context: SSL.Context, highest: int) -> None:
        context.set_max_proto_version(highest)
        self._context = context

    def getContext(self) -> SSL.Context:
        return self._context


def listen_tls(
    test: Any,
    leaf: trustme.LeafCert,
    clients: trustme.CA | None = None,
    answer: bytes | None = None,
    closes: bool = False,
    highest: int | None = None,
) -> Any:
    """
    Listen on loopback.

    @param clients: the authority whose clients are let in.
    @return: the factory, with the port's number as C{port}.
    """
    private = private_of(leaf)
    pems = [blob.bytes() for blob in leaf.cert_chain_pems[1:]]
    options: dict[str, Any] = {}
    if clients is not None:
        options["trustRoot"] = trustRootFromCertificates([certificate_of(clients)])
    context: Any = CertificateOptions(
        privateKey=private.privateKey.original,
        certificate=private.original,
        extraCertChain=[Certificate.loadPEM(pem).original for pem in pems],
        **options,
    )
    if highest is not None:
        context = Limited(context.getContext(), highest)
    factory = make_factory(answer, closes)
    port = net.listenSSL(0, factory, context, interface="127.0.0.1")
    factory.port = port.getHost().port
    test.addCleanup(stop, port, factory)
    return factory


def stop(port: Any, factory: Any) -> Deferred[Any]:
    """
    Stop to listen, and close what is open.
    """
    for connection in list(factory.connections):
        if connection is not None:
            connection.transport.abortConnection()
    stopped: Deferred[Any] = port.stopListening()
    return stopped
