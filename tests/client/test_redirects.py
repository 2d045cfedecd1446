"""
Redirects: where they lead, what is sent there, and what is left of the redirect.
"""

from __future__ import annotations

from http.cookiejar import CookieJar
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import deferLater
from twisted.web import client as theirs
from twisted.web.error import PageRedirect
from twisted.web.http_headers import Headers

from tests.support.client_cases import ClientTestCase
from tests.support.client_memory import Peer
from tests.support.producers import OK
from twisted_h11.client import (
    BrowserLikeRedirectAgent,
    ContentDecoderAgent,
    CookieAgent,
    GzipDecoder,
    MalformedResponse,
    RedirectAgent,
    RequestError,
    ResponseFailed,
    TimedOut,
    readBody,
)

KINDS = (RedirectAgent, BrowserLikeRedirectAgent)


def redirect(location: bytes, status: int = 302, more: bytes = b"") -> bytes:
    """
    A redirect without a body.
    """
    return (b"HTTP/1.1 %d Moved\r\nLocation: %b\r\n%bContent-Length: 0\r\n\r\n") % (
        status,
        location,
        more,
    )


class RedirectTestCase(ClientTestCase):
    """
    A server in memory that redirects.
    """

    def follow(
        self,
        agent: Any,
        *answers: bytes,
        method: bytes = b"GET",
        uri: bytes = b"http://a/x/y",
        **options: Any,
    ) -> tuple[Any, list[bytes]]:
        """
        A request, and these answers; the result, and all requests that were sent.
        """
        first = len(self.network.peers)
        deferred = agent.request(method, uri, **options)
        self.deferreds.append(deferred)
        sent: list[bytes] = []
        for answer in (*answers, OK):
            busy = [peer for peer in self.network.peers[first:] if self._isAsked(peer)]
            if busy:
                sent.append(busy[0].take())
                busy[0].send(answer)
        return deferred, sent

    def _isAsked(self, peer: Peer) -> bool:
        return not peer.closed and peer.protocol.state.value == "waiting"


class TargetTests(RedirectTestCase):
    """
    Where a redirect leads.
    """

    def test_chain(self) -> None:
        """
        A relative location is resolved against the URI of the response that has it,
        behind the first redirect, too.
        """
        for kind in KINDS:
            for hops, last in [
                ([b"http://b/c/d", b"e"], b"GET /c/e HTTP/1.1\r\nHost: b\r\n"),
                ([b"http://b/c/d", b"/e"], b"GET /e HTTP/1.1\r\nHost: b\r\n"),
                ([b"//b/c/d", b"?f"], b"GET /c/d?f HTTP/1.1\r\nHost: b\r\n"),
                ([b"../c/d", b"e", b"f/", b"g"], b"GET /c/f/g HTTP/1.1\r\nHost: a\r\n"),
            ]:
                agent = kind(self.makeAgent())
                deferred, sent = self.follow(agent, *map(redirect, hops))
                self.assertTrue(sent[-1].startswith(last), (hops, sent))
                response = self.successResultOf(deferred)
                for _ in hops:
                    response = response.previousResponse
                self.assertIsNone(response.previousResponse)

    def test_unsafeBytes(self) -> None:
        """
        Spaces and bytes above 127 in a location, which no URI has, are escaped.
        """
        for location, target in (
            (b"/b c", b"/b%20c"),
            (b"b%20c d?e f#g h", b"/x/b%20c%20d?e%20f"),
            (b"/caf\xc3\xa9", b"/caf%C3%A9"),
            (b"/caf\xe9?\xff", b"/caf%E9?%FF"),
            (b"//a/\xc3\xa9", b"/%C3%A9"),
            (b"http://a/x y", b"/x%20y"),
            (b'/%zz{}|\\^`<>"[]', b'/%zz{}|\\^`<>"[]'),
            (b"/!$&'()*+,;=:@-._~?/", b"/!$&'()*+,;=:@-._~?/"),
        ):
            for kind in KINDS:
                agent = kind(self.makeAgent())
                deferred, sent = self.follow(agent, redirect(location))
                line = b"GET " + target + b" HTTP/1.1\r\n"
                self.assertTrue(sent[-1].startswith(line), (location, sent))
                self.assertEqual(200, self.successResultOf(deferred).code)

    def test_fragment(self) -> None:
        """
        A location without a fragment has that of the URI before it, along a chain; the
        response names it, and no server sees it (RFC 9110 section 10.2.2).
        """
        for locations, last in (
            ([b"/b"], b"http://a/b#f"),
            ([b"http://b/c?d", b"e"], b"http://b/e#f"),
            ([b"/b#g", b"c"], b"http://a/c#g"),
            ([b"?q"], b"http://a/x/y?q#f"),
            ([b"#g"], b"http://a/x/y#g"),
            ([b"/b#"], b"http://a/b"),
        ):
            for kind in KINDS:
                agent = kind(self.makeAgent())
                deferred, sent = self.follow(
                    agent, *map(redirect, locations), uri=b"http://a/x/y#f"
                )
                self.assertNotIn(b"#", b"".join(sent))
                response = self.successResultOf(deferred)
                self.assertEqual(last, response.request.absoluteURI, locations)

    def test_isTwisteds(self) -> None:
        """
        The agents are instances of Twisted's classes.
        """
        for kind in KINDS:
            self.assertTrue(issubclass(kind, theirs.RedirectAgent))
        made: Any = BrowserLikeRedirectAgent(self.makeAgent())
        self.assertIsInstance(made, theirs.BrowserLikeRedirectAgent)

    def test_notFollowed(self) -> None:
        """
        A redirect of another method that keeps it is a failure.
        """
        for kind in KINDS:
            agent = kind(self.makeAgent())
            deferred, sent = self.follow(
                agent, redirect(b"/", 307), method=b"POST", bodyProducer=b"abc"
            )
            self.assertEqual(1, len(sent))
            error = self.failing(deferred, ResponseFailed)
            error.reasons[0].trap(PageRedirect)
            self.assertEqual(307, error.response.code)

    def test_invalid(self) -> None:
        """
        A location that is no URI is a failure of the request, and nothing is sent.
        """
        for location in (
            b"http://[b/",
            b"http://b:99999999/",
            b"http://b c/",
            b"http://\xc3\xa9.example/",
        ):
            agent = RedirectAgent(self.makeAgent())
            headers = Headers({b"Cookie": [b"secret"]})
            deferred, sent = self.follow(agent, redirect(location), headers=headers)
            self.assertEqual(1, len(sent))
            self.failing(deferred, RequestError)

    def test_longer(self) -> None:
        """
        Relative locations, each longer than the last URI, do not add up to requests of
        megabytes; the redirect that is not followed can be read.
        """
        for kind in KINDS:
            for location, times in ((b"a/" * 20_000, 2), (b"\xff" * 30_000 + b"/", 1)):
                agent = kind(self.makeAgent())
                answers = [redirect(location)] * 21
                deferred, sent = self.follow(agent, *answers)
                self.assertEqual(times, len(sent))
                self.assertLess(max(map(len, sent)), 65_600)
                error = self.failing(deferred, ResponseFailed)
                error.reasons[0].trap(MalformedResponse)
                self.assertIsInstance(error, RequestError)
                self.assertEqual(302, error.response.code)
            # One that is as long as a head may be is followed.
            location = b"/" + b"a" * 65_000
            deferred, sent = self.follow(kind(self.makeAgent()), redirect(location))
            self.successResultOf(deferred)

    def test_foreign(self) -> None:
        """
        The responses may be another agent's.
        """

        class Answer:
            headers = Headers({b"Location": [b"/z"]})

            def __init__(self, code: int) -> None:
                self.code = code
                self.previous: Any = None

            def setPreviousResponse(self, previous: Any) -> None:
                self.previous = previous

        answers = [Answer(302), Answer(200)]

        class Foreign:
            def request(self, *_: object) -> Deferred[Any]:
                return succeed(answers.pop(0))

        response = self.successResultOf(RedirectAgent(Foreign()).request(b"GET", b"a:"))
        self.assertEqual((200, 302), (response.code, response.previous.code))

    def test_methods(self) -> None:
        """
        HEAD stays HEAD, and 307 and 308 keep every method (RFC 9110 sections 15.4.4 and
        15.4.9): where that is not followed the request fails.
        """
        for kind in KINDS:
            for status in (301, 302, 303, 307, 308):
                for method in (b"GET", b"HEAD", b"POST", b"DELETE"):
                    agent = kind(self.makeAgent())
                    deferred, sent = self.follow(
                        agent, redirect(b"/", status), method=method
                    )
                    if len(sent) == 1:
                        self.failing(deferred, ResponseFailed)
                        following = None
                    else:
                        following = sent[1].split()[0]
                    expected: bytes | None = method
                    if method in (b"POST", b"DELETE"):
                        changes = status == 303 or (
                            kind is BrowserLikeRedirectAgent and status < 303
                        )
                        expected = b"GET" if changes else None
                    self.assertEqual(expected, following, (kind, status, method))


class FieldTests(RedirectTestCase):
    """
    Which fields are sent.
    """

    def test_otherOrigin(self) -> None:
        """
        Another origin gets neither credentials nor the C{Host} of the first one, and
        the first one does not get them again; the same origin does.
        """
        given = {
            b"Host": [b"vhost"],
            b"Authorization": [b"secret"],
            b"Cookie": [b"secret"],
            b"X-Key": [b"secret"],
            b"X-Other": [b"shown"],
        }
        for kind in KINDS:
            for headers in (Headers(given), [(n, v[0]) for n, v in given.items()]):
                agent = kind(self.makeAgent(), 20, [b"x-key"])
                hops = [b"/same", b"HTTP://A:80/same", b"http://b/", b"http://a/"]
                _, sent = self.follow(agent, *map(redirect, hops), headers=headers)
                self.assertEqual(5, len(sent))
                for request in sent[:3]:
                    self.assertEqual(3, request.count(b"secret"))
                    self.assertIn(b"Host: vhost\r\n", request)
                for host, request in ((b"b", sent[3]), (b"a", sent[4])):
                    self.assertNotIn(b"secret", request)
                    self.assertIn(b"Host: " + host + b"\r\n", request)
                    self.assertIn(b"X-Other: shown\r\n", request)

    def test_aboutBody(self) -> None:
        """
        The redirected request has no body, and no field about one.
        """
        for framing in (
            (b"Content-Length", b"3"),
            (b"Transfer-Encoding", b"chunked"),
        ):
            headers = [(b"Content-Type", b"text/plain"), (b"A", b"b"), framing]
            for kind in KINDS:
                _, sent = self.follow(
                    kind(self.makeAgent()),
                    redirect(b"/z", 303),
                    method=b"POST",
                    headers=headers,
                    bodyProducer=b"abc",
                )
                self.assertEqual(
                    b"GET /z HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n", sent[-1]
                )


class BodyTests(RedirectTestCase):
    """
    The body of a redirect.
    """

    def ask_one(self, answer: bytes, decoding: bool = False) -> tuple[Any, Peer]:
        """
        A redirect whose body is not complete, in a pool with one slot.
        """
        agent: Any = self.makeAgent(self.makePool(maxConnections=1))
        if decoding:
            agent = ContentDecoderAgent(agent, [(b"gzip", GzipDecoder)])
        deferred = RedirectAgent(agent).request(b"GET", b"http://a/")
        self.deferreds.append(deferred)
        peer = self.network.peers[-1]
        peer.send(answer)
        return deferred, peer

    def test_long(self) -> None:
        """
        A long body, or one that does not end, does not keep its connection.
        """
        long = redirect(b"/c").replace(b"Length: 0", b"Length: 99999") + b"begin"
        endless = long.replace(b"Content-Length: 99999", b"Connection: close")
        packed = endless.replace(b"Connection", b"Content-Encoding: gzip\r\nConnection")
        for answer in (long, endless, packed):
            deferred, peer = self.ask_one(answer, answer is packed)
            if answer is not long:
                self.assertFalse(peer.closed)
                peer.send(*[b"x" * 10_000] * 7)
            self.assertTrue(peer.aborted)
            self.clock.advance(0)
            self.network.peers[-1].send(OK)
            self.assertEqual(200, self.successResultOf(deferred).code)

    def test_longAtOnce(self) -> None:
        """
        Nor does a body of which more than is kept came with the head.
        """
        long = redirect(b"/c").replace(b"Length: 0", b"Length: 999999") + b"x" * 100_000
        deferred, peer = self.ask_one(long)
        self.assertTrue(peer.aborted)
        self.clock.advance(0)
        self.network.peers[-1].send(OK)
        self.assertEqual(200, self.successResultOf(deferred).code)

    def test_longBefore(self) -> None:
        """
        Nor does one of which more than is kept came before the redirect was followed.
        """
        pooled = self.makeAgent(self.makePool(maxConnections=1))

        class Later:
            def request(_, *args: Any, **options: Any) -> Any:
                deferred = pooled.request(*args, **options)
                return deferred.addCallback(
                    lambda response: deferLater(self.clock, 1, lambda: response)
                )

        for framing in (b"Content-Length: 999999", b"Connection: close"):
            deferred = RedirectAgent(Later()).request(b"GET", b"http://a/")
            self.deferreds.append(deferred)
            peer = self.network.peers[-1]
            head = redirect(b"/c").replace(b"Content-Length: 0", framing)
            peer.send(head + b"x" * 100_000)
            self.assertFalse(peer.aborted)
            self.clock.advance(1)
            self.assertTrue(peer.aborted)
            self.clock.advance(0)
            self.network.peers[-1].send(OK)
            self.clock.advance(1)
            self.assertEqual(200, self.successResultOf(deferred).code)

    def test_failed(self) -> None:
        """
        Nor does an incomplete body of a redirect that can not be followed, although the
        failure is kept.
        """
        length = b"Content-Length: 9\r\n\r\nbegin"
        chunks = b"Transfer-Encoding: chunked\r\n\r\n5\r\nbegin\r\n"

        async def ask() -> Any:
            try:
                await RedirectAgent(self.makeAgent()).request(b"GET", b"http://a/")
            except Exception as error:
                return error

        for location in (
            *(b"http://[b/", b"http://b:99999/", b"http://u:p@b/", b"/a b"),
            *(b"ftp://b/", b"http://refused/", b"\xff"),
        ):
            for body in (length, chunks, length.replace(b"9", b"999999")):
                answer = redirect(location).replace(b"Content-Length: 0\r\n\r\n", body)
                kept = Deferred.fromCoroutine(ask())
                peer = self.network.peers[-1]
                self.network.error = ConnectionRefusedError()
                peer.send(answer)
                self.network.error = None
                error = self.successResultOf(kept)
                self.assertIsInstance(error, RequestError)
                self.assertTrue(peer.aborted, (location, body))

    def test_chain(self) -> None:
        """
        Nor do the incomplete bodies of a chain, but for that of the last redirect.
        """
        agent = RedirectAgent(self.makeAgent())
        deferred = agent.request(b"GET", b"http://a/")
        self.deferreds.append(deferred)
        answer = redirect(b"/c").replace(b"Length: 0", b"Length: 9") + b"begin"
        for _ in range(20):
            self.network.peers[-1].send(answer)
            self.clock.advance(0)
        self.network.peers[-1].send(OK)
        response = self.successResultOf(deferred)
        self.assertEqual(21, len(self.network.peers))
        kept = [peer for peer in self.network.peers if not peer.closed]
        self.assertEqual(self.network.peers[-2:], kept)
        reader = self.read(response.previousResponse)
        kept[0].send(b"more")
        self.assertEqual(b"beginmore", reader.data)

    def test_chainRead(self) -> None:
        """
        A body of a chain that is being read is not cut.
        """
        readers: list[Any] = []

        class Reading:
            def request(_, *args: Any, **options: Any) -> Any:
                def read(response: Any) -> Any:
                    readers.append(self.read(response))
                    return response

                return agent.request(*args, **options).addCallback(read)

        agent = self.makeAgent()
        deferred = RedirectAgent(Reading(), 3).request(b"GET", b"http://a/")
        self.deferreds.append(deferred)
        answer = redirect(b"/c").replace(b"Length: 0", b"Length: 9") + b"begin"
        for _ in range(3):
            self.network.peers[-1].send(answer)
        for peer in self.network.peers[:3]:
            peer.send(b"more")
        self.assertEqual([b"beginmore"] * 3, [each.data for each in readers])

    def test_short(self) -> None:
        """
        After a short body the connection is used again.
        """
        answer = redirect(b"/c").replace(b"Length: 0", b"Length: 5")
        deferred, peer = self.ask_one(answer + b"he")
        self.assertEqual(1, peer.received.count(b"GET"))
        peer.send(b"llo")
        self.assertEqual(2, peer.received.count(b"GET"))
        peer.send(OK)
        response = self.successResultOf(deferred)
        reader = self.read(response.previousResponse)
        self.assertEqual(b"hello", reader.data)

    def test_read(self) -> None:
        """
        Whoever reads the body of a redirect meanwhile gets all of it.
        """
        answer = redirect(b"/c").replace(b"Content-Length: 0", b"Connection: close")
        agent = RedirectAgent(self.makeAgent())
        deferred = agent.request(b"GET", b"http://a/")
        first = self.network.peers[-1]
        first.send(answer)
        self.network.peers[-1].send(OK)
        response = self.successResultOf(deferred)
        reader = self.read(response.previousResponse)
        first.send(*[b"x" * 10_000] * 10)
        first.lose()
        self.assertEqual(100_000, len(reader.data))


class TimeTests(RedirectTestCase):
    """
    The time that a request may take with its redirects.
    """

    def hop(self, wrapped: Any, seconds: int) -> tuple[Any, int]:
        """
        A server redirects without end, once in so many seconds; how the request ended,
        and how many redirects were followed.
        """
        deferred = wrapped.request(b"GET", b"http://a/")
        hops = 0
        ends: list[Any] = []
        deferred.addBoth(ends.append)
        while not ends:
            self.clock.pump([1] * seconds)
            asked = [peer for peer in self.network.peers if self._isAsked(peer)]
            if not ends:
                asked[0].send(redirect(b"/%d" % hops))
                hops += 1
        return ends[0], hops

    def test_total(self) -> None:
        """
        C{totalTimeout} is for a request with all its redirects, through agents between
        ours, too.
        """
        for kind in KINDS:
            for between in (
                lambda agent: agent,
                lambda agent: ContentDecoderAgent(agent, [(b"gzip", GzipDecoder)]),
                lambda agent: CookieAgent(agent, CookieJar()),
                lambda agent: theirs.CookieAgent(agent, CookieJar()),
                RedirectAgent,
            ):
                agent = self.makeAgent(totalTimeout=10)
                failure, hops = self.hop(kind(between(agent), 50), 4)
                failure.trap(TimedOut)
                self.assertEqual((2, 10), (hops, failure.value.elapsed))

    def test_totalOfTheBody(self) -> None:
        """
        It is for the body behind the redirects, too.
        """
        agent = RedirectAgent(self.makeAgent(totalTimeout=10))
        deferred = agent.request(b"GET", b"http://a/")
        (peer,) = self.network.peers
        self.clock.advance(6)
        peer.send(redirect(b"/b"))
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        body = readBody(self.successResultOf(deferred))
        self.clock.advance(3)
        self.assertNoResult(body)
        self.clock.advance(1)
        self.failureResultOf(body, TimedOut)

    def test_totalIsOver(self) -> None:
        """
        A redirect that comes when the time is over is not followed for longer.
        """
        slow = self.makeAgent(totalTimeout=10)
        patient = self.makeAgent(slow.pool)
        agents = [patient, slow]

        class Sender:
            def request(self, *args: Any) -> Any:
                return agents.pop(0).request(*args)

        deferred = RedirectAgent(Sender()).request(b"GET", b"http://a/")
        self.clock.advance(20)
        self.network.peers[0].send(redirect(b"/b"))
        self.assertNoResult(deferred)
        self.clock.advance(0)
        self.failureResultOf(deferred, TimedOut)

    def test_otherRequests(self) -> None:
        """
        A request that is made meanwhile, or by an agent that raises, has its own time.
        """
        agent = self.makeAgent(totalTimeout=10)
        following = RedirectAgent(agent)
        self.assertRaises(ValueError, following.request, b"GET", b"http://a/ b")
        first = following.request(b"GET", b"http://a/")
        self.clock.advance(6)
        second = agent.request(b"GET", b"http://a/")
        third = following.request(b"GET", b"http://a/")
        self.clock.advance(4)
        self.failureResultOf(first, TimedOut)
        self.assertNoResult(second)
        self.clock.advance(6)
        self.failureResultOf(second, TimedOut)
        self.failureResultOf(third, TimedOut)
