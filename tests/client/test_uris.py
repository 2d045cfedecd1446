"""
URIs: what every agent takes, and what it refuses before anything is sent.
"""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import URI
from twisted.web.error import SchemeNotSupported

from tests.support.client_cases import ClientTestCase
from tests.support.server_cases import FAST_PATH
from twisted_h11._client.uri import parse_uri, split_uri
from twisted_h11.client import (
    Agent,
    Proxies,
    Proxy,
    ProxyAgent,
    UNIXEndpointFactory,
)

GOOD = [
    (b"http://a", (b"http", b"a", 80, b"/")),
    (b"HTTPS://A/b", (b"https", b"A", 443, b"/b")),
    (b"http://a:8080?x=/@:1", (b"http", b"a", 8080, b"/?x=/@:1")),
    (b"http://a//b/@c#d@e", (b"http", b"a", 80, b"//b/@c")),
    (b"Http://a//b", (b"http", b"a", 80, b"//b")),
    (b"http://a:/x", (b"http", b"a", 80, b"/x")),
    (b"http://a:00080/", (b"http", b"a", 80, b"/")),
    (b"http://my_host.example./", (b"http", b"my_host.example.", 80, b"/")),
    (b"ws://[::1]:81/x", (b"ws", b"::1", 81, b"/x")),
    (b"wss://[::ffff:1.2.3.4]", (b"wss", b"::ffff:1.2.3.4", 443, b"/")),
    (b"http://[fe80::1%25eth0]/", (b"http", b"fe80::1%25eth0", 80, b"/")),
    (b'http://a/?key="b"&{c}', (b"http", b"a", 80, b'/?key="b"&{c}')),
]
BAD = [
    b"http://user@a/",
    b"http://user:secret@a/",
    b"http://user:secret@a:80/",
    b"http://user:80@a/",
    b"http://@a/",
    b"http://:@[::1]/",
    b"http://a@b@c/",
    b"http://a%40b@c/",
    b"http://good.example\\@evil.example/",
    b"http://good.example\\.evil.example/",
    b"http://a:99999/",
    b"http://a:65536/",
    b"http://a:0/",
    b"http://a:-1/",
    b"http://a:+1/",
    b"http://a:8_0/",
    b"http://a:x/",
    b"http://a:1:2/",
    b"http://::1/",
    b"http://[::1/",
    b"http://::1]/",
    b"http://[::1]x/",
    b"http://[a]/",
    b"http://[1:2]/",
    b"http://[]/",
    b"http://a[::1]/",
    b'http://a"b/',
    b"http://a<b>/",
    b"http://a|b/",
    b"http://a^b/",
    b"http:///x",
    b"http://:80/",
    b"http:a/",
    b"http:/a/",
    b"http://",
    b"http:",
    b"//a/",
    b"/",
    b"a",
    b"",
]
OTHER = [b"ftp://a/", b"mailto:a@b", b"file:///etc/passwd", b"javascript:x", b"ftp:"]


class SplitTests(SynchronousTestCase):
    """
    The parts.
    """

    def test_good(self) -> None:
        """
        Scheme, host, port and target are found where they are.
        """
        for uri, parts in GOOD:
            self.assertEqual(parts, split_uri(uri), uri)
            parsed = parse_uri(uri)
            found = (parsed.scheme, parsed.host, parsed.port)
            self.assertEqual(parts[:3], found, uri)

    def test_secret(self) -> None:
        """
        What may have a password in it does not appear in the error.
        """
        for uri in BAD:
            with self.assertRaises(ValueError, msg=str(uri)) as caught:
                split_uri(uri)
            self.assertTrue(str(caught.exception).startswith("Invalid URI"))
            self.assertNotIn("secret", str(caught.exception))

    @settings(max_examples=500, deadline=None)
    @given(
        st.text("abA1:/?#[]@%._-\\+ws", max_size=14).map(
            lambda text: b"http://" + text.encode("ascii")
        )
    )
    def test_property(self, uri: bytes) -> None:
        """
        Whatever is taken means to twisted.web's parser what it means to us.
        """
        try:
            scheme, host, port, target = split_uri(uri)
        except ValueError:
            return
        parsed = parse_uri(uri)
        self.assertEqual(
            (scheme, host, port), (parsed.scheme, parsed.host, parsed.port), uri
        )
        self.assertNotRegex(host, rb"[@/?#\\\[\]]")
        self.assertTrue(0 < port < 65536)
        self.assertTrue(target.startswith(b"/") and b"#" not in target)


class AgentTests(ClientTestCase):
    """
    All kinds of agents.
    """

    def agents(self) -> dict[str, Any]:
        """
        One of each.
        """
        pool = self.makePool()
        proxy = Proxy(False, "192.0.2.1", 1)
        options: dict[str, Any] = {"pool": pool, "fastPath": FAST_PATH}
        return {
            "agent": Agent(self.clock, **options),
            "proxies": Agent(self.clock, proxies=Proxies(proxy, proxy), **options),
            "proxy": ProxyAgent(self.network, self.clock, **options),
            "factory": self.makeAgent(pool),
        }

    def test_refused(self) -> None:
        """
        What is no URI of a server is refused by all of them at once, and nobody is
        connected to.
        """
        for kind, agent in self.agents().items():
            for uri in BAD:
                with self.assertRaises(ValueError, msg=f"{kind} {uri!r}"):
                    agent.request(b"GET", uri)
            if kind != "factory":
                for uri in OTHER:
                    self.failing(agent.request(b"GET", uri), SchemeNotSupported)
        self.assertEqual([], self.network.peers)
        self.assertEqual([], self.network.asked)

    def test_parsed(self) -> None:
        """
        An endpoint factory gets the host that Host names.
        """
        agent = self.makeAgent()
        for uri, (_, host, port, target) in GOOD:
            deferred, peer = self.ask(agent, uri=uri)
            asked: URI = self.network.asked[-1]
            self.assertEqual((host, port), (asked.host, asked.port), uri)
            self.assertTrue(peer.take().startswith(b"GET " + target + b" HTTP/1.1"))
            deferred.cancel()
            self.clock.advance(0)

    def test_path(self) -> None:
        """
        So is the path of a UNIX socket that none can have, when it is given.
        """
        for path in ("/a\0b", "/" + "a" * 108):
            self.assertRaises(ValueError, UNIXEndpointFactory, self.clock, path)
        # An abstract one, of Linux.
        UNIXEndpointFactory(self.clock, "\0abstract")
