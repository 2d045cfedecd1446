"""
What must hold of names and passwords, in a request and in the file of C{htpasswd}, as
functions that raise L{BrokenLaw}.
"""

from __future__ import annotations

import os
import re
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from twisted.cred.credentials import UsernamePassword
from twisted.cred.error import LoginFailed
from twisted.internet.defer import execute
from twisted.internet.task import Clock
from twisted.web.resource import Resource

from tests.fuzz.law import BrokenLaw, same
from tests.support.wire import Wire
from twisted_h11._http.abnf import has_control
from twisted_h11._resources import passwords
from twisted_h11._resources.protected import protect
from twisted_h11.server import Site

__all__ = ["PASSWORD", "check_basic", "check_password_file", "known_line"]

# In base64 without padding, so that there is one way only to write it.
PASSWORD = b"ann", b"password"

_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]")


@lru_cache
def known_line() -> bytes:
    """
    A line of the file, for L{PASSWORD}; the hash is one that is made quickly.
    """
    import bcrypt

    name, password = PASSWORD
    hashed: bytes = bcrypt.hashpw(password, bcrypt.gensalt(4))
    return name + b":" + hashed


@contextmanager
def _file(content: bytes) -> Iterator[passwords.PasswordFile]:
    """
    A file of passwords, which are compared at once.
    """
    with (
        TemporaryDirectory() as folder,
        patch.object(passwords, "deferToThread", execute),
    ):
        path = os.path.join(folder, "htpasswd")
        with open(path, "wb") as file:
            file.write(content)
        yield passwords.PasswordFile(path)


def _expected(content: bytes) -> dict[bytes, bytes] | int:
    """
    The hashes by name; or the number of the first line that is wrong.
    """
    found: dict[bytes, bytes] = {}
    for number, line in enumerate(re.split(rb"\r\n|\r|\n", content), 1):
        line = line.strip(b" \t\v\f")
        if line and not line.startswith(b"#"):
            name, colon, hashed = line.partition(b":")
            kind, salt = hashed[:4], hashed[7:]
            if (
                not (name and colon)
                or kind not in (b"$2a$", b"$2b$", b"$2y$")
                or hashed[4:7] not in [b"%02d$" % cost for cost in range(4, 18)]
                or not (len(salt) == 53 and re.fullmatch(rb"[./0-9A-Za-z]*", salt))
                or salt[21] not in b".Oeu"
            ):
                return number
            found[name] = hashed
    return found


def _answer(file: passwords.PasswordFile, name: bytes, password: bytes) -> Any:
    """
    The name, if the password is right; C{None} if not.
    """
    found: list[Any] = []
    asked = file.requestAvatarId(UsernamePassword(name, password))
    asked.addBoth(found.append)
    if len(found) != 1:
        raise BrokenLaw(f"no answer for {name!r}")
    if isinstance(found[0], bytes):
        return found[0]
    if not found[0].check(LoginFailed):
        raise BrokenLaw(f"{found[0].value!r} for {name!r} and {password!r}")
    return None


def check_password_file(data: bytes) -> None:
    """
    A file has the names and hashes that its lines have, or is refused with the number
    of the first line that is wrong; each of its names is let in or refused, and nothing
    else happens.
    """
    expected = _expected(data)
    try:
        with _file(data) as file:
            same("hashes", file._hashes, expected)
            for name, hashed in file._hashes.items():
                # Others take long.
                if hashed[4:6] == b"04":
                    _answer(file, name, b"wrong")
    except ValueError as error:
        if not isinstance(expected, int):
            raise BrokenLaw(f"refused: {error}") from None
        if f"line {expected} " not in str(error) or not str(error).isprintable():
            raise BrokenLaw(f"line {expected} is not named: {error}") from None


class _Leaf(Resource):
    """
    What is behind the password.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        Say that it was reached.
        """
        return b"inside"


def check_basic(data: bytes) -> None:
    """
    Who sends C{Authorization} with the right name and password by Basic is let in, and
    nobody else; all others get 401.
    """
    if has_control(data):
        return
    clock = Clock()
    with _file(known_line()) as file:
        site: Any = Site(protect(_Leaf(), file), reactor=clock, accessLog=False)
        site.startFactory()
        wire = Wire(site, clock)
        wire.send(b"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: " + data + b"\r\n\r\n")
        wire.advance(1)
        output = wire.output
        wire.vanish()
        site.stopFactory()
    for call in clock.getDelayedCalls():
        call.cancel()
    inside = output.startswith(b"HTTP/1.1 200 ")
    if not inside and not output.startswith(b"HTTP/1.1 401 "):
        raise BrokenLaw(f"{output[:20]!r} for {data!r}")
    same("inside", output.endswith(b"\r\n\r\ninside"), inside)
    scheme, _, said = data.strip(b" \t").partition(b" ")
    right = b64encode(b":".join(PASSWORD))
    # The decoder passes over what is not of its alphabet, and over what follows.
    near = _NOT_BASE64.sub(b"", said).startswith(right)
    if inside and not (near and scheme.lower() == b"basic"):
        raise BrokenLaw(f"{data!r} is let in")
    if not inside and data == b"Basic " + right:
        raise BrokenLaw(f"{data!r} is not let in")
