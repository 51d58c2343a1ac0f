"""Missing packages give the same error message and exit code everywhere."""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from neurflow.circuit import Circuit
from neurflow.errors import RequestError
from neurflow.runtime.extras import EXTRAS, require

ROOT = Path(__file__).parents[2]


def by_sweep(_: Circuit, folder: Path) -> object:
    from neurflow.sweeping.sweeps import sweep

    return sweep(lambda: None, folder, "all", folder)  # type: ignore[arg-type,return-value]


def by_map(_: Circuit, __: Path) -> object:
    from neurflow.atlas.mapping import _tsne

    return _tsne(np.zeros((2, 2)), np.zeros((2, 2)))


def by_question(_: Circuit, folder: Path) -> object:
    from neurflow.atlas.query import _connect

    return _connect(folder, folder, (), None)


def by_plots(_: Circuit, folder: Path) -> object:
    from neurflow.pages.evaluation_plots import write_plots

    return write_plots(None, folder)  # type: ignore[arg-type]


def by_plot(circuit: Circuit, folder: Path) -> object:
    from neurflow.pages.plot import write_plot

    return write_plot(circuit, None, folder / "a.png")  # type: ignore[arg-type]


def by_model(_: Circuit, __: Path) -> object:
    from neurflow.model import load_model

    return load_model("timm:resnet18")


def by_chat(_: Circuit, __: Path) -> object:
    from neurflow.labels import OpenAIChat

    return OpenAIChat("m")


def by_clip(_: Circuit, folder: Path) -> object:
    from neurflow.labels.zero_shot import _load

    return _load(str(folder), "cpu")


def by_captum(_: Circuit, __: Path) -> object:
    from neurflow.attribution.gradient_based import captum_methods

    return captum_methods()


def by_knockoffs(_: Circuit, __: Path) -> object:
    from neurflow.attribution.gradient_free import Knockoffs

    return Knockoffs(np.zeros((4, 2)), 0)


def by_ray(_: Circuit, __: Path) -> object:
    from neurflow.sweeping import OnRay

    return next(iter(OnRay(1).run(None, [])))  # type: ignore[arg-type]


def by_transformers(_: Circuit, folder: Path) -> object:
    from neurflow.model import load_model

    return load_model(f"hf:{folder}")


def by_onnx(_: Circuit, folder: Path) -> object:
    from neurflow.model import load_model

    return load_model(f"onnx:{folder / 'net.onnx'}")


NEEDS: dict[str, list[Callable[[Circuit, Path], object]]] = {
    "plot": [by_plots, by_plot],
    "timm": [by_model],
    "openai": [by_chat],
    "clip": [by_clip],
    "hf": [by_transformers],
    "onnx": [by_onnx],
    "methods": [by_captum, by_knockoffs],
    "atlas": [by_sweep, by_map, by_question],
    "ray": [by_ray],
}


@pytest.mark.parametrize(
    ("extra", "use"), [(extra, use) for extra, uses in NEEDS.items() for use in uses]
)
def test_missing_packages_are_reported_with_the_extra(
    extra: str,
    use: Callable[[Circuit, Path], object],
    circuit: Circuit,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in EXTRAS[extra]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RequestError) as told:
        use(circuit, tmp_path)
    (line,) = str(told.value).splitlines()
    assert line.startswith(EXTRAS[extra][0]) and told.value.exit_code == 2
    assert line.endswith(f"not installed. Install with: pip install 'neurflow[{extra}]'")


def test_extras_equal_those_of_the_distribution() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = declared["optional-dependencies"]
    assert set(extras) == {*EXTRAS, "all", "dev", "docs"} and set(NEEDS) == set(EXTRAS)
    assert extras["all"] == [f"neurflow[{','.join(EXTRAS)}]"]
    needed = " ".join(declared["dependencies"])
    assert not any(f"{module}>" in needed for modules in EXTRAS.values() for module in modules)
    for extra in EXTRAS:
        require(extra)  # developers have them all
