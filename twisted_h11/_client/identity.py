"""
Whether a certificate is for the name that was asked for (RFC 9110 section 4.3.4).

service-identity compares the names.  Twisted calls it from OpenSSL's verify callback,
and since 26.4 lets the handshake go on if it raises anything but
C{VerificationError}: a certificate without a usable subjectAltName, or with a
malformed one, is then good for every name.  So connections that Twisted would verify
have a callback of ours, L{IdentityChecked}, which accepts a certificate only when
service-identity has said that it matches.  Until then the handshake does not end, and
no byte of the application leaves.

An endpoint or a connection creator of an application may have Twisted's callback in
it.  L{check_transport} looks when the handshake is over, before the first request, and
verifies the name that this callback was to verify.

To policies that verify in a way of their own (a pinned key, no name at all) nothing is
added.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import service_identity
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import (
    Certificate,
    DNSName,
    ExtensionNotFound,
    IPAddress,
    SubjectAlternativeName,
)
from OpenSSL import SSL
from service_identity import VerificationError
from service_identity.cryptography import (
    verify_certificate_hostname,
    verify_certificate_ip_address,
)
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import optionsForClientTLS
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_h11._boundary.twisted_private_client import (
    creator_of_layer,
    name_in_callback,
    verified_name,
)
from twisted_h11._client.errors import RequestError

__all__ = [
    "CarefulCreator",
    "CertificateError",
    "IdentityChecked",
    "NameMismatch",
    "NoName",
    "check_identity",
    "check_transport",
    "checked",
    "names_of",
    "problem_of",
]

# The class of what twisted.internet.ssl makes for a client.  A subclass may have
# replaced the verification, and is not meant.
_TwistedsCreator: type = type(optionsForClientTLS("localhost"))

_is_visible = re.compile(r"[!-~]+").fullmatch

# Why our callback refused a certificate, while the connection is there to ask.
_problems: WeakKeyDictionary[SSL.Connection, CertificateError] = WeakKeyDictionary()


class CertificateError(RequestError):
    """
    The server's certificate is not acceptable; the message says why.

    @since: 0.1
    """


class NameMismatch(CertificateError, VerificationError):
    """
    The certificate is for other names; code for Twisted's client looks for
    service-identity's exception.
    """

    def __init__(self, text: str, errors: Sequence[Any]) -> None:
        Exception.__init__(self, text)
        self.errors = errors

    def __str__(self) -> str:
        return str(self.args[0])


class NoName(CertificateError, service_identity.CertificateError):
    """
    The certificate has no name that could be compared.
    """


@implementer(IOpenSSLClientConnectionCreator)
class CarefulCreator:
    """
    A connection creator that always creates a connection.

    Twisted asks an application's creator when the transport is there already.  If that
    raises, neither the protocol nor whoever waits for the endpoint is told.  So the
    problem is kept here, and whoever waits looks for it.

    @ivar original: what makes the connections.
    @ivar problem: why the last one must not be used, or C{None}.
    """

    problem: Failure | None = None

    def __init__(self, creator: Any) -> None:
        self.original = creator

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:
        """
        See L{IOpenSSLClientConnectionCreator}.
        """
        self.problem = None
        try:
            connection = self.original.clientConnectionForTLS(tlsProtocol)
            if not hasattr(connection, "set_connect_state"):
                raise TypeError(
                    f"{self.original!r} made {connection!r}, which is no connection "
                    "of OpenSSL"
                )
        except BaseException:
            self.problem = Failure()
            # No byte of it is sent.
            return SSL.Connection(SSL.Context(SSL.TLS_METHOD))
        return connection


def check_identity(certificate: Certificate, name: str) -> None:
    """
    Check that a certificate is for a name.

    @param certificate: the server's own.
    @param name: a host name in ASCII, or an IP address.
    @raise CertificateError: if it is not, or if that can not be found out.
    """
    try:
        for pattern in _dns_names(certificate):
            # service-identity takes white space off.
            if not _is_visible(pattern):
                raise ValueError(f"a malformed name is in it, {pattern!r}")
        if isIPAddress(name) or isIPv6Address(name):
            verify_certificate_ip_address(certificate, name)
        else:
            verify_certificate_hostname(certificate, name)
    except VerificationError as error:
        names = names_of(certificate)
        text = f"The certificate is not for {name}" + (
            f"; it is for {', '.join(names)}" if names else ""
        )
        raise NameMismatch(text, error.errors) from error
    except Exception as error:
        raise NoName(
            f"The certificate does not say that it is for {name}: {error}"
        ) from error


def _dns_names(certificate: Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
    except ExtensionNotFound:
        return []
    return names.value.get_values_for_type(DNSName)


def key_pin(certificate: Certificate) -> bytes:
    """
    The SHA-256 of a certificate's public key.
    """
    encoded = certificate.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(encoded).digest()


def names_of(certificate: Certificate) -> list[str]:
    """
    The host names and addresses that a certificate is for, ten at most.
    """
    try:
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName)
    except Exception:
        return []
    return [
        str(name.value)
        for name in names.value
        if isinstance(name, (DNSName, IPAddress))
    ][:10]


@implementer(IOpenSSLClientConnectionCreator)
class IdentityChecked:
    """
    A connection creator whose connections verify the chain, the name and the pins.

    @param creator: what makes the connections; its verify callback is replaced.
    @param name: the name that the certificate must be for.
    @param pins: hashes of the keys (L{key_pin}) of which the certificate must have
        one; none for any key.
    """

    def __init__(self, creator: Any, name: str, pins: Collection[bytes] = ()) -> None:
        self._creator = creator
        self.name = name
        self._pins = pins

    def check(self, certificate: Certificate) -> None:
        """
        Check the server's own certificate.

        @raise CertificateError: if it is not the right one.
        """
        check_identity(certificate, self.name)
        if self._pins:
            pin = key_pin(certificate)
            if pin not in self._pins:
                raise CertificateError(
                    f"The server's public key is not pinned: its SHA-256 is {pin.hex()}"
                )

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """
        See L{IOpenSSLClientConnectionCreator}.
        """
        connection: SSL.Connection = self._creator.clientConnectionForTLS(tlsProtocol)
        check = self.check

        def verify(
            connection: SSL.Connection, certificate: Any, _: int, depth: int, good: int
        ) -> bool:
            if not good or depth != 0:
                return bool(good)
            try:
                check(certificate.to_cryptography())
            except CertificateError as error:
                # Without the frames, which refer to the connection.
                _problems[connection] = error.with_traceback(None)
                return False
            except BaseException:
                return False
            return True

        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        return connection


def checked(creator: Any, host: str) -> Any:
    """
    A creator that verifies names as Twisted means to, instead of Twisted's own.

    @param creator: what a policy returned for C{host}.
    @return: an L{IdentityChecked}, or C{creator} itself if it is not Twisted's.
    """
    if type(creator) is not _TwistedsCreator:
        return creator
    return IdentityChecked(creator, verified_name(creator) or host)


def problem_of(connection: Any) -> CertificateError | None:
    """
    Why the certificate of a connection was refused in its handshake; C{None} if
    its name was not the reason.
    """
    try:
        return _problems.get(connection)
    except TypeError:
        return None


def check_transport(transport: Any) -> CertificateError | None:
    """
    Look at the certificates of all TLS layers of a transport whose handshake is over.

    @return: what is wrong with one of them.
    """
    # TLS is a wrapper, and there may be others; what is below them is a socket.
    while isinstance(transport, ProtocolWrapper):
        try:
            _check_layer(transport)
        except CertificateError as error:
            return error.with_traceback(None)
        except Exception as error:
            return CertificateError(f"The certificate can not be looked at: {error}")
        transport = transport.transport
    return None


def _check_layer(transport: Any) -> None:
    creator = creator_of_layer(transport)
    if isinstance(creator, CarefulCreator):
        creator = creator.original
    name = None
    if isinstance(creator, IdentityChecked):
        check = creator.check
    else:
        if type(creator) is _TwistedsCreator:
            name = verified_name(creator)
        getHandle = getattr(transport, "getHandle", None)
        if name is None and getHandle is not None:
            name = name_in_callback(getHandle())
        if name is None:
            return

        def check(certificate: Certificate) -> None:
            check_identity(certificate, name)

    certificate = transport.getPeerCertificate()
    if certificate is None:
        raise CertificateError("The server has shown no certificate")
    check(certificate.to_cryptography())
