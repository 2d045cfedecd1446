"""
When a server connection goes wrong: refusals, failures, clients that do not take.

Whatever happens, three things hold: the client can tell a response that is not
complete from one that is; the connection is not used again; and there is one
line in the log that says why.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IAddress
from twisted.logger import Logger

from twisted_h11._boundary.guarded import guarded
from twisted_h11._http.response_head import error_response
from twisted_h11._server.cycle import Cycle, tell_lost
from twisted_h11._server.framers import H11Framer
from twisted_h11._server.interfaces import Served
from twisted_h11._server.peer_watch import PeerWatch
from twisted_h11._server.refused import RefusedRequest
from twisted_h11._server.telling import Telling
from twisted_h11._wire.backlog import Backlog
from twisted_h11._wire.drained import Waiting, client_gone

__all__ = ["Failing"]


class Failing(Telling):
    """
    One connection, seen from its ends.

    @ivar site: the site; C{factory} is the same object.
    @ivar persistent: whether another request may follow the current one.  An
        application may set it to a false value.
    @ivar countedHost: the address under which the site counts this connection.
    """

    _log = Logger()

    site: Served | None = None
    factory: Any = None
    persistent: Any = True
    countedHost: str | None = None

    _cycle: Cycle | None = None
    _h11Framer: H11Framer | None = None
    _peer: Any = None
    _peerWatch: PeerWatch | None = None
    _backlog: Backlog | None = None
    _drainWaiting: Waiting | None = None

    def h11Framer(self) -> H11Framer:
        """
        What frames by h11 on this connection.
        """
        if self._h11Framer is None:
            self._h11Framer = H11Framer(self._wire, self.h11Connection)
        return self._h11Framer

    def failResponse(self) -> None:
        """
        End the connection in the middle of a response, so that the client
        knows that it is not complete.
        """
        if self._cycle is not None:
            self._cycle.fail()
        else:
            self.dropConnection()

    def loseConnection(self) -> None:
        """
        Close the connection after what was written has gone out; or reset it, if a
        response that is not complete would look as if it were.
        """
        if self._cycle is not None and self._cycle.endsWithConnection():
            self._cycle.fail()
        else:
            super().loseConnection()

    def failRequest(self, request: Any) -> None:
        """
        The request can not be answered any further: 500 if nothing was sent, else
        the end of the connection, by which the client can tell.  The request is
        told that it is over.
        """
        cycle = self._cycle
        if cycle is not None and request is not None and request is cycle.request:
            cycle.applicationFailed()

    def producing(self) -> object:
        """
        Called by the wire: the producer produces content of this request's response.
        """
        return self._cycle.request if self._cycle is not None else None

    def producerFailed(self, what: object) -> None:
        """
        Called by the wire: the producer has raised.
        """
        self.failRequest(what)

    def _refuse(self, status: int, reason: str) -> None:
        """
        Answer a request that the application never sees, and close.
        """
        peer = self.getPeer()
        cycle = self._cycle
        request = head = None
        if cycle is not None:
            request, cycle.request = cycle.request, None
            head = cycle.head
        self._log.info(
            "Refused a request from {peer} with {status}: {reason}",
            peer=peer,
            status=status,
            reason=reason,
        )
        if cycle is not None and cycle.hasBegun(request):
            # The response to this request is on its way.
            cycle.fail()
            tell_lost(request, reason)
            return
        partial = b""
        if head is None:
            partial = self._buffer[self._start :][: self.limits.maxHeadLength]
        refused = RefusedRequest(peer, head, partial, status)
        refused.sentLength = self.sendError(status, reason, refused.method)
        if self.site is not None:
            guarded("The access log", self.site.log, refused)
        tell_lost(request, reason)

    def sendError(self, status: int, reason: str, method: bytes) -> int:
        """
        Send a response of our own, and close.

        @param method: of the request; HEAD gets no content.
        @return: the length of its content.
        """
        self.persistent = False
        site = self.site
        data, length = error_response(
            status,
            reason,
            site.serverHeader if site is not None else None,
            site.extraHeaders if site is not None else (),
            method,
        )
        if self._cycle is not None:
            self._cycle.replaced()
        self._wire.send(data)
        self._closeInStages()
        return length

    def getPeer(self) -> IAddress:
        """
        The address of the client.
        """
        peer: IAddress | None = self._peer
        if peer is None:
            peer = self._wire.transport.getPeer()
            if self._cycle is not None:
                # Sooner it may not be the last word: the PROXY protocol tells it
                # with the first bytes.
                self._peer = peer
        return peer

    # -- a client that does not take its response -------------------------------

    def wireWaits(self) -> None:
        """
        Called by the wire: the client does not read as fast as we write.
        """
        if self._wire.transport is not None:
            if self._peerWatch is None:
                self._peerWatch = PeerWatch(self, self._wire)
            self._peerWatch.begin()

    def wireTaken(self) -> None:
        """
        Called by the wire: the client makes progress.
        """
        if self._peerWatch is not None:
            self._peerWatch.taken()
        self._forgetBacklog()
        super().wireTaken()

    def wireWritable(self) -> None:
        """
        Called by the wire: more may be written.
        """
        if self._drainWaiting is not None:
            while self._hasRoom() and self._drainWaiting.next():
                pass

    def drained(self) -> Deferred[None]:
        """
        Wait until the client has taken what was written, but for a little.

        @return: fires with C{None}, at once if there is room; fails with
            L{ConnectionLost} if the connection ends before.  It may be cancelled.
        """
        if self._wire.transport is None or self._wire.closing is not None:
            return client_gone()
        if self._hasRoom():
            return succeed(None)
        if self._drainWaiting is None:
            self._drainWaiting = Waiting()
        return self._drainWaiting.add()

    def _hasRoom(self) -> bool:
        return self._wire.hasRoom and self._wire.closing is None

    def _failDrained(self) -> None:
        waiting, self._drainWaiting = self._drainWaiting, None
        if waiting is not None:
            waiting.fail()

    def countUnsent(self, length: int) -> None:
        """
        So many bytes are written although the client does not keep up.
        """
        if self._backlog is None:
            self._backlog = Backlog(self)
        self._backlog.add(length)

    def _forgetBacklog(self) -> None:
        backlog, self._backlog = self._backlog, None
        if backlog is not None:
            backlog.end()

    def _isAnswering(self) -> bool:
        """
        Whether the application may still write to the current response.
        """
        return self._cycle is not None and self._cycle.isAnswering()

    def _tooMuchUnsent(self, length: int) -> None:
        """
        The application writes faster than the client reads, and can not be
        stopped.
        """
        assert self._cycle is not None
        self._cycle.complain(
            "{request} has {length} bytes that {peer} has not taken yet, and is not "
            "over: more than writeBufferLength, {most}; the connection is dropped",
            request=self._cycle.request,
            length=length,
            peer=self.getPeer(),
            most=self.limits.writeBufferLength,
        )
        self._abort()

    def wireEnded(self) -> None:
        """
        Called by the wire: nobody takes anything any more.
        """
        super().wireEnded()
        self._forgetBacklog()
        watch, self._peerWatch = self._peerWatch, None
        if watch is not None:
            watch.end()
