"""Test on the demo whether validation tells correct labels from wrong ones.

    python -m benchmarks.labels [RUN]

RUN is the result of ``neurflow demo`` (default: ``neurflow-demo``). The correct labels come from an
oracle that knows which parts each crop shows. The wrong ones are the same labels, assigned to other
groups at random. The table has the validation scores of both. Nothing is stored.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np
from tests.labels.oracle import Oracle, Shuffled

import neurflow
from neurflow.demo.pictures import dataset
from neurflow.labels import summary

SHUFFLES = 5


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("run", nargs="?", default="neurflow-demo", help="result of neurflow demo")
    circuit = neurflow.load_circuit(parser.parse_args().run)
    pictures = dataset("test", 20, seed=0)  # the demo draws the same
    drawn = [pictures[int(ref.name.removeprefix("image-"))] for ref in circuit.images]
    labelled = neurflow.label(circuit, Oracle(drawn))
    labels = {g.id: str(g.label) for layer in labelled.layers for g in layer.groups}
    print("| labels | AUPRC | chance | beat chance |\n| --- | --- | --- | --- |")
    print(_row("oracle", summary(labelled)))
    for layer in labelled.layers:
        ids = [group.id for group in layer.groups]
        print(_row(f"oracle, {layer.name}", summary(labelled, ids)))
    for seed in range(SHUFFLES):
        moved = np.random.default_rng(seed).permutation(list(labels.values())).tolist()
        mixed = neurflow.label(circuit, Shuffled(drawn, dict(zip(labels, moved, strict=True))))
        print(_row(f"shuffled, seed {seed}", summary(mixed)))


def _row(name: str, found: dict[str, Any]) -> str:
    def figure(key: str) -> str:
        value, low, high = found[key]
        return f"{value:.2f} [{low:.2f}, {high:.2f}]"

    beat = f"{found['beat_chance']} of {found['validated']}"
    return f"| {name} | {figure('auprc')} | {found['chance'][0]:.2f} | {beat} |"


if __name__ == "__main__":
    main()
