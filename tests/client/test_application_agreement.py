"""
Any program of an application with an agent has the same results with twisted.web's
client, with ours, and with twisted.web's on our pool: what each request, its producer
and the reader of its response see, and which requests the server gets.

What differs on purpose does not occur in these programs, or is not compared.  The
section "What differs from twisted.web" of C{docs/client.rst} has the reasons:

 - a response to a request that is not completely sent, which ours delivers;
 - redirects of HEAD, and with 308; relative locations; fields about a body, and Host,
   which ours leaves out;
 - headers that contradict the body, which ours refuses; empty pieces of a chunked body;
 - PATCH without a body; a C{?} or C{;} that nothing follows in a target;
 - a proxy for other schemes than C{http:}; a fragment that a proxy gets;
 - a connection that breaks at the end of a body that it ends; truncated gzip;
 - the reason for which a reader ends that has closed its connection, and what it still
   gets; what it gets while it has paused; what happens if it raises;
 - C{stopProducing} of a producer whose request was cancelled, or which raises, and
   what it may write after that;
 - on which connection a request is sent, and so whether it is sent again when that
   connection is lost: the C{pool} page.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import client as theirs
from twisted.web.iweb import UNKNOWN_LENGTH

from tests.fuzz.strategies import examples
from tests.support.client_programs import Answer, Application
from twisted_h11 import client as ours

_LOCATIONS = [
    (),
    (b"Location: http://a/z",),
    (b"Location: http://b/z",),
    (b"Location: http://b/w?x",),
]

_LINES = [
    (),
    (b"Set-Cookie: a=b; Path=/", b"Set-Cookie: c=d; Domain=other"),
    (b"Connection: close",),
    (b"x-a: 1", b"X-A: 2"),
    (b"Content-Encoding: gzip",),
    (b"Keep-Alive: timeout=5", b"TE: x", b"Trailer: x"),
]

ANSWERS = st.builds(
    Answer,
    st.sampled_from([b"", b"", b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n"]),
    st.sampled_from([200, 204, 301, 302, 303, 304, 307, 599]),
    st.builds(
        lambda *lines: sum(lines, ()),
        st.sampled_from(_LOCATIONS),
        st.sampled_from(_LINES),
    ),
    st.sampled_from(["length", "chunked", "close"]),
)

_BODIES: list[Any] = [
    None,
    None,
    None,
    None,
    (3, [b"a", b"bc", ":finish"]),
    (UNKNOWN_LENGTH, [b"a", b"bc", ":finish"]),
    (3, [b"a"]),
    (UNKNOWN_LENGTH, []),
    (0, [":finish"]),
    (2, [b"abc"]),
    (5, [b"abc", ":finish"]),
    (UNKNOWN_LENGTH, [b"abc", ":fail"]),
]

_FIELDS: list[Any] = [
    None,
    [],
    [("X-A", "1"), (b"x-a", b"2"), (b"X-Empty", b"")],
    [(b"Host", b"own")],
    [(b"user-agent", b"me"), (b"Accept-Encoding", b"br")],
    [(b"X-B", b" padded "), ("X-Text", "\u00e9"), (b"X-Line", b"a\nb")],
    [(b"Cookie", b"own=1"), (b"Authorization", b"z")],
    [(b"Connection", b"Upgrade"), (b"Upgrade", b"x")],
    [(b"Connection", b"close")],
]

ASK = st.tuples(
    st.just("ask"),
    st.sampled_from([b"GET", b"GET", b"HEAD", b"POST", b"DELETE", b"odd"]),
    st.sampled_from(
        [
            b"http://a/x",
            b"http://a#f",
            b"http://a:81/x?q=1&r#f",
            b"HTTP://a:80//x%20;p",
            b" http://[::1]:8080/* ",
            b"https://b/x",
            b"ftp://b/x",
        ]
    ),
    st.sampled_from(_FIELDS),
    st.sampled_from(_BODIES),
    st.sampled_from(["readBody", "deliver", "deliver", "late", "quit"]),
)

_AT = st.integers(0, 3)
STEPS = st.one_of(
    *[ASK] * 3,
    *[st.tuples(st.just("feed"), _AT, st.sampled_from([10, 70, 999]))] * 4,
    st.tuples(st.just("lose"), _AT),
    st.tuples(st.just("cancel"), _AT),
    st.tuples(
        st.just("produce"),
        _AT,
        st.sampled_from([[b"bc", ":finish"], [":finish"], [":fail"]]),
    ),
    st.tuples(st.just("reader"), _AT, st.sampled_from(["pause", "resume"])),
    st.tuples(st.just("read"), _AT),
    st.tuples(st.just("net"), st.sampled_from(["works", "hangs", "refuses"])),
)


# From the innermost to the outermost.
WRAPPERS = st.sampled_from(
    [
        [],
        ["proxy"],
        ["redirects"],
        ["browser"],
        ["proxy", "redirects"],
        ["cookies", "redirects"],
        ["browser", "cookies"],
        ["gzip", "browser"],
        ["cookies", "gzip"],
    ]
)


class ApplicationAgreementTests(SynchronousTestCase):
    """
    twisted.web's client, ours, and twisted.web's with our pool.
    """

    # Twisted's readBody has no way to abort, and says so.
    suppress = ((("ignore",), {"category": DeprecationWarning}),)

    @examples(400)
    @given(
        program=st.lists(STEPS, min_size=4, max_size=10),
        first=ASK,
        answers=st.lists(ANSWERS, min_size=2, max_size=5),
        persistent=st.booleans(),
        wrappers=WRAPPERS,
    )
    def test_same(
        self,
        program: Any,
        first: Any,
        answers: list[Answer],
        persistent: bool,
        wrappers: list[str],
    ) -> None:
        """
        The three agree.
        """
        program = [first, *program]
        expected, *found = (
            Application(module, pools, persistent, wrappers, answers).run(program)
            for module, pools in ((theirs, theirs), (ours, ours), (theirs, ours))
        )
        for results in found:
            for their, our in zip(expected, results, strict=True):
                self.assertEqual(their, our)
