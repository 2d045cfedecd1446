"""
Bytes that would keep h11 busy for minutes, rejected before h11 gets them.

h11's pattern for a field line takes quadratic time if the line has white space and
then a byte that no value may have; so does its pattern for a chunk line with a bare LF
in it.  h11 rejects these lines in the end.  L{RawGuard} rejects them at once, for
L{H11Protocol<twisted_h11.protocol.H11Protocol>}, which passes bytes to h11 as they
arrive.  It rejects nothing that h11 accepts.
"""

from __future__ import annotations

from collections.abc import Iterable

import h11

from twisted_h11._http.abnf import find_head_end, has_never_valid
from twisted_h11._http.chunks import ChunkDecoder, TolerantRules

__all__ = ["RawGuard"]


class RawGuard:
    """
    Checks the bytes that an h11 connection is going to read next.

    @param limit: bytes of the longest chunk line or trailer section.
    @ivar method: the method of the last request that a client has sent.
    """

    def __init__(self, limit: int) -> None:
        self.method = b""
        self._limit = limit
        self._checked = 0
        self._chunks: ChunkDecoder | None = None

    def received(self, data: bytes) -> None:
        """
        Call this with the bytes that h11 is given.
        """
        if self._chunks is not None:
            self._chunks.feed(data)

    def problem(self, conn: h11.Connection) -> h11.RemoteProtocolError | None:
        """
        Call this before C{next_event}.

        @return: the error to report instead of calling it; C{None} if it is safe.
        """
        chunks = self._chunks
        if chunks is not None:
            if chunks.error is not None:
                return h11.RemoteProtocolError(chunks.error)
            if self._rules.bareLF:
                return h11.RemoteProtocolError("a chunk line ends with a bare LF")
            fresh = self._rules.section[self._trailers :]
            self._trailers += len(fresh)
            if any(map(has_never_valid, fresh)):
                return h11.RemoteProtocolError("illegal trailer line")
        elif conn.their_state in (h11.IDLE, h11.SEND_RESPONSE):
            waiting = conn.trailing_data[0]
            end = find_head_end(waiting, max(self._checked - 2, 0))
            length = len(waiting) if end is None else end.end()
            if has_never_valid(waiting, max(self._checked - 1, 0), length) is not None:
                return h11.RemoteProtocolError("illegal header line")
            self._checked = length
        return None

    def delivered(self, event: h11.Event, conn: h11.Connection) -> None:
        """
        Call this with each event that C{next_event} has returned.
        """
        self._checked = 0
        if isinstance(event, h11.EndOfMessage):
            self._chunks = None
        elif isinstance(event, h11.Request):
            self._begin(event.headers, conn)
        elif isinstance(event, h11.Response):
            connects = self.method == b"CONNECT" and event.status_code < 300
            bodiless = self.method == b"HEAD" or event.status_code in (204, 304)
            if not (connects or bodiless):
                self._begin(event.headers, conn)

    def _begin(
        self, headers: Iterable[tuple[bytes, bytes]], conn: h11.Connection
    ) -> None:
        for name, value in headers:
            if name == b"transfer-encoding" and value == b"chunked":
                # Lines of the trailer section that were looked at.
                self._trailers = 0
                self._rules = TolerantRules(self._limit)
                self._chunks = ChunkDecoder(self._rules, keeps=False)
                self._chunks.feed(conn.trailing_data[0])
