"""Planted shortcuts: does the audit find them, and does masking what it finds help?

For each kind of mark, strength and seed (``benchmarks.planted``), a row:

1. train a network; on held-out pictures of which every second carries the mark whatever their class,
   discover the circuit of the class that carried it in training, and audit it;
2. the truth, on unseen pictures of other classes with and without the mark: a group *holds* the
   shortcut if at least ``HOLDS`` of what the mark adds to the probability of the class goes through it
   (is gone when its neurons are given their values on the same pictures without the mark);
3. on test pictures nobody has seen, with the mark *swapped* (on all classes but its own) and with
   *none*: the accuracy lost next to pictures as usual, and the share of it that comes back when the
   group ranked first is masked; next to as many random neurons of matched activation, as many
   neurons with the largest integrated gradients to the logit (NeuronMCT) on the class's pictures, and
   the last layer fitted anew on pictures whose mark says nothing of the class: what can be had.

Rows are kept as they come (``--cache``); a second run does only what is missing.

    python -m benchmarks.shortcuts [--on drawn|demo|real] [--seeds 500-523]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

import neurflow
from benchmarks import planted, planted_demo, planted_real
from benchmarks.planted import Planted
from neurflow.debugging.masking import Masker, mask_of, matched_neurons
from neurflow.debugging.result import AuditReport, GroupAudit
from neurflow.demo.pictures import SHORTCUT
from neurflow.runtime.files import write_atomically

STRENGTHS = (0.8, 0.9, 1.0)
SETS: dict[str, tuple[tuple[str, ...], tuple[float, ...], Callable[..., Planted]]] = {
    "drawn": (planted.KINDS, STRENGTHS, planted.task),
    "demo": (planted_demo.KINDS, (SHORTCUT.share,), planted_demo.demo_task),
    "real": (planted_real.KINDS, STRENGTHS, planted_real.real_task),
}
"""what is planted on: its kinds, its strengths, and how a task is made of them and a seed"""
HOLDS = 0.5
LEAST_EFFECT = 0.005
"""probability that a mark adds at least, for a group to hold a share of it"""
LEAST_LOST = 0.03
"""accuracy that must be lost for its return to be told"""
PAGE = Path(__file__).parents[1] / "docs" / "shortcuts.md"
RANDOM = 10
"""random sets a comparison is made with"""


def row(this: Planted) -> dict[str, Any]:
    """Everything measured of one task."""
    started = time.perf_counter()
    network = this.train()
    model = this.model_of(network)
    pixels, labels, _ = this.draw("audit", "half")
    order = np.random.default_rng([this.seed, 2]).permutation(len(labels))
    pictures = [(Image.fromarray(pixels[i]), int(labels[i])) for i in order]
    circuit = neurflow.discover(
        model,
        pictures,
        this.target,
        this.layers,
        this.config,
        max_images=this.studied,
        memory="1GB",
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
        **recovery(model, network, circuit, report.groups[0], this),
        "seconds": [found - started, audited - found, time.perf_counter() - audited],
    }


@torch.inference_mode()
def holding(model: neurflow.Model, circuit: neurflow.Circuit, this: Planted) -> dict[str, float]:
    """Share of what the mark adds to the class's probability that goes through each group.

    Pictures of other classes with the mark are run with the group's neurons as on the same pictures
    without it: what is gone went through the group. An intervention of its own, no mask of the audit's.
    """
    (clean, labels, _), (marked, _, _) = (this.draw("test", marks) for marks in ("none", "all"))
    others = np.flatnonzero(labels != this.target)[::4]
    output = model.network.output_name
    found: dict[str, float] = {}
    for layer in circuit.layers[:-1]:
        segment = model.segment(layer.name, output)
        observe = model.outputs([*map(model.node, [layer.name, output]), *segment.bypass])
        x0, logits0, *_ = observe(this.inputs(clean[others]))
        x1, logits1, *held = observe(this.inputs(marked[others]))
        without, effect = _chance(logits0, this.target), _chance(logits1, this.target)
        effect -= without
        axis = model.layer(layer.name).axis
        for group in layer.groups:
            index = torch.tensor(group.neurons)
            mixed = x1.index_copy(axis, index, x0.index_select(axis, index))
            left = _chance(segment.run(mixed, held), this.target) - without
            found[group.id] = 1 - left / effect if effect > LEAST_EFFECT else 0.0
    return found


def _chance(logits: Tensor, target: int) -> float:
    """Mean probability of a class."""
    return float(logits.softmax(1)[:, target].mean())


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
    model: neurflow.Model,
    network: nn.Module,
    circuit: neurflow.Circuit,
    first: GroupAudit,
    this: Planted,
) -> dict[str, Any]:
    """Accuracies as usual, without marks and with swapped ones, under each cure."""
    layer = circuit.layer(first.id.rpartition("/")[0])
    masker = Masker(model, [layer.name])
    neurons = circuit.group(first.id).neurons
    usual, labels, _ = this.draw("train", "usual")
    own = this.inputs(usual[labels == this.target][: this.studied])
    _, _, observed = masker.run(own, [])
    phi = masker.layers[0].pool(observed[layer.name]).mean(dim=0).numpy()
    sets = [neurons, important(model, masker, own, this.target, len(neurons))]
    sets += matched_neurons(phi, neurons, RANDOM, this.seed)
    means = {layer.name: layer.means}
    masks = [mask_of(masker.layers, {layer.name: s}, first.by, means=means) for s in sets]
    refitted = refit(network, this)
    result: dict[str, Any] = {"neurons": len(neurons), "by": first.by}
    for marks in ("usual", "none", "swapped"):
        pixels, labels, _ = this.draw("test", marks)
        x = this.inputs(pixels)
        runs = [masker.run(part, masks) for part in torch.split(x, 128)]
        before = np.concatenate([run[0] for run in runs])
        after = [np.concatenate([run[1][i] for run in runs]) for i in range(len(masks))]
        said = [logits.argmax(1) for logits in (before, *after)] + [refitted(x)]
        result[marks] = _accuracies([answers == labels for answers in said])
        others = labels != this.target
        result[f"{marks}, others"] = _accuracies([(a == labels)[others] for a in said])
    return result


def _accuracies(hits: Sequence[np.ndarray]) -> dict[str, float | None]:
    """Shares of right answers: as it is, group, NeuronMCT, random sets, last layer anew."""
    before, group, mct, *random, anew = (float(each.mean()) for each in hits)
    return {
        "before": before,
        "group": group,
        "mct": mct,
        "random": float(np.mean(random)) if random else None,
        "refit": anew,
    }


def important(
    model: neurflow.Model, masker: Masker, x: Tensor, target: int, count: int, steps: int = 16
) -> list[int]:
    """NeuronMCT: the neurons with the largest mean integrated gradients to the target's logit."""
    (layer,) = masker.layers
    keys = [model.node(layer.name), *masker.segment.bypass]
    with torch.no_grad():
        top, *held = model.outputs(keys)(x)
    total = torch.zeros_like(top)
    for step in range(steps):
        point = (top * (step + 0.5) / steps).requires_grad_()
        logits = masker.segment.run(point, held)
        total += torch.autograd.grad(logits[:, target].sum(), point)[0]
    scores = layer.total(top * total / steps).mean(0).abs()
    return sorted(scores.topk(count).indices.tolist())


def refit(network: nn.Module, this: Planted) -> Any:
    """The last layer fitted anew on training pictures of which half of each class carry the mark."""
    from sklearn.linear_model import LogisticRegression

    body = nn.Sequential(*list(network.children())[:-1], nn.Flatten())

    @torch.inference_mode()
    def features(x: Tensor) -> np.ndarray:
        return torch.cat([body(part) for part in torch.split(x, 128)]).numpy()

    pixels, labels, _ = this.draw("train", "half")
    head = LogisticRegression(C=1.0, max_iter=2000).fit(features(this.inputs(pixels)), labels)
    return lambda x: head.predict(features(x))


def back(of: dict[str, Any], marks: str, cure: str) -> float | None:
    """Share of the accuracy lost that a cure brings back; None where hardly any was lost.

    Taking the mark *off* the pictures is a cure too: no mask can be expected to do more.
    """
    off = of[marks.replace("swapped", "none")]["before"]
    lost, value = _lost(of, marks), off if cure == "off" else of[marks][cure]
    return None if lost < LEAST_LOST or value is None else (value - of[marks]["before"]) / lost


def _lost(of: dict[str, Any], marks: str) -> float:
    """Accuracy on pictures as usual, of the same classes, less that with these marks."""
    usual = marks.replace("swapped", "usual").replace("none", "usual")
    return float(of[usual]["before"] - of[marks]["before"])


def write_page(rows: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """The tables of ``docs/shortcuts.md``, between its marks."""
    text = PAGE.read_text(encoding="utf-8")
    for name, part in rows.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end {name} -->"
        before, _, rest = text.partition(start)
        text = before + start + "\n".join(_tables(part)) + "\n" + end + rest.partition(end)[2]
    write_atomically(PAGE, text.encode())


def _tables(rows: Sequence[dict[str, Any]]) -> list[str]:
    learnt = [row for row in rows if _lost(row, "swapped") >= LEAST_LOST]
    if not learnt:
        return ["Not measured."]
    seeds = sorted(row["seed"] for row in rows)
    return [
        f"{len(rows)} networks, seeds {seeds[0]} to {seeds[-1]}; {len(learnt)} learnt the shortcut "
        f"(lost at least {LEAST_LOST:.0%}). Of these:",
        "",
        *_first_places(learnt),
        "",
        *_brought_back(rows, "swapped", "mark swapped", ("kind", "strength")),
        "",
        *_brought_back(rows, "swapped, others", "… on pictures of other classes", ("strength",)),
        "",
        *_brought_back(rows, "none", "no mark", ("strength",)),
        "",
        *_remarks(learnt),
    ]


def _first_places(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        "| | networks | a group that holds it comes first | by chance | none holds it |",
        "| --- | --- | --- | --- | --- |",
    ]
    for label, part in _parts(rows, ("kind", "strength")):
        first = sum(row["first_holds"] for row in part)
        chance = np.mean([row["holding"] / row["groups"] for row in part])
        none = sum(not row["holding"] for row in part)
        lines.append(
            f"| {label} | {len(part)} | {first} ({first / len(part):.0%}) | {chance:.0%} | {none} |"
        )
    return lines


def _brought_back(
    rows: Sequence[dict[str, Any]], marks: str, title: str, keys: Sequence[str]
) -> list[str]:
    lines = [
        f"| {title} | networks | lost | group ranked first | random neurons "
        "| top NeuronMCT | mark taken off | last layer anew |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for label, part in _parts(rows, keys):
        cells = [
            _quartiles([v for row in part if (v := back(row, marks, cure)) is not None])
            for cure in ("group", "random", "mct", "off", "refit")
        ]
        lost = [_lost(row, marks) for row in part]
        counted = sum(value >= LEAST_LOST for value in lost)
        lines.append(
            f"| {label} | {counted} of {len(part)} | {np.median(lost):.0%} | {' | '.join(cells)} |"
        )
    return lines


def _remarks(rows: Sequence[dict[str, Any]]) -> list[str]:
    before, after = (np.median([r["swapped"][cure] for r in rows]) for cure in ("before", "group"))
    kept = [row["usual"]["group"] - row["usual"]["before"] for row in rows]
    neurons = np.median([row["neurons"] for row in rows])
    by_mean = sum(row["by"] == "mean" for row in rows)
    return [
        f"With the mark swapped, accuracy is {before:.2f} in the median; with the group ranked first "
        f"masked, {after:.2f}. Masking it changes the accuracy on pictures as usual by "
        f"{np.median(kept):+.1%} in the median ({min(kept):+.1%} at worst). It has {neurons:.0f} "
        f"neurons in the median, and was masked by its mean in {by_mean} of {len(rows)} networks, "
        "by zero in the others.",
    ]


def _parts(
    rows: Sequence[dict[str, Any]], keys: Sequence[str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """All rows, and those of each kind or strength where there are several."""
    return [
        ("all", list(rows)),
        *(
            (str(value), [row for row in rows if row[key] == value])
            for key in keys
            for value in sorted({row[key] for row in rows})
            if len({row[key] for row in rows}) > 1
        ),
    ]


def _quartiles(values: Sequence[float]) -> str:
    if len(values) < 2:
        return f"{values[0]:.0%}" if values else "-"
    low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
    return f"{middle:.0%} ({low:.0%} … {high:.0%})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.shortcuts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seeds", default="500-523", help="FIRST-LAST")
    parser.add_argument(
        "--on",
        default="drawn",
        choices=sorted(SETS),
        help="small networks on drawn pictures, the demo network, or real photographs",
    )
    parser.add_argument("--cache", type=Path, default=Path("runs/shortcuts"))
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    first, last = map(int, options.seeds.split("-"))
    kinds, strengths, make = SETS[options.on]
    if options.on == "drawn":
        make = partial(make, planted.pool(options.cache))
    for seed in range(first, last + 1):
        kind, strength = kinds[seed % len(kinds)], strengths[seed // len(kinds) % len(strengths)]
        file = options.cache / f"{kind}-{strength}-{seed}.json"
        if file.exists():
            continue
        found = row(make(kind, strength, seed))
        write_atomically(file, json.dumps(found, indent=1).encode())
        cures = {c: back(found, "swapped", c) for c in ("group", "random", "mct", "refit")}
        _say(
            f"{kind} {strength} seed {seed}: {found['first']} holds {found['first_share']:.2f}, "
            f"{found['holding']} of {found['groups']} hold; brought back "
            + ", ".join(f"{c} {v:.2f}" for c, v in cures.items() if v is not None)
            + f"; {sum(found['seconds']):.0f} s"
        )
    rows = [json.loads(file.read_text()) for file in sorted(options.cache.glob("*-*-*.json"))]
    write_page(
        {name: [r for r in rows if r["kind"] in kinds] for name, (kinds, *_) in SETS.items()}
    )
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
