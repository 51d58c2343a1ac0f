"""The server of a sweep: a map of its classes, their circuits and comparisons, made on request.

No model is needed, since the pages contain their data. The gallery's worker makes one page at a time,
and the latest pages are cached. Names are looked up among those of the sweep, never joined into paths.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated

from fastapi import FastAPI, Request
from fastapi import Path as Part
from fastapi.responses import HTMLResponse
from starlette.types import ASGIApp

from neurflow.atlas.query import Atlas
from neurflow.circuit import load_circuit
from neurflow.comparison.matching import compare
from neurflow.pages.atlas_page import render_atlas
from neurflow.pages.comparison_page import render_comparison
from neurflow.pages.page import bundle, render
from neurflow.pages.policy import policy
from neurflow.runtime.progress import Progress, Silent
from neurflow.server.answer_cache import AnswerCache
from neurflow.server.app import answer_problems, computed
from neurflow.server.guard import Guard
from neurflow.server.session import NotFound
from neurflow.server.worker import Worker

Name = Annotated[str, Part(min_length=1, max_length=200)]


class Gallery:
    """The pages of a sweep. Once it is served, only its ``worker`` makes pages.

    Args:
        sweep: folder of the sweep.
        progress: reports the making of the first map.

    Raises:
        ResultError: there is no atlas.
        RequestError: DuckDB or scikit-learn is not installed.
    """

    def __init__(self, sweep: str | Path, progress: Progress | None = None) -> None:
        self._sweep, self._cache = Path(sweep), AnswerCache()
        self.worker = Worker()
        self.index(progress)

    def stop(self) -> bool:
        """Stop; return whether the page in progress has ended."""
        return self.worker.stop()

    def index(self, progress: Progress | None = None) -> bytes:
        """Return the map, made again if circuits were found, labelled or edited since."""

        def make() -> bytes:
            with contextlib.closing(Atlas(self._sweep, progress=progress)) as atlas:
                return render_atlas(atlas, links="served", progress=progress or Silent()).encode()

        return self._cache.get((), (self._sweep / "circuits").glob("*/*.json"), make)

    def circuit(self, name: str) -> bytes:
        """Return the page of a circuit; raise ``NotFound`` if there is none of that name."""
        folder = self._folder(name)
        return self._cache.get(
            (name,), folder.glob("*.json"), lambda: render(load_circuit(folder)).encode()
        )

    def comparison(self, a: str, b: str) -> bytes:
        """Return the comparison of two circuits; raise ``NotFound`` if one does not exist."""
        folders = self._folder(a), self._folder(b)

        def make() -> bytes:
            first, second = map(load_circuit, folders)
            page = render_comparison(first, second, compare(first, second), names=(a, b))
            return page.encode()

        files = {file for folder in folders for file in folder.glob("*.json")}
        return self._cache.get((a, b), files, make)

    def _folder(self, name: str) -> Path:
        found = (self._sweep / "circuits").glob("*/circuit.json")
        folders = {file.parent.name: file.parent for file in found}
        if name not in folders:
            raise NotFound(f"The sweep has no circuit {name!r}.")
        return folders[name]


def create_gallery(
    gallery: Gallery, *, host: str = "127.0.0.1", token: str | None = None
) -> ASGIApp:
    """Create the server of a sweep's pages, with the same guard as that of a circuit."""

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        gallery.stop()

    app = FastAPI(
        title="neurflow explore",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    answer_problems(app)

    async def page(request: Request, make: Callable[[], bytes]) -> HTMLResponse:
        return HTMLResponse(await computed(gallery.worker, request, lambda _: make()))

    @app.get("/")
    async def index(request: Request) -> HTMLResponse:
        return await page(request, gallery.index)

    @app.get("/circuits/{name}.html")
    async def circuit(request: Request, name: Name) -> HTMLResponse:
        return await page(request, lambda: gallery.circuit(name))

    @app.get("/compare/{a}/{b}.html")
    async def comparison(request: Request, a: Name, b: Name) -> HTMLResponse:
        return await page(request, lambda: gallery.comparison(a, b))

    # making the map may be costly, so other pages may not open any path
    return Guard(app, host, token, policy(bundle(), connect=True))
