"""
A connection of the client as a state machine: what servers do, and what always holds.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule
from twisted.internet.error import ConnectionLost
from twisted.web.client import ResponseDone

from tests.machines.base import has
from tests.machines.client_calls import BOUNDS, SETTINGS, Asking, Call, which
from tests.machines.scripted import SEGMENT, Server

__all__ = ["ClientMachine", "SlowClientMachine"]

# No wait lasts longer, if nobody does anything; and a retry.
ALL_WAITS = 200

# Answers that are none.
ODD = (
    b"no HTTP at all\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab",
    b"HTTP/1.1 200 OK\r\nX: " + b"a" * 1200 + b"\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"HTTP/1.1 100 C\r\n\r\n" * 5,
    b"HTTP/1.1 101 Unasked\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
)


class ClientMachine(Asking):
    """
    An agent, and servers that answer anyhow.
    """

    @precondition(has("waiting"))
    @rule(
        at=which,
        size=st.sampled_from((0, 3, 400, 1500, 4000)),
        framing=st.sampled_from(("length", "length", "chunked", "close", "none")),
        interim=st.sampled_from((0, 0, 0, 1, 4)),
        closes=st.sampled_from((False, False, True)),
        extra=st.sampled_from((b"", b"", b"", b"extra")),
        first=st.sampled_from((1, 20, 150, 100_000, 100_000)),
    )
    def answer(
        self,
        at: int,
        size: int,
        framing: str,
        interim: int,
        closes: bool,
        extra: bytes,
        first: int,
    ) -> None:
        """
        A server begins to answer, early or not, and sends all of it or some.
        """
        server = self.waiting[at % len(self.waiting)]
        method, number = server.unanswered or (b"", 0)
        server.answered += 1
        body = (b"<%d>" % (number,) * size)[:size]
        lines = [b"HTTP/1.1 200 OK", b"X-Number: %d" % (number,)]
        content = body
        if framing == "length":
            lines.append(b"Content-Length: %d" % (len(body),))
        elif framing == "chunked":
            lines.append(b"Transfer-Encoding: chunked")
            cut = [body[i : i + 100] for i in range(0, size, 100)]
            content = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in cut)
            content += b"0\r\n\r\n"
        elif framing == "none":
            lines[0] = b"HTTP/1.1 204 No Content"
        if closes:
            lines.append(b"Connection: close")
        bare = method == b"HEAD" or framing == "none"
        if bare:
            body = content = b""
        if framing == "close" and not bare:
            # Everything up to the end of the connection is the body.
            body, content = body + extra, content
        self.calls[number].bodies.append(body)
        self.calls[number].server = server
        head = b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * interim
        whole = head + b"\r\n".join(lines) + b"\r\n\r\n" + content + extra
        server.begin(whole, len(whole) - len(body))
        server.feed(first)

    @precondition(has("waiting"))
    @rule(at=which, what=st.sampled_from(ODD))
    def answer_oddly(self, at: int, what: bytes) -> None:
        """
        A server sends what is no answer.
        """
        server = self.waiting[at % len(self.waiting)]
        _, number = server.unanswered or (b"", 0)
        self.calls[number].bodies.append(b"")
        self.calls[number].server = None
        server.answered += 1
        server.send(what)

    @precondition(has("resting"))
    @rule(at=which, length=st.sampled_from((1, 2, 30, 500, 100_000)))
    def feed(self, at: int, length: int) -> None:
        """
        A server sends more of what it began.
        """
        self.resting[at % len(self.resting)].feed(length)

    @precondition(has("waiting"))
    @rule(at=which)
    def go_ahead(self, at: int) -> None:
        """
        A server wants the body.
        """
        self.waiting[at % len(self.waiting)].send(b"HTTP/1.1 100 Continue\r\n\r\n")

    @precondition(has("live"))
    @rule(at=which, how=st.sampled_from(("reset", "end", "full", "takes", "takes")))
    def server_does(self, at: int, how: str) -> None:
        """
        A server is gone, sends no more, takes no more, or takes again.
        """
        server = self.live[at % len(self.live)]
        if how == "reset":
            server.lose(ConnectionLost())
        elif how == "end":
            server.halfClose()
        elif how == "full":
            server.fill()
        else:
            server.drain()

    @rule(seconds=st.sampled_from((0.5, 6.0, 11.0, 25.0)))
    def time_passes(self, seconds: float) -> None:
        """
        Nobody does anything for a while.
        """
        while seconds > 0:
            self.clock.advance(0.5)
            seconds -= 0.5

    # -- what always holds -----------------------------------------------------------

    @invariant()
    def everything_holds(self) -> None:
        """
        Each result once, each body the right one.
        """
        self.failed = True
        for _ in range(3):
            self.clock.advance(0)
        self.checkLog()
        for call in self.calls.values():
            self._checkCall(call)
        for server in self.live:
            self._checkProducer(server)
        counts = self.pool.counts()
        assert counts.busy + counts.idle == len(self.network.open), counts
        assert sum(counts[:3]) <= BOUNDS.maxConnections, counts
        if self.network.open and not self.clock.getDelayedCalls():
            # Whoever makes a body, or has paused one, has all the time there is.
            works = self.producing or [c for c in self.reading if c.paused]
            assert works, f"nothing is armed: {self.network.open[0].protocol}"
        self.failed = False

    def _checkCall(self, call: Call) -> None:
        assert len(call.results) <= 1, f"fired twice: {call}"
        assert bool(call.results) != (call.deferred is not None), f"lost: {call}"
        interim = 0 if call.response is None else len(call.response.interimResponses)
        assert interim <= SETTINGS.maxInterimResponses, f"too many before: {call}"
        if call.response is not None and call.bodies[-1]:
            assert call.named == [b"%d" % (call.number,)], f"another's: {call}"
        if call.response is not None and call.server is not None:
            self._checkPace(call, call.server)
        reader = call.reader
        if reader is None:
            return
        assert reader.ends <= 1, f"ended twice: {call}"
        whole = call.bodies[-1]
        assert whole.startswith(reader.data), f"another body: {call}"
        if reader.reason is not None and reader.reason.check(ResponseDone):
            assert reader.data == whole, f"not the whole body: {call}"

    def _checkPace(self, call: Call, server: Server) -> None:
        """
        No more is kept for whoever reads than the settings say, and one segment; who
        wants more has all that was sent.
        """
        if not server.live or server.whose != call.number:
            return
        kept = server.taken - server.overhead
        if call.reads and not call.paused:
            assert not server.delayed, f"not given what was sent: {call}"
        elif not (call.reader and call.reader.ends):
            kept -= len(call.reader.data) if call.reader else 0
            assert kept <= SETTINGS.readAhead + SEGMENT, f"{kept} bytes wait: {call}"

    def _checkProducer(self, server: Server) -> None:
        """
        Who makes the body of a request is paused while the server takes nothing, and
        only then.
        """
        asked = server.asked
        call = self.calls[asked[-1][1]] if asked else None
        if call in self.producing:
            producer: Any = call and call.producer
            told = [e for e in producer.events if e in ("pause", "resume")]
            paused = told[-1:] == ["pause"]
            assert paused == server.producerPaused, f"{producer.events}: {call}"

    # -- the end -----------------------------------------------------------------------

    def teardown(self) -> None:
        """
        Everybody stops, and nothing is left.
        """
        try:
            if not self.failed:
                self._end()
        finally:
            self.release()

    def _end(self) -> None:
        self._stop()
        self._checkAllOver()
        self.calls.clear()
        self.network.servers.clear()
        del self.pool, self.agent
        self.checkNothingLeft()

    def _stop(self) -> None:
        """
        The application does what it has to do; the servers do nothing.
        """
        if self.ending == "close":
            self.pool.close()
            # One that was closing already may wait for its server to take the rest.
            self.time_passes(30)
            assert tuple(self.pool.counts()) == (0, 0, 0, 0), self.pool
        for _ in range(4):
            self._applicationEnds()
            self.time_passes(ALL_WAITS / 2)

    def _applicationEnds(self) -> None:
        for call in self.reading:
            call.paused = False
            reader: Any = call.reader
            reader.resume()
        for call in self.producing:
            producer: Any = call.producer
            producer.done.callback(None)

    def _checkAllOver(self) -> None:
        assert tuple(self.pool.counts()) == (0, 0, 0, 0), self.pool
        for call in self.calls.values():
            self._checkCall(call)
            assert len(call.results) == 1, f"never told: {call}"
            assert not call.reads, f"reads for ever: {call}"
            if call.producer is not None:
                assert call.producer.events.count("stop") <= 1, call.producer.events


class SlowClientMachine(ClientMachine):
    """
    The same without the fast path.
    """

    fastPath = False
