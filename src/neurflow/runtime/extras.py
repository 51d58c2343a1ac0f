"""Packages that only some of the work needs: what to install where one is missing."""

from __future__ import annotations

from importlib.util import find_spec

from neurflow.errors import RequestError

EXTRAS: dict[str, tuple[str, ...]] = {
    "plot": ("matplotlib",),
    "timm": ("timm",),
    "openai": ("openai",),
    "clip": ("transformers",),
    "hf": ("transformers",),
    "onnx": ("onnx", "onnx2torch"),
    "methods": ("captum", "knockpy"),
    "atlas": ("duckdb", "pyarrow", "sklearn"),
    "ray": ("ray",),
}
"""extra of the distribution → modules that come with it"""


class MissingExtra(RequestError):
    """A package that this needs is not installed."""


def require(extra: str) -> None:
    """``MissingExtra`` with its cure, unless everything of an extra is installed."""
    missing = [module for module in EXTRAS[extra] if find_spec(module) is None]
    if missing:
        verb = "are" if len(missing) > 1 else "is"
        raise MissingExtra(
            f"{' and '.join(missing)} {verb} not installed. "
            f"Install with: pip install 'neurflow[{extra}]'"
        )
