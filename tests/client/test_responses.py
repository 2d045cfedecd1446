"""
A response comes in, is framed, and is refused where it can not be.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.web.client import (
    ResponseDone,
    ResponseFailed,
    ResponseNeverReceived,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH

from tests.support.client_cases import ClientTestCase
from tests.support.producers import OK, Producer
from twisted_h11._client.connection import ClientConnection
from twisted_h11.client import UnexpectedEnd

CHUNKS = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n"
)


class ResponseTests(ClientTestCase):
    """
    What comes in.
    """

    def test_states(self) -> None:
        """
        The connection's state and repr say what it is doing, and so do those of its
        parts.
        """
        producer = Producer()
        deferred, peer = self.ask(method=b"POST", uri=b"http://a/p", body=producer)
        connection = peer.protocol
        self.assertIsInstance(connection, ClientConnection)
        self.assertEqual("sending", connection.state.value)
        self.assertIn("sending <ClientRequest POST /p>, request 1", repr(connection))
        self.assertIn("reads a head", repr(connection._exchange.reader))
        peer.send(
            b"HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
        )
        response = self.successResultOf(deferred)
        self.assertEqual("<Response 200 body under way>", repr(response))
        (early,) = response.interimResponses
        self.assertEqual("<InterimResponse 103 Early>", repr(early))
        self.assertEqual("sending and receiving", connection.state.value)
        producer.done.callback(None)
        self.assertEqual("receiving", connection.state.value)
        peer.send(b"hello")
        self.assertEqual("idle", connection.state.value)
        self.assertEqual(b"hello", self.read(response).data)
        self.assertEqual("<Response 200 body complete>", repr(response))
        self.ask(self.makeAgent(self.pools[0]), uri=b"http://a/")
        self.assertEqual("waiting", connection.state.value)
        connection.loseConnection()
        self.assertEqual("closing", connection.state.value)
        peer.lose()
        self.assertEqual("closed", connection.state.value)

    def test_splittings(self) -> None:
        """
        However a response is cut into segments, it is the same response.
        """
        for data, length in [
            (OK, 5),
            (CHUNKS, UNKNOWN_LENGTH),
            (b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello", 5),
            (b"HTTP/1.1 103 Early\r\nA: b\r\n\r\n" + OK, 5),
        ]:
            for bytewise in (False, True):
                deferred, peer = self.ask()
                if bytewise:
                    peer.bytewise(data)
                else:
                    peer.send(data)
                response = self.successResultOf(deferred)
                self.assertEqual(length, response.length)
                reader = self.read(response)
                self.clock.advance(0)
                self.assertEqual(b"hello", reader.data)
                assert reader.reason is not None
                reader.reason.trap(ResponseDone)
                self.assertEqual("idle", peer.protocol.state.value)

    def test_headers(self) -> None:
        """
        C{headers} has what twisted.web's has; C{rawFields} has everything.
        """
        response = self.get(
            b"HTTP/1.1 200 Fine\r\nx-one: 1\r\nX-One: 2\r\nConnection: keep-alive\r\n"
            b"Content-Length: 0\r\n\r\n"
        )
        self.assertEqual(
            [(b"X-One", [b"1", b"2"])], list(response.headers.getAllRawHeaders())
        )
        self.assertEqual(4, len(response.rawFields))
        self.assertEqual((b"x-one", b"1"), response.rawFields[0])
        self.assertEqual(b"Fine", response.phrase)
        self.assertEqual((b"HTTP", 1, 1), response.version)
        self.assertEqual(b"http://example.com/", response.request.absoluteURI)
        self.assertEqual(
            [b"example.com"], response.request.headers.getRawHeaders(b"host")
        )
        # Wrappers of twisted.web's set others.
        response.headers = Headers({b"A": [b"b"]})
        self.assertEqual([b"b"], response.headers.getRawHeaders(b"a"))

    def test_version(self) -> None:
        """
        The version is that of the status line, as in twisted.web.
        """
        for text in (b"1.0", b"1.1", b"1.2", b"1.9", b"2.0", b"0.9", b"3.7"):
            response = self.get(
                b"HTTP/" + text + b" 200 OK\r\nContent-Length: 0\r\n\r\n"
            )
            major, minor = map(int, text.split(b"."))
            self.assertEqual((b"HTTP", major, minor), response.version)

    def test_head(self) -> None:
        """
        A response to HEAD has no body, whatever its fields say.
        """
        response = self.get(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", method=b"HEAD"
        )
        self.assertEqual(0, response.length)
        self.assertEqual([b"5"], response.headers.getRawHeaders(b"content-length"))
        self.assertEqual("idle", self.network.peers[0].protocol.state.value)

    def test_noBody(self) -> None:
        """
        204 and 304 have no body, whatever their fields say.
        """
        for status in (b"204 No Content", b"304 Not Modified"):
            response = self.get(
                b"HTTP/1.1 " + status + b"\r\nContent-Length: 5\r\n\r\n"
            )
            self.assertEqual(0, response.length)
            self.assertEqual("idle", self.network.peers[-1].protocol.state.value)

    def test_interim(self) -> None:
        """
        Interim responses are kept, and the final one follows.
        """
        response = self.get(
            b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
            b"HTTP/1.1 102 Processing\r\n\r\n" + OK
        )
        self.assertEqual([103, 102], [each.code for each in response.interimResponses])
        self.assertEqual([(b"Link", b"</a>")], response.interimResponses[0].rawFields)

    def test_manyInterim(self) -> None:
        """
        A flood of interim responses ends in a failure.
        """
        deferred, peer = self.ask(maxInterimResponses=3)
        peer.send(b"HTTP/1.1 102 P\r\n\r\n" * 4)
        self.assertIn("interim", str(self.failing(deferred, ResponseFailed)))
        self.assertTrue(peer.aborted)

    def test_trailers(self) -> None:
        """
        Trailers are there when the body has ended, and never in C{headers}.
        """
        deferred, peer = self.ask()
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
        response = self.successResultOf(deferred)
        reader = self.read(response)
        self.assertEqual([], list(response.trailers.getAllRawHeaders()))
        peer.send(b"0\r\nDigest: x\r\nContent-Length: 9\r\n\r\n")
        self.assertEqual(b"abc", reader.data)
        self.assertEqual([b"x"], response.trailers.getRawHeaders(b"digest"))
        self.assertIs(response.trailers, response.trailers)
        self.assertFalse(response.headers.hasHeader(b"digest"))
        self.assertFalse(response.headers.hasHeader(b"content-length"))

    def test_lenient(self) -> None:
        """
        An obsolete fold is a space, a bare LF ends a line (RFC 9112 5.2, 2.2).
        """
        response = self.get(b"HTTP/1.1 200\nA: b\r\n\t c\nContent-Length: 0\r\n\r\n")
        self.assertEqual([b"b c"], response.headers.getRawHeaders(b"a"))

    def test_both(self) -> None:
        """
        Transfer-Encoding wins over Content-Length, and the connection ends.
        """
        for fields in (
            b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
            b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        ):
            response = self.get(
                b"HTTP/1.1 200 OK\r\n" + fields + b"\r\n5\r\nhello\r\n0\r\n\r\n"
            )
            self.assertEqual(b"hello", self.read(response).data)
            self.assertTrue(self.network.peers[-1].closed)

    def test_refused(self) -> None:
        """
        What can not be trusted is a failure that names it.
        """
        for head, names in [
            (
                b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\ncontent-length: 4\r\n",
                ["Content-Length: 3", "content-length: 4"],
            ),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3, 4\r\n", ["3, 4"]),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n", ["gzip"]),
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n", ["gzip"]),
            (b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n", ["-1"]),
            (b"HTTP/1.1 2000 OK\r\n", ["status line"]),
            (b"\x15\x03\x01\x00\x02\x02\x16", ["not HTTP", "x15"]),
            (b"SSH-2.0-OpenSSH", ["not HTTP", "SSH"]),
            (b"HTTP/1.1 200 OK\r\nContent-Length : 3\r\n", ["header line"]),
            (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n", ["101"]),
        ]:
            deferred, peer = self.ask()
            peer.send(head + b"\r\n")
            error = self.failing(deferred, ResponseFailed)
            for name in names:
                if name != "101":
                    self.assertIn(name, str(error))
            self.assertTrue(peer.aborted, head)

    def test_badChunk(self) -> None:
        """
        A malformed chunk is a failure of the body.
        """
        response = self.get(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcX\r\n"
        )
        reader = self.read(response)
        assert reader.reason is not None
        reader.reason.trap(ResponseFailed)
        self.assertIn("chunk", str(reader.reason.value))

    def test_longHead(self) -> None:
        """
        A head over the limit says so, in one segment or many.
        """
        head = b"HTTP/1.1 200 OK\r\nA: " + b"x" * 500 + b"\r\nContent-Length: 0\r\n\r\n"
        for send in ("send", "bytewise"):
            deferred, peer = self.ask(maxHeadLength=400)
            getattr(peer, send)(head)
            error = self.failing(deferred, ResponseFailed)
            self.assertIn("longer than 400 bytes", str(error))
            self.assertTrue(peer.aborted)

    def test_longBody(self) -> None:
        """
        A body over the limit says so, before it is read where that is known.
        """
        deferred, peer = self.ask(maxBodyLength=4)
        peer.send(OK)
        self.assertIn("4 bytes", str(self.failing(deferred, ResponseFailed)))
        for head, body in [
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhello"),
            (b"HTTP/1.1 200 OK\r\n\r\n", b"hello"),
        ]:
            deferred, peer = self.ask(maxBodyLength=4)
            peer.send(head)
            reader = self.read(self.successResultOf(deferred))
            peer.send(body)
            assert reader.reason is not None
            self.assertIn("4 bytes", str(reader.reason.value))
            self.assertTrue(peer.aborted)

    def test_extraBytes(self) -> None:
        """
        Bytes after the end of the response condemn the connection.
        """
        for extra in (b"H", OK):
            response = self.get(OK + extra)
            self.assertEqual(b"hello", self.read(response).data)
            self.assertTrue(self.network.peers[-1].closed)

    def test_extraBytesLater(self) -> None:
        """
        So do bytes on an idle connection, and chunked bodies are no exception.
        """
        self.get(OK)
        peer = self.network.peers[-1]
        peer.send(OK)
        self.assertTrue(peer.aborted)
        response = self.get(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX"
        )
        self.assertEqual(b"", self.read(response).data)
        self.assertTrue(self.network.peers[-1].closed)

    def test_close(self) -> None:
        """
        C{Connection: close} in any spelling is obeyed, and HTTP/1.0 closes.
        """
        for data in (
            OK.replace(b"Content", b"Connection: CLOSE\r\nContent"),
            OK.replace(b"Content", b"Connection: TE, close\r\nContent"),
            OK.replace(b"1.1", b"1.0"),
        ):
            self.get(data)
            self.assertTrue(self.network.peers[-1].closed, data)

    def test_untilClose(self) -> None:
        """
        A body that ends with the connection may have been cut: plain TCP can
        not tell.
        """
        response = self.get(b"HTTP/1.0 200 OK\r\n\r\nhel")
        reader = self.read(response)
        peer = self.network.peers[-1]
        peer.send(b"lo")
        peer.end()
        self.assertEqual(b"hello", reader.data)
        assert reader.reason is not None
        reader.reason.trap(PotentialDataLoss)

    def test_untilBroken(self) -> None:
        """
        If that connection breaks, the body was cut.
        """
        reader = self.read(self.get(b"HTTP/1.0 200 OK\r\n\r\nhel"))
        self.network.peers[-1].lose(ConnectionLost())
        assert reader.reason is not None
        reader.reason.trap(ResponseFailed)

    def test_truncated(self) -> None:
        """
        A body that was cut is an error that says how much is missing.
        """
        for head, text in [
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe", "3 bytes before"),
            (
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
                "last chunk",
            ),
        ]:
            for how in ("end", "lose"):
                response = self.get(head)
                reader = self.read(response)
                getattr(self.network.peers[-1], how)()
                assert reader.reason is not None
                error: Any = reader.reason.value
                self.assertIsInstance(error, ResponseFailed)
                self.assertIn(text, str(error))
                self.assertIs(response, error.response)
                self.assertEqual(1, reader.ends)

    def test_reasons(self) -> None:
        """
        The reasons of a body that was cut are those of twisted.web, in its order: how
        the connection ended, and that the body was cut.
        """
        for head in (
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n",
        ):
            for why in (ConnectionDone(), ConnectionLost()):
                reader = self.read(self.get(head))
                self.network.peers[-1].lose(why)
                assert reader.reason is not None
                error: Any = reader.reason.value
                ended, cut = error.reasons
                self.assertIs(why, ended.value)
                cut.trap(UnexpectedEnd)
                self.assertNotIn(str(why), str(error))

    def test_neverReceived(self) -> None:
        """
        A connection that ends without an answer, or within a head, says so.
        """
        deferred, peer = self.ask()
        peer.lose(ConnectionLost())
        self.failing(deferred, ResponseNeverReceived).reasons[0].trap(ConnectionLost)
        deferred, peer = self.ask()
        peer.send(b"HTTP/1.1 2")
        peer.end()
        error = self.failing(deferred, ResponseFailed)
        self.assertNotIsInstance(error, ResponseNeverReceived)
        error.reasons[0].trap(ConnectionDone)
