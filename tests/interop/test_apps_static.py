"""
C{static.File} under our site answers as under twisted.web's.
"""

from __future__ import annotations

import os
from typing import Any

from twisted.python.filepath import FilePath
from twisted.web import static

from tests.support.app_cases import AppTestCase
from tests.support.server_cases import get


class FileTests(AppTestCase):
    """
    Files, folders, ranges and conditions.
    """

    def setUp(self) -> None:
        """
        A folder with a few files.
        """
        super().setUp()
        self.folder = FilePath(self.mktemp())
        self.folder.makedirs()
        self.small = bytes(range(256))
        self.folder.child("small.bin").setContent(self.small)
        self.folder.child("text.txt").setContent(b"hello\r\n0\r\n\r\n")
        self.folder.child("empty").setContent(b"")
        self.large = os.urandom(1000) * 2100
        self.folder.child("large.bin").setContent(self.large)
        self.folder.child("with index").makedirs()
        self.folder.child("with index").child("index.html").setContent(b"<p>index")
        self.folder.child("bare").makedirs()
        self.folder.child("bare").child("a&b.txt").setContent(b"1")

    def root(self) -> Any:
        """
        The application.
        """
        return static.File(self.folder.path)

    async def test_files(self) -> None:
        """
        Whole files of any size, and what is none.
        """
        responses = await self.compare(
            self.root,
            get(b"/small.bin"),
            get(b"/text.txt"),
            get(b"/empty"),
            get(b"/large.bin"),
            get(b"/nothing-there"),
            get(b"/small.bin/below"),
            get(b"/../../etc/passwd"),
            get(b"/%2e%2e/%2e%2e/etc/passwd"),
            get(b"/small.bin?query"),
        )
        self.assertEqual([200, 200, 200, 200, 404], [r.status for r in responses[:5]])
        self.assertTrue(responses[3].body == self.large)
        self.assertEqual(b"%d" % len(self.large), responses[3].get(b"content-length"))

    async def test_head(self) -> None:
        """
        HEAD tells what GET would.
        """
        await self.compare(
            self.root,
            get(b"/small.bin", method=b"HEAD"),
            get(b"/large.bin", method=b"HEAD"),
            get(b"/empty", method=b"HEAD"),
            get(b"/nothing-there", method=b"HEAD"),
            get(b"/small.bin"),
        )

    async def test_folders(self) -> None:
        """
        Redirects, an index and a listing.
        """
        await self.compare(
            self.root,
            get(b"/with%20index"),
            get(b"/with%20index/"),
            get(b"/bare"),
            get(b"/bare/"),
            get(b"/bare/a&b.txt"),
            get(b"/"),
        )

    async def test_ranges(self) -> None:
        """
        Single, several, open, suffix, unsatisfiable and malformed ranges.
        """
        responses = await self.compare(
            self.root,
            *[
                get(b"/small.bin", b"Range: " + value)
                for value in (
                    b"bytes=0-4",
                    b"bytes=250-",
                    b"bytes=-6",
                    b"bytes=0-0",
                    b"bytes=0-1000",
                    b"bytes=0-4,10-14",
                    b"bytes=0-4, -4, 100-200",
                    b"bytes=256-",
                    b"bytes=300-400",
                    b"bytes=4-2",
                    b"bytes=a-b",
                    b"lines=1-2",
                    b"",
                )
            ],
            get(b"/large.bin", b"Range: bytes=1000000-1999999"),
            get(b"/small.bin", b"Range: bytes=0-4", method=b"HEAD"),
        )
        self.assertEqual(
            (206, self.small[:5]), (responses[0].status, responses[0].body)
        )
        self.assertEqual(206, responses[5].status)
        self.assertEqual(416, responses[7].status)
        self.assertTrue(responses[-2].body == self.large[1_000_000:2_000_000])

    async def test_conditions(self) -> None:
        """
        304 for what the client has.
        """
        responses = await self.compare(
            self.root,
            get(b"/small.bin", b"If-Modified-Since: Fri, 31 Dec 2100 23:59:59 GMT"),
            get(b"/small.bin", b"If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT"),
            get(b"/small.bin", b"If-Modified-Since: yesterday"),
            get(b"/small.bin"),
        )
        self.assertEqual([304, 200, 200, 200], [r.status for r in responses])
        self.assertEqual(b"", responses[0].body)

    async def test_clientGoesInTheMiddle(self) -> None:
        """
        A client that goes in the middle of a file closes it.
        """
        from tests.support.leaks import open_descriptors
        from twisted_h11.server import Site

        path = self.folder.child("large.bin").path
        peer = await self.open(Site(self.root()))
        peer.transport.pauseProducing()
        peer.send(get(b"/large.bin") * 4)
        await self.turns(30)
        peer.abort()
        await peer.gone()
        await self.turns(30)
        self.assertEqual([], [p for p in open_descriptors().values() if p == path])


class DataTests(AppTestCase):
    """
    C{static.Data} and C{static.Redirect}-like helpers.
    """

    async def test_data(self) -> None:
        """
        Constant data.
        """
        await self.compare(
            lambda: static.Data(b"hello", "text/plain"),
            get(),
            get(method=b"HEAD"),
            get(b"/below"),
        )
