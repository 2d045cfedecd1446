"""
C{request.drained()}: a coroutine at the pace of its client.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.web import server

from tests.support.server_cases import GET, Holding, ServerTestCase
from tests.support.wire import Wire
from twisted_h11._wire.drained import Gate

PIECE = b"x" * 50_000


class DrainedTests(ServerTestCase):
    """
    On our own connections.
    """

    def begin(self, **options: Any) -> tuple[Any, Wire]:
        """
        A request that waits for its response.
        """
        self.holding = Holding()
        self.addCleanup(self.holding.lost.clear)
        wire = self.talk(self.holding, GET, **options)
        return self.holding.requests.pop(), wire

    def test_atOnce(self) -> None:
        """
        It fires at once while there is room, also before and after the response.
        """
        request, _wire = self.begin()
        for _ in range(3):
            self.assertIsNone(self.successResultOf(request.drained()))
            request.write(PIECE)
        request.finish()
        self.assertIsNone(self.successResultOf(request.drained()))

    def test_waits(self) -> None:
        """
        It waits while the client does not read; those that wait go on one after
        the other, each only if there is still room.
        """
        request, wire = self.begin()
        wire.stall()
        request.write(PIECE * 2)
        order: list[int] = []

        def go(_: object, number: int) -> None:
            order.append(number)
            wire.stall()
            request.write(PIECE * 2)

        waiting = [request.drained().addCallback(go, n) for n in range(3)]
        self.assertEqual([], order)
        for number in range(3):
            wire.drain()
            self.assertEqual(list(range(number + 1)), order)
        for deferred in waiting:
            self.successResultOf(deferred)
        wire.drain()
        request.finish()
        self.assertEqual(8 * len(PIECE), len(wire.only().body))

    def test_coroutine(self) -> None:
        """
        A coroutine that waits never has more than a piece too much unsent.
        """

        async def render(request: Any) -> None:
            for _ in range(100):
                request.write(PIECE)
                await request.drained()

        wire = self.connect(
            self.site(
                lambda request: Deferred.fromCoroutine(render(request)),
                limits={"writeBufferLength": 200_000},
            )
        )
        wire.stall().send(GET)
        for _ in range(200):
            self.assertLess(len(wire.transport.backlog), 200_000)
            wire.drain()
            wire.stall()
        wire.drain()
        self.assertEqual(100 * len(PIECE), len(wire.only().body))

    def test_gone(self) -> None:
        """
        It fails when the client goes, after the request was told; and at once when
        it has gone.
        """
        request, wire = self.begin()
        wire.stall()
        request.write(PIECE * 2)
        told: list[str] = []
        request.notifyFinish().addErrback(lambda _: told.append("finish"))
        waiting = request.drained()

        def failed(reason: Any) -> Any:
            told.append("drained")
            return reason

        waiting.addErrback(failed)
        wire.vanish()
        self.assertEqual(["finish", "drained"], told)
        self.failureResultOf(waiting, ConnectionLost)
        self.failureResultOf(request.drained(), ConnectionLost)
        del request, waiting

    def test_goneInACoroutine(self) -> None:
        """
        A coroutine that waits is cancelled, and nothing is logged.
        """
        ended: list[str] = []

        async def render(request: Any) -> None:
            try:
                while True:
                    request.write(PIECE)
                    await request.drained()
            except CancelledError:
                ended.append("cancelled")
                raise

        wire = self.connect(
            self.site(lambda request: Deferred.fromCoroutine(render(request)))
        )
        wire.stall().send(GET)
        wire.vanish()
        self.assertEqual(["cancelled"], ended)
        self.assertEqual([], [e for e in self.events if "log_failure" in e])

    def test_cancelled(self) -> None:
        """
        Who has been cancelled is not called, and keeps nobody waiting.
        """
        request, wire = self.begin()
        wire.stall()
        request.write(PIECE * 2)
        first, second = request.drained(), request.drained()
        first.cancel()
        self.failureResultOf(first, CancelledError)
        wire.drain()
        self.successResultOf(second)
        request.finish()

    def test_file(self) -> None:
        """
        It waits for a file that was to be sent before.
        """
        request, wire = self.begin()
        path = self.mktemp()
        with open(path, "wb") as made:
            made.write(b"f" * 500_000)
        with open(path, "rb") as file:
            wire.stall()
            request.sendFile(file)
            waiting = request.drained()
            self.assertNoResult(waiting)
            wire.drain()
            self.successResultOf(waiting)
        request.finish()
        self.assertEqual(500_000, len(wire.only().body))

    def test_fileCut(self) -> None:
        """
        A coroutine that waits for a file whose client goes is no error.
        """
        path = self.mktemp()
        with open(path, "wb") as made:
            made.write(b"f" * 500_000)

        async def render(request: Any) -> None:
            with open(path, "rb") as file:
                await request.sendFile(file)

        wire = self.connect(
            self.site(lambda request: Deferred.fromCoroutine(render(request)))
        )
        wire.stall().send(GET)
        wire.vanish()
        self.assertEqual([], [e for e in self.events if "log_failure" in e])

    def test_channel(self) -> None:
        """
        A request that is not ours can ask its channel.
        """

        class Foreign(server.Request):
            pass

        request, wire = self.begin(requestFactory=Foreign)
        wire.stall()
        request.write(PIECE * 2)
        waiting = request.channel.drained()
        self.assertNoResult(waiting)
        wire.drain()
        self.successResultOf(waiting)
        request.finish()


class GateTests(ServerTestCase):
    """
    On connections that are not ours, as the streams of HTTP/2.
    """

    def test_gate(self) -> None:
        """
        It knows as a producer what the consumer takes.
        """
        gate = Gate()
        self.successResultOf(gate.drained())
        gate.pauseProducing()
        first, second = gate.drained(), gate.drained()
        first.addCallback(lambda _: gate.pauseProducing())
        gate.resumeProducing()
        self.successResultOf(first)
        self.assertNoResult(second)
        gate.stopProducing()
        self.failureResultOf(second, ConnectionLost)
        self.failureResultOf(gate.drained(), ConnectionLost)

    def test_foreignChannel(self) -> None:
        """
        On twisted.web's own channel it is registered once, and gone at the end.
        """
        from twisted.internet.testing import StringTransport
        from twisted.web.resource import Resource

        from twisted_h11.server import Request

        class Held(Resource):
            isLeaf = True
            requests: list[Any] = []  # noqa: RUF012

            def render(self, request: Any) -> Any:
                self.requests.append(request)
                return server.NOT_DONE_YET

        held = Held()
        site: Any = server.Site(held, reactor=self.clock, requestFactory=Request)
        channel = site.buildProtocol(None)
        transport: Any = StringTransport()
        channel.makeConnection(transport)
        channel.dataReceived(GET)
        request = held.requests.pop()
        self.successResultOf(request.drained())
        transport.producer.pauseProducing()
        waiting = request.drained()
        self.assertNoResult(waiting)
        transport.producer.resumeProducing()
        self.successResultOf(waiting)
        request.write(b"x")
        request.finish()
        self.assertIn(b"200 OK", transport.value())
        channel.connectionLost(None)
        for call in self.clock.getDelayedCalls():
            call.cancel()
