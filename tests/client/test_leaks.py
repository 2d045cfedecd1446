"""
What a request has used is free when it is over, without the collector.
"""

from __future__ import annotations

import gc
import weakref
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory
from twisted.web.client import readBody

from tests.support.client_cases import ClientTestCase, Reader
from tests.support.producers import OK, Producer
from twisted_h11._client import agent as agent_module
from twisted_h11._client.call import Call
from twisted_h11.client import TunnelEndpoint


class LeakTests(ClientTestCase):
    """
    With the collector off.
    """

    def setUp(self) -> None:
        """
        Switch it off, and note each call and connection.
        """
        super().setUp()
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        self.seen: list[weakref.ref[Any]] = []

        class Noted(Call):
            __slots__ = ("__weakref__",)

            def begin(this) -> Deferred[Any]:
                self.seen.append(weakref.ref(this))
                return super().begin()

        self.patch(agent_module, "Call", Noted)

    def note(self, *things: Any) -> None:
        """
        These must go.
        """
        self.seen.extend(weakref.ref(thing) for thing in things)

    def assertGone(self) -> None:
        """
        Nothing is left of what was noted.
        """
        for deferred in self.deferreds:
            deferred.addErrback(lambda _: None)
        self.deferreds.clear()
        alive = [ref() for ref in self.seen]
        left = [
            f"{type(thing).__name__} held by "
            + ", ".join(type(each).__name__ for each in gc.get_referrers(thing))
            for thing in alive
            if thing is not None
        ]
        self.assertEqual([], left)

    def test_request(self) -> None:
        """
        A request on a connection that lives on.
        """
        agent = self.makeAgent(totalTimeout=50)
        chunked = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n0\r\nA: b\r\n\r\n"
        )
        for answer in (OK, chunked):
            deferred, peer = self.ask(agent)
            peer.send(answer[:-7], answer[-7:])
            response = self.successResultOf(deferred)
            self.note(response)
            self.assertEqual(b"hello", self.successResultOf(readBody(response)))
            del response, deferred
        self.assertEqual("idle", peer.protocol.state.value)
        self.assertGone()

    def test_connection(self) -> None:
        """
        A connection that was closed, by us or by the server, in use or idle.
        """
        agent = self.makeAgent()
        for how in ("idle", "sent", "body", "aborted"):
            deferred, peer = self.ask(agent)
            self.note(peer.protocol)
            if how == "idle":
                peer.send(OK)
            elif how == "body":
                peer.send(OK[:-1])
                self.read(self.successResultOf(deferred))
            elif how == "aborted":
                deferred.cancel()
            peer.lose()
            self.clock.advance(0)
            deferred.addErrback(lambda _: None)
            del deferred, peer
        self.network.peers.clear()
        self.assertGone()

    def test_cutBody(self) -> None:
        """
        A response whose body was cut: what its reader was told names it.
        """

        def failing(data: bytes) -> None:
            raise ZeroDivisionError

        agent = self.makeAgent()
        for how in ("lost", "aborted", "raised"):
            deferred, peer = self.ask(agent)
            peer.send(OK[:-3])
            response = self.successResultOf(deferred)
            self.note(response)
            reader = self.read(response)
            if how == "lost":
                peer.lose()
            elif how == "aborted":
                response.abort()
            else:
                reader.dataReceived = failing  # type: ignore[method-assign]
                peer.send(OK[-3:])
                self.flushLoggedErrors(ZeroDivisionError)
            self.assertIn("body failed", repr(response))
            self.clock.advance(0)
            peer.lose()
            del response, reader, deferred, peer
        self.network.peers.clear()
        self.assertGone()

    def test_unread(self) -> None:
        """
        A response that nobody reads, and whose body was cut.
        """
        agent = self.makeAgent()
        for how in ("lost", "aborted", "timed out"):
            deferred, peer = self.ask(agent)
            peer.send(OK[:-3])
            response = self.successResultOf(deferred)
            self.note(response)
            if how == "lost":
                peer.lose()
            elif how == "aborted":
                response.abort()
            else:
                self.clock.advance(300)
            self.clock.advance(0)
            peer.lose()
            self.assertIn("body failed", repr(response))
            del response, deferred, peer
        self.network.peers.clear()
        self.assertGone()

    def test_upload(self) -> None:
        """
        A producer that keeps its consumer, as most do: sent, cut, failed.
        """
        agent = self.makeAgent()
        for how in ("sent", "cut", "failed", "answered"):
            producer = Producer()
            deferred, peer = self.ask(agent, b"POST", body=producer)
            self.note(producer)
            if how == "sent":
                producer.done.callback(None)
                peer.send(OK)
            elif how == "cut":
                peer.lose()
            elif how == "failed":
                producer.done.errback(ZeroDivisionError())
            else:
                peer.send(OK)
            producer.done.addErrback(lambda _: None)
            deferred.addBoth(lambda _: None)
            self.clock.advance(0)
            peer.lose()
            del producer, deferred, peer
        self.network.peers.clear()
        self.assertGone()

    def test_tunnel(self) -> None:
        """
        A tunnel: opened, refused, cut, cancelled.
        """
        for how in ("opened", "refused", "cut", "cancelled"):
            endpoint = TunnelEndpoint(self.clock, self.network, b"a", 1)
            deferred = endpoint.connect(Factory.forProtocol(Reader))
            peer = self.network.peers[-1]
            self.note(peer.protocol)
            if how == "opened":
                peer.send(b"HTTP/1.1 200 OK\r\n\r\n")
            elif how == "refused":
                peer.send(b"HTTP/1.1 407 No\r\nContent-Length: 9\r\n\r\n")
            elif how == "cut":
                peer.lose()
            else:
                deferred.cancel()
            deferred.addBoth(lambda _: None)
            self.clock.advance(0)
            peer.lose()
            del deferred, peer, endpoint
        self.network.peers.clear()
        self.assertGone()
