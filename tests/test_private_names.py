"""
Names of Twisted that are not public, and that we use all the same: each of them
fails here when it changes, and what is done without it is tried.
"""

from __future__ import annotations

import ast
import inspect
import pathlib
import signal
import socket
import textwrap
from collections.abc import Iterator
from io import BytesIO
from threading import Thread
from types import SimpleNamespace
from typing import Any

from OpenSSL import SSL
from twisted.application import app
from twisted.internet import _sslverify, abstract, base, ssl, tcp
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock, Cooperator
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.protocols import tls
from twisted.python.components import Componentized
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest, SynchronousTestCase
from twisted.web import (
    _newclient,
    client,
    http,
    http_headers,
    resource,
    server,
    static,
    wsgi,
)
from twisted.web.http_headers import Headers
from zope.interface import implementer

import twisted
import twisted_h11
from tests.support.server_cases import Calls, ServerTestCase, get, post
from twisted_h11._boundary import twisted_private, twisted_private_client
from twisted_h11._boundary.twisted_private_client import creator_of_layer, verified_name
from twisted_h11._server.request import Request
from twisted_h11._wire import progress
from twisted_h11.client import UnexpectedEnd, UNIXEndpointFactory
from twisted_h11.server import Site

PACKAGE = pathlib.Path(twisted_h11.__file__).parent

# What the package uses of Twisted's private names, and the test for each here.
KNOWN = {
    "_DataLoss": "ClientErrorTests",
    "_IEncodingResource": "EncodingTests",
    "_StandardEndpointFactory": "AgentTests",
    "_badHostname": "NameTests",
    "_bindAddress": "AgentTests",
    "_getEndpoint": "AgentTests",
    "_cooperate": "BodyProducerTests",
    "_newclient": "ClientErrorTests",
    "_policyForHTTPS": "AgentTests",
    "_requestWithEndpoint": "AgentTests",
    "_parsePOSTFormSubmission": "FormTests",
    "_rawHeaders": "HeadersTests",
    "_tempDataLen": "TransportTests",
    "_connectionCreator": "TLSTests",
    "_creatorCallable": "TLSTests",
    "_verifyCB": "CallbackTests",
    "_verify_helper": "CallbackTests",
    "_hostnameASCII": "TLSTests",
    # State of twisted.web's Request that our methods share with it.
    "_disconnected": "RequestTests",
    "_encoder": "RequestTests",
    "_inFakeHead": "RequestTests",
    "_log": "RequestTests",
}

# Private by their name, but documented, or Python's and not Twisted's.
PUBLIC = {"_asdict", "_exit", "_replace", "_fields"}


def private_names_of_twisted() -> set[str]:
    """
    Every private name that the modules of Twisted define that we touch.
    """
    found: set[str] = {"_newclient"}
    for module in (http, http_headers, server, resource, static, client, _newclient):
        found |= private_names_in(ast.parse(inspect.getsource(module)))
    for module in (tcp, abstract, _sslverify, tls):
        found |= private_names_in(ast.parse(inspect.getsource(module)))
    return found


def private_names_in(tree: ast.AST) -> set[str]:
    """
    The private names that a module defines.
    """
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return {n for n in found if n.startswith("_") and not n.startswith("__")}


def attributes_set_by(cls: type) -> set[str]:
    """
    The attributes that a class's C{__init__}, or that of a class it inherits
    from, sets on C{self}.
    """
    names = set()
    for one in cls.__mro__:
        init = vars(one).get("__init__")
        if not inspect.isfunction(init):
            continue
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Attribute)
                and isinstance(node.ctx, ast.Store)
                and isinstance(node.value, ast.Name)
                and node.value.id == "self"
            ):
                names.add(node.attr)
    return names


def trees() -> Iterator[tuple[str, ast.AST]]:
    """
    The modules of the package, those in its folders too.
    """
    for path in sorted(PACKAGE.rglob("*.py")):
        yield path.relative_to(PACKAGE).as_posix(), ast.parse(path.read_text("utf-8"))


def private_names_of_ours() -> set[str]:
    """
    Every private name that the package defines: then it means our own.
    """
    return {name for _, tree in trees() for name in private_names_in(tree)}


def private_names_used() -> dict[str, set[str]]:
    """
    Every private name that the package reads or imports, and the modules.
    """
    found: dict[str, set[str]] = {}
    for module, tree in trees():
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Attribute):
                names = [node.attr]
            elif isinstance(node, ast.ImportFrom) and node.module is not None:
                if node.module.partition(".")[0] != "twisted_h11":
                    names = [*node.module.split("."), *[n.name for n in node.names]]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                # The name for getattr.
                names = [node.value]
            for name in names:
                if name.startswith("_") and not name.startswith("__"):
                    found.setdefault(name, set()).add(module)
    return found


class CompletenessTests(SynchronousTestCase):
    """
    The list in this module is whole.
    """

    def test_allKnown(self) -> None:
        """
        Whatever private name we use that we do not define ourselves, or that
        Twisted's Request and Site have too, is in the list.
        """
        ours = private_names_of_ours()
        inherited = {
            name
            for cls in (server.Request, server.Site)
            for one in cls.__mro__
            for name in {*vars(one), *attributes_set_by(one)}
        }
        theirs = private_names_of_twisted()
        used = private_names_used()
        unknown = {
            name: modules
            for name, modules in used.items()
            if (name not in ours or name in inherited)
            and name in theirs
            and name not in KNOWN
            and name not in PUBLIC
        }
        self.assertEqual(unknown, {})

    def test_allUsed(self) -> None:
        """
        The list has nothing that is not used any more.
        """
        self.assertLessEqual(set(KNOWN), set(private_names_used()))
        for test in KNOWN.values():
            self.assertIn(test, globals())


class NameTests(SynchronousTestCase):
    """
    C{HostnameEndpoint._badHostname}.
    """

    def test_theirs(self) -> None:
        """
        It is true for a name that IDNA does not allow, and only then.
        """
        for name, bad in (("a_b", True), ("a.example", False), ("::1", False)):
            endpoint = HostnameEndpoint(MemoryReactorClock(), name, 80)
            self.assertIs(bad, endpoint._badHostname)
            twisted_private_client.accept_name(endpoint)
            self.assertIs(False, endpoint._badHostname)

    def test_fallback(self) -> None:
        """
        An endpoint without it stays as it is.
        """
        endpoint = SimpleNamespace()
        twisted_private_client.accept_name(endpoint)
        self.assertEqual({}, vars(endpoint))


class TLSTests(SynchronousTestCase):
    """
    C{ClientTLSOptions._hostnameASCII}; C{TLSMemoryBIOFactory._connectionCreator},
    or since Twisted 26.4 C{_creatorCallable}.
    """

    def test_theirs(self) -> None:
        """
        The first is the name that is verified; the others lead to the creator.
        """
        creator = ssl.optionsForClientTLS("b\N{LATIN SMALL LETTER U WITH DIAERESIS}.a")
        self.assertEqual("xn--b-eha.a", verified_name(creator))
        factory = tls.TLSMemoryBIOFactory(creator, True, Factory.forProtocol(Protocol))
        self.assertIs(creator, creator_of_layer(factory.buildProtocol(None)))

    def test_fallback(self) -> None:
        """
        Where they are not, nothing is known, and nothing raised.
        """
        self.assertIsNone(verified_name(object()))
        for transport in (None, object(), StringTransport()):
            self.assertIsNone(creator_of_layer(transport))
        factory = SimpleNamespace(_creatorCallable=lambda protocol: None)
        self.assertIsNone(creator_of_layer(SimpleNamespace(factory=factory)))
        # As it was before Twisted 26.4.
        factory = SimpleNamespace(_connectionCreator=self)
        self.assertIs(self, creator_of_layer(SimpleNamespace(factory=factory)))


class CallbackTests(SynchronousTestCase):
    """
    C{_verifyCB} of Twisted 26.4 and later, and C{Connection._verify_helper} of
    pyOpenSSL.
    """

    def connection(self, name: str) -> Any:
        """
        A connection as Twisted makes it.
        """
        creator = ssl.optionsForClientTLS(name)
        factory = tls.TLSMemoryBIOFactory(creator, True, Factory.forProtocol(Protocol))
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(StringTransport())
        self.addCleanup(protocol.connectionLost, Failure(ConnectionDone()))
        return protocol.getHandle()

    def test_theirs(self) -> None:
        """
        The callback is found, and the name in it.
        """
        if not hasattr(_sslverify, "_verifyCB"):
            # Twisted's verification fails closed, in these releases.
            year, month = twisted.__version__.split(".")[:2]
            self.assertLess((int(year), int(month)), (26, 4))
            raise SkipTest("this Twisted verifies in another way")
        for name in ("a.example", "127.0.0.1", "::1"):
            connection = self.connection(name)
            self.assertEqual(name, twisted_private_client.name_in_callback(connection))
        connection.set_verify(SSL.VERIFY_PEER, lambda *arguments: True)
        self.assertIsNone(twisted_private_client.name_in_callback(connection))

    def test_without(self) -> None:
        """
        Without them nothing is known.
        """
        connection = self.connection("a.example")
        for thing in (None, object(), SSL.Connection(connection.get_context(), None)):
            self.assertIsNone(twisted_private_client.name_in_callback(thing))
        self.patch(twisted_private_client, "_sslverify", object())
        self.assertIsNone(twisted_private_client.name_in_callback(connection))


class HeadersTests(SynchronousTestCase):
    """
    C{Headers._rawHeaders}.
    """

    def test_theirs(self) -> None:
        """
        It is a dictionary of canonical names and lists of values, in order, and
        it is where the fields are.
        """
        headers = Headers()
        headers.setRawHeaders(b"content-type", [b"a"])
        headers.addRawHeader(b"X-b", b"1")
        headers.addRawHeader(b"x-B", b"2")
        raw: Any = headers._rawHeaders
        expected = {b"Content-Type": [b"a"], b"X-B": [b"1", b"2"]}
        self.assertIs(type(raw), dict)
        self.assertEqual(raw, expected)
        self.assertEqual(list(raw.items()), list(headers.getAllRawHeaders()))
        raw[b"Date"] = [b"now"]
        self.assertEqual(headers.getRawHeaders(b"date"), [b"now"])
        self.assertTrue(headers.hasHeader(b"DATE"))

    def test_canonical(self) -> None:
        """
        The names that we set by this way are canonical.
        """
        for name in (b"Server", b"Date", b"Content-Type", b"Content-Length"):
            headers = Headers()
            headers.setRawHeaders(name.lower(), [b"x"])
            self.assertEqual([key for key, _ in headers.getAllRawHeaders()], [name])

    def test_used(self) -> None:
        """
        We have found it.
        """
        self.assertTrue(twisted_private._transparent)

    def test_without(self) -> None:
        """
        Without it the same fields are set and read.
        """
        direct = twisted_private.response_headers(b"s", b"d")
        before = dict(twisted_private.raw_fields(direct))
        self.patch(twisted_private, "_transparent", False)
        made = twisted_private.response_headers(b"s", b"d")
        self.assertEqual(made, direct)
        self.assertEqual(twisted_private.raw_fields(made), before)
        twisted_private.set_known(made, b"Date", b"e")
        self.assertEqual(made.getRawHeaders(b"date"), [b"e"])
        for headers in (made, direct):
            twisted_private.add_known(headers, b"X-A", b"1")
            twisted_private.add_known(headers, b"X-A", b"2")
            self.assertEqual(headers.getRawHeaders(b"x-a"), [b"1", b"2"])
            self.patch(twisted_private, "_transparent", True)

    def test_setField(self) -> None:
        """
        C{set_field} does what C{setRawHeaders} does, the first time and later, with
        the attribute and without it, whatever it is given.
        """

        class Own(Headers):
            def setRawHeaders(self, name: Any, values: Any) -> None:
                super().setRawHeaders(b"x-own", values)

        def outcome(call: Any, headers: Any, *args: Any) -> object:
            try:
                call(headers, *args)
            except Exception as error:
                return type(error), str(error)
            return list(headers.getAllRawHeaders())

        names: list[Any] = [b"content-type", b"ETAG", "x-text", b"X-Xss-Protection"]
        names += [b"", b"x y", b"x\r\n", "x:", None, 1, bytearray(b"x")]
        values: list[Any] = [b"", b"a", b" a", b"a\t", b"a\r\nb: c", b"a\nb", b"a\rb"]
        values += [
            b"a\x0bb",
            b"a\x00",
            b"\xff",
            "text",
            "a\nb",
            5,
            None,
            bytearray(b"a"),
        ]
        for transparent in (True, False):
            self.patch(twisted_private, "_transparent", transparent)
            for kind in (Headers, Own):
                for name in names:
                    for value in values * 2:
                        real = outcome(
                            lambda h, n, v: h.setRawHeaders(n, [v]), kind(), name, value
                        )
                        ours = outcome(twisted_private.set_field, kind(), name, value)
                        self.assertEqual(real, ours, f"{name!r}: {value!r}")

    def test_namesAreBounded(self) -> None:
        """
        No more than so many names of fields are kept.
        """
        self.patch(twisted_private, "_canonical", {})
        self.patch(twisted_private, "_MOST_NAMES", 3)
        for number in range(5):
            headers = Headers()
            twisted_private.set_field(headers, b"x-%d" % number, b"a")
            self.assertEqual([b"a"], headers.getRawHeaders(b"x-%d" % number))
        self.assertEqual(3, len(twisted_private._canonical))

    def test_noServer(self) -> None:
        """
        A site without a name says none.
        """
        for transparent in (True, False):
            self.patch(twisted_private, "_transparent", transparent)
            made = twisted_private.response_headers(None, b"d")
            self.assertEqual({b"Date": [b"d"]}, dict(made.getAllRawHeaders()))


class EncodingTests(ServerTestCase):
    """
    C{twisted.web.resource._IEncodingResource}.
    """

    def wrapped(self) -> Any:
        """
        A resource whose answer is compressed.
        """
        return resource.EncodingResourceWrapper(
            Calls(lambda request: b"x" * 100), [server.GzipEncoderFactory()]
        )

    def coding(self) -> bytes | None:
        """
        How it answers to a client that takes gzip.
        """
        wire = self.talk(self.wrapped(), get(b"/", b"Accept-Encoding: gzip"))
        return wire.only().get(b"content-encoding")

    def test_theirs(self) -> None:
        """
        It is an interface, and the wrapper provides it.
        """
        interface: Any = vars(resource)["_IEncodingResource"]
        self.assertTrue(interface.providedBy(self.wrapped()))
        self.assertIn("getEncoder", interface)
        self.assertEqual(self.coding(), b"gzip")

    def test_without(self) -> None:
        """
        Without it, what has a C{getEncoder} is asked.
        """
        self.patch(twisted_private, "_IEncodingResource", None)
        self.assertEqual(self.coding(), b"gzip")
        self.assertIsNone(twisted_private.encoder_for(resource.Resource(), None))

    def test_byChance(self) -> None:
        """
        A resource that has a method of this name by chance is not asked.
        """

        @implementer(resource.IResource)
        class Chance(resource.Resource):
            def getEncoder(self, request: object) -> object:
                raise AssertionError("it was asked")

        self.assertIsNone(twisted_private.encoder_for(Chance(), None))


class BodyProducerTests(SynchronousTestCase):
    """
    C{FileBodyProducer._cooperate}.
    """

    def test_read(self) -> None:
        """
        It is what starts the task of a file's producer.
        """
        started: list[Any] = []
        producer = client.FileBodyProducer(BytesIO(b"abc"))
        twisted_private_client.produce_on(producer, started.append)
        with self.assertRaises(AttributeError):
            producer.startProducing(None)
        self.assertEqual(1, len(started))

    def test_given(self) -> None:
        """
        One that has its own way keeps it; so does anything else.
        """
        own = Cooperator(started=False)
        producer = client.FileBodyProducer(BytesIO(b"abc"), cooperator=own)
        twisted_private_client.produce_on(producer, None)
        self.assertEqual(own.cooperate, producer._cooperate)
        for other in (None, b"abc", object()):
            twisted_private_client.produce_on(other, None)


class FormTests(ServerTestCase):
    """
    C{twisted.web.server.Site._parsePOSTFormSubmission}.
    """

    FORM = post(b"a=1", b"Content-Type: application/x-www-form-urlencoded")

    def arguments(self, **options: Any) -> dict[bytes, list[bytes]]:
        """
        What a resource sees of a form.
        """
        seen: list[dict[bytes, list[bytes]]] = []

        def render(request: Any) -> bytes:
            seen.append(dict(request.args))
            return b""

        self.talk(render, self.FORM, **options)
        [found] = seen
        return found

    def test_theirs(self) -> None:
        """
        Where a site takes C{parsePOSTFormSubmission}, this is what it becomes,
        and it decides about forms.
        """
        if "parsePOSTFormSubmission" not in inspect.signature(server.Site).parameters:
            # Before 25.5 there is nothing to decide.
            self.assertFalse(hasattr(self.site(), "_parsePOSTFormSubmission"))
            return
        for value, expected in ((True, {b"a": [b"1"]}), (False, {})):
            site = self.site(parsePOSTFormSubmission=value)
            self.assertEqual(site._parsePOSTFormSubmission, value)
            self.assertEqual(twisted_private.parses_forms(site), value)
            self.assertEqual(self.arguments(parsePOSTFormSubmission=value), expected)

    def test_without(self) -> None:
        """
        Without it, forms are parsed.
        """
        self.assertTrue(twisted_private.parses_forms(object()))
        self.assertEqual(self.arguments(), {b"a": [b"1"]})

    def test_requestWithout(self) -> None:
        """
        Without it a foreign request has its form parsed before C{requestReceived}.
        """

        class Older(server.Request):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **kwargs)
                self.__dict__.pop("_parsePOSTFormSubmission", None)

        self.assertFalse(twisted_private.parse_form_by(object(), print))
        for factory in (server.Request, Older):
            self.assertEqual(
                self.arguments(requestFactory=factory), {b"a": [b"1"]}, factory
            )


class TransportTests(SynchronousTestCase):
    """
    C{FileDescriptor._tempDataLen}.
    """

    def test_theirs(self) -> None:
        """
        What a transport keeps is counted by it, by C{dataBuffer} and by
        C{offset}, before it has tried to write.
        """
        ours, theirs = socket.socketpair()
        self.addCleanup(ours.close)
        self.addCleanup(theirs.close)
        transport: Any = tcp.Connection.__new__(tcp.Connection)
        reactor: Any = Clock()
        abstract.FileDescriptor.__init__(transport, reactor)
        transport.connected = 1
        transport.socket = ours
        transport.startWriting = lambda: None
        transport.write(b"abc")
        transport.writeSequence([b"de", b"f"])
        self.assertEqual(transport._tempDataLen, 6)
        self.assertEqual(progress._waiting(transport), 6)
        transport.dataBuffer, transport.offset = b"0123456789", 4
        self.assertEqual(progress._waiting(transport), 12)


class ClientErrorTests(SynchronousTestCase):
    """
    The exceptions of C{twisted.web._newclient} have no public home.
    """

    def test_theirs(self) -> None:
        """
        They are there, and programs that catch them catch what we raise.
        """
        for name in ("ExcessWrite", "RequestNotSent", "WrongBodyLength"):
            self.assertTrue(issubclass(getattr(_newclient, name), Exception), name)
        self.assertTrue(issubclass(UnexpectedEnd, http._DataLoss))

    def test_public(self) -> None:
        """
        Those that have a public home are imported from there.
        """
        public = set(client.__all__)
        found = 0
        for module, tree in trees():
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom) and node.module == (
                    "twisted.web._newclient"
                ):
                    names = {name.name for name in node.names}
                    self.assertEqual(names & public, set(), module)
                    found += 1
        self.assertTrue(found, "nothing is imported from there any more")


class _Channel:
    """
    As much of a channel as twisted.web's Request looks at when it is made.
    """

    transport = object()

    def __init__(self) -> None:
        self.site = server.Site(resource.Resource(), reactor=Clock())

    def getPeer(self) -> IPv4Address:
        """
        The client.
        """
        return IPv4Address("TCP", "192.0.2.7", 50007)

    def getHost(self) -> IPv4Address:
        """
        Ourselves.
        """
        return IPv4Address("TCP", "192.0.2.80", 80)


class AgentTests(SynchronousTestCase):
    """
    What tells which of Twisted's agents asks a pool, and how it connects.
    """

    def ways(self, agent: Any, uri: bytes = b"http://a/") -> Any:
        """
        What is known of an agent while it asks.
        """
        found: list[Any] = []

        class Pool:
            persistent = True

            def getConnection(self, key: Any, endpoint: Any) -> Any:
                asking = twisted_private_client.asking_agent(endpoint)
                found.append(
                    (asking, asking and twisted_private_client.ways_of(asking))
                )
                self.other = twisted_private_client.asking_agent(object())
                return Deferred()

        agent._pool = pool = Pool()
        agent.request(b"GET", uri)
        self.assertIsNone(pool.other)
        (known,) = found
        self.assertIs(agent, known[0])
        return known[1]

    def test_theirs(self) -> None:
        """
        A usual agent has reactor, policy and local address; one by a factory has
        that; and a C{ProxyAgent} has an endpoint, which it gives to the pool.
        """
        clock, policy = Clock(), client.BrowserLikePolicyForHTTPS()
        agent = client.Agent(clock, policy, bindAddress=("b", 0))
        self.assertEqual((clock, policy, ("b", 0)), self.ways(agent))
        factory = UNIXEndpointFactory(clock, "a")
        agent = client.Agent.usingEndpointFactory(clock, factory)
        self.assertEqual((factory,), self.ways(agent))
        proxied = client.ProxyAgent(UNIXClientEndpoint(clock, "a"), clock)
        self.assertIsNone(self.ways(proxied))

    def test_without(self) -> None:
        """
        Without the method nobody is known to ask; without the attributes an agent
        stands for itself.
        """
        agent = client.Agent(Clock())
        usual: Any = agent._endpointFactory
        policy = usual.__dict__.pop("_policyForHTTPS")
        self.assertEqual((agent,), twisted_private_client.ways_of(agent))
        usual._policyForHTTPS = policy
        self.patch(client, "_StandardEndpointFactory", None)
        self.assertEqual((agent._endpointFactory,), self.ways(agent))
        self.patch(twisted_private_client, "_asking_code", None)
        self.assertIsNone(twisted_private_client.asking_agent(None))
        del agent._endpointFactory
        self.assertEqual((agent,), twisted_private_client.ways_of(agent))
        self.assertIsNone(twisted_private_client.ways_of(object()))

    def test_nobody(self) -> None:
        """
        Nobody asks in a thread that has just begun, with few frames.
        """
        found: list[Any] = [self]

        def ask() -> None:
            found.append(twisted_private_client.asking_agent(None))

        thread = Thread(target=ask)
        thread.start()
        thread.join()
        self.assertEqual([self, None], found)


class RequestTests(ServerTestCase):
    """
    Our Request sets by itself what twisted.web's would set.
    """

    # Set by twisted.web's __init__, and how ours has each.
    INIT = frozenset(
        {
            "notifications",
            "channel",
            "client",
            "host",
            "requestHeaders",
            "received_cookies",
            "responseHeaders",
            "cookies",
            "transport",
            "queued",
            "_adapterCache",
        }
    )

    # Set in twisted.web since 25.5, in ours when a form may have come; and what
    # would keep the connection in memory here.
    ABSENT = frozenset({"_parsePOSTFormSubmission", "channel", "transport"})

    def made(self) -> tuple[Any, Any]:
        """
        A request of ours, as it is when its resource renders it, and one of
        twisted.web's when it is made.
        """
        seen: list[Any] = []
        self.seenIn: list[set[str]] = []

        def render(request: Any) -> bytes:
            names = self.attributes() - self.ABSENT
            seen.append({name: getattr(request, name) for name in names})
            self.seenIn.append(set(vars(request)))
            return b""

        self.talk(render, get())
        channel: Any = _Channel()
        return seen[0], server.Request(channel, False)

    def attributes(self) -> set[str]:
        """
        What twisted.web's C{__init__} sets in this version.
        """
        channel: Any = _Channel()
        return set(vars(server.Request(channel, False)))

    def test_init(self) -> None:
        """
        twisted.web sets these and no others; if it sets another one, ours has to
        as well.
        """
        attributes = self.attributes() - {"_parsePOSTFormSubmission"}
        self.assertEqual(attributes, self.INIT)
        self.assertEqual(attributes_set_by(Componentized), {"_adapterCache"})

    def test_same(self) -> None:
        """
        Every attribute that twisted.web's has is there, of the same kind.
        """
        ours, theirs = self.made()
        for name in self.attributes() - self.ABSENT:
            expected = getattr(theirs, name)
            self.assertIsInstance(ours[name], type(expected), name)
            if name in (
                "notifications",
                "cookies",
                "received_cookies",
                "_adapterCache",
            ):
                self.assertEqual(ours[name], expected, name)
        self.assertFalse(ours["queued"])

    def test_noExtra(self) -> None:
        """
        A request of the fast path pays only for what it needs: an attribute more
        in C{__init__} should be on the class.
        """
        self.made()
        [names] = self.seenIn
        self.assertLessEqual(
            names - self.attributes() - set(self.RENDERED), set(), sorted(names)
        )

    # What process and what it calls set, here and in twisted.web.
    RENDERED = (
        *("method", "uri", "clientproto", "path", "args", "content", "site"),
        *("prepath", "postpath", "sitepath", "_encoder", "_requestHead"),
    )

    def test_classAttributes(self) -> None:
        """
        The flags that our methods and twisted.web's share are its own, with the
        values that they begin with.
        """
        for name, value in (
            ("_disconnected", False),
            ("_encoder", None),
            ("_inFakeHead", False),
            ("finished", 0),
            ("startedWriting", 0),
            ("sentLength", 0),
            ("producer", None),
            ("content", None),
            ("code", http.OK),
            ("etag", None),
            ("lastModified", None),
        ):
            self.assertEqual(getattr(server.Request, name), value, name)
            self.assertEqual(getattr(Request, name), value, name)
        self.assertTrue(hasattr(http.Request._log, "failure"))

    def test_disconnected(self) -> None:
        """
        C{_disconnected} is set by twisted.web's C{connectionLost}.
        """
        request = self.theirs()
        request.connectionLost(Failure(ValueError()))
        self.assertIs(request._disconnected, True)
        self.assertIsNone(request.channel)

    def theirs(self) -> Any:
        """
        A request of twisted.web.
        """
        channel: Any = _Channel()
        return server.Request(channel, False)

    def test_read(self) -> None:
        """
        twisted.web's C{write} and C{render} read the flags by these names.
        """
        written = inspect.getsource(server.Request.write)
        self.assertIn("self._inFakeHead", written)
        self.assertIn("self._encoder", written)
        self.assertIn("self._disconnected", inspect.getsource(http.Request.finish))

    def test_fallback(self) -> None:
        """
        On a channel that is not ours, twisted.web's C{__init__} does it all.
        """
        channel: Any = _Channel()
        request = Request(channel)
        self.assertFalse(request._direct)
        self.assertLessEqual(self.attributes() - {"transport"}, set(vars(request)))
        self.assertIs(request.transport, channel.transport)

    def test_signature(self) -> None:
        """
        A site makes requests of ours with the channel alone.
        """
        site = Site(resource.Resource(), reactor=self.clock)
        self.assertIs(site.requestFactory, Request)
        for cls in (http.Request, server.Request):
            self.assertIn("self", inspect.signature(cls.__init__).parameters)


class ExitTests(SynchronousTestCase):
    """
    C{_exitSignal} of a reactor.
    """

    def test_theirs(self) -> None:
        """
        A reactor has it, and twistd looks at it.
        """
        self.assertIn("_exitSignal", vars(base.ReactorBase))
        self.assertIn("reactor._exitSignal", inspect.getsource(app))

    def test_changed(self) -> None:
        """
        SIGTERM is forgotten, another signal is not; without it nothing happens.
        """

        class Reactor:
            _exitSignal: int | None = signal.SIGTERM

        reactor = Reactor()
        twisted_private.end_well(reactor)
        self.assertIsNone(reactor._exitSignal)
        reactor._exitSignal = signal.SIGINT
        twisted_private.end_well(reactor)
        self.assertEqual(signal.SIGINT, reactor._exitSignal)
        twisted_private.end_well(object())


class ReactorTests(SynchronousTestCase):
    """
    C{_reactor} of C{WSGIResource}.
    """

    def test_theirs(self) -> None:
        """
        It is where the reactor is; a copy has another.
        """
        reactor, other = object(), object()
        theirs: Any = wsgi.WSGIResource(reactor, None, None)
        copied = twisted_private.with_reactor(theirs, lambda found: (found, other))
        self.assertEqual((reactor, other), copied._reactor)
        self.assertIs(reactor, theirs._reactor)

    def test_without(self) -> None:
        """
        Without it the resource stays as it is.
        """
        thing = object()
        self.assertIs(thing, twisted_private.with_reactor(thing, lambda found: found))
