"""
What is wrong with the certificates and keys of a C{ssl:} or C{tls:} endpoint.

OpenSSL says C{no start line}, and neither of which file nor what it looked for.  And
for the pass phrase of a key it asks the terminal, which a server has not got.  So
the files are looked at before Twisted loads them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from twisted.python.filepath import FilePath

__all__ = ["check_directory", "check_files"]

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")

# Longer than any file of certificates that systems come with.
_LONGEST = 4 * 1024 * 1024

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

_CERTIFICATE = "a certificate in PEM format (-----BEGIN CERTIFICATE-----)"
_KEY = "a private key in PEM format (-----BEGIN PRIVATE KEY-----)"
_DH = "Diffie-Hellman parameters in PEM format (-----BEGIN DH PARAMETERS-----)"


def check_files(arguments: Sequence[str]) -> None:
    """
    Look at the files of a C{ssl:} endpoint.

    @param arguments: its arguments, from the port on.
    @raise ValueError: naming the file, and what was expected in it.
    @raise OSError: if one can not be read.
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
    certificate = _certificates(certificatePath)[0]
    key = _key(keyPath)
    if not key.matches(certificate.getPublicKey()):
        raise ValueError(
            f"the private key in {keyPath} is not that of the certificate in "
            f"{certificatePath}"
        )
    if "extraCertChain" in named:
        _certificates(named["extraCertChain"])
    if "dhParameters" in named:
        _those(named["dhParameters"], b"DH PARAMETERS", _DH)


def check_directory(path: str) -> None:
    """
    Look at the files of a C{tls:} endpoint, which uses whatever certificates and
    keys are there: it would listen without, and drop each connection.

    @raise ValueError: naming the file or directory, and what was expected in it.
    """
    directory = FilePath(path)
    if not directory.isdir():
        raise ValueError(f"no such directory: {directory.path}")
    labels: set[bytes] = set()
    for file in directory.walk():
        if file.isfile() and file.basename().endswith(".pem"):
            found = [label for label, _ in _blocks(_content(file.path))]
            labels.update(found)
            if b"CERTIFICATE" in found:
                _certificates(file.path)
            if any(label.endswith(b"PRIVATE KEY") for label in found):
                _key(file.path)
    if b"CERTIFICATE" not in labels or not any(
        label.endswith(b"PRIVATE KEY") for label in labels
    ):
        raise ValueError(
            f"no certificate and key in the .pem files of {directory.path}"
        )


def _content(path: str) -> bytes:
    """
    What is in a file.

    @raise ValueError: if it is none, or too long to be what is looked for.
    """
    file = FilePath(path)
    if file.exists() and not file.isfile():
        raise ValueError(f"{path}: not a file")
    if file.exists() and file.getsize() > _LONGEST:
        raise ValueError(f"{path}: longer than any certificate or key")
    content: bytes = file.getContent()
    return content


def _blocks(content: bytes) -> list[tuple[bytes, bytes]]:
    """
    What is between the marks of PEM, and the names in these.
    """
    places = list(_BEGIN.finditer(content))
    ends = [match.start() for match in places[1:]] + [len(content)]
    return [
        (match[1], content[match.start() : end])
        for match, end in zip(places, ends, strict=False)
    ]


def _those(path: str, label: bytes, expected: str) -> list[bytes]:
    """
    The blocks of one kind in a file.

    @raise ValueError: if there is none.
    """
    content = _content(path)
    blocks = _blocks(content)
    found = [block for name, block in blocks if name.endswith(label)]
    if not found:
        raise ValueError(
            f"{path}: expected {expected}, found {_describe(content, blocks)}"
        )
    return found


def _describe(content: bytes, blocks: Sequence[tuple[bytes, bytes]]) -> str:
    """
    What a file has instead.
    """
    names = dict.fromkeys(name.decode("ascii").lower() for name, _ in blocks)
    if names:
        return "only " + " and ".join(names)
    if not content.strip():
        return "an empty file"
    if content[:1] == b"\x30":
        return "something that may be DER: convert it with openssl ... -inform DER"
    return "none"


def _certificates(path: str) -> list[Any]:
    from twisted.internet.ssl import Certificate

    return [
        _load(path, "certificate", Certificate.loadPEM, block)
        for block in _those(path, b"CERTIFICATE", _CERTIFICATE)
    ]


def _key(path: str) -> Any:
    from OpenSSL.crypto import FILETYPE_PEM
    from twisted.internet.ssl import KeyPair

    (block, *_) = _those(path, b"PRIVATE KEY", _KEY)
    if b"ENCRYPTED" in block[:200]:
        raise ValueError(
            f"{path}: the private key has a pass phrase, which a server can not ask "
            "for: remove it (openssl pkey)"
        )

    def load(data: bytes) -> Any:
        return KeyPair.load(data, FILETYPE_PEM)

    return _load(path, "private key", load, block)


def _load(path: str, what: str, load: Callable[[bytes], Any], block: bytes) -> Any:
    try:
        return load(block)
    except Exception as error:
        reasons: Any = error.args[0] if error.args else ()
        if isinstance(reasons, list):
            # Of OpenSSL: [("PEM routines", "", "no start line"), ...]
            reasons = ", ".join(str(part[-1]) for part in reasons)
        expected = _CERTIFICATE if what == "certificate" else _KEY
        raise ValueError(
            f"{path}: expected {expected}, but the {what} in it is damaged "
            f"({reasons or repr(error)})"
        ) from error
