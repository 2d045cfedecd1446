"""
What must hold of the file that C{twistd h11web --config} reads, as a function that
raises L{BrokenLaw}.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

from twisted.python.usage import UsageError

from tests.fuzz.law import BrokenLaw, same
from twisted_h11._command.configuration import PREFIX
from twisted_h11._command.options import Options
from twisted_h11._command.root_options import ROOTS
from twisted_h11.limits import Limits

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["check_configuration"]

_NAME = "h11web.toml"

# A message may have a name and a value of the file in it.
_MOST_MORE = 1500

_PLAIN = (bool, int, float, str, bytes, type(None), Limits)


@contextmanager
def _alone() -> Iterator[None]:
    """
    In an empty folder, without options in the environment.
    """
    before, folder = os.environ.copy(), os.getcwd()
    for name in before:
        if name.startswith(PREFIX):
            del os.environ[name]
    with TemporaryDirectory() as empty:
        os.chdir(empty)
        try:
            yield
        finally:
            os.chdir(folder)
            os.environ.update(before)


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value if isinstance(value, _PLAIN) else type(value)


def _parsed(arguments: list[str], longest: int) -> dict[str, Any] | str:
    """
    What the options are, or what is wrong with them.
    """
    options = Options()
    try:
        options.parseOptions(arguments)
    except UsageError as error:
        line = str(error)
        if not line or not line.isprintable() or len(line) > longest:
            raise BrokenLaw(f"not a line: {line!r}") from None
        return line
    return {name: _plain(value) for name, value in options.items() if name != "config"}


def _as_arguments(values: dict[str, Any]) -> list[str]:
    """
    A command line that says the same.
    """
    arguments: list[str] = []
    spelled = Options().longOpt
    for name in sorted(values, key=lambda name: name not in ROOTS):
        value = values[name]
        for one in value if isinstance(value, list) else [value]:
            if f"{name}=" not in spelled:
                arguments += [f"--{name}"] if one else []
            elif isinstance(one, bool):
                arguments.append(f"--{name}={'on' if one else 'off'}")
            else:
                arguments.append(f"--{name}={one}")
    return arguments


def check_configuration(data: bytes) -> None:
    """
    A file gives options, or an error that is one printable line and names the file or
    an option; never another exception.  What it gives is what a command line gives that
    has its values, and the same each time.
    """
    with _alone():
        with open(_NAME, "wb") as file:
            file.write(data)
        longest = len(data) * 4 + _MOST_MORE
        found = _parsed([f"--config={_NAME}"], longest)
        same("a second time", _parsed([f"--config={_NAME}"], longest), found)
        if isinstance(found, str):
            if _NAME not in found and "--" not in found:
                raise BrokenLaw(f"says not what is wrong: {found}")
            return
        values = tomllib.loads(data.decode("utf-8"))
        same("by a command line", _parsed(_as_arguments(values), longest), found)
        same("files", os.listdir(), [_NAME])
