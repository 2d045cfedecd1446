"""
Certificates and keys in PEM files, and messages about errors in them.

OpenSSL says C{no start line}, without the file's name or what was expected.  And it
asks for the pass phrase of a key on the terminal, which a server does not have.  So the
files are checked before they are loaded.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_pem_private_key,
)

from twisted_h11._boundary.opening import NotAFile, TooLong, read_file

__all__ = [
    "belongs_to",
    "describe_problem",
    "labels_in",
    "read_blocks",
    "read_certificates",
    "read_key",
]

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")

# In bytes; longer than the files of authorities that systems have.
_LONGEST = 4 * 1024 * 1024

_CERTIFICATE = "a certificate in PEM format (-----BEGIN CERTIFICATE-----)"
_KEY = "a private key in PEM format (-----BEGIN PRIVATE KEY-----)"


def describe_problem(error: BaseException) -> str:
    """
    Describe an error in a file to the user, in one line.

    @param error: an exception of a function of this module, or of OpenSSL when it was
        given the result.
    """
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}"
    elif type(error).__module__.startswith("OpenSSL") and error.args:
        # [("SSL routines", "", "ee key too small"), ...]
        reasons = [part[-1] for part in error.args[0] if isinstance(part, tuple)]
        text = f"OpenSSL refuses it: {', '.join(reasons) or error}"
    else:
        text = str(error) or repr(error)
    return " ".join(text.split())


def read_certificates(path: str) -> list[x509.Certificate]:
    """
    Read the certificates in a file, in their order; at least one.

    @raise ValueError: for a bad file; the message has its name and what was expected.
    @raise OSError: if the file can not be read.
    """
    return [
        _load(path, "certificate", x509.load_pem_x509_certificate, block)
        for block in read_blocks(path, b"CERTIFICATE", _CERTIFICATE)
    ]


def read_key(path: str) -> Any:
    """
    Read the first private key in a file.

    @raise ValueError: for a bad file; the message has its name and what was expected.
    @raise OSError: if the file can not be read.
    """
    (block, *_) = read_blocks(path, b"PRIVATE KEY", _KEY)
    # An older format has a field inside the block: Proc-Type: 4,ENCRYPTED.
    if b"ENCRYPTED" in block[:200]:
        raise ValueError(
            f"{path}: the private key has a pass phrase, which a server can not ask "
            "for: remove it (openssl pkey)"
        )

    def load(data: bytes) -> Any:
        return load_pem_private_key(data, None)

    return _load(path, "private key", load, block)


def belongs_to(key: Any, certificate: x509.Certificate) -> bool:
    """
    Whether a private key belongs to a certificate.
    """

    def encoded(public: Any) -> bytes:
        encoding: bytes = public.public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        return encoding

    return encoded(key.public_key()) == encoded(certificate.public_key())


def read_blocks(path: str, label: bytes, expected: str) -> list[bytes]:
    """
    Read the PEM blocks of one kind in a file; at least one.

    @param label: the end of the blocks' labels.
    @param expected: what such a block is, for the message.
    @raise ValueError: if there is no such block.
    @raise OSError: if the file can not be read.
    """
    content = _content(path)
    blocks = _blocks(content)
    found = [block for name, block in blocks if name.endswith(label)]
    if not found:
        raise ValueError(
            f"{path}: expected {expected}, found {_describe(content, blocks)}"
        )
    return found


def labels_in(path: str) -> set[bytes]:
    """
    The labels of the PEM blocks in a file.

    @raise ValueError: if it is not a regular file, or is too long.
    @raise OSError: if the file can not be read.
    """
    return {label for label, _ in _blocks(_content(path))}


def _content(path: str) -> bytes:
    """
    Read a file.

    @raise ValueError: if it is not a regular file, or is too long.
    """
    try:
        return read_file(path, _LONGEST)
    except NotAFile:
        raise ValueError(f"{path}: not a file") from None
    except TooLong:
        raise ValueError(f"{path}: longer than any certificate or key") from None


def _blocks(content: bytes) -> list[tuple[bytes, bytes]]:
    """
    The PEM blocks in C{content}, with their labels.
    """
    places = list(_BEGIN.finditer(content))
    ends = [match.start() for match in places[1:]] + [len(content)]
    return [
        (match[1], content[match.start() : end])
        for match, end in zip(places, ends, strict=False)
    ]


def _describe(content: bytes, blocks: Sequence[tuple[bytes, bytes]]) -> str:
    """
    What a file contains instead of the expected block, for the message.
    """
    names = dict.fromkeys(name.decode("ascii").lower() for name, _ in blocks)
    if names:
        return "only " + " and ".join(names)
    if not content.strip():
        return "an empty file"
    if content[:1] == b"\x30":
        return "something that may be DER: convert it with openssl ... -inform DER"
    return "none"


def _load(path: str, what: str, load: Callable[[bytes], Any], block: bytes) -> Any:
    try:
        return load(block)
    except Exception as error:
        # cryptography's message is long, and of no use to the user.
        expected = _CERTIFICATE if what == "certificate" else _KEY
        raise ValueError(
            f"{path}: expected {expected}, but the {what} in it is damaged"
        ) from error
