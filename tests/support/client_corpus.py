"""
Reader of the literate cases of the client in C{tests/corpus/client/}.

They are written as those of the server (L{tests.support.corpus}); C{in:} is what the
server sends, and what the client makes of it stands behind::

    == A body that was cut
    rfc: RFC 9112 section 8
    in, then end:
        HTTP/1.1 200 OK\\r\\n
        Content-Length: 5\\r\\n
        \\r\\n
        he
    answer: 200 he
    end: UnexpectedEnd

- C{method:} is that of the request; GET without it.
- C{in, then end:} also closes the server's sending side.
- C{answer:} has the status that the program sees, and the body, if there is one;
  C{none} is that it sees no response.
- C{end:} is C{done}, which it is without the line; C{lost} for a body of which nobody
  can tell whether it is complete (C{PotentialDataLoss}); C{open} if more is waited for;
  or the name of the error.  Where a body fails, the answer may have less of it than
  was received.
- C{then:} is C{open} or C{close}: what the client does with the connection.  Without
  it, C{open} behind C{done} and C{open}, else C{close}.
- C{settings:} sets fields of L{ClientSettings} as C{name=value}.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.corpus import FOLDER, decode, name_of, read_blocks

__all__ = ["ClientCase", "load_client_cases"]

_DATA = ("in", "in, then end")
_KEYS = ("rfc", "method", *_DATA, "answer", "end", "then", "settings")


@dataclass
class ClientCase:
    """
    One answer of a server.

    @ivar status: what the program sees; C{None} if it sees no response.
    """

    file: str
    line: int
    title: str
    rfc: str = ""
    method: bytes = b"GET"
    data: bytes = b""
    ends: bool = False
    status: int | None = None
    body: bytes = b""
    end: str = "done"
    then: str = ""
    settings: dict[str, Any] = field(default_factory=dict)

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
        return f"client/{self.file}:{self.line}: {self.title} ({self.rfc})"


def _complete(case: ClientCase, values: dict[str, list[str]]) -> ClientCase:
    case.rfc = " ".join(values.get("rfc", []))
    kinds = [kind for kind in _DATA if kind in values]
    if len(kinds) != 1 or not case.rfc or "answer" not in values:
        raise ValueError(f"{case.where}: needs rfc:, answer:, and one of {_DATA}")
    case.ends = kinds == ["in, then end"]
    case.data = b"".join(decode(line) for line in values[kinds[0]])
    case.method = " ".join(values.get("method", ["GET"])).encode()
    status, _, body = " ".join(values["answer"]).partition(" ")
    if status != "none":
        case.status, case.body = int(status), decode(body)
    case.end = " ".join(values.get("end", ["done"]))
    usual = "open" if case.end in ("done", "open") else "close"
    case.then = " ".join(values.get("then", [usual]))
    if case.then not in ("open", "close"):
        raise ValueError(f"{case.where}: then: {case.then}")
    for pair in " ".join(values.get("settings", [])).split():
        name, _, number = pair.partition("=")
        case.settings[name] = int(number)
    return case


def _parse(path: Path) -> Iterator[ClientCase]:
    for line, title, values in read_blocks(path, _KEYS):
        yield _complete(ClientCase(path.name, line, title), values)


def load_client_cases() -> list[ClientCase]:
    """
    All cases of all files; two with the same name are an error.
    """
    files = sorted((FOLDER / "client").glob("*.txt"))
    cases = [case for path in files for case in _parse(path)]
    names: set[str] = set()
    for case in cases:
        if case.name in names:
            raise ValueError(f"{case.where}: there is another case of that name")
        names.add(case.name)
    return cases
