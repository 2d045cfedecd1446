"""
C{python -m twisted_h11 URL}: what is told of a request, and the codes of what fails.
"""

from __future__ import annotations

import io
import os
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, inlineCallbacks
from twisted.internet.error import ConnectError, ConnectionLost, DNSLookupError
from twisted.internet.error import TimeoutError as TwistedTimeoutError
from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import (
    RequestGenerationFailed,
    RequestTransmissionFailed,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.error import SchemeNotSupported

from tests.command.test_fetch_faults import FaultTestCase, answer
from tests.support.times import eventually
from tests.support.tls_servers import make_factory
from twisted_h11._client import errors
from twisted_h11._command.fetch import fetch
from twisted_h11._command.fetch_codes import Failed, exit_code
from twisted_h11._command.fetch_options import BadUsage, parse
from twisted_h11._command.fetch_output import Messages, Output, OutputFailed
from twisted_h11.client import (
    CertificateError,
    MalformedResponse,
    ProxyRefused,
    ResponseTooLarge,
    TLSFailed,
    UnexpectedEnd,
)

net: Any = reactor


class CodeTests(SynchronousTestCase):
    """
    L{exit_code}.
    """

    def proxy(self, error: Exception) -> Any:
        """
        The same, of a proxy.
        """
        return errors.blame(Failure(error), "127.0.0.1:1").value

    def late(self, phase: str, answered: bool = False) -> Any:
        """
        What a time-out becomes.
        """
        late = Failure(errors.TimedOut("late"))
        return errors.of_exchange(phase, None, answered, 1, late, None).value

    def wrapping(self, kind: Any, reason: Exception) -> Any:
        """
        An error with a reason.
        """
        return kind([Failure(reason)])

    def test_table(self) -> None:
        """
        Whatever a request fails with has the code that curl has for it.
        """
        lost = ConnectionLost()
        for error, code in (
            (BadUsage("x", 26), 26),
            (Failed("x", 22), 22),
            (OutputFailed("x"), 23),
            (SchemeNotSupported(b"x"), 1),
            (ValueError("x"), 3),
            (TwistedTimeoutError(), 28),
            (self.late(errors.SENDING), 28),
            (self.late(errors.HEAD), 28),
            (self.late(errors.BODY, True), 28),
            (self.wrapping(errors.TLSTimedOut, errors.TimedOut("x")), 28),
            (self.wrapping(TLSFailed, CertificateError("x")), 60),
            (self.wrapping(TLSFailed, lost), 35),
            (DNSLookupError(), 6),
            (self.proxy(DNSLookupError()), 5),
            (ProxyRefused(403, b"No", b"a:1"), 56),
            (self.proxy(self.wrapping(ResponseNeverReceived, lost)), 56),
            (self.proxy(self.wrapping(RequestTransmissionFailed, lost)), 56),
            (self.proxy(self.wrapping(ResponseFailed, lost)), 56),
            (ConnectError(), 7),
            (self.proxy(ConnectError()), 7),
            (self.wrapping(RequestGenerationFailed, ValueError()), 43),
            (self.wrapping(RequestTransmissionFailed, lost), 55),
            (self.wrapping(ResponseNeverReceived, lost), 52),
            (self.wrapping(ResponseFailed, MalformedResponse()), 8),
            (self.wrapping(ResponseFailed, ResponseTooLarge()), 63),
            (self.wrapping(ResponseFailed, UnexpectedEnd()), 18),
            (ResponseFailed([Failure(lost), Failure(UnexpectedEnd())]), 18),
            (self.wrapping(ResponseFailed, lost), 56),
            (self.wrapping(ResponseFailed, KeyError("x")), 56),
            (CancelledError(), 56),
        ):
            self.assertEqual(code, exit_code(error), repr(error))

    def test_late(self) -> None:
        """
        C{-m} ends a request that takes longer, with 28.
        """
        self.patch(os, "environ", {})
        clock = MemoryReactorClock()
        options = parse(["-m", "5", "http://127.0.0.1/"])
        fetching = Deferred.fromCoroutine(
            fetch(clock, options, Output(None), Messages(None))
        )
        clock.advance(4.9)
        self.assertNoResult(fetching)
        clock.advance(0.1)
        self.assertEqual(28, exit_code(self.failureResultOf(fetching).value))


class ToldTests(FaultTestCase):
    """
    What is sent, and told, of requests to servers on loopback.
    """

    def setUp(self) -> None:
        """
        No proxy.
        """
        self.patch(os, "environ", {})
        self.out, self.errors = io.BytesIO(), io.StringIO()

    def listen(self, factory: Any) -> str:
        """
        Listen.
        """
        self.factory = factory
        return super().listen(factory)

    def fetch(self, *arguments: str) -> Deferred[None]:
        """
        Fetch.
        """
        return Deferred.fromCoroutine(
            fetch(net, parse([*arguments]), Output(self.out), Messages(self.errors))
        )

    @inlineCallbacks
    def test_ownFields(self) -> Any:
        """
        Who sends C{User-Agent} and C{Accept} sends only his own.
        """
        factory = make_factory(answer(b"200 OK", b""), closes=True)
        url = self.listen(factory)
        yield self.fetch(url)
        yield self.fetch("-H", "user-agent: me", "-H", "ACCEPT: text/plain", url)
        for head, fields in zip(
            factory.heads,
            ([b"twisted-h11/", b"*/*"], [b"me", b"text/plain"]),
            strict=True,
        ):
            values = dict(
                line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:]
            )
            self.assertEqual(head.lower().count(b"\r\nuser-agent: "), 1)
            self.assertEqual(head.lower().count(b"\r\naccept: "), 1)
            self.assertTrue(values[b"user-agent"].startswith(fields[0]))
            self.assertEqual(values[b"accept"], fields[1])

    @inlineCallbacks
    def test_interim(self) -> Any:
        """
        With C{-v} interim responses are told before the final one.
        """
        early = b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
        yield self.fetch("-v", self.serve(early + answer(b"200 OK", b"x")))
        self.assertIn("< 103 Early Hints\n< HTTP/1.1 200 OK\n", self.errors.getvalue())
        self.assertEqual(b"x", self.out.getvalue())

    @inlineCallbacks
    def test_trailers(self) -> Any:
        """
        With C{-v} trailers are told, each value; without it they are not.
        """
        url = self.serve(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"1\r\nx\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n"
        )
        yield self.fetch(url)
        self.assertEqual("", self.errors.getvalue())
        yield self.fetch("-v", url)
        text = self.errors.getvalue()
        self.assertTrue(
            text.endswith("< X-Sum: 1 (trailer)\n< X-Sum: 2 (trailer)\n"), text
        )

    @inlineCallbacks
    def test_controls(self) -> Any:
        """
        With C{-v} what a terminal could take for a command is escaped, wherever a
        server has put it: U+009B begins one.
        """
        url = self.serve(
            b"HTTP/1.1 103 \x9b1m\r\nA: \x9b2m\r\n\r\n"
            b"HTTP/1.1 200 \x9b3m\r\nA: \x9b4m \xe4\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nT: \x9b5m\r\n\r\n"
        )
        yield self.fetch("-v", url)
        text = self.errors.getvalue()
        self.assertTrue(text.replace("\n", "").isprintable(), text)
        for number in (1, 3, 4, 5):
            self.assertIn(f"\\x9b{number}m", text)
        self.assertIn("4m \xe4\n", text)

    @inlineCallbacks
    def test_why(self) -> Any:
        """
        With C{-v} the last event says why the request has failed.
        """
        failing = self.fetch("-v", self.serve(b"nonsense\r\n\r\n"))
        error = yield self.assertFailure(failing, ResponseFailed)
        self.assertTrue(self.errors.getvalue().endswith(f"ms  ended: {error}\n"))

    @inlineCallbacks
    def test_noCertificate(self) -> Any:
        """
        A file without a certificate has the code of one that can not be read.
        """
        name = self.mktemp()
        with open(name, "w") as file:
            file.write("-----BEGIN nothing")
        failing = self.fetch("--cacert", name, "https://127.0.0.1:1/")
        error = yield self.assertFailure(failing, BadUsage)
        self.assertEqual((77, f"No certificate in {name}"), (error.code, str(error)))

    @inlineCallbacks
    def test_cancelled(self) -> Any:
        """
        Who gives up in the middle of a body keeps what came, and the connection is
        closed.
        """
        name = self.mktemp()
        url = self.stall()
        fetching = self.fetch("-o", name, url)
        yield eventually(lambda: os.path.exists(name) and os.path.getsize(name))
        fetching.cancel()
        yield self.assertFailure(fetching, CancelledError)
        yield eventually(lambda: not self.factory.connections)
        with open(name, "rb") as file:
            self.assertEqual(b"begun", file.read())
