"""A hand-written sweep of six classes: three insects, three vehicles, and one hostile name."""

from pathlib import Path

import numpy as np

from neurflow.atlas import renew
from neurflow.circuit import Circuit
from tests.comparison.tiny import plain, tiny
from tests.pages.conftest import HOSTILE

LOW = {
    "bee": ([0, 1], [2, 3, 4], [5, 6, 7]),
    "fly": ([2, 3, 4, 9], [20], [5, 6, 7]),
    "wasp": ([0, 1], [2, 3, 4], [8]),
    "car": ([10, 11], [12, 13], [14]),
    "truck": ([10, 11], [12, 15], [14]),
    HOSTILE: ([10], [12, 13], [30, 31]),
}
VECTORS = {a: np.random.default_rng(a).random(32) for a in range(32)} | {
    20: np.random.default_rng(8).random(32) * 1.01  # another neuron, equal concept vectors
}


def circuits() -> dict[str, Circuit]:
    """Name in the sweep → circuit."""
    found = {}
    for number, (target, low) in enumerate(LOW.items()):
        edges = {("head/0", f"low/{i}"): weight for i, weight in enumerate((0.5, -0.3, 0.2))}
        found[f"head-{number}-{target[:4].strip('</>')}"] = tiny(
            {"low": plain(*low), "head": plain([number])},
            edges,
            target=target,
            neuron=number,
            labels={"low/1": HOSTILE} if target == "fly" else {"low/0": f"{target[:5]} legs"},
            vectors=VECTORS,
        )
    return found


def swept(folder: Path) -> Path:
    """The folder of the sweep, with its atlas."""
    for name, circuit in circuits().items():
        circuit.save(folder / "circuits" / name)
    renew(folder)
    return folder
