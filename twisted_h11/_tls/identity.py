"""
Certificates with their keys, as they are loaded from files, and whether the files have
changed since.
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
What can be seen of files without reading them.
"""


def signature(*paths: str) -> Signature:
    """
    What changes when a file does, or when another one takes its place: links are
    followed, so the swap of a link in the middle of a path counts, too.
    """
    seen: list[Any] = []
    for path in paths:
        try:
            found = os.stat(path)
        except (OSError, ValueError):
            seen.append(None)
        else:
            # A file that was copied with its times has another time of change.
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
    What a server shows, and the key that goes with it.

    @ivar path: the file that the certificate is from.
    @ivar certificate: the server's own.
    @ivar chain: those that lead from it to an authority.
    @ivar key: the private key.
    @ivar names: the DNS names that it is for, in lower case, some with a wildcard.
    """

    path: str
    certificate: x509.Certificate
    chain: tuple[x509.Certificate, ...]
    key: Any
    names: tuple[str, ...]

    @property
    def begins(self) -> datetime:
        """
        When it begins to be valid.
        """
        return _moment(self.certificate, "not_valid_before")

    @property
    def ends(self) -> datetime:
        """
        Until when it is valid.
        """
        return _moment(self.certificate, "not_valid_after")

    @property
    def isValid(self) -> bool:
        """
        Whether it is valid today.
        """
        return self.begins <= datetime.now(timezone.utc) <= self.ends

    def rank(self) -> tuple[bool, datetime]:
        """
        Of two for one name, that with the higher rank is shown: one that is valid, then
        the one that lasts longer.
        """
        return self.isValid, self.ends

    def warning(self) -> str | None:
        """
        Why clients will not accept it today, in one line, if they will not.
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
        The names, and until when it is valid.
        """
        names = ", ".join(self.names) or "no DNS name"
        return f"{self.path} ({names}; valid until {self.ends:%Y-%m-%d %H:%M} UTC)"


def load_identity(certificatePath: str, keyPath: str) -> Identity:
    """
    Load a certificate with its chain, and its key, which may be in the same file.

    @raise ValueError: naming the file, and what was expected in it.
    @raise OSError: if one can not be read.
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
        # Of cryptography before 42.
        moment = getattr(certificate, name).replace(tzinfo=timezone.utc)
    return moment
