"""
Mutants that no test can tell from the code, each with the reason.
"""

from __future__ import annotations

from tests.mutation.mutants import Mutant

__all__ = ["EQUIVALENT", "why_equivalent"]

# By module: what stands in the line, and the change; not the number of the line, so
# that a change elsewhere in the module leaves these alone.
EQUIVALENT: dict[str, dict[tuple[str, str], str]] = {
    "twisted_h11._server.cycle": {
        (
            "return self.state is _COMPLETE or self.state is _FAILED",
            (
                "self.state is _COMPLETE or self.state is _FAILED"
                " -> self.state is _COMPLETE and self.state is _FAILED"
            ),
        ): "whoever asks knows it from the request, or from the wire, as well",
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
