"""
Certificates in a folder: C{NAME.pem} files with certificate and key, and folders like
those of certbot below C{/etc/letsencrypt/live}.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

__all__ = ["find_pairs", "in_order"]

_CERTIFICATE, _KEY = "fullchain.pem", "privkey.pem"


def find_pairs(folder: str) -> list[tuple[str, str]]:
    """
    The paths of the certificates in a folder, each with its key; the certificate named
    C{default} first, the others in the order of their names.

    Names that begin with a dot are skipped (Kubernetes has links and folders of its own
    there), and so is everything but C{.pem} files and folders with certbot's names.

    @raise ValueError: if there is no certificate.
    @raise OSError: if the folder can not be read.
    """
    names = [name for name in os.listdir(folder) if not name.startswith(".")]
    if _CERTIFICATE in names and _KEY in names:
        raise ValueError(
            f"{folder}: this is the folder of one certificate, not one with folders "
            f"or NAME.pem files in it; use its {_CERTIFICATE} and {_KEY} by themselves"
        )
    found = []
    for name in names:
        path = os.path.join(folder, name)
        certificate, key = os.path.join(path, _CERTIFICATE), os.path.join(path, _KEY)
        if os.path.lexists(certificate) or os.path.lexists(key):
            found.append((certificate, key))
        elif name.endswith(".pem") and not os.path.isdir(path):
            found.append((path, path))
    if not found:
        raise ValueError(
            f"{folder}: no certificates; expected NAME.pem files with certificate and "
            f"key, or NAME/{_CERTIFICATE} with NAME/{_KEY}"
        )
    return in_order(found)


def in_order(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """
    Certificates of a folder in the order of L{find_pairs}.
    """

    def place(paths: tuple[str, str]) -> tuple[bool, str, str]:
        certificate, key = paths
        # Both files in one folder: sort by the folder's name.
        path = certificate if certificate == key else os.path.dirname(certificate)
        name = os.path.basename(path)
        stem = name.removesuffix(".pem")
        return stem != "default", stem, name

    return sorted(pairs, key=place)
