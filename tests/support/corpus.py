"""
Reader of the literate wire cases in C{tests/corpus/}.

A corpus file is prose, in which cases stand.  A case begins with a heading
and has named lines; whatever is neither is prose::

    == Bare LF ends the request line
    rfc: RFC 9112 section 2.2
    in:
        GET / HTTP/1.1\\n
        Host: a\\r\\n
        \\r\\n
    status: 400
    seen: nothing

- C{in:} is followed by indented lines, joined without anything between them.
  They are text of the bytes 0 to 255 with the escapes of Python, and
  C{\\{x*8000}} stands for 8000 times C{x}.  C{in, then end:} also closes the
  client's sending side.
- C{status:} has the statuses of all responses, in order; C{none} is none.
- C{then:} is C{open} or C{close}: what the connection is afterwards.  A last
  status of 400 and above without C{then:} means C{close}, else C{open}.
- C{seen:} has what the application saw, one request in a line: method,
  target, and its body if it has one; C{nothing} is that it saw no request.
  Without C{seen:}, it saw as many requests as there are statuses below 400.
- C{limits:} sets fields of L{Limits} as C{name=value}.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["FOLDER", "Case", "decode", "load_cases", "name_of", "read_blocks"]

FOLDER = Path(__file__).parent.parent / "corpus"

_REPEAT = re.compile(r"\\\{(.+?)\*(\d+)\}")
_KEYS = ("rfc", "in", "in, then end", "status", "then", "seen", "limits")


@dataclass
class Case:
    """
    One wire case.
    """

    file: str
    line: int
    title: str
    rfc: str = ""
    data: bytes = b""
    ends: bool = False
    statuses: list[int] = field(default_factory=list)
    then: str = ""
    seen: list[bytes] | None = None
    limits: dict[str, int] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """
        A name for a test method.
        """
        return name_of(self.file, self.title)

    @property
    def where(self) -> str:
        """
        Where the case stands and what it rests on.
        """
        return f"{self.file}:{self.line}: {self.title} ({self.rfc})"


def decode(text: str) -> bytes:
    """
    The bytes that a line of a case stands for.
    """

    def repeat(match: re.Match[str]) -> str:
        return match[1] * int(match[2])

    text = _REPEAT.sub(repeat, text)
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def read_blocks(
    path: Path, keys: Sequence[str]
) -> Iterator[tuple[int, str, dict[str, list[str]]]]:
    """
    The cases of one file as they stand there.

    @param keys: the names of lines that a case may have.
    @return: for each the number of its line, its title, and its named lines.
    """
    title, start = "", 0
    key = ""
    values: dict[str, list[str]] = {}
    for number, line in enumerate(path.read_text("ascii").splitlines(), 1):
        if line.startswith("== "):
            if start:
                yield start, title, values
            title, start = line[3:].strip(), number
            values, key = {}, ""
            continue
        name, colon, rest = line.partition(":")
        if start and colon and name in keys:
            if name in values:
                raise ValueError(f"{path.name}:{number}: {name} stands there twice")
            key = name
            values[key] = [rest.strip()] if rest.strip() else []
        elif key and line.startswith("    "):
            values[key].append(line[4:])
        else:
            key = ""
    if start:
        yield start, title, values


def name_of(file: str, title: str) -> str:
    """
    A name for the test method of a case.
    """
    words = re.findall(r"[A-Za-z0-9]+", title)
    return "_".join(["test", file.partition(".")[0], *words])


def _parse(path: Path) -> Iterator[Case]:
    for line, title, values in read_blocks(path, _KEYS):
        yield _complete(Case(path.name, line, title), values)


def _complete(case: Case, values: dict[str, list[str]]) -> Case:
    for needed in ("rfc", "status"):
        if needed not in values:
            raise ValueError(f"{case.where}: no {needed}:")
    if ("in" in values) == ("in, then end" in values):
        raise ValueError(f"{case.where}: needs one of in: and in, then end:")
    case.ends = "in, then end" in values
    lines = values["in, then end" if case.ends else "in"]
    case.data = b"".join(decode(line) for line in lines)
    if not case.data:
        raise ValueError(f"{case.where}: no bytes")
    case.rfc = " ".join(values["rfc"])
    words = " ".join(values["status"]).split()
    case.statuses = [] if words == ["none"] else [int(word) for word in words]
    refused = bool(case.statuses) and case.statuses[-1] >= 400
    case.then = " ".join(values.get("then", ["close" if refused else "open"]))
    if case.then not in ("open", "close"):
        raise ValueError(f"{case.where}: then: {case.then}")
    if "seen" in values:
        lines = [line for line in values["seen"] if line.strip()]
        case.seen = [] if lines == ["nothing"] else [decode(line) for line in lines]
    for pair in " ".join(values.get("limits", [])).split():
        name, _, number = pair.partition("=")
        case.limits[name] = int(number)
    return case


def load_cases() -> list[Case]:
    """
    All cases of all files; two with the same name are an error.
    """
    cases = [case for path in sorted(FOLDER.glob("*.txt")) for case in _parse(path)]
    names: set[str] = set()
    for case in cases:
        if case.name in names:
            raise ValueError(f"{case.where}: there is another case of that name")
        names.add(case.name)
    return cases
