"""``neurflow debug``: explain an answer, and try what changes if groups are masked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from neurflow.cli._command import command
from neurflow.cli._model_of import ModelOptions, with_model_options
from neurflow.cli._modes import Given
from neurflow.cli._options import NoOpen, Page, Run, names
from neurflow.cli._terminal import Terminal
from neurflow.errors import RequestError

if TYPE_CHECKING:
    from neurflow.debugging.masking import Ablation

_WHAT_IF = "What if"


def _change_option(**rest: Any) -> Any:
    return typer.Option(rich_help_panel=_WHAT_IF, **rest)


Plot = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Write a plot as an image file, for slides.", show_default=False
    ),
]


Images = Annotated[list[Path], typer.Argument(metavar="IMAGE…", help="Image files, or one folder.")]
Mask = Annotated[
    list[str] | None,
    _change_option(metavar="GROUP", help="Ablate the neurons of these groups.", show_default=False),
]
Keep = Annotated[
    list[str] | None,
    _change_option(
        metavar="GROUP",
        help="Ablate all neurons of the layer except those of these groups.",
        show_default=False,
    ),
]
AblationOption = Annotated[
    str,
    _change_option(
        metavar="zero|mean|FACTOR",
        help="Set the ablated neurons to zero, to their mean, or scale them by a factor.",
    ),
]
Random = Annotated[
    int,
    _change_option(min=0, help="Number of sets of random neurons to compare with."),
]
Errors = Annotated[
    bool,
    typer.Option("--errors", help="Explain the mistakes on labelled images of the class."),
]
Label = Annotated[
    str | None,
    typer.Option(
        metavar="CLASS", help="True class of the images, if their folders do not name it."
    ),
]


@command()
@with_model_options
def debug(
    ui: Terminal,
    context: typer.Context,
    run: Run,
    images: Images,
    mask: Mask = None,
    keep: Keep = None,
    ablation: AblationOption = "zero",
    random: Random = 20,
    seed: Annotated[int, _change_option(min=0, help="Seed for choosing random neurons.")] = 0,
    errors: Errors = False,
    label: Label = None,
    top: Annotated[int, typer.Option(min=1, help="Largest number of entries in each list.")] = 8,
    out: Page = None,
    plot: Plot = None,
    no_open: NoOpen = False,
    **model: Any,
) -> None:
    """Explain an answer: which groups fire, where, and what changes if groups are masked."""
    Given(context).need(["mask", "keep"], "ablation", "random", "seed")
    change = ablation_of(ablation)

    import neurflow
    from neurflow.cli._debugging import report_text

    circuit = neurflow.load_circuit(run)
    report = neurflow.debug(
        circuit,
        ModelOptions.pop(model).load(circuit),
        source_of(images),
        mask=names(mask) or (),
        keep=names(keep) or (),
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
    ui.result(report.model_dump(mode="json"), *report_text(report, top), files=written)
    ui.open_page(out, wanted=not no_open)


def ablation_of(text: str) -> Ablation:
    """Read an ablation: ``zero``, ``mean`` or a factor; ``RequestError`` for other text."""
    if text == "zero":
        return "zero"
    if text == "mean":
        return "mean"
    try:
        factor = float(text)
    except ValueError:
        factor = float("nan")
    if not abs(factor) < float("inf"):
        raise RequestError(
            f"--ablation {text!r} is neither zero, mean nor a number. Write --ablation 0.5"
        )
    return factor


def source_of(paths: list[Path]) -> Path | list[Path]:
    """Return one path alone, several as a list; ``RequestError`` if one of several is a folder."""
    if len(paths) == 1:
        return paths[0]
    folders = [path for path in paths if path.is_dir()]
    if folders:
        raise RequestError(f"Give either image files or one folder; {folders[0]} is a folder.")
    return paths
