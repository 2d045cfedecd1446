"""
Headers that keep the spelling of their names.

twisted.web's C{Headers} writes every name in its canonical case.  Field names are
case-insensitive (RFC 9110 section 5.1), but some servers compare them as written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from twisted.web.http_headers import Headers as TwistedHeaders

from twisted_h11._boundary.checks import TEXT, checked, instance, optional, wrong
from twisted_h11._http.abnf import is_field_content

__all__ = ["Headers", "are_headers", "as_headers"]


class Headers(TwistedHeaders):
    """
    The C{Headers} of twisted.web, with two differences: the names go out as
    they were written, and a value with a line end or another control
    character raises L{ValueError} instead of being repaired.

    @raise TypeError: for a name or value that is neither text nor bytes.
    @raise ValueError: for a value that must not be sent.

    @since: 0.1
    """

    __slots__ = ("_spelling",)

    @checked(rawHeaders=optional(instance("a mapping", Mapping)))
    def __init__(self, rawHeaders: Mapping[Any, Sequence[Any]] | None = None) -> None:
        self._spelling: dict[bytes, bytes] = {}
        super().__init__(rawHeaders)

    @classmethod
    def fromPairs(cls, pairs: Iterable[tuple[str | bytes, str | bytes]]) -> Headers:
        """
        Make headers from (name, value) pairs.
        """
        headers = cls()
        for name, value in pairs:
            headers.addRawHeader(name, value)
        return headers

    def _spell(self, name: str | bytes) -> None:
        spelling = name.encode("iso-8859-1") if isinstance(name, str) else name
        self._spelling.setdefault(spelling.lower(), spelling)

    def setRawHeaders(self, name: str | bytes, values: Sequence[str | bytes]) -> None:
        """
        See L{twisted.web.http_headers.Headers.setRawHeaders}.
        """
        if not isinstance(values, (list, tuple)):
            raise wrong("values", "a list", values)
        for value in values:
            _check(name, value)
        super().setRawHeaders(name, values)
        self._spelling.pop(_lower(name), None)
        self._spell(name)

    def addRawHeader(self, name: str | bytes, value: str | bytes) -> None:
        """
        See L{twisted.web.http_headers.Headers.addRawHeader}.
        """
        _check(name, value)
        super().addRawHeader(name, value)
        self._spell(name)

    def removeHeader(self, name: Any) -> None:
        """
        See L{twisted.web.http_headers.Headers.removeHeader}.
        """
        super().removeHeader(name)
        self._spelling.pop(_lower(name), None)

    def copy(self) -> Headers:
        """
        Make a copy that keeps the spelling of the names.
        """
        return type(self).fromPairs(self.pairs())

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """
        All fields in order, the names as they were written.
        """
        spelling = self._spelling
        return [
            (spelling.get(name.lower(), name), value)
            for name, values in self.getAllRawHeaders()
            for value in values
        ]


def are_headers(headers: Any) -> bool:
    """
    Whether C{headers} can be given to an agent of twisted.web.
    """
    return headers is None or isinstance(headers, TwistedHeaders)


def as_headers(headers: Any) -> Any:
    """
    Pairs as headers, for an agent that adds or removes fields.  What is not valid is
    left for the agent that sends the request to report.
    """
    if are_headers(headers):
        return headers
    if isinstance(headers, Iterator):
        headers = list(headers)
    try:
        return Headers.fromPairs(headers)
    except (TypeError, ValueError):
        return headers


def _lower(name: str | bytes) -> bytes:
    return (name.encode("iso-8859-1") if isinstance(name, str) else name).lower()


def _check(name: str | bytes, value: str | bytes) -> None:
    for argument, given in (("name", name), ("value", value)):
        if not isinstance(given, (bytes, str)):
            raise wrong(argument, TEXT.name, given)
    raw = value.encode("utf-8") if isinstance(value, str) else value
    if not is_field_content(raw):
        raise ValueError(f"Invalid value of header {name!r}: {value!r}")
