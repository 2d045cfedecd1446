"""
What is installed, and what it says of itself.
"""

from __future__ import annotations

import configparser
import importlib.util
import pkgutil
import re
from fnmatch import fnmatch
from importlib.metadata import metadata, requires
from pathlib import Path
from types import ModuleType

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

import twisted_h11

TOP = Path(__file__).resolve().parent.parent


def declared() -> configparser.RawConfigParser:
    """
    setup.cfg, parsed.
    """
    parser = configparser.RawConfigParser()
    parser.read(TOP / "setup.cfg", encoding="utf-8")
    return parser


def wheel_check() -> ModuleType:
    """
    The module that checks a wheel in C{.ci}.
    """
    path = TOP / ".ci" / "wheel_contents.py"
    spec = importlib.util.spec_from_file_location("wheel_contents", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class DeclarationTests(SynchronousTestCase):
    """
    What setup.cfg declares fits the tree.
    """

    def test_packages(self) -> None:
        """
        The package, each of its folders and Twisted's plugin folder are
        declared, nothing else.
        """
        packages = declared()["options"]["packages"].split()
        walked = pkgutil.walk_packages(twisted_h11.__path__, "twisted_h11.")
        folders = [m.name for m in walked if m.ispkg]
        self.assertEqual(
            sorted(packages), sorted(["twisted_h11", *folders, "twisted.plugins"])
        )

    def test_everyFolderIsAPackage(self) -> None:
        """
        Every folder of the package with a module in it has an C{__init__.py},
        without which neither setuptools nor these tests would see it.
        """
        folders = {path.parent for path in (TOP / "twisted_h11").rglob("*.py")}
        self.assertIn(TOP / "twisted_h11", folders)
        for folder in folders:
            self.assertTrue((folder / "__init__.py").is_file(), folder)

    def test_dataFiles(self) -> None:
        """
        Every file of the package that is not Python is declared as data.
        """
        patterns = declared()["options.package_data"]["twisted_h11"].split()
        self.assertIn("py.typed", patterns)
        for path in (TOP / "twisted_h11").rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                matches = any(fnmatch(path.name, pattern) for pattern in patterns)
                self.assertTrue(matches, path)

    def test_twistedStaysTwisteds(self) -> None:
        """
        Our C{twisted} folder has the plugin file and no C{__init__.py}, so that
        it hides nothing of Twisted's.
        """
        files = {
            path.relative_to(TOP / "twisted").as_posix()
            for path in (TOP / "twisted").rglob("*.py")
        }
        self.assertEqual(files, {"plugins/twisted_h11_plugin.py"})

    def test_version(self) -> None:
        """
        The version stands in one place, the package.
        """
        self.assertEqual(
            declared()["metadata"]["version"], "attr: twisted_h11.__version__"
        )


class InstalledTests(SynchronousTestCase):
    """
    What the installed distribution says.
    """

    def setUp(self) -> None:
        try:
            self.metadata = metadata("twisted-h11")
        except ModuleNotFoundError:
            self.skipTest("twisted-h11 is not installed")

    def test_metadata(self) -> None:
        """
        Name, version, licence and oldest Python are there.
        """
        self.assertEqual(self.metadata["Name"], "twisted-h11")
        self.assertEqual(self.metadata["Version"], twisted_h11.__version__)
        self.assertEqual(self.metadata["License-Expression"], "MIT")
        self.assertEqual(self.metadata["Requires-Python"], ">=3.10")

    def test_requirements(self) -> None:
        """
        The dependencies at run time are these, with their oldest versions.
        """
        plain = {
            re.sub(r"\s", "", line)
            for line in requires("twisted-h11") or []
            if "extra ==" not in line
        }
        self.assertEqual(
            plain,
            {
                "h11>=0.16",
                "pyOpenSSL>=21.0",
                "service-identity>=24.1",
                "Twisted[tls]>=24.7",
                'tomli>=2;python_version<"3.11"',
            },
        )

    def test_extras(self) -> None:
        """
        The extras that the documentation names exist.
        """
        extras = set(self.metadata.get_all("Provides-Extra") or [])
        self.assertLessEqual({"dev", "docs", "http2", "test", "websocket"}, extras)


class PluginTests(SynchronousTestCase):
    """
    twistd finds the command.
    """

    def test_listedOnce(self) -> None:
        """
        Exactly one plugin is called h11web.
        """
        makers = [p for p in getPlugins(IServiceMaker) if p.tapname == "h11web"]
        self.assertEqual([m.module for m in makers], ["twisted_h11.tap"])  # type: ignore[attr-defined]


class WheelTests(SynchronousTestCase):
    """
    The check of a wheel's files, which C{.ci/run} makes.
    """

    def setUp(self) -> None:
        modules = [
            path.relative_to(TOP).as_posix()
            for path in (TOP / "twisted_h11").rglob("*.py")
        ]
        self.good = [
            *modules,
            "twisted_h11/py.typed",
            "twisted/plugins/twisted_h11_plugin.py",
            "twisted_h11-0.1.dist-info/RECORD",
        ]

    def test_good(self) -> None:
        """
        The modules of the tree, the plugin and metadata are what belongs there.
        """
        self.assertIn("twisted_h11/tap.py", self.good)
        self.assertEqual(wheel_check().problems(self.good), [])

    def test_foreign(self) -> None:
        """
        Tests, and any other file in Twisted's folders, do not belong there.
        """
        check = wheel_check()
        for name in (
            "tests/__init__.py",
            "twisted/__init__.py",
            "twisted/plugins/__init__.py",
            "twisted/plugins/dropin.cache",
            "twisted_h11/_old/x.py",
            "twisted_h11/_server/gone_from_the_tree.py",
        ):
            found = check.problems([*self.good, name])
            self.assertEqual(found, [f"does not belong: {name}"])

    def test_missing(self) -> None:
        """
        A wheel without the plugin, or without one module of the tree, is not
        whole.
        """
        for name in self.good[:-1]:
            rest = [other for other in self.good if other != name]
            self.assertEqual(wheel_check().problems(rest), [f"is missing: {name}"])
