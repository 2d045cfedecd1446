"""
What an application must not send does not go out.
"""

from __future__ import annotations

from typing import Any

from twisted.web.http_headers import Headers

from tests.support.server_cases import GET, ServerTestCase, get
from tests.support.wire import Wire

BAD_BYTES = [b"\r", b"\n", b"\r\n"] + [bytes([code]) for code in (0, 1, 8, 11, 31, 127)]


class ResponseValidationTests(ServerTestCase):
    """
    Response splitting and worse: a 500 and a log line that names it.
    """

    def refused(self, wire: Wire, names: str) -> None:
        """
        The answer to C{wire} is one 500 without what was injected, and the
        log has one line that names it.
        """
        self.assertEqual([500], wire.statuses)
        self.assertNotIn(b"njected", wire.output)
        failures = [str(failure.value) for failure in self.flushLoggedErrors()]
        told = [
            text for text in failures + self.messages() if names.lower() in text.lower()
        ]
        self.assertTrue(told, f"{names} is not named in the log")

    def test_reason(self) -> None:
        """
        A reason phrase with a control character.
        """
        for bad in BAD_BYTES:

            def render(request: Any, bad: bytes = bad) -> bytes:
                request.setResponseCode(200, b"OK" + bad + b"Injected: x")
                return b"body"

            self.refused(self.talk(render, GET), "reason")

    def test_reasonMayHaveText(self) -> None:
        """
        A reason phrase may have spaces, tabs and bytes above 127, or be empty.
        """
        for reason in (b"All is well", b"caf\xe9", b"a\tb", b""):

            def render(request: Any, reason: bytes = reason) -> bytes:
                request.setResponseCode(200, reason)
                return b"body"

            self.assertEqual(reason, self.talk(render, GET).only().reason)

    def test_value(self) -> None:
        """
        A field value with a control character.  (Twisted's C{Headers} makes
        CR and LF harmless itself.)
        """
        for bad in BAD_BYTES[3:]:

            def render(request: Any, bad: bytes = bad) -> bytes:
                request.setHeader(b"X-Thing", b"a" + bad + b"Injected: x")
                return b"body"

            self.refused(self.talk(render, GET), "X-Thing")

    def test_lineEndInValue(self) -> None:
        """
        A line end in a value never makes a second field.
        """
        for bad in BAD_BYTES[:3]:

            def render(request: Any, bad: bytes = bad) -> bytes:
                request.setHeader(b"X-Thing", b"a" + bad + b"Injected: x")
                return b"body"

            wire = self.talk(render, GET)
            self.assertEqual(1, len(wire.responses))
            self.assertEqual([], wire.only().all(b"injected"))
            self.flushLoggedErrors()

    def test_name(self) -> None:
        """
        A field name that is no token.
        """
        for bad in (b" ", b":", b"\x01", b"(", b"\xe9", b"\x00", b"\x7f"):

            def render(request: Any, bad: bytes = bad) -> bytes:
                request.setHeader(b"X" + bad + b"Injected", b"x")
                return b"body"

            try:
                Headers({b"X" + bad + b"Injected": [b"x"]})
            except Exception:
                # this Twisted refuses it before we do
                wire = self.talk(render, GET)
                self.assertEqual([500], wire.statuses)
                self.flushLoggedErrors()
            else:
                self.refused(self.talk(render, GET), "Injected")

    def test_emptyName(self) -> None:
        """
        An empty field name.
        """

        def render(request: Any) -> bytes:
            request.responseHeaders.addRawHeader(b"", b"injected")
            return b"body"

        wire = self.talk(render, GET)
        self.assertEqual([500], wire.statuses)
        self.assertNotIn(b"injected", wire.output)
        self.flushLoggedErrors()

    def test_cookie(self) -> None:
        """
        A cookie with a line end makes no second field.
        """

        def render(request: Any) -> bytes:
            request.addCookie(b"a", b"b\r\nInjected: x")
            return b"body"

        wire = self.talk(render, GET)
        self.assertEqual(1, len(wire.responses))
        self.assertEqual([], wire.only().all(b"injected"))
        self.flushLoggedErrors()

    def test_surroundingSpace(self) -> None:
        """
        White space around a value is stripped.
        """

        def render(request: Any) -> bytes:
            request.setHeader(b"X-Thing", b" \t !a b! \t")
            request.setHeader(b"Content-Type", b" text/plain ")
            return b"body"

        for fast in (True, False):
            wire = self.talk(render, GET, fastPath=fast)
            self.assertIn(b"X-Thing: !a b!\r\n", wire.output)
            self.assertEqual(b"text/plain", wire.only().get(b"content-type"))

    def test_namesInAnyCase(self) -> None:
        """
        Framing fields are recognised in any case of letters.
        """
        for name in (b"CONTENT-LENGTH", b"content-length", b"cOnTeNt-LeNgTh"):

            def render(request: Any, name: bytes = name) -> None:
                request.responseHeaders.addRawHeader(name, b"5")
                request.responseHeaders.addRawHeader(b"TRANSFER-encoding", b"chunked")
                request.write(b"hello")
                request.finish()

            wire = self.talk(render, GET, GET)
            self.assertEqual([b"hello", b"hello"], [r.body for r in wire.responses])
            self.assertEqual([b"5"], wire.responses[0].all(b"content-length"))

    def test_closeInAnyCase(self) -> None:
        """
        So is the application's Connection field.
        """

        def render(request: Any) -> bytes:
            request.responseHeaders.addRawHeader(b"CONNECTION", b"Foo, CLOSE")
            return b""

        wire = self.talk(render, GET + GET)
        self.assertEqual(1, len(wire.responses))
        self.assertTrue(wire.only().closes)

    def test_severalLengths(self) -> None:
        """
        Equal lengths go out as one; different ones are a 500.
        """
        for values, status in (([b"5", b"5"], 200), ([b"5", b"6"], 500)):

            def render(request: Any, values: list[bytes] = values) -> None:
                request.responseHeaders.setRawHeaders(b"Content-Length", values)
                request.write(b"hello")
                request.finish()

            wire = self.talk(render, GET)
            self.assertEqual([status], wire.statuses)
            wire.only().get(b"content-length")
            self.flushLoggedErrors()

    def hello(self, name: bytes, value: bytes) -> Wire:
        """
        The answer of an application that writes content, and sets one field.
        """

        def render(request: Any) -> None:
            request.setHeader(name, value)
            request.write(b"hello")
            request.finish()

        return self.talk(render, GET).settle(6)

    def test_badLength(self) -> None:
        """
        A Content-Length that is no number never goes out.
        """
        for value in (b"five", b"-1", b"+5", b"5, 5", b"", b"0x5", b"1" * 40):
            wire = self.hello(b"Content-Length", value)
            self.assertEqual([500], wire.statuses, repr(value))
            self.flushLoggedErrors()

    def test_unknownTransferCoding(self) -> None:
        """
        A coding that h11 can not frame is a 500, not a hang; what names its own, or
        none, says nothing.
        """
        for coding, status in (
            (b"gzip, chunked", 500),
            (b"gzip", 500),
            (b"Chunked", 200),
            (b"identity", 200),
        ):
            wire = self.hello(b"Transfer-Encoding", coding)
            self.assertEqual([status], wire.statuses, coding)
            if status == 200:
                self.assertEqual(b"hello", wire.only().body)
            self.flushLoggedErrors()

    def test_badStatus(self) -> None:
        """
        A status that is none is a 500.
        """
        for status in (0, 7, 99, 600, 1000, -1):

            def render(request: Any, status: int = status) -> bytes:
                request.setResponseCode(status, b"Injected")
                return b"body"

            wire = self.talk(render, GET)
            wire.settle(6)
            self.assertEqual(500, wire.responses[0].status, str(status))
            self.flushLoggedErrors()

    def test_interimAsFinal(self) -> None:
        """
        A 1xx status is no answer; the client is not left waiting.
        """
        for status in (100, 102, 103):

            def render(request: Any, status: int = status) -> bytes:
                request.setResponseCode(status)
                return b"body"

            wire = self.talk(render, GET)
            wire.settle(6)
            self.assertEqual([500], wire.statuses, str(status))
            self.flushLoggedErrors()

    def test_unusualStatus(self) -> None:
        """
        A status that we have no name for is passed on.
        """
        for status in (299, 418, 451, 499, 511, 599):

            def render(request: Any, status: int = status) -> bytes:
                request.setResponseCode(status)
                return b"body"

            for fast in (True, False):
                wire = self.talk(render, GET, fastPath=fast)
                self.assertEqual(status, wire.only().status)

    def test_nextRequestIsNotHurt(self) -> None:
        """
        After a response that was refused, nothing is out of step.
        """

        def render(request: Any) -> bytes:
            if request.uri == b"/bad":
                request.setHeader(b"X-Thing", b"\x01")
            uri: bytes = request.uri
            return uri

        wire = self.talk(render, get(b"/bad") + get(b"/good"))
        self.flushLoggedErrors()
        responses = wire.responses
        self.assertEqual(500, responses[0].status)
        if not responses[0].closes:
            self.assertEqual(b"/good", responses[1].body)

    def test_rawCaseOfNames(self) -> None:
        """
        Field names keep the case that the application gave them, as far as
        twisted.web's C{Headers} keeps it.
        """

        def render(request: Any) -> bytes:
            request.setHeader(b"x-lower-case", b"1")
            request.setHeader(b"ETag", b'"1"')
            request.setHeader(b"WWW-Authenticate", b"Basic")
            return b"body"

        wire = self.talk(render, GET)
        for line in (
            b"\r\nX-Lower-Case: 1",
            b'\r\nETag: "1"',
            b"\r\nWWW-Authenticate:",
        ):
            self.assertIn(line.lower(), wire.output.lower())
        self.assertIn(b"\r\nETag: ", wire.output)
        self.assertIn(b"\r\nWWW-Authenticate: ", wire.output)
