"""``neurflow audit``: ranks groups that look like shortcuts."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from neurflow.cli._command import command
from neurflow.cli._model_of import ModelOptions, naming, with_model_options
from neurflow.cli._options import NoOpen, Page, Run
from neurflow.cli._terminal import Terminal


@command()
@with_model_options
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
    no_open: NoOpen = False,
    **model: Any,
) -> None:
    """Rank the groups of a class by the evidence that they are a shortcut.

    This is a ranking, not a verdict: look at the crops of the first groups, then mask them with
    neurflow debug.
    """
    import neurflow
    from neurflow.cli._debugging import audit_text

    circuit = neurflow.load_circuit(run)
    loaded = ModelOptions.pop(model).load(circuit)
    report = neurflow.audit(circuit, loaded, images, progress=ui.progress)
    for note in report.notes:
        ui.note(note)
    written = []
    if out:
        from neurflow.pages.debug_page import write_audit_page

        written.append(write_audit_page(circuit, report, out))
    first = report.groups[0]
    words = ("neurflow", "debug", str(run), str(images), "--mask", first.id)
    mask = shlex.join([*words, "--ablation", first.ablation])
    ui.result(
        report.model_dump(mode="json"),
        *audit_text(report, top),
        Text(f"\nMask the first group:  {mask}{naming(circuit)}"),
        files=written,
    )
    ui.open_page(out, wanted=not no_open)
