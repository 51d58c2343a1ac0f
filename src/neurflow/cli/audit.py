"""``neurflow audit``: the groups that look like shortcuts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from neurflow.cli._command import command
from neurflow.cli._model_of import ModelAgain, WeightsAgain, naming
from neurflow.cli._options import ClassNames, Device, NoOpen, Page, Run
from neurflow.cli._terminal import Terminal


@command()
def audit(
    ui: Terminal,
    run: Run,
    images: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGES",
            help="Class folders of images that the model was not trained on.",
        ),
    ],
    top: Annotated[int, typer.Option(min=1, help="Largest number of groups that are listed.")] = 10,
    out: Page = None,
    model: ModelAgain = None,
    weights: WeightsAgain = None,
    class_names: ClassNames = None,
    device: Device = "cpu",
    no_open: NoOpen = False,
) -> None:
    """Rank the groups of a class by the evidence that they are a shortcut.

    This is a ranking, not a verdict: look at the crops of the first groups, then mask them with
    neurflow debug.
    """
    import neurflow
    from neurflow.cli._debugging import audit_text

    circuit = neurflow.load_circuit(run)
    loaded = neurflow.reload_model(
        circuit, model, weights=weights, class_names=class_names, device=device
    )
    report = neurflow.audit(circuit, loaded, images, progress=ui.progress)
    for note in report.notes:
        ui.note(note)
    first = report.groups[0]
    written = []
    if out:
        from neurflow.pages.debug_page import write_audit_page

        written.append(write_audit_page(circuit, report, out))
    ui.result(
        {"files": [str(path) for path in written], **report.model_dump(mode="json")},
        *audit_text(report, top),
        Text(
            f"\nMask the first:  neurflow debug {run} {images} --mask {first.id} "
            f"--ablation {first.ablation}{naming(circuit)}"
        ),
        *(Text(f"Written: {path}") for path in written),
    )
    if out:
        ui.open_page(out, wanted=not no_open)
