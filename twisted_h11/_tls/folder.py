"""
Certificates in a folder: C{NAME.pem} files with certificate and key, and folders such
as certbot makes below C{/etc/letsencrypt/live}.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

__all__ = ["find_pairs", "in_order"]

_CERTIFICATE, _KEY = "fullchain.pem", "privkey.pem"


def find_pairs(folder: str) -> list[tuple[str, str]]:
    """
    The certificates in a folder, each with its key, as paths; the one named
    C{default} first, the others in the order of their names.

    What begins with a dot is not looked at (Kubernetes puts links and folders of its
    own there), nor is what is neither a C{.pem} file nor a folder with certbot's
    names in it.

    @raise ValueError: if there is none.
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
        # Of a folder both are in one.
        path = certificate if certificate == key else os.path.dirname(certificate)
        name = os.path.basename(path)
        stem = name.removesuffix(".pem")
        return stem != "default", stem, name

    return sorted(pairs, key=place)
