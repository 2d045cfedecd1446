"""
C{.. zope-interface:: NAME}: an interface of zope's, which autodoc does not know.
"""

from __future__ import annotations

import inspect
from importlib import import_module
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive
from docutils.statemachine import StringList
from epytext import convert
from zope.interface.interface import InterfaceClass, Method


def interface_lines(name: str) -> list[str]:
    """
    An interface as a class, with the methods that it names itself.

    @param name: its full name.
    """
    module, _, attribute = name.rpartition(".")
    interface: Any = getattr(import_module(module), attribute)
    assert isinstance(interface, InterfaceClass), name
    out = [f".. py:class:: {attribute}", f"   :module: {module}", ""]
    out += [f"   {line}" for line in convert(_doc(interface))]
    for member, described in interface.namesAndDescriptions():
        if isinstance(described, Method):
            out += ["", f"   .. py:method:: {member}{described.getSignatureString()}"]
        else:
            out += ["", f"   .. py:attribute:: {member}"]
        out += ["", *(f"      {line}" for line in convert(_doc(described)))]
    return [*out, ""]


def _doc(described: Any) -> list[str]:
    return inspect.cleandoc(described.getDoc()).split("\n")


class _Interface(Directive):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        node = nodes.container()
        lines = StringList(interface_lines(self.arguments[0]), "interface")
        self.state.nested_parse(lines, 0, node)
        return node.children


def setup(app: Any) -> dict[str, Any]:
    """
    See Sphinx.
    """
    app.add_directive("zope-interface", _Interface)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
