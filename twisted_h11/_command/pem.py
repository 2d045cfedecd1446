"""
Checks of the files of C{ssl:} and C{tls:} endpoints, before Twisted loads them.
"""

from __future__ import annotations

from collections.abc import Sequence

from twisted.python.filepath import FilePath

from twisted_h11._tls.pem import (
    belongs_to,
    labels_in,
    read_blocks,
    read_certificates,
    read_key,
)

__all__ = ["check_directory", "check_files"]

_PARAMETERS = (
    "port",
    "privateKey",
    "certKey",
    "sslmethod",
    "interface",
    "backlog",
    "extraCertChain",
    "dhParameters",
)

_DH = "Diffie-Hellman parameters in PEM format (-----BEGIN DH PARAMETERS-----)"


def check_files(arguments: Sequence[str]) -> None:
    """
    Check the files of a C{ssl:} endpoint.

    @param arguments: its arguments, from the port on.
    @raise ValueError: for a bad file; the message has its name and what was expected.
    @raise OSError: if a file can not be read.
    """
    named: dict[str, str] = {}
    byPosition: list[str] = []
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if equals and name in _PARAMETERS:
            named[name] = value
        else:
            byPosition.append(argument)
    named.update(zip(_PARAMETERS, byPosition, strict=False))
    keyPath = named.get("privateKey", "server.pem")
    certificatePath = named.get("certKey", keyPath)
    certificate = read_certificates(certificatePath)[0]
    if not belongs_to(read_key(keyPath), certificate):
        raise ValueError(
            f"the private key in {keyPath} is not that of the certificate in "
            f"{certificatePath}"
        )
    if "extraCertChain" in named:
        read_certificates(named["extraCertChain"])
    if "dhParameters" in named:
        read_blocks(named["dhParameters"], b"DH PARAMETERS", _DH)


def check_directory(path: str) -> None:
    """
    Check the files of a C{tls:} endpoint.  Without a certificate and key in its
    directory it would listen, and drop each connection.

    @raise ValueError: for a bad file or directory; the message has its name and what
        was expected.
    """
    directory = FilePath(path)
    if not directory.isdir():
        raise ValueError(f"no such directory: {directory.path}")
    labels: set[bytes] = set()
    for file in directory.walk():
        if file.isfile() and file.basename().endswith(".pem"):
            found = labels_in(file.path)
            labels |= found
            if b"CERTIFICATE" in found:
                read_certificates(file.path)
            if any(label.endswith(b"PRIVATE KEY") for label in found):
                read_key(file.path)
    if b"CERTIFICATE" not in labels or not any(
        label.endswith(b"PRIVATE KEY") for label in labels
    ):
        raise ValueError(
            f"no certificate and key in the .pem files of {directory.path}"
        )
