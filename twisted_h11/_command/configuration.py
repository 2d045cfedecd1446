"""
Options of C{twistd h11web} from a file and from the environment.

There is one definition of an option, that of L{usage.Options}: the values in a TOML
file or in environment variables are converted to command line arguments, and parsed as
such.  C{idle-timeout} on the command line is C{idle-timeout} in the file and
C{H11WEB_IDLE_TIMEOUT} in the environment.

For each option the command line takes precedence over the environment, and the
environment over the file; the values of a repeatable option are not merged.  The
options that say what to serve exclude each other, so they count as one.
"""

from __future__ import annotations

import getopt
import re
import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from twisted.python import usage

from twisted_h11._boundary.explain import reason
from twisted_h11._boundary.opening import read_file
from twisted_h11._boundary.variables import METRICS_DIRECTORY, WORKER
from twisted_h11._command.root_options import ROOTS

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # same interface, on Python 3.10

__all__ = ["INTERNAL", "PREFIX", "Configuration"]

PREFIX = "H11WEB_"

INTERNAL = frozenset((METRICS_DIRECTORY, WORKER))
"""
Variables that a server sets for its workers; they are no options.
"""

_LARGEST_FILE = 1 << 20

# Reading a key takes time that grows with the square of its parts, and each key below a
# header takes time for all parts of the header.  No option has a dot in its name.
_MOST_DOTS = 16
_DEEP_KEY = re.compile(
    r"(?:^|[\[{,])[ \t]*"
    r"(?:(?:[\w-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')[ \t]*\.[ \t]*)"
    f"{{{_MOST_DOTS + 1}}}",
    re.MULTILINE,
)

# Options that are valid on the command line only.
_COMMANDS = frozenset(("help", "version", "check"))

_ON = frozenset(("on", "true", "yes", "1"))
_OFF = frozenset(("off", "false", "no", "0", ""))

_OPTION = re.compile(r"--([a-z0-9][a-z0-9-]*)")

# How many characters of a value a message shows.
_MOST_SHOWN = 60


class Configuration:
    """
    The merged options of a command line, the environment and a file.

    @ivar arguments: a command line with all of them.

    @param options: the options that will parse it.
    @param argv: the command line.
    @param environ: the environment.
    @raise usage.UsageError: for an error in the environment or the file.
    """

    def __init__(
        self, options: usage.Options, argv: Iterable[str], environ: Mapping[str, str]
    ) -> None:
        self.arguments = list(argv)
        self._takes = {
            name.rstrip("="): name.endswith("=")
            for name in options.longOpt
            if len(name.rstrip("=")) > 1
        }
        self._repeatable = {
            name
            for name, text in options.docs.items()
            if "May be repeated" in " ".join((text or "").split())
        }
        self._origins: dict[str, str] = {}
        try:
            given, _ = getopt.getopt(
                self.arguments, options.shortOpt, list(options.longOpt)
            )
        except getopt.GetoptError:
            # Parsing the command line again will report the error.
            return
        named = [(options.synonyms[name.lstrip("-")], value) for name, value in given]
        names = {name for name, _ in named}
        if names & {"help", "version"}:
            return
        path = dict(named).get("config", environ.get(PREFIX + "CONFIG"))
        taken = _with_roots(names)
        values: dict[str, list[str] | None] = {}
        for source in (self._fromEnvironment(environ), self._fromFile(path)):
            found = {
                name: (said, origin)
                for name, (said, origin) in source.items()
                if name not in taken
            }
            values.update((name, said) for name, (said, _) in found.items())
            self._origins.update((name, where) for name, (_, where) in found.items())
            taken |= _with_roots(set(source))
        # Options that must follow --path do so, whatever their sources.
        ordered = sorted(values, key=lambda name: name not in ROOTS)
        more = [arg for name in ordered for arg in self._arguments(name, values[name])]
        if names & ROOTS:
            self.arguments += more
        else:
            self.arguments = more + self.arguments

    def explain(self, line: str) -> str:
        """
        Add the source of the option that a message names, unless that is the command
        line.
        """
        option = _OPTION.search(line)
        origin = self._origins.get(option[1]) if option is not None else None
        return line if origin is None else f"{line} (from {origin})"

    def _arguments(self, name: str, said: list[str] | None) -> list[str]:
        if said is None:
            return []
        return [f"--{name}={v}" if self._takes[name] else f"--{name}" for v in said]

    # -- the environment ----------------------------------------------------------

    def _fromEnvironment(
        self, environ: Mapping[str, str]
    ) -> dict[str, tuple[list[str] | None, str]]:
        """
        The values of each option; C{None} for a flag that is off.
        """
        found: dict[str, tuple[list[str] | None, str]] = {}
        for variable in sorted(environ):
            if not variable.startswith(PREFIX) or variable in INTERNAL:
                continue
            text = environ[variable]
            name = variable.removeprefix(PREFIX).lower().replace("_", "-")
            if name == "config":
                continue
            spelled = _variable(name)
            if spelled != variable or name not in self._takes or name in _COMMANDS:
                near = self._near(name)
                raise usage.UsageError(
                    f"environment variable {variable}: there is no such option"
                    + (f"; did you mean {_variable(near)}?" if near else "")
                )
            if name in self._repeatable:
                # One value per line: values may contain blanks and commas.
                said: list[str] | None = [v for v in text.splitlines() if v.strip()]
            elif self._takes[name]:
                said = [text]
            else:
                said = _flag(text)
                if said is None and text.lower() not in _OFF:
                    raise usage.UsageError(
                        f"environment variable {variable}: must be on or off, not "
                        f"{_shown(text)}"
                    )
            found[name] = said, f"environment variable {variable}"
        return found

    # -- the file -----------------------------------------------------------------

    def _fromFile(self, path: str | None) -> dict[str, tuple[list[str] | None, str]]:
        """
        What each option is given; C{None} for a flag that is off.
        """
        if path is None:
            return {}
        found: dict[str, tuple[list[str] | None, str]] = {}
        for name, value in _read(path).items():
            if name not in self._takes or name in _COMMANDS or name == "config":
                if isinstance(value, dict):
                    problem = "tables are not supported; write options at the top level"
                else:
                    near = self._near(name)
                    problem = "there is no such option" + (
                        f"; did you mean {near}?" if near else ""
                    )
                raise usage.UsageError(f"--config {path}: {_shown(name)}: {problem}")
            try:
                found[name] = self._said(name, value), f"{path}"
            except ValueError as error:
                raise usage.UsageError(f"--config {path}: {name}: {error}") from None
        return found

    def _said(self, name: str, value: Any) -> list[str] | None:
        """
        Convert a value of the file to its form on the command line.
        """
        if not self._takes[name]:
            if not isinstance(value, bool):
                raise ValueError("must be true or false")
            return [""] if value else None
        if isinstance(value, list):
            if name not in self._repeatable:
                raise ValueError("takes one value, not a list")
            return [_scalar(one) for one in value]
        return [_scalar(value)]

    def _near(self, name: str) -> str | None:
        """
        The known option whose name is nearest to C{name}, or C{None}.
        """
        spelled = name.lower().replace("_", "-")
        known = sorted(set(self._takes) - _COMMANDS - {"config"})
        near = get_close_matches(spelled, known, 1)
        return near[0] if near else None


def _with_roots(names: set[str]) -> set[str]:
    return names | ROOTS if names & ROOTS else set(names)


def _variable(name: str) -> str:
    return PREFIX + name.upper().replace("-", "_")


def _flag(text: str) -> list[str] | None:
    return [""] if text.lower() in _ON else None


def _shown(text: str) -> str:
    """
    Shorten and escape untrusted text for a message of one line.
    """
    return repr(text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "...")


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        if "\0" in value:
            raise ValueError("has a NUL, which no command line can have")
        return value
    if isinstance(value, int | float):
        return repr(value)
    raise ValueError("must be text, a number, true or false, or a list of text")


def _read(path: str) -> dict[str, Any]:
    """
    Read a TOML file.

    @raise usage.UsageError: if the file can not be read or parsed.
    """
    try:
        text = read_file(path, _LARGEST_FILE).decode("utf-8-sig")
        deep = _DEEP_KEY.search(text)
        if deep is not None:
            line = text.count("\n", 0, deep.end()) + 1
            raise usage.UsageError(
                f"--config {path}: line {line}: a key has more than {_MOST_DOTS} dots"
            )
        read: dict[str, Any] = tomllib.loads(text)
        return read
    except (OSError, ValueError) as error:
        # A syntax error in the file is a ValueError, and so is text that is not UTF-8.
        raise usage.UsageError(f"--config {path}: {reason(error)}") from None
    except RecursionError:
        raise usage.UsageError(f"--config {path}: nested too deeply") from None
