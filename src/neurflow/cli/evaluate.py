"""``neurflow evaluate``: the published experiments on a circuit, and what a reviewer would add."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from neurflow.cli._model_of import ModelAgain, WeightsAgain
from neurflow.cli._modes import Given
from neurflow.cli._options import (
    ClassNames,
    Debug,
    Device,
    Json,
    NoOpen,
    given_values,
    with_options_of,
)
from neurflow.cli._terminal import terminal
from neurflow.errors import RequestError
from neurflow.evaluation.settings import QUICK, Settings
from neurflow.runtime.extras import require

if TYPE_CHECKING:
    from neurflow.circuit import Circuit
    from neurflow.cli._terminal import Terminal
    from neurflow.model import Model


@with_options_of(Settings, "Settings")
def evaluate(
    context: typer.Context,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Folder of a result; or a model, whose circuit is found first, as published "
            "(--images, --target).",
        ),
    ],
    protocols: Annotated[
        list[str],
        typer.Argument(
            metavar="PROTOCOL…",
            help="optimality, fidelity, completeness, overlap, weights, attribution, sum-mean, norm, "
            "k, crop-sizes, groups, meanings, integration, faithfulness, stability, significance, "
            "or all.",
        ),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="The pictures that the circuit was made from.",
            show_default="where they were",
        ),
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Pictures that it was not made from; answers and overlaps are measured on them.",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Few neurons, sets and resamples: rough, in minutes.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="One HTML page to write, with tables and plots.",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write each table as CSV.", show_default=False),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write each plot as PNG.", show_default=False),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Of a model: what to explain.", show_default=False)
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Of a model: where its circuit goes.",
            show_default="runs/MODEL-TARGET",
        ),
    ] = None,
    memory: Annotated[
        str, typer.Option(metavar="SIZE", help="What may be held at once above the model.")
    ] = "2GB",
    model: ModelAgain = None,
    weights: WeightsAgain = None,
    class_names: ClassNames = None,
    device: Device = "cpu",
    no_open: NoOpen = False,
    as_json: Json = False,
    debug: Debug = False,
    **settings: Any,
) -> None:
    """Measure a circuit by the published experiments, with intervals and controls.

    Stopped half-way, the same command goes on where it was; finished tables are kept in the run.
    """
    with terminal(as_json, debug, resumable=True) as ui:
        base = QUICK.model_dump() if quick else {}
        chosen = Settings(**{**base, **given_values(Settings, settings)})

        import neurflow
        from neurflow.circuit import save_robustness
        from neurflow.cli._evaluation import evaluation_text
        from neurflow.cli._pictures_of import pictures_of, unseen_of
        from neurflow.evaluation.evaluate import chosen_protocols

        names = chosen_protocols(protocols)
        if page or plots:
            require("plot")
        run, given = Path(subject), Given(context)
        if ":" in subject and not run.is_dir():
            given.refuse("a result as the subject", "model")
            run, circuit, loaded = _discovered(
                ui, subject, target, images, out, weights, class_names, device
            )
        else:
            given.refuse("a model as the subject", "target", "out")
            circuit = neurflow.load_circuit(run)
            loaded = neurflow.reload_model(
                circuit, model, weights=weights, class_names=class_names, device=device
            )
        found = neurflow.evaluate(
            circuit,
            loaded,
            pictures_of(run, images),
            names,
            held_out=unseen_of(run, held_out),
            settings=chosen,
            out=run,
            memory=memory,
            progress=ui.progress,
        )
        if found.robustness.groups or found.robustness.edges:
            save_robustness(run, found.robustness)
        written = _written(found, page, csv, plots)
        ui.result(
            {"files": [str(path) for path in written], **found.model_dump(mode="json")},
            *evaluation_text(found),
            *(Text(f"Written: {path}") for path in written),
        )
        if page:
            ui.open_page(page, wanted=not no_open)


def _discovered(
    ui: Terminal,
    reference: str,
    target: str | None,
    images: Path | None,
    out: Path | None,
    weights: str | None,
    class_names: Path | None,
    device: str,
) -> tuple[Path, Circuit, Model]:
    """Folder and circuit of a model, found now or before, and the model."""
    import neurflow
    from neurflow.cli.discover import default_folder

    if images is None or target is None:
        raise RequestError(
            f"{reference} is a model: its circuit is found first. "
            "Say of what, in which pictures: --target CLASS --images FOLDER"
        )
    run = out or default_folder(reference, target)
    model = neurflow.load_model(
        reference, weights or "DEFAULT", class_names=class_names, device=device
    )
    config = neurflow.Config.published()
    circuit = neurflow.discover(model, images, target, config=config, out=run, progress=ui.progress)
    return run, circuit, model


def _written(found: Any, page: Path | None, csv: Path | None, plots: Path | None) -> list[Path]:
    written: list[Path] = []
    if csv:
        from neurflow.circuit.tables import write_records

        written += [
            write_records(table.records(), csv / f"{table.protocol}.csv") for table in found.tables
        ]
    if plots:
        from neurflow.pages.evaluation_plots import write_plots

        written += write_plots(found, plots)
    if page:
        from neurflow.pages.evaluation_page import write_evaluation_page

        written.append(write_evaluation_page(found, page))
    return written
