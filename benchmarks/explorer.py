"""Measure the speed of a page with a large circuit in Chromium: opening, panning, hovering, selecting.

The table also has the processor time of all browser processes, which depends less on other work on the
machine than wall time does.

    python -m benchmarks.explorer            # prints the table
    python -m benchmarks.explorer --write    # also writes it to docs/explorer.md
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import statistics
import tempfile
import time
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from benchmarks.page import publish, table
from neurflow.circuit import (
    Circuit,
    CircuitLayer,
    GroupEdge,
    Neuron,
    NeuronGroup,
    SemanticGroup,
)
from neurflow.config import Config
from neurflow.method.assembly import THUMBNAIL
from neurflow.pages import write_report
from neurflow.pages.page import bundle
from neurflow.refs import Crop, GroupId, ImageRef, Member, ModelInfo, Target

PAGE = Path(__file__).parents[1] / "docs" / "explorer.md"
LAYERS, GROUPS, EDGES = 20, 100, 10_000
CROPS = 2
"""number of crops of a group, each from a different picture"""
FRAMES = 60
REPEATS = 5
FIRST = "() => performance.getEntriesByName('first-contentful-paint')[0].startTime"
BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]

PAN = """async (frames) => {
  const graph = document.querySelector(".graph");
  const send = (type, x, y, on) => on.dispatchEvent(new PointerEvent(type,
    { bubbles: true, pointerType: "mouse", clientX: x, clientY: y, button: 0, buttons: 1 }));
  const next = () => new Promise(requestAnimationFrame);
  send("pointerdown", 600, 400, graph);
  await next();
  const start = performance.now();
  const took = [];
  let last = start;
  for (let i = 1; i <= frames; i++) {
    send("pointermove", 600 + 10 * i, 400 + 4 * i, window);
    const now = await next();
    took.push(now - last);
    last = now;
  }
  send("pointerup", 600, 400, window);
  return { seconds: (last - start) / 1000, worst: Math.max(...took) };
}"""
ANSWER = """async (name) => {
  const cards = [...document.querySelectorAll(".card")].slice(0, 9);
  const next = () => new Promise(requestAnimationFrame);
  const took = [];
  for (const card of cards) {
    await next(); await next();
    const start = performance.now();
    card.dispatchEvent(new MouseEvent(name, { bubbles: name === "click" }));
    await next();  // drawn again before this frame
    await new Promise((done) => setTimeout(done));
    took.push(performance.now() - start);
    if (name === "mouseenter") card.dispatchEvent(new MouseEvent("mouseleave"));
  }
  return took;
}"""
"""milliseconds from an event on each of a few cards to the frame that shows its effect"""


def large(layers: int = LAYERS, groups: int = GROUPS, edges: int = EDGES, seed: int = 0) -> Circuit:
    """Make a circuit for drawing: random signed edges, and crops of coloured clouds."""
    generator = np.random.default_rng(seed)
    names = [f"block{i // 5}.conv{i % 5}" for i in range(layers)]
    crops = [_crop(i) for i in range(layers * groups * CROPS)]
    built = []
    for number, name in enumerate(names):
        neurons, found = {}, []
        for i in range(groups):
            start = (number * groups + i) * CROPS
            own = tuple(crops[start : start + CROPS])
            part = SemanticGroup(crops=(0, 1), weights={}, concept_vector=np.ones(4, np.float32))
            activations = tuple(float(CROPS - n) for n in range(CROPS))
            neurons[i] = Neuron(
                index=i, crops=own, activations=activations, semantic_groups=(part,), importance={}
            )
            found.append(NeuronGroup(id=GroupId(name, i), members=(Member(i, 0),), crops=own))
        built.append(CircuitLayer(name=name, neurons=neurons, groups=tuple(found)))
    pairs = list(pairwise(built))
    joined = []
    for number, (lower, upper) in enumerate(pairs):
        count = edges * (number + 1) // len(pairs) - edges * number // len(pairs)
        for place in generator.choice(groups * groups, count, replace=False):
            g, h = upper.groups[place // groups], lower.groups[place % groups]
            weight = float(generator.laplace(scale=0.1))
            joined.append(GroupEdge(upper=g.id, lower=h.id, weight=weight))
    return Circuit(
        model=ModelInfo(reference="random", digest="0" * 64, input_size=(3, 224, 224)),
        target=Target(layer=names[-1], neuron=0, name="large"),
        config=Config(),
        images=tuple(ImageRef(name=f"{i}.jpg") for i in range(len(crops) // 100 + 1)),
        crop_count=len(crops),
        layers=tuple(built),
        edges=tuple(joined),
        thumbnails={crop: _cloud(generator) for crop in crops},
    )


def _crop(number: int) -> Crop:
    left, top = 8 * (number % 10), 8 * (number // 10 % 10)
    return Crop(number // 100, (left, top, left + 64, top + 64))


def _cloud(generator: np.random.Generator) -> bytes:
    """Make a picture with the side of a thumbnail; as WebP, it has about 3 kB."""
    small = Image.fromarray(generator.integers(0, 256, (17, 17, 3), dtype=np.uint8))
    data = io.BytesIO()
    small.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC).save(data, "WEBP", quality=80)
    return data.getvalue()


class Clock:
    """Processor seconds of all processes of a browser: pages, compositor, network."""

    def __init__(self, page: Page) -> None:
        browser = page.context.browser
        assert browser is not None
        self._session = browser.new_browser_cdp_session()

    def seconds(self) -> float:
        """Return the processor seconds since the browser was started."""
        found = self._session.send("SystemInfo.getProcessInfo")["processInfo"]
        return float(sum(each["cpuTime"] for each in found))


def measure(page: Page, file: Path) -> dict[str, Any]:
    """Measure the time until cards are painted, of frames while dragging, of a hover and of a click."""
    clock = Clock(page)
    start, idle = time.perf_counter(), clock.seconds()
    page.goto(file.as_uri(), wait_until="commit")
    page.locator(".card").first.wait_for()
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    opened, cpu = time.perf_counter() - start, clock.seconds() - idle
    first = page.evaluate(FIRST) / 1e3
    cards = page.locator(".card").count()

    def panned() -> dict[str, float]:
        before = clock.seconds()
        found: dict[str, float] = page.evaluate(PAN, FRAMES)
        return {**found, "cpu": (clock.seconds() - before) / FRAMES}

    near = panned()
    hover = statistics.median(page.evaluate(ANSWER, "mouseenter"))
    before = clock.seconds()
    took = page.evaluate(ANSWER, "click")
    select = {"took": statistics.median(took), "cpu": (clock.seconds() - before) / len(took)}
    page.keyboard.press("Escape")
    page.get_by_label("Fit the whole circuit").click()
    page.wait_for_timeout(500)
    return {
        "first": first,
        "opened": opened,
        "cpu": cpu,
        "cards": cards,
        "near": near,
        "hover": hover,
        "select": select,
        "whole": panned(),
    }


def main() -> None:
    """Measure, print, and write if requested."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the result to docs/explorer.md")
    chosen = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        parser.error("no browser on the path: install chromium")
    circuit = large()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        file = write_report(circuit, Path(folder) / "large.html", crops_per_group=CROPS)
        running = playwright.chromium.launch(executable_path=browser, args=BROWSER)
        rounds = []
        for _ in range(REPEATS):
            page = running.new_page(viewport={"width": 1280, "height": 800})
            rounds.append(measure(page, file))
            page.close()
        found = medians(rounds)
        version, load = running.version, os.getloadavg()[0]
        running.close()
        size = file.stat().st_size
    head = f"{LAYERS} layers of {GROUPS} groups, {EDGES:,} edges"
    drawn = (
        f"{date.today()}: Chromium {version}, drawn without a GPU, 1280 × 800; medians of {REPEATS}, "
        f"load {load:.1f} on {os.cpu_count()} cores."
    )
    text = f"{drawn}\n\n{table((head, 'goal', 'measured'), rows_of(found, size))}"
    publish("large", text, write=chosen.write, page=PAGE)


def medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the median of each figure over all rounds, in dictionaries within dictionaries too."""
    return {
        name: medians([each[name] for each in rounds])
        if isinstance(value, dict)
        else statistics.median(each[name] for each in rounds)
        for name, value in rounds[0].items()
    }


def rows_of(found: dict[str, Any], size: int) -> list[tuple[str, str, str]]:
    """Return rows of what, goal and figure; ``size`` is that of the page in bytes."""
    return [
        ("bundle, without data", "250 kB", f"{len(bundle().encode()) / 1e3:.0f} kB"),
        (f"file, {CROPS} crops a group", "", f"{size / 1e6:.1f} MB"),
        ("first paint, with the title", "0.7 s", f"{found['first']:.2f} s"),
        (
            "opening, to the first painted cards",
            "",
            f"{found['opened']:.2f} s, {found['cpu']:.2f} s of processor",
        ),
        (f"cards drawn at first, of {LAYERS * GROUPS}", "", f"{found['cards']:.0f}"),
        ("hovering a card, median", "", f"{found['hover']:.0f} ms"),
        (
            "selecting a card, median",
            "50 ms",
            f"{found['select']['took']:.0f} ms, {1e3 * found['select']['cpu']:.0f} ms of processor",
        ),
        *(
            (
                f"panning {name}",
                "50 frames/s",
                f"{FRAMES / pan['seconds']:.0f} frames/s, worst {pan['worst']:.0f} ms; "
                f"{1e3 * pan['cpu']:.1f} ms of processor a frame",
            )
            for name, pan in (("as it opens", found["near"]), ("with all in view", found["whole"]))
        ),
    ]


if __name__ == "__main__":
    main()
