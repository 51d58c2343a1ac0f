"""The routes of the live explorer: each passes its request to the session and returns the answer.

Computations are queued in the session's worker. If the client disconnects, a queued computation is
dropped and a running one ends at its next step. A second worker makes the circuit's own data, so that
the circuit is available while the model loads.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, TypeVar

from fastapi import Body, FastAPI, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, JSONResponse, Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from neurflow.circuit.edits import Edits
from neurflow.debugging.result import WhatIf
from neurflow.errors import NeurFlowError, RequestError, WorkError
from neurflow.pages.circuit_data import PageData
from neurflow.pages.messages import (
    AuditState,
    EditRequest,
    Effects,
    EffectsRequest,
    Findings,
    LabelReply,
    LabelRequest,
    LivePicture,
    MaskRequest,
    NeuronMaps,
    Number,
    Problem,
    Sample,
    Status,
)
from neurflow.pages.page import bundle, title_of
from neurflow.pages.policy import META, policy
from neurflow.server.guard import Guard
from neurflow.server.result_pages import ResultPages
from neurflow.server.session import ModelMissing, NotFound, PictureGone, Session
from neurflow.server.worker import CancellableProgress, Cancelled, Worker

PATIENCE = 0.2
"""seconds between checks whether the client is still connected"""
MOST_UPLOADS = 8
"""uploads held in memory at once; further ones wait, and their bodies are not read meanwhile"""
UPLOAD_SECONDS = 60.0
"""that a client may take to send the body of an upload"""
UPLOADS = "/api/pictures"
GONE = 499
"""status of a request whose client has disconnected"""

T = TypeVar("T")
Held = Annotated[Number, Path(description="Number of a picture.")]
Group = Annotated[str, Path(min_length=1, max_length=500, description="LAYER/NUMBER")]


def refusals(*codes: int) -> dict[int | str, dict[str, Any]]:
    """Return the problems that a route may answer with, for OpenAPI."""
    return {code: {"model": Problem} for code in (*codes, 403, 413, 421)}


def create_app(session: Session, *, host: str = "127.0.0.1", token: str | None = None) -> ASGIApp:
    """Create the server of one session.

    Args:
        session: started and stopped with the server.
        host: host that the server is bound to; it decides by which names the server may be called.
        token: token that clients need; required if others can reach the host.

    Raises:
        WorkError: the front end was not built.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        session.start()
        yield
        session.stop()

    page = META.sub("", bundle())
    app = FastAPI(
        title="neurflow explore",
        lifespan=lifespan,
        # these pages load scripts from a CDN
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/openapi.json",
        # unknown paths are not found, even with a slash too many
        redirect_slashes=False,
    )
    answer_problems(app)
    _add_circuit(app, session, page)
    _add_pictures(app, session)
    _add_experiments(app, session)
    _add_changes(app, session)
    return Guard(
        app,
        host,
        token,
        policy(page, connect=True),
        open_paths=frozenset({"/"}),
        large_paths=frozenset({UPLOADS}),
    )


def _add_circuit(app: FastAPI, session: Session, page: str) -> None:
    """Add the routes of the page, of the result's other pages, and of the circuit."""
    result_pages = ResultPages(session.folder, title_of(session.circuit))

    @app.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def index() -> str:
        return await run_in_threadpool(result_pages.front, page)

    @app.get("/pages/{name}", response_class=HTMLResponse, include_in_schema=False)
    async def other(name: Annotated[str, Path(min_length=1, max_length=200)]) -> HTMLResponse:
        text, own = await run_in_threadpool(result_pages.page, name)
        return HTMLResponse(text, headers={"content-security-policy": own})

    @app.get("/api/circuit", responses=refusals(500, 503), response_model=PageData)
    async def circuit(request: Request) -> Response:
        """Return the circuit as in a report, with the labels that are stored now."""
        data = await computed(session.files, request, lambda _: session.page_data())
        return Response(data, media_type="application/json")

    @app.get("/api/status", responses=refusals())
    async def status() -> Status:
        """Return whether the model is loaded."""
        return session.status()


def _add_pictures(app: FastAPI, session: Session) -> None:
    """Add the routes of samples and uploads."""
    uploads = asyncio.Semaphore(MOST_UPLOADS)

    @app.get("/api/samples", responses=refusals(503))
    async def samples(request: Request) -> list[Sample]:
        """Return pictures to try."""
        return await computed(session.worker, request, lambda _: session.samples())

    @app.post("/api/samples/{number}", responses=refusals(400, 404, 422, 503))
    async def sample(request: Request, number: Held) -> LivePicture:
        """Read one of the pictures to try."""
        return await computed(session.worker, request, lambda _: session.add_sample(number))

    @app.post(
        UPLOADS,
        responses=refusals(400, 408, 422, 503),
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
                },
            }
        },
    )
    async def upload(
        request: Request, name: Annotated[str, Query(max_length=200)] = "picture"
    ) -> LivePicture:
        """Read a picture: the body is its file."""
        async with uploads:
            data = await uploaded(request)
            return await computed(session.worker, request, lambda _: session.add_upload(name, data))

    @app.get("/api/pictures/{number}", responses=refusals(410, 422, 503))
    async def picture(request: Request, number: Held) -> LivePicture:
        """Return a picture that was read before."""
        return await computed(session.worker, request, lambda _: session.picture(number))


def _add_experiments(app: FastAPI, session: Session) -> None:
    """Add the routes of masks, effects, the search, maps of neurons and the audit."""

    @app.post("/api/mask", responses=refusals(400, 404, 410, 422, 503))
    async def mask(request: Request, asked: MaskRequest) -> WhatIf:
        """Return the effect of masking groups on pictures, as `neurflow debug --mask` reports it."""
        return await computed(
            session.worker, request, lambda progress: session.mask(asked, progress)
        )

    @app.post("/api/effects", responses=refusals(400, 404, 410, 422, 503))
    async def effects(request: Request, asked: EffectsRequest) -> Effects:
        """Return the effect of each group on the answer that a picture gets."""
        return await computed(
            session.worker, request, lambda progress: session.effects(asked, progress)
        )

    @app.get("/api/find", responses=refusals(400, 422, 503))
    async def find(
        request: Request, words: Annotated[str, Query(min_length=1, max_length=200)]
    ) -> Findings:
        """Return classes by their names and, with `--clip`, groups by their crops."""
        return await computed(session.worker, request, lambda _: session.find(words))

    @app.get("/api/pictures/{number}/neurons", responses=refusals(404, 410, 422, 503))
    async def neurons(
        request: Request, number: Held, layer: Annotated[str, Query(min_length=1, max_length=500)]
    ) -> NeuronMaps:
        """Return the response maps of all neurons of a layer on a picture."""
        return await computed(session.worker, request, lambda _: session.neuron_maps(number, layer))

    @app.get("/api/audit", responses=refusals())
    async def audit() -> AuditState:
        """Return the state of the audit."""
        return session.audit()

    @app.post("/api/audit", responses=refusals(400, 503))
    async def start_audit(request: Request) -> AuditState:
        """Start the audit over the samples, unless it has started already."""
        return await computed(session.worker, request, lambda _: session.start_audit())


def _add_changes(app: FastAPI, session: Session) -> None:
    """Add the routes of labels and edits."""

    @app.put("/api/groups/{id:path}/label", responses=refusals(400, 404, 422, 500))
    async def label(id: Group, asked: LabelRequest) -> LabelReply:
        """Set or remove the label of a group."""
        return await run_in_threadpool(session.label, id, asked)

    @app.get("/api/edits", responses=refusals(500))
    async def edits() -> Edits:
        """Return the edits of groups."""
        return await run_in_threadpool(session.edits)

    @app.post("/api/edits", responses=refusals(400, 404, 422, 500, 503))
    async def edit(request: Request, asked: Annotated[EditRequest, Body()]) -> Edits:
        """Merge or split groups, undo or redo."""
        return await computed(session.worker, request, lambda _: session.edit(asked))


async def uploaded(request: Request) -> bytes:
    """Return the body of an upload; a client that sends it too slowly is refused."""
    try:
        async with asyncio.timeout(UPLOAD_SECONDS):
            return await request.body()
    except TimeoutError:
        raise HTTPException(408, "The picture took too long to arrive. Send it again.") from None


async def computed(worker: Worker, request: Request, work: Callable[[CancellableProgress], T]) -> T:
    """Run ``work`` in the worker and return its result; give up when the client disconnects."""
    watched = CancellableProgress()
    future = worker.submit(lambda: work(watched))
    waiting = asyncio.wrap_future(future)
    while True:
        done, _ = await asyncio.wait({waiting}, timeout=PATIENCE)
        if done:
            return waiting.result()
        if await request.is_disconnected():
            watched.gone.set()
            waiting.cancel()
            raise HTTPException(GONE, "The client has gone.")


def answer_problems(app: FastAPI) -> None:
    """Turn every failure into a ``Problem``."""

    @app.exception_handler(NeurFlowError)
    async def known(_: Request, error: NeurFlowError) -> Response:
        codes = (
            (PictureGone, 410),
            (NotFound, 404),
            (ModelMissing, 503),
            (RequestError, 400),
            (WorkError, 500),
        )
        return _problem(next(code for kind, code in codes if isinstance(error, kind)), str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:])
        return _problem(422, f"{where}: {first['msg']}" if where else str(first["msg"]))

    @app.exception_handler(HTTPException)
    async def refused(_: Request, error: HTTPException) -> Response:
        return _problem(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(Cancelled)
    async def stopped(_: Request, __: Cancelled) -> Response:
        return _problem(503, "The server is being stopped.")

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, error: Exception) -> Response:
        return _problem(
            500, f"Unexpected error: {type(error).__name__}. The terminal shows details."
        )


def _problem(code: int, error: str, headers: Any = None) -> Response:
    return JSONResponse(Problem(error=error).model_dump(), code, headers)
