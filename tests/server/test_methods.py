"""
Methods that a resource does not have: 405 and what it allows, 501, and HEAD.
"""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.error import UnsupportedMethod
from twisted.web.resource import EncodingResourceWrapper, Resource
from twisted.web.server import NOT_DONE_YET, GzipEncoderFactory
from zope.interface import implementer

from tests.support.server_cases import ServerTestCase, get
from twisted_h11._server.methods import render_by_method
from twisted_h11.interfaces import IStreamingResource


class OnlyPut(Resource):
    """
    Has PUT, and the C{render_HEAD} that every L{Resource} has.
    """

    isLeaf = True

    def render_PUT(self, request: Any) -> bytes:
        """
        Something.
        """
        return b"put"


class Declares(OnlyPut):
    """
    Says what it has.
    """

    allowedMethods = (b"PUT", b"HEAD")


class DeclaresGet(OnlyPut):
    """
    Says that it has what it does not have.
    """

    allowedMethods = ("GET", b"HEAD", b"PUT", b"PUT")  # type: ignore[assignment]


class WithGet(Resource):
    """
    Has GET, and the HEAD that comes with it.
    """

    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        """
        Something.
        """
        return b"a body"


class NoMore(WithGet):
    """
    Has lost the C{GET} of its base.
    """

    render_GET = None  # type: ignore[assignment]


class OwnHead(OnlyPut):
    """
    Has a HEAD of its own, and no GET.
    """

    def render_HEAD(self, request: Any) -> bytes:
        """
        Fields only.
        """
        request.setHeader(b"X-Own", b"yes")
        return b""


class OverridesRender(OnlyPut):
    """
    Goes through a C{render} of its own.
    """

    def render(self, request: Any) -> Any:
        """
        Nothing else.
        """
        return super().render(request)


class Asynchronous(OnlyPut):
    """
    Renders in a coroutine.
    """

    async def render(self, request: Any) -> Any:
        """
        After a moment.
        """
        await self.moment()
        return super().render(request)

    def moment(self) -> Deferred[None]:
        """
        None at all.
        """
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done


@implementer(IStreamingResource)
class Streams(OnlyPut):
    """
    Renders before the body is here.
    """


class Getting(Resource):
    """
    Has GET for C{render} to find out, not HEAD.
    """

    isLeaf = True
    later = False

    def __init__(self, clock: Any = None) -> None:
        super().__init__()
        self.clock = clock

    def render(self, request: Any) -> Any:
        """
        GET or nothing.
        """
        if request.method != b"GET":
            raise UnsupportedMethod([b"GET"])
        if self.clock is None:
            return b"a body"

        def later() -> None:
            request.setResponseCode(404)
            request.setHeader(b"Content-Length", b"6")
            request.write(b"a body")
            request.finish()

        self.clock.callLater(1, later)
        return NOT_DONE_YET


class MethodTests(ServerTestCase):
    """
    RFC 9110 sections 9.1, 9.3.2, 15.5.6 and 15.6.2.
    """

    def ask(self, resource: Any, method: bytes) -> Any:
        """
        The response to a request, on a connection that goes on.
        """
        wire = self.connect(self.site(resource))
        wire.methods = [method]
        wire.send(get(method=method))
        wire.advance(2)
        self.assertEqual(1, len(wire.responses), wire.output)
        self.assertFalse(wire.transport.disconnecting)
        return wire.responses[0]

    def test_headWithoutGet(self) -> None:
        """
        HEAD is 405 where there is no GET, however the resource renders, and
        Allow does not name it.
        """
        for resource in (
            OnlyPut(),
            Declares(),
            OverridesRender(),
            Asynchronous(),
            Streams(),
            EncodingResourceWrapper(OnlyPut(), [GzipEncoderFactory()]),
        ):
            for method in (b"HEAD", b"GET", b"DELETE", b"OPTIONS"):
                response = self.ask(resource, method)
                self.assertEqual(405, response.status, (resource, method))
                self.assertEqual(b"PUT", response.get(b"allow"), (resource, method))
            response = self.ask(resource, b"PUT")
            self.assertEqual((200, b"put"), (response.status, response.body))

    def test_noMethodTwice(self) -> None:
        """
        Allow has each method once, and none that was just refused.
        """
        self.assertEqual(b"PUT", self.ask(DeclaresGet(), b"HEAD").get(b"allow"))
        self.assertEqual(b"PUT", self.ask(DeclaresGet(), b"GET").get(b"allow"))
        self.assertEqual(
            b"GET, HEAD, PUT", self.ask(DeclaresGet(), b"POST").get(b"allow")
        )

    def test_getTakenAway(self) -> None:
        """
        A subclass that has no GET any more has no HEAD either.
        """
        for method in (b"HEAD", b"GET"):
            response = self.ask(NoMore(), method)
            self.assertEqual((405, b""), (response.status, response.get(b"allow")))

    def test_headOfItsOwn(self) -> None:
        """
        A HEAD that a resource implements itself is asked, and named.
        """
        response = self.ask(OwnHead(), b"HEAD")
        self.assertEqual((200, b"yes"), (response.status, response.get(b"x-own")))
        allowed = self.ask(OwnHead(), b"GET").get(b"allow")
        self.assertEqual({b"HEAD", b"PUT"}, set(allowed.split(b", ")))

    def test_getImpliesHead(self) -> None:
        """
        Where GET is, Allow names HEAD, also if the resource does not.
        """
        self.assertEqual(b"GET, HEAD", self.ask(Getting(), b"PUT").get(b"allow"))
        allowed = self.ask(WithGet(), b"DELETE").get(b"allow")
        self.assertEqual({b"GET", b"HEAD"}, set(allowed.split(b", ")))

    def test_headByGet(self) -> None:
        """
        HEAD of a resource whose C{render} knows GET only has its fields.
        """
        response = self.ask(Getting(), b"HEAD")
        self.assertEqual(
            (200, b"6"), (response.status, response.get(b"content-length"))
        )

    def test_headByGetLater(self) -> None:
        """
        Also where it answers later: the status and fields are those of GET.
        """
        response = self.ask(Getting(self.clock), b"HEAD")
        self.assertEqual(
            (404, b"6"), (response.status, response.get(b"content-length"))
        )

    def test_headByNothing(self) -> None:
        """
        HEAD is 405, too, where GET, which was named, is not there either; what that
        says is true.
        """

        class Denies(OnlyPut):
            def render(self, request: Any) -> bytes:
                names = [b"POST"] if request.method == b"GET" else [b"GET", b"PUT"]
                raise UnsupportedMethod(names)

        response = self.ask(Denies(), b"HEAD")
        self.assertEqual((405, b"POST"), (response.status, response.get(b"allow")))

    def test_headByGetFails(self) -> None:
        """
        Where GET is asked for a HEAD, and fails, that is the failure.
        """

        class Fails(OnlyPut):
            def render(self, request: Any) -> Any:
                if request.method == b"GET":
                    raise ZeroDivisionError
                if self.later:
                    return self.fails()
                raise UnsupportedMethod([b"GET"])

            async def fails(self) -> None:
                raise UnsupportedMethod([b"GET"])

            def __init__(self, later: bool) -> None:
                super().__init__()
                self.later = later

        for later in (False, True):
            self.assertEqual(500, self.ask(Fails(later), b"HEAD").status)
            self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
            self.assertEqual([], self.flushLoggedErrors())

    def test_unknown(self) -> None:
        """
        A method that nobody knows is 501 and not 405, whatever its case.
        """
        for method in (b"FROB", b"head", b"get", b"HEADS", b"render_PUT", b"__class__"):
            response = self.ask(OnlyPut(), method)
            self.assertEqual(501, response.status, method)
            self.assertIs(None, response.get(b"allow"), method)

    def test_otherErrors(self) -> None:
        """
        What is missing elsewhere is a fault of the application, as ever.
        """

        class Faulty(OnlyPut):
            def render_HEAD(self, request: Any) -> bytes:
                return b"".nothingOfTheKind  # type: ignore[attr-defined,no-any-return]

        response = self.ask(Faulty(), b"HEAD")
        self.assertEqual(500, response.status)
        self.assertEqual(1, len(self.flushLoggedErrors(AttributeError)))


class RenderByMethodTests(SynchronousTestCase):
    """
    L{render_by_method} has the effect of C{render}.
    """

    def check(self, resource: Any) -> None:
        """
        Compare them, for many methods.
        """
        for method in (b"GET", b"HEAD", b"PUT", b"DELETE", b"get", b"ODD", b"\xff"):
            request: Any = Mock(method=method)
            outcomes: list[object] = []
            for render in (lambda r: resource.render(r), self.byMethod(resource)):
                try:
                    outcomes.append(render(request))
                except UnsupportedMethod as error:
                    outcomes.append(sorted(map(str, error.allowedMethods)))
                except Exception as error:
                    outcomes.append((type(error), str(error)))
            self.assertEqual(outcomes[0], outcomes[1], f"{resource}: {method!r}")

    def byMethod(self, resource: Any) -> Any:
        """
        Render a resource by L{render_by_method}.
        """
        return lambda request: render_by_method(resource, request)

    def test_same(self) -> None:
        """
        Whatever the class or the object itself overrides.
        """

        class Overrides(WithGet):
            def render(self, request: Any) -> bytes:
                return b"overridden"

        class Falls(WithGet):
            def __getattr__(self, name: str) -> Any:
                if name == "render_DELETE":
                    return lambda request: b"deleted"
                raise AttributeError(name)

        class Wraps:
            """Overrides a method of a resource, but not its C{render}."""

            def __init__(self) -> None:
                self.wrapped = WithGet()

            def __getattr__(self, name: str) -> Any:
                return getattr(self.wrapped, name)

            def render_GET(self, request: Any) -> bytes:
                return b"never called"

        class Strict(WithGet):
            """Has no attribute but those of a resource."""

            def __getattr__(self, name: str) -> Any:
                raise LookupError(name) if not name else AttributeError(name)

        patched, bound, without = WithGet(), WithGet(), WithGet()
        patched.render = lambda request: b"patched"  # type: ignore[method-assign]
        bound.render = Overrides().render  # type: ignore[method-assign]
        without.render_GET = None  # type: ignore[method-assign,assignment]
        for resource in (
            *(WithGet(), OnlyPut(), Declares(), DeclaresGet(), Overrides(), Falls()),
            *(patched, bound, without, Resource(), Wraps(), Strict()),
        ):
            self.check(resource)
