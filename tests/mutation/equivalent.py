"""
Mutants that no test can tell from the code, each with the reason.
"""

from __future__ import annotations

from tests.mutation.mutants import Mutant

__all__ = ["EQUIVALENT", "why_equivalent"]

_REMEMBERED = "it only decides what is remembered, so that it is found faster"
_SLOWER = "what the fast path leaves is read to the same end without it"

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
    "twisted_h11._http.fast_responses": {
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
    },
    "twisted_h11._http.response_received": {
        ("CHUNKED = -2", "2 -> 3"): "it only has to differ from all other lengths",
    },
    "twisted_h11._server.request_reader": {
        (
            "if start < len(self._buffer):",
            "start < len(self._buffer) -> start <= len(self._buffer)",
        ): "what is left of the buffer is empty then, and was not scanned",
    },
}


def why_equivalent(module: str, line: str, mutant: Mutant) -> str | None:
    """
    Why a mutant makes no difference; C{None} if it should.
    """
    known = EQUIVALENT.get(module, {})
    return known.get((line.strip(), f"{mutant.was} -> {mutant.becomes}"))
