"""
An argument of the wrong type is a TypeError at the call, which names the
argument, what it must be, and what it is.
"""

from __future__ import annotations

import inspect
import os
from array import array
from collections.abc import Callable
from dataclasses import fields
from io import BytesIO
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import server as twisted_server
from twisted.web.resource import Resource
from typing_extensions import assert_type

from tests.support.client_cases import ClientTestCase
from tests.support.server_cases import GET, ServerTestCase, post
from twisted_h11 import (
    client,
    metrics,
    multipart,
    protocol,
    resources,
    server,
    testing,
    tls,
    wsgi,
)
from twisted_h11._boundary.checks import Kind, checked
from twisted_h11._boundary.octets import as_bytes
from twisted_h11._client.settings import describe_settings

Case = tuple[Callable[..., Any], dict[str, Any], dict[str, list[Any]]]

NUMBERS: list[Any] = ["5", b"5", [5], object()]
TEXTS: list[Any] = [5, None, ["x"], object()]
ONLY_BYTES: list[Any] = ["text", 5, ["x"], object()]
CALLS: list[Any] = [5, "name"]
OTHERS: list[Any] = [{"a": 1}, "text", 5]
PATHS: list[Any] = [5, [os.devnull], object()]

# An empty file: one of passwords without a name.
EMPTY = os.path.join(os.path.dirname(server.__file__), "py.typed")
FLAGS: list[Any] = ["yes", None, []]


def reactor() -> Any:
    """
    One that does nothing.
    """
    return MemoryReactorClock()


class Endpoint:
    """
    One that never connects.
    """

    def connect(self, factory: Any) -> Any:
        """
        Not yet.
        """
        return Deferred()

    def endpointForURI(self, uri: Any) -> Any:
        """
        Always this one.
        """
        return self


AGENT = {
    "settings": OTHERS,
    "pool": OTHERS,
    "trace": CALLS,
    "fastPath": FLAGS,
}

# A callable, arguments that it takes, and for each argument some that it does not.
CONSTRUCTORS: list[Case] = [
    (
        server.ProxyProtocolFactory,
        {
            "factory": server.Site(Resource(), reactor=MemoryReactorClock()),
            "trusted": server.TrustedProxies([]),
        },
        {
            "factory": OTHERS,
            "trusted": [*OTHERS, ["10.0.0.0/8"]],
            "reactor": OTHERS,
            "limits": [*OTHERS, server.Limits],
        },
    ),
    (
        server.TrustedProxies,
        {"networks": ["10.0.0.0/8"]},
        {"networks": [*OTHERS, "10.0.0.0/8", [b"10.0.0.0/8"]], "forwarded": [5, b"x"]},
    ),
    (
        server.Compression,
        {},
        {
            "types": ["text/html", 5, [b"text/html"]],
            "minimumLength": NUMBERS,
            "level": NUMBERS,
        },
    ),
    (
        server.ErrorPages,
        {"pages": {}},
        {"pages": [5, "404.html", [404], {"404": "x"}, {404: 5}]},
    ),
    (resources.PasswordFile, {"path": EMPTY}, {"path": [5, None, object()]}),
    (
        tls.ServerTLS,
        {"certificate": os.devnull},
        {
            "certificate": PATHS,
            "privateKey": PATHS,
            "certificates": PATHS,
            "clientCA": PATHS,
            "minimumVersion": [b"1.2", 1.2],
            "clientCertificate": [b"1.2", 1.2],
            "interval": NUMBERS,
            "clock": OTHERS,
        },
    ),
    (
        tls.TLSEndpoint,
        {"endpoint": TCP4ServerEndpoint(MemoryReactorClock(), 0), "tls": None},
        {"endpoint": OTHERS, "tls": [*OTHERS, None, tls.ServerTLS]},
    ),
    (
        resources.HTTPSRedirect,
        {"resource": Resource()},
        {
            "resource": [None, 5, Resource],
            "port": [0, 65536, "443"],
            "plain": [["/x/"], b"/x/", 5],
        },
    ),
    (
        resources.protect,
        {
            "resource": Resource(),
            "passwords": resources.PasswordFile(EMPTY),
        },
        {
            "resource": [],
            "passwords": [*OTHERS, resources.PasswordFile],
            "realm": [5, b"x"],
            "plain": [["/x/"], b"/x/", 5],
        },
    ),
    (metrics.Metrics, {}, {"directory": [5, object()]}),
    (
        metrics.StatusResource,
        {"metrics": metrics.Metrics()},
        {
            "metrics": [*OTHERS, metrics.Metrics],
            "isDraining": CALLS,
            "reactor": OTHERS,
        },
    ),
    (
        server.Site,
        {"resource": Resource()},
        {
            "resource": ["/srv", b"x", 5, Resource, object()],
            "requestFactory": CALLS,
            "logPath": [5, object()],
            "timeout": NUMBERS,
            "logFormatter": CALLS,
            "reactor": OTHERS,
            "parsePOSTFormSubmission": FLAGS,
            "limits": [*OTHERS, server.Limits],
            "http2": FLAGS,
            "fastPath": FLAGS,
            "serverHeader": ONLY_BYTES,
            "accessLog": FLAGS,
            "environUnderscores": FLAGS,
            "requestIds": FLAGS,
            "requestIdHeader": ONLY_BYTES,
            "hsts": NUMBERS,
            "logRotateSize": NUMBERS,
            "logRotateCount": [None, *NUMBERS],
            "metrics": [*OTHERS, object()],
            "compression": [*OTHERS, True],
            "errorPages": [*OTHERS, {404: "404.html"}],
            "trustedProxies": [*OTHERS, ["10.0.0.0/8"], server.TrustedProxies],
            "rootPath": ONLY_BYTES,
            "extraHeaders": [
                *OTHERS,
                [("A", "b")],
                [(b"A", "b")],
                [b"A: b"],
                [(b"A",)],
                [(b"A", None)],
            ],
        },
    ),
    (
        server.LogFile,
        {"path": "/dev/null"},
        {
            "path": [None, 5],
            "rotateSize": NUMBERS,
            "rotateCount": [None, *NUMBERS],
        },
    ),
    (
        client.Agent,
        {"reactor": reactor()},
        {
            **AGENT,
            "reactor": [None, *OTHERS],
            "contextFactory": OTHERS,
            "connectTimeout": NUMBERS,
            "proxies": [*OTHERS, "http://proxy"],
        },
    ),
    (
        client.Agent.usingEndpointFactory,
        {"reactor": reactor(), "endpointFactory": Endpoint()},
        {**AGENT, "reactor": [None, 5], "endpointFactory": [None, *OTHERS]},
    ),
    (
        client.ProxyAgent,
        {"endpoint": Endpoint(), "reactor": reactor()},
        {
            **AGENT,
            "endpoint": [None, *OTHERS],
            "reactor": OTHERS,
            "contextFactory": OTHERS,
        },
    ),
    (
        client.HTTPConnectionPool,
        {"reactor": reactor()},
        {"reactor": [None, 5], "persistent": FLAGS, "settings": OTHERS},
    ),
    (
        client.UNIXEndpointFactory,
        {"reactor": reactor(), "path": "/x"},
        {"reactor": [None, 5], "path": [None, 5], "timeout": [None, *NUMBERS]},
    ),
    (
        client.TunnelEndpoint,
        {
            "reactor": reactor(),
            "proxyEndpoint": Endpoint(),
            "host": b"a",
            "port": 1,
        },
        {
            "reactor": [None, 5],
            "proxyEndpoint": [None, 5],
            "host": [None, "a"],
            "port": NUMBERS,
            "authorization": ONLY_BYTES,
            "settings": [None, *OTHERS],
            "fastPath": FLAGS,
            "proxy": [None, 5, b"x"],
        },
    ),
    (
        client.Proxy,
        {"secure": False, "host": "a", "port": 1},
        {
            "secure": FLAGS,
            "host": [None, b"a", 5],
            "port": NUMBERS,
            "authorization": ["secret", 5],
        },
    ),
    (client.Proxy.fromURL, {"url": "http://a"}, {"url": [None, b"http://a", 5]}),
    (
        client.Proxies,
        {},
        {"http": OTHERS, "https": OTHERS, "exceptions": ["a", None, [5]]},
    ),
    (
        client.Proxies.fromEnvironment,
        {"environment": {}},
        {"environment": ["x", 5]},
    ),
    (
        client.TLSPolicy,
        {},
        {
            "clientCertificate": OTHERS,
            "pins": ["x", b"x" * 32, ["x"], 5],
            "extraRoots": [5, b"pem", [b"pem"]],
        },
    ),
    (client.certificates_from, {"pem": b"-"}, {"pem": [None, "-", 5]}),
    (client.public_key_pin, {"certificate": None}, {"certificate": [None, b"x"]}),
    (
        client.Headers,
        {},
        {"rawHeaders": [5, [(b"a", b"b")], "x"]},
    ),
    (
        protocol.H11Factory,
        {},
        {"protocol": CALLS, "limits": [None, *OTHERS], "reactor": OTHERS},
    ),
    (
        protocol.FileRegion,
        {"file": BytesIO(), "offset": 0, "count": 0},
        {
            "file": [None, "name", 5],
            "offset": NUMBERS,
            "count": [None, *NUMBERS],
            "ended": CALLS,
        },
    ),
    (
        testing.MemorySite,
        {"resource": Resource()},
        {"resource": [None, 5, "x", Resource], "clock": OTHERS},
    ),
    (
        testing.MemoryAgent,
        {"resource": Resource()},
        {
            "resource": [None, 5, "x", Resource],
            "clock": OTHERS,
            "settings": OTHERS,
            "fastPath": FLAGS,
        },
    ),
    (
        wsgi.WSGIResource,
        {"reactor": reactor(), "threadpool": None, "application": print},
        {
            "reactor": [None, 5],
            "threadpool": [5, "pool"],
            "application": [None, *CALLS],
        },
    ),
    (
        multipart.MultipartLimits,
        {},
        {f.name: NUMBERS for f in fields(multipart.MultipartLimits)},
    ),
    (
        multipart.parts_of,
        {"request": None},
        {"request": [None, b"x", twisted_server.Request]},
    ),
    (
        multipart.deliver_parts,
        {"request": None},
        {"request": [None, b"x", twisted_server.Request]},
    ),
]


class ConstructorTests(SynchronousTestCase):
    """
    Everything that a program makes.
    """

    def refuses(
        self, function: Any, right: dict[str, Any], argument: str, value: Any
    ) -> None:
        """
        C{value} is refused at the call, by the argument's name.
        """
        case = f"{function!r}: {argument}={value!r}"
        try:
            function(**{**right, argument: value})
        except TypeError as error:
            self.assertIn(argument, str(error), case)
            self.assertIn("must be" if argument != "pool" else "not", str(error), case)
            self.assertNotIn("secret", str(error))
        else:
            self.fail(f"{case} was taken")

    def test_each(self) -> None:
        """
        Each argument, and some of each other type.
        """
        count = 0
        for function, right, arguments in CONSTRUCTORS:
            for argument, values in arguments.items():
                for value in values:
                    if argument in ("pool", "contextFactory"):
                        # Worded as twisted.web's.
                        with self.assertRaises(TypeError) as caught:
                            function(**{**right, argument: value})
                        self.assertIn(repr(value), str(caught.exception))
                    else:
                        self.refuses(function, right, argument, value)
                    count += 1
        self.assertGreater(count, 250)

    def test_positional(self) -> None:
        """
        However the argument is given.
        """
        with self.assertRaises(TypeError) as caught:
            server.Site(Resource(), 5)
        self.assertIn("requestFactory", str(caught.exception))
        with self.assertRaises(TypeError) as caught:
            client.Agent(reactor(), None, "5")  # type: ignore[arg-type]
        self.assertIn("connectTimeout", str(caught.exception))

    def test_bounds(self) -> None:
        """
        Every field of every settings object.
        """
        names = 0
        for kind in (server.Limits, client.ClientSettings, client.PoolSettings):
            for bound in (
                fields(kind) if kind is server.Limits else describe_settings(kind)  # type: ignore[arg-type]
            ):
                for value in ("5", b"5", [5], object()):
                    if bound.name == "retryMethods" and value == [5]:
                        continue
                    self.refuses(kind, {}, bound.name, value)
                    names += 1
        self.assertGreater(names, 100)
        self.refuses(client.ClientSettings, {}, "retryMethods", [5])

    def test_names(self) -> None:
        """
        A name that no argument has is an error, for mypy too.
        """
        with self.assertRaises(TypeError) as caught:
            server.Site(Resource(), limts=server.Limits())  # type: ignore[call-arg]
        self.assertIn("limts", str(caught.exception))
        for function in (testing.MemorySite, testing.MemoryAgent):
            for root in (Resource(), server.Site(Resource())):
                with self.assertRaises(TypeError) as caught:
                    function(root, limts=1)
                self.assertIn("limts", str(caught.exception))
        for kind in (server.Limits, client.ClientSettings, client.PoolSettings):
            self.assertRaises(TypeError, kind, maxHeadLenght=1)

    def test_everyArgument(self) -> None:
        """
        No argument of a public constructor is left out of the table, except
        those that may be anything.
        """
        anything = {"bindAddress", "trustRoot", "minimumVersion", "self", "options"}
        for function, _, arguments in CONSTRUCTORS:
            if function in (multipart.parts_of, multipart.deliver_parts):
                continue
            names = set(inspect.signature(function).parameters)
            self.assertEqual(set(), names - set(arguments) - anything, function)

    def test_everyClass(self) -> None:
        """
        No public class that a program makes is left out.
        """
        covered = {function for function, _, _ in CONSTRUCTORS}
        covered |= {server.Limits, client.ClientSettings, client.PoolSettings}
        # Made by us, or Twisted's own.
        given = {
            "InterimResponse",
            "LogField",
            "MemoryConnection",
            "Part",
            "Parts",
            "Phased",
            "PoolCounts",
            "Request",
            "RequestBody",
            "Response",
            "TraceEvent",
            "ContentDecoderAgent",
            "CookieAgent",
            "FileWrapper",
            "GzipDecoder",
            "H11Protocol",
            "RedirectAgent",
            "BrowserLikeRedirectAgent",
        }
        seen = 0
        for module in (
            *(server, client, protocol, testing, multipart, wsgi),
            tls,
        ):
            for name in module.__all__:
                value = getattr(module, name)
                if not inspect.isclass(value) or issubclass(value, Exception):
                    continue
                if not value.__module__.startswith("twisted_h11"):
                    continue
                seen += 1
                self.assertTrue(value in covered or name in given, name)
        self.assertGreater(seen, 20)

    def test_subclass(self) -> None:
        """
        A site that finds resources in its own way may have any root.
        """

        class Own(server.Site):
            def getResourceFor(self, request: Any) -> Any:
                return Resource()

        Own("anything")
        server.Site(None)

    def test_theirsAreTaken(self) -> None:
        """
        What twisted.web takes is taken: positions, None, numbers of each kind.
        """
        site = server.Site(Resource(), None, None, 60.5, None, Clock())
        self.assertEqual(60.5, site.timeOut)
        self.assertIsNone(server.Site(Resource(), timeout=None).timeOut)
        self.assertEqual(75, server.Site(Resource()).timeOut)

    def test_twisted(self) -> None:
        """
        The arguments of twisted.web's site are ours, in their order.
        """
        ours = list(inspect.signature(server.Site).parameters)
        their = list(inspect.signature(twisted_server.Site).parameters)
        factory = twisted_server.Site.__mro__[1]
        more = list(inspect.signature(factory).parameters)
        self.assertEqual(their[:2] + more, ours[: 2 + len(more)])
        for name in their[2:]:
            if name not in ("args", "kwargs"):
                self.assertIn(name, ours)


class MethodTests(ServerTestCase):
    """
    What a resource calls.
    """

    calls: list[tuple[str, tuple[Any, ...], str]] = [  # noqa: RUF012
        ("setResponseCode", ("404",), "code"),
        ("setResponseCode", (b"404",), "code"),
        ("setResponseCode", (None,), "code"),
        ("setResponseCode", (404.0,), "code"),
        ("setResponseCode", (404, "text"), "message"),
        ("write", ("abc",), "data"),
        ("write", (5,), "data"),
        ("write", (None,), "data"),
        ("write", ([b"abc"],), "data"),
        ("setHeader", (5, b"x"), "name"),
        ("setHeader", (None, b"x"), "name"),
        ("setHeader", (b"x", 5), "value"),
        ("setHeader", (b"x", None), "value"),
        ("setHeader", (b"x", [b"x"]), "value"),
        ("addCookie", (5, b"x"), "k"),
        ("addCookie", (b"x", None), "v"),
        ("addCookie", (b"x", b"x", 5), "expires"),
        ("addCookie", (b"x", b"x", None, None, None, 5), "max_age"),
        ("redirect", (None,), "url"),
        ("setETag", (5,), "etag"),
        ("setLastModified", ("now",), "when"),
        ("setLastModified", (None,), "when"),
        ("setHost", ("a", 80), "host"),
        ("setHost", (b"a", "80"), "port"),
        ("setBodyLimit", ("5",), "most"),
        ("sendInterim", ("103",), "code"),
        ("sendInterim", (103, {"Link": "x"}), "headers"),
        ("sendInterim", (103, [("Link", "x")]), "headers"),
        ("deliverBody", (None,), "protocol"),
        ("deliverBody", (Protocol,), "protocol"),
        ("switchProtocol", (None,), "protocol"),
        ("switchProtocol", (Protocol,), "protocol"),
        ("sendFile", ("name",), "file"),
        ("sendFile", (BytesIO(), "0"), "offset"),
        ("sendFile", (BytesIO(), 0, "0"), "count"),
    ]

    def test_each(self) -> None:
        """
        Each raises at the call; where nobody catches it the answer is a 500.
        """
        for name, arguments, argument in self.calls:
            for caught in (True, False):
                texts: list[str] = []

                def render(
                    request: Any,
                    name: str = name,
                    arguments: tuple[Any, ...] = arguments,
                    texts: list[str] = texts,
                    caught: bool = caught,
                ) -> bytes:
                    function = getattr(request, name)
                    try:
                        function(*arguments)
                    except TypeError as error:
                        texts.append(str(error))
                        if not caught:
                            raise
                    return b"done"

                wire = self.talk(render, post(b"x"))
                case = f"{name}{arguments!r}"
                self.assertEqual(1, len(texts), f"{case} was taken")
                self.assertTrue(texts[0].startswith(f"{argument} must be"), texts[0])
                self.assertEqual([200 if caught else 500], wire.statuses, case)
                self.assertEqual(0 if caught else 1, len(self.flushLoggedErrors()))

    def test_taken(self) -> None:
        """
        What twisted.web takes is taken: text for fields, an empty text, and
        whatever has bytes, counted in bytes.
        """
        pieces: list[Any] = [
            b"a",
            "",
            b"",
            bytearray(b"b"),
            memoryview(b"c"),
            array("B", [1]),
            memoryview(b"0d0e0f")[1::2],
        ]

        def render(request: Any) -> bytes:
            request.setHeader("X-A", "b")
            request.setHeader(b"X-B", "b")
            request.addCookie("k", b"v", path="/")
            for piece in pieces:
                request.write(piece)
            request.finish()
            return twisted_server.NOT_DONE_YET  # type: ignore[return-value]

        length = b"%d" % sum(len(as_bytes(piece or b"")) for piece in pieces)
        for declared in (False, True):

            def both(request: Any, declared: bool = declared) -> bytes:
                if declared:
                    request.setHeader(b"Content-Length", length)
                return render(request)

            response = self.talk(both, GET).only()
            self.assertEqual(
                b"".join(as_bytes(p or b"") for p in pieces), response.body
            )
            self.assertTrue(response.complete)
            self.assertEqual([b"b"], response.all(b"x-a"))

    def test_mutatedLater(self) -> None:
        """
        What was written is what it was then.
        """

        def render(request: Any) -> None:
            data = bytearray(b"before")
            request.write(data)
            data[:] = b"behind"
            request.finish()

        self.assertEqual(b"before", self.talk(render, GET).only().body)

    def test_fallback(self) -> None:
        """
        A program may catch the error of a write and write bytes.
        """

        def render(request: Any) -> None:
            try:
                request.write("text")
            except TypeError:
                request.write(b"bytes")
            request.finish()

        self.assertEqual(b"bytes", self.talk(render, GET).only().body)

    def test_uncaught(self) -> None:
        """
        A write in a later turn that is not bytes does not leave the client
        without an answer: 500 before the head, an end that shows after it.
        """
        for first in (b"", b"some"):

            def render(request: Any, first: bytes = first) -> None:
                if first:
                    request.write(first)
                self.clock.callLater(0, request.write, "text")

            with self.assertRaises(TypeError):
                wire = self.talk(render, GET)
            wire = self.wires[-1]
            wire.settle(10)
            if first:
                self.assertFalse(wire.only().complete)
            else:
                self.assertEqual([500], wire.statuses)
            self.assertTrue(wire.closed or not first)
            self.flushLoggedErrors()

    def test_drain(self) -> None:
        """
        So does the site.
        """
        site = self.site()
        text = self.raised(TypeError, site.drain, "5")
        self.assertIn("timeout must be a number", text)


class ClientMethodTests(ClientTestCase):
    """
    What a program calls of the client.
    """

    def refused(self, argument: str, function: Any, *args: Any, **kwargs: Any) -> None:
        """
        The call is refused.
        """
        with self.assertRaises(TypeError) as caught:
            function(*args, **kwargs)
        text = str(caught.exception)
        self.assertTrue(text.startswith(f"{argument} must be"), text)

    def test_request(self) -> None:
        """
        Text where bytes are meant, and fields in another shape.
        """
        agents = [
            self.makeAgent(),
            client.ProxyAgent(self.network, self.clock, self.makePool()),
            client.Agent(
                reactor(),
                proxies=client.Proxies(http=client.Proxy.fromURL("http://u:p@a")),
            ),
        ]
        url = b"http://a/"
        for agent in agents:
            for method in ("GET", None, 5):
                self.refused("method", agent.request, method, url)
            for uri in ("http://a/", None, 5, [url]):
                self.refused("uri", agent.request, b"GET", uri)
            headers: list[Any] = [
                5,
                "A: b",
                b"A: b",
                {b"A": b"b"},
                {b"AB": b"bc"},
                {"A": ["b"]},
                [("A", "b")],
                [(b"A", 5)],
                [(b"A", None)],
                [b"A"],
                [(b"A",)],
                [5],
            ]
            for given in headers:
                self.refused("headers", agent.request, b"GET", url, given)
        self.assertEqual([], self.network.peers)

    def test_response(self) -> None:
        """
        A body goes to a protocol, and is still there after an error.
        """
        response = self.get(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")
        for given in (None, 5, Protocol):
            self.refused("protocol", response.deliverBody, given)
            self.refused("protocol", response.switchProtocol, given)
        body = client.readBody(response)
        self.assertEqual(b"ab", self.successResultOf(body))

    def test_headers(self) -> None:
        """
        Names and values are text or bytes.
        """
        headers = client.Headers()
        for bad in (5, None, [b"x"]):
            self.refused("name", headers.addRawHeader, bad, b"x")
            self.refused("value", headers.addRawHeader, b"x", bad)
            self.refused("name", headers.setRawHeaders, bad, [b"x"])
        self.refused("value", headers.setRawHeaders, b"x", [5])
        self.refused("values", headers.setRawHeaders, b"x", "abc")
        self.refused("value", client.Headers.fromPairs, [(b"x", 5)])

    def test_types(self) -> None:
        """
        mypy knows what a request gives.
        """
        deferred = self.makeAgent().request(b"GET", b"http://a/")
        assert_type(deferred, Deferred[client.Response])
        self.network.peers[-1].send(b"HTTP/1.1 204 OK\r\n\r\n")
        assert_type(self.successResultOf(deferred).code, int)

    def test_h11Protocol(self) -> None:
        """
        The protocol by itself gives its connection to a protocol.
        """
        connection = protocol.H11Protocol()
        transport = StringTransport()
        connection.makeConnection(transport)
        connection.dataReceived(GET)
        self.refused("protocol", connection.switchProtocol, None)


class CheckedTests(SynchronousTestCase):
    """
    The decorator.
    """

    def test_unknown(self) -> None:
        """
        A name that is no argument is a mistake of ours.
        """
        with self.assertRaises(ValueError):
            checked(other=Kind("x", bool))(lambda this: None)
