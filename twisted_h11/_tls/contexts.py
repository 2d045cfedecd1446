"""
The OpenSSL context of one certificate.

Before version 26 Twisted's C{CertificateOptions} does not support server names, and no
version sends the names of the authorities for clients' certificates; and a context
that pyOpenSSL has used can not be changed.  So contexts are made here.  The ciphers and
the other settings are Twisted's: no session tickets and no session cache, no
compression, the server's order of ciphers, buffers released while a connection is
idle.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from cryptography import x509
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IProtocolNegotiationFactory
from twisted.internet.ssl import CertificateOptions
from twisted.python.randbytes import secureRandom

from twisted_h11._tls.identity import Identity

__all__ = ["ClientCertificate", "ContextMaker"]


class ClientCertificate(Enum):
    """
    Whether clients are asked for a certificate, and must have one.
    """

    NONE = "nothing"
    OPTIONAL = "optional"
    REQUIRED = "required"


_VERIFY = {
    ClientCertificate.NONE: SSL.VERIFY_NONE,
    ClientCertificate.OPTIONAL: SSL.VERIFY_PEER | SSL.VERIFY_CLIENT_ONCE,
    ClientCertificate.REQUIRED: SSL.VERIFY_PEER
    | SSL.VERIFY_CLIENT_ONCE
    | SSL.VERIFY_FAIL_IF_NO_PEER_CERT,
}

_VERSIONS = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}

_OPTIONS = (
    SSL.OP_NO_COMPRESSION
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | SSL.OP_SINGLE_DH_USE
    | SSL.OP_SINGLE_ECDH_USE
    | SSL.OP_NO_TICKET
    | SSL.OP_NO_RENEGOTIATION
)


class _NoCommonProtocol(SSL.Error):
    """
    The client offers none of the server's protocols.
    """


@lru_cache(maxsize=1)
def _ciphers() -> bytes:
    """
    The ciphers that Twisted uses on this machine.
    """
    theirs = SSL.Connection(CertificateOptions().getContext())
    return ":".join(theirs.get_cipher_list()).encode("ascii")


def _select_protocol(connection: SSL.Connection, offered: Sequence[bytes]) -> Any:
    """
    Choose a protocol by ALPN (RFC 7301): the first of the factory's protocols that the
    client offers.
    """
    layer = connection.get_app_data()
    factory: Any = IProtocolNegotiationFactory(layer.factory.wrappedFactory, None)
    if factory is None:
        return SSL.NO_OVERLAPPING_PROTOCOLS
    spoken = factory.acceptableProtocols()
    for protocol in spoken:
        if protocol in offered:
            return protocol
    if b"http/1.0" in offered and b"http/1.1" in spoken:
        # A server of HTTP/1.1 can serve HTTP/1.0, too (RFC 9110 section 2.5).
        return b"http/1.0"
    # RFC 7301 section 3.2: pyOpenSSL sends the alert if this raises.
    raise _NoCommonProtocol([("", "", "no application protocol")])


def _give(
    take: Callable[[Any], object], made: Any, older: Callable[[Any], Any]
) -> None:
    """
    Pass a certificate or a key to pyOpenSSL: before 24.3 it accepted only its own
    classes; since then it warns about them.
    """
    try:
        take(made)
    except TypeError:
        take(older(made))


@dataclass(frozen=True)
class ContextMaker:
    """
    Makes contexts, with the settings that are common to all certificates.

    @ivar minimumVersion: the lowest version of TLS, C{"1.2"} or C{"1.3"}.
    @ivar asked: whether clients are asked for a certificate.
    @ivar authorities: the authorities that clients' certificates must be from.
    """

    minimumVersion: str = "1.2"
    asked: ClientCertificate = ClientCertificate.NONE
    authorities: tuple[x509.Certificate, ...] = ()

    def make(
        self, identity: Identity, chooseName: Callable[[SSL.Connection], None]
    ) -> SSL.Context:
        """
        Make the context of one certificate.

        @param chooseName: called with a connection when its server name is known.
        @raise SSL.Error: if OpenSSL rejects the certificate or the key.
        """
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_options(_OPTIONS)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)
        context.set_min_proto_version(_VERSIONS[self.minimumVersion])
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        # Without a session id context, OpenSSL fails when a client with a certificate
        # resumes a session.
        context.set_session_id(secureRandom(16))
        older = crypto.X509.from_cryptography
        _give(context.use_certificate, identity.certificate, older)
        for certificate in identity.chain:
            _give(context.add_extra_chain_cert, certificate, older)
        _give(context.use_privatekey, identity.key, crypto.PKey.from_cryptography_key)
        context.check_privatekey()
        self._askClients(context)
        context.set_tlsext_servername_callback(chooseName)
        context.set_alpn_select_callback(_select_protocol)
        # Last: some versions of pyOpenSSL use the context here, and then it can not be
        # changed.
        context.set_cipher_list(_ciphers())
        return context

    def _askClients(self, context: SSL.Context) -> None:
        context.set_verify(_VERIFY[self.asked])
        store = context.get_cert_store()
        # A context that was just made has one.
        assert store is not None
        for authority in self.authorities:
            store.add_cert(crypto.X509.from_cryptography(authority))
            _give(context.add_client_ca, authority, crypto.X509.from_cryptography)
