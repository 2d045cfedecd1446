"""
C{switchProtocol}: Upgrade and CONNECT.
"""

from __future__ import annotations

from typing import Any

import h11
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from tests.support.server_cases import Calls, ServerTestCase, get, post
from twisted_h11.interfaces import IStreamingResource

UPGRADE = get(b"/", b"Connection: Upgrade", b"Upgrade: echo/1")
CONNECT = get(b"example.org:443", method=b"CONNECT", host=b"example.org:443")


class EchoProtocol(Protocol):
    """
    Says everything back, in capitals.
    """

    transport: Any

    def __init__(self) -> None:
        self.lost: list[str] = []
        self.made = 0

    def connectionMade(self) -> None:
        """
        Count.
        """
        self.made += 1

    def dataReceived(self, data: bytes) -> None:
        """
        Answer.
        """
        self.transport.write(data.upper())

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """
        Note.
        """
        self.lost.append(reason.value.__class__.__name__)


class Switching(Resource):
    """
    Accepts every Upgrade to C{echo/1} and every CONNECT.
    """

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.protocols: list[EchoProtocol] = []
        self.finished: list[Any] = []

    def render(self, request: Any) -> Any:
        """
        Switch.
        """
        request.notifyFinish().addBoth(self.finished.append)
        self.protocols.append(EchoProtocol())
        if request.method != b"CONNECT":
            request.setHeader(b"Upgrade", b"echo/1")
        request.switchProtocol(self.protocols[-1])
        return NOT_DONE_YET


class UpgradeTests(ServerTestCase):
    """
    RFC 9110 section 7.8.
    """

    def test_switches(self) -> None:
        """
        101 goes out with the two fields, then the protocol has the connection.
        """
        for fast in (True, False):
            resource = Switching()
            wire = self.talk(resource, UPGRADE, fastPath=fast)
            response = wire.only()
            self.assertEqual(101, response.status)
            self.assertEqual(b"echo/1", response.get(b"upgrade"))
            self.assertEqual([b"Upgrade"], response.all(b"connection"))
            self.assertEqual([None], resource.finished)
            start = len(wire.output)
            wire.send(b"hel", b"lo")
            self.assertEqual(b"HELLO", wire.output[start:])
            self.assertEqual(1, resource.protocols[0].made)
            wire.vanish()
            self.assertEqual(["ConnectionLost"], resource.protocols[0].lost)

    def test_togetherWithTheHead(self) -> None:
        """
        What came with the handshake is delivered, after the response.
        """
        resource = Switching()
        wire = self.talk(resource, UPGRADE + b"hello")
        self.assertTrue(wire.output.endswith(b"\r\n\r\nHELLO"), wire.output)
        resource = Switching()
        wire = self.talk(resource, get(b"/first") * 0 + UPGRADE[:-2], b"\r\nhel", b"lo")
        self.assertTrue(wire.output.endswith(b"\r\n\r\nHELLO"), wire.output)

    def test_afterOtherRequests(self) -> None:
        """
        A connection may be upgraded after it has been used.
        """
        resource = Switching()
        root = Resource()
        root.putChild(b"up", resource)
        wire = self.talk(root, get(b"/a") + UPGRADE.replace(b" / ", b" /up ") + b"x")
        self.assertEqual(404, wire.responses[0].status)
        self.assertTrue(wire.output.endswith(b"\r\n\r\nX"), wire.output)

    def test_withABody(self) -> None:
        """
        The request may have a body; what follows it is the new protocol's.
        """
        resource = Switching()
        fields = (b"Connection: Upgrade", b"Upgrade: echo/1")
        wire = self.talk(resource, post(b"body", *fields) + b"hello")
        self.assertEqual(101, wire.only().status)
        self.assertTrue(wire.output.endswith(b"\r\n\r\nHELLO"), wire.output)

    def test_silentAfterwards(self) -> None:
        """
        No time-out of ours ends the connection, and the site forgets it.
        """
        resource = Switching()
        site = self.site(resource)
        wire = self.connect(site).send(UPGRADE)
        wire.advance(1000, 10)
        self.assertFalse(wire.closed)
        wire.send(b"hello")
        self.assertTrue(wire.output.endswith(b"HELLO"))
        drained = site.drain(1)
        self.successResultOf(drained)
        self.assertEqual([], self.flushLoggedErrors())

    def test_halfClose(self) -> None:
        """
        The end of what the client sends closes a protocol that knows of no
        half-close.
        """
        resource = Switching()
        wire = self.talk(resource, UPGRADE, b"hello").halfClose()
        self.assertTrue(wire.output.endswith(b"HELLO"))
        self.assertTrue(wire.closed)
        self.assertEqual(["ConnectionDone"], resource.protocols[0].lost)

    def test_closedByTheProtocol(self) -> None:
        """
        The protocol closes its transport itself.
        """
        resource = Switching()
        wire = self.talk(resource, UPGRADE)
        resource.protocols[0].transport.loseConnection()
        wire.pump()
        self.assertTrue(wire.closed)
        self.assertEqual(["ConnectionDone"], resource.protocols[0].lost)

    def test_backPressure(self) -> None:
        """
        The protocol may register with the transport: nobody else has.
        """
        resource = Switching()
        wire = self.talk(resource, UPGRADE)
        self.assertIsNone(wire.transport.producer)
        self.assertFalse(wire.transport.paused)

    def test_logged(self) -> None:
        """
        The access log has the request with its status.
        """
        site = self.site(Switching(), start=True)
        self.connect(site).send(UPGRADE)
        self.assertIn('"GET / HTTP/1.1" 101 ', site.access.getvalue())

    def test_later(self) -> None:
        """
        It may be decided later; what came in between waits, unread.
        """
        requests: list[Any] = []

        def render(request: Any) -> Any:
            requests.append(request)
            return NOT_DONE_YET

        wire = self.talk(render, UPGRADE)
        wire.send(*[b"x" * 10_000] * 5)
        self.assertTrue(wire.transport.paused)
        requests[0].setHeader(b"Upgrade", b"echo/1")
        requests.pop().switchProtocol(EchoProtocol())
        wire.pump()
        self.assertEqual(b"X" * 50_000, wire.output.partition(b"\r\n\r\n")[2])

    def test_webSocketLater(self) -> None:
        """
        A resource of twisted.web's for WebSockets may give its connection away in a
        later turn; what has come before that is for the new protocol.
        """
        requests: list[Any] = []
        protocol = EchoProtocol()
        wire = self.talk(requests.append, UPGRADE, b"early ")
        channel = requests.pop().channel
        transport = channel.transport
        channel._protocolUpgradeForWebsockets(protocol)
        del channel
        transport.write(b"HTTP/1.1 101 Switching Protocols\r\n\r\n")
        wire.pump()
        wire.send(b"late")
        self.assertTrue(wire.output.endswith(b"\r\n\r\nEARLY LATE"), wire.output)


class RefusedSwitchTests(ServerTestCase):
    """
    When there is nothing to switch to.
    """

    def answers(self, request: bytes, kind: type[Exception], **setup: Any) -> Any:
        """
        C{switchProtocol} raises C{kind}, and the response goes on.
        """
        problems: list[str] = []

        def render(request: Any) -> bytes:
            if setup.get("field", True):
                request.setHeader(b"Upgrade", b"echo/1")
            if setup.get("write"):
                request.write(b"begun")
            protocol = EchoProtocol()
            problems.append(self.raised(kind, request.switchProtocol, protocol))
            request.responseHeaders.removeHeader(b"Upgrade")
            return b"plain"

        wire = self.talk(render, request)
        self.assertEqual(1, len(problems))
        return wire

    def test_notAskedFor(self) -> None:
        """
        A client that did not ask is not switched; it is answered normally.
        """
        wire = self.answers(get(), ValueError)
        self.assertEqual(b"plain", wire.only().body)

    def test_inHTTP10(self) -> None:
        """
        Upgrade in HTTP/1.0 is ignored (RFC 9110 section 7.8).
        """
        request = UPGRADE.replace(b"HTTP/1.1", b"HTTP/1.0")
        self.assertEqual(b"plain", self.answers(request, ValueError).only().body)

    def test_withoutTheField(self) -> None:
        """
        The protocol that was chosen must be named.
        """
        wire = self.answers(UPGRADE, ValueError, field=False)
        self.assertEqual(b"plain", wire.only().body)

    def test_tooLate(self) -> None:
        """
        It is too late after the response has begun.
        """
        wire = self.answers(UPGRADE, RuntimeError, write=True)
        self.assertEqual((200, b"begunplain"), (wire.only().status, wire.only().body))

    def test_tooLateWithoutConnection(self) -> None:
        """
        And when the client has gone.
        """
        requests: list[Any] = []

        def render(request: Any) -> Any:
            requests.append(request)
            return NOT_DONE_YET

        self.talk(render, UPGRADE).vanish()
        requests[0].setHeader(b"Upgrade", b"echo/1")
        self.raised(RuntimeError, requests.pop().switchProtocol, EchoProtocol())

    def test_tooEarly(self) -> None:
        """
        It is too early before the body of the request is here; a response that goes
        out then is not touched by it.
        """
        problems: list[str] = []

        @implementer(IStreamingResource)
        class Early(Calls):
            pass

        def render(request: Any) -> bytes:
            request.setHeader(b"Upgrade", b"echo/1")
            switch = request.switchProtocol
            problems.append(self.raised(RuntimeError, switch, EchoProtocol()))
            return b"plain"

        fields = (b"Connection: Upgrade", b"Upgrade: echo/1", b"Content-Length: 5")
        wire = self.talk(Early(render), get(b"/", *fields, method=b"POST"))
        self.assertEqual((200, b"plain"), (wire.only().status, wire.only().body))
        self.assertIn("too early", problems[0])

    def test_closing(self) -> None:
        """
        A connection that is about to close is not given away, neither by the request
        nor by its channel.
        """
        protocol = EchoProtocol()

        def render(request: Any) -> Any:
            request.setHeader(b"Upgrade", b"echo/1")
            request.channel.loseConnection()
            self.raised(RuntimeError, request.switchProtocol, protocol)
            self.raised(
                h11.LocalProtocolError, request.channel.switchProtocol, protocol
            )
            return NOT_DONE_YET

        wire = self.talk(render, UPGRADE)
        self.assertEqual(b"", wire.output)
        self.assertEqual(0, protocol.made)

    def test_unknownUpgrade(self) -> None:
        """
        An upgrade that nobody accepts is answered in plain HTTP, and the
        connection goes on.
        """
        wire = self.talk(lambda request: b"plain", UPGRADE + get(b"/next"))
        self.assertEqual([b"plain"] * 2, [r.body for r in wire.responses])

    def test_withoutTheConnectionOption(self) -> None:
        """
        Upgrade without C{Connection: Upgrade} was meant for somebody else
        (RFC 9110 section 7.8): it is not switched.
        """
        request = get(b"/", b"Upgrade: echo/1")
        self.assertEqual(b"plain", self.answers(request, ValueError).only().body)


class ConnectTests(ServerTestCase):
    """
    RFC 9110 section 9.3.6.
    """

    def test_tunnel(self) -> None:
        """
        2xx without any framing, then the tunnel.
        """
        for extra in (b"", b"hello"):
            resource = Switching()
            wire = self.connect(self.site(resource))
            wire.methods = [b"CONNECT"]
            wire.send(CONNECT + extra)
            head, _, rest = wire.output.partition(b"\r\n\r\n")
            self.assertTrue(head.startswith(b"HTTP/1.1 200 "), head)
            for name in (b"content-length", b"transfer-encoding", b"connection"):
                self.assertNotIn(name, head.lower())
            self.assertEqual(extra.upper(), rest)
            wire.send(b"more")
            self.assertTrue(wire.output.endswith(b"MORE"))

    def test_otherStatus(self) -> None:
        """
        The status may be another 2xx.
        """

        def render(request: Any) -> Any:
            request.setResponseCode(299, b"Fine")
            request.switchProtocol(EchoProtocol())
            return NOT_DONE_YET

        wire = self.talk(render, CONNECT)
        self.assertTrue(wire.output.startswith(b"HTTP/1.1 299 "), wire.output)

    def test_noSuccess(self) -> None:
        """
        A status that says no success is 200 for a tunnel.
        """

        def render(request: Any) -> Any:
            request.setResponseCode(404)
            request.switchProtocol(EchoProtocol())
            return NOT_DONE_YET

        wire = self.talk(render, CONNECT)
        self.assertTrue(wire.output.startswith(b"HTTP/1.1 200 OK"), wire.output)

    def test_refused(self) -> None:
        """
        A refusal is answered, then the connection closes: what follows could
        be the tunnel's.
        """

        def render(request: Any) -> bytes:
            request.setResponseCode(403)
            return b"no"

        wire = self.connect(self.site(render))
        wire.methods = [b"CONNECT"]
        wire.send(CONNECT + get(b"/smuggled"))
        wire.settle(6)
        self.assertEqual([403], wire.statuses)
        self.assertTrue(wire.closed)

    def test_twistedsResource(self) -> None:
        """
        A resource that knows no CONNECT refuses it in the same way.
        """

        class Page(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                return b"page"

        wire = self.connect(self.site(Page()))
        wire.methods = [b"CONNECT"]
        wire.send(CONNECT + get(b"/smuggled"))
        wire.settle(6)
        self.assertEqual([501], wire.statuses)
        self.assertTrue(wire.closed)
