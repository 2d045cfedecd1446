"""
WSGI applications, as resources.

::

    from twisted_h11.server import Site
    from twisted_h11.wsgi import WSGIResource

    endpoint.listen(Site(WSGIResource(reactor, None, application)))

Applications written for L{twisted.web.wsgi.WSGIResource} run here as they are.
In addition:

  - B{A thread waits for a slow client}, so that a long download takes no more
    memory than a short one.
  - B{A request's body is read while it is received.}  C{wsgi.input} blocks, and the
    client is held back while the application does not read.
  - B{Files are sent by sendfile}, if the application returns C{wsgi.file_wrapper}
    and the connection is a plain socket.  No thread is occupied meanwhile.
  - B{Threads and the requests that wait for them are bounded,} by C{Limits.maxThreads}
    and C{Limits.maxThreadQueue}; further requests get 503.
  - B{A thread does not keep the process from ending,} whatever it does.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any
from weakref import ref

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.web import wsgi
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from twisted_h11._boundary.checks import CALLABLE, REACTOR, Kind, checked, optional
from twisted_h11._boundary.variables import WORKER
from twisted_h11._server.environ import make_environ
from twisted_h11._server.request_ids import identified
from twisted_h11._wsgi.call import Call, FileWrapper
from twisted_h11._wsgi.head import WSGIError
from twisted_h11._wsgi.hops import Hops
from twisted_h11._wsgi.input import ClientDisconnected, open_input
from twisted_h11._wsgi.output import Output, send_page
from twisted_h11._wsgi.threads import DaemonThreads
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.limits import Limits

__all__ = ["ClientDisconnected", "FileWrapper", "WSGIError", "WSGIResource"]


class _Errors:
    """
    C{wsgi.errors}: written text becomes lines of the log.
    """

    _log = Logger()

    def write(self, text: str) -> int:
        """
        Log some text.
        """
        if not isinstance(text, str):
            raise TypeError(f"wsgi.errors takes str, not {text!r}")
        line = text.rstrip("\n")
        if line:
            self._log.error("{text}", text=line, system="wsgi")
        return len(text)

    def writelines(self, lines: list[str]) -> None:
        """
        Log some lines.
        """
        self.write("".join(lines))

    def flush(self) -> None:
        """
        Do nothing: there is no buffer.
        """


@implementer(IStreamingResource)
class WSGIResource(wsgi.WSGIResource):
    """
    A WSGI application as a resource, for its path and all paths below.

    The limits are those of the L{Site<twisted_h11.server.Site>}, its C{maxBodyLength}
    included.  On a L{twisted.web.server.Site} the default limits apply, and a body is
    collected before the application is called.

    @since: 0.1
    """

    isLeaf = True

    # This class hides fields and waits for clients itself.
    needsNoAdapter = True

    # The site's maxBodyLength applies, although the body is streamed.
    keepsBodyLimit = True

    _log = Logger()

    @checked(
        reactor=REACTOR,
        threadpool=optional(
            Kind("a ThreadPool", lambda pool: hasattr(pool, "callInThread"))
        ),
        application=CALLABLE,
    )
    def __init__(
        self, reactor: Any, threadpool: Any, application: Callable[..., Any]
    ) -> None:
        """
        @param reactor: the reactor that the site runs in.
        @param threadpool: the threads in which the application is called: C{None} for
            threads of the resource's own, started when they are needed; or a
            L{twisted.python.threadpool.ThreadPool}, which the caller starts and
            stops.
        @param application: a WSGI application (PEP 3333).
        @raise TypeError: if the application is not callable, or another argument has
            the wrong type.
        """
        super().__init__(reactor, threadpool, application)
        self._reactor = reactor
        self._threads = threadpool
        self._own = threadpool is None
        self._application = application
        self._isWorker = WORKER in os.environ
        self._calls: set[Call] = set()
        self._most = 0
        self._limits: Limits | None = None
        self._refusing = False
        self._stopped = False
        self._idle: list[Deferred[None]] = []
        self._errors = _Errors()
        self._hops = Hops(reactor)

    # -- requests -----------------------------------------------------------------

    def render(self, request: Any) -> Any:
        """
        Call the application in a thread.
        """
        if self._limits is None:
            self._begin(request)
        limits = self._limits
        assert limits is not None
        if self._stopped or len(self._calls) >= self._most:
            self._refuse(request)
            return NOT_DONE_YET
        self._refusing = False
        # Only the application sets Content-Type.
        request.defaultContentType = None
        high = limits.bodyBufferLength
        site = getattr(request, "site", None)
        environ = make_environ(request, getattr(site, "environUnderscores", False))
        content, stream = open_input(request, self._hops, high)
        environ["wsgi.version"] = (1, 0)
        environ["wsgi.input"] = content
        environ["wsgi.input_terminated"] = True
        environ["wsgi.errors"] = self._errors
        environ["wsgi.multithread"] = True
        environ["wsgi.multiprocess"] = self._isWorker
        environ["wsgi.run_once"] = False
        environ["wsgi.file_wrapper"] = FileWrapper
        identifier = getattr(request, "requestId", None)
        if identifier is not None:
            environ["twisted_h11.request_id"] = identifier
        output = Output(self._hops, request, high)
        call = Call(self._application, environ, output, stream, self._over)
        self._calls.add(call)
        try:
            self._threads.callInThread(identified(call.run))
        except BaseException:
            # There is no thread that would report the end of the call.
            self._over(call)
            raise
        return NOT_DONE_YET

    def _begin(self, request: Any) -> None:
        """
        Get the limits of the site from the first request, and make the threads.
        """
        site = getattr(request, "site", None)
        self._limits = limits = getattr(site, "limits", None) or Limits()
        if self._own:
            self._threads = DaemonThreads(limits.maxThreads, "wsgi")
            threads = limits.maxThreads
        else:
            threads = getattr(self._threads, "max", limits.maxThreads)
        self._most = threads + limits.maxThreadQueue
        trigger = getattr(self._reactor, "addSystemEventTrigger", None)
        if trigger is not None:
            # Threads must not wait for a reactor that has stopped.
            trigger("during", "shutdown", _abandon, ref(self))

    def _refuse(self, request: Any) -> None:
        if not self._refusing:
            self._refusing = True
            self._log.warn(
                "The WSGI application {application!r} has {count} requests to "
                "answer; more are refused with 503",
                application=self._application,
                count=len(self._calls),
            )
        request.setHeader(b"Retry-After", b"1")
        send_page(request, 503, "Service Unavailable")

    # -- the end -------------------------------------------------------------------

    def _over(self, call: Call) -> None:
        """
        Called in a thread: the application has returned.
        """
        self._calls.discard(call)
        if self._idle and not self._calls:
            self._hops.call(self._allOver)

    def _allOver(self) -> None:
        if not self._calls:
            idle, self._idle = self._idle, []
            for deferred in idle:
                deferred.callback(None)

    def drain(self, timeout: float) -> Deferred[list[str]]:
        """
        Wait until the application has no requests any more; new ones are still taken.

        @param timeout: seconds after which the remaining requests are abandoned: they
            fail, and their threads end when the application returns.
        @return: fires with the abandoned requests, as text.
        """
        if not self._calls:
            return succeed(self.abandon())
        idle: Deferred[None] = Deferred()
        self._idle.append(idle)
        timer: IDelayedCall = self._reactor.callLater(timeout, idle.callback, None)

        def over(_: object) -> list[str]:
            if idle in self._idle:
                self._idle.remove(idle)
            if timer.active():
                timer.cancel()
            return self.abandon()

        return idle.addCallback(over)

    def abandon(self) -> list[str]:
        """
        Abandon the requests that run now, and take no more.

        @return: the abandoned requests, as text.
        """
        self._stopped = True
        left = list(self._calls)
        for call in left:
            call.abandon()
        if self._own and self._threads is not None:
            self._threads.stop()
        return [repr(call) for call in left]


def _abandon(resource: ref[WSGIResource]) -> None:
    found = resource()
    if found is not None:
        found.abandon()
