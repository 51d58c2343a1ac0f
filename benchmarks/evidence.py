"""Evaluate neurflow on real networks and photographs, for ``docs/results.md``.

``python -m benchmarks.evidence CASE PROTOCOL…`` discovers the circuit of a case (once), measures it,
and stores the tables under ``--work``. ``--write`` makes the page from all stored tables. Settings are
reduced so that a protocol takes minutes on one core; the page lists them. Tables that are stored are
not measured again.

``NEURFLOW_REAL_DATA`` must name the folder of real weights and pictures.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from benchmarks.evidence_page import write
from neurflow import Settings, discover, evaluate, load_circuit, load_model
from neurflow.evaluation.evaluate import PROTOCOLS

DOCUMENT = Path(__file__).parents[1] / "docs" / "results.md"
STUDIED = 10
"""number of pictures on which a circuit is found; the others of the class are held out"""
RESNET = ("layer2.1", "layer3.0", "layer3.1", "layer4.0", "layer4.1", "fc")
RESNET50 = (
    "layer2.3",
    *(f"layer3.{i}" for i in range(6)),
    *(f"layer4.{i}" for i in range(3)),
    "fc",
)
"""the published layers"""
MOBILENET = (*(f"features.{i}" for i in range(14, 19)), "classifier.1")


class Case(NamedTuple):
    """A network and a class."""

    network: str
    weights: str
    folder: str
    target: str
    layers: tuple[str, ...]
    options: dict[str, Any] = {}  # noqa: RUF012 -- never changed


def _resnet18(folder: str, target: str) -> Case:
    return Case("resnet18", "resnet18.pth", folder, target, RESNET)


def _resnet50(folder: str, target: str) -> Case:
    return Case("resnet50", "resnet50.pth", folder, target, RESNET50)


def _mobilenet(folder: str, target: str) -> Case:
    options = {"mean": 0.5, "std": 0.5}
    return Case("mobilenet_v2", "mobilenet_v2.safetensors", folder, target, MOBILENET, options)


CASES = {
    "golden": _resnet18("n02099601_golden_retriever", "golden retriever"),
    "tench": _resnet18("n01440764_tench", "tench"),
    "truck": _resnet18("n03417042_garbage_truck", "garbage truck"),
    "ball": _resnet18("n03445777_golf_ball", "golf ball"),
    "parachute": _resnet18("n03888257_parachute", "parachute"),
    "golden50": _resnet50("n02099601_golden_retriever", "golden retriever"),
    "truck50": _resnet50("n03417042_garbage_truck", "garbage truck"),
    "mobilenet": _mobilenet("n02111889_samoyed", "Samoyed"),
    "goldenmobile": _mobilenet("n02099601_golden_retriever", "golden retriever"),
    "truckmobile": _mobilenet("n03417042_garbage_truck", "garbage truck"),
}
SETTINGS = {
    "optimality": Settings(
        neurons=8, trial_images=4, ablations=("zero",), taus=(16,), random_sets=100, matched_sets=5
    ),
    "weights": Settings(
        neurons=8, trial_images=4, weight_sets=50, set_sizes=(1, 10), single_neurons=50
    ),
    "fidelity": Settings(
        neurons=8,
        ablations=("zero",),
        fidelity_taus=(2, 4, 16),
        random_sets=20,
        matched_sets=5,
        subjects=40,
    ),
    "stability": Settings(resamples=3, splits=1),
}
"""protocol → reduced settings; the other protocols use ``REST``"""
SHARED = {"attribution": "weights", "completeness": "fidelity", "faithfulness": "fidelity"}
REST = Settings(neurons=8, trial_images=4, ks=(10, 30, 50, 110, 190), steps=(8, 50))


def settings_of(protocol: str) -> Settings:
    """Return the reduced settings of a protocol."""
    return SETTINGS.get(SHARED.get(protocol, protocol), REST)


def measure(name: str, protocols: list[str], data: Path, work: Path, device: str) -> None:
    """Find a case's circuit, unless it is stored, and measure it by some protocols."""
    case = CASES[name]
    model = load_model(
        f"torchvision:{case.network}",
        data / "weights" / case.weights,
        device=device,
        **case.options,
    )
    pictures = data / "images" / "imagenet20" / case.folder
    run = work / name
    start = time.perf_counter()
    if (run / "circuit.json").exists():
        circuit = load_circuit(run)
    else:
        circuit = discover(model, pictures, case.target, case.layers, out=run, max_images=STUDIED)
    print(
        f"{name}: {len(circuit.images)} images", round(time.perf_counter() - start), "s", flush=True
    )
    used = {ref.name for ref in circuit.images}
    unseen = [
        (Image.open(file).convert("RGB"), case.target)
        for file in sorted(pictures.iterdir())
        if file.name not in used
    ]
    for protocol in protocols:
        if (run / f"{protocol}.json").exists():
            continue
        start = time.perf_counter()
        answers = protocol in ("fidelity", "completeness", "faithfulness")
        found = evaluate(
            circuit,
            model,
            pictures,
            protocol,
            held_out=unseen if answers else None,
            settings=settings_of(protocol),
            out=run,
        )
        (run / f"{protocol}.json").write_text(found.model_dump_json())
        print(f"{name} {protocol}", round(time.perf_counter() - start), "s", flush=True)


def main() -> None:
    """Measure a case, or write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="?", choices=[*CASES, []])
    parser.add_argument("protocols", nargs="*")
    parser.add_argument("--data", type=Path, default=os.environ.get("NEURFLOW_REAL_DATA"))
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if given.case:
        if given.data is None:
            sys.exit("Give --data, or set NEURFLOW_REAL_DATA.")
        protocols = given.protocols or list(PROTOCOLS)
        measure(given.case, protocols, Path(given.data), given.work, given.device)
    if given.write:
        write(given.work, DOCUMENT, CASES)


if __name__ == "__main__":
    main()
