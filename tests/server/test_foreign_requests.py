"""
Requests, channels and sites as frameworks use them: a test for each row of
what is promised to them.
"""

from __future__ import annotations

import copy
import pickle
import warnings
from collections.abc import Callable
from functools import partial
from io import BytesIO
from itertools import product
from typing import Any

from twisted.internet import protocol
from twisted.internet.address import IPv6Address, UNIXAddress
from twisted.internet.interfaces import IProtocol
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import WrappingFactory
from twisted.python import reflect
from twisted.web import http, resource, server
from twisted.web.error import UnsupportedMethod
from twisted.web.http_headers import Headers
from twisted.web.iweb import INonQueuedRequestFactory
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer, provider

import twisted_h11._server.starting as starting
from tests.fuzz.strategies import head
from tests.fuzz.streams import KINDS, frozen_date, run
from tests.support.memory import (
    CLIENT,
    SERVER,
    MemoryTransport,
    SecureMemoryTransport,
)
from tests.support.server_cases import (
    FAST_PATH,
    GET,
    Calls,
    Echo,
    Holding,
    ServerTestCase,
    get,
    post,
)
from tests.support.wire import Wire
from twisted_h11._http.response_to_send import http_date
from twisted_h11.server import Request


class Recorded(server.Request):
    """
    A foreign request that notes what the channel calls.
    """

    calls: list[tuple[Any, ...]] = []  # noqa: RUF012

    def parseCookies(self) -> None:
        """
        Note, and do.
        """
        fields = list(self.requestHeaders.getAllRawHeaders())
        self.calls.append(("parseCookies", fields))
        super().parseCookies()

    def gotLength(self, length: int | None) -> None:
        """
        Note, and do.
        """
        self.calls.append(("gotLength", length))
        super().gotLength(length)

    def handleContentChunk(self, data: bytes) -> None:
        """
        Note, and do.
        """
        self.calls.append(("handleContentChunk", data))
        super().handleContentChunk(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        Note, and do.
        """
        self.calls.append(("requestReceived", command, path, version))
        super().requestReceived(command, path, version)

    def connectionLost(self, reason: Any) -> None:
        """
        Note, and do.
        """
        self.calls.append(("connectionLost",))
        super().connectionLost(reason)


class Plain(http.Request):
    """
    A request without a site, as applications of twisted.web.http write them.
    """

    def process(self) -> None:
        """
        Answer with the body.
        """
        assert self.content is not None
        self.write(self.content.read() or b"plain")
        self.finish()


class CallOrderTests(ServerTestCase):
    """
    What is called on a request, and in which order.
    """

    def record(self, *pieces: bytes) -> list[tuple[Any, ...]]:
        """
        The calls that C{pieces} lead to.
        """
        calls: list[tuple[Any, ...]] = []

        class Mine(Recorded):
            pass

        Mine.calls = calls
        self.talk(Echo(), *pieces, requestFactory=Mine)
        return calls

    def test_withoutBody(self) -> None:
        """
        C{gotLength(0)} when there is no body; no C{handleContentChunk}.
        """
        calls = self.record(get(b"/x?y", b"A: 1"))
        self.assertEqual(
            ["parseCookies", "gotLength", "requestReceived"],
            [call[0] for call in calls],
        )
        self.assertEqual(0, calls[1][1])
        self.assertEqual((b"GET", b"/x?y", b"HTTP/1.1"), calls[2][1:])
        self.assertEqual([(b"Host", [b"example.com"]), (b"A", [b"1"])], calls[0][1])

    def test_withLength(self) -> None:
        """
        C{gotLength(n)}, pieces as they come, then C{requestReceived}.
        """
        calls = self.record(post(b"")[:-5] + b"6\r\n\r\n", b"abc", b"def")
        self.assertEqual(6, calls[1][1])
        pieces = [call[1] for call in calls if call[0] == "handleContentChunk"]
        self.assertEqual(b"abcdef", b"".join(pieces))
        self.assertEqual({bytes}, set(map(type, pieces)))
        self.assertEqual("requestReceived", calls[-1][0])

    def test_chunked(self) -> None:
        """
        C{gotLength(None)} for a chunked body, and only for that.
        """
        head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        calls = self.record(head + b"3\r\nabc\r\n0\r\nT: x\r\n\r\n")
        self.assertEqual(None, calls[1][1])
        pieces = [call[1] for call in calls if call[0] == "handleContentChunk"]
        self.assertEqual(b"abc", b"".join(pieces))

    def test_http10(self) -> None:
        """
        The version is told as it came.
        """
        calls = self.record(get(version=b"1.0"))
        self.assertEqual(b"HTTP/1.0", calls[-1][3])

    def test_http10Response(self) -> None:
        """
        The response of a framework's request class has the version which it names, if
        that is the client's; ours has HTTP/1.1.
        """

        class Plain(http.Request):
            def process(self) -> None:
                self.write(b"plain")
                self.finish()

        class Lying(server.Request):
            def write(self, data: bytes) -> None:
                self.clientproto = b"HTTP/1.0"
                super().write(data)

        for factory, version, expected in (
            (Plain, b"1.0", b"HTTP/1.0 200 OK"),
            (server.Request, b"1.0", b"HTTP/1.0 200 OK"),
            (Request, b"1.0", b"HTTP/1.1 200 OK"),
            (Plain, b"1.1", b"HTTP/1.1 200 OK"),
            (server.Request, b"1.1", b"HTTP/1.1 200 OK"),
            (Lying, b"1.1", b"HTTP/1.1 200 OK"),
        ):
            wire = self.talk(Echo(), get(version=version), requestFactory=factory)
            line = wire.output.partition(b"\r\n")[0]
            self.assertEqual(expected, line, (factory, version))

    def test_lostWithinBody(self) -> None:
        """
        A connection that ends within the body is told to the request.
        """
        calls: list[tuple[Any, ...]] = []

        class Mine(Recorded):
            pass

        Mine.calls = calls
        wire = self.talk(Echo(), post(b"abc")[:-1], requestFactory=Mine)
        wire.vanish()
        names = [call[0] for call in calls]
        self.assertEqual(1, names.count("connectionLost"))
        self.assertNotIn("requestReceived", names)

    def test_lostWhileRunning(self) -> None:
        """
        So is one that ends while the response is open.
        """
        calls: list[tuple[Any, ...]] = []

        class Mine(Recorded):
            pass

        Mine.calls = calls
        holding = Holding()
        wire = self.talk(holding, GET, requestFactory=Mine)
        wire.vanish()
        self.assertEqual(1, [call[0] for call in calls].count("connectionLost"))
        self.assertIsNone(holding.requests[0].channel)
        self.assertEqual(1, len(holding.lost))
        holding.requests.clear()
        holding.lost.clear()

    def test_notLostWhenAnswered(self) -> None:
        """
        A request that is answered hears nothing of the connection's end.
        """
        calls: list[tuple[Any, ...]] = []

        class Mine(Recorded):
            pass

        Mine.calls = calls
        self.talk(Echo(), GET, requestFactory=Mine).vanish()
        self.assertNotIn("connectionLost", [call[0] for call in calls])

    def test_orderOfFields(self) -> None:
        """
        Fields keep their order, and repeated ones all their values.
        """
        calls = self.record(get(b"/", b"B: 1", b"A: 2", b"b: 3"))
        self.assertEqual(
            [(b"Host", [b"example.com"]), (b"B", [b"1", b"3"]), (b"A", [b"2"])],
            calls[0][1],
        )

    def test_cookies(self) -> None:
        """
        Cookies are parsed.
        """
        seen = []

        def render(request: Any) -> bytes:
            seen.append(request.getCookie(b"a"))
            return b""

        self.talk(render, get(b"/", b"Cookie: a=b; c=d"))
        self.assertEqual([b"b"], seen)

    def test_emptyRequestHasNoTemporaryFile(self) -> None:
        """
        The content of a request without a body is in memory.
        """
        seen = []

        def render(request: Any) -> bytes:
            seen.append(type(request.content))
            return b""

        self.talk(render, GET)
        self.assertEqual([BytesIO], seen)


# What is called on a request that is answered at once, in this order.
NAMES = (
    *("parseCookies", "gotLength", "requestReceived", "process", "render", "write"),
    "finish",
)


class LongWay(server.Request):
    """
    Overrides everything that is passed by where it does what twisted.web's does.
    """

    def parseCookies(self) -> None:
        """
        As inherited.
        """
        super().parseCookies()

    def gotLength(self, length: int | None) -> None:
        """
        As inherited.
        """
        super().gotLength(length)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        """
        As inherited.
        """
        super().requestReceived(command, path, version)

    def process(self) -> None:
        """
        As inherited.
        """
        super().process()


class LongRender(server.Request):
    """
    Overrides C{render} only.
    """

    def render(self, resrc: Any) -> None:
        """
        As inherited.
        """
        super().render(resrc)


class LongWrite(server.Request):
    """
    Overrides C{write} only.
    """

    def write(self, data: bytes) -> None:
        """
        As inherited.
        """
        super().write(data)


class ShortWayTests(ServerTestCase):
    """
    What is passed by where a request without a body overrides nothing of it.
    """

    def state(self, factory: Any, *data: bytes) -> list[dict[str, Any]]:
        """
        What C{process} finds.
        """
        states: list[dict[str, Any]] = []

        class Mine(factory):  # type: ignore[misc]
            def process(self) -> None:
                state = dict(self.__dict__)
                for name in ("channel", "transport", "client", "host"):
                    del state[name]
                content = state.pop("content")
                state["content"] = type(content), content.tell(), content.read()
                states.append(state)
                super().process()

        wire = self.talk(lambda _: b"", *data, requestFactory=Mine)
        self.assertEqual([200] * len(data), wire.statuses)
        return states

    def test_same(self) -> None:
        """
        Nothing of it is missing.
        """
        data = [
            get(b"/a/b"),
            get(b"/a?b=c&d=e"),
            get(b"/", b"Cookie: a=b", b"cookie: c=d"),
            get(b"/", b"Content-Type: application/x-www-form-urlencoded"),
            get(b"/", method=b"POST"),
            get(b"*", method=b"OPTIONS"),
        ]
        self.assertEqual(self.state(LongWay, *data), self.state(server.Request, *data))

    def test_sameAnswers(self) -> None:
        """
        Whatever a resource does, the same goes out, the access log has the same line,
        and a request is the same when it is finished.
        """
        self.patch(server, "datetimeToString", http_date)
        ended: list[dict[str, Any]] = []

        def finished(self: Any) -> None:
            state = {**vars(self), "responseHeaders": repr(self.responseHeaders)}
            for name in ("channel", "transport", "content", "site", "write"):
                state.pop(name, None)
            ended.append(state)
            server.Request.finish(self)

        ways = [
            type("Mine", (way,), {"finish": finished})
            for way in (server.Request, LongWay, LongRender, LongWrite)
        ]
        answered = 0
        for kind in ("", *sorted(KINDS)):
            for method in (b"GET", b"HEAD", b"DELETE", b"X", b"POST"):
                data = head(method + b" /" + kind.encode() + b" HTTP/1.1", b"Host: a")
                outcomes = []
                for way in ways:
                    ended.clear()
                    with frozen_date():
                        outcome = run([data], FAST_PATH, requestFactory=way)
                    states = list(ended)
                    outcomes.append((outcome.output, outcome.lines, states))
                    self.flushLoggedErrors()
                for other in outcomes[1:]:
                    self.assertEqual(outcomes[0], other, (kind, method))
                answered += b" 200 OK" in outcomes[0][0]
        self.assertGreater(answered, 2 * len(KINDS))

    def test_finishedAlready(self) -> None:
        """
        What a resource returns after it has finished is an error of the resource's.
        """

        def twice(request: Any) -> bytes:
            request.write(b"abc")
            request.finish()
            return b"def"

        for way in (server.Request, LongWay):
            wire = self.talk(twice, GET, requestFactory=way)
            wire.settle(6)
            self.assertEqual([b"abc"], [r.body for r in wire.responses], way)
            # The error, and that nothing can be said of it.
            self.assertEqual(2, len(self.flushLoggedErrors(RuntimeError)), way)

    def test_methods(self) -> None:
        """
        A resource that has not got a method is asked once, and by GET for HEAD.
        """
        for way in (server.Request, LongWay):
            asked: list[bytes] = []

            class Mine(resource.Resource):
                isLeaf = True

                def render(self, request: Any, asked: Any = asked) -> Any:
                    asked.append(request.method)
                    if request.method != b"GET":
                        raise UnsupportedMethod([b"GET"])
                    return b"abc"

            for method, status, calls in (
                (b"GET", 200, [b"GET"]),
                (b"HEAD", 200, [b"HEAD", b"GET"]),
                (b"DELETE", 501, [b"DELETE"]),
                (b"OPTIONS", 501, [b"OPTIONS"]),
            ):
                asked.clear()
                wire = self.connect(self.site(Mine(), requestFactory=way))
                wire.methods = [method]
                wire.send(get(method=method))
                self.assertEqual((status, calls), (wire.statuses[0], asked), way)

    def test_replacedInOne(self) -> None:
        """
        What one object has in the place of a method is called.
        """
        calls = []

        class Mine(server.Request):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                for name in NAMES:
                    setattr(self, name, partial(self.noted, name))

            def noted(self, name: str, *args: Any) -> None:
                calls.append(name)
                getattr(server.Request, name)(self, *args)

        wire = self.talk(Echo(), GET, requestFactory=Mine)
        self.assertEqual([200], wire.statuses)
        self.assertEqual([*NAMES], calls)


class FailingRequestTests(ServerTestCase):
    """
    Requests whose own code raises.
    """

    def failing(self, name: str) -> None:
        """
        A request whose method C{name} raises is a 500 and a log line; the
        connection is closed or still in step.
        """

        def fail(self: Any, *args: object) -> None:
            raise ZeroDivisionError(name)

        mine = type("Mine", (server.Request,), {name: fail})
        wire = self.talk(Echo(), post(b"abc"), requestFactory=mine)
        wire.settle(6)
        self.assertEqual([500], wire.statuses, name)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)), name)

    def test_each(self) -> None:
        """
        Each of the methods that we call may raise.
        """
        for name in (
            "parseCookies",
            "gotLength",
            "handleContentChunk",
            "requestReceived",
            "process",
        ):
            self.failing(name)

    def test_afterHead(self) -> None:
        """
        What raises after the head, and after some content, leaves a response that is
        visibly cut, whatever its status is.
        """
        for status in (200, 404, 500):
            for length in (None, b"5", b"1000", b"0005"):

                def render(
                    request: Any, status: int = status, length: bytes | None = length
                ) -> bytes:
                    request.setResponseCode(status)
                    if length is not None:
                        request.setHeader(b"Content-Length", length)
                    request.write(b"abc")
                    raise ZeroDivisionError

                wire = self.talk(Calls(render), GET, requestFactory=server.Request)
                wire.settle(30)
                self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
                self.assertEqual([status], wire.statuses)
                self.assertFalse(wire.responses[0].complete, f"{status}, {length!r}")
                self.assertEqual(b"abc", wire.responses[0].body)
                self.assertTrue(wire.closed)

    def test_ownPage(self) -> None:
        """
        A 500 of the application's own is whole, with a length, however that is
        written, and without one.
        """
        for length in (None, b"6", b"0006"):

            def render(request: Any, length: bytes | None = length) -> Any:
                request.setResponseCode(500)
                if length is not None:
                    request.setHeader(b"Content-Length", length)
                request.write(b"abc")
                request.write(b"def")
                request.finish()
                return NOT_DONE_YET

            wire = self.talk(Calls(render), GET, requestFactory=server.Request)
            self.assertEqual([500], wire.statuses)
            self.assertTrue(wire.responses[0].complete)
            self.assertEqual(b"abcdef", wire.responses[0].body)

    def test_factory(self) -> None:
        """
        So may the request factory.
        """

        def factory(channel: Any, queued: object = None) -> Any:
            raise ZeroDivisionError

        wire = self.talk(Echo(), GET, requestFactory=factory)
        wire.settle(6)
        self.assertEqual([500], wire.statuses)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))

    def test_connectionLost(self) -> None:
        """
        And C{connectionLost}: it is logged and leaves nothing behind.
        """

        class Mine(server.Request):
            def connectionLost(self, reason: Any) -> None:
                super().connectionLost(reason)
                raise ZeroDivisionError

        holding = Holding()
        wire = self.talk(holding, GET, requestFactory=Mine)
        try:
            wire.vanish()
        except ZeroDivisionError:
            pass  # as in twisted.web: the reactor logs it
        self.flushLoggedErrors(ZeroDivisionError)
        self.assertEqual([], self.clock.getDelayedCalls())
        holding.requests.clear()
        holding.lost.clear()

    def test_finishFails(self) -> None:
        """
        A response that was sent whole is not taken back when what follows fails: the
        class's C{finish}, or the site's C{log}.  The connection ends.
        """

        def fail(*args: Any) -> None:
            raise ValueError("too late")

        def render(request: Any) -> bytes:
            request.setHeader(b"Content-Type", b"text/plain")
            return b"hello"

        class Finishing(server.Request):
            finish = fail

        class Mine(server.Request):
            pass

        for kind, log in ((Finishing, None), (Mine, fail)):
            site = self.site(Calls(render), requestFactory=kind)
            if log is not None:
                site.log = log
            wire = self.connect(site).send(GET).settle(30)
            self.assertEqual([200], wire.statuses)
            self.assertEqual(b"hello", wire.responses[0].body)
            self.assertFalse(wire.transport.aborted)
            self.assertTrue(wire.closed)
            self.assertTrue(self.flushLoggedErrors(ValueError))


class EarlyAnswerTests(ServerTestCase):
    """
    A request that is answered before its body is here, as Synapse does it.
    """

    def early(self, body: bytes, length: int, *more: bytes) -> Wire:
        """
        Announce C{length} bytes, send C{body}, then the rest and C{more}.
        """

        class Early(server.Request):
            def handleContentChunk(self, data: bytes) -> None:
                if not self.finished:
                    self.setResponseCode(413)
                    self.setHeader(b"Content-Length", b"5")
                    self.write(b"early")
                    self.finish()

        head = get(b"/", b"Content-Length: %d" % (length,), method=b"POST")
        return self.talk(Echo(), head + body, *more, requestFactory=Early)

    def test_restIsDropped(self) -> None:
        """
        A small rest of the body is read and dropped; it is never taken for
        the next request.
        """
        wire = self.early(b"x", 1 + len(GET), GET)
        self.assertEqual([413], wire.statuses)
        self.assertEqual(b"early", wire.only().body)
        if wire.only().closes:
            wire.settle(6)
            self.assertTrue(wire.closed)
        else:
            wire.send(post(b"y"))
            self.assertEqual([413, 413], wire.statuses)

    def test_largeRest(self) -> None:
        """
        A large rest is not waited for: the connection ends, in stages.
        """
        wire = self.early(b"x", 100_000_000, *[b"y" * 100_000] * 20)
        self.assertEqual([413], wire.statuses)
        self.assertEqual(b"early", wire.only().body)
        wire.settle(6)
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)

    def test_restNeverComes(self) -> None:
        """
        A rest that never comes does not keep the connection.
        """
        wire = self.early(b"x", 1000)
        self.assertEqual([413], wire.statuses)
        wire.advance(200)
        self.assertTrue(wire.closed)

    def test_malformedRest(self) -> None:
        """
        A malformed rest adds no second answer.
        """

        class Early(server.Request):
            def handleContentChunk(self, data: bytes) -> None:
                if not self.finished:
                    self.setHeader(b"Content-Length", b"5")
                    self.write(b"early")
                    self.finish()

        head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        wire = self.talk(
            Echo(), head + b"1\r\nx\r\n", b"bad\n" + GET, GET, requestFactory=Early
        )
        self.assertEqual([200], wire.statuses)
        wire.settle(6)
        self.assertTrue(wire.closed)


class RequestFactoryTests(ServerTestCase):
    """
    How requests are made.
    """

    def test_plainHTTPRequest(self) -> None:
        """
        A subclass of L{http.Request} with C{process} works.
        """
        wire = self.talk(Echo(), GET, post(b"hello"), requestFactory=Plain)
        self.assertEqual([b"plain", b"hello"], [r.body for r in wire.responses])
        self.assertEqual("chunked", wire.responses[0].framing)

    def test_queued(self) -> None:
        """
        A factory is called with C{(channel, queued)}.
        """
        seen: list[tuple[Any, ...]] = []

        def factory(*args: Any) -> Any:
            seen.append(args)
            return server.Request(*args)

        wire = self.talk(Echo(), GET, requestFactory=factory)
        self.assertEqual([200], wire.statuses)
        self.assertEqual(2, len(seen[0]))
        self.assertIs(wire.channel, seen[0][0])
        self.assertFalse(seen[0][1])
        seen.clear()

    def test_nonQueued(self) -> None:
        """
        One that says L{INonQueuedRequestFactory} with the channel alone.
        """
        seen: list[int] = []

        @provider(INonQueuedRequestFactory)
        def factory(channel: Any) -> Any:
            seen.append(1)
            return server.Request(channel)

        wire = self.talk(Echo(), GET, requestFactory=factory)
        self.assertEqual([200], wire.statuses)
        self.assertEqual([1], seen)

    def test_bounded(self) -> None:
        """
        What is known of classes of requests is not kept for ever.
        """
        self.patch(starting, "_MOST_KINDS", 3)
        for _ in range(9):
            Mine = type("Mine", (Plain,), {})
            wire = self.talk(None, GET, requestFactory=Mine)
            self.assertEqual(b"plain", wire.only().body)
            self.assertLessEqual(len(starting._kinds), 3)

    def test_answersWhenItIsMade(self) -> None:
        """
        A request that has answered when it was made is asked for nothing more.
        """
        called: list[object] = []

        class Hasty(server.Request):
            def __init__(self, channel: Any, queued: Any) -> None:
                super().__init__(channel, queued)
                channel.writeHeaders(b"HTTP/1.1", b"9999", b"Odd", [])

            def process(self) -> None:
                called.append(self)

        wire = self.talk(None, GET + GET, requestFactory=Hasty).settle(6)
        self.assertEqual([500], wire.statuses)
        self.assertTrue(wire.closed)
        self.assertEqual([], called)
        self.assertIn("gave a response that can not be sent", "".join(self.messages()))

    def test_setOnTheProtocol(self) -> None:
        """
        daphne sets C{requestFactory} on each protocol.
        """
        wire = self.connect(self.site())
        wire.channel.requestFactory = Plain
        wire.send(GET)
        self.assertEqual(b"plain", wire.only().body)

    def test_setOnTheClass(self) -> None:
        """
        A C{requestFactory} of a Site subclass is used.
        """
        from twisted_h11.server import Site

        class Mine(Site):
            requestFactory: Any = Plain

        site = Mine(Echo(), reactor=self.clock)
        self.sites.append(site)
        self.assertEqual(b"plain", self.connect(site).send(GET).only().body)

    def test_ourRequestIsTwisteds(self) -> None:
        """
        Our L{Request} is a subclass of Twisted's.
        """
        self.assertTrue(issubclass(Request, server.Request))

    def test_rawFields(self) -> None:
        """
        C{rawFields} has the fields as received, order and case kept.
        """
        seen = []

        def render(request: Any) -> bytes:
            seen.append(request.rawFields)
            return b""

        self.talk(render, get(b"/", b"x-LOWER: 1", b"B:  2  ", b"X-lower: 3"))
        self.assertEqual(
            [
                [
                    (b"Host", b"example.com"),
                    (b"x-LOWER", b"1"),
                    (b"B", b"2"),
                    (b"X-lower", b"3"),
                ]
            ],
            seen,
        )

    def test_rawFieldsAreNotShared(self) -> None:
        """
        Each request has its own.
        """
        seen = []

        def render(request: Any) -> bytes:
            seen.append(len(request.rawFields))
            request.rawFields.append((b"X", b"y"))
            return b""

        self.talk(render, GET * 3)
        self.assertEqual([1, 1, 1], seen)


class FieldsTests(ServerTestCase):
    """
    Where the fields of a foreign request are found.
    """

    def seen(self, factory: Any) -> list[tuple[bytes, list[bytes]]]:
        """
        The fields that a request of C{factory} has, and what C{aliased} of it has,
        which must be the same.
        """
        found: list[Any] = []

        def render(request: Any) -> bytes:
            for headers in (
                request.requestHeaders,
                getattr(request, "aliased", request.requestHeaders),
            ):
                found.append([(k, list(v)) for k, v in headers.getAllRawHeaders()])
            return b""

        wire = self.talk(render, get(b"/", b"B: 1", b"b: 2"), requestFactory=factory)
        self.assertEqual([200], wire.statuses)
        self.assertEqual(*found)
        fields: list[tuple[bytes, list[bytes]]] = found[0]
        return fields

    def test_each(self) -> None:
        """
        In C{requestHeaders}, whatever a class has done to that.
        """

        class Mine(Headers):
            pass

        class Aliased(server.Request):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.aliased = self.requestHeaders

        class Own(server.Request):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.requestHeaders = Mine()

        class Property(server.Request):
            @property
            def requestHeaders(self) -> Headers:
                return self.aliased

            @requestHeaders.setter
            def requestHeaders(self, headers: Headers) -> None:
                if hasattr(self, "aliased"):
                    raise AttributeError("it is set once")
                self.aliased = headers

        for factory in (server.Request, Aliased, Own, Property):
            fields = self.seen(factory)
            self.assertEqual(
                [(b"Host", [b"example.com"]), (b"B", [b"1", b"2"])], fields, factory
            )

    def test_copied(self) -> None:
        """
        Fields can be copied in each way, whatever was looked at before, and a copy is
        its own.
        """
        ways: list[Callable[[Any], Any]] = [
            lambda headers: headers.copy(),
            copy.copy,
            copy.deepcopy,
            lambda headers: pickle.loads(pickle.dumps(headers)),
        ]
        for way, looks in product(ways, (False, True)):
            seen: list[Any] = []

            def render(
                request: Any, seen: Any = seen, way: Any = way, looks: bool = looks
            ) -> bytes:
                headers = request.requestHeaders
                if looks:
                    self.assertFalse(hasattr(headers, "nothing"))
                    seen.append([(n, [*v]) for n, v in headers.getAllRawHeaders()])
                copied = way(headers)
                seen.append([(n, [*v]) for n, v in copied.getAllRawHeaders()])
                copied.setRawHeaders(b"A", [b"other"])
                copied.addRawHeader(b"B", b"3")
                self.assertEqual([b"other"], copied.getRawHeaders(b"a"))
                seen.append([(n, [*v]) for n, v in headers.getAllRawHeaders()])
                return b""

            self.talk(render, get(b"/", b"A: 1", b"B: 2")).only()
            names = [(b"Host", [b"example.com"]), (b"A", [b"1"]), (b"B", [b"2"])]
            self.assertEqual([names] * (2 + looks), seen)

    def test_someAlready(self) -> None:
        """
        Fields that a class has set before are kept.
        """

        class Mine(server.Request):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.requestHeaders.addRawHeader(b"B", b"0")

        fields = self.seen(Mine)
        self.assertEqual(
            [(b"B", [b"0", b"1", b"2"]), (b"Host", [b"example.com"])], fields
        )

    def test_changed(self) -> None:
        """
        They may be changed, as twisted.web's C{setHost} does.
        """
        seen = []

        def render(request: Any) -> bytes:
            request.setHost(b"other.example", 80)
            request.requestHeaders.addRawHeader(b"b", b"3")
            request.requestHeaders.removeHeader(b"c")
            seen.append(dict(request.requestHeaders.getAllRawHeaders()))
            seen.append(request.getHeader("host"))
            return b""

        data = get(b"/", b"B: 1", b"C: 2")
        self.talk(render, data, requestFactory=server.Request)
        self.assertEqual(
            [{b"Host": [b"other.example"], b"B": [b"1", b"3"]}, "other.example"], seen
        )


class FramingTests(ServerTestCase):
    """
    A foreign request frames chunks itself; they go out framed once.
    """

    def body(self, render: Any, factory: Any = server.Request) -> tuple[str, bytes]:
        """
        Framing and body of what C{render} writes, seen on the wire; the
        connection must be good for another request.
        """
        wire = self.talk(render, get(b"/1") + get(b"/2"), requestFactory=factory)
        responses = wire.responses
        self.assertEqual([200, 200], [r.status for r in responses])
        self.assertEqual(responses[0].body, responses[1].body)
        self.assertTrue(responses[0].complete)
        return responses[0].framing, responses[0].body

    def test_chunks(self) -> None:
        """
        Chunks of any content come out as they went in.
        """
        pieces = [
            b"one",
            b"0\r\n\r\n",
            b"\r\n",
            b"5\r\nhello\r\n",
            b"x" * 70_000,
            b"\x00",
        ]

        def render(request: Any) -> None:
            for piece in pieces:
                request.write(piece)
            request.finish()

        for factory in (server.Request, Request):
            framing, body = self.body(render, factory)
            self.assertEqual("chunked", framing)
            self.assertEqual(b"".join(pieces), body)

    def test_emptyWrites(self) -> None:
        """
        An empty write ends nothing.
        """

        def render(request: Any) -> None:
            request.write(b"")
            request.write(b"a")
            request.write(b"")
            request.write(b"b")
            request.finish()

        self.assertEqual(("chunked", b"ab"), self.body(render))

    def test_length(self) -> None:
        """
        A body of known length goes out as it is, also if it looks like chunks.
        """

        def render(request: Any) -> bytes:
            return b"5\r\nhello\r\n0\r\n\r\n"

        self.assertEqual(("length", b"5\r\nhello\r\n0\r\n\r\n"), self.body(render))

    def test_chunkedSetToFalse(self) -> None:
        """
        A request may set C{chunked = False} and frame nothing.
        """

        def render(request: Any) -> None:
            request.write(b"")
            request.chunked = False
            request.write(b"hello")
            request.finish()

        wire = self.talk(render, GET + GET, requestFactory=server.Request)
        wire.settle(6)
        self.assertEqual(b"hello", wire.responses[0].body)
        self.flushLoggedErrors()

    def test_rawResponse(self) -> None:
        """
        A request may set C{startedWriting} and write a response of its own to
        the transport: nothing is framed twice, then the connection ends.
        """
        raw = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nraw"

        for factory in (server.Request, Request):

            def render(request: Any) -> None:
                request.startedWriting = 1
                request.transport.write(raw)
                request.finish()

            wire = self.talk(render, GET + GET, requestFactory=factory)
            wire.settle(6)
            self.assertEqual(raw, wire.output)
            self.assertTrue(wire.closed)

    def test_finishShort(self) -> None:
        """
        A request may finish short of its Content-Length: what it wrote is
        flushed, then the connection ends.
        """

        def render(request: Any) -> None:
            request.setHeader(b"Content-Length", b"100")
            request.write(b"short")
            request.finish()

        for factory in (server.Request, Request):
            wire = self.talk(render, GET + GET, requestFactory=factory)
            wire.settle(6)
            self.assertTrue(wire.output.endswith(b"short"))
            self.assertTrue(wire.closed)
            self.flushLoggedErrors()

    def test_channelWriteHeaders(self) -> None:
        """
        C{channel.writeHeaders} takes L{Headers} or pairs of bytes.
        """
        for headers in (
            Headers({b"X-Thing": [b"1"], b"Content-Length": [b"2"]}),
            [(b"X-Thing", b"1"), (b"Content-Length", b"2")],
        ):

            def render(request: Any, headers: Any = headers) -> None:
                request.startedWriting = 1
                request.channel.writeHeaders(b"HTTP/1.1", b"201", b"Made", headers)
                request.channel.write(b"o")
                request.channel.writeSequence([b"", b"k"])
                request.finish()

            wire = self.talk(render, GET, requestFactory=server.Request)
            response = wire.only()
            self.assertEqual((201, b"Made"), (response.status, response.reason))
            self.assertEqual(b"1", response.get(b"x-thing"))
            self.assertEqual(b"ok", response.body)

    def test_bothKindsOfRequestAgree(self) -> None:
        """
        The same resource gives the same bytes with Twisted's request and ours,
        but for the Server field.
        """

        def render(request: Any) -> Any:
            if request.uri == b"/chunked":
                request.write(b"a")
                request.write(b"b")
                request.finish()
                return None
            request.setHeader(b"X-A", b"b")
            return b"body"

        data = get(b"/chunked") + get() + get(method=b"HEAD")
        outputs = []
        for factory in (server.Request, Request):
            wire = self.connect(self.site(render, requestFactory=factory))
            wire.methods = [b"GET", b"GET", b"HEAD"]
            wire.send(data)
            outputs.append(
                [
                    (
                        r.status,
                        r.body,
                        r.framing,
                        sorted(p for p in r.fields if p[0] not in (b"server", b"date")),
                    )
                    for r in wire.responses
                ]
            )
        self.assertEqual([200, 200, 200], [status for status, *_ in outputs[0]])
        self.assertEqual(outputs[0], outputs[1])


class ChannelTests(ServerTestCase):
    """
    What is used of C{request.channel}.
    """

    def held(self, **options: Any) -> tuple[Any, Any]:
        """
        A wire, and the request that is open on it.
        """
        holding = Holding()
        site = self.site(holding, **options)
        wire = self.connect(site).send(GET)
        request = holding.requests.pop()
        self.addCleanup(holding.lost.clear)
        return wire, request

    def test_transport(self) -> None:
        """
        C{transport} is the real one, on channel and request.
        """
        wire, request = self.held()
        self.assertIs(wire.transport, request.channel.transport)
        self.assertIs(wire.transport, request.transport)

    def test_pauseOnTheTransport(self) -> None:
        """
        An application may pause and resume the transport.
        """
        wire, request = self.held()
        request.transport.pauseProducing()
        self.assertTrue(wire.transport.paused)
        request.transport.resumeProducing()
        self.assertFalse(wire.transport.paused)
        request.finish()

    def test_pausedAtTheEnd(self) -> None:
        """
        What an application has paused goes on when its response has ended.
        """
        for pause in (
            lambda channel: channel.transport.pauseProducing(),
            lambda channel: channel._networkProducer.pauseProducing(),
        ):
            for factory in (Request, server.Request):
                wire, request = self.held(requestFactory=factory)
                pause(request.channel)
                self.assertTrue(wire.transport.paused)
                request.finish()
                self.assertFalse(wire.transport.paused)

    def test_site(self) -> None:
        """
        C{factory} and C{site} are the site.
        """
        wire, request = self.held()
        self.assertIs(self.sites[0], request.channel.site)
        self.assertIs(self.sites[0], request.channel.factory)
        self.assertIs(self.sites[0], wire.channel.site)
        self.assertIs(self.sites[0], request.site)

    def test_siteIsSettable(self) -> None:
        """
        They can be set, as in twisted.web.
        """
        wire = self.connect(self.site())
        other = self.site(lambda request: b"other")
        wire.channel.site = other
        wire.channel.factory = other
        self.assertEqual(b"other", wire.send(GET).only().body)

    def test_noSite(self) -> None:
        """
        Nor need there be one, for requests that do not ask for it.
        """
        site = self.site(extraHeaders=[(b"X-Extra", b"1")])
        for data, status in (
            (GET, 200),
            (get(method=b"HEAD"), 200),
            (post(b"hello"), 200),
            (b"nonsense\r\n\r\n", 400),
        ):
            wire = self.connect(site)
            wire.channel.site = None
            wire.channel.requestFactory = Plain
            wire.methods = [data.partition(b" ")[0]]
            response = wire.send(data).only()
            self.assertEqual(status, response.status)
            self.assertIsNone(response.get(b"x-extra"))

    def test_addresses(self) -> None:
        """
        C{getPeer} and C{getHost} are those of the transport.
        """
        _, request = self.held()
        self.assertEqual(CLIENT, request.channel.getPeer())
        self.assertEqual(SERVER, request.channel.getHost())
        self.assertEqual(CLIENT, request.getClientAddress())
        self.assertEqual(SERVER, request.getHost())

    def test_isSecure(self) -> None:
        """
        C{isSecure} tells whether the transport is encrypted.
        """
        seen = []

        def render(request: Any) -> bytes:
            seen.append((request.isSecure(), request.channel.isSecure()))
            return b""

        site = self.site(render)
        self.connect(site).send(GET)
        self.connect(site, SecureMemoryTransport()).send(GET)
        self.assertEqual([(False, False), (True, True)], seen)

    def test_loseConnection(self) -> None:
        """
        C{loseConnection} closes after what is written; the request hears it.
        """
        wire, request = self.held()
        request.write(b"written")
        request.loseConnection()
        wire.pump()
        self.assertTrue(wire.closed)
        self.assertFalse(wire.aborted)
        self.assertIn(b"written", wire.output)
        self.assertIsNone(request.channel)

    def test_writesOn(self) -> None:
        """
        What an application writes behind C{loseConnection} or C{abortConnection} is not
        sent, and not kept.
        """
        for factory, name in product(
            (Request, server.Request), ("loseConnection", "abortConnection")
        ):
            wire, request = self.held(requestFactory=factory)
            request.write(b"some")
            getattr(request.channel, name)()
            for _ in range(10):
                request.write(b"more" * 10_000)
            self.assertEqual(b"", bytes(wire.transport.late))
            self.assertEqual(0, request.channel.wire.pendingLength)
            wire.pump()
            self.assertNotIn(b"more", wire.output)

    def test_abortConnection(self) -> None:
        """
        C{abortConnection} and C{forceAbortClient} close at once.
        """
        for name in ("abortConnection", "forceAbortClient"):
            wire, request = self.held()
            getattr(request.channel, name)()
            wire.pump()
            self.assertTrue(wire.aborted, name)
            self.assertIsNone(request.channel)

    def test_abortOnTheTransport(self) -> None:
        """
        So does the transport's (Synapse does that).
        """
        wire, request = self.held()
        request.transport.abortConnection()
        wire.pump()
        self.assertTrue(wire.closed)
        self.assertIsNone(request.channel)

    def test_badRequest(self) -> None:
        """
        C{_respondToBadRequestAndDisconnect} is a 400 and a close.
        """
        boundary = b"Content-Type: multipart/form-data"
        wire = self.talk(Echo(), post(b"x", boundary), requestFactory=server.Request)
        wire.settle(6)
        self.assertEqual([400], wire.statuses)
        self.assertTrue(wire.closed)

    def test_badMultipartWithOurRequest(self) -> None:
        """
        With our own request it is 400 where somebody asks for the arguments, and
        nothing otherwise.
        """
        boundary = b"Content-Type: multipart/form-data"
        wire = self.talk(Echo(), post(b"x", boundary))
        self.assertEqual([200], wire.statuses)
        wire = self.talk(lambda request: b"%r" % request.args, post(b"x", boundary))
        self.assertEqual([400], wire.statuses)

    def test_networkProducer(self) -> None:
        """
        C{_networkProducer} pauses and resumes reading (daphne).
        """
        wire, request = self.held()
        request.channel._networkProducer.pauseProducing()
        self.assertTrue(wire.transport.paused)
        request.channel._networkProducer.resumeProducing()
        self.assertFalse(wire.transport.paused)
        request.finish()

    def test_timeOutOfTheProtocol(self) -> None:
        """
        C{HTTPFactory.buildProtocol} sets C{callLater} and C{timeOut}.
        """
        wire = self.connect(self.site(timeout=33))
        self.assertEqual(33, wire.channel.timeOut)
        self.assertEqual(self.clock.callLater, wire.channel.callLater)

    def test_requestDoneOfAnother(self) -> None:
        """
        C{requestDone} with a request that is not the current one raises.
        """
        wire, request = self.held()
        self.raised(TypeError, wire.channel.requestDone, object())
        request.finish()
        self.assertEqual([200], wire.statuses)

    def test_isAProtocol(self) -> None:
        """
        What C{buildProtocol} returns is a plain L{IProtocol}.
        """
        channel = self.site().buildProtocol(CLIENT)
        self.assertTrue(IProtocol.providedBy(channel))

    def test_wrapped(self) -> None:
        """
        It works under C{policies.WrappingFactory}.
        """

        class NoTimers(WrappingFactory):
            noisy = False

        echo = Echo()
        factory = NoTimers(self.site(echo))
        wire = self.connect(factory).send(GET, post(b"x"))
        self.assertEqual([200, 200], wire.statuses)
        wire.send(b"bad\r\n\r\n")
        self.assertRefused(wire, 400)

    def test_poorestTransport(self) -> None:
        """
        It works with a transport that has nothing but C{ITransport}.
        """
        from twisted.internet.interfaces import ITransport

        @implementer(ITransport)
        class Poor:
            def __init__(self) -> None:
                self.data = b""
                self.lost = False

            def write(self, data: bytes) -> None:
                self.data += data

            def writeSequence(self, data: Any) -> None:
                self.data += b"".join(data)

            def loseConnection(self) -> None:
                self.lost = True

            def getPeer(self) -> Any:
                return CLIENT

            def getHost(self) -> Any:
                return SERVER

        from twisted.internet.error import ConnectionDone
        from twisted.python.failure import Failure

        channel = self.site().buildProtocol(CLIENT)
        transport = Poor()
        channel.makeConnection(transport)
        channel.dataReceived(GET + GET)
        self.assertEqual(2, transport.data.count(b"HTTP/1.1 200 OK"))
        channel.dataReceived(b"bad\r\n\r\n")
        self.assertEqual(1, transport.data.count(b"HTTP/1.1 400"))
        self.clock.advance(6)
        self.assertTrue(transport.lost)
        channel.connectionLost(Failure(ConnectionDone()))


class RequestTests(ServerTestCase):
    """
    What is used of a request.
    """

    def test_stateToCopy(self) -> None:
        """
        C{distrib} copies the state of a request: it is plain data, but for
        what Twisted's own holds.
        """
        states: list[set[str]] = []

        def render(request: Any) -> bytes:
            states.append(set(request.getStateToCopyFor(None)))
            return b""

        self.talk(render, post(b"x"), requestFactory=server.Request)
        self.talk(render, post(b"x"))
        extra = states[1] - states[0]
        # The last is Twisted's own, since 25.5.
        known = {"rawFields", "_direct", "_encoder", "_parsePOSTFormSubmission"}
        self.assertLessEqual(extra, known)
        for name in ("channel", "transport", "content", "site"):
            self.assertNotIn(name, states[1])

    def test_copiedAddresses(self) -> None:
        """
        It is copied as a request of twisted.web's, with addresses that C{distrib} can
        send; a subclass keeps its name.
        """
        seen: list[tuple[Any, ...]] = []

        class Mine(Request):
            pass

        def render(request: Any) -> bytes:
            state = request.getStateToCopyFor(None)
            seen.append((request.getTypeToCopy(), state["client"], state["host"]))
            return b""

        six = IPv6Address("TCP", "2001:db8::7", 50007)
        for factory, name in (
            (Request, b"twisted.web.server.Request"),
            (Mine, reflect.qual(Mine).encode()),
        ):
            transport = MemoryTransport(UNIXAddress("/run/a"), six)
            site = self.site(render, requestFactory=factory)
            self.connect(site, transport).send(GET)
            [(kind, client, host)] = seen
            seen.clear()
            self.assertEqual(name, kind)
            self.assertEqual(("INET", "2001:db8::7", 50007), client)
            self.assertIn(host, (("UNIX", "/run/a"), ("UNIX", b"/run/a")))

    def test_stateIsPlainData(self) -> None:
        """
        Nothing in it is a channel, a transport or of h11's.
        """
        problems: list[str] = []

        def render(request: Any) -> bytes:
            for name, value in request.getStateToCopyFor(None).items():
                module = type(value).__module__
                if module.startswith(("h11", "twisted_h11", "tests.support")):
                    problems.append(f"{name}: {module}")
            return b""

        self.talk(render, post(b"x"))
        self.assertEqual([], problems)

    def test_setHost(self) -> None:
        """
        C{setHost} changes what C{prePathURL} says.
        """

        def render(request: Any) -> bytes:
            request.setHost(b"other.example", 81)
            url: bytes = request.prePathURL()
            return url

        wire = self.talk(render, get(b"/a/b"))
        self.assertTrue(wire.only().body.startswith(b"http://other.example:81/"))

    def test_prePathURL(self) -> None:
        """
        URLs are made from the Host field.
        """
        wire = self.talk(lambda request: str(request.URLPath()).encode(), get(b"/a"))
        self.assertTrue(wire.only().body.startswith(b"http://example.com/"))

    def test_assignedPaths(self) -> None:
        """
        C{prepath} and C{postpath} can be assigned (klein, vhost, guard).
        """

        def render(request: Any) -> bytes:
            request.prepath, request.postpath = [b"x"], [b"y", b"z"]
            return b"/".join(request.prepath + request.postpath)

        self.assertEqual(b"x/y/z", self.talk(render, GET).only().body)

    def test_components(self) -> None:
        """
        C{setComponent} and C{getComponent} work.
        """
        from zope.interface import Interface

        class IThing(Interface):
            pass

        def render(request: Any) -> bytes:
            request.setComponent(IThing, b"thing")
            found: bytes = request.getComponent(IThing)
            return found

        self.assertEqual(b"thing", self.talk(render, GET).only().body)

    def test_ownEquality(self) -> None:
        """
        A request may define C{__eq__} and C{__hash__} (daphne).
        """

        class Mine(server.Request):
            def __eq__(self, other: object) -> bool:
                return False

            def __hash__(self) -> int:
                return 1

        wire = self.talk(Echo(), GET * 3, requestFactory=Mine)
        self.assertEqual([200] * 3, wire.statuses)

    def test_notifyFinish(self) -> None:
        """
        C{notifyFinish} fires with None at the end.
        """
        results: list[object] = []

        def render(request: Any) -> bytes:
            request.notifyFinish().addCallback(results.append)
            return b""

        self.talk(render, GET)
        self.assertEqual([None], results)

    def test_arguments(self) -> None:
        """
        Query and form arguments are parsed.
        """

        def render(request: Any) -> bytes:
            return repr(sorted(request.args.items())).encode()

        form = b"Content-Type: application/x-www-form-urlencoded"
        wire = self.talk(render, post(b"c=d&a=2", form, target=b"/?a=1&b="))
        self.assertEqual(
            b"[(b'a', [b'2']), (b'b', [b'']), (b'c', [b'd'])]",
            wire.only().body,
        )

    def test_absoluteForm(self) -> None:
        """
        In our Request the authority of an absolute target replaces Host, and
        the path is that of the target; a foreign one gets it unchanged.
        """

        def render(request: Any) -> bytes:
            host: bytes = request.getHeader(b"host")
            return b" ".join(
                [
                    request.uri,
                    request.path,
                    host,
                    request.getRequestHostname(),
                    *request.postpath,
                ]
            )

        data = get(b"http://real.example:81/a/b?c", host=b"fake.example")
        wire = self.talk(render, data)
        self.assertEqual(
            b"http://real.example:81/a/b?c /a/b real.example:81 real.example a b",
            wire.only().body,
        )
        wire = self.talk(render, data, requestFactory=server.Request)
        self.assertTrue(
            wire.only().body.startswith(
                b"http://real.example:81/a/b?c http://real.example:81/a/b fake.example"
            )
        )

    def test_absoluteFormWithoutPath(self) -> None:
        """
        The path of C{http://example.com} is C{/}.
        """
        wire = self.talk(
            lambda r: r.path + b" " + r.uri, get(b"http://example.com?x=y")
        )
        self.assertEqual(b"/ http://example.com?x=y", wire.only().body)

    def test_childrenOfAbsoluteForm(self) -> None:
        """
        A tree of resources finds the leaf of an absolute target.
        """
        root, leaf = resource.Resource(), Echo()
        root.putChild(b"a", leaf)
        self.talk(root, get(b"http://example.com/a"))
        self.assertEqual(1, len(leaf.seen))

    def test_raisesWhenItIsOver(self) -> None:
        """
        What a foreign request raises when it has been answered is logged, and the
        connection goes on.
        """

        class Finishing(server.Request):
            def requestReceived(self, *args: Any) -> None:
                super().requestReceived(*args)
                raise ZeroDivisionError

        wire = self.talk(Echo(), post(b"x"), post(b"y"), requestFactory=Finishing)
        self.assertEqual([b"x", b"y"], [r.body for r in wire.responses])
        self.assertEqual(2, len(self.flushLoggedErrors(ZeroDivisionError)))
        self.assertFalse(wire.closed)

    def test_bothFields(self) -> None:
        """
        A resource may say its type and its length, and return its content whole.
        """

        def render(request: Any) -> bytes:
            request.setHeader(b"Content-Type", b"text/plain")
            request.setHeader(b"Content-Length", b"3")
            return b"abc"

        for factory in (Request, server.Request):
            response = self.talk(render, GET, requestFactory=factory).only()
            self.assertEqual(b"abc", response.body)
            self.assertEqual([b"text/plain"], response.all(b"Content-Type"))
            self.assertEqual([b"3"], response.all(b"Content-Length"))

    def test_finishedWarning(self) -> None:
        """
        A foreign request that finishes twice warns and does no harm.
        """

        def render(request: Any) -> Any:
            request.finish()
            with warnings.catch_warnings(record=True):
                request.finish()
            return NOT_DONE_YET

        wire = self.talk(render, GET * 2, requestFactory=server.Request)
        self.assertEqual([200, 200], wire.statuses)


class SiteTests(ServerTestCase):
    """
    What is used of a site.
    """

    def test_isTwisteds(self) -> None:
        """
        Our Site is a subclass of Twisted's.
        """
        self.assertIsInstance(self.site(), server.Site)

    def test_constructor(self) -> None:
        """
        It takes the arguments of Twisted's, by position and by name.
        """
        from twisted_h11.server import Site

        path = self.mktemp()
        site: Any = Site(
            Echo(),
            None,
            path,
            12,
            reactor=self.clock,
            logFormatter=lambda timestamp, request: "line",
        )
        self.sites.append(site)
        site.startFactory()
        self.connect(site).send(GET)
        self.assertEqual(12, site.timeOut)
        site.logFile.flush()
        with open(path) as log:
            self.assertEqual("line\n", log.read())

    def test_sessions(self) -> None:
        """
        Sessions are found again by their cookie, and expire by the site's
        clock.
        """

        def render(request: Any) -> bytes:
            session = request.getSession()
            session.count = getattr(session, "count", 0) + 1
            return b"%d" % (session.count,)

        site = self.site(render)
        wire = self.connect(site).send(GET)
        (cookie,) = wire.only().all(b"set-cookie")
        pair = cookie.partition(b";")[0]
        again = get(b"/", b"Cookie: " + pair)
        self.assertEqual(b"2", self.connect(site).send(again).only().body)
        self.assertEqual(1, len(site.sessions))
        self.clock.advance(901)
        self.assertEqual(0, len(site.sessions))

    def test_getContentFile(self) -> None:
        """
        C{getContentFile} of a Site subclass makes the content.
        """
        from twisted_h11.server import Site

        lengths = []

        class Mine(Site):
            def getContentFile(self, length: int | None) -> Any:
                lengths.append(length)
                return BytesIO()

        site = Mine(Echo(), reactor=self.clock)
        self.sites.append(site)
        self.assertEqual(b"abc", self.connect(site).send(post(b"abc")).only().body)
        self.assertEqual([3], lengths)

    def test_getResourceFor(self) -> None:
        """
        C{getResourceFor} of a Site subclass chooses the resource.
        """
        from twisted_h11.server import Site

        class Mine(Site):
            def getResourceFor(self, request: Any) -> Any:
                return Calls(lambda request: b"mine")

        site = Mine(Echo(), reactor=self.clock)
        self.sites.append(site)
        self.assertEqual(b"mine", self.connect(site).send(GET).only().body)

    def test_protocolIsNotUsed(self) -> None:
        """
        A C{protocol} of the site's own, which would make its connections, is not used;
        the log says so.
        """
        from twisted_h11.server import Site

        class OnTheClass(Site):
            protocol: Any = http.HTTPChannel

        onTheClass: Any = OnTheClass(Echo(), reactor=self.clock)
        onTheSite: Any = Site(Echo(), reactor=self.clock)
        onTheSite.protocol = http.HTTPChannel
        plain: Any = Site(Echo(), reactor=self.clock)
        for site, lines in ((onTheClass, 1), (onTheSite, 1), (plain, 0)):
            self.sites.append(site)
            self.events.clear()
            site.startFactory()
            found = [text for text in self.messages() if "protocol" in text]
            self.assertEqual(lines, len(found))
            self.assertEqual(200, self.connect(site).send(GET).only().status)

    def test_ownChannel(self) -> None:
        """
        A site may make connections of twisted.web's instead, as Matrix Synapse's does:
        its resources are found, whichever they are, and it stops.
        """
        from twisted_h11.server import Site

        class Mine(Site):
            def buildProtocol(self, addr: Any) -> Any:
                channel: Any = http.HTTPChannel()
                channel.site = channel.factory = self
                channel.requestFactory = server.Request
                channel.callLater = self.reactor.callLater
                return channel

        root = resource.Resource()
        root.putChild(b"echo", Echo())
        site: Any = Mine(root, reactor=self.clock)
        site.startFactory()
        for target, status in ((b"/echo", b"200"), (b"/nothing", b"404")):
            transport = StringTransport()
            channel = site.buildProtocol(CLIENT)
            channel.makeConnection(transport)
            channel.dataReceived(get(target, b"Connection: close"))
            self.assertIn(b" " + status + b" ", transport.value())
            channel.connectionLost(connectionDone)
        site.stopFactory()

    def test_acceptableProtocols(self) -> None:
        """
        ALPN offers HTTP/1.1 alone, unless HTTP/2 is switched on.
        """
        self.assertEqual([b"http/1.1"], self.site().acceptableProtocols())

    def test_childSite(self) -> None:
        """
        A site is a resource, too, as Twisted's is.
        """
        site = self.site(Calls(lambda request: b"inner"))
        found = site.getChildWithDefault(b"x", Any)
        self.assertIsNotNone(found)

    def test_parsePOSTFormSubmission(self) -> None:
        """
        C{parsePOSTFormSubmission=False} leaves forms alone.
        """
        seen = []

        def render(request: Any) -> bytes:
            seen.append(dict(request.args))
            return b""

        form = b"Content-Type: application/x-www-form-urlencoded"
        for factory in (Request, server.Request):
            try:
                site = self.site(
                    render, parsePOSTFormSubmission=False, requestFactory=factory
                )
            except TypeError:
                return  # Twisted before 25.5
            self.connect(site).send(post(b"a=b", form))
        self.assertEqual([{}, {}], seen)


class LazyTests(ServerTestCase):
    """
    What is not needed is not made.
    """

    def test_idleConnectionHasNoH11(self) -> None:
        """
        An idle connection has no h11 connection.
        """
        import gc

        import h11

        wire = self.connect(self.site())
        wire.send(b"\r\n")
        found = [
            thing
            for thing in gc.get_referents(wire.channel.__dict__)
            if isinstance(thing, h11.Connection)
        ]
        self.assertEqual([], found)

    def test_fastAnswersNeedNoH11(self) -> None:
        """
        Nor has one whose requests were all answered by the fast path.
        """
        import h11

        made: list[object] = []
        original = h11.Connection.__init__

        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            made.append(1)
            original(self, *args, **kwargs)

        self.patch(h11.Connection, "__init__", __init__)
        wire = self.connect(self.site(fastPath=True)).send(GET * 3, post(b"x"))
        self.assertEqual([200] * 4, wire.statuses)
        self.assertEqual([], made)
        self.connect(self.site(fastPath=False)).send(GET)
        self.assertEqual([1], made)

    def test_isAProtocolOfTwisteds(self) -> None:
        """
        The channel is a L{protocol.Protocol}.
        """
        self.assertIsInstance(self.connect(self.site()).channel, protocol.Protocol)
