"""Measure how often the rules split a single meaning, and how often they find several meanings.

    python -m benchmarks.meanings [--clouds 60] [--seeds 20] [--real FOLDER --cache FOLDER] [--write]

1. Sets of 50 points in 512 dimensions, with one meaning or several; ``--clouds`` of each kind. The
   thresholds of ``Config`` were chosen on seeds below 100; ``--first`` is the first seed used here.
2. ``--real``: the class and its core neurons in ``layer4.1`` of ResNet18, for golden retriever and
   samoyed. The table has the share of neurons with the same number of meanings for all ``--seeds``
   seeds. FOLDER has ``weights`` and ``images`` (``tests/test_real.py``); ``--cache`` stores the
   activations.

Every rule of ``Config.meanings`` is measured. ``--write`` puts the tables into ``docs/meanings.md``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from time import process_time

import numpy as np

from benchmarks.page import publish, table
from neurflow import Config, load_images, load_model
from neurflow.method.concepts import co_activations, crops_limit, divide
from neurflow.model import Model
from neurflow.pictures.crops import CropSet
from neurflow.pictures.images import Images
from neurflow.runtime.memory import MEMORY, Budget
from neurflow.runtime.progress import Silent
from neurflow.runtime.workspace import Workspace
from neurflow.stats import adjusted_rand
from neurflow.study.activations import ModelOnImages, collect, concept_images, top_crops

PAGE = Path(__file__).parents[1] / "docs" / "meanings.md"
POINTS, FEATURES, FOUND = 50, 512, 0.8
LAYERS = ["layer4.0", "layer4.1", "fc"]
RULES = ("reproducible", "gaussian")
CLASSES = {"golden retriever": "n02099601_golden_retriever", "samoyed": "n02111889_samoyed"}
Cloud = tuple[np.ndarray, np.ndarray, np.ndarray]
"""points ``[point, feature]``; image and meaning of each ``[point]``"""


def single(points: np.ndarray, images: np.ndarray | None = None) -> Cloud:
    """Return a cloud of one meaning; by default, each point comes from a different image."""
    own = np.arange(len(points)) if images is None else images
    return points, own, np.zeros(len(points), dtype=int)


def factors(rng: np.random.Generator, count: int, points: int = POINTS) -> np.ndarray:
    """Return points along exponential factors with positive loadings, and noise."""
    loadings = np.abs(rng.normal(size=(count, FEATURES)))
    return rng.exponential(size=(points, count)) @ loadings + 0.3 * rng.normal(
        size=(points, FEATURES)
    )


def duplicates(centres: np.ndarray, rng: np.random.Generator) -> Cloud:
    """Return near-duplicates: every point is one of a few images, with a little noise."""
    images = np.sort(rng.integers(len(centres), size=POINTS))
    return single(centres[images] + 0.1 * rng.normal(size=(POINTS, FEATURES)), images)


def clutter(rng: np.random.Generator, share: float) -> np.ndarray:
    """Return sparse points, in each of which a share of the features is active."""
    return (rng.random((POINTS, FEATURES)) < share) * rng.exponential(size=(POINTS, FEATURES))


def several(rng: np.random.Generator, sizes: Sequence[int], apart: float, skew: float = 0) -> Cloud:
    """Return meanings that are ``apart`` from each other, in standard deviations of a feature."""
    meaning = np.repeat(np.arange(len(sizes)), sizes)
    centres = rng.normal(size=(len(sizes), FEATURES)) * apart / np.sqrt(2 * FEATURES)
    tail = skew * rng.exponential(size=(len(meaning), 1)) * np.abs(rng.normal(size=FEATURES))
    points = centres[meaning] + tail + rng.normal(size=(len(meaning), FEATURES))
    return points, np.arange(len(meaning)), meaning


def long_cloud(rng: np.random.Generator) -> np.ndarray:
    """Return points of a Gaussian that is ten times as long as wide."""
    return np.asarray(rng.normal(size=(POINTS, 6)) * [10, 1, 1, 1, 0.5, 0.5])


SINGLE: Mapping[str, Callable[[np.random.Generator], Cloud]] = {
    "Gaussian": lambda rng: single(rng.normal(size=(POINTS, FEATURES))),
    "Gaussian, long": lambda rng: single(long_cloud(rng)),
    "lognormal": lambda rng: single(np.exp(rng.normal(size=(POINTS, FEATURES)))),
    "one exponential factor": lambda rng: single(factors(rng, 1)),
    "three exponential factors": lambda rng: single(factors(rng, 3)),
    "near-duplicates of 5 images": lambda rng: duplicates(rng.normal(size=(5, FEATURES)), rng),
    "near-duplicates of 12 images": lambda rng: duplicates(rng.normal(size=(12, FEATURES)), rng),
    "near-duplicates of 12 images on a factor": lambda rng: duplicates(factors(rng, 1, 12), rng),
    "sparse clutter, 2 % active": lambda rng: single(clutter(rng, 0.02)),
    "sparse clutter, 10 % active": lambda rng: single(clutter(rng, 0.1)),
}
SEVERAL: Mapping[str, Callable[[np.random.Generator], Cloud]] = {
    "two of 25, 20 apart": lambda rng: several(rng, (25, 25), 20),
    "two of 25, 14 apart": lambda rng: several(rng, (25, 25), 14),
    "two of 25, 10 apart": lambda rng: several(rng, (25, 25), 10),
    "two of 25 along a factor, 14 apart": lambda rng: several(rng, (25, 25), 14, skew=0.2),
    "35 and 15, 14 apart": lambda rng: several(rng, (35, 15), 14),
    "40 and 10, 14 apart": lambda rng: several(rng, (40, 10), 14),
    "45 and 5, 20 apart": lambda rng: several(rng, (45, 5), 20),
    "five of 10, 20 apart": lambda rng: several(rng, (10,) * 5, 20),
}


def clouds(count: int, first: int) -> str:
    """Return Markdown: single meanings that are split, several that are found, and the time."""
    spent = dict.fromkeys(RULES, 0.0)
    rows: dict[str, list[str]] = {}
    for name, draw in {**SINGLE, **SEVERAL}.items():
        hits = dict.fromkeys(RULES, 0)
        for seed in range(first, first + count):
            points, images, truth = draw(np.random.default_rng(seed))
            for rule in RULES:
                start = process_time()
                found = divide(points, images, Config(meanings=rule, seed=seed))
                spent[rule] += process_time() - start
                hits[rule] += (
                    bool(found.any()) if name in SINGLE else adjusted_rand(truth, found) >= FOUND
                )
        rows[name] = [f"{100 * hits[rule] / count:.0f} %" for rule in RULES]
        print(name, *rows[name], flush=True)
    times = [f"{1000 * spent[rule] / count / len(rows):.0f} ms" for rule in RULES]
    return "\n\n".join(
        [
            table(["one meaning: split", *RULES], [[name, *rows[name]] for name in SINGLE]),
            table(["several: found", *RULES], [[name, *rows[name]] for name in SEVERAL]),
            f"Processor time of a cloud: {', '.join(times)}. Found: adjusted Rand index ≥ {FOUND}.",
        ]
    )


def real(folder: Path, cache: Path, seeds: int) -> str:
    """Return Markdown: neurons of ResNet18 whose number of meanings is the same for every seed."""
    model = load_model("torchvision:resnet18", folder / "weights" / "resnet18.pth")
    rows = []
    for name, place in CLASSES.items():
        images = load_images(folder / "images" / "imagenet20" / place, model)
        rows += _of_class(name, model, images, cache / place, seeds)
    head = ["class, rule, crops of an image", "neurons", "several meanings", "same for all seeds"]
    return table(head, rows)


def _of_class(
    name: str, model: Model, images: Images, cache: Path, seeds: int
) -> list[list[object]]:
    batch, silent = model.batch(Budget(MEMORY, Silent())), Silent()
    goal = model.target(name)
    chosen = concept_images(ModelOnImages(model, images, batch, silent), goal, Config()).chosen
    crops = CropSet(images, chosen, model.input_size[1:], Config().granularities)
    phi = collect(model, crops, LAYERS, Workspace(cache), batch=batch, progress=silent)
    image = crops.image_of(np.arange(len(crops)))
    weight = model.module.get_parameter("fc.weight")[goal.neuron].detach().numpy()
    rows: list[list[object]] = []
    for rule in RULES:
        for limit in (None, "auto"):
            config = Config(meanings=rule, crops_per_image=limit)
            per_image = crops_limit(config, len(chosen))
            top = partial(top_crops, k=config.k, images=image, per_image=per_image)
            of_class = top(iter([phi["fc"][:, [goal.neuron]]]))[0]
            drive = np.abs(phi["layer4.1"][of_class[0]] * weight).mean(0)  # the head is linear
            cores = np.argsort(-drive, kind="stable")[: config.tau]
            of_cores = top(iter([phi["layer4.1"][:, cores]]))[0]
            sets = [("fc", "layer4.1", of_class), ("layer4.1", "layer4.0", of_cores)]
            counts = np.array(
                [
                    _counts(phi[own], phi[below], row, image[row], config, seeds)
                    for own, below, numbers in sets
                    for row in numbers
                ]
            )
            same = (counts == counts[:, :1]).all(axis=1).mean()
            several = (counts > 0).mean()
            shown = f"{name}, {rule}, {per_image or 'any'}"
            rows.append([shown, len(counts), f"{100 * several:.0f} %", f"{100 * same:.0f} %"])
            print(*rows[-1], flush=True)
    return rows


def _counts(
    own: np.ndarray,
    below: np.ndarray,
    crops: np.ndarray,
    images: np.ndarray,
    config: Config,
    seeds: int,
) -> list[int]:
    """Return the number of meanings of one neuron beyond the first, for each seed."""
    mean = own.mean(axis=0, dtype=np.float64)
    points = (
        co_activations(own[crops], mean, config)
        if config.meanings == "reproducible"
        else below[crops]
    )
    configs = (config.model_copy(update={"seed": seed}) for seed in range(seeds))
    return [int(divide(points, images, each).max()) for each in configs]


def main() -> None:
    """Measure and print, and write the tables if requested."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clouds", type=int, default=60, help="of each kind; 0 leaves them out")
    parser.add_argument("--first", type=int, default=1000, help="seed of the first cloud")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--real", type=Path, help="folder with weights/ and images/")
    parser.add_argument("--cache", type=Path, default=Path("meanings-cache"))
    parser.add_argument("--write", action="store_true", help="write the result to docs/meanings.md")
    args = parser.parse_args()
    if args.clouds:
        publish("clouds", clouds(args.clouds, args.first), write=args.write, page=PAGE)
    if args.real:
        publish("real", real(args.real, args.cache, args.seeds), write=args.write, page=PAGE)


if __name__ == "__main__":
    main()
