"""
C{Strict-Transport-Security}: every response with TLS has it, and no other.
"""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SkipTest
from twisted.web import http, server
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from tests.support.memory import SecureMemoryTransport
from tests.support.responses import WireResponse
from tests.support.server_cases import FAST_PATH, Echo, ServerTestCase, get, post
from twisted_h11._server import sending
from twisted_h11.server import Site, TrustedProxies

FIELD = b"Strict-Transport-Security"


class TransportSecurityTests(ServerTestCase):
    """
    C{Site(hsts=...)}.
    """

    def ask(self, root: Any, data: bytes, secure: bool, **options: Any) -> WireResponse:
        """
        The response to one request.
        """
        site = self.site(root, **{"hsts": 31536000, **options})
        transport = SecureMemoryTransport() if secure else None
        wire = self.connect(site, transport)
        wire.methods.append(data.partition(b" ")[0])
        return wire.send(data).only()

    def test_everyResponse(self) -> None:
        """
        Whether it is the application that answers, at once, later or by failing, or the
        server, which finds nothing or refuses the request.
        """

        def fails(request: Any) -> bytes:
            raise RuntimeError("on purpose")

        def later(request: Any) -> object:
            request.write(b"later")
            request.finish()
            return NOT_DONE_YET

        for root, data, status in (
            (None, get(), 200),
            (None, get(method=b"HEAD"), 200),
            (None, post(b"body"), 200),
            (None, get(version=b"1.0"), 200),
            (later, get(), 200),
            (Resource(), get(b"/x"), 404),
            (Resource(), get(b"*", method=b"OPTIONS"), 200),
            (fails, get(), 500),
            (None, get(b"/", b"Bad"), 400),
            (None, get(host=None), 400),
            (None, b"nonsense\r\n\r\n", 400),
            (None, get(b"/", b"Transfer-Encoding: x", method=b"POST"), 501),
        ):
            with self.subTest(data=data):
                for secure in (True, False):
                    response = self.ask(root, data, secure)
                    self.assertEqual(status, response.status)
                    expected = [b"max-age=31536000"] if secure else []
                    self.assertEqual(expected, response.all(FIELD))
            self.flushLoggedErrors(RuntimeError)

    def test_requestClasses(self) -> None:
        """
        Whatever class the requests have: twisted.web's, one with its own C{process},
        or one that sets no field at all.  So it is with C{extraHeaders}.
        """

        class Foreign(server.Request):
            pass

        class Processing(server.Request):
            def process(self) -> None:
                super().process()

        class Bare(http.Request):
            def process(self) -> None:
                self.write(b"bare")
                self.finish()

        for kind in (server.Request, Foreign, Processing, Bare):
            for version in (b"1.1", b"1.0"):
                for secure in (True, False):
                    response = self.ask(
                        None,
                        get(version=version),
                        secure,
                        requestFactory=kind,
                        extraHeaders=[(b"X-Own", b"1")],
                    )
                    self.assertEqual(200, response.status)
                    expected = [b"max-age=31536000"] if secure else []
                    self.assertEqual(expected, response.all(FIELD))
                    self.assertEqual([b"1"], response.all(b"X-Own"))

    def test_common(self) -> None:
        """
        It leaves a common response of this package's requests to the fast path.
        """
        if not FAST_PATH:
            raise SkipTest("all responses go through h11")
        self.patch(sending, "_respond_by_h11", None)
        self.assertEqual(1, len(self.ask(None, get(), True).all(FIELD)))

    def test_application(self) -> None:
        """
        What the application says goes before.
        """

        def render(request: Any) -> bytes:
            request.setHeader(FIELD, b"max-age=5")
            return b""

        response = self.ask(render, get(), True)
        self.assertEqual([b"max-age=5"], response.all(FIELD))

    def test_value(self) -> None:
        """
        It is off unless it is asked for, and 0 takes back what was said.
        """
        for options, expected in (
            ({"hsts": None}, []),
            ({"hsts": 0}, [b"max-age=0"]),
            ({"hsts": 60}, [b"max-age=60"]),
        ):
            response = self.ask(None, get(), True, **options)
            self.assertEqual(expected, response.all(FIELD))
        self.assertRaises(ValueError, Site, Echo(), hsts=-1)

    def test_trustedProxy(self) -> None:
        """
        A proxy that is believed says whether its client uses TLS.
        """
        proxies = TrustedProxies(["0.0.0.0/0"])
        for proto, expected in ((b"https", [b"max-age=31536000"]), (b"http", [])):
            for secure in (True, False):
                response = self.ask(
                    None,
                    get(b"/", b"X-Forwarded-Proto: " + proto),
                    secure,
                    trustedProxies=proxies,
                )
                self.assertEqual(expected, response.all(FIELD))
