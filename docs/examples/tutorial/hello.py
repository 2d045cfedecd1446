from typing import Any

from twisted.web.resource import Resource


class Hello(Resource):
    isLeaf = True

    def render_GET(self, request: Any) -> bytes:
        name = request.args.get(b"name", [b"world"])[0]
        request.setHeader(b"Content-Type", b"text/plain; charset=utf-8")
        return b"Hello, %b!\n" % name
