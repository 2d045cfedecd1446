"""
What trusted proxies say of a request, and that nobody else is believed.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Iterable, Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import (
    HostnameAddress,
    IPv4Address,
    IPv6Address,
    UNIXAddress,
)
from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import http, server
from twisted.web.resource import Resource
from twisted.web.static import File

from tests.server.test_http2_bounds import BoundsTestCase
from tests.support.memory import SERVER, MemoryTransport, SecureMemoryTransport
from tests.support.server_cases import Calls, ServerTestCase, get
from tests.support.wire import Wire
from twisted_h11._server.environ import make_environ
from twisted_h11.server import Request, Site, TrustedProxies, access_log_format

PROXY = IPv4Address("TCP", "10.0.0.1", 40001)
STRANGER = IPv4Address("TCP", "203.0.113.9", 40002)
TRUSTED = ("10.0.0.0/8", "2001:db8:1::/48")

# Fields, as lines, and what is believed: client, secure, name and port.
X_FORWARDED: list[tuple[list[bytes], tuple[str, int], bool, bytes, int]] = [
    ([b"X-Forwarded-For: 192.0.2.1"], ("192.0.2.1", 0), False, b"example.com", 80),
    # What the client has sent stands before what the proxy adds.
    (
        [b"X-Forwarded-For: 127.0.0.1, 192.0.2.1"],
        *(("192.0.2.1", 0), False, b"example.com", 80),
    ),
    (
        [b"X-Forwarded-For: not an address, 192.0.2.1"],
        *(("192.0.2.1", 0), False, b"example.com", 80),
    ),
    (
        [b"X-Forwarded-For: 127.0.0.1", b"X-Forwarded-For: 192.0.2.1, 10.9.9.9"],
        *(("192.0.2.1", 0), False, b"example.com", 80),
    ),
    # All are proxies of ours.
    (
        [b"X-Forwarded-For: 10.1.1.1, 10.9.9.9"],
        *(("10.1.1.1", 0), False, b"example.com", 80),
    ),
    (
        [b"X-Forwarded-For: 192.0.2.1, 2001:db8:1::7"],
        *(("192.0.2.1", 0), False, b"example.com", 80),
    ),
    (
        [b"X-Forwarded-For: [2001:db8:2::7]:4711"],
        *(("2001:db8:2::7", 4711), False, b"example.com", 80),
    ),
    # The proxy does not know: it is the client, as far as we know.
    ([b"X-Forwarded-For: unknown"], ("10.0.0.1", 40001), False, b"example.com", 80),
    (
        [b"X-Forwarded-For: 192.0.2.1, unknown, 10.9.9.9"],
        *(("10.9.9.9", 0), False, b"example.com", 80),
    ),
    (
        [b"X-Forwarded-Proto: https"],
        *(("10.0.0.1", 40001), True, b"example.com", 443),
    ),
    (
        [b"X-Forwarded-Proto: https, http", b"X-Forwarded-For: 1.1.1.1, 192.0.2.1"],
        *(("192.0.2.1", 0), False, b"example.com", 80),
    ),
    (
        [b"X-Forwarded-Proto: HTTPS", b"X-Forwarded-For: 192.0.2.1, 10.9.9.9"],
        *(("192.0.2.1", 0), True, b"example.com", 443),
    ),
    (
        [b"X-Forwarded-Host: www.example.org:8443", b"X-Forwarded-Proto: https"],
        *(("10.0.0.1", 40001), True, b"www.example.org", 8443),
    ),
    (
        [b"X-Forwarded-Host: evil.example, www.example.org"],
        *(("10.0.0.1", 40001), False, b"www.example.org", 80),
    ),
]

FORWARDED: list[tuple[list[bytes], tuple[str, int], bool, bytes, int]] = [
    ([b"Forwarded: for=192.0.2.1"], ("192.0.2.1", 0), False, b"example.com", 80),
    (
        [b'Forwarded: for="192.0.2.1:99";proto=https;host="www.example.org:8443"'],
        *(("192.0.2.1", 99), True, b"www.example.org", 8443),
    ),
    (
        [
            b"Forwarded: for=127.0.0.1;host=evil.example;proto=https",
            b"Forwarded: for=192.0.2.1;host=www.example.org",
            b'Forwarded: for="[2001:db8:1::7]"',
        ],
        *(("192.0.2.1", 0), False, b"www.example.org", 80),
    ),
    # What the first proxy of ours does not say, the next may.
    (
        [b"Forwarded: proto=https;for=1.1.1.1, for=192.0.2.1, for=10.9.9.9;proto=http"],
        *(("192.0.2.1", 0), False, b"example.com", 80),
    ),
    ([b"Forwarded: for=unknown"], ("10.0.0.1", 40001), False, b"example.com", 80),
    (
        [b"Forwarded: for=1.1.1.1, for=_hidden;proto=https, for=10.9.9.9"],
        *(("10.9.9.9", 0), True, b"example.com", 443),
    ),
    (
        [b"Forwarded: for=1.1.1.1, proto=https"],
        *(("10.0.0.1", 40001), True, b"example.com", 443),
    ),
]

# Of each family, what can not be read.
MALFORMED = {
    "x-forwarded": [
        b"X-Forwarded-For: localhost",
        b"X-Forwarded-For: 192.0.2.1, 192.0.2.300, 10.9.9.9",
        b"X-Forwarded-For: 192.0.2.1:99999",
        b"X-Forwarded-Proto: gopher",
        b"X-Forwarded-Proto: http://",
        b"X-Forwarded-Host: a/b",
        b"X-Forwarded-Host: a@b",
        b"X-Forwarded-Host: a b",
        b"X-Forwarded-Host: a:99999",
        b'X-Forwarded-Host: "a"',
    ],
    "forwarded": [
        b"Forwarded: 192.0.2.1",
        b"Forwarded: for=localhost",
        b'Forwarded: for="',
        b'Forwarded: for="192.0.2.1", for=10.9.9.9, for=a b',
        b"Forwarded: for=192.0.2.1;for=192.0.2.2",
        b"Forwarded: for=192.0.2.1;proto=gopher",
        b'Forwarded: host="a/b"',
        b'Forwarded: host=""',
    ],
}


def tell(request: Any) -> bytes:
    """
    All that a request says about where it comes from and goes to.
    """
    client, host = request.getClientAddress(), request.getHost()
    environ = make_environ(request, False)
    said = (
        (client.host, client.port),
        bool(request.isSecure()),
        request.getRequestHostname(),
        getattr(host, "port", None),
        request.prePathURL(),
        (environ["REMOTE_ADDR"], environ["wsgi.url_scheme"]),
        (environ["SERVER_NAME"], environ["SERVER_PORT"], environ.get("HTTP_HOST")),
    )
    assert (request.getClientIP() or client.host) == client.host
    return repr(said).encode()


def expected(
    client: tuple[str, int], secure: bool, name: bytes, port: int, host: str
) -> bytes:
    """
    What L{tell} says.
    """
    scheme = "https" if secure else "http"
    colon = "" if port == (443 if secure else 80) else f":{port}"
    return repr(
        (
            client,
            secure,
            name,
            port,
            f"{scheme}://{name.decode()}{colon}/".encode(),
            (client[0], scheme),
            (name.decode(), str(port), host),
        )
    ).encode()


class ProxyTestCase(ServerTestCase):
    """
    A site that trusts proxies.
    """

    def behind(
        self,
        peer: IAddress = PROXY,
        forwarded: str | None = "x-forwarded",
        resource: Any = tell,
        secure: bool = False,
        networks: Iterable[Any] = TRUSTED,
        **options: Any,
    ) -> Wire:
        """
        A connection from C{peer} to a site.
        """
        proxies = TrustedProxies(networks, forwarded)
        self.made = self.site(resource, trustedProxies=proxies, start=True, **options)
        kind = SecureMemoryTransport if secure else MemoryTransport
        return self.connect(self.made, kind(peer=peer))


class Believed(ProxyTestCase):
    """
    A trusted proxy is believed.
    """

    def check(self, forwarded: str, cases: Sequence[Any], **options: Any) -> None:
        """
        All requests of a table on one connection: nothing is left of the one before.
        """
        wire = self.behind(forwarded=forwarded, **options)
        for lines, client, secure, name, port in cases:
            wire.transport.output.clear()
            wire.methods.clear()
            wire.send(get(b"/", *lines))
            host = name.decode()
            if any(b"ost" in line.partition(b":")[0] for line in lines) or (
                b"8443" in b"".join(lines)
            ):
                host += f":{port}" if port == 8443 else ""
            self.assertEqual(
                expected(client, secure, name, port, host), wire.only().body, lines
            )
            self.assertIn(f'"{client[0]}" - - ', self.made.access.getvalue())
            self.made.access.truncate(0)
            self.made.access.seek(0)
            wire.transport.output.clear()
            # A request without fields is the proxy's own.
            wire.send(get(b"/"))
            self.assertTrue(wire.only().body.startswith(b"(('10.0.0.1', 40001), False"))
            self.made.access.truncate(0)
            self.made.access.seek(0)

    def test_xForwarded(self) -> None:
        """
        C{X-Forwarded-For}, C{-Proto} and C{-Host}.
        """
        self.check("x-forwarded", X_FORWARDED)

    def test_forwarded(self) -> None:
        """
        C{Forwarded}.
        """
        self.check("forwarded", FORWARDED)

    def test_foreignRequests(self) -> None:
        """
        A request class of twisted.web, or of a framework, says the same.
        """

        class Foreign(server.Request):
            pass

        class Ours(Request):
            def requestReceived(self, *args: Any) -> None:
                super().requestReceived(*args)

        for factory in (server.Request, Foreign, Ours):
            self.check("forwarded", FORWARDED, requestFactory=factory)
            self.check("x-forwarded", X_FORWARDED, requestFactory=factory)

    def test_plainRequest(self) -> None:
        """
        So does one that knows of no resources.
        """
        said = []

        class Plain(http.Request):
            def process(self) -> None:
                said.append((self.getClientAddress(), self.isSecure(), self.getHost()))
                self.finish()

        wire = self.behind(requestFactory=Plain)
        wire.send(get(b"/", b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: https"))
        wire.only()
        self.assertEqual(
            [
                (
                    IPv4Address("TCP", "192.0.2.1", 0),
                    True,
                    IPv4Address("TCP", "example.com", 443),
                )
            ],
            said,
        )

    def test_tlsToTheProxyOnly(self) -> None:
        """
        A request that came by plain HTTP is not secure because the proxy uses TLS.
        """
        wire = self.behind(secure=True)
        wire.send(get(b"/", b"X-Forwarded-Proto: http"))
        self.assertIn(b"False, b'example.com', 80", wire.only().body)
        wire.transport.output.clear()
        wire.send(get(b"/", b"X-Forwarded-For: 192.0.2.1"))
        self.assertIn(b"True, b'example.com', 443", wire.responses[-1].body)

    def test_peers(self) -> None:
        """
        Networks and addresses of both families, and UNIX sockets, are told apart.
        """
        for networks, peer, trusted in (
            (["10.0.0.1"], PROXY, True),
            (["10.0.0.2"], PROXY, False),
            (["10.0.0.0/31"], PROXY, True),
            (["0.0.0.0/0"], PROXY, True),
            (["::/0"], PROXY, False),
            ([], PROXY, False),
            (["unix"], PROXY, False),
            ([ipaddress.ip_network("10.0.0.0/8")], PROXY, True),
            (["10.0.0.0/8"], IPv6Address("TCP", "::ffff:10.0.0.1", 1), True),
            (["::ffff:10.0.0.0/104"], PROXY, True),
            (["::ffff:10.0.0.1"], IPv6Address("TCP", "::ffff:10.0.0.1", 1), True),
            (["::ffff:0:0/96"], PROXY, True),
            (["::ffff:11.0.0.0/104"], PROXY, False),
            (["::1"], IPv6Address("TCP", "::1", 1), True),
            (["::1"], IPv6Address("TCP", "::2", 1), False),
            (["fe80::/10"], IPv6Address("TCP", "fe80::1%eth0", 1), True),
            (["unix"], UNIXAddress("/run/a"), True),
            (["unix"], UNIXAddress(None), True),
            (["unix"], UNIXAddress(b""), True),
            (["0.0.0.0/0", "::/0"], UNIXAddress("/run/a"), False),
        ):
            wire = self.behind(peer, networks=networks, resource=_client)
            wire.send(get(b"/", b"X-Forwarded-For: 192.0.2.1"))
            self.assertEqual(
                trusted, wire.only().body.startswith(b"192.0.2.1 "), (networks, peer)
            )

    def test_sent(self) -> None:
        """
        The list tells whether a request came from one of the proxies, whatever that
        has said of its client; of one that is over it is not known.
        """
        seen = []

        def sent(request: Any) -> bytes:
            proxies = request.site.trustedProxies
            seen.append((proxies.sent(request), proxies.trusts(request.client)))
            return b""

        requests: list[Any] = []

        def render(request: Any) -> bytes:
            requests.append(request)
            return b""

        self.behind(PROXY, resource=render).send(get())
        self.assertFalse(requests[0].site.trustedProxies.sent(requests.pop()))
        for peer, answer in ((PROXY, (True, False)), (STRANGER, (False, False))):
            self.behind(peer, resource=sent).send(
                get(b"/", b"X-Forwarded-For: 192.0.2.1")
            )
            self.assertEqual([answer], seen)
            seen.clear()

    def test_absoluteTarget(self) -> None:
        """
        What the proxy says of the host counts more than an authority in the target.
        """
        target = b"http://other.example:81/"
        wire = self.behind().send(get(target, b"X-Forwarded-Host: www.example.org"))
        self.assertIn(b"b'www.example.org', 80,", wire.only().body)
        wire = self.behind().send(get(target, b"X-Forwarded-For: 192.0.2.1"))
        self.assertIn(b"b'other.example', 81,", wire.only().body)

    def test_ipv6Host(self) -> None:
        """
        A host that is an address of IPv6 has brackets in URLs.
        """
        for host, url in (
            (b"[2001:db8::1]:8443", b"https://[2001:db8::1]:8443/"),
            (b"[2001:db8::1]", b"https://[2001:db8::1]/"),
        ):
            wire = self.behind(resource=lambda request: request.prePathURL())
            line = b"X-Forwarded-Host: " + host
            wire.send(get(b"/", line, b"X-Forwarded-Proto: https"))
            self.assertEqual(url, wire.only().body)

    def test_oddHost(self) -> None:
        """
        Where the host says nothing that could be an address, it is the one to which
        the client of the proxy is connected.
        """
        for host in (None, b"example.com:99999", b"a" * 301):
            wire = self.behind(
                resource=lambda request: repr(request.getHost()).encode()
            )
            version = b"1.0" if host is None else b"1.1"
            line = b"X-Forwarded-For: 192.0.2.1"
            wire.send(get(b"/", line, host=host, version=version))
            self.assertEqual(repr(SERVER).encode(), wire.only().body, host)

    def test_raw(self) -> None:
        """
        The raw fields are those that were received, and other fields stay.
        """
        seen = []

        def look(request: Any) -> bytes:
            seen.append(request.rawFields)
            seen.append(list(request.requestHeaders.getAllRawHeaders()))
            return b""

        self.behind(resource=look).send(
            get(b"/", b"X-a: b", b"X-Forwarded-Host: www.example.org")
        )
        raw, presented = seen
        self.assertEqual(
            [
                (b"Host", b"example.com"),
                (b"X-a", b"b"),
                (b"X-Forwarded-Host", b"www.example.org"),
            ],
            raw,
        )
        self.assertIn((b"Host", [b"www.example.org"]), presented)
        self.assertIn((b"X-A", [b"b"]), presented)

    def test_bodies(self) -> None:
        """
        With a body of known length, and of chunks, and after 100 Continue.
        """

        def echo(request: Any) -> bytes:
            content: bytes = request.content.read()
            return content + b" " + tell(request)

        wire = self.behind(resource=echo)
        line = b"X-Forwarded-Host: www.example.org"
        for fields, body in (
            ([b"Content-Length: 5"], b"hello"),
            ([b"Transfer-Encoding: chunked"], b"5\r\nhello\r\n0\r\n\r\n"),
            ([b"Content-Length: 5", b"Expect: 100-continue"], b"hello"),
        ):
            wire.send(get(b"/", line, *fields, method=b"PUT"), body)
        self.assertEqual(3, len(wire.responses))
        for response in wire.responses:
            self.assertTrue(response.body.startswith(b"hello "))
            self.assertIn(b"b'www.example.org', 80", response.body)


def _client(request: Any) -> bytes:
    client = request.getClientAddress()
    return f"{getattr(client, 'host', None)} {request.isSecure()}".encode()


class NotBelieved(ProxyTestCase):
    """
    Nobody else is, and the other family never.
    """

    def plain(self, peer: IAddress) -> bytes:
        """
        What is told of a request without such fields.
        """
        return self.behind(peer).send(get(b"/")).only().body

    def test_strangers(self) -> None:
        """
        Fields from other peers change nothing, also if they are malformed.
        """
        plain = self.plain(STRANGER)
        for forwarded, cases in (
            ("x-forwarded", X_FORWARDED),
            ("forwarded", FORWARDED),
            (None, X_FORWARDED + FORWARDED),
        ):
            wire = self.behind(STRANGER, forwarded)
            lines = [case[0] for case in cases]
            lines += [[line] for line in MALFORMED[forwarded or "forwarded"]]
            for some in lines:
                wire.transport.output.clear()
                wire.send(get(b"/", *some))
                self.assertEqual(plain, wire.responses[-1].body, some)
            for line in self.made.access.getvalue().splitlines():
                self.assertTrue(line.startswith('"203.0.113.9" - - '), line)

    def test_otherFamily(self) -> None:
        """
        From a trusted proxy, too, one family is read, and the other one is not.
        """
        plain = self.plain(PROXY)
        for forwarded, cases, bad in (
            ("x-forwarded", FORWARDED, "forwarded"),
            ("forwarded", X_FORWARDED, "x-forwarded"),
            (None, X_FORWARDED + FORWARDED, "forwarded"),
        ):
            wire = self.behind(PROXY, forwarded)
            lines = [case[0] for case in cases]
            for some in [*lines, *([line] for line in MALFORMED[bad])]:
                wire.transport.output.clear()
                wire.send(get(b"/", *some))
                self.assertEqual(plain, wire.responses[-1].body, some)

    def test_malformed(self) -> None:
        """
        What a trusted proxy says, and what can not be read, is refused with 400.
        """
        for forwarded, lines in MALFORMED.items():
            for line in lines:
                wire = self.behind(forwarded=forwarded)
                self.assertRefused(wire.send(get(b"/", line)), 400)
                self.assertNotIn(line.partition(b": ")[2], wire.output, line)
                log = self.made.access.getvalue()
                self.assertTrue(log.startswith('"10.0.0.1" - - '), log)
                self.assertIn('"GET / HTTP/1.1" 400', log)

    def test_noted(self) -> None:
        """
        A request that is refused, or has another head, has its time and its identifier
        in the log.
        """
        wire = self.behind(
            requestIds=True,
            requestIdHeader=b"X-Request-ID",
            logFormatter=access_log_format("{status} {seconds} {request_id} {client}"),
            rootPath=b"/app",
        )
        ids = b"X-Request-ID: abc-1"
        wire.send(get(b"/", ids, b"X-Forwarded-Host: b", b"X-Forwarded-For: ::1"))
        wire.send(get(b"/", ids, b"X-Forwarded-For: a"))
        self.assertEqual(
            ["200 0.000 abc-1 ::1", "400 0.000 abc-1 10.0.0.1"],
            self.made.access.getvalue().splitlines(),
        )

    def test_afterwards(self) -> None:
        """
        A request that can not be read is the peer's, not that of the client of the
        request before.
        """
        wire = self.behind()
        wire.send(get(b"/", b"X-Forwarded-For: 192.0.2.1"), b"bad\r\n\r\n")
        self.assertRefused(wire, 400)
        last = self.made.access.getvalue().splitlines()[-1]
        self.assertTrue(last.startswith('"10.0.0.1" - - '), last)

    def test_pipelined(self) -> None:
        """
        Of requests that arrive together each has its own client.
        """
        wire = self.behind(resource=_client)
        wire.send(
            get(b"/", b"X-Forwarded-For: 192.0.2.1", b"X-Forwarded-Proto: https")
            + get(b"/")
            + get(b"/", b"X-Forwarded-For: 192.0.2.2")
        )
        self.assertEqual(
            [b"192.0.2.1 True", b"10.0.0.1 False", b"192.0.2.2 False"],
            [response.body for response in wire.responses],
        )

    def test_connectionsPerPeer(self) -> None:
        """
        Connections are counted for who has made them.
        """
        wire = self.behind(limits={"maxConnectionsPerPeer": 1})
        wire.send(get(b"/", b"X-Forwarded-For: 192.0.2.1"))
        second = self.connect(self.made, MemoryTransport(peer=PROXY))
        self.assertRefused(second, 503)
        wire.vanish()
        self.assertEqual(
            200,
            self.connect(self.made, MemoryTransport(peer=PROXY))
            .send(get(b"/"))
            .only()
            .status,
        )

    def test_without(self) -> None:
        """
        A site without the option has nothing of this.
        """
        site = self.site(tell)
        channel = site.buildProtocol(None)
        self.assertNotIn("Proxied", " ".join(c.__name__ for c in type(channel).__mro__))


_text = st.text(
    st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=0, max_size=40
)
_piece = st.one_of(
    _text.map(str.encode),
    st.sampled_from(
        (
            b"127.0.0.1",
            b"10.0.0.1",
            b"[::1]",
            b"unknown",
            b"_x",
            b"https",
            b"evil.example",
        )
    ),
    st.ip_addresses().map(lambda a: str(a).encode()),
)


class Properties(ProxyTestCase):
    """
    Whatever is forged, a stranger stays who he is, and a client behind a proxy cannot
    be another one.
    """

    def observe(self, wire: Wire) -> tuple[bytes, str]:
        """
        What the application and the log say.
        """
        log = self.made.access.getvalue()
        self.made.access.truncate(0)
        self.made.access.seek(0)
        return wire.responses[-1].body, log.partition(" - - ")[0]

    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    (
                        *(b"Forwarded", b"X-Forwarded-For", b"X-Forwarded-Proto"),
                        *(b"X-Forwarded-Host", b"x-forwarded-for", b"X-Real-IP"),
                    )
                ),
                st.lists(_piece, max_size=4).map(b", ".join),
            ),
            max_size=5,
        ),
        st.sampled_from(("forwarded", "x-forwarded")),
    )
    def test_strangers(self, fields: list[tuple[bytes, bytes]], forwarded: str) -> None:
        """
        Fields from outside of the list change neither address, scheme, host nor log.
        """
        lines = [name + b": " + value for name, value in fields]
        wire = self.behind(STRANGER, forwarded)
        wire.send(get(b"/"))
        plain = self.observe(wire)
        wire.transport.output.clear()
        wire.send(get(b"/", *lines))
        self.assertEqual(plain, self.observe(wire))

    @given(st.lists(st.lists(_piece, max_size=4).map(b", ".join), max_size=3))
    def test_clients(self, forged: list[bytes]) -> None:
        """
        What a client sends stands before what its proxy adds, and is not looked at.
        """
        wire = self.behind(resource=_client)
        lines = [b"X-Forwarded-For: " + value for value in forged]
        lines.append(b"X-Forwarded-For: 192.0.2.1, 10.7.7.7")
        wire.send(get(b"/", *lines))
        self.assertEqual((b"192.0.2.1 False", '"192.0.2.1"'), self.observe(wire))


class RootPath(ProxyTestCase):
    """
    A path that the proxy takes off, and that is there for the application.
    """

    def tree(self) -> Any:
        """
        Resources, one of them with children.
        """
        root, child = Resource(), Resource()
        child.putChild(b"", Calls(self.show))
        child.putChild(b"leaf", Calls(self.show))
        root.putChild(b"child", child)
        root.putChild(b"", Calls(self.show))
        return root

    def show(self, request: Any) -> bytes:
        """
        Where a resource stands.
        """
        environ = make_environ(request, False)
        return b" ".join(
            (
                request.uri,
                request.prePathURL(),
                str(request.URLPath()).encode(),
                environ["SCRIPT_NAME"].encode(),
                environ["PATH_INFO"].encode(),
                environ["REQUEST_URI"].encode(),
            )
        )

    def test_paths(self) -> None:
        """
        The target, the URLs and the variables have it; resources are found without.
        """
        for factory in (Request, server.Request):
            site = self.site(self.tree(), rootPath=b"/my/app/", requestFactory=factory)
            wire = self.connect(site)
            for target, script, path in (
                (b"/", "/my/app", "/"),
                (b"/child/leaf?a=b", "/my/app/child/leaf", ""),
                (b"/child/leaf/more", "/my/app/child/leaf", "/more"),
                (b"http://example.com/child/leaf", "/my/app/child/leaf", ""),
            ):
                if factory is server.Request and target[:1] != b"/":
                    # twisted.web's does not understand it.
                    continue
                wire.transport.output.clear()
                wire.send(get(target))
                words = wire.responses[-1].body.decode().split(" ")
                public = target.replace(b"example.com/", b"example.com/my/app/")
                if target[:1] == b"/":
                    public = b"/my/app" + target
                url = "http://example.com" + script + ("/" if path == "/" else "")
                if path == "/more":
                    self.assertEqual([script, path], words[3:5])
                    continue
                self.assertEqual(
                    [public.decode(), url, url, script, path, public.decode()], words
                )

    def test_notFound(self) -> None:
        """
        What has the prefix again is below it.
        """
        site = self.site(self.tree(), rootPath=b"/app")
        wire = self.connect(site).send(get(b"/app/child/leaf"))
        self.assertEqual([404], wire.statuses)

    def test_star(self) -> None:
        """
        C{OPTIONS *} has no path.
        """
        site = self.site(self.tree(), rootPath=b"/app")
        wire = self.connect(site).send(get(b"*", method=b"OPTIONS"))
        self.assertEqual([200], wire.statuses)

    def test_redirects(self) -> None:
        """
        The redirect of a directory leads to where it is for the client.
        """
        folder = self.mktemp()
        os.makedirs(os.path.join(folder, "sub"))
        site = self.site(File(folder), rootPath=b"/app")
        wire = self.connect(site).send(get(b"/sub?a=b"))
        self.assertEqual([302], wire.statuses)
        self.assertEqual(b"/app/sub/?a=b", wire.only().get(b"location"))

    def test_log(self) -> None:
        """
        The log has the path that the client has asked for.
        """
        site = self.site(self.tree(), rootPath=b"/app", start=True)
        self.connect(site).send(get(b"/child/leaf"))
        self.assertIn('"GET /app/child/leaf HTTP/1.1" 200', site.access.getvalue())

    def test_checked(self) -> None:
        """
        What is no path is refused when the site is made; slashes alone are none.
        """
        for path in (b"app", b"/a//b", b"/a/../b", b"/./a", b"/a b", b"/a?b", b"/a#b"):
            text = self.raised(ValueError, lambda p=path: self.site(rootPath=p))
            self.assertIn("such as /app", text)
        self.raised(ValueError, lambda: self.site(rootPath=b"/%2e%2e/a"))
        for path in (b"", b"/", b"//"):
            self.assertIsNone(self.site(rootPath=path).proxied)

    def test_noRoot(self) -> None:
        """
        A site that finds its resources otherwise has none below the path.
        """
        self.assertIsNone(Site(None, rootPath=b"/app", reactor=self.clock).resource)


class HTTP2(BoundsTestCase):
    """
    The streams of HTTP/2.
    """

    def ask(
        self,
        peer: str,
        *fields: tuple[str, str],
        root: bytes = b"",
        host: str = "example.com",
        **options: Any,
    ) -> tuple[str, bytes, str]:
        """
        The status, the body and the log of one request.
        """
        site = self.site(
            tell,
            http2=True,
            trustedProxies=TrustedProxies(TRUSTED, "x-forwarded"),
            rootPath=root,
            start=True,
            **options,
        )
        client = self.client(site, peer)
        head = [(":method", "GET"), (":path", "/"), (":scheme", "https")]
        head.append((":authority", host))
        client.h2.send_headers(1, head + list(fields), end_stream=True)
        client.go()
        (response,) = client.named("ResponseReceived")
        status = dict(response.headers)[b":status"].decode()
        body = b"".join(event.data for event in client.named("DataReceived"))
        return status, body, site.access.getvalue()

    def test_believed(self) -> None:
        """
        A trusted proxy is believed, by any class of requests.
        """
        for factory in (Request, server.Request):
            status, body, log = self.ask(
                "10.0.0.1",
                ("x-forwarded-for", "127.0.0.1, 192.0.2.1"),
                ("x-forwarded-proto", "http"),
                ("x-forwarded-host", "www.example.org:8080"),
                requestFactory=factory,
            )
            self.assertEqual("200", status)
            self.assertEqual(
                expected(
                    ("192.0.2.1", 0),
                    False,
                    b"www.example.org",
                    8080,
                    "www.example.org:8080",
                ),
                body,
            )
            self.assertTrue(log.startswith('"192.0.2.1" - - '), log)

    def test_hostOnly(self) -> None:
        """
        Of what it does not say nothing is changed; a host that is none is no address.
        """
        status, body, _ = self.ask("10.0.0.1", ("x-forwarded-host", "a.example:81"))
        self.assertEqual("200", status)
        self.assertTrue(body.startswith(b"(('10.0.0.1', 1), True, b'a.example', 81"))
        _, body, _ = self.ask("10.0.0.1", ("x-forwarded-proto", "http"), host="a/b:81")
        self.assertTrue(body.startswith(b"(('10.0.0.1', 1), False, b'a/b', 80"), body)

    def test_strangers(self) -> None:
        """
        Nobody else is.
        """
        status, body, log = self.ask(
            "192.0.2.7",
            ("x-forwarded-for", "127.0.0.1"),
            ("x-forwarded-proto", "gopher"),
            ("x-forwarded-host", "www.example.org:8080"),
        )
        self.assertEqual("200", status)
        self.assertTrue(body.startswith(b"(('192.0.2.7', 1), True, b'example.com'"))
        self.assertTrue(log.startswith('"192.0.2.7" - - '), log)

    def test_malformed(self) -> None:
        """
        What can not be read is refused.
        """
        status, body, log = self.ask("10.0.0.1", ("x-forwarded-for", "localhost"))
        self.assertEqual("400", status)
        self.assertIn(b"malformed address of the client", body)
        self.assertTrue(log.startswith('"10.0.0.1" - - '), log)

    def test_rootPath(self) -> None:
        """
        The path that the proxy took off is there.
        """
        _, body, log = self.ask("10.0.0.1", ("x-forwarded-for", "::1"), root=b"/app")
        self.assertIn(b"b'https://example.com/app', ", body)
        self.assertIn('"GET /app/ HTTP/2" 200', log)


class Arguments(SynchronousTestCase):
    """
    The list itself.
    """

    def test_refused(self) -> None:
        """
        What is no network, or no family, is told at once.
        """
        for networks, wanted in (
            (["10.0.0.1/8"], "host bits"),
            (["localhost"], "localhost"),
            (["*"], "*"),
            (["10.0.0.0/33"], "10.0.0.0/33"),
            ([""], "''"),
        ):
            error = self.assertRaises(ValueError, TrustedProxies, networks)
            self.assertIn(wanted, str(error))
        self.assertRaises(TypeError, TrustedProxies, "10.0.0.0/8")
        error = self.assertRaises(ValueError, TrustedProxies, [], "both")
        self.assertIn("x-forwarded, forwarded", str(error))

    def test_repr(self) -> None:
        """
        It shows what it holds.
        """
        self.assertEqual(
            "<TrustedProxies 10.0.0.0/8, ::1/128, unix: forwarded>",
            repr(TrustedProxies(["10.0.0.0/8", "::1", "unix"], "forwarded")),
        )

    def test_remembersBounded(self) -> None:
        """
        Of addresses that were looked up only so many are remembered.
        """
        proxies = TrustedProxies(["10.0.0.0/8"])
        for number in range(3000):
            address = IPv4Address("TCP", str(ipaddress.ip_address(number)), 1)
            self.assertFalse(proxies.trusts(address))
        self.assertLessEqual(len(proxies._known), 1024)

    def test_believedBounded(self) -> None:
        """
        So many different fields are remembered, and only short ones; the answers are
        the same.
        """
        proxies = TrustedProxies(["10.0.0.0/8"])

        def client(value: bytes) -> Any:
            fields = {b"x-forwarded-for": [value]}
            origin = proxies.origin(lambda name: fields.get(name, ()))
            return None if origin is None else origin.client

        for number in range(1100):
            host = str(ipaddress.ip_address(number))
            value = host.encode() + b", 10.0.0.1"
            self.assertEqual(IPv4Address("TCP", host, 0), client(value))
        for _ in range(2):
            value = b"192.0.2.1" + b", 10.0.0.1" * 30
            self.assertEqual(IPv4Address("TCP", "192.0.2.1", 0), client(value))
        self.assertLessEqual(len(proxies._origins), 1024)
        self.assertNotIn(value, [said[0] for said in proxies._origins])

    def test_names(self) -> None:
        """
        An address that is a name is not that of a proxy.
        """
        proxies = TrustedProxies(["0.0.0.0/0", "::/0"])
        self.assertTrue(proxies.trusts(IPv4Address("TCP", "192.0.2.1", 1)))
        for address in (IPv4Address("TCP", "localhost", 1), HostnameAddress(b"a", 1)):
            self.assertFalse(proxies.trusts(address))
