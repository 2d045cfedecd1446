"""
What can go wrong with a request, and in which phase it went wrong.

Code that uses twisted.web's client catches C{ResponseFailed},
C{RequestTransmissionFailed} and their kin, and looks at their C{reasons}.  The classes
here are subclasses of those, so that such code works unchanged, and have two further
attributes: the B{phase} in which the request failed, and the time since its start.

A time-out is an instance of the class that twisted.web would use for a connection lost
at that moment, and of L{TimedOut}, a L{twisted.internet.error.TimeoutError}.

All of them are L{RequestError}s.  L{adopt} makes errors from elsewhere (name look-up,
connecting, an endpoint of the application's, cancellation) instances of both their own
class and L{RequestError}.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.python.failure import Failure
from twisted.web import client
from twisted.web._newclient import RequestNotSent

from twisted_h11._boundary.twisted_private_client import DataLoss

__all__ = [
    "ConnectTimedOut",
    "MalformedResponse",
    "Phased",
    "PoolTimedOut",
    "ProxyError",
    "QueueFull",
    "RequestError",
    "RequestNotSent",
    "ResponseTooLarge",
    "TLSFailed",
    "TimedOut",
    "UnexpectedEnd",
    "adopt",
    "blame",
]

# The phases of a request, in the order in which they happen.
QUEUED = "waiting for a connection"
CONNECTING = "connecting"
HANDSHAKE = "TLS handshake"
SENDING = "sending the request"
HEAD = "waiting for the response head"
BODY = "receiving the response body"


class RequestError(Exception):
    """
    The base class of all errors of a request.  Each error is also an instance of
    the class that Twisted uses for the same failure.

    @ivar phase: the phase of the request, in words; empty if that is not known.
    @ivar elapsed: seconds since the request was started.

    @since: 0.1
    """

    phase: str = ""
    elapsed: float = 0.0


class Phased(RequestError):
    """
    An error whose text has the phase of the request, and the time since its start.

    @ivar reasons: the causes, each a L{Failure<twisted.python.failure.Failure>}.

    @since: 0.1
    """

    reasons: Sequence[Failure] = ()

    def __str__(self) -> str:
        # The last one says most: how a connection ended is told by what it cut.
        text = describe(self.reasons[-1].value) if self.reasons else ""
        if not text:
            text = ", ".join(str(argument) for argument in self.args)
        if not self.phase:
            return text
        return f"{text} ({self.phase}, after {self.elapsed:.3g} s)"


class TimedOut(Phased, TwistedTimeoutError):
    """
    One of the client's time-outs has passed.

    @since: 0.1
    """

    osError = None

    def __init__(self, *args: object) -> None:
        Exception.__init__(self, *args)


class PoolTimedOut(TimedOut, RequestNotSent):
    """
    No connection became free in time.  Nothing was sent.

    @since: 0.1
    """


class QueueFull(Phased, RequestNotSent):
    """
    Too many requests wait for a connection already.  Nothing was sent.

    @since: 0.1
    """


class ConnectTimedOut(TimedOut):
    """
    The connection was not made in time.  Nothing was sent.

    @since: 0.1
    """


class MalformedResponse(RequestError):
    """
    The server's response is not valid HTTP/1.1; the message says why.

    @since: 0.1
    """


class ResponseTooLarge(RequestError):
    """
    A part of the response is longer than the settings allow.

    @since: 0.1
    """


class UnexpectedEnd(RequestError, DataLoss):  # type: ignore[misc]
    """
    The connection ended before the response did.  Where an error has it among its
    reasons, the one before it is how the connection ended.

    @since: 0.1
    """


class ProxyError(RequestError, ConnectError):
    """
    The connection to a proxy failed, or the proxy did not open a tunnel.  Nothing was
    sent to the server.  The error is also an instance of the original error's class.

    @ivar proxy: host and port of the proxy; empty if they are not known.

    @since: 0.1
    """

    proxy: str = ""
    osError: object = None
    # The class of the original error, which gives the text.
    _kind: Any = None

    def __str__(self) -> str:
        who = f"The proxy {self.proxy}" if self.proxy else "The proxy"
        if self._kind is None:
            return f"{who}: {self.osError or ', '.join(map(str, self.args))}"
        return f"{who}: {self._kind.__str__(self)}"


class Generation(Phased, client.RequestGenerationFailed):
    pass


class Transmission(Phased, client.RequestTransmissionFailed):
    pass


class NeverReceived(Phased, client.ResponseNeverReceived):
    pass


class Failed(Phased, client.ResponseFailed):
    pass


class TransmissionTimedOut(client.RequestTransmissionFailed, TimedOut):
    pass


class NeverReceivedTimedOut(client.ResponseNeverReceived, TimedOut):
    pass


class FailedTimedOut(client.ResponseFailed, TimedOut):
    pass


class TLSFailed(Phased, client.ResponseNeverReceived):
    """
    The TLS handshake failed; the message says why.  Nothing was sent.

    @since: 0.1
    """


class TLSTimedOut(TLSFailed, TimedOut):
    def __init__(self, reasons: Sequence[Failure]) -> None:
        client.ResponseNeverReceived.__init__(self, reasons)


def describe(error: BaseException | None) -> str:
    """
    One line that says what an exception means.
    """
    return str(error).rstrip(".") or type(error).__name__


def explain(error: Exception, raw: bytes) -> MalformedResponse:
    """
    Make an error that says what is wrong with a response head, and in which fields.

    @param error: h11's error.
    @param raw: the head as it was received.
    """
    text = str(error)
    if "Content-Length" in text or "Transfer-Encoding" in text:
        parts = [line.partition(b":") for line in raw.splitlines()]
        found = [
            f"{name.decode('latin-1').strip()}: {value.decode('latin-1').strip()}"
            for name, _, value in parts
            if name.strip().lower() in (b"content-length", b"transfer-encoding")
        ]
        if found:
            return MalformedResponse(f"{text}: {', '.join(found)!s}"[:500])
    return MalformedResponse(text[:500])


def wrap(
    kind: Any,
    phase: str,
    elapsed: float,
    *reasons: Failure,
    response: Any = None,
) -> Failure:
    """
    Make a failure of one of the classes above that wrap other failures.
    """
    if response is not None:
        error = kind(list(reasons), response)
    else:
        error = kind(list(reasons))
    return phased(error, phase, elapsed)


def of_exchange(
    phase: str,
    kind: Any,
    answered: bool,
    elapsed: float,
    reason: Failure,
    response: Any,
) -> Failure:
    """
    Make the failure of an exchange.

    @param kind: the class of the failure; C{None} to choose it by the phase.
    @param answered: whether any byte of a response was received.
    """
    late = isinstance(reason.value, TimedOut)
    if phase is BODY or (kind is None and answered):
        kind = FailedTimedOut if late else Failed
    elif kind is None and phase is SENDING:
        kind = TransmissionTimedOut if late else Transmission
    elif kind is None:
        kind = NeverReceivedTimedOut if late else NeverReceived
    reasons = [reason]
    if isinstance(reason.value, UnexpectedEnd) and reason.value.__cause__ is not None:
        # Programs look there for how the connection ended, as with twisted.web.
        reasons.insert(0, Failure(reason.value.__cause__))
    return wrap(kind, phase, elapsed, *reasons, response=response)


def phased(error: Any, phase: str, elapsed: float) -> Failure:
    """
    Make a failure of an exception, and note the phase on it.
    """
    error.phase = phase
    error.elapsed = elapsed
    return Failure(error)


@lru_cache(maxsize=256)
def _adopted(kind: Any, base: Any = RequestError) -> Any:
    """
    A class that is both C{kind} and C{base}.
    """
    namespace = {
        "__module__": kind.__module__,
        # The text of Twisted's errors is their docstring.
        "__doc__": kind.__doc__,
        "_kind": kind,
        "__reduce__": lambda self: (
            _adopt,
            (kind, self.args, _state(self), base),
        ),
    }
    return type(kind.__name__, (base, kind), namespace)


def _state(error: Exception) -> dict[str, Any]:
    state = dict(vars(error))
    for name in ("filename", "filename2"):
        # OSError removes the file names from its args.
        if isinstance(error, OSError) and getattr(error, name) is not None:
            state[name] = getattr(error, name)
    return state


def _adopt(
    kind: type[Exception],
    args: tuple[Any, ...],
    state: dict[str, Any],
    base: Any = RequestError,
) -> RequestError:
    made: Any = kind
    adopted = _adopted(made, base)
    error: RequestError = adopted.__new__(adopted, *args)
    # Python's own classes keep state outside __dict__, which only they restore.
    builtin: Any = next(c for c in kind.__mro__ if c.__module__ == "builtins")
    builtin.__init__(error, *args)
    error.args = args
    for name, value in state.items():
        setattr(error, name, value)
    return error


def adopt(reason: Failure, phase: str = "", elapsed: float = 0.0) -> Failure:
    """
    Make the error of a failure a L{RequestError}.

    @param phase: the phase in which the request failed, if the error has none.
    @param elapsed: seconds after its start.
    @return: a failure whose value is a L{RequestError}, and an instance of its
        original class.
    """
    error = reason.value
    if isinstance(error, Exception) and not isinstance(error, RequestError):
        reason = _remade(reason, RequestError)
        error = reason.value
    if phase and isinstance(error, RequestError) and not error.phase:
        error.phase = phase
        error.elapsed = elapsed
    return reason


def _remade(reason: Failure, base: type[RequestError]) -> Failure:
    """
    The same failure, whose value is an instance of C{base}, too.
    """
    error: Any = reason.value
    try:
        # The original class, if the error was adopted already.
        kind = getattr(error, "_kind", None) or type(error)
        made = _adopt(kind, error.args, _state(error), base)
    except Exception:
        # The class allows no subclass or copy: keep the error as the cause.
        made = base(f"{type(error).__name__}: {error}")
    made.__context__ = error.__context__
    if error.__cause__ is not None or error.__suppress_context__:
        made.__cause__ = error.__cause__
    return Failure(made, type(made), reason.getTracebackObject())


def blame(reason: Failure, proxy: str) -> Failure:
    """
    Make a failure a L{ProxyError}, unless it is one or a cancellation.

    @param proxy: host and port of the proxy, or empty.
    """
    error = reason.value
    if isinstance(error, ProxyError) or not isinstance(error, Exception):
        return reason
    if isinstance(error, CancelledError):
        return reason
    blamed = _remade(reason, ProxyError)
    made: Any = blamed.value
    made.proxy = proxy
    return blamed
