"""
What is routed at the head, and what only when the body is here.
"""

from __future__ import annotations

from typing import Any

from twisted.web import server
from twisted.web.http_headers import Headers
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.vhost import NameVirtualHost
from zope.interface import implementer

from tests.support.server_cases import ServerTestCase, get, post
from twisted_h11.interfaces import IStreamingResource
from twisted_h11.server import Request, Site


def head(target: bytes, *fields: bytes, length: int = 5) -> bytes:
    """
    The head of a request with a body.
    """
    return get(target, b"Content-Length: %d" % (length,), *fields, method=b"POST")


class Noting(Resource):
    """
    Notes each call, and whether the body was there.

    @ivar calls: shared by all resources of a test.
    """

    def __init__(self, calls: list[str], name: str = "") -> None:
        super().__init__()
        self.calls = calls
        self.name = name

    def note(self, what: str, request: Any) -> None:
        """
        Note a call.
        """
        when = "at the head" if request.content is None else "with the body"
        self.calls.append(f"{self.name}.{what} {when}")

    def render(self, request: Any) -> bytes:
        """
        Answer with the paths as the application sees them.
        """
        self.note("render", request)
        return b"%r %r" % (request.prepath, request.postpath)


class Dynamic(Noting):
    """
    A resource in the style of twisted.web.
    """

    child: Any = None

    def getChild(self, name: bytes, request: Any) -> Any:
        """
        Always the same.
        """
        self.note(f"getChild({name.decode()})", request)
        return self.child


@implementer(IStreamingResource)
class Streaming(Noting):
    """
    A streaming resource without children of its own.
    """


@implementer(IStreamingResource)
class StreamingDynamic(Dynamic):
    """
    A streaming resource whose C{getChild} may be called early.
    """


class RoutingTests(ServerTestCase):
    """
    L{twisted_h11._server.routing}.
    """

    def setUp(self) -> None:
        """
        A static root.
        """
        super().setUp()
        self.calls: list[str] = []
        self.root = Resource()

    def ask(self, target: bytes, root: Any = None, **options: Any) -> list[str]:
        """
        Send a head, then its body.

        @return: the calls.
        """
        del self.calls[:]
        wire = self.talk(root or self.root, head(target), **options)
        early = len(self.calls)
        wire.send(b"hello")
        self.assertEqual([200], wire.statuses)
        self.answer = wire.only().body
        for call in self.calls[:early]:
            self.assertTrue(call.endswith("at the head"), self.calls)
        for call in self.calls[early:]:
            self.assertTrue(call.endswith("with the body"), self.calls)
        return list(self.calls)

    def test_staticChildren(self) -> None:
        """
        Along C{putChild} the way is gone at the head.
        """
        branch = Resource()
        self.root.putChild(b"a", branch)
        branch.putChild(b"b c", Streaming(self.calls, "s"))
        self.assertEqual(["s.render at the head"], self.ask(b"/a/b%20c?q=/x"))
        self.assertEqual(b"[b'a', b'b c'] []", self.answer)

    def test_streamingRoot(self) -> None:
        """
        The root itself may stream, as a leaf.
        """
        root = Streaming(self.calls, "s")
        root.isLeaf = True
        self.assertEqual(["s.render at the head"], self.ask(b"/x/y", root))
        self.assertEqual(b"[] [b'x', b'y']", self.answer)

    def test_bufferedNeighbour(self) -> None:
        """
        A neighbour in the style of twisted.web sees what it always saw.
        """
        self.root.putChild(b"s", Streaming(self.calls, "s"))
        self.root.putChild(b"old", Noting(self.calls, "o"))
        self.assertEqual(["o.render with the body"], self.ask(b"/old"))

    def test_getChildOfTwistedsStyle(self) -> None:
        """
        A C{getChild} that was written for twisted.web is called once, and not
        before the body is here; a streaming resource behind it is rendered then.
        """
        dynamic = Dynamic(self.calls, "d")
        dynamic.child = Streaming(self.calls, "s")
        self.root.putChild(b"d", dynamic)
        self.assertEqual(
            ["d.getChild(x) with the body", "s.render with the body"],
            self.ask(b"/d/x"),
        )
        self.assertEqual(b"[b'd', b'x'] []", self.answer)

    def test_staticChildOfADynamicOne(self) -> None:
        """
        A static child is gone to past a C{getChild} that it does not need.
        """
        dynamic = Dynamic(self.calls, "d")
        dynamic.putChild(b"s", Streaming(self.calls, "s"))
        self.root.putChild(b"d", dynamic)
        self.assertEqual(["s.render at the head"], self.ask(b"/d/s"))

    def test_getChildOfAStreamingResource(self) -> None:
        """
        A streaming resource is asked for its children at the head, once each.
        """
        deep = StreamingDynamic(self.calls, "t")
        deep.child = Streaming(self.calls, "s")
        top = StreamingDynamic(self.calls, "u")
        top.child = deep
        self.root.putChild(b"u", top)
        self.assertEqual(
            [
                "u.getChild(x) at the head",
                "t.getChild(y) at the head",
                "s.render at the head",
            ],
            self.ask(b"/u/x/y"),
        )
        self.assertEqual(b"[b'u', b'x', b'y'] []", self.answer)

    def test_bufferedBehindStreaming(self) -> None:
        """
        A way that ends in a buffered resource is not gone twice.
        """
        top = StreamingDynamic(self.calls, "u")
        old = Dynamic(self.calls, "d")
        old.child = Noting(self.calls, "o")
        top.child = old
        self.root.putChild(b"u", top)
        self.assertEqual(
            [
                "u.getChild(x) at the head",
                "d.getChild(y) with the body",
                "o.render with the body",
            ],
            self.ask(b"/u/x/y"),
        )
        self.assertEqual(b"[b'u', b'x', b'y'] []", self.answer)

    def test_getChildThatTakesMore(self) -> None:
        """
        A C{getChild} may take more of the path, as in twisted.web.
        """
        calls = self.calls

        @implementer(IStreamingResource)
        class Greedy(Noting):
            def getChild(self, name: bytes, request: Any) -> Any:
                request.prepath += request.postpath
                request.postpath = []
                return Streaming(calls, "s")

        self.root.putChild(b"g", Greedy(calls, "g"))
        self.assertEqual(["s.render at the head"], self.ask(b"/g/x/y/z"))
        self.assertEqual(b"[b'g', b'x', b'y', b'z'] []", self.answer)

    def test_missingStaticChild(self) -> None:
        """
        Where there is no child, 404 comes after the body, as in twisted.web.
        """
        wire = self.talk(self.root, head(b"/nothing"))
        self.assertEqual([], wire.statuses)
        wire.send(b"hello")
        self.assertEqual([404], wire.statuses)

    def test_overriddenGetChildWithDefault(self) -> None:
        """
        A C{getChildWithDefault} that somebody wrote is not passed by.
        """
        calls = self.calls

        class Guard(Noting):
            def getChildWithDefault(self, path: bytes, request: Any) -> Any:
                self.note("default", request)
                return super().getChildWithDefault(path, request)

        guard = Guard(calls, "g")
        guard.putChild(b"s", Streaming(calls, "s"))
        self.assertEqual(
            ["g.default with the body", "s.render with the body"],
            self.ask(b"/s", guard),
        )

    def test_overriddenOnTheInstance(self) -> None:
        """
        Not on an instance either.
        """

        def getChildWithDefault(path: bytes, request: Any) -> Any:
            self.calls.append("default with the body")
            return Streaming(self.calls, "s")

        self.root.getChildWithDefault = getChildWithDefault  # type: ignore[method-assign]
        self.root.putChild(b"s", Streaming(self.calls, "s"))
        self.assertEqual(
            ["default with the body", "s.render with the body"], self.ask(b"/s")
        )

    def test_wrapperWithMethodsOfTheWrapped(self) -> None:
        """
        A wrapper that has only the methods of the resource in it, as Twisted's for
        content codings, leads to the children of that resource, found or not.
        """
        for factory in (None, server.Request):
            for target, status in ((b"/s", 200), (b"/nothing", 404)):
                root = EncodingResourceWrapper(self.root, [])
                self.root.putChild(b"s", Noting(self.calls, "s"))
                wire = self.talk(root, requestFactory=factory)
                wire.send(post(b"hello", target=target))
                self.assertEqual([status], wire.statuses, (factory, target))

    def test_virtualHosts(self) -> None:
        """
        Virtual hosts choose by C{getChild}: not before the body.
        """
        hosts = NameVirtualHost()
        hosts.addHost(b"example.com", self.root)
        self.root.putChild(b"s", Streaming(self.calls, "s"))
        self.assertEqual(["s.render with the body"], self.ask(b"/s", hosts))

    def test_overriddenGetResourceFor(self) -> None:
        """
        A site that finds resources by itself is not passed by.
        """
        calls = self.calls

        class Own(Site):
            def getResourceFor(self, request: Any) -> Any:
                calls.append("site with the body")
                return super().getResourceFor(request)

        self.root.putChild(b"s", Streaming(calls, "s"))
        site: Any = Own(self.root, reactor=self.clock)
        wire = self.connect(site).send(head(b"/s"))
        self.assertEqual([], calls)
        wire.send(b"hello")
        self.assertEqual(["site with the body", "s.render with the body"], calls)

    def override(self, **methods: Any) -> list[str]:
        """
        Ask a site whose request class has C{methods}.
        """
        self.root.putChild(b"s", Streaming(self.calls, "s"))
        cls = type("Own", (Request,), methods)
        return self.ask(b"/s", requestFactory=cls)

    def test_overriddenProcess(self) -> None:
        """
        A request that processes itself is not passed by.
        """
        calls = self.calls

        def process(self: Any) -> None:
            calls.append("process with the body")
            Request.process(self)

        self.assertEqual(
            ["process with the body", "s.render with the body"],
            self.override(process=process),
        )

    def test_overriddenRequestReceived(self) -> None:
        """
        Nor one that overrides C{requestReceived}.
        """

        def requestReceived(self: Any, *line: bytes) -> None:
            Request.requestReceived(self, *line)

        self.assertEqual(
            ["s.render with the body"], self.override(requestReceived=requestReceived)
        )

    def test_overriddenHeadReceived(self) -> None:
        """
        Nor one that takes the head for itself.
        """

        def headReceived(self: Any, head: Any) -> None:
            self.requestHeaders = Headers()
            for name, value in head.fields:
                self.requestHeaders.addRawHeader(name, value)

        self.assertEqual(
            ["s.render with the body"], self.override(headReceived=headReceived)
        )

    def test_overriddenHandleContentChunk(self) -> None:
        """
        Nor one that looks at the body as it comes, for example to bound it.
        """
        seen: list[bytes] = []

        def handleContentChunk(self: Any, data: bytes) -> None:
            seen.append(data)
            Request.handleContentChunk(self, data)

        self.assertEqual(
            ["s.render with the body"],
            self.override(handleContentChunk=handleContentChunk),
        )
        self.assertEqual([b"hello"], seen)

    def test_subclassOtherwise(self) -> None:
        """
        A request that overrides something else streams.
        """
        self.assertEqual(["s.render at the head"], self.override(extra=1))

    def test_extraHeaders(self) -> None:
        """
        The site's extra header fields are no wrapper: it streams with them.
        """
        self.root.putChild(b"s", Streaming(self.calls, "s"))
        calls = self.ask(b"/s", extraHeaders=[(b"X-Extra", b"1")])
        self.assertEqual(["s.render at the head"], calls)

    def test_absoluteForm(self) -> None:
        """
        A target in absolute-form leads along the same way.
        """
        self.root.putChild(b"s", Streaming(self.calls, "s"))
        self.assertEqual(["s.render at the head"], self.ask(b"http://other.org/s?x"))
        self.assertEqual(b"[b's'] []", self.answer)

    def test_raises(self) -> None:
        """
        A C{getChild} that raises at the head gives 500.
        """

        class Raising(StreamingDynamic):
            def getChild(self, name: bytes, request: Any) -> Any:
                raise ZeroDivisionError

        wire = self.talk(Raising(self.calls), head(b"/x"))
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
        wire.send(b"hello").settle(6)
        self.assertEqual([500], wire.statuses)

    def test_raisesValueError(self) -> None:
        """
        So does one that raises as for a name that no file has, where the name is good.
        """

        class Raising(Dynamic):
            def getChild(self, name: bytes, request: Any) -> Any:
                raise ValueError("no such thing")

        for target, status, failures in ((b"/x", 500, 1), (b"/x%00", 404, 0)):
            wire = self.talk(Raising(self.calls), head(target), b"hello")
            self.assertEqual([status], wire.statuses)
            self.assertEqual(failures, len(self.flushLoggedErrors(ValueError)))

    def test_formsElsewhere(self) -> None:
        """
        Form parsing and C{args} of a buffered resource are as ever, whatever
        the site contains.
        """
        seen: list[Any] = []

        class Form(Resource):
            def render(self, request: Any) -> bytes:
                seen.append((request.args, request.content.read()))
                return b"done"

        self.root.putChild(b"form", Form())
        self.root.putChild(b"s", Streaming(self.calls, "s"))
        kind = b"Content-Type: application/x-www-form-urlencoded"
        wire = self.talk(self.root, post(b"a=1&b=2", kind, target=b"/form?c=3"))
        self.assertEqual([200], wire.statuses)
        self.assertEqual({b"a": [b"1"], b"b": [b"2"], b"c": [b"3"]}, seen[0][0])

    def test_queryOfAStreamingResource(self) -> None:
        """
        A streaming resource sees the arguments of the query.
        """
        seen: list[Any] = []

        class Query(Streaming):
            def render(self, request: Any) -> bytes:
                seen.append((request.method, request.args, request.path))
                return b""

        self.root.putChild(b"q", Query(self.calls))
        self.talk(self.root, head(b"/q?a=1&a=2"))
        self.assertEqual([(b"POST", {b"a": [b"1", b"2"]}, b"/q")], seen)

    def test_withoutABody(self) -> None:
        """
        A request without a body goes the same ways.
        """
        top = StreamingDynamic(self.calls, "u")
        top.child = Noting(self.calls, "o")
        self.root.putChild(b"u", top)
        wire = self.talk(self.root, get(b"/u/x"))
        self.assertEqual(b"[b'u', b'x'] []", wire.only().body)
        self.assertEqual(2, len(self.calls))
