"""
Requests as they should not be: seeded, made from the corpus and from parts.
"""

from __future__ import annotations

import random

from tests.support.corpus import load_cases

__all__ = ["SENTINEL", "make"]

# Follows every input: it ends the connection of whoever finds a request here, so that
# nobody has to wait, and shows where he thinks that the input ended.
SENTINEL = b"GET /sentinel HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

# Longer inputs of the corpus are about limits, which servers set as they like.
LONGEST = 2000

_METHODS = [b"GET"] * 4 + [b"POST"] * 6 + [b"PUT", b"HEAD", b"OPTIONS", b"DELETE"]
_METHODS += [b"get", b"X-Y", b"CONNECT", b"TRACE", b"G ET", b"", b"P\x01", b"G\xe9T"]
_TARGETS = [b"/a"] * 8 + [b"/a?b=c", b"/a%2fb", b"/a//b", b"/../a", b"/a;b", b"*", b"a"]
_TARGETS += [b"http://a/b", b"http://b/a", b"http://u@a/b", b"http://", b"//a/b", b""]
_TARGETS += [
    b"/a#b",
    b"/a\\b",
    b"/a?\\",
    b"/a\xe9",
    b"/a\x00",
    b"/a\x7f",
    b'/"<>',
    b"a:80",
]
_TARGETS += [b"/a b", b"/a\tb", b"/%", b"/%zz", b"/%00", b"ftp://a/b"]
_VERSIONS = [b"HTTP/1.1"] * 12 + [b"HTTP/1.0"] * 2 + [b"HTTP/1.2", b"HTTP/2.0"]
_VERSIONS += [b"http/1.1", b"HTTP/01.1", b"HTTP/1.1 ", b"HTTP/1,1", b"HTTP/0.9", b""]
_ENDS = [b"\r\n"] * 24 + [b"\n", b"\r", b"\r\r\n", b" \r\n", b"\n\r\n", b"\x00\r\n"]
_COLONS = [b": "] * 12 + [b":", b":\t", b" : ", b"\t:", b":  ", b":\x0b", b"\x00:", b""]
_HOSTS = [b"a"] * 10 + [b"", b"a:80", b"a,b", b"u@a", b"a/b", b"[::1]", b"a b", b"a:x"]
_LENGTHS = [b"5"] * 6 + [b"05", b"+5", b"-5", b"5,5", b"5, 6", b"0x5", b"5 ", b"\x0b5"]
_LENGTHS += [b"", b"5_0", b"4", b"6", b"0", b"5.0", b"\xb25", b"99999999999999999999"]
_CODINGS = [b"chunked"] * 8 + [b"Chunked", b"chunked, chunked", b"gzip, chunked"]
_CODINGS += [
    b"identity",
    b"chunked;a=b",
    b"chunked, identity",
    b" chunked",
    b"xchunked",
]
_CODINGS += [
    b"chunked,",
    b",chunked",
    b"\x0bchunked",
    b'"chunked"',
    b"",
    b"chunked\x00",
]
_SIZES = [b"5"] * 8 + [
    b"05",
    b"0x5",
    b"+5",
    b"5 ",
    b" 5",
    b"5;",
    b"5;a",
    b"5;a=b",
    b"5_",
]
_SIZES += [
    b'5;a="b"',
    b'5;a="\n"',
    b"5;a\rb",
    b"5;a\nb",
    b"-5",
    b"5\t",
    b"",
    b"4",
    b"6",
]
_SIZES += [b"5;\x01", b"5 ;a=b", b"100000000000000005", b"0000000000000000005", b"5,5"]
_FIELDS = [b"X: y", b"Connection: close", b"Connection: keep-alive", b"Connection: x"]
_FIELDS += [
    b"Expect: 100-continue",
    b"Expect: x",
    b"Upgrade: x",
    b"X: y\x01",
    b"X: \x00",
]
_FIELDS += [b"Connection: Upgrade, HTTP2-Settings", b"X\xe9: y", b"X: \xe9", b"X Y: z"]
_FIELDS += [
    b"X: y\r\n z",
    b"X: y\r\n\tz",
    b" X: y",
    b"X",
    b": y",
    b"X\x00: y",
    b"X: y\rz",
]
_FIELDS += [b"Connection: Host", b"Connection: Content-Length", b"Content_Length: 3"]
_FIELDS += [b"Transfer_Encoding: chunked", b"X(: y", b"X: \x7f", b"X:"]
_TRAILERS = [b""] * 6 + [b"X: y", b"Content-Length: 9", b"X : y", b"X", b"X: y\r\n z"]
_TRAILERS += [b"Host: b", b"Transfer-Encoding: chunked", b"X: \x00"]
_BYTES = [
    b"\r",
    b"\n",
    b"\r\n",
    b"\x00",
    b" ",
    b"\t",
    b"\x0b",
    b"\x0c",
    b"\x7f",
    b"\x80",
]
_BYTES += [b":", b",", b";", b"0", b"\xa0", b"\x85", b'"', b"\x1f"]
_WORDS = [b"Host: b\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n"]


class _Maker:
    """
    Makes one input after another from one seed.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        cases = [case for case in load_cases() if not case.limits]
        self.corpus = [case.data for case in cases if len(case.data) <= LONGEST]

    def usually(self, odds: list[bytes]) -> bytes:
        """
        The first of some, and one time in six any.
        """
        return self.random.choice(odds) if self.random.random() < 0.07 else odds[0]

    def end(self) -> bytes:
        """
        The end of a line.
        """
        return self.random.choice(_ENDS) if self.random.random() < 0.02 else b"\r\n"

    def field(self, name: bytes, value: bytes) -> bytes:
        """
        One field line, its end included.
        """
        return name + self.usually(_COLONS) + value + self.end()

    def chunked(self) -> bytes:
        """
        A body in one chunk, and the end.
        """
        parts = [self.usually(_SIZES), self.end(), b"hello", self.end()]
        parts += [self.usually([b"0", b"00", b"0;a", b"0 ", b"-0", b"0x0"]), self.end()]
        trailer = self.usually([b"", *_TRAILERS])
        return b"".join([*parts, trailer + self.end() if trailer else b"", self.end()])

    def built(self) -> bytes:
        """
        A request put together from parts, most of them as they should be.
        """
        spaces = [b" "] * 6 + [b"  ", b"\t", b"\x0b", b""]
        words = [self.random.choice(_METHODS[:11]), self.usually(_TARGETS)]
        if self.random.random() < 0.1:
            words[0] = self.random.choice(_METHODS)
        line = words[0] + self.usually(spaces) + words[1] + self.usually(spaces)
        fields = [self.field(b"Host", self.usually(_HOSTS))]
        body = b""
        kind = self.random.random()
        if kind < 0.4:
            fields.append(self.field(b"Content-Length", self.usually(_LENGTHS)))
            body = b"hello"
        if 0.36 < kind < 0.8:
            fields.append(self.field(b"Transfer-Encoding", self.usually(_CODINGS)))
            body = self.chunked()
        for _ in range(self.random.choice([0, 0, 1, 1, 2])):
            few = _FIELDS if self.random.random() < 0.3 else _FIELDS[:5]
            fields.append(self.random.choice(few) + self.end())
        if self.random.random() < 0.08:
            fields.append(self.random.choice(fields))
        if self.random.random() < 0.04:
            del fields[0]
        self.random.shuffle(fields)
        head = line + self.usually(_VERSIONS) + self.end() + b"".join(fields)
        before = self.usually([b"", b"\r\n", b"\n", b"\r\n\r\n", b" "])
        return before + head + self.end() + body

    def mutated(self, data: bytes) -> bytes:
        """
        The same with a few bytes changed, left out or put in, or a line doubled.
        """
        for _ in range(self.random.choice([1, 1, 1, 2, 3])):
            at = self.random.randrange(len(data) + 1)
            choice = self.random.randrange(5)
            if choice == 0:
                data = data[:at] + self.random.choice(_BYTES) + data[at:]
            elif choice == 1:
                data = data[:at] + self.random.choice(_BYTES) + data[at + 1 :]
            elif choice == 2:
                data = data[:at] + data[at + 1 :]
            elif choice == 3:
                lines = data.split(b"\r\n")
                lines.insert(
                    *(self.random.randrange(len(lines)), self.random.choice(lines))
                )
                data = b"\r\n".join(lines)
            else:
                at = data.find(b"\r\n") + 2
                data = data[:at] + self.random.choice(_WORDS) + data[at:]
        return data

    def one(self) -> bytes:
        """
        The next input.
        """
        chance = self.random.random()
        if chance < 0.5:
            return self.built()
        if chance < 0.65:
            return self.built() + self.built()
        if chance < 0.85:
            return self.mutated(self.built())
        return self.mutated(self.random.choice(self.corpus))


def make(count: int, seed: int) -> list[bytes]:
    """
    Inputs, no two of them the same: the corpus first, then what the seed gives.
    """
    maker = _Maker(seed)
    found = dict.fromkeys(maker.corpus if count > len(maker.corpus) * 2 else [])
    while len(found) < count:
        found[maker.one()] = None
    return list(found)[:count]
