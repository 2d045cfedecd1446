"""
What one turn of the reactor writes to a connection leaves in one call of the kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer, IPushProducer
from twisted.web import server
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.support.optional import need
from tests.support.sends import CountedSocket, count_sends
from tests.support.server_cases import FAST_PATH, Calls, Holding, get
from tests.support.socket_cases import Peer, TCPBackend, TLSBackend, UNIXBackend
from tests.support.times import eventually
from twisted_h11.server import Limits, Site
from twisted_h11.wsgi import WSGIResource

net: Any = reactor

PIECES = [b"piece %d\n" % i for i in range(20)]
ALL = b"".join(PIECES)

# Enough for the outbox to find out that there is one busy peer.
REQUESTS = 12


def _in_pieces(request: Any) -> None:
    for piece in PIECES:
        request.write(piece)


def _later(request: Any, write: Callable[[Any], object]) -> Any:
    """
    Answer in another turn.
    """

    def answer() -> None:
        write(request)
        request.finish()

    net.callLater(0, answer)
    return NOT_DONE_YET


def at_once(request: Any) -> Any:
    """
    All of it is returned.
    """
    return ALL


def at_once_in_pieces(request: Any) -> Any:
    """
    All of it is written before C{render} returns.
    """
    _in_pieces(request)
    request.finish()
    return NOT_DONE_YET


def later(request: Any) -> Any:
    """
    C{write} and C{finish} in a later turn.
    """
    return _later(request, lambda request: request.write(ALL))


def later_with_length(request: Any) -> Any:
    """
    The same with a C{Content-Length}.
    """
    request.setHeader(b"Content-Length", b"%d" % len(ALL))
    return later(request)


def later_in_pieces(request: Any) -> Any:
    """
    Many pieces in a later turn.
    """
    return _later(request, _in_pieces)


def head_first(request: Any) -> Any:
    """
    Some at once, and the rest by others in the same turn.
    """
    request.write(PIECES[0])
    fired: Deferred[None] = Deferred()

    def rest(_: None) -> None:
        for piece in PIECES[1:]:
            request.write(piece)
        request.finish()

    fired.addCallback(rest)
    fired.callback(None)
    return NOT_DONE_YET


def from_thread(request: Any) -> Any:
    """
    A thread has the reactor write.
    """

    def answer() -> None:
        _in_pieces(request)
        request.finish()

    net.callInThread(net.callFromThread, answer)
    return NOT_DONE_YET


@implementer(IPushProducer, IPullProducer)
class _Producer:
    """
    Writes all that it has when it is asked.
    """

    def __init__(self, request: Any) -> None:
        self._request = request

    def resumeProducing(self) -> None:
        """
        Do so.
        """
        _in_pieces(self._request)
        self._request.unregisterProducer()
        self._request.finish()

    def pauseProducing(self) -> None:
        """
        There is too little for that.
        """
        raise AssertionError("paused for 200 bytes")

    def stopProducing(self) -> None:
        """
        The end.
        """


def pushed(request: Any) -> Any:
    """
    By a push producer.
    """
    producer = _Producer(request)
    request.registerProducer(producer, True)
    net.callLater(0, producer.resumeProducing)
    return NOT_DONE_YET


def pulled(request: Any) -> Any:
    """
    By a pull producer.
    """
    request.registerProducer(_Producer(request), False)
    return NOT_DONE_YET


def behind_raw(request: Any) -> Any:
    """
    A head by the request, and raw bytes by the transport, which come behind it.
    """
    transport = request.channel.transport

    def answer(request: Any) -> None:
        request.write(PIECES[0])
        transport.write(PIECES[1])
        request.write(PIECES[2])
        transport.writeSequence(PIECES[3:5])
        request.write(b"".join(PIECES[5:]))

    return _later(request, answer)


async def in_coroutine(request: Any) -> bytes:
    """
    A coroutine that writes, waits, and returns the rest.
    """
    await _turn()
    for piece in PIECES[:-1]:
        request.write(piece)
    return PIECES[-1]


WAYS: tuple[Callable[[Any], Any], ...] = (
    at_once,
    at_once_in_pieces,
    later,
    later_with_length,
    later_in_pieces,
    head_first,
    from_thread,
    pushed,
    pulled,
)


class Foreign(server.Request):
    """
    A framework's own request.
    """


def klein_root() -> Any:
    """
    A coroutine of klein's.
    """
    app = need("klein").Klein()

    async def root(request: Any) -> bytes:
        await _turn()
        return ALL

    app.route("/")(root)
    return app.resource()


def _turn() -> Deferred[None]:
    fired: Deferred[None] = Deferred()
    net.callLater(0, fired.callback, None)
    return fired


def flask_root() -> Any:
    """
    Flask by WSGI.
    """
    app = need("flask").Flask("one send")
    app.add_url_rule("/", "root", lambda: ALL)
    return WSGIResource(net, net.getThreadPool(), app.wsgi_app)


class OneSend:
    """
    The cases, over one kind of transport.
    """

    open: Any
    connect: Any
    listen: Any
    turns: Any
    assertEqual: Any
    assertTrue: Any

    isPlain = True

    def calls(self, socket: CountedSocket) -> list[bytes]:
        """
        What was sent, call by call.
        """
        return [b"".join(map(bytes, pieces))[:n] for pieces, n in socket.sent]

    async def ask(self, root: Any, **options: Any) -> None:
        """
        Each of many responses on one connection leaves in one call.
        """
        await self.many(Site(root, limits=Limits(), fastPath=FAST_PATH, **options))

    async def many(self, site: Any) -> None:
        """
        Each response of a site to many requests on one connection leaves in one call.
        """
        sockets = count_sends(site)
        peer = await self.open(site)
        for number in range(REQUESTS):
            peer.received = b""
            peer.send(get())
            (response,) = await peer.responses(1)
            self.assertEqual((200, ALL), (response.status, response.body))
            # With the first goes what TLS has to say of itself.
            if number or self.isPlain:
                self.assertEqual(1, len(self.calls(sockets[0])), (site, number))
            sockets[0].sent.clear()
        peer.close()
        await peer.gone()

    async def test_ours(self) -> None:
        """
        Whatever our own request is answered by.
        """
        for way in (*WAYS, in_coroutine):
            await self.ask(Calls(way))

    async def test_foreign(self) -> None:
        """
        Whatever a request of twisted.web's is answered by.
        """
        for way in WAYS:
            await self.ask(Calls(way), requestFactory=Foreign)

    async def test_klein(self) -> None:
        """
        A coroutine of klein's.
        """
        await self.ask(klein_root())

    async def test_flask(self) -> None:
        """
        Flask, in a thread.
        """
        await self.ask(flask_root())

    async def test_restOfTurn(self) -> None:
        """
        What somebody else adds to a response behind the call that has begun it, in the
        same turn, goes with it; also where there is but one busy peer.
        """
        requests: list[Any] = []

        def render(request: Any) -> Any:
            request.write(PIECES[0])
            requests.append(request)
            return NOT_DONE_YET

        site = Site(Calls(render), limits=Limits(), fastPath=FAST_PATH)
        build: Any = site.buildProtocol

        def buildProtocol(address: Any) -> Any:
            channel = build(address)
            received = channel.dataReceived

            def dataReceived(data: bytes) -> None:
                received(data)
                while requests:
                    request = requests.pop()
                    request.write(b"".join(PIECES[1:]))
                    request.finish()

            channel.dataReceived = dataReceived
            return channel

        cast(Any, site).buildProtocol = buildProtocol
        await self.many(site)

    async def test_pipelined(self) -> None:
        """
        Several requests that came together, ours and foreign ones.
        """
        both: tuple[Any, ...] = ({}, {"requestFactory": Foreign})
        for options in both:
            site = Site(Calls(at_once), limits=Limits(), fastPath=FAST_PATH, **options)
            sockets = count_sends(site)
            peer = await self.open(site)
            peer.send(get())
            await peer.responses(1)
            sockets[0].sent.clear()
            peer.send(get() * 5)
            self.assertEqual(6, len(await peer.responses(6)))
            self.assertEqual(1, len(sockets[0].sent), options)

    async def test_behindWhatWaits(self) -> None:
        """
        Who writes to the transport writes behind what the request has written.
        """
        for options in ({}, {"requestFactory": Foreign}):
            await self.behind(Calls(behind_raw), options)

    async def behind(self, root: Any, options: Any) -> None:
        """
        Ask once.
        """
        site = Site(root, limits=Limits(), fastPath=FAST_PATH, **options)
        peer = await self.open(site)
        # Its end is the end of the connection.
        peer.send(get(version=b"1.0"))
        (response,) = await peer.responses(1)
        self.assertEqual(ALL, response.body)

    async def held(self) -> tuple[Site, Peer, Any, Any]:
        """
        A site that has got a request and not answered it, the client, the socket of the
        site, and the request.
        """
        holding = Holding()
        site = Site(holding, limits=Limits(), fastPath=FAST_PATH)
        sockets = count_sends(site)
        peer = await self.open(site)
        peer.send(get())
        await eventually(lambda: bool(holding.requests))
        return site, peer, sockets[0], holding.requests[0]

    async def test_eachTurn(self) -> None:
        """
        Events leave in the turn in which they were written, each in one call: no time
        is waited for.
        """
        _, peer, socket, request = await self.held()
        for number in range(10):
            await self.turns(2)
            socket.sent.clear()
            request.write(b"data: %d\n" % number)
            request.write(b"\n")
            self.assertEqual([], socket.sent)
            # Its end, and the transport's own turn, where TLS is.
            await self.turns(2)
            self.assertEqual(1, len(socket.sent))
        request.finish()
        (response,) = await peer.responses(1)
        self.assertEqual(
            b"".join(b"data: %d\n\n" % i for i in range(10)), response.body
        )

    async def test_onePeer(self) -> None:
        """
        Where there is one busy peer, the end of a later response leaves at once; at
        first, when that is not known, with the turn.
        """
        if not self.isPlain:
            return
        holding = Holding()
        site = Site(holding, limits=Limits(), fastPath=FAST_PATH)
        sockets = count_sends(site)
        peer = await self.open(site)
        counts = []
        for _ in range(REQUESTS):
            peer.received = b""
            peer.send(get())
            await eventually(lambda: bool(holding.requests))
            sockets[0].sent.clear()
            request = holding.requests.pop()
            request.write(ALL)
            request.finish()
            counts.append(len(sockets[0].sent))
            await peer.responses(1)
        self.assertEqual((0, 1), (counts[0], counts[-1]))

    async def test_everybody(self) -> None:
        """
        One event for each of many connections, in several pieces, is one call for
        each of them.
        """
        requests: list[Any] = []

        def render(request: Any) -> Any:
            requests.append(request)
            request.write(b"begin\n")
            return NOT_DONE_YET

        site = Site(Calls(render), limits=Limits(), fastPath=FAST_PATH)
        sockets = count_sends(site)
        port = await self.listen(site)
        peers = [await self.connect(port) for _ in range(70)]
        for peer in peers:
            peer.send(get())
        await eventually(lambda: len(requests) == 70)
        for peer in peers:
            await peer.until(lambda peer=peer: b"begin" in peer.received)
        for socket in sockets:
            socket.sent.clear()
        for piece in PIECES:
            for request in requests:
                request.write(piece)
        for request in requests:
            request.finish()
        for peer in peers:
            (response,) = await peer.responses(1)
            self.assertEqual(b"begin\n" + ALL, response.body)
        self.assertEqual([1] * 70, [len(socket.sent) for socket in sockets])

    async def test_last(self) -> None:
        """
        The last response of a connection, too: head and content in one segment, also
        while the site is stopping.
        """
        site, peer, socket, request = await self.held()
        await self.turns(2)
        socket.sent.clear()
        drained = site.drain(5)
        _in_pieces(request)
        request.finish()
        (response,) = await peer.responses(1)
        self.assertEqual(ALL, response.body)
        self.assertTrue(response.closes)
        self.assertEqual(ALL[-5:] in self.calls(socket)[0], self.isPlain)
        peer.close()
        await drained


class TCPTests(OneSend, TCPBackend):
    """
    Over TCP.
    """

    async def test_notCopied(self) -> None:
        """
        A long body is given to the kernel as it is.
        """
        body = bytes(1024 * 1024)

        def pieces() -> Iterator[Callable[[Any], Any]]:
            yield lambda request: body
            yield lambda request: _later(request, write)

        def write(request: Any) -> None:
            request.setHeader(b"Content-Length", b"%d" % len(body))
            request.write(body)

        for render in pieces():
            site = Site(Calls(render), limits=Limits(), fastPath=FAST_PATH)
            sockets = count_sends(site)
            peer = await self.open(site)
            peer.send(get())
            (response,) = await peer.responses(1)
            self.assertEqual(len(body), len(response.body))
            given = sockets[0].sent[0][0]
            self.assertTrue(any(piece is body for piece in given))


class UNIXTests(OneSend, UNIXBackend):
    """
    Over UNIX sockets.
    """


class TLSTests(OneSend, TLSBackend):
    """
    Over TLS: each response is one record in one call.
    """

    isPlain = False

    def calls(self, socket: CountedSocket) -> list[bytes]:
        """
        The records.
        """
        data = b"".join(super().calls(socket))
        records: list[bytes] = []
        while data:
            end = 5 + int.from_bytes(data[3:5], "big")
            records.append(data[:end])
            data = data[end:]
        self.assertEqual(1, len(socket.sent))
        return records
