"""The pages that the site embeds: a circuit, a comparison of two circuits, and a map of a sweep.

They are made at build from the demo network, by the functions behind ``neurflow report``,
``neurflow compare`` and ``neurflow sweep``, and copied beside the site. ``{live-page}`` embeds one.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

import neurflow
from neurflow.demo.network import LAYERS, demo_model
from neurflow.demo.pictures import dataset
from neurflow.pages import write_report
from neurflow.pages.atlas_page import write_atlas_pages
from neurflow.pages.comparison_page import write_comparison_page

PAGES = {
    "circuit": "circuit.html",
    "comparison": "comparison.html",
    "map": "map/index.html",
}
"""the embedded pages: name in the directive → file below ``live/``"""
COMPARED = ("taxi", "car")
PICTURES = 12
"""pictures of each class that the circuits are made from"""


def write_pages(app: Sphinx) -> None:
    """Write the embedded pages, unless an earlier build has left them."""
    folder = Path(app.doctreedir) / "live"
    if app.builder.format != "html" or (folder / PAGES["map"]).exists():
        return
    model = demo_model()
    drawn = [(picture.image, picture.label) for picture in dataset("test", PICTURES, 0)]
    images = neurflow.load_images(drawn, model)
    folder.mkdir(exist_ok=True)
    a, b = (neurflow.discover(model, images, target, LAYERS[2:]) for target in COMPARED)
    write_report(a, folder / PAGES["circuit"])
    write_comparison_page(a, b, neurflow.compare(a, b), folder / PAGES["comparison"])
    sweep, quick = Path(app.doctreedir) / "sweep", neurflow.Config(tau=8, k=20)
    states = neurflow.sweep(model, images, "all", sweep, layers=LAYERS[3:], config=quick, redo=True)
    if failed := [state.target for state in states if state.state != "done"]:
        raise ExtensionError(f"No circuit of {', '.join(failed)} for the embedded map.")
    write_atlas_pages(sweep, folder / "map")


def copy_pages(app: Sphinx, failure: Exception | None) -> None:
    """Put the embedded pages beside the site."""
    if failure is None and app.builder.format == "html":
        live = Path(app.doctreedir) / "live"
        shutil.copytree(live, Path(app.outdir) / "live", dirs_exist_ok=True)


class LivePage(SphinxDirective):
    """An embedded page, one of :data:`PAGES`, with a link to the page alone."""

    required_arguments = 1
    option_spec = {"height": directives.positive_int}  # noqa: RUF012 - the form docutils asks for

    def run(self) -> list[nodes.Node]:
        """Return the frame and the link."""
        name, height = self.arguments[0], self.options.get("height", 640)
        if name not in PAGES:
            raise self.error(f"There is no live page {name!r}: choose from {', '.join(PAGES)}.")
        url = "../" * self.env.docname.count("/") + f"live/{PAGES[name]}"
        frame = (
            f'<iframe class="live-page" src="{url}" height="{height}" loading="lazy" '
            f'sandbox="allow-scripts allow-downloads allow-popups" title="{name}"></iframe>'
            f'<p class="live-page-link"><a href="{url}">Open this page on its own</a></p>'
        )
        return [nodes.raw("", frame, format="html")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the steps of the build."""
    app.add_directive("live-page", LivePage)
    app.connect("builder-inited", write_pages)
    app.connect("build-finished", copy_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
