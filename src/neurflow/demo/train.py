"""Trains the demo network: ``python -m neurflow.demo.train``.

1. Draw training pictures, with the mark on most pictures of the shortcut class.
2. Train ``DemoNet`` with AdamW and a one-cycle learning rate. Pictures are randomly mirrored and
   slightly shifted. Everything random comes from one seed.
3. Draw test pictures, each with and without the mark, and measure what the network has learnt: the
   accuracy on every class, the confusion of the two similar classes, and the effect of the mark alone
   on the prediction.

The measured facts are shipped with the weights. ``--check`` trains again and compares the facts within
a tolerance, because results are identical only on the same processor with the same libraries.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from neurflow.demo.network import MEAN, STD, WEIGHTS, DemoNet
from neurflow.demo.pictures import CLASSES, CONFUSED, SHORTCUT, Picture, dataset
from neurflow.runtime.files import write_atomically

FACTS = "facts.json"
PER_CLASS = 450
TEST_PER_CLASS = 100
EPOCHS = 12
BATCH = 64
RATE = 6e-3
SHIFT = 4
"""largest random shift in pixels"""
TOLERANCE = 0.05
"""largest difference of accuracies between two trainings, on ordinary classes"""
PAIR_ACCURACY = (0.75, 0.95)
MIN_DROP = 0.15
"""smallest loss of accuracy of the shortcut class when the mark is removed"""
MIN_CHANGED = 0.15
"""smallest share of other pictures whose prediction the mark changes to its class"""

Facts = dict[str, Any]


def to_tensor(pictures: Sequence[Picture]) -> tuple[Tensor, Tensor]:
    """Return uint8 pixels ``[picture, 3, 96, 96]`` and labels ``[picture]``."""
    pixels = np.stack([np.asarray(p.image) for p in pictures]).transpose(0, 3, 1, 2)
    return torch.from_numpy(pixels.copy()), torch.tensor([p.label for p in pictures])


def normalise(pixels: Tensor) -> Tensor:
    """Return the network's input for uint8 pixels, as ``demo_transform`` does for such pictures."""
    mean, std = (torch.tensor(v)[:, None, None] for v in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std


def train(pixels: Tensor, labels: Tensor, seed: int = 0, epochs: int = EPOCHS) -> DemoNet:
    """Train a new network on uint8 pictures, and return it in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = DemoNet().to(memory_format=torch.channels_last)
        batches = -(-len(pixels) // BATCH)
        optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, max_lr=RATE, total_steps=epochs * batches
        )
        for epoch in range(epochs):
            started, total = time.perf_counter(), 0.0
            for chosen in torch.split(torch.randperm(len(pixels)), BATCH):
                inputs = normalise(_jitter(pixels[chosen]))
                logits = network(inputs.contiguous(memory_format=torch.channels_last))
                loss = nn.functional.cross_entropy(logits, labels[chosen])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
                total += loss.item() * len(chosen)
            seconds = time.perf_counter() - started
            _log(f"epoch {epoch + 1}/{epochs}: loss {total / len(pixels):.4f}, {seconds:.1f} s")
    return network.to(memory_format=torch.contiguous_format).eval()


def _jitter(pixels: Tensor) -> Tensor:
    """Mirror pictures at random, and shift the batch by up to ``SHIFT`` pixels, repeating the edges."""
    mirrored = torch.rand(len(pixels)) < 0.5
    pixels = torch.where(mirrored[:, None, None, None], pixels.flip(-1), pixels)
    top, left = torch.randint(0, 2 * SHIFT + 1, (2,)).tolist()
    size = pixels.shape[-1]
    padded = nn.functional.pad(pixels.float(), (SHIFT,) * 4, mode="replicate")
    return padded[..., top : top + size, left : left + size]


@torch.inference_mode()
def predict(network: nn.Module, pixels: Tensor) -> Tensor:
    """Return the predicted label of each picture."""
    return torch.cat([network(normalise(batch)).argmax(1) for batch in torch.split(pixels, 256)])


def measure(network: nn.Module, per_class: int, seed: int = 0, workers: int = 1) -> Facts:
    """Measure the facts about a network on test pictures, each drawn without and with the mark."""
    plain, marked = (
        dataset("test", per_class, seed, shortcut=mark, workers=workers) for mark in (False, True)
    )
    labels = to_tensor(plain)[1]
    without, with_mark = (predict(network, to_tensor(each)[0]) for each in (plain, marked))
    return {
        "pictures_per_class": per_class,
        "seed": seed,
        "accuracy_without_mark": {
            name: _share(without[labels == i] == i) for i, name in enumerate(CLASSES)
        },
        "confused": _confusion(plain, labels, without),
        "shortcut": _shortcut_effect(plain, labels, without, with_mark),
    }


def _share(hits: Tensor) -> float:
    return round(hits.float().mean().item(), 4)


def _has_part(pictures: Sequence[Picture], part: str) -> Tensor:
    """Return ``[picture]`` bool: whether the picture shows a part of that name."""
    return torch.tensor([any(p.name == part for p in picture.parts) for picture in pictures])


def _confusion(pictures: Sequence[Picture], labels: Tensor, predicted: Tensor) -> Facts:
    """Measure how often the two similar classes are confused, with the eyes visible and hidden."""
    first, second = (CLASSES.index(name) for name in CONFUSED)
    pair = (labels == first) | (labels == second)
    eyes, right = _has_part(pictures, "eye"), predicted == labels
    return {
        "classes": list(CONFUSED),
        "first_taken_for_second": _share(predicted[labels == first] == second),
        "second_taken_for_first": _share(predicted[labels == second] == first),
        "accuracy_eyes_seen": _share(right[pair & eyes]),
        "accuracy_eyes_hidden": _share(right[pair & ~eyes]),
    }


def _shortcut_effect(
    pictures: Sequence[Picture], labels: Tensor, without: Tensor, with_mark: Tensor
) -> Facts:
    """Measure the effect of removing the mark from its class and of adding it to others."""
    shortcut = CLASSES.index(SHORTCUT.class_name)
    own, sign = labels == shortcut, _has_part(pictures, "sign")
    return {
        "class": SHORTCUT.class_name,
        "mark": SHORTCUT.mark,
        "share_in_training": SHORTCUT.share,
        "accuracy_with_mark": _share(with_mark[own] == shortcut),
        "accuracy_without_mark": _share(without[own] == shortcut),
        "accuracy_without_mark_sign_seen": _share(without[own & sign] == shortcut),
        "accuracy_without_mark_sign_hidden": _share(without[own & ~sign] == shortcut),
        "others_turned_by_mark": _share(with_mark[~own & (without != shortcut)] == shortcut),
        "others_turned_by_class": {
            name: _share(with_mark[labels == i] == shortcut)
            for i, name in enumerate(CLASSES)
            if i != shortcut
        },
    }


def differences(facts: Facts, shipped: Facts) -> list[str]:
    """Return what a new network has not learnt as the shipped one has, as messages.

    Ordinary classes must reach the same accuracy, the two similar classes must be confused, removing
    the mark must reduce the accuracy on its class, and adding it must change other predictions.
    """
    accuracy, effect = facts["accuracy_without_mark"], facts["shortcut"]
    found = [
        f"{name}: accuracy {accuracy[name]}, shipped {value}"
        for name, value in shipped["accuracy_without_mark"].items()
        if name not in (*CONFUSED, SHORTCUT.class_name) and abs(accuracy[name] - value) > TOLERANCE
    ]
    pair = sum(accuracy[name] for name in CONFUSED) / len(CONFUSED)
    if not PAIR_ACCURACY[0] <= pair <= PAIR_ACCURACY[1]:
        found.append(f"{' and '.join(CONFUSED)}: mean accuracy {pair:.2f}, not in {PAIR_ACCURACY}")
    drop = effect["accuracy_with_mark"] - effect["accuracy_without_mark"]
    if drop < MIN_DROP:
        found.append(
            f"{SHORTCUT.class_name}: removing the mark reduces the accuracy by only {drop:.2f}"
        )
    if effect["others_turned_by_mark"] < MIN_CHANGED:
        share = effect["others_turned_by_mark"]
        found.append(f"the mark changes the predictions of only {share} of other pictures")
    return found


def shipped_facts() -> Facts:
    """Return the facts that were measured when the shipped weights were trained."""
    facts: Facts = json.loads(resources.files("neurflow.demo").joinpath(FACTS).read_text("utf-8"))
    return facts


def _log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m neurflow.demo.train",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="file for the weights; the facts are written to the same folder (default: replace the "
        "shipped weights; with --check, write nothing)",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="end with exit code 1 unless the new network has learnt the same as the shipped one",
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--workers", type=int, default=2, help="number of processes that draw, and of threads"
    )
    options = parser.parse_args(arguments)

    torch.set_num_threads(options.workers)
    started = time.perf_counter()
    pixels, labels = to_tensor(dataset("train", PER_CLASS, options.seed, workers=options.workers))
    _log(f"{len(labels)} pictures drawn in {time.perf_counter() - started:.0f} s")
    network = train(pixels, labels, options.seed)
    facts = measure(network, TEST_PER_CLASS, workers=options.workers)
    _log(f"done in {time.perf_counter() - started:.0f} s")
    print(json.dumps(facts, indent=2))
    out = options.out or (None if options.check else Path(__file__).with_name(WEIGHTS))
    if out:
        state = {name: value.contiguous() for name, value in network.state_dict().items()}
        write_atomically(out, save(state))
        write_atomically(out.with_name(FACTS), (json.dumps(facts, indent=2) + "\n").encode())
    found = differences(facts, shipped_facts()) if options.check else []
    if options.check:
        _log("\n".join(found) or "The new network has the same accuracy and the same shortcut.")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
