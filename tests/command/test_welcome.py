"""
The welcome: every request is answered with a description of itself.
"""

from __future__ import annotations

import json
import os
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from html.parser import HTMLParser
from io import BytesIO
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import INegotiated
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request as TwistedRequest
from twisted.web.test.requesthelper import DummyChannel, DummyRequest
from zope.interface import implementer

from tests.support.handshakes import Authority, both, handshake, write_file
from tests.support.memory import SecureMemoryTransport
from tests.support.responses import WireResponse
from tests.support.wire import Wire
from twisted_h11._command.welcome import (
    MAX_BODY_SHOWN,
    Welcome,
    describe_request,
    prefers_html,
)
from twisted_h11.server import Site
from twisted_h11.tls import ServerTLS

BROWSER = (
    b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,"
    b"image/webp,*/*;q=0.8"
)


class WelcomeTestCase(SynchronousTestCase):
    """
    Asks a site with a welcome as its root.
    """

    def ask(self, data: bytes, method: bytes = b"GET") -> WireResponse:
        """
        Send a request, and read the one response to it.
        """
        clock = Clock()
        site = Site(Welcome(), reactor=clock, accessLog=False)
        wire = Wire(site, clock)
        wire.methods.append(method)
        return wire.send(data).responses[0]

    def get(
        self,
        target: bytes = b"/",
        *fields: bytes,
        method: bytes = b"GET",
        body: bytes = b"",
    ) -> WireResponse:
        """
        Send a request made of parts.
        """
        lines = [method + b" " + target + b" HTTP/1.1", b"Host: example.com", *fields]
        if body:
            lines.append(b"Content-Length: %d" % (len(body),))
        return self.ask(b"\r\n".join([*lines, b"", b""]) + body, method)

    def page(self, target: bytes = b"/", *fields: bytes, **more: bytes) -> str:
        """
        The page that a browser gets.
        """
        response = self.get(target, b"Accept: " + BROWSER, *fields, **more)
        self.assertEqual([b"text/html; charset=utf-8"], response.all(b"content-type"))
        return response.body.decode("utf-8")


class JSONTests(WelcomeTestCase):
    """
    What clients that are not browsers get.
    """

    def test_everything(self) -> None:
        """
        The description has the request line, the fields as they were sent,
        the query and the addresses.
        """
        response = self.get(
            b"/a%20b?x=1&y=%C3%A9&x=", b"X-tESt:  1", b"ACCEPT: */*", b"x-test: 2"
        )
        self.assertEqual(200, response.status)
        self.assertEqual([b"application/json"], response.all(b"content-type"))
        self.assertTrue(response.body.endswith(b"}\n"))
        self.assertEqual(
            {
                "method": "GET",
                "target": "/a%20b?x=1&y=%C3%A9&x=",
                "version": "HTTP/1.1",
                "fields": [
                    ["Host", "example.com"],
                    ["X-tESt", "1"],
                    ["ACCEPT", "*/*"],
                    ["x-test", "2"],
                ],
                "query": {"x": ["1", ""], "y": ["é"]},
                "body": None,
                "tls": None,
                "peer": "192.0.2.7:50007",
                "host": "192.0.2.80:80",
            },
            json.loads(response.body),
        )

    def test_anyMethod(self) -> None:
        """
        Every method is answered, known or not, with its body.
        """
        for method in (b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS", b"FoO!"):
            response = self.get(b"/x", method=method, body=b"a=b")
            described = json.loads(response.body)
            self.assertEqual(method.decode(), described["method"])
            self.assertEqual(
                {"length": 3, "truncated": False, "text": "a=b"}, described["body"]
            )

    def test_head(self) -> None:
        """
        HEAD has the fields of GET, and no body.
        """
        head, get = self.get(method=b"HEAD"), self.get()
        self.assertEqual(b"", head.body)
        self.assertEqual(
            [b"%d" % (len(get.body) + 1,)], head.all(b"content-length")
        )  # "HEAD" is one longer than "GET"

    def test_connect(self) -> None:
        """
        CONNECT is not answered with a success, which would make a tunnel.
        """
        response = self.ask(
            b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", method=b"CONNECT"
        )
        self.assertIn(response.status, (405, 501))

    def test_bodyNotUTF8(self) -> None:
        """
        A body that is not UTF-8 is given in base64.
        """
        data = bytes(range(256))
        body = json.loads(self.get(method=b"POST", body=data).body)["body"]
        self.assertEqual(data, b64decode(body["base64"]))
        self.assertNotIn("text", body)

    def test_bodyBounded(self) -> None:
        """
        Only the beginning of a long body is given; the cut may be within a
        character.
        """
        data = b"x" + "é".encode() * MAX_BODY_SHOWN
        body = json.loads(self.get(method=b"POST", body=data).body)["body"]
        self.assertEqual(len(data), body["length"])
        self.assertTrue(body["truncated"])
        self.assertEqual("x" + "é" * ((MAX_BODY_SHOWN - 1) // 2), body["text"])

    def test_onlyASCII(self) -> None:
        """
        No byte of the request reaches a terminal as it is.
        """
        response = self.get(
            b"/", "X: \u009b31mé".encode(), method=b"POST", body=b"\x1b["
        )
        self.assertTrue(response.body.isascii())
        self.assertNotIn(b"\x1b", response.body)

    def test_bytesNotUTF8(self) -> None:
        """
        Bytes of a field that are not UTF-8 are spelled out.
        """
        fields = json.loads(self.get(b"/", b"X: a\xff").body)["fields"]
        self.assertIn(["X", "a\\xff"], fields)

    def test_fields(self) -> None:
        """
        The response is neither stored nor guessed at.
        """
        response = self.get()
        self.assertEqual([b"no-store"], response.all(b"cache-control"))
        self.assertEqual([b"nosniff"], response.all(b"x-content-type-options"))
        self.assertEqual([b"Accept"], response.all(b"vary"))


class _Tags(HTMLParser):
    """
    Collects the tags and the text of a page.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Note a tag.
        """
        self.tags.append(tag)
        self.attributes.update(name for name, value in attrs)

    def handle_data(self, data: str) -> None:
        """
        Note text.
        """
        self.text += data


class PageTests(WelcomeTestCase):
    """
    What browsers get.
    """

    def read(self, page: str) -> _Tags:
        """
        Parse a page.
        """
        tags = _Tags()
        tags.feed(page)
        tags.close()
        return tags

    def test_everything(self) -> None:
        """
        The page shows what the JSON has.
        """
        page = self.page(b"/a?name=J%C3%B6rg", b"X-tESt: 1", method=b"PUT", body=b"hi")
        text = self.read(page).text
        for expected in (
            "PUT /a?name=J%C3%B6rg HTTP/1.1",
            "X-tESt",
            "Jörg",
            "2 bytes",
            "192.0.2.7:50007",
            "192.0.2.80:80",
        ):
            self.assertIn(expected, text)

    def test_bodyNotUTF8(self) -> None:
        """
        A body that is not UTF-8 is shown in base64, and the page says so.
        """
        text = self.read(self.page(method=b"POST", body=b"\xff\xfe")).text
        self.assertIn("2 bytes, not UTF-8: shown in base64", text)
        self.assertIn("//4=", text)

    def test_long(self) -> None:
        """
        Of a long body the beginning is shown, and the page says so.
        """
        data = b"x" * MAX_BODY_SHOWN + b"y"
        text = self.read(self.page(method=b"POST", body=data)).text
        self.assertIn(f"{MAX_BODY_SHOWN + 1} bytes, the beginning is shown", text)
        self.assertNotIn("xy", text)

    def test_secure(self) -> None:
        """
        TLS is shown, also where nothing more can be said of it.
        """
        clock = Clock()
        site = Site(Welcome(), reactor=clock, accessLog=False)
        asked = b"GET / HTTP/1.1\r\nHost: a\r\nAccept: text/html\r\n\r\n"
        wire = Wire(site, clock, SecureMemoryTransport()).send(asked)
        text = self.read(wire.only().body.decode()).text
        for name, value in (
            ("TLS", "yes"),
            ("Cipher", "unknown"),
            ("ALPN", "not negotiated"),
        ):
            self.assertIn(f"{name}{value}", text)

    def test_escaped(self) -> None:
        """
        Whatever the request holds, the page has the same tags.
        """
        evil = b"\"'><script>alert(1)</script><img/src=x/onerror=alert(1)>{method}&amp;"
        plain = self.page(b"/x?a=b", b"X: y", method=b"POST", body=b"z")
        attack = self.page(
            b"/'onload=alert(1)?a=%22%3E%3Cscript%3E",
            b"X: " + evil,
            method=b"POST",
            body=b"</pre></style>" + evil,
        )
        self.assertEqual(self.read(plain).tags, self.read(attack).tags)
        self.assertEqual(self.read(plain).attributes, self.read(attack).attributes)
        self.assertIn(evil.decode(), self.read(attack).text)

    def test_policy(self) -> None:
        """
        The policy allows the style sheet of the page, and nothing else.
        """
        response = self.get(b"/", b"Accept: " + BROWSER)
        [policy] = response.all(b"content-security-policy")
        found = re.search(rb"<style>(.*)</style>", response.body, re.DOTALL)
        assert found is not None
        digest = b64encode(sha256(found[1]).digest())
        self.assertTrue(
            policy.startswith(
                b"default-src 'none'; style-src 'sha256-" + digest + b"';"
            )
        )
        self.assertEqual([b"nosniff"], response.all(b"x-content-type-options"))
        tags = self.read(response.body.decode())
        self.assertEqual(set(), {"script", "img", "link", "form"} & set(tags.tags))
        self.assertEqual(set(), {"src", "href", "style"} & tags.attributes)


class AcceptTests(SynchronousTestCase):
    """
    L{prefers_html}.
    """

    def test_preferences(self) -> None:
        """
        HTML is for those who rank it above JSON; others get JSON.
        """
        for accept, expected in (
            (BROWSER, True),
            (b"text/html", True),
            (b"text/*", True),
            (b"TEXT/HTML;level=1 ; Q=0.5, */*;q=0.1", True),
            (b"application/json, text/html;q=0.9", False),
            (b"text/html, application/json", False),
            (b"*/*", False),
            (b"text/html;q=0", False),
            (b"text/html;q=nonsense", False),
            (b"", False),
            (b";;,,=;q", False),
        ):
            self.assertEqual(expected, prefers_html([accept]), accept)
        self.assertFalse(prefers_html([]))
        self.assertTrue(prefers_html([b"text/plain", b"text/html"]))


class _TLSChannel(DummyChannel):
    """
    A channel of a TLS connection.
    """

    def isSecure(self) -> bool:
        """
        It is.
        """
        return True


@implementer(INegotiated)
class _TLSTransport(SecureMemoryTransport):
    """
    A connection whose handshake is done.
    """

    def __init__(self, handle: Any, negotiated: bytes | None) -> None:
        super().__init__()
        self.handle = handle
        self.negotiatedProtocol = negotiated

    def getHandle(self) -> Any:
        """
        OpenSSL's connection.
        """
        return self.handle


class DescribeTests(SynchronousTestCase):
    """
    L{describe_request} for requests that are not ours.
    """

    def request(self, channel: Any) -> Any:
        """
        A request of twisted.web's own.
        """
        request = TwistedRequest(channel)
        request.method, request.uri, request.clientproto = b"GET", b"/", b"HTTP/2"
        request.content = BytesIO()
        request.requestHeaders.addRawHeader(b"x-test", b"1")
        return request

    def test_withoutRawFields(self) -> None:
        """
        Where there are no raw fields, Twisted's are shown.
        """
        described = describe_request(self.request(DummyChannel()))
        self.assertEqual([["X-Test", "1"]], described["fields"])

    def test_tlsUnknown(self) -> None:
        """
        TLS whose details can not be had is still said to be TLS.
        """
        described = describe_request(self.request(_TLSChannel()))
        self.assertEqual(
            {"version": None, "cipher": None, "alpn": "h2"}, described["tls"]
        )

    def test_tls(self) -> None:
        """
        What TLS has agreed on is told: version, cipher, and the protocol, if there is
        one.
        """
        path = os.path.abspath(self.mktemp())
        tls = ServerTLS(write_file(path, both(Authority().leaf("a.example"))))
        talk = handshake(tls)
        version = talk.client.get_protocol_version_name()
        cipher = talk.client.get_cipher_name()
        for negotiated, alpn in ((b"http/1.1", "http/1.1"), (None, None)):
            channel: Any = _TLSChannel()
            request = self.request(channel)
            channel.transport = _TLSTransport(talk.server, negotiated)
            self.assertEqual(
                {"version": version, "cipher": cipher, "alpn": alpn},
                describe_request(request)["tls"],
            )

    def test_addresses(self) -> None:
        """
        Addresses are written as usual.
        """
        request: Any = DummyRequest([b""])
        request.clientproto, request.content = b"HTTP/1.1", BytesIO()
        request.isSecure = lambda: False
        for address, expected in (
            (IPv4Address("TCP", "192.0.2.1", 1), "192.0.2.1:1"),
            (IPv6Address("TCP", "::1", 1), "[::1]:1"),
            (UNIXAddress("/x"), "unix:/x"),
            (UNIXAddress(None), "unix:"),
            (None, None),
        ):
            request.getClientAddress = request.getHost = lambda it=address: it
            self.assertEqual(expected, describe_request(request)["peer"])
