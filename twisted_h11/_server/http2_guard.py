"""
The bounds of an HTTP/2 connection, kept from outside.

The streams are Twisted's (L{twisted.web.http.HTTPFactory.buildProtocol} makes what
speaks HTTP/2), which bounds little of what a client can do, and offers no way to.
But all that goes in and out passes by here, and frames are easy to tell apart: nine
bytes say how long one is, of which kind, and of which stream.  So a L{Guard} stands
between the transport and what Twisted has made.  It reads the frames' heads, counts,
and ends the connection when something is beyond its bound.  It changes no frame, but
for those that ask for priorities, which it leaves out (RFC 9113 section 5.3.2: they
are deprecated, and each could make the tree that Twisted keeps of them grow).

What is bounded:

  - time: the preface, and each frame that is not a piece of a body, must be here
    within C{headTimeout}; a connection without requests lasts C{idleTimeout}, however
    many pings come; bodies must come, and responses be taken, at the least rates;
  - memory: what is written to streams and not sent (C{writeBufferLength}), and the
    bodies of the requests that are coming (C{maxBodyLength}), each for all streams
    together;
  - work: streams that the client resets (C{maxStreamResets} more than were answered,
    against U{rapid reset<https://www.cve.org/CVERecord?id=CVE-2023-44487>}), and
    C{maxRequestsPerConnection}.

That at most 100 streams are open at a time, and how long heads are, h2 sees to.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from zope.interface import directlyProvides, providedBy

from twisted_h11._server.http2_stream import Stream

if TYPE_CHECKING:
    from twisted_h11._server.site import Site

__all__ = ["Guard"]

# RFC 9113 sections 3.4, 4.1 and 6.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEAD_LENGTH = 9
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS = 0, 1, 2, 3, 4
GOAWAY, WINDOW_UPDATE, CONTINUATION = 7, 8, 9
END_STREAM, ACK, END_HEADERS = 0x1, 0x1, 0x4
INITIAL_WINDOW_SIZE = 4

FIRST_WINDOW = 65535
"""
RFC 9113 section 6.9.2.
"""

MOST_GIVEN = 65536
"""
How many bytes Twisted has at a time, to put them into frames.
"""
NO_ERROR, ENHANCE_YOUR_CALM = 0, 0xB


class Guard:
    """
    Stands between a transport and Twisted's HTTP/2.

    @param site: the site.
    @param transport: the transport.
    """

    _log = Logger()

    def __init__(self, site: Site, transport: Any) -> None:
        self._site = site
        self._limits = site.limits
        self._transport = transport
        self._protocol: Any = None
        self._streams: dict[int, Stream] = {}
        self._over = False
        self._leaving = False
        # Frames that come: the head of one, as far as it is here, what is left of
        # it, and whether it goes on.
        self._begun = b""
        self._kind = -1
        self._number = 0
        self._payload: bytes | None = None
        self._left = len(PREFACE)
        self._passes = True
        self._inBody = False
        self._block = 0
        self._last = 0
        self._requests = self._resets = self._answered = 0
        # Time.
        self._timer: IDelayedCall | None = None
        self._headSince: float | None = site.reactor.seconds()
        self._idleSince: float | None = site.reactor.seconds()
        self._windowSince: float | None = None
        self._came = self._went = 0
        self._sends = self._takes = False
        self._checking = False
        # What may be sent, and what Twisted has of that.
        self._window = self._firstWindow = FIRST_WINDOW
        self._given = 0
        self._giving = self._again = False

    def start(self, protocol: Any) -> None:
        """
        Begin.

        @param protocol: what speaks HTTP/2.
        """
        self._protocol = protocol
        make = protocol.requestFactory

        def makeRequest(twisteds: Any, *args: Any, **kwargs: Any) -> Any:
            stream = self._streams[twisteds.streamID]
            stream.attach(twisteds)
            return make(stream, *args, **kwargs)

        protocol.requestFactory = makeRequest
        # Its own time-out is put off by every ping, and not by a request that runs.
        protocol.timeOut = None
        protocol.makeConnection(_GuardedTransport(self, self._transport))
        self._plan()

    def connectionLost(self, reason: Any) -> None:
        """
        The connection is gone.
        """
        self._over = True
        timer, self._timer = self._timer, None
        if timer is not None and timer.active():
            timer.cancel()
        streams = list(self._streams.values())
        self._streams.clear()
        for stream in streams:
            stream.close()
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)

    # -- what comes -------------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """
        Look at the frames, and pass them on.
        """
        if self._over:
            return
        at = 0
        while at < len(data) and not self.isOver():
            at = self._take(data, at)
        if self.isOver():
            return
        if not (self._begun or self._block or (self._left and not self._inBody)):
            self._headSince = None
        elif self._headSince is None:
            self._headSince = self._site.reactor.seconds()
        self.settle()

    def _take(self, data: bytes, at: int) -> int:
        """
        Take the rest of a frame, or the head of the next one.

        A frame is passed on by itself: Twisted looks at what all that it is given at
        once has done before it looks at the first frame, and is confused when that
        was taken back by a later one.

        @return: how far that goes.
        """
        if not self._left:
            piece = data[at : at + HEAD_LENGTH - len(self._begun)]
            self._begun += piece
            if len(self._begun) == HEAD_LENGTH:
                head, self._begun = self._begun, b""
                self._frameCame(head)
                self._pass(head)
        else:
            piece = data[at : at + self._left]
            self._left -= len(piece)
            if self._payload is not None:
                self._payload += piece
                if not self._left:
                    self._windowCame(self._payload)
            self._pass(piece)
        if not self._left and not self._begun and not self._block:
            self._headSince = None
        return at + len(piece)

    def isOver(self) -> bool:
        """
        Whether the connection was closed or dropped.
        """
        return self._over

    def _pass(self, data: bytes) -> None:
        if self._over or not self._passes:
            return
        try:
            self._protocol.dataReceived(data)
        except Exception as error:
            # Twisted's state machine raises for some things that a client does.
            self._drop(f"it is malformed ({error!r})")

    def _frameCame(self, head: bytes) -> None:
        """
        The head of a frame is here.
        """
        self._left = int.from_bytes(head[:3], "big")
        kind, flags = head[3], head[4]
        number = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
        self._inBody = kind == DATA
        self._kind, self._number = kind, number
        tells = kind == WINDOW_UPDATE or (kind == SETTINGS and not flags & ACK)
        # Longer ones are refused by h2.
        self._payload = b"" if tells and self._left <= 1 << 14 else None
        self._passes = kind != PRIORITY or bool(self._block)
        if self._leaving and number > self._last:
            # It was told that these are not served.
            self._passes = False
            return
        if kind == HEADERS:
            self._block = 0 if flags & END_HEADERS else number
            if number not in self._streams and number > self._last:
                self._requestCame(number)
        elif kind == CONTINUATION and flags & END_HEADERS:
            self._block = 0
        stream = self._streams.get(number)
        if kind == DATA and stream is not None:
            self._came += self._left
            stream.received += self._left
            self._checkBodies()
        if kind == RST_STREAM and stream is not None:
            self._resets += 1
            most = self._limits.maxStreamResets
            if most is not None and self._resets > most + self._answered:
                self._drop("it resets too many streams", ENHANCE_YOUR_CALM)
                return
            self._ended(number)
        elif kind in (DATA, HEADERS) and flags & END_STREAM and stream is not None:
            stream.coming = False
            self._watch()

    def _requestCame(self, number: int) -> None:
        self._last = number
        self._idleSince = None
        self._requests += 1
        self._streams[number] = Stream(self, self._firstWindow)
        self._watch()
        most = self._limits.maxRequestsPerConnection
        if most is not None and self._requests >= most:
            self.leave()

    def _windowCame(self, payload: bytes) -> None:
        """
        The client says how much may be sent.
        """
        self._payload = None
        if self._kind == WINDOW_UPDATE:
            more = int.from_bytes(payload[:4], "big") & 0x7FFFFFFF
            if self._number == 0:
                self._window += more
            elif self._number in self._streams:
                self._streams[self._number].window += more
            return
        for at in range(0, len(payload) - 5, 6):
            if int.from_bytes(payload[at : at + 2], "big") == INITIAL_WINDOW_SIZE:
                value = int.from_bytes(payload[at + 2 : at + 6], "big")
                change, self._firstWindow = value - self._firstWindow, value
                for stream in self._streams.values():
                    stream.window += change
                    if stream.window < stream.given:
                        self._drop("it takes back what it let be sent")

    def _checkBodies(self) -> None:
        most = self._limits.maxBodyLength
        if most is None:
            return
        coming = sum(s.received for s in self._streams.values() if s.coming)
        if coming > most:
            self._drop("its request bodies are longer than maxBodyLength")

    # -- what goes ----------------------------------------------------------------

    def sent(self, data: bytes) -> None:
        """
        Frames are about to leave: whole ones, as h2 gives them.
        """
        at = 0
        while at + HEAD_LENGTH <= len(data):
            length = int.from_bytes(data[at : at + 3], "big")
            kind, flags = data[at + 3], data[at + 4]
            number = int.from_bytes(data[at + 5 : at + 9], "big")
            at += HEAD_LENGTH + length
            stream = self._streams.get(number)
            if stream is None:
                continue
            if kind == DATA:
                self._went += length
                self._window -= length
                stream.window -= length
                self._given -= length
                stream.given -= length
            if kind == RST_STREAM:
                self._ended(number)
            elif kind in (DATA, HEADERS) and flags & END_STREAM:
                self._answered += 1
                self._ended(number)

    def wrote(self) -> None:
        """
        The application has written to a stream.
        """
        if self._over:
            return
        self._give()
        self._watch()
        most = self._limits.writeBufferLength
        if most is not None and not self._checking and self._unsent() > most:
            self._checking = True
            self._site.reactor.callLater(0, self._checkUnsent)

    def _give(self) -> None:
        """
        Give to Twisted what can be sent, a little of each stream in turn.
        """
        self._again = True
        if self._giving:
            return
        self._giving = True
        try:
            while self._again and not self._over:
                self._again = False
                for number, stream in list(self._streams.items()):
                    room = min(self._window, MOST_GIVEN) - self._given
                    room = min(room, stream.window - stream.given)
                    given = stream.give(max(room, 0))
                    # Some of it may have been sent by now.
                    self._given += given
                    if room > 0 and number in self._streams:
                        # The next time it is another one's turn.
                        self._streams[number] = self._streams.pop(number)
        finally:
            self._giving = False

    def _unsent(self) -> int:
        return sum(stream.unsent for stream in self._streams.values())

    def _checkUnsent(self) -> None:
        """
        At the end of the turn: is it too much?  One response that is over has been
        made already, and does not grow.
        """
        self._checking = False
        most = self._limits.writeBufferLength
        waiting = [stream for stream in self._streams.values() if stream.unsent]
        if most is None or self._unsent() <= most:
            return
        if len(waiting) > 1 or not waiting[0].finished:
            self._drop(
                f"{self._unsent()} bytes wait for it, more than writeBufferLength"
            )

    def _ended(self, number: int) -> None:
        """
        A stream is over.
        """
        stream = self._streams.pop(number, None)
        if stream is not None:
            self._given -= stream.given
            stream.close()
        if not self._streams:
            self._idleSince = self._site.reactor.seconds()

    def settle(self) -> None:
        """
        What was to be passed on is: what can be sent now?  Nothing more may be due.
        """
        self._give()
        if self._leaving and not self._streams:
            self.close()
        self._plan()

    # -- time -------------------------------------------------------------------

    def _watch(self) -> None:
        """
        Begin to look at rates, unless that is done already.
        """
        if self._windowSince is None:
            sends = any(stream.coming for stream in self._streams.values())
            takes = any(stream.waits for stream in self._streams.values())
            self._sends = sends and self._limits.minBodyRate is not None
            self._takes = takes and self._limits.minResponseRate is not None
            if self._sends or self._takes:
                self._windowSince = self._site.reactor.seconds()
                self._came = self._went = 0
                self._plan()

    def _plan(self) -> None:
        """
        See that the timer runs out when there is something to look at.
        """
        if self._over:
            return
        times = []
        limits = self._limits
        if self._headSince is not None and limits.headTimeout is not None:
            times.append(self._headSince + limits.headTimeout)
        if self._idleSince is not None and self._site.timeOut is not None:
            times.append(self._idleSince + self._site.timeOut)
        if self._windowSince is not None:
            times.append(self._windowSince + limits.rateWindow)
        if not times:
            return
        seconds = max(min(times) - self._site.reactor.seconds(), 0)
        timer = self._timer
        if timer is None or not timer.active():
            self._timer = self._site.reactor.callLater(seconds, self._look)
        elif timer.getTime() > min(times):
            timer.reset(seconds)

    def _look(self) -> None:
        """
        The timer has run out: what for?
        """
        self._timer = None
        limits, now = self._limits, self._site.reactor.seconds()
        since = self._headSince
        if since is not None and limits.headTimeout is not None:
            if now >= since + limits.headTimeout:
                self._drop("a frame did not arrive in time")
        since = self._idleSince
        if since is not None and self._site.timeOut is not None:
            if now >= since + self._site.timeOut and not self._over:
                self.leave()
        since = self._windowSince
        if since is not None and now >= since + limits.rateWindow:
            self._windowSince = None
            self._checkRates()
        self._plan()

    def _checkRates(self) -> None:
        """
        A window is over: has the client sent and taken enough in it?
        """
        limits = self._limits
        streams = self._streams.values()
        if self._sends and any(stream.coming for stream in streams):
            if self._came < (limits.minBodyRate or 0) * limits.rateWindow:
                self._drop("it does not send its requests")
        if self._takes and any(stream.waits for stream in streams):
            if self._went < (limits.minResponseRate or 0) * limits.rateWindow:
                self._drop("it does not take its responses")
        if not self._over:
            self._watch()

    # -- the end ------------------------------------------------------------------

    def leave(self) -> None:
        """
        Take no more requests, and close when those that are here are answered (RFC
        9113 section 6.8).
        """
        if not self._leaving and not self._over:
            self._leaving = True
            self._goAway(NO_ERROR)
        if not self._streams:
            self.close()

    def _goAway(self, code: int) -> None:
        payload = self._last.to_bytes(4, "big") + code.to_bytes(4, "big")
        head = len(payload).to_bytes(3, "big") + bytes((GOAWAY, 0)) + bytes(4)
        self._transport.write(head + payload)

    def close(self) -> None:
        """
        Nothing is left to be done here.
        """
        if not self._over:
            self._over = True
            timer, self._timer = self._timer, None
            if timer is not None and timer.active():
                timer.cancel()
            abort = self._transport.abortConnection
            timeout = self._limits.abortTimeout
            self._timer = self._site.reactor.callLater(timeout, abort)
            self._transport.unregisterProducer()
            self._transport.loseConnection()

    def _drop(self, reason: str, code: int | None = None) -> None:
        """
        End the connection: something is beyond its bound.
        """
        if self._over:
            return
        self._over = True
        self._log.info(
            "Dropped the HTTP/2 connection of {peer}: {reason}",
            peer=self._transport.getPeer(),
            reason=reason,
        )
        if code is not None:
            self._goAway(code)
        self._transport.abortConnection()


class _GuardedTransport:
    """
    The transport that Twisted's HTTP/2 sees.
    """

    def __init__(self, guard: Guard, transport: Any) -> None:
        self._guard = guard
        self._transport = transport
        directlyProvides(self, providedBy(transport))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """
        Send frames.
        """
        if self._guard.isOver():
            return
        self._guard.sent(data)
        self._transport.write(data)
        self._guard.settle()

    def writeSequence(self, data: Any) -> None:
        """
        Send frames.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Close: not without an end, as with a producer that is still there.
        """
        self._guard.close()
