"""``neurflow evaluate``: the published experiments on a circuit, and further controls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurflow.cli._command import command
from neurflow.cli._model_of import ModelOptions, with_model_options
from neurflow.cli._modes import Given
from neurflow.cli._options import NoOpen, given_values, names, with_options_of
from neurflow.cli._terminal import Terminal
from neurflow.errors import RequestError
from neurflow.evaluation.settings import QUICK, Settings
from neurflow.runtime.extras import require

if TYPE_CHECKING:
    from neurflow.circuit import Circuit
    from neurflow.model import Model


Subject = Annotated[
    str,
    typer.Argument(
        metavar="RUN|MODEL",
        help="Folder of a result; or a model, whose circuit is first found with the published "
        "settings (needs --images and --target).",
    ),
]
Protocols = Annotated[
    list[str],
    typer.Argument(
        metavar="PROTOCOL…",
        help="optimality, fidelity, completeness, overlap, weights, attribution, sum-mean, norm, "
        "k, crop-sizes, groups, meanings, integration, faithfulness, stability, significance, "
        "or all.",
    ),
]
Images = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="The images that the circuit was found on.",
        show_default="their folder at that time",
    ),
]
HeldOut = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Other images, on which predictions and overlaps are measured.",
        show_default=False,
    ),
]
Quick = Annotated[
    bool,
    typer.Option(
        "--quick", help="Get rough figures in minutes, from few neurons, sets and resamples."
    ),
]
Out = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--out",
        metavar="FILE",
        help="Write a page with tables and plots, one HTML file.",
        show_default=False,
    ),
]
Csv = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Write the tables as CSV files.", show_default=False),
]
Plots = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Write the plots as PNG files.", show_default=False),
]
Target = Annotated[
    str | None, typer.Option(help="If a model is given: what to explain.", show_default=False)
]
Run = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="If a model is given: folder of its circuit.",
        show_default="runs/MODEL-TARGET",
    ),
]
Memory = Annotated[str, typer.Option(metavar="SIZE", help="Memory to use on top of the model.")]


@command(resumable=True)
@with_model_options
@with_options_of(Settings, "Settings")
def evaluate(
    ui: Terminal,
    context: typer.Context,
    subject: Subject,
    protocols: Protocols,
    images: Images = None,
    held_out: HeldOut = None,
    quick: Quick = False,
    out: Out = None,
    csv: Csv = None,
    plots: Plots = None,
    target: Target = None,
    run: Run = None,
    memory: Memory = "2GB",
    no_open: NoOpen = False,
    **values: Any,
) -> None:
    """Measure a circuit by the published experiments, with intervals and controls.

    Run the same command again to resume; finished tables are kept in the folder of the result.
    """
    named, base = ModelOptions.pop(values), QUICK.model_dump() if quick else {}
    settings = Settings(**{**base, **given_values(Settings, values)})

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
        loaded, circuit = _discovered(ui, subject, named, target, images, folder)
    else:
        given.refuse("a model as the subject", "target", "run")
        circuit = neurflow.load_circuit(folder)
        loaded = named.load(circuit)
    found = neurflow.evaluate(
        circuit,
        loaded,
        pictures_of(folder, images),
        chosen_names,
        held_out=unseen_of(folder, held_out),
        settings=settings,
        out=folder,
        memory=memory,
        progress=ui.progress,
    )
    if found.robustness.groups or found.robustness.edges:
        save_robustness(folder, found.robustness)
    ui.result(
        found.model_dump(mode="json"),
        *evaluation_text(found, ui.width),
        files=_written(found, out, csv, plots),
    )
    ui.open_page(out, wanted=not no_open)


def _discovered(
    ui: Terminal,
    reference: str,
    named: ModelOptions,
    target: str | None,
    images: Path | None,
    run: Path,
) -> tuple[Model, Circuit]:
    """Load a model and find its circuit, or load the circuit that was found before."""
    import neurflow

    if images is None or target is None:
        raise RequestError(
            f"{reference} is a model, so its circuit must be found first. "
            "Give a target and images: --target CLASS --images FOLDER"
        )
    model = neurflow.load_model(
        reference,
        named.weights or "DEFAULT",
        class_names=named.class_names,
        device=named.device,
    )
    config = neurflow.Config.published()
    circuit = neurflow.discover(model, images, target, config=config, out=run, progress=ui.progress)
    return model, circuit


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
