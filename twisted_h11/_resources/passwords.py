"""
Passwords in a file of C{htpasswd}.

bcrypt is slow on purpose: comparing a password takes a tenth of a second or more.  So
passwords are compared in threads, a few at a time, and right ones are remembered, as
an HMAC under a key of this process.
"""

from __future__ import annotations

import hmac
import os
import re
from collections import OrderedDict
from secrets import token_bytes
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import IUsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, DeferredSemaphore, fail, succeed
from twisted.internet.threads import deferToThread
from twisted.logger import Logger
from zope.interface import implementer

from twisted_h11._boundary.checks import PATH, checked
from twisted_h11._boundary.opening import read_file

__all__ = ["PasswordFile", "TooManyComparisons"]

# How many bytes of a password bcrypt uses.
_MOST_BYTES = 72

# A hash of bcrypt: its cost, the salt, and the digest.  The costs are those of
# htpasswd; each step doubles the time, and 31 would take days.  The last letter of a
# salt has two bits; with other letters bcrypt raises when it compares.
_HASH = re.compile(
    rb"\$2[aby]\$(0[4-9]|1[0-7])\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}"
)

# The cost of htpasswd -B.
_USUAL_COST = 5

# How many passwords are compared at a time, and how many may wait for it.
_AT_A_TIME = 2
_MOST_WAITING = 64

_MOST_REMEMBERED = 1024

_LARGEST_FILE = 1 << 20


class TooManyComparisons(UnauthorizedLogin):
    """
    Too many passwords wait to be compared; this one was not checked.
    """


@implementer(ICredentialsChecker)
class PasswordFile:
    """
    Names and passwords in a file as C{htpasswd -B} makes it: a line for each, with the
    bcrypt hash behind the colon.  A changed file is read again; if it can not be read,
    or is malformed, the previous contents stay in use, and an error is logged.

    @since: 0.1
    """

    credentialInterfaces = (IUsernamePassword,)

    _log = Logger()

    @checked(path=PATH)
    def __init__(self, path: str | os.PathLike[str]) -> None:
        """
        @param path: the file.
        @raise TypeError: if it is not a path.
        @raise ValueError: for a malformed line, with its number.
        @raise OSError: if the file can not be read, or is no regular file.
        @raise ImportError: if C{bcrypt} is not installed (C{twisted-h11[passwords]}).
        """
        import bcrypt

        self._bcrypt: Any = bcrypt
        # twistd may change the directory.
        self._path = os.path.abspath(path)
        self._key = token_bytes(32)
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._turns = DeferredSemaphore(_AT_A_TIME)
        self._changed: tuple[int, ...] | None = self._stat()
        self._nobody = b""
        self._hashes = self._read()

    def _stat(self) -> tuple[int, ...]:
        status = os.stat(self._path)
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _read(self) -> dict[bytes, bytes]:
        text = read_file(self._path, _LARGEST_FILE)
        hashes = {}
        cost = _USUAL_COST
        for number, line in enumerate(text.splitlines(), 1):
            line = line.strip()
            if not line or line.startswith(b"#"):
                continue
            name, _, hashed = line.partition(b":")
            match = _HASH.fullmatch(hashed)
            if not name or match is None:
                raise ValueError(
                    f"line {number} is not NAME:HASH with a hash of bcrypt, as "
                    "htpasswd -B makes it (cost 4 to 17)"
                )
            hashes[name] = hashed
            cost = max(cost if len(hashes) > 1 else 0, int(match[1]))
        # An unknown name takes as long as the highest cost in the file, so that the
        # time does not tell which names exist.
        self._nobody = self._bcrypt.gensalt(cost) + b"." * 31
        return hashes

    def _refresh(self) -> None:
        """
        Read the file again, if it has changed.
        """
        changed = None
        try:
            changed = self._stat()
            if changed == self._changed:
                return
            self._hashes = self._read()
            self._log.info("Read {path} again", path=self._path)
        except (OSError, ValueError) as error:
            if changed != self._changed:
                self._log.error(
                    "Can not read {path}, the old passwords stay valid: {error}",
                    path=self._path,
                    error=str(error),
                )
        self._changed = changed

    def requestAvatarId(self, credentials: Any) -> Deferred[Any]:
        """
        See L{ICredentialsChecker.requestAvatarId}.
        """
        self._refresh()
        name, password = credentials.username, credentials.password[:_MOST_BYTES]
        hashed = self._hashes.get(name)
        told = b"\0".join((name, password, hashed or b""))
        digest = hmac.digest(self._key, told, "sha256")
        if digest in self._right:
            self._right.move_to_end(digest)
            return succeed(name)
        if len(self._turns.waiting) >= _MOST_WAITING:
            return fail(TooManyComparisons("too many passwords are being compared"))
        # bcrypt stops at a NUL, or raises for it.
        known = hashed is not None and b"\0" not in password
        checking: Deferred[bool] = self._turns.run(
            deferToThread,
            self._bcrypt.checkpw,
            password.replace(b"\0", b""),
            hashed or self._nobody,
        )

        def checked(isRight: bool) -> bytes:
            if not (isRight and known):
                raise UnauthorizedLogin("wrong name or password")
            self._right[digest] = None
            if len(self._right) > _MOST_REMEMBERED:
                self._right.popitem(last=False)
            return bytes(name)

        return checking.addCallback(checked)
