"""
C{twistd h11web} behind proxies: the options, and what is served with them.
"""

from __future__ import annotations

from socket import AF_INET
from typing import Any

from twisted.internet import reactor, ssl
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory
from twisted.internet.testing import MemoryReactorClock
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.command.test_h11web_options import OptionsTestCase
from twisted_h11._command.proxy_options import ProxyReactor
from twisted_h11.limits import Limits
from twisted_h11.server import ProxyProtocolFactory, Site, TrustedProxies
from twisted_h11.tap import makeService


class OptionTests(OptionsTestCase):
    """
    What they mean, and what is refused.
    """

    def site(self, *arguments: str) -> Any:
        """
        The site that is served.
        """
        service: Any = makeService(self.parse(*arguments))
        (listening,) = service
        return listening.factory

    def test_nobody(self) -> None:
        """
        By default nobody is believed.
        """
        site = self.site()
        self.assertIsNone(site.trustedProxies)
        self.assertIsNone(site.proxied)

    def test_trusted(self) -> None:
        """
        C{--trust-proxy} may be repeated.
        """
        site = self.site(
            *("--trust-proxy", "10.0.0.0/8", "--trust-proxy", "unix"),
            *("--trust-proxy=2001:db8::1",),
        )
        proxies = site.trustedProxies
        for address, trusted in (
            (IPv4Address("TCP", "10.1.2.3", 1), True),
            (IPv4Address("TCP", "11.1.2.3", 1), False),
            (UNIXAddress("/run/a"), True),
        ):
            self.assertEqual(trusted, proxies.trusts(address))
        self.assertEqual("x-forwarded", proxies.forwarded)

    def test_family(self) -> None:
        """
        One family of fields; none, where the PROXY protocol tells.
        """
        trust = ("--trust-proxy", "::1")
        for arguments, family in (
            (("--forwarded", "forwarded"), "forwarded"),
            (("--forwarded", "x-forwarded"), "x-forwarded"),
            (("--proxy-protocol",), None),
            (("--proxy-protocol", "--forwarded", "none"), None),
            (("--proxy-protocol", "--forwarded", "forwarded"), "forwarded"),
        ):
            site = self.site(*trust, *arguments)
            self.assertEqual(family, site.trustedProxies.forwarded)

    def test_rootPath(self) -> None:
        """
        C{--root-path}, with or without a slash at its end.
        """
        for path in ("/app", "/app/"):
            self.assertEqual(b"/app", self.site("--root-path", path).proxied.rootPath)

    def test_refused(self) -> None:
        """
        What is wrong is said in one line that names the option.
        """
        for arguments, words in (
            (("--trust-proxy", "localhost"), ("--trust-proxy localhost",)),
            (("--trust-proxy", "10.0.0.1/8"), ("--trust-proxy", "host bits")),
            (("--trust-proxy", "*"), ("0.0.0.0/0",)),
            (("--trust-proxy", "unix:/run/a"), ("write unix",)),
            (("--trust-proxy", ""), ("--trust-proxy",)),
            (("--forwarded", "forwarded"), ("--forwarded needs --trust-proxy",)),
            (("--proxy-protocol",), ("--proxy-protocol needs --trust-proxy",)),
            (
                ("--trust-proxy", "::1", "--forwarded", "both"),
                ("--forwarded both", "x-forwarded"),
            ),
            (("--trust-proxy", "::1", "--forwarded", "none"), ("--forwarded none",)),
            (("--root-path", "app"), ("--root-path", "/app")),
            (("--root-path", "/a/../b"), ("--root-path", "'/a/../b'")),
            (("--personal", "--root-path", "/a"), ("--root-path and --personal",)),
            (("--personal", "--trust-proxy", "::1"), ("--trust-proxy and --personal",)),
            (
                (
                    *("--trust-proxy", "::1", "--proxy-protocol"),
                    *("--listen", "haproxy:tcp:0"),
                ),
                ("--listen haproxy:tcp:0", "exclude"),
            ),
            (
                ("--trust-proxy", "::1", "--proxy-protocol", "--listen", "stdio:"),
                ("--listen stdio:", "--proxy-protocol"),
            ),
        ):
            message = self.refused(*arguments)
            for word in words:
                self.assertIn(word, message)

    def test_endpoints(self) -> None:
        """
        With C{--proxy-protocol} every kind of endpoint listens with the factory that
        takes the header; without it none does.
        """
        options = self.parse(
            *("--trust-proxy", "127.0.0.1", "--port", "0", "--proxy-protocol"),
            *("--interface", "127.0.0.1", "--max-proxy-header-length", "100"),
        )
        listened = []
        self.patch(reactor, "listenTCP", lambda *a, **k: listened.append(a[1]))
        factory = Factory()
        for _, endpoint in options["listen"]:
            endpoint.listen(factory)
        for _, endpoint in self.parse("--port", "0")["listen"]:
            endpoint.listen(factory)
        wrapped, plain = listened
        self.assertIsInstance(wrapped, ProxyProtocolFactory)
        self.assertIs(factory, wrapped.wrappedFactory)
        self.assertEqual(100, wrapped.limits.maxProxyHeaderLength)
        self.assertIs(factory, plain)


class ReactorTests(OptionsTestCase):
    """
    Below what endpoints make.
    """

    def test_kinds(self) -> None:
        """
        TCP, UNIX, what was opened by others, and TLS, before which the header comes.
        """
        below = MemoryReactorClock()
        proxies = TrustedProxies(["::1"])
        above: Any = ProxyReactor(below, proxies, Limits())
        site = Site(None, reactor=below)
        serverFromString(above, "tcp:80:interface=127.0.0.1").listen(site)
        serverFromString(above, "unix:/run/a").listen(site)
        context = ssl.CertificateOptions()
        above.listenSSL(443, site, contextFactory=context, interface="::1")
        above.adoptStreamPort(3, AF_INET, site)
        wrapped = [server[1] for server in below.tcpServers + below.unixServers]
        self.assertEqual((3, AF_INET), below.adoptedPorts[0][:2])
        wrapped.append(below.adoptedPorts[0][2])
        inner = []
        for factory in wrapped:
            self.assertIsInstance(factory, ProxyProtocolFactory)
            self.assertIs(proxies, factory.trusted)
            inner.append(factory.wrappedFactory)
        self.assertIsInstance(inner[1], TLSMemoryBIOFactory)
        self.assertIs(site, inner[1].wrappedFactory)
        self.assertEqual([site] * 3, [inner[0], *inner[2:]])
        self.assertEqual([], below.sslServers)
        self.assertEqual("::1", below.tcpServers[1][3])
        self.assertEqual(below.seconds(), above.seconds())
