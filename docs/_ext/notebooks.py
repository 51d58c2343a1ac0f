"""Tutorials as notebook files: a download below the title of each page that has code cells.

The files carry no results: they are small, and show what the reader's own run gives.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from docutils import nodes
from myst_nb.core.read import is_myst_markdown_notebook, read_myst_markdown_notebook
from sphinx.application import Sphinx


def source(app: Sphinx, name: str) -> str | None:
    """Return the text of a page that is a notebook; None for any other page."""
    text = Path(app.env.doc2path(name)).read_text(encoding="utf-8")
    return text if is_myst_markdown_notebook(text) else None


def add_download(app: Sphinx, doctree: nodes.document) -> None:
    """Put a link to the notebook below the title."""
    name = app.env.docname
    title = next(doctree.findall(nodes.title), None)
    if title is not None and source(app, name):
        file = f"{Path(name).name}.ipynb"
        link = f'<p class="notebook"><a href="{file}" download>Download as a notebook</a></p>'
        title.parent.insert(1, nodes.raw("", link, format="html"))


def write_notebooks(app: Sphinx, failure: Exception | None) -> None:
    """Write the notebooks beside their pages."""
    if failure is None and app.builder.format == "html":
        for name in app.env.found_docs:
            if text := source(app, name):
                notebook = read_myst_markdown_notebook(text)
                nbformat.write(notebook, Path(app.outdir) / f"{name}.ipynb")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the steps of the build."""
    app.connect("doctree-read", add_download)
    app.connect("build-finished", write_notebooks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
