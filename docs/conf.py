"""Sphinx settings; `make docs` builds the site into `site/`."""

project = "raydet"
author = "The raydet authors"
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
myst_heading_anchors = 3
autodoc_typehints = "signature"
exclude_patterns = ["numbers/*.csv"]
suppress_warnings = ["myst.xref_missing"]
