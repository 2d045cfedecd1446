"""
Sites that are served with TLS only.
"""

from __future__ import annotations

from typing import Any

from twisted.web.resource import Resource
from zope.interface import implementer

from tests.support.memory import SecureMemoryTransport
from tests.support.responses import WireResponse
from tests.support.server_cases import Calls, Echo, ServerTestCase, get, post
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.resources import HTTPSRedirect
from twisted_h11.server import TrustedProxies


class RedirectTests(ServerTestCase):
    """
    L{HTTPSRedirect}.
    """

    def ask(
        self, root: Any, data: bytes, secure: bool = False, **options: Any
    ) -> WireResponse:
        """
        The response to one request, with or without TLS.
        """
        transport = SecureMemoryTransport() if secure else None
        wire = self.connect(self.site(root, **options), transport)
        wire.methods.append(data.partition(b" ")[0])
        return wire.send(data).only()

    def location(self, data: bytes, **options: Any) -> bytes:
        """
        Where a request is sent to.
        """
        response = self.ask(HTTPSRedirect(Echo(), **options), data)
        self.assertIn(response.status, (301, 308))
        (location,) = response.all(b"Location")
        return location

    def test_status(self) -> None:
        """
        GET and HEAD are 301, and all others keep their methods by 308.
        """
        for method, status in (
            (b"GET", 301),
            (b"HEAD", 301),
            (b"POST", 308),
            (b"PUT", 308),
            (b"OPTIONS", 308),
            (b"QUERY", 308),
        ):
            with self.subTest(method=method):
                asked = get(b"/x", method=method)
                response = self.ask(HTTPSRedirect(Echo()), asked)
                self.assertEqual(status, response.status)

    def test_where(self) -> None:
        """
        The host stays, its port becomes that of TLS, and path and query stay as they
        are, but for what must not stand in an address.
        """
        for host, port, target, expected in (
            (b"a.example", 443, b"/x?y=z", b"https://a.example/x?y=z"),
            (b"a.example:80", 443, b"/", b"https://a.example/"),
            (b"a.example:8080", 8443, b"/", b"https://a.example:8443/"),
            (b"a.example:", 443, b"/", b"https://a.example/"),
            (b"A.Example", 8443, b"/", b"https://A.Example:8443/"),
            (b"[::1]", 443, b"/", b"https://[::1]/"),
            (b"[::1]:8080", 443, b"/", b"https://[::1]/"),
            (b"[::1]:8080", 8443, b"/", b"https://[::1]:8443/"),
            (b"127.0.0.1:8080", 8443, b"/", b"https://127.0.0.1:8443/"),
            (
                b"a.example",
                443,
                b"//evil.example/x",
                b"https://a.example//evil.example/x",
            ),
            (b"a.example", 443, b"/%2f%0d%0a?%0d", b"https://a.example/%2f%0d%0a?%0d"),
            (b"a.example", 443, b'/"<>?"<>', b"https://a.example/%22%3C%3E?%22%3C%3E"),
            (b"a.example", 443, b"/?", b"https://a.example/?"),
            (b"a.example", 443, b"/?x\\y^", b"https://a.example/?x%5Cy%5E"),
            (b"b.example", 443, b"http://a.example:81/x?y", b"https://a.example/x?y"),
            (b"b.example", 443, b"http://a.example", b"https://a.example/"),
        ):
            with self.subTest(host=host, target=target):
                self.assertEqual(
                    expected, self.location(get(target, host=host), port=port)
                )

    def test_badHost(self) -> None:
        """
        A host that is none leads nowhere.
        """
        for host in (
            b"a.example@evil.example",
            b"a.example/evil.example",
            b"a.example?evil",
            b"evil.example\\a.example",
            b"evil.example, a.example",
            b"evil.example a.example",
            b"a.example:99999999",
            b"a.example:x",
            b"a.example:80:90",
            b"[::1",
            b"",
            b"a.example\r\nHost: evil.example",
            b"a.example\r\n\tevil.example",
            b"\x80",
            b"a#b",
        ):
            with self.subTest(host=host):
                response = self.ask(HTTPSRedirect(Echo()), get(host=host))
                self.assertEqual(
                    (400, []), (response.status, response.all(b"Location"))
                )
        response = self.ask(HTTPSRedirect(Echo()), get(version=b"1.0", host=None))
        self.assertEqual((400, []), (response.status, response.all(b"Location")))

    def test_port(self) -> None:
        """
        What tells the port is asked when a request comes.
        """
        ports = iter((8443, None, 443))
        for expected in (b"https://e:8443/", b"https://e/", b"https://e/"):
            redirect = self.location(get(host=b"e"), port=lambda: next(ports))
            self.assertEqual(expected, redirect)

    def test_secure(self) -> None:
        """
        With TLS everything is served, by whatever is at the root.
        """
        tree = Resource()
        tree.putChild(b"a", Echo())
        for root, target, status in (
            (Echo(), b"/a/b", 200),
            (Echo(), b"/", 200),
            (tree, b"/a", 200),
            (tree, b"/", 404),
            (tree, b"/b", 404),
        ):
            response = self.ask(HTTPSRedirect(root), get(target), secure=True)
            self.assertEqual(status, response.status)
        response = self.ask(HTTPSRedirect(Echo()), post(b"body"), secure=True)
        self.assertEqual(b"body", response.body)

    def test_paths(self) -> None:
        """
        What is behind sees the path as without the redirect.
        """
        seen: list[Any] = []

        def render(request: Any) -> bytes:
            seen.append((request.prepath, request.postpath))
            return b""

        root = Resource()
        root.putChild(b"a", Calls(render))
        for made in (root, HTTPSRedirect(root)):
            for data in (get(b"/a/b/c"), post(b"x", target=b"/a/b")):
                self.ask(made, data, secure=True)
        self.assertEqual(seen[:2], seen[2:])

    def test_plain(self) -> None:
        """
        What is below a path that is served without TLS is, and nothing else.
        """
        begin = b"/.well-known/acme-challenge/"
        for target, served in (
            (begin + b"token", True),
            (begin + b"a/b", True),
            (begin, False),
            (begin[:-1], False),
            (b"/.well-known/other", False),
            (b"/x" + begin + b"token", False),
            (begin + b"../../secret", False),
            (begin + b"%2e%2e/secret", False),
            (begin + b"./x", False),
            (begin + b"/x", False),
            (b"/.well-known/./acme-challenge/x", False),
            (b"/%2ewell-known/acme-challenge/x", True),
            (b"http://a.example" + begin + b"token", True),
        ):
            with self.subTest(target=target):
                response = self.ask(HTTPSRedirect(Echo(), plain=[begin]), get(target))
                self.assertEqual(200 if served else 301, response.status)

    def test_bodyStays(self) -> None:
        """
        A request that is sent elsewhere is answered before its body is here.
        """
        asked = get(b"/x", b"Content-Length: 50000000", method=b"POST")
        response = self.ask(HTTPSRedirect(Echo()), asked)
        self.assertEqual(308, response.status)

    def test_expectation(self) -> None:
        """
        It is not told to send it, either.
        """
        fields = (b"Content-Length: 5", b"Expect: 100-continue")
        response = self.ask(HTTPSRedirect(Echo()), get(b"/x", *fields, method=b"POST"))
        self.assertEqual((308, []), (response.status, response.interim))

    def test_streaming(self) -> None:
        """
        With TLS a streaming resource gets the body as it comes.
        """
        began: list[bytes] = []

        @implementer(IStreamingResource)
        class Upload(Resource):
            isLeaf = True

            def render(self, request: Any) -> Any:
                began.append(request.path)
                request.setResponseCode(202)
                return b"begun"

        for root in (Upload(), tree(Upload())):
            asked = get(b"/a", b"Content-Length: 5", method=b"PUT")
            response = self.ask(HTTPSRedirect(root), asked, secure=True)
            self.assertEqual(202, response.status)
        self.assertEqual([b"/a"] * 2, began)

    def test_bodyLimit(self) -> None:
        """
        The bounds on bodies are those of what is behind.
        """

        class Long(Echo):
            maxBodyLength = 100

        for root, status in ((Echo(), 413), (Long(), 200), (tree(Long()), 200)):
            response = self.ask(
                HTTPSRedirect(root),
                post(b"x" * 50, target=b"/a"),
                secure=True,
                limits={"maxBodyLength": 10},
            )
            self.assertEqual(status, response.status)

    def test_ownPath(self) -> None:
        """
        Wherever it was put into a tree it holds for that very path, too; with TLS what
        is behind has its body there.
        """
        root = tree(HTTPSRedirect(Echo()))
        for target in (b"/a", b"/a/", b"/a/b"):
            for data, status in ((get(target), 301), (post(b"x", target=target), 308)):
                response = self.ask(root, data)
                self.assertEqual(status, response.status, data)
                location = b"https://example.com" + target
                self.assertEqual([location], response.all(b"Location"))
                response = self.ask(root, data, secure=True)
                body = b"x" if status == 308 else b"nothing"
                self.assertEqual((200, body), (response.status, response.body), data)

    def test_connect(self) -> None:
        """
        CONNECT has no URL: without TLS it is refused, with it what is behind is asked.
        """
        asked = get(b"example.com:443", method=b"CONNECT", host=b"example.com:443")
        root = HTTPSRedirect(Calls(lambda request: b"."))
        self.assertEqual(400, self.ask(root, asked).status)
        self.assertEqual(200, self.ask(root, asked, secure=True).status)

    def test_putChild(self) -> None:
        """
        Children are those of what is behind.
        """
        behind = Resource()
        HTTPSRedirect(behind).putChild(b"a", Echo())
        self.assertEqual([b"a"], behind.listNames())

    def test_trustedProxy(self) -> None:
        """
        A proxy that is believed says whether its client uses TLS.
        """
        proxies = TrustedProxies(["192.0.2.0/24", "127.0.0.1", "198.51.100.0/24"])
        root = HTTPSRedirect(Echo())
        for proto, status in ((b"https", 200), (b"http", 301)):
            response = self.ask(
                root,
                get(
                    b"/",
                    b"X-Forwarded-For: 203.0.113.1",
                    b"X-Forwarded-Proto: " + proto,
                ),
                trustedProxies=proxies,
            )
            self.assertEqual(status, response.status)

    def test_arguments(self) -> None:
        """
        Wrong arguments are told at the call.
        """
        made: Any = HTTPSRedirect
        for wrong in (
            {"resource": Echo},
            {"resource": None},
            {"port": 0},
            {"port": 65536},
            {"port": "443"},
            {"plain": ["/x/"]},
            {"plain": b"/x/"},
        ):
            with self.subTest(wrong=wrong):
                arguments = {"resource": Echo(), **wrong}
                self.assertRaises(TypeError, made, **arguments)
        for path in (b"x/", b"/x", b"", b"x"):
            self.assertRaises(ValueError, made, Echo(), plain=[path])


def tree(child: Any) -> Resource:
    """
    A resource with a child.
    """
    root = Resource()
    root.putChild(b"a", child)
    return root
