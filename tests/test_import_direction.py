"""Imports point one way, and what computes knows nothing of pages, terminals and the net."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import neurflow

TIERS: tuple[frozenset[str], ...] = tuple(
    frozenset(tier.split())
    for tier in (
        "errors",
        "config",
        "decoding folders",
        "model items images crops reload",
        "features",
        "sharing",
        "activations",
        "attribution",
        "concepts clustering meanings",
        "core_neurons selection",
        "grouping",
        "groups",
        "scores",
        "assembly surroundings",
        "precision",
        "discovery",
        "debugging labels planted",
        "evaluation",
        "atlas",
        "sweeping",
        "report explorer demo",
        "cli",
    )
)
"""from the ground up: a module imports from its own tier and from those before it"""

SHARED = frozenset(
    [
        "circuit",
        "class_files",
        "comparison",
        "cuts",
        "edits",
        "evidence",
        "extras",
        "files",
        "integrity",
        "interactions",
        "intervals",
        "label_file",
        "memory",
        "naming",
        "picture_files",
        "progress",
        "robustness_file",
        "storage",
        "tables",
        "trees",
        "workspace",
    ]
)
"""for all from ``model`` up; they stand on each other, ``config`` and ``errors`` alone"""

OUTWARD = frozenset(
    [
        "aiohttp",
        "bokeh",
        "click",
        "fastapi",
        "flask",
        "html",
        "http",
        "httpx",
        "jinja2",
        "matplotlib",
        "plotly",
        "requests",
        "rich",
        "seaborn",
        "socket",
        "socketserver",
        "starlette",
        "tqdm",
        "typer",
        "urllib",
        "urllib3",
        "uvicorn",
        "webbrowser",
    ]
)
"""HTTP, HTML, terminals, plots: nothing for what lies below ``report``"""

DISPLAYS = {("circuit", "neurflow.report.notebook")}
"""the one import that points up: asked by a notebook, a circuit shows its page"""

PACKAGE = Path(neurflow.__file__).parent
RANK = {name: rank for rank, tier in enumerate(TIERS) for name in tier}


def sources() -> dict[str, str]:
    """Path within the package → source, of every module."""
    return {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
        for path in PACKAGE.rglob("*.py")
    }


def imports(source: str) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of everything imported anywhere in a module, functions included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            if base == "neurflow":
                yield from ((node.lineno, f"neurflow.{alias.name}") for alias in node.names)
            else:
                yield node.lineno, base


def violations(modules: Mapping[str, str]) -> list[str]:
    """One line for each import that points the wrong way, and for each module without a place."""
    found = []
    for path, source in sorted(modules.items()):
        part = path.split("/")[0].removesuffix(".py")
        if part == "__init__":
            continue
        if part not in RANK and part not in SHARED:
            found.append(f"{path}: give {part!r} a place in TIERS or SHARED")
            continue
        found += [
            f"{path}:{line} imports {name}"
            for line, name in imports(source)
            if not allowed(part, name)
        ]
    return found


def allowed(part: str, name: str) -> bool:
    """Whether a module of ``part`` may import ``name``."""
    if name.startswith("."):
        return False
    package, _, rest = name.partition(".")
    if package != "neurflow":
        return package not in OUTWARD or RANK.get(part, 0) >= RANK["report"]
    other = rest.split(".")[0]
    if other not in RANK and other not in SHARED:
        return part == "cli"  # the package itself: its public names stand on everything
    if (part, name) in DISPLAYS:
        return True
    if part in SHARED:
        return other in SHARED | {"config", "errors"}
    if other in SHARED:
        return RANK[part] > RANK["config"]
    return RANK[other] <= RANK[part]


def test_imports_point_one_way() -> None:
    assert violations(sources()) == []


def test_the_package_is_looked_at() -> None:
    assert {"circuit.py", "model/graph.py", "cli/show.py"} <= sources().keys()


@pytest.mark.parametrize(
    ("path", "planted"),
    [
        ("model/graph.py", "from neurflow.discovery import discover"),
        ("activations.py", "import neurflow.attribution.streaming"),
        ("concepts.py", "def late():\n    from neurflow import groups"),
        ("groups.py", "from neurflow import load_model"),
        ("discovery.py", "import neurflow"),
        ("discovery.py", "from neurflow.cli._terminal import Bar"),
        ("discovery.py", "from rich.progress import track"),
        ("model/loading.py", "import urllib.request"),
        ("storage.py", "from neurflow.discovery import discover"),
        ("circuit.py", "import matplotlib.pyplot as plt"),
        ("circuit.py", "from neurflow.report.page import render"),
        ("storage.py", "import neurflow.report.notebook"),
        ("config.py", "from neurflow.circuit import Circuit"),
        ("errors.py", "from neurflow.config import Config"),
        ("report/page.py", "from neurflow.cli import main"),
        ("demo/network.py", "from neurflow.cli import main"),
        ("crops.py", "from . import images"),
        ("newcomer.py", "import math"),
    ],
)
def test_a_planted_violation_is_found(path: str, planted: str) -> None:
    modules = sources()
    modules[path] = f"{modules.get(path, '')}\n{planted}\n"
    (found,) = violations(modules)
    assert found.startswith(path)
