"""
Identifiers of requests: made, or believed of a trusted proxy; in the access log, and in
the program's log.
"""

from __future__ import annotations

import io
import json
import re
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.logger import (
    LogEvent,
    Logger,
    LogPublisher,
    globalLogPublisher,
    jsonFileLogObserver,
    textFileLogObserver,
)
from twisted.python import log as legacy_log
from twisted.trial.unittest import SynchronousTestCase

from tests.server.test_http2_bounds import BoundsTestCase
from tests.support.server_cases import Holding, ServerTestCase, get, post
from twisted_h11._server.request_ids import current
from twisted_h11.server import (
    Site,
    TrustedProxies,
    add_request_id,
    current_request_id,
    json_log_format,
)
from twisted_h11.wsgi import WSGIResource

ALL = TrustedProxies(["0.0.0.0/0", "::/0"])
MADE = re.compile("[0-9a-f]{32}")
log = Logger()


class IdTests(ServerTestCase):
    """
    What identifier a request has.
    """

    def ids(self, *pieces: bytes, **options: Any) -> list[str | None]:
        """
        The identifiers of requests; the application and the access log agree.
        """
        seen: list[str | None] = []

        def render(request: Any) -> bytes:
            seen.append(request.requestId)
            return b"x"

        site = self.site(
            render, start=True, logFormatter=json_log_format("request_id"), **options
        )
        self.connect(site).send(*pieces)
        lines = site.access.getvalue().splitlines()
        self.assertEqual(seen, [json.loads(line)["request_id"] for line in lines])
        return seen

    def test_off(self) -> None:
        """
        By default there is none.
        """
        self.assertEqual([None], self.ids(get()))

    def test_made(self) -> None:
        """
        Each request has one of its own, on whatever way it came.
        """
        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        found = self.ids(
            get() * 20,
            post(b"body"),
            chunked + b"1\r\na\r\n0\r\n\r\n",
            requestIds=True,
        )
        self.assertEqual(22, len(set(found)))
        for one in found:
            self.assertTrue(MADE.fullmatch(one or ""), one)

    def test_notSeeded(self) -> None:
        """
        A program that seeds the module random does not get the same twice.
        """
        import random

        state = random.getstate()
        self.addCleanup(random.setstate, state)
        found = []
        for _ in range(2):
            random.seed(0)
            found += self.ids(get(), requestIds=True)
        self.assertEqual(2, len(set(found)))

    def test_believed(self) -> None:
        """
        That of a trusted proxy is taken, of both kinds of requests.
        """
        for data in (
            get(b"/", b"X-Request-ID: a-b.c_1~"),
            post(b"x", b"x-request-id: a-b.c_1~"),
        ):
            found = self.ids(
                data,
                requestIds=True,
                requestIdHeader=b"X-Request-ID",
                trustedProxies=ALL,
            )
            self.assertEqual(["a-b.c_1~"], found)

    def test_notBelieved(self) -> None:
        """
        What anybody else sends, or what is no identifier, is replaced.
        """
        nobody = TrustedProxies(["203.0.113.1"])
        longest = b"a" * 200
        for value, trusted, taken in (
            (b"fine", ALL, True),
            (b"fine", nobody, False),
            (longest, ALL, True),
            (longest + b"a", ALL, False),
            (b"", ALL, False),
            (b"two words", ALL, False),
            (b'a"b', ALL, False),
            (b"a\\b", ALL, False),
            (b"a,b", ALL, False),
            (b"a;b=c", ALL, False),
            (b"\xe9", ALL, False),
            (b"one\r\nX-Request-ID: two", ALL, False),
        ):
            [found] = self.ids(
                get(b"/", b"X-Request-ID: " + value),
                requestIds=True,
                requestIdHeader=b"x-request-id",
                trustedProxies=trusted,
            )
            self.assertEqual(taken, found == value.decode("latin-1"), value)
            self.assertTrue(taken or MADE.fullmatch(found or ""), value)

    def test_length(self) -> None:
        """
        How long it may be is a limit.
        """
        for value, taken in (("abcd", True), ("abcde", False)):
            [found] = self.ids(
                get(b"/", b"X-Request-ID: " + value.encode()),
                requestIds=True,
                requestIdHeader=b"X-Request-ID",
                trustedProxies=ALL,
                limits={"maxRequestIdLength": 4},
            )
            self.assertEqual(taken, found == value)

    def test_otherFields(self) -> None:
        """
        No other field is believed.
        """
        [found] = self.ids(
            get(b"/", b"X-Request-ID: abc"),
            requestIds=True,
            requestIdHeader=b"X-Amzn-Id",
            trustedProxies=ALL,
        )
        self.assertTrue(MADE.fullmatch(found or ""))

    def test_refused(self) -> None:
        """
        A request that the application never sees has one in its line.
        """
        site = self.site(
            start=True,
            logFormatter=json_log_format("request_id", "status"),
            requestIds=True,
            limits={"maxBodyLength": 3},
        )
        self.connect(site).send(
            get(b"/", b"Transfer-Encoding: chunked", method=b"POST"),
            b"5\r\nabcde\r\n",
        ).settle(9)
        found = json.loads(site.access.getvalue())
        self.assertEqual(413, found["status"])
        self.assertTrue(MADE.fullmatch(found["request_id"]))

    def test_arguments(self) -> None:
        """
        A field that nobody would be believed in is refused, and what is no field.
        """
        for options, expected in (
            ({"requestIds": True, "requestIdHeader": b"X-Id"}, "needs trustedProxies"),
            ({"requestIdHeader": b"X-Id", "trustedProxies": ALL}, "needs requestIds"),
            (
                {"requestIds": True, "requestIdHeader": b"X Id", "trustedProxies": ALL},
                "not the name of a field",
            ),
        ):
            text = self.raised(
                ValueError, lambda options=options: Site(Holding(), **options)
            )
            self.assertIn(expected, text)

    def test_cost(self) -> None:
        """
        Who has no identifiers has no classes that would make them.
        """
        site = self.site()
        names = [kind.__name__ for kind in type(self.connect(site).channel).__mro__]
        self.assertNotIn("IdentifiedChannel", names)


class HTTP2Tests(BoundsTestCase):
    """
    The streams of HTTP/2.
    """

    def test_each(self) -> None:
        """
        Each stream has an identifier, which stays the same: its own, or that of a
        trusted proxy.
        """
        seen: list[tuple[Any, ...]] = []

        def render(request: Any) -> bytes:
            seen.append((request.requestId, request.requestId))
            return b""

        site = self.site(
            render,
            http2=True,
            requestIds=True,
            requestIdHeader=b"X-Request-ID",
            trustedProxies=ALL,
        )
        client = self.client(site)
        fields: Any = {"x-request-id": "a-b"}
        client.request(1).request(3, **fields).go()
        (made, again), believed = seen
        self.assertTrue(MADE.fullmatch(made), made)
        self.assertEqual(made, again)
        self.assertEqual(("a-b", "a-b"), believed)


class LogTests(ServerTestCase):
    """
    What is logged while a request is worked on.
    """

    def setUp(self) -> None:
        """
        A log to which identifiers are added.
        """
        super().setUp()
        self.noted: list[tuple[str, Any]] = []

        def note(event: LogEvent) -> None:
            text = event.get("log_format") or ""
            self.noted.append((str(text), event.get("request_id")))

        observer: Any = note
        for one in (add_request_id, observer):
            globalLogPublisher.addObserver(one)
            self.addCleanup(globalLogPublisher.removeObserver, one)

    def said(self, text: str) -> list[Any]:
        """
        The identifiers of the events of one text.
        """
        return [found for said, found in self.noted if said == text]

    def test_whileRendering(self) -> None:
        """
        What a resource logs has the identifier of its request, each its own, and
        nothing has it afterwards.
        """
        ids = []

        def render(request: Any) -> bytes:
            ids.append(request.requestId)
            self.assertEqual(request.requestId, current_request_id())
            log.info("rendered")
            return b"x"

        site = self.site(render, requestIds=True)
        self.connect(site).send(get() * 3, post(b"abc"), post(b"abc")[:-1])
        log.info("outside")
        self.assertEqual(ids, self.said("rendered"))
        self.assertEqual(4, len(set(ids)))
        self.assertEqual([None], self.said("outside"))
        self.assertIsNone(current.get())

    def test_bodyLater(self) -> None:
        """
        So it is when the body comes later, with other requests between.
        """
        ids = []

        def render(request: Any) -> bytes:
            ids.append(request.requestId)
            log.info("rendered")
            return b"x"

        site = self.site(render, requestIds=True)
        first, second = self.connect(site), self.connect(site)
        first.send(post(b"abc")[:-2])
        second.send(get())
        first.send(b"bc")
        self.assertEqual(ids, self.said("rendered"))
        self.assertEqual(2, len(set(ids)))

    def test_coroutine(self) -> None:
        """
        A coroutine keeps it over its awaits.
        """
        waiting: list[Deferred[None]] = [Deferred(), Deferred()]
        ids = []

        async def later(request: Any, wait: Deferred[None]) -> None:
            ids.append(request.requestId)
            await wait
            log.info("awaited")
            request.finish()
            log.info("finished")

        rest = list(waiting)

        def render(request: Any) -> None:
            Deferred.fromCoroutine(later(request, rest.pop(0)))

        site = self.site(render, requestIds=True)
        one, two = self.connect(site), self.connect(site)
        one.send(get() * 2)
        two.send(get()[:10])
        waiting[0].callback(None)
        waiting[1].callback(None)
        self.assertEqual(ids, self.said("awaited"))
        self.assertEqual(ids, self.said("finished"))
        self.assertEqual(2, len(set(ids)))
        self.assertIsNone(current.get())

    def test_ends(self) -> None:
        """
        What becomes of a request by time, or by its connection, is logged with it.
        """
        ids: list[Any] = []

        def render(request: Any) -> None:
            ids.append(request.requestId)
            request.notifyFinish().addErrback(lambda _: log.info("lost"))

        site = self.site(render, requestIds=True)
        self.connect(site).send(get()).vanish()
        self.connect(site).send(get()).halfClose().advance(10)
        self.assertEqual(ids, self.said("lost"))
        self.assertEqual(2, len(set(ids)))

    def test_refusal(self) -> None:
        """
        So is why it was refused.
        """
        site = self.site(requestIds=True, limits={"maxBodyLength": 3})
        self.connect(site).send(post(b"abcde")[:-5]).settle(9)
        self.connect(site).send(
            get(b"/", b"Transfer-Encoding: chunked", method=b"POST"), b"5\r\nabcde\r\n"
        ).settle(9)
        found = self.said("Refused a request from {peer} with {status}: {reason}")
        self.assertEqual(2, len(found))
        self.assertTrue(MADE.fullmatch(found[1] or ""))

    def test_refusedUnread(self) -> None:
        """
        A request that was refused before it was read has one, too: the same in the
        access log and with the reason, and in nothing that follows.
        """

        def few(site: Any) -> Any:
            self.connect(site)
            return self.connect(site)

        def late(site: Any) -> Any:
            return self.connect(site).send(get()[:10]).advance(50)

        for status, refused in (
            (400, lambda site: self.connect(site).send(b" GET")),
            (400, lambda site: self.connect(site).send(get(b"/", b"no colon"))),
            (408, late),
            (431, lambda site: self.connect(site).send(get(b"/", b"a: " + b"a" * 999))),
            (503, few),
        ):
            self.noted.clear()
            site = self.site(
                start=True,
                logFormatter=json_log_format("request_id", "status"),
                requestIds=True,
                limits={"maxConnections": 1, "maxHeadLength": 500},
            )
            refused(site).settle(9)
            line = json.loads(site.access.getvalue())
            self.assertEqual(status, line["status"])
            self.assertTrue(MADE.fullmatch(line["request_id"] or ""), status)
            self.assertEqual(
                [line["request_id"]],
                self.said("Refused a request from {peer} with {status}: {reason}"),
            )
            self.assertIsNone(current.get())

    def test_observer(self) -> None:
        """
        The text of an event has it in its brackets, JSON as C{request_id}; nothing is
        changed outside of requests.
        """
        publisher = LogPublisher()
        text, objects = io.StringIO(), io.StringIO()
        for observer in (
            add_request_id,
            textFileLogObserver(text),
            jsonFileLogObserver(objects, recordSeparator=""),
        ):
            publisher.addObserver(observer)
        log = Logger("a.b", observer=publisher)
        log.info("outside")
        token = current.set("xyz")
        try:
            log.warn("within")
            log.info("legacy", log_system="HTTPChannel,1")
        finally:
            current.reset(token)
        lines = text.getvalue().splitlines()
        self.assertIn(" [a.b#info] outside", lines[0])
        self.assertIn(" [a.b#warn xyz] within", lines[1])
        self.assertIn(" [HTTPChannel,1 xyz] legacy", lines[2])
        self.assertEqual(
            [None, "xyz", "xyz"],
            [
                json.loads(line).get("request_id")
                for line in objects.getvalue().splitlines()
            ],
        )

    def test_legacy(self) -> None:
        """
        What is logged by L{twisted.python.log} has it as well.
        """

        def render(request: Any) -> bytes:
            legacy_log.msg("old words")
            return b"x"

        site = self.site(render, requestIds=True)
        self.connect(site).send(get())
        found = [
            event.get("request_id")
            for event in self.events
            if event.get("message") == ("old words",)
        ]
        self.assertTrue(MADE.fullmatch(found[0] or ""))


class ThreadTests(SynchronousTestCase):
    """
    WSGI applications.
    """

    def test_wsgi(self) -> None:
        """
        An application in a thread knows the identifier of its request.
        """
        from twisted_h11.testing import MemorySite

        found: list[Any] = []

        class Pool:
            def callInThread(self, call: Any) -> None:
                import threading

                thread = threading.Thread(target=call)
                thread.start()
                thread.join()

        def application(environ: Any, start_response: Any) -> list[bytes]:
            found.extend((environ.get("twisted_h11.request_id"), current_request_id()))
            start_response("200 OK", [])
            return [b"x"]

        for on in (True, False):
            resource = WSGIResource(global_reactor, Pool(), application)
            made = Site(resource, requestIds=on)
            memory = MemorySite(made)
            memory.connect().send(get())
        self.assertEqual(found[0], found[1])
        self.assertTrue(MADE.fullmatch(found[0] or ""))
        self.assertEqual([None, None], found[2:])
