"""
C{WSGIResource} with a Flask application.
"""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread, deferToThreadPool
from twisted.python.threadpool import ThreadPool
from twisted.web.wsgi import WSGIResource

from tests.support.app_cases import AppTestCase
from tests.support.optional import need
from tests.support.server_cases import get, post
from twisted_h11.server import Site
from twisted_h11.wsgi import WSGIResource as OurWSGIResource

net: Any = reactor


def application() -> Any:
    """
    A Flask application with a bit of everything.
    """
    flask = need("flask")
    app = flask.Flask("tests")
    app.secret_key = "for tests"

    @app.route("/", methods=["GET", "POST", "PUT", "DELETE", "PATCH"])
    def root() -> Any:
        request = flask.request
        return {
            "method": request.method,
            "args": request.args.to_dict(flat=False),
            "form": request.form.to_dict(flat=False),
            "data": request.get_data().decode("latin-1"),
            "host": request.host,
            "length": request.content_length,
            "type": request.content_type,
            "custom": request.headers.get("X-Custom"),
            "cookies": dict(request.cookies),
        }

    @app.route("/upload", methods=["POST"])
    def upload() -> Any:
        stored = flask.request.files["file"]
        return f"{stored.filename} {len(stored.read())}"

    @app.route("/stream")
    def stream() -> Any:
        def pieces() -> Iterator[str]:
            for i in range(100):
                yield f"{i} " * 100

        return flask.Response(pieces(), mimetype="text/plain")

    @app.route("/redirect")
    def redirect() -> Any:
        return flask.redirect("/")

    @app.route("/cookie")
    def cookie() -> Any:
        response = flask.make_response("set")
        response.set_cookie("a", "b")
        response.set_cookie("c", "d")
        return response

    @app.route("/nothing")
    def nothing() -> Any:
        return "", 204

    @app.route("/large")
    def large() -> Any:
        return b"x" * 2_000_000

    return app


class FlaskTests(AppTestCase):
    """
    Flask behaves the same under both sites.
    """

    def setUp(self) -> None:
        """
        A pool of threads, as WSGI needs.
        """
        super().setUp()
        self.pool = ThreadPool(1, 3)
        self.pool.start()
        # Not in the reactor's thread: an application that still writes waits for
        # the reactor, and stopping waits for the application.
        self.addCleanup(deferToThread, self.pool.stop)

    def root(self) -> Any:
        """
        The application.
        """
        return WSGIResource(net, self.pool, application())

    async def test_all(self) -> None:
        """
        Methods, arguments, forms, bodies, statuses.
        """
        form = b"Content-Type: application/x-www-form-urlencoded"
        chunked = get(b"/", b"Transfer-Encoding: chunked", method=b"PUT")
        multipart = (
            b"--b\r\nContent-Disposition: form-data; name=file; filename=f.txt\r\n"
            b"Content-Type: text/plain\r\n\r\n" + b"y" * 5000 + b"\r\n--b--\r\n"
        )
        responses = await self.compare(
            self.root,
            get(b"/?a=1&a=2&b=%20"),
            get(b"/", b"X-Custom: one", b"Cookie: k=v"),
            get(method=b"HEAD"),
            get(method=b"DELETE"),
            get(method=b"OPTIONS"),
            post(b"c=d&e=f", form),
            post(b'{"a": 1}', b"Content-Type: application/json"),
            chunked + b"5\r\nhello\r\n0\r\n\r\n",
            post(
                multipart,
                b"Content-Type: multipart/form-data; boundary=b",
                target=b"/upload",
            ),
            get(b"/stream"),
            get(b"/redirect"),
            get(b"/cookie"),
            get(b"/nothing"),
            get(b"/large"),
            get(b"/not-there"),
            get(b"/stream", method=b"POST"),
        )
        self.assertEqual(200, responses[0].status)
        self.assertEqual(b"f.txt 5000", responses[8].body)
        self.assertEqual(2, len(responses[11].all(b"set-cookie")))

    async def test_clientGone(self) -> None:
        """
        A client that goes in the middle of a stream leaves nothing.
        """
        peer = await self.open(Site(self.root()))
        peer.transport.pauseProducing()
        peer.send(get(b"/large") * 3)
        await self.turns(50)
        peer.abort()
        await peer.gone()
        await deferToThreadPool(net, self.pool, time.monotonic)
        await self.turns(20)
        # What the application wrote afterwards is nobody's error.
        self.flushLoggedErrors()


class OurResourceTests(FlaskTests):
    """
    The same application by our own resource, under both sites.
    """

    def root(self) -> Any:
        """
        The application.
        """
        resource = OurWSGIResource(net, None, application())
        self.addCleanup(resource.abandon)
        return resource

    async def test_sendFile(self) -> None:
        """
        C{send_file} arrives whole, a part of it too.
        """
        flask = need("flask")
        app = flask.Flask("tests")
        path = os.path.abspath(__file__)

        @app.route("/")
        def root() -> Any:
            return flask.send_file(path)

        def make() -> Any:
            resource = OurWSGIResource(net, None, app)
            self.addCleanup(resource.abandon)
            return resource

        whole, part, head, _ = await self.compare(
            make,
            get(),
            get(b"/", b"Range: bytes=10-19"),
            get(method=b"HEAD"),
            get(b"/", b"Range: bytes=999999999-"),
        )
        with open(path, "rb") as file:
            content = file.read()
        self.assertEqual(content, whole.body)
        self.assertEqual(content[10:20], part.body)
        self.assertEqual(b"", head.body)
