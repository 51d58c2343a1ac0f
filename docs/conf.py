"""Sphinx configuration of the documentation site: ``make docs`` builds it, warnings are errors."""

from __future__ import annotations

import sys
from pathlib import Path

import neurflow

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_ext"))

project = "neurflow"
html_show_copyright = False
author = "The neurflow developers"
release = version = neurflow.__version__

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "command_line",
    "live_pages",
    "notebooks",
]
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
html_title = "neurflow"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_theme_options = {
    "source_directory": "docs/",
    "light_css_variables": {"color-brand-primary": "#0f6f6a", "color-brand-content": "#0f6f6a"},
    "dark_css_variables": {"color-brand-primary": "#5ec8c0", "color-brand-content": "#5ec8c0"},
}

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath", "attrs_inline"]
myst_heading_anchors = 4

suppress_warnings = ["myst-nb.lexer"]  # of notebooks that are not run: their language is unknown

# Notebooks run at build, and a cell that fails, fails the build. Their results are cached by content.
nb_execution_mode = "cache"
nb_execution_raise_on_error = True
nb_execution_in_temp = True
nb_execution_timeout = 300
nb_execution_show_tb = True
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_google_docstring = True
napoleon_use_ivar = True
