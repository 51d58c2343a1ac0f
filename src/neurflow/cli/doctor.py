"""``neurflow doctor``: installed and missing packages, and the devices to compute on."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from rich.table import Table
from rich.text import Text

from neurflow.cli._command import command
from neurflow.cli._terminal import Terminal

if TYPE_CHECKING:
    from neurflow.runtime.extras import Extra

CORE = ("torch", "torchvision", "numpy", "scipy", "pandas", "pillow", "safetensors", "typer")
"""packages whose versions are reported"""


@command()
def doctor(ui: Terminal, context: typer.Context) -> None:
    """Report versions, devices, optional packages and settings, without changing anything."""
    from importlib.metadata import version
    from importlib.resources import files

    from neurflow import __version__
    from neurflow.cli._defaults import settings_of, unknown_variables, variables
    from neurflow.labels.registry import registered
    from neurflow.runtime.extras import extras

    optional, (file, _) = extras(), settings_of(Path.cwd())
    data: dict[str, Any] = {
        "neurflow": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "packages": {name: version(name) for name in CORE},
        "devices": devices(),
        "pages": files("neurflow").joinpath("pages", "static", "index.html").is_file(),
        "extras": {
            extra.name: {
                "for": extra.purpose,
                "installed": extra.versions,
                "missing": list(extra.missing),
            }
            for extra in optional
        },
        "labelers": list(registered()),
        "settings": {
            "file": str(file) if file else None,
            "variables": variables(os.environ),
            "unknown": list(unknown_variables(context.find_root().command, os.environ)),
        },
    }
    ui.result(data, *_text(data, optional))


def devices() -> list[dict[str, str]]:
    """List the possible values of ``--device``, the fastest first."""
    import torch

    found = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        memory = f"{properties.total_memory / 2**30:.0f} GiB"
        found.append({"device": f"cuda:{index}", "what": f"{properties.name}, {memory}"})
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "what": "Apple GPU"})
    threads = torch.get_num_threads()
    found.append(
        {"device": "cpu", "what": f"{os.cpu_count()} processors, PyTorch threads: {threads}"}
    )
    return found


def _text(data: dict[str, Any], optional: list[Extra]) -> list[Any]:
    facts = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("neurflow", f"{data['neurflow']}, Python {data['python']}, {data['system']}")
    facts.add_row("packages", ", ".join(f"{n} {v}" for n, v in data["packages"].items()))
    for each in data["devices"]:
        facts.add_row(f"--device {each['device']}", each["what"])
    built = "built" if data["pages"] else "not built; to write pages, run: python hatch_build.py"
    facts.add_row("pages", built)
    settings = data["settings"]
    facts.add_row("settings", settings["file"] or "no neurflow.toml, no [tool.neurflow]")
    if settings["variables"]:
        unknown = settings["unknown"]
        words = [f"{n} (sets no option)" if n in unknown else n for n in settings["variables"]]
        facts.add_row("variables", ", ".join(words))
    if data["labelers"]:
        facts.add_row("labelers", ", ".join(data["labelers"]))
    return [facts, Text("\nOptional packages", style="bold"), _extras(optional)]


def _extras(optional: list[Extra]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", ratio=1)
    for extra in optional:
        if extra.missing:
            state = Text(f"missing: {', '.join(extra.missing)}", style="yellow")
            state.append(f"\n{extra.install}", style="default")
        else:
            state = Text(", ".join(f"{n} {v}" for n, v in extra.versions.items()))
        table.add_row(extra.name, Text(extra.purpose, style="dim").append("\n").append(state))
    return table
