"""
Every bound of the server's input: just inside it passes, just outside not.
"""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.server_cases import (
    FAST_PATH,
    GET,
    Echo,
    Holding,
    ServerTestCase,
    get,
    post,
)
from tests.support.wire import splittings
from twisted_h11.server import Limits, describe_limits


class LimitsObjectTests(SynchronousTestCase):
    """
    The settings object.
    """

    def test_frozen(self) -> None:
        """
        It can not be changed, only replaced.
        """
        limits = Limits(maxHeadLength=1)
        with self.assertRaises(FrozenInstanceError):
            limits.maxHeadLength = 2  # type: ignore[misc]
        self.assertEqual(2, replace(limits, maxHeadLength=2).maxHeadLength)

    def test_refusesNonsense(self) -> None:
        """
        A value that is no bound is a ValueError.
        """
        for name, value in (
            ("maxHeadLength", -1),
            ("maxHeadLength", None),
            ("maxHeadLength", "16k"),
            ("idleTimeout", True),
            ("idleTimeout", float("nan")),
            ("idleTimeout", float("inf")),
            ("maxConnections", 0.5),
        ):
            wrong: dict[str, Any] = {name: value}
            self.assertRaises(ValueError, Limits, **wrong)

    def test_nothing(self) -> None:
        """
        Zero is refused, or not, and so is C{None}, as the descriptions of the bounds
        say.
        """
        for bound in describe_limits():
            for value, refuses in (
                (0, bound.metadata["positive"]),
                (0.0, bound.metadata["positive"]),
                (None, not bound.metadata["optional"]),
            ):
                given: dict[str, Any] = {bound.name: value}
                if refuses:
                    error = self.assertRaises(ValueError, Limits, **given)
                    self.assertTrue(str(error).startswith(f"{bound.name} "), error)
                else:
                    self.assertEqual(value, getattr(Limits(**given), bound.name))


class InputLimitTests(ServerTestCase):
    """
    Limits on what a client sends.
    """

    def test_headIsCountedWhole(self) -> None:
        """
        A head counts the same however it was cut (unlike in h11 alone).
        """
        for size, status in ((200, 200), (201, 431)):
            head = get(b"/", b"X: ")
            head = head[:-4] + b"a" * (size - len(head)) + b"\r\n\r\n"
            self.assertEqual(size, len(head))
            for fast in (FAST_PATH, False):
                for how, pieces in splittings(head, size):
                    site = self.site(limits={"maxHeadLength": 200}, fastPath=fast)
                    wire = self.connect(site).send(*pieces)
                    self.assertEqual([status], wire.statuses, how)

    def test_headLimitCountsEachHead(self) -> None:
        """
        Each request of a connection has the whole of it.
        """
        for how, pieces in splittings(get() * 100, 7):
            wire = self.talk(None, *pieces, limits={"maxHeadLength": 60})
            self.assertEqual([200] * 100, wire.statuses, how)

    def test_largeHeadLimit(self) -> None:
        """
        The limits can be raised beyond what h11 has by itself.
        """
        site_limits = {"maxHeadLength": 200_000, "maxTargetLength": 90_000}
        data = get(b"/" + b"a" * 80_000, b"X: " + b"b" * 100_000)
        for size in (len(data), 1000):
            pieces = [data[i : i + size] for i in range(0, len(data), size)]
            wire = self.talk(None, *pieces, limits=site_limits)
            self.assertEqual([200], wire.statuses)

    def test_emptyLineDoesNotCount(self) -> None:
        """
        Nor does the empty line before a request line make a head too long.
        """
        data = get()
        wire = self.talk(None, b"\r\n" + data, limits={"maxHeadLength": len(data)})
        self.assertEqual([200], wire.statuses)

    def test_fieldCount(self) -> None:
        """
        The number of field lines is bounded.
        """
        for count, status in ((3, 200), (4, 431)):
            lines = [b"X: y"] * (count - 1)
            for fast in (FAST_PATH, False):
                site = self.site(limits={"maxFieldCount": 3}, fastPath=fast)
                wire = self.connect(site).send(get(b"/", *lines))
                self.assertEqual([status], wire.statuses)

    def test_targetLength(self) -> None:
        """
        So is the length of the target, however the head is cut.
        """
        for size, status in ((100, 200), (101, 414)):
            head = get(b"/" + b"a" * (size - 1))
            for fast in (FAST_PATH, False):
                for how, pieces in splittings(head, size):
                    site = self.site(limits={"maxTargetLength": 100}, fastPath=fast)
                    wire = self.connect(site).send(*pieces)
                    self.assertEqual([status], wire.statuses, how)

    def test_targetBeforeHead(self) -> None:
        """
        A target over its limit is 414 also when the head is over its own.
        """
        wire = self.talk(
            None,
            get(b"/" + b"a" * 300),
            limits={"maxTargetLength": 100, "maxHeadLength": 200},
        )
        self.assertEqual([414], wire.statuses)

    def test_targetOfAMalformedLine(self) -> None:
        """
        So it is when the request line is malformed besides.
        """
        for line, length, status in (
            (b"GET /%b HTTP/x\r\nHost: a\r\n\r\n", 99, 400),
            (b"GET /%b HTTP/x\r\nHost: a\r\n\r\n", 100, 414),
            # Its target is empty.
            (b"GET  /%b HTTP/1.1\r\nHost: a\r\n\r\n", 300, 400),
        ):
            for how, pieces in splittings(line % (b"a" * length), 7):
                wire = self.talk(None, *pieces, limits={"maxTargetLength": 100})
                self.assertEqual([status], wire.statuses, (length, how))

    def test_noBodyLimit(self) -> None:
        """
        C{maxBodyLength=None} takes a body of any length.
        """
        head = get(b"/", b"Content-Length: %d" % 2**40, method=b"POST")
        wire = self.talk(None, head, limits={"maxBodyLength": None})
        self.assertEqual([], wire.statuses)
        self.assertFalse(wire.transport.disconnecting)
        # It is more than the default bound.
        self.assertEqual([413], self.talk(None, head).statuses)

    def test_hugeAnnouncementReservesNothing(self) -> None:
        """
        An announced length costs nothing until the bytes come.
        """
        import tracemalloc

        site = self.site()
        tracemalloc.start()
        try:
            for _ in range(5):
                head = get(b"/", b"Content-Length: %d" % 2**29, method=b"POST")
                self.connect(site).send(head + b"x")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        self.assertLess(peak, 2**20)

    def test_zeroBodyLimit(self) -> None:
        """
        With a limit of zero only requests without a body pass.
        """
        site = self.site(limits={"maxBodyLength": 0})
        self.assertEqual([200], self.connect(site).send(GET).statuses)
        self.assertEqual([200], self.connect(site).send(post(b"")).statuses)
        self.assertEqual([413], self.connect(site).send(post(b"x")).statuses)

    def test_manySmallChunks(self) -> None:
        """
        A body in chunks of one byte is taken, in reasonable time.
        """
        echo = Echo()
        head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        body = b"1\r\nx\r\n" * 20_000 + b"0\r\n\r\n"
        wire = self.talk(echo, head + body)
        self.assertEqual([200], wire.statuses)
        self.assertEqual(b"x" * 20_000, echo.seen[0].body)

    def test_manySmallSegments(self) -> None:
        """
        A body in segments of one byte is taken, in reasonable time.
        """
        echo = Echo()
        body = b"x" * 50_000
        data = post(body)
        wire = self.talk(echo, *[data[i : i + 1] for i in range(len(data))])
        self.assertEqual([200], wire.statuses)
        self.assertEqual(body, echo.seen[0].body)

    def test_extensionsCountTogether(self) -> None:
        """
        Many small chunk extensions count as one long one.
        """
        head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        chunk = b"1;aaaaaaaaaaaaaaa\r\nx\r\n"
        wire = self.talk(None, head + chunk * 2000)
        self.assertEqual([400], wire.statuses)
        self.assertRefused(wire, 400)

    def test_extensionLength(self) -> None:
        """
        All extensions of a message together have a bound, to the byte and in any cut.
        """
        head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        for last, status in ((b";cdef", 200), (b";cdefg", 400)):
            data = head + b"1;abcd\r\nx\r\n0" + last + b"\r\n\r\n"
            for how, pieces in splittings(data, 7):
                wire = self.talk(None, *pieces, limits={"maxChunkExtensionLength": 10})
                self.assertEqual([status], wire.statuses, how)

    def test_trailerLength(self) -> None:
        """
        So has the trailer section, with its empty line, and the number of its fields.
        """
        head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        for section, limits, status in (
            (b"A: b\r\n", {"maxTrailerLength": 8}, 200),
            (b"A: b\r\n", {"maxTrailerLength": 7}, 431),
            (b"A: b\r\n" * 3, {"maxFieldCount": 3}, 200),
            (b"A: b\r\n" * 4, {"maxFieldCount": 3}, 431),
        ):
            data = head + b"1\r\nx\r\n0\r\n" + section + b"\r\n"
            for how, pieces in splittings(data, 7):
                wire = self.talk(None, *pieces, limits=limits)
                self.assertEqual([status], wire.statuses, (section, how))

    def test_bodyLength(self) -> None:
        """
        So has a body, whether its length is told or not.
        """
        head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        for size, status in ((10, 200), (11, 413)):
            body = b"x" * size
            chunked = head + b"4\r\nxxxx\r\n%x\r\n" % (size - 4) + body[4:]
            for data in (post(body), chunked + b"\r\n0\r\n\r\n"):
                for how, pieces in splittings(data, 7):
                    wire = self.talk(None, *pieces, limits={"maxBodyLength": 10})
                    self.assertEqual([status], wire.statuses, how)

    def test_extensionsOfTheNextMessage(self) -> None:
        """
        They do not count for the next message.
        """
        head = get(b"/", b"Transfer-Encoding: chunked", method=b"POST")
        data = head + b"1;aaaaaaaaa\r\nx\r\n0\r\n\r\n"
        wire = self.talk(None, data * 20, limits={"maxChunkExtensionLength": 50})
        self.assertEqual([200] * 20, wire.statuses)

    def test_largeBodyIsNotPausedForGood(self) -> None:
        """
        C{readAhead} bounds what follows a request, not its own body.
        """
        echo = Echo()
        wire = self.talk(echo, post(b"x" * 1_000_000), limits={"readAhead": 10})
        self.assertEqual(1_000_000, len(echo.seen[0].body))
        self.assertEqual([200], wire.statuses)

    def test_zeroReadAhead(self) -> None:
        """
        With a read-ahead of zero everything still works.
        """
        holding = Holding()
        wire = self.talk(holding, GET, limits={"readAhead": 0})
        wire.unread.extend([GET, GET])
        wire.pump()
        for _ in range(3):
            holding.answer()
            wire.pump()
        self.assertEqual([200] * 3, wire.statuses)
