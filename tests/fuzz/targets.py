"""
Fuzz targets: C{python -m tests.fuzz.targets TARGET [CORPUS] [OPTIONS]}.

atheris drives them; the options are those of libFuzzer.  See README.rst beside
this module.
"""

# atheris can be missing where types are checked.
# mypy: disable-error-code="import-not-found,import-untyped"

from __future__ import annotations

import gc
import os
import re
import sys
from collections.abc import Callable, Iterator
from types import FunctionType

from twisted.logger import globalLogPublisher
from twisted.web.http_headers import Headers

from tests.fuzz.law import check_memory, check_pipeline, check_response
from tests.fuzz.streams import check_stream

__all__ = ["TARGETS", "main", "memory", "pipeline", "response", "seeds", "stream"]


def pipeline(data: bytes) -> None:
    """
    What one connection receives: each head that is answered is that of the
    strict layer and h11.
    """
    check_pipeline(data)


def _response(data: bytes) -> tuple[int, bytes, Headers, int] | None:
    """
    Status, reason and fields, each on a line; C{None} for what can not be made
    into them at all.
    """
    first, *lines = data.split(b"\n")
    headers = Headers()
    for line in lines:
        name, _, value = line.partition(b":")
        try:
            headers.addRawHeader(name, value)
        except ValueError:
            # Twisted itself refuses the name.
            return None
    status, _, reason = first.partition(b" ")
    if not re.fullmatch(rb"[0-9]{1,4}", status):
        return None
    return int(status), reason, headers, len(data)


def response(data: bytes) -> None:
    """
    A response head: the bytes are those of h11.
    """
    made = _response(data)
    if made is not None:
        check_response(*made[:3])


def memory(data: bytes) -> None:
    """
    Several responses of one connection, with an empty line between them.
    """
    made = [_response(part) for part in data.split(b"\n\n")]
    found = [one for one in made if one is not None]
    for _, _, headers, _ in found:
        headers.removeHeader(b"Content-Length")
    check_memory(found)


def stream(data: bytes) -> None:
    """
    A whole connection, with the fast path and without it.  The first byte says
    how the rest is cut into segments.
    """
    size, data = data[:1], data[1:]
    step = size[0] if size and size[0] else len(data) or 1
    # Not many resources raise, and none of it is of interest.
    check_stream([data[at : at + step] for at in range(0, len(data), step)])


TARGETS: dict[str, Callable[[bytes], None]] = {
    "pipeline": pipeline,
    "response": response,
    "memory": memory,
    "stream": stream,
}


def seeds(target: str) -> Iterator[bytes]:
    """
    What to begin with.
    """
    from tests.fuzz.strategies import CURL, CURL_POST, REAL
    from tests.fuzz.streams import KINDS

    if target == "pipeline":
        yield from REAL
        yield b"".join(REAL)
    elif target == "stream":
        yield b"\0" + CURL_POST + CURL
        for kind in KINDS:
            request = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % kind.encode()
            yield b"\x28" + request + CURL
    else:
        one = b"200 OK\nDate:x\nServer:y\nSet-Cookie:a=b\nContent-Type:text/plain"
        yield one
        yield one + b"\nContent-Length:3"
        yield one + b"\n\n" + one


def main(arguments: list[str]) -> None:
    """
    Run one target until it fails, or as long as the options say.
    """
    if len(arguments) < 2 or arguments[1] not in TARGETS:
        raise SystemExit(f"which target? {', '.join(TARGETS)}")
    try:
        import atheris
    except ImportError as reason:
        raise SystemExit(f"atheris is missing (extra fuzz): {reason}") from None
    name = arguments[1]
    rest = arguments[2:]
    for folder in [one for one in rest if not one.startswith("-")][:1]:
        os.makedirs(folder, exist_ok=True)
        for number, seed in enumerate(seeds(name)):
            with open(os.path.join(folder, f"seed-{number}"), "wb") as out:
                out.write(seed)
    # Trial is not here to take what is logged.
    for observer in list(globalLogPublisher._observers):
        globalLogPublisher.removeObserver(observer)
    # What we and h11 do is of interest; Twisted and the interpreter are not.
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__module__ is not None:
            if function.__module__.partition(".")[0] in ("twisted_h11", "h11"):
                atheris.instrument_func(function)
    atheris.Setup([arguments[0], *rest], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
