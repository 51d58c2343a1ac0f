"""Measure whether the audit finds planted shortcuts, and how much it helps to mask the groups found.

Each combination of kind of mark, strength and seed (``benchmarks.planted``) gives a row:

1. A network is trained. The circuit of the class that carried the mark in training is found and audited
   on held-out pictures. Half of them carry the mark, regardless of their class.
2. The ground truth is determined on unseen pictures of other classes, with and without the mark. A
   group *holds* the shortcut if at least ``HOLDS`` of what the mark adds to the probability of the
   class disappears when its neurons get their values on the same pictures without the mark.
3. The accuracy is measured on unseen test pictures, with the mark *swapped* (on all classes but its
   own) and with *none*, and compared with that on pictures with the usual marks. The row has the share
   of the lost accuracy that is restored if the group ranked first is masked. For comparison, the same
   number of neurons is masked at random (with matched activation) and by integrated gradients to the
   logit on the class's pictures (NeuronMCT), and the last layer is refitted on pictures whose mark is
   independent of the class, as an upper bound.

Rows are stored in the folder ``--cache``; a second run computes only missing ones.

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
"""set of networks → (kinds of marks, strengths, function from kind, strength and seed to a task)"""
HOLDS = 0.5
LEAST_EFFECT = 0.005
"""smallest effect of the mark on the probability for which the shares of groups are computed"""
LEAST_LOST = 0.03
"""smallest loss of accuracy for which the restored share is reported"""
PAGE = Path(__file__).parents[1] / "docs" / "shortcuts.md"
RANDOM = 10
"""number of random sets in a comparison"""


def row(this: Planted) -> dict[str, Any]:
    """Return all measurements of one task."""
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
    """Return the share of the mark's effect on the class's probability that passes through each group.

    Pictures of other classes with the mark are run while the group's neurons have their values on the
    same pictures without the mark. The part of the effect that disappears passes through the group.
    This intervention is independent of the masks of the audit.
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
        without, effect = (_probability(logits, this.target) for logits in (logits0, logits1))
        effect -= without
        axis = model.layer(layer.name).axis
        for group in layer.groups:
            index = torch.tensor(group.neurons)
            mixed = x1.index_copy(axis, index, x0.index_select(axis, index))
            left = _probability(segment.run(mixed, held), this.target) - without
            found[group.id] = 1 - left / effect if effect > LEAST_EFFECT else 0.0
    return found


def _probability(logits: Tensor, target: int) -> float:
    """Return the mean probability of a class."""
    return float(logits.softmax(1)[:, target].mean())


def ranking(report: AuditReport, holds: dict[str, float]) -> dict[str, Any]:
    """Return the ranks of the groups that hold the shortcut, and what the audit says of all groups."""
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
    """Return the accuracies with usual, no and swapped marks, before and after each repair."""
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
    masks = [mask_of(masker.layers, {layer.name: s}, first.ablation, means=means) for s in sets]
    refitted = refit(network, this)
    result: dict[str, Any] = {"neurons": len(neurons), "by": first.ablation}
    for marks in ("usual", "none", "swapped"):
        pixels, labels, _ = this.draw("test", marks)
        x = this.inputs(pixels)
        runs = [masker.run(part, masks) for part in torch.split(x, 128)]
        before = np.concatenate([run[0] for run in runs])
        after = [np.concatenate([run[1][i] for run in runs]) for i in range(len(masks))]
        predicted = [logits.argmax(1) for logits in (before, *after)] + [refitted(x)]
        result[marks] = _accuracies([classes == labels for classes in predicted])
        others = labels != this.target
        result[f"{marks}, others"] = _accuracies([(c == labels)[others] for c in predicted])
    return result


def _accuracies(hits: Sequence[np.ndarray]) -> dict[str, float | None]:
    """Return the accuracies before a repair and after each repair."""
    before, group, mct, *random, refitted = (float(each.mean()) for each in hits)
    return {
        "before": before,
        "group": group,
        "mct": mct,
        "random": float(np.mean(random)) if random else None,
        "refit": refitted,
    }


def important(
    model: neurflow.Model, masker: Masker, x: Tensor, target: int, count: int, steps: int = 16
) -> list[int]:
    """Return the neurons of NeuronMCT: by mean integrated gradients to the target's logit."""
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
    """Return the last layer, refitted on pictures of which half of each class carry the mark."""
    from sklearn.linear_model import LogisticRegression

    body = nn.Sequential(*list(network.children())[:-1], nn.Flatten())

    @torch.inference_mode()
    def features(x: Tensor) -> np.ndarray:
        return torch.cat([body(part) for part in torch.split(x, 128)]).numpy()

    pixels, labels, _ = this.draw("train", "half")
    head = LogisticRegression(C=1.0, max_iter=2000).fit(features(this.inputs(pixels)), labels)
    return lambda x: head.predict(features(x))


def restored(row: dict[str, Any], marks: str, repair: str) -> float | None:
    """Return the share of the lost accuracy that a repair restores; None if too little was lost.

    Pictures without the mark count as a repair too ("removed"), because no mask can do better.
    """
    removed = row[marks.replace("swapped", "none")]["before"]
    lost, value = _lost(row, marks), removed if repair == "removed" else row[marks][repair]
    return None if lost < LEAST_LOST or value is None else (value - row[marks]["before"]) / lost


def _lost(row: dict[str, Any], marks: str) -> float:
    """Return the accuracy with the usual marks, minus that with these marks, on the same classes."""
    usual = marks.replace("swapped", "usual").replace("none", "usual")
    return float(row[usual]["before"] - row[marks]["before"])


def write_page(rows: Mapping[str, Sequence[dict[str, Any]]]) -> None:
    """Write the tables of ``docs/shortcuts.md`` between its comments."""
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
        *_restored_table(rows, "swapped", "mark swapped", ("kind", "strength")),
        "",
        *_restored_table(rows, "swapped, others", "… on pictures of other classes", ("strength",)),
        "",
        *_restored_table(rows, "none", "no mark", ("strength",)),
        "",
        *_remarks(learnt),
    ]


def _first_places(rows: Sequence[dict[str, Any]]) -> list[str]:
    lines = [
        "| | networks | a group that holds it is ranked first | by chance | no group holds it |",
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


def _restored_table(
    rows: Sequence[dict[str, Any]], marks: str, title: str, keys: Sequence[str]
) -> list[str]:
    lines = [
        f"| {title} | networks | lost | group ranked first | random neurons "
        "| top NeuronMCT | mark removed | last layer refitted |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for label, part in _parts(rows, keys):
        cells = [
            _quartiles([v for row in part if (v := restored(row, marks, repair)) is not None])
            for repair in ("group", "random", "mct", "removed", "refit")
        ]
        lost = [_lost(row, marks) for row in part]
        counted = sum(value >= LEAST_LOST for value in lost)
        lines.append(
            f"| {label} | {counted} of {len(part)} | {np.median(lost):.0%} | {' | '.join(cells)} |"
        )
    return lines


def _remarks(rows: Sequence[dict[str, Any]]) -> list[str]:
    before, after = (np.median([r["swapped"][key] for r in rows]) for key in ("before", "group"))
    kept = [row["usual"]["group"] - row["usual"]["before"] for row in rows]
    neurons = np.median([row["neurons"] for row in rows])
    by_mean = sum(row["by"] == "mean" for row in rows)
    return [
        f"With the mark swapped, the median accuracy is {before:.2f}; if the group ranked first is "
        f"masked, it is {after:.2f}. Masking changes the accuracy on pictures with the usual marks by "
        f"{np.median(kept):+.1%} in the median ({min(kept):+.1%} at worst). The group has "
        f"{neurons:.0f} neurons in the median. It was masked by its mean in {by_mean} of {len(rows)} "
        "networks, and by zero in the others.",
    ]


def _parts(
    rows: Sequence[dict[str, Any]], keys: Sequence[str]
) -> list[tuple[str, list[dict[str, Any]]]]:
    """Return all rows, and those of each kind or strength if there are several."""
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
    """Run the missing tasks and write the page; return the exit code."""
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
        repairs = {r: restored(found, "swapped", r) for r in ("group", "random", "mct", "refit")}
        _log(
            f"{kind} {strength} seed {seed}: {found['first']} holds {found['first_share']:.2f}, "
            f"{found['holding']} of {found['groups']} groups hold the shortcut; restored: "
            + ", ".join(f"{r} {v:.2f}" for r, v in repairs.items() if v is not None)
            + f"; {sum(found['seconds']):.0f} s"
        )
    rows = [json.loads(file.read_text()) for file in sorted(options.cache.glob("*-*-*.json"))]
    write_page(
        {name: [r for r in rows if r["kind"] in kinds] for name, (kinds, *_) in SETS.items()}
    )
    return 0


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
