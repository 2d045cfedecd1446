"""
Arguments of the wrong type, told at the call.

An argument that is not what it should be, and that nobody looks at before the
next request or the next turn of the reactor, is an error far from its cause.
Public functions say with L{checked} what they take; one that is called for every
request looks only when something has failed, or has L{wrong} make its error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import wraps
from inspect import signature
from os import PathLike
from reprlib import repr as short_repr
from typing import Any, TypeVar, cast

__all__ = [
    "BOOL",
    "BYTES",
    "CALLABLE",
    "ENDPOINT",
    "INT",
    "NUMBER",
    "PAIRS",
    "PATH",
    "PROTOCOL",
    "REACTOR",
    "STR",
    "TEXT",
    "Kind",
    "check_protocol",
    "checked",
    "instance",
    "listed",
    "no_number",
    "optional",
    "wrong",
]

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Kind:
    """
    What an argument has to be.

    @ivar name: for the error.
    @ivar test: whether a value is.
    """

    def __init__(self, name: str, test: Callable[[Any], bool]) -> None:
        self.name = name
        self.test = test


class NoNumber(TypeError, ValueError):
    """
    A bound that is no number.  Whoever catches the errors of a settings object
    catches C{ValueError}.
    """


def no_number(argument: str, unit: str, value: object) -> NoNumber:
    """
    The error for a bound that is no number.
    """
    return NoNumber(str(wrong(argument, f"a number of {unit}", value)))


def wrong(argument: str, wanted: str, value: object) -> TypeError:
    """
    The error that names an argument, what it must be, and what it is.
    """
    kind = "None" if value is None else f"{type(value).__name__} {short_repr(value)}"
    return TypeError(f"{argument} must be {wanted}, not {kind}")


def instance(name: str, *kinds: type) -> Kind:
    """
    An instance of one of some classes.
    """
    return Kind(name, lambda value: isinstance(value, kinds))


def optional(kind: Kind) -> Kind:
    """
    C{kind}, or C{None}.
    """
    return Kind(f"{kind.name}, or None", lambda v: v is None or kind.test(v))


def listed(kind: Kind) -> Kind:
    """
    Any number of C{kind}, in something that can be looked at more than once.
    """

    def test(value: Any) -> bool:
        if isinstance(value, (str, bytes, Mapping, Iterator)):
            return False
        return isinstance(value, Iterable) and all(map(kind.test, value))

    return Kind(f"a list of {kind.name}", test)


def _pair(value: Any) -> bool:
    return (
        isinstance(value, (tuple, list))
        and len(value) == 2
        and all(isinstance(part, bytes) for part in value)
    )


def _number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


BYTES = instance("bytes", bytes)
STR = instance("str", str)
TEXT = instance("bytes or str", bytes, str)
BOOL = instance("a bool", bool, int)
INT = instance("an int", int)
NUMBER = Kind("a number", _number)
CALLABLE = Kind("callable", callable)
PATH = instance("a path", str, bytes, PathLike)
PAIRS = listed(Kind("pairs of bytes", _pair))
REACTOR = Kind(
    "a reactor (it has no callLater)",
    lambda value: callable(getattr(value, "callLater", None)),
)
PROTOCOL = Kind(
    "a protocol (an instance, not a class)",
    lambda value: hasattr(value, "dataReceived") and not isinstance(value, type),
)
ENDPOINT = Kind("an endpoint", lambda value: callable(getattr(value, "connect", None)))


def checked(**kinds: Kind) -> Callable[[_Function], _Function]:
    """
    Have a function raise L{TypeError} for arguments that are not of these kinds,
    before it does anything.
    """

    def decorate(function: _Function) -> _Function:
        names = list(signature(function).parameters)
        places = [(name, names.index(name), kind) for name, kind in kinds.items()]

        @wraps(function)
        def check(*args: Any, **kwargs: Any) -> Any:
            for name, place, kind in places:
                if place < len(args):
                    value = args[place]
                elif name in kwargs:
                    value = kwargs[name]
                else:
                    continue
                if not kind.test(value):
                    raise wrong(name, kind.name, value)
            return function(*args, **kwargs)

        return cast(_Function, check)

    return decorate


def check_protocol(protocol: Any) -> None:
    """
    Refuse what can not take a body.

    @raise TypeError: if it can not.
    """
    if not hasattr(protocol, "dataReceived") or isinstance(protocol, type):
        raise wrong("protocol", PROTOCOL.name, protocol)
