"""
TLS handshakes in memory, and files of certificates for them.
"""

from __future__ import annotations

import os
from datetime import datetime, timezone
from typing import Any, cast

import trustme
from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.protocol import Factory
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

__all__ = [
    "Authority",
    "FilesTestCase",
    "Talk",
    "both",
    "chain",
    "handshake",
    "serial",
    "write_file",
]


def write_file(path: str, *contents: bytes) -> str:
    """
    Write a file as careful programs do: another one takes the place of the old.

    @return: its path.
    """
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(f"{path}.new", "wb") as file:
        file.write(b"".join(contents))
    os.replace(f"{path}.new", path)
    return path


class Authority:
    """
    Issues certificates.
    """

    def __init__(self) -> None:
        self.ca = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.pem = self.ca.cert_pem.bytes()

    def leaf(self, *names: str, **options: Any) -> trustme.LeafCert:
        """
        A certificate for some names.
        """
        return self.ca.issue_cert(*names, key_type=trustme.KeyType.ECDSA, **options)

    def expired(self, *names: str) -> trustme.LeafCert:
        """
        One that has been valid.
        """
        return self.leaf(
            *names,
            not_before=datetime(2019, 1, 1, tzinfo=timezone.utc),
            not_after=datetime(2020, 1, 1, tzinfo=timezone.utc),
        )


def both(leaf: trustme.LeafCert) -> bytes:
    """
    Certificate, chain and key of one, as one file has them.
    """
    return leaf.private_key_and_cert_chain_pem.bytes()


def chain(leaf: trustme.LeafCert) -> bytes:
    """
    Certificate and chain of one.
    """
    return b"".join(pem.bytes() for pem in leaf.cert_chain_pems)


def serial(leaf: trustme.LeafCert) -> int:
    """
    What tells it from all others.
    """
    pem = leaf.cert_chain_pems[0].bytes()
    return x509.load_pem_x509_certificate(pem).serial_number


@implementer(IProtocolNegotiationFactory)
class Negotiating(Factory):
    """
    A factory that speaks something.
    """

    def __init__(self, protocols: list[bytes]) -> None:
        self._protocols = protocols

    def acceptableProtocols(self) -> list[bytes]:
        """
        What it speaks.
        """
        return self._protocols


class Layer:
    """
    As much of Twisted's TLS layer as a handshake needs.
    """

    def __init__(self, wrapped: Any) -> None:
        self.factory = self
        self.wrappedFactory = wrapped


class Talk:
    """
    A handshake that is done, or that failed.

    @ivar serial: that of the certificate that the server showed.
    @ivar error: why there is no connection; what whoever noticed first says.
    @ivar clientError: what the client says.
    """

    def __init__(self, client: SSL.Connection, server: SSL.Connection) -> None:
        self.client, self.server = client, server
        self.error: SSL.Error | None = None
        self.clientError: SSL.Error | None = None
        self._done = {client: False, server: False}

    def go(self, rounds: int = 20) -> Talk:
        """
        Let both ends do what they can, in turn.
        """
        client, server, done = self.client, self.server, self._done
        for _ in range(rounds):
            for end, other in ((client, server), (server, client)):
                try:
                    if not done[end]:
                        end.do_handshake()
                        done[end] = True
                    elif end is client:
                        # A server that verifies us says so later (TLS 1.3).
                        end.recv(1)
                except SSL.WantReadError:
                    pass
                except SSL.Error as error:
                    self.error = self.error or error
                    if end is client:
                        self.clientError = self.clientError or error
                try:
                    other.bio_write(end.bio_read(65536))
                except SSL.WantReadError:
                    pass
        return self

    @property
    def serial(self) -> int | None:
        """
        The serial number of the server's certificate.
        """
        shown: Any = self.client.get_peer_certificate()
        number: int | None = None if shown is None else shown.get_serial_number()
        return number


def handshake(
    tls: Any,
    name: bytes | None = None,
    *,
    offered: list[bytes] | None = None,
    speaks: list[bytes] | None = None,
    highest: int | None = None,
    leaf: trustme.LeafCert | None = None,
    rounds: int = 20,
) -> Talk:
    """
    Connect to a server.

    @param tls: makes the server's end.
    @param name: the server name that the client asks for.
    @param offered: what the client speaks.
    @param speaks: what the factory of the server speaks.
    @param highest: the newest version of TLS of the client.
    @param leaf: the client's certificate.
    @param rounds: how often each end gets its turn.
    """
    server = tls.serverConnectionForTLS(
        Layer(Factory() if speaks is None else Negotiating(speaks))
    )
    server.set_accept_state()
    context = SSL.Context(SSL.TLS_METHOD)
    if highest is not None:
        context.set_max_proto_version(highest)
    if leaf is not None:
        leaf_in(context, leaf)
    if offered is not None:
        context.set_alpn_protos(offered)
    client = SSL.Connection(context)
    client.set_connect_state()
    if name is not None:
        client.set_tlsext_host_name(name)
    return Talk(client, server).go(rounds)


def leaf_in(context: Any, leaf: trustme.LeafCert) -> None:
    """
    Have a client's context show a certificate.
    """
    try:
        leaf.configure_cert(context)
    except TypeError:
        # A pyOpenSSL that knows its own classes only.
        pem = leaf.cert_chain_pems[0].bytes()
        context.use_privatekey(
            crypto.load_privatekey(crypto.FILETYPE_PEM, leaf.private_key_pem.bytes())
        )
        context.use_certificate(crypto.load_certificate(crypto.FILETYPE_PEM, pem))


class FilesTestCase(SynchronousTestCase):
    """
    A folder for files, a clock, and the log.

    @ivar folder: its path.
    @ivar events: what was logged.
    """

    def setUp(self) -> None:
        """
        Make them.
        """
        self.folder = os.path.abspath(self.mktemp())
        os.mkdir(self.folder)
        self.clock = Clock()
        self.authority = Authority()
        self.events: list[Any] = []
        observer = cast(ILogObserver, self.events.append)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def file(self, name: str, *contents: bytes) -> str:
        """
        Write a file in the folder.
        """
        return write_file(os.path.join(self.folder, name), *contents)

    def logged(self) -> list[str]:
        """
        The lines of the log since this was called last.
        """
        events = [event for event in self.events if "TLS" in str(formatEvent(event))]
        self.events.clear()
        return [str(formatEvent(event)) for event in events]
