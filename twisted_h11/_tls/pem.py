"""
Certificates and keys in files of PEM, and what is wrong with them.

OpenSSL says C{no start line}, and neither of which file nor what it looked for.  And
for the pass phrase of a key it asks the terminal, which a server has not got.  So
the files are looked at before they are loaded.
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
from twisted.python.filepath import FilePath

__all__ = [
    "belongs_to",
    "describe_problem",
    "labels_in",
    "read_blocks",
    "read_certificates",
    "read_key",
]

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----")

# Longer than any file of certificates that systems come with.
_LONGEST = 4 * 1024 * 1024

_CERTIFICATE = "a certificate in PEM format (-----BEGIN CERTIFICATE-----)"
_KEY = "a private key in PEM format (-----BEGIN PRIVATE KEY-----)"


def describe_problem(error: BaseException) -> str:
    """
    What is wrong with a file, for the user, in one line.

    @param error: what one of the functions of this module has raised, or OpenSSL
        when it was given what they returned.
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
    The certificates in a file, in their order; at least one.

    @raise ValueError: naming the file, and what was expected in it.
    @raise OSError: if it can not be read.
    """
    return [
        _load(path, "certificate", x509.load_pem_x509_certificate, block)
        for block in read_blocks(path, b"CERTIFICATE", _CERTIFICATE)
    ]


def read_key(path: str) -> Any:
    """
    The first private key in a file.

    @raise ValueError: naming the file, and what was expected in it.
    @raise OSError: if it can not be read.
    """
    (block, *_) = read_blocks(path, b"PRIVATE KEY", _KEY)
    # An older format says it in a field of its own: Proc-Type: 4,ENCRYPTED.
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
    Whether a private key is that of a certificate.
    """

    def encoded(public: Any) -> bytes:
        encoding: bytes = public.public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
        return encoding

    return encoded(key.public_key()) == encoded(certificate.public_key())


def read_blocks(path: str, label: bytes, expected: str) -> list[bytes]:
    """
    The blocks of one kind in a file, at least one.

    @param label: with what their names end.
    @param expected: what it is, for the message.
    @raise ValueError: if there is none.
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
    The names of the blocks in a file.

    @raise ValueError: if it is no file that could have some.
    @raise OSError: if it can not be read.
    """
    return {label for label, _ in _blocks(_content(path))}


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


def _load(path: str, what: str, load: Callable[[bytes], Any], block: bytes) -> Any:
    try:
        return load(block)
    except Exception as error:
        # What cryptography says of it is long, and for whoever wrote the file.
        expected = _CERTIFICATE if what == "certificate" else _KEY
        raise ValueError(
            f"{path}: expected {expected}, but the {what} in it is damaged"
        ) from error
