"""
Answers of servers as they should not be: seeded, made from the corpus and from parts.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from tests.support.client_corpus import load_client_cases

__all__ = ["Answer", "make_answers"]

# Longer answers of the corpus are about limits, which clients set as they like.
LONGEST = 4000


class Answer(NamedTuple):
    """
    What a server sends for one request.

    @ivar data: all bytes of it.
    @ivar ends: whether the server closes behind it.
    @ivar method: that of the request.
    """

    data: bytes
    ends: bool = False
    method: str = "GET"


_VERSIONS = [b"HTTP/1.1"] * 8 + [b"HTTP/1.0"] * 4 + [b"HTTP/1.2", b"HTTP/2.0"]
_VERSIONS += [b"http/1.1", b"HTTP/01.1", b"HTTP/1.1 ", b"HTTP/1,1", b"HTTP/0.9", b"ICY"]
_VERSIONS += [b"HTTP/1.10", b"HTTP/1", b"", b"\tHTTP/1.1", b"HTTP/1.1\t", b"Http/1.1"]
_STATUSES = (
    [b"200"] * 6 + [b"204"] * 3 + [b"304"] * 3 + [b"404", b"206", b"205", b"302"]
)
_STATUSES += [
    b"999",
    b"099",
    b"20",
    b"2000",
    b"+20",
    b"2O0",
    b"101",
    b"600",
    b"000",
    b"",
]
_REASONS = [b" OK"] * 6 + [b"", b" ", b" All\twell", b" \xe9", b" O\x01K", b" O\x00K"]
_REASONS += [b"  OK", b" OK ", b" OK\rX: y"]
_ENDS = [b"\r\n"] * 8 + [
    b"\n",
    b"\n",
    b"\r",
    b"\r\r\n",
    b" \r\n",
    b"\n\r\n",
    b"\x00\r\n",
]
_COLONS = [b": "] * 6 + [b":", b":\t", b" : ", b"\t:", b":  ", b":\x0b", b"\x00:", b""]
_LENGTHS = [b"5"] * 4 + [b"05", b"+5", b"-5", b"5,5", b"5, 6", b"0x5", b"5 ", b"\x0b5"]
_LENGTHS += [b"", b"5_0", b"4", b"6", b"0", b"5.0", b"\xb25", b"99999999999999999999"]
_LENGTHS += [b"5;a", b'"5"', b"5 5", b"18446744073709551621", b"00000000000000000005"]
_CODINGS = [b"chunked"] * 4 + [b"Chunked", b"chunked, chunked", b"gzip, chunked", b""]
_CODINGS += [
    b"identity",
    b"chunked;a=b",
    b"chunked, identity",
    b"xchunked",
    b"chunked,",
]
_CODINGS += [b",chunked", b"\x0bchunked", b'"chunked"', b"chunked\x00", b"gzip", b"x"]
_CODINGS += [b"\r\n chunked", b"chunked\r\n x", b"identity, chunked"]
_SIZES = [b"5"] * 4 + [b"05", b"0x5", b"+5", b"5 ", b" 5", b"5;", b"5;a", b"5;a=b"]
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
_SIZES += [b"5_", b"5\x00", b"5\x0b", b"10000000000000005", b"5\r", b"g"]
_LASTS = [b"0"] * 3 + [b"00", b"0;a", b"0 ", b"-0", b"0x0", b"", b"0\x00"]
_TRAILERS = [b"X: z", b"Content-Length: 9", b"X : y", b"X", b"X: y\r\n z", b"X: \x00"]
_TRAILERS += [b"Transfer-Encoding: chunked", b"Content-Length: x", b"Connection: close"]
_FIELDS = [b"X: y", b"Connection: close", b"Connection: keep-alive", b"Connection: x"]
_FIELDS += [b"Connection: x, CLOSE", b"Connection: keep-alive, close", b"Upgrade: x"]
_FIELDS += [b"Proxy-Connection: close", b"Keep-Alive: timeout=5", b"Connection: closed"]
_FIELDS += [b"Set-Cookie: a=b", b"Location: /x", b"Content-Encoding: identity", b"X:"]
_FIELDS += [b"X: y\x01", b"X: \x00", b"X\xe9: y", b"X: \xe9", b"X Y: z", b"X: \x7f"]
_FIELDS += [b"X: y\r\n z", b"X: y\r\n\tz", b" X: y", b"X", b": y", b"X\x00: y"]
_FIELDS += [b"Content_Length: 3", b"X(: y", b"X: y\rz", b"X: y\nContent-Length: 3"]
_FIELDS += [b"Content-Length : 3", b"Content-Length\x00: 3", b"X: y\rContent-Length: 3"]
_FIELDS += [
    b"HTTP/1.1 404 Not Found",
    b"X: y\r\n \r\n z",
    b"Transfer-Encoding : chunked",
]
_INTERIM = [b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"] * 2
_INTERIM += [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 199 Odd\r\n\r\n"]
_INTERIM += [b"HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\n"]
_INTERIM += [b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n"]
_INTERIM += [b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n"]
_INTERIM += [b"HTTP/1.0 100 Continue\r\n\r\n", b"HTTP/1.1 102 P\r\nX Y: z\r\n\r\n"]
_BEHIND = [b"\r\n", b"\n", b"X", b"\r\n\r\n", b"0\r\n\r\n", b"\x00"]
_BEHIND += [b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"] * 4
_BEFORE = [
    b"\r\n",
    b"\n",
    b"\r\n\r\n",
    b"\r\n\r\n\r\n",
    b" ",
    b"\x00",
    b"\r",
    b"hello\r\n",
]
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
_BYTES += [b":", b",", b";", b"0", b"\xa0", b"\x85", b'"', b"\x1f", b"1", b"\r\n "]
_WORDS = [b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"X: y\r\n"]
_WORDS += [b"Connection: close\r\n", b"Content-Length: 5\r\n"]


class _Maker:
    """
    Makes one answer after another from one seed.
    """

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        cases = [case for case in load_client_cases() if not case.settings]
        self.corpus = [
            Answer(case.data, case.ends, case.method.decode())
            for case in cases
            if len(case.data) <= LONGEST
        ]

    def rarely(self, chance: float) -> bool:
        """
        Yes with this chance.
        """
        return self.random.random() < chance

    def usually(self, odds: list[bytes], chance: float = 0.06) -> bytes:
        """
        The first of some, and with this chance any.
        """
        return self.random.choice(odds) if self.rarely(chance) else odds[0]

    def end(self) -> bytes:
        """
        The end of a line.
        """
        return self.usually(_ENDS, 0.012)

    def field(self, name: bytes, value: bytes) -> bytes:
        """
        One field line, its end included.
        """
        return name + self.usually(_COLONS, 0.02) + value + self.end()

    def chunked(self) -> bytes:
        """
        A body in a chunk or two, and the end.
        """
        parts = [b""]
        for _ in range(self.random.choice([1, 1, 2])):
            parts += [self.usually(_SIZES, 0.08), self.end(), b"hello", self.end()]
        trailer = self.random.choice(_TRAILERS) + self.end()
        parts += [self.usually(_LASTS, 0.06), self.end()]
        parts += [trailer if self.rarely(0.15) else b"", self.end()]
        return b"".join(parts)

    def framed(self) -> tuple[list[bytes], bytes]:
        """
        The fields that frame a body, and the body.
        """
        length = self.field(b"Content-Length", self.usually(_LENGTHS, 0.12))
        coding = self.field(b"Transfer-Encoding", self.usually(_CODINGS, 0.12))
        chance = self.random.random()
        if chance < 0.42:
            return [length], b"hello"
        if chance < 0.8:
            return [coding], self.chunked()
        if chance < 0.87:
            return [length, coding], self.random.choice([b"hello", self.chunked()])
        if chance < 0.92:
            other = self.field(b"Content-Length", self.random.choice(_LENGTHS))
            return [length, other], b"hello"
        if chance < 0.95:
            other = self.field(b"Transfer-Encoding", self.random.choice(_CODINGS))
            return [coding, other], self.chunked()
        return [], b"hello"

    def built(self) -> Answer:
        """
        An answer put together from parts, most of them as they should be.
        """
        method = "HEAD" if self.rarely(0.05) else "GET"
        space = self.usually([b" ", b"  ", b"\t", b"", b"\x0b"], 0.02)
        status = self.usually(_STATUSES, 0.12)
        line = self.usually(_VERSIONS, 0.08) + space + status + self.usually(_REASONS)
        fields, body = self.framed()
        bare = not fields
        if (method == "HEAD" or status in (b"204", b"304")) and self.rarely(0.7):
            body = b""
        while self.rarely(0.25):
            fields.append(self.random.choice(_FIELDS) + self.end())
        if self.rarely(0.04):
            fields.append(self.random.choice(fields or [b"X: y\r\n"]))
        self.random.shuffle(fields)
        head = line + self.end() + b"".join(fields) + self.end()
        before = self.random.choice(_BEFORE) if self.rarely(0.04) else b""
        while self.rarely(0.07):
            before += self.random.choice(_INTERIM)
        data = before + head + body
        if self.rarely(0.06):
            data += self.random.choice(_BEHIND)
        if self.rarely(0.05):
            return Answer(data[: self.random.randrange(1, len(data))], True, method)
        return Answer(data, self.rarely(0.9 if bare else 0.15), method)

    def mutated(self, answer: Answer) -> Answer:
        """
        The same with a few bytes changed, left out or put in, or a line doubled.
        """
        data = answer.data
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
                line = self.random.choice(lines)
                lines.insert(self.random.randrange(len(lines)), line)
                data = b"\r\n".join(lines)
            else:
                at = data.find(b"\r\n") + 2
                data = data[:at] + self.random.choice(_WORDS) + data[at:]
        return answer._replace(data=data or b"X")

    def one(self) -> Answer:
        """
        The next answer.
        """
        chance = self.random.random()
        if chance < 0.6:
            return self.built()
        if chance < 0.8:
            return self.mutated(self.built())
        return self.mutated(self.random.choice(self.corpus))


def make_answers(count: int, seed: int) -> list[Answer]:
    """
    Answers, no two of them the same: the corpus first, then what the seed gives.
    """
    maker = _Maker(seed)
    found = dict.fromkeys(maker.corpus if count > len(maker.corpus) * 2 else [])
    while len(found) < count:
        found[maker.one()] = None
    return list(found)[:count]
