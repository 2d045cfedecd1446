"""
Type checks of arguments, at the call.

A wrong argument that is first used at the next request, or in the next turn of the
reactor, raises an error far from its cause.  So public functions declare the types of
their arguments with L{checked}; a function that is called for every request checks only
after a failure, and makes its error with L{wrong}.
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
    A type of argument.

    @ivar name: the name of the type, for the error.
    @ivar test: returns whether a value has the type.
    """

    def __init__(self, name: str, test: Callable[[Any], bool]) -> None:
        self.name = name
        self.test = test


class NoNumber(TypeError, ValueError):
    """
    A bound is not a number.  It is also a C{ValueError}, which callers of a settings
    class catch.
    """


def no_number(argument: str, unit: str, value: object) -> NoNumber:
    """
    Make the error for a bound that is not a number.
    """
    return NoNumber(str(wrong(argument, f"a number of {unit}", value)))


def wrong(argument: str, wanted: str, value: object) -> TypeError:
    """
    Make the error that names an argument, the expected type, and the actual one.
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
    Any number of values of C{kind}, in a container that can be iterated repeatedly.
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
    Decorate a function to raise L{TypeError} for arguments of other kinds before it
    runs.
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
    Check that an object can be the protocol that takes a body.

    @raise TypeError: if not.
    """
    if not hasattr(protocol, "dataReceived") or isinstance(protocol, type):
        raise wrong("protocol", PROTOCOL.name, protocol)
