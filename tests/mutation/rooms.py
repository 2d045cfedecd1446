"""
Which tests try which module: those of its room, the quickest and nearest first.
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["NEAREST", "module_path", "tests_of"]

TOP = Path(__file__).resolve().parent.parent.parent

# The tests that try a module most directly are run first.
NEAREST = {
    "twisted_h11._http.abnf": [
        "tests.http.test_received_heads",
        "tests.http.test_request_heads",
        "tests.http.test_response_heads",
        "tests.http.test_forwarded",
        "tests.http.test_chunks",
        "tests.http.test_raw_guard",
        "tests.http.test_fastpath_law",
        "tests.server.test_access_log",
        "tests.server.test_logging",
        "tests.server.test_conformance_corpus",
        "tests.client.test_conformance_corpus",
    ],
    "twisted_h11._http.chunks": [
        "tests.http.test_chunks",
        "tests.http.test_raw_guard",
        "tests.server.test_chunked_uploads",
        "tests.server.test_limits",
        "tests.server.test_trickles",
        "tests.server.test_conformance_corpus",
    ],
    "twisted_h11._http.fast_responses": ["tests.http.test_fastpath_law"],
    "twisted_h11._http.fastpath": ["tests.http.test_fastpath_law"],
    "twisted_h11._http.forwarded": ["tests.http.test_forwarded"],
    "twisted_h11._http.lists": ["tests.http.test_lists"],
    "twisted_h11._http.negotiation": ["tests.http.test_negotiation"],
    "twisted_h11._http.raw_guard": [
        "tests.http.test_raw_guard",
        "tests.protocol.test_hostile",
        "tests.protocol.test_errors",
        "tests.server.test_trickles",
    ],
    "twisted_h11._http.response_received": [
        "tests.http.test_received_heads",
        "tests.client.test_responses",
        "tests.client.test_fast_path",
    ],
    "twisted_h11._http.response_to_send": [
        "tests.http.test_response_heads",
        "tests.server.test_cycle_response_validation",
        "tests.server.test_cycle_interim_responses",
        "tests.server.test_cycle_head_and_no_body",
        "tests.server.test_cycle_lengths",
        "tests.server.test_error_responses",
        "tests.server.test_sent_responses",
        "tests.server.test_refusals",
        "tests.protocol.test_errors",
    ],
    "twisted_h11._http.strict_requests": [
        "tests.http.test_request_heads",
        "tests.server.test_refusals",
        "tests.server.test_limits",
        "tests.server.test_conformance_corpus",
    ],
    "twisted_h11._http.tolerant_responses": ["tests.client.test_tolerance"],
    "twisted_h11._server.cycle": [
        "tests.server.test_cycle_lengths",
        "tests.server.test_cycle_interim_responses",
        "tests.server.test_cycle_expect_continue",
        "tests.server.test_cycle_response_validation",
        "tests.server.test_error_responses",
        "tests.server.test_conformance_9110",
        "tests.server.test_backlog",
        "tests.server.test_raw_responses",
        "tests.server.test_cycle_cut_responses",
        "tests.server.test_foreign_requests",
        "tests.server.test_streaming_readers",
        "tests.server.test_sent_responses",
    ],
    "twisted_h11._server.request_reader": [
        "tests.server.test_pipelining",
        "tests.server.test_empty_lines",
        "tests.server.test_repeated_heads",
        "tests.server.test_chunked_uploads",
        "tests.server.test_timeouts",
        "tests.server.test_half_close",
        "tests.server.test_turns",
        "tests.server.test_limits",
        "tests.server.test_refusals",
        "tests.server.test_cycle_expect_continue",
        "tests.server.test_conformance_corpus",
        "tests.server.test_trickles",
        "tests.server.test_conformance_9112",
        "tests.server.test_switch_protocol",
        "tests.server.test_streaming_readers",
        "tests.server.test_foreign_requests",
        "tests.server.test_log_format",
        "tests.server.test_overrides",
        "tests.server.test_given_away",
        "tests.server.test_one_send",
        "tests.server.test_sockets",
        "tests.wire.test_outbox",
    ],
    "twisted_h11._wire.wire": [
        "tests.wire.test_wire",
        "tests.protocol.test_closing",
        "tests.wire.test_outbox",
        "tests.server.test_send_file",
        "tests.server.test_one_send",
        "tests.server.test_backlog",
    ],
    "twisted_h11._client.pool": [
        "tests.client.test_pool_bounds",
        "tests.client.test_agent_retries",
        "tests.client.test_timeouts",
    ],
}

# The rooms that try a folder.
_ROOMS = {
    "_http": ["http", "protocol", "server", "client"],
    "_wire": ["wire", "protocol", "server", "client"],
    "_events": ["protocol", "server"],
    "_server": ["server"],
    "_client": ["client"],
}

# These start programs, or take long over what others try, too.
_SLOW = (
    *("reactor", "subprocess", "spawnProcess", "socket_cases"),
    *("test_pool_soak", "test_lifetime", "test_leaks"),
)


def module_path(module: str) -> Path:
    """
    Where the source of a module is.

    @raise ValueError: if it is not one of ours that has a room.
    """
    path = TOP.joinpath(*module.split(".")).with_suffix(".py")
    if not path.is_file() or module.split(".")[1] not in _ROOMS:
        raise ValueError(f"no module with a room of its own: {module}")
    return path


def tests_of(module: str) -> list[list[str]]:
    """
    The names of the test modules for a module, in groups: the nearest; the rest of its
    room, what needs a reactor or programs last.
    """
    quick: list[str] = []
    slow: list[str] = []
    for room in _ROOMS[module.split(".")[1]]:
        for path in sorted((TOP / "tests" / room).glob("test_*.py")):
            name = f"tests.{room}.{path.stem}"
            text = path.read_text(encoding="utf-8")
            isSlow = any(word in text or word in name for word in _SLOW)
            (slow if isSlow else quick).append(name)
    nearest = NEAREST.get(module, [])
    rest = [name for name in quick + slow if name not in nearest]
    return [nearest, rest] if nearest else [rest]
