"""
RFC 9112, HTTP/1.1: what it asks of a server, one row for each requirement.

The many malformed variants of each stand in the corpus.  Section 9.8 (closing
TLS) is in L{tests.server.test_sockets}, time in L{tests.server.test_timeouts}.
"""

from __future__ import annotations

from typing import Any

from twisted.web.server import NOT_DONE_YET

from tests.support.rows import OnlyGet, Row, RowTestCase, Run, add_rows
from tests.support.server_cases import GET, get, post

CHUNKED = b"Transfer-Encoding: chunked"


class RFC9112Tests(RowTestCase):
    """
    Sections 2 to 9.
    """


def one(name: bytes, value: bytes | None) -> Any:
    """
    The only request had this field, once, or not at all.
    """

    def check(run: Run) -> None:
        expected = [] if value is None else [value]
        run.test.assertEqual(expected, run.seen[0].all(name))

    return check


def body(expected: bytes) -> Any:
    """
    The application saw this body.
    """

    def check(run: Run) -> None:
        run.test.assertEqual(expected, run.seen[0].body)

    return check


def nothing(run: Run) -> None:
    """
    The application saw no request.
    """
    run.test.assertEqual([], run.seen)


def seen(count: int) -> Any:
    """
    The application saw so many requests.
    """

    def check(run: Run) -> None:
        run.test.assertEqual(count, len(run.seen))

    return check


def framed(*framings: str) -> Any:
    """
    The responses are framed so.
    """

    def check(run: Run) -> None:
        found = [response.framing for response in run.wire.responses]
        run.test.assertEqual(list(framings), found)
        run.test.assertTrue(all(r.complete for r in run.wire.responses))

    return check


def bodies(*expected: bytes) -> Any:
    """
    The responses have these bodies.
    """

    def check(run: Run) -> None:
        run.test.assertEqual(list(expected), [r.body for r in run.wire.responses])

    return check


def output(part: bytes) -> Any:
    """
    These bytes are in what was sent.
    """

    def check(run: Run) -> None:
        run.test.assertIn(part, run.wire.output)

    return check


# -- applications ---------------------------------------------------------


def pieces(request: Any) -> Any:
    """
    A body whose length is not known before.
    """
    request.write(b"one")
    request.write(b"two")
    request.finish()
    return NOT_DONE_YET


def no_reason(request: Any) -> bytes:
    """
    An empty reason phrase.
    """
    request.setResponseCode(200, b"")
    return b""


def no_content(request: Any) -> bytes:
    """
    A 204 with all that it must not have.
    """
    request.setResponseCode(204)
    request.setHeader(b"Transfer-Encoding", b"chunked")
    request.setHeader(b"Content-Length", b"3")
    return b"abc"


def both_framings(request: Any) -> Any:
    """
    Content-Length and Transfer-Encoding.
    """
    request.setHeader(b"Transfer-Encoding", b"chunked")
    request.setHeader(b"Content-Length", b"3")
    request.write(b"abc")
    request.finish()
    return NOT_DONE_YET


def folded(request: Any) -> bytes:
    """
    A field value over two lines.
    """
    request.setHeader(b"X-Folded", b"a\r\n b")
    return b""


def closing(request: Any) -> bytes:
    """
    Closes the connection.
    """
    request.setHeader(b"Connection", b"close")
    uri: bytes = request.uri
    return uri


def url(request: Any) -> bytes:
    """
    What the application thinks that the target is.
    """
    host: bytes = request.getHeader(b"host") or b"-"
    path: bytes = request.path
    return host + b" " + path


ROWS = [
    # 2. Message
    Row("2.1", "a message is octets, in a superset of US-ASCII",
        get(b"/", b"X: \xe9\xff\x80"), [200], check=one(b"x", b"\xe9\xff\x80")),
    Row("2.2", "a bare CR makes an element invalid",
        get(b"/", b"X: a\rb"), [400], "close", nothing),
    Row("2.2", "at least one empty line before the request line is ignored",
        b"\r\n" + GET, [200], check=seen(1)),
    Row("2.2", "white space between start line and first field is rejected",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n", [400], "close", nothing),
    Row("2.2", "octets that are no HTTP message get 400 and a close",
        b"hello, is there anybody?\r\n\r\n", [400], "close", nothing),
    Row("2.3", "the name HTTP is case-sensitive",
        b"GET / Http/1.1\r\nHost: a\r\n\r\n", [400], "close", nothing),
    Row("2.3", "a response names HTTP/1.1", GET, [200], check=output(b"HTTP/1.1 200 ")),
    # 3. Request line
    Row("3", "a request line is method, target, version",
        get(b"/a/b?c=d"), [200], check=seen(1)),
    Row("3", "an invalid request line gets 400",
        b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", [400], "close", nothing),
    Row("3", "request lines of 8000 octets are supported",
        get(b"/" + b"a" * 7990), [200], check=seen(1)),
    Row("3", "a method longer than any that is implemented gets 501",
        get(method=b"A" * 500), [501], app=OnlyGet),
    Row("3", "a target longer than any that is parsed gets 414",
        get(b"/" + b"a" * 9000), [414], "close", nothing),
    Row("3.1", "the method is case-sensitive", get(method=b"Get"), [501], app=OnlyGet),
    Row("3.2", "an HTTP/1.1 request without Host gets 400",
        get(host=None), [400], "close", nothing),
    Row("3.2", "a request with more than one Host gets 400",
        get(b"/", b"Host: b"), [400], "close", nothing),
    Row("3.2", "a request with an invalid Host gets 400",
        get(host=b"a/b"), [400], "close", nothing),
    Row("3.2.1", "origin form, an empty segment is kept",
        get(b"//a"), [200], app=url, check=bodies(b"example.com //a")),
    Row("3.2.2", "absolute form is accepted",
        get(b"http://a.example/x"), [200], check=seen(1)),
    Row("3.2.2", "with absolute form the received Host is ignored",
        get(b"http://real.example/x", host=b"fake.example"), [200], app=url,
        check=bodies(b"real.example /x")),
    Row("3.2.3", "authority form is for CONNECT only",
        get(b"a.example:80"), [400], "close", nothing),
    Row("3.2.4", "asterisk form is for OPTIONS",
        get(b"*", method=b"OPTIONS"), [200], check=nothing),
    Row("3.2.4", "asterisk form with another method is invalid",
        get(b"*"), [400], "close", nothing),
    Row("3.3", "without Host the target has no host that we made up",
        get(b"/x", version=b"1.0", host=None), [200], "close", app=url,
        check=bodies(b"- /x")),
    # 4. Status line
    Row("4", "the space before an empty reason phrase is sent",
        GET, [200], app=no_reason, check=output(b"HTTP/1.1 200 \r\n")),
    # 5. Field syntax
    Row("5", "optional white space around a value is not part of it",
        get(b"/", b"X: \t a b \t "), [200], check=one(b"x", b"a b")),
    Row("5", "a value may be empty", get(b"/", b"X:"), [200], check=one(b"x", b"")),
    Row("5.1", "white space between name and colon gets 400",
        get(b"/", b"X : y"), [400], "close", nothing),
    Row("5.2", "a folded line gets 400",
        get(b"/", b"X: y", b" z"), [400], "close", nothing),
    Row("5.2", "no folded line is sent", GET, [200], app=folded,
        check=lambda run: run.test.assertNotIn(b"\r\n ", run.wire.output)),
    # 6. Message body
    Row("6", "a body is there only where a field says so",
        get(method=b"POST") + GET, [200, 200], check=seen(2)),
    Row("6", "framing does not depend on the method",
        get(b"/", b"Content-Length: 3", method=b"BREW") + b"abc", [200],
        check=body(b"abc")),
    Row("6.1", "chunked is understood",
        get(b"/", CHUNKED, method=b"POST") + b"3\r\nabc\r\n0\r\n\r\n", [200],
        check=body(b"abc")),
    Row("6.1", "an unknown coding gets 501",
        get(b"/", b"Transfer-Encoding: x, chunked", method=b"POST"), [501],
        "close", nothing),
    Row("6.1", "a length beside chunked is an error and closes",
        get(b"/", b"Content-Length: 5", CHUNKED, method=b"POST") + b"0\r\n\r\n" + GET,
        [400], "close", nothing),
    Row("6.1", "Transfer-Encoding in HTTP/1.0 is faulty and closes",
        get(b"/", CHUNKED, b"Connection: keep-alive", method=b"POST", version=b"1.0")
        + b"0\r\n\r\n", [400], "close", nothing),
    Row("6.1", "no Transfer-Encoding is sent to HTTP/1.0",
        get(version=b"1.0"), [200], "close", app=pieces,
        check=bodies(b"onetwo")),
    Row("6.1", "no Transfer-Encoding is sent with 204",
        GET + GET, [204, 204], app=no_content),
    Row("6.2", "no Content-Length is sent with 204", GET, [204], app=no_content),
    Row("6.2", "no Content-Length is sent beside Transfer-Encoding",
        GET, [200], app=both_framings, check=bodies(b"abc")),
    Row("6.2", "a known length is sent as Content-Length",
        GET, [200], check=framed("length")),
    Row("6.3", "1: no body after HEAD, 204 or 304",
        get(method=b"HEAD") + GET, [200, 200], app=OnlyGet,
        methods=[b"HEAD", b"GET"], check=bodies(b"", b"got")),
    Row("6.3", "4: chunked that is not the last coding gets 400",
        get(b"/", b"Transfer-Encoding: chunked, gzip", method=b"POST"), [400],
        "close", nothing),
    Row("6.3", "5: an invalid Content-Length gets 400",
        get(b"/", b"Content-Length: 3x", method=b"POST") + b"abc", [400],
        "close", nothing),
    Row("6.3", "5: different Content-Lengths get 400",
        get(b"/", b"Content-Length: 3", b"Content-Length: 4", method=b"POST") + b"abcd",
        [400], "close", nothing),
    Row("6.3", "6: Content-Length is the length",
        post(b"abc") + GET, [200, 200], check=body(b"abc")),
    Row("6.3", "7: a request without either has no body",
        get(b"/", method=b"PUT") + GET, [200, 200], check=seen(2)),
    Row("6.3", "a response of unknown length is chunked",
        GET, [200], app=pieces, check=framed("chunked")),
    # 7. Transfer codings
    Row("7", "names of codings are case-insensitive",
        get(b"/", b"Transfer-Encoding: CHUNKED", method=b"POST") + b"0\r\n\r\n", [200],
        check=body(b"")),
    Row("7.1", "a chunked body ends with its last chunk",
        get(b"/", CHUNKED, method=b"POST") + b"1\r\na\r\n2\r\nbc\r\n0\r\n\r\n" + GET,
        [200, 200], check=body(b"abc")),
    Row("7.1", "large chunk sizes do not overflow",
        get(b"/", CHUNKED, method=b"POST") + b"FFFFFFFFFFFFFFF1\r\na\r\n", [413],
        "close", nothing),
    Row("7.1.1", "unknown chunk extensions are ignored",
        get(b"/", CHUNKED, method=b"POST") + b'3;a;b=c;d="e"\r\nabc\r\n0\r\n\r\n',
        [200], check=body(b"abc")),
    Row("7.1.1", "chunk extensions have a limit",
        get(b"/", CHUNKED, method=b"POST") + b"3;" + b"a" * 17000 + b"\r\n", [400],
        "close", nothing),
    Row("7.1.2", "trailers are not merged into the fields",
        get(b"/", CHUNKED, method=b"POST") + b"0\r\nX-Trailer: y\r\n\r\n", [200],
        check=one(b"x-trailer", None)),
    Row("7.1.2", "trailers need no announcement",
        get(b"/", CHUNKED, b"Trailer: X", method=b"POST") + b"0\r\nY: y\r\n\r\n" + GET,
        [200, 200], check=seen(2)),
    Row("7.1.3", "a decoded body has neither chunk nor trailer in it",
        get(b"/", CHUNKED, method=b"POST") + b"2\r\n\r\n\r\n0\r\nY: y\r\n\r\n", [200],
        check=body(b"\r\n")),
    # 8. Incomplete messages
    Row("8", "an incomplete head is not processed",
        GET[:-2], [400], "close", nothing, ends=True),
    Row("8", "an incomplete body of known length is not processed",
        post(b"abc")[:-1], [400], "close", nothing, ends=True),
    Row("8", "a chunked body without its last chunk is not processed",
        get(b"/", CHUNKED, method=b"POST") + b"3\r\nabc\r\n", [400], "close", nothing,
        ends=True),
    # 9. Connections
    Row("9.3", "HTTP/1.1 persists", GET, [200], check=seen(1)),
    Row("9.3", "HTTP/1.1 with close does not",
        get(b"/", b"Connection: close"), [200], "close", seen(1)),
    Row("9.3", "HTTP/1.0 does not",
        get(version=b"1.0"), [200], "close", seen(1)),
    Row("9.3", "the whole body is read before the next request",
        post(GET) + get(b"/next"), [200, 200], check=seen(2)),
    Row("9.3.2", "pipelined requests are answered in order",
        get(b"/1") + get(b"/2") + get(b"/3"), [200] * 3,
        app=lambda request: request.uri, check=bodies(b"/1", b"/2", b"/3")),
    Row("9.6", "after close from the client no further request is processed",
        get(b"/", b"Connection: close") + GET + GET, [200], "close", seen(1)),
    Row("9.6", "the final response to close says close",
        get(b"/", b"Connection: close"), [200], "close",
        output(b"\r\nConnection: close\r\n")),
    Row("9.6", "after close from the server no further request is processed",
        GET + GET, [200], "close", app=closing, check=bodies(b"/")),
    Row("9.6", "a refusal says close and is the last response",
        get(host=None) + GET, [400], "close", output(b"\r\nConnection: close\r\n")),
    Row("9.6", "a half-closed client gets the responses to what it sent",
        GET + GET, [200, 200], "close", seen(2), ends=True),
]  # fmt: skip

add_rows(RFC9112Tests, ROWS)
