"""
twisted.web.distrib between our sites, twisted.web's, and both mixed.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import HostnameAddress, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.spread.pb import DeadReferenceError, PBServerFactory
from twisted.web import client as twisted_client
from twisted.web import distrib, resource, server, static
from twisted.web.test import test_distrib as theirs

from tests.support.memory import MemoryTransport
from tests.support.responses import WireResponse
from tests.support.server_cases import FAST_PATH, Calls, ServerTestCase, get, post
from tests.support.socket_cases import TCPBackend
from tests.support.times import eventually
from twisted_h11 import client as our_client
from twisted_h11._command.distrib import Subscription, UserDirectory
from twisted_h11.server import Request, Site

net: Any = reactor

Make = Callable[[Any], Any]


def ours(root: Any) -> Any:
    """
    Our site.
    """
    return Site(root, fastPath=FAST_PATH)


class _Mixed(theirs.DistribTests):
    """
    Twisted's own tests, with other sites at the two ends.
    """

    front: Make = staticmethod(server.Site)
    back: Make = staticmethod(server.Site)
    client: Any = twisted_client

    def setUp(self) -> None:
        """
        Put the sites into the module of the tests.
        """

        def site(root: Any) -> Any:
            subscribes = isinstance(root, distrib.ResourceSubscription)
            made = (self.front if subscribes else self.back)(root)
            self.made.append(made)
            return made

        def mySite(root: Any) -> Any:
            self.made.append(self.front(root))
            return self.made[-1]

        self.made: list[Any] = []
        shim = SimpleNamespace(**{**vars(server), "Site": site})
        self.patch(theirs, "server", shim)
        self.patch(theirs, "MySite", mySite)
        self.patch(theirs, "client", self.client)


class OursBehindOursTests(_Mixed):
    """
    Both sites are ours, and so is the client.
    """

    front = staticmethod(ours)
    back = staticmethod(ours)
    client = our_client


class OursBehindTheirsTests(_Mixed):
    """
    twisted.web asks us.
    """

    back = staticmethod(ours)


class TheirsBehindOursTests(_Mixed):
    """
    We ask twisted.web.
    """

    front = staticmethod(ours)


# Not to be run by itself.
del _Mixed


class StateTests(ServerTestCase):
    """
    What of a request is sent.
    """

    def copied(self, data: bytes, transport: Any = None) -> dict[str, Any]:
        """
        The state of a request.
        """
        states: list[dict[str, Any]] = []

        def render(request: Any) -> bytes:
            self.assertEqual(b"twisted.web.server.Request", request.getTypeToCopy())
            states.append(request.getStateToCopyFor(None))
            self.assertIs(request.getClientAddress(), request.client)
            return b""

        wire = self.connect(self.site(render), transport)
        wire.send(data)
        self.assertEqual([200], wire.statuses)
        return states[0]

    def test_same(self) -> None:
        """
        All that twisted.web's request sends, ours sends with the same value.
        """
        fields = (b"Cookie: a=b; c=d", b"X-A: 1", b"X-A: 2")
        form = (b"Content-Type: application/x-www-form-urlencoded",)
        for data in (
            get(b"/a/b%20c?q=1&q=2&r=", *fields),
            post(b"x=1&y=2", *fields, *form, target=b"/p"),
            post(b"a body", target=b"/p?q=1"),
        ):
            our = self.copied(data)
            states: list[dict[str, Any]] = []

            def render(request: Any, states: list[dict[str, Any]] = states) -> bytes:
                states.append(request.getStateToCopyFor(None))
                return b""

            self.talk(render, data, requestFactory=server.Request)
            (their,) = states
            same = [
                "args",
                "client",
                "clientproto",
                "content_data",
                "cookies",
                "host",
                "method",
                "path",
                "postpath",
                "prepath",
                "received_cookies",
                "sitepath",
                "uri",
            ]
            for name in same:
                self.assertIn(name, our)
                self.assertEqual(their[name], our[name], name)
            self.assertEqual(
                sorted(their["requestHeaders"]), sorted(our["requestHeaders"])
            )

    def test_addresses(self) -> None:
        """
        An address that distrib has no name for does not stop the request.
        """
        expected = {
            IPv6Address("TCP", "::1", 5): ("INET", "::1", 5),
            HostnameAddress(b"somewhere", 5): ("UNIX", None),
        }
        for addr, named in expected.items():
            transport = MemoryTransport(addr, addr)
            state = self.copied(get(), transport)
            self.assertEqual((named, named), (state["client"], state["host"]))

    def test_subclass(self) -> None:
        """
        A subclass has its own name, as one of twisted.web's has; who wants
        more registers it.
        """
        names: list[bytes] = []

        class Mine(Request):
            pass

        def render(request: Any) -> bytes:
            names.append(request.getTypeToCopy())
            return b""

        self.talk(render, get(), requestFactory=Mine)
        self.assertTrue(names[0].endswith(b"Mine"), names)


class Everything(resource.Resource):
    """
    Answers with what it sees of the request.
    """

    isLeaf = True

    def render(self, request: Any) -> bytes:
        """
        Set all that can be set over there.
        """
        request.setHeader(b"x-seen", request.method + b" " + request.uri)
        request.addCookie(b"name", b"value")
        request.setETag(b'"tag"')
        request.setLastModified(1_000_000_000)
        request.setResponseCode(299, b"So")
        client = request.getClientAddress().host
        parts = [
            repr(sorted(request.args.items())).encode(),
            request.content.read(),
            request.getCookie(b"sent") or b"none",
            client.encode(),
            request.getHeader(b"x-field"),
        ]
        return b"|".join(parts)


class DistribTestCase(TCPBackend):
    """
    Real connections, those between the sites too.
    """

    async def closeAll(self) -> None:
        """
        The connections between the sites, too.
        """
        for subscription in self.subscriptions:
            if subscription.publisher is not None:
                broker = subscription.publisher.broker
                # A pull producer is asked for more many times before it answers;
                # each of these calls fails if the connection goes first.
                await eventually(lambda one: not one.waitingForAnswers, broker)
                gone: Deferred[None] = Deferred()
                broker.notifyOnDisconnect(lambda gone=gone: gone.callback(None))
                broker.transport.loseConnection()
                await gone
        await super().closeAll()

    def setUp(self) -> None:
        """
        No subscription yet.
        """
        super().setUp()
        self.subscriptions: list[Any] = []

    async def distributed(
        self, root: Any, front: Make, back: Make, kind: Any = Subscription
    ) -> Any:
        """
        A site in front of C{root}.

        @return: a client that is connected to it.
        """
        publisher = PBServerFactory(distrib.ResourcePublisher(back(root)))
        port = net.listenTCP(0, publisher, interface="127.0.0.1")
        self.ports.append(port)
        subscription = kind("127.0.0.1", port.getHost().port)
        self.subscriptions.append(subscription)
        return await self.open(front(subscription))

    async def answers(
        self, root: Any, front: Make, back: Make, *requests: bytes
    ) -> list[WireResponse]:
        """
        The responses to requests, one after the other.
        """
        found = []
        for request in requests:
            peer = await self.distributed(root, front, back)
            peer.methods = [request.partition(b" ")[0]]
            peer.send(request)
            found += await peer.responses(1)
            peer.close()
            await peer.gone()
        return found


class UnsendableTests(ServerTestCase):
    """
    Requests that can not be sent.
    """

    def test_stale(self) -> None:
        """
        One that can not be sent is a 500, and only that one, also of those that have
        waited for the connection.
        """
        asked: list[str] = []

        class Publisher:
            def notifyOnDisconnect(self, call: Any) -> None:
                pass

            def callRemote(self, name: str, request: Any) -> Deferred[None]:
                asked.append(name)
                if len(asked) == 1:
                    raise DeadReferenceError("Calling Stale Broker")
                request.write(b"here")
                request.finish()
                return Deferred()

        subscription: Any = Subscription("127.0.0.1", 1)
        # It connects already.
        subscription.waiting = 1
        site = self.site(subscription)
        wires = [self.connect(site).send(get()) for _ in range(2)]
        publisher: Any = Publisher()
        publisher.broker = publisher
        subscription.connected(publisher)
        wires.append(self.connect(site).send(get()))
        statuses = [wire.settle(0).statuses for wire in wires]
        self.assertEqual([[500], [200], [200]], statuses)
        self.assertEqual(1, len(self.flushLoggedErrors(DeadReferenceError)))
        self.assertEqual(set(), subscription._open)


class EndToEndTests(DistribTestCase):
    """
    Requests that cross over, and their answers.
    """

    def test_everything(self) -> Deferred[None]:
        """
        What one side sets the client gets, and what the client sends the other
        side sees, in all four mixtures.
        """

        async def test() -> None:
            fields = (b"Cookie: sent=cookie", b"X-Field: f")
            form = b"Content-Type: application/x-www-form-urlencoded"
            requests = [
                get(b"/a?q=1&q=2", *fields),
                post(b"a=b&c=d", *fields, form, target=b"/f"),
                get(b"/h", *fields, method=b"HEAD"),
            ]
            for front in (ours, server.Site):
                for back in (ours, server.Site):
                    found = await self.answers(Everything(), front, back, *requests)
                    self.assertEqual([299] * 3, [r.status for r in found])
                    self.assertEqual(
                        b"[(b'q', [b'1', b'2'])]||cookie|127.0.0.1|f", found[0].body
                    )
                    self.assertIn(b"(b'a', [b'b']), (b'c', [b'd'])", found[1].body)
                    self.assertEqual(b"", found[2].body)
                    for response in found:
                        self.assertEqual([b'"tag"'], response.all(b"etag"))
                        self.assertEqual([b"name=value"], response.all(b"set-cookie"))
                        self.assertEqual(1, len(response.all(b"last-modified")))

        return Deferred.fromCoroutine(test())

    def test_largeFile(self) -> Deferred[None]:
        """
        A file that is produced in pieces arrives whole.
        """

        async def test() -> None:
            folder = tempfile.mkdtemp()
            self.folders.append(folder)
            data = os.urandom(100_000) * 20
            with open(os.path.join(folder, "file"), "wb") as file:
                file.write(data)
            for front, back in ((ours, ours), (ours, server.Site)):
                root = static.File(folder)
                (response,) = await self.answers(root, front, back, get(b"/file"))
                self.assertEqual(data, response.body)

        return Deferred.fromCoroutine(test())

    def test_pipelined(self) -> Deferred[None]:
        """
        Several requests on one connection are answered in their order.
        """

        async def test() -> None:
            root = Calls(lambda request: request.uri)
            peer = await self.distributed(root, ours, ours)
            peer.methods = [b"GET"] * 3
            peer.send(get(b"/1") + get(b"/2") + get(b"/3"))
            found = await peer.responses(3)
            self.assertEqual([b"/1", b"/2", b"/3"], [r.body for r in found])

        return Deferred.fromCoroutine(test())

    def test_raises(self) -> Deferred[None]:
        """
        What raises over there is a 500 here.
        """

        async def test() -> None:
            def render(request: Any) -> bytes:
                raise ValueError("too bad")

            found = await self.answers(Calls(render), ours, ours, get())
            self.assertEqual([500], [r.status for r in found])
            self.flushLoggedErrors(ValueError)

        return Deferred.fromCoroutine(test())


class AbsentTests(DistribTestCase):
    """
    The other side is not there, or no more.
    """

    async def several(self, subscription: Any, count: int = 3) -> list[Any]:
        """
        So many clients, each with a request.
        """
        self.subscriptions.append(subscription)
        port = await self.listen(ours(subscription))
        peers = [await self.connect(port) for _ in range(count)]
        for peer in peers:
            peer.methods = [b"GET"]
            peer.send(get())
        return peers

    def test_nobodyListens(self) -> Deferred[None]:
        """
        All that wait are answered with 503.
        """

        async def test() -> None:
            folder = tempfile.mkdtemp()
            self.folders.append(folder)
            path = os.path.join(folder, "nobody")
            peers = await self.several(Subscription("unix", path))
            for peer in peers:
                (response,) = await peer.responses(1)
                self.assertEqual(503, response.status)

        return Deferred.fromCoroutine(test())

    def test_nobodyListensToHEAD(self) -> Deferred[None]:
        """
        An answer to HEAD has no content, whoever asks.
        """

        async def test() -> None:
            folder = tempfile.mkdtemp()
            self.folders.append(folder)
            for front in (ours, server.Site):
                subscription = Subscription("unix", os.path.join(folder, "nobody"))
                self.subscriptions.append(subscription)
                peer = await self.open(front(subscription))
                peer.methods = [b"HEAD"]
                peer.send(get(b"/", b"Connection: close", method=b"HEAD"))
                await peer.end()
                (response,) = peer.read()
                self.assertEqual((503, b""), (response.status, response.body))

        return Deferred.fromCoroutine(test())

    def test_lost(self) -> Deferred[None]:
        """
        So are those whose answer had not begun when the other side was lost;
        an answer that had begun is cut.
        """

        async def test() -> None:
            begun: list[Any] = []

            def render(request: Any) -> None:
                if not begun:
                    request.write(b"begun")
                begun.append(request)

            publisher = PBServerFactory(distrib.ResourcePublisher(ours(Calls(render))))
            port = net.listenTCP(0, publisher, interface="127.0.0.1")
            self.ports.append(port)
            subscription = Subscription("127.0.0.1", port.getHost().port)
            peers = await self.several(subscription)
            while len(begun) < 3:
                await deferLater(net, 0)
            # They may have come in any order.
            await eventually(lambda: any(b"begun" in one.received for one in peers))
            (first,) = [one for one in peers if b"begun" in one.received]
            # Its call is answered, which fails if the connection goes before.
            await eventually(lambda: not begun[0].remote.broker.waitingForAnswers)
            lost: Any = subscription.publisher
            lost.broker.transport.abortConnection()
            for peer in peers:
                if peer is not first:
                    (response,) = await peer.responses(1)
                    self.assertEqual(503, response.status)
            await first.end()
            self.assertFalse(first.read()[0].complete)
            self.assertEqual(set(), subscription._open)
            begun.clear()

        return Deferred.fromCoroutine(test())

    def test_goneWhileWaiting(self) -> Deferred[None]:
        """
        A client that leaves before the connection is made takes nothing away
        from those that stay.
        """

        async def test() -> None:
            root = Calls(lambda request: b"here")
            publisher = PBServerFactory(distrib.ResourcePublisher(ours(root)))
            port = net.listenTCP(0, publisher, interface="127.0.0.1")
            self.ports.append(port)
            subscription = Subscription("127.0.0.1", port.getHost().port)
            connected = subscription.connected
            waiting: list[Any] = []
            subscription.connected = waiting.append  # type: ignore
            peers = await self.several(subscription)
            while not waiting or len(subscription.pending) < 3:
                await deferLater(net, 0)
            peers[0].abort()
            await peers[0].gone()
            while len(subscription._open) > 2:
                await deferLater(net, 0)
            del subscription.connected
            connected(waiting.pop())
            for peer in peers[1:]:
                (response,) = await peer.responses(1)
                self.assertEqual(b"here", response.body)

        return Deferred.fromCoroutine(test())

    def test_tooLong(self) -> Deferred[None]:
        """
        A body that can not be sent is a 413, and only that one.
        """

        async def test() -> None:
            root = Calls(lambda request: b"here")
            peer = await self.distributed(root, ours, ours)
            peer.methods = [b"POST"]
            peer.send(post(b"x" * 700_000))
            (response,) = await peer.responses(1)
            self.assertEqual(413, response.status)
            peer.methods.append(b"GET")
            peer.send(get())
            found = await peer.responses(2)
            self.assertEqual(b"here", found[-1].body)

        return Deferred.fromCoroutine(test())


class UserTests(DistribTestCase):
    """
    C{--user} and C{--personal}, together.
    """

    def test_both(self) -> Deferred[None]:
        """
        The users are listed; one has files, one a server, one neither.
        """

        async def test() -> None:
            home = tempfile.mkdtemp()
            self.folders.append(home)
            users = [
                (name, "x", 1, 1, f"{name.title()},,,", f"{home}/{name}", "/bin/sh")
                for name in ("alice", "bob", "carol")
            ]
            for user in users:
                os.makedirs(user[5])
            os.makedirs(f"{home}/alice/public_html")
            with open(f"{home}/alice/public_html/page.txt", "w") as page:
                page.write("a page")
            root = Calls(lambda request: b"bob has " + request.uri)
            publisher = PBServerFactory(distrib.ResourcePublisher(ours(root)))
            socket = f"{home}/bob/{distrib.UserDirectory.userSocketName}"
            self.ports.append(net.listenUNIX(socket, publisher))
            database: Any = theirs._PasswordDatabase(users)
            directory = UserDirectory(database)
            peer = await self.open(ours(directory))
            targets = [
                b"/",
                b"/alice/page.txt",
                b"/bob.twistd/x",
                b"/bob.twistd/y",
                b"/carol/",
                b"/nobody/",
                b"/%ff/",
                b"/carol.twistd/",
            ]
            peer.methods = [b"GET"] * len(targets)
            for target in targets:
                peer.send(get(target))
            found = await peer.responses(len(targets))
            self.assertEqual(
                [200, 200, 200, 200, 404, 404, 404, 503], [r.status for r in found]
            )
            self.assertIn(b"Bob (twistd)", found[0].body)
            self.assertEqual(b"a page", found[1].body)
            self.assertEqual(b"bob has /bob.twistd/x", found[2].body)
            self.assertEqual(b"bob has /bob.twistd/y", found[3].body)
            self.subscriptions += [
                child
                for child in directory.children.values()
                if isinstance(child, Subscription)
            ]
            self.assertEqual(2, len(self.subscriptions))

        return Deferred.fromCoroutine(test())
