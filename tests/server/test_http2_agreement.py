"""
Any program of calls on a request has the same results, gives the same response and
leaves the same traces in the logs over HTTP/2 as over HTTP/1.

What differs on purpose (C{docs/supported_http.rst}) does not occur in these programs,
or is left out of the comparison.
"""

from __future__ import annotations

import re
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.logger import formatEvent
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import NOT_DONE_YET, GzipEncoderFactory

from tests.server.test_http2_streams import StreamsTestCase
from tests.support.memory import SERVER, SecureMemoryTransport
from tests.support.server_cases import Calls
from twisted_h11._metrics.prometheus import exposition
from twisted_h11.metrics import Metrics
from twisted_h11.server import Compression

# Fields that HTTP/2 does not have, or that depend on the time.
_OTHERWISE = {
    b"connection",
    b"date",
    b"keep-alive",
    b"proxy-connection",
    b"te",
    b"transfer-encoding",
    b"upgrade",
}

_COUNTED = ("twisted_h11_requests", "twisted_h11_response_size")

_TEXT = st.sampled_from(
    [b"x", b"a\r\nb: c", b"a\0b", b"\x7f", b"\xff", b" sp ", b"", "str", "h\u00e9"]
)
_NAMES = st.sampled_from(
    [
        b"X-A",
        b"Content-Type",
        b"Connection",
        b"Keep-Alive",
        b"Set-Cookie",
        b"Strict-Transport-Security",
        b"TE",
        b"Transfer-Encoding",
        b"Upgrade",
        b"a b",
        b":status",
    ]
)
_DATA: Any = st.sampled_from(
    [b"", b"some", b"x" * 1000, b"y" * 30_000, "text", None, bytearray(b"b")]
)


def _call(name: str, *arguments: st.SearchStrategy[Any]) -> Any:
    return st.tuples(st.just(name), st.tuples(*arguments))


CALLS = st.one_of(
    _call(
        "setResponseCode",
        st.sampled_from([0, 100, 101, 199, 200, 201, 204, 205, 304, 404, 599, 600]),
    ),
    _call("setResponseCode", st.just(200), _TEXT),
    _call("setHeader", _NAMES, _TEXT),
    _call("addRawHeader", _NAMES, _TEXT),
    *(
        _call(
            name,
            st.just(b"Content-Length"),
            st.sampled_from([b"4", b"04", b"3", b"5", b"0", b"", b"-1", b"4, 4", "4"]),
        )
        for name in ("setHeader", "addRawHeader")
    ),
    _call("redirect", _TEXT),
    _call("addCookie", _TEXT, _TEXT),
    _call("setETag", st.sampled_from([b'"tag"', b"\0", "text"])),
    _call("setLastModified", st.sampled_from([10**9, 0, 10**30])),
    _call("write", _DATA),
    _call("finish"),
    _call("raise"),
    _call("attribute", st.sampled_from(["code", "startedWriting", "_disconnected"])),
    *(_call(name) for name in ("getAllHeaders", "prePathURL", "getClientAddress")),
)
"""
The calls of a program.
"""

ENDINGS: Any = st.sampled_from(
    [b"", b"returned", "text", None, NOT_DONE_YET, NOT_DONE_YET, "finish", "finish"]
)
"""
What C{render} returns; or it finishes, if it still can.
"""

REQUESTS: Any = st.tuples(
    st.sampled_from(["GET", "HEAD", "POST"]),
    st.sampled_from(["/p", "/p/a%20b?x=1", "/wrapped/p"]),
    st.sampled_from([(), (("accept-encoding", "gzip"),), (("if-none-match", "*"),)]),
)
"""
Method, path and fields.
"""


class Failed(Exception):
    """
    An application fails.
    """


def render_by(program: Any, ending: Any, seen: list[Any]) -> Any:
    """
    A function that makes the calls, and notes their results.
    """

    def call(request: Any, name: str, arguments: Any) -> Any:
        if name == "raise":
            raise Failed
        if name == "attribute":
            return getattr(request, *arguments)
        if name == "addRawHeader":
            return request.responseHeaders.addRawHeader(*arguments)
        return getattr(request, name)(*arguments)

    def render(request: Any) -> Any:
        request.notifyFinish().addCallbacks(
            lambda _: seen.append("finished"), lambda _: seen.append("lost")
        )
        for name, arguments in program:
            try:
                seen.append((name, call(request, name, arguments)))
            except (AttributeError, OverflowError, TypeError, ValueError) as error:
                seen.append((name, type(error)))
            except RuntimeError as error:
                seen.append((name, str(error)))
        if ending != "finish":
            return ending
        if not request.finished:
            request.finish()
        return NOT_DONE_YET

    return render


class Agreement(StreamsTestCase):
    """
    Our site by HTTP/1 and by HTTP/2.
    """

    def talk_to(self, version: int, program: Any, ending: Any, request: Any) -> Any:
        """
        What the application, the client and the logs see.
        """
        self.events.clear()
        seen: list[Any] = []
        root = Resource()
        root.putChild(b"p", Calls(render_by(program, ending, seen)))
        root.putChild(b"wrapped", EncodingResourceWrapper(root, [GzipEncoderFactory()]))
        metrics = Metrics()
        site = self.site(
            root,
            http2=True,
            start=True,
            compression=Compression(),
            extraHeaders=[(b"X-Site", b"1")],
            hsts=60,
            metrics=metrics,
        )
        response = (self.by_http1, self.by_http2)[version - 1](site, *request)
        self.flushLoggedErrors(Failed, TypeError, OverflowError, RuntimeError)
        return seen, response, [self.logged(site), self.counted(metrics)]

    def by_http1(self, site: Any, method: str, path: str, fields: Any) -> Any:
        """
        Status, fields, content, and whether the response is complete.
        """
        transport = SecureMemoryTransport(SERVER, IPv4Address("TCP", "192.0.2.7", 1))
        wire = self.connect(site, transport)
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{name}: {value}" for name, value in fields]
        wire.send("\r\n".join([*lines, "", ""]).encode())
        for _ in range(10):
            wire.pump()
        wire.methods = [method.encode()]
        responses = wire.responses
        wire.vanish()
        if not responses:
            return None
        (found,) = responses
        isWhole: bool | None = found.complete
        if isWhole and found.framing != "chunked":
            # The client does not see whether the application has ended it.
            isWhole = None
        compared = self.compared(found.status, found.fields)
        return [found.status, compared, found.body, isWhole]

    def by_http2(self, site: Any, method: str, path: str, fields: Any) -> Any:
        """
        The same.
        """
        client = self.client(site, INITIAL_WINDOW_SIZE=1 << 20)
        client.h2.increment_flow_control_window(1 << 20)
        more: Any = {":method": method, ":path": path, **dict(fields)}
        client.request(1, **more)
        self.settle(client)
        responses = client.named("ResponseReceived")
        isWhole = bool(client.named("StreamEnded") and not client.named("StreamReset"))
        client.wire.vanish()
        if not responses:
            return None
        (code, *rest) = responses[0].headers
        status = int(code[1])
        return [status, self.compared(status, rest), self.content(client), isWhole]

    def compared(self, status: int, fields: Any) -> Any:
        """
        The fields that are compared.
        """
        without = _OTHERWISE | ({b"content-length"} if status == 304 else set())
        return sorted((name, value) for name, value in fields if name not in without)

    def logged(self, site: Any) -> Any:
        """
        The line of the access log, and the errors.
        """
        found = [site.access.getvalue()]
        for event in self.events:
            failure = event.get("log_failure")
            if failure is not None:
                found.append(failure.type.__name__)
            elif event["log_level"].name in ("warn", "error"):
                found.append(formatEvent(event) or "")
        return [
            re.sub(r"0x[0-9a-f]+", "0x", text).replace("HTTP/1.1", "HTTP/2")
            for text in found
        ]

    def counted(self, metrics: Any) -> Any:
        """
        The requests by method and status, and the lengths of responses.
        """
        lines = exposition(*metrics.totals())[1].decode().splitlines()
        return [line for line in lines if line.startswith(_COUNTED)]

    @settings(max_examples=150, deadline=None)
    @given(
        program=st.lists(CALLS, max_size=6),
        ending=ENDINGS,
        request=REQUESTS,
    )
    def test_same(self, program: Any, ending: Any, request: Any) -> None:
        """
        The two agree.
        """
        first = self.talk_to(1, program, ending, request)
        second = self.talk_to(2, program, ending, request)
        isFailed = any("can not be sent" in text for text in first[2][0])
        isCut = first[1] is not None and first[1][-1] is False
        if isFailed:
            # Over HTTP/1 a request is told so later, when the connection is gone, and
            # has no line if it does not finish.
            for seen, *_ in (first, second):
                seen[:] = [note for note in seen if note not in ("finished", "lost")]
        if isCut:
            # Over HTTP/2 what waits is dropped.
            self.assertTrue(first[1][2].startswith(second[1][2]))
        isOpen = first[1] is not None and first[1][-1] is None
        for _, response, logs in (first, second):
            if isFailed or isCut:
                logs[:] = [logs[0][1:]]
            if response is not None and isCut:
                del response[2]
            elif response is not None and isOpen:
                del response[-1]
        for one, two in zip(first, second, strict=True):
            self.assertEqual(one, two)
