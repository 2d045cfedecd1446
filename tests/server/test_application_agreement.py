"""
Any program of calls on a request sees and sends the same with twisted.web's site and
with ours: what the calls return or raise, the response, and whether the connection goes
on.

What differs on purpose (C{docs/migrating.rst}) does not occur in these programs.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.web import server
from twisted.web.http_headers import Headers
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import NOT_DONE_YET, GzipEncoderFactory

from tests.support.responses import WireResponse
from tests.support.server_cases import Calls, ServerTestCase, get
from tests.support.wire import Wire

# Fields that are named differently, or frame the response.
_OTHERWISE = {
    b"connection",
    b"content-length",
    b"date",
    b"server",
    b"transfer-encoding",
}

_TEXT = st.sampled_from([b"x", b"a b", "str", "h\u00e9", b"v;w", b"0"])
_NAMES = st.sampled_from([b"X-A", "x-a", b"content-type", b"Vary", b"Set-Cookie"])
_ASKED = st.sampled_from([b"Host", "host", b"X-Two", "x-two", b"missing", b"Cookie"])


def _call(name: str, *arguments: st.SearchStrategy[Any], **named: Any) -> Any:
    return st.tuples(
        st.just(name), st.tuples(*arguments), st.fixed_dictionaries({}, optional=named)
    )


CALLS = st.one_of(
    _call("setHeader", _NAMES, _TEXT),
    _call("setResponseCode", st.sampled_from([200, 201, 304, 404, 418, 599])),
    _call(
        "setResponseCode", st.sampled_from([200, 404]), st.sampled_from([b"Mine", None])
    ),
    _call("redirect", st.sampled_from([b"/x", "http://e/\u00e9"])),
    _call(
        "addCookie",
        _TEXT,
        _TEXT,
        expires=_TEXT,
        domain=_TEXT,
        path=_TEXT,
        max_age=_TEXT,
        comment=_TEXT,
        secure=st.booleans(),
        httpOnly=st.booleans(),
        sameSite=st.sampled_from(["lax", b"None", "odd", ""]),
    ),
    _call("setETag", st.sampled_from([b'"tag"', b'"other"', '"text"', None])),
    _call("setLastModified", st.sampled_from([10**9, 1e9 + 0.5, 0])),
    _call("write", st.sampled_from([b"", b"some", b"x" * 1000, b"y" * 70_000])),
    _call("getHeader", _ASKED),
    _call("getCookie", st.sampled_from([b"a", b"c", b"missing"])),
    _call(
        "setHost", st.sampled_from([b"other", b"h.example"]), st.sampled_from([80, 81])
    ),
    *(
        _call(name)
        for name in (
            "getAllHeaders",
            "getClientAddress",
            "getHost",
            "getPassword",
            "getRequestHostname",
            "getUser",
            "isSecure",
            "prePathURL",
        )
    ),
    *(
        st.tuples(st.just("attribute"), st.tuples(st.just(name)), st.just({}))
        for name in (
            "args",
            "client",
            "clientproto",
            "code",
            "code_message",
            "cookies",
            "finished",
            "method",
            "path",
            "postpath",
            "prepath",
            "received_cookies",
            "requestHeaders",
            "sentLength",
            "sitepath",
            "uri",
        )
    ),
)

FIELDS = st.lists(
    st.sampled_from(
        [
            b"X-Two: 1\r\nx-two: 2",
            b"Cookie: a=b; c=d",
            b"Authorization: Basic dXNlcjpwdw==",
            b"Authorization: Basic !",
            b'If-None-Match: "tag"',
            b"If-None-Match: *",
            b"If-Modified-Since: Sun, 09 Sep 2001 01:46:40 GMT",
            b"Accept-Encoding: gzip",
        ]
    ),
    max_size=3,
    unique_by=lambda field: field.partition(b":")[0],
)

FORM = (
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7",
    b"a=1&b=2",
)

REQUESTS = st.builds(
    lambda method, query, fields: (
        get(
            b"/p" + query,
            *fields,
            *([FORM[0]] if method == b"POST" else ()),
            method=method,
        )
        + (FORM[1] if method == b"POST" else b"")
    ),
    st.sampled_from([b"GET", b"HEAD", b"POST"]),
    st.sampled_from([b"", b"/", b"/a%20b/c", b"?x=1&y=&x=%41"]),
    FIELDS,
)


def _seen(value: Any) -> Any:
    if isinstance(value, Headers):
        return sorted(value.getAllRawHeaders())
    return value


class ApplicationAgreementTests(ServerTestCase):
    """
    twisted.web's site, ours, and ours with twisted.web's request.
    """

    def root(self, program: Any, ending: Any, seen: list[Any]) -> Resource:
        """
        The root of a site whose child C{p} makes the calls, and notes their results.
        """

        def note(request: Any, name: str, arguments: Any, named: Any) -> None:
            try:
                if name == "attribute":
                    result = getattr(request, arguments[0])
                else:
                    result = getattr(request, name)(*arguments, **named)
            except (AttributeError, TypeError, ValueError) as error:
                result = type(error)
            seen.append((name, arguments, _seen(result)))

        def render(request: Any) -> Any:
            request.notifyFinish().addBoth(lambda result: seen.append(result))
            for call in program:
                note(request, *call)
            if ending is not None:
                return ending
            request.finish()
            seen.append(request.transport.getPeer())
            return NOT_DONE_YET

        root = Resource()
        root.putChild(b"p", Calls(render))
        return root

    def talk_to(
        self, kind: str, program: Any, ending: Any, request: bytes, wrapped: bool
    ) -> Any:
        """
        What one site and its application make of a request, and of a second one.
        """
        seen: list[Any] = []
        root: Any = self.root(program, ending, seen)
        if wrapped:
            root = EncodingResourceWrapper(root, [GzipEncoderFactory()])
        if kind == "twisted.web":
            site: Any = server.Site(root, reactor=self.clock)
            wire = Wire(site, self.clock)
        else:
            factory = server.Request if kind == "foreign" else None
            wire = self.connect(self.site(root, requestFactory=factory))
        wire.methods = [request.partition(b" ")[0], b"GET"]
        wire.send(request, get(b"/nothing"))
        shown = [self.shown(response) for response in wire.responses]
        closed = wire.closed
        wire.vanish()
        return seen, shown, closed

    def shown(self, response: WireResponse) -> Any:
        """
        What is compared of a response.
        """
        fields = sorted(
            (name, value) for name, value in response.fields if name not in _OTHERWISE
        )
        return response.status, response.reason, fields, response.body

    @settings(max_examples=250, deadline=None)
    @given(
        program=st.lists(CALLS, max_size=8),
        ending=st.sampled_from([None, b"", b"returned"]),
        request=REQUESTS,
        wrapped=st.booleans(),
    )
    def test_same(
        self, program: Any, ending: Any, request: bytes, wrapped: bool
    ) -> None:
        """
        The three agree.
        """
        expected = self.talk_to("twisted.web", program, ending, request, wrapped)
        for kind in ("ours", "foreign"):
            found = self.talk_to(kind, program, ending, request, wrapped)
            for theirs, ours in zip(expected, found, strict=True):
                self.assertEqual(theirs, ours, kind)
