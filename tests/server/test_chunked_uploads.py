"""
A chunked body whose framing the strict layer has walked over: its data goes to
the request, and h11 is told of its end.
"""

from __future__ import annotations

from typing import Any

import h11

from tests.fuzz.streams import check_stream
from tests.support.server_cases import Calls, Echo, ServerTestCase, get

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
BODY = b"3;a=b\r\nabc\r\n5\r\n\r\n0\r\n\r\n0\r\nX-Sum: 1\r\n\r\n"
DATA = b"abc\r\n0\r\n"


class ChunkedUploadTests(ServerTestCase):
    """
    What h11 sees of a chunked body, and what comes of it.
    """

    def setUp(self) -> None:
        """
        Take down what h11 receives.
        """
        super().setUp()
        self.seen = b""
        receive = h11.Connection.receive_data

        def receiving(conn: Any, data: bytes) -> None:
            self.seen += data
            receive(conn, data)

        self.patch(h11.Connection, "receive_data", receiving)

    def echo(self, *pieces: bytes, fastPath: bool = True) -> None:
        """
        Send a request in pieces, which is echoed.
        """
        wire = self.connect(self.site(Echo(), fastPath=fastPath))
        for piece in pieces:
            wire.send(piece)
        self.assertEqual([DATA], [response.body for response in wire.responses])

    def test_end(self) -> None:
        """
        h11 sees the head, the last chunk and the trailer section.
        """
        self.echo(HEAD + b"\r\n" + BODY)
        self.assertEqual(HEAD + b"\r\n0\r\nX-Sum: 1\r\n\r\n", self.seen)

    def test_pieces(self) -> None:
        """
        However it is cut.
        """
        for cut in range(len(BODY) + 1):
            self.seen = b""
            self.echo(HEAD + b"\r\n" + BODY[:cut], BODY[cut:])
            self.assertEqual(HEAD + b"\r\n0\r\nX-Sum: 1\r\n\r\n", self.seen)

    def test_expectation(self) -> None:
        """
        Of a client that waits for 100 as well.
        """
        head = HEAD + b"Expect: 100-continue\r\n\r\n"
        wire = self.connect(self.site(Echo(), fastPath=True)).send(head)
        self.assertIn(b"HTTP/1.1 100 Continue", wire.output)
        wire.send(BODY)
        self.assertEqual(head + b"0\r\nX-Sum: 1\r\n\r\n", self.seen)

    def test_switchedOff(self) -> None:
        """
        Without the fast path h11 sees all.
        """
        self.echo(HEAD + b"\r\n", BODY, fastPath=False)
        self.assertEqual(HEAD + b"\r\n" + BODY, self.seen)

    def test_trailers(self) -> None:
        """
        The request has the trailer section.
        """

        def render(request: Any) -> bytes:
            return repr(request.trailerFields).encode()

        wire = self.connect(self.site(Calls(render), fastPath=True))
        wire.send(HEAD + b"\r\n" + BODY)
        self.assertEqual(b"[(b'X-Sum', b'1')]", wire.only().body)

    def test_trailersAsHeaders(self) -> None:
        """
        C{trailers} has them as fields, without those that never are trailers.
        """
        seen: list[Any] = []

        def render(request: Any) -> bytes:
            seen.append(list(request.trailers.getAllRawHeaders()))
            return b""

        rest = b"0\r\nX-Sum: 1\r\nCookie: a=b\r\nx-sum: 2\r\n\r\n"
        self.connect(self.site(Calls(render))).send(HEAD + b"\r\n" + rest)
        self.assertEqual([[(b"X-Sum", [b"1", b"2"])]], seen)

    def test_sameEitherWay(self) -> None:
        """
        Cut anywhere, before and behind other requests, the same comes back with
        the fast path and without it.
        """
        upload = HEAD + b"\r\n" + BODY
        data = get(b"/whole") + upload + upload + get(b"/")
        for cut in range(0, len(data), 3):
            found = check_stream([data[:cut], data[cut : cut + 9], data[cut + 9 :]])
            self.assertEqual(4, found.output.count(b"HTTP/1.1 200 OK"))
