"""Optional packages: their purposes, which of them are installed, and how to install the others."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec

from neurflow.errors import RequestError

EXTRAS: dict[str, tuple[str, ...]] = {
    "plot": ("matplotlib",),
    "timm": ("timm",),
    "openai": ("openai",),
    "clip": ("transformers",),
    "hf": ("transformers",),
    "onnx": ("onnx", "onnx2torch"),
    "methods": ("captum", "knockpy", "zennit"),
    "atlas": ("duckdb", "pyarrow", "sklearn"),
    "ray": ("ray",),
}
"""extra of the distribution → modules that it installs"""
PURPOSES: dict[str, str] = {
    "plot": "plots (debug --plot, evaluate --out and --plots)",
    "timm": "models of timm (timm:NAME)",
    "openai": "labels by a chat model (label ask)",
    "clip": "labels from a vocabulary (label words, label search --clip)",
    "hf": "models of transformers (hf:NAME_OR_FOLDER)",
    "onnx": "models in ONNX files (onnx:FILE)",
    "methods": "further attribution methods (evaluate attribution)",
    "atlas": "many targets (sweep, atlas)",
    "ray": "sweeps on a Ray cluster (sweep run --engine ray)",
}
"""extra → its purpose"""


class MissingExtra(RequestError):
    """An optional package is not installed."""


@dataclass(frozen=True)
class Extra:
    """One extra of the distribution.

    Attributes:
        name: as in ``pip install 'neurflow[name]'``.
        purpose: the features that need it.
        versions: module → its version, for modules that are installed.
        missing: modules that are not installed.
    """

    name: str
    purpose: str
    versions: dict[str, str]
    missing: tuple[str, ...]

    @property
    def install(self) -> str:
        """The command that installs it."""
        return f"pip install 'neurflow[{self.name}]'"


def require(extra: str) -> None:
    """Raise ``MissingExtra`` unless every module of an extra is installed."""
    missing = [module for module in EXTRAS[extra] if find_spec(module) is None]
    if missing:
        verb = "are" if len(missing) > 1 else "is"
        raise MissingExtra(
            f"{' and '.join(missing)} {verb} not installed. "
            f"Install with: pip install 'neurflow[{extra}]'"
        )


def extras() -> list[Extra]:
    """List all extras, with their installed modules. Nothing is imported."""
    distributions = packages_distributions()
    found = []
    for name, modules in EXTRAS.items():
        there = [module for module in modules if find_spec(module) is not None]
        versions = {module: _version(distributions.get(module, [module])[0]) for module in there}
        missing = tuple(module for module in modules if module not in there)
        found.append(Extra(name, PURPOSES[name], versions, missing))
    return found


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
