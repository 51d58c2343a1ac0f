"""Measure the atlas of a large model: build time, size, memory, and the time of queries.

    python -m benchmarks.atlas [--targets 1000] [--write]

Writes tables as ``neurflow sweep`` does, for random circuits of 500 groups and 20,000 edges each, and
runs typical queries on them. Classes share neurons unequally, like those of a real network.
"""

from __future__ import annotations

import argparse
import io
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks.page import machine, publish
from neurflow.atlas import (
    Atlas,
    like_group,
    nearest,
    serving,
    shared_groups,
    shortcut_candidates,
    similarities,
)
from neurflow.atlas.files import pack
from neurflow.atlas.schema import TABLES
from neurflow.atlas.tables import SHOWN, shortened, write_tables
from neurflow.pages.atlas_page import render_atlas

DOCUMENT = Path(__file__).parents[1] / "docs" / "sweeps.md"
LAYERS, GROUPS, EDGES = 10, 500, 20_000
WIDTH, CORES, MEANINGS, TAU, CROPS = 512, 100, 2, 16, 16


def tables_of(number: int, seed: int = 0) -> dict[str, pd.DataFrame]:
    """Return all tables of one random circuit."""
    rng = np.random.default_rng([seed, number])
    name, layers = f"fc-{number}", [f"layer{i}" for i in range(LAYERS)]
    popular = 1 / np.arange(1, WIDTH + 1) ** 0.5
    chosen = {
        layer: np.sort(rng.choice(WIDTH, CORES, replace=False, p=popular / popular.sum()))
        for layer in layers
    }
    neurons = pd.DataFrame(
        [(layer, a, MEANINGS) for layer in layers for a in chosen[layer]],
        columns=["layer", "neuron", "semantic_groups"],
    )
    each = GROUPS // LAYERS
    meanings = neurons.loc[neurons.index.repeat(MEANINGS), ["layer", "neuron"]].reset_index(
        drop=True
    )
    meanings["semantic_group"] = np.tile(np.arange(MEANINGS), len(neurons))
    meanings["crops"] = 25
    meanings["group"] = (
        meanings.layer + "/" + pd.Series(rng.integers(0, each, len(meanings))).astype(str)
    )
    groups = pd.DataFrame(
        [(f"{layer}/{g}", layer, 4, CROPS, CROPS) for layer in layers for g in range(each)],
        columns=["group", "layer", "members", "crops", "pictures"],
    )
    own = pd.DataFrame([("fc/0", "fc", 1, CROPS, CROPS)], columns=groups.columns)
    groups = pd.concat([groups, own], ignore_index=True)
    groups[["x", "y", "spread", "weight"]] = rng.uniform(20, 200, (len(groups), 4))
    upper = rng.integers(1, LAYERS, EDGES - each)
    edges = pd.DataFrame(
        {
            "upper": [
                f"layer{i}/{g}"
                for i, g in zip(upper, rng.integers(0, each, len(upper)), strict=True)
            ],
            "lower": [
                f"layer{i - 1}/{g}"
                for i, g in zip(upper, rng.integers(0, each, len(upper)), strict=True)
            ],
            "weight": rng.normal(0, 0.1, len(upper)),
        }
    )
    top = pd.DataFrame(
        {
            "upper": "fc/0",
            "lower": [f"{layers[-1]}/{g}" for g in range(each)],
            "weight": rng.normal(0, 0.1, each),
        }
    )
    edges = pd.concat([edges, top], ignore_index=True)
    inner = meanings[meanings.layer != "layer0"]
    below = "layer" + (inner.layer.str[5:].astype(int) - 1).astype(str)
    neuron_edges = inner.loc[inner.index.repeat(TAU), ["layer", "neuron", "semantic_group"]]
    neuron_edges["lower_layer"] = below.repeat(TAU)
    neuron_edges["lower_neuron"] = rng.integers(0, WIDTH, len(neuron_edges))
    neuron_edges["weight"] = rng.normal(0, 0.1, len(neuron_edges))
    crops = groups.loc[groups.index.repeat(CROPS), ["group"]].reset_index(drop=True)
    corner = rng.integers(0, 168, (len(crops), 2))
    crops["place"] = np.tile(np.arange(CROPS), len(groups))
    crops["image"] = [f"image-{i}" for i in rng.integers(0, 50, len(crops))]
    crops[["left", "top"]], crops[["right", "bottom"]] = corner, corner + 56
    vectors = rng.gamma(0.5, 0.2, (len(groups), WIDTH)).astype(np.float32)
    sizes = (50, 2950, len(neurons), GROUPS, EDGES)
    given = {
        "targets": [(f"class {number}", "fc", number, None, "random", "0" * 64, *sizes)],
        "layers": [
            (layer, place, CORES, each, vectors[place * each : (place + 1) * each].mean(axis=0))
            for place, layer in enumerate(layers)
        ]
        + [("fc", LAYERS, 1, 1, vectors[-1])],
        "group_vectors": zip(groups.group, groups.layer, map(shortened, vectors), strict=True),
        "thumbnails": [(group, i, _picture(rng)) for group in groups.group for i in range(SHOWN)],
        "labels": [],
        "evidence": [],
    }
    found = {
        "neurons": neurons,
        "semantic_groups": meanings,
        "groups": groups,
        "neuron_edges": neuron_edges,
        "group_edges": edges,
        "group_crops": crops,
    }
    found |= {
        table: pd.DataFrame(rows, columns=list(TABLES[table])) for table, rows in given.items()
    }
    found = {table: found[table].reindex(columns=list(TABLES[table])) for table in TABLES}
    for frame in found.values():
        frame.insert(0, "circuit", name)
    return found


@cache
def _pictures() -> list[bytes]:
    """Make small WebP pictures of about the size of a thumbnail."""
    rng, found = np.random.default_rng(0), []
    for _ in range(200):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((64, 64), Image.Resampling.BICUBIC), dtype=int)
        pixels = (smooth + rng.integers(-40, 40, (64, 64, 3))).clip(0, 255).astype(np.uint8)
        data = io.BytesIO()
        Image.fromarray(pixels).save(data, "WEBP", quality=75)
        found.append(data.getvalue())
    return found


def _picture(rng: np.random.Generator) -> bytes:
    """Return one of them, made unique by bytes that decoders ignore."""
    return _pictures()[rng.integers(200)] + rng.bytes(4)


QUESTIONS: dict[str, Callable[[Atlas], Any]] = {
    "all targets": lambda a: a.query("SELECT * FROM targets"),
    "edges above 0.3, by circuit": lambda a: a.query(
        "SELECT circuit, count(*) FROM group_edges WHERE abs(weight) > 0.3 GROUP BY ALL"
    ),
    "one circuit's edges": lambda a: a.query("SELECT * FROM group_edges WHERE circuit = 'fc-7'"),
    "groups shared by two classes and not by a third": lambda a: shared_groups(
        a, ["class 1", "class 2"], ["class 3"], least=0.05
    ),
    "the same, by the concept vectors of their crops": lambda a: shared_groups(
        a, ["class 1", "class 2"], ["class 3"], by="crops", least=0.1
    ),
    "groups of all classes nearest to one, by neurons": lambda a: like_group(
        a, "class 7", "layer5/3"
    ),
    "the same by crops": lambda a: like_group(a, "class 7", "layer5/3", by="crops"),
    "neurons that serve most classes": serving,
    "classes nearest to one": lambda a: nearest(a, "class 7"),
    "shortcut candidates over all classes": shortcut_candidates,
    "all pairs of classes": similarities,
}


def main() -> None:
    """Measure everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=1000)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--page", type=Path, help="also write the map's page to this file")
    parser.add_argument("--ask", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.ask:
        _ask(given.ask, given.page)
        return
    folder = Path(tempfile.mkdtemp(prefix="neurflow-atlas-"))
    try:
        writing = 0.0
        for number in range(given.targets):
            frames = tables_of(number)
            begun = time.perf_counter()
            write_tables(folder / "atlas", f"fc-{number}", frames)
            writing += time.perf_counter() - begun
        begun = time.perf_counter()
        pack(folder / "atlas")
        packing = time.perf_counter() - begun
        size = sum(file.stat().st_size for file in folder.rglob("*.parquet"))
        command = [sys.executable, "-m", "benchmarks.atlas", "--ask", str(folder)]
        command += ["--page", str(given.page)] if given.page else []
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    finally:
        shutil.rmtree(folder)
    text = "\n".join(
        [
            f"{machine()} {given.targets:,} circuits of {GROUPS} groups and {EDGES:,} edges.",
            "",
            "| | |",
            "| --- | ---: |",
            f"| writing, a circuit | {writing / given.targets * 1000:.0f} ms |",
            f"| packing all, once | {packing:.0f} s |",
            f"| size | {size / 2**20:,.0f} MiB |",
            output.rstrip(),
        ]
    )
    publish("atlas", text, write=given.write, page=DOCUMENT)


def _ask(folder: Path, keep: Path | None) -> None:
    """Run the queries in a separate process, so that its memory is that of the queries."""
    atlas = Atlas(folder, memory="4GB")
    for name, ask in QUESTIONS.items():
        seconds = []
        for _ in range(3):
            begun = time.perf_counter()
            found = ask(atlas)
            seconds.append(time.perf_counter() - begun)
        print(f"| {name} ({len(found):,} rows) | {statistics.median(seconds):.2f} s |")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"| memory of the queries, at most | {peak:,.0f} MiB |")
    begun = time.perf_counter()
    page = render_atlas(atlas)
    took, size = time.perf_counter() - begun, len(page.encode()) / 1e6
    print(f"| the map's page, {size:.1f} MB | {took:.0f} s |")
    if keep:
        keep.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
