"""
Whether a path leads out of its root.
"""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._resources.inner_status import inner_status

# Names in a folder, and what links lead to.
LINKS = {
    "root/in": "page",
    "root/in-folder": "folder",
    "root/out": "../other",
    "root/out-folder": "../elsewhere",
    "root/folder/back": "..",
    "root/folder/out": "../../other",
    "root/loop": "loop",
    "root/nowhere": "missing",
    "alias": "root",
}

INSIDE = {
    "": "root",
    "page": "root/page",
    "folder": "root/folder",
    "folder/page": "root/folder/page",
    "in": "root/page",
    "in-folder/page": "root/folder/page",
    "folder/back": "root",
    "folder/back/page": "root/page",
    "folder/../page": "root/page",
    "folder//page": "root/folder/page",
    "./page": "root/page",
}

OUTSIDE = [
    *("out", "out-folder", "out-folder/page", "folder/out"),
    *("..", "../other", "folder/../../other"),
]

NOWHERE = ["missing", "folder/missing", "page/missing", "nowhere"]


class InnerStatusTests(SynchronousTestCase):
    """
    L{inner_status}.
    """

    def setUp(self) -> None:
        self.top = os.path.realpath(self.mktemp())
        for folder in ("root/folder", "elsewhere"):
            os.makedirs(os.path.join(self.top, folder))
        for name in ("root/page", "root/folder/page", "other", "elsewhere/page"):
            with open(os.path.join(self.top, name), "w") as file:
                file.write(name)
        for name, target in LINKS.items():
            os.symlink(target, os.path.join(self.top, name))

    def test_inside(self) -> None:
        """
        The status is that of the file to which the path leads, whether the root is a
        link or not.
        """
        for root in ("root", "alias"):
            root = os.path.join(self.top, root)
            for name, real in INSIDE.items():
                path = f"{root}/{name}" if name else root
                status = inner_status(root, path)
                expected = os.stat(os.path.join(self.top, real))
                self.assertTrue(os.path.samestat(expected, status), path)

    def test_outside(self) -> None:
        """
        A path that leads out of the root is refused, however it does.
        """
        for root in ("root", "alias"):
            root = os.path.join(self.top, root)
            for name in OUTSIDE:
                path = os.path.join(root, name)
                self.assertRaises(PermissionError, inner_status, root, path)
        root = os.path.join(self.top, "root")
        for path in (self.top, f"{root}2", os.path.join(self.top, "other")):
            self.assertRaises(PermissionError, inner_status, root, path)

    def test_nowhere(self) -> None:
        """
        A path to nothing is an C{OSError}; a loop of links has the status of a link.
        """
        root = os.path.join(self.top, "root")
        for name in NOWHERE:
            path = os.path.join(root, name)
            self.assertRaises(OSError, inner_status, root, path)
        loop = os.path.join(root, "loop")
        expected = os.lstat(loop)
        self.assertTrue(os.path.samestat(expected, inner_status(root, loop)))

    def test_rootOfAll(self) -> None:
        """
        The root of all files may be the root.
        """
        path = os.path.join(self.top, "root/page")
        self.assertTrue(os.path.samestat(os.stat(path), inner_status("/", path)))

    def test_file(self) -> None:
        """
        The root may be one file, or a link to it.
        """
        for name in ("root/page", "root/in"):
            path = os.path.join(self.top, name)
            status = inner_status(path, path)
            self.assertTrue(os.path.samestat(os.stat(path), status))
