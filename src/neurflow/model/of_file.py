"""``file:module.py:factory``: loads a network from the user's own Python file.

1. The file's folder is first in ``sys.path``, and the module is in ``sys.modules``, so that imports of
   neighbouring files and dataclasses work. A file in a package is imported as a part of it, so that
   relative imports work.
2. It sees a command line without arguments, and may change the current folder. Its output goes to
   stderr, and its errors are reported with the line in that file.
3. The factory takes no arguments and returns an ``nn.Module`` or a ``Model``.
"""

from __future__ import annotations

import contextlib
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from neurflow.errors import ModelError, NeurFlowError, near
from neurflow.model.model import Model
from neurflow.model.preprocessing import Preprocessing
from neurflow.model.source import DEFAULT, Loaded, Request
from neurflow.runtime.paths import expanded


def load(name: str, request: Request) -> Loaded:
    """Call the factory.

    Raises:
        ModelError: there is no such file or function, or it fails.
    """
    if request.weights not in (None, DEFAULT):
        raise ModelError(
            f"There is no weights file {request.weights!r}. Give the path of a state dict."
        )
    text, _, factory = name.rpartition(":")
    path = expanded(text)
    if factory.endswith(".py"):
        raise ModelError(f"Name the function that makes the network as well: file:{name}:FUNCTION")
    if path.suffix == ".ipynb" and path.is_file():
        raise ModelError(
            f"{text} is a notebook. Save its code as a Python file: file:module.py:factory."
        )
    if path.suffix != ".py" or not path.is_file():
        raise ModelError(f"There is no Python file {text!r}. Write file:module.py:factory.")
    with _surroundings():
        made = _made(path, factory)
    return Loaded(made, Preprocessing())


def _made(path: Path, factory: str) -> nn.Module | Model:
    """Execute the file, and call its factory."""
    with _run_for(path):
        module = _executed(path.resolve())
    made = getattr(module, factory, None)
    if not isinstance(made, nn.Module):
        if made is None:
            raise ModelError(f"{path} has no function {factory!r}.{near(factory, vars(module))}")
        if not callable(made):
            raise ModelError(
                f"{factory} of {path} is {_a(made)}; "
                "it must be an nn.Module or a function that makes one."
            )
        made = _called(made, f"{path}:{factory}", path)
    if not isinstance(made, nn.Module | Model):
        raise ModelError(
            f"{factory} of {path} returns {_a(made)}; "
            "it must return an nn.Module or a neurflow.Model."
        )
    return made


def _a(value: Any) -> str:
    if value is None:
        return "nothing"
    name = type(value).__name__
    return f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}"


def _called(factory: Callable[..., Any], name: str, path: Path) -> Any:
    with contextlib.suppress(TypeError, ValueError):  # builtins have no signature
        needed = [
            p.name
            for p in inspect.signature(factory).parameters.values()
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        if needed:
            raise ModelError(
                f"{name} needs {', '.join(needed)}, but it is called without arguments. "
                "Write a function without parameters that returns the network."
            )
    with _run_for(path):
        return factory()


def _executed(path: Path) -> ModuleType:
    """Execute a file as a new module."""
    package, home = _package(path.parent)
    folder = str(home)
    sys.path[:] = [folder, *(entry for entry in sys.path if entry != folder)]
    _forget_namesakes(home)
    if package:
        importlib.import_module(package)
    name = f"{package}.{path.stem}" if package else f"neurflow_file_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None, "a .py file has a loader"
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _package(folder: Path) -> tuple[str, Path]:
    """Return the dotted name of a package, and the folder that it is imported from."""
    names: list[str] = []
    while (folder / "__init__.py").is_file() and folder.name.isidentifier():
        names.insert(0, folder.name)
        folder = folder.parent
    return ".".join(names), folder


def _forget_namesakes(folder: Path) -> None:
    """Unload modules of other folders that have the same name as a file in ``folder``."""
    beside = {p.stem for p in folder.glob("*.py")} | {p.parent.name for p in folder.glob("*/*.py")}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None) or next(
            iter(getattr(module, "__path__", [])), None
        )
        if name.partition(".")[0] not in beside or file is None:
            continue
        where = Path(file).resolve()
        installed = {"site-packages", "dist-packages"} & set(where.parts)
        if not installed and not where.is_relative_to(folder) and not _in_library(where):
            del sys.modules[name]


def _in_library(path: Path) -> bool:
    """Return whether a file belongs to Python itself or to this package."""
    homes = Path(inspect.__file__).resolve().parent, Path(__file__).resolve().parents[2]
    return any(path.is_relative_to(home) for home in homes)


@contextlib.contextmanager
def _surroundings() -> Iterator[None]:
    """Restore the current folder and PyTorch's default device, which training scripts may change."""
    folder, device = Path.cwd(), torch.get_default_device()
    try:
        yield
    finally:
        os.chdir(folder)
        if torch.get_default_device() != device:
            torch.set_default_device(device)


@contextlib.contextmanager
def _run_for(path: Path) -> Iterator[None]:
    """Send output to stderr, and turn failures into a ``ModelError`` with the line of the file."""
    arguments, path = sys.argv, path.absolute()
    sys.argv = [str(path)]
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    except NeurFlowError:
        raise
    except (Exception, SystemExit) as error:
        script = "Put what runs as a script below if __name__ == '__main__'. "
        raise ModelError(
            f"{_where(error, path)}: {type(error).__name__}: {_said(error)}\n"
            f"{script if isinstance(error, SystemExit) else ''}"
            "The failure is in that file, not in neurflow."
        ) from error
    finally:
        sys.argv = arguments


def _said(error: BaseException) -> str:
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return text.strip().splitlines()[0] if text.strip() else "no reason given"


def _where(error: BaseException, path: Path) -> str:
    """Return the file and line of a failure: the innermost frame within the user's folder."""
    if isinstance(error, SyntaxError) and error.filename and Path(error.filename).is_file():
        return f"{error.filename}, line {error.lineno}"
    folder = path.resolve().parent
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if Path(f.filename).resolve().is_relative_to(folder)]
    own = [f for f in own if "site-packages" not in f.filename]
    return f"{own[-1].filename}, line {own[-1].lineno}" if own else str(path)
