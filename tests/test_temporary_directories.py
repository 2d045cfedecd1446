"""
Directories of one user among those of all.
"""

from __future__ import annotations

import os
import stat

from twisted.trial.unittest import SynchronousTestCase

from twisted_h11._boundary import private
from twisted_h11._boundary.private import make_private


class MakePrivateTests(SynchronousTestCase):
    """
    L{make_private}.
    """

    def test_made(self) -> None:
        """
        Nobody else may look into it; what is there stays as it is.
        """
        path = self.mktemp()
        make_private(path)
        self.assertEqual(0o700, stat.S_IMODE(os.stat(path).st_mode))
        os.chmod(path, 0o750)
        make_private(path)
        self.assertEqual(0o750, stat.S_IMODE(os.stat(path).st_mode))

    def test_anotherUser(self) -> None:
        """
        What another user has put in its place is not used, a link to one of ours
        neither.
        """
        path, link = self.mktemp(), self.mktemp()
        os.mkdir(path)
        os.symlink(os.path.abspath(path), link)
        self.patch(private, "_ROOT", -1)
        self.patch(os, "geteuid", lambda: os.getuid() + 1)
        for name in (path, link):
            error = self.assertRaises(PermissionError, make_private, name)
            self.assertEqual("belongs to another user", error.strerror)

    def test_impossible(self) -> None:
        """
        Where there can be none, that is an error.
        """
        path = os.path.join(self.mktemp(), "folder")
        self.assertRaises(FileNotFoundError, make_private, path)
