"""
What the strict layer says of a request head that is in order.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.server_cases import get
from twisted_h11._http.strict_requests import check_request_head
from twisted_h11.limits import Limits


class HeadTests(SynchronousTestCase):
    """
    L{check_request_head}.
    """

    def test_table(self) -> None:
        """
        Whether the connection may be used again, whether the client waits for a 100,
        the length of the body, and whether the response may be chunked.
        """
        for line, version, expected in (
            (b"A: b", b"1.1", (True, False, 0, True)),
            (b"A: b", b"1.0", (False, False, 0, False)),
            (b"Connection: keep-alive", b"1.1", (True, False, 0, True)),
            (b"Connection: keep-alive", b"1.0", (False, False, 0, False)),
            (b"Connection: a, Close", b"1.1", (False, False, 0, True)),
            (b"Connection: closed", b"1.1", (True, False, 0, True)),
            (b"Expect: 100-Continue", b"1.1", (True, True, 0, True)),
            (b"Expect: 100-continue", b"1.0", (False, False, 0, False)),
            (b"Expect: other", b"1.0", (False, False, 0, False)),
            (b"Content-Length: 12", b"1.1", (True, False, 12, True)),
            (b"Transfer-Encoding: Chunked", b"1.1", (True, False, None, True)),
        ):
            head = check_request_head(get(b"/", line, version=version), Limits())
            self.assertEqual(
                expected,
                (
                    head.keepAlive,
                    head.expectsContinue,
                    head.length,
                    head.chunkedAllowed,
                ),
                (line, version),
            )

    def test_fields(self) -> None:
        """
        The fields as they were received, without the white space around their values.
        """
        text = bytes(range(33, 127)) + b"!"
        head = check_request_head(get(b"/", b"x-A:\t " + text + b" \t"), Limits())
        self.assertEqual([(b"Host", b"example.com"), (b"x-A", text)], head.fields)
