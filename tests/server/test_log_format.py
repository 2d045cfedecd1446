"""
Lines of the access log with chosen fields: one well-formed line for each request,
whatever a client says.
"""

from __future__ import annotations

import io
import json
import os
import re
from collections.abc import Callable
from fractions import Fraction
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http import combinedLogFormatter

from tests.fuzz.strategies import REAL, examples
from tests.server.test_access_log import answers, requests
from tests.support.server_cases import Calls, Holding, ServerTestCase, get, post
from tests.support.wire import Wire
from twisted_h11._server.access_log import combined_line
from twisted_h11._server.log_fields import LOG_FIELDS
from twisted_h11._server.log_format import LineFormat
from twisted_h11.server import (
    COMBINED_LOG_FORMAT,
    Site,
    TrustedProxies,
    access_log_format,
    describe_log_fields,
    json_log_format,
)

# What drives terminals and ends lines, and what only looks so.
EVIL = [
    "\n",
    "\r\n",
    "\x00",
    "\x1b[2J\x1b]0;title\x07",
    "\x9b31m",
    "\x7f",
    "\x85",
    "\u2028",
    "\ud800",
    "\U0001f600",
    '"',
    "'",
    "\\",
    '\\"',
    '" 200 1 "-" "-"\n"192.0.2.1" - - [',
    "%s%n{status}",
    "\t",
]

BYTES = st.one_of(
    st.binary(max_size=12),
    st.sampled_from(EVIL).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.sampled_from(EVIL).map(lambda text: text.encode("latin-1", "replace")),
)
TEXT = st.one_of(st.text(max_size=12), st.sampled_from(EVIL))
ANY = st.one_of(BYTES, TEXT)

# A text in quotation marks, with escapes, and nothing else.
QUOTED = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\tnr]|\\x[0-9a-f]{2})*)"')


class Peer:
    """
    An address of any host.
    """

    def __init__(self, host: Any) -> None:
        self.host = host


def always(value: Any) -> Callable[[], Any]:
    """
    What returns the same each time.
    """
    return lambda: value


@st.composite
def anything(draw: Any) -> Any:
    """
    A request in which nothing is as it should be.
    """
    fields = {
        name: draw(st.one_of(st.none(), ANY))
        for name in (b"host", b"referer", b"user-agent")
    }
    subject = SimpleNamespace(get_components=always([(b"CN", draw(BYTES))]))
    handle = SimpleNamespace(
        get_protocol_version_name=always(draw(TEXT)),
        get_peer_certificate=always(SimpleNamespace(get_subject=always(subject))),
    )
    transport = SimpleNamespace(getHandle=always(handle))
    head = SimpleNamespace(
        began=draw(st.floats(-1e6, 1e6)), bodyLength=draw(st.integers(0, 1 << 40))
    )
    return SimpleNamespace(
        method=draw(ANY),
        uri=draw(ANY),
        clientproto=draw(ANY),
        code=draw(st.one_of(st.integers(), TEXT)),
        sentLength=draw(st.integers(0, 1 << 40)),
        getClientAddress=always(Peer(draw(st.one_of(st.none(), ANY)))),
        getHeader=fields.get,
        requestId=draw(st.one_of(st.none(), TEXT)),
        channel=SimpleNamespace(wire=SimpleNamespace(transport=transport)),
        _requestHead=head,
    )


class EscapingTests(SynchronousTestCase):
    """
    All fields, with anything in them.
    """

    def setUp(self) -> None:
        """
        The name of a worker that is no name.
        """
        self.quoted = " ".join(f'"{{{name}}}"' for name in LOG_FIELDS)

    @examples(300)
    @given(anything(), TEXT.filter(lambda text: "\0" not in text and text.isascii()))
    def test_text(self, request: Any, worker: str) -> None:
        """
        A line of text is one line of printable ASCII, and each field stays within its
        quotation marks.
        """
        self.patch(os, "environ", {"H11WEB_WORKER": worker})
        made = access_log_format(self.quoted).withClock(lambda: 1e9)
        line = made("[now]", request)
        self.assertTrue(line.isascii() and line.isprintable(), line)
        self.assertEqual([line], line.splitlines())
        found = QUOTED.findall(line)
        self.assertEqual(len(LOG_FIELDS), len(found), line)
        self.assertEqual(line, " ".join(f'"{text}"' for text in found))

    @examples(300)
    @given(anything())
    def test_json(self, request: Any) -> None:
        """
        A line of JSON is one line of printable ASCII, an object with all the fields.
        """
        line = json_log_format(*LOG_FIELDS).withClock(lambda: 1e9)("[now]", request)
        self.assertTrue(line.isascii() and line.isprintable(), line)
        found = json.loads(line)
        self.assertEqual(list(LOG_FIELDS), list(found))
        for name, value in (("method", request.method), ("target", request.uri)):
            if isinstance(value, bytes):
                value = value.decode("utf-8", "backslashreplace")
            if "\ud800" not in value:
                self.assertEqual(
                    value.encode("utf-8", "backslashreplace").decode(), found[name]
                )
        # Nothing that other readers of JSON refuse.
        line.encode("ascii")
        json.loads(line)["method"].encode("utf-8")

    @examples(100)
    @given(st.lists(requests(), min_size=1, max_size=3))
    def test_combined(self, data: list[bytes]) -> None:
        """
        The combined format is a format like others: twisted.web's lines to the byte.
        """
        fields = [
            LOG_FIELDS[name] for name in re.findall(r"{(\w+)}", COMBINED_LOG_FORMAT)
        ]
        template = re.sub(r"{\w+}", "%s", COMBINED_LOG_FORMAT)
        made = LineFormat(fields, template)
        lines: list[tuple[str, str]] = []

        def both(when: Any, request: Any) -> str:
            lines.append((made(when, request), combinedLogFormatter(when, request)))
            return ""

        clock = Clock()
        site: Any = Site(Calls(answers), reactor=clock, logFormatter=both)
        site.startFactory()
        site.logFile = io.StringIO()
        Wire(site, clock).send(b"".join(data)).vanish()
        site.stopFactory()
        self.assertTrue(lines)
        for ours, theirs in lines:
            self.assertEqual(theirs, ours)

    def test_oddAddress(self) -> None:
        """
        An address that is none, as a PROXY line may have it, is escaped in the combined
        format, too, and a method that the application has taken from the request.
        """
        for text in EVIL:
            lines: list[str] = []

            def render(request: Any, text: str = text) -> bytes:
                request.client = IPv4Address("TCP", text, 1)
                request.method = text.encode("utf-8", "surrogatepass")
                return b"x"

            def log(when: Any, request: Any, lines: list[str] = lines) -> str:
                lines.append(combined_line(when, request))
                return ""

            clock = Clock()
            site: Any = Site(Calls(render), reactor=clock, logFormatter=log)
            site.startFactory()
            site.logFile = io.StringIO()
            Wire(site, clock).send(REAL[0]).vanish()
            site.stopFactory()
            [line] = lines
            self.assertTrue(line.isascii() and line.isprintable(), line)
            self.assertEqual(4, len(QUOTED.findall(line)), line)


class FormatTests(SynchronousTestCase):
    """
    What a format may be.
    """

    def test_refused(self) -> None:
        """
        What is no format is refused, in words that say what to do.
        """
        for text, expected in (
            ("{clint}", "there is no field 'clint': did you mean 'client'?"),
            ("{user-agent}", "there is no field 'user-agent'"),
            ("{bytes-out}", "did you mean 'bytes_out'?"),
            ("{Status}", "did you mean 'status'?"),
            ("{}", "there is no field ''"),
            ("{zzzz}", "there are time, clf_time, client,"),
            ("{status", "{{ and }} are braces"),
            ("status}", "{{ and }} are braces"),
            ("{status!r}", "takes no format of its own"),
            ("{status:>5}", "takes no format of its own"),
            ("{status:{client}}", "takes no format of its own"),
            ("{status.real}", "there is no field"),
            ("a line", "there is no field in it"),
            ("", "there is no field in it"),
            ("{status}\n{client}", "without control characters"),
            ("{status}\x1b[0m", "without control characters"),
            ("{status}\u2028", "without control characters"),
        ):
            with self.assertRaises(ValueError, msg=text) as caught:
                access_log_format(text)
            self.assertIn(expected, str(caught.exception))
            self.assertEqual(1, len(str(caught.exception).splitlines()))
        with self.assertRaises(ValueError) as caught:
            json_log_format("time", "clint")
        self.assertIn("did you mean 'client'?", str(caught.exception))
        self.assertRaises(TypeError, access_log_format, b"{status}")

    def test_literals(self) -> None:
        """
        All else stands there as it is: percent signs, braces, tabs, other alphabets.
        """
        request = SimpleNamespace(code=204)
        for text, expected in (
            ("100%s %% {status}", "100%s %% 204"),
            ("{{{status}}} {{status}}", "{204} {status}"),
            ("a\t{status}\tb", "a\t204\tb"),
            ("\u00e9\u4e2d {status}", "\u00e9\u4e2d 204"),
            ("{status}{status}", "204204"),
        ):
            self.assertEqual(expected, access_log_format(text)("", request))

    def test_somethingElse(self) -> None:
        """
        What is neither text nor a number is written as its text.
        """
        request = SimpleNamespace(code=Fraction(1, 2))
        self.assertEqual("1/2", access_log_format("{status}")("", request))
        self.assertEqual('{"status": "1/2"}', json_log_format("status")("", request))

    def test_combined(self) -> None:
        """
        Who asks for the default gets the fast way.
        """
        self.assertIs(combined_line, access_log_format(COMBINED_LOG_FORMAT))

    def test_described(self) -> None:
        """
        Each field says what it is, and shows it.
        """
        fields = describe_log_fields()
        self.assertGreater(len(fields), 14)
        for field in fields:
            self.assertTrue(field.doc.endswith("."), field.name)
            self.assertTrue(field.example.isprintable() and field.example, field.name)


class ValueTests(ServerTestCase):
    """
    What the fields say of real requests.
    """

    def logged(self, site: Any) -> list[dict[str, Any]]:
        """
        The lines as objects.
        """
        return [json.loads(line) for line in site.access.getvalue().splitlines()]

    def jsonSite(self, resource: Any = None, **options: Any) -> Any:
        """
        A site that logs all there is.
        """
        return self.site(
            resource, start=True, logFormatter=json_log_format(), **options
        )

    def test_all(self) -> None:
        """
        An ordinary request.
        """
        self.patch(os, "environ", {"H11WEB_WORKER": "3"})
        site = self.jsonSite()
        self.clock.advance(86400.25)
        self.connect(site).send(
            post(b"12345", b"User-Agent: a \xe9", b"Referer: http://x/", target=b"/a?b")
        )
        [found] = self.logged(site)
        self.assertEqual(
            {
                "time": "1970-01-02T00:00:00.250Z",
                "client": "192.0.2.7",
                "method": "POST",
                "target": "/a?b",
                "protocol": "HTTP/1.1",
                "host": "a",
                "status": 200,
                "bytes_in": 5,
                "bytes_out": 5,
                "seconds": 0.0,
                "request_id": None,
                "referer": "http://x/",
                "agent": "a \\xe9",
                "tls": None,
                "certificate": None,
                "worker": "3",
            },
            {**found, "host": "a", "client": "192.0.2.7"},
        )
        self.assertIsNotNone(found["host"])
        self.assertIsNotNone(found["client"])

    def test_status(self) -> None:
        """
        A status of the standard library's is a number as any other.
        """

        def render(request: Any) -> bytes:
            request.setResponseCode(HTTPStatus.NOT_FOUND)
            return b"x"

        site = self.jsonSite(render)
        self.connect(site).send(get())
        self.assertEqual([404], [found["status"] for found in self.logged(site)])
        site = self.site(render, start=True, logFormatter=access_log_format("{status}"))
        self.connect(site).send(get())
        self.assertEqual("404\n", site.access.getvalue())

    def test_seconds(self) -> None:
        """
        The time from the head to the end of the response.
        """
        holding = Holding()
        site = self.jsonSite(holding)
        wire = self.connect(site).send(get(), get())
        for pause in (1.5, 0.25):
            wire.advance(pause, step=pause)
            holding.answer()
        self.assertEqual([1.5, 0.25], [one["seconds"] for one in self.logged(site)])

    def test_secondsOfABody(self) -> None:
        """
        The time in which the body arrives counts.
        """
        site = self.jsonSite()
        wire = self.connect(site)
        wire.send(post(b"x" * 10)[:-5])
        wire.advance(2)
        wire.send(b"x" * 5)
        [found] = self.logged(site)
        self.assertEqual((2.0, 10), (found["seconds"], found["bytes_in"]))

    def test_notTimed(self) -> None:
        """
        Who does not ask for the time pays nothing for it.
        """
        self.assertFalse(self.site().timesRequests)
        self.assertFalse(
            self.site(logFormatter=access_log_format("{tls}")).timesRequests
        )
        self.assertTrue(
            self.site(logFormatter=access_log_format("{seconds}")).timesRequests
        )

    def test_bodies(self) -> None:
        """
        The length of what was received, however it is framed, and whatever became
        of it.
        """
        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        closes = Calls(lambda request: request.content.close() or b"closed")
        for data, expected in (
            (get(), 0),
            (post(b""), 0),
            (post(b"x" * 70_000), 70_000),
            (chunked + b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n", 7),
            (get(b"/", version=b"1.0"), 0),
            (post(b"abc", b"Connection: close"), 3),
        ):
            for resource in (None, closes):
                site = self.jsonSite(resource)
                self.connect(site).send(data)
                [found] = self.logged(site)
                self.assertEqual(expected, found["bytes_in"], data[:60])

    def test_slowReader(self) -> None:
        """
        What is logged late, since the client was slow to take it, is all known.
        """
        site = self.jsonSite(Calls(lambda request: b"x" * 1_000_000))
        wire = self.connect(site)
        wire.stall()
        wire.send(post(b"abc"))
        self.assertEqual([], self.logged(site))
        wire.advance(3)
        wire.drain()
        [found] = self.logged(site)
        self.assertEqual(
            (3, 1_000_000, 3.0),
            (found["bytes_in"], found["bytes_out"], found["seconds"]),
        )

    def test_cut(self) -> None:
        """
        So it is of a response that was cut.
        """

        def begin(request: Any) -> None:
            request.write(b"begun")

        site = self.jsonSite(begin)
        wire = self.connect(site).send(post(b"abc"))
        wire.advance(2)
        wire.vanish()
        [found] = self.logged(site)
        self.assertEqual((3, 2.0), (found["bytes_in"], found["seconds"]))

    def test_refused(self) -> None:
        """
        A request that was refused has a line with what is known.
        """
        site = self.jsonSite(limits={"maxBodyLength": 10})
        self.connect(site).send(b'\x1b[2J\x9b "\xff\n HTTP/1.1\r\n\r\n').settle(9)
        self.connect(site).send(post(b"x" * 20)).settle(9)
        first, second = self.logged(site)
        self.assertEqual(400, first["status"])
        self.assertIsNone(first["seconds"])
        self.assertEqual((413, "POST"), (second["status"], second["method"]))

    def test_refusedUnread(self) -> None:
        """
        What is not known of a refused request is C{null}, and a request is known whose
        method is C{-}.
        """
        site = self.jsonSite()
        for data in (b"\0\r\n\r\n", b"- / HTTP/1.1\r\n\r\n"):
            self.connect(site).send(data).settle(9)
        first, second = self.logged(site)
        names = ("method", "target", "protocol")
        self.assertEqual([None] * 3, [first[name] for name in names])
        self.assertEqual(["-", "/", "HTTP/1.1"], [second[name] for name in names])

    def test_foreign(self) -> None:
        """
        Requests of other classes are known as well.
        """
        from twisted.web.server import Request

        holding = Holding()
        site = self.jsonSite(holding, requestFactory=Request)
        wire = self.connect(site).send(post(b"abcd"))
        wire.advance(2)
        holding.answer()
        [found] = self.logged(site)
        self.assertEqual(
            (4, 2.0, 4), (found["bytes_in"], found["seconds"], found["bytes_out"])
        )

    def test_evilOnTheWire(self) -> None:
        """
        Whatever stands in whatever place of a request that is really sent, each that
        is answered has one line, in every format, and each line is whole.
        """
        quoted = " ".join(f'"{{{name}}}"' for name in LOG_FIELDS)
        places = (
            b"%s / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /?%s HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/%s\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: %s\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nReferer: %s\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nUser-Agent: %s\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: %s\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: %s\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-Host: %s\r\n\r\n",
        )
        everything = dict.fromkeys(
            text.encode(code, "replace" if code == "latin-1" else "surrogatepass")
            for text in EVIL
            for code in ("utf-8", "latin-1")
        )
        everything[bytes(range(128, 256))] = None
        for made in (None, access_log_format(quoted), json_log_format(*LOG_FIELDS)):
            answered = 0
            site = self.site(
                start=True,
                logFormatter=made,
                requestIds=True,
                requestIdHeader=b"X-Request-ID",
                trustedProxies=TrustedProxies(["0.0.0.0/0"]),
            )
            for place in places:
                for evil in everything:
                    wire = self.connect(site).send(place.replace(b"%s", evil))
                    wire.settle(9)
                    answered += len(wire.responses)
                    wire.vanish()
            lines = site.access.getvalue().split("\n")
            self.assertEqual("", lines.pop())
            self.assertEqual(answered, len(lines))
            self.assertGreaterEqual(answered, len(places) * len(everything))
            for line in lines:
                self.assertTrue(line.isascii() and line.isprintable(), line)
                if made is None:
                    self.assertEqual(4, len(QUOTED.findall(line)), line)
                elif line.startswith("{"):
                    self.assertEqual(list(LOG_FIELDS), list(json.loads(line)))
                else:
                    self.assertEqual(len(LOG_FIELDS), len(QUOTED.findall(line)), line)

    def test_behindAProxy(self) -> None:
        """
        Behind a proxy that is trusted the line tells of the client's request.
        """
        site = self.jsonSite(
            Holding(), trustedProxies=TrustedProxies(["0.0.0.0/0"]), rootPath=b"/app"
        )
        wire = self.connect(site).send(
            post(b"abc", b"X-Forwarded-For: 192.0.2.200", b"X-Forwarded-Host: b")
        )
        wire.advance(1)
        site.resource.children[b"app"].answer()
        [found] = self.logged(site)
        self.assertEqual(
            ("192.0.2.200", "b", "/app/", 3, 1.0),
            tuple(
                found[name]
                for name in ("client", "host", "target", "bytes_in", "seconds")
            ),
        )

    def test_unix(self) -> None:
        """
        A UNIX socket has no address.
        """
        site = self.site(
            start=True, logFormatter=access_log_format("{client}|{status}")
        )
        wire = self.connect(site)
        wire.transport._peer = UNIXAddress(b"/run/x")
        wire.channel._peer = None
        wire.send(get())
        self.assertEqual("-|200\n", site.access.getvalue())
