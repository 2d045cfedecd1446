"""
Forwarding for proxies: bodies from one connection to another, and the fields that may
be forwarded.

A request's body becomes the body of another request by C{request.bodyProducer()}, a
response's body becomes that of another response by C{response.deliverTo(request)}.
Back-pressure passes from one connection to the other, so that memory does not grow with
the length of a body::

    headers = end_to_end(request.requestHeaders)
    response = await agent.request(
        request.method, uri, headers, request.bodyProducer()
    )
    request.setResponseCode(response.code, response.phrase)
    request.responseHeaders = end_to_end(response.rawFields)
    await response.deliverTo(request)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from twisted_h11._boundary.guarded import guarded

__all__ = ["BodyProducer", "deliver_to", "end_to_end"]

# RFC 9110 section 7.6.1, and RFC 9112 section 6.1: fields about one connection.
_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)


def end_to_end(headers: Headers | Iterable[tuple[bytes, bytes]]) -> Headers:
    """
    The fields of a message that may be forwarded (RFC 9110 section 7.6.1): all but
    those about the connection, and those that C{Connection} names; and
    C{Content-Length} if there is C{Transfer-Encoding}, which overrides it (RFC 9112
    section 6.3): it is not the length of the body.

    @param headers: headers, or pairs of name and value.
    @return: new headers.

    @since: 0.1
    """
    listed = getattr(headers, "pairs", None)
    if listed is not None:
        # The headers of a received request, in the order of the wire.
        pairs = listed()
    elif isinstance(headers, Headers):
        pairs = [(k, v) for k, vs in headers.getAllRawHeaders() for v in vs]
    else:
        pairs = list(headers)
    dropped = set(_HOP_BY_HOP)
    for name, value in pairs:
        lower = name.lower()
        if lower == b"connection":
            dropped.update(option.strip(b" \t") for option in value.lower().split(b","))
        elif lower == b"transfer-encoding":
            dropped.add(b"content-length")
    kept = Headers()
    for name, value in pairs:
        if name.lower() not in dropped:
            kept.addRawHeader(name, value)
    return kept


@implementer(IPushProducer)
class _Pipe(Protocol):
    """
    Reads a body, and writes it to a consumer.

    @param consumer: the consumer.
    @param done: fired when the body has ended.
    @param registers: whether to register as the consumer's producer.
    """

    transport: Any

    def __init__(self, consumer: Any, done: Deferred[None], registers: bool) -> None:
        self._consumer = consumer
        self._done: Deferred[None] | None = done
        self._registers = registers

    def connectionMade(self) -> None:
        """
        Register as the consumer's producer, for back-pressure.
        """
        if not self._registers:
            return
        if getattr(self._consumer, "_disconnected", False):
            # The consumer is a request whose client has gone.
            self.stopProducing()
        else:
            self._consumer.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """
        Write a piece of the body.
        """
        if self._done is not None:
            self._consumer.write(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        End: the body is complete, or was cut for C{reason}.
        """
        if reason.check(ResponseDone, PotentialDataLoss):
            self._end(None)
        else:
            self._end(reason)

    def _end(self, reason: Failure | None) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        if self._registers:
            _unregister(self._consumer)
        if reason is None:
            done.callback(None)
        else:
            done.errback(reason)

    def pauseProducing(self) -> None:
        """
        Pause the body: the consumer's buffer is full.
        """
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """
        Resume the body: the consumer's buffer has room.
        """
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """
        The consumer is closed, and has dropped its producer.
        """
        done, self._done = self._done, None
        self.cut()
        if done is None:
            return
        notifyFinish = getattr(self._consumer, "notifyFinish", None)
        if notifyFinish is None or getattr(self._consumer, "_disconnected", False):
            _gone(None, done)
        else:
            # The consumer is a request: let its notifyFinish fire first.
            maybeDeferred(notifyFinish).addBoth(_gone, done)

    def cut(self) -> None:
        """
        Drop the rest of the body.
        """
        self._done = None
        if self.transport is not None:
            self.transport.loseConnection()


def _unregister(consumer: Any) -> None:
    """
    Tell a consumer that nothing more comes.  If it raises, that is logged: the body and
    the Deferred of its delivery end all the same.
    """
    guarded("Unregistering from the consumer of a body", consumer.unregisterProducer)


def _gone(_: object, done: Deferred[None]) -> None:
    """
    Fail the Deferred of a body: its consumer has gone.
    """
    if not done.called:
        done.errback(ConnectionLost("The consumer of the body has gone."))


def deliver_to(body: Any, consumer: IConsumer) -> Deferred[None]:
    """
    Write a body to a consumer, under back-pressure.

    @param body: an object with C{deliverBody}: a response of any C{IAgent}, or the body
        of a request to L{Site<twisted_h11.server.Site>} (C{request.bodySource()}).
    @param consumer: usually a request; its C{finish} is not called.
    @return: fires with C{None} when the whole body was written.  It fails with the
        reason when the body is cut, and with L{ConnectionLost} when the consumer is
        closed.  In that case, and when the Deferred is cancelled, the rest of the body
        is dropped.

    @since: 0.1
    """

    def cancel(_: object) -> None:
        if not getattr(consumer, "_disconnected", False):
            _unregister(consumer)
        pipe.cut()

    done: Deferred[None] = Deferred(cancel)
    pipe = _Pipe(consumer, done, True)
    body.deliverBody(pipe)
    return done


@implementer(IBodyProducer)
class BodyProducer:
    """
    The body of a received request, as the body of a request to send.

    @ivar length: its length in bytes, or L{twisted.web.iweb.UNKNOWN_LENGTH}.

    @since: 0.1
    """

    def __init__(self, body: Any) -> None:
        """
        @param body: C{request.bodySource()}.
        """
        self.length = body.length
        self._body = body
        self._pipe: _Pipe | None = None

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        """
        Write the body to C{consumer}.  Back-pressure is by C{pauseProducing} and
        C{resumeProducing}.  If the client waits for C{100 Continue}, it is sent now.

        @return: fires with C{None} at the end of the body, and fails if it is cut.
        """
        done: Deferred[None] = Deferred()
        self._pipe = _Pipe(consumer, done, False)
        self._body.deliverBody(self._pipe)
        return done

    def pauseProducing(self) -> None:
        """
        See L{IPushProducer.pauseProducing}.
        """
        if self._pipe is not None:
            self._pipe.pauseProducing()

    def resumeProducing(self) -> None:
        """
        See L{IPushProducer.resumeProducing}.
        """
        if self._pipe is not None:
            self._pipe.resumeProducing()

    def stopProducing(self) -> None:
        """
        Drop the rest of the body.  The site reads and drops what the client still
        sends, up to a bound.
        """
        if self._pipe is not None:
            self._pipe.cut()
