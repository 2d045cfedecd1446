"""
Identifiers of requests, to find a request in several logs.

A trusted proxy may send one in a field that the site names; else it is made here, at
random.  While a request is handled its identifier is in a context variable, so that log
events can get it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import ContextVar, copy_context
from functools import partial
from random import Random
from typing import Any

from twisted.internet.interfaces import IAddress
from twisted.logger import ILogObserver, LogEvent
from zope.interface import provider

from twisted_h11._http.abnf import is_token
from twisted_h11._server.trusted import TrustedProxies

__all__ = [
    "RequestIds",
    "add_request_id",
    "current",
    "current_request_id",
    "identified",
    "make_request_ids",
]

current: ContextVar[str | None] = ContextVar("twisted_h11_request_id", default=None)

# Not the generator of the module random, which a program may seed.
_bits = Random().getrandbits


class RequestIds:
    """
    Makes the identifiers for the requests of a site.

    @param field: the name of the field with a trusted proxy's identifier, in lower
        case; C{None} to use none.
    @param trusted: the proxies that the site trusts.
    @param longest: the maximum length of an identifier, in bytes.
    """

    def __init__(
        self, field: bytes | None, trusted: TrustedProxies | None, longest: int
    ) -> None:
        self._field = field
        self._trusted = trusted
        self._longest = longest

    def of(self, values: Callable[[bytes], Sequence[bytes]], peer: IAddress) -> str:
        """
        The identifier of a request.

        @param values: returns the values of a field, by its name.
        @param peer: the address of the transport's peer.
        """
        if self._field is not None and self._trusted is not None:
            if self._trusted.trusts(peer):
                found = values(self._field)
                if len(found) == 1:
                    [value] = found
                    if is_token(value) and len(value) <= self._longest:
                        return value.decode("ascii")
        return f"{_bits(128):032x}"


def make_request_ids(
    wanted: bool, field: bytes | None, trusted: TrustedProxies | None, longest: int
) -> RequestIds | None:
    """
    Make the L{RequestIds} of a site.

    @param wanted: whether requests have identifiers.
    @return: C{None} if they have none.
    @raise ValueError: for a C{field} without trusted proxies, without C{wanted}, or
        with an invalid name.
    """
    if field is None:
        return RequestIds(None, None, longest) if wanted else None
    if not is_token(field):
        raise ValueError(f"requestIdHeader is not the name of a field: {field!r}")
    if not wanted:
        raise ValueError("requestIdHeader needs requestIds=True")
    if trusted is None:
        raise ValueError("requestIdHeader needs trustedProxies, which send the field")
    return RequestIds(field.lower(), trusted, longest)


def current_request_id() -> str | None:
    """
    The identifier of the current request, of a site with C{requestIds=True}: while its
    resource is rendered, in coroutines that C{render} has started, and in the threads
    of a WSGI application.

    @return: C{None} if there is none.

    @since: 0.1
    """
    return current.get()


@provider(ILogObserver)
def add_request_id(event: LogEvent) -> None:
    """
    A log observer that adds C{request_id} to events, and puts the identifier into the
    brackets in the text of an event.  Observers that are added later get that, earlier
    ones may not::

        globalLogPublisher.addObserver(add_request_id)

    C{twistd h11web} adds it by itself, if requests have identifiers.

    @since: 0.1
    """
    found = current.get()
    if found is None or "request_id" in event:
        return
    event["request_id"] = found
    system = event.get("log_system")
    if system is None:
        level = getattr(event.get("log_level"), "name", "-")
        system = f"{event.get('log_namespace', '-')}#{level}"
    event["log_system"] = f"{system} {found}"


def identified(call: Callable[[], Any]) -> Callable[[], Any]:
    """
    Wrap a call for another thread, so that it has the current identifier.
    """
    return call if current.get() is None else partial(copy_context().run, call)
