"""
The server that gives odd answers.

It answers C{/N} with answer number C{N}, and then closes, or waits for another request
on the connection.  To C{/next/N} it says C{again} if this connection has had answer
C{N}, else C{fresh}: whoever reads anything else took bytes behind the odd answer for
the answer to this request.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from types import TracebackType

from tests.differential.client_answers import Answer

__all__ = ["Origin"]

_NEXT = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"


class Origin:
    """
    The server in a thread of its own; use it as a context manager.

    @ivar port: where it listens on the loopback interface.
    """

    port = 0

    def __init__(self, answers: list[Answer]) -> None:
        self._answers = answers
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)

    def __enter__(self) -> Origin:
        self._thread.start()
        starting = asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=500)
        future = asyncio.run_coroutine_threadsafe(starting, self._loop)
        self._server = future.result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

    async def _stop(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        with contextlib.suppress(
            asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError
        ):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        given = set()
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            target = head.split(b" ", 2)[1]
            _, _, last = target.rpartition(b"/")
            number = int(last)
            if target.startswith(b"/next/"):
                writer.write(_NEXT + (b"again" if number in given else b"fresh"))
                continue
            given.add(number)
            answer = self._answers[number]
            writer.write(answer.data)
            await writer.drain()
            if answer.ends:
                return
