"""Random circuits are loaded unchanged; random changes give a circuit or an error of neurflow."""

from __future__ import annotations

import contextlib
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from neurflow.circuit import (
    Circuit,
    CircuitLayer,
    Neuron,
    NeuronGroup,
    SemanticGroup,
    load_circuit,
    save_circuit,
)
from neurflow.circuit.interactions import Flow, edge
from neurflow.config import Config
from neurflow.errors import ResultError
from neurflow.refs import Crop, ImageRef, Member, ModelInfo, Target
from tests.circuit.stored import contents, index
from tests.conftest import webp

finite = st.floats(-1e6, 1e6, width=32)
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@st.composite
def neurons(draw: st.DrawFn, index: int, below: list[int], width: int, images: int) -> Neuron:
    count = draw(st.integers(1, 5))
    boxes = st.tuples(
        st.integers(0, 9), st.integers(0, 9), st.integers(10, 99), st.integers(10, 99)
    )
    cut = draw(st.integers(1, count))
    parts = []
    for crops in filter(None, (tuple(range(cut)), tuple(range(cut, count)))):
        raw = np.array([draw(st.floats(-1, 1).filter(lambda w: abs(w) > 1e-3)) for _ in below])
        weights = dict(zip(below, (raw / np.abs(raw).sum()).tolist(), strict=True)) if below else {}
        vector = draw(st.lists(finite, min_size=width, max_size=width))
        parts.append(SemanticGroup(crops=crops, weights=weights, concept_vector=vector))
    return Neuron(
        index=index,
        crops=tuple(Crop(draw(st.integers(0, images - 1)), draw(boxes)) for _ in range(count)),
        activations=tuple(sorted((draw(finite) for _ in range(count)), reverse=True)),
        semantic_groups=tuple(parts),
        importance=dict.fromkeys(below, draw(st.floats(0, 1e6))),
        steps=draw(st.none() | st.integers(1, 99)),
        completeness_error=draw(st.none() | st.floats(0, 1)),
    )


@st.composite
def circuits(draw: st.DrawFn) -> Circuit:
    """Small circuits with up to three layers and one group for each first meaning."""
    names = draw(st.lists(text, min_size=1, max_size=3, unique=True))
    images = tuple(
        ImageRef(name=n, label=n[:3] or None) for n in draw(st.lists(text, min_size=1, max_size=3))
    )
    layers: list[CircuitLayer] = []
    below: list[int] = []
    for name in names:
        indices = draw(st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True))
        found = {a: draw(neurons(a, below, 6, len(images))) for a in indices}
        groups = tuple(
            NeuronGroup(
                id=f"{name}/{i}",
                members=tuple(Member(a, j) for j in range(len(found[a].semantic_groups))),
                crops=found[a].crops,
                label=draw(st.none() | text),
            )
            for i, a in enumerate(found)
        )
        layers.append(CircuitLayer(name=name, neurons=found, groups=groups))
        below = indices
    return Circuit(
        model=ModelInfo(reference=draw(text), digest="0" * 64, input_size=(3, 8, 8)),
        target=Target(layer=names[-1], neuron=below[0], name=draw(text)),
        config=Config(
            tau=draw(st.integers(1, 99)), groups=draw(st.just("auto") | st.integers(1, 9))
        ),
        images=images,
        crop_count=draw(st.integers(0, 2**40)),
        layers=tuple(layers),
        edges=tuple(
            edge(g.id, h.id, Flow(draw(st.floats(0, 1)), draw(st.floats(-1, 0))))
            for lower, upper in pairwise(layers)
            for g in upper.groups
            for h in lower.groups
        ),
        notes=tuple(draw(st.lists(text, max_size=2))),
        thumbnails={crop: webp() for crop in layers[-1].groups[0].crops},
    )


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(any_circuit=circuits())
def test_random_circuits_are_loaded_unchanged(any_circuit: Circuit, tmp_path: Path) -> None:
    save_circuit(any_circuit, tmp_path)
    assert contents(load_circuit(tmp_path)) == contents(any_circuit)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Path of every value within a JSON value, containers included."""
    if isinstance(value, dict):
        inner = [leaves(child, (*path, key)) for key, child in value.items()]
    elif isinstance(value, list):
        inner = [leaves(child, (*path, i)) for i, child in enumerate(value)]
    else:
        inner = []
    return [path, *(found for paths in inner for found in paths)]


ODD_VALUES = st.sampled_from(
    [None, True, 0, -1, 7, 10**30, 0.5, "", "8:0", "NaN", "../../etc/passwd", [], {}, [[]], {"": 0}]
)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_random_index_gives_a_circuit_or_an_error_of_neurflow(
    circuit: Circuit, tmp_path: Path, data: st.DataObject
) -> None:
    save_circuit(circuit, tmp_path)
    content = index(tmp_path)
    *parents, last = data.draw(st.sampled_from(leaves(content)[1:]))
    place = content
    for key in parents:
        place = place[key]
    place[last] = data.draw(ODD_VALUES)
    (tmp_path / "circuit.json").write_text(json.dumps(content))
    with contextlib.suppress(ResultError):
        save_circuit(load_circuit(tmp_path), tmp_path / "again")
