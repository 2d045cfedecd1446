"""
The bounds of an HTTP/2 connection, enforced from outside.

Twisted's HTTP/2 (made by L{twisted.web.http.HTTPFactory.buildProtocol}) bounds little
of what a client can do, and has no settings for it.  So a L{Guard} is placed between
the transport and Twisted's protocol.  It reads the heads of the frames in both
directions, counts, and ends the connection when a bound is exceeded.  It drops PRIORITY
frames (deprecated by RFC 9113 section 5.3.2; each could make Twisted's tree of
priorities grow).  It changes only resets of responses that are not complete: Twisted
gives them no error code, and so clients take them for the end of a complete response
(RFC 9113 section 8.1).

What is bounded:

  - time: the preface, and each frame except DATA, must be complete within
    C{headTimeout}; a connection without requests is closed after C{idleTimeout}, even
    if pings arrive; bodies must arrive, and responses be taken, at the least rates;
  - memory: what is written to streams and not sent (C{writeBufferLength}), and the
    incomplete bodies of requests (C{maxBodyLength}), each for all streams together;
  - time of the reactor: frames that have arrived at once are handled in several turns
    (L{twisted_h11._wire.turns});
  - work: streams that the client resets, or makes the server reset by an error
    (C{maxStreamResets} more than were answered, against U{rapid
    reset<https://www.cve.org/CVERecord?id=CVE-2023-44487>} and U{its
    relative<https://www.cve.org/CVERecord?id=CVE-2025-8671>}), and
    C{maxRequestsPerConnection};
  - settings (C{maxSettings}), because h2 keeps each one, even unknown ones.

h2 itself bounds the open streams (100 at a time) and the length of heads.
"""

from __future__ import annotations

from typing import Any

from twisted.logger import Logger
from zope.interface import directlyProvides, providedBy

from twisted_h11._server.http2_flow import Flow, TakenBack, may_grow, unsent
from twisted_h11._server.http2_frames import (
    CONTINUATION,
    DATA,
    GOAWAY,
    HEADERS,
    RST_STREAM,
    SETTINGS,
    Frame,
    errors_in,
    frames_in,
    goaway,
    with_code,
    without_resets,
)
from twisted_h11._server.http2_reading import SegmentReader
from twisted_h11._server.http2_request import RefusedStream, StreamRequest
from twisted_h11._server.http2_stream import Stream
from twisted_h11._server.http2_watch import Guarded, Watch

__all__ = ["Guard", "Guarded"]

NO_ERROR, INTERNAL_ERROR, ENHANCE_YOUR_CALM = 0, 2, 0xB


class Guard:
    """
    The protocol between a transport and Twisted's HTTP/2, which enforces the bounds.

    @param site: the site.
    @param transport: the transport.
    """

    _log = Logger()

    def __init__(self, site: Guarded, transport: Any) -> None:
        self._reactor = site.reactor
        self._limits = site.limits
        self._proxied = site.proxied
        self._transport = transport
        self._protocol: Any = None
        self._streams: dict[int, Stream] = {}
        self._flow = Flow(self._streams, site.reactor)
        self._watch = Watch(self, site, self._streams)
        self._segments = SegmentReader(self, transport, self._watch, site.reactor)
        self._over = False
        self._leaving = False
        self._checking = False
        # A stream of Twisted's that came after GOAWAY.
        self._refused: Any = None
        # The number of the last stream; how many requests, resets, complete responses
        # and settings there were.
        self._last = 0
        self._requests = self._resets = self._answered = self._settings = 0

    def start(self, protocol: Any) -> None:
        """
        Connect Twisted's protocol.

        @param protocol: Twisted's protocol for HTTP/2.
        """
        self._protocol = protocol
        make, proxied = protocol.requestFactory, self._proxied

        def makeRequest(twisteds: Any, *args: Any, **kwargs: Any) -> Any:
            stream = self._streams.get(twisteds.streamID)
            if stream is None:
                self._refused = twisteds
                return RefusedStream()
            stream.attach(twisteds)

            def begin() -> Any:
                stream.request = request = make(stream, *args, **kwargs)
                return request if proxied is None else proxied.watch(request, stream)

            return StreamRequest(begin)

        protocol.requestFactory = makeRequest
        # Twisted's time-out is reset by every ping, but not by a running request.
        protocol.timeOut = None
        protocol.makeConnection(_GuardedTransport(self, self._transport))
        self._watch.plan()

    def connectionLost(self, reason: Any) -> None:
        """
        The connection is lost: close all streams, and tell Twisted's protocol.
        """
        self._end()
        streams = list(self._streams.values())
        self._streams.clear()
        for stream in streams:
            stream.close()
        protocol, self._protocol = self._protocol, None
        protocol.connectionLost(reason)

    # -- received frames --------------------------------------------------------

    def dataReceived(self, data: bytes) -> None:
        """
        Check the frames, and pass them on.
        """
        self._segments.received(data)

    def isOver(self) -> bool:
        """
        Whether the connection was closed or aborted.
        """
        return self._over

    def passOn(self, data: bytes) -> None:
        """
        Give Twisted some bytes of a frame.
        """
        if self._over:
            return
        try:
            self._protocol.dataReceived(data)
        except Exception as error:
            # Twisted's state machine raises for some invalid frames of a client.
            self.drop(f"it is malformed ({error!r})")
        refused, self._refused = self._refused, None
        if refused is not None and not self._over:
            refused.abortConnection()

    def frameCame(self, frame: Frame) -> bool:
        """
        The head of a frame has arrived: count it.

        @return: whether to pass the frame on.
        """
        number, kind = frame.number, frame.kind
        if kind in (HEADERS, CONTINUATION):
            self._segments.frames.blockCame(frame)
        if kind == GOAWAY:
            # The client makes no more requests, and waits for these responses (RFC 9113
            # section 6.8); Twisted would drop them.
            self.leave()
            return False
        if kind == HEADERS and number not in self._streams and number > self._last:
            if self._leaving:
                # Twisted is given the frames, which count for the compression of fields
                # and the window of the connection; see passOn.
                self._resetCame()
            else:
                self._requestCame(number)
        stream = self._streams.get(number)
        if stream is None:
            return True
        if kind == DATA:
            self._watch.came += frame.length
            stream.received += frame.length
            self._checkBodies()
        if kind == RST_STREAM:
            self._resetCame()
            if not self._over:
                self._ended(number)
        elif frame.endsStream:
            stream.coming = False
            self._watch.rates()
        return True

    def _resetCame(self) -> None:
        self._resets += 1
        most = self._limits.maxStreamResets
        if most is not None and self._resets > most + self._answered:
            self.drop("it resets too many streams", ENHANCE_YOUR_CALM)

    def _requestCame(self, number: int) -> None:
        self._last = number
        self._watch.idle(False)
        self._requests += 1
        self._streams[number] = Stream(self, self._flow, self._transport)
        self._watch.rates()
        most = self._limits.maxRequestsPerConnection
        if most is not None and self._requests >= most:
            self.leave()

    def windowCame(self, frame: Frame, payload: bytes) -> None:
        """
        Apply a WINDOW_UPDATE or SETTINGS frame.
        """
        if frame.kind == SETTINGS:
            self._settings += len(payload) // 6
            most = self._limits.maxSettings
            if most is not None and self._settings > most:
                self.drop("it has too many settings", ENHANCE_YOUR_CALM)
                return
        try:
            self._flow.windowCame(frame, payload)
        except TakenBack:
            self.drop("it made a window smaller than the data that is being sent")

    def _checkBodies(self) -> None:
        most = self._limits.maxBodyLength
        if most is None:
            return
        coming = sum(s.received for s in self._streams.values() if s.coming)
        if coming > most:
            self.drop("its request bodies are longer than maxBodyLength")

    # -- sent frames --------------------------------------------------------------

    def sent(self, data: bytes) -> bytes:
        """
        Count whole frames of h2 that are about to be sent.

        @return: the frames to send.
        """
        if self._leaving:
            # GOAWAY has told the client that these streams are not served (RFC 9113
            # section 6.8).
            data = without_resets(data, self._last)
        for number in errors_in(data):
            if number in self._streams:
                self._resetCame()
        data = with_code(data, self._streams, INTERNAL_ERROR)
        for frame in frames_in(data):
            stream = self._streams.get(frame.number)
            if stream is None:
                continue
            if frame.kind == DATA:
                self._watch.went += frame.length
                self._flow.sent(stream, frame.length)
            if frame.kind == RST_STREAM:
                self._ended(frame.number)
            elif frame.endsStream:
                self._answered += 1
                self._ended(frame.number)
        return data

    def wrote(self) -> None:
        """
        The application has written to a stream: send what may be sent, and check
        C{writeBufferLength} at the end of the turn.
        """
        self._flow.give()
        self._watch.rates()
        most = self._limits.writeBufferLength
        if most is not None and not self._checking and unsent(self._streams) > most:
            self._checking = True
            self._reactor.callLater(0, self._checkUnsent)

    def _checkUnsent(self) -> None:
        """
        At the end of the turn, end the connection if too much waits.
        """
        self._checking = False
        waits, most = unsent(self._streams), self._limits.writeBufferLength
        if most is not None and waits > most and may_grow(self._streams):
            self.drop(f"{waits} bytes wait for it, more than writeBufferLength")

    def _ended(self, number: int) -> None:
        """
        A stream is over: close it.
        """
        stream = self._streams.pop(number)
        self._flow.ended(stream)
        stream.close()
        if not self._streams:
            self._watch.idle(True)

    def settle(self) -> None:
        """
        Called when frames were passed on: send what may be sent now, and close if the
        last stream is over.
        """
        self._flow.give()
        if self._leaving and not self._streams:
            self.close()
        self._watch.plan()

    # -- the end ------------------------------------------------------------------

    def _end(self) -> None:
        self._over = True
        self._segments.stop()
        self._flow.stop()
        self._watch.stop()

    def leave(self) -> None:
        """
        Send GOAWAY, take no more requests, and close after the current ones (RFC 9113
        section 6.8).
        """
        if not self._leaving and not self._over:
            self._leaving = True
            self._transport.write(goaway(self._last, NO_ERROR))
        if not self._streams:
            self.close()

    def close(self) -> None:
        """
        Close the connection; abort it after C{abortTimeout}, unless the client still
        takes its last responses at the least rate.
        """
        if not self._over:
            self._end()
            self._watch.awaitEnd(self._transport)
            self._transport.unregisterProducer()
            self._transport.loseConnection()

    def drop(self, reason: str, code: int | None = None) -> None:
        """
        Abort the connection because a bound was exceeded.

        @param reason: for the log.
        @param code: the error code for a GOAWAY; C{None} to send none.
        """
        if self._over:
            return
        self._end()
        self._log.info(
            "Dropped the HTTP/2 connection of {peer}: {reason}",
            peer=self._transport.getPeer(),
            reason=reason,
        )
        if code is not None:
            self._transport.write(goaway(self._last, code))
        self._transport.abortConnection()


class _GuardedTransport:
    """
    The transport of Twisted's protocol for HTTP/2.
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
        data = self._guard.sent(data)
        if not self._guard.isOver():
            if data:
                self._transport.write(data)
            self._guard.settle()

    def writeSequence(self, data: Any) -> None:
        """
        Send frames.
        """
        self.write(b"".join(data))

    def loseConnection(self) -> None:
        """
        Unregister the producer, and close.  Without this a transport with a producer
        would never close.
        """
        self._guard.close()
