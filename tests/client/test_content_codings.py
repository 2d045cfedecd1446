"""
Which bodies L{ContentDecoderAgent} decodes, and what is left of Content-Encoding.
"""

from __future__ import annotations

import gzip
from typing import Any

from tests.support.client_cases import ClientTestCase
from twisted_h11.client import ContentDecoderAgent, GzipDecoder, readBody

TEXT = b"hello" * 10
PACKED = gzip.compress(TEXT, mtime=0)


class CodingTests(ClientTestCase):
    """
    Names of codings (RFC 9110 section 8.4.1).
    """

    def answered(self, values: list[bytes], body: bytes, name: bytes = b"gzip") -> Any:
        """
        The body, and the values of Content-Encoding, that the program sees.

        @param name: that of the only decoder.
        """
        agent: Any = ContentDecoderAgent(self.makeAgent(), [(name, GzipDecoder)])
        deferred = agent.request(b"GET", b"http://a/")
        lines = b"".join(b"Content-Encoding: %b\r\n" % value for value in values)
        head = b"HTTP/1.1 200 OK\r\n%bContent-Length: %d\r\n\r\n"
        self.network.peers[-1].send(head % (lines, len(body)) + body)
        response = self.successResultOf(deferred)
        left = response.headers.getRawHeaders(b"content-encoding")
        return self.successResultOf(readBody(response)), left

    def test_names(self) -> None:
        """
        A name is known in any case, C{x-gzip} is C{gzip}, and empty members of the list
        are ignored; the names of codings that are not decoded are left.
        """
        twice = gzip.compress(PACKED, mtime=0)
        for values, body, left in (
            ([b"gzip"], PACKED, None),
            ([b"GZIP"], PACKED, None),
            ([b"x-gzip"], PACKED, None),
            ([b"X-GZip"], PACKED, None),
            ([b"gzip,"], PACKED, None),
            ([b", gzip , ,"], PACKED, None),
            ([b"gzip", b""], PACKED, None),
            ([b"Gzip, x-gzip"], twice, None),
            ([b"gzip", b"GZIP"], twice, None),
            ([b"br, GZIP"], PACKED, [b"br"]),
            # As by Twisted's agent.
            ([], TEXT, [b""]),
            ([b""], TEXT, [b""]),
            ([b"br"], TEXT, [b"br"]),
            ([b"GZIP, BR"], TEXT, [b"GZIP,BR"]),
            ([b"gzip;q=1"], TEXT, [b"gzip;q=1"]),
        ):
            self.assertEqual((TEXT, left), self.answered(values, body), values)

    def test_ownName(self) -> None:
        """
        A decoder is known by its name in any case, and C{x-gzip} has its own.
        """
        for name in (b"X-Gzip", b"x-gzip"):
            self.assertEqual((TEXT, None), self.answered([b"x-GZIP"], PACKED, name))
            self.assertEqual(
                (PACKED, [b"gzip"]), self.answered([b"gzip"], PACKED, name)
            )
