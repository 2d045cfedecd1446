"""
The requests that are sent, as text, and as bytes.
"""

from __future__ import annotations

__all__ = ["COUNTER", "JSON_KB", "REQUESTS", "head"]

# What stands for the number of a request.  Eight digits always, so that all requests
# of a case have the same length.
COUNTER = "00000000"


def _json_kb() -> str:
    """
    A JSON document of exactly 1,000 bytes.
    """
    rows = ",".join(
        f'{{"id":{n},"name":"item {n}","tags":["a","b"],"price":{100 + n}.5}}'
        for n in range(10, 26)
    )
    before, after = f'{{"rows":[{rows}],"note":"', '"}'
    return f"{before:x<{1000 - len(after)}}{after}"


JSON_KB = _json_kb()

_MINIMAL = "GET {target} HTTP/1.1\nHost: {host}"
# What Firefox sends when a link is followed on a site that has set a cookie.
_BROWSER = """\
GET {target} HTTP/1.1
Host: {host}
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8
Accept-Language: en-US,en;q=0.5
Accept-Encoding: gzip, deflate, br, zstd
Referer: http://{host}/
Connection: keep-alive
Cookie: session=5f3b9a0c31415926e1d7
Upgrade-Insecure-Requests: 1
Sec-Fetch-Dest: document
Sec-Fetch-Mode: navigate
Sec-Fetch-Site: same-origin"""
# What a small API client sends.
_POST_JSON = """\
POST {target} HTTP/1.1
Host: {host}
User-Agent: benchmark/1
Accept: */*
Content-Type: application/json
Content-Length: 1000"""
_UPGRADE = """\
GET {target} HTTP/1.1
Host: {host}
Connection: Upgrade
Upgrade: websocket
Sec-WebSocket-Version: 13
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="""

REQUESTS = {
    "minimal": (_MINIMAL, ""),
    "minimal-varied": (_MINIMAL.replace("{host}", f"h{COUNTER}.{{host}}"), ""),
    "closing": (f"{_MINIMAL}\nConnection: close", ""),
    "browser": (_BROWSER, ""),
    # As where many people visit one site.
    "browser-varied": (_BROWSER.replace("31415926", COUNTER), ""),
    "post-json": (_POST_JSON, JSON_KB),
    # As a form, or an upload of a picture, may be.
    "post-64k": (
        "POST {target} HTTP/1.1\nHost: {host}\nContent-Length: 65536",
        "x" * 65536,
    ),
    "upgrade": (_UPGRADE, ""),
}
"""
By name the lines of a head, and the body.  Where L{COUNTER} stands, a number is put
that is different in every request, so that a server that remembers the bytes of the
last request gains nothing.
"""


def head(text: str, **values: object) -> bytes:
    """
    The bytes of a request head.

    @param text: its lines, in which C{values} are put.
    """
    return text.format(**values).replace("\n", "\r\n").encode("ascii") + b"\r\n\r\n"
