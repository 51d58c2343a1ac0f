"""Discoveries on a GPU: time, memory, and agreement with the circuit of the CPU."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from unittest import mock

from benchmarks.discovery import LAYERS, Request, TooLong, measure
from benchmarks.gpu_bench import Bench, part
from benchmarks.networks import TARGET, VIT, has_weights, load, pictures, vision_transformer
from benchmarks.page import machine, table
from neurflow import Circuit, Config, Images, Model, discover

WHOLE = {
    "resnet50": (10, 150),
    "resnet18": (35, 60),
    "mobilenet_v2": (10, 60),
    "vit_b_32": (8, 60),
}
"""network of a whole discovery → number of pictures, and time limit in seconds"""
SAME = 90
"""seconds that the comparison with the CPU needs"""


def discoveries(bench: Bench) -> None:
    """Run whole discoveries with published layers and configuration, and auto steps."""
    for network in WHOLE:
        with part(f"discovery {network}"):
            whole(bench, network)
    with part("discovery resnet18, default memory"):
        _discovery(bench, "resnet18", 35, bench.limit(60), "2GB")
    with part("discovery of a trained ViT"):
        _real_vit(bench, bench.limit(60))


def whole(bench: Bench, network: str) -> None:
    """Run the discovery of one network."""
    count, seconds = WHOLE[network]
    _discovery(bench, network, count, bench.limit(seconds), f"{bench.memory()}")


def _discovery(bench: Bench, network: str, count: int, limit: float, memory: str) -> None:
    model = bench.model(network)
    real = has_weights(network, bench.real)
    found = pictures(model, bench.real if real else None, count)
    print(f"{network}: {'trained' if real else 'random'} weights", flush=True)
    target = TARGET if real and bench.real and (bench.real / "images").is_dir() else 0
    _run(bench, model, found, target, LAYERS[network], _config(bench, target), count, limit, memory)


def _real_vit(bench: Bench, limit: float) -> None:
    """Run a discovery on the trained ViT of the folder of real data."""
    if bench.real is None or not (bench.real / "weights" / VIT).is_file():
        print("skipped: there are no weights of a trained ViT")
        return
    model = Model(vision_transformer(bench.real).to(bench.device))
    found = pictures(model, bench.real, 8)
    layers = [*(f"blocks.{i}" for i in (9, 10, 11)), "head"]
    config = _config(bench, 0).model_copy(update={"tau": 8, "k": 2 if bench.smoke else 30})
    _run(bench, model, found, 0, layers, config, 8, limit, f"{bench.memory()}")


def _config(bench: Bench, target: str | int) -> Config:
    less = {"tau": 2, "k": 2, "granularities": (1.0,), "steps": 4} if bench.smoke else {}
    which = "predicted" if isinstance(target, str) else "all"
    return Config.published(**{"steps": "auto", "concept_set": which, **less})


def _run(
    bench: Bench,
    model: Model,
    images: Images,
    target: str | int,
    layers: Sequence[str],
    config: Config,
    count: int,
    limit: float,
    memory: str,
) -> None:
    """Measure one discovery and print its table."""
    if limit < 5:
        print("skipped: no time left")
        return
    model.network.proposed()  # exports the network
    layers = list(layers)[-3:] if bench.smoke else layers
    asked = Request(
        model, images, target, layers, config, 2 if bench.smoke else count, memory, bench.device
    )
    before = bench.fresh()
    try:
        print(f"\n{measure(asked, limit)}{bench.peak(before)}\n", flush=True)
    except TooLong as error:
        print(f"{error}, after {limit:.0f} s{bench.peak(before)}\n", flush=True)


def same_circuit(bench: Bench) -> None:
    """Compare core neurons on the GPU with those on the CPU, in float32 and in TF32."""
    if not bench.smoke and bench.limit(SAME) < SAME:
        print(f"skipped: less than {SAME} s are left")
        return
    layers = LAYERS["resnet18"][-2:] if bench.smoke else LAYERS["resnet18"][-4:]

    def circuit(device: str) -> Circuit:
        model = load("resnet18", bench.real, device)
        found = pictures(model, bench.real if has_weights("resnet18", bench.real) else None, 5)
        config = _config(bench, 0)
        return discover(model, found, 0, layers, config, max_images=2 if bench.smoke else 5)

    expected = circuit("cpu")
    exact = circuit(bench.device)
    with mock.patch("neurflow.method.discover.full_float32", contextlib.nullcontext):
        rounded = circuit(bench.device)
    rows = [
        ["float32", *_alike(exact, expected)],
        ["TF32", *_alike(rounded, expected)],
    ]
    print(f"\n{machine(bench.device)} resnet18, 5 images, {', '.join(layers)}.\n")
    head = [
        "on the GPU in",
        "targets of both",
        "core sets identical",
        "members",
        "largest difference",
    ]
    print(table(head, rows), flush=True)


def _alike(found: Circuit, expected: Circuit) -> list[str]:
    """Return the cells that describe how well two circuits agree."""
    pairs = [
        (upper.neurons[a], neuron)
        for upper, other in zip(found.layers, expected.layers, strict=True)
        for a, neuron in other.neurons.items()
        if a in upper.neurons and neuron.importance
    ]
    same = [set(mine.importance) == set(its.importance) for mine, its in pairs]
    shared = sum(len(set(mine.importance) & set(its.importance)) for mine, its in pairs)
    members = sum(len(its.importance) for _, its in pairs)
    off = max(
        abs(mine.importance[s] - value) / max(its.importance.values())
        for mine, its in pairs
        for s, value in its.importance.items()
        if s in mine.importance
    )
    return [str(len(pairs)), f"{sum(same)}", f"{shared / members:.2%}", f"{off:.0e}"]
