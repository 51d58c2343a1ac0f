"""Does the validation of labels tell right from wrong? An oracle and shuffled labels on the demo.

``python -m benchmarks.labels RUN`` takes the result of ``neurflow demo`` (``neurflow-demo`` by default)
and prints, for labels of an oracle that knows which parts each crop shows, and for the same labels
dealt out to other groups, what the validation says. Nothing is stored.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from tests.labels.oracle import Oracle, Shuffled

import neurflow
from neurflow.demo.pictures import dataset
from neurflow.labels import summary

SHUFFLES = 5


def main(run: str = "neurflow-demo") -> None:
    """Print the table."""
    circuit = neurflow.load_circuit(run)
    pictures = dataset("test", 20, seed=0)  # those that the demo draws
    drawn = [pictures[int(ref.name.removeprefix("image-"))] for ref in circuit.images]
    labelled = neurflow.label(circuit, Oracle(drawn))
    told = {g.id: str(g.label) for layer in labelled.layers for g in layer.groups}
    print("| labels | AUPRC | chance | beat chance |\n| --- | --- | --- | --- |")
    print(_row("oracle", summary(labelled)))
    for layer in labelled.layers:
        ids = [group.id for group in layer.groups]
        print(_row(f"oracle, {layer.name}", summary(labelled, ids)))
    for seed in range(SHUFFLES):
        moved = np.random.default_rng(seed).permutation(list(told.values())).tolist()
        mixed = neurflow.label(circuit, Shuffled(drawn, dict(zip(told, moved, strict=True))))
        print(_row(f"shuffled, seed {seed}", summary(mixed)))


def _row(name: str, found: dict[str, Any]) -> str:
    def figure(key: str) -> str:
        value, low, high = found[key]
        return f"{value:.2f} [{low:.2f}, {high:.2f}]"

    beat = f"{found['beat_chance']} of {found['validated']}"
    return f"| {name} | {figure('auprc')} | {found['chance'][0]:.2f} | {beat} |"


if __name__ == "__main__":
    main(*sys.argv[1:])
