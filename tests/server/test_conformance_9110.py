"""
RFC 9110, HTTP semantics: what it asks of the messages of a server.
"""

from __future__ import annotations

from typing import Any

from twisted.web.server import NOT_DONE_YET

from tests.support.rows import OnlyGet, Row, RowTestCase, Run, add_rows
from tests.support.server_cases import GET, get, post


class RFC9110Tests(RowTestCase):
    """
    The message requirements of sections 2 to 15.
    """


def nothing(run: Run) -> None:
    """
    The application saw no request.
    """
    run.test.assertEqual([], run.seen)


def field(name: bytes, expected: list[bytes]) -> Any:
    """
    The only response has these values of a field.
    """

    def check(run: Run) -> None:
        run.test.assertEqual(expected, run.wire.only().all(name))

    return check


def was(name: bytes, expected: list[bytes]) -> Any:
    """
    The application saw these values of a field.
    """

    def check(run: Run) -> None:
        run.test.assertEqual(expected, run.seen[0].all(name))

    return check


def dated(run: Run) -> None:
    """
    Every response has one Date.
    """
    for response in run.wire.responses:
        run.test.assertEqual(1, len(response.all(b"date")))


def interim(*expected: list[int]) -> Any:
    """
    The interim responses before each final one.
    """

    def check(run: Run) -> None:
        run.test.assertEqual(list(expected), [r.interim for r in run.wire.responses])

    return check


def allows(run: Run) -> None:
    """
    Allow tells the methods.
    """
    (value,) = run.wire.only().all(b"allow")
    names = {name.strip() for name in value.split(b",")}
    run.test.assertEqual({b"GET", b"HEAD"}, names)


def same_fields(run: Run) -> None:
    """
    HEAD and GET have the same fields, but for Date.
    """
    head, whole = run.wire.responses
    for response in (head, whole):
        response.fields = [pair for pair in response.fields if pair[0] != b"date"]
    run.test.assertEqual(sorted(whole.fields), sorted(head.fields))


def status(code: int, *fields: tuple[bytes, bytes], body: bytes = b"body") -> Any:
    """
    An application that answers with C{code}.
    """

    def render(request: Any) -> bytes:
        request.setResponseCode(code)
        for name, value in fields:
            request.setHeader(name, value)
        return body

    return render


def undated(request: Any) -> bytes:
    """
    An application that took the Date away.
    """
    request.responseHeaders.removeHeader(b"Date")
    return b""


def written(request: Any) -> Any:
    """
    Writes a body whatever the method.
    """
    request.write(b"written")
    request.finish()
    return NOT_DONE_YET


def tunnel(request: Any) -> bytes:
    """
    Accepts everything, also CONNECT.
    """
    request.setHeader(b"Content-Length", b"0")
    return b""


ROWS = [
    Row("2.5", "the response has our own version, whatever minor the client has",
        get(version=b"1.0"), [200], "close",
        lambda run: run.test.assertTrue(run.wire.output.startswith(b"HTTP/1.1 "))),
    Row("4.2.1", "a target with an empty host is rejected",
        get(b"http:///"), [400], "close", nothing),
    Row("4.2.4", "userinfo in a target is an error",
        get(b"http://a:b@example.com/"), [400], "close", nothing),
    Row("5.1", "field names are case-insensitive",
        get(b"/", b"cOnNeCtIoN: close"), [200], "close",
        was(b"connection", [b"close"])),
    Row("5.3", "lines of one name keep their order",
        get(b"/", b"X: 1", b"Y: a", b"x: 2", b"X: 3"), [200],
        check=was(b"x", [b"1", b"2", b"3"])),
    Row("5.4", "too many fields get a 4xx",
        get(b"/", *[b"X: y"] * 501), [431], "close", nothing),
    Row("5.5", "CR, LF or NUL in a value is rejected",
        get(b"/", b"X: a\x00b"), [400], "close", nothing),
    Row("5.5", "white space around a value is not part of it",
        get(b"/", b"X:  \ta\t "), [200], check=was(b"x", [b"a"])),
    Row("5.6.2", "a name that is no token is rejected",
        get(b"/", b"X[]: y"), [400], "close", nothing),
    Row("6.4.1", "there is no content in a response to HEAD",
        get(method=b"HEAD") + GET, [200, 200], app=written, methods=[b"HEAD", b"GET"]),
    Row("6.5", "a trailer is not merged into the fields",
        get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        + b"0\r\nAuthorization: x\r\n\r\n", [200], check=was(b"authorization", [])),
    Row("6.6.1", "2xx has a Date", GET, [200], check=dated),
    Row("6.6.1", "3xx has a Date", GET, [301], app=status(301), check=dated),
    Row("6.6.1", "4xx of the application has a Date",
        GET, [404], app=status(404), check=dated),
    Row("6.6.1", "4xx of our own has a Date", get(host=None), [400], "close", dated),
    Row("6.6.1", "a Date that the application took away comes back",
        GET, [200], app=undated, check=dated),
    Row("7.2", "Host reaches the application as it came",
        get(host=b"Example.COM:80"), [200], check=was(b"host", [b"Example.COM:80"])),
    Row("7.6.1", "connection options are case-insensitive",
        get(b"/", b"Connection: foo, ClosE"), [200], "close"),
    Row("7.8", "an unknown upgrade is ignored",
        get(b"/", b"Connection: upgrade", b"Upgrade: foo/2") + GET, [200, 200]),
    Row("7.8", "an upgrade without the connection option is ignored",
        get(b"/", b"Upgrade: websocket") + GET, [200, 200]),
    Row("7.8", "an upgrade in HTTP/1.0 is ignored",
        get(b"/", b"Connection: upgrade", b"Upgrade: foo", version=b"1.0"),
        [200], "close"),
    Row("7.8", "an upgrade with a body is ignored, and the body read",
        post(b"abc", b"Connection: upgrade", b"Upgrade: foo") + GET, [200, 200]),
    Row("8.6", "a known length is sent",
        GET, [200], check=field(b"content-length", [b"7"])),
    Row("8.6", "no Content-Length in 204",
        GET, [204], app=status(204), check=field(b"content-length", [])),
    Row("8.6", "Content-Length in a response to HEAD is that of GET",
        get(method=b"HEAD") + GET, [200, 200], app=OnlyGet,
        methods=[b"HEAD", b"GET"], check=same_fields),
    Row("8.6", "a Content-Length that is none is rejected",
        get(b"/", b"Content-Length: abc", method=b"POST"), [400], "close", nothing),
    Row("9.1", "a method that is not recognised gets 501",
        get(method=b"FOO"), [501], app=OnlyGet),
    Row("9.1", "a method that is not allowed gets 405",
        get(method=b"DELETE"), [405], app=OnlyGet, check=allows),
    Row("9.3.2", "HEAD works wherever GET does",
        get(method=b"HEAD"), [200], app=OnlyGet, methods=[b"HEAD"]),
    Row("9.3.6", "CONNECT without a port is rejected",
        get(b"example.com", method=b"CONNECT"), [400], "close", nothing),
    Row("9.3.6", "CONNECT with an invalid port is rejected",
        get(b"example.com:x", method=b"CONNECT"), [400], "close", nothing),
    Row("9.3.6", "CONNECT that the resource does not know is refused and closes",
        get(b"example.com:443", method=b"CONNECT") + b"\x16\x03\x01" + GET, [501],
        "close", app=OnlyGet),
    Row("9.3.7", "OPTIONS * is about the server",
        get(b"*", method=b"OPTIONS"), [200], check=nothing),
    Row("9.3.7", "OPTIONS of a resource goes to it",
        get(b"/x", method=b"OPTIONS"), [200],
        check=lambda run: run.test.assertEqual(b"OPTIONS", run.seen[0].method)),
    Row("10.1.1", "an unknown expectation gets 417",
        get(b"/", b"Expect: something"), [417], "close", nothing),
    Row("10.1.1", "100-continue is ignored in HTTP/1.0",
        get(b"/", b"Expect: 100-continue", b"Content-Length: 1", version=b"1.0",
            method=b"POST") + b"x", [200], "close", interim([])),
    Row("10.1.1", "an expectation is case-insensitive",
        get(b"/", b"Expect: 100-CONTINUE", b"Content-Length: 1", method=b"POST")
        + b"x", [200]),
    Row("10.2.1", "405 has Allow",
        get(method=b"PUT"), [405], app=OnlyGet, check=allows),
    Row("15.2", "no 1xx is sent to HTTP/1.0",
        get(b"/", b"Expect: 100-continue", b"Content-Length: 1", version=b"1.0",
            method=b"POST"), []),
    Row("15.3.5", "204 ends with its head",
        GET + GET, [204, 204], app=status(204)),
    Row("15.3.6", "205 has no content",
        GET + GET, [205, 205], app=status(205),
        check=lambda run: run.test.assertEqual(
            [b"", b""], [r.body for r in run.wire.responses])),
    Row("15.4.5", "304 ends with its head",
        GET + GET, [304, 304], app=status(304)),
    Row("15.5.14", "a body over the limit gets 413",
        get(b"/", b"Content-Length: 99999999999", method=b"POST"), [413],
        "close", nothing),
    Row("15.5.15", "a target over the limit gets 414",
        get(b"/" + b"x" * 8192), [414], "close", nothing),
    Row("15.6.2", "a coding that is not supported gets 501",
        get(b"/", b"Transfer-Encoding: br, chunked", method=b"POST"), [501],
        "close", nothing),
    Row("15.6.6", "a major version that is not supported gets 505",
        get(version=b"2.0"), [505], "close", nothing),
    Row("15.5.9", "408 is for time-outs only: a slow head is none yet",
        GET[:-1], [], check=nothing),
]  # fmt: skip

add_rows(RFC9110Tests, ROWS)


class TunnelTests(RowTestCase):
    """
    Section 9.3.6: an application that accepts CONNECT.
    """

    def test_accepted(self) -> None:
        """
        A 2xx to CONNECT has neither Content-Length nor Transfer-Encoding.
        """
        for app in (tunnel, written):
            wire = self.connect(self.site(app))
            wire.methods = [b"CONNECT"]
            wire.send(get(b"example.com:443", method=b"CONNECT"))
            head = wire.output.partition(b"\r\n\r\n")[0].lower()
            self.assertTrue(head.startswith(b"http/1.1 200 "), wire.output)
            self.assertNotIn(b"content-length", head)
            self.assertNotIn(b"transfer-encoding", head)
            self.assertEqual([], self.flushLoggedErrors())
