"""
What the peer of a server sends, and how what came back is judged.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.machines.application import Job
from tests.support.responses import WireResponse, read_response
from tests.support.wire import Wire

__all__ = ["Asked", "Conversation"]

# How much comes in one segment.
SEGMENT = 1024


@dataclass
class Asked:
    """
    One request that the peer has begun to send.

    @ivar number: its place among all of the machine.
    @ivar kind: which resource it is for; C{malformed} for one that is to be refused.
    @ivar body: what it carries.
    @ivar headEnd: where its head ends in what the peer sends, when that is known.
    @ivar refusedUnread: whether it was answered before the end of its head was sent.
    @ivar end: where it ends.
    """

    number: int
    kind: str
    body: bytes
    method: bytes = b"GET"
    version: bytes = b"1.1"
    chunked: bool = False
    expects: bool = False
    closes: bool = False
    headEnd: int = 0
    refusedUnread: bool = False
    end: int = 0

    def encoded(self) -> bytes:
        """
        The bytes of it.
        """
        if self.kind == "malformed":
            return b"GET /%d HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n" % (self.number,)
        lines = [
            b"%b /%b/%d HTTP/%b"
            % (self.method, self.kind.encode(), self.number, self.version),
            b"Host: example.com",
        ]
        if self.kind == "upgrade":
            lines += [b"Connection: upgrade", b"Upgrade: echo"]
        elif self.closes:
            lines.append(b"Connection: close")
        if self.expects:
            lines.append(b"Expect: 100-continue")
        content = self.body
        if self.chunked:
            lines.append(b"Transfer-Encoding: chunked")
            content = b"".join(
                b"%x;n=v\r\n%b\r\n" % (len(piece), piece)
                for piece in (content[i : i + 300] for i in range(0, len(content), 300))
            )
            content += b"0\r\n\r\n"
        elif self.method == b"POST":
            lines.append(b"Content-Length: %d" % (len(self.body),))
        return b"\r\n".join(lines) + b"\r\n\r\n" + content


class Conversation:
    """
    One connection: what was asked on it, and what has come back.

    @ivar asked: the requests, in the order in which they are sent.
    @ivar tail: what is made and not sent.
    @ivar sent: how many bytes were sent.
    @ivar ended: whether the peer will send nothing more.
    @ivar vanished: whether it has gone without a word.
    @ivar sips: whether it has read bytes one by one.
    @ivar switched: whether another protocol has the connection.
    @ivar headSince: the place of the request for the rest of whose head the server can
        only wait, and since when; C{None} while it does not, or may do something else.
    """

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.headSince: tuple[int, float] | None = None
        self.asked: list[Asked] = []
        self.tail = b""
        self.sent = 0
        self.ended = False
        self.vanished = False
        self.sips = False
        self.switched = False

    @property
    def isCut(self) -> bool:
        """
        Whether what came back may end anywhere.
        """
        return self.sips and (self.wire.closed or bool(self.wire.transport.backlog))

    @property
    def canSend(self) -> bool:
        """
        Whether the peer may send anything.
        """
        return not (self.ended or self.wire.closed)

    def ask(self, asked: Asked, length: int) -> None:
        """
        Make a request, and send so much of it; if any, then all that is before it.
        """
        data = asked.encoded()
        before = len(self.tail)
        asked.headEnd = self.sent + before + data.find(b"\r\n\r\n") + 4
        asked.end = self.sent + before + len(data)
        self.asked.append(asked)
        self.tail += data
        if length:
            self.send(before + min(length, len(data)))

    def send(self, length: int) -> None:
        """
        Send some of the tail, in segments.
        """
        answered = len(self.responses())
        for asked in self.asked[:answered]:
            asked.refusedUnread = asked.refusedUnread or self.sent < asked.headEnd
        data, self.tail = self.tail[:length], self.tail[length:]
        self.sent += len(data)
        self.wire.send(*(data[i : i + SEGMENT] for i in range(0, len(data), SEGMENT)))

    def isHeadLate(self, jobs: dict[int, Job], now: float, most: float) -> bool:
        """
        Whether the server has waited for the rest of a head for more than C{most}
        seconds, and has not refused it.  To be called whenever something has happened.
        """
        place = self._partialHead(jobs)
        if place is None:
            self.headSince = None
            return False
        if self.headSince is None or self.headSince[0] != place:
            self.headSince = place, now
        if now - self.headSince[1] <= most:
            return False
        responses = self.responses()
        return len(responses) <= place or responses[place].status not in (400, 408)

    def _partialHead(self, jobs: dict[int, Job]) -> int | None:
        """
        The place of the request of which some of the head was sent, if the server has
        nothing else to do than to wait for the rest.
        """
        wire, before = self.wire, 0
        if not self.canSend or wire.transport.stalled or wire.transport.backlog:
            return None
        for place, asked in enumerate(self.asked):
            if self.sent < asked.headEnd:
                return place if self.sent > before else None
            job = jobs.get(asked.number)
            if job is None or job.told != ["done"] or job.switched or job.cut:
                return None
            before = asked.end
        return None

    def responses(self) -> list[WireResponse]:
        """
        What came back, in order.
        """
        data, at = self.wire.output, 0
        found: list[WireResponse] = []
        while at < len(data):
            asked = self.asked[len(found)] if len(found) < len(self.asked) else None
            method = b"GET" if asked is None else asked.method
            if asked is not None and (asked.refusedUnread or self.sent < asked.headEnd):
                # The method may be known or not: that was a refusal.
                if not data.endswith(b"\r\n\r\n"):
                    method = b"GET"
            response, at = read_response(data, method, self.wire.closed, at)
            if response is None:
                # A head leaves in one piece, so it comes in one; there may be
                # interim responses only.
                assert at == len(data) or self.isCut, (
                    f"left over: {data[at : at + 200]!r}"
                )
                break
            found.append(response)
            if response.status == 101:
                break
        return found

    def check(self, jobs: dict[int, Job]) -> None:
        """
        The responses are in order, each belongs to its request, and each is
        complete or can be seen not to be.
        """
        responses = self.responses()
        assert len(responses) <= len(self.asked), "more answers than requests"
        for place, response in enumerate(responses):
            asked, last = self.asked[place], place == len(responses) - 1
            job = jobs.get(asked.number)
            number = response.get(b"x-number")
            if number is None:
                self._checkOurs(asked, job, response)
            else:
                assert int(number) == asked.number, f"{asked} got {number!r}"
                assert job is not None
                self._checkTheirs(job, asked, response, last)
            assert response.complete or last, "an answer behind one that was cut"
            if response.closes:
                assert last, "an answer behind the last one"
        self._checkProgress(jobs, responses)

    def _checkOurs(self, asked: Asked, job: Job | None, response: WireResponse) -> None:
        """
        A response that the server has made itself.
        """
        assert response.complete
        if response.status == 500:
            assert job is not None and job.raised, f"500 for {asked}"
            return
        assert response.status in (400, 408, 413), response.status
        assert response.closes, "a refusal has to close"

    def _checkTheirs(
        self, job: Job, asked: Asked, response: WireResponse, last: bool
    ) -> None:
        """
        A response of the application.
        """
        if job.switched:
            assert response.status == 101
            return
        wrote = b"" if asked.method == b"HEAD" else job.content
        assert wrote.startswith(response.body), "not what the application wrote"
        if job.isLong and asked.method != b"HEAD":
            assert last, f"an answer behind one that was too long: {job}"
        if response.framing == "close":
            if self.wire.closed and not self.vanished and not self.wire.aborted:
                assert job.finished and response.body == wrote, "cut, and not to see"
        elif response.complete and asked.method != b"HEAD":
            if response.framing == "chunked" or not job.cut:
                assert job.finished or response.framing == "length"
            assert response.body == wrote, "complete, and not all of it"

    def _checkProgress(
        self, jobs: dict[int, Job], responses: list[WireResponse]
    ) -> None:
        """
        A peer that reads has everything that was written for it.
        """
        wire = self.wire
        if wire.closed or wire.transport.stalled or wire.transport.disconnecting:
            return
        assert not wire.transport.backlog
        for place, asked in enumerate(self.asked):
            job = jobs.get(asked.number)
            if job is not None and job.taker is not None and not job.taker.paused:
                assert self.sent < asked.end, f"the body is not delivered: {job}"
            if job is None or job.gone or not (job.wrote or job.finished):
                continue
            assert place < len(responses), f"{asked} has no answer: {job}"
            response = responses[place]
            if asked.method != b"HEAD" and not job.switched and not job.raised:
                assert response.body == job.content, f"{asked} waits: {job}"
                if job.finished and response.framing != "close":
                    assert response.complete != job.isShort, f"{asked}: {job}"
                    kept = wire.channel.wire.isOpen
                    assert not (job.isShort and kept), f"goes on after {job}"
