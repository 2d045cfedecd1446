"""
Where bytes are wanted: what is not bytes is an error where it comes in, and what is
counted is what is sent.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Callable
from io import StringIO
from itertools import product
from mmap import mmap
from typing import Any

import h11
from twisted.internet.defer import Deferred
from twisted.web import server
from twisted.web.server import NOT_DONE_YET

from tests.support.protocol_cases import ProtocolTestCase, Recording
from tests.support.server_cases import GET, ServerTestCase
from twisted_h11._boundary.octets import as_bytes
from twisted_h11.server import Request


class Text(str):
    """
    A subclass of str.
    """


class Longer(bytes):
    """
    Bytes that lie about their length.
    """

    def __len__(self) -> int:
        return 1000


def mapped() -> mmap:
    """
    Anonymous memory.
    """
    memory = mmap(-1, 4)
    memory[:] = b"abcd"
    return memory


# What is refused, and what is sent: as these four bytes.
REFUSED: list[Callable[[], Any]] = [
    lambda: "text",
    lambda: Text("text"),
    lambda: 4,
    lambda: None,
    lambda: [97, 98],
    lambda: iter(b"abcd"),
    lambda: StringIO("abcd"),
    lambda: array("I", [1]),
    lambda: array("u", "abcd"),
    lambda: memoryview(array("H", [1, 2])),
    lambda: memoryview(b"abcd").cast("I"),
    lambda: memoryview(b"abcd").cast("B", (2, 2)),
    lambda: memoryview(b"abcd").cast("B", (4, 1)),
    lambda: (ctypes.c_int * 1)(1),
    lambda: ctypes.c_int(1),
]
SENT: list[Callable[[], Any]] = [
    lambda: b"abcd",
    lambda: Longer(b"abcd"),
    lambda: bytearray(b"abcd"),
    lambda: memoryview(b"abcd"),
    lambda: memoryview(b"a-b-c-d-")[::2],
    lambda: memoryview(bytearray(b"abcd")).cast("c"),
    lambda: array("B", b"abcd"),
    lambda: array("b", b"abcd"),
    lambda: (ctypes.c_char * 4).from_buffer_copy(b"abcd"),
    mapped,
]


def refuses(function: Callable[[Any], object], data: Any) -> None:
    """
    C{function} must raise a TypeError; which is not kept, nor are its frames.
    """
    try:
        function(data)
    except TypeError:
        return
    raise AssertionError(f"{data!r} was taken")


class FunctionTests(ServerTestCase):
    """
    L{as_bytes}.
    """

    def test_sent(self) -> None:
        """
        Everything with bytes as its items is bytes.
        """
        for make in SENT:
            self.assertEqual(
                (b"abcd", bytes), (as_bytes(make()), type(as_bytes(make())))
            )

    def test_refused(self) -> None:
        """
        All else is a TypeError that names what it was for, and what was given.
        """
        for make in REFUSED:
            text = self.raised(TypeError, as_bytes, make(), "the body")
            self.assertIn("the body must be bytes, not ", text)
            self.assertIn(type(make()).__name__, text)
        self.assertIn("encode it", self.raised(TypeError, as_bytes, "text"))
        self.assertIn("cast", self.raised(TypeError, as_bytes, array("I", [1])))

    def test_empty(self) -> None:
        """
        Text of no length is nothing in every encoding.
        """
        self.assertEqual(b"", as_bytes(""))

        def render(request: Any) -> Any:
            request.write("")
            request.finish()
            return NOT_DONE_YET

        self.assertEqual(b"", self.talk(render, GET).only().body)

    def test_copied(self) -> None:
        """
        What may change later is copied.
        """
        data = bytearray(b"abcd")
        taken = as_bytes(data)
        data[:] = b"wxyz"
        self.assertEqual(b"abcd", taken)


class RequestTests(ServerTestCase):
    """
    C{Request.write} and its neighbours.
    """

    def writing(self, data: Any, begun: bool = False, later: bool = False) -> Any:
        """
        Renders by writing C{data}.
        """

        def write(request: Any) -> None:
            request.write(data)
            request.finish()

        def render(request: Any) -> Any:
            request.setHeader(b"Content-Length", b"8" if begun else b"4")
            if begun:
                request.write(b"1234")
            if not later:
                write(request)
                return NOT_DONE_YET
            waiting: Deferred[Any] = Deferred()
            waiting.addCallback(lambda _: write(request))
            self.clock.callLater(1, waiting.callback, None)
            return waiting

        return render

    def test_refused(self) -> None:
        """
        It raises a TypeError, which is a 500, or a cut response.
        """
        for make, begun, later in product(REFUSED, (False, True), (False, True)):
            wire = self.talk(self.writing(make(), begun, later), GET).advance(2)
            if begun:
                self.assertFalse(wire.only().complete)
            else:
                self.assertEqual([500], wire.statuses)
            self.assertEqual(1, len(self.flushLoggedErrors(TypeError)))
            wire.advance(200, 10)
            self.assertTrue(wire.closed)

    def test_twisteds(self) -> None:
        """
        So it does in Twisted's request, whose head is out by then: the response is
        cut.
        """
        for make, field in product(REFUSED, (b"", b"Content-Length")):
            if not make():
                continue

            def render(request: Any, make: Any = make, field: bytes = field) -> Any:
                if field:
                    request.setHeader(field, b"4")
                request.write(make())
                return NOT_DONE_YET

            wire = self.talk(render, GET, requestFactory=server.Request)
            self.assertFalse(
                wire.only().complete and wire.statuses == [200],
                (make(), field, wire.output),
            )
            self.flushLoggedErrors()
            wire.settle(30)
            self.assertTrue(wire.closed)

    def test_sent(self) -> None:
        """
        What is bytes is counted and framed as what is sent, by every request.
        """
        for make, factory, field in product(
            SENT, (Request, server.Request), (b"", b"Content-Length")
        ):
            if factory is not Request and isinstance(make(), Longer):
                continue

            def render(request: Any, make: Any = make, field: bytes = field) -> Any:
                if field:
                    request.setHeader(field, b"4")
                data = make()
                request.write(data)
                if isinstance(data, bytearray):
                    data[:] = b"wxyz"
                request.finish()
                return NOT_DONE_YET

            wire = self.talk(render, GET, GET, requestFactory=factory)
            self.assertEqual([b"abcd"] * 2, [r.body for r in wire.responses])

    def test_tooLate(self) -> None:
        """
        After the end it is a TypeError as well, of which nothing else comes.
        """
        texts: list[str] = []

        def render(request: Any) -> Any:
            request.finish()
            texts.append(self.raised(TypeError, request.write, "text"))
            return NOT_DONE_YET

        wire = self.talk(render, GET, GET)
        self.assertEqual([200, 200], wire.statuses)
        self.assertEqual(2, len(texts))

    def test_encoder(self) -> None:
        """
        An encoder may not give text either.
        """

        class Encoder:
            def encode(self, data: bytes) -> Any:
                return "text"

            def finish(self) -> Any:
                return "text"

        for late in (False, True):

            def render(request: Any, late: bool = late) -> Any:
                request._encoder = encoder = Encoder()
                if late:
                    encoder.encode = lambda data: data  # type: ignore[method-assign]
                request.write(b"abcd")
                request.finish()

            wire = self.talk(render, GET)
            if late:
                self.assertFalse(wire.only().complete)
            else:
                self.assertEqual([500], wire.statuses)
            self.assertEqual(1, len(self.flushLoggedErrors(TypeError)))

    def test_head(self) -> None:
        """
        A status, reason or validator that is not what it should be is a 500, not
        an empty reply.
        """
        for name, value, factory in product(
            ("code", "code_message", "lastModified", "etag"),
            ("404", object()),
            (Request, server.Request),
        ):
            if factory is not Request and name not in ("code_message",):
                continue
            if (name, value) == ("etag", "404"):
                # Headers encode text.
                continue

            def render(request: Any, name: str = name, value: Any = value) -> Any:
                setattr(request, name, value)
                request.write(b"abcd")
                request.finish()
                return NOT_DONE_YET

            wire = self.talk(render, GET, requestFactory=factory)
            self.assertEqual([500], wire.statuses, (name, value, factory))
            self.flushLoggedErrors()
            wire.settle(30)

    def test_fields(self) -> None:
        """
        Fields of interim responses must be bytes, and so must trailers.
        """
        for pair in ((b"A", "b"), ("A", b"b"), (b"A", 1), (b"A", None)):
            texts: list[str] = []

            def interim(request: Any, pair: Any = pair, texts: Any = texts) -> bytes:
                texts.append(self.raised(TypeError, request.sendInterim, 103, [pair]))
                return b"abcd"

            wire = self.talk(interim, GET)
            self.assertIn("bytes, not ", texts[0])
            self.assertEqual([200], wire.statuses)

            def trailers(request: Any, pair: Any = pair) -> Any:
                request.write(b"abcd")
                request._responseTrailers = [pair]
                request.finish()
                return NOT_DONE_YET

            wire = self.talk(trailers, GET)
            self.assertFalse(wire.only().complete)
            self.assertIn("must be bytes", self.flushLogged())
            wire.settle(30)
            self.assertTrue(wire.closed)

    def flushLogged(self) -> str:
        """
        All that was logged.
        """
        return "\n".join(self.messages())


class ChannelTests(ServerTestCase):
    """
    The channel, for whoever talks to it.
    """

    def test_refused(self) -> None:
        """
        C{write} and C{writeSequence} raise at the call, and nothing is sent.
        """
        requests: list[Any] = []
        wire = self.talk(lambda request: requests.append(request), GET)
        channel = requests[0].channel
        for make in REFUSED:
            self.raised(TypeError, channel.write, make())
            self.raised(TypeError, channel.writeSequence, [b"a", make()])
        self.assertEqual(b"", wire.output)
        requests.pop().finish()
        self.assertEqual([200], wire.statuses)
        del channel


class ProtocolTests(ProtocolTestCase):
    """
    L{H11Protocol}: events, and what goes past them.
    """

    def test_data(self) -> None:
        """
        C{Data} is looked at before h11 counts it; what may follow may follow.
        """
        wire = self.connect(Recording).send(GET)
        send = wire.channel.sendEvent
        send(h11.Response(status_code=200, headers=[("Content-Length", "4")]))
        for make in REFUSED:
            refuses(send, h11.Data(data=make()))
            refuses(wire.channel.write, make())
            refuses(wire.channel.writeSequence, [make()])
        send(h11.Data(data=memoryview(b"a-b-c-d-")[::2]))  # type: ignore[arg-type]
        send(h11.EndOfMessage())
        self.assertEqual(b"abcd", wire.only().body)

    def test_sent(self) -> None:
        """
        Whatever is bytes is framed by its length.
        """
        for make in SENT:
            wire = self.connect(Recording).send(GET)
            send = wire.channel.sendEvent
            send(h11.Response(status_code=200, headers=[]))
            send(h11.Data(data=make()))
            send(h11.EndOfMessage())
            self.assertEqual(b"abcd", wire.only().body)
