"""``neurflow debug``: why this answer, and what if that group were gone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from neurflow.cli._model_of import ModelAgain, WeightsAgain
from neurflow.cli._modes import Given
from neurflow.cli._options import ClassNames, Debug, Device, Json, NoOpen, Run
from neurflow.cli._terminal import terminal
from neurflow.errors import RequestError

if TYPE_CHECKING:
    from neurflow.debugging.masking import Ablation

_WHAT_IF = "What if"

Page = Annotated[
    Path | None,
    typer.Option(
        "-o", "--out", metavar="FILE", help="Page to write, one HTML file.", show_default=False
    ),
]
Plot = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Plain picture to write, for a slide.", show_default=False),
]


def debug(
    context: typer.Context,
    run: Run,
    images: Annotated[
        list[Path], typer.Argument(metavar="IMAGE…", help="Pictures, or one folder of them.")
    ],
    mask: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GROUP",
            help="Change this group's neurons; more groups, of any layers, by repeating.",
            show_default=False,
            rich_help_panel=_WHAT_IF,
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option(
            metavar="GROUP",
            help="Change all neurons of the group's layer but its own.",
            show_default=False,
            rich_help_panel=_WHAT_IF,
        ),
    ] = None,
    by: Annotated[
        str,
        typer.Option(
            metavar="zero|mean|FACTOR",
            help="Set them to zero or to their mean, or scale them.",
            rich_help_panel=_WHAT_IF,
        ),
    ] = "zero",
    random: Annotated[
        int,
        typer.Option(
            min=0, help="Sets of random neurons to compare with.", rich_help_panel=_WHAT_IF
        ),
    ] = 20,
    seed: Annotated[int, typer.Option(min=0, help="Seed of these.", rich_help_panel=_WHAT_IF)] = 0,
    errors: Annotated[
        bool,
        typer.Option("--errors", help="Explain the class's mistakes among labelled pictures."),
    ] = False,
    label: Annotated[
        str | None,
        typer.Option(metavar="CLASS", help="True class of pictures that carry no label."),
    ] = None,
    top: Annotated[int, typer.Option(min=1, help="List at most so many of everything.")] = 8,
    out: Page = None,
    plot: Plot = None,
    model: ModelAgain = None,
    weights: WeightsAgain = None,
    class_names: ClassNames = None,
    device: Device = "cpu",
    no_open: NoOpen = False,
    as_json: Json = False,
    debug: Debug = False,
) -> None:
    """Explain an answer: which groups fire, where, what is missing; what if one were gone."""
    with terminal(as_json, debug) as ui:
        Given(context).need(["mask", "keep"], "by", "random", "seed")
        change = change_by(by)

        import neurflow
        from neurflow.cli._debugging import report_text

        circuit = neurflow.load_circuit(run)
        report = neurflow.debug(
            circuit,
            neurflow.reload_model(
                circuit, model, weights=weights, class_names=class_names, device=device
            ),
            source_of(images),
            mask=mask or (),
            keep=keep or (),
            ablation=change,
            errors=errors,
            label=label,
            draws=random,
            seed=seed,
            progress=ui.progress,
        )
        written = []
        if plot:
            from neurflow.pages.plot import write_plot

            written.append(write_plot(circuit, report, plot))
        if out:
            from neurflow.pages.debug_page import write_debug_page

            written.append(write_debug_page(circuit, report, out))
        ui.result(
            {"files": [str(path) for path in written], **report.model_dump(mode="json")},
            *report_text(report, top),
            *(Text(f"Written: {path}") for path in written),
        )
        if out:
            ui.open_page(out, wanted=not no_open)


def change_by(text: str) -> Ablation:
    """``zero``, ``mean``, or the number that is meant; ``RequestError`` for other text."""
    if text == "zero":
        return "zero"
    if text == "mean":
        return "mean"
    try:
        factor = float(text)
    except ValueError:
        factor = float("nan")
    if not abs(factor) < float("inf"):
        raise RequestError(f"--by {text!r} is neither zero nor mean nor a number. Write --by 0.5")
    return factor


def source_of(paths: list[Path]) -> Path | list[Path]:
    """One path as it is, several as a list; ``RequestError`` if a folder is among several."""
    if len(paths) == 1:
        return paths[0]
    folders = [path for path in paths if path.is_dir()]
    if folders:
        raise RequestError(f"Give either pictures or one folder; {folders[0]} is a folder.")
    return paths
