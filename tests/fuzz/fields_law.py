"""
What must hold of readers that look at single fields, and at the PROXY header, as
functions that raise L{BrokenLaw}.
"""

from __future__ import annotations

from collections.abc import Callable

from tests.fuzz.law import BrokenLaw, same
from twisted_h11._http import forwarded, negotiation
from twisted_h11._server import ranges
from twisted_h11._wire import proxy_header

__all__ = ["check_coding", "check_forwarded", "check_proxy_header", "check_range"]

LONGEST = 600


def _header(data: bytes) -> proxy_header.ProxyHeader | str | None:
    try:
        return proxy_header.read_header(data, LONGEST)
    except proxy_header.BadHeader:
        return "refused"


def check_proxy_header(data: bytes) -> None:
    """
    However its bytes arrive, and whatever is behind it, a PROXY header says the same;
    nothing but L{proxy_header.BadHeader} is raised.
    """
    found = _header(data)
    if isinstance(found, proxy_header.ProxyHeader):
        if not 0 < found.end <= min(len(data), LONGEST):
            raise BrokenLaw(f"a header of {found.end} bytes, of {len(data)}")
        for size in range(found.end):
            same(f"after {size} bytes", _header(data[:size]), None)
        same("by itself", _header(data[: found.end]), found)
        same("with more", _header(data + b"\r\nPROXY "), found)
    elif found == "refused":
        same("refused, with more", _header(data + b"\r\n"), found)
    elif len(data) > LONGEST:
        raise BrokenLaw(f"{len(data)} bytes, and still not too long")


def check_range(data: bytes) -> None:
    """
    Ranges that are settled are in the file, apart, few, and stay as they are.  The
    first byte is the length of the file.
    """
    size, value = (data[0] if data else 0), data[1:]
    found = ranges.settled(value, size)
    if found is None or found == b"bytes=%d-" % size:
        return
    same("settled again", ranges.settled(found, size), found)
    pairs = sorted(
        tuple(map(int, one.split(b"-"))) for one in found[len(b"bytes=") :].split(b",")
    )
    if len(pairs) > ranges.MOST_RANGES:
        raise BrokenLaw(f"{len(pairs)} ranges")
    end = -1
    for first, last in pairs:
        if not end < first <= last < size:
            raise BrokenLaw(f"{found!r} of {size} bytes")
        end = last


def check_forwarded(data: bytes) -> None:
    """
    Of C{Forwarded} nothing is made up: each value that is read stands in the field, in
    a string perhaps; lines that are in order by themselves say the same together; and
    what is read of nodes, hosts and schemes raises L{forwarded.Malformed} or nothing.
    """
    lines = data.split(b"\n")
    apart: list[dict[bytes, bytes]] = []
    try:
        together = forwarded.read_forwarded(lines)
        for line in lines:
            apart += forwarded.read_forwarded([line])
    except forwarded.Malformed:
        return
    same("lines", together, apart)
    bare = data.replace(b"\\", b"")
    readers: list[Callable[[bytes], object]] = [
        forwarded.read_node,
        forwarded.read_host,
        forwarded.read_scheme,
    ]
    for element in together:
        for name, value in element.items():
            if name not in data.lower() or value.replace(b"\\", b"") not in bare:
                raise BrokenLaw(f"{name!r}={value!r} is not in {data!r}")
            for reader in readers:
                try:
                    reader(value)
                except forwarded.Malformed:
                    pass


def check_coding(data: bytes) -> None:
    """
    The coding that is chosen is one that is offered, and one that the field names, or
    all; without it among what is offered it is not chosen.
    """
    values = data.split(b"\n")
    offered = [b"br", b"gzip"]
    found = negotiation.choose_coding(values, offered)
    if found is None:
        return
    if found not in offered or (found not in data.lower() and b"*" not in data):
        raise BrokenLaw(f"{found!r} for {values!r}")
    offered.remove(found)
    if negotiation.choose_coding(values, offered) == found:
        raise BrokenLaw(f"{found!r} is not offered")
