"""
Why a TLS handshake failed.

OpenSSL reports only "certificate verify failed".  L{explain_handshake} verifies the
same certificates again, against the same roots, to find the reason.
"""

from __future__ import annotations

from typing import Any

import service_identity
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from OpenSSL import SSL, crypto
from service_identity import VerificationError
from twisted.python.failure import Failure

from twisted_h11._client.identity import (
    CertificateError,
    NameMismatch,
    NoName,
    names_of,
    problem_of,
)

__all__ = ["explain_handshake"]


def explain_handshake(
    reason: Failure, connection: Any, proxy: str | None = None
) -> Failure:
    """
    Say why a handshake failed.

    @param reason: why the connection was lost.
    @param connection: the OpenSSL connection.
    @param proxy: host and port of the proxy, empty if they are not known; C{None} for
        a direct connection.
    @return: a failure with a readable message; C{reason} is its cause.
    """
    error = reason.value
    text: str | None = None
    through = "" if proxy is None else f"through the proxy {proxy} ".replace("  ", " ")
    problem = problem_of(connection)
    if problem is not None:
        return Failure(problem)
    if isinstance(error, VerificationError):
        # Raised by Twisted's callback, in a connection creator of the application's.
        return _caused(NameMismatch(_mismatch(error, connection), error.errors), error)
    if isinstance(error, service_identity.CertificateError):
        text = f"The certificate is not for any name: {error}"
        return _caused(NoName(text), error)
    if isinstance(error, SSL.Error):
        reasons = [str(entry[-1]) for entry in (error.args[0] if error.args else ())]
        if any("verify failed" in each for each in reasons):
            text = _bad_chain(connection)
        if text is None:
            text = ", ".join(reasons) or "unknown error"
            text = f"The TLS handshake {through}failed: {text}"
            return _because(SSL.Error, text, error)
    else:
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
    The server's own certificate, the first of its chain.
    """
    try:
        leaf: x509.Certificate = connection.get_peer_cert_chain()[0].to_cryptography()
    except Exception:
        return None
    return leaf


def _bad_chain(connection: Any) -> str:
    """
    Verify the certificates that the server sent again, to find out what is wrong.
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
    Which key usage of a certificate excludes TLS servers (RFC 5280 sections 4.2.1.3
    and 4.2.1.12).
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
