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

from tests.fuzz.client_law import check_chunks, check_head
from tests.fuzz.client_streams import (
    ENDING,
    METHODS,
    READING,
    SENDING,
    Exchange,
    check_client_stream,
)
from tests.fuzz.fields_law import (
    check_coding,
    check_forwarded,
    check_proxy_header,
    check_range,
)
from tests.fuzz.forms_law import check_multipart, check_query
from tests.fuzz.law import check_memory, check_pipeline, check_response
from tests.fuzz.log_law import check_log
from tests.fuzz.options_law import check_configuration
from tests.fuzz.passwords_law import check_basic, check_password_file, known_line
from tests.fuzz.streams import check_stream

__all__ = [
    "TARGETS",
    "client_chunks",
    "client_head",
    "client_stream",
    "main",
    "memory",
    "pipeline",
    "response",
    "seeds",
    "stream",
]

# Packages whose branches guide the fuzzer.
PARSERS = ("twisted_h11", "h11", "python_multipart", "tomllib")

# Between two exchanges of a client.
BETWEEN = b"\xff\xff"


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


def client_head(data: bytes) -> None:
    """
    What a client receives: the head that is answered is that of h11.  The first
    byte stands for the method.
    """
    check_head(data[1:], METHODS[(data[:1] or b"\0")[0] % len(METHODS)])


def _segments(data: bytes) -> list[bytes]:
    """
    Segments.  The first byte says how many lengths follow, and they are used
    over and over; a length of 0, or none at all, is that of the rest.
    """
    count = data[0] % 8 if data else 0
    lengths, data = data[1 : 1 + count] or b"\0", data[1 + count :]
    pieces: list[bytes] = []
    while data:
        size = lengths[len(pieces) % len(lengths)] or len(data)
        pieces.append(data[:size])
        data = data[size:]
    return pieces


def client_chunks(data: bytes) -> None:
    """
    A chunked body, in segments: body, end and rest are those of h11.
    """
    check_chunks(_segments(data))


def client_stream(data: bytes) -> None:
    """
    A client's connections, with the fast path and without it.  The first four
    bytes of each exchange say what happens besides what the server sends.
    """
    plan = []
    for part in data.split(BETWEEN)[:4]:
        method, sending, reading, ending = part[:4].ljust(4, b"\0")
        plan.append(
            Exchange(
                METHODS[method % len(METHODS)],
                SENDING[sending % len(SENDING)],
                _segments(part[4:]),
                READING[reading % len(READING)],
                ENDING[ending % len(ENDING)],
            )
        )
    check_client_stream(plan)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "pipeline": pipeline,
    "response": response,
    "memory": memory,
    "stream": stream,
    "client-head": client_head,
    "client-chunks": client_chunks,
    "client-stream": client_stream,
    "proxy-header": check_proxy_header,
    "range": check_range,
    "forwarded": check_forwarded,
    "coding": check_coding,
    "multipart": check_multipart,
    "query": check_query,
    "access-log": check_log,
    "configuration": check_configuration,
    "basic": check_basic,
    "htpasswd": check_password_file,
}

# The beginning of a part of a form.
FIELD = b'--xyz\r\nContent-Disposition: form-data; name="a"\r\n'

# Fields, and a PROXY header in both versions.
FIELDS = {
    "proxy-header": [
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET",
        b"PROXY UNKNOWN\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0cabcdefghijklGET",
        b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0",
    ],
    "range": [b"\x64bytes=0-5, 7-9,-3", b"\x05bytes=3-", b"\0bytes=-1"],
    "forwarded": [b'for="[::1]:80";by=_x;proto=https, for=a\nhost="b:1"'],
    "coding": [b"gzip;q=0.5, br ; q=0.8, *;q=0\nx-gzip"],
    "multipart": [
        b"\x05multipart/form-data; boundary=xyz\n"
        + FIELD
        + b"A: b\r\n\r\nhello\r\n"
        + FIELD[:-2]
        + b'; filename="x.y"\r\n\r\n\r\n--xy\r\n--xyz--\r\n',
        b'\0multipart/form-data; boundary="xyz"\n'
        + FIELD.replace(b" ", b"").lower()
        + b"Content-Transfer-Encoding:base64\r\n\r\nYQ==\r\n--xyz--",
    ],
    "query": [b"a=b&c=%41+;d=&e&=f", b"a=%" + b"4" * 1100 + b"=%3D%g"],
    "configuration": [
        b'listen = ["tcp:0", "unix:a"]\nidle-timeout = 5.5\nhttp2 = false\n',
        b'path="."\ndot-files=true\nadd-header=["A: b"]\nlog-format="{status}"\n',
        b'"max-head-length"="16k"\nworkers=2\ntrust-proxy=["10.0.0.0/8"]\n[x]\na.b=1',
    ],
    "basic": [b"Basic YW5uOnBhc3N3b3Jk", b"basic  YW5uOg==", b"Bearer x"],
}

# What a server sends: by length, in chunks, until the close, and nothing.
ANSWERS = [
    b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"HTTP/1.1 404 Not Found\r\nConnection: close\r\nA:\t b \r\n\r\nhello",
    b"HTTP/1.1 304 Not Modified\r\nConnection: keep-alive\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nA: b\r\n\r\nHTTP/1.0 200 OK\r\n\r\n",
]
CHUNKED = [
    b"5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\nrest",
    b"3;x=y\r\nabc\r\n0\r\nDigest: x\r\n\r\n",
    b"05\r\nhelloX\r\n",
    b"2A\r\n" + b"0123456789" * 4 + b"ab\r\n0",
]


def seeds(target: str) -> Iterator[bytes]:
    """
    What to begin with.
    """
    from tests.fuzz.strategies import CURL, CURL_POST, REAL
    from tests.fuzz.streams import KINDS

    if target in FIELDS:
        yield from FIELDS[target]
    elif target == "htpasswd":
        yield b"# people\r\n\n" + known_line() + b"\nbob" + known_line()[3:]
    elif target == "access-log":
        yield from (b"\0" + request for request in REAL)
        fields = b'Referer: "\\\t\xe9\r\nForwarded: for="_a";by=x\r\n'
        yield (
            b"\x09"
            + CURL_POST
            + b'GET /a"b\\ HTTP/1.1\r\nHost: a\r\n'
            + fields
            + b"\r\n"
        )
    elif target == "pipeline":
        yield from REAL
        yield b"".join(REAL)
    elif target == "stream":
        yield b"\0" + CURL_POST + CURL
        for kind in KINDS:
            request = b"GET /%b HTTP/1.1\r\nHost: a\r\n\r\n" % kind.encode()
            yield b"\x28" + request + CURL
    elif target == "client-head":
        for answer in ANSWERS:
            yield b"\0" + answer
            yield b"\2" + answer
    elif target == "client-chunks":
        for body in CHUNKED:
            for lengths in (b"\0", b"\1\1", b"\2\4\7"):
                yield lengths + body
    elif target == "client-stream":
        for answer in ANSWERS:
            yield b"\0\0\0\0\0" + answer
            yield b"\3\5\1\1\1\7" + answer
        # About as long as a head and a body may be there.
        head = b"HTTP/1.1 200 OK\r\nX: %b\r\n" % (b"x" * 210)
        yield b"\0\0\0\0\0" + head + b"Content-Length: 25\r\n\r\n" + b"y" * 25
        one = b"\0\0\0\0\0" + ANSWERS[0]
        yield BETWEEN.join([one, b"\0\1\2\0\1\1" + ANSWERS[1], one])
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
        if os.path.isfile(folder):
            # What was found is to be repeated.
            break
        os.makedirs(folder, exist_ok=True)
        for number, seed in enumerate(seeds(name)):
            with open(os.path.join(folder, f"seed-{number}"), "wb") as out:
                out.write(seed)
    # Trial is not here to take what is logged.
    for observer in list(globalLogPublisher._observers):
        globalLogPublisher.removeObserver(observer)
    # Some modules are imported when they are needed only.
    for seed in seeds(name):
        TARGETS[name](seed)
    # What we and the parsers do is of interest; Twisted and the interpreter are not.
    for function in gc.get_objects():
        if isinstance(function, FunctionType) and function.__module__ is not None:
            if function.__module__.partition(".")[0] in PARSERS:
                atheris.instrument_func(function)
    atheris.Setup([arguments[0], *rest], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv)
