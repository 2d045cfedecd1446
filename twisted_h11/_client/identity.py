"""
Whether a certificate is for the requested host name (RFC 9110 section 4.3.4).

service-identity compares the names.  Twisted calls it from OpenSSL's verify callback,
and since 26.4 lets the handshake go on if it raises anything but
C{VerificationError}: a certificate without a usable subjectAltName, or with a
malformed one, is then accepted for every name.  So L{IdentityChecked} replaces
Twisted's callback and accepts a certificate only when service-identity has matched the
name.  Until then the handshake does not end, and no request is sent.

An endpoint or a connection creator of an application may still use Twisted's callback.
After such a handshake, before the first request, L{check_transport} verifies the name
that the callback should have verified.

Policies with their own verification (a pinned key, no name at all) are left as they
are.
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

# The class of the connection creators that twisted.internet.ssl makes for clients.
# Subclasses are excluded: they may replace the verification.
_TwistedsCreator: type = type(optionsForClientTLS("localhost"))

_is_visible = re.compile(r"[!-~]+").fullmatch

# Why a certificate was rejected, for as long as its connection exists.
_problems: WeakKeyDictionary[SSL.Connection, CertificateError] = WeakKeyDictionary()


class CertificateError(RequestError):
    """
    The server's certificate is not acceptable; the message says why.

    @since: 0.1
    """


class NameMismatch(CertificateError, VerificationError):
    """
    The certificate is for other names.  It is also service-identity's exception, which
    code written for Twisted's client catches.
    """

    def __init__(self, text: str, errors: Sequence[Any]) -> None:
        Exception.__init__(self, text)
        self.errors = errors

    def __str__(self) -> str:
        return str(self.args[0])


class NoName(CertificateError, service_identity.CertificateError):
    """
    The certificate has no usable name.
    """


@implementer(IOpenSSLClientConnectionCreator)
class CarefulCreator:
    """
    A connection creator that always creates a connection.

    Twisted calls an application's creator when the transport is connected already.  If
    the creator raises, neither the protocol nor the endpoint's Deferred gets the error.
    So it is kept in C{problem}, which the connection attempt checks.

    @ivar original: the application's creator.
    @ivar problem: why the last connection must not be used, or C{None}.
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
            # A placeholder: it is dropped before it sends anything.
            return SSL.Connection(SSL.Context(SSL.TLS_METHOD))
        return connection


def check_identity(certificate: Certificate, name: str) -> None:
    """
    Check that a certificate is for a name.

    @param certificate: the server's own certificate.
    @param name: a host name in ASCII, or an IP address.
    @raise CertificateError: if the name does not match, or can not be compared.
    """
    try:
        for pattern in _dns_names(certificate):
            # service-identity would strip white space and accept the name.
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

    @param creator: makes the connections; its verify callback is replaced.
    @param name: the name that the certificate must be for.
    @param pins: hashes of public keys (L{key_pin}); the certificate's must be among
        them.  Empty to accept any key.
    """

    def __init__(self, creator: Any, name: str, pins: Collection[bytes] = ()) -> None:
        self._creator = creator
        self.name = name
        self._pins = pins

    def check(self, certificate: Certificate) -> None:
        """
        Check the server's own certificate.

        @raise CertificateError: if its name or its public key does not match.
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
                # The frames of its traceback refer to the connection.
                _problems[connection] = error.with_traceback(None)
                return False
            except BaseException:
                return False
            return True

        connection.set_verify(SSL.VERIFY_PEER | SSL.VERIFY_FAIL_IF_NO_PEER_CERT, verify)
        return connection


def checked(creator: Any, host: str) -> Any:
    """
    Replace Twisted's own connection creator by one that verifies names strictly.

    @param creator: what a policy returned for C{host}.
    @return: an L{IdentityChecked}, or C{creator} itself if it is not Twisted's.
    """
    if type(creator) is not _TwistedsCreator:
        return creator
    return IdentityChecked(creator, verified_name(creator) or host)


def problem_of(connection: Any) -> CertificateError | None:
    """
    Why L{IdentityChecked} rejected the certificate of a connection; C{None} if it did
    not.
    """
    try:
        return _problems.get(connection)
    except TypeError:
        return None


def check_transport(transport: Any) -> CertificateError | None:
    """
    Check the certificates of all TLS layers of a transport after its handshake.

    @return: what is wrong with a certificate, or C{None}.
    """
    # TLS is a wrapper around the transport; there may be several wrappers.
    while isinstance(transport, ProtocolWrapper):
        try:
            _check_layer(transport)
        except CertificateError as error:
            return error.with_traceback(None)
        except Exception as error:
            return CertificateError(f"The certificate could not be checked: {error}")
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
