"""
A response on its way from a thread to a client.

The thread queues content here, and schedules one call in the reactor's thread for all
that is queued until it runs: the head, the first piece and the end of a short response
need one call together.  The thread blocks while more than C{Limits.bodyBufferLength}
is queued, so memory does not grow with the length of a response.

An L{Output} is a push producer of its request, which any request class of
twisted.web accepts.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web import util
from zope.interface import implementer

from twisted_h11._http.response_to_send import error_page
from twisted_h11._server.error_pages import replace_page
from twisted_h11._wsgi.head import Head
from twisted_h11._wsgi.hops import Hops
from twisted_h11._wsgi.input import ClientDisconnected

__all__ = ["Output", "Region", "send_page"]

_log = Logger()


@dataclass(frozen=True)
class Region:
    """
    The rest of a file, as the whole content of a response.
    """

    file: Any
    offset: int
    length: int


@dataclass(frozen=True)
class _End:
    """
    How a response ends: with a region of a file, with a failure, or without both.
    """

    region: Region | None = None
    failure: Failure | None = None


@implementer(IPushProducer)
class Output:
    """
    One response.

    @ivar gone: whether the client has gone, or the server stops.

    @param hops: makes calls in the reactor's thread.
    @param request: any request of twisted.web's.
    @param high: how many bytes may wait here before L{send} blocks.
    """

    def __init__(self, hops: Hops, request: Any, high: int) -> None:
        self._hops = hops
        self._request = request
        self._high = high
        self._lock = threading.Lock()
        # Made when the thread has to wait for the first time.
        self._ready: threading.Condition | None = None
        self._head: Head | None = None
        self._pieces: list[bytes] = []
        self._size = 0
        self._end: _End | None = None
        self._asked = False
        self._paused = False
        self._begun = False
        self._registered = False
        self._done: Callable[[], object] | None = None
        self.gone = False
        encoded = getattr(request, "_encoder", None) is not None
        self.sendsFiles = getattr(request, "_direct", False) and not encoded
        request.notifyFinish().addErrback(self._lost)

    # -- in the thread of the application ----------------------------------------

    def send(self, head: Head, data: bytes, last: bool) -> None:
        """
        Send some content, with the head before the first piece.  Block while
        too many bytes wait for the client.

        @param last: whether the content is complete.
        @raise ClientDisconnected: if the client has gone, unless C{last}.
        """
        with self._lock:
            self._head = head
            if data:
                self._pieces.append(data)
                self._size += len(data)
            if last:
                self._end = _End()
            ask = self._ask()
        if ask:
            self._hops.call(self._flush)
        if self._size > self._high and not last:
            self._wait()
        if self.gone and not last:
            raise ClientDisconnected("The client has gone.")

    def sendRegion(
        self, head: Head, region: Region, done: Callable[[], object]
    ) -> None:
        """
        Send a region of a file as all the content.

        @param done: called once, usually in the reactor's thread, when the file is
            not needed any more.
        """
        with self._lock:
            gone = self.gone
            self._head = head
            self._end = _End(region=region)
            if not gone:
                self._done = done
            # The reactor was not asked yet: nothing comes before a region.
            self._asked = True
        if gone:
            done()
        else:
            self._hops.call(self._flush)

    def fail(self, failure: Failure) -> None:
        """
        The application has failed: respond with 500, or cut off the response.
        """
        with self._lock:
            self._end = _End(failure=failure)
            ask = self._ask()
        if ask:
            self._hops.call(self._flush)

    def _wait(self) -> None:
        with self._lock:
            ready = self._ready
            if ready is None:
                ready = self._ready = threading.Condition(self._lock)
            while self._size > self._high and not self.gone:
                ready.wait()

    @property
    def ended(self) -> bool:
        """
        Whether the end of the response was queued.
        """
        return self._end is not None

    def _ask(self) -> bool:
        """
        @return: whether the caller must schedule C{_flush}.
        """
        ask = not (self._asked or self.gone)
        self._asked = True
        return ask

    # -- in the reactor's thread ------------------------------------------------

    def _lost(self, reason: Failure | None) -> None:
        """
        The response can not be sent: drop what waits, and wake the thread.
        """
        with self._lock:
            self.gone = True
            self._pieces.clear()
            self._size = 0
            self._forgetFailure()
            if self._ready is not None:
                self._ready.notify()
        if self._request is not None:
            self._request = None
            self._regionSent()

    def _forgetFailure(self) -> None:
        """
        Drop the failure: it keeps frames, also those of its causes.
        """
        if self._end is not None:
            self._end = _End()

    def abandon(self) -> None:
        """
        The server stops: drop the response, and wake the thread.
        """
        self._lost(None)
        self._regionSent()

    def pauseProducing(self) -> None:
        """
        The client does not keep up: keep what the thread sends.
        """
        self._paused = True

    def resumeProducing(self) -> None:
        """
        The client takes more: write what waits.
        """
        self._paused = False
        self._flush()

    def stopProducing(self) -> None:
        """
        The client has gone: drop the response.
        """
        self._lost(None)

    def _flush(self) -> None:
        """
        Write what waits to the request.
        """
        request = self._request
        with self._lock:
            if request is None or self._paused:
                # resumeProducing calls this again; _asked stays set until then.
                return
            self._asked = False
            pieces, self._pieces = self._pieces, []
            self._size = 0
            end, head = self._end, self._head
            if self._ready is not None:
                self._ready.notify()
        data = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        try:
            self._give(request, head, data, end)
        except Exception:
            # A foreign request class, or what it calls, has raised.
            _log.failure("A response of a WSGI application could not be written")
            self._cut(request)

    def _give(
        self, request: Any, head: Head | None, data: bytes, end: _End | None
    ) -> None:
        failure = None if end is None else end.failure
        if not self._begun and (failure is None or data):
            assert head is not None
            self._begun = True
            if end is not None and end.region is None and failure is None:
                self._request = None
                self._giveWhole(request, head, data)
                return
            head.apply(request)
            if end is None:
                # Before the write: with a producer the kernel keeps fewer bytes
                # that it can not send.
                self._registered = True
                request.registerProducer(self, True)
            request.write(data)
        elif data:
            request.write(data)
        if end is None or self._request is None:
            return
        self._giveEnd(request, end)

    def _giveWhole(self, request: Any, head: Head, data: bytes) -> None:
        """
        Send a response whose content is complete.
        """
        whole = getattr(request, "_sendWhole", None)
        if whole is not None and head.length == len(data) and head.hasContent:
            head.apply(request, whole=True)
            whole(data)
            return
        head.apply(request)
        request.write(data)
        request.finish()

    def _giveEnd(self, request: Any, end: _End) -> None:
        self._unregister(request)
        self._request = None
        self._forgetFailure()
        if end.failure is not None:
            if self._begun:
                self._cut(request)
            else:
                send_page(request, 500, "Processing Failed", end.failure)
        elif end.region is not None:
            region = end.region
            try:
                sending = request.sendFile(region.file, region.offset, region.length)
            except Exception:
                # The file has become shorter.
                self._regionSent()
                raise
            sending.addBoth(self._regionSent)
            request.finish()
        else:
            request.finish()

    def _regionSent(self, _: object = None) -> None:
        done, self._done = self._done, None
        if done is not None:
            done()

    def _unregister(self, request: Any) -> None:
        if self._registered:
            self._registered = False
            request.unregisterProducer()

    def _cut(self, request: Any) -> None:
        """
        Cut off the response, so that the client can tell that it is not complete.
        """
        self._unregister(request)
        channel = getattr(request, "channel", None)
        self._lost(None)
        if channel is not None:
            # Of our channel, of a stream of HTTP/2, and of Twisted's channel.
            names = ("failResponse", "abortConnection", "forceAbortClient")
            fail, *_ = [getattr(channel, n) for n in names if hasattr(channel, n)]
            fail()


def send_page(
    request: Any, code: int, brief: str, failure: Failure | None = None
) -> None:
    """
    Respond with a default error page.

    @param code: the status.
    @param brief: the title of the page.
    @param failure: shown, if the site shows tracebacks.
    """
    detail = "<p>The server failed.</p>" if code == 500 else f"<p>{brief}.</p>"
    site = getattr(request, "site", None)
    if failure is not None and getattr(site, "displayTracebacks", False):
        brief = "web.Server Traceback (most recent call last)"
        detail = util.formatFailure(failure).decode("utf-8", "replace")
    request.setResponseCode(code)
    page = replace_page(request, code, error_page(code, brief, detail))
    request.setHeader(b"Content-Length", b"%d" % len(page))
    request.write(b"" if request.method == b"HEAD" else page)
    request.finish()
