"""
Certificates with their keys, loaded from files, and whether the files have changed.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from cryptography import x509

from twisted_h11._tls.pem import belongs_to, read_certificates, read_key

__all__ = ["Identity", "Signature", "load_identity", "signature"]

Signature = tuple[Any, ...]
"""
The C{stat} data of files, compared to find changes.
"""


def signature(*paths: str) -> Signature:
    """
    A value that changes when a file is changed or replaced.  Links are followed, so
    that the replacement of a link in the middle of a path counts, too.
    """
    seen: list[Any] = []
    for path in paths:
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            seen.append(None)
        else:
            # The ctime differs even if a file was copied with its mtime.
            seen.append(
                (
                    found.st_dev,
                    found.st_ino,
                    found.st_size,
                    found.st_mtime_ns,
                    found.st_ctime_ns,
                )
            )
    return tuple(seen)


@dataclass(frozen=True)
class Identity:
    """
    A server's certificate with its chain and its private key.

    @ivar path: the file that the certificate is from.
    @ivar certificate: the server's own certificate.
    @ivar chain: the certificates from it to an authority.
    @ivar key: the private key.
    @ivar names: the DNS names of the certificate, in lower case, some with a wildcard.
    """

    path: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: Any
    names: tuple[str, ...]

    @property
    def begins(self) -> datetime:
        """
        When the certificate begins to be valid.
        """
        return _moment(self.certificate, "not_valid_before")

    @property
    def ends(self) -> datetime:
        """
        When the certificate expires.
        """
        return _moment(self.certificate, "not_valid_after")

    @property
    def isValid(self) -> bool:
        """
        Whether the certificate is valid now.
        """
        return self.begins <= datetime.now(timezone.utc) <= self.ends

    def rank(self) -> tuple[bool, datetime]:
        """
        The rank among certificates for the same name: a valid one ranks higher, then
        the one that expires later.  The highest is sent.
        """
        return self.isValid, self.ends

    def warning(self) -> str | None:
        """
        Why clients will not accept the certificate now, in one line, or C{None}.
        """
        now = datetime.now(timezone.utc)
        if self.ends < now:
            return f"{self.path}: the certificate has expired, on {self.ends:%Y-%m-%d}"
        if now < self.begins:
            return (
                f"{self.path}: the certificate is not valid before "
                f"{self.begins:%Y-%m-%d %H:%M} UTC"
            )
        return None

    def describe(self) -> str:
        """
        The path, the names and the end of the validity, for the log.
        """
        names = ", ".join(self.names) or "no DNS name"
        return f"{self.path} ({names}; valid until {self.ends:%Y-%m-%d %H:%M} UTC)"


def load_identity(certificatePath: str, keyPath: str) -> Identity:
    """
    Load a certificate with its chain, and its key, which may be in the same file.

    @raise ValueError: for a bad file; the message has its name and what was expected.
    @raise OSError: if a file can not be read.
    """
    certificate, *chain = read_certificates(certificatePath)
    key = read_key(keyPath)
    if not belongs_to(key, certificate):
        if any(belongs_to(key, other) for other in chain):
            raise ValueError(
                f"{certificatePath}: the server's own certificate must be the first "
                "in the file, and those of the authorities must follow it"
            )
        raise ValueError(
            f"the private key in {keyPath} is not that of the certificate in "
            f"{certificatePath}"
        )
    try:
        names = _names(certificate)
    except ValueError:
        raise ValueError(
            f"{certificatePath}: the names in the certificate can not be read"
        ) from None
    return Identity(certificatePath, certificate, tuple(chain), key, names)


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        found = certificate.extensions.get_extension_for_class(
            x509.SubjectAlternativeName
        )
    except x509.ExtensionNotFound:
        return ()
    names = found.value.get_values_for_type(x509.DNSName)
    return tuple(dict.fromkeys(name.lower().rstrip(".") for name in names))


def _moment(certificate: x509.Certificate, name: str) -> datetime:
    moment: datetime | None = getattr(certificate, f"{name}_utc", None)
    if moment is None:
        # cryptography before 42 has naive times only.
        moment = getattr(certificate, name).replace(tzinfo=timezone.utc)
    return moment
