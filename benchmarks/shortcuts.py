"""Planted shortcuts: does the audit find them, and does masking what it finds help?

For each kind of mark, strength and seed (``benchmarks.planted``), a row:

1. train a network; on held-out pictures of which every second carries the mark whatever their class,
   discover the circuit of the class that carried it in training, and audit it;
2. the truth, on unseen pictures of other classes with and without the mark: a group *holds* the
   shortcut if the mark excites it (on at least ``EXCITES`` of the pictures) and at least ``HOLDS`` of
   what the mark adds to the probability of the class goes through it (is gone when it is masked);
3. on test pictures nobody has seen, with the mark *swapped* (on all classes but its own) and with
   *none*: the accuracy lost next to pictures as usual, and the share of it that comes back when the
   group ranked first is masked; next to as many random neurons of matched activation, as many
   neurons with the largest integrated gradients to the logit (NeuronMCT) on the class's pictures, and
   the last layer fitted anew on pictures whose mark says nothing of the class: what can be had.

Rows are kept as they come (``--cache``); a second run does only what is missing.

    python -m benchmarks.shortcuts [--seeds 100-105] [--only patch] [--real FOLDER]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import neurflow
from benchmarks.planted import KINDS, LAYERS, Task, inputs, model_of, pool, task, train
from neurflow.debugging.masking import Masker, mask_of, matched_neurons
from neurflow.debugging.result import AuditReport
from neurflow.workspace import write_atomically

STRENGTHS = (0.8, 0.9, 1.0)
HOLDS, EXCITES = 0.5, 0.9
RANDOM = 10
"""random sets a comparison is made with"""
STUDIED = 40
"""pictures that the circuit is found on"""
CONFIG = neurflow.Config(groups=16, max_groups=16)


def row(this: Task, cache: Path) -> dict[str, Any]:
    """Everything measured of one task."""
    started = time.perf_counter()
    network = train(this)
    model = model_of(network)
    pixels, labels, _ = this.draw("audit", "half")
    order = np.random.default_rng([this.seed, 2]).permutation(len(labels))
    pictures = [(Image.fromarray(pixels[i]), int(labels[i])) for i in order]
    circuit = neurflow.discover(
        model, pictures, this.target, LAYERS, CONFIG, max_images=STUDIED, memory="1GB"
    )
    found = time.perf_counter()
    report = neurflow.audit(circuit, model, pictures)
    audited = time.perf_counter()
    holds = holding(model, circuit, this)
    return {
        "kind": this.kind,
        "strength": this.strength,
        "seed": this.seed,
        **ranking(report, holds),
        **recovery(model, network, circuit, report.groups[0].id, this),
        "seconds": [found - started, audited - found, time.perf_counter() - audited],
    }


def holding(model: neurflow.Model, circuit: neurflow.Circuit, this: Task) -> dict[str, float]:
    """Share of the mark's effect that goes through each group; 0 for those it does not excite."""
    (clean, labels, _), (with_mark, _, _) = (this.draw("test", marks) for marks in ("none", "all"))
    others = np.flatnonzero(labels != this.target)[::4]
    found = {}
    for layer in circuit.layers[:-1]:
        masker = Masker(model, layer.name)
        masks = [mask_of(masker.layer, group.neurons) for group in layer.groups]
        runs = [masker.run(inputs(pixels[others]), masks) for pixels in (clean, with_mark)]
        (before0, after0, phi0), (before1, after1, phi1) = runs
        effect = (_chance(before1, this.target) - _chance(before0, this.target)).mean()
        for group, without, marked in zip(layer.groups, after0, after1, strict=True):
            left = (_chance(marked, this.target) - _chance(without, this.target)).mean()
            means = np.abs(group.usual.means) + 1e-6
            chosen = list(group.neurons)
            more = [(np.maximum(phi[:, chosen], 0) / means).mean(1) for phi in (phi0, phi1)]
            excites = (more[1] > more[0]).mean()
            found[group.id] = float(1 - left / effect) if excites >= EXCITES else 0.0
    return found


def _chance(logits: np.ndarray, target: int) -> np.ndarray:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted[:, target] / shifted.sum(axis=1))


def ranking(report: AuditReport, holds: dict[str, float]) -> dict[str, Any]:
    """Where groups that hold the shortcut stand."""
    order = [group.id for group in report.groups]
    places = [place for place, id in enumerate(order, 1) if holds[id] >= HOLDS]
    return {
        "first": order[0],
        "first_holds": holds[order[0]] >= HOLDS,
        "first_share": holds[order[0]],
        "best_place": places[0] if places else None,
        "groups": len(order),
        "holding": len(places),
        "signals": report.groups[0].signals.model_dump(),
        "false_positives": report.false_positives,
        "table": [
            [g.id, g.evidence, holds[g.id], *(_value(v) for _, v in g.signals)]
            for g in report.groups
        ],
    }


def _value(signal: Any) -> float | None:
    return None if signal is None else signal.value


def recovery(
    model: neurflow.Model, network: nn.Module, circuit: neurflow.Circuit, id: str, this: Task
) -> dict[str, Any]:
    """Accuracies as usual, without marks and with swapped ones, under each cure."""
    masker = Masker(model, id.rpartition("/")[0])
    neurons = circuit.group(id).neurons
    usual, _, _ = this.draw("train", "usual")
    own = inputs(usual[this.draw("train", "usual")[1] == this.target][:STUDIED])
    phi = masker.run(own, [])[2].mean(axis=0)
    sets = [neurons, important(model, masker, own, this.target, len(neurons))]
    sets += matched_neurons(phi, neurons, RANDOM, this.seed)
    masks = [mask_of(masker.layer, chosen) for chosen in sets]
    refitted = refit(network, this)
    result: dict[str, Any] = {"neurons": len(neurons)}
    for marks in ("usual", "none", "swapped"):
        pixels, labels, _ = this.draw("test", marks)
        x = inputs(pixels)
        runs = [masker.run(part, masks) for part in torch.split(x, 128)]
        before = np.concatenate([run[0] for run in runs])
        after = [np.concatenate([run[1][i] for run in runs]) for i in range(len(masks))]
        hits = [float((logits.argmax(1) == labels).mean()) for logits in (before, *after)]
        result[marks] = {
            "before": hits[0],
            "group": hits[1],
            "mct": hits[2],
            "random": float(np.mean(hits[3:])) if hits[3:] else None,
            "refit": float((refitted(x) == labels).mean()),
        }
    return result


def important(
    model: neurflow.Model, masker: Masker, x: Tensor, target: int, count: int, steps: int = 16
) -> list[int]:
    """NeuronMCT: the neurons with the largest mean integrated gradients to the target's logit."""
    keys = [model.node(masker.layer.name), *masker.segment.held]
    with torch.no_grad():
        top, *held = model.outputs(keys)(x)
    total = torch.zeros_like(top)
    for step in range(steps):
        point = (top * (step + 0.5) / steps).requires_grad_()
        logits = masker.segment.run(point, held)
        total += torch.autograd.grad(logits[:, target].sum(), point)[0]
    scores = masker.layer.total(top * total / steps).mean(0).abs()
    return sorted(scores.topk(count).indices.tolist())


def refit(network: nn.Module, this: Task) -> Any:
    """The last layer fitted anew on training pictures of which half of each class carry the mark."""
    from sklearn.linear_model import LogisticRegression

    body = nn.Sequential(*list(network.children())[:-1], nn.Flatten())

    @torch.inference_mode()
    def features(x: Tensor) -> np.ndarray:
        return torch.cat([body(part) for part in torch.split(x, 128)]).numpy()

    pixels, labels, _ = this.draw("train", "half")
    head = LogisticRegression(C=1.0, max_iter=2000).fit(features(inputs(pixels)), labels)
    return lambda x: head.predict(features(x))


def back(of: dict[str, Any], marks: str, cure: str) -> float | None:
    """Share of the accuracy lost that a cure brings back; None where less than 3 % was lost."""
    lost = of["usual"]["before"] - of[marks]["before"]
    value = of[marks][cure]
    return None if lost < 0.03 or value is None else (value - of[marks]["before"]) / lost


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.shortcuts", description=__doc__)
    parser.add_argument("--seeds", default="100-123", help="FIRST-LAST")
    parser.add_argument("--only", choices=KINDS)
    parser.add_argument("--cache", type=Path, default=Path("runs/shortcuts"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    first, last = map(int, options.seeds.split("-"))
    pictures = pool(options.cache)
    for seed in range(first, last + 1):
        kind, strength = KINDS[seed % 4], STRENGTHS[seed // 4 % 3]
        file = options.cache / f"{kind}-{strength}-{seed}.json"
        if file.exists() or options.only not in (None, kind):
            continue
        found = row(task(pictures, kind, strength, seed), options.cache)
        write_atomically(file, json.dumps(found, indent=1).encode())
        cures = {c: back(found, "swapped", c) for c in ("group", "random", "mct", "refit")}
        print(
            kind,
            strength,
            seed,
            found["first"],
            f"{found['first_share']:.2f}",
            f"holding {found['holding']}/{found['groups']} best {found['best_place']}",
            {k: None if v is None else round(v, 2) for k, v in cures.items()},
            {
                m: {k: v and round(v, 3) for k, v in found[m].items()}
                for m in ("usual", "none", "swapped")
            },
            [round(s) for s in found["seconds"]],
            file=sys.stderr,
            flush=True,
        )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
