"""
Response heads, as applications give them, made fit for the wire.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._http.response_to_send import (
    BadResponse,
    ResponseHead,
    check_fields,
    http_date,
    malformed_answer,
    reason_of,
)

LENGTH = (b"Content-Length", b"7")
DATE = (b"dAtE", b"Tue, 14 Nov 2023 22:13:20 GMT")


class HeadTests(SynchronousTestCase):
    """
    L{ResponseHead}.
    """

    def test_date(self) -> None:
        """
        There is one date: that of the application, if it has one.
        """
        for given, expected in (([], (b"Date", http_date())), ([DATE], DATE)):
            head = ResponseHead(200, b"OK", given, b"GET")
            self.assertEqual([expected], head.fields)
        self.assertTrue(http_date().endswith(b" GMT"))

    def test_length(self) -> None:
        """
        What has no content says so in its own way (RFC 9112 section 6.3): 204 without
        a length, 205 with none but zero; a response to HEAD, and 304, have that of the
        content that is left out.
        """
        zero = (b"Content-Length", b"0")
        for status, method, fields, length, has in (
            (200, b"GET", [LENGTH, DATE], 7, True),
            (200, b"HEAD", [LENGTH, DATE], 7, False),
            (204, b"GET", [DATE], None, False),
            (204, b"HEAD", [DATE], None, False),
            (205, b"GET", [DATE, zero], None, False),
            (205, b"HEAD", [LENGTH, DATE], 7, False),
            (206, b"GET", [LENGTH, DATE], 7, True),
            (304, b"GET", [LENGTH, DATE], 7, False),
            (305, b"GET", [LENGTH, DATE], 7, True),
        ):
            head = ResponseHead(status, b"", [LENGTH, DATE], method)
            self.assertEqual(
                (fields, length, has),
                (head.fields, head.length, head.hasContent),
                (status, method),
            )

    def test_lengthOnce(self) -> None:
        """
        A length that is given twice is one field.
        """
        again = (b"content-length", b"07")
        head = ResponseHead(200, b"", [LENGTH, DATE, again], b"GET")
        self.assertEqual(([LENGTH, DATE], 7), (head.fields, head.length))

    def test_close(self) -> None:
        """
        Whether the application wants to close, in a list and in any case.
        """
        for value, closes in ((b"a, CLOSE", True), (b"closed", False), (b"", False)):
            head = ResponseHead(200, b"", [(b"conNection", value)], b"GET")
            self.assertEqual(closes, head.close, value)
        self.assertFalse(ResponseHead(200, b"", [(b"a", b"close")], b"GET").close)

    def test_codings(self) -> None:
        """
        C{Transfer-Encoding} is left out: what frames the content decides that.
        """
        for value in (b"chunked", b"Chunked", b"identity"):
            head = ResponseHead(200, b"", [(b"transfer-encoding", value), DATE], b"GET")
            self.assertEqual([DATE], head.fields)

    def test_refused(self) -> None:
        """
        It is said what can not be sent.
        """
        for pair, text in (
            ((b"a b", b"c"), "is not a field name: b'a b'"),
            ((b"a", b"c\n"), "the field b'a' has a control character"),
            ((b"Content-Length", b"-7"), "is not a Content-Length: b'-7'"),
            ((b"Content-Length", b"8"), "two Content-Length fields: 7 and 8"),
            ((b"Transfer-Encoding", b"gzip"), "coding is not supported: b'gzip'"),
        ):
            error = self.assertRaises(
                BadResponse, ResponseHead, 200, b"", [LENGTH, pair], b"GET"
            )
            self.assertIn(text, str(error))

    def test_fieldsOfTheFastPath(self) -> None:
        """
        The fields of a head that the fast path has made are read from its bytes.
        """
        raw = (
            b"HTTP/1.1 200 OK\r\nA: b: c: d\r\n"
            b"Transfer-Encoding: chunked\r\nB: Transfer-Encoding\r\n\r\n"
        )
        head = ResponseHead.sent(200, b"OK", raw, None)
        self.assertEqual(
            [(b"A", b"b: c: d"), (b"B", b"Transfer-Encoding")], head.fields
        )

    def test_statuses(self) -> None:
        """
        A final response has a status from 200 to 599.
        """
        for status in (200, 599):
            self.assertEqual(status, ResponseHead(status, b"", [], b"GET").status)
        for status in (199, 600):
            self.assertRaises(BadResponse, ResponseHead, status, b"", [], b"GET")

    def test_reasons(self) -> None:
        """
        The usual phrase, of Twisted's table or of Python's; nothing for a status that
        nobody knows.
        """
        for status, reason in (
            (200, b"OK"),
            (418, b"I'm a Teapot"),
            (425, b"Too Early"),
            (299, b""),
        ):
            self.assertEqual(reason.lower(), reason_of(status).lower())


class MalformedTests(SynchronousTestCase):
    """
    L{malformed_answer}.
    """

    def test_events(self) -> None:
        """
        The answer has a status, a date, a text of a length, and is the last; for HEAD
        the text is left out.
        """
        error = h11.RemoteProtocolError("no", error_status_hint=431)
        head, data, end = malformed_answer(error, False)
        assert isinstance(head, h11.Response) and isinstance(data, h11.Data)
        self.assertEqual(431, head.status_code)
        self.assertEqual(
            [
                (b"date", http_date()),
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", b"%d" % len(data.data)),
                (b"connection", b"close"),
            ],
            list(head.headers),
        )
        self.assertEqual(b"The request is malformed.\n", data.data)
        self.assertIsInstance(end, h11.EndOfMessage)
        kinds = [type(event) for event in malformed_answer(error, True)]
        self.assertEqual([h11.Response, h11.EndOfMessage], kinds)


class FieldTests(SynchronousTestCase):
    """
    L{check_fields}, for interim responses and trailers.
    """

    def test_inOrder(self) -> None:
        """
        White space around values is taken off, and nothing else.
        """
        text = bytes(range(33, 127)) + b"!"
        checked = check_fields([(b"Link", b" \t" + text + b"\t "), (b"A", b"")])
        self.assertEqual([(b"Link", text), (b"A", b"")], checked)

    def test_notBytes(self) -> None:
        """
        It is said what must be bytes.
        """
        pairs: list[Any] = [("a", b"b"), (b"a", "b"), (1, None)]
        for pair in pairs:
            error = self.assertRaises(TypeError, check_fields, [pair])
            self.assertIn("must be bytes", str(error))

    def test_refused(self) -> None:
        """
        Names that are none, control characters, and fields that frame are refused.
        """
        for name, value, text in (
            (b"a b", b"c", "is not a field name"),
            (b"", b"c", "is not a field name"),
            (b"a", b"c\n", "control character"),
            (b"Content-length", b"1", "can not be sent here"),
            (b"Transfer-encoding", b"chunked", "can not be sent here"),
            (b"TRAILER", b"a", "can not be sent here"),
        ):
            error = self.assertRaises(BadResponse, check_fields, [(name, value)])
            self.assertIn(text, str(error))
