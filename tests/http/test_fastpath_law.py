"""
The Law: wherever the fast path answers, the strict layer and h11 answer the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from tests.fuzz.law import (
    BrokenLaw,
    check_memory,
    check_pipeline,
    check_request,
    check_response,
)
from tests.fuzz.strategies import (
    CURL,
    CURL_POST,
    NAMED,
    REAL,
    REASONS,
    REQUESTS,
    STATUSES,
    TIGHT,
    examples,
    generated,
    head,
    mutated,
    response_fields,
)
from twisted_h11._http import fast_responses, fastpath
from twisted_h11.limits import Limits


class RequestTests(SynchronousTestCase):
    """
    C{read_request} against the strict layer and h11.
    """

    @examples(250)
    @given(st.lists(REQUESTS, min_size=1, max_size=4), TIGHT)
    def test_pipelines(self, requests: list[bytes], limits: Limits) -> None:
        """
        Each head that is answered is that of the authorities, alone and after
        another one on the same connection, under any limits.
        """
        data = b"".join(requests)
        check_pipeline(data)
        check_pipeline(data, limits)

    @examples(60)
    @given(mutated(), st.binary(max_size=30))
    def test_start(self, data: bytes, before: bytes) -> None:
        """
        What lies before the request does not matter, nor what follows.
        """
        check_request(before + data + before, len(before))

    @examples(100)
    @given(mutated(), st.data())
    def test_cut(self, data: bytes, choice: Any) -> None:
        """
        A request that is not all here is not answered: a cut that is answered
        is a whole message for the authorities.
        """
        check_request(data[: choice.draw(st.integers(0, len(data)))])

    @examples(100)
    @given(generated(), generated(), st.sampled_from(REAL))
    def test_after(self, one: bytes, other: bytes, real: bytes) -> None:
        """
        A head that was remembered never lets another one pass.
        """
        for first in (one, real):
            last = check_request(first)
            if last is not None:
                check_request(other, last=last)
                check_request(real + other, last=last)
                block = b"\r\n" + last.block[1:-4]
                for end in (
                    b"\r\n\r\n",
                    b"\r\nX: y\r\n\r\n",
                    b"\r\n",
                    b"\n\n",
                    b"\r\n ",
                ):
                    check_request(b"GET / HTTP/1.1" + block + end + other, last=last)

    def test_everyByte(self) -> None:
        """
        Every byte, in every place of a head: put in, or in the place of another.
        """
        data = head(
            b"POST /p?q HTTP/1.1",
            b"Host: a:1",
            b"Connection: keep-alive",
            b"Content-Length: 3",
            b"X-a: b c",
        )
        plain = check_request(data + b"abcdefgh")
        for at in range(len(data)):
            for value in range(256):
                byte = bytes([value])
                for end in (at, at + 1):
                    changed = data[:at] + byte + data[end:] + b"abcdefgh"
                    check_request(changed, last=plain)

    def test_everyPair(self) -> None:
        """
        Any two of the fields that matter, in one head.
        """
        lines = [name + b": " + value for name, values in NAMED for value in values]
        for one in lines:
            for two in lines:
                for host in ([b"Host: a"], []):
                    data = head(b"POST / HTTP/1.1", one, *host, two)
                    check_request(data + b"abcdefgh")

    def test_boundaries(self) -> None:
        """
        Exactly at each limit there is an answer, and just above there is none.
        """

        def answers(data: bytes, **limits: Any) -> bool:
            return check_request(data, limits=Limits(**limits)) is not None

        size = len(CURL)
        self.assertTrue(answers(CURL, maxHeadLength=size))
        self.assertFalse(answers(CURL, maxHeadLength=size - 1))
        self.assertTrue(answers(CURL, maxFieldCount=3))
        self.assertFalse(answers(CURL, maxFieldCount=2))
        self.assertTrue(answers(CURL, maxTargetLength=6))
        self.assertFalse(answers(CURL, maxTargetLength=5))
        self.assertTrue(answers(CURL_POST, maxBodyLength=7))
        self.assertFalse(answers(CURL_POST, maxBodyLength=6))
        last = check_request(CURL)
        assert last is not None
        for limits in (Limits(maxHeadLength=size - 1), Limits(maxTargetLength=5)):
            self.assertIsNone(fastpath.read_request(CURL, 0, limits, last))

    def test_anyBody(self) -> None:
        """
        The head of a body of any length is read, whether the body is here or not.
        """
        for size in (1, 65536, 65537, 10**9):
            post = head(b"POST / HTTP/1.1", b"Host: a", b"Content-Length: %d" % size)
            for here in (0, 1):
                answer = check_request(post + bytes(here))
                assert answer is not None
                self.assertEqual((size, len(post)), (answer.length, answer.end))

    def test_common(self) -> None:
        """
        What browsers, curl and wget send is answered: the tests here are not
        empty.
        """
        for data in REAL:
            self.assertIsNotNone(check_request(data), data)
        # Not only for a host that was asked before.
        data = head(b"GET / HTTP/1.1", b"Host: h%d" % id(data))
        self.assertIsNotNone(check_request(data), data)
        self.assertEqual(check_pipeline(b"".join(REAL) * 2), 2 * len(REAL))

    def test_brokenLawIsSeen(self) -> None:
        """
        The check fails for a head that h11 reads in another way.
        """
        data = head(b"GET / HTTP/1.1", b"Host: a", b"X: y")
        made = fastpath.read_request(data, 0, Limits(), None)
        assert made is not None
        made.length = 1
        self.patch(fastpath, "read_request", lambda *_: made)
        self.assertRaises(BrokenLaw, check_request, data + b"x")
        made.length = 0
        made.target = b"/x"
        self.assertRaises(BrokenLaw, check_request, data)
        made.target = b"/"
        made.keepAlive = False
        self.assertRaises(BrokenLaw, check_request, data)

    def test_repeated(self) -> None:
        """
        Fields that are those of the request before, to the byte, are not read again;
        where there is more, or was a body, all are.
        """

        def after(last: fastpath.FastHead, data: bytes) -> fastpath.FastHead:
            made = fastpath.read_request(data, 0, Limits(), last)
            assert made is not None
            return made

        lines = b"Host: a", b"Connection: close", b"X: y"
        first = check_request(head(b"GET /1 HTTP/1.1", *lines))
        assert first is not None
        first.logged = "noted"
        data = head(b"GET /22 HTTP/1.1", *lines)
        for pairs in (None, first.fields):
            again = after(first, data + b"more")
            self.assertIs(first.lowered, again.lowered)
            self.assertEqual(
                (b"/22", len(data), 0, False, "noted"),
                (again.target, again.end, again.length, again.keepAlive, again.logged),
            )
            self.assertIs(again._pairs, first._pairs if pairs else again._pairs)
            self.assertEqual(3, len(again.fields))
        self.assertIs(first.fields, again.fields)
        longer = after(first, head(b"GET / HTTP/1.1", *lines, b"Z: z"))
        self.assertEqual((4, None), (len(longer.fields), longer.logged))
        posted = check_request(CURL_POST)
        assert posted is not None
        self.assertIsNot(posted.lowered, after(posted, CURL_POST).lowered)

    def test_uncommonNames(self) -> None:
        """
        Nothing that needs the state machine is answered, whatever the case of
        its name.
        """
        for line in (
            b"Transfer-Encoding: chunked",
            b"Upgrade: websocket",
            b"Expect: 100-continue",
            b"Connection: keep-alive, x",
            b"Host: b",
        ):
            for way in (bytes.lower, bytes.upper, bytes):
                data = head(b"GET / HTTP/1.1", b"Host: a", way(line))
                self.assertIsNone(fastpath.read_request(data, 0, Limits(), None), line)


def fields(*pairs: tuple[bytes, Sequence[bytes]]) -> Headers:
    """
    Fields in this order.
    """
    headers = Headers()
    for name, values in pairs:
        headers.setRawHeaders(name, values)
    return headers


DATE = (b"Date", [b"Tue, 14 Nov 2023 22:13:20 GMT"])


class ResponseTests(SynchronousTestCase):
    """
    C{begun_head} and C{whole_head} against ResponseHead and h11.
    """

    @examples(200)
    @given(STATUSES, REASONS, response_fields())
    def test_heads(self, status: int, reason: bytes, headers: Headers) -> None:
        """
        The bytes are those of h11, chunked ones too, and there are none where
        the application's head is refused.
        """
        check_response(status, reason, headers)

    @examples(200)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from([200, 200, 404, 304, 700]),
                st.sampled_from([b"OK", b"Not Found", b"\x01"]),
                response_fields(),
                st.sampled_from([0, 5, 12345678]),
            ),
            max_size=4,
        )
    )
    def test_memory(self, made: list[tuple[int, bytes, Headers, int]]) -> None:
        """
        A head that is remembered is the head that h11 would make, in whatever
        order responses differ.
        """
        # Applications do not give a length where this is used.
        for _, _, headers, _ in made:
            headers.removeHeader(b"Content-Length")
        check_memory([one for one in made for _ in range(2)])

    def test_common(self) -> None:
        """
        Common responses are answered: the tests here are not empty.
        """
        common = fields(DATE, (b"Server", [b"x"]), (b"Set-Cookie", [b"a=b", b"c=d"]))
        self.assertTrue(check_response(200, b"OK", common))
        self.assertEqual(check_memory([(200, b"OK", common, n) for n in range(9)]), 9)
        common.setRawHeaders(b"content-length", [b"3"])
        self.assertTrue(check_response(404, b"Not Found", common))

    def test_statuses(self) -> None:
        """
        Any status of a final response with content is common, and no other.
        """
        for status in (100, 199, 200, 203, 204, 205, 206, 303, 304, 305, 599, 600):
            self.assertEqual(
                200 <= status <= 599 and status not in (204, 205, 304),
                check_response(status, b"OK", fields(DATE)),
            )

    def test_length(self) -> None:
        """
        One C{Content-Length} of up to 18 digits is common, whatever was remembered.
        """
        for values, expected in (
            ([b"3"], True),
            ([b"9" * 18], True),
            ([b"9" * 19], False),
            ([b"3", b"3"], False),
            ([b"3", b"4"], False),
            ([], False),
        ):
            made = fields(DATE, (b"Content-Length", values))
            self.assertEqual(expected, check_response(200, b"OK", made), values)

    def test_placeOfLength(self) -> None:
        """
        It may stand anywhere; heads that differ in nothing else are remembered once.
        """
        for place in range(3):
            fast_responses._begun.clear()
            for length, age in product((b"3", b"12"), (b"5", b"7")):
                lines: list[Any] = [DATE, (b"Age", [age])]
                lines.insert(place, (b"Content-Length", [length]))
                self.assertTrue(check_response(200, b"OK", fields(*lines)))
            # Two ages, each in a last response and in one that is not.
            self.assertEqual(4, len(fast_responses._begun), place)

    def test_coding(self) -> None:
        """
        C{Transfer-Encoding: chunked}, which twisted.web's own requests set, is
        common, wherever it stands, and with a length; no other coding is.
        """
        coding = (b"Transfer-Encoding", [b"chunked"])
        length = (b"Content-Length", [b"3"])
        for order in ((DATE, coding), (coding, DATE), (DATE, coding, length)):
            self.assertTrue(check_response(200, b"OK", fields(*order)))
            self.assertEqual(2, check_memory([(200, b"OK", fields(*order[:2]), 3)] * 2))
        for values in ([b"identity"], [b"gzip"], [b"chunked", b"chunked"], []):
            made = fields(DATE, (b"Transfer-Encoding", values))
            self.assertFalse(check_response(200, b"OK", made), values)

    def test_everyByte(self) -> None:
        """
        Every byte, in a reason phrase, in a name and in a value: at either end
        and within.
        """
        for value in range(256):
            byte = bytes([value])
            for text in (byte, byte + b"a", b"a" + byte, b"a" + byte + b"a"):
                check_response(200, text, fields(DATE))
                check_response(200, b"OK", fields(DATE, (b"X", [text])))
                check_response(200, b"OK", fields(DATE, (b"X", [b"a " + text])))
                headers = fields(DATE)
                raw: Any = headers._rawHeaders
                # Twisted looks at names itself, in some versions.
                raw[text] = [b"y"]
                check_response(200, b"OK", headers)
                for name in (b"Connection", b"Content-Length", b"Transfer-Encoding"):
                    check_response(200, b"OK", fields(DATE, (name, [text])))

    def test_changedInPlace(self) -> None:
        """
        Fields that are changed after they were remembered are seen as changed.
        """
        headers = fields(DATE, (b"A", [b"1"]))
        raw: Any = headers._rawHeaders
        for value in (b"1", b"2"):
            raw[b"A"][:] = [value]
            made = fast_responses.whole_head(200, b"OK", raw, 0)
            self.assertIn(b"A: " + value + b"\r\n", made or b"")

    def test_dateWithoutValue(self) -> None:
        """
        A Date field without a value is none.
        """
        check_response(200, b"OK", fields((b"Date", [])))

    def test_orderOfFields(self) -> None:
        """
        Fields go out in the application's order, also after a response that had
        the same in another order.
        """
        one, two = (b"A", [b"1"]), (b"B", [b"2"])
        check_memory(
            [
                (200, b"OK", fields(DATE, *order), 3)
                for order in ((one, two), (two, one))
            ]
        )

    def test_hostInResponse(self) -> None:
        """
        A Host field makes no sense in a response; h11 puts it first all the same.
        """
        check_response(200, b"OK", fields(DATE, (b"Host", [b"a"])))

    def test_notRemembered(self) -> None:
        """
        Heads of more than a kilobyte are not remembered, nor fields of several values.
        """
        for table in (fast_responses._prefixes, fast_responses._begun):
            table.clear()
        for values in ([b"y" * 2000], [b"1", b"2"]):
            made = fields(DATE, (b"X", values))
            self.assertEqual(2, check_memory([(200, b"OK", made, 1)] * 2))
            self.assertTrue(check_response(200, b"OK", made))
        self.assertEqual(({}, {}), (fast_responses._prefixes, fast_responses._begun))

    def test_known(self) -> None:
        """
        The tables of lines that were found in order have what was found, and do not
        grow without bound.
        """
        tables: tuple[dict[Any, Any], ...] = (
            fast_responses._lines,
            fast_responses._status_lines,
            fast_responses._prefixes,
            fast_responses._begun,
        )
        for table in tables:
            table.clear()
        most, hosts = [0] * len(tables), 0
        for number in range(3 * fast_responses._MOST_LINES):
            text = b"%d" % number
            made = fields(DATE, (b"X", [text]))
            check_response(200, text, made)
            check_memory([(200, text, made, 1)])
            check_request(head(b"GET / HTTP/1.1", b"Host: h" + text))
            hosts = max(hosts, len(fastpath._known_hosts))
            most = [
                max(len(table), seen) for table, seen in zip(tables, most, strict=True)
            ]
        self.assertEqual([fast_responses._MOST_LINES] * len(tables), most)
        self.assertEqual(fastpath._MOST_KNOWN_HOSTS, hosts)
