"""
The limit of what can be had on Twisted: a protocol that reads nothing of the
request and answers every delivery of bytes with the same bytes.

It is no HTTP server: it is right only when a request arrives in one piece, and
no two at once.
"""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.protocol import Factory, Protocol

from tests.benchmarks.apps import payload
from tests.benchmarks.apps._arguments import arguments

__all__: list[str] = []

_ANSWER = (
    b"HTTP/1.1 200 OK\r\n"
    b"Server: bare\r\n"
    b"Date: Thu, 01 Jan 2026 00:00:00 GMT\r\n"
    b"Content-Type: %b\r\n"
    b"Content-Length: %d\r\n"
    b"\r\n%b"
) % (payload.CONTENT_TYPE.encode("ascii"), len(payload.HELLO), payload.HELLO)


class _Constant(Protocol):
    noisy = False

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(_ANSWER)  # type: ignore[union-attr]


def main() -> None:
    """
    Serve until stopped.
    """
    options = arguments()
    text = f"tcp:{options.port}:interface=127.0.0.1"
    if options.cert is not None:
        text = (
            f"ssl:{options.port}:interface=127.0.0.1"
            f":certKey={options.cert}:privateKey={options.key}"
        )
    serverFromString(reactor, text).listen(Factory.forProtocol(_Constant))
    reactor.run()


if __name__ == "__main__":
    main()
