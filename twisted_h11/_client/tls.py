"""
TLS for the client: its contexts, and what they verify.

OpenSSL verifies the certificate chain against the trusted roots, and service-identity
the name (L{twisted_h11._client.identity}).  L{TLSPolicy} adds choices to those of
L{BrowserLikePolicyForHTTPS<twisted.web.client.BrowserLikePolicyForHTTPS>}; none of
them switches verification off.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any

from OpenSSL import SSL
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.ssl import (
    Certificate,
    CertificateOptions,
    PrivateCertificate,
    TLSVersion,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from twisted_h11._boundary.checks import BYTES, instance, listed, optional
from twisted_h11._boundary.checks import checked as checked_arguments
from twisted_h11._boundary.twisted_private_client import verified_name
from twisted_h11._client.identity import (
    CarefulCreator,
    CertificateError,
    IdentityChecked,
    checked,
    key_pin,
)
from twisted_h11._client.names import is_dns_name

# How many contexts are kept, one for each name.
MAX_CREATORS = 100

__all__ = [
    "CertificateError",
    "TLSPolicy",
    "certificates_from",
    "check_policy",
    "default_policy",
    "public_key_pin",
    "tls_endpoint",
]


_CERTIFICATE = instance("a Certificate", Certificate)
_KEY = instance("a PrivateCertificate", PrivateCertificate)


@checked_arguments(pem=BYTES)
def certificates_from(pem: bytes) -> list[Certificate]:
    """
    The certificates in a PEM file.

    @param pem: its content.
    @return: at least one.
    @raise ValueError: if there is no certificate in it.

    @since: 0.1
    """
    begin, end = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
    found = [
        Certificate.loadPEM(begin + part.split(end)[0] + end + b"\n")
        for part in pem.split(begin)[1:]
    ]
    if not found:
        raise ValueError("no certificate found")
    return found


@checked_arguments(certificate=_CERTIFICATE)
def public_key_pin(certificate: Certificate) -> bytes:
    """
    The SHA-256 of a certificate's public key (RFC 7469's pin, not encoded), for the
    C{pins} of L{TLSPolicy}.

    @param certificate: the certificate.
    @return: 32 bytes.

    @since: 0.1
    """
    return key_pin(certificate.original.to_cryptography())


@implementer(IPolicyForHTTPS)
class TLSPolicy:
    """
    How an agent makes and verifies TLS connections.  The defaults are the platform's
    roots, and TLS 1.2 or newer.

    @param trustRoot: the trusted roots: a L{Certificate}, or the result of
        L{trustRootFromCertificates} or L{platformTrust}; the platform's roots if not
        given.
    @param extraRoots: certificates that are trusted besides the platform's.
        Only for platforms whose roots are OpenSSL's default files.
    @param clientCertificate: a L{PrivateCertificate} for servers that request one.
    @param pins: SHA-256 hashes of public keys, see L{public_key_pin}: the
        server's own key must be among them.
    @param minimumVersion: the lowest L{TLSVersion} to accept.

    @since: 0.1
    """

    @checked_arguments(
        clientCertificate=optional(
            instance("a PrivateCertificate", PrivateCertificate)
        ),
        pins=listed(BYTES),
        extraRoots=listed(_CERTIFICATE),
    )
    def __init__(
        self,
        trustRoot: Any = None,
        extraRoots: Iterable[Certificate] = (),
        clientCertificate: PrivateCertificate | None = None,
        pins: Collection[bytes] = (),
        minimumVersion: Any = None,
    ) -> None:
        if trustRoot is None:
            trustRoot = platformTrust()
        self._trustRoot = trustRoot
        self._extraRoots = list(extraRoots)
        self._clientCertificate = clientCertificate
        self._pins = frozenset(pins)
        if any(len(pin) != 32 for pin in self._pins):
            raise ValueError("A pin is a SHA-256 hash: 32 bytes")
        self._minimumVersion = minimumVersion or TLSVersion.TLSv1_2
        # Loading the platform's roots takes longer than a handshake: keep contexts.
        self._creators: dict[bytes, Any] = {}

    @classmethod
    def trusting(cls, pem: bytes, **options: Any) -> TLSPolicy:
        """
        A policy that trusts only the certificates of a PEM file.

        @param pem: the content of the file.
        @param options: further arguments of L{TLSPolicy}.
        """
        root = trustRootFromCertificates(certificates_from(pem))
        return cls(trustRoot=root, **options)

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        """
        See L{IPolicyForHTTPS}.
        """
        creator = self._creators.get(hostname)
        if creator is None:
            if len(self._creators) >= MAX_CREATORS:
                self._creators.clear()
            creator = self._creators[hostname] = self._makeCreator(hostname)
        return creator

    def _makeCreator(self, hostname: bytes) -> Any:
        options: dict[str, Any] = {}
        if self._minimumVersion > TLSVersion.TLSv1_2:
            options["raiseMinimumTo"] = self._minimumVersion
        name = hostname.decode("ascii")
        creator: Any
        try:
            creator = optionsForClientTLS(
                name,
                trustRoot=self._trustRoot,
                clientCertificate=self._clientCertificate,
                extraCertificateOptions=options,
            )
        except UnicodeError:
            if not is_dns_name(name):
                raise
            creator = self._makeUnusual(hostname, options)
        name = verified_name(creator) or name
        if self._extraRoots:
            creator = _WithRoots(creator, self._extraRoots)
        return IdentityChecked(creator, name, self._pins)

    def _makeUnusual(self, hostname: bytes, options: dict[str, Any]) -> Any:
        """
        Make what C{optionsForClientTLS} makes, but for a name that IDNA does not allow,
        and that it refuses therefore.
        """
        mine = self._clientCertificate
        if mine is not None:
            options["privateKey"] = mine.privateKey.original
            options["certificate"] = mine.original
        made = CertificateOptions(trustRoot=self._trustRoot, **options)
        return _Named(made, hostname)


@implementer(IOpenSSLClientConnectionCreator)
class _Named:
    """
    A connection creator that sends a server name.  L{IdentityChecked} verifies it.
    """

    def __init__(self, options: CertificateOptions, name: bytes) -> None:
        self._options = options
        self._name = name

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """
        See L{IOpenSSLClientConnectionCreator}.
        """
        connection = SSL.Connection(self._options.getContext(), None)
        connection.set_tlsext_host_name(self._name)
        return connection


@lru_cache(maxsize=1)
def default_policy() -> TLSPolicy:
    """
    The policy of all agents that were not given one; they can share connections
    because they share it.
    """
    return TLSPolicy()


def check_policy(policy: Any) -> Any:
    """
    The policy of an agent that was given C{policy}.

    @raise TypeError: if it does not provide C{IPolicyForHTTPS}.
    """
    if policy is None:
        return default_policy()
    if not IPolicyForHTTPS.providedBy(policy):
        raise TypeError(
            f"{policy!r} was passed as the HTTPS policy for an Agent, "
            "but it does not provide IPolicyForHTTPS"
        )
    return policy


@implementer(IOpenSSLClientConnectionCreator)
class _WithRoots:
    """
    A connection creator whose context trusts additional certificates.
    """

    def __init__(self, creator: Any, roots: Sequence[Certificate]) -> None:
        self._creator = creator
        self._roots = roots

    def clientConnectionForTLS(self, tlsProtocol: Any) -> SSL.Connection:
        """
        See L{IOpenSSLClientConnectionCreator}.
        """
        connection: SSL.Connection = self._creator.clientConnectionForTLS(tlsProtocol)
        store = connection.get_context().get_cert_store()
        assert store is not None
        for root in self._roots:
            store.add_cert(root.original)
        return connection


@implementer(IStreamClientEndpoint)
class _TLSEndpoint:
    """
    An endpoint with TLS.

    @ivar proxy: the proxy that the endpoint connects to, for errors before TLS begins;
        C{None} without a proxy.
    """

    def __init__(self, creator: Any, endpoint: Any) -> None:
        self.proxy = getattr(endpoint, "proxy", None)
        self._creator = creator
        if IOpenSSLClientConnectionCreator.providedBy(creator):
            self._creator = CarefulCreator(creator)
        self._endpoint = wrapClientTLS(self._creator, endpoint)

    @property
    def problem(self) -> Failure | None:
        """
        Why the TLS of the last connection could not be begun, or C{None}.
        """
        return getattr(self._creator, "problem", None)

    def connect(self, factory: Any) -> Any:
        """
        See L{IStreamClientEndpoint}.
        """
        return self._endpoint.connect(factory)


def tls_endpoint(policy: Any, host: bytes, port: int, endpoint: Any) -> Any:
    """
    Wrap an endpoint in TLS to C{host}.
    """
    if host.endswith(b"."):
        # RFC 6066 section 3: the server name is sent without the final dot, and
        # certificates have it without, too.
        host = host[:-1]
    creator = checked(policy.creatorForNetloc(host, port), host.decode("ascii"))
    return _TLSEndpoint(creator, endpoint)
