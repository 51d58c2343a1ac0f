"""A planted circuit whose groups show known parts of drawn pictures, and a chat server."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from neurflow.circuit import (
    Circuit,
    CircuitLayer,
    GroupEdge,
    Neuron,
    NeuronGroup,
    SemanticGroup,
)
from neurflow.config import Config
from neurflow.demo.pictures import SIZE, Picture, dataset
from neurflow.labels import ChatLabeler, OpenAIChat
from neurflow.labels.cache import Cache
from neurflow.refs import Crop, ImageRef, Member, ModelInfo, Target
from tests.cli.conftest import neurflow, plain  # noqa: F401  (fixtures that run a command line)
from tests.labels.server import KEY, ChatServer, chat_server

PARTS = {"early": ("wheel", "petal", "cap"), "late": ("stamp", "envelope", "gill")}
SIDE = 24
PER_GROUP = 24


@pytest.fixture(scope="session")
def drawn() -> list[Picture]:
    """Drawn pictures with their known parts, 24 of each class."""
    return dataset("test", 24, seed=3)


def part_crops(drawn: list[Picture], part: str) -> list[Crop]:
    """A window around the first ``part`` of each picture that has such a part."""
    crops = []
    for number, picture in enumerate(drawn):
        boxes = [p.box for p in picture.parts if p.name == part]
        boxes += [picture.mark] if part == "stamp" and picture.mark else []
        if boxes:
            left, top, right, bottom = boxes[0]
            x = min(max((left + right - SIDE) // 2, 0), SIZE - SIDE)
            y = min(max((top + bottom - SIDE) // 2, 0), SIZE - SIDE)
            crops.append(Crop(number, (x, y, x + SIDE, y + SIDE)))
    return crops[:PER_GROUP]


def webp(picture: Picture, crop: Crop) -> bytes:
    data = io.BytesIO()
    picture.image.crop(crop.box).resize((SIZE, SIZE)).save(data, "WEBP", quality=80)
    return data.getvalue()


@pytest.fixture(scope="session")
def planted(drawn: list[Picture]) -> Circuit:
    """Two layers of three groups, each with one neuron that responds to one part, and a target."""
    layers, thumbnails, width = [], {}, 3
    for name, parts in PARTS.items():
        neurons, groups = {}, []
        for a, part in enumerate(parts):
            crops = part_crops(drawn, part)
            thumbnails |= {crop: webp(drawn[crop.image], crop) for crop in crops}
            weights = {} if name == "early" else {0: 0.5, 1: -0.3, 2: 0.2}
            neurons[a] = neuron(a, crops, weights, width)
            groups.append(
                NeuronGroup(id=f"{name}/{a}", members=(Member(a, 0),), crops=tuple(crops))
            )
        layers.append(CircuitLayer(name=name, neurons=neurons, groups=tuple(groups)))
    top = part_crops(drawn, "wheel")
    head = neuron(0, top, {0: 0.5, 1: 0.3, 2: 0.2}, width)
    group = NeuronGroup(id="head/0", members=(Member(0, 0),), crops=tuple(top))
    layers.append(CircuitLayer(name="head", neurons={0: head}, groups=(group,)))
    edges = [
        GroupEdge(upper=f"late/{i}", lower=f"early/{j}", weight=w)
        for i in range(3)
        for j, w in enumerate((0.5, -0.3, 0.2))
    ]
    edges += [GroupEdge(upper="head/0", lower=f"late/{j}", weight=1 / 3) for j in range(3)]
    return Circuit(
        model=ModelInfo(reference="planted", digest="0" * 64, input_size=(3, SIZE, SIZE)),
        target=Target(layer="head", neuron=0, name="taxi"),
        config=Config(tau=3, k=PER_GROUP),
        images=tuple(ImageRef(name=f"{i}.png", label=p.class_name) for i, p in enumerate(drawn)),
        crop_count=59 * len(drawn),
        layers=tuple(layers),
        edges=tuple(edges),
        thumbnails=thumbnails,
    )


def neuron(index: int, crops: list[Crop], weights: dict[int, float], width: int) -> Neuron:
    vector = np.zeros(width, dtype=np.float32)
    vector[index] = 1
    part = SemanticGroup(crops=tuple(range(len(crops))), weights=weights, concept_vector=vector)
    return Neuron(
        index=index,
        crops=tuple(crops),
        activations=tuple(np.linspace(2, 1, len(crops)).tolist()),
        semantic_groups=(part,),
        importance={s: abs(w) for s, w in weights.items()},
        steps=50 if weights else None,
        completeness_error=0.01 if weights else None,
    )


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ChatServer]:
    """A chat server; its key is in the environment."""
    monkeypatch.setenv("NF_TEST_KEY", KEY)
    with chat_server() as running:
        yield running


@pytest.fixture
def ask(server: ChatServer, tmp_path) -> Callable[..., ChatLabeler]:
    """A labeler that uses the server through the client for the real service."""

    def made(cached: bool = True, sheet: bool = False, **options) -> ChatLabeler:
        chat = OpenAIChat(
            "tiny-vision", base_url=server.url, key_env="NF_TEST_KEY", **{"retries": 3, **options}
        )
        return ChatLabeler(chat, Cache(tmp_path / "cache") if cached else None, sheet=sheet)

    return made
