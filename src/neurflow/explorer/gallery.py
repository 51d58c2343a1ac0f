"""A sweep, served: the map of its classes, and what a class leads to, made when it is asked for.

No model is needed: circuits and comparisons are pages that hold their data. Names are looked up among
those of the sweep, never joined into paths.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI
from fastapi import Path as Part
from fastapi.responses import HTMLResponse
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from neurflow.atlas.query import Atlas
from neurflow.circuit import Circuit
from neurflow.comparison.matching import compare
from neurflow.explorer.app import answer_problems
from neurflow.explorer.guard import Guard
from neurflow.explorer.session import NotFound
from neurflow.progress import Progress, Silent
from neurflow.report.atlas_page import render_atlas
from neurflow.report.comparison_page import render_comparison
from neurflow.report.page import bundle, render
from neurflow.report.policy import policy
from neurflow.storage import load_circuit

Name = Annotated[str, Part(min_length=1, max_length=200)]


class Gallery:
    """The pages of a sweep.

    Args:
        sweep: its folder.
        progress: told while the map is made.

    Raises:
        ResultError: there is no atlas.
        RequestError: DuckDB or scikit-learn is not installed.
    """

    def __init__(self, sweep: str | Path, progress: Progress | None = None) -> None:
        self._sweep, self._progress = Path(sweep), progress or Silent()
        self._made_of: list[tuple[str, int]] | None = None
        self._map = ""
        self.index()

    def index(self) -> str:
        """The map; made again when circuits were found, labelled or edited since."""
        files = sorted((self._sweep / "circuits").glob("*/*.json"))
        seen = [(str(file), file.stat().st_mtime_ns) for file in files]
        if seen != self._made_of:
            atlas = Atlas(self._sweep, progress=self._progress)
            self._map = render_atlas(atlas, links="served", progress=self._progress)
            atlas.close()
            self._made_of = seen
        return self._map

    def circuit(self, name: str) -> str:
        """The page of a circuit; ``NotFound`` if there is none of that name."""
        return render(self._load(name))

    def comparison(self, a: str, b: str) -> str:
        """Two circuits side by side; ``NotFound`` if one is not there."""
        first, second = self._load(a), self._load(b)
        return render_comparison(first, second, compare(first, second), names=(a, b))

    def _load(self, name: str) -> Circuit:
        folders = {file.parent.name: file.parent for file in self._circuits()}
        if name not in folders:
            raise NotFound(f"The sweep has no circuit {name!r}.")
        return load_circuit(folders[name])

    def _circuits(self) -> list[Path]:
        return list((self._sweep / "circuits").glob("*/circuit.json"))


def create_gallery(
    gallery: Gallery, *, host: str = "127.0.0.1", token: str | None = None
) -> ASGIApp:
    """The server of a sweep's pages, guarded as that of a circuit."""
    app = FastAPI(title="neurflow explore", docs_url=None, redoc_url=None, redirect_slashes=False)
    answer_problems(app)

    async def page(make: Callable[[], str]) -> HTMLResponse:
        return HTMLResponse(await run_in_threadpool(make))

    @app.get("/", include_in_schema=False)
    async def index() -> HTMLResponse:
        return await page(gallery.index)

    @app.get("/circuits/{name}.html", include_in_schema=False)
    async def circuit(name: Name) -> HTMLResponse:
        return await page(lambda: gallery.circuit(name))

    @app.get("/compare/{a}/{b}.html", include_in_schema=False)
    async def comparison(a: Name, b: Name) -> HTMLResponse:
        return await page(lambda: gallery.comparison(a, b))

    return Guard(app, host, token, policy(bundle(), connect=True))
