"""Compare attribution methods on circuits that are known by construction.

    python -m benchmarks.planted_circuits [--seeds 20] [--kinds usual,veto] [--cache FILE] [--write]

Twenty networks of each kind are built, with depths 3 to 6 in turn, and every method is applied to every
neuron of the true circuit. The tables have means over networks, with bootstrap 95 % intervals over
networks. ``--cache`` stores the result of each network in a line, so that an interrupted run can be
resumed. ``--write`` writes the tables to ``docs/planted.md``.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.page import publish, table
from neurflow import planted
from neurflow.attribution import METHODS

PAGE = Path(__file__).parents[1] / "docs" / "planted.md"
KINDS: dict[str, dict[str, Any]] = {
    "plain": {"traits": ()},
    "usual": {"traits": ("inhibitory", "polysemantic")},
    "redundant": {"traits": ("redundant",)},
    "veto": {"traits": ("veto",)},
    "clutter": {"traits": ("inhibitory", "polysemantic"), "clutter": 2},
}
"""name → arguments with which its networks are built"""
DEPTHS = (3, 4, 5, 6)
MEASURES = {
    "recall": "Recall of true core neurons, τ = their true number",
    "sign": "Share of true core neurons with the right sign",
    "rank": "Rank correlation with the true weights",
}
GROUPS = {
    "semantic": "semantic groups, all neurons",
    "polysemantic": "semantic groups, polysemantic neurons",
    "neurons": "neuron groups",
}
DRAWS = 2000
"""resamples of a bootstrap"""


def try_network(kind: str, seed: int) -> dict[str, Any]:
    """Return scores of all methods on one network, and of the groups."""
    network = planted.build(DEPTHS[seed % len(DEPTHS)], seed, **KINDS[kind])
    found: dict[str, Any] = {"kind": kind, "seed": seed, "methods": {}}
    with planted.study(network) as study:
        for method in METHODS:
            start = time.perf_counter()
            scores = study.scores(method)
            found["methods"][method] = {
                "seconds": time.perf_counter() - start,
                **{name: mean(getattr(s, name) for s in scores) for name in MEASURES},
            }
        groups = study.groups()
    found["groups"] = {name: mean(getattr(g, name) for g in groups) for name in GROUPS}
    return found


def mean(values: Iterable[float]) -> float | None:
    """Return the mean of the values that are not NaN; None if there are none."""
    kept = [value for value in values if not np.isnan(value)]
    return float(np.mean(kept)) if kept else None


def interval(values: Sequence[float | None], seed: int = 0) -> str:
    """Return ``mean [low, high]`` with the bootstrap 95 % interval, or a dash without values."""
    kept = np.array([value for value in values if value is not None])
    if not len(kept):
        return "–"
    rng = np.random.default_rng(seed)
    means = rng.choice(kept, (DRAWS, len(kept))).mean(1)
    low, high = np.quantile(means, [0.025, 0.975])
    if high - low < 0.005:
        return f"{kept.mean():.3f}"
    return f"{kept.mean():.2f} [{low:.2f}, {high:.2f}]"


def tables(rows: Sequence[dict[str, Any]]) -> str:
    """Return Markdown tables: one for each measure, with methods ranked by it, and one for groups."""
    kinds = [kind for kind in KINDS if any(row["kind"] == kind for row in rows)]
    parts = []
    for measure, title in MEASURES.items():
        found = {
            method: {
                kind: [r["methods"][method][measure] for r in rows if r["kind"] == kind]
                for kind in kinds
            }
            for method in METHODS
        }
        order = sorted(found, key=lambda m: -sum(mean_of(v) for v in found[m].values()))
        lines = [
            [method, *(interval(found[method][kind]) for kind in kinds)]
            for method in order
            if any(v is not None for values in found[method].values() for v in values)
        ]
        parts.append(f"**{title}**\n\n{table(['method', *kinds], lines)}")
    lines = [
        [title, *(interval([r["groups"][name] for r in rows if r["kind"] == k]) for k in kinds)]
        for name, title in GROUPS.items()
    ]
    parts.append(f"**Adjusted Rand index of the groups**\n\n{table(['', *kinds], lines)}")
    counts = ", ".join(f"{kind} {sum(r['kind'] == kind for r in rows)}" for kind in kinds)
    return "\n\n".join([f"Networks: {counts}.", *parts])


def mean_of(values: Sequence[float | None]) -> float:
    """Return the mean of the values; 0 if there are none."""
    return mean(np.nan if value is None else value for value in values) or 0.0


def main() -> None:
    """Run the missing networks, then print or write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--write", action="store_true", help="write the tables to docs/planted.md")
    options = parser.parse_args()
    kinds = options.kinds.split(",")
    if unknown := sorted(set(kinds) - KINDS.keys()):
        parser.error(f"unknown kind {unknown[0]!r}; choose from {', '.join(KINDS)}")
    kept = options.cache and options.cache.exists()
    rows = [json.loads(line) for line in options.cache.open()] if kept else []
    done = {(row["kind"], row["seed"]) for row in rows}
    for seed in range(options.seeds):
        for kind in kinds:
            if (kind, seed) in done:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                rows.append(try_network(kind, seed))
            if options.cache:
                with options.cache.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
            best = rows[-1]["methods"]["integrated_gradients"]["recall"]
            print(f"{kind} {seed}: recall {best:.3f}", flush=True)
    publish("planted", tables(rows), write=options.write, page=PAGE)


if __name__ == "__main__":
    main()
