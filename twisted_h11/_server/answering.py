"""
The sending half of a server connection: one response after the other.

An L{Answering} is given a response by a request in pieces, by the methods that
twisted.web's C{HTTPChannel} has for that, and by a few of its own for our
L{Request<twisted_h11._server.request.Request>}.  All of it concerns the current
L{Cycle<twisted_h11._server.cycle.Cycle>}.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.error import ConnectionAborted
from twisted.internet.interfaces import IProtocol
from twisted.web.http_headers import Headers

from twisted_h11._boundary.octets import as_bytes
from twisted_h11._boundary.twisted_private import raw_fields
from twisted_h11._http import fastpath
from twisted_h11._server.failures import Failing
from twisted_h11._server.framers import Pairs
from twisted_h11._server.states import Reading
from twisted_h11._wire.files import FileRegion

__all__ = ["Answering"]


_NOTHING = Reading.NOTHING

# Content that is no longer is copied behind its head.
_LONG = 16 * 1024


class Answering(Failing):
    """
    One connection, seen from its responses.
    """

    _reading = Reading.HEAD

    def writeHeaders(
        self,
        version: bytes,
        code: bytes,
        reason: bytes,
        headers: Headers | Iterable[tuple[bytes, bytes]],
    ) -> None:
        """
        Send a response head.  If it can not be sent, a 500 goes out instead.

        @param version: not used; the client's version is known here.
        @param code: the status, for example C{b"200"}.
        @param reason: the reason phrase.
        @param headers: the fields.
        """
        if self._cycle is not None:
            self._cycle.respond(code, reason, headers)

    def startResponse(
        self, code: bytes, reason: bytes, headers: Headers, data: bytes
    ) -> bool:
        """
        Send a response head and its first content in one write.

        @return: whether the response has content on the wire.
        """
        cycle = self._cycle
        return cycle is not None and cycle.start(code, reason, headers, data)

    @property
    def hasAnswered(self) -> bool:
        """
        Whether the head of the current response was sent.
        """
        return self._cycle is not None and self._cycle.answer is not None

    @property
    def hasLength(self) -> bool:
        """
        Whether the head of the current response has said how long it is.
        """
        return self._cycle is not None and self._cycle.left is not None

    def answerWhole(
        self, status: int, reason: bytes, headers: Headers, content: bytes
    ) -> bool:
        """
        Send a common response, all of it, without h11.

        @return: whether it was common; if not, nothing was done.
        """
        cycle, wire = self._cycle, self._wire
        if (
            cycle is None
            or cycle.unseenHead is None
            or self._reading is not _NOTHING
            or cycle.answer is not None
            or wire.transport is None
            or wire.closing is not None
            or (self.site is not None and self.site.extraHeaders)
        ):
            return False
        head = fastpath.whole_head(
            status, reason, raw_fields(headers), len(content), not self.persistent
        )
        if head is None:
            return False
        if len(content) > _LONG:
            wire.send(head)
            wire.send(content)
        else:
            wire.send(head + content)
        return True

    def write(self, data: bytes) -> None:
        """
        Send content of a response.  For a request that frames its chunks by
        itself, as twisted.web's do, the framing is taken off.  Before a
        response head it is a raw response, and goes out as it is.
        """
        if self._cycle is not None:
            self._cycle.write(data)
        else:
            as_bytes(data)

    def writeSequence(self, parts: Iterable[bytes]) -> None:
        """
        Send content of a response; see L{write}.

        @raise TypeError: for anything but bytes.
        """
        if self._cycle is not None:
            self._cycle.writeSequence(parts)

    def sendContent(self, data: bytes) -> None:
        """
        Send content of the current response, which is not framed.
        """
        if self._cycle is not None:
            self._cycle.send(data)

    def sendRegion(self, region: FileRegion) -> None:
        """
        Send a region of a file as content of the current response.
        """
        if self._cycle is not None:
            self._cycle.sendRegion(region)
        else:
            region.end(ConnectionAborted("The response is over."))

    def setTrailers(self, pairs: Pairs) -> None:
        """
        Say what the trailer section of the current response has.
        """
        if self._cycle is not None:
            self._cycle.trailers = pairs

    def requestDone(self, request: Any) -> None:
        """
        The request's response has ended.

        @raise TypeError: if it is not the current request.
        """
        cycle = self._cycle
        if cycle is not None and request is cycle.request:
            cycle.done(request)
        elif self._wire.transport is not None and self._wire.closing is None:
            # Else it was given away (switchCycle), aborted, or is closing.
            raise TypeError(f"{request!r} is not the request that is answered now")

    def sendInterim(self, status: int, pairs: Pairs) -> bool:
        """
        Send an interim response; see L{Cycle.interim}.
        """
        return self._cycle is not None and self._cycle.interim(status, pairs)

    def switchCycle(self, status: int, pairs: Pairs, protocol: IProtocol) -> None:
        """
        Answer an upgrade or CONNECT, and give the transport away.

        @raise RuntimeError: if the response has begun, or the request not ended.
        """
        cycle = self._cycle
        if cycle is None or cycle.answer is not None or self._reading is not _NOTHING:
            raise RuntimeError("It is too early or too late to switch protocols.")
        cycle.switch(status, pairs)
        self.switchProtocol(protocol)
