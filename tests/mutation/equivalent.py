"""
Mutants that no test can tell from the code, each with the reason.
"""

from __future__ import annotations

from tests.mutation.mutants import Mutant

__all__ = ["EQUIVALENT", "why_equivalent"]

_REMEMBERED = "it only decides what is remembered, so that it is found faster"
_AGAIN = "it only decides how much is examined again"
_SLOWER = "what the fast path leaves is read to the same end without it"
_ENDED = "it is read when the body has ended, which sets it"
_BEGUN = "the line of a chunk sets it before it is read"
_DIGITS = "a digit stands before the end of the line, which is not at 0"
_EMPTY = "a section that begins with its end has been read by then"
_UNDATED = "no second of the clock is the first one, so that the first call sets both"
_NO_METHOD = "a head without a method is refused all the same"
_BEHIND = "nothing of the next head was scanned before"
_LOOP = "the loop does the same, only slower"
_NEXT_STEP = "the next step of the loop does it"
_SECOND = "it stands behind another space, never at 0"

# By module: what stands in the line, and the change; not the number of the line, so
# that a change elsewhere in the module leaves these alone.
EQUIVALENT: dict[str, dict[tuple[str, str], str]] = {
    "twisted_h11._http.abnf": {
        (
            r'match_chunk_size_line = re.compile(rb"(" + _SIZE + rb")\r\n").match',
            "b'(' -> b'(!'",
        ): _SLOWER,
        (
            r'match_chunk_size_line = re.compile(rb"(" + _SIZE + rb")\r\n").match',
            r"b')\\r\\n' -> b')\\r\\n!'",
        ): _SLOWER,
    },
    "twisted_h11._http.chunks": {
        ('end = b""', "b'' -> b'!'"): _ENDED,
        ('rest = b""', "b'' -> b'!'"): _ENDED,
        ("self._left = 0", "self._left = 0 -> pass"): _BEGUN,
        ("self._left = 0", "0 -> 1"): _BEGUN,
        (
            "fresh = max(start, start + seen - 1)",
            "start + seen -> start - seen",
        ): _AGAIN,
        ("fresh = max(start, start + seen - 1)", "1 -> 2"): _AGAIN,
        (
            'end = len(data) - data.endswith(b"\\r") if lineEnd < 0 else lineEnd',
            "lineEnd < 0 -> lineEnd <= 0",
        ): _DIGITS,
        (
            'end = len(data) - data.endswith(b"\\r") if lineEnd < 0 else lineEnd',
            "0 -> 1",
        ): _DIGITS,
        ("if lineEnd < 0:", "lineEnd < 0 -> lineEnd <= 0"): _DIGITS,
        ("if lineEnd < 0:", "0 -> 1"): _DIGITS,
        ("return start, 0", "0 -> 1"): "the size of a line that is not all here",
        (
            'found = data.find(b"\\r\\n\\r\\n", max(start, start + seen - 3))',
            "start + seen -> start - seen",
        ): _AGAIN,
        (
            'found = data.find(b"\\r\\n\\r\\n", max(start, start + seen - 3))',
            "3 -> 4",
        ): _AGAIN,
        (
            "bad = has_bad_byte(data, max(start, start + seen - 1), end)",
            "start + seen -> start - seen",
        ): _AGAIN,
        (
            "bad = has_bad_byte(data, max(start, start + seen - 1), end)",
            "1 -> 2",
        ): _AGAIN,
        (
            "end = len(data) if found < 0 else found + 4",
            "found < 0 -> found <= 0",
        ): _EMPTY,
        ("end = len(data) if found < 0 else found + 4", "0 -> 1"): _EMPTY,
        ("if found < 0:", "found < 0 -> found <= 0"): _EMPTY,
        ("if found < 0:", "0 -> 1"): _EMPTY,
    },
    "twisted_h11._http.fast_responses": {
        ('value = b""', "b'' -> b'!'"): "what reads it has set it",
        (
            'if next(reversed(fields)) != b"Content-Length":',
            "b'Content-Length' -> b'Content-Length!'",
        ): "the last field is found without looking for it, only faster",
        (
            'value, values[place] = values[place], b""',
            "b'' -> b'!'",
        ): "any mark will do that is no length",
        ("_MOST_LINES = 512", "512 -> 513"): _REMEMBERED,
        ("if len(line) < 128:", "len(line) < 128 -> len(line) <= 128"): _REMEMBERED,
        ("if len(line) < 128:", "128 -> 129"): _REMEMBERED,
        (
            "if key is not None and len(raw) < 1024:",
            "len(raw) < 1024 -> len(raw) <= 1024",
        ): _REMEMBERED,
        ("if key is not None and len(raw) < 1024:", "1024 -> 1025"): _REMEMBERED,
        (
            "if key is not None and len(prefix) < 1024:",
            "len(prefix) < 1024 -> len(prefix) <= 1024",
        ): _REMEMBERED,
        ("if key is not None and len(prefix) < 1024:", "1024 -> 1025"): _REMEMBERED,
    },
    "twisted_h11._http.fastpath": {
        ("_MOST_KNOWN_HOSTS = 256", "256 -> 257"): _REMEMBERED,
        (
            "if end - start > limits.maxHeadLength:",
            "end - start > limits.maxHeadLength -> end - start >= limits.maxHeadLength",
        ): _SLOWER,
        (
            "if end - start > limits.maxHeadLength:",
            "end - start -> end + start",
        ): _SLOWER,
    },
    "twisted_h11._http.forwarded": {
        ("_LONGEST_KNOWN = 64", "64 -> 65"): _REMEMBERED,
        (
            (
                "return _known_node(text) if len(text) < _LONGEST_KNOWN"
                " else _read_node(text)"
            ),
            "len(text) < _LONGEST_KNOWN -> len(text) <= _LONGEST_KNOWN",
        ): _REMEMBERED,
        (
            (
                "return _known_node(text) if len(text) < _LONGEST_KNOWN"
                " else _read_node(text)"
            ),
            "len(text) < _LONGEST_KNOWN -> not len(text) < _LONGEST_KNOWN",
        ): _REMEMBERED,
        (
            "_known_node = lru_cache(maxsize=1024)(_read_node)",
            "1024 -> 1025",
        ): _REMEMBERED,
    },
    "twisted_h11._http.raw_guard": {
        (
            "end = find_head_end(waiting, max(self._checked - 2, 0))",
            "0 -> 1",
        ): "h11 refuses a head that begins with its end",
        (
            "end = find_head_end(waiting, max(self._checked - 2, 0))",
            "2 -> 3",
        ): _AGAIN,
        (
            (
                "if has_never_valid(waiting, max(self._checked - 1, 0), length)"
                " is not None:"
            ),
            "1 -> 2",
        ): _AGAIN,
        (
            (
                "if has_never_valid(waiting, max(self._checked - 1, 0), length)"
                " is not None:"
            ),
            "0 -> 1",
        ): "h11 refuses a head at once that begins with such a byte",
        ('self.method = b""', "b'' -> b'!'"): "only CONNECT and HEAD matter",
        ("self._checked = 0", "0 -> 1"): "one byte back from there all begins, too",
        (
            "self._chunks = ChunkDecoder(self._rules, keeps=False)",
            "False -> True",
        ): "what is kept is dropped, unread",
    },
    "twisted_h11._http.response_received": {
        ("CHUNKED = -2", "2 -> 3"): "it only has to differ from all other lengths",
    },
    "twisted_h11._http.response_to_send": {
        ('_date = b""', "b'' -> b'!'"): _UNDATED,
        ("_dateSecond = -1", "1 -> 2"): _UNDATED,
    },
    "twisted_h11._http.strict_requests": {
        (
            "super().__init__(status, reason)",
            "super().__init__(status, reason) -> pass",
        ): "an exception has its arguments from __new__",
        ("bad = has_bad_byte(data, max(start, scanned - 1))", "1 -> 2"): _AGAIN,
        ("if lineEnd < 0:", "lineEnd < 0 -> lineEnd <= 0"): _NO_METHOD,
        ("if lineEnd < 0:", "0 -> 1"): _NO_METHOD,
        ("if space < 0:", "space < 0 -> space <= 0"): _NO_METHOD,
        ("if space < 0:", "0 -> 1"): _NO_METHOD,
        (
            "targetEnd = len(data) if second < 0 else second",
            "second < 0 -> second <= 0",
        ): _SECOND,
        ("targetEnd = len(data) if second < 0 else second", "0 -> 1"): _SECOND,
        ("if second >= 0:", "second >= 0 -> second > 0"): _SECOND,
        ("if second >= 0:", "0 -> 1"): _SECOND,
    },
    "twisted_h11._server.request_reader": {
        (
            "if start < len(self._buffer):",
            "start < len(self._buffer) -> start <= len(self._buffer)",
        ): "what is left of the buffer is empty then, and was not scanned",
        ("self._scanned = 0", "self._scanned = 0 -> pass"): _BEHIND,
        ("self._scanned = 0", "0 -> 1"): _BEHIND,
        (
            "hasBytes = self._start < len(self._buffer)",
            "self._start < len(self._buffer) -> self._start <= len(self._buffer)",
        ): _LOOP,
        (
            "if self.state is _HEAD and not (hasBytes or wire.holds or wire.eof):",
            "self.state is _HEAD -> self.state is not _HEAD",
        ): _LOOP + ", and in other states the caller has done it",
        (
            'self._buffer, self._start = b"", 0',
            "0 -> 1",
        ): "any place is the end of an empty buffer",
        (
            (
                'if not self._skippedLine and b"\\r\\n".startswith('
                "buffer[start : start + 2]):"
            ),
            "b'\\r\\n' -> b'\\r\\n!'",
        ): "it is compared with two bytes",
        (
            'end = buffer.find(b"\\r\\n\\r\\n", max(start, self._scanned - 3))',
            "3 -> 4",
        ): _AGAIN,
        ("if end < 0:", "end < 0 -> end <= 0"): _NO_METHOD,
        ("if end < 0:", "0 -> 1"): _NO_METHOD,
        (
            "if self._scanned and self._readFast(buffer, start):",
            (
                "self._scanned and self._readFast(buffer, start) ->"
                " self._scanned or self._readFast(buffer, start)"
            ),
        ): _NEXT_STEP,
        (
            "self._bodyEnded(incoming, cycle)",
            "self._bodyEnded(incoming, cycle) -> pass",
        ): _NEXT_STEP,
        ("return False", "False -> True"): "the connection closes, which ends the loop",
    },
    "twisted_h11._wire.wire": {
        (
            "if len(data) > 1 and (",
            "len(data) > 1 -> len(data) >= 1",
        ): "joining a single piece returns it",
    },
}


def why_equivalent(module: str, line: str, mutant: Mutant) -> str | None:
    """
    Why a mutant makes no difference; C{None} if it should.
    """
    known = EQUIVALENT.get(module, {})
    return known.get((line.strip(), f"{mutant.was} -> {mutant.becomes}"))
