"""
The application for tornado.
"""

# Not among what the tests need, so it can be missing where types are checked.
# mypy: disable-error-code="import-not-found,misc,untyped-decorator"

from __future__ import annotations

import asyncio

from tornado.web import (
    Application,
    RequestHandler,
    StaticFileHandler,
    stream_request_body,
)

from tests.benchmarks.apps import payload
from tests.benchmarks.apps._arguments import arguments, context


class _Answering(RequestHandler):
    def initialize(self, answer: payload.Answer) -> None:
        self.answer = answer


class _Whole(_Answering):
    def get(self) -> None:
        self.set_header("Content-Type", payload.CONTENT_TYPE)
        self.write(self.answer.pieces[0])


class _Pieces(_Answering):
    async def get(self) -> None:
        self.set_header("Content-Type", payload.CONTENT_TYPE)
        for piece in self.answer.pieces:
            self.write(piece)
            await self.flush()


class _EchoLength(RequestHandler):
    def post(self) -> None:
        self.write(b"%d" % len(self.request.body))


@stream_request_body
class _Upload(RequestHandler):
    def prepare(self) -> None:
        self.length = 0

    def data_received(self, chunk: bytes) -> None:
        self.length += len(chunk)

    def put(self) -> None:
        self.write(b"%d" % self.length)


class _Download(RequestHandler):
    async def get(self, length: str) -> None:
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Length", length)
        for piece in payload.blocks(int(length)):
            self.write(piece)
            await self.flush()


async def _main() -> None:
    options = arguments()
    answers = [
        (path, _Whole if answer.measured else _Pieces, {"answer": answer})
        for path, answer in payload.ANSWERS.items()
        # It takes no part in the others.
        if not answer.later
    ]
    app = Application(
        [
            *answers,
            (r"/echo-length", _EchoLength),
            (r"/(?:upload|stream)", _Upload),
            (r"/download/([0-9]+)", _Download),
            (r"/static/(.*)", StaticFileHandler, {"path": payload.static_root()}),
        ]
    )
    app.listen(
        options.port,
        address="127.0.0.1",
        ssl_options=context(options),
        # The default is 100 MB.
        max_body_size=1 << 40,
    )
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
