"""Check that classifiers of all kinds are cut exactly, and write ``docs/zoo.md``.

Each model has random weights without dead activations and is exported with a batch of two. Checks:

1. On a batch of three, the output of every proposed layer in the graph must equal the output that a
   forward hook on the module observes (except for modules that return several tensors).
2. Between consecutive proposed layers, the segment must reproduce the network's own activation from the
   observed activations (largest difference over largest value).
3. Integrated gradients of the largest logit must be complete within 1 %, with as many points as
   necessary (doubled from 16), and equal captum's at 8 points. Those of a neuron of the last block
   must also equal captum's. Their completeness is reported without a bound: the output of a layer norm
   is the same for ``αx`` and ``x``, so it changes only next to ``α = 0``, where a moderate number of
   points does not resolve the change.

Each model runs in its own process, so that a crash or a timeout affects only its row. Rows are stored
in the file ``--cache``; a second run computes only missing ones.

    python -m benchmarks.zoo [--family torchvision|timm|transformers] [--only TEXT] [--seconds 240]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
import warnings
from collections import Counter
from itertools import pairwise
from math import inf, isfinite
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.zoo_models import FAMILIES, build
from neurflow import Model
from neurflow.attribution import integrated_gradients
from neurflow.attribution.integrated_gradients import secants
from neurflow.model import Segment
from neurflow.model.cut.hooked import HookedNetwork

PAGE = Path(__file__).parents[1] / "docs" / "zoo.md"
TOLERANCE, COMPLETENESS, COMPLETE = 1e-4, 0.01, 1e-3
"""bounds of differences, of the completeness error with points, and of that with secants, whose slopes
are exact"""


def relative(found: Tensor, expected: Tensor) -> float:
    """Return the largest difference over the largest value; infinite if it is not a finite number."""
    scale, difference = float(expected.abs().max()), float((found - expected).abs().max())
    return difference / scale if scale > 0 and isfinite(difference) else inf


def check(module: nn.Module, size: int) -> dict[str, Any]:
    """Measure the row of one model."""
    model = Model(module, transform=lambda _: torch.zeros(3, size, size))
    start = time.perf_counter()
    network = model.network
    exported = time.perf_counter() - start
    names = model.proposed_layers()
    images = torch.randn(3, 3, size, size, generator=torch.Generator().manual_seed(1))
    worst = 0.0
    for lower, upper in pairwise(names):
        segment, x, held, y = observe(model, lower, upper, images)
        with torch.no_grad():
            worst = max(worst, relative(segment.run(x, held), y))
    row = {
        "cut": "export" if network.note is None else "hooks",
        "note": network.note,
        "layers": len(network.layers),
        "proposed": len(names),
        "hook": against_hooks(model, names, images),
        "segment": worst,
        "export_seconds": exported,
    }
    row |= attribution(model, names, images)
    return row | {"seconds": time.perf_counter() - start}


def against_hooks(model: Model, names: tuple[str, ...], images: Tensor) -> float:
    """Return the largest difference between the layers' outputs in the graph and by hooks."""
    hooks = HookedNetwork(model.module, images[:2], "")
    both = [name for name in names if name in hooks.layers]
    with torch.no_grad():
        found = model.outputs([model.node(name) for name in both])(images)
    hooked = hooks.observe(both)(images)
    same = [(x, y) for x, y in zip(found, hooked, strict=True) if x.shape == y.shape]
    return max((relative(x, y) for x, y in same), default=inf)


def observe(
    model: Model, lower: str, upper: str, images: Tensor
) -> tuple[Segment, Tensor, list[Tensor], Tensor]:
    """Return the segment and the network's values: lower output, bypass values, upper output."""
    segment = model.segment(lower, upper)
    with torch.no_grad():
        x, y, *held = model.outputs([model.node(lower), model.node(upper), *segment.bypass])(images)
    return segment, x, list(held), y


def attribution(model: Model, names: tuple[str, ...], images: Tensor) -> dict[str, Any]:
    """Return completeness and agreement with captum, for a logit and a neuron of the last block."""
    head, *blocks = reversed(list(pairwise(names)))
    row = {}
    pairs = (("logit", head, 512), ("block", blocks[0] if blocks else head, 64))
    for kind, pair, most in pairs:
        segment, x, held, y = observe(model, *pair, images[:1])
        neuron = int(segment.upper.pool(y)[0].abs().argmax())
        steps, error = 8, 1.0
        while error >= COMPLETENESS and steps < most:
            steps *= 2
            found = integrated_gradients(segment, neuron, x, held, steps=steps)
            error = float(found.gap.sum() / found.change.abs().sum())
        row[kind] = {
            "steps": steps,
            "error": error,
            "captum": captum(segment, neuron, x, held),
            "cells": cells(segment, neuron, x, held),
        }
    return row


def cells(segment: Segment, neuron: int, x: Tensor, held: list[Tensor]) -> float | None:
    """Return the completeness error of four secant cells; None if the segment has no secant slopes."""
    if segment.specialised(neuron).secants is None:
        return None
    found = integrated_gradients(segment, neuron, x, held, steps=4, rule=secants)
    return float(found.gap.sum() / found.change.abs().sum())


def captum(segment: Segment, neuron: int, x: Tensor, held: list[Tensor]) -> float:
    """Return the largest difference to captum's scores at 8 points, over the largest score."""
    from captum.attr import IntegratedGradients

    def phi(z: Tensor) -> Tensor:
        times = [
            torch.cat([value] * (len(z) // len(x)), axis)
            for value, key in zip(held, segment.bypass, strict=True)
            for axis in segment.observed[key][:1]
        ]
        return segment.upper.pool(segment.run(z, times))[:, neuron]

    expected = segment.lower.total(IntegratedGradients(phi).attribute(x, n_steps=8))
    return relative(integrated_gradients(segment, neuron, x, held, steps=8).scores, expected)


def passes(row: dict[str, Any]) -> bool:
    """Return whether a row meets every bound."""
    return (
        "error" not in row
        and row["hook"] < TOLERANCE
        and row["segment"] < TOLERANCE
        and row["logit"]["error"] < COMPLETENESS
        and max(row["logit"]["captum"], row["block"]["captum"]) < TOLERANCE
        and max(row[kind].get("cells") or 0.0 for kind in ("logit", "block")) < COMPLETE
    )


def run(family: str, name: str, seconds: int) -> dict[str, Any]:
    """Check one model in its own process."""
    command = [sys.executable, "-m", "benchmarks.zoo", "--row", f"{family}:{name}"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds, env=environment
        )
    except subprocess.TimeoutExpired:
        return {"error": f"not finished within {seconds} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        return {"error": lines[-1][:200]}
    return json.loads(done.stdout.strip().splitlines()[-1])


Rows = dict[str, dict[str, Any]]


def page(rows: Rows) -> str:
    """Return the text of ``docs/zoo.md``."""
    parts = (_heading(), _counts(rows), _exceptions(rows), _table(rows))
    return "\n\n".join("\n".join(part) for part in parts if part) + "\n"


def _heading() -> list[str]:
    import captum as captum_package
    import timm
    import torchvision
    import transformers

    packages = (torch, torchvision, timm, transformers, captum_package)
    versions = ", ".join(f"{package.__name__} {package.__version__}" for package in packages)
    return [
        "# The zoo",
        "",
        "We run neurflow on classifier architectures of three libraries and check that networks are",
        "cut exactly. `make zoo` writes this page; `benchmarks/zoo.py` describes the checks. They use",
        "random weights, float32, one thread and the smallest input that an architecture accepts.",
        f"{versions}.",
    ]


def _counts(rows: Rows) -> list[str]:
    lines = [
        "| family | listed | tried | by export | by hooks | all bounds met | failed |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for family, names in FAMILIES.items():
        own = [row for key, row in rows.items() if key.startswith(f"{family}:")]
        cuts = Counter(row.get("cut") for row in own)
        failed, met = sum("error" in row for row in own), sum(map(passes, own))
        lines.append(
            f"| {family} | {len(names)} | {len(own)} | {cuts['export']} | {cuts['hooks']} "
            f"| {met} | {failed} |"
        )
    errors = [row["block"]["error"] for row in rows.values() if "block" in row]
    missed = sum(error >= COMPLETENESS for error in errors)
    return [
        *lines,
        "",
        f"Bounds: hook, segment and captum differences below {TOLERANCE:g}; completeness of a logit",
        f"below {COMPLETENESS:.0%}. For a neuron of the last block it is reported without a bound:",
        f"with 64 points, {missed} of {len(errors)} are not below {COMPLETENESS:.0%}.",
    ]


def _exceptions(rows: Rows) -> list[str]:
    exceptions = {key: row for key, row in rows.items() if not passes(row) or row.get("note")}
    if not exceptions:
        return []
    listed = [f"- `{key}`: {_reason(row)}" for key, row in exceptions.items()]
    return ["## Failures and exceptions", "", *listed]


def _table(rows: Rows) -> list[str]:
    lines = [
        "## All models",
        "",
        "Hook, segment, captum: largest relative difference. Logit, block: completeness error and",
        "number of points (at most 512 and 64). Seconds include the export, on a busy machine.",
        "",
        "| model | cut | layers | proposed | hook | segment | captum | logit | block | s |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for key, row in rows.items():
        if "error" in row:
            lines.append(f"| {key} | failed | | | | | | | | |")
            continue
        differences = (
            row["hook"],
            row["segment"],
            max(row["logit"]["captum"], row["block"]["captum"]),
        )
        cells = [
            key,
            row["cut"],
            row["layers"],
            row["proposed"],
            *(f"{difference:.0e}" for difference in differences),
            *(f"{row[kind]['error']:.2%} at {row[kind]['steps']}" for kind in ("logit", "block")),
            f"{row['seconds']:.0f}",
        ]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def _reason(row: dict[str, Any]) -> str:
    if "error" in row:
        return str(row["error"])
    reasons = [row["note"]] if row.get("note") else []
    figures = {
        "hook": (row["hook"], TOLERANCE),
        "segment": (row["segment"], TOLERANCE),
        "captum, logit": (row["logit"]["captum"], TOLERANCE),
        "captum, block": (row["block"]["captum"], TOLERANCE),
        "completeness of the logit": (row["logit"]["error"], COMPLETENESS),
    }
    reasons += [f"{name} {x:.1e}" for name, (x, bound) in figures.items() if not x < bound]
    return "; ".join(reasons)


def main() -> None:
    """Check the missing models, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--family", choices=FAMILIES)
    parser.add_argument("--only", default="", help="models whose name contains this")
    parser.add_argument("--seconds", type=int, default=240, help="limit for one model")
    parser.add_argument("--cache", type=Path, default=Path("zoo.jsonl"))
    parser.add_argument("--row", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.row:
        warnings.simplefilter("ignore")
        torch.set_num_threads(1)
        family, _, name = options.row.partition(":")
        print(json.dumps(check(*build(family, name))))
        return
    rows: Rows = {}
    if options.cache.exists():
        rows = {key: row for key, row in map(json.loads, options.cache.read_text().splitlines())}
    for family, names in FAMILIES.items():
        for name in names:
            key = f"{family}:{name}"
            if (
                "cut" in rows.get(key, {})
                or options.only not in name
                or options.family not in (None, family)
            ):
                continue
            rows[key] = run(family, name, options.seconds)
            with options.cache.open("a") as file:
                file.write(json.dumps([key, rows[key]]) + "\n")
            print(key, "ok" if passes(rows[key]) else _reason(rows[key]), flush=True)
    order = {f"{family}:{name}": None for family, names in FAMILIES.items() for name in names}
    PAGE.write_text(page({key: rows[key] for key in order if key in rows}))


if __name__ == "__main__":
    main()
