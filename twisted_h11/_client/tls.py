"""
TLS for the client: what is verified, and what went wrong.

The certificate chain is verified by OpenSSL against the trusted roots, the name
by service-identity (L{twisted_h11._client.identity}).  L{TLSPolicy} adds the
choices that
L{BrowserLikePolicyForHTTPS<twisted.web.client.BrowserLikePolicyForHTTPS>} does
not have.  There is none to switch verification off.

OpenSSL tells a handshake's failure as "certificate verify failed" and no more.
L{explain_handshake} verifies the same certificates once more against the same
roots, only to learn what was wrong with them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import service_identity
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto
from service_identity import VerificationError
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.interfaces import (
    IOpenSSLClientConnectionCreator,
    IStreamClientEndpoint,
)
from twisted.internet.ssl import (
    Certificate,
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
from twisted_h11._client.creating import CarefulCreator
from twisted_h11._client.identity import (
    CertificateError,
    IdentityChecked,
    NameMismatch,
    NoName,
    checked,
    key_pin,
    names_of,
    problem_of,
)

if TYPE_CHECKING:
    pass

# How many contexts are kept, one for each name.
MAX_CREATORS = 100

__all__ = [
    "CertificateError",
    "TLSPolicy",
    "certificates_from",
    "default_policy",
    "explain_handshake",
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
    @raise ValueError: if there is none in it.
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
    The SHA-256 of a certificate's public key (RFC 7469's pin, not encoded).
    """
    return key_pin(certificate.original.to_cryptography())


@implementer(IPolicyForHTTPS)
class TLSPolicy:
    """
    How an agent makes and verifies TLS connections.  What is not given is as
    safe as can be: the platform's roots, TLS 1.2 or newer.

    @param trustRoot: whom to trust: a L{Certificate}, or what
        L{trustRootFromCertificates} or L{platformTrust} return; the platform's
        roots if it is not given.
    @param extraRoots: certificates that are trusted besides the platform's.
        Only for platforms whose roots are OpenSSL's default files.
    @param clientCertificate: a L{PrivateCertificate} to show to servers that
        ask for one.
    @param pins: SHA-256 hashes of public keys, see L{public_key_pin}: the
        server's own key must be among them.
    @param minimumVersion: the lowest L{TLSVersion} that is spoken.

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
        # To load the platform's roots takes longer than a handshake.
        self._creators: dict[bytes, Any] = {}

    @classmethod
    def trusting(cls, pem: bytes, **options: Any) -> TLSPolicy:
        """
        A policy that trusts the certificates of a PEM file, and no other.
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
        creator: Any = optionsForClientTLS(
            hostname.decode("ascii"),
            trustRoot=self._trustRoot,
            clientCertificate=self._clientCertificate,
            extraCertificateOptions=options,
        )
        name = verified_name(creator) or hostname.decode("ascii")
        if self._extraRoots:
            creator = _WithRoots(creator, self._extraRoots)
        return IdentityChecked(creator, name, self._pins)


@lru_cache(maxsize=1)
def default_policy() -> TLSPolicy:
    """
    The policy of all agents that were not given one, which can share connections
    for that reason.
    """
    return TLSPolicy()


@implementer(IOpenSSLClientConnectionCreator)
class _WithRoots:
    """
    A connection creator whose context trusts some certificates more.
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
        if store is not None:
            for root in self._roots:
                store.add_cert(root.original)
        return connection


@implementer(IStreamClientEndpoint)
class _TLSEndpoint:
    """
    An endpoint with TLS.

    @ivar proxy: the proxy whose the failures are before TLS begins, or C{None}.
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
        # RFC 6066 section 3: no server is asked for it with the final dot, and no
        # certificate has it.
        host = host[:-1]
    creator = checked(policy.creatorForNetloc(host, port), host.decode("ascii"))
    return _TLSEndpoint(creator, endpoint)


def explain_handshake(
    reason: Failure, connection: Any, proxy: str | None = None
) -> Failure:
    """
    Say why a handshake failed.

    @param reason: why the connection was lost.
    @param connection: the OpenSSL connection.
    @param proxy: host and port of the proxy in between, empty if they are not known.
    @return: a failure with a message for people; C{reason} is its cause.
    """
    error = reason.value
    text: str | None = None
    problem = problem_of(connection)
    if problem is not None:
        return Failure(problem)
    if isinstance(error, VerificationError):
        # Of Twisted's callback, in a connection that an application has made.
        return _caused(NameMismatch(_mismatch(error, connection), error.errors), error)
    if isinstance(error, service_identity.CertificateError):
        text = f"The certificate does not say whom it is for: {error}"
        return _caused(NoName(text), error)
    if isinstance(error, SSL.Error):
        reasons = [str(entry[-1]) for entry in (error.args[0] if error.args else ())]
        if any("verify failed" in each for each in reasons):
            text = _bad_chain(connection)
        if text is None:
            text = ", ".join(reasons) or "unknown error"
            return _because(SSL.Error, f"The TLS handshake failed: {text}", error)
    else:
        through = (
            "" if proxy is None else f"through the proxy {proxy} ".replace("  ", " ")
        )
        return _because(
            SSL.Error,
            f"The connection {through}was lost during the TLS handshake: {error}",
            error,
        )
    return _because(CertificateError, text, error)


def _because(kind: Any, text: str, cause: BaseException | None) -> Failure:
    return _caused(kind(text), cause)


def _caused(error: Exception, cause: BaseException | None) -> Failure:
    error.__cause__ = cause
    return Failure(error)


def _mismatch(error: VerificationError, connection: Any) -> str:
    wanted = []
    for each in error.errors:
        identity = getattr(each, "mismatched_id", None)
        for name in ("hostname", "ip"):
            value = getattr(identity, name, None)
            if value is not None:
                text = value.decode() if isinstance(value, bytes) else str(value)
                wanted.append(text)
    leaf = _leaf(connection)
    names = names_of(leaf) if leaf is not None else []
    return f"The certificate is not for {' or '.join(wanted) or 'this name'}" + (
        f"; it is for {', '.join(names)}" if names else ""
    )


def _leaf(connection: Any) -> x509.Certificate | None:
    """
    The certificate that the server sent of itself.
    """
    try:
        leaf: x509.Certificate = connection.get_peer_cert_chain()[0].to_cryptography()
    except Exception:
        return None
    return leaf


def _bad_chain(connection: Any) -> str:
    """
    Verify the certificates that the server sent once more, to learn what is
    wrong with them.
    """
    what = "the certificate can not be verified"
    try:
        chain = connection.get_peer_cert_chain() or []
        store = connection.get_context().get_cert_store()
        if chain and store is not None:
            try:
                crypto.X509StoreContext(store, chain[0], chain[1:]).verify_certificate()
            except crypto.X509StoreContextError as problem:
                what = str(problem)
    except Exception:
        pass
    lower = what.lower()
    if "expired" in lower:
        summary = "has expired"
    elif "not yet valid" in lower:
        summary = "is not yet valid"
    elif "self-signed" in lower or "self signed" in lower:
        summary = (
            "is signed by an authority that is not trusted"
            if "chain" in lower
            else "is self-signed"
        )
    elif "local issuer" in lower:
        summary = "is signed by an authority that is not trusted"
    elif (usage := _not_for_servers(_leaf(connection))) is not None:
        summary = "is not meant for servers"
        what = usage
    else:
        summary = "is not acceptable"
    return f"The server's certificate {summary}: {what}"


def _not_for_servers(certificate: x509.Certificate | None) -> str | None:
    """
    What in a certificate forbids a server to show it (RFC 5280 sections 4.2.1.3 and
    4.2.1.12).
    """
    if certificate is None:
        return None
    extended = _extension(certificate, x509.ExtendedKeyUsage)
    allowed = {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
    }
    if extended is not None and allowed.isdisjoint(extended):
        return "its extended key usage does not allow server authentication"
    usage = _extension(certificate, x509.KeyUsage)
    if usage is not None and not (
        usage.digital_signature or usage.key_encipherment or usage.key_agreement
    ):
        return "its key usage does not allow to sign or encrypt a handshake"
    return None


def _extension(certificate: x509.Certificate, kind: Any) -> Any:
    """
    An extension of a certificate; C{None} if it has none, or a broken one.
    """
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except Exception:
        return None
