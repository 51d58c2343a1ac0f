"""Imports run downwards and without cycles, and files and functions stay short."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import networkx as nx
import pytest

import neurflow

LONGEST_FILE = 400
"""lines"""
LONGEST_BODY = 60
"""lines of a function without its signature and docstring: a command may have many options, each with a
help text"""
MOST_PARAMETERS = 6
"""of a function, without ``self`` and ``cls``; public functions, public classes and commands may have
more"""

LEVELS: tuple[tuple[str, ...], ...] = (
    ("errors", "refs", "stats"),
    ("config",),
    ("runtime",),
    ("model.network",),
    ("model.fast",),
    ("model.cut",),
    ("model",),
    ("pictures", "demo"),
    ("circuit", "images"),
    ("study",),
    ("attribution",),
    ("method",),
    ("comparison", "debugging", "labels", "planted"),
    ("evaluation",),
    ("atlas",),
    ("sweeping",),
    ("pages",),
    ("server",),
    ("cli",),
)
"""packages from the lowest level to the highest: each may import its own modules and lower packages"""

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
"""packages for HTTP, HTML, terminals and plots, which only ``pages`` and higher packages may import"""

PACKAGE = Path(neurflow.__file__).parent
LEVEL = {name: number for number, level in enumerate(LEVELS) for name in level}


def sources() -> dict[str, str]:
    """Path within the package → source, of every module except the public package itself."""
    return {
        path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
        for path in PACKAGE.rglob("*.py")
        if path != PACKAGE / "__init__.py"
    }


def dotted(path: str) -> str:
    """``model/cut/segment.py`` → ``model.cut.segment``; a package's ``__init__`` is the package."""
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def package_of(module: str) -> str | None:
    """The package on ``LEVELS`` that a module belongs to: the longest name that fits."""
    parts = module.split(".")
    names = (".".join(parts[:n]) for n in range(len(parts), 0, -1))
    return next((name for name in names if name in LEVEL), None)


@functools.cache
def imports(source: str, modules: frozenset[str]) -> tuple[tuple[int, str], ...]:
    """:func:`imported`, remembered: many tests read the same sources."""
    return tuple(imported(source, modules))


def imported(source: str, modules: frozenset[str]) -> Iterator[tuple[int, str]]:
    """(line, name) of everything a module imports, in functions and for type checking too.

    Names within the package are those of modules, without ``neurflow.``.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.removeprefix("neurflow.")
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                yield node.lineno, "." * node.level
                continue
            base = (node.module or "").removeprefix("neurflow").lstrip(".")
            if node.module != "neurflow" and not (node.module or "").startswith("neurflow."):
                yield node.lineno, node.module or ""
                continue
            for alias in node.names:
                name = f"{base}.{alias.name}".lstrip(".")
                yield node.lineno, name if name in modules else base


def violations(files: Mapping[str, str]) -> list[str]:
    """One line for each import that runs upwards, and for each module without a level."""
    modules = frozenset(map(dotted, files))
    found = []
    for path, source in sorted(files.items()):
        own = package_of(dotted(path))
        if own is None:
            found.append(f"{path}: add its package to LEVELS")
            continue
        found += [
            f"{path}:{line} imports {name}"
            for line, name in imports(source, modules)
            if not allowed(own, name, modules)
        ]
    return found


def allowed(own: str, name: str, modules: frozenset[str]) -> bool:
    """Whether a module of the package ``own`` may import ``name``."""
    if name.startswith("."):
        return False
    if name in ("", "neurflow"):  # the public package, which imports everything
        return own == "cli"
    other = package_of(name) if name in modules else None
    if other is None:
        return name.split(".")[0] not in OUTWARD or LEVEL[own] >= LEVEL["pages"]
    return other == own or LEVEL[other] < LEVEL[own]


def cycles(files: Mapping[str, str]) -> list[list[str]]:
    """Groups of modules that import each other, lazily or not."""
    modules = frozenset(map(dotted, files))
    graph = nx.DiGraph(
        (dotted(path), name)
        for path, source in files.items()
        for _, name in imports(source, modules)
        if name in modules and name != dotted(path)
    )
    return [sorted(part) for part in nx.strongly_connected_components(graph) if len(part) > 1]


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(source: str) -> Iterator[Function]:
    """All functions and methods of a module."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, Function):
            yield node


def public_names(files: Mapping[str, str]) -> set[str]:
    """The names that the package and its subpackages export in ``__all__``."""
    found = set(neurflow.__all__)
    for path, source in files.items():
        for node in ast.parse(source).body if path.endswith("__init__.py") else ():
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                found |= set(ast.literal_eval(node.value))
    return found


def many_parameters(files: Mapping[str, str]) -> list[str]:
    """One line for each function below the public surface with too many parameters."""
    public, found = public_names(files), []
    for path, source in sorted(files.items()):
        classes = {
            each.lineno: node.name
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ClassDef)
            for each in node.body
            if isinstance(each, Function) and each.name == "__init__"
        }
        for each in functions(source):
            exported = classes.get(each.lineno, each.name) in public
            if parameters(each) > MOST_PARAMETERS and not exported and not path.startswith("cli/"):
                found.append(f"{path}:{each.name} has {parameters(each)} parameters")
    return found


def body_lines(function: Function) -> int:
    """Lines of a function from its first statement to its last."""
    first = function.body[ast.get_docstring(function) is not None and len(function.body) > 1]
    return (function.end_lineno or 0) - first.lineno + 1


def parameters(function: Function) -> int:
    """Number of a function's parameters, without ``self`` and ``cls``."""
    given = function.args
    names = [each.arg for each in (*given.posonlyargs, *given.args, *given.kwonlyargs)]
    return len([name for name in names if name not in ("self", "cls")])


def too_large(files: Mapping[str, str]) -> list[str]:
    """One line for each file, function body and signature that is too long."""
    found = []
    for path, source in sorted(files.items()):
        if source.count("\n") > LONGEST_FILE:
            found.append(f"{path} has {source.count(chr(10))} lines")
        for each in functions(source):
            name = f"{path}:{each.name}"
            if body_lines(each) > LONGEST_BODY:
                found.append(f"{name} has {body_lines(each)} lines")
    return found + many_parameters(files)


def test_files_and_functions_are_short() -> None:
    assert too_large(sources()) == []


@pytest.mark.parametrize(
    ("planted", "problem"),
    [
        ("\n" * 401, "errors.py has"),
        ("def f():\n" + "    x = 1\n" * 61, "errors.py:f has 61 lines"),
        ("def f(a, b, c, *, d, e, f, g): ...\n", "errors.py:f has 7 parameters"),
    ],
)
def test_too_large_files_functions_and_signatures_are_found(planted: str, problem: str) -> None:
    (found,) = too_large({"errors.py": sources()["errors.py"] + planted})
    assert found.startswith(problem)


def test_the_figures_of_the_documentation_are_current() -> None:
    files = sources()
    modules = frozenset(map(dotted, files))
    packages = nx.DiGraph(
        (package_of(dotted(path)), package_of(name))
        for path, source in files.items()
        for _, name in imports(source, modules)
        if name in modules and package_of(name) != package_of(dotted(path))
    )
    page = (Path(__file__).parents[1] / "docs" / "architecture.md").read_text(encoding="utf-8")
    table = page.partition("<!-- figures -->")[2].partition("<!-- end of figures -->")[0]
    found = [int(number) for number in re.findall(r"^\| .* \| (\d+)", table, re.M)]
    assert found == [
        len(LEVEL),
        nx.dag_longest_path_length(packages) + 1,
        len(cycles(files)),
        sum(
            body_lines(each) > LONGEST_BODY
            for source in files.values()
            for each in functions(source)
        ),
        len(many_parameters(files)),
        sum(source.count("\n") > LONGEST_FILE for source in files.values()),
    ]
    assert f"{len(LEVEL)} on {len(LEVELS)} levels" in table


def test_imports_run_downwards() -> None:
    assert violations(sources()) == []


def test_no_modules_import_each_other() -> None:
    assert cycles(sources()) == []


def test_all_subpackages_are_checked() -> None:
    assert {"circuit/circuit.py", "model/network/graph.py", "cli/show.py"} <= sources().keys()


@pytest.mark.parametrize(
    ("path", "planted"),
    [
        ("model/network/graph.py", "from neurflow.method.discover import discover"),
        ("model/fast/affine.py", "from neurflow.model.cut import segment"),
        ("study/activations.py", "import neurflow.attribution.streaming"),
        ("method/concepts.py", "def late():\n    from neurflow.debugging import masking"),
        ("method/groups.py", "from neurflow import load_model"),
        ("method/discover.py", "import neurflow"),
        ("method/discover.py", "from neurflow.cli._terminal import Bar"),
        ("method/discover.py", "from rich.progress import track"),
        ("model/loading.py", "import urllib.request"),
        ("circuit/storage.py", "from neurflow.method.discover import discover"),
        ("circuit/circuit.py", "import matplotlib.pyplot as plt"),
        ("circuit/circuit.py", "from neurflow.pages.page import render"),
        ("config.py", "from neurflow.circuit import Circuit"),
        ("errors.py", "from neurflow.config import Config"),
        ("pages/page.py", "from neurflow.cli import main"),
        ("demo/network.py", "from neurflow.pictures import images"),
        ("pictures/crops.py", "from . import images"),
        ("new_module.py", "import math"),
    ],
)
def test_a_planted_violation_is_found(path: str, planted: str) -> None:
    files = sources()
    files[path] = f"{files.get(path, '')}\n{planted}\n"
    (found,) = violations(files)
    assert found.startswith(path)


def test_a_planted_cycle_is_found() -> None:
    files = sources()
    files["stats.py"] += "\ndef late():\n    from neurflow import refs\n"
    files["refs.py"] += "\nfrom neurflow.stats import Interval\n"
    assert cycles(files) == [["refs", "stats"]]
