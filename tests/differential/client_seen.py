"""
What an answer looks like, for the rows of the comparison: a rough reader of its own.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

__all__ = ["Seen", "see"]

_find_head_end = re.compile(rb"\n\r?\n").search
_find_last_chunk = re.compile(rb"(?:^|\n)0+(?:[ \t;][^\n]*)?\r?\n").search
_find_bare_lf = re.compile(rb"(?<!\r)\n").search
_find_lines = re.compile(rb"[^\n]*\n|[^\n]+").findall
_is_interim = re.compile(rb"\S+ 1(?!01)[0-9]{2}").match
_is_token = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_has_control = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]").search


class Seen(NamedTuple):
    """
    The parts of an answer.

    @ivar before: the empty lines that it begins with.
    @ivar lines: the status lines, those of interim responses first.
    @ivar interim: the field lines of interim responses.
    @ivar fields: those of the final one.
    @ivar trailers: those of the trailer section, if there is one.
    @ivar body: what is behind the heads.
    @ivar sections: the heads and the trailer section as they came.
    @ivar rest: what is behind the trailer section, if there is one.
    """

    before: bytes
    lines: list[bytes]
    interim: list[bytes]
    fields: list[bytes]
    trailers: list[bytes]
    body: bytes
    sections: bytes
    rest: bytes | None

    @property
    def all(self) -> list[bytes]:
        """
        All field lines.
        """
        return self.interim + self.fields + self.trailers

    def values(self, name: bytes) -> list[bytes]:
        """
        The values of a field of the final response, in lower case; folds are spaces.
        """
        head = re.sub(rb"\r?\n[ \t]+", b" ", b"".join(self.fields))
        pairs = [line.partition(b":") for line in head.split(b"\n")]
        found = [
            (one.lower(), value.strip(b" \t\r").lower()) for one, _, value in pairs
        ]
        return [value for one, value in found if one == name]

    @property
    def hasNoColon(self) -> bool:
        """
        Whether a field line has no colon.
        """
        return any(line[:1] not in b" \t" and b":" not in line for line in self.all)

    @property
    def hasOddName(self) -> bool:
        """
        Whether what is before a colon is no token.
        """
        pairs = [line.partition(b":") for line in self.all if line[:1] not in b" \t"]
        return any(colon and not _is_token(name) for name, colon, _ in pairs)

    @property
    def hasControl(self) -> bool:
        """
        Whether there is a control character in a value.
        """
        return any(_has_control(_bare(line)) for line in self.all)

    @property
    def hasFold(self) -> bool:
        """
        Whether there is a line fold.
        """
        return any(line[:1] in b" \t" for line in self.all)

    @property
    def hasBareLF(self) -> bool:
        """
        Whether a line of a head or a trailer section ends with a bare LF.
        """
        return _find_bare_lf(self.sections) is not None

    @property
    def hasOddReason(self) -> bool:
        """
        Whether there is a control character in a status line.
        """
        return any(_has_control(_bare(line)) for line in self.lines)


def _bare(line: bytes) -> bytes:
    return line.removesuffix(b"\n").removesuffix(b"\r")


def _split(data: bytes) -> list[bytes]:
    return [line for line in _find_lines(data) if _bare(line)]


@lru_cache(None)
def see(data: bytes) -> Seen:
    """
    Divide an answer.
    """
    rest = data.lstrip(b"\r\n")
    before = data[: len(data) - len(rest)]
    lines: list[bytes] = []
    interim: list[bytes] = []
    fields: list[bytes] = []
    while rest and (not lines or _is_interim(lines[-1])):
        interim += fields
        found = _find_head_end(rest)
        end = len(rest) if found is None else found.end()
        first, *fields = _split(rest[:end]) or [b""]
        lines.append(first)
        rest = rest[end:]
    sections = data[: len(data) - len(rest)]
    trailers: list[bytes] = []
    behind = None
    last = _find_last_chunk(rest)
    at = last.end() if last else 0
    for line in _find_lines(rest[at:]) if last else []:
        at += len(line)
        sections += line
        if not _bare(line):
            behind = rest[at:]
            break
        trailers.append(line)
    return Seen(before, lines, interim, fields, trailers, rest, sections, behind)
