"""
How the documentation is built: C{sphinx-build -W -b html docs OUT}.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))
sys.path.insert(0, str(HERE.parent))

from twisted_h11 import __version__  # noqa: E402

project = "twisted-h11"
author = "The twisted-h11 developers"
copyright = f"2026, {author}"
version = release = __version__

extensions = [
    "sphinx.ext.autodoc",
    "epytext",
    "generated",
    "interfaces",
    "outside",
    "performance",
    "shortnames",
]
exclude_patterns = ["_build", "_ext", "examples"]
default_role = "any"
nitpicky = False

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_inherit_docstrings = False
# Parameters are in the docstring of the class, or in that of __init__.
autoclass_content = "both"
# A default is shown as it is written, not as a bound for each of thirty fields.
autodoc_preserve_defaults = True

smartquotes = False

html_theme = "furo"
html_title = f"twisted-h11 {release}"
html_copy_source = False
html_show_sphinx = False
