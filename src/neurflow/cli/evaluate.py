"""``neurflow evaluate``: the published experiments on a circuit, and further controls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from neurflow.cli._command import command
from neurflow.cli._model_of import ModelAgain, WeightsAgain
from neurflow.cli._modes import Given
from neurflow.cli._options import (
    ClassNames,
    Device,
    NoOpen,
    given_values,
    names,
    with_options_of,
)
from neurflow.cli._terminal import Terminal
from neurflow.errors import RequestError
from neurflow.evaluation.settings import QUICK, Settings
from neurflow.runtime.extras import require

if TYPE_CHECKING:
    from neurflow.circuit import Circuit
    from neurflow.cli._terminal import Terminal
    from neurflow.model import Model


@command(resumable=True)
@with_options_of(Settings, "Settings")
def evaluate(
    ui: Terminal,
    context: typer.Context,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="RUN|MODEL",
            help="Folder of a result; or a model, whose circuit is then found first with the published "
            "settings (--images, --target).",
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
            help="The images that the circuit was found on.",
            show_default="where they were",
        ),
    ] = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Other images; predictions and overlaps are measured on them.",
            show_default=False,
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option("--quick", help="Rough figures in minutes: few neurons, sets and resamples."),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            metavar="FILE",
            help="Write a page with tables and plots, one HTML file.",
            show_default=False,
        ),
    ] = None,
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write the tables as CSV files.", show_default=False),
    ] = None,
    plots: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Write the plots as PNG files.", show_default=False),
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="If a model is given: what to explain.", show_default=False)
    ] = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="If a model is given: folder of its circuit.",
            show_default="runs/MODEL-TARGET",
        ),
    ] = None,
    memory: Annotated[
        str, typer.Option(metavar="SIZE", help="Memory to use on top of the model.")
    ] = "2GB",
    model: ModelAgain = None,
    weights: WeightsAgain = None,
    class_names: ClassNames = None,
    device: Device = "cpu",
    no_open: NoOpen = False,
    **settings: Any,
) -> None:
    """Measure a circuit by the published experiments, with intervals and controls.

    Re-run the same command to resume: finished tables are kept in the folder of the result.
    """
    options: dict[str, Any] = {"class_names": class_names, "device": device}
    base = QUICK.model_dump() if quick else {}
    chosen = Settings(**{**base, **given_values(Settings, settings)})

    import neurflow
    from neurflow.circuit import save_robustness
    from neurflow.cli._evaluation import evaluation_text
    from neurflow.cli.discover import default_folder
    from neurflow.evaluation.evaluate import chosen_protocols
    from neurflow.evaluation.picture_source import pictures_of, unseen_of

    chosen_names = chosen_protocols(names(protocols) or [])
    if out or plots:
        require("plot")
    folder, given = Path(subject), Given(context)
    if ":" in subject and not folder.is_dir():
        given.refuse("a result as the subject", "model")
        folder = run or default_folder(subject, target or "")
        circuit, loaded = _discovered(
            ui, subject, target, images, folder, {"weights": weights or "DEFAULT", **options}
        )
    else:
        given.refuse("a model as the subject", "target", "run")
        circuit = neurflow.load_circuit(folder)
        loaded = neurflow.reload_model(circuit, model, weights=weights, **options)
    found = neurflow.evaluate(
        circuit,
        loaded,
        pictures_of(folder, images),
        chosen_names,
        held_out=unseen_of(folder, held_out),
        settings=chosen,
        out=folder,
        memory=memory,
        progress=ui.progress,
    )
    if found.robustness.groups or found.robustness.edges:
        save_robustness(folder, found.robustness)
    written = _written(found, out, csv, plots)
    ui.result(
        {"files": [str(path) for path in written], **found.model_dump(mode="json")},
        *evaluation_text(found, ui.width),
        *(Text(f"Written: {path}") for path in written),
    )
    if out:
        ui.open_page(out, wanted=not no_open)


def _discovered(
    ui: Terminal,
    reference: str,
    target: str | None,
    images: Path | None,
    run: Path,
    options: dict[str, Any],
) -> tuple[Circuit, Model]:
    """Find the circuit of a model, or load the one found before; return it with the model."""
    import neurflow

    if images is None or target is None:
        raise RequestError(
            f"{reference} is a model, so its circuit must be found first. "
            "Give a target and images: --target CLASS --images FOLDER"
        )
    model = neurflow.load_model(reference, **options)
    config = neurflow.Config.published()
    circuit = neurflow.discover(model, images, target, config=config, out=run, progress=ui.progress)
    return circuit, model


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
