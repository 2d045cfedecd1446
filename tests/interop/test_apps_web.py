"""
Applications of twisted.web and its friends, unchanged, under both sites.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import base64
import os
import sys
import xmlrpc.client
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet import reactor
from twisted.python.filepath import FilePath
from twisted.web import (
    guard,
    proxy,
    resource,
    rewrite,
    script,
    server,
    static,
    twcgi,
    util,
    vhost,
)
from twisted.web import (
    xmlrpc as web_xmlrpc,
)
from twisted.web.resource import EncodingResourceWrapper
from zope.interface import implementer

from tests.support.app_cases import AppTestCase
from tests.support.optional import need
from tests.support.server_cases import Calls, Echo, get, post
from twisted_h11.server import Site

net: Any = reactor


class GzipTests(AppTestCase):
    """
    C{EncodingResourceWrapper} with gzip.
    """

    def root(self) -> Any:
        """
        A resource that is compressed where the client wants it.
        """

        def render(request: Any) -> Any:
            if request.uri == b"/pieces":
                for _ in range(50):
                    request.write(b"piece " * 100)
                request.finish()
                return server.NOT_DONE_YET
            return b"hello " * 1000

        return EncodingResourceWrapper(Calls(render), [server.GzipEncoderFactory()])

    async def test_gzip(self) -> None:
        """
        Compressed if accepted, in one piece or several, plain otherwise.
        """
        gzip = b"Accept-Encoding: gzip, deflate"
        responses = await self.compare(
            self.root,
            get(b"/", gzip),
            get(b"/pieces", gzip),
            get(),
            get(b"/pieces"),
        )
        self.assertEqual(b"gzip", responses[0].get(b"content-encoding"))
        import zlib

        for response, expected in zip(
            responses, (b"hello " * 1000, b"piece " * 5000), strict=False
        ):
            self.assertEqual(expected, zlib.decompress(response.body, 31))

    async def test_gzipFile(self) -> None:
        """
        A file that is sent by a producer, compressed.
        """
        path = FilePath(self.mktemp())
        path.makedirs()
        path.child("a.txt").setContent(b"some text\n" * 50_000)

        def make() -> Any:
            return EncodingResourceWrapper(
                static.File(path.child("a.txt").path), [server.GzipEncoderFactory()]
            )

        gzip = b"Accept-Encoding: gzip"
        await self.compare(make, get(b"/", gzip), get(b"/", gzip), get())


@implementer(IRealm)
class Realm:
    """
    Gives everybody the same resource.
    """

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        """
        A resource.
        """
        page = Calls(lambda request: b"in: " + request.path)
        return resource.IResource, page, lambda: None


class GuardTests(AppTestCase):
    """
    C{guard}: HTTP authentication.
    """

    def root(self) -> Any:
        """
        A guarded resource.
        """
        checker = InMemoryUsernamePasswordDatabaseDontUse(user=b"secret")
        portal = Portal(Realm(), [checker])
        return guard.HTTPAuthSessionWrapper(
            portal, [guard.BasicCredentialFactory(b"here")]
        )

    async def test_basic(self) -> None:
        """
        Without, with wrong, with right, and with malformed credentials.
        """

        def basic(text: bytes) -> bytes:
            return b"Authorization: Basic " + base64.b64encode(text)

        responses = await self.compare(
            self.root,
            get(),
            get(b"/", basic(b"user:wrong")),
            get(b"/a/b", basic(b"user:secret")),
            get(b"/", b"Authorization: Basic !!!"),
            get(b"/", b"Authorization: Unheard of"),
            get(b"/", basic(b"user:secret"), method=b"HEAD"),
        )
        self.assertEqual([401, 401, 200], [r.status for r in responses[:3]])


class TreeTests(AppTestCase):
    """
    Trees of resources.
    """

    async def test_vhost(self) -> None:
        """
        C{vhost.NameVirtualHost} chooses by the Host field.
        """

        def make() -> Any:
            root: Any = vhost.NameVirtualHost()
            root.addHost(b"a.example", Calls(lambda request: b"A"))
            root.addHost(b"b.example", Calls(lambda request: b"B"))
            root.default = Calls(lambda request: b"default")
            return root

        responses = await self.compare(
            make,
            get(host=b"a.example"),
            get(host=b"b.example:8080"),
            get(host=b"c.example"),
            get(host=b"B.EXAMPLE"),
        )
        self.assertEqual(b"AB", responses[0].body + responses[1].body)

    async def test_vhostMonster(self) -> None:
        """
        C{vhost.VHostMonsterResource} takes the host from the path.
        """

        def make() -> Any:
            root = resource.Resource()
            root.putChild(b"vhost", vhost.VHostMonsterResource())
            root.putChild(b"x", Calls(lambda request: request.prePathURL()))
            return root

        await self.compare(make, get(b"/vhost/http/real.example:81/x"))

    async def test_children(self) -> None:
        """
        Children, missing ones, redirects and errors of the resource tree.
        """

        def make() -> Any:
            root = resource.Resource()
            root.putChild(b"a", static.Data(b"a", "text/plain"))
            root.putChild(b"", static.Data(b"index", "text/plain"))
            root.putChild(b"away", util.Redirect(b"/a"))
            root.putChild(b"parent", util.ParentRedirect())
            root.putChild(b"forbidden", resource._UnsafeForbiddenResource())
            return root

        await self.compare(
            make,
            get(),
            get(b"/a"),
            get(b"/b"),
            get(b"/away"),
            get(b"/forbidden"),
            get(b"/%61"),
            get(b"//a"),
        )

    async def test_rewrite(self) -> None:
        """
        C{rewrite.RewriterResource}.
        """

        def make() -> Any:
            root = resource.Resource()
            root.putChild(b"new", Echo())

            def renamed(request: Any) -> None:
                if request.postpath[:1] == [b"old"]:
                    request.postpath[0] = b"new"
                    request.path = b"/new" + request.path[4:]

            return rewrite.RewriterResource(root, renamed)

        await self.compare(make, post(b"x", target=b"/old/y"), get(b"/other"))

    async def test_rpyScript(self) -> None:
        """
        C{script.ResourceScript} and its errors.
        """
        folder = FilePath(self.mktemp())
        folder.makedirs()
        folder.child("a.rpy").setContent(
            b"from twisted.web.static import Data\n"
            b"resource = Data(b'from a script', 'text/plain')\n"
        )

        def make() -> Any:
            root = static.File(folder.path)
            root.processors = {".rpy": script.ResourceScript}
            return root

        (response,) = await self.compare(make, get(b"/a.rpy"))
        self.assertEqual(b"from a script", response.body)

    async def test_xmlrpc(self) -> None:
        """
        C{xmlrpc.XMLRPC}: results, faults, and nonsense.
        """

        class Service(web_xmlrpc.XMLRPC):
            def xmlrpc_add(self, a: int, b: int) -> int:
                return a + b

            def xmlrpc_fail(self) -> None:
                raise web_xmlrpc.Fault(7, "failed")

        def call(name: str, *args: Any) -> bytes:
            body = xmlrpc.client.dumps(args, name).encode()
            return post(body, b"Content-Type: text/xml")

        responses = await self.compare(
            Service,
            call("add", 1, 2),
            call("fail"),
            call("missing"),
            post(b"<nonsense", b"Content-Type: text/xml"),
        )
        self.assertEqual(3, xmlrpc.client.loads(responses[0].body)[0][0])
        self.flushLoggedErrors()

    async def test_sessions(self) -> None:
        """
        A session is found again over several requests and connections.
        """

        def render(request: Any) -> bytes:
            session = request.getSession()
            session.count = getattr(session, "count", 0) + 1
            return b"%d" % (session.count,)

        site = Site(Calls(render))
        (first,) = await self.ask(site, [get()])
        cookie = b"Cookie: " + first.all(b"set-cookie")[0].partition(b";")[0]
        found = await self.ask(site, [get(b"/", cookie)] * 2)
        self.assertEqual([b"2", b"3"], [r.body for r in found])
        for session in list(site.sessions.values()):
            session.expire()


class CGITests(AppTestCase):
    """
    C{twcgi}: programs behind CGI.
    """

    program = """#!{python}
import os, sys
body = sys.stdin.read(int(os.environ.get("CONTENT_LENGTH") or 0))
if os.environ["QUERY_STRING"] == "status":
    print("Status: 404 Gone Fishing")
print("Content-Type: text/plain")
print("X-Powered-By: a test")
print()
for name in ("REQUEST_METHOD", "QUERY_STRING", "PATH_INFO", "SCRIPT_NAME",
             "CONTENT_TYPE", "CONTENT_LENGTH", "HTTP_HOST", "HTTP_X_CUSTOM",
             "REMOTE_ADDR"):
    print(name, os.environ.get(name))
print(body)
if os.environ["QUERY_STRING"] == "large":
    print("x" * 300000)
"""

    def root(self) -> Any:
        """
        A script below C{/cgi}.
        """
        root = resource.Resource()
        root.putChild(b"cgi", twcgi.CGIScript(self.path))
        return root

    async def test_cgi(self) -> None:
        """
        Environment, body, status and a large output.
        """
        self.path = os.path.abspath(self.mktemp())
        with open(self.path, "w") as program:
            program.write(self.program.format(python=sys.executable))
        os.chmod(self.path, 0o755)
        responses = await self.compare(
            self.root,
            get(b"/cgi?a=b", b"X-Custom: yes"),
            post(b"the body", b"Content-Type: text/plain", target=b"/cgi"),
            get(b"/cgi?status"),
            get(b"/cgi?large"),
        )
        self.assertIn(b"the body", responses[1].body)
        self.assertEqual(404, responses[2].status)
        self.assertGreater(len(responses[3].body), 300_000)


class ProxyTests(AppTestCase):
    """
    C{twisted.web.proxy}, in both directions.
    """

    async def backend(self) -> int:
        """
        A server behind the proxy.
        """

        def render(request: Any) -> Any:
            if request.path == b"/large":
                return b"x" * 1_000_000
            if request.path == b"/missing":
                request.setResponseCode(404)
                return b"not here"
            request.setHeader(b"Content-Type", b"text/plain")
            body: bytes = request.content.read()
            return b" ".join([request.method, request.uri, body])

        port = await self.listen(Site(Calls(render)))
        number: int = port.getHost().port
        return number

    async def test_reverse(self) -> None:
        """
        C{ReverseProxyResource}.
        """
        number = await self.backend()

        def make() -> Any:
            return proxy.ReverseProxyResource("127.0.0.1", number, b"/base")

        responses = await self.compare(
            make,
            get(b"/a?b=c"),
            post(b"hello", b"Content-Type: text/plain", target=b"/a/b"),
            get(b"/a"),
        )
        self.assertEqual(b"GET /base/a?b=c ", responses[0].body)
        self.assertEqual(b"POST /base/a/b hello", responses[1].body)

    async def test_forward(self) -> None:
        """
        C{ProxyRequest}: absolute-form targets reach the backend.
        """
        number = await self.backend()
        base = b"http://127.0.0.1:%d" % (number,)
        host = b"127.0.0.1:%d" % (number,)
        responses = await self.compare(
            resource.Resource,
            get(base + b"/a?b=c", host=host),
            get(base + b"/large", host=host),
            get(base + b"/missing", host=host),
            post(b"hello", target=base + b"/p"),
            requestFactory=proxy.ProxyRequest,
        )
        self.assertEqual(b"GET /a?b=c ", responses[0].body)
        self.assertEqual(1_000_000, len(responses[1].body))
        self.assertEqual(404, responses[2].status)


class KleinTests(AppTestCase):
    """
    klein.
    """

    def root(self) -> Any:
        """
        An application.
        """
        app = need("klein").Klein()

        @app.route("/")
        def root(request: Any) -> Any:
            return b"root"

        @app.route("/user/<name>", methods=["GET", "POST"])
        def user(request: Any, name: str) -> Any:
            return f"{request.method.decode()} {name} {request.content.read()!r}"

        @app.route("/later")
        async def later(request: Any) -> Any:
            from twisted.internet.task import deferLater

            await deferLater(net, 0)
            request.setHeader("X-Powered-By", "klein")
            return "later"

        @app.route("/static/", branch=True)
        def files(request: Any) -> Any:
            return static.Data(b"data", "text/plain")

        @app.route("/redirect")
        def away(request: Any) -> Any:
            request.redirect(b"/")
            return b""

        @app.route("/fail")
        def fail(request: Any) -> Any:
            raise ZeroDivisionError

        with app.subroute("/sub") as sub:

            @sub.route("/leaf")
            def leaf(request: Any) -> Any:
                return b"leaf"

        return app.resource()

    async def test_klein(self) -> None:
        """
        Routes, methods, coroutines, branches and errors.
        """
        responses = await self.compare(
            self.root,
            get(),
            get(b"/user/me"),
            post(b"body", target=b"/user/me"),
            get(b"/user/me", method=b"DELETE"),
            get(b"/later"),
            get(b"/static/x"),
            get(b"/redirect"),
            get(b"/sub/leaf"),
            get(b"/not-there"),
            get(b"/", method=b"HEAD"),
        )
        self.assertEqual(200, responses[0].status)
        self.assertEqual(b"later", responses[4].body)

    async def test_error(self) -> None:
        """
        An exception in a route is a 500.
        """
        (response,) = await self.ask(Site(self.root()), [get(b"/fail")])
        self.assertEqual(500, response.status)
        self.assertEqual(1, len(self.flushLoggedErrors(ZeroDivisionError)))
