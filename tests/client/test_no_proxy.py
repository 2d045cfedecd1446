"""
NO_PROXY, and the other variables that say which proxy is used.
"""

from __future__ import annotations

import ipaddress

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from twisted_h11.client import Proxies, Proxy

PROXY = Proxy(False, "p", 1)

# A rule, hosts that are reached directly for it, and hosts that are not.
RULES = [
    ("example.com", ["example.com", "a.EXAMPLE.com", "example.com."], ["xexample.com"]),
    (
        ".example.com",
        ["example.com", "a.example.com", "a.b.example.com."],
        ["example.org"],
    ),
    ("*.example.com", ["example.com", "a.example.com"], ["example.com.org"]),
    ("EXAMPLE.COM.", ["example.com", "a.example.com."], ["com"]),
    ("example.com.:80", ["a.example.com."], []),
    (".example.com:80", ["example.com"], []),
    ("example.com:81", [], ["example.com"]),
    ("my_host", ["my_host", "a.my_host"], ["host"]),
    ("b\xfccher.example", ["xn--bcher-kva.example"], ["bucher.example"]),
    ("*", ["anything", "::1", "127.0.0.1"], []),
    ("*:80", ["anything"], []),
    ("*:81", [], ["anything"]),
    ("localhost", ["localhost", "LOCALHOST.", "a.localhost"], ["127.0.0.1"]),
    ("0.1", [], ["127.0.0.1"]),
    # More than a byte in a part: a name, if any.
    ("300.0.0.1", ["300.0.0.1", "a.300.0.0.1"], ["44.0.0.1", "0.0.0.1"]),
    (
        "127.0.0.1",
        ["127.0.0.1", "127.1", "2130706433", "0x7f.1", "0177.0.0.1"],
        ["x.127.0.0.1.example"],
    ),
    ("127.0.0.1", ["::ffff:127.0.0.1", "::ffff:7f00:1"], ["::127.0.0.1", "127.0.0.2"]),
    ("127.1", ["127.0.0.1"], ["127.0.0.2"]),
    ("127.0.0.1.", ["127.0.0.1", "127.0.0.1."], ["127.0.0.2"]),
    ("127.0.0.1.:80", ["127.0.0.1"], []),
    ("127.0.0.1.:81", [], ["127.0.0.1"]),
    (".127.0.0.1", ["127.0.0.1"], ["127.0.0.2"]),
    ("*.127.0.0.1", ["127.0.0.1"], ["127.0.0.2"]),
    ("\uff11\uff10.0.0.1", ["10.0.0.1"], ["10.0.0.2"]),
    ("::ffff:10.0.0.1", ["10.0.0.1"], ["10.0.0.2"]),
    ("127.0.0.1:80", ["127.0.0.1", "127.1"], []),
    ("127.0.0.1:81", [], ["127.0.0.1"]),
    ("10.0.0.0/8", ["10.1.2.3", "::ffff:10.1.2.3", "10.1"], ["11.1.2.3", "::a01:203"]),
    ("10.1.2.3/8", ["10.9.9.9"], ["11.1.2.3"]),
    ("10/8", ["10.1.2.3"], ["11.1.2.3"]),
    ("169.254/16", ["169.254.169.254"], ["169.253.0.1"]),
    ("192.168.0.0/255.255.0.0", ["192.168.7.7"], ["192.169.0.1"]),
    ("10.0.0.0/8:80", ["10.1.2.3"], []),
    ("10.0.0.0/8:81", [], ["10.1.2.3"]),
    ("0.0.0.0/0", ["1.2.3.4"], ["::1", "a"]),
    ("::/0", ["::1", "::ffff:1.2.3.4"], ["1.2.3.4", "a"]),
    ("::ffff:10.0.0.0/104", ["10.1.2.3"], ["11.1.2.3"]),
    ("::1", ["::1", "0:0:0:0:0:0:0:1", "0::0:1"], ["::2", "127.0.0.1"]),
    ("[::1]", ["::1"], ["::2"]),
    ("[0:0:0:0:0:0:0:1]:80", ["::1"], []),
    ("[::1]:81", [], ["::1"]),
    ("2001:DB8::/32", ["2001:db8:1::2"], ["2001:db9::1"]),
    ("[2001:db8::]/32", ["2001:db8:1::2"], ["2001:db9::1"]),
    ("[2001:db8::]/32:80", ["2001:db8::1"], []),
    ("[2001:db8::/32]:80", ["2001:db8::1"], []),
    ("[2001:db8::]/32:81", [], ["2001:db8::1"]),
    ("fe80::1%eth0", ["fe80::1%25eth0", "fe80::1"], ["fe80::2"]),
    ("fe80::/10", ["fe80::1%25eth0"], ["::1"]),
]
BAD = [
    "10.0.0.0/33",
    "10.0.0.0/",
    "10.0.0.0/x",
    "example.com/8",
    "http://example.com",
    "example.com/",
    "a:99999",
    "a:0",
    "a:",
    "a:b",
    ":80",
    "[::1",
    "[::1]x",
    "[::1]80",
    "[a]",
    "[127.0.0.1]",
    "::1]",
    "::g",
    "::1/129",
    "a:b:c",
    "192.168.*",
    "exam*ple.com",
    "**",
    "*example.com",
    "..",
    ".",
    "a..b",
    "a@b",
    "<local>",
    "-",
    "",
]


class NoProxyTests(SynchronousTestCase):
    """
    The rules.
    """

    def direct(self, rules: tuple[str, ...], host: str) -> bool:
        """
        Whether a host is reached directly.
        """
        return Proxies(PROXY, None, rules).find(b"http", host.encode(), 80) is None

    def test_table(self) -> None:
        """
        Names, addresses in all their forms, networks and ports.
        """
        for rule, direct, proxied in RULES:
            for rules in (
                (rule,),
                ("other.example", rule.upper()),
                (f" {rule} ", "::9"),
            ):
                for host in direct:
                    self.assertTrue(self.direct(rules, host), (rules, host))
                for host in proxied:
                    self.assertFalse(self.direct(rules, host), (rules, host))

    def test_bad(self) -> None:
        """
        A rule without a meaning is an error that shows it, and no other is.
        """
        for rule in BAD:
            with self.assertRaises(ValueError, msg=rule) as caught:
                Proxies(PROXY, None, ("example.com", rule))
            self.assertIn(repr(rule), str(caught.exception))

    @settings(max_examples=300, deadline=None)
    @given(st.ip_addresses(), st.integers(0, 128), st.ip_addresses(), st.booleans())
    def test_networks(
        self,
        base: ipaddress.IPv4Address | ipaddress.IPv6Address,
        length: int,
        address: ipaddress.IPv4Address | ipaddress.IPv6Address,
        near: bool,
    ) -> None:
        """
        An address is in a network if its bits say so, however both are written.
        """
        length = min(length, base.max_prefixlen)
        network = ipaddress.ip_network(f"{base}/{length}", strict=False)
        if near:
            address = network[-1]
        forms = [address, getattr(address, "ipv4_mapped", None) or address]
        within = any(form in network for form in forms)
        mapped = getattr(network[0], "ipv4_mapped", None)
        if mapped is not None and length >= 96:
            within = within or any(
                form in ipaddress.ip_network(f"{mapped}/{length - 96}")
                for form in forms
            )
        for rule in (f"{base}/{length}", f"{base.exploded}/{length}".upper()):
            for host in (str(address), address.exploded):
                self.assertEqual(within, self.direct((rule,), host), (rule, host))
        self.assertTrue(self.direct((base.exploded,), str(base)))

    @settings(max_examples=300, deadline=None)
    @given(st.text(max_size=12), st.text("ab.:[]%/*1x", max_size=12))
    def test_anything(self, rule: str, other: str) -> None:
        """
        A rule is taken or refused; a host that is none of them matches none.
        """
        for text in (rule, other):
            try:
                proxies = Proxies(PROXY, None, (text,))
            except ValueError:
                continue
            proxies.find(b"http", b"a.b", 80)


class EnvironmentTests(SynchronousTestCase):
    """
    The variables.
    """

    def test_separators(self) -> None:
        """
        Rules are separated by commas, white space or both.
        """
        found = Proxies.fromEnvironment({"no_proxy": " a, .b\tc,,10.0.0.0/8\n"})
        self.assertEqual(("a", ".b", "c", "10.0.0.0/8"), found.exceptions)
        self.assertEqual(Proxies(), Proxies.fromEnvironment({"NO_PROXY": " , "}))

    def test_named(self) -> None:
        """
        An error names the variable that has the value, not the value of a proxy.
        """
        for name, value in [
            ("HTTP_PROXY", "http://u:secret@h:x"),
            ("https_proxy", "socks5://u:secret@h"),
            ("HTTPS_PROXY", "http://u:se@cret@h"),
            ("all_proxy", "http://u:secret@"),
            ("ALL_PROXY", "http://u:secret@h/path"),
            ("http_proxy", "http://u:secret@h:0"),
            ("http_proxy", "http://u:secret@ho st"),
            ("http_proxy", "http://u:secret@h\r\nX: y"),
            ("http_proxy", "http://u:secret@h\udcff"),
            ("http_proxy", "http://u:secret@[::g]"),
            ("http_proxy", "http://u:secret@[1:2]:80"),
            ("http_proxy", "http://u:secret@h..h"),
            ("http_proxy", "http://u%3Ax:secret@h"),
            ("http_proxy", "://h"),
            ("http_proxy", "http:/h"),
            ("http_proxy", "http//h"),
            ("no_proxy", "a, http://b"),
            ("NO_PROXY", "[::1"),
        ]:
            with self.assertRaises(ValueError, msg=f"{name}={value}") as caught:
                Proxies.fromEnvironment({name: value})
            text = str(caught.exception)
            self.assertTrue(text.startswith(f"{name}: "), text)
            self.assertNotIn("cret", text)
            self.assertNotIn("\n", text)

    def test_hosts(self) -> None:
        """
        A proxy may have an international name or an IPv6 address.
        """
        for url, host in [
            ("http://b\xfccher.example:1", "xn--bcher-kva.example"),
            ("http://[::1]:1", "::1"),
            ("http://[fe80::1%25eth0]:1", "fe80::1%eth0"),
            ("Proxy.Example.:1", "proxy.example"),
        ]:
            proxy = Proxy.fromURL(url)
            self.assertEqual((host, 1), (proxy.host, proxy.port))
        self.assertEqual("[::1]:1", Proxy(False, "::1", 1).name)

    def test_schemes(self) -> None:
        """
        WebSockets go the way of HTTP: those over TLS by the proxy for https.
        """
        plain, secure = Proxy(False, "a", 1), Proxy(False, "b", 1)
        proxies = Proxies(plain, secure)
        for scheme, proxy in [
            (b"http", plain),
            (b"ws", plain),
            (b"https", secure),
            (b"wss", secure),
        ]:
            self.assertIs(proxy, proxies.find(scheme, b"h", 80))
