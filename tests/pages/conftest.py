"""A circuit for the tests of pages: three layers, signed edges, pictures."""

from itertools import pairwise

import numpy as np
import pytest
from hatch_build import is_fresh
from playwright.sync_api import expect, sync_playwright

from neurflow.circuit import (
    Circuit,
    CircuitLayer,
    GroupEdge,
    Histogram,
    Neuron,
    NeuronGroup,
    SemanticGroup,
)
from neurflow.config import Config
from neurflow.pages import write_report
from neurflow.refs import Crop, HeatMap, ImageRef, Member, ModelInfo, SkippedImage, Target
from tests.conftest import webp
from tests.pages.browsing import ARGUMENTS, GUIDED, patient

SIZES = {"early": 6, "late": 3, "head": 1}
HOSTILE = "</script><script>window.hurt = true</script><img src=x onerror='window.hurt = true'>"


@pytest.fixture(scope="session")
def built() -> None:
    """The bundle of the page is built from the current sources."""
    if not is_fresh():
        pytest.fail("The front end has changed since it was built. Run: make web", pytrace=False)


@pytest.fixture
def wide() -> Circuit:
    """Groups of two members each, random weights from a seed, and one hostile label."""
    generator = np.random.default_rng(5)
    crops = [Crop(i % 3, (8 * (i % 5), 0, 8 * (i % 5) + 8, 8)) for i in range(14)]
    names = list(SIZES)
    layers = []
    for number, (name, count) in enumerate(SIZES.items()):
        neurons = {}
        for a in range(2 * count):
            below = range(2 * SIZES[names[number - 1]]) if number else ()
            values = generator.normal(size=len(below))
            weights = dict(zip(below, (values / np.abs(values).sum()).tolist(), strict=True))
            part = SemanticGroup(
                crops=(0, 1, 2),
                weights=weights if number else {},
                concept_vector=generator.random(4).astype(np.float32),
            )
            neurons[a] = Neuron(
                index=a,
                crops=tuple(crops[a : a + 3]),
                activations=(3.0, 2.0, 1.5),
                semantic_groups=(part,),
                importance={s: abs(w) for s, w in weights.items()},
                steps=50 if number else None,
                rule="gauss" if number else None,
                score_error=0.003 * (a + 1) if number else None,
                completeness_error=0.004 * (a + 1) if number else None,
                histogram=Histogram(low=-1.0, high=3.0, counts=(8, 4, 0, 2)),
            )
        groups = tuple(
            NeuronGroup(
                id=f"{name}/{i}",
                members=(Member(2 * i, 0), Member(2 * i + 1, 0)),
                crops=neurons[2 * i].crops,
                label=HOSTILE if (name, i) == ("early", 1) else None,
            )
            for i in range(count)
        )
        layers.append(CircuitLayer(name=name, neurons=neurons, groups=groups))
    edges = tuple(
        GroupEdge(upper=g.id, lower=h.id, weight=float(generator.normal() / 4))
        for lower, upper in pairwise(layers)
        for g in upper.groups
        for h in lower.groups
    )
    return Circuit(
        model=ModelInfo(reference="Tiny", digest="0" * 64, input_size=(3, 32, 32)),
        target=Target(layer="head", neuron=0, name="bee"),
        config=Config(tau=8, k=3),
        images=tuple(ImageRef(name=f"{i}.png") for i in range(3)),
        crop_count=177,
        layers=tuple(layers),
        edges=edges,
        skipped=(SkippedImage(name="torn.png", reason="image file is truncated"),),
        notes=("Only 3 images: concepts rest on few pictures.",),
        pictures={i: webp((10, 60 + 40 * i, 30)) for i in range(3)},
        heat={
            (group.id, crop.image): HeatMap(2, 2, bytes([0, 0, 0, 255]))
            for layer in layers[:-1]
            for group in layer.groups
            for crop in group.crops
        },
        thumbnails={crop: webp((18 * i, 90, 200 - 10 * i)) for i, crop in enumerate(crops)},
    )


@pytest.fixture(scope="module")
def browser(chromium_path, built):
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture(scope="module")
def chromium_path():
    from tests.conftest import browser as find

    path = find()
    assert path is not None
    return path


@pytest.fixture
def show(browser, tmp_path):
    """Opens a circuit's page; fails at the end if the page sent a request or logged a message."""
    trouble, contexts = [], []

    def local_only(route):
        if route.request.url.startswith(("file:", "data:")):
            route.continue_()
        else:
            trouble.append(f"request: {route.request.url}")
            route.abort()

    def opened(circuit, scheme="light"):
        file = write_report(circuit, tmp_path / f"{len(contexts)}.html")
        size = {"width": 1280, "height": 800}
        contexts.append(browser.new_context(viewport=size, color_scheme=scheme))
        contexts[-1].add_init_script(GUIDED)
        tab = patient(contexts[-1]).new_page()
        tab.on("console", lambda message: trouble.append(message.text))
        tab.on("pageerror", lambda error: trouble.append(str(error)))
        tab.route("**/*", local_only)
        tab.goto(file.as_uri())
        expect(tab.locator(".card").first).to_be_visible()
        return tab

    yield opened
    for context in contexts:
        context.close()
    assert trouble == []


@pytest.fixture
def page(show, wide):
    return show(wide)
