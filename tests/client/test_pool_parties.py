"""
Who uses whose connections, where agents share a pool.
"""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import inlineCallbacks
from twisted.internet.endpoints import (
    HostnameEndpoint,
    TCP4ClientEndpoint,
    UNIXClientEndpoint,
    wrapClientTLS,
)
from twisted.internet.ssl import optionsForClientTLS, trustRootFromCertificates
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import client as theirs
from twisted.web.client import URI, BrowserLikePolicyForHTTPS, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IPolicyForHTTPS
from zope.interface import implementer

from tests.support.client_cases import ClientTestCase
from tests.support.client_memory import MemoryEndpoint
from tests.support.producers import OK
from tests.support.server_cases import FAST_PATH
from tests.support.times import eventually
from tests.support.tls_servers import (
    PoolTestCase,
    listen_tls,
    make_factory,
    private_of,
    stop,
)
from twisted_h11._client import party
from twisted_h11.client import (
    Agent,
    ClientSettings,
    HTTPConnectionPool,
    Proxies,
    Proxy,
    ProxyAgent,
    TLSPolicy,
    TunnelEndpoint,
    UNIXEndpointFactory,
    certificates_from,
)

net: Any = reactor


@implementer(IPolicyForHTTPS)
class Policy:
    """
    A policy that says it is every other one, and can be in no set.
    """

    __hash__ = None  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return True

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        """
        Twisted's.
        """
        return optionsForClientTLS(hostname.decode("ascii"))


@implementer(IAgentEndpointFactory)
class Ways(Policy):
    """
    An endpoint factory that says the same, and makes an endpoint each time.
    """

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def endpointForURI(self, uri: URI) -> Any:
        """
        To its host, by TLS for https:.
        """
        host = uri.host.decode("ascii")
        endpoint = HostnameEndpoint(self.clock, host, uri.port)
        if uri.scheme == b"https":
            return wrapClientTLS(optionsForClientTLS(host), endpoint)
        return endpoint


class Asked(Exception):
    """
    A pool was asked.
    """


class Noting(HTTPConnectionPool):
    """
    A pool that has nothing, and says what it was asked for.
    """

    def idleConnection(self, key: Any) -> Any:
        """
        Say it.
        """
        raise Asked(key)


class Names:
    """
    A reactor's names, for endpoints that are never used.
    """

    def resolveHostName(self, *arguments: Any, **options: Any) -> Any:
        """
        There are none.
        """
        raise NotImplementedError


class Reactor(Clock):
    """
    A clock that endpoints take for a reactor.
    """

    nameResolver = Names()


ONE, OTHER = Reactor(), Reactor()
POLICIES: list[Any] = [None, Policy(), Policy(), TLSPolicy(), TLSPolicy()]
FACTORIES: list[Any] = [
    Ways(ONE),
    Ways(ONE),
    *(UNIXEndpointFactory(ONE, p) for p in "ab"),
]
ENDPOINTS: list[Any] = [
    MemoryEndpoint(ONE),
    UNIXClientEndpoint(ONE, "a"),
    UNIXClientEndpoint(ONE, "a"),
]
PROXIES = [
    None,
    Proxy(False, "p", 1),
    Proxy(False, "p", 1, b"Basic a"),
    Proxy(False, "p", 1, b"Basic b"),
    Proxy(True, "p", 1),
    Proxy(False, "q", 1),
]
AUTHORIZATIONS = [None, b"Basic b", b"Basic c"]


class Asking(NamedTuple):
    """
    One who asks for a connection.
    """

    ours: bool
    kind: str
    reactor: int
    policy: int
    bind: int
    timeout: int
    proxy: int
    other: int
    authorization: int
    scheme: bytes
    host: bytes

    def agent(self, pool: Any) -> Any:
        """
        The agent.
        """
        clock = (ONE, OTHER)[self.reactor]
        bind = (None, ("192.0.2.1", 0), "192.0.2.1", ("192.0.2.2", 0))[self.bind]
        timeout = (None, 3, 5)[self.timeout]
        policy = POLICIES[self.policy]
        if self.kind == "factory":
            kind: Any = Agent if self.ours else theirs.Agent
            return kind.usingEndpointFactory(clock, FACTORIES[self.other], pool)
        if self.kind == "proxy":
            kind = ProxyAgent if self.ours else theirs.ProxyAgent
            return kind(ENDPOINTS[self.other % len(ENDPOINTS)], clock, pool)
        if self.ours:
            proxy = PROXIES[self.proxy]
            return Agent(
                clock,
                policy,
                timeout,
                bind,
                pool,
                settings=ClientSettings(connectTimeout=timeout or 7),
                proxies=Proxies(proxy, proxy),
                fastPath=FAST_PATH,
            )
        if policy is None:
            return theirs.Agent(
                clock, connectTimeout=timeout, bindAddress=bind, pool=pool
            )
        return theirs.Agent(clock, policy, timeout, bind, pool)

    def key(self) -> Any:
        """
        What the pool is asked for.
        """
        pool = Noting(ONE)
        headers = Headers()
        value = AUTHORIZATIONS[self.authorization]
        if value is not None:
            headers.setRawHeaders(b"Proxy-Authorization", [value])
        try:
            self.agent(pool).request(
                b"GET", self.scheme + b"://" + self.host + b"/", headers
            )
        except Asked as asked:
            return asked.args[0]
        raise AssertionError("the pool was not asked")

    def meant(self) -> Any:
        """
        What decides about the connection.
        """
        secure = self.scheme == b"https"
        place = (self.scheme, self.host)
        if self.kind == "factory":
            return "factory", self.other, place
        credentials = AUTHORIZATIONS[self.authorization]
        if self.kind == "proxy":
            one: Any = (self.ours, "proxy", self.other % len(ENDPOINTS))
            if not self.ours:
                # Twisted's forwards everything, and does not look at the fields.
                return one
            return (*one, credentials, secure and place)
        whose = self.policy or ("default", self.ours)
        mine = (self.reactor, self.bind)
        proxy = PROXIES[self.proxy] if self.ours else None
        if proxy is None:
            return "direct", place, mine, secure and ("policy", whose)
        through = (proxy.secure, proxy.host, credentials or proxy.authorization)
        if secure:
            return "tunnel", through, place, mine, whose
        return "forwarded", through, mine, proxy.secure and ("policy", whose)


def below(number: int) -> st.SearchStrategy[int]:
    """
    A number.
    """
    return st.integers(0, number - 1)


ASKING = st.builds(
    Asking,
    st.booleans(),
    st.sampled_from(["agent", "agent", "agent", "factory", "proxy"]),
    below(2),
    below(len(POLICIES)),
    below(4),
    below(3),
    below(len(PROXIES)),
    below(len(FACTORIES)),
    below(len(AUTHORIZATIONS)),
    st.sampled_from([b"http", b"https"]),
    st.sampled_from([b"a.example", b"b.example"]),
)


class KeyTests(SynchronousTestCase):
    """
    What the pool is asked for.
    """

    @settings(max_examples=300, deadline=None)
    @given(ASKING, st.sets(st.sampled_from(Asking._fields), max_size=2), ASKING)
    def test_property(self, first: Asking, fields: Any, other: Asking) -> None:
        """
        Two agents share connections if, and only if, the same decides about who
        talks to whom: reactor, policy, local address, proxy and credentials,
        endpoint factory, and the origin; time-outs do not.
        """
        second = first._replace(**{name: getattr(other, name) for name in fields})
        for one in (first, second):
            if one.kind == "factory" and one.other > 1 and one.scheme == b"https":
                # Not over UNIX sockets.
                return
        self.assertEqual(
            first.key() == second.key(),
            first.meant() == second.meant(),
            (first, second),
        )

    def test_values(self) -> None:
        """
        Equal text and numbers are the same; equal objects are not.
        """
        self.assertIs(party.party("a", ("b", 1)), party.party("a", ("b", 1)))
        for one, other in [("a", b"a"), (("a",), "a"), ((1,), (True,)), (1, 1.0)]:
            self.assertIsNot(party.party(one), party.party(other))
        first, second = Policy(), Policy()
        self.assertIs(party.party(first), party.party(first))
        self.assertIsNot(party.party(first), party.party(second))
        self.assertIn("Policy", repr(party.party(first)))

    def test_unhashable(self) -> None:
        """
        Twisted's C{ProxyAgent} has its endpoint in its keys, which may be in no set.
        """

        class Odd(MemoryEndpoint):
            __hash__ = None  # type: ignore[assignment]

            def __eq__(self, other: object) -> bool:
                return True

        clock = Clock()
        pool: Any = HTTPConnectionPool(clock)
        one, other = Odd(clock), Odd(clock)
        for endpoint in (one, one, other):
            agent = theirs.ProxyAgent(endpoint, clock, pool)
            deferred = agent.request(b"GET", b"http://a/")
            endpoint.peers[-1].send(OK)
            self.successResultOf(deferred)
        self.assertEqual([1, 1], [len(each.peers) for each in (one, other)])
        pool.close()
        clock.advance(0)

    def test_places(self) -> None:
        """
        One endpoint factory may lead to several places; each of them counts.
        """
        places = [
            UNIXClientEndpoint(ONE, "a"),
            UNIXClientEndpoint(ONE, "b"),
            TCP4ClientEndpoint(ONE, "a", 1),
            TCP4ClientEndpoint(ONE, "a", 2),
            TCP4ClientEndpoint(ONE, "a", 2, bindAddress=("b", 0)),
            HostnameEndpoint(ONE, "a", 2),
            wrapClientTLS(optionsForClientTLS("a"), HostnameEndpoint(ONE, "a", 2)),
            wrapClientTLS(optionsForClientTLS("a"), HostnameEndpoint(ONE, "b", 2)),
            *(
                wrapClientTLS(
                    optionsForClientTLS("a"),
                    TunnelEndpoint(
                        ONE, HostnameEndpoint(ONE, proxy, 1), b"a", 2, credentials
                    ),
                )
                for proxy in ("p", "q")
                for credentials in (None, b"Basic a", b"Basic b")
            ),
        ]
        keys = set()

        @implementer(IAgentEndpointFactory)
        class Factory:
            def endpointForURI(self, uri: URI) -> Any:
                return places[int(uri.path[1:])]

        factory = Factory()
        for kind in (Agent, theirs.Agent):
            for number in range(len(places)):
                agent: Any = kind.usingEndpointFactory(ONE, factory, Noting(ONE))
                with self.assertRaises(Asked) as caught:
                    agent.request(b"GET", b"http://a/%d" % (number,))
                keys.add(caught.exception.args[0])
            self.assertEqual(len(places), len(keys))
        slow = UNIXClientEndpoint(ONE, "a", timeout=7)
        self.assertEqual(party.place(places[0]), party.place(slow))

    def test_ownWays(self) -> None:
        """
        An agent of Twisted's that connects in a way of its own shares with nobody;
        who asks a pool without an agent shares by the same endpoint only.
        """

        class Own(theirs.Agent):
            def _getEndpoint(self, uri: URI) -> Any:
                return MemoryEndpoint(ONE)

        keys = []
        first, second = Own(ONE, pool=Noting(ONE)), Own(ONE, pool=Noting(ONE))
        patched: Any = theirs.Agent(ONE, pool=Noting(ONE))
        patched._getEndpoint = first._getEndpoint
        for agent in (first, first, second, patched):
            with self.assertRaises(Asked) as caught:
                agent.request(b"GET", b"http://a/")
            keys.append(caught.exception.args[0])
        self.assertEqual(keys[0], keys[1])
        self.assertEqual(3, len(set(keys)))
        keys = []
        mine, other = MemoryEndpoint(ONE), MemoryEndpoint(ONE)
        for endpoint in (mine, mine, other):
            with self.assertRaises(Asked) as caught:
                Noting(ONE).getConnection((b"http", b"a", 80), endpoint)
            keys.append(caught.exception.args[0])
        self.assertEqual(keys[0], keys[1])
        self.assertNotEqual(keys[0], keys[2])

    def test_twistedsPool(self) -> None:
        """
        Our agent does not use a pool of Twisted's, which would not know.
        """
        with self.assertRaises(TypeError):
            Agent(net, pool=theirs.HTTPConnectionPool(net, False))


class BoundTests(ClientTestCase):
    """
    What remains of agents that have gone.
    """

    def agents(self, pool: HTTPConnectionPool, count: int) -> list[Any]:
        """
        Have C{count} agents ask once each; references to what they had.
        """
        gone = []
        for _ in range(count):
            network = MemoryEndpoint(self.clock)
            agent = Agent.usingEndpointFactory(
                self.clock, network, pool, fastPath=FAST_PATH
            )
            deferred = agent.request(b"GET", b"http://a/")
            network.peers[0].send(OK)
            self.successResultOf(deferred)
            self.network.peers.extend(network.peers)
            gone.append(weakref.ref(network))
        return gone

    def test_gone(self) -> None:
        """
        The idle connections of agents that have gone are closed after the usual
        time, and then nothing remembers the agents.
        """
        gc.collect()
        before = len(party._parties)
        pool = self.makePool(idleTimeout=60)
        gone = self.agents(pool, 10)
        self.assertEqual(10, pool.counts().idle)
        self.assertEqual(10, pool.counts((b"http", b"a", 80)).idle)
        self.clock.advance(60)
        self.clock.advance(0)
        self.assertEqual((0, 0, 0, 0), tuple(pool.counts()))
        self.network.peers.clear()
        gc.collect()
        self.assertEqual([None] * 10, [each() for each in gone])
        self.assertEqual(before, len(party._parties))
        for held in (list(pool._slots), pool._idle, pool._keys):
            self.assertFalse(held)
        self.assertFalse(pool._line._queues or pool._line._heads)
        self.assertFalse(pool._idle._byKey)

    def test_bounded(self) -> None:
        """
        They take no more slots than there are: the oldest one makes room.
        """
        pool = self.makePool(idleTimeout=None, maxConnections=5)

        def advance(count: int) -> None:
            for _ in range(count):
                network = MemoryEndpoint(self.clock)
                agent = Agent.usingEndpointFactory(
                    self.clock, network, pool, fastPath=FAST_PATH
                )
                deferred = agent.request(b"GET", b"http://a/")
                self.clock.advance(0)
                network.peers[0].send(OK)
                self.successResultOf(deferred)
                self.network.peers.extend(network.peers)

        advance(20)
        self.assertEqual((0, 0, 5, 0), tuple(pool.counts()))
        self.assertEqual(5, self.network.open())
        self.assertLessEqual(len(pool._idle), 5)


class SharingTests(PoolTestCase):
    """
    With real servers.
    """

    timeout = 20

    def setUp(self) -> None:
        """
        Show the authority's own certificate to clients and servers.
        """
        super().setUp()
        self.pem = self.authority.cert_pem.bytes()

    @inlineCallbacks
    def say(self, agent: Any, uri: bytes) -> Any:
        """
        What a server says.
        """
        response = yield agent.request(b"GET", uri)
        body = yield readBody(response)
        return body

    def kinds(self) -> list[Callable[[Any], Any]]:
        """
        Our agent and Twisted's, on our pool.
        """
        return [
            lambda policy: Agent(net, policy, pool=self.pool, fastPath=FAST_PATH),
            lambda policy: theirs.Agent(net, policy, pool=self.pool),
        ]

    @inlineCallbacks
    def test_clientCertificate(self) -> Any:
        """
        Who has no client certificate is not served on a connection of one who has.
        """
        server = listen_tls(self, self.leaf("localhost"), clients=self.authority)
        alice = private_of(self.leaf("alice@example.com"))
        known = TLSPolicy.trusting(self.pem, clientCertificate=alice)
        nobody = TLSPolicy.trusting(self.pem)
        uri = b"https://localhost:%d/" % (server.port,)
        for one in self.kinds():
            for other in self.kinds():
                for _ in range(2):
                    body = yield self.say(one(known), uri)
                    self.assertEqual(b"localhost known", body)
                self.assertEqual(1, self.pool.counts().idle)
                yield self.assertFailure(
                    self.say(other(nobody), uri), theirs.ResponseNeverReceived
                )
                yield self.pool.closeCachedConnections()
        self.assertEqual(8, len(server.heads))

    @inlineCallbacks
    def test_again(self) -> Any:
        """
        Agents made for one request each use one connection, if they are made with
        the same policy or with none.
        """
        server = listen_tls(self, self.leaf("localhost"))
        uri = b"https://localhost:%d/" % (server.port,)
        for policy in (
            TLSPolicy.trusting(self.pem),
            BrowserLikePolicyForHTTPS(
                trustRootFromCertificates(certificates_from(self.pem))
            ),
        ):
            for kind in self.kinds():
                for _ in range(3):
                    yield self.say(kind(policy), uri)
            self.assertEqual(1, len(server.connections))
            yield self.pool.closeCachedConnections()
            yield eventually(lambda one: not one.connections, server)
        plain = make_factory()
        port = net.listenTCP(0, plain, interface="127.0.0.1")
        self.addCleanup(stop, port, plain)
        uri = b"http://127.0.0.1:%d/" % (port.getHost().port,)
        for _ in range(2):
            yield self.say(Agent(net, pool=self.pool), uri)
            yield self.say(theirs.Agent(net, pool=self.pool), uri)
        self.assertEqual(1, len(plain.connections))

    @inlineCallbacks
    def test_sockets(self) -> Any:
        """
        Two UNIX sockets are two servers, whatever the host in the URI.
        """
        answers = {}
        for name in ("one", "two"):
            path = self.mktemp()
            text = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n" + name.encode()
            factory = make_factory(text)
            self.addCleanup(stop, net.listenUNIX(path, factory), factory)
            answers[name] = path
        for kind in (Agent, theirs.Agent):
            for _ in range(2):
                for name, path in answers.items():
                    agent: Any = kind.usingEndpointFactory(
                        net, UNIXEndpointFactory(net, path), self.pool
                    )
                    body = yield self.say(agent, b"http://docker/")
                    self.assertEqual(name.encode(), body)
