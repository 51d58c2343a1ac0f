"""How the page bears a large circuit: opening, panning, hovering in a real Chromium.

    python -m benchmarks.explorer            # prints
    python -m benchmarks.explorer --write    # and keeps the result in docs/explorer.md
"""

from __future__ import annotations

import argparse
import io
import shutil
import statistics
import tempfile
from datetime import date
from importlib import resources
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
    Crop,
    GroupEdge,
    ImageRef,
    Member,
    ModelInfo,
    Neuron,
    NeuronGroup,
    SemanticGroup,
    Target,
)
from neurflow.config import Config
from neurflow.report import write_report

PAGE = Path(__file__).parents[1] / "docs" / "explorer.md"
LAYERS, GROUPS, EDGES = 20, 100, 10_000
CROPS = 8
"""crops of a group, each with a picture of its own"""
FRAMES = 60
BROWSER = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"]

PAN = """async (frames) => {
  const graph = document.querySelector(".graph");
  const send = (type, x, y, on) => on.dispatchEvent(new MouseEvent(type,
    { bubbles: true, view: window, clientX: x, clientY: y, button: 0, buttons: 1 }));
  const next = () => new Promise(requestAnimationFrame);
  send("mousedown", 600, 400, graph);
  await next();
  const start = performance.now();
  const took = [];
  let last = start;
  for (let i = 1; i <= frames; i++) {
    send("mousemove", 600 + 10 * i, 400 + 4 * i, window);
    const now = await next();
    took.push(now - last);
    last = now;
  }
  send("mouseup", 600, 400, window);
  return { seconds: (last - start) / 1000, worst: Math.max(...took) };
}"""
HOVER = """async () => {
  const cards = [...document.querySelectorAll(".card")].slice(0, 9);
  const next = () => new Promise(requestAnimationFrame);
  const took = [];
  for (const card of cards) {
    await next(); await next();
    const start = performance.now();
    card.dispatchEvent(new MouseEvent("mouseenter"));
    await next();  // drawn again before this frame
    await new Promise((done) => setTimeout(done));
    took.push(performance.now() - start);
    card.dispatchEvent(new MouseEvent("mouseleave"));
  }
  return took;
}"""


def large(layers: int = LAYERS, groups: int = GROUPS, edges: int = EDGES, seed: int = 0) -> Circuit:
    """A circuit with nothing to explain: a card for each group, random signed edges between layers."""
    generator = np.random.default_rng(seed)
    names = [f"block{i // 5}.conv{i % 5}" for i in range(layers)]
    every: list[Crop] = []
    built = []
    for name in names:
        found, neurons = [], {}
        for i in range(groups):
            crops = tuple(Crop(len(every) // 400, (len(every) % 400, c, 400, 400)) for c in range(CROPS))
            crops = tuple(Crop(c.image_index, (len(every) % 400, n, 32, 32)) for n, c in enumerate(crops))
            every.extend(crops)
            part = SemanticGroup(crops=(0, 1, 2), weights={}, concept_vector=np.ones(4, np.float32))
            neurons[i] = Neuron(
                index=i, crops=crops, activations=tuple(float(CROPS - n) for n in range(CROPS)),
                semantic_groups=(part,), importance={}, steps=None, completeness_error=None,
            )
            found.append(NeuronGroup(id=f"{name}/{i}", members=(Member(i, 0),), crops=crops, label=None))
        built.append(CircuitLayer(name=name, neurons=neurons, groups=tuple(found)))
    return built, every, generator  # type: ignore[return-value]
