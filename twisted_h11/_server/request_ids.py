"""
Identifiers of requests, by which their traces in several logs are found.

A proxy that is trusted may have given a request one, in a field that the site is told;
else it is made here, at random.  While a request is worked on it is a context variable,
so that what is logged meanwhile can have it, too.
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

# Not that of the module random, which a program may seed.
_bits = Random().getrandbits


class RequestIds:
    """
    What gives the requests of a site their identifiers.

    @param field: the field in which a trusted proxy has it, in lower case; C{None} to
        believe none.
    @param trusted: the proxies that the site trusts.
    @param longest: how long one may be, in bytes.
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

        @param values: gives the values of a field.
        @param peer: who is connected.
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
    What a site has for its requests.

    @param wanted: whether they have identifiers.
    @raise ValueError: for a field that can not be believed.
    """
    if field is None:
        return RequestIds(None, None, longest) if wanted else None
    if not is_token(field):
        raise ValueError(f"this is not the name of a field: {field!r}")
    if not wanted:
        raise ValueError("a field for identifiers is for requests that have them")
    if trusted is None:
        raise ValueError("a field for identifiers is believed of trusted proxies only")
    return RequestIds(field.lower(), trusted, longest)


def current_request_id() -> str | None:
    """
    The identifier of the request that is worked on, of a site with
    C{requestIds=True}: while its resource is rendered, in coroutines that this has
    begun, and in the threads of a WSGI application.

    @return: C{None} if there is none.

    @since: 0.1
    """
    return current.get()


@provider(ILogObserver)
def add_request_id(event: LogEvent) -> None:
    """
    A log observer that adds C{request_id} to events, and the identifier to what the
    text of an event has in brackets.  Observers that are added after it see that, those
    before it may not::

        globalLogPublisher.addObserver(add_request_id)

    C{twistd h11web} adds it by itself, where requests have identifiers.

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
    Have a call that another thread will make know the request, if there is one.
    """
    return call if current.get() is None else partial(copy_context().run, call)
