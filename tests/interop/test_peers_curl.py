"""
curl as the client.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.internet import reactor
from twisted.web import static

from tests.support.programs import ProgramTestCase
from tests.support.server_cases import FAST_PATH, Calls, Echo
from tests.support.socket_cases import certificate
from twisted_h11.server import Limits, Site

net: Any = reactor


class CurlTests(ProgramTestCase):
    """
    What people try first.
    """

    async def url(self, resource: Any, **limits: Any) -> str:
        """
        Serve a resource.

        @return: its URL.
        """
        site = Site(resource, limits=Limits(**limits), fastPath=FAST_PATH)
        port = await self.listen(site)
        return f"http://127.0.0.1:{port.getHost().port}/"

    async def test_get(self) -> None:
        """
        C{curl -i}.
        """
        output = await self.curl("-i", await self.url(Echo()))
        self.assertTrue(output.startswith(b"HTTP/1.1 200 OK\r\n"), output)
        self.assertTrue(output.endswith(b"\r\n\r\nnothing"), output)

    async def test_reuse(self) -> None:
        """
        Several requests on one connection.
        """
        url = await self.url(Calls(lambda request: b"%d;" % request.client.port))
        output = await self.curl(url, url, url)
        ports = output.split(b";")[:3]
        self.assertEqual(1, len(set(ports)), output)

    async def test_post(self) -> None:
        """
        A form, and a large body with C{Expect: 100-continue}.
        """
        url = await self.url(Echo())
        self.assertEqual(b"a=b", await self.curl("-d", "a=b", url))
        body = os.urandom(1_200_000)
        output = await self.curl(
            "-H", "Expect: 100-continue", "--data-binary", "@-", url, stdin=body
        )
        self.assertTrue(output == body)

    async def test_chunkedUpload(self) -> None:
        """
        An upload of unknown length.
        """
        body = os.urandom(300_000)
        url = await self.url(Echo())
        output = await self.curl("-T", "-", url, stdin=body)
        self.assertTrue(output == body)

    async def test_tooLarge(self) -> None:
        """
        A body over the limit: curl shows the 413, not a reset.
        """
        url = await self.url(Echo(), maxBodyLength=1000)
        path = os.path.join(self.folder, "large")
        with open(path, "wb") as file:
            file.write(b"x" * 3_000_000)
        for expect in ("Expect:", "Expect: 100-continue"):
            output = await self.curl("-i", "-H", expect, "-T", path, url)
            self.assertIn(b"HTTP/1.1 413 ", output)

    async def test_ranges(self) -> None:
        """
        A part of a file, a resumed download, and HEAD.
        """
        path = os.path.join(self.folder, "file")
        content = os.urandom(100_000)
        with open(path, "wb") as file:
            file.write(content)
        url = await self.url(static.File(self.folder)) + "file"
        self.assertEqual(content[5:15], await self.curl("-r", "5-14", url))
        part = os.path.join(self.folder, "part")
        with open(part, "wb") as file:
            file.write(content[:40_000])
        await self.curl("-C", "-", "-o", part, url)
        with open(part, "rb") as file:
            self.assertTrue(file.read() == content)
        output = await self.curl("-I", url)
        self.assertIn(b"Content-Length: 100000\r\n", output)

    async def test_http10(self) -> None:
        """
        A client of HTTP/1.0.
        """
        output = await self.curl("-0", "-i", await self.url(Echo()))
        self.assertTrue(output.endswith(b"nothing"))
        self.assertIn(b"Connection: close\r\n", output)

    async def test_tls(self) -> None:
        """
        HTTPS, with the certificate checked.
        """
        private, root, _ = certificate()
        authority = os.path.join(self.folder, "ca.pem")
        with open(authority, "wb") as file:
            file.write(root.dumpPEM())
        site = self.watched(Site(Echo(), fastPath=FAST_PATH))
        port = net.listenSSL(0, site, private.options(), interface="127.0.0.1")
        self.ports.append(port)
        output = await self.curl(
            "--cacert",
            authority,
            "--http1.1",
            f"https://127.0.0.1:{port.getHost().port}/",
            "-d",
            "over tls",
        )
        self.assertEqual(b"over tls", output)

    async def test_http2IsNotOffered(self) -> None:
        """
        A client that would like HTTP/2 gets HTTP/1.1.
        """
        output = await self.curl("--http2", "-i", await self.url(Echo()))
        self.assertTrue(output.startswith(b"HTTP/1.1 200 "), output)

    async def test_http2WithPriorKnowledge(self) -> None:
        """
        The preface of HTTP/2 is refused at once.
        """
        run = await self.run_(
            self.program("curl"),
            "-sS",
            "--max-time",
            "15",
            "--http2-prior-knowledge",
            await self.url(Echo()),
        )
        self.assertNotEqual(0, self.status, run.output)
        self.assertNotEqual(28, self.status, "curl waited for its whole time")
